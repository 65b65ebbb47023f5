//! The console from afar: the log, how the gateway is, and updates that are taken, refused, or taken back.

use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use knockgate_core::board::QEMU;
use knockgate_tests::harness::{Story, gateway_story};
use knockgate_tests::peers::{Reached, reach};
use knockgate_tests::programs::Said;
use knockgate_tests::scenarios::stage::{Place, Plan, Site};
use knockgate_tests::scenes::SSH;
use knockgate_tests::workshop::KEEPER;
use knockgate_tests::{Family, Lab};
use serde_json::Value;

use super::site;

const REFUSED: i32 = 4;

pub(crate) fn stories() -> Vec<Story> {
    vec![
        gateway_story("the log from afar is what the console prints", log_from_afar),
        gateway_story("the console's port is silent to whoever has not knocked for it", console_is_hidden),
        gateway_story("an update is taken, and what it brings is in force", update_is_taken),
        gateway_story("an update by another owner is refused and nothing changes", another_owner),
        gateway_story("an older image is refused and nothing changes", older_image),
        gateway_story("a damaged image is refused and nothing changes", damaged_image),
        gateway_story("an image that does not come up is given up for the one before", rolled_back),
        gateway_story(
            "an image that loses power at its first start is taken or given up, and the gate comes up",
            power_lost,
        ),
    ]
}

fn log_from_afar(lab: &Lab) -> Result<()> {
    let mut site = site(lab, &Plan::by_packet())?;
    site.client("alice")?.knock("ssh")?.expect(0)?;
    site.wait_for_audit("the grant", |record| record["event"] == "grant-opened")?;

    let (_, workshop, _) = site.gateway()?;
    let said = workshop.keeper.tell(&["log", "--remote", KEEPER])?.expect(0)?;

    let records: Result<Vec<Value>, _> = said.out.lines().map(serde_json::from_str).collect();
    let records = records.with_context(|| format!("not JSON: {said}"))?;
    let printed = site.audit()?;
    ensure!(records.len() >= 4, "{said}");
    for record in &records {
        ensure!(printed.contains(record), "the console has not printed {record}");
    }
    let of_alice =
        |event: &str| records.iter().any(|record| record["event"] == event && record["client"] == "alice");
    for event in ["packet-knock", "decision", "grant-opened"] {
        ensure!(of_alice(event), "no {event} of alice in the log: {said}");
    }
    let (_, workshop, _) = site.gateway()?;
    let status = workshop.keeper.tell(&["console", "status", KEEPER])?.expect(0)?;
    println!("{}", status.out.trim());
    ensure!(status.out.contains("image 1"), "{status}");
    Ok(())
}

fn console_is_hidden(lab: &Lab) -> Result<()> {
    let mut site = site(lab, &Plan::by_packet())?;
    let console = lab.gate.at(Family::V4, knockgate_tests::gates::CONSOLE);
    for host in [&lab.net, &lab.client, &lab.stranger] {
        let reached = reach(host, console)?;
        ensure!(reached == Reached::Silence, "{host:?} at the console: {reached:?}");
    }
    let (_, workshop, _) = site.gateway()?;
    workshop.keeper.tell(&["console", "status", KEEPER])?.expect(0)?;
    let reached = reach(&lab.stranger, console)?;
    ensure!(reached == Reached::Silence, "a stranger at the console: {reached:?}");
    Ok(())
}

fn update_is_taken(lab: &Lab) -> Result<()> {
    let mut site = site(lab, &Plan::by_packet())?;
    site.client("alice")?.knock("ssh")?.expect(0)?;
    site.enrol("bob", Place::Visitor, &["ssh"], &[])?;
    in_force(&mut site, "image 2 in slot B")?;
    ensure!(site.reached(Place::Client, SSH)? == Reached::Silence, "a grant has outlived the restart");
    for who in ["alice", "bob"] {
        site.client(who)?.knock("ssh")?.expect(0)?;
    }
    site.enrol("carol", Place::Stranger, &["ssh"], &[])?;
    in_force(&mut site, "image 3 in slot A")?;
    site.client("carol")?.knock("ssh")?.expect(0)?;
    site.is_healthy()
}

/// The last "gate up" is of this image.
fn in_force(site: &mut Site<'_>, image: &str) -> Result<()> {
    let (gateway, ..) = site.gateway()?;
    let said = gateway.said();
    let last = said.lines().rfind(|line| line.contains("gate up")).unwrap_or_default();
    ensure!(last.contains(image), "not {image} is in force: {last}");
    Ok(())
}

