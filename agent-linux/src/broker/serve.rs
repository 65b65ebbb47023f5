//! `knockgated broker`: the process that may change the firewall. Started by `run` alone, which is on its standard input with the
//! gate's commands and on its standard output with the questions about flows.
//!
//! It opens sockets that take a right and hands them over, until it has its assignment. Then it gives up what it does not need any
//! more, and takes commands until the other end is closed. What is not a command ends it: the worker then ends,
//! too, and the guard stays.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, anyhow};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::FlowLever;
use super::channel::{Channel, MESSAGE_BYTES};
use super::command::{
    Alive, Assignment, Command, First, Item, MAX_FOLLOWED, Opened, PORTS_AT_ONCE, Question, Reason, Reply,
    Sight,
};
use super::permit::Permit;
use crate::admin::unguard;
use crate::capture::opener::{Here, NotOpened, Opener as _};
use crate::firewall::{ExistingGrant, Firewall, FirewallError, Flows, Grant, Inventory, Plan};

/// An assignment is never longer: it is 64 services with 16 ports, ten thousand decoys and steps, and names.
const MAX_ASSIGNMENT: usize = 1024 * 1024;

/// Serves until the worker is gone.
///
/// # Errors
/// Nobody is there who keeps to the words.
pub fn main() -> anyhow::Result<()> {
    let (stdin, stdout) = (io::stdin(), io::stdout());
    let worker = Channel::new(stdin.as_fd());
    outlive_the_worker()?;
    let assignment = prepare(&worker).context("only `knockgated run` starts a broker")?;
    // The worker has said why it has ended.
    let Some(assignment) = assignment else { return Ok(()) };
    // Whoever starts an agent wants it guarded, whatever he has ordered before.
    unguard::forget_order()?;
    assignment.sandbox.enter().context("the broker cannot give up what it does not need")?;
    let permit = Permit::of(&assignment.plan, &assignment.bounds)?;
    let flows = stdout.as_fd().try_clone_to_owned().context("no socket for questions about flows")?;
    std::thread::Builder::new()
        .name("flows".into())
        .spawn(move || answer_questions(&Channel::new(flows.as_fd())))
        .context("cannot start the thread that looks at connections")?;
    Broker { worker, plan: assignment.plan, permit, firewall: None }.serve()
}

/// Signals for the whole group are the worker's to answer; the broker ends with it.
fn outlive_the_worker() -> io::Result<()> {
    let heard = Arc::new(AtomicBool::new(false));
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&heard))?;
    }
    Ok(())
}

/// Opens what the worker wants to hear by, until it says what is to be guarded. `None` if it ends before.
fn prepare(worker: &Channel<BorrowedFd<'_>>) -> anyhow::Result<Option<Assignment>> {
    while let Some(first) = worker.receive()? {
        match first {
            First::Open(needed) => match Here.open(needed) {
                Ok(socket) => worker.send_with_socket(&Opened::There, socket.as_fd())?,
                Err(NotOpened::Taken) => worker.send(&Opened::Taken)?,
                Err(NotOpened::Kernel(error)) => worker.send(&Opened::Failed(number_of(&error)))?,
            },
            First::Assignment(length) => return receive_assignment(worker, length),
        }
    }
    Ok(None)
}

fn number_of(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}

fn receive_assignment(worker: &Channel<BorrowedFd<'_>>, length: u32) -> anyhow::Result<Option<Assignment>> {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > MAX_ASSIGNMENT {
        return Err(anyhow!("an assignment of {length} bytes is none"));
    }
    let mut bytes = Vec::with_capacity(length);
    let mut buffer = [0; MESSAGE_BYTES];
    while bytes.len() < length {
        let Some(piece) = worker.receive_bytes(&mut buffer)? else { return Ok(None) };
        bytes.extend_from_slice(piece);
    }
    Ok(Some(postcard::from_bytes(&bytes)?))
}

struct Broker<'w> {
    worker: Channel<BorrowedFd<'w>>,
    plan: Plan,
    permit: Permit,
    /// There once the gate is shut.
    firewall: Option<Firewall>,
}

