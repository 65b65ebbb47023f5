//! A gate in a directory of its own, and the commands that are run on it.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) struct Scene {
    temp: tempfile::TempDir,
}

/// What a command answered.
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().expect("the command can be started");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// The answer of a command that must succeed.
    pub(crate) fn good(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.err);
        self.out
    }

    /// The complaint of a command that must fail.
    pub(crate) fn bad(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        assert!(self.out.is_empty(), "{}", self.out);
        self.err
    }
}

impl Scene {
    /// An empty directory.
    pub(crate) fn new() -> Self {
        Self { temp: tempfile::tempdir().expect("a temporary directory") }
    }

    /// A gate that guards tcp/8080.
    pub(crate) fn ready() -> Self {
        let scene = Self::new();
        scene.init(&[]).good();
        scene
    }

    pub(crate) fn path(&self) -> &Path {
        self.temp.path()
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path().join("etc/agent.toml")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path().join("state")
    }

    pub(crate) fn init(&self, arguments: &[&str]) -> Said {
        Said::of(&mut self.init_command(arguments))
    }

    /// `init`, guarding tcp/8080 unless a service is given.
    pub(crate) fn init_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(&["init", "--address", "gate.example"]);
        command
            .arg("--state-dir")
            .arg(self.state())
            .arg("--audit-log")
            .arg(self.path().join("log/audit.jsonl"));
        if !arguments.contains(&"--service") {
            command.args(["--service", "web=tcp/8080"]);
        }
        command.args(arguments);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        Said::of(&mut self.command(arguments))
    }

    pub(crate) fn run_with_config(&self, config: &str, arguments: &[&str]) -> Said {
        fs::write(self.config(), config).expect("the configuration can be written");
        self.run(arguments)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = knockgated();
        command.current_dir(self.path()).args(arguments).arg("--config").arg(self.config());
        command
    }

    /// Names of the enrolled clients.
    pub(crate) fn clients(&self) -> Vec<String> {
        let list = self.run(&["client", "list", "--json"]).good();
        let rows: Vec<serde_json::Value> = serde_json::from_str(&list).expect("a list");
        rows.iter().filter_map(|row| row["name"].as_str().map(str::to_owned)).collect()
    }

    /// Every file and directory.
    pub(crate) fn snapshot(&self) -> BTreeSet<PathBuf> {
        let (mut found, mut left) = (BTreeSet::new(), vec![self.path().to_owned()]);
        while let Some(directory) = left.pop() {
            for entry in fs::read_dir(directory).expect("a directory") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    left.push(path.clone());
                }
                found.insert(path);
            }
        }
        found
    }
}

pub(crate) fn knockgated() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_knockgated"));
    command.env_remove("SSH_CONNECTION");
    command
}

pub(crate) fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("permissions can be set");
}
