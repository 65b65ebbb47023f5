//! What is asked in line, and what is left to threads.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::ThreadId;
use std::time::Duration;

use knockgate_core::Action as Wanted;
use knockgate_core::book::{DecoySeed, Decoys, Order, Shape};
use knockgate_core::gate::{self, Gate, LockoutScope, StaticDoor};
use knockgate_core::key::{GateId, Identity};
use knockgate_core::message::Mode;
use knockgate_core::replay::Burnt;
use knockgate_core::roster::FixedRoster;
use knockgate_policy_host::{StateError, StateStore, builtin};

use super::*;
use crate::run::clock;
use crate::state::system_rng;

/// Some 10 ms of compiled code: far more than anybody waits for in line.
const SLOW: &str = "(local $i i32) (loop $again
    (local.set $i (i32.add (local.get $i) (i32.const 1)))
    (br_if $again (i32.lt_u (local.get $i) (i32.const 400000)))) (i32.const 2)";
const OPENS_AND_COMMITS: &str = "(drop (call $open (i32.const 1) (i32.const 60))) (i32.const 0)";

#[test]
fn a_knock_goes_along_its_chain_in_line_and_comes_back_at_once() {
    let mut court = court(vec![
        chair("first", "packet", ABSTAINS),
        chair("second", "packet", OPENS_AND_COMMITS),
        chair("third", "packet", DENIES),
    ]);
    for _ in 0..3 {
        let case = court.ask(ticket(), event(Cause::Packet, "anna", 1)).expect("it is settled at once");
        assert_eq!(who(&case), ["first", "second"]);
        assert_eq!(decision(&case.heard).effects.as_slice(), [Effect::Open { service: 1, seconds: 60 }]);
    }
    assert!(court.all.iter().all(|seat| seat.docket.turn().is_some()), "no thread has anything to do");
}

#[test]
fn whoever_abstains_in_the_end_and_whoever_is_not_there_has_allowed_nothing() {
    for chairs in [vec![], vec![chair("a", "close", OPENS)], vec![chair("a", "packet", ABSTAINS)]] {
        let case =
            court(chairs).ask(ticket(), event(Cause::Packet, "anna", 1)).expect("it is settled at once");
        assert_eq!(decision(&case.heard).verdict, knockgate_core::Verdict::Deny);
    }
}

#[test]
fn from_a_slow_policy_on_the_case_goes_on_threads_with_what_was_said_before() {
    let mut court = court(vec![
        chair("quick", "packet", ABSTAINS),
        chair("slow", "packet", SLOW),
        chair("last", "packet", DENIES),
    ]);
    assert!(court.ask(ticket(), event(Cause::Packet, "anna", 1)).is_none(), "it is on its way");
    let [quick, slow, last] = &court.all[..] else { panic!("three") };
    let (mut case, turn) = slow.docket.take().unwrap();
    assert_eq!(who(&case), ["quick"]);
    case.hear(slow);
    drop(turn);
    assert!(case.proceed().is_none(), "the next one is asked on its thread, too");
    let (mut case, _turn) = last.docket.take().unwrap();
    case.hear(last);
    assert_eq!(who(&case), ["quick", "slow", "last"]);
    assert!(quick.docket.turn().is_some());
    assert!(case.proceed().is_some(), "it is settled");
}

#[test]
fn a_policy_whose_thread_decides_or_has_a_knock_waiting_is_not_asked_in_line() {
    let mut court = court(vec![chair("p", "packet", DENIES)]);
    let seat = Arc::clone(&court.all[0]);
    let deciding = seat.docket.turn().unwrap();
    assert!(court.ask(ticket(), event(Cause::Packet, "anna", 1)).is_none());
    drop(deciding);
    assert!(court.ask(ticket(), event(Cause::Packet, "bert", 1)).is_none(), "anna was there before");
    assert!(seat.docket.take().is_some() && seat.docket.take().is_some());
    assert!(court.ask(ticket(), event(Cause::Packet, "anna", 1)).is_some());
}

#[test]
fn a_knock_is_not_decided_past_a_policy_whose_thread_has_ended() {
    let mut court =
        court(vec![chair("ended", "packet", ABSTAINS), chair("next", "packet", OPENS_AND_COMMITS)]);
    court.all[0].docket.close();
    let case = court.ask(ticket(), event(Cause::Packet, "anna", 1)).expect("it comes back");
    assert!(who(&case).is_empty());
    assert_eq!(decision(&case.heard).verdict, knockgate_core::Verdict::Deny);
}

#[test]
fn decisions_of_one_policy_never_overlap_however_they_come() {
    const ROUNDS: u64 = 50;
    // An event counts; a knock looks at something else.
    let body = "(local $count i64)
         (if (i64.eq (call $attr (i32.const 4)) (i64.const 2))
           (then (drop (call $load (i32.const 2))) (return (i32.const 1))))
         (local.set $count (call $load (i32.const 1)))
         (drop (call $store (i32.const 1) (i64.add (local.get $count) (i64.const 1))))
         (i32.const 0)";
    let (state, counting) = Witnessed::new();
    // It has no clock: however busy the machine is, every event counts.
    let engine = PolicyEngine::on_pulley(Profile::Server, Capabilities::ALL).unwrap();
    let policy = engine.load("p", &module("packet expiry", body), &rights()).unwrap();
    let loaded = Loaded { policy, sha256: None };
    let chair = Chair::new(loaded, Arc::clone(&state) as Arc<dyn StateStore>);
    let temp = tempfile::tempdir().unwrap();
    let audit = Arc::new(Audit::open(&temp.path().join("audit.jsonl")).unwrap());
    let Ways { inputs, mut received, .. } = input::open().unwrap();
    let chains = Chains { general: vec![chair], ..Chains::default() };
    let mut court = Court::convene(chains, &Seats::default(), &inputs, &audit).unwrap();

    for _ in 0..ROUNDS {
        assert!(court.ask(ticket(), event(Cause::Packet, "anna", 1)).is_some(), "nobody else decides");
        assert!(court.tell(Subject::default(), event(Cause::Expiry, "anna", 1)).is_none());
        counting.has_begun.recv().unwrap();
        assert!(court.ask(ticket(), event(Cause::Packet, "anna", 1)).is_none(), "its thread decides");
        counting.may_go_on.send(()).unwrap();
        for _ in 0..2 {
            let Input::Judged(_) = received.wait_for_input() else { panic!("another input") };
        }
        court.prepare();
    }
    assert_eq!(state.count.load(Ordering::SeqCst), ROUNDS, "every event has counted");
    assert!(!state.overlapped.load(Ordering::SeqCst));
}

