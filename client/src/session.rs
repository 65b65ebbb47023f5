//! Questions to one gate under one profile: finds the address that answers, and stays with it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use getrandom::SysRng;
use knockgate_core::client::Keys;
use knockgate_core::message::{Kind, Request};
use knockgate_core::profile::Profile;
use rand_core::UnwrapErr;

use crate::dial;
use crate::exchange::{Answered, NoAnswer, Route, exchange};
use crate::ledger::Ledger;
use crate::outcome::Failure;
use crate::print::Facts;
use crate::settings::{Choices, Family};
use crate::voice::Voice;

/// How often all addresses are tried. Once more, in case the first packets were lost; not if every address refused at once.
const ROUNDS: u32 = 2;

pub(crate) struct Session<'a> {
    pub(crate) profile: &'a Profile,
    pub(crate) ledger: Ledger,
    pub(crate) voice: &'a Voice,
    pub(crate) facts: &'a mut Facts,
    /// When the client gives up.
    pub(crate) deadline: Instant,
    pub(crate) patience: Duration,
    keys: Keys,
    family: Family,
    route: Option<Route>,
}

impl<'a> Session<'a> {
    pub(crate) fn new(
        profile: &'a Profile,
        ledger: Ledger,
        voice: &'a Voice,
        facts: &'a mut Facts,
        (choices, deadline): (&Choices, Instant),
    ) -> Result<Self, Failure> {
        let keys = Keys::of(profile).map_err(|_| Failure::BadKeys)?;
        let (family, patience) = (choices.family(), choices.patience());
        Ok(Self { profile, ledger, voice, facts, deadline, patience, keys, family, route: None })
    }

    /// Asks the gate. The first answer decides which address is used from then on.
    pub(crate) fn ask(&mut self, kind: Kind, service: u16, seconds: u32) -> Result<Answered, Failure> {
        let answered = match self.route {
            Some(route) => self.ask_at(kind, service, seconds, (route.to, Some(route.from)))?,
            None => self.ask_anywhere(kind, service, seconds)?,
        };
        self.route = Some(answered.route);
        self.facts.address = Some(answered.route.to.ip());
        self.facts.book_left = Some(answered.answer.book_left);
        Ok(answered)
    }

    /// When this question's answer can be awaited no longer.
    pub(crate) fn is_late(&self) -> bool {
        Instant::now() >= self.deadline
    }

    fn ask_anywhere(&mut self, kind: Kind, service: u16, seconds: u32) -> Result<Answered, Failure> {
        let (host, port) = (self.facts.host.clone(), self.facts.port);
        self.voice.step(format!("looking up {host}"));
        let addresses = dial::resolve(&host, port, self.family, self.deadline).map_err(Failure::Resolve)?;
        let mut tries = Vec::new();
        for _ in 0..ROUNDS {
            tries.clear();
            for &address in &addresses {
                self.facts.address = Some(address.ip());
                self.voice.step(format!("asking {}", self.facts.gate_and_address()));
                match self.ask_at(kind, service, seconds, (address, None)) {
                    Ok(answered) => return Ok(answered),
                    Err(Failure::Unreachable(why)) => tries.extend(why),
                    Err(failure) => return Err(failure),
                }
            }
            if self.is_late() || !tries.iter().any(|(_, why)| may_be_loss(why)) {
                break;
            }
        }
        // The message lists what was tried; none of it was the gate.
        self.facts.address = None;
        Err(Failure::Unreachable(tries))
    }

    fn ask_at(
        &mut self,
        kind: Kind,
        service: u16,
        seconds: u32,
        (to, from): (SocketAddr, Option<SocketAddr>),
    ) -> Result<Answered, Failure> {
        let counter = self.ledger.next_counter().map_err(Failure::Ledger)?;
        // Behind an address translation the client does not know the address that the gate sees, so it claims none.
        let request = Request { service, seconds, ..Request::new(kind, counter) };
        exchange(&self.keys, &request, (to, from), self.deadline, &mut UnwrapErr(SysRng)).map_err(|why| {
            match why {
                NoAnswer::NewerGate => Failure::NewerGate,
                NoAnswer::Keys => Failure::BadKeys,
                NoAnswer::Connect(_) | NoAnswer::Silence | NoAnswer::Cut | NoAnswer::NotTheGate => {
                    Failure::Unreachable(vec![(to, why)])
                }
            }
        })
    }
}

fn may_be_loss(why: &NoAnswer) -> bool {
    match why {
        NoAnswer::Connect(error) => error.kind() == std::io::ErrorKind::TimedOut,
        // A gate that means its silence keeps the connection for longer than anybody waits here.
        NoAnswer::Cut => true,
        NoAnswer::Silence | NoAnswer::NotTheGate | NoAnswer::NewerGate | NoAnswer::Keys => false,
    }
}
