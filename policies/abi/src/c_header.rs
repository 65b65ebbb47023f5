//! `policies/sdk/c/knockgate.h`, made from the tables of this crate.
//!
//! `cargo run -p knockgate-policy-abi --example c_header > policies/sdk/c/knockgate.h` writes it; a test fails when the
//! file differs.

use core::fmt::{Result, Write};

use crate::interface::{FUNCTIONS, Function, MANIFEST_SECTION, Type};
use crate::{Cause, LogLevel, Refusal, VERDICT_ABSTAIN, VERDICT_COMMIT, VERDICT_DENY, VERSION, attr};

/// Writes the header.
///
/// # Errors
/// What `out` answers.
pub fn write(out: &mut impl Write) -> Result {
    opening(out)?;
    verdicts_and_refusals(out)?;
    causes(out)?;
    attributes(out)?;
    record(out)?;
    out.write_str("\n/* Functions of the host. */\n")?;
    for function in FUNCTIONS {
        import(out, function)?;
    }
    out.write_str(
        "\n/* A line for the operator, from a string literal. */\n\
         #define KNOCKGATE_LOG(level, literal) kg_log(level, literal, sizeof(literal) - 1)\n\n\
         #ifdef __cplusplus\n}\n#endif\n\n#endif\n",
    )
}

fn opening(out: &mut impl Write) -> Result {
    write!(
        out,
        "/* Knockgate policy ABI {VERSION} for C and C++. Generated from the tables in policies/abi; do not edit. */\n\
         #ifndef KNOCKGATE_H\n#define KNOCKGATE_H\n\n\
         typedef unsigned int kg_u32;\ntypedef int kg_s32;\ntypedef unsigned long long kg_u64;\n\n\
         #ifdef __cplusplus\nextern \"C\" {{\n#endif\n\n\
         /* The manifest, once per policy: KNOCKGATE_MANIFEST(\"abi={VERSION}\\nname=mine\\n...\") */\n\
         #define KNOCKGATE_MANIFEST(text) \\\n  \
         __asm__(\".section .custom_section.{MANIFEST_SECTION},\\\"\\\",@\\n.ascii \" #text \"\\n.text\\n\")\n\n\
         /* Every policy defines it: KNOCKGATE_DECIDE {{ ... return KNOCKGATE_COMMIT; }} */\n\
         #define KNOCKGATE_DECIDE __attribute__((export_name(\"decide\"))) kg_u32 decide(void)\n\n\
         #define KNOCKGATE_IMPORT(module, name) __attribute__((import_module(module), import_name(name)))\n"
    )
}

fn verdicts_and_refusals(out: &mut impl Write) -> Result {
    out.write_str("\n/* What decide returns; anything else denies. */\n")?;
    for (name, verdict) in [("COMMIT", VERDICT_COMMIT), ("DENY", VERDICT_DENY), ("ABSTAIN", VERDICT_ABSTAIN)]
    {
        writeln!(out, "#define KNOCKGATE_{name} {verdict}")?;
    }
    out.write_str("\n/* What an act answers; 0 is queued. */\n")?;
    for refusal in Refusal::ALL {
        define(out, "", refusal.name())?;
        writeln!(out, " ({})", refusal.code())?;
    }
    out.write_str("\n/* Levels of log. */\n")?;
    let levels = [
        ("error", LogLevel::Error),
        ("warning", LogLevel::Warning),
        ("information", LogLevel::Information),
        ("debug", LogLevel::Debug),
    ];
    for (name, level) in levels {
        define(out, "LOG_", name)?;
        writeln!(out, " {}", level as u32)?;
    }
    Ok(())
}

fn causes(out: &mut impl Write) -> Result {
    out.write_str("\n/* What happened. */\n")?;
    for cause in Cause::ALL {
        define(out, "CAUSE_", cause.name())?;
        writeln!(out, " {} /* {} */", cause.number(), cause.meaning())?;
    }
    Ok(())
}

fn attributes(out: &mut impl Write) -> Result {
    out.write_str("\n/* Attributes of the event. */\n")?;
    for row in attr::TABLE {
        define(out, "ATTR_", row.name)?;
        writeln!(out, " {} /* {}. {} */", row.key, row.kind.name(), row.meaning)?;
    }
    Ok(())
}

fn record(out: &mut impl Write) -> Result {
    use attr::bits;
    out.write_str("\n/* Flags in kg_head.bits. */\n")?;
    let flags = [
        ("IPV6", bits::IPV6),
        ("TIME", bits::TIME),
        ("ZONE", bits::ZONE),
        ("CLIENT", bits::CLIENT),
        ("SECOND_FACTOR", bits::SECOND_FACTOR),
    ];
    for (name, bit) in flags {
        writeln!(out, "#define KNOCKGATE_BIT_{name} {bit}")?;
    }
    out.write_str(
        "\ntypedef struct {\n  kg_u64 time, client, address_high, address_low;\n  \
         kg_u32 cause, service, seconds, failures, grants, bits;\n} kg_head;\n",
    )
}

fn import(out: &mut impl Write, function: &Function) -> Result {
    writeln!(out, "KNOCKGATE_IMPORT(\"{}\", \"{}\")", function.module, function.name)?;
    write!(out, "{} kg_", c_result(function))?;
    name(out, function.name, |letter| letter)?;
    out.write_str("(")?;
    match function.name {
        "read-head" => out.write_str("kg_head *head")?,
        "log" => out.write_str("kg_u32 level, const char *message, kg_u32 length")?,
        _ => {
            for (at, param) in function.params.iter().enumerate() {
                if at > 0 {
                    out.write_str(", ")?;
                }
                write!(out, "{} {}", c_type(*param), parameter(function, at))?;
            }
        }
    }
    out.write_str(");\n")
}

fn c_type(param: Type) -> &'static str {
    match param {
        Type::I32 => "kg_u32",
        Type::I64 => "kg_u64",
    }
}

fn c_result(function: &Function) -> &'static str {
    match function.result {
        None => "void",
        Some(Type::I64) => "kg_u64",
        // An act answers 0 or a negative refusal; `has` answers 0 or 1.
        Some(Type::I32) if function.name == "has" => "kg_u32",
        Some(Type::I32) => "kg_s32",
    }
}

fn parameter(function: &Function, at: usize) -> &'static str {
    let names: &[&str] = match function.name {
        "attr" | "has" | "load" => &["key"],
        "text" => &["key", "offset"],
        "open" => &["service", "seconds"],
        "open-prefix" => &["service", "bits", "seconds"],
        "extend" => &["grant", "seconds"],
        "revoke" => &["grant"],
        "lockout" => &["seconds"],
        "start" => &["unit"],
        "notify" => &["channel", "code"],
        "store" => &["key", "value"],
        _ => &[],
    };
    names.get(at).copied().unwrap_or("value")
}

/// `#define KNOCKGATE_` and a name in capitals.
fn define(out: &mut impl Write, group: &str, words: &str) -> Result {
    write!(out, "#define KNOCKGATE_{group}")?;
    name(out, words, |letter| letter.to_ascii_uppercase())
}

fn name(out: &mut impl Write, words: &str, case: fn(char) -> char) -> Result {
    words.chars().try_for_each(|letter| match letter {
        '-' | ' ' => out.write_char('_'),
        letter => out.write_char(case(letter)),
    })
}
