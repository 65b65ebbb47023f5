//! The door keys of a gate: which are good, and their rotation.
//!
//! A door key only decides what is worth a public-key operation, but every client that was ever enrolled has it, also one
//! that was removed. So it can be changed: the new one is in force at once, the one before stays good for a while, and the
//! gate tells the new one to every client that still asks with the old one.

use std::time::Duration;

use heapless::Vec;
use knockgate_core::UnixTime;
use knockgate_core::key::{DoorKey, GateId, PublicKey};
use knockgate_core::limits::MAX_DOOR_KEYS;
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use super::file_stamp::FileStamp;
use super::{GateIdentity, StateDir, StateError, private_file};

/// The key in force and, while it is being changed, the one before.
#[derive(Clone, Serialize, Deserialize)]
pub struct DoorKeys {
    /// What new profiles get.
    pub current: DoorKey,
    /// When that was made; not known of one that `init` made before this was written down.
    pub made: Option<UnixTime>,
    pub former: Option<FormerDoorKey>,
}

/// A door key that has been replaced.
#[derive(Clone, Serialize, Deserialize)]
pub struct FormerDoorKey {
    pub key: DoorKey,
    pub until: UnixTime,
}

/// What becomes of a key that is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handover {
    /// It stays good for this long.
    Grace(Duration),
    /// It is worthless from now on.
    AtOnce,
}

impl Handover {
    /// Until when a key is good that is replaced now.
    pub fn until(self, now: UnixTime) -> Option<UnixTime> {
        match self {
            Self::Grace(grace) => Some(now.after(grace)),
            Self::AtOnce => None,
        }
    }
}

impl DoorKeys {
    /// The first key of a gate.
    pub fn generate(now: Option<UnixTime>, rng: &mut impl CryptoRng) -> Self {
        Self { current: DoorKey::generate(rng), made: now, former: None }
    }

    /// A new key in the place of the current one.
    pub fn rotated(self, now: UnixTime, handover: Handover, rng: &mut impl CryptoRng) -> Self {
        let former = handover.until(now).map(|until| FormerDoorKey { key: self.current, until });
        Self { current: DoorKey::generate(rng), made: Some(now), former }
    }

    /// The one before, if it is still good. Without a clock it is not: it would be good for ever.
    pub fn former_at(&self, unix: Option<UnixTime>) -> Option<&FormerDoorKey> {
        self.former.as_ref().filter(|former| unix.is_some_and(|unix| unix < former.until))
    }

    /// The keys that are good at that time, the newest first.
    pub fn at(&self, unix: Option<UnixTime>) -> Vec<DoorKey, MAX_DOOR_KEYS> {
        let former = self.former_at(unix).map(|former| &former.key);
        [Some(&self.current), former].into_iter().flatten().cloned().collect()
    }
}

/// Replaces the door key of the gate in `dir`, whether its agent is running or not.
///
/// # Errors
/// If the identity cannot be read or written; then the old key stays in force.
pub fn rotate(
    dir: &StateDir,
    now: UnixTime,
    handover: Handover,
    rng: &mut impl CryptoRng,
) -> Result<DoorKeys, StateError> {
    let _lock = private_file::lock(&dir.identity_lock())?;
    let mut identity = GateIdentity::load(dir)?;
    identity.door = identity.door.rotated(now, handover, rng);
    identity.replace(dir)?;
    Ok(identity.door)
}

/// Notices that the door key was changed, or that the one before has had its time, at the price of one `stat`.
pub struct IdentityWatch {
    dir: StateDir,
    stamp: FileStamp,
    gate: GateId,
    gate_key: PublicKey,
    door: DoorKeys,
    /// Of the keys that were last told: whether the former one was among them.
    former_told: bool,
}

impl IdentityWatch {
    /// Loads the identity and remembers what was loaded. Its keys at `unix` count as told.
    ///
    /// # Errors
    /// As [`GateIdentity::load`].
    pub fn begin(dir: &StateDir, unix: Option<UnixTime>) -> Result<(Self, GateIdentity), StateError> {
        // The stamp is taken before the content: a replacement in between is seen later, never missed.
        let stamp = FileStamp::of(dir.identity_file());
        let identity = GateIdentity::load(dir)?;
        let door = identity.door.clone();
        let watch = Self {
            dir: dir.clone(),
            stamp,
            gate: identity.id,
            gate_key: identity.secret.public(),
            former_told: door.former_at(unix).is_some(),
            door,
        };
        Ok((watch, identity))
    }

