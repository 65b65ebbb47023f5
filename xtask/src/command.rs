//! The command line of `cargo xtask`.

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::{bench, core_check, demo, dist, gateway, lint, policies, setup, step::Steps, test};

const USAGE: &str = "\
usage: cargo xtask COMMAND

  setup       install what is missing: system packages, compile targets, compilers for policies, programs that check
  policies    build the example policies of every language into target/policies
  check-core  prove that the core needs no std and no alloc, and that the client stays portable
  lint        formatting, clippy, forbidden text, spelling, and the dependencies: bans, licences, sources, advisories
  test        all of the above, then every test
  demo        two namespaces, a real gate, a knock, a replay, the closing; ends with `demo: ok`;
              [--policy FILE --key FILE] shows what this signed policy decides instead
  man         man pages and completions of every program, into target/dist/stage/papers
  dist        Debian packages of agent, client and policy tool, into target/dist; [--profile release|dev]
  dist --test       the walk of a new user, on machines made of a clean root: installs, guards, knocks, breaks something, upgrades,
              removes and purges; root and the network, once; [--profile release|dev]
  dist --check-reproducible  makes them in two folders and compares; takes two builds; [--profile release|dev]
  gateway build     the firmware of gateways, into target/gateway; [--board qemu-riscv32|cortex-m4|stm32h743]
  gateway image     a demo site's image in target/gateway/site; [--config FILE OPTIONS] what `knockgated gateway image` makes of them
  gateway run       a gateway in QEMU, somebody in front of it and a machine behind it; says how to reach whom
  gateway size      bytes of firmware and memory, instructions of a frame; fails if they are over the budget
  gateway flash     write a site to a board: --board qemu-riscv32|stm32h743 FILE.kgi [--public-key KEY]
  bench       Knockgate beside the floor, and beside knockd and fwknop if installed: time, noise, faults, memory, clients; about
              forty minutes once built, best on a quiet machine; [--reps N] [--flood-seconds N] [--only PART] [--profile release|dev]
  bench --short   a minute of it, which fails only on ratios; part of `test`
  bench --render  page and plots once more, from docs/benchmarks/results.json
  bench profile   the functions in which the gate's thread spends a knock, if `perf` is installed; [--reps N]
  bench policy  what a policy's decision costs, on both engines, beside shell commands; [--profile release|dev]
";

/// Runs the subcommand and says what went wrong. Exit status 0 is success, 1 a failure, 2 a wrong command line.
pub(crate) fn run(args: Vec<String>) -> ExitCode {
    let Some(job) = job_named(&args) else {
        eprint!("{USAGE}");
        return ExitCode::from(2);
    };
    match enter_workspace().and_then(|()| job(&mut Steps::start())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

type Job = Box<dyn FnOnce(&mut Steps) -> Result<()>>;

fn job_named(args: &[String]) -> Option<Job> {
    let (name, options) = args.split_first()?;
    if name == "bench" {
        let wanted = bench::Wanted::from(options)?;
        return Some(Box::new(move |steps| bench::run(steps, &wanted)));
    }
    if name == "gateway" {
        let wanted = gateway::Wanted::from(options)?;
        return Some(Box::new(move |steps| gateway::run(steps, &wanted)));
    }
    if name == "dist" {
        let wanted = dist::Wanted::from(options)?;
        return Some(Box::new(move |steps| dist::run(steps, &wanted)));
    }
    if name == "demo" {
        let wanted = demo::Wanted::from(options)?;
        return Some(Box::new(move |steps| demo::run(steps, &wanted)));
    }
    let plain = plain_job_named(name).filter(|_| options.is_empty())?;
    Some(Box::new(plain))
}

/// Jobs without options.
fn plain_job_named(name: &str) -> Option<fn(&mut Steps) -> Result<()>> {
    Some(match name {
        "setup" => setup::run,
        "policies" => |steps| setup::run(steps).and_then(|()| policies::run(steps)),
        "check-core" => core_check::run,
        "lint" => |steps| setup::checkers(steps).and_then(|()| lint::run(steps)),
        "man" => dist::man,
        "test" => test::run,
        _ => return None,
    })
}

/// Every path in xtask is relative to the root of the workspace.
fn enter_workspace() -> Result<()> {
    let manifest = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let Some(root) = manifest.parent() else { bail!("{} has no parent folder", manifest.display()) };
    Ok(std::env::set_current_dir(root)?)
}
