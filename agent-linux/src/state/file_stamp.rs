use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// What a file looked like from outside when it was last looked at.
pub(crate) struct FileStamp {
    path: PathBuf,
    seen: Option<Look>,
}

/// A replaced file has another inode or, if the number was given out again, another time.
type Look = (u64, i64, i64, u64);

impl FileStamp {
    /// Looks at the file now. To be done before its content is read: a replacement in between is seen again, never missed.
    pub(crate) fn of(path: PathBuf) -> Self {
        let mut stamp = Self { path, seen: None };
        stamp.seen = stamp.look();
        stamp
    }

    /// Whether the file was replaced since the last look. Costs one `stat`.
    pub(crate) fn has_changed(&mut self) -> bool {
        let now = self.look();
        let has_changed = now != self.seen;
        self.seen = now;
        has_changed
    }

    /// What was seen could not be read, for a reason that may pass: it counts as changed at the next look, too.
    pub(crate) fn forget(&mut self) {
        self.seen = None;
    }

    fn look(&self) -> Option<Look> {
        let metadata = std::fs::metadata(&self.path).ok()?;
        Some((metadata.ino(), metadata.mtime(), metadata.mtime_nsec(), metadata.len()))
    }
}
