//! What an administrator has to know about an import: each with its place, the reason and the remedy.

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

/// A line of a file of the old configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: PathBuf,
    pub(super) line: usize,
}

impl Place {
    pub(super) fn new(file: &Path, line: usize) -> Self {
        Self { file: file.to_owned(), line }
    }

    /// Why the old configuration cannot be read.
    pub(super) fn wrong(&self, what: impl Display) -> anyhow::Error {
        anyhow::anyhow!("{self}: {what}")
    }
}

impl Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", shown(&self.file), self.line)
    }
}

/// A path without what a terminal would act upon: whoever may write a file into a folder that is included chooses its name.
pub(super) fn shown(path: &Path) -> String {
    path.display().to_string().replace(char::is_control, "?")
}

/// Everything that was found, in the order in which it was.
#[derive(Default)]
pub(super) struct Findings {
    lost: Vec<String>,
    changed: Vec<String>,
    unsure: Vec<String>,
    needless: Vec<String>,
}

impl Findings {
    /// It has no counterpart. `what` ends with the remedy.
    pub(super) fn lost(&mut self, place: &Place, what: impl Display) {
        self.lost.push(format!("{place}: {what}"));
    }

    /// It is there, and does not do the same.
    pub(super) fn changed(&mut self, place: &Place, what: impl Display) {
        self.changed.push(format!("{place}: {what}"));
    }

    /// It was guessed.
    pub(super) fn guessed(&mut self, place: &Place, what: impl Display) {
        self.unsure.push(format!("{place}: {what}"));
    }

    /// Something that the old configuration does not say, and the new one has to.
    pub(super) fn check_this(&mut self, what: String) {
        self.unsure.push(what);
    }

    /// Knockgate does it anyhow.
    pub(super) fn needless(&mut self, place: &Place, what: impl Display) {
        self.needless.push(format!("{place}: {what}"));
    }
}

impl Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            ("not carried over:", &self.lost),
            ("carried over, but different:", &self.changed),
            ("look at this:", &self.unsure),
            ("needed no more:", &self.needless),
        ];
        for (title, lines) in parts.into_iter().filter(|(_, lines)| !lines.is_empty()) {
            writeln!(f, "{title}")?;
            lines.iter().try_for_each(|line| writeln!(f, "  {line}"))?;
        }
        Ok(())
    }
}
