//! The built-in policy and the example decide as their first line says. The example is what `cargo xtask policies` built in
//! every language: all answer alike on every engine that runs them.
#![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

mod stage;

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::sync::LazyLock;
use std::thread;

use knockgate_policy_host::second::SecondPolicy;
use knockgate_policy_host::{
    Action, Capabilities, Cause, Client, Decision, Event, Failure, LoadError, LocalTime, LogLevel, Policy,
    PolicyEngine, Profile, Request, Rights, Source, Verdict, Wasi, builtin, text,
};
use stage::{knock, no_state, rights};

#[test]
fn default_opens_what_was_asked() {
    assert_eq!(decided(&default(), &knock()), Ok(Action::Open { service: 1, seconds: 60 }));
}

#[test]
fn default_opens_for_the_longest_time_when_more_is_asked() {
    let longer = asks(1, 1_000_000);
    assert_eq!(decided(&default(), &longer), Ok(Action::Open { service: 1, seconds: 3600 }));
    let shorter = asks(2, 3600);
    assert_eq!(decided(&default(), &shorter), Ok(Action::Open { service: 2, seconds: 60 }));
}

#[test]
fn default_denies_a_service_that_is_not_granted_and_a_knock_for_nothing() {
    assert_eq!(decided(&default(), &asks(3, 60)), Err(Verdict::Deny));
    assert_eq!(decided(&default(), &asks(1, 0)), Err(Verdict::Deny));
    assert_eq!(decided(&default(), &Event { request: None, ..knock() }), Err(Verdict::Deny));
}

