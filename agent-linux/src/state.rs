//! What must outlive the agent: who it is, who may knock, and what has been used up.
//!
//! | file in the state directory | what | written by |
//! | --- | --- | --- |
//! | `gate.key` | [`identity`]: keys and the seed of the decoys | `init`, once; `door rotate`, under `gate.key.lock`, as a whole |
//! | `roster` | [`roster_file`]: clients and books | admin commands, under `roster.lock`, each time as a whole |
//! | `site-serial` | [`site_serial`]: the number of a gateway's last image | `gateway image`, under `site-serial.lock` |
//! | `state.redb` | [`store`]: counters, positions in books, numbers of policies | the running agent |
//! | `last-guard` | [`last_guard`]: what was guarded last | the running agent, each time as a whole |
//!
//! The directory is 0700 and the files 0600, or they are refused: they hold keys.

pub mod door_keys;
pub mod enrolment;
mod error;
mod file_stamp;
pub mod identity;
pub mod last_guard;
pub mod live_roster;
pub mod policy_state;
pub mod private_file;
pub mod roster_file;
pub mod roster_watch;
pub mod site_serial;
pub mod store;

use std::fs::{DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

pub use door_keys::{DoorKeys, Handover, IdentityWatch};
pub use enrolment::{Changes, Enrolment};
pub use error::StateError;
pub(crate) use file_stamp::FileStamp;
pub use identity::GateIdentity;
pub use live_roster::{LiveRoster, RosterView};
pub use policy_state::PolicyState;
pub use roster_file::RosterFile;
pub use roster_watch::{RosterChange, RosterWatch};
pub use site_serial::SiteSerial;
pub use store::{LastStop, Loaded, Store};

/// The operating system's generator. It panics if that fails, which it does only before the machine has collected any
/// randomness, and then no key may be made.
pub fn system_rng() -> rand_core::UnwrapErr<getrandom::SysRng> {
    rand_core::UnwrapErr(getrandom::SysRng)
}

/// The state directory. That it exists means that nobody else could read it when it was opened.
#[derive(Clone, Debug)]
pub struct StateDir {
    path: PathBuf,
}

impl StateDir {
    /// Opens an existing directory.
    ///
    /// # Errors
    /// If there is none, or if somebody else could read or change it.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let metadata = match std::fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(StateError::refused(
                    path,
                    "there is no such state directory",
                    "run `knockgated init`, or correct gate.state-dir",
                ));
            }
            Err(error) => return Err(StateError::io(path, "looking at it", error)),
        };
        if !metadata.is_dir() {
            return Err(StateError::refused(path, "is no directory", "correct gate.state-dir"));
        }
        let (mode, owner, user) =
            (metadata.mode() & 0o7777, metadata.uid(), rustix::process::geteuid().as_raw());
        // Root keeps the clients of an agent that runs as another user.
        if owner != user && owner != 0 && user != 0 {
            let what = format!("belongs to user {owner}, but this is user {user}");
            return Err(StateError::refused(path, what, "run as that user, or `chown` it"));
        }
        if mode & 0o077 != 0 {
            let what = format!("others can look into it (mode {mode:04o})");
            return Err(StateError::refused(path, what, format!("`chmod 700 {}`", path.display())));
        }
        Ok(Self { path: path.to_owned() })
    }

    /// Makes the directory and its parents; an existing one is opened.
    ///
    /// # Errors
    /// If it cannot be made or is not private.
    pub fn create(path: &Path) -> Result<Self, StateError> {
        if !path.exists() {
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)
                    .map_err(|error| StateError::io(parent, "making it", error))?;
            }
            DirBuilder::new()
                .mode(0o700)
                .create(path)
                .map_err(|error| StateError::io(path, "making it", error))?;
            std::fs::set_permissions(path, Permissions::from_mode(0o700))
                .map_err(|error| StateError::io(path, "setting its permissions", error))?;
        }
        Self::open(path)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn identity_file(&self) -> PathBuf {
        self.path.join("gate.key")
    }

    pub fn identity_lock(&self) -> PathBuf {
        self.path.join("gate.key.lock")
    }

    pub fn roster_file(&self) -> PathBuf {
        self.path.join("roster")
    }

    pub fn roster_lock(&self) -> PathBuf {
        self.path.join("roster.lock")
    }

    pub fn serial_file(&self) -> PathBuf {
        self.path.join("site-serial")
    }

    pub fn serial_lock(&self) -> PathBuf {
        self.path.join("site-serial.lock")
    }

    pub fn store_file(&self) -> PathBuf {
        self.path.join("state.redb")
    }
}
