//! Asks the agent every second, and again when it has been away.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::model::Answers;
use crate::control::{AskError, Client, Door, Reply, Request};

/// Between two rounds of questions.
const EVERY: Duration = Duration::from_secs(1);

/// Whom it asks.
pub(super) struct Feed {
    directory: PathBuf,
    /// None before the first question, and after a failed one.
    agent: Option<Client>,
}

/// Why a round has no answers.
#[derive(Debug, thiserror::Error)]
enum NoAnswer {
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error(
        "the agent has answered something else than it was asked; use the `knockgated` that it was started from"
    )]
    Unexpected,
}

impl Feed {
    /// The agent behind the sockets in this directory, whether or not it runs now.
    pub(super) fn of(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), agent: None }
    }

    /// Asks until nobody listens any more, which `tell` says.
    pub(super) fn tell_for_ever(&mut self, tell: impl Fn(Result<Answers, String>) -> bool) {
        loop {
            let begun = Instant::now();
            if !tell(self.ask().map_err(|error| error.to_string())) {
                return;
            }
            thread::sleep(EVERY.saturating_sub(begun.elapsed()));
        }
    }

    fn ask(&mut self) -> Result<Answers, NoAnswer> {
        // An agent that was started anew has closed the connection, and answers at the next one.
        if let Some(mut agent) = self.agent.take()
            && let Ok(answers) = questions(&mut agent)
        {
            self.agent = Some(agent);
            return Ok(answers);
        }
        let mut agent = Client::connect(&self.directory, Door::Status)?;
        let answers = questions(&mut agent)?;
        self.agent = Some(agent);
        Ok(answers)
    }
}

/// The list of clients is not among them: it grows with the roster, and a status tells of the books that matter.
fn questions(agent: &mut Client) -> Result<Answers, NoAnswer> {
    let Reply::Status(status) = agent.ask(&Request::Status)? else { return Err(NoAnswer::Unexpected) };
    let Reply::Grants { grants } = agent.ask(&Request::Grants)? else { return Err(NoAnswer::Unexpected) };
    let Reply::Lockouts { mut lockouts } = agent.ask(&Request::Lockouts)? else {
        return Err(NoAnswer::Unexpected);
    };
    // They come in no order, and a list that is in another one every second cannot be read.
    lockouts.sort_by(|a, b| b.left_seconds.cmp(&a.left_seconds).then_with(|| a.who.cmp(&b.who)));
    Ok(Answers { status, grants, lockouts })
}
