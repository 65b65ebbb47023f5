//! Knock books: shared ones, and ones that end.

use anyhow::Result;

use super::Scenario;
use super::stage::{Entrance, Place, Plan, Stage};
use super::verdicts::Verdicts;
use crate::scenes::SSH;
use crate::{Family, sequences};

pub(super) const TABLE: &[Scenario] = &[
    Scenario {
        name: "two clients of a shared book are served one after the other",
        play: shared_book,
        found: &[
            "knock carol ssh --timeout 3: exit 6, busy, busy, tcp, again in 10 s",
            "carol hears when: true",
            "ssh: client silence, visitor silence, stranger silence",
            "knock carol ssh: exit 0, open, sequence, for 60 s",
            "ssh: client silence, visitor greeted, stranger silence",
        ],
        not_on: None,
    },
    Scenario {
        name: "clients with books of their own do not wait for each other",
        play: own_books,
        found: &[
            "knock bob ssh --timeout 5: exit 0, open, sequence, for 60 s",
            "ssh: client silence, visitor greeted, stranger silence",
        ],
        not_on: None,
    },
    Scenario {
        name: "a book that is used up is said, and packet knocks go on",
        play: used_up,
        found: &[
            "knock alice ssh --via sequence --seconds 2: exit 0, open, sequence, for 5 s",
            "knock alice ssh --via sequence --seconds 2: exit 0, open, sequence, for 5 s",
            "knock alice ssh --via sequence --seconds 2: exit 7, exhausted, exhausted, packet",
            "knock alice ssh: exit 0, open, packet, for 60 s",
            "knock bob ssh --via sequence: exit 0, open, sequence, for 60 s",
            "ssh: client greeted, visitor greeted, stranger silence",
        ],
        not_on: None,
    },
];

fn shared_book(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    let book = stage.lab.path("shared.book").display().to_string();
    let plan = Plan::by_sequence().person("bob", Place::Client, &["ssh"], &["--book", &book]).person(
        "carol",
        Place::Visitor,
        &["ssh"],
        &["--book", &book],
    );
    let prepared = stage.prepare(&plan)?;
    prepared.office.tell(&["book", "new", &book])?.expect(0)?;
    let site = prepared.enrol()?.start()?;
    let stalled = sequences::stall(stage.lab, site.family, site.client("bob")?, "ssh")?;
    let report = site.tells(verdicts, "carol", &["knock", "carol", "ssh", "--timeout", "3"])?;
    verdicts.note(format_args!("carol hears when: {}", report["retry_ms"].is_u64()));
    site.look(verdicts, SSH)?;
    site.tells(verdicts, "carol", &["knock", "carol", "ssh"])?;
    site.look(verdicts, SSH)?;
    stalled.let_go()
}

fn own_books(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    let site = stage.set(&Plan::by_sequence().bob())?;
    let stalled = sequences::stall(stage.lab, site.family, site.client("alice")?, "ssh")?;
    site.tells(verdicts, "bob", &["knock", "bob", "ssh", "--timeout", "5"])?;
    site.look(verdicts, SSH)?;
    stalled.let_go()
}

fn used_up(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    let plan = Plan::of(Family::V4, Entrance::Both).bob().with("[sequence]\ncount = 2");
    let mut site = stage.set(&plan)?;
    for _ in 0..3 {
        site.tells(verdicts, "alice", &["knock", "alice", "ssh", "--via", "sequence", "--seconds", "2"])?;
    }
    site.wait_until_shut(Place::Client, SSH)?;
    site.tells(verdicts, "alice", &["knock", "alice", "ssh"])?;
    site.tells(verdicts, "bob", &["knock", "bob", "ssh", "--via", "sequence"])?;
    site.look(verdicts, SSH)?;
    site.is_healthy()
}
