//! A captured knock is worth nothing: at once, after a restart, after a crash, from anywhere.

use std::time::Duration;

use anyhow::Result;

use super::Scenario;
use super::stage::{Entrance, Place, Plan, Site, Stage};
use super::verdicts::Verdicts;
use crate::capture::{Capture, Knock};
use crate::packets::Hand;
use crate::scenes::SSH;
use crate::{Family, packets, sequences, waiting};

pub(super) const TABLE: &[Scenario] = &[
    Scenario {
        name: "a replayed packet knock is met with silence at once",
        play: |stage, verdicts| packet(stage, verdicts, Family::V4, Between::Nothing),
        found: &[
            "bob asks for ssh: granted",
            "ssh: client silence, visitor greeted, stranger silence",
            "the same from the stranger: silence",
            "heard of the gate: 0",
            "the same from the visitor: silence",
            "heard of the gate: 0",
            "ssh: client silence, visitor silence, stranger silence",
            "opened by replays: 0",
            "knock alice ssh: exit 0, open, packet, for 60 s",
            "ssh: client greeted, visitor silence, stranger silence",
        ],
        not_on: None,
    },
    Scenario {
        name: "a replayed packet knock is met with silence at once over IPv6",
        play: |stage, verdicts| packet(stage, verdicts, Family::V6, Between::Nothing),
        found: &[
            "bob asks for ssh: granted",
            "ssh: client silence, visitor greeted, stranger silence",
            "the same from the stranger: silence",
            "heard of the gate: 0",
            "the same from the visitor: silence",
            "heard of the gate: 0",
            "ssh: client silence, visitor silence, stranger silence",
            "opened by replays: 0",
            "knock alice ssh: exit 0, open, packet, for 60 s",
            "ssh: client greeted, visitor silence, stranger silence",
        ],
        not_on: None,
    },
    Scenario {
        name: "a replayed packet knock is met with silence after a clean restart",
        play: |stage, verdicts| packet(stage, verdicts, Family::V4, Between::Restart),
        found: &[
            "bob asks for ssh: granted",
            "ssh: client silence, visitor greeted, stranger silence",
            "the same from the stranger: silence",
            "heard of the gate: 0",
            "the same from the visitor: silence",
            "heard of the gate: 0",
            "ssh: client silence, visitor silence, stranger silence",
            "opened by replays: 0",
            "knock alice ssh: exit 0, open, packet, for 60 s",
            "ssh: client greeted, visitor silence, stranger silence",
        ],
        not_on: None,
    },
    Scenario {
        name: "a replayed packet knock is met with silence after a crash",
        play: |stage, verdicts| packet(stage, verdicts, Family::V4, Between::Crash),
        found: &[
            "bob asks for ssh: granted",
            "ssh: client silence, visitor greeted, stranger silence",
            "the same from the stranger: silence",
            "heard of the gate: 0",
            "the same from the visitor: silence",
            "heard of the gate: 0",
            "ssh: client silence, visitor silence, stranger silence",
            "opened by replays: 0",
            "knock alice ssh: exit 0, open, packet, for 60 s",
            "ssh: client greeted, visitor silence, stranger silence",
        ],
        not_on: None,
    },
    Scenario {
        name: "a replayed sequence is refused at once",
        play: |stage, verdicts| sequence(stage, verdicts, "", Between::Nothing),
        found: &[
            "the stranger repeats it: answered false",
            "ssh: client silence, visitor silence, stranger silence",
            "the client repeats it: answered false",
            "ssh: client silence, visitor silence, stranger silence",
            "numbers offered to replays: 0",
            "knock alice ssh: exit 0, open, sequence, for 60 s",
            "ssh: client greeted, visitor silence, stranger silence",
        ],
        not_on: None,
    },
    Scenario {
        name: "a replayed sequence of closed mode is refused at once",
        play: |stage, verdicts| sequence(stage, verdicts, "[sequence]\nmode = \"closed\"", Between::Nothing),
        found: &[
            "the stranger repeats it: answered false",
            "ssh: client silence, visitor silence, stranger silence",
            "the client repeats it: answered false",
            "ssh: client silence, visitor silence, stranger silence",
            "numbers offered to replays: 0",
            "knock alice ssh: exit 0, open, sequence, for 60 s",
            "ssh: client greeted, visitor silence, stranger silence",
        ],
        not_on: None,
    },
    Scenario {
        name: "a replayed sequence is refused after a clean restart",
        play: |stage, verdicts| sequence(stage, verdicts, "", Between::Restart),
        found: &[
            "the stranger repeats it: answered false",
            "ssh: client silence, visitor silence, stranger silence",
            "the client repeats it: answered false",
            "ssh: client silence, visitor silence, stranger silence",
            "numbers offered to replays: 0",
            "knock alice ssh: exit 0, open, sequence, for 60 s",
            "ssh: client greeted, visitor silence, stranger silence",
        ],
        not_on: None,
    },
    Scenario {
        name: "a replayed sequence is refused after a crash",
        play: |stage, verdicts| sequence(stage, verdicts, "", Between::Crash),
        found: &[
            "the stranger repeats it: answered false",
            "ssh: client silence, visitor silence, stranger silence",
            "the client repeats it: answered false",
            "ssh: client silence, visitor silence, stranger silence",
            "numbers offered to replays: 0",
            "knock alice ssh: exit 0, open, sequence, for 60 s",
            "ssh: client greeted, visitor silence, stranger silence",
        ],
        not_on: None,
    },
    Scenario {
        name: "a sequence captured up to the last port is not finished from elsewhere",
        play: finished_from_elsewhere,
        found: &[
            "ssh: client silence, visitor silence, stranger silence",
            "ssh: client greeted, visitor silence, stranger silence",
        ],
        not_on: None,
    },
    Scenario {
        name: "a question that was turned away is refused after a crash",
        play: turned_away_question,
        found: &[
            "knock alice ssh: exit 5, locked-out, locked-out, tcp, again in 60 s",
            "the stranger repeats it: 0 answers",
            "the client repeats it: 0 answers",
            "numbers offered to replays: 0",
        ],
        not_on: None,
    },
    Scenario {
        name: "a packet knock is noise at another gate",
        play: another_gate,
        found: &[
            "sealed for another gate: silence",
            "sealed by an unknown key: silence",
            "ssh: client silence, visitor silence, stranger silence",
            "sealed by bob: granted",
            "granted: true",
            "ssh: client silence, visitor greeted, stranger silence",
        ],
        not_on: None,
    },
];

