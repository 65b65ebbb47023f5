//! Files that were damaged, exchanged, cut short or left open to others.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use knockgate_tests::Lab;
use knockgate_tests::clients::Client;
use knockgate_tests::gates::{Configuration, Gate};
use knockgate_tests::harness::{Story, story};

pub(crate) fn stories() -> Vec<Story> {
    vec![
        story("a damaged book is refused and enrols nobody", damaged_book),
        story("a truncated book is refused and enrols nobody", truncated_book),
        story("a foreign book is refused and enrols nobody", foreign_book),
        story("a profile is no book and a book is no profile", exchanged),
        story("a book is not overwritten", book_not_overwritten),
        story("a damaged profile is refused and not stored", damaged_profile),
        story("a truncated profile is refused at every length and not stored", truncated_profile),
        story("a profile that others can read is refused", readable_profile),
        story("a stored profile that others can read is refused", readable_stored_profile),
        story("a client name that exists is refused and the old client stays", existing_client),
        story("an unknown service is refused and enrols nobody", unknown_service),
        story("a missing policy file is named and the gate does not come up", missing_policy),
        story("a policy that is not the pinned one is refused", wrong_pin),
        story("a policy that is no module is refused", policy_is_no_module),
    ]
}

fn gate(lab: &Lab) -> Result<Gate<'_>> {
    Gate::configured(lab, &Configuration::bare(lab, "10.77.1.2").with_services())
}

fn new_book(gate: &Gate<'_>, lab: &Lab) -> Result<PathBuf> {
    let book = lab.path("shared.book");
    gate.tell(&["book", "new", &book.display().to_string()])?.expect(0)?;
    Ok(book)
}

/// Showing and enrolling both refuse the book by name, and the roster stays empty.
fn must_be_refused(gate: &Gate<'_>, book: &Path) -> Result<()> {
    let name = book.display().to_string();
    gate.tell(&["book", "show", &name])?.expect(1)?.complains_of(&[&name])?;
    let out = format!("{name}.out.kgp");
    let added = ["client", "add", "alice", "--service", "ssh", "--book", &name, "--out", &out];
    gate.tell(&added)?.expect(1)?.complains_of(&[&name])?;
    ensure!(!Path::new(&out).exists(), "a profile was written all the same");
    let roster = gate.tell(&["client", "list"])?.expect(0)?;
    ensure!(!roster.out.contains("alice"), "half enrolled: {roster}");
    Ok(())
}

fn damaged_book(lab: &Lab) -> Result<()> {
    let gate = gate(lab)?;
    let book = new_book(&gate, lab)?;
    let whole = std::fs::read(&book)?;
    for position in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[position] ^= 0x01;
        std::fs::write(&book, &bytes)?;
        let name = book.display().to_string();
        gate.tell(&["book", "show", &name])?.expect(1)?.complains_of(&[&name])?;
    }
    must_be_refused(&gate, &book)
}

fn truncated_book(lab: &Lab) -> Result<()> {
    let gate = gate(lab)?;
    let book = new_book(&gate, lab)?;
    let whole = std::fs::read(&book)?;
    std::fs::write(&book, &whole[..whole.len() / 2])?;
    must_be_refused(&gate, &book)?;
    std::fs::write(&book, b"")?;
    must_be_refused(&gate, &book)
}

fn foreign_book(lab: &Lab) -> Result<()> {
    let gate = gate(lab)?;
    let book = lab.path("foreign.book");
    std::fs::write(&book, "port,sequence\n7000,8000,9000\n")?;
    std::fs::set_permissions(&book, std::fs::Permissions::from_mode(0o600))?;
    must_be_refused(&gate, &book)
}

fn exchanged(lab: &Lab) -> Result<()> {
    let gate = gate(lab)?;
    let book = new_book(&gate, lab)?;
    let profile = gate.enrol("bob", &["ssh"], &[])?;
    must_be_refused(&gate, &profile)?;
    let client = Client::new(lab, &lab.client, "home");
    client.import(&book)?.expect(1)?.complains_of(&["book", "profile"])?;
    must_have_no_profile(&client)
}

fn book_not_overwritten(lab: &Lab) -> Result<()> {
    let gate = gate(lab)?;
    let book = new_book(&gate, lab)?;
    let before = std::fs::read(&book)?;
    let name = book.display().to_string();
    gate.tell(&["book", "new", &name])?.expect(1)?.complains_of(&[&name])?;
    ensure!(std::fs::read(&book)? == before, "the book was changed");
    Ok(())
}

fn must_have_no_profile(client: &Client<'_>) -> Result<()> {
    let stored = client.home().join("profiles").join("home.kgp");
    ensure!(!stored.exists(), "{} was stored all the same", stored.display());
    client.status()?.expect(1)?.complains_of(&["home", "enroll"])?;
    Ok(())
}

