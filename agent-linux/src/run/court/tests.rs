mod in_line;

use std::net::IpAddr;

use knockgate_core::Effect;
use knockgate_policy_host::{
    Action, Answer, Capabilities, Capability, Cause, Client, HostKind, MemoryState, PolicyEngine, Profile,
    Request, Rights, ServiceRight, Source, text,
};

use super::*;
use crate::run::input::{self, Ways};
use crate::run::policy::Loaded;

const OPENS: &str = "(call $open (i32.const 1) (i32.const 60))";
const LOCKS: &str = "(call $lockout (i32.const 9))";
const DENIES: &str = "(i32.const 1)";
const ABSTAINS: &str = "(i32.const 2)";

fn chair(name: &str, causes: &str, body: &str) -> Arc<Chair> {
    Chair::new(policy(name, causes, body), Arc::new(MemoryState::default()))
}

fn policy(name: &str, causes: &str, body: &str) -> Loaded {
    let policy = engine().load(name, &module(causes, body), &rights()).unwrap();
    Loaded { policy, sha256: None }
}

fn module(causes: &str, body: &str) -> Vec<u8> {
    wat::parse_str(format!(
        r#"(module
          (@custom "knockgate.manifest" "abi=1.0\nname=p\nservices=*\ncapabilities=open lockout state\ncauses={causes}\n")
          (import "knockgate:policy/act@1.0.0" "open" (func $open (param i32 i32) (result i32)))
          (import "knockgate:policy/act@1.0.0" "lockout" (func $lockout (param i32) (result i32)))
          (import "knockgate:policy/event@1.0.0" "attr" (func $attr (param i32) (result i64)))
          (import "knockgate:policy/state@1.0.0" "load" (func $load (param i32) (result i64)))
          (import "knockgate:policy/state@1.0.0" "store" (func $store (param i32 i64) (result i32)))
          (func (export "decide") (result i32) {body}))"#
    ))
    .unwrap()
}

fn engine() -> PolicyEngine {
    PolicyEngine::new(Profile::Server, Capabilities::ALL).unwrap()
}

fn rights() -> Rights {
    Rights {
        services: vec![ServiceRight { service: 1, max_seconds: 60 }],
        capabilities: Capabilities::of(&[Capability::Open, Capability::Lockout, Capability::State]),
        max_seconds: 60,
        ..Rights::default()
    }
}

fn event(cause: Cause, client: &str, service: u16) -> Event {
    Event {
        client: Some(Client {
            id: 1,
            name: text(client),
            failures: 0,
            grants: 0,
            oldest_grant: None,
            second_factor: false,
        }),
        source: Some(Source { address: IpAddr::from([192, 0, 2, 1]), prefix: 32, failures: 0, grants: 0 }),
        request: Some(Request { service, name: text("s"), seconds: 60, grants: 0, prefix: None }),
        ..Event::new(cause, HostKind::Linux)
    }
}

fn names(bench: &Bench) -> Vec<&str> {
    bench.iter().map(|seat| seat.chair.name()).collect()
}

#[test]
fn a_clients_chain_goes_before_its_services_and_that_before_the_general_one() {
    let [general, of_service, of_client] =
        ["general", "service", "client"].map(|name| chair(name, "packet", DENIES));
    let court = Court::seated(Chains {
        general: vec![Arc::clone(&general)],
        services: [(2, vec![of_service, Arc::clone(&general)])].into(),
        clients: [("anna".to_owned(), vec![of_client])].into(),
        shadows: Vec::new(),
    });
    let chain = |client, service| names(court.chain_of(&event(Cause::Packet, client, service)));
    assert_eq!(chain("bert", 1), ["general"]);
    assert_eq!(chain("bert", 2), ["service", "general"]);
    assert_eq!(chain("anna", 2), ["client"]);
    assert_eq!(names(&court.all), ["general", "service", "client"], "each sits once");
}

