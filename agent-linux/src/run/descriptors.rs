//! How many files the agent may have open: looked at before anything else, so that nothing fails half-way for want of one.

use anyhow::anyhow;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Without a caller the agent has 25 files open, and a few more while it starts `nft`.
const NEEDED: u64 = 64;
/// Room for every caller that its listeners keep, and for what goes on beside.
const WANTED: u64 = 1024;

/// Takes what it may, if that is enough.
///
/// # Errors
/// It is not.
pub(super) fn ensure() -> anyhow::Result<()> {
    let Rlimit { current: Some(current), maximum } = getrlimit(Resource::Nofile) else { return Ok(()) };
    let most = maximum.unwrap_or(WANTED).min(WANTED);
    let allowed = if current < most {
        setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum }).map_or(current, |()| most)
    } else {
        current
    };
    if allowed < NEEDED {
        return Err(anyhow!(
            "the agent may have only {allowed} files open and needs {NEEDED}; raise LimitNOFILE in its unit, or `ulimit -n`"
        ));
    }
    Ok(())
}
