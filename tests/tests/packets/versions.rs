//! State of a version that is yet to come, as somebody finds it who goes back to an older agent: nothing starts with it, nothing is
//! overwritten, and what was guarded stays so.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use knockgate_tests::harness::{Story, story};
use knockgate_tests::scenes::{SSH, Scene, WEB};
use knockgate_tests::{Family, Lab};
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};

pub(crate) fn stories() -> Vec<Story> {
    vec![
        story(
            "an agent does not start with state of a later version, overwrites nothing and says what to do",
            at_start,
        ),
        story(
            "a running agent leaves a roster of a later version alone, and goes on with the one before",
            running,
        ),
    ]
}

/// A file, how it becomes one of a later version, and what then has to stay as it is.
type File = (&'static str, fn(&Path) -> Result<()>, fn(&Path) -> Result<Vec<u8>>);

const FILES: [File; 3] = [
    ("gate.key", next_version, bytes),
    ("roster", next_version, bytes),
    ("state.redb", next_tables, versions_in_tables),
];
/// What the owner is to do.
const REMEDY: [&str; 2] = ["format version", "use the program that wrote it, or a newer one"];

fn at_start(lab: &Lab) -> Result<()> {
    let mut scene = Scene::by_packet(lab, Family::V4, "")?;
    scene.alice.knock_for("ssh", 600)?.expect(0)?;
    scene.gate.stop()?;
    for (name, to_come, content) in FILES {
        let file = lab.path("state").join(name);
        let ours = std::fs::read(&file)?;
        to_come(&file)?;
        let theirs = content(&file)?;

        scene.gate.tell(&["run"])?.expect(1)?.complains_of(&REMEDY)?.complains_of(&[name])?;
        scene.gate.tell(&["check"])?.expect(1)?.complains_of(&REMEDY)?;

        ensure!(content(&file)? == theirs, "{name} was overwritten");
        scene.must_be_open(&lab.client, SSH)?;
        scene.must_be_shut(&lab.client, WEB)?;
        scene.must_be_shut(&lab.stranger, SSH)?;
        std::fs::write(&file, ours)?;
    }
    scene.gate.start()?;
    scene.alice.knock("web")?.expect(0)?;
    scene.must_be_open(&lab.client, WEB)
}

fn running(lab: &Lab) -> Result<()> {
    let mut scene = Scene::by_packet(lab, Family::V4, "")?;
    let file = lab.path("state").join("roster");
    let ours = std::fs::read(&file)?;
    next_version(&file)?;
    let theirs = std::fs::read(&file)?;
    scene.gate.wait_for_log("the roster was changed and cannot be used, the old one stays", 0)?;

    scene.gate.tell(&["client", "remove", "alice"])?.expect(1)?.complains_of(&REMEDY)?;

    ensure!(std::fs::read(&file)? == theirs, "it was overwritten");
    scene.alice.knock("ssh")?.expect(0)?;
    scene.must_be_open(&lab.client, SSH)?;
    std::fs::write(&file, ours)?;
    scene.gate.enrol("bob", &["ssh"], &[])?;
    scene.must_be_healthy()
}

/// Behind the mark of four bytes there is the version. Whoever does not know it reads no further.
fn next_version(file: &Path) -> Result<()> {
    let mut content = std::fs::read(file)?;
    *content.get_mut(4).context("a file that is too short")? += 1;
    // A replacement of the same length within the clock's resolution would not be seen.
    content.push(0);
    Ok(std::fs::write(file, content)?)
}

fn bytes(file: &Path) -> Result<Vec<u8>> {
    Ok(std::fs::read(file)?)
}

/// The store has its version in a row, of which there is one.
const GATE: TableDefinition<'_, u32, [u8; 16]> = TableDefinition::new("gate");

fn next_tables(file: &Path) -> Result<()> {
    let database = Database::open(file)?;
    let transaction = database.begin_write()?;
    {
        let mut table = transaction.open_table(GATE)?;
        let newest = table.last()?.map(|(version, gate)| (version.value(), gate.value()));
        let (version, gate) = newest.context("the store has no version")?;
        table.remove(version)?;
        table.insert(version + 1, gate)?;
    }
    Ok(transaction.commit()?)
}

/// Whoever opens a store leaves marks of that in its file, and none in its tables.
fn versions_in_tables(file: &Path) -> Result<Vec<u8>> {
    let database = Database::open(file)?;
    let table = database.begin_read()?.open_table(GATE)?;
    let versions = table.iter()?.map(|row| row.map(|(version, _)| version.value().to_ne_bytes()));
    Ok(versions.collect::<Result<Vec<_>, _>>()?.concat())
}
