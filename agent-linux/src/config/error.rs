//! Why a configuration is refused, as a person reads it.

use std::fmt;
use std::io::ErrorKind;
use std::path::PathBuf;

/// Why a configuration was refused. Shown as one line for every problem.
#[derive(Debug)]
pub enum ConfigError {
    /// The file could not be read.
    Unreadable { path: PathBuf, error: std::io::Error },
    /// Everybody may change it.
    Exposed { path: PathBuf, mode: u32 },
    /// It describes a gateway, and a server was meant.
    NotAServer { path: PathBuf },
    /// The file was read and is wrong.
    Wrong { path: PathBuf, problems: Vec<Problem> },
}

/// Something wrong at one place of the file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong, and after a semicolon the remedy.
    pub text: String,
}

impl ConfigError {
    /// Whether there is no configuration at all.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Unreadable { error, .. } if error.kind() == ErrorKind::NotFound)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, .. } if self.is_missing() => {
                let path = path.display();
                write!(
                    f,
                    "{path}: there is no such file; `knockgated init --config {path} --address HOST` makes one"
                )
            }
            Self::Unreadable { path, error } if error.kind() == ErrorKind::PermissionDenied => {
                let path = path.display();
                write!(
                    f,
                    "{path}: cannot be read: {error}; run as root, or let the agent's user read it: \
                     `chgrp knockgate {path}` and `chmod g+r {path}`"
                )
            }
            Self::Unreadable { path, error } => {
                write!(f, "{}: cannot be read: {error}; name a file, or look after the disk", path.display())
            }
            Self::Exposed { path, mode } => {
                let path = path.display();
                write!(
                    f,
                    "{path}: can be changed by everybody (mode {mode:04o}); look it through, then `chmod o-w {path}`"
                )
            }
            Self::NotAServer { path } => {
                let path = path.display();
                write!(
                    f,
                    "{path}: [gateway] says that a gateway guards, and not this host; make its image with `knockgated gateway \
                     image --config {path}`, or leave that table out"
                )
            }
            Self::Wrong { path, problems } => {
                for (at, Problem { line, text }) in problems.iter().enumerate() {
                    let separator = if at == 0 { "" } else { "\n" };
                    write!(f, "{separator}{}:{line}: {text}", path.display())?;
                }
                Ok(())
            }
        }
    }
}

// Without a source: the message has it already, and a chain would print it twice.
impl std::error::Error for ConfigError {}
