//! `knockgated gateway image`: the signed site image, which a gateway gets by cable or over its console.
//!
//! Everything that could be wrong with it is found before a serial number is used up, and most of it before the key is asked for.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::Context;
use knockgate_core::site::SIGNATURE_LEN;

use super::site::Site;
use super::{Existing, grouped, key, signed};
use crate::admin::{SetUp, check, counted, moment};
use crate::state::{RosterFile, SiteSerial, site_serial};

/// What was asked for.
pub struct Request {
    pub out: PathBuf,
    /// The owner's secret key.
    pub key: PathBuf,
    pub passphrase_file: Option<PathBuf>,
    /// A number instead of the next.
    pub serial: Option<u32>,
    pub existing: Existing,
}

/// Makes and signs the image.
pub fn run(config: &std::path::Path, request: &Request) -> anyhow::Result<String> {
    let (gate, roster) = load(config)?;
    let mut site = site(&gate, &roster)?;
    super::refuse_to_overwrite(&request.out, request.existing)?;
    let key = key::secret(&request.key, request.passphrase_file.as_deref())?;
    // A trial: no number is used up for what cannot be written or signed.
    signed::sign(site.write()?, &key)?;

    let serial = SiteSerial::begin(&gate.dir)?;
    site.head.serial = serial.take(request.serial)?;
    let (image, owner) = signed::sign(site.write()?, &key)?;
    super::write(&request.out, &image, request.existing)
        .with_context(|| format!("image {} was not written; its number is used up", site.head.serial))?;

    let mut text = summary(&gate, &roster, &site, image.len());
    writeln!(text, "signed    by key {}", key::name(owner.key_id))?;
    writeln!(
        text,
        "{} holds the gate's keys: whoever reads it can pretend to be the gate.\n\
         Next: for a new board, `knockgated gateway flash-file` makes what is written with the cable; one that runs takes it from \
         `knockgate console update`.",
        request.out.display()
    )?;
    Ok(text)
}

/// Says what an image would hold. Nothing is written and no number used up.
pub fn preview(config: &std::path::Path) -> anyhow::Result<String> {
    let (gate, roster) = load(config)?;
    let mut site = site(&gate, &roster)?;
    site.head.serial = site_serial::last(&gate.dir)?.saturating_add(1);
    let length = site.write()?.len() + SIGNATURE_LEN;
    Ok(summary(&gate, &roster, &site, length))
}

fn load(config: &std::path::Path) -> anyhow::Result<(SetUp, RosterFile)> {
    let gate = SetUp::load(config)?;
    let roster = RosterFile::load(&gate.dir)?;
    Ok((gate, roster))
}

fn site(gate: &SetUp, roster: &RosterFile) -> anyhow::Result<Site> {
    let now = moment::now()
        .context("the clock of this machine is not set; set it, since an image says when it was made")?;
    Site::of(gate, roster, now)
}

fn summary(gate: &SetUp, roster: &RosterFile, site: &Site, length: usize) -> String {
    let (head, config) = (&site.head, &gate.config);
    let clients: Vec<_> = roster.clients().iter().map(|client| client.name.as_str()).collect();
    let services: Vec<_> = config.services.iter().map(check::service_line).collect();
    let policies: Vec<_> = config.policy.chain.iter().map(knockgate_core::Name::as_str).collect();
    let named = if clients.is_empty() { "nobody can knock".to_owned() } else { clients.join(", ") };
    format!(
        "image     {} of site {}, {} bytes\nclients   {}: {named}\nservices  {}\npolicies  {}, in this order\n",
        head.serial,
        head.name,
        grouped(length),
        counted(clients.len(), "client"),
        services.join("\n          "),
        policies.join(", "),
    )
}
