//! A gate made of the core's protocol pieces, real TCP listeners and a script. It holds the client to the rules: counters
//! rise, a connection is closed before the next one comes, a number is on the client's disk before its last port is knocked.
#![allow(clippy::unwrap_used, reason = "a stand-in that cannot go on fails its test")]
#![allow(dead_code, reason = "each test file uses its own part")]

#[path = "../finished/mod.rs"]
mod finished;

use std::collections::VecDeque;
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use getrandom::SysRng;
use knockgate_core::Refusal;
use knockgate_core::book::{Book, DecoySeed, Order, Shape};
use knockgate_core::envelope::{self, Direction, Message};
use knockgate_core::handshake::Responder;
use knockgate_core::key::{DoorKey, GateId, Identity, SecretKey};
use knockgate_core::limits::MESSAGE_LEN;
use knockgate_core::message::{Answer, Kind, Mode, Offer, OpenService, Request, Verdict};
use knockgate_core::profile::{Hosts, Profile, ProfileService, Protocol};
use rand_core::UnwrapErr;
use tempfile::TempDir;

pub(crate) use finished::Finished;

/// What the gate does with the next request of a kind.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reply {
    Offer(u32, Mode),
    /// An offer from a book that the client does not have.
    ForeignOffer,
    Refuse(Refusal, u32),
    RefuseFor(u8),
    Pending,
    Nothing,
    /// Granted, but nothing is open.
    GrantNothing,
    Close,
    Silence,
    Junk,
}

/// One gate, one client, one directory of the client.
pub(crate) struct StandIn {
    pub(crate) home: TempDir,
    pub(crate) profile: Profile,
    state: Arc<Mutex<State>>,
}

struct State {
    identity: Identity,
    profile: Profile,
    numbers: VecDeque<Reply>,
    statuses: VecDeque<Reply>,
    book_left: u32,
    last_counter: u64,
    offered: Option<(u32, Mode)>,
    knocked: Vec<u16>,
    /// Of each of these: whether the number was on the client's disk.
    noted: Vec<bool>,
    ledger: PathBuf,
    spoils_ledger: bool,
    open_connections: u32,
    complaints: Vec<String>,
    requests: Vec<Request>,
    kept_open: Vec<TcpStream>,
}

impl StandIn {
    /// A gate at 127.0.0.1 that answers questions for a number with `numbers`, and questions of status by what was knocked.
    pub(crate) fn new(numbers: &[Reply]) -> Self {
        Self::build(IpAddr::V4(Ipv4Addr::LOCALHOST), numbers, None)
    }

    pub(crate) fn at(address: IpAddr, numbers: &[Reply]) -> Self {
        Self::build(address, numbers, None)
    }

    /// The port at `position` of the first offered number refuses connections.
    pub(crate) fn with_blocked_port(numbers: &[Reply], position: usize) -> Self {
        Self::build(IpAddr::V4(Ipv4Addr::LOCALHOST), numbers, Some(position))
    }

    /// Questions of status are first answered with these.
    pub(crate) fn statuses(self, statuses: &[Reply]) -> Self {
        self.state().statuses = statuses.iter().copied().collect();
        self
    }

    /// When the gate offers a number, something is in the place of the client's ledger that cannot be replaced by a file.
    pub(crate) fn spoiling_the_ledger(self) -> Self {
        self.state().spoils_ledger = true;
        self
    }

    pub(crate) fn book_left(self, left: u32) -> Self {
        self.state().book_left = left;
        self
    }

    /// The gate has another key than the profile says.
    pub(crate) fn with_another_key(self) -> Self {
        self.state().identity = Identity::generate(&mut UnwrapErr(SysRng));
        self
    }

    /// The profile names the gate so.
    pub(crate) fn named(mut self, host: &str) -> Self {
        self.profile.address = host.try_into().unwrap();
        self
    }

    /// Imports the profile as `home`.
    pub(crate) fn imported(self) -> Self {
        let file = self.write_profile("home.kgp");
        let output = self.run(&["import", file.to_str().unwrap(), "--force"]);
        assert_eq!(output.code, 0, "{}", output.stderr);
        self
    }

    /// Writes the profile to a file that only its owner may read.
    pub(crate) fn write_profile(&self, name: &str) -> PathBuf {
        let mut buffer = [0; Profile::MAX_FILE];
        self.write_file(name, self.profile.encode(&mut buffer).unwrap())
    }

