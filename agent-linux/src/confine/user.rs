//! Whose process it is.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, anyhow, bail};
use rustix::fs::{Access, Mode, access, chmod, chown};
use rustix::io::Errno;
use rustix::process::{Gid, Uid, getegid, geteuid, getgid, getuid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

const USERS: &str = "/etc/passwd";
/// Of three bits in a mode.
const READ: u32 = 0o4;
/// Likewise, of a folder.
const SEARCH: u32 = 0o1;

/// A user of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub name: String,
    uid: u32,
    gid: u32,
}

impl User {
    /// Looks a user up among those of the host itself: at boot no directory service answers yet.
    ///
    /// # Errors
    /// There is no such user, or it is root.
    pub fn named(name: &str) -> anyhow::Result<Self> {
        let users = std::fs::read_to_string(USERS).with_context(|| format!("{USERS} cannot be read"))?;
        let found = users.lines().find_map(|line| read(line, name));
        let user = found.ok_or_else(|| {
            anyhow!("[process] user: {USERS} has no user \"{name}\"; `useradd --system {name}` makes one")
        })?;
        if user.uid == 0 {
            bail!("[process] user: \"{name}\" is root; name one without rights, or leave it out");
        }
        Ok(user)
    }

    /// Whether a process here can be that user: in a user namespace not everybody is there.
    pub fn can_be_had_here(&self) -> bool {
        let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        is_mapped(&map, self.uid)
    }

    /// Makes a folder that user's, with what is made in it from now on.
    ///
    /// # Errors
    /// This process may not.
    pub fn give(&self, folder: &Path) -> anyhow::Result<()> {
        chown(folder, Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid)))
            .map_err(|error| self.cannot("be given to", folder, error))
    }

    /// Lets that user read a file, and change nothing of it.
    ///
    /// # Errors
    /// This process may not.
    pub fn let_read(&self, file: &Path) -> anyhow::Result<()> {
        chown(file, None, Some(Gid::from_raw(self.gid)))
            .and_then(|()| chmod(file, Mode::RUSR | Mode::WUSR | Mode::RGRP))
            .map_err(|error| self.cannot("be made readable for", file, error))
    }

    /// Whether that user can read a file, by its permissions and those of the folders that lead there.
    ///
    /// # Errors
    /// This process cannot look there.
    pub fn can_read(&self, file: &Path) -> io::Result<bool> {
        let folders = file.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
        for folder in folders {
            if !self.has(SEARCH, &std::fs::metadata(folder)?) {
                return Ok(false);
            }
        }
        Ok(self.has(READ, &std::fs::metadata(file)?))
    }

    /// Whether a file is that user's.
    ///
    /// # Errors
    /// This process cannot look there.
    pub fn owns(&self, file: &Path) -> io::Result<bool> {
        Ok(std::fs::metadata(file)?.uid() == self.uid)
    }

    /// As `path_resolution(7)` has it, for a user in no other group than its own.
    fn has(&self, right: u32, of: &Metadata) -> bool {
        let shift = if of.uid() == self.uid {
            6
        } else if of.gid() == self.gid {
            3
        } else {
            0
        };
        of.mode() >> shift & right == right
    }

    fn cannot(&self, what: &str, path: &Path, error: Errno) -> anyhow::Error {
        let path = path.display();
        anyhow!(
            "{path}: cannot {what} user \"{}\": {error}; run as root, where the system knows that user",
            self.name
        )
    }

    /// Only while there is one thread: the others would stay who they are.
    pub(super) fn become_it(&self) -> anyhow::Result<()> {
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        // Whoever has started it as that user has chosen the groups, too.
        if geteuid() == uid && getuid() == uid && !getgid().is_root() && !getegid().is_root() {
            return Ok(());
        }
        set_thread_groups(&[])
            .and_then(|()| set_thread_res_gid(gid, gid, gid))
            .and_then(|()| set_thread_res_uid(uid, uid, uid))
            .with_context(|| format!("cannot become user \"{}\"; start as root, or as that user", self.name))
    }
}

