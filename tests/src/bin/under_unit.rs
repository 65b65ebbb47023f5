//! `under_unit SETTING=VALUE ... PROGRAM ARGUMENT ...`: runs a program as a unit with these settings runs it.
//!
//! It does what systemd does for each, so that an agent can be tried under the settings of its unit where no systemd is the first
//! process. Rule: `systemd.exec(5)`. A setting that is not known here is an error.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

fn main() -> ExitCode {
    let Err(error) = run(std::env::args().skip(1));
    eprintln!("under_unit: {error:#}");
    ExitCode::FAILURE
}

/// Returns only if the program does not start.
fn run(mut arguments: impl Iterator<Item = String>) -> Result<std::convert::Infallible> {
    let program = loop {
        let word = arguments.next().context("no program is named")?;
        match word.split_once('=') {
            Some(setting) => apply(setting)?,
            None => break word,
        }
    };
    let error = Command::new(&program).args(arguments).exec();
    Err(error).context(program)
}

fn apply(setting: (&str, &str)) -> Result<()> {
    match setting {
        ("MemoryDenyWriteExecute", "yes") => Ok(seccompiler::apply_filter(&deny_write_execute()?)?),
        ("SystemCallFilter", "~capset") => Ok(seccompiler::apply_filter(&deny(libc::SYS_capset)?)?),
        // As a kernel answers that was built without Landlock.
        ("SystemCallFilter", "~landlock_create_ruleset:ENOSYS") => {
            Ok(seccompiler::apply_filter(&lacking(libc::SYS_landlock_create_ruleset)?)?)
        }
        (name, value) => bail!("{name}={value} is not known here"),
    }
}

/// Memory is never writable and executable at once, and never becomes executable. As systemd does without `PR_SET_MDWE`.
fn deny_write_execute() -> Result<BpfProgram> {
    const BOTH: i32 = libc::PROT_WRITE | libc::PROT_EXEC;
    let asked = |call, flags| Ok((call, vec![SeccompRule::new(vec![has(2, flags)?])?]));
    let rules: Result<BTreeMap<i64, Vec<SeccompRule>>> = [
        asked(libc::SYS_mmap, BOTH),
        asked(libc::SYS_mprotect, libc::PROT_EXEC),
        asked(libc::SYS_pkey_mprotect, libc::PROT_EXEC),
        asked(libc::SYS_shmat, libc::SHM_EXEC),
    ]
    .into_iter()
    .collect();
    refusing(rules?)
}

fn deny(call: i64) -> Result<BpfProgram> {
    refusing(BTreeMap::from([(call, Vec::new())]))
}

fn lacking(call: i64) -> Result<BpfProgram> {
    answering(libc::ENOSYS, BTreeMap::from([(call, Vec::new())]))
}

fn refusing(rules: BTreeMap<i64, Vec<SeccompRule>>) -> Result<BpfProgram> {
    answering(libc::EPERM, rules)
}

fn answering(error: i32, rules: BTreeMap<i64, Vec<SeccompRule>>) -> Result<BpfProgram> {
    let refused = SeccompAction::Errno(error.unsigned_abs());
    let machine = TargetArch::try_from(std::env::consts::ARCH)?;
    Ok(SeccompFilter::new(rules, SeccompAction::Allow, refused, machine)?.try_into()?)
}

fn has(index: u8, flags: i32) -> Result<SeccompCondition> {
    let flags = u64::from(flags.unsigned_abs());
    Ok(SeccompCondition::new(index, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(flags), flags)?)
}
