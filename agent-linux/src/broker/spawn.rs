//! Starts the broker: this very program again, with a socket to the worker in the place of its standard input, and another one
//! in that of its output.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use super::channel::{self, Channel, MESSAGE_BYTES};
use super::command::Assignment;
use super::permit::Bounds;
use super::remote::{Remote, RemoteFlows};
use super::{FlowLever, Prepared};
use crate::firewall::Plan;

/// The program that runs now, also if its file was replaced meanwhile.
const OURSELVES: &str = "/proc/self/exe";
/// The subcommand that is in no help text.
const BROKER: &str = "broker";

/// There is no broker.
#[derive(Debug, thiserror::Error)]
#[error("the broker cannot be started: {0}; mount /proc, or set [process] separate = false")]
pub struct BrokerError(#[from] io::Error);

/// Starts a broker that guards by this plan and no other.
///
/// # Errors
/// It could not be started.
pub fn spawn(plan: Plan, bounds: Bounds) -> Result<(Prepared, FlowLever), BrokerError> {
    let (gate, brokers_gate) = channel::pair()?;
    let (flows, brokers_flows) = channel::pair()?;
    // It ends by itself when our ends are closed, and so does this process when its are.
    let _broker = Command::new(OURSELVES)
        .arg0("knockgated")
        .arg(BROKER)
        .stdin(Stdio::from(brokers_gate))
        .stdout(Stdio::from(brokers_flows))
        .spawn()?;
    let assignment = Assignment { plan, bounds };
    assign(&Channel::new(&gate), &assignment)?;
    Ok((Prepared::Broker(assignment.plan, Remote::new(gate)), FlowLever::Broker(RemoteFlows::new(flows))))
}

fn assign(broker: &Channel<&std::os::fd::OwnedFd>, assignment: &Assignment) -> io::Result<()> {
    let bytes = postcard::to_allocvec(assignment).map_err(io::Error::other)?;
    broker.send(&u32::try_from(bytes.len()).map_err(io::Error::other)?)?;
    bytes.chunks(MESSAGE_BYTES).try_for_each(|piece| broker.send_bytes(piece))
}