fn damaged_profile(lab: &Lab) -> Result<()> {
    let gate = gate(lab)?;
    let profile = gate.enrol("alice", &["ssh"], &[])?;
    let whole = std::fs::read(&profile)?;
    let client = Client::new(lab, &lab.client, "home");
    for position in [0, 1, whole.len() / 2, whole.len() - 1] {
        let mut bytes = whole.clone();
        bytes[position] ^= 0x01;
        std::fs::write(&profile, &bytes)?;
        client.import(&profile)?.expect(1)?.complains_of(&["alice.kgp"])?;
    }
    must_have_no_profile(&client)
}

fn truncated_profile(lab: &Lab) -> Result<()> {
    let gate = gate(lab)?;
    let profile = gate.enrol("alice", &["ssh"], &[])?;
    let whole = std::fs::read(&profile)?;
    let client = Client::new(lab, &lab.client, "home");
    for length in 0..whole.len() {
        std::fs::write(&profile, &whole[..length])?;
        client.import(&profile)?.expect(1)?.complains_of(&["alice.kgp"])?;
    }
    must_have_no_profile(&client)
}

fn readable_profile(lab: &Lab) -> Result<()> {
    let gate = gate(lab)?;
    let profile = gate.enrol("alice", &["ssh"], &[])?;
    let mode = profile.metadata()?.permissions().mode() & 0o777;
    ensure!(mode == 0o600, "the gate wrote a profile with mode {mode:o}");
    std::fs::set_permissions(&profile, std::fs::Permissions::from_mode(0o644))?;
    let client = Client::new(lab, &lab.client, "home");
    client.import(&profile)?.expect(1)?.complains_of(&["alice.kgp", "chmod 600"])?;
    must_have_no_profile(&client)
}

fn readable_stored_profile(lab: &Lab) -> Result<()> {
    let gate = gate(lab)?;
    let profile = gate.enrol("alice", &["ssh"], &[])?;
    let client = Client::with_profile(lab, &lab.client, "home", &profile)?;
    let stored = client.home().join("profiles").join("home.kgp");
    std::fs::set_permissions(&stored, std::fs::Permissions::from_mode(0o640))?;
    client.knock("ssh")?.expect(1)?.complains_of(&["home.kgp", "chmod 600"])?;
    Ok(())
}

fn existing_client(lab: &Lab) -> Result<()> {
    let gate = gate(lab)?;
    gate.enrol("alice", &["ssh"], &[])?;
    let before = gate.tell(&["client", "list", "--json"])?.expect(0)?.out;
    let second = lab.path("second.kgp").display().to_string();
    gate.tell(&["client", "add", "alice", "--service", "web", "--out", &second])?
        .expect(1)?
        .complains_of(&["alice"])?;
    ensure!(!Path::new(&second).exists(), "a profile was written all the same");
    ensure!(gate.tell(&["client", "list", "--json"])?.expect(0)?.out == before, "the roster was changed");
    Ok(())
}

fn unknown_service(lab: &Lab) -> Result<()> {
    let gate = gate(lab)?;
    let out = lab.path("alice.kgp").display().to_string();
    let said = gate.tell(&["client", "add", "alice", "--service", "sshh", "--out", &out])?;
    ensure!(said.code != Some(0), "{said}");
    said.complains_of(&["sshh"])?;
    ensure!(!Path::new(&out).exists(), "a profile was written all the same");
    let roster = gate.tell(&["client", "list"])?.expect(0)?;
    ensure!(!roster.out.contains("alice"), "half enrolled: {roster}");
    Ok(())
}

/// A gate whose policy cannot be loaded says so and changes nothing.
fn must_not_come_up(lab: &Lab, policy: &str, words: &[&str]) -> Result<()> {
    let text = format!(
        "[policy]\nchain = [\"mine\"]\n[policy-module.mine]\n{policy}\nservices = [\"ssh\"]\ncapabilities = [\"open\"]"
    );
    let gate = Gate::configured(lab, &Configuration::bare(lab, "10.77.1.2").with_services().with(&text))?;
    for command in ["check", "run"] {
        gate.tell(&[command])?.expect(1)?.complains_of(words)?;
    }
    ensure!(lab.gate.nft_ruleset()?.is_empty(), "a gate that did not come up left rules behind");
    Ok(())
}

fn missing_policy(lab: &Lab) -> Result<()> {
    let file = lab.path("missing.wasm").display().to_string();
    must_not_come_up(lab, &format!("file = \"{file}\""), &[&file])
}

fn wrong_pin(lab: &Lab) -> Result<()> {
    let file = lab.path("policy.wasm");
    std::fs::write(&file, wat::parse_str("(module)")?)?;
    let pin = "0".repeat(64);
    must_not_come_up(
        lab,
        &format!("file = \"{}\"\nsha256 = \"{pin}\"", file.display()),
        &["policy.wasm", "sha256"],
    )
}

fn policy_is_no_module(lab: &Lab) -> Result<()> {
    let file = lab.path("policy.wasm");
    std::fs::write(&file, "#!/bin/sh\nexit 0\n")?;
    must_not_come_up(lab, &format!("file = \"{}\"", file.display()), &["policy.wasm"])
}
