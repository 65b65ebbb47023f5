//! The same packets at the real knockd and at the gate, most of them by knockd's own client. Where knockd is right the two say the
//! same; where it is wrong the table says what it does and what the gate does.
//!
//! The gate's configuration is what `knockgated import` makes of knockd's. Both listen at the same link of the same host. What knockd opens is an element in a set that no rule looks at, so that what
//! can be reached is what the gate has opened.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use knockgate_tests::forgery::{Forger, Opening};
use knockgate_tests::gates::Configuration;
use knockgate_tests::harness::{Story, story};
use knockgate_tests::knockd::{self, Door};
use knockgate_tests::peers::{Reached, reach_as};
use knockgate_tests::programs::{self, Said};
use knockgate_tests::scenes::{SSH, Scene};
use knockgate_tests::{Family, Lab, installed, waiting};

/// From the last packet to an open port, or to knockd's command having run, on a busy machine.
const OPENING: Duration = Duration::from_secs(10);
/// More than the time that the hasty doors give, whatever part of a second knockd's clock is in: it counts whole seconds.
const TOO_LONG: Duration = Duration::from_millis(3_100);
/// Where segments by hand come from.
const FROM: u16 = 50_000;

const FIN: u8 = 0x01;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;
const SYN_ACK: u8 = 0x12;

const TABLE: &str = "table inet knocked { set v4 { type ipv4_addr . inet_service; }\nset v6 { type ipv6_addr . inet_service; }\n}";

pub(crate) fn stories() -> Vec<Story> {
    vec![story("the gate hears static sequences as knockd does where knockd is right", side_by_side)]
}

/// What one client does.
enum Act {
    /// knockd's own client, with these arguments behind the gate's address.
    Knock(Family, &'static [&'static str]),
    /// Single segments with these flags, as no `knock` sends them.
    Segments(u8, &'static [u16]),
    Wait(Duration),
}

use Act::{Knock, Segments, Wait};
use Family::{V4, V6};

/// Who opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Both,
    Neither,
    /// knockd fails a client who has knocked properly.
    GateAlone,
    /// knockd takes for a knock what is none.
    KnockdAlone,
}

type Scenario = (&'static str, &'static [Act], Verdict);

const SCENARIOS: [Scenario; 24] = [
    ("SYNs in order", &[Knock(V4, &["7000", "8000", "9000"])], Verdict::Both),
    ("SYNs in order, with a delay", &[Knock(V4, &["-d", "50", "7000", "8000", "9000"])], Verdict::Both),
    ("datagrams in order", &[Knock(V4, &["-u", "7200", "8200", "9200"])], Verdict::Both),
    ("both in order", &[Knock(V4, &["7100:tcp", "8100:udp", "9100:tcp"])], Verdict::Both),
    ("SYNs over IPv6", &[Knock(V6, &["7000", "8000", "9000"])], Verdict::Both),
    ("datagrams over IPv6", &[Knock(V6, &["-u", "7200", "8200", "9200"])], Verdict::Both),
    ("both over IPv6", &[Knock(V6, &["7100:tcp", "8100:udp", "9100:tcp"])], Verdict::Both),
    (
        "one after the other",
        &[Knock(V4, &["7000"]), Knock(V4, &["8000"]), Knock(V4, &["9000"])],
        Verdict::Both,
    ),
    ("a port that nobody watches between", &[Knock(V4, &["7000", "7777", "8000", "9000"])], Verdict::Both),
    (
        "segments without SYN between",
        &[
            Knock(V4, &["7000"]),
            Segments(FIN, &[8000, 9000]),
            Segments(ACK, &[9000]),
            Segments(RST, &[8000]),
            Knock(V4, &["8000", "9000"]),
        ],
        Verdict::Both,
    ),
    ("a part of it", &[Knock(V4, &["7000", "8000"])], Verdict::Neither),
    ("the end of it", &[Knock(V4, &["8000", "9000"])], Verdict::Neither),
    ("a step left out", &[Knock(V4, &["7000", "9000"])], Verdict::Neither),
    ("backwards", &[Knock(V4, &["9000", "8000", "7000"])], Verdict::Neither),
    ("the wrong protocols", &[Knock(V4, &["7100:udp", "8100:tcp", "9100:udp"])], Verdict::Neither),
    ("steps of two sequences", &[Knock(V4, &["7000:tcp", "8200:udp", "9000:tcp"])], Verdict::Neither),
    ("segments without SYN", &[Segments(FIN, &[7000, 8000, 9000])], Verdict::Neither),
    ("too slow", &[Knock(V4, &["7300", "8300"]), Wait(TOO_LONG), Knock(V4, &["9300"])], Verdict::Neither),
    ("answers to SYNs, which begin nothing", &[Segments(SYN_ACK, &[7000, 8000, 9000])], Verdict::KnockdAlone),
    (
        "every packet twice",
        &[Knock(V4, &["7000", "7000", "8000", "8000", "9000", "9000"])],
        Verdict::GateAlone,
    ),
    ("two packets changed places", &[Knock(V4, &["8000", "7000", "9000"])], Verdict::GateAlone),
    ("one lost and sent again", &[Knock(V4, &["7000", "9000", "8000"])], Verdict::GateAlone),
    (
        "a port of another sequence between",
        &[Knock(V4, &["7000", "7100", "8000", "9000"])],
        Verdict::GateAlone,
    ),
    ("begun anew in the middle", &[Knock(V4, &["7000", "8000", "7000", "8000", "9000"])], Verdict::GateAlone),
];

