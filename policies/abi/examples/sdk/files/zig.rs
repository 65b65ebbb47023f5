//! `zig/knockgate.zig`.

use knockgate_policy_abi::interface::{
    ACT, EVENT, FUNCTIONS, Function, JOURNAL, MANIFEST_SECTION, STATE, Type,
};
use knockgate_policy_abi::{Cause, Refusal, VERSION, attr};

use super::name::{camel, pascal, snake};
use super::{
    BITS, LEVELS, LONG_FIELDS, ORIGIN, SHORT_FIELDS, VERDICTS, answers, parameters, purpose, signature,
};

pub(super) fn text() -> String {
    let modules = [("event", EVENT), ("act", ACT), ("journal", JOURNAL), ("state", STATE)];
    let imports = modules.map(|(name, module)| imported(name, module)).concat();
    [opening(), numbers(), attributes(), record(), HELPERS.to_owned(), parameter_helpers(), acts(), imports]
        .concat()
}

fn opening() -> String {
    format!(
        r#"//! Knockgate policy ABI {VERSION} for Zig. {ORIGIN}
//!
//! A policy is a manifest, `comptime {{ asm (kg.manifest("abi={VERSION}\nname=mine\n")); }}`, and one function,
//! `export fn decide() kg.Verdict`.

/// The manifest as assembly that puts it where the host looks for it.
pub fn manifest(comptime lines: []const u8) []const u8 {{
    @setEvalBranchQuota(100_000);
    comptime var section: []const u8 = ".section .custom_section.{MANIFEST_SECTION},\"\",@\n.ascii \"";
    inline for (lines) |letter| {{
        section = section ++ if (letter == '\n') "\\n" else &[_]u8{{letter}};
    }}
    return section ++ "\"\n";
}}
"#
    )
}

fn numbers() -> String {
    let mut out = String::from("\n/// What `decide` returns.\npub const Verdict = enum(u32) {\n");
    for (name, code, meaning) in VERDICTS {
        out += &format!("    /// {meaning}\n    {name} = {code},\n");
    }
    out += "};\n\n/// Why an act was not queued.\npub const Refusal = error{\n";
    for refusal in Refusal::ALL {
        out += &format!("    {},\n", pascal(refusal.name()));
    }
    out += "};\n\n/// How much a line of the log matters.\npub const Level = enum(u32) {\n";
    for (name, level) in LEVELS {
        out += &format!("    {} = {level},\n", quoted(name));
    }
    out += "};\n\n/// What happened. Newer hosts may have more.\npub const Cause = enum(u32) {\n";
    for cause in Cause::ALL {
        out += &format!("    /// {}\n    {} = {},\n", cause.meaning(), snake(cause.name()), cause.number());
    }
    out + "    _,\n};\n"
}

fn attributes() -> String {
    let mut out = String::from("\n/// Attributes of the event.\npub const Attribute = enum(u32) {\n");
    for row in attr::TABLE {
        let (name, kind) = (snake(row.name), row.kind.name());
        out += &format!("    /// {kind}. {}\n    {name} = {},\n", row.meaning, row.key);
    }
    out + "    _,\n};\n"
}

fn record() -> String {
    let mut out = String::from("\n/// Flags in `Head.bits`.\npub const bits = struct {\n");
    for (name, bit, meaning) in BITS {
        out += &format!("    /// {meaning}\n    pub const {}: u32 = {bit};\n", snake(name));
    }
    out += "};\n\n/// The attributes that almost every policy reads.\npub const Head = extern struct {\n";
    for name in LONG_FIELDS {
        out += &format!("    {}: u64 = 0,\n", snake(name));
    }
    for name in SHORT_FIELDS {
        out += &format!("    {}: u32 = 0,\n", snake(name));
    }
    out + "};\n"
}

const HELPERS: &str = r#"
/// A number or flag of the event, the length of a text; 0 when the event does not have it.
pub fn get(key: Attribute) u64 {
    return event.attr(@intFromEnum(key));
}

/// Whether the event has the attribute.
pub fn has(key: Attribute) bool {
    return event.has(@intFromEnum(key)) != 0;
}

