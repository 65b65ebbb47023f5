//! Policies that decide, and policies that misbehave: the same module, the same verdict, the same fuel.

use anyhow::{Context, Result};

use super::Scenario;
use super::stage::{Place, Plan, Site, Stage};
use super::verdicts::Verdicts;
use crate::Lab;
use crate::scenes::SSH;

pub(super) const TABLE: &[Scenario] = &[
    Scenario {
        name: "a policy that denies is obeyed",
        play: |stage, verdicts| decided_by(stage, verdicts, "(i32.const 1)"),
        found: &[
            "knock alice ssh: exit 4, refused, denied, packet",
            "knock alice ssh: exit 4, refused, denied, packet",
            "ssh: client silence, visitor silence, stranger silence",
            "audit decision: \"judge\" says \"deny\", no failure, []",
            "status alice: exit 0, ok, packet",
        ],
        not_on: None,
    },
    Scenario {
        name: "a policy that abstains opens nothing",
        play: |stage, verdicts| decided_by(stage, verdicts, "(i32.const 2)"),
        found: &[
            "knock alice ssh: exit 4, refused, denied, packet",
            "knock alice ssh: exit 4, refused, denied, packet",
            "ssh: client silence, visitor silence, stranger silence",
            "audit decision: \"judge\" says \"abstain\", no failure, []",
            "status alice: exit 0, ok, packet",
        ],
        not_on: None,
    },
    Scenario {
        name: "a policy that opens for as long as it likes is obeyed",
        play: |stage, verdicts| {
            decided_by(stage, verdicts, "(call $open (i32.const 1) (i32.const 600)) drop (i32.const 0)")
        },
        found: &[
            "knock alice ssh: exit 0, open, packet, for 600 s",
            "knock alice ssh: exit 0, open, packet, for 600 s",
            "ssh: client greeted, visitor silence, stranger silence",
            "audit decision: \"judge\" says \"commit\", no failure, [{\"act\":\"open\",\"seconds\":600,\"service\":1}]",
            "status alice: exit 0, ok, packet",
        ],
        not_on: None,
    },
    Scenario {
        name: "a policy that loops denies the knock and leaves the gate healthy",
        play: |stage, verdicts| decided_by(stage, verdicts, "(loop $again (br $again)) (i32.const 0)"),
        found: &[
            "knock alice ssh: exit 4, refused, policy-failed, packet",
            "knock alice ssh: exit 4, refused, policy-failed, packet",
            "ssh: client silence, visitor silence, stranger silence",
            "audit decision: \"judge\" says \"failed\", used up its 20000 fuel in function 3 at byte 0x90, []",
            "status alice: exit 0, ok, packet",
        ],
        not_on: None,
    },
    Scenario {
        name: "a policy that traps denies the knock and leaves the gate healthy",
        play: |stage, verdicts| decided_by(stage, verdicts, "unreachable"),
        found: &[
            "knock alice ssh: exit 4, refused, policy-failed, packet",
            "knock alice ssh: exit 4, refused, policy-failed, packet",
            "ssh: client silence, visitor silence, stranger silence",
            "audit decision: \"judge\" says \"failed\", ran into `unreachable`, as a panic or an abort does in function 3 at byte 0x90, []",
            "status alice: exit 0, ok, packet",
        ],
        not_on: None,
    },
    Scenario {
        name: "a policy that calls itself without end denies the knock and leaves the gate healthy",
        play: runs_deep,
        found: &[
            "knock alice ssh: exit 4, refused, policy-failed, packet",
            "knock alice ssh: exit 4, refused, policy-failed, packet",
            "ssh: client silence, visitor silence, stranger silence",
        ],
        not_on: None,
    },
    Scenario {
        name: "a policy that asks for too much denies the knock and leaves the gate healthy",
        play: |stage, verdicts| decided_by(stage, verdicts, GREEDY),
        found: &[
            "knock alice ssh: exit 4, refused, denied, packet",
            "knock alice ssh: exit 4, refused, denied, packet",
            "ssh: client silence, visitor silence, stranger silence",
            "audit decision: \"judge\" says \"commit\", no failure, []",
            "status alice: exit 0, ok, packet",
        ],
        not_on: None,
    },
    Scenario {
        name: "a policy that locks out is obeyed",
        play: |stage, verdicts| {
            decided_by(stage, verdicts, "(call $lockout (i32.const 90)) drop (i32.const 0)")
        },
        found: &[
            "knock alice ssh: exit 4, refused, denied, packet",
            "knock alice ssh: exit 5, locked-out, locked-out, packet, again in 90 s",
            "ssh: client silence, visitor silence, stranger silence",
            "audit decision: \"judge\" says \"commit\", no failure, [{\"act\":\"lockout\",\"seconds\":90}]",
            "status alice: exit 5, locked-out, locked-out, packet, again in 90 s",
        ],
        not_on: None,
    },
    Scenario {
        name: "a chain is asked until one does not abstain",
        play: chain,
        found: &[
            "knock alice ssh: exit 0, open, packet, for 600 s",
            "ssh: client greeted, visitor silence, stranger silence",
            "audit decision: \"silent\" says \"abstain\", no failure, []",
            "audit decision: \"judge\" says \"commit\", no failure, [{\"act\":\"open\",\"seconds\":600,\"service\":1}]",
        ],
        not_on: None,
    },
    Scenario {
        name: "a policy that counts grants grants one at a time",
        play: one_at_a_time,
        found: &[
            "knock alice ssh: exit 0, open, packet, for 60 s",
            "knock alice web: exit 4, refused, denied, packet",
            "knock bob ssh: exit 0, open, packet, for 60 s",
            "ssh: client greeted, visitor greeted, stranger silence",
            "close alice: exit 0, closed, packet",
            "knock alice web: exit 0, open, packet, for 60 s",
            "audit decision: \"limit\" says \"commit\", no failure, [{\"act\":\"open\",\"seconds\":60,\"service\":1}]",
            "audit decision: \"limit\" says \"deny\", no failure, []",
            "audit decision: \"limit\" says \"commit\", no failure, [{\"act\":\"open\",\"seconds\":60,\"service\":1}]",
            "audit decision: \"limit\" says \"commit\", no failure, [{\"act\":\"open\",\"seconds\":60,\"service\":2}]",
        ],
        not_on: None,
    },
    Scenario {
        name: "numbers that a policy keeps outlive a crash",
        play: per_day,
        found: &[
            "knock alice ssh --seconds 2: exit 0, open, packet, for 5 s",
            "knock alice ssh --seconds 2: exit 0, open, packet, for 5 s",
            "knock alice ssh --seconds 2: exit 4, refused, denied, packet",
            "knock alice ssh: exit 4, refused, denied, packet",
            "knock bob ssh: exit 0, open, packet, for 60 s",
            "ssh: client silence, visitor greeted, stranger silence",
        ],
        not_on: None,
    },
    Scenario {
        name: "two people open together what neither opens alone",
        play: two_person,
        found: &[
            "knock alice ssh: exit 4, refused, denied, packet",
            "knock bob ssh: exit 0, open, packet, for 60 s",
            "knock alice ssh: exit 0, open, packet, for 60 s",
            "ssh: client greeted, visitor greeted, stranger silence",
            "audit decision: \"both\" says \"commit\", no failure, []",
            "audit decision: \"both\" says \"commit\", no failure, [{\"act\":\"open\",\"seconds\":60,\"service\":1}]",
            "audit decision: \"both\" says \"commit\", no failure, [{\"act\":\"open\",\"seconds\":60,\"service\":1}]",
        ],
        not_on: None,
    },
];

