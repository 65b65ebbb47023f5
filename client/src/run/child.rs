//! The command, its end, and the signals that are meant for it.

use std::ffi::OsString;
use std::io;
use std::process::{Command, ExitStatus};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Instant;

use thiserror::Error;

use crate::private_file::plain;

/// The command could not be run.
#[derive(Debug, Error)]
#[error("{program}: cannot be run: {}; check the command after --", plain(.source))]
pub(super) struct CommandFault {
    program: String,
    source: io::Error,
}

impl CommandFault {
    /// As shells tell it.
    pub(super) fn exit_code(&self) -> u8 {
        if self.source.kind() == io::ErrorKind::NotFound { 127 } else { 126 }
    }
}

#[derive(Debug)]
pub(super) enum Event {
    /// With the code that is to be passed on.
    Exited(u8),
    /// Somebody wants this process to end.
    Signal(signals::Signal),
}

/// The running command.
pub(super) struct Child {
    id: u32,
    events: Receiver<Event>,
}

impl Child {
    pub(super) fn start(command: &[OsString], environment: &[(&str, String)]) -> Result<Self, CommandFault> {
        let (program, arguments) = command.split_first().expect("the command line demands a command");
        let fault = |source| CommandFault { program: program.display().to_string(), source };
        let (sender, events) = mpsc::channel();
        // Before the command starts: from here on nothing is left open behind a signal.
        signals::listen(&sender).map_err(fault)?;
        let mut child = Command::new(program)
            .args(arguments)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .spawn()
            .map_err(fault)?;
        let id = child.id();
        thread::spawn(move || {
            let code = child.wait().map_or(1, exit_code);
            // Nobody listens any more: the process is ending.
            let _ = sender.send(Event::Exited(code));
        });
        Ok(Self { id, events })
    }

    /// What happens next; a timeout once `until` has come.
    pub(super) fn next_event(&self, until: Option<Instant>) -> Result<Event, RecvTimeoutError> {
        match until {
            Some(until) => self.events.recv_timeout(until.saturating_duration_since(Instant::now())),
            None => self.events.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    pub(super) fn forward(&self, signal: signals::Signal) {
        signals::send(self.id, signal);
    }
}

#[cfg(unix)]
fn exit_code(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    u8::try_from(code & 0xff).unwrap_or(1)
}

#[cfg(not(unix))]
fn exit_code(status: ExitStatus) -> u8 {
    // An exit code is longer there; what does not fit is still a failure.
    status.code().map_or(1, |code| u8::try_from(code).unwrap_or(1))
}

#[cfg(unix)]
mod signals {
    use std::io::{self, IsTerminal, Read};
    use std::os::unix::net::UnixStream;
    use std::sync::mpsc::Sender;
    use std::thread;

    use rustix::process::{Pid, kill_process};
    use signal_hook::low_level::pipe;

    use super::Event;

    pub(super) type Signal = rustix::process::Signal;

    pub(super) fn listen(events: &Sender<Event>) -> io::Result<()> {
        for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
            let (mut heard, rung) = UnixStream::pair()?;
            pipe::register(signal.as_raw(), rung)?;
            let events = events.clone();
            thread::spawn(move || {
                let mut byte = [0];
                while heard.read_exact(&mut byte).is_ok() && events.send(Event::Signal(signal)).is_ok() {}
            });
        }
        Ok(())
    }

    /// What is typed at a terminal reaches the command without help.
    pub(super) fn send(process: u32, signal: Signal) {
        if signal == Signal::INT && io::stdin().is_terminal() {
            return;
        }
        if let Some(process) = i32::try_from(process).ok().and_then(Pid::from_raw) {
            // It has ended already; its end is the next event.
            let _ = kill_process(process, signal);
        }
    }
}

/// Elsewhere the console tells the command by itself.
#[cfg(not(unix))]
mod signals {
    use std::io;
    use std::sync::mpsc::Sender;

    use super::Event;

    #[derive(Clone, Copy, Debug)]
    pub(super) enum Signal {}

    pub(super) fn listen(_: &Sender<Event>) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn send(_: u32, signal: Signal) {
        match signal {}
    }
}
