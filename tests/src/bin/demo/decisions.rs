//! One policy, signed, in a gate that takes no other: a client knocks on a Monday and on a Sunday, and the policy decides.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use knockgate_tests::clients::Client;
use knockgate_tests::clocks::Clock;
use knockgate_tests::gates::{Configuration, Gate};
use knockgate_tests::peers::{Reached, Service, reach};
use knockgate_tests::programs::Said;
use knockgate_tests::scenes::SSH;
use knockgate_tests::{Family, Lab, waiting};
use serde_json::Value;

use crate::timeline::{Expected, Timeline};

/// In which the agent's clock begins, 10 o'clock UTC.
const DAYS: [(u64, &str); 2] = [(0, "Monday"), (6, "Sunday")];

/// Longer than a grant of the demo.
const CLOSING: Duration = Duration::from_secs(10);

/// A compiled policy with its signature beside it, and the public key that it is held against.
pub(crate) struct Signed {
    pub(crate) module: PathBuf,
    pub(crate) key: PathBuf,
}

pub(crate) fn show(lab: &Lab, policy: &Signed, timeline: &mut Timeline) -> Result<()> {
    let address = lab.gate.ip(Family::V4).to_string();
    let sections = sections(lab, policy)?;
    let configuration = Configuration::for_packets(lab, &address).with_services().with(&sections);
    let _ssh = Service::start(&lab.gate, SSH, "ssh")?;
    let mut gate = Gate::configured(lab, &configuration)?;
    gate.tell(&["check"])?.expect(0).context("the gate does not take this policy")?;
    timeline
        .tell("gate", format_args!("takes {}, signed by {}", policy.module.display(), policy.key.display()));
    let profile = gate.enrol("alice", &["ssh"], &[])?;
    let alice = Client::with_profile(lab, &lab.client, "alice", &profile)?;
    for (day, named) in DAYS {
        println!("\nA knock on a {named} at 10 o'clock");
        let clock = Clock::next_week(day)?;
        gate.set_clock(&clock);
        gate.start()?;
        knock(lab, &gate, &alice, &clock, timeline)?;
        gate.stop()?;
    }
    Ok(())
}

/// The client knocks; what the policy has decided is what the port does.
fn knock(
    lab: &Lab,
    gate: &Gate<'_>,
    alice: &Client<'_>,
    clock: &Clock,
    timeline: &mut Timeline,
) -> Result<()> {
    let ssh = lab.gate.at(Family::V4, SSH);
    let (earlier, logged) = (decisions(gate)?.len(), gate.log().len());
    timeline.reach("client", &lab.client, ssh, Expected::Shut)?;
    timeline.tell("client", "knockgate knock alice ssh --seconds 5");
    let mut command = alice.command(&["knock", "alice", "ssh", "--seconds", "5"])?;
    clock.give(&mut command);
    let said = Said::by(&mut command)?;
    gate.wait_for_audit("a decision", |_| decisions(gate).is_ok_and(|all| all.len() > earlier))?;
    for decision in decisions(gate)?.iter().skip(earlier) {
        timeline.tell("policy", in_words(decision));
    }
    for line in gate.log().get(logged..).unwrap_or("").lines().filter_map(own_line) {
        timeline.tell("policy", format_args!("{line:?} in the gate's log"));
    }
    timeline.tell("client", format!("{}{}", said.out, said.err).trim());
    let expected = if said.code == Some(0) { Expected::Open } else { Expected::Shut };
    timeline.reach("client", &lab.client, ssh, expected)?;
    timeline.reach("stranger", &lab.stranger, ssh, Expected::Shut)?;
    waiting::until_true("the port is shut again", CLOSING, || {
        matches!(reach(&lab.client, ssh), Ok(Reached::Silence))
    })
}

fn decisions(gate: &Gate<'_>) -> Result<Vec<Value>> {
    let mut records = gate.audit()?;
    records.retain(|record| record["event"] == "decision");
    Ok(records)
}

/// What a decision came to, as the audit log has it.
fn in_words(decision: &Value) -> String {
    let known = ["verdict", "actions", "failure", "fuel"].into_iter().map(|key| (key, &decision[key]));
    let said = known.filter(|(_, value)| !value.is_null());
    said.map(|(key, value)| format!("{key} {value}")).collect::<Vec<_>>().join(", ")
}

/// What the policy wrote, if it wrote this line of the agent's log.
fn own_line(line: &str) -> Option<&str> {
    line.split_once(": ")?.1.strip_suffix(" policy=shown")
}

/// The policy alone decides, and may do whatever it asks for that nothing outside the gate is needed for.
fn sections(lab: &Lab, policy: &Signed) -> Result<String> {
    let text = std::fs::read_to_string(&policy.key).with_context(|| format!("{}", policy.key.display()))?;
    let key = text.lines().rfind(|line| !line.trim().is_empty());
    let key = key.with_context(|| format!("{} has no key", policy.key.display()))?;
    let file = adopt(lab, &policy.module)?;
    Ok(format!(
        "[policy]\nchain = [\"shown\"]\nkeys = [\"{}\"]\ntime-zone = \"UTC\"\n\n\
         [policy-module.shown]\nfile = \"{}\"\nservices = [\"ssh\", \"web\"]\nwasi = \"inert\"\n\
         capabilities = [\"open\", \"open-prefix\", \"extend\", \"revoke\", \"lockout\", \"state\", \"log\"]\n",
        key.trim(),
        file.display()
    ))
}

/// As an administrator copies it to a gate.
fn adopt(lab: &Lab, module: &Path) -> Result<PathBuf> {
    let place = lab.path("shown.wasm");
    for (from, to) in [(module.to_path_buf(), place.clone()), (signature(module), signature(&place))] {
        std::fs::copy(&from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
    }
    ensure!(place.is_file(), "{} is no file", module.display());
    Ok(place)
}

fn signature(module: &Path) -> PathBuf {
    let mut name = module.as_os_str().to_owned();
    name.push(".minisig");
    name.into()
}