#[test]
fn an_event_goes_to_every_policy_that_it_concerns_and_that_wants_it() {
    let court = Court::seated(Chains {
        general: vec![chair("general", "packet expiry", DENIES), chair("knocks", "packet", DENIES)],
        services: [(2, vec![chair("service", "expiry", DENIES)])].into(),
        clients: [("anna".to_owned(), vec![chair("client", "expiry start-up", DENIES)])].into(),
        shadows: Vec::new(),
    });
    let told = |event: &Event| {
        court.concerned_by(event).map(|seat| seat.chair.name().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(told(&event(Cause::Expiry, "bert", 1)), ["general"]);
    assert_eq!(told(&event(Cause::Expiry, "bert", 2)), ["general", "service"]);
    assert_eq!(told(&event(Cause::Expiry, "anna", 2)), ["general", "service", "client"]);
    assert_eq!(
        told(&Event::new(Cause::StartUp, HostKind::Linux)),
        ["client"],
        "the start concerns everybody"
    );
    assert!(court.wants(Cause::StartUp) && !court.wants(Cause::Lockout));
}

#[test]
fn of_an_event_everything_that_is_committed_comes_back_and_nothing_opens() {
    let general = vec![
        chair("a", "expiry", ABSTAINS),
        chair("b", "expiry", LOCKS),
        chair("c", "expiry", DENIES),
        chair("d", "expiry", LOCKS),
    ];
    let court = Court::seated(Chains { general, ..Chains::default() });
    assert!(court.tell(Subject::default(), event(Cause::Expiry, "anna", 1)).is_none(), "it is on its way");
    let (mut case, _turn) = court.all[0].docket.take().unwrap();
    for seat in &court.all {
        case.hear(seat);
    }
    assert_eq!(
        case.heard.opinions.iter().map(|opinion| opinion.said.answer().word()).collect::<Vec<_>>(),
        ["abstain", "commit", "deny", "commit"]
    );
    assert_eq!(reaction(&Outcome::of(&case.heard)), [Effect::Lockout { seconds: 9 }; 2]);
}

#[test]
fn a_policy_that_is_behind_misses_events_and_no_other_does() {
    let court = Court::seated(Chains {
        general: vec![chair("slow", "expiry", ABSTAINS), chair("quick", "expiry", ABSTAINS)],
        ..Chains::default()
    });
    for _ in 0..docket::MOST_EVENTS + 3 {
        assert!(court.tell(Subject::default(), event(Cause::Expiry, "anna", 1)).is_none());
    }
    assert_eq!(court.take_missed(), [("slow".to_owned(), 3)]);
    let (case, _turn) = court.all[1].docket.take().unwrap();
    assert!(case.heard.opinions.is_empty(), "what the slow one missed has gone on to the quick one");
}

#[test]
fn who_makes_no_difference_between_keeping_and_opening_judges_the_one_as_the_other() {
    let cause =
        |causes| chair("p", causes, OPENS).ask(&event(Cause::Renew, "anna", 1)).map(|opinion| opinion.cause);
    assert_eq!(cause("packet"), Some(Cause::Packet));
    assert_eq!(cause("packet renew"), Some(Cause::Renew));
    assert_eq!(cause("sequence"), None);
}

#[test]
fn a_new_module_takes_the_place_of_the_old_one() {
    let old = chair("p", "packet", DENIES);
    let asked = event(Cause::Packet, "anna", 1);
    assert_eq!(old.ask(&asked).unwrap().said.answer(), Answer::Deny);
    old.replace(policy("p", "packet", OPENS));
    assert_eq!(old.ask(&asked).unwrap().said.answer(), Answer::Commit);
}

#[test]
fn threads_answer_what_they_are_told() {
    let temp = tempfile::tempdir().unwrap();
    let audit = Arc::new(Audit::open(&temp.path().join("audit.jsonl")).unwrap());
    let Ways { inputs, mut received, .. } = input::open().unwrap();
    let general = vec![chair("a", "failed-attempt", ABSTAINS), chair("b", "failed-attempt", LOCKS)];
    let court =
        Court::convene(Chains { general, ..Chains::default() }, &Seats::default(), &inputs, &audit).unwrap();
    assert!(court.tell(Subject::default(), event(Cause::FailedAttempt, "anna", 1)).is_none());
    let Input::Judged(case) = received.wait_for_input() else { panic!("another input") };
    assert_eq!(case.heard.opinions.iter().map(|opinion| &*opinion.policy).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(Outcome::of(&case.heard).answer, Answer::Commit);
}

#[test]
fn what_is_done_beside_the_gate_is_an_errand() {
    let actions = [
        Action::Open { service: 1, seconds: 2 },
        Action::Start { unit: 3 },
        Action::Revoke { grant: 4 },
        Action::Notify { channel: 5, code: 6 },
    ];
    assert_eq!(
        errands(&actions).collect::<Vec<_>>(),
        [Errand::Start { unit: 3 }, Errand::Notify { channel: 5, code: 6 }]
    );
}
