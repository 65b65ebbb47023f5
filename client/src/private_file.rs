//! Files that only their owner may read, written whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;
use zeroize::Zeroizing;

/// Why a file or directory could not be used. Every message names the path and the remedy.
#[derive(Debug, Error)]
pub(crate) enum FileFault {
    #[error("{}: cannot {what}: {}; check that the path and its permissions are right", .path.display(), plain(.source))]
    Io { path: PathBuf, what: &'static str, source: io::Error },
    #[error("{}: is not a regular file; name the file itself", .0.display())]
    NotAFile(PathBuf),
    #[error("{}: mode {mode:04o} lets other users read or change secrets; run: chmod 600 {}", .path.display(), .path.display())]
    Mode { path: PathBuf, mode: u32 },
    #[error("{}: mode {mode:04o} lets other users into this directory; run: chmod 700 {}", .path.display(), .path.display())]
    DirMode { path: PathBuf, mode: u32 },
    #[error("{}: mode {mode:04o} lets other users change it; run: chmod go-w {}", .path.display(), .path.display())]
    Writable { path: PathBuf, mode: u32 },
}

/// The text of an I/O error without the number that the standard library appends.
pub(crate) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_lowercase(),
        None => text.to_lowercase(),
    }
}

fn fault(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> FileFault {
    let path = path.to_owned();
    move |source| FileFault::Io { path, what, source }
}

/// The first `limit` bytes of a file to which nobody but its owner has access.
pub(crate) fn read(path: &Path, limit: usize) -> Result<Zeroizing<Vec<u8>>, FileFault> {
    let file = open_regular(path)?;
    if let Some(mode) = mode_beyond(&file, 0o077).map_err(fault(path, "read"))? {
        return Err(FileFault::Mode { path: path.to_owned(), mode });
    }
    read_at_most(limit, &file, path)
}

/// The first `limit` bytes of a file without secrets, which nobody but its owner may write.
pub(crate) fn read_unwritable(path: &Path, limit: usize) -> Result<Zeroizing<Vec<u8>>, FileFault> {
    let file = open_regular(path)?;
    if let Some(mode) = mode_beyond(&file, 0o022).map_err(fault(path, "read"))? {
        return Err(FileFault::Writable { path: path.to_owned(), mode });
    }
    read_at_most(limit, &file, path)
}

fn open_regular(path: &Path) -> Result<File, FileFault> {
    // A FIFO would block the opening for ever.
    let metadata = fs::metadata(path).map_err(fault(path, "read"))?;
    if !metadata.is_file() {
        return Err(FileFault::NotAFile(path.to_owned()));
    }
    File::open(path).map_err(fault(path, "read"))
}

/// Reads into memory that does not move, so that one wiping is enough.
pub(crate) fn read_at_most(
    limit: usize,
    source: impl Read,
    path: &Path,
) -> Result<Zeroizing<Vec<u8>>, FileFault> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit));
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    source.take(limit).read_to_end(&mut bytes).map_err(fault(path, "read"))?;
    Ok(bytes)
}

/// Replaces the file with `bytes`: after a crash there is either the old file or the new one.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), FileFault> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}.new", std::process::id()));
    let draft = PathBuf::from(draft);
    let written = write_draft(&draft, bytes).and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        // What is left of the draft is of no use to anybody.
        let _ = fs::remove_file(&draft);
    }
    written.and_then(|()| sync_parent(path)).map_err(fault(path, "write"))
}

fn write_draft(draft: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = owner_only(OpenOptions::new().write(true).create(true).truncate(true)).open(draft)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Opens a file to append to or to lock, made if it is not there.
pub(crate) fn open_or_create(path: &Path) -> Result<File, FileFault> {
    // Windows locks no file that is open for appending alone.
    owner_only(OpenOptions::new().read(true).append(true).create(true))
        .open(path)
        .map_err(fault(path, "open"))
}

/// Makes the directory, for the owner alone, or checks that it is so.
pub(crate) fn private_dir(path: &Path) -> Result<(), FileFault> {
    make_dir(path)?;
    match dir_mode_beyond(path, 0o077).map_err(fault(path, "read"))? {
        Some(mode) => Err(FileFault::DirMode { path: path.to_owned(), mode }),
        None => Ok(()),
    }
}

/// Makes the directory, or checks that nobody else may put files into it.
pub(crate) fn own_dir(path: &Path) -> Result<(), FileFault> {
    make_dir(path)?;
    match dir_mode_beyond(path, 0o022).map_err(fault(path, "read"))? {
        Some(mode) => Err(FileFault::DirMode { path: path.to_owned(), mode }),
        None => Ok(()),
    }
}

fn make_dir(path: &Path) -> Result<(), FileFault> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(fault(path, "make the directory"))
}

#[cfg(unix)]
fn owner_only(options: &mut OpenOptions) -> &mut OpenOptions {
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600)
}

// Elsewhere the user's profile directory is private already.
#[cfg(not(unix))]
fn owner_only(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

#[cfg(unix)]
fn beyond(metadata: &fs::Metadata, forbidden: u32) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    Some(metadata.permissions().mode() & 0o7777).filter(|mode| mode & forbidden != 0)
}

#[cfg(not(unix))]
fn beyond(_: &fs::Metadata, _: u32) -> Option<u32> {
    None
}

fn mode_beyond(file: &File, forbidden: u32) -> io::Result<Option<u32>> {
    Ok(beyond(&file.metadata()?, forbidden))
}

fn dir_mode_beyond(path: &Path, forbidden: u32) -> io::Result<Option<u32>> {
    Ok(beyond(&fs::metadata(path)?, forbidden))
}

/// A rename is durable once its directory is.
#[cfg(unix)]
fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

#[cfg(not(unix))]
fn sync_parent(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_written_is_private_and_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");

        write(&path, b"old").unwrap();
        write(&path, b"new").unwrap();

        assert_eq!(*read(&path, 100).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "a draft was left");
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        write(&path, b"secret").unwrap();
        #[rustfmt::skip]
        let cases = [(1, 0o600, true), (2, 0o400, true), (3, 0o640, false), (4, 0o604, false), (5, 0o620, false), (6, 0o610, false)];
        for (case, mode, accepted) in cases {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(read(&path, 100).is_ok(), accepted, "case {case}");
        }
    }

    #[test]
    fn a_directory_is_no_file() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(read(dir.path(), 100), Err(FileFault::NotAFile(_))));
    }
}
