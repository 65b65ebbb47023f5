//! `knockgated run`: from the configuration to a gate that is up, and on until it is told to stop.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`start`] | checks everything, then shuts the gate, then listens |
//! | [`apart`] | one process, or a worker and a broker |
//! | [`adopt`] | what an earlier run has left open |
//! | [`ears`] | everything that the agent hears by |
//! | [`gate_thread`] | the thread that owns all that a knock needs: sleeps, reads packets, takes what others report |
//! | [`bell`], [`input`], [`rhythm`] | how it is woken, what it is told, when it reads |
//! | [`driver`] | tells the core what happened, does what it asks |
//! | [`deeds`] | what the gate asks for, done |
//! | [`hearing`] | what the driver asks policies, and what it does about what they say |
//! | [`packets`] | packets that the gate's thread reads |
//! | [`statics`] | fixed sequences: which ports are watched for them, who has come how far |
//! | [`central`], [`decoys`], [`holders`] | TCP connections, each a task beside it |
//! | [`budgets`], [`noise`] | what strangers may cost; what they do, counted |
//! | [`peers`] | the ways back to those who have asked |
//! | [`policy`], [`court`] | policies: where they come from; who is asked about what, each on a thread of its own |
//! | [`keeper`], [`flows`] | what takes long: the disk, the kernel's list of connections, each on a thread of its own |
//! | [`ledger`], [`scribe`] | what is written down, once the gate has acted |
//! | [`lease`], [`spares`] | when counters, and numbers of books, need not wait for the disk |
//! | [`vigil`] | roster and keys that admin commands change |
//! | [`desk`], [`insight`], [`listings`], [`orders`] | what is asked and ordered over the control sockets |
//! | [`figures`], [`trails`], [`why`] | what has happened since the start, counted; what has become of the latest knocks |
//! | [`upkeep`], [`doors`] | what is looked after every second; what is open, compared with what should be |
//! | [`descriptors`], [`sole`] | that it may open enough, and that there is no other agent |
//! | [`reload`] | another configuration for the running agent |
//! | [`notify`], [`journal`], [`stderr`] | what the service manager is told, and its log; the log where there is none |

mod adopt;
#[cfg(test)]
mod allocations;
mod apart;
mod bell;
mod budgets;
mod central;
mod clock;
mod connections;
mod court;
mod decoys;
mod deeds;
mod descriptors;
mod desk;
mod doors;
mod driver;
mod ears;
mod figures;
mod flows;
mod gate_thread;
mod hearing;
mod holders;
mod input;
mod insight;
mod journal;
mod keeper;
mod lease;
mod ledger;
mod listen;
mod listings;
mod noise;
mod notify;
mod orders;
mod packets;
mod peers;
mod plan;
mod policy;
mod reload;
mod rhythm;
mod scribe;
mod signals;
mod sole;
mod spares;
#[cfg(test)]
mod stage;
mod start;
mod statics;
mod stderr;
mod trails;
mod upkeep;
mod vigil;
mod why;

use std::path::Path;

use anyhow::Context;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::broker::NewBroker;

use journal::Journal;
pub(crate) use listings::CONSOLE;
pub use plan::{bare_plan, check_forwarding};
#[cfg(feature = "engine")]
pub use policy::Compiled;
pub use policy::{Loaded, Loader, SUPPORTED};
pub use reload::{Forecast, Running, forecast};
use signals::EarlyHangup;
use stderr::Stderr;

/// Runs the agent until a signal ends it.
///
/// # Errors
/// Whatever keeps the gate from going up, or something that it cannot do without has broken. The guard stays.
pub fn run(config: &Path) -> anyhow::Result<()> {
    let hangup = EarlyHangup::catch()?;
    begin_to_log();
    descriptors::ensure()?;
    apart::shed_rights(config)?;
    serve(config, None, &hangup)
}

/// The same for a process that has lost its rights, beside a broker that was started before.
///
/// # Errors
/// As [`run`], and if there is no broker.
pub fn worker(config: &Path) -> anyhow::Result<()> {
    let hangup = EarlyHangup::catch()?;
    begin_to_log();
    take_the_programs_name();
    let broker = NewBroker::inherited().context("only `knockgated run` starts a worker")?;
    serve(config, Some(broker), &hangup)
}

fn serve(config: &Path, broker: Option<NewBroker>, hangup: &EarlyHangup) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the event loop")?;
    let result = runtime.block_on(start::start(config, broker, hangup));
    // Threads that wait for the kernel or for work would be waited for in vain.
    runtime.shutdown_background();
    result
}

/// Changes the firewall for an agent that may not, until that one ends.
///
/// # Errors
/// No agent is at the other end, or it does not keep to the words.
pub fn broker() -> anyhow::Result<()> {
    begin_to_log();
    take_the_programs_name();
    crate::broker::main()
}

/// What `pgrep` and `killall` look for. A program that was started by its open file would be called after the place of that.
fn take_the_programs_name() {
    // Without it everything works as well.
    let _ = rustix::thread::set_name(c"knockgated");
}

/// What happens, for the journal or a terminal. `RUST_LOG=debug` also tells every refusal, `trace` every probe.
fn begin_to_log() {
    let wanted = std::env::var("RUST_LOG").unwrap_or_else(|_| "info".into());
    // The policy engine's compiler explains every instruction; who wants that names it.
    let filter = EnvFilter::new(format!("cranelift=warn,wasmtime=warn,{wanted}"));
    if let Some(journal) = Journal::behind_stderr() {
        tracing_subscriber::registry().with(filter).with(journal).init();
        return;
    }
    let on_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(Stderr::new())
        .with_ansi(on_terminal)
        .init();
}
