//! What people read is what the tables say: the C header and the guide.

use knockgate_policy_abi::{Capability, Cause, Refusal, attr, c_header, interface, limits};

const HEADER: &str = include_str!("../../sdk/c/knockgate.h");
const GUIDE: &str = include_str!("../../../docs/policies.md");

#[test]
fn the_c_header_is_the_generated_one() {
    let mut header = String::new();
    c_header::write(&mut header).unwrap();
    assert!(
        header == HEADER,
        "write it anew: cargo run -p knockgate-policy-abi --example c_header > policies/sdk/c/knockgate.h"
    );
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
fn the_guide_has_the_limits_of_both_profiles() {
    for profile in [limits::EDGE, limits::SERVER] {
        let deadline = profile.deadline_ms.map_or("none".to_owned(), |ms| format!("{ms} ms"));
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
    expect(include_str!("../../examples/office_hours/src/lib.rs"));
    expect(include_str!("../../examples/one_grant/one_grant.c"));
}

fn expect(line: &str) {
    assert!(GUIDE.contains(line), "docs/policies.md lacks this text, which the table has:\n{line}");
}
