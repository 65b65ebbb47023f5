//! Where the gate wants a proof of the address: one round trip more, and what it is good for.

use anyhow::{Context, Result, bail, ensure};
use knockgate_core::message::{Answer, Request, Token, Verdict};
use knockgate_tests::capture::Capture;
use knockgate_tests::harness::{Story, story};
use knockgate_tests::packets::{self, Hand, KNOCK};
use knockgate_tests::scenes::{SSH, Scene};
use knockgate_tests::{Family, Lab};

const CONFIRM: &str = "confirm = true";

pub(crate) fn stories() -> Vec<Story> {
    vec![
        story("a confirmed knock takes one more round trip and nothing else", |lab| {
            one_more_round_trip(lab, Family::V4)
        }),
        story("a confirmed knock takes one more round trip and nothing else over IPv6", |lab| {
            one_more_round_trip(lab, Family::V6)
        }),
        story("a copied packet sent from elsewhere opens nothing where a confirmation is wanted", copied),
        story("a token is good for nobody else, nowhere else, and for one run of the gate", tokens),
        story("without a confirmation a client can open to an address that is not his", forged_address),
        story("with a confirmation no client opens to an address where he cannot hear", |lab| {
            forged_address_confirmed(lab)
        }),
    ]
}

fn one_more_round_trip(lab: &Lab, family: Family) -> Result<()> {
    let scene = Scene::by_packet_with_ssh(lab, family, CONFIRM)?;
    let (client, gate) = (lab.client.ip(family), lab.gate.ip(family));

    let (said, capture) = scene.alice.at_once(&["knock", "alice", "ssh"])?;

    said.expect(0)?;
    let (asked, answered) = (capture.datagrams(client, gate)?, capture.datagrams(gate, client)?);
    ensure!(asked.len() == 2 && answered.len() == 2, "{} questions, {} answers", asked.len(), answered.len());
    scene.must_be_open(&lab.client, SSH)?;
    scene.must_be_shut(&lab.stranger, SSH)
}

/// The attacker holds back the first packet and sends it from his own address.
fn copied(lab: &Lab) -> Result<()> {
    let mut scene = Scene::by_packet_with_ssh(lab, Family::V4, CONFIRM)?;
    let bob = Hand::of(&scene.gate.enrol("bob", &["ssh"], &[])?)?;
    let to = lab.gate.at(Family::V4, KNOCK);
    let held_back = bob.seal(&bob.open_ssh(60))?;

    let answer =
        packets::exchange(&lab.stranger, to, &held_back.message)?.context("the first one is answered")?;
    // He cannot read that; bob could.
    ensure!(matches!(held_back.read(&answer)?.verdict, Verdict::Confirm(_)), "it opened without a proof");
    ensure!(packets::exchange(&lab.stranger, to, &held_back.message)?.is_none(), "a replay is answered");
    scene.must_be_shut(&lab.stranger, SSH)?;

    let request = bob.open_ssh(60);
    let token = token(bob.ask(&lab.visitor, to, &request)?)?;
    let proof = bob.seal(&Request { token: Some(token), ..bob.open_ssh(60) })?;
    ensure!(packets::is_granted(proof.send(&lab.visitor, to)?.as_ref()), "bob is kept out");
    scene.must_be_open(&lab.visitor, SSH)?;
    // The packet that opened, once more from elsewhere.
    ensure!(packets::exchange(&lab.stranger, to, &proof.message)?.is_none(), "a replay is answered");
    scene.must_be_shut(&lab.stranger, SSH)?;
    scene.must_be_healthy()
}

fn tokens(lab: &Lab) -> Result<()> {
    let mut scene = Scene::by_packet_with_ssh(lab, Family::V4, CONFIRM)?;
    let bob = Hand::of(&scene.gate.enrol("bob", &["ssh"], &[])?)?;
    let carol = Hand::of(&scene.gate.enrol("carol", &["ssh"], &[])?)?;
    let to = lab.gate.at(Family::V4, KNOCK);
    let with = |who: &Hand, token| Request { token: Some(token), ..who.open_ssh(60) };

    let good = token(bob.ask(&lab.visitor, to, &bob.open_ssh(60))?)?;
    let elsewhere = token(bob.ask(&lab.stranger, to, &with(&bob, good))?)?;
    ensure!(elsewhere != good, "one token for two addresses");
    let for_carol = token(carol.ask(&lab.visitor, to, &with(&carol, good))?)?;
    ensure!(for_carol != good, "one token for two clients");
    let guessed = token(bob.ask(&lab.visitor, to, &with(&bob, Token([0; 8])))?)?;
    ensure!(packets::is_granted(bob.ask(&lab.visitor, to, &with(&bob, guessed))?.as_ref()), "the right one");

    scene.gate.stop()?;
    scene.gate.start()?;
    let after = token(bob.ask(&lab.visitor, to, &with(&bob, good))?)?;
    ensure!(after != good, "a token outlived the run that made it");
    for host in [&lab.stranger, &lab.client] {
        scene.must_be_shut(host, SSH)?;
    }
    Ok(())
}

/// What a confirmation is for: a client, and only a client, can do this where none is wanted.
fn forged_address(lab: &Lab) -> Result<()> {
    let scene = Scene::by_packet(lab, Family::V4, "")?;
    let mallory = Hand::of(&scene.gate.enrol("mallory", &["ssh"], &[])?)?;
    let victim = lab.visitor.ip(Family::V4);

    let forged = mallory.seal(&mallory.open_ssh(60))?;
    packets::send_in_the_name_of(victim, &lab.stranger, lab.gate.at(Family::V4, KNOCK), &forged.message)?;

    scene.gate.wait_for_audit("the grant at the forged address", |record| {
        record["event"] == "grant-opened" && record["source"] == victim.to_string()
    })?;
    scene.must_be_open(&lab.visitor, SSH)?;
    scene.must_be_shut(&lab.stranger, SSH)
}

fn forged_address_confirmed(lab: &Lab) -> Result<()> {
    let mut scene = Scene::by_packet_with_ssh(lab, Family::V4, CONFIRM)?;
    let mallory = Hand::of(&scene.gate.enrol("mallory", &["ssh"], &[])?)?;
    let (victim, gate) = (lab.visitor.ip(Family::V4), lab.gate.ip(Family::V4));
    let to = lab.gate.at(Family::V4, KNOCK);
    let capture = Capture::on(&lab.visitor)?;

    // With no token, with one for his own address, and with a guess.
    let own = token(mallory.ask(&lab.stranger, to, &mallory.open_ssh(60))?)?;
    for token in [None, Some(own), Some(Token([7; 8]))] {
        let forged = mallory.seal(&Request { token, ..mallory.open_ssh(60) })?;
        packets::send_in_the_name_of(victim, &lab.stranger, to, &forged.message)?;
    }

    scene.must_be_healthy()?;
    scene.must_be_shut(&lab.visitor, SSH)?;
    scene.must_be_shut(&lab.stranger, SSH)?;
    // The answers went to the victim, each as long as its question.
    let answers = capture.datagrams(gate, victim)?;
    ensure!(answers.iter().all(|answer| answer.payload.len() == 200), "{answers:?}");
    ensure!(answers.len() == 3, "{} answers to three forged questions", answers.len());
    Ok(())
}

fn token(answer: Option<Answer>) -> Result<Token> {
    match answer.context("silence instead of a token")?.verdict {
        Verdict::Confirm(token) => Ok(token),
        other => bail!("{other:?} instead of a token"),
    }
}
