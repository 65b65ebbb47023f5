//! What happened when, and to whom.

use std::fmt::Display;
use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Result, bail};
use knockgate_tests::Host;
use knockgate_tests::peers::Reached;

/// What a connection must come to.
pub(crate) enum Expected {
    Open,
    Shut,
}

pub(crate) struct Timeline {
    started: Instant,
}

impl Timeline {
    pub(crate) fn start() -> Self {
        Self { started: Instant::now() }
    }

    pub(crate) fn tell(&self, who: &str, what: impl Display) {
        println!("{:8.3} s  {who:<9} {what}", self.started.elapsed().as_secs_f64());
    }

    /// Connects, tells what came of it, and fails if it is not what it should be.
    pub(crate) fn reach(&mut self, who: &str, from: &Host, to: SocketAddr, expected: Expected) -> Result<()> {
        let reached = knockgate_tests::peers::reach(from, to)?;
        let what = match &reached {
            Reached::Greeting(line) => format!("connected, the service says {line:?}"),
            Reached::Mute => "connected, but nobody speaks".to_owned(),
            Reached::Refused => "refused with a reset".to_owned(),
            Reached::Silence => "no answer, as if nothing were there".to_owned(),
            Reached::Error(kind) => format!("the network says {kind}"),
        };
        self.tell(who, format_args!("connects to {to}: {what}"));
        match (expected, reached) {
            (Expected::Open, Reached::Greeting(_)) | (Expected::Shut, Reached::Silence) => Ok(()),
            (Expected::Open, _) => bail!("{to} should be open for the {who}"),
            (Expected::Shut, _) => bail!("{to} should be shut and silent for the {who}"),
        }
    }
}
