//! `docs/protocol.md` names every limit with its value and every refusal with its number and word.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use knockgate_core::Refusal;
use knockgate_core::limits as l;

const SPECIFICATION: &str = include_str!("../../docs/protocol.md");

#[test]
fn every_limit_stands_there_with_its_value() {
    let documented = documented();
    let values = values();
    let declared: Vec<&str> = include_str!("../src/limits.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("pub const ")?.split(':').next())
        .collect();
    for name in declared {
        // What is a table size only, of a limit that has a name already.
        if ["MAX_SEQUENCE", "MAX_DECOYS"].contains(&name) {
            continue;
        }
        let value = values.get(name).unwrap_or_else(|| panic!("{name} is not compared in this test"));
        assert_eq!(documented.get(name), Some(value), "{name}");
    }
}

#[test]
fn every_refusal_stands_there_with_its_number_and_its_word() {
    for refusal in Refusal::ALL {
        let row = format!("| {} | `{}` |", refusal.code(), refusal.word());
        assert!(SPECIFICATION.contains(&row), "docs/protocol.md, section 6.3, lacks the row {row}");
    }
}

/// First and second column of the tables of section 9, without spaces in numbers.
fn documented() -> BTreeMap<&'static str, String> {
    let (_, section) = SPECIFICATION.split_once("## 9. Limits").unwrap_or_default();
    let row = |line: &'static str| {
        let mut columns = line.strip_prefix("| `")?.split(" | ");
        let name = columns.next()?.trim_end_matches('`');
        let value = columns.next()?.split(" to ").map(|number| number.replace(' ', "")).collect::<Vec<_>>();
        Some((name, value.join(" to ")))
    };
    section.lines().filter_map(row).collect()
}

