//! `wat/knockgate.wat`.

use knockgate_policy_abi::interface::{FUNCTIONS, Function, MANIFEST_SECTION, Type};
use knockgate_policy_abi::{Cause, Refusal, VERSION, attr};

use super::name::{capitals, snake};
use super::{BITS, LEVELS, ORIGIN, VERDICTS, parameters, purpose};

pub(super) fn text() -> String {
    [opening(), FUNCTIONS.iter().map(imported).collect(), manifest(), numbers(), attributes(), closing()]
        .concat()
}

fn opening() -> String {
    format!(
        r#";; Knockgate policy ABI {VERSION} in WebAssembly text. {ORIGIN}
;;
;; A policy that denies everything, with every import and every number: copy it and take out what yours does not need. What
;; is not called costs a few bytes, but `read-head` and `log` need the memory.
(module
  ;; What the host offers.
"#
    )
}

fn imported(function: &Function) -> String {
    let given = parameters(function).map(|(name, kind)| format!(" (param ${} {})", snake(name), wat(kind)));
    let result = function.result.map_or(String::new(), |kind| format!(" (result {})", wat(kind)));
    format!(
        "  ;; {}\n  (import \"{}\" \"{}\" (func ${}{}{result}))\n",
        purpose(function),
        function.module,
        function.name,
        snake(function.name),
        given.collect::<String>()
    )
}

fn wat(kind: Type) -> &'static str {
    match kind {
        Type::I32 => "i32",
        Type::I64 => "i64",
    }
}

fn manifest() -> String {
    format!(
        r#"
  (@custom "{MANIFEST_SECTION}"
    "abi={VERSION}\0a"
    "name=deny\0a"
    "version=1.0\0a"
    "services=*\0a"
    "capabilities=open log\0a"
    "fuel=1000\0a"
    "pages=1\0a")

  (memory (export "memory") 1)
"#
    )
}

fn numbers() -> String {
    let mut out = String::from("\n  ;; What decide returns; anything else denies.\n");
    for (name, code, meaning) in VERDICTS {
        out += &constant(&capitals(name), &code.to_string(), meaning);
    }
    out += "\n  ;; What an act answers; 0 is queued.\n";
    for refusal in Refusal::ALL {
        out += &constant(&capitals(refusal.name()), &refusal.code().to_string(), "");
    }
    out += "\n  ;; Levels of log.\n";
    for (name, level) in LEVELS {
        out += &constant(&format!("LOG_{}", capitals(name)), &level.to_string(), "");
    }
    out += "\n  ;; What happened.\n";
    for cause in Cause::ALL {
        let name = format!("CAUSE_{}", capitals(cause.name()));
        out += &constant(&name, &cause.number().to_string(), cause.meaning());
    }
    out += "\n  ;; Flags in the last field of the record of read-head.\n";
    for (name, bit, meaning) in BITS {
        out += &constant(&format!("BIT_{}", capitals(name)), &bit.to_string(), meaning);
    }
    out
}

fn attributes() -> String {
    let mut out = String::from("\n  ;; Attributes of the event.\n");
    for row in attr::TABLE {
        out += &constant(&format!("ATTR_{}", capitals(row.name)), &row.key.to_string(), row.meaning);
    }
    out += "\n  ;; Parameter i of the manifest: its number of values is the attribute PARAMETERS + PARAMETER_KEYS * i, value j is\n  \
            ;; the attribute PARAMETERS + PARAMETER_KEYS * i + 1 + j.\n";
    out += &constant("PARAMETERS", &attr::PARAMETERS.to_string(), "");
    out + &constant("PARAMETER_KEYS", &attr::PARAMETER_KEYS.to_string(), "")
}

fn constant(name: &str, value: &str, meaning: &str) -> String {
    let line = format!("  (global ${name} i32 (i32.const {value}))");
    if meaning.is_empty() { line + "\n" } else { format!("{line} ;; {meaning}\n") }
}

fn closing() -> String {
    "\n  (func (export \"decide\") (result i32)\n    (global.get $DENY)))\n".to_owned()
}
