//! The client's directory: profiles, and where state and log of each are kept.
//!
//! A profile holds secret keys. It is read only if nobody but its owner has access to it, and it may be
//! [`locked`](crate::locked). It changes when the gate tells a new door key; what a knock changes is in the
//! [`ledger`](crate::ledger).

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use knockgate_core::Name;
use thiserror::Error;

use crate::kept::{Content, Kept, UnlockFault, Unreadable, encode};
use crate::passphrase::Source;
use crate::private_file::{self, FileFault};
use crate::settings::file::{self as settings_file, SettingsFault};
use crate::settings::{Choices, Settings};
use crate::voice::Voice;

const PROFILE_ENDING: &str = "kgp";
const KEY_ENDING: &str = "key";

/// Why there is no usable profile. Every message names the file and the remedy.
#[derive(Debug, Error)]
pub(crate) enum StoreFault {
    #[error("no directory for profiles: this user has no home directory; set KNOCKGATE_HOME")]
    NoHome,
    #[error(transparent)]
    File(#[from] FileFault),
    #[error("{}: {}", .path.display(), .what)]
    Unreadable { path: PathBuf, what: Unreadable },
    #[error(
        "profile \"{name}\" is for a key that its client made itself, and there is no such key here; \
         take it where `knockgate keygen` was run, or choose the key with --key"
    )]
    NoKey { name: Name },
    #[error("{}: locked: {}", .path.display(), .why)]
    Locked { path: PathBuf, why: UnlockFault },
    #[error(
        "no profile \"{name}\" in {}{}; take it with `knockgate enroll FILE --name {name}`",
        .dir.display(), there_are(.others)
    )]
    Missing { name: Name, dir: PathBuf, others: Vec<String> },
    #[error(
        "profile \"{name}\" exists already (client {client} at {address}); \
         replace it with --force, or choose another name with --name"
    )]
    Exists { name: Name, client: Name, address: String },
    #[error(
        "profile \"{name}\" exists already and cannot be read; replace it with --force, or choose another name with --name"
    )]
    ExistsUnreadable { name: Name },
}

/// The profiles that there are, in brackets.
pub(crate) fn there_are(others: &[String]) -> String {
    if others.is_empty() { String::new() } else { format!(" (there are: {})", others.join(", ")) }
}

/// The client's directory.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    dir: PathBuf,
}

impl Store {
    /// `$KNOCKGATE_HOME`, or `knockgate` in the user's configuration directory.
    pub(crate) fn find() -> Result<Self, StoreFault> {
        let named = env::var_os("KNOCKGATE_HOME").filter(|dir| !dir.is_empty()).map(PathBuf::from);
        let dir =
            named.or_else(|| config_dir().map(|dir| dir.join("knockgate"))).ok_or(StoreFault::NoHome)?;
        Ok(Self { dir })
    }

