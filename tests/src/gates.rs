//! A real gate in a lab: its configuration, its process, its commands, its audit log.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::clocks::Clock;
use crate::programs::{self, Log, Running, Said};
use crate::{Family, Lab, waiting};

/// From start to "gate up": loading a rule set, compiling policies on a busy machine, and with them the runtime of a language.
const START: Duration = Duration::from_secs(60);
/// For what must come, on a busy machine. Only a test that fails waits so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where clients ask, unless a configuration says otherwise.
pub const CENTRAL: u16 = 62201;
/// A gateway's console, for whom it is open.
pub const CONSOLE: u16 = 62299;

/// Text of an `agent.toml`, built up by a test.
#[derive(Debug, Clone)]
pub struct Configuration {
    text: String,
    file: PathBuf,
}

impl Configuration {
    /// The paper's gate: its own section with everything in the lab's folder, a central port, no packet knocks; no
    /// service yet.
    pub fn bare(lab: &Lab, address: &str) -> Self {
        Self::own_section(lab, address).with("[central]").with("[packet]\nmode = \"off\"")
    }

    /// A gate that hears packet knocks as it does by default, and has no central port; no service yet.
    pub fn for_packets(lab: &Lab, address: &str) -> Self {
        Self::own_section(lab, address)
    }

    /// A gateway that hears packet knocks as it does by default, and has no central port; no service yet. The console is for
    /// whoever keeps the site.
    pub fn for_gateway(lab: &Lab, address: &str) -> Self {
        let text = format!(
            "[gate]\naddress = \"{address}\"\nstate-dir = \"{}\"\n\n[gateway]\nname = \"lab\"\n\
             ipv4 = \"{}/24\"\nrouter-v4 = \"10.77.1.1\"\nipv6 = \"{}/64\"\nrouter-v6 = \"fd77:1::1\"\n\n\
             [gateway.console]\nid = 9\nport = {CONSOLE}\n",
            lab.path("state").display(),
            lab.gate.ip(Family::V4),
            lab.gate.ip(Family::V6),
        );
        Self { text, file: lab.path("agent.toml") }
    }

    /// Every service is one of the inner host.
    pub fn with_hosts(mut self, lab: &Lab) -> Result<Self> {
        let hosts = [Family::V4, Family::V6].map(|family| format!("\"{}\"", lab.inner.ip(family))).join(", ");
        let is_service = |line: &&str| line.starts_with("[service.");
        let tables: Vec<String> = self.text.lines().filter(is_service).map(str::to_owned).collect();
        for table in tables {
            self = self.replacing(&format!("{table}\n"), &format!("{table}\nhosts = [{hosts}]\n"))?;
        }
        Ok(self)
    }

    /// What `knockgated import` makes of an old configuration, with everything of it in the lab's folder.
    pub fn imported(lab: &Lab, tool: &str, old: &Path, address: &str) -> Result<Self> {
        let mut import = Command::new(programs::ours("knockgated")?);
        let made = Said::by(import.args(["import", tool, "--address", address]).arg(old))?.expect(0)?.out;
        // The lab's folder is that of whoever plays the story, also on a host that has the agent's user.
        let text = made.replace("\nseparate = true\nuser = \"knockgate\"\n", "\n");
        let [state, audit, control] =
            ["state", "audit.jsonl", "run"].map(|name| lab.path(name).display().to_string());
        Self { text, file: lab.path("agent.toml") }
            .with(&format!("[control]\ndirectory = \"{control}\""))
            .replacing("/var/lib/knockgate", &state)?
            .replacing("/var/log/knockgate/audit.jsonl", &audit)
    }

    fn own_section(lab: &Lab, address: &str) -> Self {
        let text = format!(
            "[gate]\naddress = \"{address}\"\nstate-dir = \"{}\"\naudit-log = \"{}\"\n\n[control]\ndirectory = \"{}\"\n",
            lab.path("state").display(),
            lab.path("audit.jsonl").display(),
            lab.path("run").display()
        );
        Self { text, file: lab.path("agent.toml") }
    }

    /// Two guarded services: ssh on 22 and web on 8080.
    pub fn with_services(self) -> Self {
        self.with("[service.ssh]\nid = 1\nprotocol = \"tcp\"\nports = [22]")
            .with("[service.web]\nid = 2\nprotocol = \"tcp\"\nports = [8080]")
    }

