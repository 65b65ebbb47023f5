//! Somebody else who changes the guard's table: everything is put back within a second, or told and left, as is wanted.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use knockgate_tests::harness::{Story, story};
use knockgate_tests::peers::Reached;
use knockgate_tests::scenes::{SSH, Scene, WEB};
use knockgate_tests::{Family, Host, Lab, waiting};

pub(crate) fn stories() -> Vec<Story> {
    vec![
        story("whatever somebody else changes in the table is put back with what is open", |lab| {
            restored(lab, "")
        }),
        story("two processes put back whatever somebody else changes in the table", |lab| {
            restored(lab, "[process]\nseparate = true")
        }),
        story(
            "where that is wanted a changed table is told of, and stays until the agent is restarted",
            reported,
        ),
    ]
}

/// A second until the agent looks, and on a busy machine as long again to put everything back: in the median.
const PUT_BACK_WITHIN: Duration = Duration::from_secs(2);
/// The same for any one time, on a busy machine.
const AT_WORST: Duration = Duration::from_secs(20);

/// What somebody may do. Each lets a stranger in, or keeps alice out.
const DEEDS: [(&str, &str); 7] = [
    (
        "another program has a table of that name",
        "delete table inet knockgate
         table inet knockgate {
             set grants4 { type ipv4_addr; }
             chain guard { type filter hook prerouting priority -150; policy accept; tcp dport 22 accept; }
         }",
    ),
    ("a chain is emptied", "flush chain inet knockgate service"),
    ("a rule is put before the others", "insert rule inet knockgate incoming accept"),
    ("it is switched off", "add table inet knockgate { flags dormant; }"),
    ("a door is opened for ever", "add element inet knockgate grants4 { 10.77.4.2 . tcp . 22 }"),
    (
        "a door is opened in the name of a grant",
        "add element inet knockgate grants4 { 10.77.4.2 . tcp . 22 timeout 1h comment \"kg1:4000:1:1\" }",
    ),
    ("a grant is taken away", "flush set inet knockgate grants4"),
];

fn restored(lab: &Lab, sections: &str) -> Result<()> {
    let mut scene = Scene::by_packet(lab, Family::V4, sections)?;
    scene.alice.knock_for("ssh", 600)?.expect(0)?;
    let mut times = Vec::new();
    for (number, (what, deed)) in (1..).zip(DEEDS) {
        lab.gate.nft(deed)?;
        let done = Instant::now();

        let recorded = || changes(&scene, "restored").is_ok_and(|changes| changes == number);
        waiting::until_true(&format!("what was done is undone: {what}"), AT_WORST, recorded)?;
        times.push(done.elapsed());
        scene.must_be_shut(&lab.stranger, SSH)?;
        scene.must_be_open(&lab.client, SSH)?;
        scene.must_be_shut(&lab.client, WEB)?;
        // Other tables are other people's.
        lab.gate.nft("table inet theirs {\nchain c { }\n}")?;
    }
    times.sort_unstable();
    ensure!(times.get(DEEDS.len() / 2).is_some_and(|median| *median < PUT_BACK_WITHIN), "{times:?}");
    ensure!(scene.gate.log().contains("somebody else has changed the guard"), "the log does not say so");
    scene.alice.knock("web")?.expect(0)?;
    scene.must_be_open(&lab.client, WEB)?;
    ensure!(changes(&scene, "restored")? == DEEDS.len(), "what nobody has done was undone");
    scene.must_be_healthy()
}

fn reported(lab: &Lab) -> Result<()> {
    const REFUSED: i32 = 4;
    let mut scene = Scene::by_packet(lab, Family::V4, "[guard]\non-change = \"report\"")?;
    scene.alice.knock_for("ssh", 600)?.expect(0)?;
    let told = |scene: &Scene<'_>, number| {
        let recorded = || changes(scene, "reported").is_ok_and(|changes| changes == number);
        waiting::until_true("it is told", AT_WORST, recorded)
    };

    lab.gate.nft("add element inet knockgate grants4 { 10.77.4.2 . tcp . 22 timeout 1h }")?;
    told(&scene, 1)?;
    lab.gate.nft("flush chain inet knockgate service")?;
    told(&scene, 2)?;
    lab.gate.nft("delete table inet knockgate")?;
    told(&scene, 3)?;
    ensure!(scene.gate.log().contains("guard.on-change"), "the log does not say why it stays so");
    let said = scene.gate.tell(&["status"])?.expect(0)?.out;
    ensure!(said.contains("its table is gone"), "{said}");

    // It is as whoever has done that wanted it, and nobody is promised what is not so.
    must_be_reached(&scene, &lab.stranger)?;
    let status = scene.gate.tell(&["status", "--json"])?.expect(0)?.json()?;
    let trouble = status["guard_trouble"].as_str();
    ensure!(trouble.is_some_and(|trouble| trouble.contains("its table is gone")), "{status}");
    scene.alice.knock("web")?.expect(REFUSED)?;
    ensure!(changes(&scene, "reported")? == 3, "the same is told again and again");
    scene.gate.stop()?;
    scene.gate.start()?;
    scene.must_be_shut(&lab.stranger, SSH)?;
    let said = scene.gate.tell(&["status"])?.expect(0)?.out;
    ensure!(said.contains("guard      as it shall be"), "{said}");
    scene.alice.knock("web")?.expect(0)?;
    scene.must_be_open(&lab.client, WEB)?;
    scene.must_be_healthy()
}

fn must_be_reached(scene: &Scene<'_>, host: &Host) -> Result<()> {
    let reached = scene.reached(host, SSH)?;
    ensure!(matches!(reached, Reached::Greeting(_)), "{reached:?}");
    Ok(())
}

/// How often the audit log says that somebody has changed the guard, and that this came of it.
fn changes(scene: &Scene<'_>, outcome: &str) -> Result<usize> {
    let records = scene.gate.audit()?;
    Ok(records
        .iter()
        .filter(|record| record["event"] == "guard-changed" && record["outcome"] == outcome)
        .count())
}
