//! Wrong knocks: who is locked out, who is not, and for how long.

use std::time::Duration;

use anyhow::Result;

use super::Scenario;
use super::stage::{Entrance, Place, Plan, Stage};
use super::verdicts::Verdicts;
use crate::scenes::{SSH, WEB};
use crate::{Family, sequences, waiting};

pub(super) const TABLE: &[Scenario] = &[
    Scenario {
        name: "a wrong port locks out the source for 60 s and nobody else",
        play: |stage, verdicts| source_alone(stage, verdicts, Family::V4),
        found: &[
            "knock alice ssh: exit 5, locked-out, locked-out, tcp, again in 60 s",
            "ssh: client silence, visitor silence, stranger silence",
            "knock bob ssh: exit 0, open, sequence, for 60 s",
            "ssh: client silence, visitor greeted, stranger silence",
            "audit lockout: \"client alice\" for 60 s",
            "audit lockout: \"10.77.2.2/32\" for 60 s",
        ],
        not_on: None,
    },
    Scenario {
        name: "a wrong port locks out the source for 60 s and nobody else over IPv6",
        play: |stage, verdicts| source_alone(stage, verdicts, Family::V6),
        found: &[
            "knock alice ssh: exit 5, locked-out, locked-out, tcp, again in 60 s",
            "ssh: client silence, visitor silence, stranger silence",
            "knock bob ssh: exit 0, open, sequence, for 60 s",
            "ssh: client silence, visitor greeted, stranger silence",
            "audit lockout: \"client alice\" for 60 s",
            "audit lockout: \"fd77:2::/64\" for 60 s",
        ],
        not_on: None,
    },
    Scenario {
        name: "a lockout ends by itself",
        play: ends_by_itself,
        found: &["ssh: client greeted, visitor silence, stranger silence"],
        not_on: None,
    },
    Scenario {
        name: "a global lockout shuts everybody out",
        play: global,
        found: &[
            "knock bob ssh: exit 5, locked-out, locked-out, tcp, again in 60 s",
            "ssh: client silence, visitor silence, stranger silence",
        ],
        not_on: None,
    },
    Scenario {
        name: "a client that is locked out hears so and for how long, and may still close",
        play: may_still_close,
        found: &[
            "knock alice web: exit 0, open, packet, for 60 s",
            "knock alice ssh --via packet: exit 5, locked-out, locked-out, packet, again in 60 s",
            "web: client greeted, visitor silence, stranger silence",
            "close alice web: exit 0, closed, packet",
            "web: client silence, visitor silence, stranger silence",
            "knock bob ssh: exit 0, open, packet, for 60 s",
            "ssh: client silence, visitor greeted, stranger silence",
        ],
        not_on: None,
    },
];

fn source_alone(stage: &Stage<'_>, verdicts: &mut Verdicts, family: Family) -> Result<()> {
    let mut site = stage.set(&Plan::of(family, Entrance::Central).bob())?;
    let stalled = sequences::stall(stage.lab, family, site.client("alice")?, "ssh")?;
    site.knocks_wrongly(Place::Client)?;
    stalled.let_go()?;

    site.tells(verdicts, "alice", &["knock", "alice", "ssh"])?;
    site.look(verdicts, SSH)?;
    site.tells(verdicts, "bob", &["knock", "bob", "ssh"])?;
    site.look(verdicts, SSH)?;
    // Of IPv6 the whole /64 is locked out.
    for who in ["alice", if family == Family::V4 { "10.77.2.2" } else { "fd77:2::" }] {
        let record = site.wait_for_audit(&format!("a lockout of {who}"), |record| {
            record["event"] == "lockout" && record["who"].as_str().is_some_and(|locked| locked.contains(who))
        })?;
        verdicts.note(format_args!("audit lockout: {} for {} s", record["who"], record["seconds"]));
    }
    site.is_healthy()
}

fn ends_by_itself(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    let site = stage.set(&Plan::by_sequence().with("[lockout]\nduration = \"3s\""))?;
    let stalled = sequences::stall(stage.lab, site.family, site.client("alice")?, "ssh")?;
    site.knocks_wrongly(Place::Client)?;
    stalled.let_go()?;
    let alice = site.client("alice")?;
    waiting::until_true("alice can knock again", Duration::from_secs(15), || {
        alice.knock("ssh").is_ok_and(|said| said.code == Some(0))
    })?;
    site.look(verdicts, SSH)
}

fn global(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    let site = stage.set(&Plan::by_sequence().bob().with("[lockout]\nscope = \"global\""))?;
    let stalled = sequences::stall(stage.lab, site.family, site.client("alice")?, "ssh")?;
    site.knocks_wrongly(Place::Client)?;
    stalled.let_go()?;
    site.tells(verdicts, "bob", &["knock", "bob", "ssh"])?;
    site.look(verdicts, SSH)
}

fn may_still_close(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    let site = stage.set(&Plan::of(Family::V4, Entrance::Both).bob())?;
    site.tells(verdicts, "alice", &["knock", "alice", "web"])?;
    let stalled = sequences::stall(stage.lab, site.family, site.client("alice")?, "ssh")?;
    site.knocks_wrongly(Place::Client)?;
    stalled.let_go()?;
    site.tells(verdicts, "alice", &["knock", "alice", "ssh", "--via", "packet"])?;
    site.look(verdicts, WEB)?;
    site.tells(verdicts, "alice", &["close", "alice", "web"])?;
    site.look(verdicts, WEB)?;
    site.tells(verdicts, "bob", &["knock", "bob", "ssh"])?;
    site.look(verdicts, SSH)
}
