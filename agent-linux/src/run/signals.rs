//! The signals: two end the agent, one makes it read its configuration again.

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::input::{Input, Inputs};
use super::reload::Reloads;

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
