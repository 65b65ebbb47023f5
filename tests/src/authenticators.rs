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

    /// The code of now, or of so many steps later, as a line.
    pub fn code(&self, later: u64) -> String {
        format!("{:06}\n", self.0.code_at(unix_micros() / (STEP * 1_000_000) + later))
    }

    /// None of those that are good now.
    pub fn wrong(&self) -> String {
        let good: Vec<_> = (0..3).map(|step| self.code(step)).collect();
        let before = format!("{:06}\n", self.0.code_at(unix_micros() / (STEP * 1_000_000) - 1));
        let is_wrong = |code: &String| !good.contains(code) && *code != before;
        (0..10).map(|digit| format!("{digit}{digit}{digit}000\n")).find(is_wrong).unwrap_or_default()
    }
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
