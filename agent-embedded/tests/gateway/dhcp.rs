//! Machines behind the bridge that ask for an address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use smoltcp::wire::EthernetAddress;

use crate::raw::{self, Ends};
use crate::rules::quiet;
use crate::world::{GATEWAY_V4, GATEWAY_V6, Who};

const FAMILIES: [IpAddr; 2] = [GATEWAY_V4, GATEWAY_V6];
const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x66);

/// A frame by its number and the card that it is about.
type Message = Box<dyn Fn(u8, EthernetAddress) -> Vec<u8>>;

/// A message of DHCP for IPv4: question or answer, number, card.
fn boot(operation: u8, number: u8, card: EthernetAddress) -> Vec<u8> {
    let mut message = vec![0; 240];
    (message[0], message[1], message[2], message[7]) = (operation, 1, 6, number);
    message[28..34].copy_from_slice(&card.0);
    message
}

#[test]
fn whoever_asks_for_an_address_gets_the_answer() {
    for family in FAMILIES {
        let mut world = quiet();
        let ends = world.inwards(Who::Mallory, family, 0, 0);
        let (card, other) = (ends.hardware.1, EthernetAddress([2, 0, 0, 0, 0, 99]));
        let (question, answer): (Message, Message) = match family {
            IpAddr::V4(_) => {
                let to_all = Ends {
                    hardware: (card, EthernetAddress::BROADCAST),
                    from: (Ipv4Addr::UNSPECIFIED.into(), 68),
                    to: (Ipv4Addr::BROADCAST.into(), 67),
                };
                let back = Ends {
                    hardware: (ends.hardware.0, EthernetAddress::BROADCAST),
                    from: (ends.from.0, 67),
                    to: (Ipv4Addr::BROADCAST.into(), 68),
                };
                (
                    Box::new(move |number, card| raw::datagram(to_all, &boot(1, number, card))),
                    Box::new(move |number, card| raw::datagram(back, &boot(2, number, card))),
                )
            }
            IpAddr::V6(_) => {
                let servers = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
                let to_all = Ends {
                    hardware: (card, EthernetAddress([0x33, 0x33, 0, 1, 0, 2])),
                    from: ("fe80::64".parse().unwrap(), 546),
                    to: (servers.into(), 547),
                };
                (
                    Box::new(move |number, card| {
                        raw::datagram(
                            Ends { hardware: (card, to_all.hardware.1), ..to_all },
                            &[1, 0, 0, number],
                        )
                    }),
                    Box::new(move |number, card| {
                        raw::datagram(
                            Ends {
                                hardware: (ends.hardware.0, card),
                                from: (ROUTER.into(), 547),
                                to: (to_all.from.0, 546),
                            },
                            &[7, 0, 0, number],
                        )
                    }),
                )
            }
        };
        assert!(!world.passes(Who::Mallory, &answer(1, card)), "nobody has asked");
        assert!(world.passes(Who::Machine, &question(1, card)));
        #[rustfmt::skip]
        let cases = [
            (1, answer(2, card),                      false),
            (2, answer(1, other),                     false),
            (3, question(1, card),                    false),
            (4, raw::tagged(&answer(1, card), 5),     false),
            (5, answer(1, card),                      true),
            (6, answer(1, card),                      true), // another server
        ];
        for (case, frame, passes) in cases {
            assert_eq!(world.passes(Who::Mallory, &frame), passes, "case {case} in {family}");
        }
        world.pass(Duration::from_secs(65));
        assert!(!world.passes(Who::Mallory, &answer(1, card)), "too late");
    }
}

#[test]
fn strangers_do_not_keep_anybody_from_an_address() {
    let mut world = quiet();
    let card = world.host(Who::Machine).hardware;
    let all = EthernetAddress::BROADCAST;
    let ask = Ends {
        hardware: (card, all),
        from: (Ipv4Addr::UNSPECIFIED.into(), 68),
        to: (Ipv4Addr::BROADCAST.into(), 67),
    };
    assert!(world.passes(Who::Machine, &raw::datagram(ask, &boot(1, 1, card))));
    let mallory = world.host(Who::Mallory).hardware;
    for number in 0..200 {
        let flood = Ends { hardware: (mallory, all), ..ask };
        assert!(!world.passes(Who::Mallory, &raw::datagram(flood, &boot(1, number, mallory))));
    }
    let server = world.inwards(Who::Mallory, GATEWAY_V4, 67, 68);
    assert!(world.passes(Who::Mallory, &raw::datagram(server, &boot(2, 1, card))));
}
