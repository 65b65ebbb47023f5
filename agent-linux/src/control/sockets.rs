//! Where the sockets are, and who can open them.
//!
//! Two of them, because to look needs less than to change. A socket has its mode from the moment it is there. The directory is
//! locked as long as its agent lives, so two agents never take each other's place, and what a killed one has left is taken away.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Gid, Mode, flock};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::config::Control;

/// Callers that wait to be accepted.
const BACKLOG: i32 = 64;
/// What nobody but the owner may do to the directory: put another socket in the place of ours.
const OTHERS_WRITE: u32 = 0o022;

const ROOT: u32 = 0;

/// One of the two sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// For looking only.
    Status,
    /// For looking and changing.
    Control,
}

impl Door {
    /// Where it is.
    pub fn path(self, directory: &Path) -> PathBuf {
        directory.join(match self {
            Self::Status => "status",
            Self::Control => "control",
        })
    }

    fn mode(self) -> Mode {
        match self {
            Self::Status => Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::WGRP,
            Self::Control => Mode::RUSR | Mode::WUSR,
        }
    }
}

/// Both sockets, and the directory, locked. They are taken away with this.
pub struct Sockets {
    pub(super) status: UnixListener,
    pub(super) control: UnixListener,
    pub(super) place: Place,
}

/// The directory.
pub(super) struct Place {
    directory: PathBuf,
    /// Holds the lock.
    _locked: File,
}

/// Why there can be no sockets.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    #[error("{}: {what}: {error}; correct permissions there, or choose another place in the configuration", path.display())]
    Io { path: PathBuf, what: &'static str, error: io::Error },
    #[error("{}: others can put files there (mode {mode:04o}); `chmod go-w {}`", path.display(), path.display())]
    Exposed { path: PathBuf, mode: u32 },
    #[error("{}: belongs to user {uid}, who can put files there; `chown root {}`", path.display(), path.display())]
    Foreign { path: PathBuf, uid: u32 },
    #[error("{}: another agent has its sockets there; stop it, or choose another place with `directory` in [control]", .0.display())]
    Taken(PathBuf),
    #[error(
        "control.group is {0:?}, and /etc/group has no such group; make it with `groupadd {0}`, or write its number"
    )]
    NoGroup(String),
}

impl Sockets {
    /// Makes them. Nobody is accepted yet.
    ///
    /// # Errors
    /// If that cannot be done, or another agent has its own there.
    pub fn open(control: &Control) -> Result<Self, SocketError> {
        let group = control.group.as_deref().map(group).transpose()?;
        let place = Place::take(&control.directory)?;
        let status = door(&control.directory, Door::Status, group)?;
        let control = door(&control.directory, Door::Control, None)?;
        Ok(Self { status, control, place })
    }
}

/// Makes another socket for those who may look. Whatever has its name is taken away.
///
/// # Errors
/// If there is no such group, or it cannot be made; then also why.
pub(crate) fn listen_for_reading(path: &Path, control: &Control) -> Result<UnixListener, SocketError> {
    let group = control.group.as_deref().map(group).transpose()?;
    listen(path, Door::Status.mode(), group)
}

fn door(directory: &Path, door: Door, group: Option<Gid>) -> Result<UnixListener, SocketError> {
    listen(&door.path(directory), door.mode(), group)
}

impl Place {
    fn take(directory: &Path) -> Result<Self, SocketError> {
        let failed = |what| move |error| SocketError::Io { path: directory.to_owned(), what, error };
        // Others may come as far as the sockets, whose modes say what they may there.
        let mut made = fs::DirBuilder::new();
        made.recursive(true).mode(0o755).create(directory).map_err(failed("cannot be made"))?;
        let locked = File::open(directory).map_err(failed("cannot be opened"))?;
        let there = locked.metadata().map_err(failed("cannot be looked at"))?;
        let (uid, mode) = (there.uid(), there.mode() & 0o7777);
        if uid != ROOT && uid != rustix::process::geteuid().as_raw() {
            return Err(SocketError::Foreign { path: directory.to_owned(), uid });
        }
        if mode & OTHERS_WRITE != 0 {
            return Err(SocketError::Exposed { path: directory.to_owned(), mode });
        }
        flock(&locked, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
            rustix::io::Errno::WOULDBLOCK => SocketError::Taken(directory.to_owned()),
            other => failed("cannot be locked")(other.into()),
        })?;
        Ok(Self { directory: directory.to_owned(), _locked: locked })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for door in [Door::Status, Door::Control] {
            // Whoever meets one without an agent is told so by the kernel.
            let _ = fs::remove_file(door.path(&self.directory));
        }
    }
}

