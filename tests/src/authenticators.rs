//! Somebody with an authenticator: the second factor of a client.

use anyhow::{Context, Result, anyhow};
use knockgate_core::totp::TotpSecret;

use crate::packets::unix_micros;

/// Seconds that a code is shown.
const STEP: u64 = 30;

/// An authenticator app.
pub struct Authenticator(TotpSecret);

impl Authenticator {
    /// Reads what the gate shows once, as an app reads its picture.
    pub fn of(shown: &str) -> Result<Self> {
        let secret = shown.split("secret=").nth(1).and_then(|rest| rest.split('&').next());
        let bytes = base32(secret.with_context(|| format!("no secret in:\n{shown}"))?)?;
        let bytes = bytes.try_into().map_err(|_| anyhow!("a secret of another length"))?;
        Ok(Self(TotpSecret::from_bytes(bytes)))
    }

    /// The code of now and the one after it, as lines: both are good for another half minute.
    ///
    /// Of one moment. Asked for later, when a step may have ended, the second would be one that the gate does not take yet.
    pub fn codes(&self) -> [String; 2] {
        let now = step();
        [now, now + 1].map(|step| self.line(step))
    }

    /// None of those that are good now or soon.
    pub fn wrong(&self) -> String {
        let now = step();
        let good: Vec<_> = (now - 1..now + 3).map(|step| self.line(step)).collect();
        let is_wrong = |code: &String| !good.contains(code);
        (0..10).map(|digit| format!("{digit}{digit}{digit}000\n")).find(is_wrong).unwrap_or_default()
    }

    fn line(&self, step: u64) -> String {
        format!("{:06}\n", self.0.code_at(step))
    }
}

/// The time step of now.
fn step() -> u64 {
    unix_micros() / (STEP * 1_000_000)
}

/// RFC 4648, without padding.
fn base32(text: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for letter in text.chars() {
        let value =
            "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".find(letter).context("a letter that is none of base32")?;
        (bits, count) = ((bits << 5 | u32::try_from(value)?) & 0xfff, count + 5);
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff)?);
        }
    }
    Ok(bytes)
}
