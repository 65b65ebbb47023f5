//! Runs stories as tests: each in a lab of its own, each failure with the logs of everything that ran in it.

use std::process::ExitCode;

use anyhow::Result;
use libtest_mimic::{Arguments, Failed, Trial};

use crate::{Lab, gateways, sandbox};

/// Labs at the same time. Stories mostly wait: with half as many they keep two processors busy for a fifth of the time.
const LABS_AT_ONCE: usize = 8;

/// A named test that gets a lab.
pub struct Story {
    name: String,
    build: fn() -> Result<Lab>,
    play: Play,
}

type Play = Box<dyn FnOnce(&Lab) -> Result<()> + Send>;

/// A story is named by a sentence.
pub fn story(name: &str, play: impl FnOnce(&Lab) -> Result<()> + Send + 'static) -> Story {
    Story { name: name.replace(' ', "_"), build: Lab::build, play: Box::new(play) }
}

/// A story in the lab of a gateway, which nothing in it may bring down.
pub fn gateway_story(name: &str, play: impl FnOnce(&Lab) -> Result<()> + Send + 'static) -> Story {
    let play = |lab: &Lab| {
        play(lab)?;
        gateways::must_not_have_fallen(&lab.all_logs())
    };
    Story { build: Lab::build_for_gateway, ..story(name, play) }
}

/// Enters the sandbox and runs the stories the way `cargo test` runs tests, with its arguments.
pub fn run(stories: impl FnOnce() -> Vec<Story>) -> ExitCode {
    run_in(LABS_AT_ONCE, stories)
}

/// [`run`] with so many labs at the same time.
pub fn run_in(labs: usize, stories: impl FnOnce() -> Vec<Story>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    if !arguments.list
        && let Err(error) = sandbox::enter()
    {
        eprintln!("no sandbox for the tests: {error:#}");
        return ExitCode::FAILURE;
    }
    arguments.test_threads.get_or_insert(labs);
    let trial = |Story { name, build, play }| Trial::test(name, move || play_in(build, play));
    libtest_mimic::run(&arguments, stories().into_iter().map(trial).collect()).exit_code()
}

fn play_in(build: fn() -> Result<Lab>, play: Play) -> Result<(), Failed> {
    let lab = build().map_err(|error| format!("the lab could not be built: {error:#}"))?;
    play(&lab).map_err(|error| format!("{error:#}\n{}", lab.all_logs()).into())
}
