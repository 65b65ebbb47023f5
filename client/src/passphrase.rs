//! Where a passphrase comes from: a file, a program, or the person at the terminal. Never the command line, which other
//! users can read, and never the environment, which children inherit.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use thiserror::Error;
use zeroize::Zeroizing;

use crate::private_file::{self, FileFault, plain};
use crate::voice::Voice;

/// Longest passphrase, in bytes. A longer line is some other file.
const MAX_LEN: usize = 1024;
/// A shorter new one is guessed in a day, whatever a guess costs.
const MIN_CHARACTERS: usize = 8;
/// How often somebody at a terminal may mistype.
const TRIES: u32 = 3;
/// The program that asks where there is no terminal; like `SSH_ASKPASS`.
const ASKPASS: &str = "KNOCKGATE_ASKPASS";

/// Why there is no passphrase. Every message says what else can be done.
#[derive(Debug, Error)]
pub(crate) enum PassphraseFault {
    #[error(transparent)]
    File(#[from] FileFault),
    #[error("{0}: there is no passphrase on its first line; write one there")]
    NoneThere(String),
    #[error("{0}: its first line is longer than {MAX_LEN} bytes; name a file with a passphrase")]
    TooLong(String),
    #[error("{ASKPASS}: {} {what}; correct {ASKPASS}, or use --passphrase-file", .program.display())]
    Program { program: PathBuf, what: String },
    #[error(
        "no terminal to ask for a passphrase at ({}); use --passphrase-file, or set {ASKPASS} to a program that asks",
        plain(.0)
    )]
    NoTerminal(io::Error),
    #[error("a passphrase has at least {MIN_CHARACTERS} characters; choose a longer one")]
    TooShort,
    #[error("the two passphrases are different; nothing was changed, try again")]
    Different,
}

/// Somewhere that a passphrase can come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The first line of a file that only its owner may read, or of a pipe such as `/dev/fd/3`.
    File(PathBuf),
    /// Run with the question as its argument; its first line is the answer.
    Program(PathBuf),
    Terminal,
}

impl Source {
    /// The file if one was chosen, else whatever asks the person.
    pub(crate) fn chosen(file: Option<PathBuf>) -> Self {
        if let Some(file) = file {
            return Self::File(file);
        }
        let program = env::var_os(ASKPASS).filter(|program: &OsString| !program.is_empty());
        program.map_or(Self::Terminal, |program| Self::Program(program.into()))
    }

    /// How often it is worth asking.
    pub(crate) fn tries(&self) -> u32 {
        match self {
            Self::File(_) | Self::Program(_) => 1,
            Self::Terminal => TRIES,
        }
    }

    /// The passphrase. `question` ends with a blank.
    pub(crate) fn ask(&self, question: &str, voice: &Voice) -> Result<Zeroizing<String>, PassphraseFault> {
        match self {
            Self::File(path) => from_file(path),
            Self::Program(program) => from_program(program, question),
            Self::Terminal => {
                voice.end();
                let answer = rpassword::prompt_password(question).map_err(PassphraseFault::NoTerminal)?;
                Ok(Zeroizing::new(answer))
            }
        }
    }

    /// A new passphrase; people are asked twice.
    pub(crate) fn ask_new(&self, of_what: &str, voice: &Voice) -> Result<Zeroizing<String>, PassphraseFault> {
        let passphrase = self.ask(&format!("New passphrase for {of_what}: "), voice)?;
        if passphrase.chars().count() < MIN_CHARACTERS {
            return Err(PassphraseFault::TooShort);
        }
        match self {
            Self::File(_) => return Ok(passphrase),
            Self::Program(_) | Self::Terminal => {}
        }
        if self.ask(&format!("The same again for {of_what}: "), voice)? != passphrase {
            return Err(PassphraseFault::Different);
        }
        Ok(passphrase)
    }
}

fn from_file(path: &Path) -> Result<Zeroizing<String>, PassphraseFault> {
    let is_file = fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
    let bytes = if is_file || !path.exists() {
        private_file::read(path, MAX_LEN + 2)?
    } else {
        // A pipe: whoever made it waits to be read.
        read_open(path)?
    };
    first_line(&bytes, &path.display().to_string())
}