fn side_by_side(lab: &Lab) -> Result<()> {
    let program = installed::find("knockd").context("`knockd` is not installed; run `cargo xtask setup`")?;
    let doors = doors();
    let mut scene = gate_like_knockd(lab, &knockd::configure(lab, &doors)?)?;
    lab.gate.nft(TABLE)?;
    let _knockd = knockd::start(lab, &program, &[], &doors)?;
    let mut people = People { scene: &scene, forger: Forger::at(&lab.client)?, next: 100 };

    let played = SCENARIOS.iter().map(|scenario| people.play(scenario)).collect::<Result<Vec<_>>>()?;
    let interleaved = people.two_at_once()?;
    // Both hear in order, so what they have not opened by now they never will.
    people.wait_for_all()?;
    for ((title, _, expected), source) in SCENARIOS.iter().zip(played) {
        let verdict = people.verdict(source)?;
        ensure!(verdict == *expected, "{title}: {verdict:?} opened, and not {expected:?}");
    }
    for source in interleaved {
        ensure!(people.verdict(source)? == Verdict::Both, "two clients at the same time: one is not let in");
    }
    scene.must_be_healthy()
}

/// What `import` makes of knockd's configuration, and a second service that everybody's client is enrolled for.
fn gate_like_knockd<'lab>(lab: &'lab Lab, knockd_conf: &Path) -> Result<Scene<'lab>> {
    let address = lab.gate.ip(V4).to_string();
    let configuration = Configuration::imported(lab, "knockd", knockd_conf, &address)?
        .with("[service.web]\nid = 2\nprotocol = \"tcp\"\nports = [8080]");
    Scene::set_with_configuration(lab, V4, &configuration)
}

fn doors() -> [Door; 4] {
    let door = |name, sequence: &str, seq_timeout| Door {
        name,
        sequence: sequence.to_owned(),
        seq_timeout,
        command: "nft add element inet knocked v4 { %IP% . 22 }".to_owned(),
        command_6: Some("nft add element inet knocked v6 { %IP% . 22 }".to_owned()),
    };
    [
        door("lab", "7000,8000,9000", 20),
        door("mixed", "7100:tcp,8100:udp,9100:tcp", 20),
        door("datagrams", "7200:udp,8200:udp,9200:udp", 20),
        door("hasty", "7300,8300,9300", 1),
    ]
}

/// Clients at the lab's client, each with an address that has not knocked before.
struct People<'s, 'lab> {
    scene: &'s Scene<'lab>,
    forger: Forger,
    next: u8,
}

