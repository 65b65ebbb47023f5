//! Files that hold keys: readable by their owner alone, written whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::StateError;

/// No file of ours is longer. A roster of 100 000 clients has some 15 MB.
pub(super) const MAX_FILE: usize = 256 * 1024 * 1024;

/// Reads a file that only its owner can read, and that a person has named.
///
/// # Errors
/// If it cannot be read, or others could.
pub fn read(path: &Path) -> Result<Vec<u8>, StateError> {
    content(path, open(path)?)
}

/// Reads a file of the state directory: the same, and no link leads to it.
///
/// # Errors
/// As [`read`].
pub(super) fn read_own(path: &Path) -> Result<Vec<u8>, StateError> {
    content(path, open_own(path, OpenOptions::new().read(true))?)
}

fn content(path: &Path, file: File) -> Result<Vec<u8>, StateError> {
    let mut content = Vec::new();
    file.take(MAX_FILE as u64)
        .read_to_end(&mut content)
        .map_err(|error| StateError::io(path, "reading", error))?;
    Ok(content)
}

/// Whether a file of the state directory can be read.
///
/// # Errors
/// If it cannot be opened, or others could read it.
pub fn check(path: &Path) -> Result<(), StateError> {
    open_own(path, OpenOptions::new().read(true)).map(drop)
}

/// Whether there is nothing of that name, not even a link that leads nowhere. What cannot be looked at is not missing.
pub(super) fn is_missing(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// Opens a file of the state directory. That may be another user's, who may have put something else there: root follows no link.
pub(super) fn open_own(path: &Path, options: &mut OpenOptions) -> Result<File, StateError> {
    if std::fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) {
        return Err(StateError::refused(path, "is a link", "put the file itself in its place"));
    }
    open_with(path, options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK))
}

fn open(path: &Path) -> Result<File, StateError> {
    open_with(path, OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK))
}

/// Not to wait for the other end of a pipe is the opener's to say.
fn open_with(path: &Path, options: &OpenOptions) -> Result<File, StateError> {
    let file = options.open(path);
    let file = file.map_err(|error| StateError::io(path, "opening", error))?;
    // The permissions of what is open now: looking at the path first would leave a gap.
    let metadata = file.metadata().map_err(|error| StateError::io(path, "looking at it", error))?;
    if !metadata.is_file() {
        return Err(StateError::refused(path, "is no file", "name a file"));
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        let what = format!("holds secrets, but others can read or change it (mode {mode:04o})");
        let remedy = format!("`chmod 600 {}` if you trust its content, else make it anew", path.display());
        return Err(StateError::refused(path, what, remedy));
    }
    if metadata.len() > MAX_FILE as u64 {
        return Err(StateError::refused(
            path,
            "is too long to be one of Knockgate's files",
            "name the right file",
        ));
    }
    Ok(file)
}

/// Writes a new file; one that exists is left alone.
///
/// # Errors
/// If it exists or cannot be written; then nothing is left of it.
pub fn create(path: &Path, content: &[u8]) -> Result<(), StateError> {
    create_open(path, content).map(drop)
}

/// The same, and hands it over to be read and written.
pub(super) fn create_open(path: &Path, content: &[u8]) -> Result<File, StateError> {
    let mut file = match OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(StateError::refused(path, "exists already", "move it away, or choose another name"));
        }
        Err(error) => return Err(StateError::io(path, "making it", error)),
    };
    let written = hand_over(&file, path)
        .and_then(|()| write_durably(&mut file, content))
        .and_then(|()| sync_directory(path));
    written.map(|()| file).map_err(|error| {
        // What is half there would be taken for whole. If even this fails, its checksum still tells.
        let _ = std::fs::remove_file(path);
        StateError::io(path, "writing", error)
    })
}

/// Replaces a file: after a crash it has either the old or the new content. Only one may do so at a time.
///
/// # Errors
/// If it cannot be written; then the old content stays.
pub fn replace(path: &Path, content: &[u8]) -> Result<(), StateError> {
    let next = path.with_added_extension("new");
    // Left by a run that was cut off, with whatever permissions. If it cannot be removed, making it anew says why.
    let _ = std::fs::remove_file(&next);
    let replaced = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&next)
        .and_then(|mut file| hand_over(&file, path).and_then(|()| write_durably(&mut file, content)))
        .and_then(|()| std::fs::rename(&next, path))
        .and_then(|()| sync_directory(path));
    replaced.map_err(|error| StateError::io(path, "replacing it", error))
}

