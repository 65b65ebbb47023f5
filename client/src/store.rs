//! The client's directory: profiles, and where state and log of each are kept.
//!
//! A profile holds secret keys. It is read only if nobody but its owner has access to it, and never changed after its
//! import; what changes is the [`ledger`](crate::ledger).

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use knockgate_core::Name;
use knockgate_core::file::FileError;
use knockgate_core::profile::{PortRange, Profile};
use thiserror::Error;

use crate::private_file::{self, FileFault};
use crate::settings::file::{self as settings_file, SettingsFault};
use crate::settings::{Choices, Settings, is_host};

/// First bytes of a knock book's file: what people are most likely to mistake for a profile.
const BOOK_MARK: &[u8] = b"KGbk";
const PROFILE_ENDING: &str = "kgp";

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
        "no profile \"{name}\" in {}{}; import it with `knockgate import FILE --name {name}`",
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

/// What is wrong with the content of a profile file.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum Unreadable {
    #[error(
        "cut off: shorter than any profile; copy it again, or ask the gate's administrator for a new one"
    )]
    Truncated,
    #[error(
        "this is a knock book, not a profile; import the file that `knockgated client add` wrote with --out"
    )]
    Book,
    #[error("not a Knockgate profile; import the file that `knockgated client add` wrote with --out")]
    Foreign,
    #[error(
        "profile format {0} is not known to this version, which reads format 1; install a newer knockgate"
    )]
    Newer(u8),
    #[error(
        "damaged or cut off: its checksum does not fit; \
         copy it again as a binary file, or ask the gate's administrator for a new one"
    )]
    Damaged,
    #[error("its content makes no sense ({0}); ask the gate's administrator for a new profile")]
    Nonsense(&'static str),
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

    /// Reads a profile file wherever it lies, and checks that it can be used.
    pub(crate) fn read(path: &Path) -> Result<Profile, StoreFault> {
        // One byte more than the longest profile: a longer file fails its checksum.
        let bytes = private_file::read(path, Profile::MAX_FILE + 1)?;
        parse(&bytes).map_err(|what| StoreFault::Unreadable { path: path.to_owned(), what })
    }

    /// Where the settings file is, or would be.
    pub(crate) fn config_path(&self) -> PathBuf {
        self.dir.join("config")
    }

    /// What the settings file says.
    pub(crate) fn settings(&self) -> Result<Settings, SettingsFault> {
        settings_file::read(&self.config_path())
    }

    /// The profile of that name: stored here, or where the settings say.
    pub(crate) fn profile(&self, name: &Name, choices: &Choices) -> Result<Profile, StoreFault> {
        if let Some(file) = &choices.file {
            return Self::read(&settings_file::resolve(file, &self.dir));
        }
        let path = self.profile_path(name);
        if !path.exists() {
            let others = self.names();
            return Err(StoreFault::Missing { name: name.clone(), dir: self.profile_dir(), others });
        }
        private_file::private_dir(&self.profile_dir())?;
        Self::read(&path)
    }

    /// Stores a profile. The same one again is welcome; another one under the same name only `replace`s it.
    pub(crate) fn add(
        &self,
        name: &Name,
        profile: &Profile,
        replace: Replace,
    ) -> Result<PathBuf, StoreFault> {
        private_file::own_dir(&self.dir)?;
        private_file::private_dir(&self.profile_dir())?;
        let path = self.profile_path(name);
        let mut buffer = zeroize::Zeroizing::new([0; Profile::MAX_FILE]);
        let bytes = profile.encode(buffer.as_mut_slice()).expect("MAX_FILE is the longest profile");
        if path.exists() && replace == Replace::Refuse {
            let there = Self::read(&path).map_err(|_| StoreFault::ExistsUnreadable { name: name.clone() })?;
            if **private_file::read(&path, Profile::MAX_FILE + 1)? != *bytes {
                let (client, address) = (there.client.clone(), there.address.to_string());
                return Err(StoreFault::Exists { name: name.clone(), client, address });
            }
        }
        private_file::write(&path, bytes)?;
        Ok(path)
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

    fn profile_path(&self, name: &Name) -> PathBuf {
        self.profile_dir().join(format!("{name}.{PROFILE_ENDING}"))
    }

    /// The names of the stored profiles, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.profile_dir()).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path());
        let profiles = paths.filter(|path| path.extension().is_some_and(|ending| ending == PROFILE_ENDING));
        let mut names: Vec<_> =
            profiles.filter_map(|path| path.file_stem()?.to_str().map(str::to_owned)).collect();
        names.sort();
        names
    }
}

/// Whether a stored profile may be replaced by a different one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replace {
    Allow,
    Refuse,
}

fn parse(bytes: &[u8]) -> Result<Profile, Unreadable> {
    let profile = Profile::decode(bytes).map_err(|error| match error {
        FileError::Truncated => Unreadable::Truncated,
        FileError::Foreign if bytes.starts_with(BOOK_MARK) => Unreadable::Book,
        FileError::Foreign => Unreadable::Foreign,
        FileError::Version(version) => Unreadable::Newer(version),
        FileError::Damaged | FileError::TooLong => Unreadable::Damaged,
        FileError::Nonsense => Unreadable::Nonsense("it cannot be decoded"),
    })?;
    if profile.services.is_empty() {
        return Err(Unreadable::Nonsense("it names no service"));
    }
    if profile.central_port == 0 && !profile.packet_ports.is_some_and(PortRange::is_valid) {
        return Err(Unreadable::Nonsense("it names no port to knock at"));
    }
    if !is_host(&profile.address) {
        return Err(Unreadable::Nonsense("the gate's address is no host name and no IP address"));
    }
    Ok(profile)
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

    #[test]
    fn a_missing_profile_names_those_that_are_there() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::at(dir.path());
        fs::create_dir(dir.path().join("profiles")).unwrap();
        for file in ["office.kgp", "home.kgp", "notes.txt"] {
            fs::write(dir.path().join("profiles").join(file), "").unwrap();
        }
        let fault = store.profile(&"hone".parse().unwrap(), &Choices::default()).err().unwrap();
        assert!(fault.to_string().contains("(there are: home, office)"), "{fault}");
    }
}
