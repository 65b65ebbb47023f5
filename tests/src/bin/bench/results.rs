//! What a run measured, as one JSON document: every sample, so that whoever makes tables and plots of it needs no second run.
//!
//! Keys are only ever added. Beyond what a reader must know: `latency` has the row `floor-packet` beside `floor`, and the columns
//! `answer_ms`, `client_open_ms`, `client_end_ms`, `round_trip_ms` and `resolution_ms`; `noise` and `faults` have `why_not`, the first
//! reason of a knock that failed; `noise` has `rss_mib`; `sources` has `own_mib`, `sent_per_s`, `packets` and `logged_bytes_per_packet`; `clients` has
//! `rss_at_most_mib`; `priority` has `opened` and `knocks`; `phases` has the `id` of its row of `latency`; the document has `crowd`,
//! `state_on` and `repetitions`.
//!
//! A figure that was not measured is null. Times are milliseconds from the first packet of a knock to the SYN-ACK of the guarded
//! port, both as they pass the client's interface, unless the key says otherwise.

use std::collections::BTreeMap;

use serde::Serialize;

#[derive(Serialize, Default)]
pub(crate) struct Results {
    pub(crate) command: String,
    /// Versions; null for what is not installed.
    pub(crate) programs: BTreeMap<&'static str, Option<String>>,
    pub(crate) machine: String,
    /// The file system that holds the state of gate and client.
    pub(crate) state_on: String,
    pub(crate) crowd: String,
    pub(crate) started: String,
    pub(crate) repetitions: u32,
    pub(crate) latency: Vec<Latency>,
    pub(crate) noise: Vec<Noise>,
    pub(crate) faults: Vec<Faults>,
    pub(crate) sources: Vec<Sources>,
    pub(crate) clients: Vec<Clients>,
    pub(crate) priority: Vec<Priority>,
    pub(crate) phases: Vec<Phases>,
}

/// Knocks at one peer, in turns with the others.
#[derive(Serialize, Clone, Debug)]
pub(crate) struct Latency {
    pub(crate) id: &'static str,
    pub(crate) words: String,
    pub(crate) ms: Vec<f64>,
    pub(crate) failed: u32,
    /// Time of processors for one knock, of the agent and all that it starts.
    pub(crate) cpu_ms: Option<f64>,
    pub(crate) rss_mib: Option<f64>,
    /// From the first packet to the answer, where there is one.
    pub(crate) answer_ms: Vec<f64>,
    /// From the start of the client's process to the open port, and to its own end if it waits for that.
    pub(crate) client_open_ms: Vec<f64>,
    pub(crate) client_end_ms: Vec<f64>,
    /// The network alone: SYN to SYN-ACK of the open port.
    pub(crate) round_trip_ms: Vec<f64>,
    /// Between the answered probe and the one before it.
    pub(crate) resolution_ms: Vec<f64>,
}

/// Knocks at one peer while somebody sends what is not meant well.
#[derive(Serialize, Clone, Debug)]
pub(crate) struct Noise {
    pub(crate) id: &'static str,
    pub(crate) words: String,
    pub(crate) noise: &'static str,
    /// Packets a second; null for as many as can be sent.
    pub(crate) asked: Option<u32>,
    pub(crate) sent_per_s: f64,
    pub(crate) knocks: u32,
    pub(crate) opened: u32,
    pub(crate) ms: Vec<f64>,
    /// Of one processor.
    pub(crate) cpu_percent: Option<f64>,
    pub(crate) rss_mib: Option<f64>,
    /// In a stretch of noise without a knock, for everything that the agent writes; null where so few packets are sent that one line
    /// of a summary would decide it.
    pub(crate) logged_bytes_per_packet: Option<f64>,
    pub(crate) why_not: Option<String>,
}

/// Knocks of which the network makes something else.
#[derive(Serialize, Clone, Debug)]
pub(crate) struct Faults {
    pub(crate) id: &'static str,
    pub(crate) words: String,
    pub(crate) fault: &'static str,
    pub(crate) knocks: u32,
    pub(crate) opened: u32,
    pub(crate) why_not: Option<String>,
}

/// Memory while very many addresses send.
#[derive(Serialize, Clone, Debug)]
pub(crate) struct Sources {
    pub(crate) id: &'static str,
    pub(crate) words: String,
    pub(crate) sources: u32,
    pub(crate) seconds: f64,
    pub(crate) sent_per_s: f64,
    pub(crate) packets: u64,
    /// Before, at even times meanwhile, after.
    pub(crate) rss_mib: Vec<f64>,
    /// Of that, what is the process's own: not the text of programs, which the kernel drops when it needs the room.
    pub(crate) own_mib: Vec<f64>,
    pub(crate) logged_bytes_per_packet: Option<f64>,
}

/// A gate of many clients.
#[derive(Serialize, Clone, Debug)]
pub(crate) struct Clients {
    pub(crate) clients: u32,
    pub(crate) ms: Vec<f64>,
    /// From the start of the process until it says that the gate is up.
    pub(crate) start_ms: f64,
    pub(crate) rss_mib: f64,
    pub(crate) rss_at_most_mib: f64,
}

/// Packet knocks at a gate that was started with a priority, at the most noise that can be made.
#[derive(Serialize, Clone, Debug)]
pub(crate) struct Priority {
    pub(crate) setting: &'static str,
    pub(crate) knocks: u32,
    pub(crate) opened: u32,
    pub(crate) ms: Vec<f64>,
}

/// What happens between the first packet and the open port.
#[derive(Serialize, Clone, Debug)]
pub(crate) struct Phases {
    pub(crate) id: &'static str,
    pub(crate) words: String,
    pub(crate) phases: Vec<Phase>,
}

#[derive(Serialize, Clone, Debug)]
pub(crate) struct Phase {
    pub(crate) words: &'static str,
    pub(crate) ms: Vec<f64>,
}
