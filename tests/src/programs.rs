//! Programs: where ours are, running one to its end, keeping one running with its log at hand.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal};

use crate::waiting;

/// How long a program may take from the request to end until it has ended.
const PARTING: Duration = Duration::from_secs(5);

/// Longer than the client's own patience of 30 seconds, and than a scan of all ports or the compiling of a policy of 2 MB on a machine
/// that is busy with other work.
const LONGEST_COMMAND: Duration = Duration::from_secs(180);

/// One of our own programs, beside the test program in cargo's target folder.
pub fn ours(name: &str) -> Result<PathBuf> {
    let path = target_profile_folder()?.join(name);
    if !path.exists() {
        bail!("{} is not built; run `cargo xtask test`, or `cargo build --workspace --bins`", path.display());
    }
    Ok(path)
}

/// A compiled example policy.
pub fn policy(name: &str) -> Result<PathBuf> {
    built(&format!("policies/{name}.wasm"), "cargo xtask policies")
}

/// The gateway's firmware for QEMU.
pub fn firmware() -> Result<PathBuf> {
    built("gateway/qemu-riscv32", "cargo xtask gateway build")
}

/// Builds it for tests; `--release` does for the benchmark.
const WITHOUT_ENGINE: &str =
    "cargo build -p knockgate-agent --no-default-features --target-dir target/without-engine";

/// The agent that was built without the policy engine, with the profile of this program.
pub fn agent_without_engine() -> Result<PathBuf> {
    let profile = target_profile_folder()?;
    let profile = profile.file_name().context("a profile has a name")?.display().to_string();
    built(&format!("without-engine/{profile}/knockgated"), WITHOUT_ENGINE)
}

/// Something in cargo's target folder that cargo does not build by itself.
fn built(name: &str, by: &str) -> Result<PathBuf> {
    let profile = target_profile_folder()?;
    let path = profile.parent().context("a target folder has one above it")?.join(name);
    if !path.exists() {
        bail!("{} is not built; run `{by}`", path.display());
    }
    Ok(path)
}

/// `target/debug`, from the place of the running test or demo program.
fn target_profile_folder() -> Result<PathBuf> {
    let exe = std::env::current_exe()?;
    let folder = exe.parent().context("a program lies in a folder")?;
    let outside_deps = if folder.ends_with("deps") { folder.parent() } else { Some(folder) };
    Ok(outside_deps.context("a program lies in a target folder")?.to_path_buf())
}

/// Runs to the end; failure carries what the program complained about.
pub fn run(program: &str, args: &[&str]) -> Result<()> {
    output(Command::new(program).args(args)).map(drop)
}

/// Runs to the end and returns what was printed.
pub fn output(command: &mut Command) -> Result<String> {
    let said = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {command:?}; run `cargo xtask setup`"))?;
    if !said.status.success() {
        bail!("{command:?} ended with {}: {}", said.status, String::from_utf8_lossy(&said.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&said.stdout).into_owned())
}

/// What a program that ran to its end had to say.
#[derive(Debug, Clone)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Said {
    /// Runs to the end, whatever the exit status. A program that does not end in time is killed and that is an error.
    pub fn by(command: &mut Command) -> Result<Self> {
        Self::told(command, "")
    }

    /// The same for a program that reads this text from its standard input.
    pub fn told(command: &mut Command, text: &str) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        if let Some(mut stdin) = child.stdin.take() {
            // A program that wants nothing may have ended before.
            let _ = stdin.write_all(text.as_bytes());
        }
        let (out, err) = (Log::default(), Log::default());
        let mut readers = Vec::new();
        readers.extend(child.stdout.take().map(|stream| collect(stream, out.clone())));
        readers.extend(child.stderr.take().map(|stream| collect(stream, err.clone())));
        let mut running = Running { child, log: Log::default(), readers };
        let child = &mut running.child;
        let ended =
            waiting::until(&format!("{command:?} ends"), LONGEST_COMMAND, || child.try_wait().ok().flatten());
        let status = ended.with_context(|| format!("it said so far:\n{}{}", out.text(), err.text()))?;
        running.join_readers();
        Ok(Self { code: status.code(), out: out.text(), err: err.text() })
    }

    /// The exit status must be this one; if not, the error shows everything the program said.
    pub fn expect(self, code: i32) -> Result<Self> {
        if self.code != Some(code) {
            bail!("expected exit status {code}, got {self}");
        }
        Ok(self)
    }

    /// Standard output as JSON.
    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_str(&self.out).with_context(|| format!("not JSON: {self}"))
    }

    /// Standard error must speak of each of these.
    pub fn complains_of(self, words: &[&str]) -> Result<Self> {
        for word in words {
            if !self.err.contains(word) {
                bail!("the message does not speak of {word:?}: {self}");
            }
        }
        Ok(self)
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit status {:?}\n  stdout: {}\n  stderr: {}", self.code, self.out.trim(), self.err.trim())
    }
}

