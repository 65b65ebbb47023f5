//! `policy.wit` and the constants say the same.
#![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

use knockgate_policy_abi::interface::{self, Type};

const WIT: &str = include_str!("../policy.wit");

/// A function of the text, lowered: interface, name, core parameters, core result.
type Lowered = (String, String, Vec<Type>, Option<Type>);

#[test]
fn functions_of_the_text_are_the_functions_of_the_table() {
    let table: Vec<Lowered> = interface::FUNCTIONS
        .iter()
        .map(|function| {
            (function.module.to_owned(), function.name.to_owned(), function.params.to_vec(), function.result)
        })
        .collect();

    assert_eq!(lowered_functions(), table);
}

#[test]
fn a_pointer_is_passed_exactly_where_the_text_has_a_string_or_a_record() {
    for function in interface::FUNCTIONS {
        let line = WIT.lines().find(|line| line.trim().starts_with(&format!("{}: func", function.name)));
        let line = line.expect("every function stands in the text");
        assert_eq!(function.uses_memory, line.contains("string") || line.contains("-> head"), "{line}");
    }
}

#[test]
fn the_record_of_the_text_is_the_record_of_the_crate() {
    let body = WIT.split("record head {").nth(1).and_then(|rest| rest.split('}').next()).unwrap();
    let fields: Vec<(&str, &str)> =
        body.lines().filter_map(|line| line.trim().trim_end_matches(',').split_once(": ")).collect();

    let expected = [
        ("time", "u64"),
        ("client", "u64"),
        ("address-high", "u64"),
        ("address-low", "u64"),
        ("cause", "u32"),
        ("service", "u32"),
        ("seconds", "u32"),
        ("failures", "u32"),
        ("grants", "u32"),
        ("bits", "u32"),
    ];
    assert_eq!(fields, expected);
}

#[test]
fn the_world_imports_every_interface_and_exports_decide() {
    let world = WIT.split("world policy {").nth(1).unwrap();
    for module in [interface::EVENT, interface::ACT, interface::JOURNAL, interface::STATE] {
        let name = module.strip_prefix(interface::PACKAGE).and_then(|rest| rest.split('@').next()).unwrap();
        assert!(world.contains(&format!("import {name};")), "{name}");
    }
    assert!(world.contains(&format!("export {}: func() -> u32;", interface::DECIDE)));
}

fn lowered_functions() -> Vec<Lowered> {
    let version =
        WIT.split_once("package knockgate:policy@").and_then(|(_, rest)| rest.split(';').next()).unwrap();
    let mut module = String::new();
    let mut functions = Vec::new();
    for line in WIT.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("interface ").and_then(|rest| rest.split(' ').next()) {
            module = format!("knockgate:policy/{name}@{version}");
        }
        if line.starts_with("world ") {
            break;
        }
        if let Some((name, signature)) = line.split_once(": func(") {
            functions.push(lower(&module, name, signature.trim_end_matches(';')));
        }
    }
    functions
}

fn lower(module: &str, name: &str, signature: &str) -> Lowered {
    let (params, result) = signature.split_once(')').unwrap();
    let mut core: Vec<Type> = params
        .split(", ")
        .filter(|param| !param.is_empty())
        .flat_map(|param| flat(param.split_once(": ").unwrap().1))
        .copied()
        .collect();
    let result = match result.trim_start_matches(" -> ") {
        "" => None,
        "head" => {
            core.push(Type::I32);
            None
        }
        scalar => Some(flat(scalar)[0]),
    };
    (module.to_owned(), name.to_owned(), core, result)
}

fn flat(wit: &str) -> &'static [Type] {
    match wit {
        "u32" | "s32" => &[Type::I32],
        "u64" => &[Type::I64],
        "string" => &[Type::I32, Type::I32],
        other => panic!("the text uses {other}, which this test cannot lower"),
    }
}
