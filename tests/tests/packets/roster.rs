//! Keys that change, enrolments that end, second factors, and clients that make their own keys.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use knockgate_core::message::{Kind, Request};
use knockgate_tests::authenticators::Authenticator;
use knockgate_tests::clients::Client;
use knockgate_tests::harness::{Story, story};
use knockgate_tests::packets::{self, Hand, KNOCK};
use knockgate_tests::programs::Said;
use knockgate_tests::scenes::{SSH, Scene, WEB};
use knockgate_tests::{Family, Lab, waiting};

const NO_ANSWER: i32 = 3;
const REFUSED: i32 = 4;
const LOCKED_OUT: i32 = 5;

/// A running agent looks at the roster every second; a busy machine takes its time.
const NOTICED: Duration = Duration::from_secs(6);

pub(crate) fn stories() -> Vec<Story> {
    vec![
        story(
            "a client's old profile is good beside the new one until it is not wanted any more",
            rotated_key,
        ),
        story("an enrolment that ends closes what is open and is told to the client", enrolment_ends),
        story("no grant is promised beyond the end of an enrolment", promised_no_longer),
        story("a new door key reaches a client with its next knock, within the grace", rotated_door),
        story("a client that makes its key itself gets in, and the gate never has the key", own_key),
        story("a second factor is wanted, read from stdin, and good once", second_factor),
        story("five wrong codes lock out the client wherever it is, and nobody else", wrong_codes),
        story("a client that shall confirm takes two round trips at every service", confirming_client),
    ]
}

fn notices(what: &str, is_so: impl FnMut() -> bool) -> Result<()> {
    waiting::until_true(what, NOTICED, is_so)
}

fn rotated_key(lab: &Lab) -> Result<()> {
    let scene = Scene::by_packet(lab, Family::V4, "")?;
    let old = Client::with_profile(lab, &lab.visitor, "bob", &scene.gate.enrol("bob", &["ssh"], &[])?)?;
    old.knock_for("ssh", 1)?.expect(0)?;

    let renewed = lab.path("renewed.kgp");
    let out = renewed.display().to_string();
    scene.gate.tell(&["client", "rotate", "bob", "--grace", "1h", "--out", &out])?.expect(0)?;
    let new = Client::with_profile(lab, &lab.client, "newbob", &renewed)?;

    notices("the new key is good", || {
        new.tell(&["knock", "newbob", "ssh", "--seconds", "1"]).is_ok_and(|said| said.code == Some(0))
    })?;
    scene.wait_until_shut(&lab.client, SSH)?;
    // Both are one client, which has one counter: whoever was silent for a while asks twice.
    old.knock_for("ssh", 1)?.expect(0)?;
    scene.must_be_open(&lab.visitor, SSH)?;
    new.tell(&["knock", "newbob", "ssh"])?.expect(0)?;
    scene.must_be_open(&lab.client, SSH)?;

    let newer = lab.path("newer.kgp");
    let out = newer.display().to_string();
    scene.gate.tell(&["client", "rotate", "bob", "--now", "--out", &out])?.expect(0)?;
    notices("the keys before are worthless", || {
        let silent = |client: &Client<'_>, name| {
            client.tell(&["status", name, "--timeout", "1"]).is_ok_and(|said| said.code == Some(NO_ANSWER))
        };
        silent(&old, "bob") && silent(&new, "newbob")
    })?;
    old.tell(&["enroll", &out, "--name", "bob", "--force"])?.expect(0)?;
    old.knock("ssh")?.expect(0)?;
    scene.must_be_open(&lab.visitor, SSH)
}

fn enrolment_ends(lab: &Lab) -> Result<()> {
    let scene = Scene::by_packet(lab, Family::V4, "")?;
    let bob = Client::with_profile(lab, &lab.visitor, "bob", &scene.gate.enrol("bob", &["ssh"], &[])?)?;
    bob.knock_for("ssh", 600)?.expect(0)?;

    // What was promised for longer is taken back at once.
    scene.gate.tell(&["client", "expire", "bob", "--in", "12s"])?.expect(0)?;
    let told = Instant::now();
    notices("what was open is closed", || scene.must_be_shut(&lab.visitor, SSH).is_ok())?;
    bob.knock_for("ssh", 600)?.expect(0)?;
    scene.must_be_open(&lab.visitor, SSH)?;

    let is_shut = || scene.must_be_shut(&lab.visitor, SSH).is_ok();
    waiting::until_true("the enrolment has ended", Duration::from_secs(30), is_shut)?;
    ensure!(told.elapsed() > Duration::from_secs(11), "closed after {:?} already", told.elapsed());
    let report = bob.report(&["knock", "bob", "ssh"], REFUSED)?;
    ensure!(report["reason"] == "expired", "{report}");
    scene.must_be_shut(&lab.visitor, SSH)?;

    scene.gate.tell(&["client", "expire", "bob", "--never"])?.expect(0)?;
    notices("bob is enrolled again", || bob.knock("ssh").is_ok_and(|said| said.code == Some(0)))?;
    scene.must_be_open(&lab.visitor, SSH)
}

