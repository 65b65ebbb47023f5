//! Parsers that nobody outside calls, shown to the fuzz targets. No part of the client's interface.

use getrandom::SysRng;
use knockgate_core::file::FileError;
use knockgate_core::key::SecretKey;
use rand_core::UnwrapErr;

use crate::locked::{LockFault, Locked};
use crate::own_key;

/// A locked profile's file.
pub struct LockedFile(Locked);

/// The passphrase does not open it, or costs more than knockgate ever asks for.
#[derive(Debug, PartialEq, Eq)]
pub struct Shut;

impl LockedFile {
    pub fn decode(file: &[u8]) -> Result<Self, FileError> {
        Locked::decode(file).map(Self)
    }

    /// What is locked. Takes as much memory and time as the file says.
    pub fn open(&self, passphrase: &[u8]) -> Result<Vec<u8>, Shut> {
        let opened = self.0.seal(passphrase).and_then(|seal| self.0.open(&seal));
        opened.map(|plain| plain.to_vec()).map_err(|_: LockFault| Shut)
    }

    /// The file that locks `plain` under the same passphrase at the same cost.
    pub fn lock(&self, passphrase: &[u8], plain: &[u8]) -> Result<Vec<u8>, Shut> {
        let seal = self.0.seal(passphrase).map_err(|_: LockFault| Shut)?;
        Ok(seal.lock(plain, &mut UnwrapErr(SysRng)))
    }
}

/// The file of a key that a client has made for itself.
pub fn own_key(file: &[u8]) -> Result<SecretKey, FileError> {
    own_key::decode(file)
}
