//! A real client in a lab: `knockgate` on some host, with a folder of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::programs::{self, Log, Running, Said};
use crate::{Host, Lab};

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

    /// Somebody who has imported a profile under his own name.
    pub fn with_profile(lab: &'lab Lab, host: &'lab Host, name: &str, profile: &Path) -> Result<Self> {
        let client = Self::new(lab, host, name);
        client.import(profile)?.expect(0)?;
        Ok(client)
    }

    pub fn import(&self, profile: &Path) -> Result<Said> {
        let profile = profile.display().to_string();
        self.tell(&["import", &profile, "--name", &self.name])
    }

    /// Knocks for a service and waits for the end.
    pub fn knock(&self, service: &str) -> Result<Said> {
        self.tell(&["knock", &self.name, service])
    }

    /// Knocks for a service to be open for some seconds.
    pub fn knock_for(&self, service: &str, seconds: u32) -> Result<Said> {
        self.tell(&["knock", &self.name, service, "--seconds", &seconds.to_string()])
    }

    /// Begins to knock and does not wait.
    pub fn begin_to_knock(&self, service: &str) -> Result<(Running, Log)> {
        let log = self.lab.log(&format!("knockgate of {}", self.name));
        let running = Running::start(&mut self.command(&["knock", &self.name, service])?, &log)?;
        Ok((running, log))
    }

    pub fn status(&self) -> Result<Said> {
        self.tell(&["status", &self.name])
    }

    /// Any command line of `knockgate`, whatever it says.
    pub fn tell(&self, arguments: &[&str]) -> Result<Said> {
        Said::by(&mut self.command(arguments)?)
    }

    pub fn host(&self) -> &'lab Host {
        self.host
    }

    /// Where this client keeps its profiles.
    pub fn home(&self) -> &Path {
        &self.home
    }

    fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = self.host.command(programs::ours("knockgate")?);
        command.env("KNOCKGATE_HOME", &self.home).args(arguments);
        Ok(command)
    }
}
