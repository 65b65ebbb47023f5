use knockgate_core::client::Keys;
use knockgate_core::message::Request;

use super::super::stage::{CLIENT, GATE, Place, gate_and_client, open, place};
use super::super::start::make_ready;
use super::*;
use crate::state::system_rng;

const ROOT: Caller = Caller { uid: 0, pid: Some(1) };
const NAME: &str = "run::orders::tests::an_operator_sees_what_happens_and_has_his_way";

fn named(what: &str) -> Meant {
    Meant::Named(what.to_owned())
}

fn in_kernel(driver: &mut Driver) -> usize {
    driver.firewall.grants().unwrap().grants.len()
}

#[test]
fn an_operator_sees_what_happens_and_has_his_way() {
    if place(NAME) == Place::Outside {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let profile = gate_and_client(temp.path());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _inside = runtime.enter();
    let mut driver = make_ready(&temp.path().join("agent.toml"), None).unwrap().driver;
    let keys = Keys::of(&profile).unwrap();
    let knock = |driver: &mut Driver, request: Request| {
        let message = keys.ask(&request, &mut system_rng()).unwrap().1;
        driver.packet(CLIENT, GATE, &message);
        message
    };
    let source = CLIENT.ip().to_string();

    let message = knock(&mut driver, open());
    let why = driver.why("alice").unwrap();
    assert_eq!(
        (why.attempts[0].outcome.as_str(), why.attempts[0].remedy.as_ref()),
        ("opened", None),
        "{why:?}"
    );
    assert!(why.attempts[0].steps.iter().all(|step| step.passed == crate::control::Passed::Yes), "{why:?}");
    let status = driver.status();
    assert_eq!((status.counts.grants, status.knocks.packets, status.knocks.opened), (1, 1, 1));
    assert_eq!((status.policies[0].decisions, status.policies[0].failures), (1, 0));

    driver.packet(CLIENT, GATE, &message);
    let why = driver.why(&source).unwrap();
    assert_eq!(
        (why.attempts[0].outcome.as_str(), why.attempts[0].client.as_deref()),
        ("silence", Some("alice"))
    );
    assert_eq!(why.attempts[0].reason.as_deref(), Some("replayed"));
    assert_eq!(driver.why("alice").unwrap().attempts[0], why.attempts[0]);

    knock(&mut driver, Request { service: 9, ..open() });
    let why = driver.why("alice").unwrap();
    assert_eq!(why.attempts[0].reason.as_deref(), Some("not-allowed"));
    assert_eq!(driver.people().list()[0].failures, 0, "it was told at once");
    assert_eq!(driver.why("10.9.0.3").unwrap().attempts[0].outcome, "unheard");
    assert!(driver.why("nobody").is_none());

    assert!(matches!(driver.revoke(ROOT, &named("bob")), Reply::Refused { .. }));
    let Reply::Revoked { grants } = driver.revoke(ROOT, &named("alice")) else { panic!("it is open") };
    assert_eq!((grants.len(), grants[0].to.as_str(), in_kernel(&mut driver)), (1, source.as_str(), 0));

    let lasts = Duration::from_secs(1_000_000);
    assert!(matches!(driver.rescue(ROOT, "nothing", CLIENT.ip(), lasts), Reply::Refused { .. }));
    let Reply::Rescued { grant } = driver.rescue(ROOT, "ssh", CLIENT.ip(), lasts) else { panic!("refused") };
    assert_eq!((grant.client.as_str(), in_kernel(&mut driver)), ("console", 1));
    assert!((3595..=3600).contains(&grant.left_seconds), "as long as the service may be open: {grant:?}");
    let Reply::Revoked { .. } = driver.revoke(ROOT, &Meant::All) else { panic!("it is open") };
    assert_eq!(in_kernel(&mut driver), 0);

    let client = driver.client_named("alice").unwrap();
    let about = knockgate_core::Subject { client: Some(client), ..Default::default() };
    driver.gate.handle_reaction(clock::now(), about, &[knockgate_core::Effect::Lockout { seconds: 60 }]);
    driver.turn();
    knock(&mut driver, open());
    assert_eq!(driver.why("alice").unwrap().attempts[0].reason.as_deref(), Some("locked-out"));
    let Reply::Unlocked { lockouts } = driver.unlock(ROOT, &named("alice")) else { panic!("locked out") };
    assert_eq!((lockouts.len(), lockouts[0].who.as_str()), (1, "alice"));
    knock(&mut driver, open());
    assert_eq!(in_kernel(&mut driver), 1);
}
