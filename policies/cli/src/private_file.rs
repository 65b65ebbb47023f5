//! Files that only their owner may read, and files that are not overwritten.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use zeroize::Zeroizing;

use crate::answer::{Section, Trouble};
use crate::text::plain;

/// The first `limit` bytes of a file or pipe to which nobody but its owner has access.
pub(crate) fn read(path: &Path, limit: usize) -> Result<Zeroizing<Vec<u8>>, Trouble> {
    let fault = |error: &io::Error| {
        let told = format!(
            "{}: cannot be read: {}; check the path and its permissions",
            path.display(),
            plain(error)
        );
        Trouble::with_use(Section::Signing, told)
    };
    let file = File::open(path).map_err(|error| fault(&error))?;
    if let Some(mode) = mode_of_others(&file).map_err(|error| fault(&error))? {
        let told =
            format!("{0}: mode {mode:04o} lets other users read it; run: chmod 600 {0}", path.display());
        return Err(Trouble::with_use(Section::Signing, told));
    }
    // Memory that does not move, so that one wiping is enough.
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit));
    file.take(limit as u64).read_to_end(&mut bytes).map_err(|error| fault(&error))?;
    Ok(bytes)
}

/// Who can read a file that is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readable {
    ByOwner,
    ByEverybody,
}

/// Makes a file that was not there.
pub(crate) fn create(path: &Path, content: &[u8], readable: Readable) -> Result<(), Trouble> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    match readable {
        Readable::ByOwner => owner_only(&mut options),
        Readable::ByEverybody => {}
    }
    let written = options.open(path).and_then(|mut file| {
        let written = file.write_all(content).and_then(|()| file.sync_all());
        if written.is_err() {
            // Half a key is of no use to anybody.
            let _ = fs::remove_file(path);
        }
        written
    });
    written.map_err(|error| {
        let remedy = match error.kind() {
            io::ErrorKind::AlreadyExists => "choose another name, or move it away",
            io::ErrorKind::NotFound => "make the folder first",
            _ => "check the folder and its permissions",
        };
        Trouble::with_use(
            Section::Signing,
            format!("{}: cannot be made: {}; {remedy}", path.display(), plain(&error)),
        )
    })
}

#[cfg(unix)]
fn owner_only(options: &mut OpenOptions) {
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
}

// Elsewhere the user's profile directory is private already.
#[cfg(not(unix))]
fn owner_only(_: &mut OpenOptions) {}

/// The mode, if others can read or write it. A pipe has whoever opened it.
#[cfg(unix)]
fn mode_of_others(file: &File) -> io::Result<Option<u32>> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = file.metadata()?;
    let mode = metadata.permissions().mode() & 0o7777;
    Ok(Some(mode).filter(|mode| metadata.is_file() && mode & 0o077 != 0))
}

#[cfg(not(unix))]
fn mode_of_others(_: &File) -> io::Result<Option<u32>> {
    Ok(None)
}