/// A century, which neither the manifest nor the configuration allows.
const GREEDY: &str = "(call $open (i32.const 1) (i32.const 0x7fffffff)) drop (i32.const 0)";

/// Makes a module whose `decide` does this, and returns its section of the configuration.
fn module(lab: &Lab, name: &str, body: &str) -> Result<String> {
    let text = format!(
        r#"(module
  (@custom "knockgate.manifest" "abi=1.0\nname={name}\nversion=1\nservices=*\nmax-seconds=3600\ncapabilities=open lockout\nfuel=20000\n")
  (import "knockgate:policy/act@1.0.0" "open" (func $open (param i32 i32) (result i32)))
  (import "knockgate:policy/act@1.0.0" "lockout" (func $lockout (param i32) (result i32)))
  (memory (export "memory") 1)
  (func $deeper (result i32) (i32.add (i32.const 1) (call $deeper)))
  (func (export "decide") (result i32) {body}))"#
    );
    let module = wat::parse_str(text).with_context(|| format!("policy {name} is not valid WAT"))?;
    let file = lab.path(&format!("{name}.wasm"));
    std::fs::write(&file, module)?;
    Ok(format!(
        "[policy-module.{name}]\nfile = \"{}\"\nservices = [\"ssh\", \"web\"]\n\
         capabilities = [\"open\", \"lockout\"]\nmax-seconds = 3600\n",
        file.display()
    ))
}