fn promised_no_longer(lab: &Lab) -> Result<()> {
    let scene = Scene::by_packet(lab, Family::V4, "")?;
    let profile = scene.gate.enrol("bob", &["ssh"], &["--expires", "20s"])?;
    let bob = Client::with_profile(lab, &lab.visitor, "bob", &profile)?;

    for command in [["knock", "bob", "ssh"], ["renew", "bob", "ssh"]] {
        let report = bob.report(&[&command[..], &["--seconds", "600"]].concat(), 0)?;
        let left = report["left_seconds"].as_u64().context("no time")?;
        ensure!(left <= 20, "{report}");
    }
    scene.must_be_open(&lab.visitor, SSH)
}

fn rotated_door(lab: &Lab) -> Result<()> {
    const GRACE: Duration = Duration::from_secs(8);
    let scene = Scene::by_packet(lab, Family::V4, "")?;
    let profile = scene.gate.enrol("bob", &["ssh"], &[])?;
    let bob = Client::with_profile(lab, &lab.visitor, "bob", &profile)?;
    let copy = Hand::of(&profile)?;
    let to = lab.gate.at(Family::V4, KNOCK);
    let door_key = |file: &Path| Ok::<_, anyhow::Error>(packets::profile(file)?.door_key);

    scene.gate.tell(&["door", "rotate", "--grace", "8s"])?.expect(0)?;
    let rotated = Instant::now();
    let new = door_key(&scene.gate.enrol("carol", &["ssh"], &[])?)?;
    ensure!(!door_key(&profile)?.is(&new), "the door key is the old one");

    bob.knock("ssh")?.expect(0)?;
    scene.must_be_open(&lab.visitor, SSH)?;
    let stored = bob.home().join("profiles/bob.kgp");
    ensure!(door_key(&stored)?.is(&new), "bob has not stored the new door key");
    let answer = copy.ask(&lab.visitor, to, &copy.request(Kind::Status))?;
    ensure!(answer.is_some() || rotated.elapsed() >= GRACE, "the old door key is worthless within its grace");

    // After the grace the old key is noise.
    waiting::until_true("the end of the grace", Duration::from_secs(20), || {
        scene.gate.log().contains("the door keys have changed former=0")
    })?;
    let answer = copy.ask(&lab.visitor, to, &copy.request(Kind::Status))?;
    ensure!(answer.is_none(), "the old door key is good after its grace");
    bob.knock("ssh")?.expect(0)?;
    scene.alice.knock("ssh")?.expect(NO_ANSWER).context("alice has missed the change")?;
    Ok(())
}

fn own_key(lab: &Lab) -> Result<()> {
    let scene = Scene::by_packet(lab, Family::V4, "")?;
    let bob = Client::new(lab, &lab.visitor, "bob");
    let public = bob.tell(&["keygen", "bob"])?.expect(0)?.out;
    let public = public.split_whitespace().find(|word| word.starts_with("kgpub1-")).context("no key")?;

    let profile = scene.gate.enrol("bob", &["ssh"], &["--key", public])?;

    ensure!(
        packets::profile(&profile)?.secret.is_none(),
        "the gate has made a secret key for a client that has one"
    );
    let file = profile.display().to_string();
    bob.tell(&["enroll", &file, "--name", "bob"])?.expect(0)?;
    bob.knock("ssh")?.expect(0)?;
    scene.must_be_open(&lab.visitor, SSH)?;
    scene.must_be_shut(&lab.stranger, SSH)
}

