//! Proofs beside the key: that a client can be reached at its address, and codes of an authenticator.

use anyhow::{Context, Result, bail};
use knockgate_core::message::{Answer, Request, Token, Verdict};

use super::Scenario;
use super::stage::{Entrance, Place, Plan, Site, Stage};
use super::verdicts::Verdicts;
use crate::Family;
use crate::authenticators::Authenticator;
use crate::capture::Capture;
use crate::packets::{self, Hand};
use crate::scenes::{SSH, WEB};

pub(super) const TABLE: &[Scenario] = &[
    Scenario {
        name: "a confirmed knock takes one more round trip and nothing else",
        play: |stage, verdicts| one_more_round_trip(stage, verdicts, Family::V4),
        found: &[
            "knock alice ssh: exit 0, open, packet, for 60 s",
            "2 questions, 2 answers",
            "ssh: client greeted, visitor silence, stranger silence",
        ],
        not_on: None,
    },
    Scenario {
        name: "a confirmed knock takes one more round trip and nothing else over IPv6",
        play: |stage, verdicts| one_more_round_trip(stage, verdicts, Family::V6),
        found: &[
            "knock alice ssh: exit 0, open, packet, for 60 s",
            "2 questions, 2 answers",
            "ssh: client greeted, visitor silence, stranger silence",
        ],
        not_on: None,
    },
    Scenario {
        name: "a token is good for nobody else, nowhere else, and for one run of the gate",
        play: tokens,
        found: &[
            "bob asks: confirm",
            "with bob's token from elsewhere: confirm",
            "carol with bob's token: confirm",
            "another token elsewhere: true",
            "another token for carol: true",
            "ssh: client silence, visitor silence, stranger silence",
            "bob with his token after a restart: confirm",
            "bob asks: confirm",
            "bob with the new token: granted",
            "ssh: client silence, visitor greeted, stranger silence",
        ],
        not_on: None,
    },
    Scenario {
        name: "without a confirmation a client can open to an address that is not his, with one he cannot",
        play: forged_address,
        found: &[
            "mallory asks for himself: confirm",
            "opened to the forged address: \"ssh\"",
            "ssh: client silence, visitor greeted, stranger silence",
            "the victim hears 3 answers",
            "grants: 1",
        ],
        not_on: None,
    },
    Scenario {
        name: "a client that shall confirm takes two round trips at every service",
        play: confirming_client,
        found: &[
            "knock bob ssh: exit 0, open, packet, for 60 s",
            "2 questions, 2 answers",
            "ssh: client silence, visitor greeted, stranger silence",
        ],
        not_on: None,
    },
    Scenario {
        name: "a second factor is wanted, and good once, also after a crash",
        play: second_factor,
        found: &[
            "knock bob ssh: exit 4, refused, code-wanted, packet",
            "knock bob ssh --code: exit 4, refused, wrong-code, packet",
            "ssh: client silence, visitor silence, stranger silence",
            "knock bob ssh --code: exit 0, open, packet, for 60 s",
            "ssh: client silence, visitor greeted, stranger silence",
            "knock bob ssh --code: exit 4, refused, wrong-code, packet",
            "close bob: exit 0, closed, packet",
            "knock bob ssh --code: exit 4, refused, wrong-code, packet",
            "ssh: client silence, visitor silence, stranger silence",
            "knock bob ssh --code: exit 0, open, packet, for 60 s",
            "ssh: client silence, visitor greeted, stranger silence",
            "knock bob web: exit 0, open, packet, for 60 s",
            "web: client silence, visitor greeted, stranger silence",
        ],
        not_on: None,
    },
    Scenario {
        name: "five wrong codes lock out the client wherever it is, and nobody else",
        play: wrong_codes,
        found: &[
            "knock bob ssh --code: exit 4, refused, wrong-code, packet",
            "knock bob ssh --code: exit 4, refused, wrong-code, packet",
            "knock bob ssh --code: exit 4, refused, wrong-code, packet",
            "knock bob ssh --code: exit 4, refused, wrong-code, packet",
            "knock bob ssh --code: exit 4, refused, wrong-code, packet",
            "knock bob ssh --code: exit 5, locked-out, locked-out, packet, again in 60 s",
            "knock bob ssh --code: exit 5, locked-out, locked-out, packet, again in 60 s",
            "knock elsewhere web: exit 5, locked-out, locked-out, packet, again in 60 s",
            "knock neighbour web: exit 0, open, packet, for 60 s",
            "web: client silence, visitor greeted, stranger silence",
        ],
        not_on: None,
    },
];

