//! What can happen.

use knockgate_core::gate::Ports;
use knockgate_core::message::Kind;
use proptest::prelude::*;

use crate::reference::statics::DOORS;

/// How the gate of a case is configured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// `closed` mode; else `connect`.
    pub(crate) closed: bool,
    pub(crate) any_order: bool,
    /// A wrong port locks out everybody.
    pub(crate) global: bool,
    /// The host takes its time to open and close.
    pub(crate) slow: bool,
    /// A packet knock for the first service is to be confirmed from its address.
    pub(crate) confirm: bool,
    /// How far ahead of the gate's each client's clock is, in seconds.
    pub(crate) skews: [i64; 3],
    pub(crate) services: Services,
    /// The static sequences stand in the other order.
    pub(crate) turned: bool,
}

/// What the gate guards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Services {
    All,
    /// All, and none for longer than a while.
    Brief,
    /// All but the second.
    WithoutSecond,
}

impl Rules {
    pub(crate) fn any() -> impl Strategy<Value = Self> {
        let flags = (
            any::<bool>(),
            any::<bool>(),
            prop::bool::weighted(0.2),
            prop::bool::weighted(0.4),
            any::<bool>(),
        );
        (flags, skews()).prop_map(|((closed, any_order, global, slow, confirm), skews)| Self {
            closed,
            any_order,
            global,
            slow,
            confirm,
            skews,
            services: Services::All,
            turned: false,
        })
    }
}

/// What a new configuration changes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    Services(Services),
    /// The first service has other ports: none of the old, or some of them.
    Ports(Ports),
    Mode,
    Order,
    Confirm,
    Turned,
}

fn change() -> impl Strategy<Value = Change> {
    let services = prop::sample::select(vec![Services::All, Services::Brief, Services::WithoutSecond]);
    prop_oneof![
        4 => services.prop_map(Change::Services),
        2 => prop::sample::select(vec![Ports::Same, Ports::Changed, Ports::Moved]).prop_map(Change::Ports),
        1 => prop::sample::select(vec![Change::Mode, Change::Order]),
        1 => prop::sample::select(vec![Change::Confirm, Change::Turned]),
    ]
}

/// What a holder, or somebody at his address, touches.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Touch {
    /// The port that is due.
    Next,
    /// Every port that is due.
    Rest,
    /// The first port of the sequence.
    First,
    /// The last port of the sequence.
    Last,
    /// A watched port outside the sequence.
    Wrong,
    /// Three of them.
    Astray,
    /// The port that is due, in the way of the other mode.
    OtherKind,
    /// Some watched port.
    Any(u8),
    /// A port that is not watched.
    Unwatched,
}

/// The first client's clock is right. The others' may be out of every lease, or of the present.
fn skews() -> impl Strategy<Value = [i64; 3]> {
    let skew = prop::sample::select(vec![0, -20, 20, 85, 3_600, 2 * 86_400]);
    [Just(0).boxed(), skew.clone().boxed(), skew.boxed()]
}

/// Which grant a client means.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Meant {
    /// Whatever is open of the service at its address.
    Any,
    /// One of all that there ever were.
    Named(u8),
}

/// How the host's work ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    Done,
    Failed,
    /// It took effect and is reported as failed.
    Half,
}

/// What the policy wants to happen; grants are picked from all that there ever were.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wish {
    Open { service: u16, seconds: u32 },
    Extend { pick: u8, seconds: u32 },
    Revoke { pick: u8 },
    Lockout { seconds: u32 },
}

/// What the policy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Say {
    Commit,
    Deny,
    Fail,
}

