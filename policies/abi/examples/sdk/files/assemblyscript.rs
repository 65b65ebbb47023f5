//! `assemblyscript/knockgate.ts`.

use knockgate_policy_abi::interface::{FUNCTIONS, Function, Type};
use knockgate_policy_abi::{Cause, Refusal, VERSION, attr};

use super::name::{camel, pascal};
use super::{BITS, LEVELS, LONG_FIELDS, ORIGIN, SHORT_FIELDS, VERDICTS, answers, purpose, signature};

pub(super) fn text() -> String {
    let imports = FUNCTIONS.iter().map(imported).collect::<String>();
    [opening(), numbers(), attributes(), record(), imports, HELPERS.to_owned(), parameter_helpers()].concat()
}

fn opening() -> String {
    format!(
        r#"// Knockgate policy ABI {VERSION} for AssemblyScript. {ORIGIN}
//
// A policy is one function: `export function decide(): u32`. Its manifest stands in `manifest.txt` beside it.
"#
    )
}

fn numbers() -> String {
    let verdicts = VERDICTS.map(|(name, code, meaning)| (pascal(name), code.to_string(), meaning));
    let answers = Refusal::ALL.iter().map(|refusal| (pascal(refusal.name()), refusal.code().to_string(), ""));
    let levels = LEVELS.map(|(name, level)| (pascal(name), level.to_string(), ""));
    let causes = Cause::ALL.iter().map(|cause| {
        let meaning = cause.meaning();
        (pascal(cause.name()), cause.number().to_string(), meaning)
    });
    let bits = BITS.map(|(name, bit, meaning)| (pascal(name), bit.to_string(), meaning));
    [
        constants("Verdict", "What `decide` returns; anything else denies.", verdicts),
        constants("Refusal", "What an act answers when it was not queued; 0 is queued.", answers),
        constants("Level", "Levels of `log`.", levels),
        constants("Cause", "What happened.", causes),
        constants("Bit", "Flags in `Head.bits`.", bits),
    ]
    .concat()
}

fn attributes() -> String {
    let rows = attr::TABLE.iter().map(|row| (pascal(row.name), row.key.to_string(), row.meaning));
    constants("Attr", "Attributes of the event.", rows)
}

/// A group of numbers. The compiler puts them in where they are used.
fn constants<'m>(
    group: &str,
    about: &str,
    rows: impl IntoIterator<Item = (String, String, &'m str)>,
) -> String {
    let mut out = format!("\n/** {about} */\nexport const enum {group} {{\n");
    for (name, value, meaning) in rows {
        if !meaning.is_empty() {
            out += &format!("  /** {meaning} */\n");
        }
        out += &format!("  {name} = {value},\n");
    }
    out + "}\n"
}

fn record() -> String {
    let mut out = String::from(
        "\n/** The attributes that almost every policy reads. */\n@unmanaged\nexport class Head {\n",
    );
    for name in LONG_FIELDS {
        out += &format!("  {}: u64;\n", camel(name));
    }
    for name in SHORT_FIELDS {
        out += &format!("  {}: u32;\n", camel(name));
    }
    out + "}\n"
}

/// Functions with a pointer stay inside; `head` and `log` below are their face.
fn imported(function: &Function) -> String {
    let (name, shown) = match function.name {
        "read-head" => ("readHead".to_owned(), "declare function"),
        "log" => ("writeLog".to_owned(), "declare function"),
        "text" => ("textWord".to_owned(), "declare function"),
        // The language has functions of these names.
        "load" => ("stateLoad".to_owned(), "export declare function"),
        "store" => ("stateStore".to_owned(), "export declare function"),
        name => (camel(name), "export declare function"),
    };
    format!(
        "\n/** {} */\n@external(\"{}\", \"{}\")\n{shown} {name}({}): {};\n",
        purpose(function),
        function.module,
        function.name,
        signature(function, declared),
        result(function)
    )
}

fn declared(name: &str, kind: Type) -> String {
    match (name, kind) {
        ("head" | "message" | "length", _) => format!("{name}: usize"),
        (name, Type::I32) => format!("{name}: u32"),
        (name, Type::I64) => format!("{name}: u64"),
    }
}

fn result(function: &Function) -> &'static str {
    match function.result {
        None => "void",
        Some(Type::I64) => "u64",
        Some(Type::I32) if answers(function) => "i32",
        Some(Type::I32) => "bool",
    }
}

const HELPERS: &str = r#"
/** The attributes that almost every policy reads, in one call. */
export function head(): Head {
  const record = memory.data(56, 8);
  readHead(record);
  return changetype<Head>(record);
}

/** A text attribute; empty when the event does not have it. */
export function text(key: u32): string {
  const words = memory.data(64, 8);
  const length = min<usize>(<usize>attr(key), 64);
  for (let at: usize = 0; at < length; at += 8) {
    store<u64>(words + at, textWord(key, <u32>at));
  }
  return String.UTF8.decodeUnsafe(words, length);
}

/** A line for the operator; a client never sees it. */
export function log(level: u32, message: string): void {
  const bytes = String.UTF8.encode(message);
  writeLog(level, changetype<usize>(bytes), bytes.byteLength);
}
"#;

fn parameter_helpers() -> String {
    let (first, keys) = (attr::PARAMETERS, attr::PARAMETER_KEYS);
    format!(
        r#"
/** How many values parameter number `index` of the manifest has in the configuration; 0 when it is not given. */
export function parameterCount(index: u32): u32 {{
  return <u32>attr({first} + {keys} * index);
}}

/** Value number `at` of a parameter. */
export function parameter(index: u32, at: u32): u64 {{
  return attr({first} + {keys} * index + 1 + at);
}}

/** The first value of a parameter, or `otherwise` when it is not given. */
export function parameterOr(index: u32, otherwise: u64): u64 {{
  return parameterCount(index) > 0 ? parameter(index, 0) : otherwise;
}}
"#
    )
}