const CONFIRM: &str = "confirm = true";

fn one_more_round_trip(stage: &Stage<'_>, verdicts: &mut Verdicts, family: Family) -> Result<()> {
    let site = stage.set(&Plan::of(family, Entrance::Packets).ssh(CONFIRM))?;
    let (_, capture) = site.tells_at_once(verdicts, "alice", &["knock", "alice", "ssh"])?;
    count_datagrams(&site, verdicts, &capture, Place::Client)?;
    site.look(verdicts, SSH)
}

fn count_datagrams(site: &Site<'_>, verdicts: &mut Verdicts, capture: &Capture, place: Place) -> Result<()> {
    let (client, gate) = (place.host(site.lab).ip(site.family), site.lab.gate.ip(site.family));
    let (asked, answered) = (capture.datagrams(client, gate)?.len(), capture.datagrams(gate, client)?.len());
    verdicts.note(format_args!("{asked} questions, {answered} answers"));
    Ok(())
}

fn tokens(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    let plan = Plan::by_packet().ssh(CONFIRM).bob().person("carol", Place::Stranger, &["ssh"], &[]);
    let mut site = stage.set(&plan)?;
    let (bob, carol) = (site.hand("bob")?, site.hand("carol")?);
    let with = |who: &Hand, token| Request { token: Some(token), ..who.open_ssh(60) };

    let first = site.asks(verdicts, ("bob asks", Place::Visitor), &bob, &bob.open_ssh(60))?;
    let good = token(first)?;
    let elsewhere =
        site.asks(verdicts, ("with bob's token from elsewhere", Place::Stranger), &bob, &with(&bob, good))?;
    let by_carol =
        site.asks(verdicts, ("carol with bob's token", Place::Visitor), &carol, &with(&carol, good))?;
    for (what, answer) in [("elsewhere", elsewhere), ("for carol", by_carol)] {
        verdicts.note(format_args!("another token {what}: {}", token(answer)? != good));
    }
    site.look(verdicts, SSH)?;
    site.restart()?;
    let guess = with(&bob, good);
    site.asks(verdicts, ("bob with his token after a restart", Place::Visitor), &bob, &guess)?;
    let fresh = token(site.asks(verdicts, ("bob asks", Place::Visitor), &bob, &bob.open_ssh(60))?)?;
    site.asks(verdicts, ("bob with the new token", Place::Visitor), &bob, &with(&bob, fresh))?;
    site.look(verdicts, SSH)
}

fn token(answer: Option<Answer>) -> Result<Token> {
    match answer.context("silence instead of a token")?.verdict {
        Verdict::Confirm(token) => Ok(token),
        other => bail!("{other:?} instead of a token"),
    }
}