/// `first here, first outside, how many` in each line, `user_namespaces(7)`.
fn is_mapped(map: &str, uid: u32) -> bool {
    map.lines().any(|line| {
        let mut numbers = line.split_whitespace().map_while(|number| number.parse::<u32>().ok());
        let (Some(first), Some(count)) = (numbers.next(), numbers.nth(1)) else { return false };
        uid.checked_sub(first).is_some_and(|at| at < count)
    })
}

/// `name:password:uid:gid:...`, `passwd(5)`.
fn read(line: &str, wanted: &str) -> Option<User> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| *name == wanted)?;
    let (uid, gid) = (fields.nth(1)?, fields.next()?);
    Some(User { name: name.to_owned(), uid: uid.parse().ok()?, gid: gid.parse().ok()? })
}

pub(super) fn check_that_it_can_write(folder: &Path) -> anyhow::Result<()> {
    let (folder_name, uid) = (folder.display(), geteuid().as_raw());
    access(folder, Access::WRITE_OK | Access::READ_OK | Access::EXEC_OK).map_err(|error| {
        anyhow!(
            "{folder_name}: user {uid}, who this process is now, cannot write there ({error}); \
             `chown -R {uid} {folder_name}` if it is the agent's own, else configure one that is"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_read_from_its_line_and_from_no_other() {
        let line = "knockgate:x:990:980:Knockgate:/nonexistent:/usr/sbin/nologin";
        let user = User { name: "knockgate".to_owned(), uid: 990, gid: 980 };
        assert_eq!(read(line, "knockgate"), Some(user));
        assert_eq!(read(line, "knock"), None);
        assert_eq!(read("knockgate:x:many:980", "knockgate"), None);
        assert_eq!(read("knockgate:x", "knockgate"), None);
    }

    #[test]
    fn who_may_read_a_file_is_said_by_its_mode_and_by_those_of_its_folders() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, file) = (dir.path().join("folder"), dir.path().join("folder/agent.toml"));
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(&file, "").unwrap();
        let made = std::fs::metadata(&file).unwrap();
        let mode = |path: &Path, mode| chmod(path, Mode::from_raw_mode(mode)).unwrap();
        mode(dir.path(), 0o755);
        let user = |uid, gid| User { name: "u".to_owned(), uid, gid };
        let (owner, other) = (user(made.uid(), 4711), user(4711, 4711));
        let member = user(4711, made.gid());
        #[rustfmt::skip]
        let cases = [
            (1, 0o755, 0o600, [true, false, false]), (2, 0o755, 0o640, [true, true, false]), (3, 0o755, 0o644, [true, true, true]),
            (4, 0o755, 0o044, [false, true, true]), (5, 0o755, 0o604, [true, false, true]), (6, 0o750, 0o644, [true, true, false]),
            (7, 0o700, 0o644, [true, false, false]), (8, 0o755, 0o620, [true, false, false]),
        ];
        for (case, of_folder, of_file, expected) in cases {
            mode(&folder, of_folder);
            mode(&file, of_file);
            let can = [&owner, &member, &other].map(|user| user.can_read(&file).unwrap());
            assert_eq!(can, expected, "case {case}");
        }
        assert!(owner.owns(&file).unwrap() && !other.owns(&file).unwrap());
    }

    #[test]
    fn in_a_user_namespace_not_everybody_is_there() {
        for (map, uid, there) in [
            ("         0          0 4294967295\n", 990, true),
            ("0 1000 1\n", 0, true),
            ("0 1000 1\n", 1, false),
            ("0 1000 1\n1 100000 65536\n", 990, true),
            ("", 0, false),
        ] {
            assert_eq!(is_mapped(map, uid), there, "{map:?} {uid}");
        }
    }

    #[test]
    fn root_is_no_user_without_rights() {
        let refused = User::named("root").unwrap_err().to_string();
        assert!(refused.contains("without rights"), "{refused}");
        let refused = User::named("nobody-is-called-so").unwrap_err().to_string();
        assert!(refused.contains("useradd"), "{refused}");
    }
}