/// What happens to the gate between the knock and its repetition.
#[derive(Clone, Copy)]
enum Between {
    Nothing,
    Restart,
    Crash,
}

impl Between {
    fn happens_to(self, site: &mut Site<'_>) -> Result<()> {
        match self {
            Self::Nothing => Ok(()),
            Self::Restart => site.restart(),
            Self::Crash => site.crash(),
        }
    }
}

fn packet(stage: &Stage<'_>, verdicts: &mut Verdicts, family: Family, between: Between) -> Result<()> {
    let mut site = stage.set(&Plan::of(family, Entrance::Packets).bob())?;
    let bob = site.hand("bob")?;
    let knock = bob.seal(&bob.open_ssh(2))?;
    site.sends(verdicts, ("bob asks for ssh", Place::Visitor), &knock)?;
    site.look(verdicts, SSH)?;
    site.wait_until_shut(Place::Visitor, SSH)?;

    between.happens_to(&mut site)?;

    let opened = site.count("grant-opened")?;
    for attacker in [Place::Stranger, Place::Visitor] {
        let capture = Capture::on(attacker.host(stage.lab))?;
        let what = format!("the same from the {}", attacker.word());
        site.sends(verdicts, (&what, attacker), &knock)?;
        let heard = capture.heard_from(stage.lab.gate.ip(family))?.len();
        verdicts.note(format_args!("heard of the gate: {heard}"));
    }
    site.look(verdicts, SSH)?;
    verdicts.note(format_args!("opened by replays: {}", site.count("grant-opened")? - opened));
    site.tells(verdicts, "alice", &["knock", "alice", "ssh"])?;
    site.look(verdicts, SSH)
}