/// Collected output of a program, shared with whoever wants to read it later.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<String>>);

impl Log {
    pub fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn push(&self, line: &str) {
        let mut text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        text.push_str(line);
        text.push('\n');
    }
}

/// A program that runs until it is told to end, at the latest when this is dropped.
pub struct Running {
    child: Child,
    log: Log,
    readers: Vec<JoinHandle<()>>,
}

impl Running {
    /// Starts the program; its output is added to the log.
    pub fn start(command: &mut Command, log: &Log) -> Result<Self> {
        Self::begin(command.stdin(Stdio::null()), log)
    }

    /// The same for a program that somebody may type something into.
    pub fn start_with_keyboard(command: &mut Command, log: &Log) -> Result<Self> {
        Self::begin(command.stdin(Stdio::piped()), log)
    }

    fn begin(command: &mut Command, log: &Log) -> Result<Self> {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let mut readers = Vec::new();
        readers.extend(child.stdout.take().map(|stream| collect(stream, log.clone())));
        readers.extend(child.stderr.take().map(|stream| collect(stream, log.clone())));
        Ok(Self { child, log: log.clone(), readers })
    }

    /// Waits until text appears in what was logged from `from` bytes on, unless the program ends without having said it.
    pub fn wait_for_text(&mut self, text: &str, from: usize, patience: Duration) -> Result<()> {
        let mut ended = None;
        let log = self.log.clone();
        let child = &mut self.child;
        waiting::until_true(&format!("{text:?} in the log"), patience, || {
            ended = child.try_wait().ok().flatten();
            ended.is_some() || log.text().get(from..).is_some_and(|new| new.contains(text))
        })
        .with_context(|| format!("log so far:\n{}", log.text()))?;
        match ended {
            Some(status) => {
                self.join_readers();
                if self.log.text().get(from..).is_some_and(|new| new.contains(text)) {
                    return Ok(());
                }
                bail!("the program ended with {status} before it said {text:?}:\n{}", log.text())
            }
            None => Ok(()),
        }
    }

    /// Types something into a program that has a keyboard.
    pub fn type_in(&mut self, text: &str) -> Result<()> {
        let keyboard = self.child.stdin.as_mut().context("the program was started without a keyboard")?;
        keyboard.write_all(text.as_bytes())?;
        Ok(keyboard.flush()?)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether the program has not ended by itself.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// SIGKILL: no chance to tidy up.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        self.join_readers();
        Ok(())
    }

    /// SIGINT, and waits for the end.
    pub fn interrupt(&mut self) -> Result<ExitStatus> {
        rustix::process::kill_process(Pid::from_child(&self.child), Signal::INT)?;
        self.wait().context("after SIGINT")
    }

    /// SIGTERM, and waits for the end.
    pub fn terminate(&mut self) -> Result<ExitStatus> {
        rustix::process::kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        self.wait().context("after SIGTERM")
    }

    /// Waits until the program ends, which it is about to do.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        let child = &mut self.child;
        let ended = waiting::until("the program ends", PARTING, || child.try_wait().ok().flatten())?;
        self.join_readers();
        Ok(ended)
    }

    fn join_readers(&mut self) {
        for reader in self.readers.drain(..) {
            // A reader that panicked has already said so; the log is then shorter.
            let _ = reader.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only if the program has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.join_readers();
    }
}

fn collect(stream: impl Read + Send + 'static, log: Log) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            log.push(&String::from_utf8_lossy(&line));
        }
    })
}
