//! `knockgated why`: what has become of somebody's last knocks.

use std::path::Path;

use super::running::{Form, ask, json, unexpected};
use crate::control::{Attempt, Memory, Passed, Reply, Request, Step, Why};

/// Asks, and prints.
pub fn run(config: &Path, whom: String, form: Form) -> anyhow::Result<String> {
    match (ask(config, &Request::Why { whom })?, form) {
        (Reply::Why(why), Form::Text) => Ok(text(&why)),
        (Reply::Why(why), Form::Json) => json(&why),
        (other, Form::Text | Form::Json) => unexpected(&other),
    }
}

fn text(why: &Why) -> String {
    let Why { attempts, memory: Memory { places, washed_out }, .. } = why;
    let attempts: Vec<_> = attempts.iter().map(attempt).collect();
    let memory = match washed_out {
        0 => String::new(),
        _ => format!(
            "\nOf messages that were met with silence the last {places} of each kind are remembered; {washed_out} older ones are \
             forgotten.\n"
        ),
    };
    format!("{}{memory}", attempts.join("\n"))
}

fn attempt(attempt: &Attempt) -> String {
    let Attempt { at, source, client, service, asked, outcome, reason, times, steps, remedy } = attempt;
    let client = client.as_ref().map(|client| format!(", {client}")).unwrap_or_default();
    let service = service.as_ref().map(|service| format!(" {service}")).unwrap_or_default();
    let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let times = if *times > 1 { format!(", {times} times in a row") } else { String::new() };
    let at = at.as_ref().map(|at| format!("{at}  ")).unwrap_or_default();
    let mut text = format!("{at}{source}{client}, {asked}{service}: {outcome}{reason}{times}\n");
    steps.iter().for_each(|one| text += &step(one));
    if let Some(remedy) = remedy {
        text += &format!("  => {remedy}\n");
    }
    text
}

fn step(step: &Step) -> String {
    let mark = match step.passed {
        Passed::Yes => "yes",
        Passed::No => "NO ",
        Passed::Waits => " ? ",
        Passed::NotReached => " - ",
    };
    format!("  {mark}  {:13}  {}\n", step.step, step.what)
}
