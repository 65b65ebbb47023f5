//! The real gate of the core behind real sockets, with a host that opens nothing but notes what it should.
//!
//! It can lose datagrams, have answers forged, and have a clock of its own.
#![allow(clippy::unwrap_used, reason = "a gate that cannot go on fails its test")]
#![allow(dead_code, reason = "each test file uses its own part")]

pub(crate) mod console;
#[path = "../finished/mod.rs"]
mod finished;

use std::collections::HashMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use getrandom::SysRng;
use knockgate_core::action::{Action, Consultation, Decision, Effect, Origin, Outcome, Peer, Verdict, Way};
use knockgate_core::book::{Book, DecoySeed, Order, Shape};
use knockgate_core::envelope::Message;
use knockgate_core::gate::{Config, Gate, LockoutScope, Prefixes, Service};
use knockgate_core::key::{DoorKey, GateId, Identity, SecretKey};
use knockgate_core::limits::MESSAGE_LEN;
use knockgate_core::message::{Kind, Mode};
use knockgate_core::note::Note;
use knockgate_core::profile::{Hosts, PortRange, Profile, ProfileService, Protocol};
use knockgate_core::replay::{Burnt, Used};
use knockgate_core::roster::{Client, ClientId, FixedRoster, Roster};
use knockgate_core::time::{self, Now, UnixTime};
use knockgate_core::totp::TotpSecret;
use rand_core::UnwrapErr;
use tempfile::TempDir;

use console::Console;
pub(crate) use finished::Finished;

pub(crate) const ALICE: ClientId = ClientId(1);
pub(crate) const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
pub(crate) const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

type CoreGate = Gate<FixedRoster<4>, UnwrapErr<SysRng>, 8, 4, 16, 8>;

/// One gate, one client, one directory of the client.
pub(crate) struct LiveGate {
    pub(crate) home: TempDir,
    pub(crate) profile: Profile,
    pub(crate) totp: TotpSecret,
    central: u16,
    host: Arc<Mutex<Host>>,
}

/// What the network does to datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Network {
    Fine,
    /// So many are lost on the way to the gate.
    LosesQuestions(u32),
    /// So many are lost on the way back.
    LosesAnswers(u32),
    LosesEverything,
}

struct Host {
    gate: CoreGate,
    started: Instant,
    /// Seconds that the gate's clock is ahead.
    clock: i64,
    network: Network,
    /// Somebody sends wrong answers before every right one.
    forger: bool,
    /// Answers of the past, for the forger.
    heard: Vec<Message>,
    peers: HashMap<Peer, Back>,
    next_peer: u64,
    /// What was asked, in order; and every counter that was admitted.
    asked: Vec<Kind>,
    counters: Vec<u64>,
    /// What the policy says instead of yes.
    refuses: bool,
    console: Option<Arc<Console>>,
}

/// The way back.
enum Back {
    Datagram(UdpSocket, SocketAddr),
    Connection(TcpStream),
}

