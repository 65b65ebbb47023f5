//! Looks for what may keep a knock from working, from the profile to the service, and says what to do about it.
//!
//! It only asks for the gate's status: it opens nothing and uses up no number.

mod finding;
mod gate;
mod probe;

use std::net::SocketAddr;
use std::time::Instant;

use knockgate_core::Name;
use knockgate_core::profile::ProfileService;
use serde_json::Value;

use crate::attempt::{Done, Target, choose, find_name, recorded};
use crate::cli::Form;
use crate::dial;
use crate::outcome::{Failure, Outcome};
use crate::print::{self, Facts, Report};
use crate::settings::Choices;
use crate::store::Store;
use crate::voice::Voice;

use finding::{Finding, State};
use probe::Probes;

/// What shall be looked at, as the command line says it.
pub(crate) struct DoctorCall {
    pub(crate) profile: Option<Name>,
    pub(crate) choices: Choices,
    pub(crate) form: Form,
}

/// Returns the exit code: 0 if there is no problem.
pub(crate) fn run(call: &DoctorCall, voice: &Voice) -> u8 {
    let mut facts = Facts::of("doctor", call.profile.as_ref().map_or("", Name::as_str));
    let store = Store::find().ok();
    let mut findings = Vec::new();
    let done = recorded(store.as_ref(), &mut facts, voice, |store, facts| {
        let started = Instant::now();
        findings = examine(store, call, facts, voice)?;
        Ok(Done::plain(Report::examined(facts, summary(&findings), started.elapsed())))
    });
    voice.end();
    if findings.is_empty() {
        voice.error(&done.report.message);
    }
    match call.form {
        Form::Json => print::lines([json(&done.report, &findings).to_string()]),
        Form::Text => print::lines(finding::table(&findings)),
    }
    done.report.exit
}

/// All that was found, in the order of what builds upon what. What cannot be looked at is left out.
fn examine(
    store: &Store,
    call: &DoctorCall,
    facts: &mut Facts,
    voice: &Voice,
) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    let (name, choices) = find_name(store, (call.profile.as_ref(), &call.choices), facts)?;
    // Every way is looked at, whichever is chosen for knocks.
    let choices = Choices { via: None, ..choices };
    let mut target = match Target::find(store, (Some(&name), &choices), facts, voice) {
        Ok(target) => target,
        Err(failure) => return Ok(vec![Finding::failure("profile", &failure, facts)]),
    };
    findings.push(profile_finding(&target));
    if target.kept.profile.secret.is_none() {
        return Ok(findings);
    }
    let service = match choose(&target.kept.profile, choices.service.as_ref(), facts) {
        Ok(service) => service.clone(),
        Err(failure) => {
            findings.push(Finding::failure("service", &failure, facts));
            return Ok(findings);
        }
    };

    let mut session = target.session(voice, facts)?;
    let addresses = match session.addresses() {
        Ok(addresses) => addresses,
        Err(failure) => {
            findings.push(Finding::failure("name", &failure, session.facts));
            return Ok(findings);
        }
    };
    findings.push(name_finding(&session.facts.host, &addresses));
    let route = route_finding(&addresses);
    let has_route = route.state == State::Ok;
    findings.push(route);
    if has_route {
        let probes = Probes::make(&mut session, &addresses);
        findings.extend(gate_findings(&probes, &service, &mut session));
    }
    Ok(findings)
}

fn gate_findings(
    probes: &Probes,
    service: &ProfileService,
    session: &mut crate::session::Session<'_>,
) -> Vec<Finding> {
    let mut findings = gate::reached(probes, session);
    let Some(answered) = probes.best() else {
        findings.push(gate::key_unknown(probes, session.facts));
        return findings;
    };
    findings.push(gate::clock(answered, session.facts));
    findings.push(gate::key(answered, session.facts));
    findings.push(gate::book(answered, session));
    session.voice.step(format!("looking whether {} answers", service.name));
    findings.push(gate::service(answered, service, session.facts));
    findings
}

fn profile_finding(target: &Target<'_>) -> Finding {
    let kept = &target.kept;
    let (path, client) = (kept.path.display(), &kept.profile.client);
    if kept.profile.secret.is_none() {
        return Finding::problem(
            "profile",
            format!("{path} holds no secret key"),
            "enrol it again on the machine that made the key: `knockgate enroll FILE`".to_owned(),
        );
    }
    let lock = match kept.seal {
        Some(_) => "locked with a passphrase",
        None => "without a passphrase",
    };
    Finding::ok("profile", format!("{path}: client \"{client}\", readable by its owner alone, {lock}"))
}

fn name_finding(host: &str, addresses: &[SocketAddr]) -> Finding {
    let list: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
    let list = list.join(", ");
    let text = if *host == list { format!("{host} is an address") } else { format!("{host} is {list}") };
    Finding::ok("name", text)
}

fn route_finding(addresses: &[SocketAddr]) -> Finding {
    let mut ways = Vec::new();
    let mut any = false;
    for (family, is_of) in
        [("IPv4", SocketAddr::is_ipv4 as fn(&SocketAddr) -> bool), ("IPv6", SocketAddr::is_ipv6)]
    {
        let Some(&to) = addresses.iter().find(|address| is_of(address)) else { continue };
        match dial::route(to) {
            Ok(from) => {
                any = true;
                ways.push(format!("{family} from {}", from.ip()));
            }
            Err(_) => ways.push(format!("no {family} here, so that it is left out")),
        }
    }
    let text = ways.join("; ");
    if any {
        return Finding::ok("route", text);
    }
    Finding::problem("route", text, "connect this machine to a network that leads to the gate".to_owned())
}

fn summary(findings: &[Finding]) -> (Outcome, String) {
    let problems = findings.iter().filter(|finding| finding.state == State::Problem);
    let checks: Vec<_> = problems.map(|finding| finding.check).collect();
    match checks.as_slice() {
        [] => (Outcome::Answered, "no problem was found".to_owned()),
        [one] => (Outcome::Failed, format!("1 problem: {one}")),
        more => (Outcome::Failed, format!("{} problems: {}", more.len(), more.join(", "))),
    }
}

fn json(report: &Report, findings: &[Finding]) -> Value {
    let mut value = serde_json::to_value(report).expect("a report is plain JSON");
    if let Value::Object(object) = &mut value {
        object.insert("checks".to_owned(), findings.iter().map(Finding::json).collect());
    }
    value
}