    /// Adds a section or more.
    pub fn with(mut self, toml: &str) -> Self {
        // A table stands in the file once.
        for ours in ["[central]\n", "[packet]\nmode = \"off\"\n"] {
            let head = ours.lines().next().unwrap_or(ours);
            if toml.starts_with(head) {
                self.text = self.text.replace(&format!("\n{ours}"), "\n");
            }
        }
        self.text.push('\n');
        self.text.push_str(toml);
        self.text.push('\n');
        self
    }

    /// Replaces text that must be there.
    pub fn replacing(mut self, old: &str, new: &str) -> Result<Self> {
        if !self.text.contains(old) {
            bail!("the configuration has no {old:?}:\n{}", self.text);
        }
        self.text = self.text.replace(old, new);
        Ok(self)
    }

    /// The number of the first line that contains this text.
    pub fn line_of(&self, text: &str) -> Result<usize> {
        let found = self.text.lines().position(|line| line.contains(text));
        found.map(|index| index + 1).with_context(|| format!("no line with {text:?} in:\n{}", self.text))
    }

    pub fn write(&self) -> Result<&Path> {
        std::fs::write(&self.file, &self.text)?;
        Ok(&self.file)
    }
}

/// `knockgated` on the lab's gate.
pub struct Gate<'lab> {
    lab: &'lab Lab,
    file: PathBuf,
    log: Log,
    agent: PathBuf,
    clock: Option<Clock>,
    running: Option<Running>,
}

impl<'lab> Gate<'lab> {
    /// Makes keys and state with `init`, unless they are there, and writes the configuration; nothing runs yet.
    pub fn configured(lab: &'lab Lab, configuration: &Configuration) -> Result<Self> {
        if !lab.path("state").exists() {
            init(lab)?;
        }
        let file = configuration.write()?.to_path_buf();
        Self::of(lab, file)
    }

    /// A gate whose configuration is there already.
    pub fn existing(lab: &'lab Lab) -> Result<Self> {
        let file = lab.path("agent.toml");
        if !file.exists() {
            bail!("{} is not there", file.display());
        }
        Self::of(lab, file)
    }

    fn of(lab: &'lab Lab, file: PathBuf) -> Result<Self> {
        let agent = programs::ours("knockgated")?;
        Ok(Self { lab, file, log: lab.log("knockgated"), agent, clock: None, running: None })
    }

    /// From its next start on the agent is another program.
    pub fn set_agent(&mut self, program: PathBuf) {
        self.agent = program;
    }

    /// From its next start on the agent has another clock.
    pub fn set_clock(&mut self, clock: &Clock) {
        self.clock = Some(clock.clone());
    }

    /// Starts the agent and waits until it says that the gate is up.
    pub fn start(&mut self) -> Result<()> {
        self.start_through(&[])
    }

    /// The same with another program that starts the agent and becomes it.
    pub fn start_through(&mut self, program: &[&str]) -> Result<()> {
        let seen = self.log.text().len();
        let mut command = self.command_through(program, &["run"])?;
        command.env("RUST_LOG", "info,knockgate_agent=debug,knockgated=debug");
        if let Some(clock) = &self.clock {
            clock.give(&mut command);
        }
        let mut running = Running::start(&mut command, &self.log)?;
        running.wait_for_text("gate up", seen, START)?;
        self.running = Some(running);
        Ok(())
    }

    /// Starts the agent with its own choice of what to log, through another program with its arguments if one is named.
    pub fn start_as_installed(&mut self, through: &[&str]) -> Result<()> {
        let seen = self.log.text().len();
        let mut running = Running::start(&mut self.command_through(through, &["run"])?, &self.log)?;
        running.wait_for_text("gate up", seen, START)?;
        self.running = Some(running);
        Ok(())
    }

    /// Ends the agent as a service manager would.
    pub fn stop(&mut self) -> Result<()> {
        let Some(mut running) = self.running.take() else { bail!("the gate is not running") };
        let ended = running.terminate()?;
        if !ended.success() {
            bail!("after SIGTERM the agent ended with {ended}");
        }
        Ok(())
    }

