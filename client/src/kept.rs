//! One profile as it is kept in a file: open, or locked with a passphrase.
//!
//! The key that a passphrase made stays in memory as long as the profile does, so that [`Kept::rewrite`] asks nobody again.

use std::path::{Path, PathBuf};

use getrandom::SysRng;
use knockgate_core::file::FileError;
use knockgate_core::profile::{PortRange, Profile};
use knockgate_core::text_form;
use rand_core::UnwrapErr;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::locked::{self, LockFault, Locked, Seal};
use crate::passphrase::{PassphraseFault, Source};
use crate::private_file;
use crate::settings::is_host;
use crate::store::StoreFault;
use crate::voice::Voice;

/// First bytes of a knock book's file: what people are most likely to mistake for a profile.
const BOOK_MARK: &[u8] = b"KGbk";
/// One byte more than the longest file: a longer one fails its checksum.
const LIMIT: usize = locked::MAX_FILE + 1;

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
        "profile format {0} is not known to this version, which reads formats 1 to 3; install a newer knockgate"
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

/// Why a locked profile could not be opened.
#[derive(Debug, Error)]
pub(crate) enum UnlockFault {
    #[error(transparent)]
    Passphrase(#[from] PassphraseFault),
    #[error(transparent)]
    Lock(#[from] LockFault),
}

/// What is in a profile's file.
pub(crate) struct Content {
    pub(crate) profile: Profile,
    /// None if the file is not locked.
    pub(crate) seal: Option<Seal>,
}

/// A profile and the file that it is kept in.
pub(crate) struct Kept {
    pub(crate) profile: Profile,
    pub(crate) seal: Option<Seal>,
    pub(crate) path: PathBuf,
}

impl Kept {
    /// Reads the profile file at `path`, wherever it lies, and checks that it can be used.
    pub(crate) fn read(
        path: &Path,
        of_what: &str,
        source: &Source,
        voice: &Voice,
    ) -> Result<Self, StoreFault> {
        let bytes = private_file::read(path, LIMIT)?;
        let Content { profile, seal } = open(&bytes, path, of_what, source, voice)?;
        Ok(Self { profile, seal, path: path.to_owned() })
    }

    /// Changes the profile in its file. It is read again before, so that nothing is lost that somebody else changed; the
    /// caller holds the profile's ledger, so that nobody changes it meanwhile. `self` stays as it was.
    #[allow(dead_code, reason = "a new door key is stored with it")]
    pub(crate) fn rewrite(&self, change: impl FnOnce(&mut Profile)) -> Result<(), StoreFault> {
        let bytes = private_file::read(&self.path, LIMIT)?;
        let mut profile = self.read_again(&bytes)?;
        change(&mut profile);
        write(&self.path, &profile, self.seal.as_ref())
    }

    /// Writes the profile as it is here.
    pub(crate) fn write(&self) -> Result<(), StoreFault> {
        write(&self.path, &self.profile, self.seal.as_ref())
    }

    fn read_again(&self, bytes: &[u8]) -> Result<Profile, StoreFault> {
        let path = || self.path.clone();
        let unreadable = |what| StoreFault::Unreadable { path: path(), what };
        let changed = || StoreFault::Locked { path: path(), why: LockFault::OtherLock.into() };
        match (&self.seal, locked::is_locked(bytes)) {
            (None, false) => parse(bytes).map_err(unreadable),
            (Some(seal), true) => {
                let locked = Locked::decode(bytes).map_err(|error| unreadable(explain(error, bytes)))?;
                let plain =
                    locked.open(seal).map_err(|why| StoreFault::Locked { path: path(), why: why.into() })?;
                parse(&plain).map_err(unreadable)
            }
            (None, true) | (Some(_), false) => Err(changed()),
        }
    }
}

/// The content of a profile's file that was read from `path`.
pub(crate) fn open(
    bytes: &[u8],
    path: &Path,
    of_what: &str,
    source: &Source,
    voice: &Voice,
) -> Result<Content, StoreFault> {
    let unreadable = |what| StoreFault::Unreadable { path: path.to_owned(), what };
    if !locked::is_locked(bytes) {
        return Ok(Content { profile: parse(bytes).map_err(unreadable)?, seal: None });
    }
    let locked = Locked::decode(bytes).map_err(|error| unreadable(explain(error, bytes)))?;
    let (plain, seal) = unlock(&locked, of_what, source, voice)
        .map_err(|why| StoreFault::Locked { path: path.to_owned(), why })?;
    Ok(Content { profile: parse(&plain).map_err(unreadable)?, seal: Some(seal) })
}

/// What can be seen of a profile's file without a passphrase.
pub(crate) enum Peek {
    Open(Box<Profile>),
    Locked,
}

/// Looks at a profile's file and asks nobody.
pub(crate) fn peek(path: &Path) -> Result<Peek, StoreFault> {
    peek_bytes(path).map(|(_, peek)| peek)
}

/// Looks at a profile's file, and returns it too.
pub(crate) fn peek_bytes(path: &Path) -> Result<(Zeroizing<Vec<u8>>, Peek), StoreFault> {
    let bytes = private_file::read(path, LIMIT)?;
    let peek = if locked::is_locked(&bytes) {
        Locked::decode(&bytes).map(|_| Peek::Locked).map_err(|error| explain(error, &bytes))
    } else {
        parse(&bytes).map(|profile| Peek::Open(Box::new(profile)))
    };
    let peek = peek.map_err(|what| StoreFault::Unreadable { path: path.to_owned(), what })?;
    Ok((bytes, peek))
}

/// The profile's file, for comparison and for copies of it.
pub(crate) fn encode(profile: &Profile) -> Zeroizing<Vec<u8>> {
    let mut buffer = Zeroizing::new([0; Profile::MAX_FILE]);
    let bytes = profile.encode(buffer.as_mut_slice()).expect("MAX_FILE is the longest profile");
    Zeroizing::new(bytes.to_vec())
}

/// The text form of a profile's file.
pub(crate) fn text(file: &[u8]) -> Zeroizing<String> {
    let mut buffer = Zeroizing::new(vec![0; text_form::profile_len(file.len())]);
    let text = text_form::profile(file, &mut buffer).expect("the buffer has the length of the text");
    Zeroizing::new(text.to_owned())
}

fn write(path: &Path, profile: &Profile, seal: Option<&Seal>) -> Result<(), StoreFault> {
    let plain = encode(profile);
    match seal {
        Some(seal) => private_file::write(path, &seal.lock(&plain, &mut UnwrapErr(SysRng)))?,
        None => private_file::write(path, &plain)?,
    }
    Ok(())
}

fn unlock(
    locked: &Locked,
    of_what: &str,
    source: &Source,
    voice: &Voice,
) -> Result<(Zeroizing<Vec<u8>>, Seal), UnlockFault> {
    let mut tries = source.tries();
    loop {
        let passphrase = source.ask(&format!("Passphrase for {of_what}: "), voice)?;
        voice.step(format!("unlocking {of_what}"));
        let seal = locked.seal(passphrase.as_bytes())?;
        tries -= 1;
        match locked.open(&seal) {
            Ok(plain) => return Ok((plain, seal)),
            Err(LockFault::WrongPassphrase) if tries > 0 => voice.warning("wrong passphrase, try again"),
            Err(fault) => return Err(fault.into()),
        }
    }
}

fn explain(error: FileError, bytes: &[u8]) -> Unreadable {
    match error {
        FileError::Truncated => Unreadable::Truncated,
        FileError::Foreign if bytes.starts_with(BOOK_MARK) => Unreadable::Book,
        FileError::Foreign => Unreadable::Foreign,
        FileError::Version(version) => Unreadable::Newer(version),
        FileError::Damaged | FileError::TooLong => Unreadable::Damaged,
        FileError::Nonsense => Unreadable::Nonsense("it cannot be decoded"),
    }
}

fn parse(bytes: &[u8]) -> Result<Profile, Unreadable> {
    let profile = Profile::decode(bytes).map_err(|error| explain(error, bytes))?;
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

#[cfg(test)]
mod tests {
    use knockgate_core::book::{Book, DecoySeed, Shape};
    use knockgate_core::key::{DoorKey, GateId, SecretKey};
    use knockgate_core::profile::{Hosts, ProfileService, Protocol};

    use super::*;
    use crate::locked::Cost;

    fn profile() -> Profile {
        let rng = &mut UnwrapErr(SysRng);
        let shape = Shape::new(1000, 6, 100, 10_000..=32_767).unwrap();
        let service = ProfileService {
            id: 1,
            name: "ssh".parse().unwrap(),
            protocol: Protocol::Tcp,
            port: 22,
            hosts: Hosts::AT_GATE,
        };
        Profile {
            client: "alice".parse().unwrap(),
            address: "gate.example".try_into().unwrap(),
            central_port: 62201,
            packet_ports: None,
            gate: GateId([3; 16]),
            gate_key: SecretKey::generate(rng).public(),
            door_key: DoorKey::generate(rng),
            secret: Some(SecretKey::generate(rng)),
            services: [service].into_iter().collect(),
            book: Book::generate(shape, DecoySeed::generate(rng), rng),
        }
    }

    fn seal() -> Seal {
        Seal::new(b"passphrase", Cost::CHEAP, &mut UnwrapErr(SysRng)).unwrap()
    }

    /// The profile's file in a directory of its own.
    fn kept(seal: Option<Seal>) -> (tempfile::TempDir, Kept) {
        let dir = tempfile::tempdir().unwrap();
        let kept = Kept { profile: profile(), seal, path: dir.path().join("home.kgp") };
        kept.write().unwrap();
        (dir, kept)
    }

    fn stored(kept: &Kept) -> Profile {
        kept.read_again(&private_file::read(&kept.path, LIMIT).unwrap()).unwrap()
    }

    fn renamed(name: &'static str) -> impl FnOnce(&mut Profile) {
        move |profile| profile.client = name.parse().unwrap()
    }

    #[test]
    fn a_rewritten_profile_stays_open_or_locked_and_asks_nobody() {
        for seal in [None, Some(seal())] {
            let (_dir, kept) = kept(seal);
            kept.rewrite(renamed("bob")).unwrap();
            let bytes = private_file::read(&kept.path, LIMIT).unwrap();
            assert_eq!(locked::is_locked(&bytes), kept.seal.is_some());
            assert_eq!(stored(&kept).client.as_str(), "bob");
        }
    }

    #[test]
    fn what_another_run_has_written_meanwhile_is_kept() {
        let (_dir, kept) = kept(Some(seal()));
        kept.rewrite(|profile| profile.central_port = 1).unwrap();
        kept.rewrite(renamed("bob")).unwrap();
        assert_eq!((stored(&kept).central_port, stored(&kept).client.as_str()), (1, "bob"));
    }

    #[test]
    fn a_profile_that_was_locked_anew_meanwhile_is_not_rewritten() {
        #[rustfmt::skip]
        let cases = [(1, None, Some(seal())), (2, Some(seal()), None), (3, Some(seal()), Some(seal()))];
        for (case, before, after) in cases {
            let (_dir, mut kept) = kept(before);
            let before = std::mem::replace(&mut kept.seal, after);
            kept.write().unwrap();
            let kept = Kept { seal: before, ..kept };
            let bytes = private_file::read(&kept.path, LIMIT).unwrap();
            assert!(matches!(kept.rewrite(renamed("bob")), Err(StoreFault::Locked { .. })), "case {case}");
            assert_eq!(private_file::read(&kept.path, LIMIT).unwrap(), bytes, "case {case}");
        }
    }
}