/// Bob, who has an authenticator, at a gate where ssh wants a code and web does not.
fn with_second_factor(lab: &Lab) -> Result<(Scene<'_>, Client<'_>, Authenticator)> {
    let scene = Scene::by_packet_with_ssh(lab, Family::V4, "second-factor = true")?;
    let profile = scene.gate.enrol("bob", &["ssh", "web"], &[])?;
    let bob = Client::with_profile(lab, &lab.visitor, "bob", &profile)?;
    let shown = scene.gate.tell(&["client", "totp", "bob"])?.expect(0)?.out;
    let authenticator = Authenticator::of(&shown)?;
    // A client without one is told that a code is wanted, whatever it shows; one with one, that a wrong code is wrong.
    notices("bob has a second factor", || {
        with_code(&bob, "web", &authenticator.wrong()).is_ok_and(|said| said.err.contains("wrong"))
    })?;
    Ok((scene, bob, authenticator))
}

fn with_code(client: &Client<'_>, service: &str, code: &str) -> Result<Said> {
    Said::told(&mut client.command(&["knock", "bob", service, "--code"])?, code)
}

fn second_factor(lab: &Lab) -> Result<()> {
    let (mut scene, bob, authenticator) = with_second_factor(lab)?;
    let report = bob.report(&["knock", "bob", "ssh"], REFUSED)?;
    ensure!(report["reason"] == "code-wanted", "{report}");
    scene.must_be_shut(&lab.visitor, SSH)?;
    with_code(&bob, "ssh", &authenticator.wrong())?.expect(REFUSED)?.complains_of(&["wrong"])?;
    scene.must_be_shut(&lab.visitor, SSH)?;

    let [code, next] = authenticator.codes();
    with_code(&bob, "ssh", &code)?.expect(0)?;
    scene.must_be_open(&lab.visitor, SSH)?;

    with_code(&bob, "ssh", &code)?.expect(REFUSED)?.complains_of(&["used before"])?;
    // Not after a crash either: that it was used is always durable.
    bob.tell(&["close", "bob"])?.expect(0)?;
    scene.gate.kill()?;
    scene.gate.start()?;
    with_code(&bob, "ssh", &code)?.expect(REFUSED)?.complains_of(&["used before"])?;
    scene.must_be_shut(&lab.visitor, SSH)?;
    with_code(&bob, "ssh", &next)?.expect(0)?;
    scene.must_be_open(&lab.visitor, SSH)?;
    bob.knock("web")?.expect(0)?;
    scene.must_be_open(&lab.visitor, WEB)
}

fn wrong_codes(lab: &Lab) -> Result<()> {
    let (scene, bob, authenticator) = with_second_factor(lab)?;
    waiting::until_true("bob is locked out", Duration::from_secs(10), || {
        with_code(&bob, "ssh", &authenticator.wrong()).is_ok_and(|said| said.code == Some(LOCKED_OUT))
    })?;
    let tries = scene.gate.audit()?.iter().filter(|record| record["reason"] == "wrong-code").count();
    ensure!(tries <= 5, "{tries} wrong codes were looked at");

    with_code(&bob, "ssh", &authenticator.codes()[0])?.expect(LOCKED_OUT)?;
    let elsewhere = Client::with_profile(lab, &lab.stranger, "elsewhere", &lab.path("bob.kgp"))?;
    let said = elsewhere.tell(&["knock", "elsewhere", "web"])?;
    ensure!(said.code == Some(LOCKED_OUT), "the client is locked out, not an address: {said}");
    let neighbour = Client::with_profile(lab, &lab.visitor, "neighbour", &lab.path("alice.kgp"))?;
    neighbour.tell(&["knock", "neighbour", "web"])?.expect(0)?;
    scene.must_be_open(&lab.visitor, WEB)
}

fn confirming_client(lab: &Lab) -> Result<()> {
    let scene = Scene::by_packet(lab, Family::V4, "")?;
    let bob =
        Client::with_profile(lab, &lab.visitor, "bob", &scene.gate.enrol("bob", &["ssh"], &["--confirm"])?)?;
    let by_hand = Hand::of(&scene.gate.enrol("carol", &["ssh"], &["--confirm"])?)?;

    let (said, capture) = bob.at_once(&["knock", "bob", "ssh"])?;

    said.expect(0)?;
    let asked = capture.datagrams(lab.visitor.ip(Family::V4), lab.gate.ip(Family::V4))?;
    ensure!(asked.len() == 2, "{} packets", asked.len());
    scene.must_be_open(&lab.visitor, SSH)?;
    let answer = by_hand
        .ask(&lab.stranger, lab.gate.at(Family::V4, KNOCK), &Request { seconds: 60, ..by_hand.open_ssh(60) })?
        .context("silence")?;
    ensure!(matches!(answer.verdict, knockgate_core::message::Verdict::Confirm(_)), "{answer:?}");
    scene.must_be_shut(&lab.stranger, SSH)
}
