//! Starts the broker: this very program again, with a socket to the worker in the place of its standard input, and another one
//! in that of its output. A worker that has to become another process to lose its rights has them in the same places.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::channel::{self, Channel, MESSAGE_BYTES};
use super::command::{Assignment, First, Opened};
use super::permit::Bounds;
use super::remote::{Remote, RemoteFlows};
use super::{FlowLever, Prepared};
use crate::capture::opener::{Needed, NotOpened, Opener};
use crate::confine::BrokersSandbox;
use crate::firewall::Plan;

/// The program that runs now, also if its file was replaced meanwhile.
const OURSELVES: &str = "/proc/self/exe";
/// The subcommands that are in no help text.
const BROKER: &str = "broker";
const WORKER: &str = "worker";
/// What of the environment is the broker's business: where `nft` is, what to log, and whether standard error leads to the journal.
const ENVIRONMENT: [&str; 3] = ["PATH", "RUST_LOG", "JOURNAL_STREAM"];

/// There is no broker.
#[derive(Debug, thiserror::Error)]
#[error("the broker cannot be started: {0}; mount /proc, or set [process] separate = false")]
pub struct BrokerError(#[from] io::Error);

/// A broker that does not know yet what it guards. So far it opens sockets that take a right, for a worker that has heard nobody.
pub struct NewBroker {
    gate: Channel<OwnedFd>,
    flows: OwnedFd,
}

impl NewBroker {
    /// Starts it, with the rights of this process.
    ///
    /// # Errors
    /// It could not be started.
    pub fn start() -> Result<Self, BrokerError> {
        let (gate, brokers_gate) = channel::pair()?;
        let (flows, brokers_flows) = channel::pair()?;
        let environment = ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        // It ends by itself when our ends are closed, and so does this process when its are.
        let _broker = Command::new(OURSELVES)
            .arg0("knockgated")
            .arg(BROKER)
            .env_clear()
            .envs(environment)
            .stdin(Stdio::from(brokers_gate))
            .stdout(Stdio::from(brokers_flows))
            .spawn()?;
        Ok(Self { gate: Channel::new(gate), flows })
    }

    /// The one that was started before this process became what it is.
    ///
    /// # Errors
    /// Standard input and output cannot be used.
    pub fn inherited() -> Result<Self, BrokerError> {
        let gate = io::stdin().as_fd().try_clone_to_owned()?;
        let flows = io::stdout().as_fd().try_clone_to_owned()?;
        Ok(Self { gate: Channel::new(gate), flows })
    }

    /// Becomes the worker anew, by the same configuration. Returns only if that cannot be.
    pub fn become_worker(self, config: &Path) -> BrokerError {
        let Self { gate, flows } = self;
        let mut worker = Command::new(OURSELVES);
        worker.arg0("knockgated").arg(WORKER).arg("--config").arg(config);
        worker.stdin(Stdio::from(gate.into_inner())).stdout(Stdio::from(flows)).exec().into()
    }

    /// Has it guard by this plan and no other.
    ///
    /// # Errors
    /// It is gone.
    pub fn guard_by(
        self,
        plan: Plan,
        bounds: Bounds,
        sandbox: BrokersSandbox,
    ) -> Result<(Prepared, FlowLever), BrokerError> {
        let Self { gate, flows } = self;
        let assignment = Assignment { plan, bounds, sandbox };
        assign(&gate, &assignment)?;
        let flows = FlowLever::Broker(RemoteFlows::new(flows));
        Ok((Prepared::Broker(assignment.plan, Remote::over(gate)), flows))
    }
}

impl Opener for NewBroker {
    fn open(&self, needed: Needed) -> Result<OwnedFd, NotOpened> {
        self.gate.send(&First::Open(needed))?;
        match self.gate.receive_with_socket()? {
            Some((Opened::There, Some(socket))) => Ok(socket),
            Some((Opened::Taken, _)) => Err(NotOpened::Taken),
            Some((Opened::Failed(number), _)) => Err(io::Error::from_raw_os_error(number).into()),
            Some((Opened::There, None)) => Err(io::Error::from(io::ErrorKind::InvalidData).into()),
            None => Err(io::Error::from(io::ErrorKind::BrokenPipe).into()),
        }
    }
}

fn assign(broker: &Channel<OwnedFd>, assignment: &Assignment) -> io::Result<()> {
    let bytes = postcard::to_allocvec(assignment).map_err(io::Error::other)?;
    broker.send(&First::Assignment(u32::try_from(bytes.len()).map_err(io::Error::other)?))?;
    bytes.chunks(MESSAGE_BYTES).try_for_each(|piece| broker.send_bytes(piece))
}
