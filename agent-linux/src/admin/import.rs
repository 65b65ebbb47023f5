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

use std::path::{Path, PathBuf};

use anyhow::Context;

use self::draft::Draft;
use self::finding::Findings;
use super::init::{WorkersUser, worker_of};
use crate::config::{Config, DEFAULT_PATH, value};
use crate::state::private_file;

/// What is wanted beside the old configuration.
pub struct Request {
    /// What clients dial; the name of this host if it is not given.
    pub address: Option<String>,
    /// The file to make; none if the configuration is to be shown.
    pub write: Option<PathBuf>,
    /// As for a configuration that `init` writes.
    pub worker: WorkersUser,
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
    let config = draft.check().with_context(nothing)?;
    let text = draft.text();
    let Some(path) = &request.write else {
        let report = format!("{}{findings}{}", draft.summary(), draft.next_steps(DEFAULT_PATH.as_ref()));
        return Ok(Imported { configuration: Some(text), report });
    };
    let path = std::path::absolute(path)?;
    write(&path, &text, &config).context("nothing was written")?;
    let report =
        format!("{} is ready\n{}{findings}{}", path.display(), draft.summary(), draft.next_steps(&path));
    Ok(Imported { configuration: None, report })
}

/// The new file, for root and for whoever the agent is to be.
fn write(path: &Path, text: &str, config: &Config) -> anyhow::Result<()> {
    let user = worker_of(config)?;
    private_file::create(path, text.as_bytes())?;
    let Some(user) = user else { return Ok(()) };
    user.let_read(path).inspect_err(|_| {
        // It is this very call's. If it cannot be taken away, the next import says that it is there.
        let _ = std::fs::remove_file(path);
    })
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::confine::User;

    #[test]
    fn what_is_written_can_be_read_by_the_user_that_the_agent_will_be_and_changed_by_root_alone() {
        let folder = tempfile::tempdir().unwrap();
        let [probe, made, refused] =
            ["probe", "agent.toml", "other.toml"].map(|name| folder.path().join(name));
        std::fs::write(&probe, "").unwrap();
        // Only root can give a group away, and in a sandbox not even root.
        let Ok(()) = User::named("nobody").and_then(|user| user.let_read(&probe)) else { return };
        let text = |user| {
            format!(
                "[gate]\naddress = \"gate.example\"\nstate-dir = \"/s\"\naudit-log = \"/l\"\n[process]\nseparate = true\nuser = \"{user}\"\n\
                 [service.ssh]\nid = 1\nprotocol = \"tcp\"\nports = [22]\n"
            )
        };
        let write = |path: &Path, user| {
            let text = text(user);
            write(path, &text, &Config::parse(path, &text).unwrap())
        };

        write(&made, "nobody").unwrap();
        let (probe, file) = (probe.metadata().unwrap(), made.metadata().unwrap());
        assert_eq!((file.uid(), file.gid(), file.mode() & 0o7777), (0, probe.gid(), 0o640));

        assert!(write(&refused, "nobody-is-called-so").unwrap_err().to_string().contains("useradd"));
        assert!(!refused.exists());
    }
}
