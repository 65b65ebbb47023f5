//! Follows one sequence through the probes of its holder.
//!
//! An attempt remembers which ports of the sequence have come, not merely how many, so that a repeated probe is
//! recognised whatever came in between. Rule: `docs/protocol.md`, section 6.5.

use heapless::Vec;

use crate::book::{Order, Sequence};
use crate::limits::MAX_SEEN;

/// What a probe means to an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The port that was due; more are to come.
    Advanced,
    /// The last port that was due.
    Complete,
    /// A port of the sequence that has come before: a retransmission or a second try.
    Repeated,
    /// A port of the sequence whose turn has not come yet.
    Ahead,
    /// Not a port of the sequence.
    Wrong,
}

/// How far a holder has come.
#[derive(Clone)]
pub struct Attempt {
    sequence: Sequence,
    order: Order,
    /// Bit `i` is set once the port at position `i` has come.
    come: u16,
    seen: Vec<u16, MAX_SEEN>,
}

impl Attempt {
    /// An attempt that waits for its first probe.
    pub fn new(sequence: Sequence, order: Order) -> Self {
        Self { sequence, order, come: 0, seen: Vec::new() }
    }

    /// Takes a probe into account.
    pub fn probe(&mut self, port: u16) -> Step {
        // What does not fit is no longer needed: the operator has seen enough wrong ports to understand.
        let _ = self.seen.push(port);
        let Some(position) = self.sequence.iter().position(|&expected| expected == port) else {
            return Step::Wrong;
        };
        if self.has_come(position) {
            return Step::Repeated;
        }
        if self.order == Order::Strict && position != self.come.count_ones() as usize {
            return Step::Ahead;
        }
        self.come |= 1 << position;
        if self.come.count_ones() as usize == self.sequence.len() { Step::Complete } else { Step::Advanced }
    }

    /// The ports that came, in the order in which they came, as far as they were kept.
    pub fn seen(&self) -> &Vec<u16, MAX_SEEN> {
        &self.seen
    }

    fn has_come(&self, position: usize) -> bool {
        self.come & (1 << position) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(order: Order, ports: &[u16]) -> std::vec::Vec<Step> {
        let mut attempt = Attempt::new(Sequence::from_slice(&[30, 10, 20]).unwrap(), order);
        ports.iter().map(|&port| attempt.probe(port)).collect()
    }

    #[test]
    fn probes_are_judged_by_their_place_in_the_sequence() {
        use Step::{Advanced as A, Ahead as H, Complete as C, Repeated as R, Wrong as W};
        #[rustfmt::skip]
        let cases: [(u32, Order, &[u16], &[Step]); 7] = [
            (1, Order::Strict, &[30, 10, 20],         &[A, A, C]),
            (2, Order::Strict, &[30, 30, 10, 30, 20], &[A, R, A, R, C]),
            (3, Order::Strict, &[10, 30, 10, 20],     &[H, A, A, C]),
            (4, Order::Strict, &[30, 99, 10, 20],     &[A, W, A, C]),
            (5, Order::Any,    &[20, 10, 30],         &[A, A, C]),
            (6, Order::Any,    &[20, 20, 99, 10, 30], &[A, R, W, A, C]),
            (7, Order::Strict, &[20, 10, 30],         &[H, H, A]),
        ];
        for (case, order, ports, expected) in cases {
            assert_eq!(steps(order, ports), expected, "case {case}");
        }
    }

    #[test]
    fn the_longest_sequence_can_be_completed() {
        let ports: Sequence = (1000..1016).collect();
        let mut attempt = Attempt::new(ports.clone(), Order::Strict);
        let last = ports.iter().map(|&port| attempt.probe(port)).last();
        assert_eq!(last, Some(Step::Complete));
    }

    #[test]
    fn more_probes_than_are_kept_do_no_harm() {
        let mut attempt = Attempt::new(Sequence::from_slice(&[30, 10, 20]).unwrap(), Order::Strict);
        for _ in 0..10 * MAX_SEEN {
            attempt.probe(99);
        }
        assert_eq!(attempt.seen().len(), MAX_SEEN);
    }
}
