//! Questions to one gate under one profile: finds the way and the address that answer, and stays with them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use getrandom::SysRng;
use knockgate_core::client::{ExchangeError, Keys};
use knockgate_core::key::DoorKey;
use knockgate_core::message::{Kind, Request};
use knockgate_core::profile::{Hosts, PortRange, Profile, ProfileService};
use rand_core::{Rng, UnwrapErr};

use crate::console::conversation::Conversation;
use crate::dial;
use crate::exchange::{self, Answered, NoAnswer, Route, Way, exchange};
use crate::kept::Kept;
use crate::ledger::Ledger;
use crate::outcome::Failure;
use crate::packet::{self, Prepared, Try};
use crate::print::Facts;
use crate::settings::{Choices, Family, Via};
use crate::voice::Voice;

/// How long a whole address family may stay silent if there is another one: two tries.
const HURRY: Duration = Duration::from_millis(2300);
/// How often all addresses are tried over TCP. Once more, in case the first packets were lost or the counter was burnt; not if
/// every address refused at once.
const ROUNDS: u32 = 2;

pub(crate) struct Session<'a> {
    pub(crate) kept: &'a mut Kept,
    pub(crate) ledger: Ledger,
    pub(crate) voice: &'a Voice,
    pub(crate) facts: &'a mut Facts,
    /// When the client gives up.
    pub(crate) deadline: Instant,
    pub(crate) patience: Duration,
    pub(crate) via: Via,
    keys: Keys,
    family: Family,
    ways: Vec<Way>,
    ports: Option<PortRange>,
    /// Those that are tried; none until somebody has looked them up or chosen some.
    addresses: Option<Vec<SocketAddr>>,
    /// What has answered.
    found: Option<(Way, Route)>,
    jump: Jump,
    pub(crate) pace: Pace,
}

/// How long a silent gate is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    Usual,
    /// There is another address family to be tried.
    Hurried,
}

/// Whether counters have left behind what a crash of the gate may have burnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Jump {
    NotDue,
    Due,
    /// An answer has shown that there is no need.
    NotNeeded,
}

impl<'a> Session<'a> {
    pub(crate) fn new(
        kept: &'a mut Kept,
        ledger: Ledger,
        voice: &'a Voice,
        facts: &'a mut Facts,
        (choices, deadline): (&Choices, Instant),
    ) -> Result<Self, Failure> {
        let keys = Keys::of(&kept.profile).map_err(|_| Failure::BadKeys)?;
        let via = choices.via.unwrap_or_default();
        Ok(Self {
            ways: ways(&kept.profile, via)?,
            ports: packet_ports(&kept.profile, choices),
            kept,
            ledger,
            voice,
            facts,
            deadline,
            patience: choices.patience(),
            via,
            keys,
            family: choices.family(),
            addresses: None,
            found: None,
            jump: Jump::NotDue,
            pace: Pace::Usual,
        })
    }

    /// Asks the gate; the counter of `draft` does not matter. The first answer decides which way and address are used from
    /// then on.
    pub(crate) fn ask(&mut self, draft: &Request) -> Result<Answered, Failure> {
        let answered = match self.found {
            Some((way, route)) => self.ask_by(way, draft, &[route.to], Some(route.from))?,
            None => self.ask_anywhere(draft)?,
        };
        self.found = Some((answered.way, answered.route));
        // The gate takes these counters: if another address is silent, it is for another reason.
        self.jump = Jump::NotNeeded;
        self.facts.learn_answer(&answered);
        if let Some(key) = &answered.answer.door_key {
            self.take_door_key(key);
        }
        Ok(answered)
    }

    /// Asks for the console, whose service is open on this way, and goes on over the connection if the answer says so.
    pub(crate) fn converse(
        &mut self,
        service: u16,
        (to, from): (SocketAddr, SocketAddr),
    ) -> Result<(Answered, Conversation), Failure> {
        let counter = self.jump.next(&mut self.ledger)?;
        let request = Request { service, ..Request::new(Kind::Console, counter) };
        let (way, rng) = ((to, Some(from)), &mut UnwrapErr(SysRng));
        self.facts.address = Some(to.ip());
        exchange::converse(&self.keys, &request, way, self.deadline, rng).map_err(|why| match why {
            NoAnswer::Connect(source) => Failure::NoConnection { to: to.to_string(), source },
            NoAnswer::NewerGate => Failure::NewerGate,
            NoAnswer::Keys => Failure::BadKeys,
            NoAnswer::Silence | NoAnswer::Cut | NoAnswer::NotTheGate => Failure::Unreachable(vec![(to, why)]),
            NoAnswer::Unsent(_) | NoAnswer::Unanswered { .. } | NoAnswer::Shut => Failure::Unexpected,
        })
    }

