//! A client: the core's half of the protocol over a host's TCP stack.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use knockgate_core::client::Keys;
use knockgate_core::envelope::Message;
use knockgate_core::limits::MESSAGE_LEN;
use knockgate_core::message::{Answer, Kind, Offer, Request};
use smoltcp::iface::SocketHandle;

use crate::board::TestRng;
use crate::raw::{self, Ends};
use crate::world::{CENTRAL, SSH, Who, World};

/// How long a client waits for one answer or one closing. Long enough for a few retransmissions.
const PATIENCE: Duration = Duration::from_secs(9);

/// Alice at her machine, knocking at the address `gate`.
pub(crate) struct Knocker {
    keys: Keys,
    counter: u64,
    rng: TestRng,
    gate: IpAddr,
    service: u16,
    /// Where it asks over a connection.
    port: u16,
}

impl Knocker {
    pub(crate) fn new(world: &World, gate: IpAddr) -> Self {
        Self {
            keys: Keys::of(&world.profile).unwrap(),
            counter: 0,
            rng: TestRng::new(99),
            gate,
            service: SSH,
            port: CENTRAL,
        }
    }

    fn request(&mut self, kind: Kind, seconds: u32) -> Request {
        self.counter += 1;
        Request { service: self.service, seconds, ..Request::new(kind, self.counter) }
    }

    /// A client whose counter has come further.
    pub(crate) fn starting_at(world: &World, gate: IpAddr, counter: u64) -> Self {
        Self { counter, ..Self::new(world, gate) }
    }

    /// The same client, knocking at another address.
    pub(crate) fn towards(self, gate: IpAddr) -> Self {
        Self { gate, ..self }
    }