/// Something that happens. Clients are 0 to 2, addresses 0 to 3; `pick` chooses among what there is.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Ask {
        who: usize,
        from: usize,
        service: u16,
        seconds: u32,
        claim: Option<usize>,
    },
    Status {
        who: usize,
        from: usize,
    },
    /// Asks, is offered the number by a prompt host, and touches something.
    Knock {
        who: usize,
        from: usize,
        service: u16,
        seconds: u32,
        touch: Touch,
    },
    /// A packet knock, or a question for the console.
    Packet {
        who: usize,
        from: usize,
        kind: Kind,
        service: u16,
        seconds: u32,
        meant: Meant,
        /// As a datagram; else over a connection.
        datagram: bool,
        /// With the last token that the client was given.
        with_token: bool,
    },
    /// The host begins to renew its lease.
    Lease,
    /// The storing of a lease and of all that was used ends.
    Leased {
        work: Work,
    },
    /// A message that was sent before.
    Replay {
        pick: u16,
        from: usize,
    },
    /// A new message with a counter that was used before.
    Stale {
        who: usize,
        from: usize,
    },
    /// A static sequence was knocked.
    Static {
        door: usize,
        from: usize,
    },
    /// `pick` chooses among the addresses of holders, if there are any, or else among all.
    Probe {
        pick: u8,
        touch: Touch,
    },
    Stored {
        pick: u8,
        work: Work,
    },
    Watched {
        pick: u8,
        work: Work,
    },
    Decided {
        pick: u8,
        say: Say,
        wishes: Vec<Wish>,
    },
    /// The oldest opening or closing is reported; a slow host needs some luck.
    Firewall {
        work: Work,
        luck: u8,
    },
    /// The host does all that it was asked, well; the policy grants.
    Settle,
    /// Time goes by; the host does not look at its clock.
    Sleep {
        millis: u64,
    },
    /// Time goes by and the host ends what is over, moment by moment.
    Wait {
        millis: u64,
    },
    Timeout,
    Revoke {
        pick: u8,
    },
    /// Somebody at the gate itself orders a service to be opened.
    Order {
        from: usize,
        service: u16,
        seconds: u32,
    },
    /// Somebody at the gate itself ends a lockout.
    Unlock {
        pick: u8,
    },
    Forget {
        who: usize,
    },
    /// The host gives the gate another configuration.
    Reconfigure {
        change: Change,
    },
    /// The agent dies and starts again with what it had stored and what the kernel has open. Of a lease that it was storing
    /// nobody knows whether it is.
    Crash {
        leased: bool,
    },
    /// The agent is stopped and stores everything before.
    Stop,
}

impl Event {
    pub(crate) fn any() -> impl Strategy<Value = Self> {
        let (who, from) = (0..3_usize, 0..4_usize);
        // Most are where they usually are; sometimes several are behind one address.
        let at = (who.clone(), 0..6_usize, from.clone()).prop_map(|(who, habit, from)| match habit {
            0..3 => (who, who),
            3..5 => (who, 0),
            _ => (who, from),
        });
        let service = prop_oneof![6 => Just(1_u16), 3 => Just(2), 1 => Just(3), 1 => Just(9)];
        let seconds = prop_oneof![3 => Just(0_u32), 3 => 1..10_u32, 1 => 10..500_u32];
        let wanted = (service.clone(), seconds.clone());
        let claim = prop_oneof![12 => Just(None), 1 => from.clone().prop_map(Some)];
        let work = prop_oneof![6 => Just(Work::Done), 2 => Just(Work::Failed), 1 => Just(Work::Half)];
        let say = prop_oneof![8 => Just(Say::Commit), 1 => Just(Say::Deny), 1 => Just(Say::Fail)];
        let wishes = prop_oneof![1 => Just(Vec::new()), 9 => prop::collection::vec(wish(), 1..4)];
        let millis = prop_oneof![6 => 0..900_u64, 4 => 1_000..6_000_u64, 1 => 9_000..70_000_u64];
        prop_oneof![
            4 => (at.clone(), wanted.clone(), claim).prop_map(|((who, from), (service, seconds), claim)| {
                Self::Ask { who, from, service, seconds, claim }
            }),
            3 => at.clone().prop_map(|(who, from)| Self::Status { who, from }),
            16 => (at.clone(), wanted, touch()).prop_map(|((who, from), (service, seconds), touch)| {
                Self::Knock { who, from, service, seconds, touch }
            }),
            16 => (at.clone(), packet()).prop_map(|((who, from), packet)| {
                let (kind, service, seconds, meant, datagram, with_token) = packet;
                Self::Packet { who, from, kind, service, seconds, meant, datagram, with_token }
            }),
            4 => Just(Self::Lease),
            5 => work.clone().prop_map(|work| Self::Leased { work }),
            4 => (any::<u16>(), from.clone()).prop_map(|(pick, from)| Self::Replay { pick, from }),
            1 => at.prop_map(|(who, from)| Self::Stale { who, from }),
            16 => (any::<u8>(), touch()).prop_map(|(pick, touch)| Self::Probe { pick, touch }),
            6 => (0..DOORS.len(), from).prop_map(|(door, from)| Self::Static { door, from }),
            8 => (any::<u8>(), work.clone()).prop_map(|(pick, work)| Self::Stored { pick, work }),
            8 => (any::<u8>(), work.clone()).prop_map(|(pick, work)| Self::Watched { pick, work }),
            16 => (any::<u8>(), say, wishes).prop_map(|(pick, say, wishes)| Self::Decided { pick, say, wishes }),
            12 => (work, any::<u8>()).prop_map(|(work, luck)| Self::Firewall { work, luck }),
            6 => Just(Self::Settle),
            3 => millis.clone().prop_map(|millis| Self::Sleep { millis }),
            6 => millis.prop_map(|millis| Self::Wait { millis }),
            2 => any::<u8>().prop_map(|pick| Self::Revoke { pick }),
            3 => change().prop_map(|change| Self::Reconfigure { change }),
            3 => prop_oneof![
                3 => Just(Self::Timeout),
                4 => any::<bool>().prop_map(|leased| Self::Crash { leased }),
                1 => Just(Self::Stop),
                1 => who.prop_map(|who| Self::Forget { who }),
                2 => any::<u8>().prop_map(|pick| Self::Unlock { pick }),
                3 => order(),
            ],
        ]
    }
}

