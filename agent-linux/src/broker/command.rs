//! The words between worker and broker. Only they may change: both come from one file, so there are no versions.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::channel::MESSAGE_BYTES;
use super::permit::Bounds;
use crate::capture::opener::Needed;
use crate::confine::BrokersSandbox;
use crate::firewall::{Grant, Integrity, Plan, Protocol, Reach, SetName};

/// What a worker says that has heard nobody yet.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum First {
    /// A socket that takes a right. Answered by [`Opened`].
    Open(Needed),
    /// The [`Assignment`] follows, so many bytes in pieces. After it there are commands alone.
    Assignment(u32),
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Opened {
    /// It comes with this message.
    There,
    /// Another program has it.
    Taken,
    /// The kernel's number for the error.
    Failed(i32),
}

/// What is guarded and how far grants go; and what the broker gives up.
#[derive(Serialize, Deserialize)]
pub(super) struct Assignment {
    pub(super) plan: Plan,
    pub(super) bounds: Bounds,
    pub(super) sandbox: BrokersSandbox,
}

/// Everything that the worker can want of the gate. One at a time, each with one [`Reply`].
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Command {
    /// Shut the gate by the plan.
    Install,
    /// Do so again: somebody has changed the table.
    Restore,
    Verify,
    Open(Grant),
    Close(Grant),
    Watch {
        source: IpAddr,
        hold: Duration,
    },
    Unwatch {
        source: IpAddr,
    },
    /// What is open? Answered by an [`Item`] after the other before the reply.
    List,
    /// Shut what neither this worker nor one before it has opened.
    RemoveForeign,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    Done,
    Verified(Integrity),
    Refused(Reason),
}

/// Of a list.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Item {
    Grant {
        id: u32,
        client: u32,
        service: u16,
        source: IpAddr,
        reach: Reach,
        protocol: Protocol,
        remaining: Duration,
    },
    /// Of the grant before.
    Ports(Vec<u16>),
    Foreign {
        set: SetName,
        source: IpAddr,
        protocol: Protocol,
        port: u16,
    },
    /// There is no more.
    End,
}

/// Ports of one message.
pub(super) const PORTS_AT_ONCE: usize = 128;

/// What the flows' thread asks, on a socket of its own: through which of these does something go?
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Question {
    /// Another grant to look for.
    Of(Grant),
    /// Those are all.
    Look,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Sight {
    /// For each grant, in their order.
    Alive(Alive),
    Unknown(Reason),
}

/// Grants that one question can be about.
pub(super) const MAX_FOLLOWED: usize = 1024;
/// A bit for each.
pub(super) type Alive = heapless::Vec<u8, { MAX_FOLLOWED / 8 }>;

/// An error, for people. It is never longer than a message.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Reason(String);

const REASON_BYTES: usize = MESSAGE_BYTES - 16;

impl Reason {
    pub(super) fn of(error: &dyn std::fmt::Display) -> Self {
        let mut text = error.to_string();
        text.truncate(text.floor_char_boundary(REASON_BYTES));
        Self(text)
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }
}