impl LiveGate {
    /// Listens at both loopback addresses for datagrams, and at the first for connections.
    pub(crate) fn new() -> Self {
        Self::with(|_| ())
    }

    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        let rng = &mut UnwrapErr(SysRng);
        let (central, sockets) = sockets();
        let port = sockets[0].local_addr().unwrap().port();
        let shape = Shape::new(1000, 6, 100, 10_000..=32_767).unwrap();
        let book = Book::generate(shape, DecoySeed::generate(rng), rng);
        let identity = Identity::generate(rng);
        let secret = SecretKey::generate(rng);
        let mut config = config(&identity, &book);
        change(&mut config);
        let profile = Profile {
            client: "alice".parse().unwrap(),
            address: "127.0.0.1".try_into().unwrap(),
            central_port: 0,
            packet_ports: Some(PortRange { first: port, last: port }),
            gate: config.gate,
            gate_key: identity.public(),
            door_key: config.door_keys[0].clone(),
            secret: Some(secret.clone()),
            services: [service(1, "ssh", 22), service(2, "web", 443)].into_iter().collect(),
            book: book.clone(),
        };
        let mut client = Client::new(ALICE, "alice".parse().unwrap(), secret.public(), book.id());
        client.services = [1, 2, console::SERVICE].into_iter().collect();
        let totp = TotpSecret::generate(rng);
        let mut roster = FixedRoster::new();
        // Whoever has an authenticator is asked for a code before the policy says no.
        let has_authenticator = config.services.iter().any(|service| service.second_factor);
        roster.add_client(client, Used::NOTHING, Some(totp.clone()).filter(|_| has_authenticator)).unwrap();
        roster.add_book(book, 0).unwrap();
        let host = Arc::new(Mutex::new(Host::new(Gate::new(config, roster, UnwrapErr(SysRng)))));
        let central_port = central.local_addr().unwrap().port();
        serve(&host, central, sockets);
        let home = tempfile::tempdir().unwrap();
        set_mode(home.path(), 0o700);
        Self { home, profile, totp, central: central_port, host }
    }

    /// The profile names the central port too.
    pub(crate) fn with_central_port(mut self) -> Self {
        self.profile.central_port = self.central;
        self
    }

    /// The profile names no UDP port.
    pub(crate) fn without_packets(mut self) -> Self {
        self.profile.packet_ports = None;
        self
    }

    pub(crate) fn named(mut self, host: &str) -> Self {
        self.profile.address = host.try_into().unwrap();
        self
    }

    /// The profile's first service is there.
    pub(crate) fn serving_at(mut self, port: u16) -> Self {
        self.profile.services[0].port = port;
        self
    }

    /// The profile's first service is at that host behind the gate.
    pub(crate) fn behind(mut self, host: IpAddr) -> Self {
        self.profile.services[0].hosts = Hosts::first_of(&[host]);
        self
    }

    pub(crate) fn over(self, network: Network) -> Self {
        self.host().network = network;
        self
    }

    pub(crate) fn forged(self) -> Self {
        self.host().forger = true;
        self
    }

    /// The gate's clock is so many seconds ahead.
    pub(crate) fn clock(self, ahead: i64) -> Self {
        self.host().clock = ahead;
        self
    }

    /// Enrols the profile as `home`.
    pub(crate) fn enrolled(self) -> Self {
        let mut buffer = [0; Profile::MAX_FILE];
        let file = self.write_file("home.kgp", self.profile.encode(&mut buffer).unwrap());
        let run = self.run(&["enroll", file.to_str().unwrap()]);
        assert_eq!(run.code, 0, "{run:?}");
        self
    }

    pub(crate) fn write_file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.home.path().join(name);
        fs::write(&path, bytes).unwrap();
        set_mode(&path, 0o600);
        path
    }

    pub(crate) fn stored_profile(&self) -> Profile {
        Profile::decode(&fs::read(self.home.path().join("profiles/home.kgp")).unwrap()).unwrap()
    }

    /// Another door key is in force; the old one is still good.
    pub(crate) fn change_door_key(&self) -> DoorKey {
        let new = DoorKey::generate(&mut UnwrapErr(SysRng));
        let keys = [new.clone(), self.profile.door_key.clone()].into_iter().collect();
        self.host().gate.set_door_keys(keys);
        new
    }

    pub(crate) fn refuse(&self) {
        self.host().refuses = true;
    }

    /// What the authenticator shows now.
    pub(crate) fn code(&self) -> String {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        format!("{:06}", self.totp.code_at(seconds / 30))
    }

    pub(crate) fn asked(&self) -> Vec<Kind> {
        self.host().asked.clone()
    }

    pub(crate) fn counters(&self) -> Vec<u64> {
        self.host().counters.clone()
    }

    /// The addresses that something is open to, with the service.
    pub(crate) fn open(&self) -> Vec<(IpAddr, u16)> {
        let host = self.host();
        host.gate.open_grants().map(|grant| (grant.to().address(), grant.service())).collect()
    }

    /// Waits until it is so.
    pub(crate) fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !is_so(self) {
            assert!(Instant::now() < deadline, "never: {what}");
            thread::yield_now();
        }
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Finished {
        self.start(arguments).wait_with_output().unwrap().into()
    }

    pub(crate) fn run_with(&self, arguments: &[&str], stdin: &str) -> Finished {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
        child.wait_with_output().unwrap().into()
    }

    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().unwrap()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_knockgate"));
        command
            .args(arguments)
            .env("KNOCKGATE_HOME", self.home.path())
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn host(&self) -> MutexGuard<'_, Host> {
        self.host.lock().unwrap()
    }
}

