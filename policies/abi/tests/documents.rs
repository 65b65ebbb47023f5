//! What people read is what the tables say: the SDKs' files and the guide.

#[path = "../examples/sdk/files/mod.rs"]
mod files;

use std::path::Path;

use knockgate_policy_abi::{Capability, Cause, ParameterKind, Refusal, attr, interface, limits};

const GUIDE: &str = include_str!("../../../docs/policies.md");

#[test]
fn every_sdk_file_is_the_generated_one() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(files::FOLDER);
    for file in files::all() {
        let found = std::fs::read_to_string(folder.join(file.path)).unwrap_or_default();
        assert!(
            found == file.text,
            "policies/sdk/{} differs from the tables; write it anew: cargo run -p knockgate-policy-abi --example sdk",
            file.path
        );
    }
}

#[test]
fn the_guide_has_every_attribute_as_the_table_has_it() {
    for row in attr::TABLE {
        expect(&format!("| {} | `{}` | {} | {} |", row.key, row.name, row.kind.name(), row.meaning));
    }
}

#[test]
fn the_guide_has_every_cause_capability_and_answer() {
    for cause in Cause::ALL {
        expect(&format!("| {} | `{}` | {} |", cause.number(), cause.name(), cause.meaning()));
    }
    for capability in Capability::ALL {
        expect(&format!("| `{}` | {} |", capability.name(), capability.meaning()));
    }
    for refusal in Refusal::ALL {
        expect(&format!("| {} | {} |", refusal.code(), refusal.name()));
    }
    for function in interface::FUNCTIONS {
        expect(&format!("`{}`", function.name));
    }
}

#[test]
fn the_guide_has_every_kind_of_parameter_and_its_keys() {
    for kind in ParameterKind::ALL {
        expect(&format!("| `{}` | {} |", kind.name(), kind.meaning()));
    }
    let prose = GUIDE.split_whitespace().collect::<Vec<_>>().join(" ");
    let said = [
        format!("has the keys from {} + {} × `i`", attr::PARAMETERS, attr::PARAMETER_KEYS),
        format!("then come the values, {} at most", limits::MAX_PARAMETER_VALUES),
        format!("names the parameters and their kinds, {} at most", limits::MAX_PARAMETERS),
    ];
    for words in said {
        assert!(prose.contains(&words), "docs/policies.md lacks these words: {words}");
    }
}

#[test]
fn the_guide_has_the_limits_of_both_profiles() {
    let of = |limits: limits::Limits| limits.deadline_ms.map_or("none".to_owned(), |ms| format!("{ms} ms"));
    let of_servers = format!("{}; interpreted, {}", of(limits::SERVER), of(limits::SERVER_INTERPRETED));
    for (profile, deadline) in [(limits::EDGE, of(limits::EDGE)), (limits::SERVER, of_servers)] {
        expect(&format!(
            "| {} | {} kB | {} | {} | {} | {} | {} | {} |",
            profile.name,
            profile.module_bytes / 1024,
            profile.pages,
            profile.table_elements,
            profile.fuel,
            profile.actions,
            profile.state_keys,
            deadline
        ));
    }
}

#[test]
fn the_guide_shows_the_examples_as_they_are() {
    expect(include_str!("../../examples/rust/src/lib.rs"));
    expect(include_str!("../../examples/c/office_hours.c"));
}

fn expect(line: &str) {
    assert!(GUIDE.contains(line), "docs/policies.md lacks this text, which the table has:\n{line}");
}
