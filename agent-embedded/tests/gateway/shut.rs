//! A gateway without a site.

use std::time::Duration;

use knockgate_core::Instant;
use knockgate_core::message::Mode;
use knockgate_gateway::ShutGateway;

use crate::cable::{Cable, Faults, Port};
use crate::raw::{self, EchoKind, Ends};
use crate::sys::watched;
use crate::world::{GATEWAY_MAC, GATEWAY_V4, GATEWAY_V6, Who, World};

struct Shut {
    outside: (Cable, Port),
    inside: (Cable, Port),
    gateway: ShutGateway<Port, Port>,
    now: Duration,
}

impl Shut {
    fn new() -> Self {
        let (mut outside, mut inside) = (Cable::new(Faults::default(), 0), Cable::new(Faults::default(), 0));
        let (outer, inner) = (outside.plug(), inside.plug());
        let gateway = ShutGateway::new(outer, inner, GATEWAY_MAC, 7, Instant::from_micros(0));
        let (stranger, machine) = (outside.plug(), inside.plug());
        Self { outside: (outside, stranger), inside: (inside, machine), gateway, now: Duration::ZERO }
    }

    /// What comes out, outside and inside.
    fn take(&mut self, who: Who, frame: &[u8]) -> (usize, usize) {
        let (outside, inside) = (self.outside.0.log.len(), self.inside.0.log.len());
        match who {
            Who::Machine => self.inside.1.send(frame.to_vec()),
            Who::Alice | Who::Mallory => self.outside.1.send(frame.to_vec()),
        }
        let now = Instant::from_micros(u64::try_from(self.now.as_micros()).unwrap());
        for _ in 0..3 {
            self.outside.0.carry();
            self.inside.0.carry();
            let (_, taken) = watched(|| self.gateway.poll(now));
            assert_eq!(taken, 0, "the heap is used while a gateway is made and never afterwards");
        }
        let new = |cable: &Cable, mark| cable.log.iter().skip(mark).filter(|(end, _)| *end == 0).count();
        (new(&self.outside.0, outside), new(&self.inside.0, inside))
    }
}

#[test]
fn it_lets_out_what_is_begun_inside_and_in_what_answers_that() {
    for family in [GATEWAY_V4, GATEWAY_V6] {
        let mut world = World::new(Mode::Connect);
        let ends = world.inwards(Who::Mallory, family, 443, 40_000);
        let back = Ends { hardware: (ends.hardware.1, ends.hardware.0), from: ends.to, to: ends.from };
        let mut shut = Shut::new();
        let (out, inside, nowhere) = ((1, 0), (0, 1), (0, 0));
        #[rustfmt::skip]
        let cases = [
            (1, Who::Mallory, raw::tcp(ends, raw::SYN),                      nowhere),
            (2, Who::Mallory, raw::tcp(ends, raw::SYN_ACK),                  nowhere),
            (3, Who::Machine, raw::tcp(back, raw::SYN),                      out),
            (4, Who::Mallory, raw::tcp(ends, raw::SYN_ACK),                  inside),
            (5, Who::Mallory, raw::echo_with(ends, EchoKind::Request, 1),    nowhere),
        ];
        for (case, who, frame, expected) in cases {
            assert_eq!(shut.take(who, &frame), expected, "case {case} in {family}");
        }
        shut.now = Duration::from_secs(100);
        assert_eq!(shut.take(Who::Mallory, &raw::tcp(ends, raw::SYN_ACK)), nowhere, "too late");
    }
}

#[test]
fn it_answers_nothing_and_lets_nobody_use_its_card() {
    for family in [GATEWAY_V4, GATEWAY_V6] {
        let mut world = World::new(Mode::Connect);
        let ends = world.towards_gateway(Who::Mallory, family, 40_000, 62_201);
        let mut shut = Shut::new();
        let frames = [
            raw::tcp(ends, raw::SYN),
            raw::datagram(ends, &[0x55; 200]),
            raw::echo_with(ends, EchoKind::Request, 1),
            raw::icmp(
                Ends { from: ("fe80::66".parse().unwrap(), 0), to: ("fe80::1".parse().unwrap(), 0), ..ends },
                255,
                [135, 0],
                &[0; 28],
            ),
        ];
        for frame in frames {
            assert_eq!(shut.take(Who::Mallory, &frame), (0, 0), "{family}");
        }
    }
}
