//! The second factor: a code that changes every half minute and is accepted once.
//!
//! TOTP (RFC 6238) over HMAC-SHA-1 with six digits and steps of 30 seconds, which is what authenticator apps do. SHA-1 is not
//! broken for this use: HMAC does not rest on collisions. That a code is accepted once is kept with the client's counters,
//! see [`Used::code_step`](crate::replay::Used). Rule: `docs/protocol.md`, section 6.8.

use hmac::{Hmac, Mac};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use sha1::Sha1;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::limits::{CODE_DIGITS, CODE_STEP, CODE_WINDOW, TOTP_SECRET_LEN};
use crate::time::UnixTime;

/// The secret that a client's authenticator shares with the gate.
#[derive(Clone, Zeroize, ZeroizeOnDrop, Serialize, Deserialize)]
pub struct TotpSecret([u8; TOTP_SECRET_LEN]);

impl TotpSecret {
    /// A new secret from a cryptographic generator.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = [0; TOTP_SECRET_LEN];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// The secret made of these bytes.
    pub const fn from_bytes(bytes: [u8; TOTP_SECRET_LEN]) -> Self {
        Self(bytes)
    }

    /// Its bytes, to be shown to the client's authenticator once.
    pub fn bytes(&self) -> &[u8; TOTP_SECRET_LEN] {
        &self.0
    }

    /// The code of a time step, of [`CODE_DIGITS`] digits.
    pub fn code_at(&self, step: u64) -> u32 {
        full_code(&self.0, step) % 10_u32.pow(CODE_DIGITS)
    }

    /// The time step around `time` whose code this is, if it is above `used`.
    pub(crate) fn step_of(&self, code: u32, time: UnixTime, used: u64) -> Option<u64> {
        let present = time.as_micros() / 1_000_000 / CODE_STEP.as_secs();
        let steps = present.saturating_sub(CODE_WINDOW)..=present.saturating_add(CODE_WINDOW);
        steps.into_iter().find(|&step| step > used && self.code_at(step) == code)
    }
}

/// RFC 4226, section 5.3, before digits are cut off.
fn full_code(secret: &[u8], step: u64) -> u32 {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret).expect("HMAC takes a key of any length");
    mac.update(&step.to_be_bytes());
    let digest: [u8; 20] = mac.finalize().into_bytes().into();
    let [.., last] = digest;
    let at = usize::from(last & 0x0f);
    let word =
        digest.get(at..).and_then(|rest| rest.first_chunk()).expect("at most 15, and 4 of 20 bytes follow");
    u32::from_be_bytes(*word) & 0x7fff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4226 and RFC 6238: the ASCII string that both use for SHA-1.
    const SECRET: &[u8; 20] = b"12345678901234567890";

    fn at(seconds: u64) -> UnixTime {
        UnixTime::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn codes_are_those_of_rfc_6238() {
        // RFC 6238, appendix B, the rows of SHA-1: eight digits.
        #[rustfmt::skip]
        let rows = [
            (59, 94_287_082), (1_111_111_109, 7_081_804), (1_111_111_111, 14_050_471), (1_234_567_890, 89_005_924),
            (2_000_000_000, 69_279_037), (20_000_000_000, 65_353_130),
        ];
        for (seconds, code) in rows {
            assert_eq!(full_code(SECRET, seconds / 30) % 100_000_000, code, "{seconds}");
            assert_eq!(TotpSecret::from_bytes(*SECRET).code_at(seconds / 30), code % 1_000_000, "{seconds}");
        }
    }

    #[test]
    fn codes_are_those_of_rfc_4226() {
        // RFC 4226, appendix D.
        let codes =
            [755_224, 287_082, 359_152, 969_429, 338_314, 254_676, 287_922, 162_583, 399_871, 520_489];
        for (step, code) in (0..).zip(codes) {
            assert_eq!(TotpSecret::from_bytes(*SECRET).code_at(step), code, "step {step}");
        }
    }

    #[test]
    fn a_code_is_good_for_its_step_and_its_neighbours_and_once() {
        let secret = TotpSecret::from_bytes(*SECRET);
        let code = secret.code_at(100);
        #[rustfmt::skip]
        let cases = [
            (1, 3000, 0, Some(100)), (2, 3029, 99, Some(100)), (3, 3030, 0, Some(100)), (4, 3059, 0, Some(100)),
            (5, 2970, 0, Some(100)), (6, 3060, 0, None), (7, 2969, 0, None), (8, 3000, 100, None), (9, 3000, 101, None),
        ];
        for (case, seconds, used, step) in cases {
            assert_eq!(secret.step_of(code, at(seconds), used), step, "case {case}");
        }
    }
}
