//! What is known of the gate: the last answers, the noise of the last minutes, and why there is no newer answer.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::control::{LockedOut, OpenGrant, Status};

/// Seconds of noise that are kept: five minutes, more than a wide terminal shows.
pub(super) const HISTORY: usize = 300;
/// Without an answer for so long, what is shown is called old.
const FRESH: Duration = Duration::from_secs(3);

/// What an agent has said within one second.
#[derive(Clone, Debug)]
pub(super) struct Answers {
    pub(super) status: Box<Status>,
    pub(super) grants: Vec<OpenGrant>,
    pub(super) lockouts: Vec<LockedOut>,
}

/// All that is drawn.
pub(super) struct Model {
    answers: Option<Answers>,
    /// Noise of each second, the latest first; none where there was no answer.
    noise: VecDeque<Option<u64>>,
    trouble: Option<String>,
    /// When the last answer came, or this began.
    heard: Instant,
    scrolled: usize,
}

/// How the lists move.
pub(super) enum Scroll {
    Up(usize),
    Down(usize),
    ToTop,
}

impl Model {
    /// Of a gate that has said nothing yet.
    pub(super) fn new(now: Instant) -> Self {
        Self { answers: None, noise: VecDeque::new(), trouble: None, heard: now, scrolled: 0 }
    }

    /// Takes what the agent has said, or why it has not.
    pub(super) fn take(&mut self, told: Result<Answers, String>, now: Instant) {
        self.noise.push_front(told.as_ref().ok().map(|answers| answers.status.strangers.per_second));
        self.noise.truncate(HISTORY);
        match told {
            Ok(answers) => {
                self.answers = Some(answers);
                self.trouble = None;
                self.heard = now;
                self.scroll(Scroll::Down(0));
            }
            Err(why) => self.trouble = Some(why),
        }
    }

    /// Moves the lists, never beyond the last row of the longer one.
    pub(super) fn scroll(&mut self, scroll: Scroll) {
        let longest = self.answers().map_or(0, |answers| answers.grants.len().max(answers.lockouts.len()));
        let wanted = match scroll {
            Scroll::Up(rows) => self.scrolled.saturating_sub(rows),
            Scroll::Down(rows) => self.scrolled.saturating_add(rows),
            Scroll::ToTop => 0,
        };
        self.scrolled = wanted.min(longest.saturating_sub(1));
    }

    /// The last ones, however old.
    pub(super) fn answers(&self) -> Option<&Answers> {
        self.answers.as_ref()
    }

    /// The latest second first.
    pub(super) fn noise(&self) -> impl Iterator<Item = Option<u64>> {
        self.noise.iter().copied()
    }

    /// Why the last question has no answer.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// How old the answers are, if they are old.
    pub(super) fn silent_for(&self, now: Instant) -> Option<Duration> {
        let silent = now.saturating_duration_since(self.heard);
        (self.trouble.is_some() || silent > FRESH).then_some(silent)
    }

    /// Rows of the lists that are above the screen.
    pub(super) fn scrolled(&self) -> usize {
        self.scrolled
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A gate with two grants and a lockout, for tests of what is drawn as well.
    pub(in super::super) fn answers() -> Answers {
        let grant = |grant, client: &str, left_seconds| OpenGrant {
            grant,
            client: client.to_owned(),
            to: "192.0.2.7".to_owned(),
            service: "ssh".to_owned(),
            left_seconds,
        };
        let lockout =
            LockedOut { who: "198.51.100.0/24".to_owned(), kind: "source".to_owned(), left_seconds: 59 };
        Answers {
            status: Box::new(Status::example()),
            grants: vec![grant(17, "alice", 3599), grant(18, "bob", 61)],
            lockouts: vec![lockout],
        }
    }

    #[test]
    fn an_agent_that_goes_away_leaves_its_last_answers_and_a_gap_in_the_noise() {
        let start = Instant::now();
        let mut model = Model::new(start);
        model.take(Ok(answers()), start);
        assert_eq!(model.silent_for(start), None);
        model.take(Err("gone".to_owned()), start + Duration::from_secs(1));
        assert_eq!(model.silent_for(start + Duration::from_secs(2)), Some(Duration::from_secs(2)));
        assert_eq!(model.answers().unwrap().grants.len(), 2);
        model.take(Ok(answers()), start + Duration::from_secs(3));
        assert_eq!(model.silent_for(start + Duration::from_secs(3)), None);
        assert_eq!(model.noise().collect::<Vec<_>>(), [Some(17), None, Some(17)]);
    }

    #[test]
    fn an_agent_that_hangs_is_noticed_without_an_error() {
        let start = Instant::now();
        let mut model = Model::new(start);
        model.take(Ok(answers()), start);
        assert_eq!(model.silent_for(start + FRESH), None);
        assert!(model.silent_for(start + FRESH * 2).is_some());
    }

    #[test]
    fn the_history_of_the_noise_is_bounded() {
        let mut model = Model::new(Instant::now());
        (0..2 * HISTORY).for_each(|_| model.take(Ok(answers()), Instant::now()));
        assert_eq!(model.noise().count(), HISTORY);
    }

    #[test]
    fn lists_scroll_to_their_last_row_and_come_back_when_they_get_shorter() {
        let mut model = Model::new(Instant::now());
        model.scroll(Scroll::Down(9));
        assert_eq!(model.scrolled(), 0, "there is nothing yet");
        model.take(Ok(answers()), Instant::now());
        model.scroll(Scroll::Down(9));
        assert_eq!(model.scrolled(), 1);
        let fewer = Answers { grants: Vec::new(), ..answers() };
        model.take(Ok(fewer), Instant::now());
        assert_eq!(model.scrolled(), 0);
    }
}