impl People<'_, '_> {
    /// Plays it as somebody new; returns who that was.
    fn play(&mut self, (title, acts, _): &Scenario) -> Result<IpAddr> {
        let is_v6 = acts.iter().any(|act| matches!(act, Knock(V6, _)));
        let source = self.somebody(if is_v6 { V6 } else { V4 })?;
        acts.iter().try_for_each(|act| self.act(source, act)).context(*title)?;
        Ok(source)
    }

    fn act(&self, source: IpAddr, act: &Act) -> Result<()> {
        let lab = self.scene.lab;
        match act {
            Knock(family, arguments) => {
                let gate = lab.gate.ip(*family).to_string();
                self.leave_as(source)?;
                let option = match family {
                    V4 => "-4",
                    V6 => "-6",
                };
                let mut command = lab.client.command("knock");
                Said::by(command.args([option, &gate]).args(*arguments))?.expect(0)?;
            }
            Segments(flags, ports) => {
                for port in *ports {
                    let to = lab.gate.at(V4, *port);
                    self.forger.send(SocketAddr::new(source, FROM), to, &Opening::Segment(*flags))?;
                }
            }
            Wait(time) => waiting::let_pass(*time),
        }
        Ok(())
    }

    /// Two clients, each with a step in turn.
    fn two_at_once(&mut self) -> Result<[IpAddr; 2]> {
        let both = [self.somebody(V4)?, self.somebody(V4)?];
        for step in [&["7000"], &["8000"], &["9000"]] {
            both.iter().try_for_each(|source| self.act(*source, &Knock(V4, step)))?;
        }
        Ok(both)
    }

    /// The last knocks in either family, which both of them know.
    fn wait_for_all(&mut self) -> Result<()> {
        for family in [V4, V6] {
            let last = self.somebody(family)?;
            self.act(last, &Knock(family, &["7000", "8000", "9000"]))?;
            waiting::until_true("both have heard the last knock", OPENING, || {
                self.verdict(last).is_ok_and(|verdict| verdict == Verdict::Both)
            })?;
        }
        Ok(())
    }

    fn verdict(&self, source: IpAddr) -> Result<Verdict> {
        Ok(match (self.by_knockd(source)?, self.by_gate(source)?) {
            (true, true) => Verdict::Both,
            (false, false) => Verdict::Neither,
            (false, true) => Verdict::GateAlone,
            (true, false) => Verdict::KnockdAlone,
        })
    }

    fn by_knockd(&self, source: IpAddr) -> Result<bool> {
        let set = if source.is_ipv4() { "v4" } else { "v6" };
        let mut list = self.scene.lab.gate.command("nft");
        let elements = programs::output(list.args(["list", "set", "inet", "knocked", set]))?;
        let source = source.to_string();
        Ok(elements.split([' ', ',', '\t', '\n']).any(|word| word == source))
    }

    fn by_gate(&self, source: IpAddr) -> Result<bool> {
        let lab = self.scene.lab;
        let family = if source.is_ipv4() { V4 } else { V6 };
        Ok(matches!(reach_as(source, &lab.client, lab.gate.at(family, SSH))?, Reached::Greeting(_)))
    }

    /// A new address.
    fn somebody(&mut self, family: Family) -> Result<IpAddr> {
        self.next += 1;
        // It has to be good at once, for the next route names it.
        let (source, add): (IpAddr, _) = match family {
            V4 => (Ipv4Addr::new(10, 77, 2, self.next).into(), "24 dev eth0"),
            V6 => (Ipv6Addr::new(0xfd77, 2, 0, 0, 0, 0, 0, self.next.into()).into(), "64 dev eth0 nodad"),
        };
        self.scene.lab.client.ip_batch(&format!("addr add {source}/{add}"))?;
        Ok(source)
    }

    /// `knock` cannot be told its own address, so the route is.
    fn leave_as(&self, source: IpAddr) -> Result<()> {
        let line = match source {
            IpAddr::V4(_) => format!("route replace default via 10.77.2.1 src {source}"),
            IpAddr::V6(_) => format!("route replace ::/0 via fd77:2::1 dev eth0 src {source}"),
        };
        self.scene.lab.client.ip_batch(&line)
    }
}
