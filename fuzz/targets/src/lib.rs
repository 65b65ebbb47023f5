//! What the fuzzers call: one function for every parser, and one for the gate as a whole. Each takes any bytes and panics
//! when a law is broken; that nothing panics by itself is only the first of them.
//!
//! The functions belong to the main workspace, so that `tests/corpus.rs` replays there what the fuzzers have found; the
//! fuzzers themselves are in `fuzz/`. Everything here is the same in every run: keys, clocks and generators are fixed. The
//! one exception is a salt that the client draws by itself, of which nothing depends.
#![forbid(unsafe_code)]

mod bridge;
mod console;
mod file;
mod gate;
mod kernel;
mod message;
mod packet;
pub mod policy;
mod policy_event;
mod scene;
pub mod seed;
mod site;
mod tape;
mod text;
mod wire;

pub use bridge::gateway_bridge;
pub use console::{channel, console};
pub use file::{book, gate_identity, locked_profile, own_key, profile, roster_file, text_form};
pub use gate::gate;
pub use kernel::{flows, netlink, routes, set_elements};
pub use message::{message_authentic, message_raw, message_sealed};
pub use packet::{packet_knock, packet_probe};
pub use policy::policy_engines;
pub use site::{owner, site};
pub use text::{agent_config, client_settings, policy_manifest};
pub use wire::{answer, request};

/// A target: its name, which is that of its folder in the corpus, and its function.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
#[rustfmt::skip]
pub const ALL: [Target; 28] = [
    ("agent_config", agent_config), ("answer", answer), ("book", book), ("channel", channel),
    ("client_settings", client_settings), ("console", console), ("flows", flows), ("gate", gate),
    ("gate_identity", gate_identity), ("gateway_bridge", gateway_bridge), ("locked_profile", locked_profile), ("message_authentic", message_authentic),
    ("message_raw", message_raw), ("message_sealed", message_sealed), ("netlink", netlink), ("own_key", own_key),
    ("owner", owner), ("packet_knock", packet_knock), ("packet_probe", packet_probe),
    ("policy_engines", policy_engines), ("policy_manifest", policy_manifest), ("profile", profile),
    ("request", request), ("roster_file", roster_file), ("routes", routes), ("set_elements", set_elements), ("site", site),
    ("text_form", text_form),
];
