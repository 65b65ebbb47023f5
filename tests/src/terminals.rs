//! A terminal that somebody looks at and types into: tmux, with one program in it.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use rustix::process::{Pid, Signal};

use crate::programs::output;
use crate::{Host, Lab, waiting};

/// Until a program has started and drawn, on a machine that is busy with other work.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the terminal shows when the program has ended, in front of its exit status.
const ENDED: &str = "the program has ended with";

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Columns and rows.
pub type Size = (u16, u16);

/// A terminal on a host, until this is dropped.
pub struct Terminal {
    socket: PathBuf,
    pid: PathBuf,
}

impl Terminal {
    /// Starts this command line in a terminal of its own. After its end the terminal stays, and shows how it was left.
    pub fn run(lab: &Lab, host: &Host, size: Size, command_line: &str) -> Result<Self> {
        // One that has just been told to end still has its socket.
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let (socket, pid) = (lab.path(&format!("tmux-{number}")), lab.path(&format!("tmux-{number}.pid")));
        // Whoever becomes the program has said his number before.
        let program = format!("sh -c 'echo $$ > {}; exec {command_line}'", pid.display());
        let script = format!("{program}; echo \"{ENDED} $?\"; stty -a; exec cat");
        let mut tmux = host.command("tmux");
        tmux.arg("-S").arg(&socket).args(["-f", "/dev/null", "new-session", "-d"]);
        tmux.args(["-x", &size.0.to_string(), "-y", &size.1.to_string(), "--", "sh", "-c", &script]);
        output(&mut tmux)?;
        Ok(Self { socket, pid })
    }

    /// What can be read on it now.
    pub fn screen(&self) -> Result<String> {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Waits until all of this can be read on it at once.
    pub fn wait_for(&self, texts: &[&str]) -> Result<String> {
        let mut last = String::new();
        let seen = waiting::until(&format!("{texts:?} on the terminal"), PATIENCE, || {
            last = self.screen().ok()?;
            texts.iter().all(|text| last.contains(text)).then(|| last.clone())
        });
        seen.map_err(|error| error.context(format!("it shows:\n{last}")))
    }

    /// Types keys, by the names that tmux has for them.
    pub fn press(&self, key: &str) -> Result<()> {
        self.tmux(&["send-keys", key]).map(drop)
    }

    pub fn resize(&self, (width, height): Size) -> Result<()> {
        self.tmux(&["resize-window", "-x", &width.to_string(), "-y", &height.to_string()]).map(drop)
    }

    /// SIGTERM for the program.
    pub fn terminate(&self) -> Result<()> {
        let Some(pid) = Pid::from_raw(std::fs::read_to_string(&self.pid)?.trim().parse()?) else {
            bail!("{} names no process", self.pid.display());
        };
        Ok(rustix::process::kill_process(pid, Signal::TERM)?)
    }

    /// Waits until the program has ended with this status, and looks at whether it has left the terminal as it was: not on the
    /// other screen, with a cursor, and what is typed is shown and comes in lines.
    pub fn must_be_left_as_it_was(&self, status: i32) -> Result<()> {
        let screen = self.wait_for(&[&format!("{ENDED} {status}"), "cs8"])?;
        let modes =
            self.tmux(&["display-message", "-p", "#{alternate_on} #{cursor_flag} #{mouse_any_flag}"])?;
        ensure!(modes.trim() == "0 1 0", "alternate screen, cursor, mouse: {modes}\n{screen}");
        let words: Vec<_> = screen.split_ascii_whitespace().map(|word| word.trim_end_matches(';')).collect();
        for mode in ["icanon", "echo", "isig", "opost"] {
            ensure!(words.contains(&mode), "the terminal has no {mode}:\n{screen}");
        }
        Ok(())
    }

    fn tmux(&self, arguments: &[&str]) -> Result<String> {
        output(Command::new("tmux").arg("-S").arg(&self.socket).args(arguments))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It has ended already, which is what is wanted, or it fails with everything else in the sandbox.
        let _ = self.tmux(&["kill-server"]);
    }
}
