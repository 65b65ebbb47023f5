//! Runs stories as tests: each in a lab of its own, each failure with the logs of everything that ran in it.

use std::process::ExitCode;

use anyhow::Result;
use libtest_mimic::{Arguments, Failed, Trial};

use crate::{Lab, sandbox};

/// Labs at the same time. Stories mostly wait, but handshakes and policies want a core each.
const LABS_AT_ONCE: usize = 4;

/// A named test that gets a lab.
pub struct Story {
    name: String,
    play: Play,
}

type Play = Box<dyn FnOnce(&Lab) -> Result<()> + Send>;

/// A story is named by a sentence.
pub fn story(name: &str, play: impl FnOnce(&Lab) -> Result<()> + Send + 'static) -> Story {
    Story { name: name.replace(' ', "_"), play: Box::new(play) }
}

/// Enters the sandbox and runs the stories the way `cargo test` runs tests, with its arguments.
pub fn run(stories: impl FnOnce() -> Vec<Story>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    if !arguments.list
        && let Err(error) = sandbox::enter()
    {
        eprintln!("no sandbox for the tests: {error:#}");
        return ExitCode::FAILURE;
    }
    arguments.test_threads.get_or_insert(LABS_AT_ONCE);
    let trials = stories().into_iter().map(|story| Trial::test(story.name, || play(story.play))).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn play(story: impl FnOnce(&Lab) -> Result<()>) -> Result<(), Failed> {
    let lab = Lab::build().map_err(|error| format!("the lab could not be built: {error:#}"))?;
    story(&lab).map_err(|error| format!("{error:#}\n{}", lab.all_logs()).into())
}