    #[cfg(test)]
    pub(crate) fn at(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// Where the settings file is, or would be.
    pub(crate) fn config_path(&self) -> PathBuf {
        self.dir.join("config")
    }

    /// What the settings file says.
    pub(crate) fn settings(&self) -> Result<Settings, SettingsFault> {
        settings_file::read(&self.config_path())
    }

    /// The profile of that name: stored here, or where the settings say. Asks for its passphrase if it is locked.
    pub(crate) fn profile(&self, name: &Name, choices: &Choices, voice: &Voice) -> Result<Kept, StoreFault> {
        let source = self.passphrase(choices);
        let of_what = format!("profile \"{name}\"");
        let kept = Kept::read(&self.path_of(name, choices)?, &of_what, &source, voice)?;
        match kept.profile.secret {
            Some(_) => Ok(kept),
            None => Err(StoreFault::NoKey { name: name.clone() }),
        }
    }

    /// Where the profile of that name is: here, or where the settings say.
    pub(crate) fn path_of(&self, name: &Name, choices: &Choices) -> Result<PathBuf, StoreFault> {
        if let Some(file) = &choices.file {
            return Ok(settings_file::resolve(file, &self.dir));
        }
        let path = self.profile_path(name);
        if !path.exists() {
            let others = self.names();
            return Err(StoreFault::Missing { name: name.clone(), dir: self.profile_dir(), others });
        }
        private_file::private_dir(&self.profile_dir())?;
        Ok(path)
    }

    /// Where the passphrase of a profile comes from.
    pub(crate) fn passphrase(&self, choices: &Choices) -> Source {
        let file = choices.passphrase_file.as_ref().map(|file| settings_file::resolve(file, &self.dir));
        Source::chosen(file)
    }

    /// Stores a profile. The same one again is welcome; another one under the same name only `replace`s it. What replaces
    /// a locked profile is locked with the same passphrase.
    pub(crate) fn add(
        &self,
        name: &Name,
        mut new: Content,
        (replace, source): (Replace, &Source),
        voice: &Voice,
    ) -> Result<Kept, StoreFault> {
        private_file::own_dir(&self.dir)?;
        private_file::private_dir(&self.profile_dir())?;
        let path = self.profile_path(name);
        let there = match path.exists() {
            true => there(&path, name, (replace, source), voice)?,
            false => None,
        };
        if new.profile.secret.is_none() {
            // The gate's administrator made a new profile for the key of the old one.
            new.profile.secret = there.as_ref().and_then(|there| there.profile.secret.clone());
        }
        if new.profile.secret.is_none() {
            return Err(StoreFault::NoKey { name: name.clone() });
        }
        if let (Some(there), Replace::Refuse) = (&there, replace)
            && *encode(&there.profile) != *encode(&new.profile)
        {
            let (client, address) = (there.profile.client.clone(), there.profile.address.to_string());
            return Err(StoreFault::Exists { name: name.clone(), client, address });
        }
        let seal = new.seal.or_else(|| there.and_then(|there| there.seal));
        let kept = Kept { profile: new.profile, seal, path };
        kept.write()?;
        Ok(kept)
    }

    /// Where the ledger of a profile is. Its directory exists and is private.
    pub(crate) fn ledger_path(&self, name: &Name) -> Result<PathBuf, StoreFault> {
        let dir = self.dir.join("state");
        private_file::own_dir(&self.dir)?;
        private_file::private_dir(&dir)?;
        Ok(dir.join(format!("{name}.json")))
    }

    /// Where the journal is. Its directory exists.
    pub(crate) fn journal_dir(&self) -> Result<&Path, StoreFault> {
        private_file::own_dir(&self.dir)?;
        Ok(&self.dir)
    }

    fn profile_dir(&self) -> PathBuf {
        self.dir.join("profiles")
    }

    /// Where the profile of that name is stored, or would be.
    pub(crate) fn profile_path(&self, name: &Name) -> PathBuf {
        self.profile_dir().join(format!("{name}.{PROFILE_ENDING}"))
    }

    /// Where the key of that name is, or would be. Its directory exists and is private.
    pub(crate) fn key_path(&self, name: &Name) -> Result<PathBuf, StoreFault> {
        let dir = self.key_dir();
        private_file::own_dir(&self.dir)?;
        private_file::private_dir(&dir)?;
        Ok(dir.join(format!("{name}.{KEY_ENDING}")))
    }

    /// The keys that wait for their profile: names and files, sorted.
    pub(crate) fn keys(&self) -> Vec<(String, PathBuf)> {
        let dir = self.key_dir();
        let names = names_in(&dir, KEY_ENDING).into_iter();
        names.map(|name| (name.clone(), dir.join(format!("{name}.{KEY_ENDING}")))).collect()
    }

    fn key_dir(&self) -> PathBuf {
        self.dir.join("keys")
    }

    /// The names of the stored profiles, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        names_in(&self.profile_dir(), PROFILE_ENDING)
    }
}

fn names_in(dir: &Path, ending: &str) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let paths = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|found| found == ending));
    let mut names: Vec<_> = paths.filter_map(|path| path.file_stem()?.to_str().map(str::to_owned)).collect();
    names.sort();
    names
}

/// Whether a stored profile may be replaced by a different one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replace {
    Allow,
    Refuse,
}

impl Replace {
    pub(crate) fn of_force(flag: bool) -> Self {
        if flag { Self::Allow } else { Self::Refuse }
    }
}

/// The profile that would be replaced. One that cannot be read counts for nothing if it may be replaced; one that stays
/// locked is not replaced by an open one.
fn there(
    path: &Path,
    name: &Name,
    (replace, source): (Replace, &Source),
    voice: &Voice,
) -> Result<Option<Kept>, StoreFault> {
    match (Kept::read(path, &format!("profile \"{name}\" that is there"), source, voice), replace) {
        (Ok(there), _) => Ok(Some(there)),
        (Err(fault @ StoreFault::Locked { .. }), _) => Err(fault),
        (Err(_), Replace::Refuse) => Err(StoreFault::ExistsUnreadable { name: name.clone() }),
        (Err(_), Replace::Allow) => Ok(None),
    }
}

#[cfg(windows)]
fn config_dir() -> Option<PathBuf> {
    env::var_os("APPDATA").map(PathBuf::from)
}

#[cfg(target_os = "macos")]
fn config_dir() -> Option<PathBuf> {
    env::home_dir().map(|home| home.join("Library").join("Application Support"))
}

#[cfg(not(any(windows, target_os = "macos")))]
fn config_dir() -> Option<PathBuf> {
    // A relative path is to be ignored. Source: XDG Base Directory Specification 0.8.
    let named = env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute());
    named.or_else(|| env::home_dir().map(|home| home.join(".config")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voice::Loudness;

    #[test]
    fn a_missing_profile_names_those_that_are_there() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::at(dir.path());
        fs::create_dir(dir.path().join("profiles")).unwrap();
        for file in ["office.kgp", "home.kgp", "notes.txt"] {
            fs::write(dir.path().join("profiles").join(file), "").unwrap();
        }
        let fault = store
            .profile(&"hone".parse().unwrap(), &Choices::default(), &Voice::new(Loudness::Quiet))
            .err()
            .unwrap();
        assert!(fault.to_string().contains("(there are: home, office)"), "{fault}");
    }
}