#[test]
fn between_a_knock_and_its_verdict_nothing_is_allocated() {
    let chair = |name: &str| {
        let built_in = builtin::find(name).unwrap();
        let policy = engine().load(name, built_in.module, &rights()).unwrap();
        Chair::new(Loaded { policy, sha256: None }, Arc::new(MemoryState::default()))
    };
    let mut court = court(vec![chair("second-factor"), chair("default")]);
    for round in 0..5 {
        let (ticket, mut event, mut settled) = (ticket(), event(Cause::Packet, "anna", 1), None);
        event.client = event.client.map(|client| Client { second_factor: true, ..client });
        let counted = allocation_counter::measure(|| {
            let case = court.ask(ticket, event).unwrap();
            settled = Some((decision(&case.heard), case));
        });
        let (decision, case) = settled.unwrap();
        assert_eq!((who(&case), decision.effects.len()), (vec!["second-factor", "default"], 1));
        assert_eq!((counted.count_total, counted.count_current), (0, 0), "round {round}");
        drop(case);
        court.prepare();
    }
}

/// Sees when a decision that counts is joined by another one before it is over, and lets it take its time.
struct Witnessed {
    count: AtomicU64,
    counting: Mutex<Option<ThreadId>>,
    overlapped: AtomicBool,
    begun: Sender<()>,
    go_on: Mutex<Receiver<()>>,
}

/// The test's end of it.
struct Counting {
    has_begun: Receiver<()>,
    may_go_on: Sender<()>,
}

impl Witnessed {
    fn new() -> (Arc<Self>, Counting) {
        let ((begun, has_begun), (may_go_on, go_on)) = (channel(), channel());
        let witnessed = Self {
            count: AtomicU64::new(0),
            counting: Mutex::new(None),
            overlapped: AtomicBool::new(false),
            begun,
            go_on: Mutex::new(go_on),
        };
        (Arc::new(witnessed), Counting { has_begun, may_go_on })
    }

    /// Whether a count begins with this.
    fn look(&self, key: u32) -> bool {
        let (me, mut counting) = (std::thread::current().id(), self.counting.lock().unwrap());
        if counting.is_some_and(|other| other != me) {
            self.overlapped.store(true, Ordering::SeqCst);
        }
        key == 1 && counting.replace(me).is_none()
    }
}

impl StateStore for Witnessed {
    fn load(&self, key: u32) -> u64 {
        if self.look(key) {
            self.begun.send(()).unwrap();
            self.go_on.lock().unwrap().recv().unwrap();
        }
        self.count.load(Ordering::SeqCst)
    }

    fn len(&self) -> usize {
        1
    }

    fn commit(&self, writes: &[(u32, u64)]) -> Result<(), StateError> {
        *self.counting.lock().unwrap() = None;
        self.count.store(writes[0].1, Ordering::SeqCst);
        Ok(())
    }
}

fn court(general: Vec<Arc<Chair>>) -> Court {
    Court::seated(Chains { general, ..Chains::default() })
}

fn who(case: &Case) -> Vec<&str> {
    case.heard.opinions.iter().map(|opinion| &*opinion.policy).collect()
}

/// Only a gate has them to give: of one whose static sequence somebody knocks.
fn ticket() -> Ticket {
    let shape = Shape::new(1, 3, 16, 10_000..=10_999).unwrap();
    let config = gate::Config {
        gate: GateId([1; 16]),
        identity: Identity::generate(&mut system_rng()),
        door_keys: heapless::Vec::new(),
        decoys: Decoys::draw(&DecoySeed::from_bytes([2; 32]), &shape),
        mode: Mode::Closed,
        order: Order::Strict,
        hold: Duration::from_secs(1),
        strays: 0,
        lockout: Duration::from_secs(1),
        lockout_scope: LockoutScope::Source,
        max_age: None,
        burnt: Burnt::default(),
        services: [gate::Service::new(1, Duration::from_secs(60), Duration::from_secs(60))]
            .into_iter()
            .collect(),
        statics: [StaticDoor { name: "s".parse().unwrap(), service: 1, seconds: None }].into_iter().collect(),
        console: None,
    };
    let mut gate = Gate::<_, _, 1, 1, 1, 1, 1>::new(config, FixedRoster::<1>::new(), system_rng());
    gate.handle_static(clock::now(), 0, IpAddr::from([192, 0, 2, 1]));
    loop {
        match gate.poll_action(clock::now()) {
            Some(Wanted::Consult(asked)) => return asked.ticket,
            Some(_) => {}
            None => panic!("the gate asks nothing"),
        }
    }
}
