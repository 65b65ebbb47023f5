//! When the gate's thread looks for packets: as soon as one comes, or, while they pour in, again and again after a short rest.
//!
//! A packet that wakes the thread is seen at once, and costs a wake-up. Under a flood the wake-ups are dearer than the packets:
//! then the thread asks not to be woken by them, and takes what has gathered meanwhile in one go.

use std::time::{Duration, Instant};

/// Between two looks under a flood. A client's packet waits this long at most, and so few packets gather that the socket's queue
/// never fills.
const REST: Duration = Duration::from_micros(100);
/// Over this time packets are counted.
const SPAN: Duration = Duration::from_millis(2);
/// So many packets in a [`SPAN`] are a flood: 16 000 a second, at which their wake-ups take a tenth of a processor.
const FLOOD: usize = 32;
/// So few are none any more. Less than [`FLOOD`], so that a steady stream does not make the rhythm change all the time.
const EBB: usize = 16;

/// What the thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// Nothing: there is more to read.
    Nothing,
    /// A packet.
    Packet,
    /// The time until the next look, whatever comes.
    Rest(Duration),
}

/// The present rhythm.
pub(super) struct Rhythm {
    flooded: bool,
    /// There was more than one look could take.
    more: bool,
    span: Instant,
    packets: usize,
}

impl Rhythm {
    pub(super) fn new(now: Instant) -> Self {
        Self { flooded: false, more: false, span: now, packets: 0 }
    }

    /// A look has found so many packets.
    pub(super) fn looked(&mut self, now: Instant, packets: usize, more: bool) {
        self.more = more;
        self.packets = self.packets.saturating_add(packets);
        self.flooded |= self.packets >= FLOOD;
        if now.saturating_duration_since(self.span) >= SPAN {
            self.flooded &= self.packets >= EBB;
            (self.span, self.packets) = (now, 0);
        }
    }

    pub(super) fn wait(&self) -> Wait {
        match (self.more, self.flooded) {
            (true, _) => Wait::Nothing,
            (false, true) => Wait::Rest(REST),
            (false, false) => Wait::Packet,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A thread that looks every `pause`, and finds so many packets.
    fn listen(rhythm: &mut Rhythm, now: &mut Instant, looks: usize, pause: Duration, packets: usize) {
        for _ in 0..looks {
            *now += pause;
            rhythm.looked(*now, packets, false);
        }
    }

    #[test]
    fn single_packets_are_waited_for() {
        let mut now = Instant::now();
        let mut rhythm = Rhythm::new(now);
        assert_eq!(rhythm.wait(), Wait::Packet);
        listen(&mut rhythm, &mut now, 1000, Duration::from_millis(1), 2);
        assert_eq!(rhythm.wait(), Wait::Packet);
    }

    #[test]
    fn under_a_flood_nothing_is_waited_for_and_afterwards_every_packet_is() {
        let mut now = Instant::now();
        let mut rhythm = Rhythm::new(now);
        listen(&mut rhythm, &mut now, 40, Duration::from_micros(10), 1);
        assert_eq!(rhythm.wait(), Wait::Rest(REST), "single packets, and many of them");
        listen(&mut rhythm, &mut now, 1000, REST, 3);
        assert_eq!(rhythm.wait(), Wait::Rest(REST), "30 000 a second");
        listen(&mut rhythm, &mut now, 50, REST, 0);
        assert_eq!(rhythm.wait(), Wait::Packet);
    }

    #[test]
    fn a_pause_in_which_nothing_came_is_no_flood() {
        let mut now = Instant::now();
        let mut rhythm = Rhythm::new(now);
        for _ in 0..100 {
            listen(&mut rhythm, &mut now, 1, Duration::from_secs(60), FLOOD - 1);
            assert_eq!(rhythm.wait(), Wait::Packet);
        }
    }

    #[test]
    fn what_is_left_is_read_at_once() {
        let now = Instant::now();
        let mut rhythm = Rhythm::new(now);
        rhythm.looked(now, 64, true);
        assert_eq!(rhythm.wait(), Wait::Nothing);
        rhythm.looked(now, 3, false);
        assert_eq!(rhythm.wait(), Wait::Rest(REST));
    }
}
