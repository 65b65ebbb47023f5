//! The document in which the benchmark tells what it measured: every sample of one run, as JSON.
//!
//! It is kept as it came, with figures rounded to four digits; pages and plots are made of the kept one alone, so that they can be
//! made again without measuring. A part that was not measured is empty.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::statistics::{self, rounded};

#[derive(Deserialize)]
pub(super) struct Document {
    pub(super) command: String,
    /// Who took part, with versions; without one he is not installed.
    pub(super) programs: BTreeMap<String, Option<String>>,
    pub(super) machine: String,
    pub(super) started: String,
    /// The file system that holds the state of gate and client.
    #[serde(default)]
    pub(super) state_on: Option<String>,
    /// How busy the machine was meanwhile.
    #[serde(default)]
    pub(super) crowd: Option<String>,
    #[serde(default)]
    pub(super) latency: Vec<Latency>,
    #[serde(default)]
    pub(super) noise: Vec<Noise>,
    #[serde(default)]
    pub(super) faults: Vec<Fault>,
    #[serde(default)]
    pub(super) sources: Vec<Sources>,
    #[serde(default)]
    pub(super) clients: Vec<Clients>,
    #[serde(default)]
    pub(super) priority: Vec<Priority>,
    #[serde(default)]
    pub(super) phases: Vec<Phases>,
    #[serde(default)]
    pub(super) core: Core,
}

/// First packet of a knock to the SYN-ACK of the port.
#[derive(Deserialize)]
pub(super) struct Latency {
    pub(super) id: String,
    pub(super) words: String,
    pub(super) ms: Vec<f64>,
    pub(super) failed: u32,
    /// Processor time of one knock.
    pub(super) cpu_ms: Option<f64>,
    pub(super) rss_mib: Option<f64>,
    /// From the first packet to the answer, where there is one.
    #[serde(default)]
    pub(super) answer_ms: Vec<f64>,
    /// From the start of the client's process to the open port, and to its own end.
    #[serde(default)]
    pub(super) client_open_ms: Vec<f64>,
    #[serde(default)]
    pub(super) client_end_ms: Vec<f64>,
    /// SYN to SYN-ACK of the open port.
    #[serde(default)]
    pub(super) round_trip_ms: Vec<f64>,
    /// Between the answered probe and the one before it.
    #[serde(default)]
    pub(super) resolution_ms: Vec<f64>,
}

/// Knocks while a stranger makes noise.
#[derive(Deserialize)]
pub(super) struct Noise {
    pub(super) id: String,
    pub(super) words: String,
    pub(super) noise: String,
    /// Packets a second; as many as the generator can, if nothing is asked for.
    pub(super) asked: Option<f64>,
    pub(super) sent_per_s: f64,
    pub(super) knocks: u32,
    pub(super) opened: u32,
    pub(super) ms: Vec<f64>,
    pub(super) cpu_percent: Option<f64>,
    pub(super) logged_bytes_per_packet: Option<f64>,
    #[serde(default)]
    pub(super) rss_mib: Option<f64>,
}

/// Knocks over a network that does something to them, or with a stranger in between.
#[derive(Deserialize)]
pub(super) struct Fault {
    pub(super) id: String,
    pub(super) words: String,
    pub(super) fault: String,
    pub(super) knocks: u32,
    pub(super) opened: u32,
}

/// Memory while so many addresses send.
#[derive(Deserialize)]
pub(super) struct Sources {
    pub(super) id: String,
    pub(super) words: String,
    pub(super) sources: u32,
    pub(super) seconds: f64,
    /// Before, at even intervals meanwhile, after.
    pub(super) rss_mib: Vec<f64>,
    #[serde(default)]
    pub(super) logged_bytes_per_packet: Option<f64>,
}

/// A gate with a long roster.
#[derive(Deserialize)]
pub(super) struct Clients {
    pub(super) clients: u32,
    pub(super) ms: Vec<f64>,
    pub(super) start_ms: f64,
    pub(super) rss_mib: f64,
    #[serde(default)]
    pub(super) rss_at_most_mib: Option<f64>,
}

/// A gate with and without a priority of its own, under as much noise as can be made.
#[derive(Deserialize)]
pub(super) struct Priority {
    pub(super) setting: String,
    pub(super) knocks: u32,
    pub(super) opened: u32,
    pub(super) ms: Vec<f64>,
}

/// What a knock's time consists of.
#[derive(Deserialize)]
pub(super) struct Phases {
    pub(super) words: String,
    pub(super) phases: Vec<Phase>,
}

