//! `javascript/knockgate.js`.

use knockgate_policy_abi::interface::{ACT, EVENT, FUNCTIONS, Function, JOURNAL, STATE};
use knockgate_policy_abi::{Cause, Refusal, VERSION, attr};

use super::name::{camel, pascal};
use super::{BITS, LEVELS, ORIGIN, VERDICTS, parameters, purpose};

pub(super) fn text() -> String {
    let functions = FUNCTIONS.iter().map(exported).collect::<String>();
    [opening(), numbers(), attributes(), functions, parameter_helpers()].concat()
}

fn opening() -> String {
    format!(
        r#"// Knockgate policy ABI {VERSION} for JavaScript. {ORIGIN}
//
// A policy is one function: `export function decide()`. Its manifest stands in `manifest.txt` beside it.
//
// Numbers are JavaScript's, exact up to 2^53. The halves of an IPv6 address are larger and come rounded, and names cannot be
// read here at all: tell clients and services by their numbers.

import event from "{EVENT}";
import act from "{ACT}";
import journal from "{JOURNAL}";
import state from "{STATE}";
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
        constants("Bit", "Flags in the `bits` of `readHead`.", bits),
    ]
    .concat()
}

fn attributes() -> String {
    let rows = attr::TABLE.iter().map(|row| (pascal(row.name), row.key.to_string(), row.meaning));
    constants("Attr", "Attributes of the event.", rows)
}

fn constants<'m>(
    group: &str,
    about: &str,
    rows: impl IntoIterator<Item = (String, String, &'m str)>,
) -> String {
    let mut out = format!("\n/** {about} */\nexport const {group} = {{\n");
    for (name, value, meaning) in rows {
        if !meaning.is_empty() {
            out += &format!("  /** {meaning} */\n");
        }
        out += &format!("  {name}: {value},\n");
    }
    out + "};\n"
}

fn exported(function: &Function) -> String {
    match function.name {
        "has" => HAS.to_owned(),
        // Eight letters do not fit into a number, see the head of the file.
        "text" => String::new(),
        "read-head" => READ_HEAD.to_owned(),
        _ => handed_on(function),
    }
}

/// A function of the host as it is.
fn handed_on(function: &Function) -> String {
    let interface = match function.module {
        EVENT => "event",
        ACT => "act",
        JOURNAL => "journal",
        STATE => "state",
        other => panic!("import `{other}` at the top of the file"),
    };
    // A text is one value here, pointer and length at the border.
    let given = parameters(function).map(|(name, _)| name).filter(|name| *name != "length");
    let (name, given) = (camel(function.name), given.collect::<Vec<_>>().join(", "));
    format!(
        "\n/** {} */\nexport function {name}({given}) {{\n  return {interface}.{name}({given});\n}}\n",
        purpose(function)
    )
}

const HAS: &str = r#"
/** Whether the event has the attribute. */
export function has(key) {
  return event.has(key) !== 0;
}
"#;

const READ_HEAD: &str = r#"
/** The attributes that almost every policy reads, in one call, as an object. */
export function readHead() {
  return event.readHead();
}
"#;

fn parameter_helpers() -> String {
    let (first, keys) = (attr::PARAMETERS, attr::PARAMETER_KEYS);
    format!(
        r#"
/** The values of parameter number `index` of the manifest; none when the configuration does not give it. */
export function parameter(index) {{
  const first = {first} + {keys} * index;
  return Array.from({{ length: event.attr(first) }}, (_, at) => event.attr(first + 1 + at));
}}
"#
    )
}