fn sequence(stage: &Stage<'_>, verdicts: &mut Verdicts, sections: &str, between: Between) -> Result<()> {
    let mut site = stage.set(&Plan::by_sequence().with(sections))?;
    let captured = sequences::recorded_knock(stage.lab, site.family, site.client("alice")?, 2)?;
    site.wait_until_shut(Place::Client, SSH)?;

    between.happens_to(&mut site)?;

    let offers = site.count("offered")?;
    for attacker in [Place::Stranger, Place::Client] {
        // Only the first question is for a number. One for a state may be answered after a crash: docs/protocol.md, 6.1.
        let answers = captured.replay(attacker.host(stage.lab))?;
        let number = answers.first().is_some_and(|answer| !answer.is_empty());
        verdicts.note(format_args!("the {} repeats it: answered {number}", attacker.word()));
        site.look(verdicts, SSH)?;
    }
    verdicts.note(format_args!("numbers offered to replays: {}", site.count("offered")? - offers));
    site.tells(verdicts, "alice", &["knock", "alice", "ssh"])?;
    site.look(verdicts, SSH)
}

/// The attacker sees all of a sequence but its last port used, and uses it from his own address while it is held.
fn finished_from_elsewhere(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    let site = stage.set(&Plan::by_sequence())?;
    let stalled = sequences::stall(stage.lab, site.family, site.client("alice")?, "ssh")?;
    site.knocks_wrongly(Place::Stranger)?;
    site.look(verdicts, SSH)?;
    stalled.let_go()?;
    site.look(verdicts, SSH)
}

/// A question that was turned away would be a good one once the reason is gone: it is used up all the same.
fn turned_away_question(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    let mut site = stage.set(&Plan::by_sequence())?;
    let stalled = sequences::stall(stage.lab, site.family, site.client("alice")?, "ssh")?;
    site.knocks_wrongly(Place::Client)?;
    stalled.let_go()?;
    let capture = Capture::on(&stage.lab.client)?;
    site.tells(verdicts, "alice", &["knock", "alice", "ssh"])?;
    let asked = question(&site, &capture)?;

    // The new run knows nothing of the lockout any more.
    site.crash()?;

    let offers = site.count("offered")?;
    for attacker in [Place::Stranger, Place::Client] {
        let heard = asked.replay(attacker.host(stage.lab))?;
        let answered = heard.iter().filter(|answer| !answer.is_empty()).count();
        verdicts.note(format_args!("the {} repeats it: {answered} answers", attacker.word()));
    }
    verdicts.note(format_args!("numbers offered to replays: {}", site.count("offered")? - offers));
    Ok(())
}

fn question(site: &Site<'_>, capture: &Capture) -> Result<Knock> {
    let (client, gate) = (site.lab.client.ip(site.family), site.central());
    waiting::until("the question in the capture", Duration::from_secs(2), || {
        Some(capture.knock(client, gate.ip(), gate.port(), SSH)).filter(|knock| !knock.asked.is_empty())
    })
}

fn another_gate(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    let site = stage.set(&Plan::by_packet().bob())?;
    // The same keys, and another gate's name.
    let astray = Hand::for_another_gate(&stage.lab.path("bob.kgp"))?;
    site.asks(verdicts, ("sealed for another gate", Place::Visitor), &astray, &astray.open_ssh(60))?;
    let lost = Hand::off_the_roster(&stage.lab.path("bob.kgp"))?;
    site.asks(verdicts, ("sealed by an unknown key", Place::Visitor), &lost, &lost.open_ssh(60))?;
    site.look(verdicts, SSH)?;
    let bob = site.hand("bob")?;
    let answer = site.asks(verdicts, ("sealed by bob", Place::Visitor), &bob, &bob.open_ssh(60))?;
    verdicts.note(format_args!("granted: {}", packets::is_granted(answer.as_ref())));
    site.look(verdicts, SSH)
}