    pub(crate) fn write_file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.home.path().join(name);
        fs::write(&path, bytes).unwrap();
        set_mode(&path, 0o600);
        path
    }

    pub(crate) fn sequence(&self, number: u32) -> Vec<u16> {
        sequence(&self.profile.book, number)
    }

    pub(crate) fn knocked(&self) -> Vec<u16> {
        self.state().knocked.clone()
    }

    /// Whether the number was on the client's disk, knock by knock.
    pub(crate) fn noted(&self) -> Vec<bool> {
        self.state().noted.clone()
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.state().requests.clone()
    }

    /// Panics if the client broke a rule.
    pub(crate) fn has_no_complaint(&self) {
        assert_eq!(self.state().complaints, Vec::<String>::new());
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Finished {
        self.start(arguments).wait_with_output().unwrap().into()
    }

    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().unwrap()
    }

    /// With these variables in its environment.
    pub(crate) fn run_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Finished {
        let mut command = self.command(arguments);
        command.envs(variables.iter().copied());
        command.spawn().unwrap().wait_with_output().unwrap().into()
    }

    /// With these bytes on stdin.
    pub(crate) fn run_on(&self, stdin: &[u8], arguments: &[&str]) -> Finished {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        // A client that has failed before does not read it.
        let _ = child.stdin.take().unwrap().write_all(stdin);
        child.wait_with_output().unwrap().into()
    }

    /// As if the client's disk took a second for each sync.
    pub(crate) fn run_on_slow_disk(&self, arguments: &[&str]) -> Finished {
        let mut command = Command::new("strace");
        command.args(["--follow-forks", "--output=/dev/null", "--trace=fsync"]);
        command.args(["--inject=fsync:delay_enter=1000000", env!("CARGO_BIN_EXE_knockgate")]);
        let running = self.prepare(&mut command, arguments).spawn().expect("run `cargo xtask setup`");
        running.wait_with_output().unwrap().into()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_knockgate"));
        self.prepare(&mut command, arguments);
        command
    }

    fn prepare<'c>(&self, command: &'c mut Command, arguments: &[&str]) -> &'c mut Command {
        command
            .args(arguments)
            .env("KNOCKGATE_HOME", self.home.path())
            .env_remove("KNOCKGATE_ASKPASS")
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn build(address: IpAddr, numbers: &[Reply], blocked: Option<usize>) -> Self {
        let home = private_tempdir();
        let central = TcpListener::bind((address, 0)).unwrap();
        let identity = Identity::generate(&mut UnwrapErr(SysRng));
        let wanted: Vec<u32> = numbers.iter().filter_map(|reply| offered_number(*reply)).collect();
        let (book, listeners) = book_with_free_ports(address, &wanted, blocked);
        let profile = Profile {
            client: "alice".parse().unwrap(),
            address: address.to_string().as_str().try_into().unwrap(),
            central_port: central.local_addr().unwrap().port(),
            gate: GateId([3; 16]),
            gate_key: identity.public(),
            door_key: DoorKey::generate(&mut UnwrapErr(SysRng)),
            secret: Some(SecretKey::generate(&mut UnwrapErr(SysRng))),
            packet_ports: None,
            services: [service(1, "ssh", 22), service(2, "web", 443)].into_iter().collect(),
            book,
        };
        let state = Arc::new(Mutex::new(State {
            identity,
            profile: profile.clone(),
            numbers: numbers.iter().copied().collect(),
            statuses: VecDeque::new(),
            book_left: 993,
            last_counter: 0,
            offered: None,
            knocked: Vec::new(),
            noted: Vec::new(),
            ledger: home.path().join("state/home.json"),
            spoils_ledger: false,
            open_connections: 0,
            complaints: Vec::new(),
            requests: Vec::new(),
            kept_open: Vec::new(),
        }));
        serve(central, &state, serve_question);
        for listener in listeners {
            serve(listener, &state, serve_knock);
        }
        Self { home, profile, state }
    }
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    #[cfg(unix)]
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    #[cfg(not(unix))]
    let _ = (path, mode);
}

fn private_tempdir() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    set_mode(dir.path(), 0o700);
    dir
}

fn service(id: u16, name: &str, port: u16) -> ProfileService {
    ProfileService { id, name: name.parse().unwrap(), protocol: Protocol::Tcp, port, hosts: Hosts::AT_GATE }
}