    /// The same client, asking at another port.
    pub(crate) fn asking_at(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// The same client, asking for another service.
    pub(crate) fn for_service(self, service: u16) -> Self {
        Self { service, ..self }
    }

    /// Asks for the console over a connection to `port`: the connection and what it was told, with the means to go on.
    pub(crate) fn call(&mut self, world: &mut World, port: u16) -> Option<(SocketHandle, Answer)> {
        let request = self.request(Kind::Console, 0);
        let (question, message) = self.keys.ask(&request, &mut self.rng).unwrap();
        let handle = world.host(Who::Alice).connect(SocketAddr::new(self.gate, port));
        let reply = exchange(world, Who::Alice, handle, &message)?;
        let (answer, _) = question.answer_and_go_on(&reply).unwrap();
        Some((handle, answer))
    }

    /// Asks once with one packet to `port`, and waits for nothing but what comes at once.
    pub(crate) fn packet(
        &mut self,
        world: &mut World,
        kind: Kind,
        seconds: u32,
        port: u16,
    ) -> Option<Answer> {
        let ends = world.towards_gateway(Who::Alice, self.gate, 40_000, port);
        self.packet_between(world, kind, seconds, ends)
    }

    /// The same, between given ends.
    pub(crate) fn packet_between(
        &mut self,
        world: &mut World,
        kind: Kind,
        seconds: u32,
        ends: Ends,
    ) -> Option<Answer> {
        let request = self.request(kind, seconds);
        let (question, message) = self.keys.ask(&request, &mut self.rng).unwrap();
        let port = &world.host(Who::Alice).port;
        port.datagrams();
        port.send(raw::datagram(ends, &message));
        world.run_until(Duration::ZERO, |_| true);
        let frames = world.host(Who::Alice).port.datagrams();
        let mut answers = frames.iter().filter_map(|frame| raw::read_datagram(frame));
        answers.find_map(|(_, _, reply)| question.answer(reply.try_into().ok()?).ok())
    }

    /// A sealed question for a number that nobody waits for an answer to.
    pub(crate) fn sealed(&mut self) -> Message {
        let request = self.request(Kind::NextNumber, 60);
        self.keys.ask(&request, &mut self.rng).unwrap().1
    }

    /// Asks once.
    pub(crate) fn ask(&mut self, world: &mut World, kind: Kind, seconds: u32) -> Option<Answer> {
        let request = self.request(kind, seconds);
        let (question, message) = self.keys.ask(&request, &mut self.rng).unwrap();
        let reply = converse(world, Who::Alice, SocketAddr::new(self.gate, self.port), &message)?;
        Some(question.answer(&reply).unwrap())
    }

    /// Asks for a number, again and again if the network is bad.
    pub(crate) fn offered(&mut self, world: &mut World, seconds: u32) -> Offer {
        let answer = (0..20).find_map(|_| self.ask(world, Kind::NextNumber, seconds)).unwrap();
        answer.offer.unwrap_or_else(|| panic!("no number on offer: {answer:?}"))
    }

    /// What has become of the last knock.
    pub(crate) fn status(&mut self, world: &mut World) -> Answer {
        (0..20).find_map(|_| self.ask(world, Kind::Status, 0)).unwrap()
    }

    /// The ports of an offered number.
    pub(crate) fn ports(&self, world: &World, offer: Offer) -> Vec<u16> {
        let book = &world.profile.book;
        book.sequence(offer.number, &book.decoys()).unwrap().to_vec()
    }

    /// Connects to every port in turn and waits until the gate has closed; `false` if a port did not answer.
    pub(crate) fn connect_all(&mut self, world: &mut World, ports: &[u16]) -> bool {
        ports.iter().all(|&port| touch(world, Who::Alice, SocketAddr::new(self.gate, port)))
    }

    /// Sends a SYN to every port and waits for nothing.
    pub(crate) fn probe_all(&mut self, world: &mut World, ports: &[u16], gap_ms: u16) {
        for &port in ports {
            let handle = world.host(Who::Alice).connect(SocketAddr::new(self.gate, port));
            world.pass(Duration::from_millis(gap_ms.into()));
            world.host(Who::Alice).forget(handle);
        }
    }

    /// The whole of it, in connect mode.
    pub(crate) fn knock(&mut self, world: &mut World, seconds: u32) {
        let offer = self.offered(world, seconds);
        let ports = self.ports(world, offer);
        assert!(self.connect_all(world, &ports), "every port of the sequence answers the holder");
    }
}

/// Sends `bytes` and waits for a message; `None` if the other side is silent.
pub(crate) fn converse(world: &mut World, who: Who, to: SocketAddr, bytes: &[u8]) -> Option<Message> {
    let handle = world.host(who).connect(to);
    let heard = exchange(world, who, handle, bytes);
    world.host(who).socket(handle).close();
    world.run_until(Duration::ZERO, |_| true);
    heard
}

/// The same over a connection that was begun and stays.
fn exchange(world: &mut World, who: Who, handle: SocketHandle, bytes: &[u8]) -> Option<Message> {
    let (mut sent, mut heard) = (false, Vec::new());
    world.run_until(PATIENCE, |world| {
        let host = world.host(who);
        if !sent && host.socket(handle).may_send() {
            host.socket(handle).send_slice(bytes).unwrap();
            sent = true;
        }
        heard.extend(host.read(handle));
        heard.len() >= MESSAGE_LEN || (sent && !host.socket(handle).may_recv())
    });
    heard.try_into().ok()
}

/// Connects, waits until the other side closes, and closes; `false` if it did not answer or did not close.
pub(crate) fn touch(world: &mut World, who: Who, to: SocketAddr) -> bool {
    use smoltcp::socket::tcp::State;
    let handle = world.host(who).connect(to);
    let closed = world.run_until(PATIENCE, |world| {
        matches!(world.host(who).state(handle), State::CloseWait | State::Closed)
    });
    let served = closed && world.host(who).state(handle) == State::CloseWait;
    world.host(who).socket(handle).close();
    world.run_until(Duration::ZERO, |_| true);
    served
}