fn set_mode(path: &Path, mode: u32) {
    #[cfg(unix)]
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    #[cfg(not(unix))]
    let _ = (path, mode);
}

fn service(id: u16, name: &str, port: u16) -> ProfileService {
    ProfileService { id, name: name.parse().unwrap(), protocol: Protocol::Tcp, port, hosts: Hosts::AT_GATE }
}

fn config(identity: &Identity, book: &Book) -> Config {
    let rng = &mut UnwrapErr(SysRng);
    let service = |id| Service::new(id, Duration::from_secs(60), Duration::from_secs(3600));
    let prefixes = Some(Prefixes { v4: 24, v6: 64 });
    Config {
        gate: GateId([3; 16]),
        identity: identity.clone(),
        door_keys: [DoorKey::generate(rng)].into_iter().collect(),
        decoys: book.decoys(),
        mode: Mode::Connect,
        order: Order::Strict,
        hold: Duration::from_secs(10),
        strays: 0,
        lockout: Duration::from_secs(60),
        lockout_scope: LockoutScope::Source,
        max_age: None,
        console: None,
        burnt: Burnt::default(),
        statics: Default::default(),
        services: [Service { prefixes, ..service(1) }, service(2)].into_iter().collect(),
    }
}

/// One for connections, and one for datagrams at each loopback address, at the same port.
fn sockets() -> (TcpListener, Vec<UdpSocket>) {
    for _ in 0..100 {
        let first = UdpSocket::bind((V4, 0)).unwrap();
        let port = first.local_addr().unwrap().port();
        if let Ok(second) = UdpSocket::bind((V6, port)) {
            return (TcpListener::bind((V4, 0)).unwrap(), vec![first, second]);
        }
    }
    panic!("no port is free at both loopback addresses");
}

fn serve(host: &Arc<Mutex<Host>>, central: TcpListener, sockets: Vec<UdpSocket>) {
    for socket in sockets {
        let host = Arc::clone(host);
        thread::spawn(move || {
            let mut buffer = [0; MESSAGE_LEN + 1];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).unwrap();
                let message = buffer[..length].first_chunk().copied();
                assert_eq!(length, MESSAGE_LEN, "a client sends messages only");
                let back = Back::Datagram(socket.try_clone().unwrap(), from);
                host.lock().unwrap().take_datagram(back, from.ip(), &message.unwrap());
            }
        });
    }
    accept(host, central);
    let ticking = Arc::downgrade(host);
    thread::spawn(move || {
        while let Some(host) = ticking.upgrade() {
            host.lock().unwrap().tick();
            drop(host);
            // The gate's own clock: what ends is noticed within so long.
            thread::sleep(Duration::from_millis(10));
        }
    });
}

/// Hands every question that comes over a connection to the gate.
fn accept(host: &Arc<Mutex<Host>>, listener: TcpListener) {
    let host = Arc::clone(host);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, mut message) = (stream.unwrap(), [0; MESSAGE_LEN]);
            if stream.read_exact(&mut message).is_ok() {
                let from = stream.peer_addr().unwrap().ip();
                host.lock().unwrap().take(Back::Connection(stream), (from, Way::Connection), &message);
            }
        }
    });
}

impl Host {
    fn new(gate: CoreGate) -> Self {
        Self {
            gate,
            started: Instant::now(),
            clock: 0,
            network: Network::Fine,
            forger: false,
            heard: Vec::new(),
            peers: HashMap::new(),
            next_peer: 0,
            asked: Vec::new(),
            counters: Vec::new(),
            refuses: false,
            console: None,
        }
    }

