//! The demo: builds what it needs and runs the program `demo` of the tests crate.

use std::path::{Path, absolute};
use std::process::Command;

use anyhow::{Result, bail};

use crate::{policies, setup, step::Steps, test, tool};

/// What the command line asks for.
pub(crate) enum Wanted {
    /// The whole demo.
    Everything,
    /// The decisions of one policy, by the demo's own options.
    Policy(Vec<String>),
}

impl Wanted {
    /// `[--policy FILE --key FILE]`; `None` if it is anything else.
    pub(crate) fn from(options: &[String]) -> Option<Self> {
        match options {
            [] => Some(Self::Everything),
            [policy, module, key, public] if policy == "--policy" && key == "--key" => {
                // The files are meant from where the command was typed.
                let place = |file: &String| Some(absolute(Path::new(file)).ok()?.display().to_string());
                Some(Self::Policy(vec![policy.clone(), place(module)?, key.clone(), place(public)?]))
            }
            _ => None,
        }
    }
}

pub(crate) fn run(steps: &mut Steps, wanted: &Wanted) -> Result<()> {
    setup::run(steps)?;
    let options = match wanted {
        Wanted::Everything => {
            policies::run(steps)?;
            [].as_slice()
        }
        Wanted::Policy(options) => options.as_slice(),
    };
    test::build_binaries(steps)?;
    println!();
    // As it was built with the workspace: `cargo run` would build it anew, policy engine included, with what this one package wants.
    if !tool::succeeds_loudly(Command::new("target/debug/demo").args(options))? {
        bail!("the demo failed; the timeline above ends with what went wrong");
    }
    Ok(())
}
