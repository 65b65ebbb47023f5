//! What the driver is told by those who wait for something.

use std::net::{IpAddr, SocketAddr};

use knockgate_core::action::ExchangeId;
use knockgate_core::envelope::{Message, Unsealed};
use knockgate_core::key::DoorKey;
use knockgate_core::limits::MAX_DOOR_KEYS;
use knockgate_core::replay::Lease;
use knockgate_core::{ClientId, Flows, GrantId, Outcome, Probe};
use tokio::sync::{mpsc, oneshot};

use crate::state::RosterChange;

use super::court::Case;

/// Inputs that wait for the driver. Listeners that meet a full queue wait with accepting; strangers can only wait in the
/// kernel's backlog then.
const QUEUE: usize = 256;

/// Something that happened.
pub(super) enum Input {
    /// A packet knock came that is not noise.
    Packet { source: SocketAddr, destination: SocketAddr, message: Box<Unsealed> },
    /// What goes through the grants that were asked about; nothing where that could not be seen.
    Flows(Vec<(GrantId, Flows)>),
    /// A whole message came to the central port. No answer means silence.
    Message { source: IpAddr, message: Box<Message>, answer: oneshot::Sender<Message> },
    /// A decoy was touched. The answer says whether by a holder.
    Probe { probe: Probe, by_holder: oneshot::Sender<bool> },
    /// A probe was dropped by the guard and reported.
    SilentProbe(Probe),
    /// A record was stored, or not.
    Stored { exchange: ExchangeId, outcome: Outcome },
    /// A lease was stored, with what these clients had used; or it was not.
    Leased { lease: Lease, clients: Vec<ClientId>, outcome: Outcome },
    /// An admin command has changed the roster.
    Roster(Box<RosterChange>),
    /// Other door keys are good from now on, the newest first.
    DoorKeys(heapless::Vec<DoorKey, MAX_DOOR_KEYS>),
    /// Every policy that was to be asked has spoken.
    Judged(Box<Case>),
    /// A watcher cannot go on.
    Broken(anyhow::Error),
}

pub(super) type Inputs = mpsc::Sender<Input>;

pub(super) fn channel() -> (Inputs, mpsc::Receiver<Input>) {
    mpsc::channel(QUEUE)
}