#[derive(Deserialize)]
pub(super) struct Phase {
    pub(super) words: String,
    pub(super) ms: Vec<f64>,
}

/// The core by itself, on one thread. The program of this crate adds it, see [`super::core_alone`].
#[derive(Default, Deserialize)]
pub(super) struct Core {
    #[serde(default)]
    pub(super) unknown_probe_ns: Option<f64>,
    /// Of the micro benchmarks.
    #[serde(default)]
    pub(super) probes: Vec<Cost>,
    /// Of one thread that does nothing else.
    #[serde(default)]
    pub(super) packets: Vec<Cost>,
    /// Of the same with the agent's roster.
    #[serde(default)]
    pub(super) rosters: Vec<Cost>,
}

#[derive(Deserialize)]
pub(super) struct Cost {
    pub(super) words: String,
    pub(super) ns: f64,
}

impl Latency {
    pub(super) fn median(&self) -> Option<f64> {
        statistics::median(&self.ms)
    }
}

impl Noise {
    pub(super) fn is_at_maximum(&self) -> bool {
        self.asked.is_none() && self.sent_per_s > 0.0
    }

    pub(super) fn share(&self) -> f64 {
        f64::from(self.opened) / f64::from(self.knocks.max(1))
    }
}

impl Document {
    pub(super) fn read(json: &Value) -> Result<Self> {
        Self::deserialize(json)
            .context("the benchmark's document is not as expected; is its program of the same build?")
    }

    pub(super) fn latency_of(&self, id: &str) -> Option<&Latency> {
        self.latency.iter().find(|row| row.id == id)
    }

    pub(super) fn median_of(&self, id: &str) -> Option<f64> {
        self.latency_of(id)?.median()
    }

    /// The least that anybody can do: for one packet by one packet, for everything else by three.
    pub(super) fn floor_of(&self, id: &str) -> Option<f64> {
        let floor = if id.starts_with("packet") { self.median_of("floor-packet") } else { None };
        floor.or_else(|| self.median_of("floor"))
    }
}

/// Whether this is one of the others that are measured beside us, not a gate of ours and not the floor.
pub(super) fn is_peer(id: &str) -> bool {
    id.starts_with("knockd") || id.starts_with("fwknop")
}

pub(super) fn is_ours(id: &str) -> bool {
    !is_peer(id) && !id.starts_with("floor") && id != "kernel"
}

/// Who it is, without how he is knocked at.
pub(super) fn name(words: &str) -> &str {
    words.split(':').next().unwrap_or(words)
}

/// As it is kept: figures with four digits, one row a line.
pub(super) fn kept(json: &Value) -> String {
    let Value::Object(parts) = with_few_digits(json) else { return format!("{json}\n") };
    let parts: Vec<String> = parts
        .iter()
        .map(|(name, part)| format!("{}: {}", Value::from(name.as_str()), laid_out(part)))
        .collect();
    format!("{{\n{}\n}}\n", parts.join(",\n"))
}

fn laid_out(part: &Value) -> String {
    let Value::Array(rows) = part else { return part.to_string() };
    if rows.is_empty() {
        return "[]".to_owned();
    }
    let rows: Vec<String> = rows.iter().map(|row| format!("  {row}")).collect();
    format!("[\n{}\n]", rows.join(",\n"))
}

pub(super) fn with_few_digits(json: &Value) -> Value {
    match json {
        Value::Number(number) if number.is_f64() => {
            number.as_f64().map_or(Value::Null, |figure| rounded(figure).into())
        }
        Value::Array(parts) => parts.iter().map(with_few_digits).collect(),
        Value::Object(parts) => Value::Object(
            parts.iter().map(|(name, part)| (name.clone(), with_few_digits(part))).collect::<Map<_, _>>(),
        ),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => json.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_can_be_read_and_kept_again() {
        let json: Value = serde_json::from_str(super::super::fixture::RUN).unwrap();
        let kept_once = kept(&json);
        let again: Value = serde_json::from_str(&kept_once).unwrap();
        assert_eq!(kept(&again), kept_once);
        assert!(Document::read(&again).is_ok());
    }

    #[test]
    fn a_run_of_one_part_is_a_document_too() {
        let json =
            r#"{"command": "bench", "programs": {"knockd": null}, "machine": "m", "started": "2026-01-01"}"#;
        let document = Document::read(&serde_json::from_str(json).unwrap()).unwrap();
        assert!(document.latency.is_empty() && document.core.probes.is_empty());
    }
}