    /// When this question's answer can be awaited no longer.
    pub(crate) fn is_late(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// The addresses of the gate that may be tried, in the resolver's order. Their ports do not matter.
    pub(crate) fn addresses(&mut self) -> Result<Vec<SocketAddr>, Failure> {
        if let Some(addresses) = &self.addresses {
            return Ok(addresses.clone());
        }
        let host = self.facts.host.clone();
        self.voice.step(format!("looking up {host}"));
        let addresses = dial::resolve(&host, 0, self.family, self.deadline).map_err(Failure::Resolve)?;
        self.addresses = Some(addresses.clone());
        Ok(addresses)
    }

    /// Has only the families asked from now on in which the service can be connected to.
    pub(crate) fn keep_to(&mut self, service: &ProfileService) -> Result<(), Failure> {
        if service.hosts == Hosts::AT_GATE {
            return Ok(());
        }
        let mut addresses = self.addresses()?;
        addresses.retain(|gate| service.address(gate.ip()).is_some());
        if addresses.is_empty() {
            return Err(Failure::OtherFamily { service: service.name.to_string(), hosts: service.hosts });
        }
        self.turn_to(addresses);
        Ok(())
    }

    /// Has only these addresses asked from now on, whatever has answered before.
    pub(crate) fn turn_to(&mut self, addresses: Vec<SocketAddr>) {
        self.addresses = Some(addresses);
        self.found = None;
    }

    /// Has questions go this way alone from now on.
    pub(crate) fn use_only(&mut self, way: Way) {
        self.ways = vec![way];
        self.found = None;
    }

    fn ask_anywhere(&mut self, draft: &Request) -> Result<Answered, Failure> {
        let addresses = self.addresses()?;
        let mut tries = Vec::new();
        for way in self.ways.clone() {
            if self.is_late() && !tries.is_empty() {
                break;
            }
            match self.ask_by(way, draft, &addresses, None) {
                Err(Failure::Unreachable(why)) => tries.extend(why),
                answered => return answered,
            }
        }
        // The message lists what was tried; none of it was the gate.
        self.facts.address = None;
        Err(Failure::Unreachable(tries))
    }

    fn ask_by(
        &mut self,
        way: Way,
        draft: &Request,
        addresses: &[SocketAddr],
        from: Option<SocketAddr>,
    ) -> Result<Answered, Failure> {
        match way {
            Way::Packet => self.ask_by_packet(draft, addresses, from),
            Way::Tcp => self.ask_by_tcp(draft, addresses, from),
        }
    }

    fn ask_by_packet(
        &mut self,
        draft: &Request,
        addresses: &[SocketAddr],
        from: Option<SocketAddr>,
    ) -> Result<Answered, Failure> {
        let ports = self.ports.ok_or(Failure::NoPackets)?;
        let deadline = match self.pace {
            Pace::Usual => self.deadline,
            Pace::Hurried => self.deadline.min(Instant::now() + HURRY),
        };
        let Self { keys, ledger, facts, jump, voice, .. } = self;
        let result = packet::exchange(addresses, from, deadline, |to, attempt| {
            let port = any_of(ports);
            (facts.address, facts.port) = (Some(to.ip()), port);
            voice.step(format!("asking {}", facts.gate_and_address()));
            if attempt == Try::Again {
                jump.is_due();
            }
            let counter = jump.next(ledger)?;
            let (question, message) =
                keys.ask(&Request { counter, ..*draft }, &mut UnwrapErr(SysRng)).map_err(no_question)?;
            Ok(Prepared { question, message, port })
        });
        if matches!(result, Err(Failure::Unreachable(_))) {
            jump.is_due();
        }
        result
    }

    fn ask_by_tcp(
        &mut self,
        draft: &Request,
        addresses: &[SocketAddr],
        from: Option<SocketAddr>,
    ) -> Result<Answered, Failure> {
        let port =
            Some(self.kept.profile.central_port).filter(|&port| port != 0).ok_or(Failure::NoCentral)?;
        let rounds = match (from, self.pace) {
            (None, Pace::Usual) => ROUNDS,
            (Some(_), _) | (None, Pace::Hurried) => 1,
        };
        let mut tries = Vec::new();
        for _ in 0..rounds {
            tries.clear();
            for &address in addresses {
                let to = dial::with_port(address, port);
                (self.facts.address, self.facts.port) = (Some(to.ip()), port);
                self.voice.step(format!("asking {}", self.facts.gate_and_address()));
                match self.connect_and_ask(draft, to, from)? {
                    Ok(answered) => return Ok(answered),
                    Err(why) => tries.push((to, why)),
                }
            }
            // Silence once more is worth a try with a counter that no crash of the gate can have burnt.
            let again = self.jump == Jump::Due || tries.iter().any(|(_, why)| may_be_loss(why));
            if self.is_late() || !again {
                break;
            }
        }
        Err(Failure::Unreachable(tries))
    }

    fn connect_and_ask(
        &mut self,
        draft: &Request,
        to: SocketAddr,
        from: Option<SocketAddr>,
    ) -> Result<Result<Answered, NoAnswer>, Failure> {
        let counter = self.jump.next(&mut self.ledger)?;
        // Behind an address translation the client does not know the address that the gate sees, so it claims none.
        let request = Request { counter, ..*draft };
        match exchange(&self.keys, &request, (to, from), self.deadline, &mut UnwrapErr(SysRng)) {
            Ok(answered) => Ok(Ok(answered)),
            Err(NoAnswer::NewerGate) => Err(Failure::NewerGate),
            Err(NoAnswer::Keys) => Err(Failure::BadKeys),
            Err(why) => {
                if is_silence(&why) {
                    self.jump.is_due();
                }
                Ok(Err(why))
            }
        }
    }

    /// The gate's door key is being changed: the new one is used at once, and by later runs.
    fn take_door_key(&mut self, key: &DoorKey) {
        if let Err(fault) = self.kept.rewrite(|profile| profile.door_key = key.clone()) {
            self.voice.warning(&format!("the gate's new door key could not be stored: {fault}"));
        }
        self.kept.profile.door_key = key.clone();
        if let Ok(keys) = Keys::of(&self.kept.profile) {
            self.keys = keys;
        }
    }
}

impl Jump {
    /// A question was met with silence.
    fn is_due(&mut self) {
        if *self == Self::NotDue {
            *self = Self::Due;
        }
    }