    fn now(&self) -> Now {
        let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap();
        let unix = micros(SystemTime::now().duration_since(UNIX_EPOCH).unwrap());
        let unix = unix.checked_add_signed(self.clock * 1_000_000).unwrap();
        let instant = time::Instant::from_micros(micros(self.started.elapsed()));
        Now { instant, unix: Some(UnixTime::from_micros(unix)) }
    }

    fn tick(&mut self) {
        let now = self.now();
        self.gate.handle_timeout(now);
        self.turn();
    }

    fn take_datagram(&mut self, back: Back, from: IpAddr, message: &Message) {
        match self.network {
            Network::Fine | Network::LosesAnswers(0) | Network::LosesQuestions(0) => {}
            Network::LosesQuestions(count) => {
                self.network = Network::LosesQuestions(count - 1);
                return;
            }
            Network::LosesAnswers(_) => {}
            Network::LosesEverything => return,
        }
        self.take(back, (from, Way::Datagram), message);
    }

    fn take(&mut self, back: Back, (source, way): (IpAddr, Way), message: &Message) {
        self.next_peer += 1;
        let (now, peer) = (self.now(), Peer(self.next_peer));
        self.peers.insert(peer, back);
        // What is not accepted is met with silence.
        if self.gate.handle_message(now, Origin { peer, source, way }, message).is_ok() {
            self.counters.push(self.gate.roster().used(ALICE).last);
        }
        self.turn();
    }

    fn turn(&mut self) {
        loop {
            let now = self.now();
            let action = self.gate.poll_action(now);
            while let Some(note) = self.gate.poll_note() {
                if let Note::Packet { kind, .. } = note {
                    self.asked.push(kind);
                }
            }
            let Some(action) = action else { return };
            let done = Outcome::Done;
            match action {
                Action::Remember { exchange, .. } => self.gate.handle_stored(now, exchange, done),
                Action::Watch { hold, .. } => self.gate.handle_watched(now, hold, done),
                Action::Unwatch { .. } => {}
                Action::Open { grant, .. } => self.gate.handle_opened(now, grant, done),
                Action::Close { grant, .. } => self.gate.handle_closed(now, grant, done),
                Action::Consult(consultation) => self.decide(now, consultation),
                Action::Answer { peer, message } => self.answer(peer, &message),
                Action::Converse { peer, message, channel, .. } => self.converse(peer, &message, channel),
            }
        }
    }

    fn decide(&mut self, now: Now, consultation: Consultation) {
        let Consultation { service, seconds, prefix, grant, .. } = consultation;
        let effect = match (grant, prefix) {
            (Some((grant, _)), _) => Effect::Extend { grant, seconds },
            (None, Some(bits)) => Effect::OpenPrefix { service, bits, seconds },
            (None, None) => Effect::Open { service, seconds },
        };
        let yes = Decision { verdict: Verdict::Commit, effects: [effect].into_iter().collect() };
        let decision = if self.refuses { Decision::without_effects(Verdict::Deny) } else { yes };
        self.gate.handle_decision(now, consultation.ticket, decision);
    }

    fn answer(&mut self, peer: Peer, message: &Message) {
        match self.peers.remove(&peer).unwrap() {
            Back::Connection(mut stream) => stream.write_all(message).unwrap(),
            Back::Datagram(socket, to) => {
                if let Network::LosesAnswers(count @ 1..) = self.network {
                    self.network = Network::LosesAnswers(count - 1);
                    return;
                }
                if self.forger {
                    // Noise, something too short, and what the gate has said to somebody else.
                    let forged: Vec<Vec<u8>> = self.heard.iter().map(|heard| heard.to_vec()).collect();
                    for datagram in [vec![0xa5; MESSAGE_LEN], vec![1]].into_iter().chain(forged) {
                        socket.send_to(&datagram, to).unwrap();
                    }
                    self.heard.push(*message);
                }
                socket.send_to(message, to).unwrap();
            }
        }
    }
}