impl Broker<'_> {
    fn serve(mut self) -> anyhow::Result<()> {
        while let Some(command) = self.worker.receive().context("the worker does not keep to the words")? {
            let reply = self.obey(command).unwrap_or_else(|error| Reply::Refused(Reason::of(&error)));
            if self.worker.send(&reply).is_err() {
                break;
            }
        }
        Ok(())
    }

    fn obey(&mut self, command: Command) -> anyhow::Result<Reply> {
        let Self { worker, plan, permit, firewall } = self;
        let Some(firewall) = firewall else {
            let Command::Install = command else { return Err(anyhow!("the gate is not shut yet")) };
            *firewall = Some(Firewall::install(plan)?);
            return Ok(Reply::Done);
        };
        match command {
            Command::Install => return Err(anyhow!("the gate is shut already")),
            // The owner's way back in is not the worker's to undo.
            Command::Restore if unguard::was_ordered() => {
                return Err(anyhow!(
                    "`knockgated unguard` has removed the guard; restart the agent to guard again"
                ));
            }
            Command::Restore => firewall.reinstall(plan)?,
            Command::Verify => return Ok(Reply::Verified(firewall.verify()?)),
            Command::Open(grant) => {
                permit.open(&grant)?;
                firewall.open(&grant)?;
            }
            // Whatever shuts is welcome.
            Command::Close(grant) => firewall.close(&grant)?,
            Command::Watch { source, hold } => {
                permit.watch(hold)?;
                firewall.watch(source, hold)?;
            }
            Command::Unwatch { source } => firewall.unwatch(source)?,
            Command::List => {
                let listed = firewall.grants().map(|found| list(worker, &found));
                worker.send(&Item::End)?;
                listed??;
            }
            Command::RemoveForeign => remove_foreign(firewall)?,
        }
        Ok(Reply::Done)
    }
}

fn remove_foreign(firewall: &mut Firewall) -> Result<(), FirewallError> {
    let foreign = firewall.grants()?.foreign;
    firewall.remove_foreign(&foreign)
}

fn list(worker: &Channel<BorrowedFd<'_>>, found: &Inventory) -> io::Result<()> {
    for grant in &found.grants {
        let &ExistingGrant { id, client, service, source, reach, protocol, ref ports, remaining } = grant;
        worker.send(&Item::Grant { id, client, service, source, reach, protocol, remaining })?;
        for ports in ports.chunks(PORTS_AT_ONCE) {
            worker.send(&Item::Ports(ports.to_vec()))?;
        }
    }
    for foreign in &found.foreign {
        let (set, source, protocol, port) = (foreign.set, foreign.source, foreign.protocol, foreign.port);
        worker.send(&Item::Foreign { set, source, protocol, port })?;
    }
    Ok(())
}

/// On a thread of its own: a host with a million connections takes a second, and no knock waits for that.
fn answer_questions(worker: &Channel<BorrowedFd<'_>>) {
    let mut flows = FlowLever::Here(None);
    let mut grants = Vec::new();
    while let Ok(Some(question)) = worker.receive() {
        match question {
            Question::Of(grant) if grants.len() < MAX_FOLLOWED => grants.push(grant),
            Question::Of(_) => return,
            Question::Look => {
                let sight = look(&mut flows, &grants);
                grants.clear();
                if worker.send(&sight).is_err() {
                    return;
                }
            }
        }
    }
}

fn look(flows: &mut FlowLever, grants: &[Grant]) -> Sight {
    match flows.look(grants) {
        Ok(seen) => Sight::Alive(in_bits(&seen)),
        Err(error) => Sight::Unknown(Reason::of(&error)),
    }
}

fn in_bits(seen: &[Flows]) -> Alive {
    let bit = |(at, flows): (usize, &Flows)| u8::from(*flows == Flows::Alive) << at;
    seen.chunks(8).map(|eight| eight.iter().enumerate().map(bit).fold(0, |bits, bit| bits | bit)).collect()
}
