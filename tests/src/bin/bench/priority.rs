//! What it helps to give the agent precedence, while there is as much noise as can be made.

use anyhow::{Context, Result};

use crate::noise::{Kind, Noise};
use crate::ours::{self, Through};
use crate::results::Priority;
use crate::state::lab_on_disk;
use crate::survival;

/// Knocks of one row: enough for a percentile, for it is the slow ones that precedence is for.
const KNOCKS: u32 = 50;

const SETTINGS: [(&str, Through<'static>); 3] =
    [("none", &[]), ("nice -20", &["nice", "-n", "-20"]), ("SCHED_FIFO 1", &["chrt", "--fifo", "1"])];

pub(crate) fn measure() -> Vec<Priority> {
    let rows = SETTINGS.into_iter().map(|(setting, through)| row(setting, through));
    // Whoever may not raise a priority is shown the others.
    let rows = rows.inspect(|row| {
        if let Err(error) = row {
            eprintln!("bench: a priority is left out: {error:#}");
        }
    });
    rows.flatten().collect()
}

fn row(setting: &'static str, through: Through<'_>) -> Result<Priority> {
    let lab = lab_on_disk()?;
    let mut peer = ours::packet(&lab, through).with_context(|| lab.all_logs())?;
    let noise = Noise { kind: Kind::JunkOfKnockSize, sources: survival::SOURCES, rate: None };
    let row = survival::row(&mut peer, noise, KNOCKS)?;
    Ok(Priority { setting, knocks: row.knocks, opened: row.opened, ms: row.ms })
}
