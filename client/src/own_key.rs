//! Keys that this machine made for itself and whose public half went to a gate's administrator. The secret half never
//! leaves the machine: it waits here until the profile comes, then it is in the profile and nowhere else.
//!
//! ```text
//! KGck, version 1, in the container of core/src/file.rs. Content: secret key 32
//! ```

use std::path::{Path, PathBuf};

use getrandom::SysRng;
use knockgate_core::file::{self, FileError, Format, OVERHEAD};
use knockgate_core::key::SecretKey;
use knockgate_core::limits::KEY_LEN;
use rand_core::UnwrapErr;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::private_file::{self, FileFault};

const FORMAT: Format = Format { mark: *b"KGck", version: 1 };
const FILE_LEN: usize = KEY_LEN + OVERHEAD;

/// Why there is no usable key. Every message names the file and the remedy.
#[derive(Debug, Error)]
pub(crate) enum KeyFault {
    #[error(transparent)]
    File(#[from] FileFault),
    #[error("{}: {what}; make a new key with `knockgate keygen`, and give its public key to the gate's administrator", .path.display())]
    Unreadable { path: PathBuf, what: &'static str },
}

/// Makes a key and stores it at `path`.
pub(crate) fn make(path: &Path) -> Result<SecretKey, KeyFault> {
    let key = SecretKey::generate(&mut UnwrapErr(SysRng));
    let mut buffer = Zeroizing::new([0; FILE_LEN]);
    let bytes = file::encode(FORMAT, &key, buffer.as_mut_slice()).expect("a key's file has this length");
    private_file::write(path, bytes)?;
    Ok(key)
}

/// The key at `path`.
pub(crate) fn read(path: &Path) -> Result<SecretKey, KeyFault> {
    let bytes = private_file::read(path, FILE_LEN + 1)?;
    let unreadable = |what| KeyFault::Unreadable { path: path.to_owned(), what };
    decode(&bytes).map_err(|error| match error {
        FileError::Foreign => unreadable("not a key that knockgate made"),
        FileError::Version(_) => unreadable("made by a newer knockgate"),
        FileError::Truncated | FileError::Damaged | FileError::TooLong | FileError::Nonsense => {
            unreadable("damaged or cut off")
        }
    })
}

pub(crate) fn decode(file: &[u8]) -> Result<SecretKey, FileError> {
    file::decode(FORMAT, file)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_key_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("home.key");
        let made = make(&path).unwrap();
        assert_eq!(read(&path).unwrap().public(), made.public());
        assert_eq!(fs::read(&path).unwrap().len(), FILE_LEN);
    }

    #[test]
    fn a_file_that_is_no_good_key_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("home.key");
        make(&path).unwrap();
        let good = fs::read(&path).unwrap();
        let mut newer = good.clone();
        newer[4] = 2;
        #[rustfmt::skip]
        let cases: [(u32, &[u8], &str); 5] = [
            (1, &good[..good.len() - 1], "damaged or cut off"), (2, &[&good[..], b"x"].concat(), "damaged or cut off"),
            (3, b"", "damaged or cut off"), (4, b"-----BEGIN", "not a key that knockgate made"), (5, &newer, "made by a newer knockgate"),
        ];
        for (case, bytes, what) in cases {
            private_file::write(&path, bytes).unwrap();
            let fault = read(&path).err().unwrap().to_string();
            let start = format!("{}: {what}; make a new key", path.display());
            assert!(fault.starts_with(&start), "case {case}: {fault}");
        }
    }
}
