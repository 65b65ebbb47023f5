//! Clients that come and go, enrolments that end, keys that change.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use knockgate_core::message::Kind;

use super::Scenario;
use super::stage::{Place, Plan, Site, Stage};
use super::verdicts::Verdicts;
use crate::clients::Client;
use crate::packets;
use crate::scenes::SSH;
use crate::waiting;

/// A running agent looks at the roster every second; a busy machine takes its time.
const NOTICED: Duration = Duration::from_secs(10);

pub(super) const TABLE: &[Scenario] = &[
    Scenario {
        name: "a client that is enrolled while the gate is up can knock for what he may have",
        play: enrolled_later,
        found: &[
            "knock bob web: exit 0, open, packet, for 60 s",
            "web: client silence, visitor greeted, stranger silence",
            "bob asks for ssh: refused, not-allowed",
            "knock alice ssh: exit 0, open, packet, for 60 s",
            "ssh: client greeted, visitor silence, stranger silence",
        ],
        not_on: None,
    },
    Scenario {
        name: "a client that was removed hears silence",
        play: removed,
        found: &[
            "knock bob ssh --seconds 600: exit 0, open, packet, for 600 s",
            "knock bob ssh --timeout 2: exit 3, no-answer, silence",
            "ssh: client silence, visitor silence, stranger silence",
            "knock alice ssh: exit 0, open, packet, for 60 s",
            "ssh: client greeted, visitor silence, stranger silence",
        ],
        not_on: None,
    },
    Scenario {
        name: "nothing is promised beyond the end of an enrolment, and then it is told",
        play: enrolment_ends,
        found: &[
            "knock bob ssh --seconds 600: exit 0, open, packet, for 60 s",
            "renew bob ssh --seconds 600: exit 0, open, packet, for 60 s",
            "knock carol ssh: exit 4, refused, expired, packet",
            "ssh: client silence, visitor greeted, stranger silence",
        ],
        not_on: None,
    },
    Scenario {
        name: "a client that makes its key itself gets in, and the gate never has the key",
        play: own_key,
        found: &[
            "a secret in the profile: false",
            "knock bob ssh: exit 0, open, packet, for 60 s",
            "ssh: client silence, visitor greeted, stranger silence",
        ],
        not_on: None,
    },
    Scenario {
        name: "a client's old key is good beside the new one until it is not wanted any more",
        play: rotated_key,
        found: &[
            "knock newbob ssh: exit 0, open, packet, for 60 s",
            "knock bob ssh: exit 0, open, packet, for 60 s",
            "ssh: client silence, visitor greeted, stranger greeted",
            "knock bob ssh: exit 0, open, packet, for 60 s",
        ],
        not_on: None,
    },
    Scenario {
        name: "a new door key reaches a client with its next knock",
        play: rotated_door,
        found: &[
            "knock bob ssh: exit 0, open, packet, for 60 s",
            "under the old door key: nothing",
            "under the oldest door key: silence",
            "knock bob ssh --timeout 2: exit 3, no-answer, silence",
        ],
        not_on: None,
    },
];

fn enrolled_later(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    let mut site = stage.set(&Plan::by_packet())?;
    site.enrol("bob", Place::Visitor, &["web"], &[])?;
    site.tells(verdicts, "bob", &["knock", "bob", "web"])?;
    site.look(verdicts, crate::scenes::WEB)?;
    let by_hand = site.hand("bob")?;
    site.asks(verdicts, ("bob asks for ssh", Place::Visitor), &by_hand, &by_hand.open_ssh(60))?;
    site.tells(verdicts, "alice", &["knock", "alice", "ssh"])?;
    site.look(verdicts, SSH)
}

fn removed(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    let mut site = stage.set(&Plan::by_packet().bob())?;
    site.tells(verdicts, "bob", &["knock", "bob", "ssh", "--seconds", "600"])?;
    site.change(|office| office.tell(&["client", "remove", "bob"])?.expect(0).map(drop))?;
    waiting::until_true("bob hears nothing", NOTICED, || is_silent(&site, "bob"))?;
    site.tells(verdicts, "bob", &["knock", "bob", "ssh", "--timeout", "2"])?;
    site.look(verdicts, SSH)?;
    site.tells(verdicts, "alice", &["knock", "alice", "ssh"])?;
    site.look(verdicts, SSH)
}

fn is_silent(site: &Site<'_>, who: &str) -> bool {
    const NO_ANSWER: i32 = 3;
    let status = site.client(who).and_then(|client| client.tell(&["status", who, "--timeout", "2"]));
    status.is_ok_and(|said| said.code == Some(NO_ANSWER))
}