fn decided_by(stage: &Stage<'_>, verdicts: &mut Verdicts, body: &str) -> Result<()> {
    let section = module(stage.lab, "judge", body)?;
    let plan = Plan::by_packet().with(&format!("[policy]\nchain = [\"judge\"]\n{section}"));
    let mut site = stage.set(&plan)?;
    for _ in 0..2 {
        // A second one is treated likewise: nothing was used up by the first.
        site.tells(verdicts, "alice", &["knock", "alice", "ssh"])?;
    }
    site.look(verdicts, SSH)?;
    decisions(&site, verdicts, 1)?;
    site.tells(verdicts, "alice", &["status", "alice"])?;
    site.is_healthy()
}

/// How deep calls may go is each engine's own, so is whether the fuel ends first: docs/policies.md.
fn runs_deep(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    let section = module(stage.lab, "judge", "(call $deeper)")?;
    let plan = Plan::by_packet().with(&format!("[policy]\nchain = [\"judge\"]\n{section}"));
    let mut site = stage.set(&plan)?;
    for _ in 0..2 {
        site.tells(verdicts, "alice", &["knock", "alice", "ssh"])?;
    }
    site.look(verdicts, SSH)?;
    site.is_healthy()
}

/// The first decisions in the audit log: what each policy said, and what it used.
fn decisions(site: &Site<'_>, verdicts: &mut Verdicts, count: usize) -> Result<()> {
    let is_decision = |record: &serde_json::Value| record["event"] == "decision";
    let decisions =
        crate::waiting::until("decisions in the audit log", std::time::Duration::from_secs(10), || {
            let decisions: Vec<_> = site.audit().ok()?.into_iter().filter(is_decision).collect();
            (decisions.len() >= count).then_some(decisions)
        })?;
    for decision in decisions.iter().take(count) {
        let failure = decision["failure"].as_str().unwrap_or("no failure");
        verdicts.note(format_args!(
            "audit decision: {} says {}, {failure}, {}",
            decision["policy"], decision["verdict"], decision["actions"]
        ));
        verdicts.figure(format_args!("fuel {}", decision["fuel"]));
    }
    Ok(())
}

fn chain(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    let sections = [
        "[policy]\nchain = [\"silent\", \"judge\", \"last\"]\n".to_owned(),
        module(stage.lab, "silent", "(i32.const 2)")?,
        module(stage.lab, "judge", "(call $open (i32.const 1) (i32.const 600)) drop (i32.const 0)")?,
        module(stage.lab, "last", "unreachable")?,
    ];
    let site = stage.set(&Plan::by_packet().with(&sections.concat()))?;
    site.tells(verdicts, "alice", &["knock", "alice", "ssh"])?;
    site.look(verdicts, SSH)?;
    decisions(&site, verdicts, 2)
}

const LIMIT: &str = "[policy]\nchain = [\"limit\"]\n[policy-module.limit]\nbuilt-in = \"limit-per-client\"\n";

fn one_at_a_time(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    let site = stage.set(&Plan::by_packet().bob().with(LIMIT))?;
    for (who, service) in [("alice", "ssh"), ("alice", "web"), ("bob", "ssh")] {
        site.tells(verdicts, who, &["knock", who, service])?;
    }
    site.look(verdicts, SSH)?;
    site.tells(verdicts, "alice", &["close", "alice"])?;
    site.tells(verdicts, "alice", &["knock", "alice", "web"])?;
    decisions(&site, verdicts, 4)
}

fn per_day(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    let limit = format!("{LIMIT}[policy-module.limit.parameters]\nopen = 9\nper-day = 2\n");
    let mut site = stage.set(&Plan::by_packet().bob().with(&limit))?;
    for _ in 0..3 {
        site.tells(verdicts, "alice", &["knock", "alice", "ssh", "--seconds", "2"])?;
    }
    site.wait_until_shut(Place::Client, SSH)?;
    site.crash()?;
    site.tells(verdicts, "alice", &["knock", "alice", "ssh"])?;
    site.tells(verdicts, "bob", &["knock", "bob", "ssh"])?;
    site.look(verdicts, SSH)
}

fn two_person(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    let both = "[policy]\nchain = [\"both\"]\n[policy-module.both]\nbuilt-in = \"two-person\"\n";
    let site = stage.set(&Plan::by_packet().bob().with(both))?;
    for who in ["alice", "bob", "alice"] {
        site.tells(verdicts, who, &["knock", who, "ssh"])?;
    }
    site.look(verdicts, SSH)?;
    decisions(&site, verdicts, 3)
}