fn offered_number(reply: Reply) -> Option<u32> {
    match reply {
        Reply::Offer(number, _) => Some(number),
        _ => None,
    }
}

fn sequence(book: &Book, number: u32) -> Vec<u16> {
    book.sequence(number, &book.decoys()).unwrap().to_vec()
}

/// Below the ephemeral ports, so that no client's own port is in the way; other programs may be, so it is drawn again.
fn book_with_free_ports(
    address: IpAddr,
    numbers: &[u32],
    blocked: Option<usize>,
) -> (Book, Vec<TcpListener>) {
    let shape = Shape::new(1000, 6, 100, 10_000..=32_767).unwrap();
    for _ in 0..100 {
        let seed = DecoySeed::generate(&mut UnwrapErr(SysRng));
        let book = Book::generate(shape, seed, &mut UnwrapErr(SysRng));
        let mut ports: Vec<u16> = numbers.iter().flat_map(|&number| sequence(&book, number)).collect();
        let refused = blocked.map(|position| ports[position]);
        ports.sort_unstable();
        ports.dedup();
        let listeners: Result<Vec<_>, _> =
            ports.iter().map(|&port| TcpListener::bind((address, port)).map(|l| (port, l))).collect();
        if let Ok(listeners) = listeners {
            let open = listeners.into_iter().filter(|(port, _)| Some(*port) != refused);
            return (book, open.map(|(_, listener)| listener).collect());
        }
    }
    panic!("no hundred free ports on {address}");
}

fn serve(listener: TcpListener, state: &Arc<Mutex<State>>, with: fn(&Mutex<State>, TcpStream)) {
    let state = Arc::clone(state);
    thread::spawn(move || {
        for stream in listener.incoming() {
            with(&state, stream.unwrap());
        }
    });
}

/// A knock: the connection is closed by the gate, and the client closes its side before anything else.
fn serve_knock(state: &Mutex<State>, mut stream: TcpStream) {
    let port = stream.local_addr().unwrap().port();
    let mut guard = state.lock().unwrap();
    guard.take_knock(port);
    guard.open_connections += 1;
    if guard.open_connections > 1 && guard.mode() == Some(Mode::Connect) {
        guard.complaints.push(format!("port {port} was knocked while another connection was open"));
    }
    drop(guard);
    thread::yield_now();
    state.lock().unwrap().open_connections -= 1;
    // In closed mode the client is gone already.
    let _ = stream.shutdown(Shutdown::Write);
    let mut sent = Vec::new();
    let _ = stream.read_to_end(&mut sent);
    if !sent.is_empty() {
        state.lock().unwrap().complaints.push(format!("{} bytes came at port {port}", sent.len()));
    }
}

fn serve_question(state: &Mutex<State>, mut stream: TcpStream) {
    let mut message = [0; MESSAGE_LEN];
    if stream.read_exact(&mut message).is_err() {
        return;
    }
    let mut state = state.lock().unwrap();
    match state.reply_to(&message) {
        Said::Answer(answer) => stream.write_all(&*answer).unwrap(),
        Said::Nothing => {}
        Said::KeepOpen => state.kept_open.push(stream),
    }
}

enum Said {
    Answer(Box<Message>),
    Nothing,
    KeepOpen,
}

impl State {
    fn mode(&self) -> Option<Mode> {
        self.offered.map(|(_, mode)| mode)
    }

    fn reply_to(&mut self, message: &Message) -> Said {
        let rng = &mut UnwrapErr(SysRng);
        let (gate, door_key) = (self.profile.gate, self.profile.door_key.clone());
        let Some(inner) = envelope::open(&door_key, gate, Direction::Request, message) else {
            return Said::Nothing;
        };
        let ephemeral = Identity::generate(rng);
        let Ok((responder, client, payload)) = Responder::read(&self.identity, &ephemeral, gate, &inner)
        else {
            return Said::Nothing;
        };
        assert_eq!(
            client,
            self.profile.secret.as_ref().expect("the stand-in makes profiles with keys").public()
        );
        let request = Request::decode(&payload).unwrap();
        self.take(request);
        let answer = match self.next_reply(request.kind) {
            Reply::Close => return Said::Nothing,
            Reply::Silence => return Said::KeepOpen,
            Reply::Junk => return Said::Answer(Box::new([0xa5; MESSAGE_LEN])),
            reply => self.answer(reply),
        };
        let inner = responder.answer(&answer.encode()).unwrap();
        Said::Answer(Box::new(envelope::seal(&door_key, gate, Direction::Answer, &inner, rng).unwrap()))
    }

