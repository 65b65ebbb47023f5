//! `knockgated import`: a configuration made of that of knockd or fwknop, and a list of what it does not carry over.
//!
//! What is made has passed the agent's own reader before anything is written, and it is written whole or not at all. What does
//! not come along is told by file and line, with the reason and what to do instead. Nothing of the old configuration is run, and
//! none of its keys and passwords is read further than to see that it is there, so none can appear in what is made or said.
//! Commands are told by the name of their program alone, for their arguments may hold a password, too.

mod command;
mod draft;
mod finding;
pub mod fwknop;
pub mod knockd;
mod names;
mod source;

use std::path::PathBuf;

use anyhow::Context;

use self::draft::Draft;
use self::finding::Findings;
use crate::config::{DEFAULT_PATH, value};
use crate::state::private_file;

/// What is wanted beside the old configuration.
pub struct Request {
    /// What clients dial; the name of this host if it is not given.
    pub address: Option<String>,
    /// The file to make; none if the configuration is to be shown.
    pub write: Option<PathBuf>,
}

/// What has come of it.
pub struct Imported {
    /// Unless it was written to a file.
    pub configuration: Option<String>,
    pub report: String,
}

/// Where the kernel tells the name of this host.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";
/// Dialled by nobody, for a host without a name that could be.
const NO_NAME: &str = "gate.example";

/// The configuration of a draft whose doors and services are all good.
fn finish(draft: &mut Draft, findings: Findings, request: &Request) -> anyhow::Result<Imported> {
    let nothing = || format!("{findings}nothing was written");
    draft.check().with_context(nothing)?;
    let text = draft.text();
    let Some(path) = &request.write else {
        let report = format!("{}{findings}{}", draft.summary(), draft.next_steps(DEFAULT_PATH.as_ref()));
        return Ok(Imported { configuration: Some(text), report });
    };
    let path = std::path::absolute(path)?;
    private_file::create(&path, text.as_bytes()).context("nothing was written")?;
    let report =
        format!("{} is ready\n{}{findings}{}", path.display(), draft.summary(), draft.next_steps(&path));
    Ok(Imported { configuration: None, report })
}

/// What clients dial, and what to say if nobody has said it.
fn address(request: &Request, findings: &mut Findings) -> String {
    if let Some(address) = &request.address {
        return address.clone();
    }
    let host = std::fs::read_to_string(HOST_NAME).unwrap_or_default();
    let host = host.trim();
    let address = if value::address(host).is_ok() { host } else { NO_NAME };
    findings.check_this(format!(
        "gate.address is {address:?}, because nobody has said by what name clients dial this host; say --address HOST"
    ));
    address.to_owned()
}
