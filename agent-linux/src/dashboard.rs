//! `knockgated top`: the running gate on a terminal, told anew every second.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`feed`] | asks the agent, on a thread of its own, and again when it is back |
//! | [`model`] | what is known: the last answers, and the noise of the last minutes |
//! | [`view`], [`text`] | draws that, as text alone whatever the agent says |
//! | [`screen`] | takes the terminal, and gives it back however the program ends |
//!
//! It only looks: every question goes to the socket that needs no more.

mod feed;
mod model;
mod screen;
mod text;
mod view;

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use ratatui::crossterm::event::{self, Event as Typed, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::pipe;

use self::feed::Feed;
use self::model::{Answers, Model, Scroll};
use self::screen::Screen;

/// So that the time since the last answer goes on while there is none.
const EVERY: Duration = Duration::from_secs(1);
/// Events that wait to be drawn. Whoever has more to tell waits.
const WAITING: usize = 64;

/// What there is to react to.
enum Event {
    Told(Result<Answers, String>),
    Key(KeyEvent),
    /// Only what is drawn changes.
    Resized,
    /// A signal came, the keyboard has gone, or a thread has panicked.
    Over,
}

/// What a key means.
enum Wish {
    Quit,
    Scroll(Scroll),
}

/// Shows the agent behind the sockets in this directory until somebody has seen enough.
///
/// # Errors
/// Standard output is no terminal, or it has gone.
pub(crate) fn run(directory: &Path) -> anyhow::Result<()> {
    let mut screen = Screen::take()?;
    let (tell, told) = mpsc::sync_channel(WAITING);
    let mut feed = Feed::of(directory);
    begin("agent", &tell, move |tell| feed.tell_for_ever(|answers| tell.send(Event::Told(answers)).is_ok()))?;
    begin("keys", &tell, listen_to_keys)?;
    let signals = signals().context("cannot catch signals")?;
    begin("signals", &tell, move |_| wait_for_one(signals))?;

    let mut model = Model::new(Instant::now());
    loop {
        screen.draw(|frame| view::draw(&model, Instant::now(), frame))?;
        match told.recv_timeout(EVERY) {
            Ok(Event::Told(answers)) => model.take(answers, Instant::now()),
            Ok(Event::Key(key)) => match wish(key) {
                Some(Wish::Quit) => return Ok(()),
                Some(Wish::Scroll(scroll)) => model.scroll(scroll),
                None => {}
            },
            Ok(Event::Resized) | Err(RecvTimeoutError::Timeout) => {}
            Ok(Event::Over) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

/// Does this on a thread, whose end is the end of the program.
fn begin(
    name: &str,
    tell: &SyncSender<Event>,
    work: impl FnOnce(&SyncSender<Event>) + Send + 'static,
) -> anyhow::Result<()> {
    let end = TellOfEnd(tell.clone());
    let work = move || {
        let end = end;
        work(&end.0);
    };
    thread::Builder::new().name(name.into()).spawn(work).map(drop).context("cannot start a thread")
}

/// Also after a panic.
struct TellOfEnd(SyncSender<Event>);

impl Drop for TellOfEnd {
    fn drop(&mut self) {
        let _ = self.0.send(Event::Over);
    }
}

/// Until there is no keyboard any more.
fn listen_to_keys(tell: &SyncSender<Event>) {
    while let Ok(typed) = event::read() {
        let told = match typed {
            Typed::Key(key) if key.kind != KeyEventKind::Release => tell.send(Event::Key(key)),
            Typed::Resize(..) => tell.send(Event::Resized),
            Typed::Key(_) | Typed::Mouse(_) | Typed::Paste(_) => continue,
            Typed::FocusGained | Typed::FocusLost => continue,
        };
        if told.is_err() {
            return;
        }
    }
}

/// What has a byte once a signal has come that ends the program.
fn signals() -> std::io::Result<UnixStream> {
    let (ours, theirs) = UnixStream::pair()?;
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        pipe::register(signal, theirs.try_clone()?)?;
    }
    Ok(ours)
}

fn wait_for_one(mut signals: UnixStream) {
    // Interrupted by the signal itself, it would begin anew: the byte stays.
    let _ = signals.read_exact(&mut [0]);
}

/// In raw mode Ctrl-C is a key and no signal.
fn wish(key: KeyEvent) -> Option<Wish> {
    let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('c') if is_control => Some(Wish::Quit),
        KeyCode::Char('q') | KeyCode::Esc => Some(Wish::Quit),
        KeyCode::Down | KeyCode::Char('j') => Some(Wish::Scroll(Scroll::Down(1))),
        KeyCode::Up | KeyCode::Char('k') => Some(Wish::Scroll(Scroll::Up(1))),
        KeyCode::PageDown | KeyCode::Char(' ') => Some(Wish::Scroll(Scroll::Down(PAGE))),
        KeyCode::PageUp => Some(Wish::Scroll(Scroll::Up(PAGE))),
        KeyCode::Home => Some(Wish::Scroll(Scroll::ToTop)),
        _ => None,
    }
}

/// Rows of a page: what the smallest usual terminal has of a list.
const PAGE: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q_escape_and_control_c_end_it_and_no_other_letter_does() {
        let ends = |code, modifiers| matches!(wish(KeyEvent::new(code, modifiers)), Some(Wish::Quit));
        assert!(ends(KeyCode::Char('q'), KeyModifiers::NONE) && ends(KeyCode::Esc, KeyModifiers::NONE));
        assert!(ends(KeyCode::Char('c'), KeyModifiers::CONTROL));
        assert!(
            !ends(KeyCode::Char('c'), KeyModifiers::NONE) && !ends(KeyCode::Char('x'), KeyModifiers::NONE)
        );
    }

    #[test]
    fn a_thread_that_panics_ends_the_program() {
        let (tell, told) = mpsc::sync_channel(WAITING);
        begin("test", &tell, |_| panic!("as the test wants it")).unwrap();
        assert!(matches!(told.recv(), Ok(Event::Over)));
    }
}
