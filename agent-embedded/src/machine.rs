//! A machine that has started: a gateway that is up, or one that stays shut.
//!
//! Here everything that the board brings and the site describes comes together in one environment: journal, court, audit log,
//! and the two consoles, the one that is wired to the board and the one that is spoken with from afar.

mod post;

use alloc::boxed::Box;
use core::fmt::Write;

use knockgate_core::{Instant, Now};
use rand_core::CryptoRng;
use smoltcp::phy::Device;

use crate::board::Flash;
use crate::gateway::Gateway;
use crate::refusals::RefusalReport;
use crate::shut::ShutGateway;
use crate::site::SiteRoster;

pub(crate) use post::Post;

/// Everything of a gateway, with a clock and a loop left to the board.
pub struct Machine<Outer, Inner, F: Flash, G, C> {
    state: State<Outer, Inner, F, G, C>,
}

/// What a turn has left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// When to call again if no frame comes before; a moment that has passed means at once, and `None` never.
    pub next: Option<Instant>,
    /// Whether the board shall restart: another site image is to be tried.
    pub restart: bool,
}

pub(crate) type Up<Outer, Inner, F, G, C> = Gateway<Outer, Inner, SiteRoster, G, Post<F, C>>;

enum State<Outer, Inner, F: Flash, G, C> {
    Up(Box<Up<Outer, Inner, F, G, C>>, RefusalReport),
    Shut(Box<ShutGateway<Outer, Inner>>),
}

impl<Outer: Device, Inner: Device, F: Flash, G: CryptoRng, C: Write> Machine<Outer, Inner, F, G, C> {
    pub(crate) fn up(gateway: Box<Up<Outer, Inner, F, G, C>>) -> Self {
        Self { state: State::Up(gateway, RefusalReport::default()) }
    }

    pub(crate) fn shut(gateway: Box<ShutGateway<Outer, Inner>>) -> Self {
        Self { state: State::Shut(gateway) }
    }

    /// Whether the gate is up.
    pub fn is_up(&self) -> bool {
        match &self.state {
            State::Up(..) => true,
            State::Shut(_) => false,
        }
    }

    /// Takes what has come in, does what is due, sends what is ready: a bounded amount of work. Extra calls are harmless;
    /// `now` never runs backwards.
    pub fn turn(&mut self, now: Now) -> Turn {
        match &mut self.state {
            State::Up(gateway, refused) => turn(gateway, refused, now),
            State::Shut(gateway) => Turn { next: gateway.poll(now.instant), restart: false },
        }
    }
}

fn turn<Outer: Device, Inner: Device, F: Flash, G: CryptoRng, C: Write>(
    gateway: &mut Up<Outer, Inner, F, G, C>,
    refused: &mut RefusalReport,
    now: Now,
) -> Turn {
    let now = gateway.environment().calendar.complete(now);
    let next = gateway.poll(now);
    let restart = gateway.environment().console.wants_restart() && gateway.has_said_all();
    let line = refused.due(now.instant, gateway.gate().refusals()).map(|line| alloc::format!("{line}"));
    let post = gateway.environment_mut();
    post.print();
    if let Some(line) = line {
        post.say(line);
    }
    Turn { next, restart }
}
