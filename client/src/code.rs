//! Codes of the second factor: six digits that an authenticator shows. Never on the command line, which other users can read.

use std::io::{self, IsTerminal, Read};

use knockgate_core::limits::CODE_DIGITS;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::outcome::Failure;
use crate::passphrase::{PassphraseFault, Source};
use crate::print::Facts;
use crate::private_file::plain;
use crate::voice::Voice;

/// Longest line that is read from stdin.
const MAX_LINE: u64 = 64;

/// Why there is no code.
#[derive(Debug, Error)]
pub(crate) enum CodeFault {
    #[error("a code has {CODE_DIGITS} digits; give the one that your authenticator shows now")]
    NotDigits,
    #[error("standard input cannot be read: {}; write the code into it", plain(.0))]
    Stdin(io::Error),
    #[error("there is nobody to ask for the code; write it into standard input and use --code")]
    NoTerminal,
}

/// Where codes come from, and whether one is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Codes {
    /// Somebody is asked if the gate wants one.
    IfWanted,
    /// The command line says that there is one.
    AtOnce,
    /// The gate wants one.
    Wanted,
    /// There was one. It opens once.
    UsedUp,
    /// Nobody may be asked.
    Never,
}

impl Codes {
    pub(crate) fn of_flag(flag: bool) -> Self {
        if flag { Self::AtOnce } else { Self::IfWanted }
    }

    /// Whether a code has been given: it cannot be used again.
    pub(crate) fn is_used_up(&self) -> bool {
        *self == Self::UsedUp
    }

    /// The gate wants one. Whether somebody can be asked for it.
    pub(crate) fn want(&mut self) -> bool {
        match self {
            Self::IfWanted | Self::AtOnce | Self::Wanted => {
                *self = Self::Wanted;
                true
            }
            Self::UsedUp | Self::Never => false,
        }
    }

    /// The code, if one is due now.
    pub(crate) fn take(&mut self, facts: &Facts, voice: &Voice) -> Result<Option<u32>, Failure> {
        let line = match self {
            Self::IfWanted | Self::UsedUp | Self::Never => return Ok(None),
            Self::AtOnce if !io::stdin().is_terminal() => from_stdin().map_err(Failure::Code)?,
            Self::AtOnce | Self::Wanted => match from_person(facts, voice) {
                Ok(line) => line,
                Err(_) if *self == Self::Wanted => return Err(Failure::code_wanted()),
                Err(_) => return Err(Failure::Code(CodeFault::NoTerminal)),
            },
        };
        *self = Self::UsedUp;
        parse(&line).map(Some).map_err(Failure::Code)
    }
}

fn from_person(facts: &Facts, voice: &Voice) -> Result<Zeroizing<String>, PassphraseFault> {
    let service = facts.service.as_deref().unwrap_or("the service");
    let line = Source::chosen(None).ask(&format!("Code for {service} on {}: ", facts.host), voice)?;
    Ok(line)
}

fn from_stdin() -> Result<Zeroizing<String>, CodeFault> {
    let mut line = Zeroizing::new(String::new());
    let mut byte = [0];
    // Byte by byte: what follows the line belongs to somebody else.
    let mut stdin = io::stdin().lock().take(MAX_LINE);
    loop {
        match stdin.read(&mut byte).map_err(CodeFault::Stdin)? {
            0 => return Ok(line),
            _ if byte == *b"\n" => return Ok(line),
            _ => line.push(char::from(byte[0])),
        }
    }
}

/// Authenticators show codes in two groups.
fn parse(line: &str) -> Result<u32, CodeFault> {
    let digits: Zeroizing<String> = Zeroizing::new(line.chars().filter(|c| !c.is_whitespace()).collect());
    let whole =
        digits.chars().count() == CODE_DIGITS as usize && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| whole).ok_or(CodeFault::NotDigits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_six_digits_in_one_group_or_two() {
        #[rustfmt::skip]
        let cases = [
            (1, "123456", Some(123_456)), (2, "012 345", Some(12_345)), (3, " 123456\r", Some(123_456)), (4, "12345", None),
            (5, "1234567", None), (6, "12345x", None), (7, "", None), (8, "+12345", None),
        ];
        for (case, line, code) in cases {
            assert_eq!(parse(line).ok(), code, "case {case}");
        }
    }
}