fn sent(site: &mut Site<'_>, image: &Path) -> Result<Said> {
    let image = image.display().to_string();
    let (_, workshop, _) = site.gateway()?;
    workshop.keeper.tell(&["console", "update", KEEPER, &image])
}

/// Sends what must be refused; then everything is as it was, also after a restart.
fn is_refused(mut site: Site<'_>, image: &Path, words: &str) -> Result<()> {
    sent(&mut site, image)?.expect(REFUSED)?.complains_of(&[words])?;
    site.client("alice")?.knock("ssh")?.expect(0)?;
    site.restart()?;
    in_force(&mut site, "image 1 in slot A")?;
    site.client("alice")?.knock("ssh")?.expect(0)?;
    site.is_healthy()
}

fn another_owner(lab: &Lab) -> Result<()> {
    let mut site = site(lab, &Plan::by_packet())?;
    let (_, workshop, office) = site.gateway()?;
    workshop.make_key("thief")?;
    let image = workshop.image_by("thief", office)?;
    is_refused(site, &image, "owner")
}

fn older_image(lab: &Lab) -> Result<()> {
    let mut site = site(lab, &Plan::by_packet())?;
    // What the gateway was made with.
    let first = kept(lab, "site.kgi")?;
    let same = sent(&mut site, &first)?;
    same.expect(REFUSED)?.complains_of(&["not newer"])?;
    in_force(&mut site, "image 1 in slot A")
}

/// A copy under another name: the next image is written over it.
fn kept(lab: &Lab, name: &str) -> Result<PathBuf> {
    let copy = lab.path("kept.kgi");
    std::fs::copy(lab.path(name), &copy)?;
    Ok(copy)
}

fn damaged_image(lab: &Lab) -> Result<()> {
    let mut site = site(lab, &Plan::by_packet())?;
    let (_, workshop, office) = site.gateway()?;
    let image = workshop.image(office)?;
    let mut bytes = std::fs::read(&image)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let damaged = lab.path("damaged.kgi");
    // A file with secrets is not for everybody's eyes, damaged or not.
    std::fs::copy(&image, &damaged)?;
    std::fs::write(&damaged, bytes)?;
    is_refused(site, &damaged, "signature")
}

/// The image is checked when it has arrived, so it is good then. What damages the flash is not the update's fault.
fn rolled_back(lab: &Lab) -> Result<()> {
    let mut site = with_a_new_image_that_never_started(lab)?;
    let (gateway, ..) = site.gateway()?;
    let at = QEMU.slots[1].start + 100;
    let mut flash = std::fs::OpenOptions::new().write(true).open(lab.path("flash.bin"))?;
    flash.seek(SeekFrom::Start(at.into()))?;
    flash.write_all(&[0; 4])?;

    gateway.start()?;

    in_force(&mut site, "image 1 in slot A")?;
    site.client("alice")?.knock("ssh")?.expect(0)?;
    site.restart()?;
    in_force(&mut site, "image 1 in slot A")
}

fn power_lost(lab: &Lab) -> Result<()> {
    let mut site = with_a_new_image_that_never_started(lab)?;
    let (gateway, ..) = site.gateway()?;
    // It says its version, and writes down that the image is on trial, some time before the gate is up.
    gateway.start_until("knockgate gateway")?;
    gateway.cut_power()?;
    gateway.start()?;
    let came_up = gateway.said().matches("image 2 in slot B").count() > 0;
    in_force(&mut site, if came_up { "image 2 in slot B" } else { "image 1 in slot A" })?;
    site.client("alice")?.knock("ssh")?.expect(0)?;
    site.is_healthy()
}

/// The gateway has taken an update and is off.
fn with_a_new_image_that_never_started(lab: &Lab) -> Result<Site<'_>> {
    let mut site = site(lab, &Plan::by_packet())?;
    let (gateway, ..) = site.gateway()?;
    gateway.cut_power()?;
    // What would be a restart ends QEMU.
    gateway.set_options(&["-no-reboot"]);
    gateway.start()?;
    let (_, workshop, office) = site.gateway()?;
    let image = workshop.image(office)?;
    sent(&mut site, &image)?.expect(0)?;
    let (gateway, ..) = site.gateway()?;
    gateway.wait_for_its_end()?;
    gateway.set_options(&[]);
    Ok(site)
}