/// A number or flag of the event; null when the event does not have it.
pub fn number(key: Attribute) ?u64 {
    return if (has(key)) get(key) else null;
}

/// Reads a text attribute into `buffer` and returns what fits; empty when the event does not have it.
pub fn text(key: Attribute, buffer: []u8) []u8 {
    const length: usize = @intCast(@min(get(key), buffer.len));
    for (buffer[0..length], 0..) |*byte, at| {
        const word = event.text(@intFromEnum(key), @intCast(at & ~@as(usize, 7)));
        byte.* = @truncate(word >> @intCast(8 * (at & 7)));
    }
    return buffer[0..length];
}

/// The attributes that almost every policy reads, in one call.
pub fn head() Head {
    var record: Head = .{};
    event.@"read-head"(&record);
    return record;
}

/// A line for the operator; a client never sees it.
pub fn log(level: Level, message: []const u8) void {
    journal.log(@intFromEnum(level), message.ptr, message.len);
}

/// The number that this policy keeps under `key`, 0 when there is none.
pub fn load(key: u32) u64 {
    return state.load(key);
}

/// Keep a number under `key`; 0 forgets it. Happens only if `decide` commits.
pub fn store(key: u32, value: u64) Refusal!void {
    return answer(state.store(key, value));
}
"#;

fn parameter_helpers() -> String {
    let (first, keys) = (attr::PARAMETERS, attr::PARAMETER_KEYS);
    format!(
        r#"
/// How many values parameter number `index` of the manifest has in the configuration; 0 when it is not given.
pub fn parameterCount(index: u32) u32 {{
    return @truncate(event.attr({first} + {keys} * index));
}}

/// Value number `at` of a parameter; null when it is not there.
pub fn parameter(index: u32, at: u32) ?u64 {{
    return if (at < parameterCount(index)) event.attr({first} + {keys} * index + 1 + at) else null;
}}
"#
    )
}

/// The acts, with their answer as an error, and what turns the number into one.
fn acts() -> String {
    let mut out = String::new();
    for function in FUNCTIONS.iter().filter(|function| function.module == ACT) {
        let given = parameters(function).map(|(name, _)| avoiding(name)).collect::<Vec<_>>().join(", ");
        out += &format!(
            "\n/// {}\npub fn {}({}) Refusal!void {{\n    return answer(act.{}({given}));\n}}\n",
            purpose(function),
            camel(function.name),
            signature(function, declared),
            quoted(function.name)
        );
    }
    out += "\nfn answer(code: i32) Refusal!void {\n    return switch (code) {\n        0 => {},\n";
    for refusal in Refusal::ALL {
        out += &format!("        {} => error.{},\n", refusal.code(), pascal(refusal.name()));
    }
    out + "        // A newer host may have other reasons; the act was not queued.\n        \
           else => error.NotOnThisHost,\n    };\n}\n"
}

/// The host's functions of one interface as they are.
fn imported(name: &str, module: &str) -> String {
    let mut out = format!("\nconst {name} = struct {{\n");
    for function in FUNCTIONS.iter().filter(|function| function.module == module) {
        let (name, given) = (quoted(function.name), signature(function, declared));
        out += &format!("    extern \"{module}\" fn {name}({given}) {};\n", result(function));
    }
    out + "};\n"
}

/// A name that Zig would not accept as it is.
fn quoted(name: &str) -> String {
    if name.contains('-') || name == "error" { format!("@\"{name}\"") } else { name.to_owned() }
}

fn declared(name: &str, kind: Type) -> String {
    match (name, kind) {
        ("head", _) => "record: *Head".to_owned(),
        ("message", _) => "message: [*]const u8".to_owned(),
        ("length", _) => "length: usize".to_owned(),
        (name, Type::I32) => format!("{}: u32", avoiding(name)),
        (name, Type::I64) => format!("{}: u64", avoiding(name)),
    }
}

/// Zig allows no parameter with the name of something in the file.
fn avoiding(name: &str) -> &str {
    if name == "bits" { "prefix_bits" } else { name }
}

fn result(function: &Function) -> &'static str {
    match function.result {
        None => "void",
        Some(Type::I64) => "u64",
        Some(Type::I32) if answers(function) => "i32",
        Some(Type::I32) => "u32",
    }
}
