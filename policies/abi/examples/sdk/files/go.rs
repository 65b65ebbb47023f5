//! `go/knockgate.go`.

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
        r#"// Package knockgate is the Knockgate policy ABI {VERSION} for Go.
//
// A policy is one function of the main package, marked `//go:wasmexport decide` and returning a Verdict as uint32. Its
// manifest stands in manifest.txt beside it.
//
// Code generated from the tables in policies/abi; DO NOT EDIT.
package knockgate

import "structs"
"#
    )
    .replace("//\n// Code", &format!("//\n// {ORIGIN}\n//\n// Code"))
}

fn numbers() -> String {
    let verdicts = VERDICTS.map(|(name, code, meaning)| (pascal(name), code.to_string(), meaning));
    let answers = Refusal::ALL.iter().map(|refusal| (pascal(refusal.name()), refusal.code().to_string(), ""));
    let levels = LEVELS.map(|(name, level)| (pascal(name), level.to_string(), ""));
    let causes = Cause::ALL.iter().map(|cause| {
        let meaning = cause.meaning();
        (format!("Cause{}", pascal(cause.name())), cause.number().to_string(), meaning)
    });
    let bits = BITS.map(|(name, bit, meaning)| (format!("Bit{}", pascal(name)), bit.to_string(), meaning));
    [
        constants("What decide returns; anything else denies.", "uint32", verdicts),
        constants("What an act answers when it was not queued; 0 is queued.", "int32", answers),
        constants("Levels of Log.", "uint32", levels),
        constants("What happened.", "uint32", causes),
        constants("Flags in Head.Bits.", "uint32", bits),
    ]
    .concat()
}

fn attributes() -> String {
    let rows =
        attr::TABLE.iter().map(|row| (format!("Attr{}", pascal(row.name)), row.key.to_string(), row.meaning));
    constants("Attributes of the event.", "uint32", rows)
}

fn constants<'m>(
    about: &str,
    kind: &str,
    rows: impl IntoIterator<Item = (String, String, &'m str)>,
) -> String {
    let mut out = format!("\n// {about}\nconst (\n");
    for (name, value, meaning) in rows {
        if !meaning.is_empty() {
            out += &format!("\t// {meaning}\n");
        }
        out += &format!("\t{name} {kind} = {value}\n");
    }
    out + ")\n"
}

fn record() -> String {
    let fields = |names: &[&str]| names.iter().map(|name| pascal(name)).collect::<Vec<_>>().join(", ");
    format!(
        "\n// Head has the attributes that almost every policy reads.\ntype Head struct {{\n\t_ structs.HostLayout\n\n\
         \t{} uint64\n\t{} uint32\n}}\n",
        fields(&LONG_FIELDS),
        fields(&SHORT_FIELDS)
    )
}

/// Functions whose lowered form is inconvenient stay inside; the helpers below are their face.
fn imported(function: &Function) -> String {
    let name = match function.name {
        "has" | "text" | "read-head" => camel(function.name),
        name => pascal(name),
    };
    format!(
        "\n// {name}: {}\n//\n//go:wasmimport {} {}\nfunc {name}({}){}\n",
        purpose(function),
        function.module,
        function.name,
        parameters_of(function),
        result(function)
    )
}

/// A string is pointer and length at the border.
fn parameters_of(function: &Function) -> String {
    match function.name {
        "log" => "level uint32, message string".to_owned(),
        _ => signature(function, declared),
    }
}

fn declared(name: &str, kind: Type) -> String {
    match (name, kind) {
        ("head", _) => "head *Head".to_owned(),
        (name, Type::I32) => format!("{name} uint32"),
        (name, Type::I64) => format!("{name} uint64"),
    }
}

fn result(function: &Function) -> &'static str {
    match function.result {
        None => "",
        Some(Type::I64) => " uint64",
        Some(Type::I32) if answers(function) => " int32",
        Some(Type::I32) => " uint32",
    }
}

const HELPERS: &str = r#"
// Has tells whether the event has the attribute.
func Has(key uint32) bool {
	return has(key) != 0
}

// Text answers a text attribute; empty when the event does not have it.
func Text(key uint32) string {
	letters := make([]byte, min(Attr(key), 64))
	for at := range letters {
		letters[at] = byte(text(key, uint32(at)&^7) >> (8 * (at & 7)))
	}
	return string(letters)
}

// ReadHead answers the attributes that almost every policy reads, in one call.
func ReadHead() Head {
	var head Head
	readHead(&head)
	return head
}
"#;

fn parameter_helpers() -> String {
    let (first, keys) = (attr::PARAMETERS, attr::PARAMETER_KEYS);
    format!(
        r#"
// ParameterCount tells how many values parameter number index of the manifest has in the configuration; 0 when it is not
// given.
func ParameterCount(index uint32) uint32 {{
	return uint32(Attr({first} + {keys}*index))
}}

// Parameter answers value number at of a parameter.
func Parameter(index, at uint32) uint64 {{
	return Attr({first} + {keys}*index + 1 + at)
}}

// ParameterOr answers the first value of a parameter, or otherwise when it is not given.
func ParameterOr(index uint32, otherwise uint64) uint64 {{
	if ParameterCount(index) > 0 {{
		return Parameter(index, 0)
	}}
	return otherwise
}}
"#
    )
}
