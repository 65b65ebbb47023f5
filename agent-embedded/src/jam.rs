//! A port that takes no more frames for the moment: the other one waits for it, for a while.
//!
//! What waits in a card is not lost, and a burst of frames is longer than a card's own memory. But a port whose cable is not
//! plugged in may never take a frame again, and it must not make the gate deaf.

use knockgate_core::Instant;
use smoltcp::phy::Device;

use crate::clock;
use crate::limits::LONGEST_JAM;

/// Since when a port takes nothing.
#[derive(Default)]
pub(crate) struct Jam(Option<Instant>);

impl Jam {
    /// Whether the other port shall wait for this one.
    pub(crate) fn holds_up(&mut self, now: Instant, port: &mut impl Device) -> bool {
        if port.transmit(clock::wire(now)).is_some() {
            self.0 = None;
            return false;
        }
        let since = *self.0.get_or_insert(now);
        now < since.after(LONGEST_JAM)
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use smoltcp::phy::Loopback;

    use super::*;

    /// A card that has room, or has not.
    struct Card(Option<Loopback>);

    impl Device for Card {
        type RxToken<'a> = <Loopback as Device>::RxToken<'a>;
        type TxToken<'a> = <Loopback as Device>::TxToken<'a>;

        fn receive(&mut self, now: smoltcp::time::Instant) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
            self.0.as_mut()?.receive(now)
        }

        fn transmit(&mut self, now: smoltcp::time::Instant) -> Option<Self::TxToken<'_>> {
            self.0.as_mut()?.transmit(now)
        }

        fn capabilities(&self) -> smoltcp::phy::DeviceCapabilities {
            Loopback::new(smoltcp::phy::Medium::Ethernet).capabilities()
        }
    }

    #[test]
    fn a_full_card_holds_up_the_other_one_for_a_while_and_anew_once_it_had_room() {
        let at = |millis| Instant::default().after(Duration::from_millis(millis));
        let mut jam = Jam::default();
        for (millis, has_room, waits) in [
            (0, true, false),
            (1, false, true),
            (20, false, true),
            (21, false, false),
            (60_000, false, false),
            (60_001, true, false),
            (60_002, false, true),
        ] {
            let mut card = Card(has_room.then(|| Loopback::new(smoltcp::phy::Medium::Ethernet)));
            assert_eq!(jam.holds_up(at(millis), &mut card), waits, "after {millis} ms");
        }
    }
}
