//! `[audit]`: when the audit log is put away, and what happens while it cannot be written.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::document::Section;
use super::read::or_default;
use super::{AuditLog, OnFailure};
use crate::audit::{Rotation, SHORTEST_AGE};

/// In MiB. A smaller file holds a few hundred knocks; a larger one is for somebody else to put away.
const SIZES: RangeInclusive<u64> = 1..=1 << 20;
const MIB: u64 = 1 << 20;
const AGES: RangeInclusive<Duration> = SHORTEST_AGE..=Duration::from_secs(366 * 86_400);
/// They are listed at each start, and opened.
const KEPT: RangeInclusive<usize> = 0..=1000;

pub(super) fn audit(root: &Section<'_>) -> Option<AuditLog> {
    let section = &root.section("audit");
    let usual = Rotation::default();
    let choices = [("count", OnFailure::Count), ("refuse", OnFailure::Refuse)];
    let on_failure = section.choice("on-failure", &choices);
    let on_failure = or_default(section, "on-failure", on_failure, OnFailure::Count);
    let size = section.number("rotate-mib", &SIZES).map(|size| size.with(size.value.saturating_mul(MIB)));
    let size = or_default(section, "rotate-mib", size, usual.size);
    let age = section.duration("rotate-age", &AGES).map(|age| age.with(Some(age.value)));
    let age = or_default(section, "rotate-age", age, usual.age);
    let keep = section.number("keep", &KEPT);
    let keep = or_default(section, "keep", keep, usual.keep);
    section.refuse_unknown_keys();
    let rotation = Rotation { size: size?, age: age?, keep: keep? };
    Some(AuditLog { on_failure: on_failure?, rotation })
}
