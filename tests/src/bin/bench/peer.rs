//! What is compared: somebody who opens a port when he is knocked at.

use std::process::{Child, Command, Output, Stdio};

use anyhow::{Context, Result, bail};
use knockgate_tests::{Host, Lab};

use crate::process::Process;
use crate::segment::{Moment, Segment};
use crate::wire::{Pace, Seen, Watching, Wire};

/// What one knock took, in milliseconds.
pub(crate) struct Knock {
    pub(crate) to_open: f64,
    /// From the first packet to the answer, where there is one.
    pub(crate) to_answer: Option<f64>,
    /// Of the process that knocked, where it is one of the peer's own.
    pub(crate) client: Option<Client>,
    /// What [`Peer::phases`] names.
    pub(crate) phases: Vec<f64>,
    pub(crate) seen: Seen,
}

/// Milliseconds from the start of the client's process.
#[derive(Clone, Copy)]
pub(crate) struct Client {
    pub(crate) to_open: f64,
    /// Only of one that waits until it knows that the port is open.
    pub(crate) to_end: Option<f64>,
}

/// What has to pass between two knocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    None,
    /// The grant of the first has to end.
    UntilShut,
}

pub(crate) trait Peer {
    /// One word for tables and plots.
    fn id(&self) -> &'static str;

    /// Who it is and how it is knocked at.
    fn title(&self) -> &str;

    /// What happens from the first packet to the open port, one after the other; parts of others in italics.
    fn phases(&self) -> &'static [&'static str] {
        &[]
    }

    fn lab(&self) -> &Lab;

    /// Who hears; nobody if the kernel does it alone.
    fn process(&self) -> Option<Process>;

    /// Bytes of logs so far, wherever they go.
    fn written(&self) -> u64;

    /// How often the port is probed where time counts.
    fn pace(&self) -> Pace {
        Pace::Fine
    }

    /// How one knock can follow another.
    fn rest(&self) -> Rest {
        Rest::None
    }

    /// It ends well only if the port was shut before and open in time.
    fn knock(&mut self, watching: Watching) -> Result<Knock>;

    /// The next knock finds the port shut.
    fn wait_until_shut(&mut self) -> Result<()> {
        Ok(())
    }
}

/// A knock by a client's process: what passed, and the process's times.
pub(crate) struct Observed {
    pub(crate) seen: Seen,
    started: Moment,
    ended: Moment,
}

impl Observed {
    /// Starts the command from a host when its turn has come, and waits for its end, which has to be a good one.
    pub(crate) fn by(
        wire: &mut Wire,
        from: &Host,
        watching: Watching,
        command: &mut Command,
    ) -> Result<Self> {
        from.inside(|| {
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let ((started, child), seen) = wire.observe(watching, |_| {
                let started = Moment::now();
                Ok((started, command.spawn().context("cannot start the client")?))
            })?;
            let ended = end(child)?;
            Ok(Self { seen: seen?, started, ended })
        })
    }

    pub(crate) fn client(&self) -> Client {
        let to_end = Some(self.ended.since(self.started));
        Client { to_open: self.seen.open.since(self.started), to_end }
    }

    /// A knock without phases, whose first packet is of this kind.
    pub(crate) fn knock(self, is_first: impl Fn(&Segment) -> bool) -> Result<Knock> {
        let client = Some(self.client());
        Ok(Knock { client, ..Knock::of(self.seen, is_first)? })
    }
}

impl Knock {
    /// Its first packet is of this kind, and nobody measures more of it.
    pub(crate) fn of(seen: Seen, is_first: impl Fn(&Segment) -> bool) -> Result<Self> {
        let begun = seen.begun(is_first)?;
        let to_open = seen.open.since(begun);
        Ok(Self { to_open, to_answer: None, client: None, phases: Vec::new(), seen })
    }
}

/// When the client ended, which has to have been well.
fn end(client: Child) -> Result<Moment> {
    let Output { status, stderr, .. } = client.wait_with_output()?;
    let ended = Moment::now();
    if !status.success() {
        bail!("the client ended with {status}: {}", String::from_utf8_lossy(&stderr).trim());
    }
    Ok(ended)
}
