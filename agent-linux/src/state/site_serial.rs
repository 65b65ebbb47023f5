//! The number of the last site image that was made of this gate. A gateway takes no image over the air that is older than
//! its own, so a number is never given twice: it is durable before the image is written.

use std::fs::File;

use knockgate_core::file::{self, Format};

use super::{StateDir, StateError, private_file};

const FORMAT: Format = Format { mark: *b"KGsn", version: 1 };
const KIND: &str = "number of the last site image";
/// A number of five bytes at most, and the container.
const MAX_FILE: usize = file::OVERHEAD + 5;
const RESTORE: &str = "remove it and say with --serial a number above every image that was made";

/// The number, while one command takes the next.
pub struct SiteSerial {
    dir: StateDir,
    last: u32,
    /// Held until this is dropped.
    _lock: File,
}

/// Why there is no number.
#[derive(Debug, thiserror::Error)]
pub enum SerialError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error(
        "--serial {asked} is not above the last image, which was {last}; leave it out, or say a greater number"
    )]
    NotAbove { asked: u32, last: u32 },
    #[error("no number is left for another image; make a new gate with `knockgated init` in a new state-dir")]
    NoneLeft,
}

impl SiteSerial {
    /// Waits for other commands, then reads the number; 0 if no image was made yet.
    ///
    /// # Errors
    /// If it cannot be locked or read.
    pub fn begin(dir: &StateDir) -> Result<Self, StateError> {
        let lock = private_file::lock(&dir.serial_lock())?;
        Ok(Self { last: last(dir)?, dir: dir.clone(), _lock: lock })
    }

    /// The next number, or the one that is asked for. From now on it counts as used, whatever becomes of the image.
    ///
    /// # Errors
    /// If the one that is asked for is too small, or it cannot be made durable.
    pub fn take(mut self, asked: Option<u32>) -> Result<u32, SerialError> {
        let next = match asked {
            Some(asked) if asked <= self.last => {
                return Err(SerialError::NotAbove { asked, last: self.last });
            }
            Some(asked) => asked,
            None => self.last.checked_add(1).ok_or(SerialError::NoneLeft)?,
        };
        let (path, mut buffer) = (self.dir.serial_file(), [0; MAX_FILE]);
        let content = file::encode(FORMAT, &next, &mut buffer)
            .map_err(|error| StateError::unreadable(&path, KIND, error, "report this as a defect"))?;
        private_file::replace(&path, content)?;
        self.last = next;
        Ok(next)
    }
}

/// The number of the last image; 0 if none was made yet.
///
/// # Errors
/// If it cannot be read.
pub fn last(dir: &StateDir) -> Result<u32, StateError> {
    let path = dir.serial_file();
    if private_file::is_missing(&path) {
        return Ok(0);
    }
    file::decode(FORMAT, &private_file::read_own(&path)?)
        .map_err(|error| StateError::unreadable(&path, KIND, error, RESTORE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir() -> (tempfile::TempDir, StateDir) {
        let temp = tempfile::tempdir().unwrap();
        let dir = StateDir::create(&temp.path().join("state")).unwrap();
        (temp, dir)
    }

    #[test]
    fn numbers_grow_by_themselves_and_jump_only_upwards() {
        let (_temp, dir) = dir();
        let take = |asked| SiteSerial::begin(&dir).unwrap().take(asked);
        assert_eq!((last(&dir).unwrap(), take(None).unwrap(), take(None).unwrap()), (0, 1, 2));
        assert_eq!((take(Some(10)).unwrap(), take(None).unwrap()), (10, 11));
        for asked in [0, 10, 11] {
            assert!(take(Some(asked)).unwrap_err().to_string().contains("which was 11"));
        }
        assert_eq!(take(Some(u32::MAX)).unwrap(), u32::MAX);
        assert!(matches!(take(None), Err(SerialError::NoneLeft)));
    }

    #[test]
    fn a_number_that_cannot_be_made_durable_is_not_given() {
        let (_temp, dir) = dir();
        SiteSerial::begin(&dir).unwrap().take(None).unwrap();
        // The new content cannot be written where a directory stands in its way.
        std::fs::create_dir(dir.serial_file().with_added_extension("new")).unwrap();
        assert!(SiteSerial::begin(&dir).unwrap().take(None).is_err());
        assert_eq!(last(&dir).unwrap(), 1);
    }

    #[test]
    fn a_damaged_number_is_no_fresh_start() {
        let (_temp, dir) = dir();
        SiteSerial::begin(&dir).unwrap().take(None).unwrap();
        let content = private_file::read(&dir.serial_file()).unwrap();
        for at in 0..content.len() {
            let mut damaged = content.clone();
            damaged[at] ^= 0x10;
            private_file::replace(&dir.serial_file(), &damaged).unwrap();
            assert!(last(&dir).is_err() && SiteSerial::begin(&dir).is_err(), "byte {at}");
        }
    }
}
