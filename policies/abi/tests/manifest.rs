//! The manifest parser, by cases.

use knockgate_policy_abi::manifest::{Fault, Services};
use knockgate_policy_abi::{
    Capabilities, Capability, Cause, Causes, Manifest, ManifestError, ParameterKind, Version,
};

const FULL: &str = "\
# what a complete manifest looks like
abi=1.0
name = office-hours
version=2.1-beta
services=1 22 65535
max-seconds=3600
capabilities=open log state
causes=sequence close
fuel=40000
pages=1

optional=knockgate:policy/act@1.1.0 start
parameters=from:minute networks:networks
";

#[test]
fn every_key_is_understood() {
    let manifest = Manifest::parse(FULL.as_bytes()).unwrap();

    assert_eq!(manifest.abi, Version { major: 1, minor: 0 });
    assert_eq!(manifest.name, "office-hours");
    assert_eq!(manifest.version, "2.1-beta");
    assert!(manifest.services.has(22) && manifest.services.has(65535) && !manifest.services.has(2));
    assert_eq!(manifest.max_seconds, Some(3600));
    assert_eq!(
        manifest.capabilities,
        Capabilities::of(&[Capability::Open, Capability::Log, Capability::State])
    );
    assert_eq!(manifest.causes, Causes::NONE.with(Cause::Sequence).with(Cause::Close));
    assert_eq!(manifest.fuel, Some(40_000));
    assert_eq!(manifest.pages, Some(1));
    assert!(manifest.optional.has("knockgate:policy/act@1.1.0") && manifest.optional.has("start"));
    let parameters: Vec<_> = manifest.parameters.iter().collect();
    assert_eq!(parameters, [("from", ParameterKind::Minute), ("networks", ParameterKind::Networks)]);
}

#[test]
fn what_is_not_asked_for_is_not_there() {
    let manifest = Manifest::parse(b"abi=1.0\nname=x").unwrap();

    assert!(manifest.capabilities.is_empty());
    assert!((1..=u16::MAX).all(|service| !manifest.services.has(service)));
    assert_eq!(manifest.causes, Causes::KNOCKS);
    assert_eq!((manifest.fuel, manifest.pages, manifest.max_seconds), (None, None, None));
    assert_eq!(manifest.parameters.iter().count(), 0);
}

#[test]
fn star_asks_for_every_service() {
    assert_eq!(Manifest::parse(b"abi=1.0\nname=x\nservices=*").unwrap().services, Services::All);
}

#[test]
fn errors_name_the_line_and_the_reason() {
    let cases: &[(&str, u32, Fault)] = &[
        ("", 0, Fault::Missing("abi")),
        ("abi=1.0", 0, Fault::Missing("name")),
        ("name=x", 0, Fault::Missing("abi")),
        ("abi=1.0\nname", 2, Fault::NoEqualsSign),
        ("abi=1", 1, Fault::NotAVersion),
        ("abi=1.x", 1, Fault::NotAVersion),
        ("abi=1.0.0", 1, Fault::NotAVersion),
        ("abi=99999.0", 1, Fault::NotAVersion),
        ("\nabi=1.0\nabi=1.0", 3, Fault::Twice),
        ("name=", 1, Fault::NotAName),
        ("name=Office", 1, Fault::NotAName),
        ("name=a b", 1, Fault::NotAName),
        ("name=a-name-that-is-longer-than-thirty-two", 1, Fault::NotAName),
        ("name=b\u{fc}ro", 1, Fault::NotAscii),
        ("name=a\u{7}", 1, Fault::NotAscii),
        ("services=ssh", 1, Fault::NotAService),
        ("services=0", 1, Fault::NotAService),
        ("services=65536", 1, Fault::NotAService),
        ("services=1,2", 1, Fault::NotAService),
        ("max-seconds=0", 1, Fault::NotANumber),
        ("max-seconds=1h", 1, Fault::NotANumber),
        ("max-seconds=4294967296", 1, Fault::NotANumber),
        ("fuel=-1", 1, Fault::NotANumber),
        ("capabilities=open fly", 1, Fault::UnknownCapability),
        ("causes=knock", 1, Fault::UnknownCause),
        ("parameters=from", 1, Fault::NotAParameter),
        ("parameters=from:clock", 1, Fault::NotAParameter),
        ("parameters=:number", 1, Fault::NotAParameter),
        ("parameters=a:number b:days a:number", 1, Fault::ParameterTwice),
        ("capability=open", 1, Fault::UnknownKey),
    ];
    for (number, (text, line, fault)) in cases.iter().enumerate() {
        let expected = Err(ManifestError { line: *line, fault: *fault });
        assert_eq!(Manifest::parse(text.as_bytes()), expected, "case {number}: {text:?}");
    }
    let parameters = |count: u32| {
        let words: Vec<String> = (0..count).map(|number| format!("p{number}:number")).collect();
        format!("abi=1.0\nname=x\nparameters={}", words.join(" "))
    };
    assert!(Manifest::parse(parameters(16).as_bytes()).is_ok());
    let one_more = Manifest::parse(parameters(17).as_bytes()).unwrap_err();
    assert_eq!(one_more, ManifestError { line: 3, fault: Fault::TooManyParameters });
    let long = "#".repeat(3000);
    assert_eq!(Manifest::parse(long.as_bytes()).unwrap_err().fault, Fault::TooLong);
    assert_eq!(Manifest::parse(b"abi=1.0\nname=\xff").unwrap_err().fault, Fault::NotAscii);
}

#[test]
fn damaged_manifests_never_panic() {
    let good = FULL.as_bytes();
    for at in 0..good.len() {
        for byte in [0, b'\n', b'=', b' ', 0x80, 0xff] {
            let mut damaged = good.to_vec();
            damaged[at] = byte;
            let _ = Manifest::parse(&damaged);
            let _ = Manifest::parse(&good[..at]);
        }
    }
}

#[test]
fn messages_end_with_the_remedy() {
    let error = Manifest::parse(b"abi=1.0\nname=x\ncapabilities=fly").unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 3: unknown capability; use open, open-prefix, extend, revoke, lockout, start, notify, state or log"
    );
    assert_eq!(Manifest::parse(b"name=x").unwrap_err().to_string(), "no line `abi=`; add it");
}

#[test]
fn older_hosts_refuse_newer_policies_only() {
    let host = Version { major: 1, minor: 2 };
    for (major, minor, runs) in [(1, 0, true), (1, 2, true), (1, 3, false), (2, 0, false), (0, 9, false)] {
        assert_eq!(host.runs(Version { major, minor }), runs, "{major}.{minor}");
    }
}
