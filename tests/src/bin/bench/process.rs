//! What a process costs: time of processors and memory, as the kernel counts them.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::param::clock_ticks_per_second;

/// A running process, by its number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process(pub(crate) u32);

/// What a process keeps in memory, in MiB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) now: f64,
    /// Of that, what is no text of a program.
    pub(crate) own: f64,
    pub(crate) at_most: f64,
}

impl Process {
    /// Of all its threads, and of its children that have ended: whatever was started for a knock counts.
    pub(crate) fn processor_time(self) -> Result<Duration> {
        let threads = std::fs::read_dir(self.file("task")).context("the process has ended")?;
        let mut total = self.time_of_children()?;
        for thread in threads {
            // A thread that has ended meanwhile has had its time.
            let time = std::fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
            total += time_on_processor(&time).unwrap_or_default();
        }
        Ok(total)
    }

    pub(crate) fn memory(self) -> Result<Memory> {
        let status = std::fs::read_to_string(self.file("status")).context("the process has ended")?;
        let field = |name: &str| mib_of(&status, name).with_context(|| format!("no {name} of {self:?}"));
        Ok(Memory { now: field("VmRSS:")?, own: field("RssAnon:")?, at_most: field("VmHWM:")? })
    }

    fn time_of_children(self) -> Result<Duration> {
        let stat = std::fs::read_to_string(self.file("stat")).context("the process has ended")?;
        let ticks = ticks_of_children(&stat).with_context(|| format!("no times of children: {stat}"))?;
        #[expect(clippy::cast_precision_loss, reason = "a few thousand ticks")]
        Ok(Duration::from_secs_f64(ticks as f64 / clock_ticks_per_second() as f64))
    }

    fn file(self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.0))
    }
}

/// The first number of `schedstat`: nanoseconds on a processor.
fn time_on_processor(schedstat: &str) -> Option<Duration> {
    schedstat.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// `cutime` and `cstime` of `stat`, which are its fields 16 and 17. The name, field 2, may hold blanks and ends with the last bracket.
fn ticks_of_children(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(13);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some(ticks()? + ticks()?)
}

fn mib_of(status: &str, field: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_children_stand_behind_any_name() {
        let stat = "7 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 110 120 13 14 20 0 1 0 5";
        assert_eq!(ticks_of_children(stat), Some(27));
        assert_eq!(ticks_of_children("7 (short) S 1 2"), None);
    }

    #[test]
    fn memory_is_told_in_kib() {
        assert_eq!(mib_of("VmHWM:\t  2048 kB\nVmRSS:\t  1536 kB\n", "VmRSS:"), Some(1.5));
        assert_eq!(mib_of("", "VmRSS:"), None);
    }

    #[test]
    fn time_on_a_processor_is_told_in_nanoseconds() {
        assert_eq!(time_on_processor("1500 20 3\n"), Some(Duration::from_nanos(1_500)));
        assert_eq!(time_on_processor(""), None);
    }

    #[test]
    fn this_process_has_time_and_memory() {
        let this = Process(std::process::id());
        assert!(this.processor_time().unwrap() > Duration::ZERO);
        assert!(this.memory().unwrap().at_most > 0.1);
    }
}