fn listen(path: &Path, mode: Mode, group: Option<Gid>) -> Result<UnixListener, SocketError> {
    let failed = |what| {
        let path = path.to_owned();
        move |error: rustix::io::Errno| SocketError::Io { path, what, error: error.into() }
    };
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(SocketError::Io { path: path.to_owned(), what: "cannot be replaced", error });
        }
        Ok(()) | Err(_) => {}
    }
    let flags = SocketFlags::CLOEXEC;
    let socket: OwnedFd = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
        .map_err(failed("cannot be made"))?;
    // Before it has a name: nobody can open it in between. Linux gives the name what the socket has, less the umask.
    rustix::fs::fchmod(&socket, mode).map_err(failed("cannot be given its mode"))?;
    let address = SocketAddrUnix::new(path).map_err(failed("is no name for a socket"))?;
    rustix::net::bind(&socket, &address).map_err(failed("cannot be made"))?;
    // What an unusual umask has taken away.
    rustix::fs::chmod(path, mode).map_err(failed("cannot be given its mode"))?;
    if let Some(group) = group {
        rustix::fs::chown(path, None, Some(group)).map_err(failed("cannot be given to its group"))?;
    }
    rustix::net::listen(&socket, BACKLOG).map_err(failed("cannot be listened at"))?;
    Ok(UnixListener::from(socket))
}

/// A group by its name in `/etc/group`, or by its number.
fn group(name: &str) -> Result<Gid, SocketError> {
    const GROUPS: &str = "/etc/group";
    if let Ok(number) = name.parse() {
        return Ok(Gid::from_raw(number));
    }
    let groups = fs::read_to_string(GROUPS).map_err(|error| SocketError::Io {
        path: GROUPS.into(),
        what: "cannot be read",
        error,
    })?;
    let number = groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok()).flatten()
    });
    number.map(Gid::from_raw).ok_or_else(|| SocketError::NoGroup(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn control(directory: &Path) -> Control {
        Control { directory: directory.to_owned(), group: None }
    }

    #[test]
    fn reading_needs_less_than_changing_and_both_sockets_go_with_their_agent() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("run");
        let mode = |door: Door| fs::metadata(door.path(&directory)).map(|there| there.mode() & 0o7777);
        let sockets = Sockets::open(&control(&directory)).unwrap();
        assert_eq!((mode(Door::Status).unwrap(), mode(Door::Control).unwrap()), (0o660, 0o600));
        drop(sockets);
        assert!(mode(Door::Status).is_err() && mode(Door::Control).is_err());
    }

    #[test]
    fn a_second_agent_takes_nothing_away_and_the_sockets_of_a_dead_one_are_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let here = control(folder.path());
        let first = Sockets::open(&here).unwrap();
        assert!(matches!(Sockets::open(&here), Err(SocketError::Taken(_))));
        assert!(Door::Control.path(folder.path()).exists());
        // As `kill -9` leaves it.
        let Sockets { status, control, place } = first;
        drop((status, control));
        let paths = [Door::Status, Door::Control].map(|door| door.path(folder.path()));
        drop(place);
        paths.iter().for_each(|path| drop(UnixListener::bind(path).unwrap()));
        Sockets::open(&here).unwrap();
    }

    #[test]
    fn a_directory_in_which_others_can_put_a_socket_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let refused = Sockets::open(&control(folder.path())).map(drop).unwrap_err().to_string();
        assert!(refused.contains("mode 0777") && refused.contains("chmod go-w"), "{refused}");
    }

    #[test]
    fn a_directory_of_another_user_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (own, other) = (rustix::process::geteuid(), 4711);
        if !own.is_root() {
            return;
        }
        std::os::unix::fs::chown(folder.path(), Some(other), None).unwrap();
        let refused = Sockets::open(&control(folder.path())).map(drop).unwrap_err().to_string();
        assert!(refused.contains("user 4711") && refused.contains("chown root"), "{refused}");
    }

    #[test]
    fn a_group_is_known_by_name_and_by_number() {
        assert_eq!(group("root").unwrap(), Gid::from_raw(0));
        assert_eq!(group("4711").unwrap(), Gid::from_raw(4711));
        assert!(group("no-such-group").unwrap_err().to_string().contains("groupadd no-such-group"));
    }
}
