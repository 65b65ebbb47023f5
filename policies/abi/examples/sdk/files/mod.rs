//! The files of the SDKs that are made from the tables of this crate, one module per language.
//!
//! `cargo run -p knockgate-policy-abi --example sdk` writes them, and a test fails when one differs. So every language has
//! every attribute, cause, answer and function, under the name that its own custom gives it.

mod assemblyscript;
mod c;
mod go;
mod javascript;
mod name;
mod wat;
mod zig;

use knockgate_policy_abi::interface::{Function, Type};
use knockgate_policy_abi::{LogLevel, VERDICT_ABSTAIN, VERDICT_COMMIT, VERDICT_DENY, attr::bits};

/// Where the files go, seen from this package.
pub(crate) const FOLDER: &str = "../sdk";

/// What says in every file where it comes from.
const ORIGIN: &str = "Generated from the tables in policies/abi; do not edit.";

/// One generated file.
pub(crate) struct File {
    /// Its place in [`FOLDER`].
    pub(crate) path: &'static str,
    /// Its whole text.
    pub(crate) text: String,
}

/// Every generated file.
pub(crate) fn all() -> Vec<File> {
    vec![
        File { path: "c/knockgate.h", text: c::text() },
        File { path: "zig/knockgate.zig", text: zig::text() },
        File { path: "assemblyscript/knockgate.ts", text: assemblyscript::text() },
        File { path: "go/knockgate.go", text: go::text() },
        File { path: "javascript/knockgate.js", text: javascript::text() },
        File { path: "javascript/policy.wit", text: include_str!("../../../policy.wit").to_owned() },
        File { path: "wat/knockgate.wat", text: wat::text() },
    ]
}

/// What `decide` returns.
const VERDICTS: [(&str, u32, &str); 3] = [
    ("commit", VERDICT_COMMIT, "Let everything that was queued happen."),
    ("deny", VERDICT_DENY, "Nothing happens."),
    ("abstain", VERDICT_ABSTAIN, "Nothing happens here; ask the next policy."),
];

/// How much a line matters.
const LEVELS: [(&str, u32); 4] = [
    ("error", LogLevel::Error as u32),
    ("warning", LogLevel::Warning as u32),
    ("information", LogLevel::Information as u32),
    ("debug", LogLevel::Debug as u32),
];

/// Flags of the record's `bits`.
const BITS: [(&str, u32, &str); 5] = [
    ("ipv6", bits::IPV6, "The source address is IPv6."),
    ("time", bits::TIME, "`time` is known."),
    ("zone", bits::ZONE, "`weekday` and `minute` are known."),
    ("client", bits::CLIENT, "The client has proved who it is."),
    ("second-factor", bits::SECOND_FACTOR, "A second factor was seen."),
];

/// The record's fields in their order: 64 bits each, then 32 bits each.
const LONG_FIELDS: [&str; 4] = ["time", "client", "address-high", "address-low"];
const SHORT_FIELDS: [&str; 6] = ["cause", "service", "seconds", "failures", "grants", "bits"];

/// The parameters of a function by name, each with its type.
fn parameters(function: &Function) -> impl Iterator<Item = (&'static str, Type)> {
    let names: &[&str] = match function.name {
        "attr" | "has" | "load" => &["key"],
        "text" => &["key", "offset"],
        "read-head" => &["head"],
        "open" => &["service", "seconds"],
        "open-prefix" => &["service", "bits", "seconds"],
        "extend" => &["grant", "seconds"],
        "revoke" => &["grant"],
        "lockout" => &["seconds"],
        "start" => &["unit"],
        "notify" => &["channel", "code"],
        "log" => &["level", "message", "length"],
        "store" => &["key", "value"],
        other => panic!("name the parameters of `{other}` here"),
    };
    assert_eq!(names.len(), function.params.len(), "parameters of `{}`", function.name);
    names.iter().copied().zip(function.params.iter().copied())
}

/// `name: type` of every parameter, as most languages write it.
fn signature(function: &Function, one: impl Fn(&str, Type) -> String) -> String {
    parameters(function).map(|(name, kind)| one(name, kind)).collect::<Vec<_>>().join(", ")
}

/// Whether the function is an act: it answers 0 or why it is refused.
fn answers(function: &Function) -> bool {
    function.needs.is_some() && function.result == Some(Type::I32)
}

/// What a function does, for the comment above it.
fn purpose(function: &Function) -> &'static str {
    match function.name {
        "attr" => "A number or flag of the event, the length of a text; 0 when it is absent.",
        "has" => "1 when the event has the attribute, else 0.",
        "text" => {
            "Eight bytes of a text attribute from byte `offset`, little-endian, zero-filled past its end."
        }
        "read-head" => "The attributes that almost every policy reads, in one call.",
        "open" => "Open a service to the knocker's address.",
        "open-prefix" => "Open a service to the knocker's whole prefix of so many bits.",
        "extend" => "Let an open grant of the client last so many seconds from now.",
        "revoke" => "Close an open grant of the client.",
        "lockout" => "Lock the source out for so many seconds.",
        "start" => "Start a unit of the host's table.",
        "notify" => "Send a code to a channel of the host's table.",
        "log" => "A line for the operator; a client never sees it.",
        "load" => "The number that this policy keeps under `key`, 0 when there is none.",
        "store" => "Keep a number under `key`; 0 forgets it. Happens only if `decide` commits.",
        other => panic!("say what `{other}` does here"),
    }
}