/// What a confirmation is for: a client, and only a client, can do this where none is wanted.
fn forged_address(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    let plan = Plan::by_packet()
        .person("mallory", Place::Stranger, &["ssh", "safe"], &[])
        .with("[service.safe]\nid = 3\nprotocol = \"tcp\"\nports = [2323]\nconfirm = true");
    let site = stage.set(&plan)?;
    let mallory = site.hand("mallory")?;
    let victim = stage.lab.visitor.ip(site.family);
    let capture = Capture::on(&stage.lab.visitor)?;
    // With no token, and with one for his own address.
    let safe = |token| Request { service: 3, token, ..mallory.open_ssh(60) };
    let own = site.asks(verdicts, ("mallory asks for himself", Place::Stranger), &mallory, &safe(None))?;
    let own = token(own)?;
    for request in [safe(None), safe(Some(own)), mallory.open_ssh(60)] {
        let forged = mallory.seal(&request)?;
        packets::send_in_the_name_of(victim, &stage.lab.stranger, site.door(), &forged.message)?;
    }
    let opened = site.wait_for_audit("the grant at the forged address", |record| {
        record["event"] == "grant-opened" && record["source"] == victim.to_string()
    })?;
    verdicts.note(format_args!("opened to the forged address: {}", opened["service"]));
    site.look(verdicts, SSH)?;
    let heard = capture.datagrams(stage.lab.gate.ip(site.family), victim)?;
    verdicts.note(format_args!("the victim hears {} answers", heard.len()));
    verdicts.note(format_args!("grants: {}", site.count("grant-opened")?));
    Ok(())
}

fn confirming_client(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    let plan = Plan::by_packet().person("bob", Place::Visitor, &["ssh"], &["--confirm"]);
    let site = stage.set(&plan)?;
    let (_, capture) = site.tells_at_once(verdicts, "bob", &["knock", "bob", "ssh"])?;
    count_datagrams(&site, verdicts, &capture, Place::Visitor)?;
    site.look(verdicts, SSH)
}

/// Bob, who has an authenticator, at a gate where ssh wants a code and web does not.
fn with_second_factor<'lab>(stage: &Stage<'lab>) -> Result<(Site<'lab>, Authenticator)> {
    let plan =
        Plan::by_packet().ssh("second-factor = true").person("bob", Place::Visitor, &["ssh", "web"], &[]);
    let staff = stage.prepare(&plan)?.enrol()?;
    let shown = staff.office.tell(&["client", "totp", "bob"])?.expect(0)?.out;
    Ok((staff.start()?, Authenticator::of(&shown)?))
}

const WITH_CODE: [&str; 4] = ["knock", "bob", "ssh", "--code"];

fn second_factor(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    let (mut site, authenticator) = with_second_factor(stage)?;
    site.tells(verdicts, "bob", &["knock", "bob", "ssh"])?;
    site.tells_with(verdicts, ("bob", &WITH_CODE), &authenticator.wrong())?;
    site.look(verdicts, SSH)?;
    let [code, next] = authenticator.codes();
    site.tells_with(verdicts, ("bob", &WITH_CODE), &code)?;
    site.look(verdicts, SSH)?;
    site.tells_with(verdicts, ("bob", &WITH_CODE), &code)?;
    site.tells(verdicts, "bob", &["close", "bob"])?;
    // That it was used is always durable.
    site.crash()?;
    site.tells_with(verdicts, ("bob", &WITH_CODE), &code)?;
    site.look(verdicts, SSH)?;
    site.tells_with(verdicts, ("bob", &WITH_CODE), &next)?;
    site.look(verdicts, SSH)?;
    site.tells(verdicts, "bob", &["knock", "bob", "web"])?;
    site.look(verdicts, WEB)
}

fn wrong_codes(stage: &Stage<'_>, verdicts: &mut Verdicts) -> Result<()> {
    let (mut site, authenticator) = with_second_factor(stage)?;
    for _ in 0..6 {
        site.tells_with(verdicts, ("bob", &WITH_CODE), &authenticator.wrong())?;
    }
    site.tells_with(verdicts, ("bob", &WITH_CODE), &authenticator.codes()[0])?;
    for (name, place, profile) in
        [("elsewhere", Place::Stranger, "bob"), ("neighbour", Place::Visitor, "alice")]
    {
        let profile = stage.lab.path(&format!("{profile}.kgp"));
        let client = crate::clients::Client::with_profile(stage.lab, place.host(stage.lab), name, &profile)?;
        site.admit(name, client);
        site.tells(verdicts, name, &["knock", name, "web"])?;
    }
    site.look(verdicts, WEB)
}
