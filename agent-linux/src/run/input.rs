//! What the gate's thread is told by other threads: in one queue by the agent's own, in another one by whoever has come in over a
//! TCP connection. So however many strangers call, an answer of the disk or of a policy never waits behind them.

use std::io;
use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use knockgate_core::action::ExchangeId;
use knockgate_core::envelope::Message;
use knockgate_core::key::DoorKey;
use knockgate_core::limits::MAX_DOOR_KEYS;
use knockgate_core::replay::Lease;
use knockgate_core::{ClientId, Flows, GrantId, Outcome, Probe, Record};
use tokio::sync::{mpsc, oneshot};

use crate::firewall::FirewallError;
use crate::state::RosterChange;

use super::bell::{Bell, Way, Woken};
use super::court::Case;
use super::desk::Question;
use super::reload::{Fates, Turnover};

/// Inputs that wait. The gate's tables bound how many of its own threads' there can be; who finds no room waits.
const INPUTS: usize = 256;
/// Calls that wait. Listeners that meet a full queue wait with accepting; strangers can only wait in the kernel's backlog then.
const CALLS: usize = 256;

/// Something that a thread of the agent has to say.
pub(super) enum Input {
    /// What goes through the grants that were asked about; nothing where that could not be seen.
    Flows(Vec<(GrantId, Flows)>),
    /// A record was stored, or not. Of an exchange that waits for it, or ahead of the next one.
    Stored { exchange: Option<ExchangeId>, record: Record, outcome: Outcome },
    /// A lease was stored, with what these clients had used; or it was not.
    Leased { lease: Lease, clients: Vec<ClientId>, outcome: Outcome },
    /// An admin command has changed the roster.
    Roster(Box<RosterChange>),
    /// Other door keys are good from now on, the newest first.
    DoorKeys(heapless::Vec<DoorKey, MAX_DOOR_KEYS>),
    /// Every policy that was to be asked has spoken.
    Judged(Box<Case>),
    /// Somebody at a control socket wants to know or to have something.
    Asked(Question),
    /// Another configuration, found good. What becomes of it is told.
    Turnover(Box<Turnover>, oneshot::Sender<Result<Fates, FirewallError>>),
    /// A signal wants the agent to end.
    Signal(&'static str),
}

/// Somebody has come in over a TCP connection. He may be anybody.
pub(super) enum Call {
    /// A whole message came to the central port. No answer means silence.
    Message { source: IpAddr, message: Box<Message>, answer: oneshot::Sender<Message> },
    /// A decoy was touched.
    Probe(Probe),
}

pub(super) type Inputs = Way<Input>;
pub(super) type Calls = Way<Call>;

/// The gate's thread's end of both queues.
pub(super) struct Received {
    inputs: mpsc::Receiver<Input>,
    calls: mpsc::Receiver<Call>,
    bell: Arc<Bell>,
}

/// Both queues.
pub(super) struct Ways {
    pub(super) inputs: Inputs,
    pub(super) calls: Calls,
    pub(super) received: Received,
}

pub(super) fn open() -> io::Result<Ways> {
    let bell = Bell::hang()?;
    let (inputs, received_inputs) = Way::queue(&bell, INPUTS);
    let (calls, received_calls) = Way::queue(&bell, CALLS);
    let received = Received { inputs: received_inputs, calls: received_calls, bell };
    Ok(Ways { inputs, calls, received })
}

impl Received {
    pub(super) fn next_input(&mut self) -> Option<Input> {
        self.inputs.try_recv().ok()
    }

    /// For tests of those who report.
    #[cfg(test)]
    pub(super) fn wait_for_input(&mut self) -> Input {
        loop {
            if let Some(input) = self.next_input() {
                return input;
            }
            self.sleep(std::iter::empty(), Duration::from_secs(60)).unwrap();
        }
    }

    pub(super) fn next_call(&mut self) -> Option<Call> {
        self.calls.try_recv().ok()
    }

    /// Sleeps until something is in a queue, one of `descriptors` is readable, or for as long as `most`.
    pub(super) fn sleep<'fd>(
        &'fd self,
        descriptors: impl Iterator<Item = BorrowedFd<'fd>>,
        most: Duration,
    ) -> io::Result<Woken> {
        self.bell.sleep(descriptors, most, || !self.inputs.is_empty() || !self.calls.is_empty())
    }
}
