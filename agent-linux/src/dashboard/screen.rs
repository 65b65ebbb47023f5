//! The terminal: taken at the start, and given back as it was however the program ends.

use std::io::IsTerminal;

use anyhow::{Context, bail};
use ratatui::{DefaultTerminal, Frame};

/// The whole terminal, until this is dropped.
pub(super) struct Screen(DefaultTerminal);

impl Screen {
    /// Takes it. A panic, on whatever thread, gives it back before it says why.
    ///
    /// # Errors
    /// Standard output is no terminal.
    pub(super) fn take() -> anyhow::Result<Self> {
        if !std::io::stdout().is_terminal() {
            bail!(
                "`top` draws on a terminal, and standard output is none; `knockgated status` tells the same once, \
                 with --json for programs"
            );
        }
        match ratatui::try_init() {
            Ok(terminal) => Ok(Self(terminal)),
            Err(error) => {
                // What has been taken already.
                let _ = ratatui::try_restore();
                Err(error).context("cannot draw on this terminal; is TERM set?")
            }
        }
    }

    /// Draws one picture; only what differs from the last one is sent.
    ///
    /// # Errors
    /// The terminal has gone.
    pub(super) fn draw(&mut self, picture: impl FnOnce(&mut Frame<'_>)) -> anyhow::Result<()> {
        self.0.draw(picture).map(drop).context("cannot draw on this terminal any more")
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // After a panic it has been given back, and what the panic said stands there.
        if !std::thread::panicking() {
            let _ = self.0.show_cursor();
            let _ = ratatui::try_restore();
        }
    }
}