/// Waits until nobody else holds the lock at `path`. It is held until the file is dropped.
///
/// # Errors
/// If there can be no such file.
pub fn lock(path: &Path) -> Result<File, StateError> {
    let lock = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(lock) => hand_over(&lock, path).map(|()| lock),
        // The folder may be another user's, who may have put a link or a pipe there. Root follows no link, gives nothing away
        // that it has not made, and does not wait for the other end of a pipe.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            OpenOptions::new().write(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)
        }
        Err(error) => Err(error),
    };
    let lock = lock.map_err(|error| StateError::io(path, "opening the lock", error))?;
    lock.lock().map_err(|error| StateError::io(path, "locking", error))?;
    Ok(lock)
}

/// What root makes in a folder of the agent's user is that user's, or the agent could not read it. Only for a file that was
/// made by this very opening: any other could be whatever that user has linked there.
fn hand_over(file: &File, path: &Path) -> io::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let folder = std::fs::metadata(directory(path))?;
    if folder.uid() == 0 {
        return Ok(());
    }
    std::os::unix::fs::fchown(file, Some(folder.uid()), Some(folder.gid()))
}

fn write_durably(file: &mut File, content: &[u8]) -> io::Result<()> {
    file.write_all(content)?;
    file.sync_all()
}

/// Makes names durable: that of a file lives in its directory.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(directory(path))?.sync_all()
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_that_others_can_read_is_refused_with_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gate.key");
        create(&path, b"secret").unwrap();
        assert_eq!(read(&path).unwrap(), b"secret");

        for mode in [0o640, 0o604, 0o620, 0o601, 0o666] {
            set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let error = read(&path).unwrap_err().to_string();
            assert!(error.contains("chmod 600") && error.contains(&format!("{mode:04o}")), "{error}");
        }
    }

    #[test]
    fn an_existing_file_is_never_overwritten_by_create() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        create(&path, b"old").unwrap();
        assert!(create(&path, b"new").unwrap_err().to_string().contains("exists already"));
        assert_eq!(read(&path).unwrap(), b"old");
    }

    #[test]
    fn a_lock_is_no_way_to_a_file_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let (path, elsewhere) = (dir.path().join("lock"), dir.path().join("elsewhere"));
        std::fs::write(&elsewhere, b"root's").unwrap();
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        assert!(lock(&path).is_err());
        assert_eq!(std::fs::read(&elsewhere).unwrap(), b"root's");
    }

    #[test]
    fn nothing_but_a_file_is_taken_for_one_of_the_state_and_no_pipe_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let [file, link, pipe] = ["file", "link", "pipe"].map(|name| dir.path().join(name));
        create(&file, b"secret").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();

        assert_eq!(read_own(&file).unwrap(), b"secret");
        assert_eq!(read(&link).unwrap(), b"secret", "whoever names a file may name a link to it");
        for (path, what) in [(&link, "is a link; put the file itself"), (&pipe, "is no file; name a file")] {
            let error = read_own(path).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
        std::fs::remove_file(&file).unwrap();
        assert!(is_missing(&file) && !is_missing(&link));
    }

    #[test]
    fn what_root_makes_for_another_user_is_his_and_what_he_has_linked_there_is_not() {
        const ANOTHER: u32 = 4711;
        let dir = tempfile::tempdir().unwrap();
        // Only root can give a folder away, and in a sandbox not even root.
        if std::os::unix::fs::chown(dir.path(), Some(ANOTHER), Some(ANOTHER)).is_err() {
            return;
        }
        let owner = |path: &Path| std::fs::metadata(path).unwrap().uid();
        let (path, linked, roots) =
            (dir.path().join("lock"), dir.path().join("linked"), dir.path().join("root's"));
        drop(lock(&path).unwrap());
        std::fs::write(&roots, b"root's").unwrap();
        std::fs::hard_link(&roots, &linked).unwrap();
        drop(lock(&linked).unwrap());
        assert_eq!((owner(&path), owner(&roots)), (ANOTHER, 0));
    }

    #[test]
    fn a_replacement_that_fails_leaves_the_old_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        create(&path, b"old").unwrap();
        // The new content cannot be written where a directory stands in its way.
        std::fs::create_dir(path.with_added_extension("new")).unwrap();
        assert!(replace(&path, b"new").is_err());
        assert_eq!(read(&path).unwrap(), b"old");
    }

    #[test]
    fn a_replacement_is_as_private_as_the_file_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        create(&path, b"old").unwrap();
        replace(&path, b"new").unwrap();
        assert_eq!(read(&path).unwrap(), b"new");
    }
}