fn enrolment_ends(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    // Two seconds less than a minute: the board's clock starts at a whole second, so a gateway may be up to one behind.
    let plan = Plan::by_packet().person("bob", Place::Visitor, &["ssh"], &["--expires", "58s"]).person(
        "carol",
        Place::Stranger,
        &["ssh"],
        &["--expires", "1s"],
    );
    let site = stage.set(&plan)?;
    for command in ["knock", "renew"] {
        site.tells(verdicts, "bob", &[command, "bob", "ssh", "--seconds", "600"])?;
    }
    let carol = site.client("carol")?;
    waiting::until_true("carol's enrolment has ended", NOTICED, || {
        carol.tell(&["knock", "carol", "ssh"]).is_ok_and(|said| said.code != Some(0))
    })?;
    site.wait_until_shut(Place::Stranger, SSH)?;
    site.tells(verdicts, "carol", &["knock", "carol", "ssh"])?;
    site.look(verdicts, SSH)
}

fn own_key(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    let prepared = stage.prepare(&Plan::by_packet())?.enrol()?;
    let bob = Client::new(stage.lab, &stage.lab.visitor, "bob");
    let public = bob.tell(&["keygen", "bob"])?.expect(0)?.out;
    let public = public.split_whitespace().find(|word| word.starts_with("kgpub1-")).context("no key")?;
    let profile = prepared.office.enrol("bob", &["ssh"], &["--key", public])?;
    let mut site = prepared.start()?;
    verdicts.note(format_args!("a secret in the profile: {}", packets::profile(&profile)?.secret.is_some()));
    bob.import(&profile)?.expect(0)?;
    site.admit("bob", bob);
    site.tells(verdicts, "bob", &["knock", "bob", "ssh"])?;
    site.look(verdicts, SSH)
}

fn rotated_key(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    let mut site = stage.set(&Plan::by_packet().bob())?;
    let renewed = stage.lab.path("renewed.kgp");
    let out = renewed.display().to_string();
    site.change(|office| {
        office.tell(&["client", "rotate", "bob", "--grace", "1h", "--out", &out])?.expect(0).map(drop)
    })?;
    let newer = Client::with_profile(stage.lab, &stage.lab.stranger, "newbob", &renewed)?;
    waiting::until_true("the new key is good", NOTICED, || {
        newer.tell(&["status", "newbob"]).is_ok_and(|said| said.code == Some(0))
    })?;
    site.admit("newbob", newer);
    for who in ["newbob", "bob"] {
        site.tells(verdicts, who, &["knock", who, "ssh"])?;
    }
    site.look(verdicts, SSH)?;
    let out = stage.lab.path("newest.kgp").display().to_string();
    site.change(|office| {
        office.tell(&["client", "rotate", "bob", "--now", "--out", &out])?.expect(0).map(drop)
    })?;
    waiting::until_true("the keys before are worthless", NOTICED * 2, || {
        is_silent(&site, "bob") && is_silent(&site, "newbob")
    })?;
    site.client("bob")?.tell(&["enroll", &out, "--name", "bob", "--force"])?.expect(0)?;
    site.tells(verdicts, "bob", &["knock", "bob", "ssh"])?;
    Ok(())
}

fn rotated_door(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    let mut site = stage.set(&Plan::by_packet().bob())?;
    let old = site.hand("bob")?;
    let door_key = |file: &Path| Ok::<_, anyhow::Error>(packets::profile(file)?.door_key);
    site.change(|office| office.tell(&["door", "rotate", "--grace", "1h"])?.expect(0).map(drop))?;
    let given = site.office.enrol("carol", &["ssh"], &[])?;
    let stored = site.client("bob")?.home().join("profiles/bob.kgp");
    let bob = site.client("bob")?;
    waiting::until_true("bob has learnt the new door key", NOTICED, || {
        let asked = bob.tell(&["status", "bob"]).is_ok_and(|said| said.code == Some(0));
        let known = door_key(&stored).and_then(|known| Ok(known.is(&door_key(&given)?)));
        asked && known.unwrap_or(false)
    })?;
    site.tells(verdicts, "bob", &["knock", "bob", "ssh"])?;
    site.asks(verdicts, ("under the old door key", Place::Visitor), &old, &old.request(Kind::Status))?;

    site.change(|office| office.tell(&["door", "rotate", "--now"])?.expect(0).map(drop))?;
    let door = site.door();
    waiting::until_true("the old door key is worthless", NOTICED, || {
        let Ok(sealed) = old.seal(&old.request(Kind::Status)) else { return false };
        site.exchange(Place::Visitor, door, &sealed.message).is_ok_and(|heard| heard.is_none())
    })?;
    site.asks(verdicts, ("under the oldest door key", Place::Visitor), &old, &old.request(Kind::Status))?;
    site.tells(verdicts, "bob", &["knock", "bob", "ssh", "--timeout", "2"])?;
    Ok(())
}
