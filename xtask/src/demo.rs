//! The demo: builds what it needs and runs the program `demo` of the tests crate.

use std::path::{Path, absolute};

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
    let mut demo = tool::cargo();
    demo.args(["run", "--quiet", "--locked", "-p", "knockgate-tests", "--bin", "demo", "--"]).args(options);
    if !tool::succeeds_loudly(&mut demo)? {
        bail!("the demo failed; the timeline above ends with what went wrong");
    }
    Ok(())
}