    /// The counter of the next question.
    fn next(&mut self, ledger: &mut Ledger) -> Result<u64, Failure> {
        let counter = match self {
            Self::NotDue | Self::NotNeeded => ledger.next_counter(),
            Self::Due => {
                // Silence once more makes the next one due: there may have been more than one crash.
                *self = Self::NotDue;
                ledger.counter_after_silence()
            }
        };
        counter.map_err(Failure::Ledger)
    }
}

/// The ways that questions may go, the preferred one first.
fn ways(profile: &Profile, via: Via) -> Result<Vec<Way>, Failure> {
    let packet = profile.packet_ports.map(|_| Way::Packet);
    let tcp = Some(Way::Tcp).filter(|_| profile.central_port != 0);
    match via {
        Via::Auto | Via::Sequence => Ok(packet.into_iter().chain(tcp).collect()),
        Via::Packet => Ok(vec![packet.ok_or(Failure::NoPackets)?]),
        Via::Tcp => Ok(vec![tcp.ok_or(Failure::NoCentral)?]),
    }
}

/// A port that somebody chose counts for more than what the profile says: he may be behind a translation.
fn packet_ports(profile: &Profile, choices: &Choices) -> Option<PortRange> {
    let chosen = choices.port.map(|port| PortRange { first: port, last: port });
    profile.packet_ports.map(|ports| chosen.unwrap_or(ports))
}

/// One of the ports, each as likely as the other.
fn any_of(ports: PortRange) -> u16 {
    let count = u32::from(ports.last.saturating_sub(ports.first)) + 1;
    let offset = UnwrapErr(SysRng).next_u32() % count;
    u16::try_from(u32::from(ports.first) + offset).unwrap_or(ports.last)
}

fn no_question(error: ExchangeError) -> Failure {
    match error {
        ExchangeError::Keys | ExchangeError::NotTheGate => Failure::BadKeys,
        ExchangeError::NewerGate => Failure::NewerGate,
    }
}

fn is_silence(why: &NoAnswer) -> bool {
    match why {
        NoAnswer::Silence | NoAnswer::Cut | NoAnswer::Unanswered { .. } => true,
        NoAnswer::Connect(_) | NoAnswer::NotTheGate | NoAnswer::NewerGate | NoAnswer::Keys => false,
        NoAnswer::Unsent(_) | NoAnswer::Shut => false,
    }
}

fn may_be_loss(why: &NoAnswer) -> bool {
    match why {
        NoAnswer::Connect(error) => error.kind() == std::io::ErrorKind::TimedOut,
        // A gate that means its silence keeps the connection for longer than anybody waits here.
        NoAnswer::Cut => true,
        NoAnswer::Silence | NoAnswer::NotTheGate | NoAnswer::NewerGate | NoAnswer::Keys => false,
        NoAnswer::Unsent(_) | NoAnswer::Unanswered { .. } | NoAnswer::Shut => false,
    }
}
