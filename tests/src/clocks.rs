//! Another time for a program, for those whose decisions depend on it: by libfaketime, as the command `faketime` does it.
//!
//! Not through that command: it would stand between us and the program when signals are sent.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};

use crate::programs;

const DAY: u64 = 86_400;

/// A clock that runs as fast as ours, and so far ahead of it.
#[derive(Debug, Clone)]
pub struct Clock {
    environment: Vec<(String, String)>,
}

impl Clock {
    /// A clock on which it is 10 o'clock UTC at first: on a day of the next week, 0 Monday to 6 Sunday.
    pub fn next_week(day: u64) -> Result<Self> {
        ensure!(day < 7, "a week has 7 days");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?.as_secs();
        // 1 January 1970 was a Thursday.
        let weekday = (now / DAY + 3) % 7;
        let then = (now / DAY + 7 - weekday + day) * DAY + 10 * 3600;
        Self::ahead(Duration::from_secs(then - now))
    }

    /// A clock that is so far ahead of ours.
    pub fn ahead(by: Duration) -> Result<Self> {
        let offset = format!("+{}s", by.as_secs());
        let mut faketime = Command::new("faketime");
        faketime.args(["-m", "--exclude-monotonic", "-f", &offset, "env"]);
        let said = programs::output(&mut faketime)?;
        let variables = said.lines().filter_map(|line| line.split_once('='));
        let ours = variables.filter(|(name, _)| {
            // What `faketime` shares among its children goes with it.
            *name == "LD_PRELOAD" || (name.contains("FAKE") && *name != "FAKETIME_SHARED")
        });
        let environment = ours.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Ok(Self { environment })
    }

    /// A clock that can be set while a program runs by it. It is right at first.
    pub fn adjustable(file: &Path) -> Result<(Self, Setting)> {
        let setting = Setting(file.to_path_buf());
        setting.step(Step::Right)?;
        let Self { mut environment } = Self::ahead(Duration::ZERO)?;
        environment.retain(|(name, _)| name != "FAKETIME");
        // It is read at every question. The times of files stay as they are.
        for (name, value) in [("FAKETIME_NO_CACHE", "1"), ("NO_FAKE_STAT", "1")] {
            environment.push((name.to_owned(), value.to_owned()));
        }
        environment.push(("FAKETIME_TIMESTAMP_FILE".to_owned(), file.display().to_string()));
        Ok((Self { environment }, setting))
    }

    /// Gives the clock to a program that is yet to be started.
    pub fn give(&self, command: &mut Command) {
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
    }
}

/// Where an adjustable clock is set.
pub struct Setting(PathBuf);

/// Where an adjustable clock can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Right,
    YearAhead,
    YearBehind,
}

impl Setting {
    /// Whoever has the clock sees it jump. What counts time without a calendar goes on.
    pub fn step(&self, step: Step) -> Result<()> {
        let offset = match step {
            Step::Right => "+0\n",
            Step::YearAhead => "+365d\n",
            Step::YearBehind => "-365d\n",
        };
        // At no moment is half of it there.
        let next = self.0.with_added_extension("next");
        std::fs::write(&next, offset)?;
        Ok(std::fs::rename(&next, &self.0)?)
    }
}