    /// Waits until the agent stops because it wants to.
    pub fn wait_until_it_stops(&mut self) -> Result<()> {
        let Some(running) = &mut self.running else { bail!("the gate is not running") };
        let ended = running.wait()?;
        self.running = None;
        if !ended.success() {
            bail!("the agent ended by itself with {ended}");
        }
        Ok(())
    }

    /// Waits until a running agent says something after the first `from` bytes of its log.
    pub fn wait_for_log(&self, text: &str, from: usize) -> Result<()> {
        waiting::until_true(&format!("{text:?} in the agent's log"), PATIENCE, || {
            self.log.text().get(from..).is_some_and(|new| new.contains(text))
        })
    }

    /// `kill -9`.
    pub fn kill(&mut self) -> Result<()> {
        let Some(mut running) = self.running.take() else { bail!("the gate is not running") };
        running.kill()
    }

    /// The process's number, for programs that look at it from outside.
    pub fn pid(&self) -> Result<u32> {
        self.running.as_ref().map(Running::pid).context("the gate is not running")
    }

    pub fn is_alive(&mut self) -> bool {
        self.running.as_mut().is_some_and(Running::is_alive)
    }

    /// A command of `knockgated` on this gate, with its configuration, whatever it says.
    pub fn tell(&self, arguments: &[&str]) -> Result<Said> {
        self.tell_through(&[], arguments)
    }

    /// The same with another program that starts it.
    pub fn tell_through(&self, program: &[&str], arguments: &[&str]) -> Result<Said> {
        Said::by(&mut self.command_through(program, arguments)?)
    }

    /// Enrols a client for some services; more options as given. Returns its profile, once a running agent has noticed.
    pub fn enrol(&self, client: &str, services: &[&str], more: &[&str]) -> Result<PathBuf> {
        let profile = self.lab.path(&format!("{client}.kgp"));
        let out = profile.display().to_string();
        let mut arguments = vec!["client", "add", client, "--out", &out];
        arguments.extend(services.iter().flat_map(|service| ["--service", service]));
        arguments.extend(more);
        let seen = self.log.text().len();
        self.tell(&arguments)?.expect(0)?;
        if self.running.is_some() {
            waiting::until_true(&format!("the agent notices {client}"), PATIENCE, || {
                self.log.text().get(seen..).is_some_and(|new| new.contains(&format!("\"{client}\"")))
            })?;
        }
        Ok(profile)
    }

    pub fn log(&self) -> String {
        self.log.text()
    }

    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Every record of the audit log so far. A line that ends too early is none: it is still being written, or whoever wrote
    /// it was killed.
    pub fn audit(&self) -> Result<Vec<Value>> {
        let text = std::fs::read_to_string(self.lab.path("audit.jsonl")).context("no audit log")?;
        let mut records = Vec::new();
        for line in text.lines() {
            match serde_json::from_str(line) {
                Ok(record) => records.push(record),
                Err(fault) if fault.is_eof() => {}
                Err(fault) => bail!("audit log: {fault}: {line:?}"),
            }
        }
        Ok(records)
    }

    /// Waits for an audit record for which the condition holds.
    pub fn wait_for_audit(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Result<Value> {
        waiting::until(&format!("{what} in the audit log"), PATIENCE, || {
            self.audit().ok()?.into_iter().find(|record| holds(record))
        })
    }

    fn command_through(&self, program: &[&str], arguments: &[&str]) -> Result<Command> {
        let mut command = match program {
            [] => self.lab.gate.command(&self.agent),
            [first, rest @ ..] => {
                let mut command = self.lab.gate.command(first);
                command.args(rest).arg(&self.agent);
                command
            }
        };
        command.args(arguments).arg("--config").arg(&self.file);
        // The lab's, if a story starts one; never the machine's.
        command.env("DBUS_SYSTEM_BUS_ADDRESS", self.lab.bus_address());
        Ok(command)
    }
}

/// What `init` writes as a configuration is not used: the test has its own.
fn init(lab: &Lab) -> Result<()> {
    let [file, state, audit] = ["init.toml", "state", "audit.jsonl"].map(|name| lab.path(name));
    let mut command = lab.gate.command(programs::ours("knockgated")?);
    command.args(["init", "--yes", "--address", "gate.test", "--config"]).arg(&file);
    command.arg("--state-dir").arg(state).arg("--audit-log").arg(audit);
    Said::by(&mut command)?.expect(0)?;
    Ok(std::fs::remove_file(file)?)
}
