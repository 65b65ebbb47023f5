//! The signals: two end the agent, one makes it read its configuration again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use signal_hook::consts::SIGHUP;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::input::{Input, Inputs};
use super::reload::Reloads;

/// Whether it was wished before the gate was up that the configuration be read again.
///
/// A start is ended by the other two. By this one nobody wants it ended: a service manager would take that for a clean end, and not
/// start the agent again.
pub(super) struct EarlyHangup(Arc<AtomicBool>);

impl EarlyHangup {
    /// From here on it no longer kills the process. To be called first of all.
    pub(super) fn catch() -> anyhow::Result<Self> {
        let came = Arc::default();
        signal_hook::flag::register(SIGHUP, Arc::clone(&came)).context("cannot catch signals")?;
        Ok(Self(came))
    }

    /// The configuration may have been read before it came.
    pub(super) fn report(&self, reloads: &Reloads) {
        if self.0.load(Ordering::Relaxed) {
            reloads.ask("SIGHUP".to_owned(), None);
        }
    }
}

/// Waits for one of them.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

enum Caught {
    End(&'static str),
    Reload,
}

impl Signals {
    /// From here on they no longer kill the process.
    pub(super) fn catch() -> anyhow::Result<Self> {
        let catch = |kind| signal(kind).context("cannot catch signals");
        Ok(Self {
            terminate: catch(SignalKind::terminate())?,
            interrupt: catch(SignalKind::interrupt())?,
            hangup: catch(SignalKind::hangup())?,
        })
    }

    /// Tells of every one whom it concerns.
    pub(super) async fn report(mut self, inputs: Inputs, reloads: Reloads) {
        loop {
            match self.next().await {
                Caught::Reload => reloads.ask("SIGHUP".to_owned(), None),
                Caught::End(name) if inputs.send(Input::Signal(name)).await.is_err() => return,
                Caught::End(_) => {}
            }
        }
    }

    async fn next(&mut self) -> Caught {
        tokio::select! {
            _ = self.terminate.recv() => Caught::End("SIGTERM"),
            _ = self.interrupt.recv() => Caught::End("SIGINT"),
            _ = self.hangup.recv() => Caught::Reload,
        }
    }
}
