//! Static sequences: which ports are watched for them, and who has come how far.

use std::net::IpAddr;
use std::time::Duration;

use knockgate_core::book::Decoys;
use knockgate_core::budget::{self, Budget};
use knockgate_core::gate::StaticDoor;
use knockgate_core::limits::MAX_STATIC_SEQUENCES;
use knockgate_core::message::Mode;
use knockgate_core::static_sequence::{Bucket, StaticSequence, StaticWatch, Step, Transport};
use knockgate_core::time::Instant;
use rand_core::Rng;

use crate::capture::ProbeSeen;
use crate::config::{self, Config};
use crate::firewall::Protocol;
use crate::state::system_rng;

use super::budgets;

/// Buckets of eight attempts: 65 536 sources that are half-way through, in one MiB.
const BUCKETS: usize = 8_192;

/// Complete sequences that count at once, of all sources together. Each costs a decision, a change of the firewall and some records;
/// and whoever has seen a sequence can knock it in the name of any address, so a share for each source alone would not hold him up.
/// Those who know a sequence and forge can keep each other waiting, and nobody else.
const BURST: u32 = 256;
/// The time in which another one counts: 64 in a second, which take a few hundredths of it.
const PERIOD: Duration = Duration::from_micros(15_625);
/// Buckets of the shares, each for eight source prefixes. Whoever has not forged uses up his own.
const SHARES: usize = 256;

/// Who has come how far, where there are sequences.
pub(super) struct Statics(Option<Followed>);

struct Followed {
    sequences: Vec<config::StaticSequence>,
    watch: StaticWatch<Vec<Bucket>>,
    shares: Budget<Vec<budget::Bucket>>,
    /// When [`BURST`] sequences count again at once.
    rested: Instant,
}

/// What a probe has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Probed {
    /// No sequence is complete by it.
    Incomplete,
    /// That of this place in the configuration is.
    Complete(usize),
    /// One is, and too many were before.
    TooMany,
}

impl Statics {
    /// Takes no memory where nothing is configured.
    pub(super) fn new(config: &config::Statics) -> Self {
        Self((!config.sequences.is_empty()).then(|| Followed::new(config)))
    }

    /// As another configuration wants it.
    pub(super) fn change(&mut self, config: &config::Statics) {
        match &mut self.0 {
            Some(followed) if !config.sequences.is_empty() => followed.change(config),
            Some(_) | None => *self = Self::new(config),
        }
    }

    /// To be told of every probe, that of a decoy as well. Never allocates.
    pub(super) fn probe(&mut self, now: Instant, seen: &ProbeSeen) -> Probed {
        let Some(followed) = &mut self.0 else { return Probed::Incomplete };
        let Some(step) = step_of(seen) else { return Probed::Incomplete };
        match followed.watch.handle_probe(now, seen.source, step) {
            None => Probed::Incomplete,
            Some(place) if followed.has_room(now, seen.source) => Probed::Complete(place),
            Some(_) => Probed::TooMany,
        }
    }
}

impl Followed {
    fn new(config: &config::Statics) -> Self {
        let mut key = [0; 16];
        system_rng().fill_bytes(&mut key);
        let watch = StaticWatch::new(sequences(config), vec![Bucket::default(); BUCKETS], key);
        Self {
            sequences: config.sequences.clone(),
            watch,
            shares: budgets::full(SHARES),
            rested: Instant::default(),
        }
    }

    /// Follows other sequences. Whoever has begun one that stays goes on.
    fn change(&mut self, config: &config::Statics) {
        let former = std::mem::replace(&mut self.sequences, config.sequences.clone());
        let place = |was: usize| {
            let was = former.get(was)?;
            let is_same =
                |one: &config::StaticSequence| (&one.name, &one.sequence) == (&was.name, &was.sequence);
            config.sequences.iter().position(is_same)
        };
        self.watch.follow(sequences(config), place);
    }

    fn has_room(&mut self, now: Instant, source: IpAddr) -> bool {
        let rested = self.rested.max(now).after(PERIOD);
        let has_room = self.shares.take(now, source) && rested.left(now) <= PERIOD * BURST;
        if has_room {
            self.rested = rested;
        }
        has_room
    }
}

fn sequences(config: &config::Statics) -> heapless::Vec<StaticSequence, MAX_STATIC_SEQUENCES> {
    config.sequences.iter().map(|one| one.sequence.clone()).collect()
}

/// A segment that is no SYN is no step.
fn step_of(seen: &ProbeSeen) -> Option<Step> {
    let transport = match seen.protocol {
        Protocol::Tcp if seen.syn => Transport::Tcp,
        Protocol::Tcp => return None,
        Protocol::Udp => Transport::Udp,
    };
    Some(Step { transport, port: seen.port })
}

