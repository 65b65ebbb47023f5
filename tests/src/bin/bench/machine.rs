//! On what was measured.

use std::path::Path;

use anyhow::{Context, Result};

/// Processor, number of them, kernel.
pub(crate) fn describe() -> Result<String> {
    let processors = std::fs::read_to_string("/proc/cpuinfo")?;
    let model = processors.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split_once(": ")).map_or("unknown processor", |(_, name)| name);
    let count = std::thread::available_parallelism()?;
    let kernel = |fact: &str| std::fs::read_to_string(format!("/proc/sys/kernel/{fact}"));
    Ok(format!(
        "{}, {count} processors, {} {}",
        model.trim(),
        kernel("ostype")?.trim(),
        kernel("osrelease")?.trim()
    ))
}

/// Processes that wanted to run during the last minute, on average: how quiet the machine was.
pub(crate) fn load() -> Result<String> {
    let load = std::fs::read_to_string("/proc/loadavg")?;
    load.split_whitespace().next().map(str::to_owned).context("/proc/loadavg is empty")
}

/// The type of the file system that holds a path: a sync costs a disk's time, or nothing at all in memory.
pub(crate) fn file_system(path: &Path) -> Result<String> {
    let path = path.canonicalize()?;
    let mounts = std::fs::read_to_string("/proc/self/mounts")?;
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        Some((Path::new(fields.next()?), fields.next()?))
    });
    // Of two mounts at one place the later one counts.
    let holding = mounts.filter(|(place, _)| path.starts_with(place));
    let closest = holding.max_by_key(|(place, _)| place.components().count());
    closest
        .map(|(_, kind)| kind.to_owned())
        .with_context(|| format!("no file system holds {}", path.display()))
}