    fn take_knock(&mut self, port: u16) {
        self.knocked.push(port);
        let Some((number, mode)) = self.offered else { return };
        let noted = self.has_noted(number);
        self.noted.push(noted);
        // In closed mode the client does not wait for anybody who looks.
        if mode == Mode::Connect && !noted && sequence(&self.profile.book, number).last() == Some(&port) {
            self.complaints.push(format!("number {number} was knocked to its end and is not on disk"));
        }
    }

    fn has_noted(&self, number: u32) -> bool {
        let json = fs::read(&self.ledger).ok();
        let ledger = json.and_then(|json| serde_json::from_slice::<serde_json::Value>(&json).ok());
        ledger.is_some_and(|ledger| ledger["used"][self.profile.book.id().to_string()] == number)
    }

    fn take(&mut self, request: Request) {
        if request.counter <= self.last_counter {
            self.complaints.push(format!("counter {} after {}", request.counter, self.last_counter));
        }
        self.last_counter = request.counter;
        if request.kind != Kind::Open {
            self.requests.push(request);
        }
    }

    fn next_reply(&mut self, kind: Kind) -> Reply {
        match kind {
            Kind::NextNumber => self.numbers.pop_front().expect("the script says what is asked for"),
            Kind::Status => self.statuses.pop_front().unwrap_or(Reply::Pending),
            // It is a gate of the time before packet knocks.
            Kind::Open | Kind::Renew | Kind::Close | Kind::Console => Reply::Refuse(Refusal::Unsupported, 0),
        }
    }

    fn answer(&mut self, reply: Reply) -> Answer {
        let answer = |verdict, retry_ms| Answer {
            verdict,
            retry_ms,
            time: 0,
            book_left: self.book_left,
            offer: None,
            open: heapless_none(),
            seen: None,
            door_key: None,
        };
        match reply {
            Reply::Offer(number, mode) => {
                if self.spoils_ledger {
                    fs::remove_file(&self.ledger).and_then(|()| fs::create_dir(&self.ledger)).unwrap();
                }
                self.offered = Some((number, mode));
                self.knocked.clear();
                self.noted.clear();
                Answer { offer: Some(self.offer(number, mode)), ..answer(Verdict::Offered, 0) }
            }
            Reply::ForeignOffer => {
                let other = Book::generate(
                    *self.profile.book.shape(),
                    DecoySeed::from_bytes([1; 32]),
                    &mut UnwrapErr(SysRng),
                );
                let offer = Offer { book: other.id(), ..self.offer(0, Mode::Connect) };
                Answer { offer: Some(offer), ..answer(Verdict::Offered, 0) }
            }
            Reply::Refuse(refusal, retry_ms) => answer(Verdict::Refused(refusal.code()), retry_ms),
            Reply::RefuseFor(code) => answer(Verdict::Refused(code), 0),
            Reply::Nothing => answer(Verdict::Nothing, 0),
            Reply::GrantNothing => answer(Verdict::Granted, 0),
            // Without a script the answer depends on what was knocked.
            Reply::Pending if self.statuses.is_empty() && self.is_complete() => {
                let open = OpenService { service: 1, left_ms: 58_000, grant: 5 };
                Answer { open: std::iter::once(open).collect(), ..answer(Verdict::Granted, 0) }
            }
            Reply::Pending => answer(Verdict::Pending, 20),
            Reply::Close | Reply::Silence | Reply::Junk => unreachable!("these are no answers"),
        }
    }

    fn offer(&self, number: u32, mode: Mode) -> Offer {
        Offer {
            book: self.profile.book.id(),
            number,
            hold_ms: 10_000,
            mode,
            order: Order::Strict,
            gap_ms: 15,
        }
    }

    fn is_complete(&self) -> bool {
        let Some((number, mode)) = self.offered else { return false };
        let sequence = sequence(&self.profile.book, number);
        match mode {
            Mode::Connect => self.knocked == sequence,
            Mode::Closed => sequence.iter().all(|port| self.knocked.contains(port)),
        }
    }
}

fn heapless_none<T, C: FromIterator<T>>() -> C {
    std::iter::empty().collect()
}
