//! Knock books: shared ones, and ones that end.

use anyhow::{Result, ensure};
use knockgate_tests::clients::Client;
use knockgate_tests::harness::{Story, story};
use knockgate_tests::scenes::{SSH, Scene};
use knockgate_tests::{Family, Lab};

const BUSY: i32 = 6;
const BOOK_USED_UP: i32 = 7;

pub(crate) fn stories() -> Vec<Story> {
    vec![
        story("two clients of a shared book are served one after the other", shared_book),
        story("clients with books of their own do not wait for each other", own_books),
        story("a book that is used up is said on both sides and everything else keeps working", used_up),
    ]
}

fn shared_book(lab: &Lab) -> Result<()> {
    let scene = Scene::set_with(lab, Family::V4, "[sequence]\nhold = \"4s\"")?;
    let book = lab.path("shared.book").display().to_string();
    scene.gate.tell(&["book", "new", &book])?.expect(0)?;
    let [bob, carol] = [("bob", &lab.client), ("carol", &lab.visitor)].map(|(name, host)| {
        let profile = scene.gate.enrol(name, &["ssh"], &["--book", &book])?;
        Client::with_profile(lab, host, name, &profile)
    });
    let (bob, carol) = (bob?, carol?);

    let stalled = scene.stall(&bob, "ssh")?;
    carol.tell(&["knock", "carol", "ssh", "--timeout", "1"])?.expect(BUSY)?;
    scene.must_be_shut(&lab.visitor, SSH)?;
    carol.knock("ssh")?.expect(0)?;
    scene.must_be_open(&lab.visitor, SSH)?;
    stalled.let_go()
}

fn own_books(lab: &Lab) -> Result<()> {
    let scene = Scene::set(lab, Family::V4)?;
    let profile = scene.gate.enrol("bob", &["ssh"], &[])?;
    let bob = Client::with_profile(lab, &lab.visitor, "bob", &profile)?;

    let stalled = scene.stall(&scene.alice, "ssh")?;
    bob.tell(&["knock", "bob", "ssh", "--timeout", "3"])?.expect(0)?;
    scene.must_be_open(&lab.visitor, SSH)?;
    stalled.let_go()
}

fn used_up(lab: &Lab) -> Result<()> {
    let mut scene = Scene::set_with(lab, Family::V4, "[sequence]\ncount = 2")?;
    for _ in 0..2 {
        scene.alice.knock_for("ssh", 1)?.expect(0)?;
        scene.wait_until_shut(&lab.client, SSH)?;
    }

    scene.alice.knock("ssh")?.expect(BOOK_USED_UP)?.complains_of(&["book"])?;

    scene.must_be_shut(&lab.client, SSH)?;
    let told = scene.gate.log() + &scene.gate.tell(&["client", "list"])?.expect(0)?.out;
    ensure!(told.contains("book"), "the operator is not told that the book of alice is used up");
    let profile = scene.gate.enrol("bob", &["ssh"], &[])?;
    let bob = Client::with_profile(lab, &lab.visitor, "bob", &profile)?;
    bob.knock("ssh")?.expect(0)?;
    scene.must_be_open(&lab.visitor, SSH)?;
    ensure!(scene.gate.is_alive(), "the agent has ended");
    Ok(())
}
