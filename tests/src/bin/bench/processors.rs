//! Processors of either end.
//!
//! Client and gate of a knock are two machines, but in a benchmark they are one. Left to itself the kernel wakes the gate's thread
//! where the packet has come from, on the processor of whoever knocks, and he finds out that the port is open when the gate has
//! nothing left to do. So each end's threads have processors that those of the other one cannot take, where there are two or more.
//! What the kernel does with a packet on its way, it still does on the processor of the sender.

use anyhow::{Context, Result};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// All but the last.
    Gate,
    /// The last one.
    Client,
}

/// Has `work`, and all programs and threads that it starts, run on the processors of one end.
pub(crate) fn on<T>(end: End, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let all = sched_getaffinity(None).context("the kernel does not say which processors there are")?;
    stay_on(&of(end, &all))?;
    let done = work();
    stay_on(&all)?;
    done
}

fn stay_on(processors: &CpuSet) -> Result<()> {
    sched_setaffinity(None, processors).context("a thread cannot be kept on its processors")
}

/// With one processor alone, both ends have that.
fn of(end: End, all: &CpuSet) -> CpuSet {
    let mut numbers: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|number| all.is_set(*number)).collect();
    let last = numbers.split_off(numbers.len().saturating_sub(1));
    let own = if end == End::Client || numbers.is_empty() { last } else { numbers };
    let mut set = CpuSet::new();
    own.into_iter().for_each(|number| set.set(number));
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(numbers: &[usize]) -> CpuSet {
        let mut set = CpuSet::new();
        numbers.iter().for_each(|number| set.set(*number));
        set
    }

    #[test]
    fn the_ends_share_no_processor_where_there_are_two() {
        let all = set(&[0, 3, 5]);
        assert!(of(End::Gate, &all) == set(&[0, 3]));
        assert!(of(End::Client, &all) == set(&[5]));
    }

    #[test]
    fn a_single_processor_is_everybodys() {
        let all = set(&[2]);
        assert!(of(End::Gate, &all) == all);
        assert!(of(End::Client, &all) == all);
    }

    #[test]
    fn afterwards_the_thread_may_run_anywhere_again() {
        let before = sched_getaffinity(None).unwrap();
        let meanwhile = on(End::Client, || Ok(sched_getaffinity(None)?)).unwrap();
        assert!(meanwhile == of(End::Client, &before));
        on(End::Client, || -> Result<()> { anyhow::bail!("a knock that fails") }).unwrap_err();
        assert!(sched_getaffinity(None).unwrap() == before);
    }
}