fn order() -> impl Strategy<Value = Event> {
    let service = prop_oneof![4 => Just(1_u16), 2 => Just(2), 1 => Just(9)];
    (0..4_usize, service, 1..100_u32).prop_map(|(from, service, seconds)| Event::Order {
        from,
        service,
        seconds,
    })
}

fn packet() -> impl Strategy<Value = (Kind, u16, u32, Meant, bool, bool)> {
    let kind = prop_oneof![
        10 => Just(Kind::Open),
        6 => Just(Kind::Renew),
        4 => Just(Kind::Close),
        1 => Just(Kind::Console),
    ];
    let service = prop_oneof![8 => Just(1_u16), 4 => Just(2), 1 => Just(3), 3 => Just(0)];
    let seconds = prop_oneof![3 => Just(0_u32), 3 => 1..10_u32, 1 => 10..500_u32];
    let meant = prop_oneof![3 => Just(Meant::Any), 1 => any::<u8>().prop_map(Meant::Named)];
    (kind, service, seconds, meant, prop::bool::weighted(0.8), any::<bool>())
}

fn touch() -> impl Strategy<Value = Touch> {
    prop_oneof![
        8 => Just(Touch::Next),
        16 => Just(Touch::Rest),
        2 => Just(Touch::First),
        1 => Just(Touch::Last),
        2 => Just(Touch::Wrong),
        1 => Just(Touch::Astray),
        1 => Just(Touch::OtherKind),
        2 => any::<u8>().prop_map(Touch::Any),
        1 => Just(Touch::Unwatched),
    ]
}

fn wish() -> impl Strategy<Value = Wish> {
    let service = prop_oneof![4 => Just(1_u16), 3 => Just(2), 1 => Just(3), 1 => Just(9)];
    let seconds = prop_oneof![2 => Just(0_u32), 4 => 1..20_u32, 1 => Just(u32::MAX)];
    prop_oneof![
        6 => (service, seconds.clone()).prop_map(|(service, seconds)| Wish::Open { service, seconds }),
        2 => (any::<u8>(), seconds.clone()).prop_map(|(pick, seconds)| Wish::Extend { pick, seconds }),
        2 => any::<u8>().prop_map(|pick| Wish::Revoke { pick }),
        1 => seconds.prop_map(|seconds| Wish::Lockout { seconds }),
    ]
}
