//! A real client in a lab: `knockgate` on some host, with a folder of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::Value;

use crate::capture::Capture;
use crate::programs::{self, Log, Running, Said};
use crate::{Host, Lab, packets};

/// `knockgate` as one person on one host uses it.
pub struct Client<'lab> {
    lab: &'lab Lab,
    host: &'lab Host,
    name: String,
    home: PathBuf,
}

impl<'lab> Client<'lab> {
    /// Somebody who has never used the client: his folder is not even there.
    pub fn new(lab: &'lab Lab, host: &'lab Host, name: &str) -> Self {
        Self { lab, host, name: name.to_owned(), home: lab.path(&format!("home-{name}")) }
    }

    /// Somebody who has taken a profile under his own name. At a gate that hears no packet knocks he knocks as in the paper,
    /// and not in one message over TCP.
    pub fn with_profile(lab: &'lab Lab, host: &'lab Host, name: &str, profile: &Path) -> Result<Self> {
        let client = Self::new(lab, host, name);
        client.import(profile)?.expect(0)?;
        if packets::profile(profile)?.packet_ports.is_none() {
            std::fs::write(client.home.join("config"), "Via sequence\n")?;
        }
        Ok(client)
    }

    pub fn import(&self, profile: &Path) -> Result<Said> {
        let profile = profile.display().to_string();
        self.tell(&["enroll", &profile, "--name", &self.name])
    }

    /// Knocks for a service and waits for the end.
    pub fn knock(&self, service: &str) -> Result<Said> {
        self.tell(&["knock", &self.name, service])
    }

    /// Knocks for a service to be open for some seconds.
    pub fn knock_for(&self, service: &str, seconds: u32) -> Result<Said> {
        self.tell(&["knock", &self.name, service, "--seconds", &seconds.to_string()])
    }

    /// Begins to knock a sequence and does not wait.
    pub fn begin_to_knock(&self, service: &str) -> Result<(Running, Log)> {
        self.begin(&["knock", &self.name, service, "--via", "sequence"])
    }

    /// Starts a command and does not wait.
    pub fn begin(&self, arguments: &[&str]) -> Result<(Running, Log)> {
        let log = self.lab.log(&format!("knockgate of {}", self.name));
        let running = Running::start(&mut self.command(arguments)?, &log)?;
        Ok((running, log))
    }

    /// The same, and the answer to `--json`; the command must end with this exit status.
    pub fn report(&self, arguments: &[&str], code: i32) -> Result<Value> {
        self.tell(&[arguments, &["--json"]].concat())?.expect(code)?.json()
    }

    /// A command line with `--json` that is answered so soon that the client does not ask twice, and what was on the wire
    /// meanwhile. It is repeated until it is.
    pub fn at_once(&self, arguments: &[&str]) -> Result<(Said, Capture)> {
        const ASKS_AGAIN: Duration = Duration::from_millis(750);
        for _ in 0..5 {
            let capture = Capture::on(self.host)?;
            let said = self.tell(&[arguments, &["--json"]].concat())?;
            let took = said.json()?["elapsed_ms"].as_u64().map(Duration::from_millis);
            if took.is_some_and(|took| took < ASKS_AGAIN) {
                return Ok((said, capture));
            }
        }
        bail!("`knockgate {}` was not answered within {ASKS_AGAIN:?}", arguments.join(" "))
    }

    pub fn status(&self) -> Result<Said> {
        self.tell(&["status", &self.name])
    }

    /// Any command line of `knockgate`, whatever it says.
    pub fn tell(&self, arguments: &[&str]) -> Result<Said> {
        Said::by(&mut self.command(arguments)?)
    }

    /// A command line of `knockgate` that is yet to be started.
    pub fn command(&self, arguments: &[&str]) -> Result<Command> {
        self.command_through(&[], arguments)
    }

    /// A command line of `knockgate` that another program starts.
    pub fn command_through(&self, program: &[&str], arguments: &[&str]) -> Result<Command> {
        let knockgate = programs::ours("knockgate")?;
        let mut command = match program {
            [] => self.host.command(knockgate),
            [first, rest @ ..] => {
                let mut command = self.host.command(first);
                command.args(rest).arg(knockgate);
                command
            }
        };
        command.env("KNOCKGATE_HOME", &self.home).args(arguments);
        Ok(command)
    }

    pub fn host(&self) -> &'lab Host {
        self.host
    }

    /// Where this client keeps its profiles.
    pub fn home(&self) -> &Path {
        &self.home
    }
}
