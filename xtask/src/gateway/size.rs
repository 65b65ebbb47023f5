//! How large the firmware is and how much memory it uses, held against the budget.
//!
//! The file tells its sections. What the heap and the stack were used at most, and the instructions of a frame, only a running
//! gateway can tell: the program `gateway_size` of the tests crate boots one with a full site and says them line by line.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::firmware::Library;
use super::{budget, elf, firmware};
use crate::step::Steps;
use crate::{setup, test, tool};

/// What is executed or never changes.
const CODE: [&str; 3] = [".text", ".init.rust", ".rodata"];
/// Lies among the code, and in memory when the program runs.
const INITIAL: &str = ".data";
/// Only in memory.
const STATIC: [&str; 2] = [".bss", ".uninit"];

pub(crate) fn run(steps: &mut Steps) -> Result<()> {
    setup::packages(steps)?;
    let firmware = firmware::build(steps, &firmware::QEMU)?;
    test::build_binaries(steps)?;
    let sections = elf::sections(&std::fs::read(&firmware.file)?)?;
    let running = steps.step("gateway: a full site in QEMU", Running::measure)?;
    let sum = |names: &[&str]| -> u32 {
        let counted = sections.iter().filter(|section| names.contains(&section.name.as_str()));
        counted.map(|section| section.bytes).sum()
    };
    let initial = sum(&[INITIAL]);
    let code = sum(&CODE) + initial;
    let fixed = initial + sum(&STATIC);
    let memory = fixed + running.heap + running.stack;
    println!("\nbytes of {}, {}", firmware.file.display(), firmware.library);
    let rows = CODE.iter().chain([&INITIAL]).chain(&STATIC).map(|name| (*name, sum(&[name])));
    for (name, bytes) in rows.chain([("heap, at most", running.heap), ("stack, at most", running.stack)]) {
        println!("  {name:<20} {bytes:>8}");
    }
    println!("instructions of a frame");
    for (what, instructions) in &running.frames {
        println!("  {what:<20} {instructions:>8}");
    }
    let budget = budget::read()?;
    match firmware.library {
        Library::FromSource => within("code and data", code, budget.code)?,
        Library::AsItComes => {
            println!("code and data: {code} bytes, too many on this library for the budget")
        }
    }
    within("memory", memory, budget.memory)
}

fn within(what: &str, bytes: u32, budget: u32) -> Result<()> {
    println!("{what}: {bytes} of {budget} bytes");
    ensure!(
        bytes <= budget,
        "{what} is over the budget of agent-embedded/firmware/budget.toml; make it smaller"
    );
    Ok(())
}

/// What a running gateway tells.
struct Running {
    heap: u32,
    stack: u32,
    /// What kind of frame, and its instructions.
    frames: Vec<(String, u32)>,
}

impl Running {
    fn measure() -> Result<Self> {
        // As it was built with the workspace: `cargo run` would build it anew, with what this one package wants.
        let said = tool::output(&mut Command::new("target/debug/gateway_size"))?;
        let number =
            |line: &str| line.rsplit_once('=').and_then(|(name, n)| Some((name.to_owned(), n.parse().ok()?)));
        let (memory, frames): (Vec<_>, Vec<_>) =
            said.lines().filter_map(number).partition(|(name, _)| ["heap", "stack"].contains(&name.as_str()));
        let most = |what: &str| {
            let told = memory.iter().find(|(name, _)| name == what);
            told.map(|(_, bytes)| *bytes).with_context(|| format!("the gateway has not told its {what}"))
        };
        Ok(Self { heap: most("heap")?, stack: most("stack")?, frames })
    }
}
