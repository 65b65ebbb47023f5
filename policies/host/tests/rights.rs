//! Effective rights are what manifest, configuration and host have in common.
#![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

mod stage;

use knockgate_policy_host::{
    Action, Capabilities, Capability, LoadError, Policy, PolicyEngine, Profile, Refusal, Rights,
    ServiceRight, Verdict,
};
use stage::{knock, no_state, rights};

#[test]
fn the_configuration_withholds_what_the_manifest_asks() {
    let granted = Rights { capabilities: Capabilities::of(&[Capability::Log]), ..rights() };
    let policy = load("capabilities=open log\\0aservices=*", &granted, Capabilities::ALL).unwrap();

    assert_eq!(policy.withheld(), Capabilities::of(&[Capability::Open]));
    assert_eq!(refusal(&policy), Some(Refusal::NotPermitted));
}

#[test]
fn the_manifest_withholds_what_the_configuration_grants() {
    let policy = load("capabilities=log\\0aservices=*", &rights(), Capabilities::ALL).unwrap();

    assert!(policy.withheld().is_empty());
    assert_eq!(refusal(&policy), Some(Refusal::NotPermitted));
}

#[test]
fn a_service_must_be_in_the_manifest_and_granted() {
    let policy = load("capabilities=open\\0aservices=2 3", &rights(), Capabilities::ALL).unwrap();

    assert_eq!(policy.rights().services().collect::<Vec<_>>(), [2]);
    assert_eq!(refusal(&policy), Some(Refusal::NotPermitted), "service 1 is granted and not asked for");
}

#[test]
fn the_shortest_of_three_times_counts() {
    let cases: [(&str, u32, u32, Option<Refusal>); 4] = [
        ("max-seconds=60", 3600, 3600, None),
        ("max-seconds=59", 3600, 3600, Some(Refusal::LimitReached)),
        ("max-seconds=3600", 59, 3600, Some(Refusal::LimitReached)),
        ("max-seconds=3600", 3600, 59, Some(Refusal::LimitReached)),
    ];
    for (number, (line, configured, service, expected)) in cases.into_iter().enumerate() {
        let granted = Rights {
            max_seconds: configured,
            services: vec![ServiceRight { service: 1, max_seconds: service }],
            ..rights()
        };
        let manifest = format!("capabilities=open\\0aservices=*\\0a{line}");
        let policy = load(&manifest, &granted, Capabilities::ALL).unwrap();
        assert_eq!(refusal(&policy), expected, "case {number}");
    }
}

#[test]
fn what_the_host_cannot_do_is_refused_by_name_unless_optional() {
    let host = Capabilities::of(&[Capability::Log]);

    let error = load("capabilities=open\\0aservices=*", &rights(), host).err();
    assert_eq!(error, Some(LoadError::NotOnThisHost(Capability::Open)));

    let policy = load("capabilities=open log\\0aservices=*\\0aoptional=open", &rights(), host).unwrap();
    assert_eq!(refusal(&policy), Some(Refusal::NotOnThisHost));
}

#[test]
fn a_policy_without_any_right_is_refused_when_it_is_loaded() {
    let nothing = Rights { capabilities: Capabilities::NONE, ..rights() };
    let no_service = Rights { services: Vec::new(), ..rights() };
    let no_time = Rights { max_seconds: 0, ..rights() };
    let manifest = "capabilities=open\\0aservices=*";

    let refused = |rights| load(manifest, rights, Capabilities::ALL).err();
    assert_eq!(refused(&nothing), Some(LoadError::NoCapability(Capabilities::of(&[Capability::Open]))));
    assert_eq!(refused(&no_service), Some(LoadError::NoService));
    assert_eq!(refused(&no_time), Some(LoadError::NoTime));
}

#[test]
fn an_optional_interface_answers_not_on_this_host() {
    let newer = |optional: &str| {
        let text = format!(
            r#"(module
              (import "knockgate:policy/act@1.1.0" "open-twice" (func $new (param i32 i64) (result i32)))
              (import "other:thing/clock@2.0.0" "now" (func $now (result i64)))
              (@custom "knockgate.manifest" "abi=1.0\0aname=x\0a{optional}")
              (func (export "decide") (result i32)
                (i32.or
                  (i32.ne (call $new (i32.const 1) (i64.const 1)) (i32.const -5))
                  (i64.ne (call $now) (i64.const 0)))))"#
        );
        let engine = PolicyEngine::new(Profile::Edge, Capabilities::ALL).unwrap();
        engine.load("newer", &wat::parse_str(text).unwrap(), &rights())
    };

    let both = newer("optional=knockgate:policy/act@1.1.0 other:thing/clock@2.0.0").unwrap();
    assert_eq!(both.decide(&knock(), &no_state()).verdict, Verdict::Commit);

    let Err(error) = newer("optional=other:thing/clock@2.0.0") else { panic!("loaded") };
    assert_eq!(error, LoadError::NewerInterface { interface: "knockgate:policy/act@1.1.0".into() });
    assert!(error.to_string().contains("update Knockgate"), "{error}");
}

#[test]
fn a_policy_is_asked_only_about_what_it_wants() {
    use knockgate_policy_host::Cause;
    let policy =
        load("capabilities=open\\0aservices=*\\0acauses=packet expiry", &rights(), Capabilities::ALL);
    let policy = policy.unwrap();
    let wanted: Vec<Cause> = Cause::ALL.iter().copied().filter(|cause| policy.wants(*cause)).collect();
    assert_eq!(wanted, [Cause::Packet, Cause::Expiry]);
}

/// How `open` of service 1 for 60 seconds is answered.
fn refusal(policy: &Policy) -> Option<Refusal> {
    let decision = policy.decide(&knock(), &no_state());
    assert!(decision.failure.is_none(), "{decision:?}");
    let refused = decision.refused.first().map(|refused| refused.refusal);
    let opened = decision.actions.contains(&Action::Open { service: 1, seconds: 60 });
    assert_eq!(opened, refused.is_none(), "{decision:?}");
    refused
}

fn load(manifest: &str, rights: &Rights, host: Capabilities) -> Result<Policy, LoadError> {
    let text = format!(
        r#"(module
          (import "knockgate:policy/act@1.0.0" "open" (func $open (param i32 i32) (result i32)))
          (@custom "knockgate.manifest" "abi=1.0\0aname=x\0a{manifest}\0a")
          (func (export "decide") (result i32)
            (drop (call $open (i32.const 1) (i32.const 60)))
            (i32.const 0)))"#
    );
    PolicyEngine::new(Profile::Edge, host).unwrap().load("x", &wat::parse_str(text).unwrap(), rights)
}