/// What the office hours say to an event: an action, or a line for the operator and its level.
type Answer = Result<Action, (LogLevel, &'static str)>;

const NO_CLOCK: Answer = Err((LogLevel::Warning, "no clock: denied"));
const OUTSIDE: Answer = Err((LogLevel::Information, "outside office hours: denied"));
const TWO_GRANTS: Answer = Err((LogLevel::Information, "two grants are open already: denied"));

const fn opens(service: u16, seconds: u32) -> Answer {
    Ok(Action::Open { service, seconds })
}

/// Name, event, answer; `None` is a plain denial.
type Row = (&'static str, fn() -> Event, Option<Answer>);

#[rustfmt::skip]
const OFFICE_HOURS: &[Row] = &[
    ("Monday at noon", knock, Some(opens(1, 60))),
    ("a packet on Monday at noon", || Event { cause: Cause::Packet, book: None, ..knock() }, Some(opens(1, 60))),
    ("a minute before 8", || on(1, 8 * 60 - 1), Some(OUTSIDE)),
    ("at 8", || on(1, 8 * 60), Some(opens(1, 60))),
    ("a minute before 18", || on(5, 18 * 60 - 1), Some(opens(1, 60))),
    ("at 18", || on(5, 18 * 60), Some(OUTSIDE)),
    ("at midnight", || on(3, 0), Some(OUTSIDE)),
    ("a minute before midnight", || on(3, 1439), Some(OUTSIDE)),
    ("Friday at noon", || on(5, 720), Some(opens(1, 60))),
    ("Saturday at noon", || on(6, 720), Some(OUTSIDE)),
    ("Sunday at noon", || on(7, 720), Some(OUTSIDE)),
    ("without a clock", || Event { time: None, local: None, ..knock() }, Some(NO_CLOCK)),
    ("without a time zone", || Event { local: None, ..knock() }, Some(NO_CLOCK)),
    ("one grant is open", || with_grants(1), Some(opens(1, 60))),
    ("two grants are open", || with_grants(2), Some(TWO_GRANTS)),
    ("three grants are open", || with_grants(3), Some(TWO_GRANTS)),
    ("two grants are open at night", || Event { local: on(1, 0).local, ..with_grants(2) }, Some(OUTSIDE)),
    ("as long as is allowed", || asks(1, 3600), Some(opens(1, 3600))),
    ("longer than is allowed", || asks(1, 3601), Some(opens(1, 3600))),
    ("as long as a number can be", || asks(1, u32::MAX), Some(opens(1, 3600))),
    ("the other service, longer than it allows", || asks(2, 3600), Some(opens(2, 60))),
    ("a service that is not granted", || asks(3, 60), None),
    ("no time at all", || asks(1, 0), None),
    ("no service", || Event { request: None, ..knock() }, None),
    ("from IPv6", from_ipv6, Some(opens(1, 60))),
    ("a packet from IPv6 outside the hours", || Event { cause: Cause::Packet, local: on(2, 1200).local, ..from_ipv6() }, Some(OUTSIDE)),
];

#[test]
fn office_hours_are_the_same_in_every_language_and_on_every_engine() {
    for (name, event, answer) in OFFICE_HOURS {
        let event = event();
        for example in &*EXAMPLES {
            let [cranelift, pulley] = example.decide(&event);
            assert_answer(&cranelift, answer, &format!("{}, Cranelift: {name}", example.language));
            assert_answer(&pulley, answer, &format!("{}, Pulley: {name}", example.language));
            assert!(cranelift.fuel > 0, "{}: {name}", example.language);
            assert_eq!(cranelift.fuel, pulley.fuel, "{}: {name}", example.language);
            if let Some(second) = &example.second {
                let decision = second.decide(&event, &no_state());
                assert_answer(&decision, answer, &format!("{}, wasmi: {name}", example.language));
            }
        }
    }
}

#[test]
fn the_same_event_costs_the_same_fuel_every_time() {
    for example in &*EXAMPLES {
        let fuel: Vec<u64> =
            (0..4).flat_map(|_| example.decide(&knock())).map(|decision| decision.fuel).collect();
        assert!(fuel.iter().all(|used| *used == fuel[0]), "{}: {fuel:?}", example.language);
    }
}

#[test]
fn examples_without_a_runtime_of_their_own_are_small_enough_for_a_gateway_and_cost_the_same_there() {
    let edge = PolicyEngine::new(Profile::Edge, Capabilities::ALL).unwrap();
    for example in EXAMPLES.iter().filter(|example| SMALL.contains(&example.language)) {
        let language = example.language;
        let policy = edge.load(language, &module(language), &rights()).unwrap();
        assert!(policy.withheld().is_empty(), "{language}");
        for (name, event, answer) in OFFICE_HOURS {
            let (on_edge, [on_server, _]) = (policy.decide(&event(), &no_state()), example.decide(&event()));
            assert_answer(&on_edge, answer, &format!("{language} on the edge: {name}"));
            assert_eq!(on_edge.fuel, on_server.fuel, "{language}: {name}");
        }
    }
}

const SMALL: [&str; 6] = ["rust", "c", "cpp", "zig", "assemblyscript", "wat"];

/// Their modules bring a whole runtime along and take seconds to compile.
const LARGE: [&str; 2] = ["go", "javascript"];

/// Every example, loaded once for all tests.
static EXAMPLES: LazyLock<Vec<Example>> = LazyLock::new(|| {
    let engines = [
        PolicyEngine::new(Profile::Server, Capabilities::ALL).unwrap(),
        PolicyEngine::on_pulley(Profile::Server, Capabilities::ALL).unwrap(),
    ];
    thread::scope(|scope| {
        let large = LARGE.map(|language| scope.spawn(|| Example::load(language, &engines)));
        let small = SMALL.map(|language| Example::load(language, &engines));
        small.into_iter().chain(large.map(|example| example.join().unwrap())).collect()
    })
});

struct Example {
    language: &'static str,
    /// On Cranelift and on Pulley.
    policies: [Policy; 2],
    /// Components do not run there.
    second: Option<SecondPolicy>,
}

impl Example {
    fn load(language: &'static str, engines: &[PolicyEngine; 2]) -> Self {
        let (module, rights) = (module(language), Rights { wasi: Wasi::Inert, ..rights() });
        let policies = engines.each_ref().map(|engine| engine.load(language, &module, &rights).unwrap());
        let second = SecondPolicy::load(language, &module, &rights, Profile::Server, Capabilities::ALL);
        let second = match second {
            Err(LoadError::Component) if language == "javascript" => None,
            loaded => Some(loaded.unwrap()),
        };
        Self { language, policies, second }
    }

    /// A machine that is busy elsewhere for longer than the deadline stops a decision; that says nothing about the policy.
    fn decide(&self, event: &Event) -> [Decision; 2] {
        self.policies.each_ref().map(|policy| {
            let decisions = (0..50).map(|_| policy.decide(event, &no_state()));
            let is_late = |found: &Decision| matches!(found.failure, Some(Failure::Deadline { .. }));
            decisions.into_iter().find(|decision| !is_late(decision)).expect("a decision in time")
        })
    }
}

fn assert_answer(decision: &Decision, answer: &Option<Answer>, what: &str) {
    assert_eq!(decision.failure, None, "{what}");
    let lines: Vec<_> = decision.log.iter().map(|line| (line.level, line.text.as_str())).collect();
    let (actions, expected) = match answer {
        Some(Ok(action)) => (vec![*action], vec![]),
        Some(Err(line)) => (vec![], vec![*line]),
        None => (vec![], vec![]),
    };
    let verdict = if actions.is_empty() { Verdict::Deny } else { Verdict::Commit };
    assert_eq!((decision.verdict, &decision.actions[..], lines), (verdict, &actions[..], expected), "{what}");
}

fn on(weekday: u8, minute: u16) -> Event {
    Event { local: Some(LocalTime { weekday, minute }), ..knock() }
}

fn with_grants(grants: u32) -> Event {
    let client = knock().client.map(|client| Client { grants, ..client });
    Event { client, ..knock() }
}

fn from_ipv6() -> Event {
    let address: IpAddr = "2001:db8::7".parse().unwrap();
    Event { source: Some(Source { address, prefix: 64, failures: 0, grants: 0 }), ..knock() }
}

/// The one action, or the verdict when there is none.
fn decided(policy: &Policy, event: &Event) -> Result<Action, Verdict> {
    let decision = policy.decide(event, &no_state());
    assert_eq!(decision.failure, None, "{decision:?}");
    match &decision.actions[..] {
        [] => Err(decision.verdict),
        [action] => Ok(*action),
        several => panic!("one action expected: {several:?}"),
    }
}

fn asks(service: u16, seconds: u32) -> Event {
    Event {
        request: Some(Request { service, name: text("any"), seconds, grants: 0, prefix: None }),
        ..knock()
    }
}

fn default() -> Policy {
    let engine = PolicyEngine::new(Profile::Server, Capabilities::ALL).unwrap();
    engine.load("default", builtin::DEFAULT, &rights()).unwrap()
}

fn module(language: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/policies");
    let file = folder.join(format!("office_hours_{language}.wasm"));
    fs::read(&file).unwrap_or_else(|error| {
        panic!("{}: {error}; build the examples first: cargo xtask policies", file.display())
    })
}