fn values() -> BTreeMap<&'static str, String> {
    let n = |value: &dyn Display| value.to_string();
    let s = |value: Duration| value.as_secs().to_string();
    let ms = |value: Duration| value.as_millis().to_string();
    fn range<T: Display>(range: &RangeInclusive<T>) -> String {
        format!("{} to {}", range.start(), range.end())
    }
    BTreeMap::from([
        ("MESSAGE_LEN", n(&l::MESSAGE_LEN)),
        ("NONCE_LEN", n(&l::NONCE_LEN)),
        ("TAG_LEN", n(&l::TAG_LEN)),
        ("INNER_LEN", n(&l::INNER_LEN)),
        ("KEY_LEN", n(&l::KEY_LEN)),
        ("REQUEST_LEN", n(&l::REQUEST_LEN)),
        ("ANSWER_LEN", n(&l::ANSWER_LEN)),
        ("MAX_DOOR_KEYS", n(&l::MAX_DOOR_KEYS)),
        ("SEQUENCE_LENGTHS", range(&l::SEQUENCE_LENGTHS)),
        ("DECOY_COUNTS", range(&l::DECOY_COUNTS)),
        ("BOOK_COUNTS", range(&l::BOOK_COUNTS)),
        ("DEFAULT_BOOK_COUNT", n(&l::DEFAULT_BOOK_COUNT)),
        ("DEFAULT_SEQUENCE", n(&l::DEFAULT_SEQUENCE)),
        ("DEFAULT_DECOYS", n(&l::DEFAULT_DECOYS)),
        ("DEFAULT_PORTS", range(&l::DEFAULT_PORTS)),
        ("LOW_WATER_DIVISOR", n(&l::LOW_WATER_DIVISOR)),
        ("LOW_WATER_MIN", n(&l::LOW_WATER_MIN)),
        ("DEFAULT_HOLD", s(l::DEFAULT_HOLD)),
        ("HOLDS", format!("{} to {}", l::HOLDS.start().as_secs(), l::HOLDS.end().as_secs())),
        ("DEFAULT_LOCKOUT", s(l::DEFAULT_LOCKOUT)),
        ("MAX_LOCKOUT", s(l::MAX_LOCKOUT)),
        ("DEFAULT_STRAYS", n(&l::DEFAULT_STRAYS)),
        ("MAX_STRAYS", n(&l::MAX_STRAYS)),
        ("MAX_SEEN", n(&l::MAX_SEEN)),
        ("PROBE_GAP", ms(l::PROBE_GAP)),
        ("MAX_STATIC_SEQUENCES", n(&l::MAX_STATIC_SEQUENCES)),
        (
            "STATIC_WITHIN",
            format!("{} to {}", l::STATIC_WITHIN.start().as_secs(), l::STATIC_WITHIN.end().as_secs()),
        ),
        ("STATIC_STRAYS", n(&l::STATIC_STRAYS)),
        ("BUDGET_BURST", n(&l::BUDGET_BURST)),
        ("BUDGET_PERIOD", n(&l::BUDGET_PERIOD.as_micros())),
        ("MAX_AHEAD", s(l::MAX_AHEAD)),
        ("MAX_BURNT", n(&l::MAX_BURNT)),
        ("COUNTER_JUMP", s(l::COUNTER_JUMP)),
        ("MAX_LEASE", s(l::MAX_LEASE)),
        ("CONFIRMATION", s(l::CONFIRMATION)),
        ("TOKEN_LEN", n(&l::TOKEN_LEN)),
        ("CODE_STEP", s(l::CODE_STEP)),
        ("CODE_WINDOW", n(&l::CODE_WINDOW)),
        ("CODE_DIGITS", n(&l::CODE_DIGITS)),
        ("TOTP_SECRET_LEN", n(&l::TOTP_SECRET_LEN)),
        ("WRONG_CODES", n(&l::WRONG_CODES)),
        ("FOLLOW_AHEAD", s(l::FOLLOW_AHEAD)),
        ("FOLLOW_GRACE", s(l::FOLLOW_GRACE)),
        ("POLICY_DEADLINE", s(l::POLICY_DEADLINE)),
        ("RESULT_AGE", s(l::RESULT_AGE)),
        ("PENDING_RETRY", ms(l::PENDING_RETRY)),
        ("CLOSE_RETRY", s(l::CLOSE_RETRY)),
        ("TIMEOUTS_PER_CALL", n(&l::TIMEOUTS_PER_CALL)),
        ("MAX_GRANT", s(l::MAX_GRANT)),
        ("MAX_SERVICES", n(&l::MAX_SERVICES)),
        ("MAX_CLIENT_SERVICES", n(&l::MAX_CLIENT_SERVICES)),
        ("MAX_SERVICE_PORTS", n(&l::MAX_SERVICE_PORTS)),
        ("MAX_NAME", n(&l::MAX_NAME)),
        ("MAX_ADDRESS", n(&l::MAX_ADDRESS)),
        ("MAX_EFFECTS", n(&l::MAX_EFFECTS)),
        ("MAX_ANSWER_GRANTS", n(&l::MAX_ANSWER_GRANTS)),
        ("SOURCE_PREFIX_V4", n(&l::SOURCE_PREFIX_V4)),
        ("SOURCE_PREFIX_V6", n(&l::SOURCE_PREFIX_V6)),
        ("MAX_SAID", n(&l::MAX_SAID)),
        ("MAX_PIECE", n(&l::MAX_PIECE)),
        ("MAX_LINE", n(&l::MAX_LINE)),
        ("MAX_SERVICE_HOSTS", n(&l::MAX_SERVICE_HOSTS)),
        ("MAX_PACKET_RANGES", n(&l::MAX_PACKET_RANGES)),
        ("MAX_GATEWAY_CLIENTS", n(&l::MAX_GATEWAY_CLIENTS)),
        ("MAX_GATEWAY_SERVICES", n(&l::MAX_GATEWAY_SERVICES)),
        ("MAX_GATEWAY_POLICIES", n(&l::MAX_GATEWAY_POLICIES)),
    ])
}
