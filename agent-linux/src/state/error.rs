use std::io;
use std::path::{Path, PathBuf};

use knockgate_core::file::FileError;

/// Why a file of the state could not be used. Names the file, what is wrong and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The operating system said no.
    // Not called `source`: the message has it already, and a chain would print it twice.
    #[error("{path}: {doing} failed: {error}; {}", remedy_of(error))]
    Io { path: PathBuf, doing: &'static str, error: io::Error },
    /// The file is there and cannot be accepted, or is missing and must not be.
    #[error("{path}: {what}; {remedy}")]
    Refused { path: PathBuf, what: String, remedy: String },
}

impl StateError {
    /// Whether another try may end otherwise although the file stays as it is: there was no descriptor, no memory, no disk.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Io { .. })
    }

    pub(crate) fn io(path: &Path, doing: &'static str, error: io::Error) -> Self {
        Self::Io { path: path.to_owned(), doing, error }
    }

    pub(crate) fn refused(path: &Path, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Refused { path: path.to_owned(), what: what.into(), remedy: remedy.into() }
    }

    /// What a [`FileError`] means for a file that should be a `kind`.
    pub(crate) fn unreadable(path: &Path, kind: &str, error: FileError, restore: &str) -> Self {
        let (what, remedy) = match error {
            FileError::Truncated => (format!("this {kind} is cut off"), restore.to_owned()),
            FileError::Foreign => {
                (format!("this is no {kind} but another kind of file"), "name the right file".into())
            }
            FileError::Version(version) => (
                format!("this {kind} has format version {version}, which this program does not know"),
                "use the program that wrote it, or a newer one".into(),
            ),
            FileError::Damaged => {
                (format!("this {kind} is damaged or cut off: its checksum does not fit"), restore.to_owned())
            }
            FileError::Nonsense => (
                format!("this {kind} is whole but makes no sense: a faulty program wrote it"),
                restore.to_owned(),
            ),
            FileError::TooLong => (format!("this {kind} is too long"), "enrol fewer clients".into()),
        };
        Self::refused(path, what, remedy)
    }
}

pub(super) fn remedy_of(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "run as root, or as the user that owns it",
        io::ErrorKind::StorageFull => "make room on the disk",
        io::ErrorKind::ReadOnlyFilesystem => "remount the file system read-write",
        io::ErrorKind::NotFound => "make the directory that it is in",
        _ if error.raw_os_error() == Some(libc::EMFILE) => "raise LimitNOFILE",
        _ => "see what `dmesg` says about the disk",
    }
}
