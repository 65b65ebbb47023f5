//! A broker in the place of a firewall: it does what the plan allows, for whoever asks, and nothing else.

use knockgate_agent::broker::{Bounds, FlowLever, Lever, NewBroker};
use knockgate_agent::confine::{BrokersSandbox, Forbidden, Sandbox};
use knockgate_agent::firewall::Flows;

use super::*;

/// `max-open` of every service.
const LONGEST: Duration = Duration::from_secs(120);
const HOLD: Duration = Duration::from_secs(6);

pub(super) fn opens_as_planned() {
    let lab = Lab::new();
    let _services = [Echo::start(&lab.gate, SSH), Echo::start(&lab.gate, WEB)];
    let (mut lever, mut flows) = start(&lab);
    assert_eq!(dial(&lab.client, gate(&lab, 0), SSH), Answer::Silence);

    lever.open(&grant(7, client(&lab, 0))).expect("opens");

    assert_eq!(dial(&lab.client, gate(&lab, 0), SSH), Answer::Accepted);
    assert_eq!(dial(&lab.client, gate(&lab, 0), WEB), Answer::Silence);
    assert_eq!(dial(&lab.stranger, gate(&lab, 0), SSH), Answer::Silence);
    let found = lever.grants().expect("reads");
    let [listed] = &found.grants[..] else { panic!("one grant: {found:?}") };
    assert_eq!((listed.id, listed.source, &listed.ports[..]), (7, client(&lab, 0), &[SSH][..]));
    assert!(listed.remaining <= MINUTE && found.foreign.is_empty());
    let seen = flows.look(&[grant(7, client(&lab, 0)), grant(8, stranger(&lab, 0))]).expect("looks");
    assert_eq!((seen.len(), seen[1]), (2, Flows::None));
    lever.close(&grant(7, client(&lab, 0))).expect("closes");
    assert_eq!(dial(&lab.client, gate(&lab, 0), SSH), Answer::Silence);
    lever.watch(client(&lab, 0), HOLD).expect("watches");
    lever.unwatch(client(&lab, 0)).expect("unwatches");
}

pub(super) fn refuses_the_rest() {
    let lab = Lab::new();
    let (mut lever, _flows) = start(&lab);
    let good = grant(1, client(&lab, 0));
    let cases = [
        Grant { service: 9, ..good.clone() },          // 1 no service of the plan
        Grant { ports: [WEB].into(), ..good.clone() }, // 2 ports of another one
        Grant { ports: [SSH, WEB].into(), ..good.clone() }, // 3 and of both
        Grant { ports: [23].into(), ..good.clone() },  // 4 of none
        Grant { protocol: Protocol::Udp, ..good.clone() }, // 5
        Grant { reach: Reach::Prefix(24), ..good.clone() }, // 6 no service has prefixes
        Grant { timeout: LONGEST + MINUTE, ..good.clone() }, // 7
    ];
    for (number, case) in cases.iter().enumerate() {
        let refused = lever.open(case).expect_err("refused").to_string();
        assert!(refused.contains("the broker refuses"), "{}: {refused}", number + 1);
    }
    assert!(lever.watch(client(&lab, 0), HOLD + MINUTE).is_err());
    let another = Plan { services: plan().services[1..].to_vec(), ..plan() };
    assert!(matches!(lever.reinstall(&another), Err(FirewallError::PlanIsFixed)));
    assert_eq!(lever.verify().expect("looks"), Integrity::Whole);
    assert!(lever.grants().expect("reads").grants.is_empty(), "nothing was opened");
    lever.open(&good).expect("and it still opens what it may");
}

pub(super) fn restores_and_cleans() {
    let lab = Lab::new();
    let (mut lever, _flows) = start(&lab);
    let theirs =
        format!("add element inet knockgate grants4 {{ {} . tcp . 22 timeout 1h }}", lab.stranger.v4);
    lab.gate.nft(&theirs);
    let found = lever.grants().expect("reads");
    assert_eq!(found.foreign.len(), 1, "{found:?}");
    lever.remove_foreign(&found.foreign).expect("shuts");
    assert!(lever.grants().expect("reads").foreign.is_empty());

    lab.gate.nft("flush ruleset");

    assert_eq!(lever.verify().expect("looks"), Integrity::Gone);
    assert!(lever.open(&grant(1, client(&lab, 0))).is_err());
    lever.reinstall(&plan()).expect("restores");
    assert_eq!(lever.verify().expect("looks"), Integrity::Whole);
}

fn start(lab: &Lab) -> (Lever, FlowLever) {
    let longest = plan().services.iter().map(|service| (service.id, LONGEST)).collect();
    lab.gate.on(|| {
        let broker = NewBroker::start().expect("starts");
        let sandbox = BrokersSandbox { sandbox: Sandbox::BestEffort, forbidden: Forbidden::Kill };
        let bounds = Bounds { longest, hold: HOLD };
        let (prepared, flows) = broker.guard_by(plan(), bounds, sandbox).expect("is there");
        (prepared.install().expect("shuts the gate"), flows)
    })
}
