//! Who stands behind each element: several clients behind one address may hold a grant for the same port.
//!
//! The kernel keeps one element per address and port. It carries the name and the deadline of the grant that ends
//! last; closing one grant must not shut out the others. What is known here is lost in a restart: then the element
//! counts for the grant it names, and a shorter one ends with it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::elements::{Key, NewElement, Tag};

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    shares: HashMap<Key, Vec<Share>>,
}

#[derive(Debug, Clone, Copy)]
struct Share {
    tag: Tag,
    deadline: Instant,
}

impl Ledger {
    /// The element that serves `key` once `tag` holds it until `deadline`.
    pub(crate) fn with(&self, key: Key, tag: Tag, deadline: Instant, now: Instant) -> NewElement {
        let own = Share { tag, deadline };
        let others = self.others(key, tag.grant, now);
        let last = others.fold(own, |last, share| if share.deadline > last.deadline { share } else { last });
        last.element(key, now)
    }

    /// The element that serves `key` once `grant` is gone, if anybody still holds it.
    pub(crate) fn without(&self, key: Key, grant: u32, now: Instant) -> Option<NewElement> {
        let last = self.others(key, grant, now).max_by_key(|share| share.deadline)?;
        Some(last.element(key, now))
    }

    pub(crate) fn record(&mut self, key: Key, tag: Tag, deadline: Instant, now: Instant) {
        let shares = self.shares.entry(key).or_default();
        shares.retain(|share| share.tag.grant != tag.grant && share.deadline > now);
        shares.push(Share { tag, deadline });
    }

    pub(crate) fn forget(&mut self, key: Key, grant: u32, now: Instant) {
        let Some(shares) = self.shares.get_mut(&key) else { return };
        shares.retain(|share| share.tag.grant != grant && share.deadline > now);
        if shares.is_empty() {
            self.shares.remove(&key);
        }
    }

    fn others(&self, key: Key, grant: u32, now: Instant) -> impl Iterator<Item = Share> {
        let shares = self.shares.get(&key).map(Vec::as_slice).unwrap_or_default();
        shares.iter().copied().filter(move |share| share.tag.grant != grant && share.deadline > now)
    }
}

impl Share {
    fn element(self, key: Key, now: Instant) -> NewElement {
        let timeout = self.deadline.saturating_duration_since(now).max(Duration::from_millis(1));
        NewElement { key, timeout, tag: Some(self.tag) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firewall::plan::Protocol;

    #[test]
    fn the_element_names_the_grant_that_ends_last() {
        let (mut ledger, now) = (Ledger::default(), Instant::now());
        ledger.record(key(), tag(1), now + secs(60), now);

        assert_eq!(ledger.with(key(), tag(2), now + secs(30), now).tag, Some(tag(1)));
        assert_eq!(ledger.with(key(), tag(2), now + secs(90), now).tag, Some(tag(2)));
    }

    #[test]
    fn renewing_a_grant_replaces_its_deadline_also_by_an_earlier_one() {
        let (mut ledger, now) = (Ledger::default(), Instant::now());
        ledger.record(key(), tag(1), now + secs(60), now);

        assert_eq!(ledger.with(key(), tag(1), now + secs(5), now).timeout, secs(5));
    }

    #[test]
    fn closing_one_of_two_leaves_the_other_its_own_deadline() {
        let (mut ledger, now) = (Ledger::default(), Instant::now());
        ledger.record(key(), tag(1), now + secs(60), now);
        ledger.record(key(), tag(2), now + secs(30), now);

        let left = ledger.without(key(), 1, now).expect("grant 2 still holds it");

        assert_eq!((left.tag, left.timeout), (Some(tag(2)), secs(30)));
        assert!(ledger.without(key(), 1, now + secs(30)).is_none());
    }

    #[test]
    fn the_ledger_keeps_nothing_of_what_was_closed() {
        let (mut ledger, now) = (Ledger::default(), Instant::now());
        ledger.record(key(), tag(1), now + secs(60), now);
        ledger.forget(key(), 1, now);
        ledger.forget(key(), 1, now);

        assert!(ledger.shares.is_empty());
    }

    fn key() -> Key {
        Key::Grant { source: [192, 0, 2, 1].into(), protocol: Protocol::Tcp, port: 22 }
    }

    fn tag(grant: u32) -> Tag {
        Tag { grant, client: grant, service: 1 }
    }

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }
}
