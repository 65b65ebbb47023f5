//! `c/knockgate.h`, for C and C++.

use knockgate_policy_abi::interface::{FUNCTIONS, Function, MANIFEST_SECTION, Type};
use knockgate_policy_abi::{Cause, Refusal, VERSION, attr};

use super::name::{capitals, snake};
use super::{BITS, LEVELS, LONG_FIELDS, ORIGIN, SHORT_FIELDS, VERDICTS, answers, purpose, signature};

pub(super) fn text() -> String {
    [opening(), verdicts_and_refusals(), causes(), attributes(), record(), functions(), closing()].concat()
}

fn opening() -> String {
    format!(
        r#"/* Knockgate policy ABI {VERSION} for C and C++. {ORIGIN} */
#ifndef KNOCKGATE_H
#define KNOCKGATE_H

typedef unsigned int kg_u32;
typedef int kg_s32;
typedef unsigned long long kg_u64;

#ifdef __cplusplus
extern "C" {{
#endif

/* The manifest, once per policy: KNOCKGATE_MANIFEST("abi={VERSION}\nname=mine\n...") */
#define KNOCKGATE_MANIFEST(text) \
  __asm__(".section .custom_section.{MANIFEST_SECTION},\"\",@\n.ascii " #text "\n.text\n")

/* Every policy defines it: KNOCKGATE_DECIDE {{ ... return KNOCKGATE_COMMIT; }} */
#define KNOCKGATE_DECIDE __attribute__((export_name("decide"))) kg_u32 decide(void)

#define KNOCKGATE_IMPORT(module, name) __attribute__((import_module(module), import_name(name)))
"#
    )
}

fn verdicts_and_refusals() -> String {
    let mut out = String::from("\n/* What decide returns; anything else denies. */\n");
    for (name, code, meaning) in VERDICTS {
        out += &format!("#define KNOCKGATE_{} {code} /* {meaning} */\n", capitals(name));
    }
    out += "\n/* What an act answers; 0 is queued. */\n";
    for refusal in Refusal::ALL {
        out += &format!("#define KNOCKGATE_{} ({})\n", capitals(refusal.name()), refusal.code());
    }
    out += "\n/* Levels of log. */\n";
    for (name, level) in LEVELS {
        out += &format!("#define KNOCKGATE_LOG_{} {level}\n", capitals(name));
    }
    out
}

fn causes() -> String {
    let mut out = String::from("\n/* What happened. */\n");
    for cause in Cause::ALL {
        let name = capitals(cause.name());
        out += &format!("#define KNOCKGATE_CAUSE_{name} {} /* {} */\n", cause.number(), cause.meaning());
    }
    out
}

fn attributes() -> String {
    let mut out = String::from("\n/* Attributes of the event. */\n");
    for row in attr::TABLE {
        let (name, kind) = (capitals(row.name), row.kind.name());
        out += &format!("#define KNOCKGATE_ATTR_{name} {} /* {kind}. {} */\n", row.key, row.meaning);
    }
    out
}

fn record() -> String {
    let mut out = String::from("\n/* Flags in kg_head.bits. */\n");
    for (name, bit, meaning) in BITS {
        out += &format!("#define KNOCKGATE_BIT_{} {bit} /* {meaning} */\n", capitals(name));
    }
    let fields = |names: &[&str]| names.iter().map(|name| snake(name)).collect::<Vec<_>>().join(", ");
    out += &format!(
        "\ntypedef struct {{\n  kg_u64 {};\n  kg_u32 {};\n}} kg_head;\n",
        fields(&LONG_FIELDS),
        fields(&SHORT_FIELDS)
    );
    out
}

fn functions() -> String {
    let mut out = String::from("\n/* Functions of the host. */\n");
    for function in FUNCTIONS {
        out += &format!(
            "KNOCKGATE_IMPORT(\"{}\", \"{}\")\n{} kg_{}({}); /* {} */\n",
            function.module,
            function.name,
            result(function),
            snake(function.name),
            signature(function, declared),
            purpose(function)
        );
    }
    out
}

fn declared(name: &str, kind: Type) -> String {
    match (name, kind) {
        ("head", _) => "kg_head *head".to_owned(),
        ("message", _) => "const char *message".to_owned(),
        (name, Type::I32) => format!("kg_u32 {name}"),
        (name, Type::I64) => format!("kg_u64 {name}"),
    }
}

fn result(function: &Function) -> &'static str {
    match function.result {
        None => "void",
        Some(Type::I64) => "kg_u64",
        Some(Type::I32) if answers(function) => "kg_s32",
        Some(Type::I32) => "kg_u32",
    }
}

fn closing() -> String {
    let (first, keys) = (attr::PARAMETERS, attr::PARAMETER_KEYS);
    format!(
        r#"
/* A line for the operator, from a string literal. */
#define KNOCKGATE_LOG(level, literal) kg_log(level, literal, sizeof(literal) - 1)

/* Reads a text attribute into a buffer and returns how many bytes it has there; 0 when the event does not have it. */
static inline kg_u32 kg_read_text(kg_u32 key, char *buffer, kg_u32 size) {{
  kg_u32 length = (kg_u32)kg_attr(key);
  if (length > size) length = size;
  for (kg_u32 at = 0; at < length; at++) buffer[at] = (char)(kg_text(key, at & ~7u) >> (8 * (at & 7)));
  return length;
}}

/* How many values parameter number `index` of the manifest has in the configuration; 0 when it is not given. */
static inline kg_u32 kg_parameter_count(kg_u32 index) {{ return (kg_u32)kg_attr({first} + {keys} * index); }}

/* Value number `at` of a parameter. */
static inline kg_u64 kg_parameter(kg_u32 index, kg_u32 at) {{ return kg_attr({first} + {keys} * index + 1 + at); }}

/* The first value of a parameter, or `otherwise` when it is not given. */
static inline kg_u64 kg_parameter_or(kg_u32 index, kg_u64 otherwise) {{
  return kg_parameter_count(index) > 0 ? kg_parameter(index, 0) : otherwise;
}}

#ifdef __cplusplus
}}
#endif

#endif
"#
    )
}