/// The ports to watch: every step, and what gives a scan away. Decoys do; in closed mode they are watched anyway.
pub(super) fn watched(config: &Config, decoys: &Decoys) -> Vec<(Protocol, u16)> {
    let config::Statics { sequences, traps } = &config.statics;
    if sequences.is_empty() {
        return Vec::new();
    }
    let steps = sequences.iter().flat_map(|one| one.sequence.steps()).chain(traps);
    let decoys = match config.sequence.mode {
        Mode::Connect => decoys.ports(),
        Mode::Closed => &[],
    };
    let mut watched: Vec<_> = steps.map(|step| (protocol(step.transport), step.port)).collect();
    watched.extend(decoys.iter().map(|port| (Protocol::Tcp, *port)));
    watched.sort_unstable_by_key(|(protocol, port)| (protocol.number(), *port));
    watched.dedup();
    watched
}

fn protocol(transport: Transport) -> Protocol {
    match transport {
        Transport::Tcp => Protocol::Tcp,
        Transport::Udp => Protocol::Udp,
    }
}

/// What the sequences open, each at its place in the configuration.
pub(super) fn doors(config: &config::Statics) -> heapless::Vec<StaticDoor, MAX_STATIC_SEQUENCES> {
    let seconds = |open: Duration| u32::try_from(open.as_secs()).unwrap_or(u32::MAX);
    let door = |one: &config::StaticSequence| StaticDoor {
        name: one.name.clone(),
        service: one.service,
        seconds: one.open.map(seconds),
    };
    config.sequences.iter().map(door).collect()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::path::Path;

    use knockgate_core::book::DecoySeed;

    use super::*;

    const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const NOW: Instant = Instant::from_micros(1_000_000);

    fn config(more: &str) -> Config {
        let text = format!(
            "[gate]\naddress = \"g\"\nstate-dir = \"/s\"\naudit-log = \"/l\"\n\
             [service.ssh]\nid = 3\nprotocol = \"tcp\"\nports = [22]\n{more}"
        );
        Config::parse(Path::new("agent.toml"), &text).unwrap()
    }

    fn with_lab(more: &str) -> Config {
        config(&format!(
            "[[static-sequence]]\nname = \"lab\"\nsequence = [7000, 8000, \"9000/udp\"]\nservice = \"ssh\"\nopen = \"90s\"\n{more}"
        ))
    }

    fn decoys(config: &Config) -> Decoys {
        Decoys::draw(&DecoySeed::generate(&mut system_rng()), &config.sequence.shape)
    }

    fn seen(protocol: Protocol, port: u16, syn: bool) -> ProbeSeen {
        ProbeSeen { source: STRANGER, destination: Ipv4Addr::LOCALHOST.into(), protocol, port, syn }
    }

    #[test]
    fn a_step_is_a_syn_or_a_datagram_and_no_other_segment() {
        let mut statics = Statics::new(&with_lab("").statics);
        let mut probe = |protocol, port, syn| statics.probe(NOW, &seen(protocol, port, syn));
        assert_eq!(probe(Protocol::Tcp, 7000, true), Probed::Incomplete);
        assert_eq!(probe(Protocol::Tcp, 8000, false), Probed::Incomplete);
        assert_eq!(probe(Protocol::Udp, 9000, false), Probed::Incomplete, "8000 was touched by no SYN");
        assert_eq!(probe(Protocol::Tcp, 8000, true), Probed::Complete(0));
    }

    /// Knocks the sequence so often, each time from another source. Says how many counted.
    fn counted(statics: &mut Statics, now: Instant, sources: impl Iterator<Item = u32>) -> usize {
        let mut knock = |source: u32| {
            let source = IpAddr::from(Ipv4Addr::from(0x0a00_0000 + source));
            let steps = [(Protocol::Tcp, 7000), (Protocol::Tcp, 8000), (Protocol::Udp, 9000)];
            steps.map(|(protocol, port)| {
                statics.probe(now, &ProbeSeen { source, ..seen(protocol, port, protocol == Protocol::Tcp) })
            })
        };
        let [complete, too_many] = [Probed::Complete(0), Probed::TooMany];
        sources
            .map(&mut knock)
            .inspect(|[first, second, last]| {
                assert_eq!((*first, *second), (Probed::Incomplete, Probed::Incomplete));
                assert!([complete, too_many].contains(last));
            })
            .filter(|[.., last]| *last == complete)
            .count()
    }

    #[test]
    fn whoever_repeats_a_sequence_from_forged_addresses_makes_work_at_a_steady_rate() {
        let mut statics = Statics::new(&with_lab("").statics);
        assert_eq!(counted(&mut statics, NOW, 0..1000), BURST as usize);
        assert_eq!(counted(&mut statics, NOW, 1000..2000), 0);
        assert_eq!(counted(&mut statics, NOW.after(Duration::from_secs(1)), 0..1000), 64);
        assert_eq!(counted(&mut statics, NOW.after(Duration::from_secs(3600)), 0..1000), BURST as usize);
    }

    #[test]
    fn whoever_repeats_a_sequence_from_his_own_address_keeps_nobody_else_out() {
        let mut statics = Statics::new(&with_lab("").statics);
        let own = std::iter::repeat_n(1, 10_000);
        assert!(counted(&mut statics, NOW, own) < BURST as usize);
        assert_eq!(counted(&mut statics, NOW, 2..3), 1);
    }

    #[test]
    fn whoever_has_begun_a_sequence_that_stays_goes_on_under_another_configuration() {
        let first = with_lab("");
        let other = "[[static-sequence]]\nname = \"new\"\nsequence = [4000, 5000, 6000]\nservice = \"ssh\"\n";
        let second = config(&format!(
            "{other}[[static-sequence]]\nname = \"lab\"\nsequence = [7000, 8000, \"9000/udp\"]\nservice = \"ssh\"\n"
        ));
        let mut statics = Statics::new(&first.statics);
        let probe = |statics: &mut Statics, port| statics.probe(NOW, &seen(Protocol::Tcp, port, true));
        for port in [7000, 8000] {
            assert_eq!(probe(&mut statics, port), Probed::Incomplete);
        }
        statics.change(&second.statics);
        assert_eq!(statics.probe(NOW, &seen(Protocol::Udp, 9000, false)), Probed::Complete(1));

        for port in [4000, 5000] {
            assert_eq!(probe(&mut statics, port), Probed::Incomplete);
        }
        statics.change(&first.statics);
        statics.change(&second.statics);
        assert_eq!(probe(&mut statics, 6000), Probed::Incomplete, "it was gone for a while");
    }

    #[test]
    fn a_gate_without_static_sequences_watches_nothing_for_them_and_keeps_no_table() {
        let config = config("");
        let mut statics = Statics::new(&config.statics);
        assert!(statics.0.is_none() && watched(&config, &decoys(&config)).is_empty());
        assert_eq!(statics.probe(NOW, &seen(Protocol::Tcp, 7000, true)), Probed::Incomplete);
        assert!(doors(&config.statics).is_empty());
    }

    #[test]
    fn steps_their_neighbours_and_the_decoys_of_connect_mode_are_watched() {
        let connect = with_lab("");
        let drawn = decoys(&connect);
        let ports = watched(&connect, &drawn);
        for port in [6999, 7000, 7001, 7999, 8000, 8001].iter().chain(drawn.ports()) {
            assert!(ports.contains(&(Protocol::Tcp, *port)), "{port}");
        }
        assert_eq!(ports.iter().filter(|(protocol, _)| *protocol == Protocol::Udp).count(), 3);
        let closed = with_lab("[sequence]\nmode = \"closed\"\n");
        assert_eq!(watched(&closed, &drawn).len(), 9, "its decoys are watched for their own sake");
    }

    #[test]
    fn a_door_has_the_place_of_its_sequence() {
        let [door] = doors(&with_lab("").statics).into_array().unwrap();
        assert_eq!((door.name.as_str(), door.service, door.seconds), ("lab", 3, Some(90)));
    }

    /// One scan in 660 by the count of orders: three in six let the steps count, and only some leave two strays at most.
    #[test]
    fn a_scan_of_every_port_in_random_order_opens_three_steps_hardly_ever() {
        const SCANS: u32 = 20_000;
        let config =
            config("[[static-sequence]]\nname = \"lab\"\nsequence = [7000, 8000, 9000]\nservice = \"ssh\"\n");
        let mut ports = watched(&config, &decoys(&config));
        let mut statics = Statics::new(&config.statics);
        let mut opened = 0;
        for scan in 0..SCANS {
            shuffle(&mut ports);
            let scanner = IpAddr::from(Ipv4Addr::from(0x0a00_0000 + scan));
            let probe = |&(protocol, port): &_| ProbeSeen { source: scanner, ..seen(protocol, port, true) };
            opened +=
                u32::from(ports.iter().any(|port| statics.probe(NOW, &probe(port)) == Probed::Complete(0)));
        }
        assert!((1..SCANS / 300).contains(&opened), "{opened} of {SCANS} scans opened");
    }

    fn shuffle<T>(items: &mut [T]) {
        for at in (1..items.len()).rev() {
            let other = system_rng().next_u64() % (at as u64 + 1);
            items.swap(at, usize::try_from(other).unwrap());
        }
    }
}
