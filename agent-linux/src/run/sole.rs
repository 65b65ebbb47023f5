//! One agent for each network namespace, as there is one guard: two would undo each other's every second.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::anyhow;

use crate::firewall::namespace;

/// The claim to be the only one. It ends with the process, however that ends.
pub(super) struct Sole {
    _lock: File,
}

impl Sole {
    /// # Errors
    /// Another agent runs in this network namespace.
    pub(super) fn claim() -> anyhow::Result<Self> {
        namespace::make_folder()?;
        Self::claim_at(&namespace::file("agent")?)
    }

    fn claim_at(path: &Path) -> anyhow::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path);
        let mut file =
            file.map_err(|error| anyhow!("{}: cannot be made: {error}; run as root", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(taken(path, &mut file)),
            Err(TryLockError::Error(error)) => {
                return Err(anyhow!("{}: cannot be locked: {error}; run as root", path.display()));
            }
        }
        // For whoever comes second. Where there is no room for it, he is told less.
        let _ = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
        Ok(Self { _lock: file })
    }
}

fn taken(path: &Path, file: &mut File) -> anyhow::Error {
    let mut number = String::new();
    let who = match file.read_to_string(&mut number) {
        Ok(1..) => format!("another knockgated (process {number}) guards this host or network namespace"),
        Ok(_) | Err(_) => "another knockgated guards this host or network namespace".to_owned(),
    };
    anyhow!(
        "{}: {who}; stop that one first, or start this one in a network namespace of its own",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_one_is_told_who_is_there_until_that_one_has_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent");
        let first = Sole::claim_at(&path).unwrap();
        let refused = Sole::claim_at(&path).err().unwrap().to_string();
        assert!(refused.contains(&format!("(process {})", std::process::id())), "{refused}");
        drop(first);
        Sole::claim_at(&path).unwrap();
    }
}
