//! The signals that end the agent.

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::input::{Input, Inputs};

/// Waits for one of them.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From here on they no longer kill the process.
    pub(super) fn catch() -> anyhow::Result<Self> {
        let catch = |kind| signal(kind).context("cannot catch signals");
        Ok(Self { terminate: catch(SignalKind::terminate())?, interrupt: catch(SignalKind::interrupt())? })
    }

    /// Tells the gate's thread of every one.
    pub(super) async fn report(mut self, inputs: Inputs) {
        while inputs.send(Input::Signal(self.next().await)).await.is_ok() {}
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