fn read_open(path: &Path) -> Result<Zeroizing<Vec<u8>>, PassphraseFault> {
    let file =
        File::open(path).map_err(|source| FileFault::Io { path: path.to_owned(), what: "read", source })?;
    Ok(private_file::read_at_most(MAX_LEN + 2, file, path)?)
}

fn from_program(program: &Path, question: &str) -> Result<Zeroizing<String>, PassphraseFault> {
    let fault = |what: String| PassphraseFault::Program { program: program.to_owned(), what };
    let mut child = Command::new(program)
        .arg(question)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| fault(format!("cannot be run: {}", plain(&error))))?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_LEN + 2));
    if let Some(stdout) = child.stdout.take() {
        let limit = u64::try_from(MAX_LEN + 2).unwrap_or(u64::MAX);
        stdout
            .take(limit)
            .read_to_end(&mut bytes)
            .map_err(|error| fault(format!("cannot be read: {}", plain(&error))))?;
    }
    let status = child.wait().map_err(|error| fault(format!("did not end: {}", plain(&error))))?;
    if !status.success() {
        return Err(fault("gave no passphrase".to_owned()));
    }
    first_line(&bytes, &program.display().to_string())
}

fn first_line(bytes: &[u8], origin: &str) -> Result<Zeroizing<String>, PassphraseFault> {
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.len() > MAX_LEN {
        return Err(PassphraseFault::TooLong(origin.to_owned()));
    }
    match str::from_utf8(line) {
        Ok(line) if !line.is_empty() => Ok(Zeroizing::new(line.to_owned())),
        Ok(_) | Err(_) => Err(PassphraseFault::NoneThere(origin.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voice::Loudness;

    fn ask_file(content: &[u8]) -> Result<String, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("passphrase");
        private_file::write(&path, content).unwrap();
        let answer = Source::File(path.clone()).ask("? ", &Voice::new(Loudness::Quiet));
        answer
            .map(|line| line.to_string())
            .map_err(|fault| fault.to_string().replace(&format!("{}", path.display()), "F"))
    }

    #[test]
    fn the_first_line_of_a_file_is_the_passphrase() {
        let long = "x".repeat(MAX_LEN);
        #[rustfmt::skip]
        let cases = [
            (1, "correct horse", "correct horse"), (2, "correct horse\n", "correct horse"), (3, "correct horse\r\nmore", "correct horse"),
            (4, " blanks count ", " blanks count "), (5, "schön", "schön"), (6, &long, &long),
        ];
        for (case, content, expected) in cases {
            assert_eq!(ask_file(content.as_bytes()), Ok(expected.to_owned()), "case {case}");
        }
    }

    #[test]
    fn a_file_without_a_passphrase_is_refused() {
        let none = "F: there is no passphrase on its first line; write one there";
        let too_long = "F: its first line is longer than 1024 bytes; name a file with a passphrase";
        #[rustfmt::skip]
        let cases: [(u32, &[u8], &str); 4] = [
            (1, b"", none), (2, b"\nsecond line", none), (3, b"\xff\xfe", none), (4, &[b'x'; 2000], too_long),
        ];
        for (case, content, expected) in cases {
            assert_eq!(ask_file(content), Err(expected.to_owned()), "case {case}");
        }
    }

    #[test]
    fn a_new_passphrase_is_not_too_short() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("passphrase");
        #[rustfmt::skip]
        let cases = [(1, "1234567", false), (2, "12345678", true), (3, "äöüäöüä", false)];
        for (case, content, accepted) in cases {
            private_file::write(&path, content.as_bytes()).unwrap();
            let answer = Source::File(path.clone()).ask_new("x", &Voice::new(Loudness::Quiet));
            assert_eq!(answer.is_ok(), accepted, "case {case}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_program_that_cannot_be_run_or_fails_is_told() {
        for (program, what) in [("/nowhere/askpass", "cannot be run: "), ("/bin/false", "gave no passphrase")]
        {
            let fault = from_program(Path::new(program), "? ").unwrap_err().to_string();
            assert!(fault.starts_with(&format!("KNOCKGATE_ASKPASS: {program} {what}")), "{fault}");
        }
    }
}