    /// The door keys that are good now, the newest first, if they are others than those of the last call. The keys in use
    /// stay as long as there is an error, which is told once, or again and again if it may pass.
    ///
    /// # Errors
    /// As [`GateIdentity::load`], and if the file has become that of another gate.
    pub fn poll(
        &mut self,
        unix: Option<UnixTime>,
    ) -> Result<Option<Vec<DoorKey, MAX_DOOR_KEYS>>, StateError> {
        let mut is_new = false;
        if self.stamp.has_changed() {
            let identity = GateIdentity::load(&self.dir).inspect_err(|error| {
                if error.may_pass() {
                    self.stamp.forget();
                }
            })?;
            if identity.id != self.gate || identity.secret.public() != self.gate_key {
                return Err(StateError::refused(
                    &self.dir.identity_file(),
                    "is the identity of another gate now",
                    "put the old one back, or restart the agent to run that gate",
                ));
            }
            is_new = !identity.door.current.is(&self.door.current);
            self.door = identity.door;
        }
        let has_former = self.door.former_at(unix).is_some();
        is_new |= has_former != self.former_told;
        self.former_told = has_former;
        Ok(is_new.then(|| self.door.at(unix)))
    }
}

#[cfg(test)]
mod tests {
    use knockgate_core::book::Shape;

    use super::*;
    use crate::state::system_rng;

    const NOW: UnixTime = UnixTime::from_micros(1_000_000);
    const GRACE: Handover = Handover::Grace(Duration::from_secs(10));

    fn at(seconds: u64) -> Option<UnixTime> {
        Some(NOW.after(Duration::from_secs(seconds)))
    }

    fn gate() -> (tempfile::TempDir, StateDir) {
        let temp = tempfile::tempdir().unwrap();
        let dir = StateDir::create(&temp.path().join("state")).unwrap();
        identity().create(&dir).unwrap();
        (temp, dir)
    }

    fn identity() -> GateIdentity {
        let shape = Shape::new(10, 3, 16, 10_000..=20_000).unwrap();
        GateIdentity::generate(shape, &[], Some(NOW), &mut system_rng()).ok().unwrap()
    }

    #[test]
    fn the_key_before_is_good_until_its_time_and_never_without_a_clock() {
        let keys = DoorKeys::generate(Some(NOW), &mut system_rng());
        let first = keys.current.clone();
        let keys = keys.rotated(NOW, GRACE, &mut system_rng());
        for (case, unix, good) in [(1, at(0), true), (2, at(9), true), (3, at(10), false), (4, None, false)] {
            let found = keys.at(unix);
            assert!(found[0].is(&keys.current) && !first.is(&keys.current), "case {case}");
            assert_eq!(found.get(1).is_some_and(|key| key.is(&first)), good, "case {case}");
        }
    }

    #[test]
    fn a_key_that_is_replaced_at_once_is_worthless() {
        let keys = DoorKeys::generate(Some(NOW), &mut system_rng());
        let keys =
            keys.rotated(NOW, GRACE, &mut system_rng()).rotated(NOW, Handover::AtOnce, &mut system_rng());
        assert_eq!(keys.at(at(0)).len(), 1);
    }

    #[test]
    fn a_rotation_changes_the_door_key_and_nothing_else() {
        let (_temp, dir) = gate();
        let before = GateIdentity::load(&dir).unwrap();
        rotate(&dir, NOW, GRACE, &mut system_rng()).unwrap();
        let after = GateIdentity::load(&dir).unwrap();
        assert_eq!(
            (after.id, after.secret.public(), after.decoys()),
            (before.id, before.secret.public(), before.decoys())
        );
        assert!(after.door.at(at(1))[1].is(&before.door.current));
    }

    #[test]
    fn a_rotation_that_cannot_be_written_leaves_the_old_key() {
        let (_temp, dir) = gate();
        let before = GateIdentity::load(&dir).unwrap();
        std::fs::create_dir(dir.identity_file().with_added_extension("new")).unwrap();
        assert!(rotate(&dir, NOW, GRACE, &mut system_rng()).is_err());
        assert!(GateIdentity::load(&dir).unwrap().door.current.is(&before.door.current));
    }

    #[test]
    fn a_running_gate_is_told_each_change_once() {
        let (_temp, dir) = gate();
        let (mut watch, first) = IdentityWatch::begin(&dir, at(0)).unwrap();
        assert!(watch.poll(at(0)).unwrap().is_none());

        let rotated = rotate(&dir, NOW, GRACE, &mut system_rng()).unwrap();
        let told = watch.poll(at(1)).unwrap().unwrap();
        assert!(told[0].is(&rotated.current) && told[1].is(&first.door.current));
        assert!(watch.poll(at(2)).unwrap().is_none());

        assert_eq!(watch.poll(at(10)).unwrap().map(|keys| keys.len()), Some(1), "the former one is over");
        assert!(watch.poll(at(11)).unwrap().is_none());
    }

    #[test]
    fn the_identity_of_another_gate_is_refused_once_and_the_keys_stay() {
        let (_temp, dir) = gate();
        let (mut watch, _) = IdentityWatch::begin(&dir, at(0)).unwrap();
        std::fs::remove_file(dir.identity_file()).unwrap();
        identity().create(&dir).unwrap();
        let refused = watch.poll(at(1)).err().unwrap().to_string();
        assert!(refused.contains("is the identity of another gate now; put the old one back"), "{refused}");
        assert!(watch.poll(at(2)).unwrap().is_none());
    }
}
