//! What a scenario looks at, and the lines that come of it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use knockgate_core::message::{Answer, Request, Verdict};
use serde_json::Value;

use super::stage::{Place, Site};
use super::verdicts::Verdicts;
use crate::capture::Capture;
use crate::packets::{self, Hand, Sealed};
use crate::peers::{self, Reached};
use crate::programs::Said;
use crate::scenes::{SSH, WEB};

/// What people call a port.
fn port_word(port: u16) -> String {
    match port {
        SSH => "ssh".to_owned(),
        WEB => "web".to_owned(),
        other => format!("port {other}"),
    }
}

impl Reached {
    /// As a line of a table.
    pub fn word(&self) -> String {
        match self {
            Self::Greeting(_) => "greeted".to_owned(),
            Self::Mute => "mute".to_owned(),
            Self::Refused => "refused".to_owned(),
            Self::Silence => "silence".to_owned(),
            Self::Error(kind) => kind.to_string(),
        }
    }
}

/// Seconds as they are told apart: a question and its answer take their time.
fn about(seconds: u64) -> String {
    let step = match seconds {
        ..=30 => 5,
        31.. => 30,
    };
    format!("{} s", seconds.next_multiple_of(step))
}

impl Site<'_> {
    /// What somebody gets from a guarded port.
    pub fn reached(&self, place: Place, port: u16) -> Result<Reached> {
        peers::reach(place.host(self.lab), self.service(port))
    }

    /// Who gets what from a guarded port.
    pub fn look(&self, verdicts: &mut Verdicts, port: u16) -> Result<()> {
        let reached = std::thread::scope(|scope| {
            let looks = Place::ALL.map(|place| scope.spawn(move || self.reached(place, port)));
            looks.map(|look| look.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        let mut words = Vec::new();
        for (place, reached) in Place::ALL.into_iter().zip(reached) {
            words.push(format!("{} {}", place.word(), reached?.word()));
        }
        verdicts.note(format_args!("{}: {}", port_word(port), words.join(", ")));
        Ok(())
    }

    /// Waits until a port is shut, which shall be so many seconds after `since`.
    pub fn shuts_after(
        &self,
        verdicts: &mut Verdicts,
        (place, port): (Place, u16),
        seconds: u64,
        since: Instant,
    ) -> Result<()> {
        let open_for = self.wait_until_shut(place, port)?.duration_since(since);
        let shall = Duration::from_secs(seconds);
        // An attempt that meets a shut port takes its patience to find out.
        let early = open_for + Duration::from_secs(1) < shall;
        let late = open_for > shall + Duration::from_secs(3);
        let when = match (early, late) {
            (false, false) => format!("after {seconds} s"),
            _ => format!("after {:.1} s instead of {seconds} s", open_for.as_secs_f64()),
        };
        verdicts.note(format_args!("{}: shut for the {} {when}", port_word(port), place.word()));
        Ok(())
    }

    /// Somebody of the plan runs `knockgate`, with his name as the profile. Returns the report.
    pub fn tells(&self, verdicts: &mut Verdicts, who: &str, arguments: &[&str]) -> Result<Value> {
        let said = self.client(who)?.tell(&[arguments, &["--json"]].concat())?;
        note_report(verdicts, &arguments.join(" "), &said)
    }

    /// The same, in one try, with what was on the wire meanwhile.
    pub fn tells_at_once(
        &self,
        verdicts: &mut Verdicts,
        who: &str,
        arguments: &[&str],
    ) -> Result<(Value, Capture)> {
        let (said, capture) = self.client(who)?.at_once(arguments)?;
        Ok((note_report(verdicts, &arguments.join(" "), &said)?, capture))
    }

    /// The same with a line on standard input.
    pub fn tells_with(
        &self,
        verdicts: &mut Verdicts,
        (who, arguments): (&str, &[&str]),
        text: &str,
    ) -> Result<Value> {
        let mut command = self.client(who)?.command(&[arguments, &["--json"]].concat())?;
        note_report(verdicts, &arguments.join(" "), &Said::told(&mut command, text)?)
    }

    /// Who can seal messages in the name of somebody of the plan.
    pub fn hand(&self, who: &str) -> Result<Hand> {
        Hand::of(&self.lab.path(&format!("{who}.kgp")))
    }

    /// Somebody asks by hand.
    pub fn asks(
        &self,
        verdicts: &mut Verdicts,
        (what, from): (&str, Place),
        hand: &Hand,
        request: &Request,
    ) -> Result<Option<Answer>> {
        self.sends(verdicts, (what, from), &hand.seal(request)?)
    }

    /// Somebody sends what is sealed already.
    pub fn sends(
        &self,
        verdicts: &mut Verdicts,
        (what, from): (&str, Place),
        sealed: &Sealed<'_>,
    ) -> Result<Option<Answer>> {
        let heard = self.exchange(from, self.door(), &sealed.message)?;
        let answer = heard.map(|bytes| sealed.read(&bytes)).transpose()?;
        verdicts.note(format_args!("{what}: {}", answer_words(answer.as_ref())));
        Ok(answer)
    }

    /// One datagram, and what comes back to it.
    pub fn exchange(&self, from: Place, to: SocketAddr, bytes: &[u8]) -> Result<Option<Vec<u8>>> {
        packets::exchange_within(self.patience(), from.host(self.lab), to, bytes)
    }

    /// What the audit log says of somebody: the first record of each of these events that is like `fields`.
    pub fn audited(
        &self,
        verdicts: &mut Verdicts,
        client: &str,
        events: &[(&str, &[&str])],
    ) -> Result<Vec<Value>> {
        let mut records = Vec::new();
        for (event, fields) in events {
            let record = self.wait_for_audit(&format!("{event} of {client}"), |record| {
                record["event"] == *event && record["client"] == client
            })?;
            let words: Vec<String> =
                fields.iter().map(|field| format!("{field} {}", plain(&record[field]))).collect();
            verdicts.note(format_args!("audit {event}: {}", words.join(", ")));
            records.push(record);
        }
        Ok(records)
    }

    /// How many records of an event there are.
    pub fn count(&self, event: &str) -> Result<usize> {
        Ok(self.audit()?.iter().filter(|record| record["event"] == event).count())
    }
}

/// A value as people write it.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn answer_words(answer: Option<&Answer>) -> String {
    let Some(answer) = answer else { return "silence".to_owned() };
    match answer.verdict {
        Verdict::Refused(_) => {
            format!("refused, {}", answer.refusal().map_or("of an unknown reason", |refusal| refusal.word()))
        }
        Verdict::Confirm(_) => "confirm".to_owned(),
        Verdict::Granted => "granted".to_owned(),
        Verdict::Offered => "offered".to_owned(),
        Verdict::Pending => "pending".to_owned(),
        Verdict::Closed => "closed".to_owned(),
        Verdict::Nothing => "nothing".to_owned(),
    }
}

fn note_report(verdicts: &mut Verdicts, command: &str, said: &Said) -> Result<Value> {
    let report = said.json().with_context(|| format!("the report of `{command}`"))?;
    let mut line =
        format!("{command}: exit {}", said.code.map_or("none".to_owned(), |code| code.to_string()));
    for field in ["outcome", "reason", "via"] {
        if let Some(word) = report[field].as_str() {
            line.push_str(&format!(", {word}"));
        }
    }
    if let Some(left) = report["left_seconds"].as_u64() {
        line.push_str(&format!(", for {}", about(left)));
    }
    if let Some(retry) = report["retry_ms"].as_u64() {
        line.push_str(&format!(", again in {}", about(retry.div_ceil(1000))));
    }
    verdicts.note(line);
    Ok(report)
}
