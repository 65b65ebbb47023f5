//! Where the settings file is, and who may have written it.

use std::env;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::{Problem, Settings, parse};
use crate::private_file::{self, FileFault};

/// Hundreds of profiles; more is no settings file of ours.
const MAX_FILE: usize = 64 * 1024;
/// Problems that are told at once; a file of another kind has one on every line.
const MAX_TOLD: usize = 10;

/// Why there are no usable settings. Every message names the file and the remedy.
#[derive(Debug, Error)]
pub(crate) enum SettingsFault {
    #[error(transparent)]
    File(#[from] FileFault),
    #[error("{}: longer than {} KiB; this is no settings file of knockgate, move it away", .0.display(), MAX_FILE / 1024)]
    TooLong(PathBuf),
    #[error("{}", told(.path, .problems))]
    Content { path: PathBuf, problems: Vec<Problem> },
}

/// `FILE:LINE: what; remedy`, one line for each problem.
fn told(path: &Path, problems: &[Problem]) -> String {
    let line = |problem: &Problem| format!("{}:{}: {}", path.display(), problem.line, problem.what);
    let mut lines: Vec<_> = problems.iter().take(MAX_TOLD).map(line).collect();
    if problems.len() > MAX_TOLD {
        lines.push(format!("{}: and {} problems more", path.display(), problems.len() - MAX_TOLD));
    }
    lines.join("\n")
}

/// The settings at `path`; without a file nothing is chosen. Everybody may read it, only its owner may write it.
pub(crate) fn read(path: &Path) -> Result<Settings, SettingsFault> {
    let bytes = match private_file::read_unwritable(path, MAX_FILE + 1) {
        Ok(bytes) => bytes,
        Err(FileFault::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Ok(Settings::default());
        }
        Err(fault) => return Err(fault.into()),
    };
    if bytes.len() > MAX_FILE {
        return Err(SettingsFault::TooLong(path.to_owned()));
    }
    let parsed = match str::from_utf8(&bytes) {
        Ok(text) => parse(text),
        Err(error) => Err(vec![not_text(&bytes, error.valid_up_to())]),
    };
    parsed.map_err(|problems| SettingsFault::Content { path: path.to_owned(), problems })
}

fn not_text(bytes: &[u8], valid: usize) -> Problem {
    let before = bytes.get(..valid).unwrap_or_default();
    let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
    Problem { line, what: "not UTF-8 text; save the file as UTF-8".to_owned() }
}

/// A path from the settings: `~/` is the user's home, and what is relative begins at `dir`.
pub(crate) fn resolve(path: &Path, dir: &Path) -> PathBuf {
    match path.strip_prefix("~") {
        Ok(rest) => env::home_dir().unwrap_or_else(|| dir.to_owned()).join(rest),
        Err(_) => dir.join(path),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn file(content: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config");
        private_file::write(&path, content).unwrap();
        (dir, path)
    }

    #[test]
    fn no_file_chooses_nothing() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(&dir.path().join("config")).unwrap(), Settings::default());
    }

    #[test]
    #[cfg(unix)]
    fn others_may_read_it_but_not_write_it() {
        use std::os::unix::fs::PermissionsExt;
        let (_dir, path) = file(b"Timeout 5");
        #[rustfmt::skip]
        let cases = [(1, 0o600, true), (2, 0o644, true), (3, 0o664, false), (4, 0o646, false)];
        for (case, mode, accepted) in cases {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(read(&path).is_ok(), accepted, "case {case}");
        }
        let fault = read(&path).unwrap_err().to_string();
        let path = path.display();
        assert_eq!(fault, format!("{path}: mode 0646 lets other users change it; run: chmod go-w {path}"));
    }

    #[test]
    fn every_problem_is_one_line_and_there_is_an_end_to_them() {
        let (_dir, path) = file("Colour red\n".repeat(30).as_bytes());
        let fault = read(&path).unwrap_err().to_string();
        assert_eq!(fault.lines().count(), 11, "{fault}");
        assert!(fault.starts_with(&format!("{}:1: unknown keyword", path.display())), "{fault}");
        assert!(fault.ends_with(": and 20 problems more"), "{fault}");
    }

    #[test]
    fn bytes_that_are_no_text_are_told_with_their_line() {
        let (_dir, path) = file(b"Timeout 5\nService \xff");
        let fault = read(&path).unwrap_err().to_string();
        assert_eq!(fault, format!("{}:2: not UTF-8 text; save the file as UTF-8", path.display()));
    }

    #[test]
    fn a_file_without_end_is_refused() {
        let (_dir, path) = file(&vec![b'#'; MAX_FILE + 1]);
        assert!(matches!(read(&path), Err(SettingsFault::TooLong(_))));
    }

    #[test]
    fn a_relative_path_begins_at_the_clients_directory() {
        let dir = Path::new("/d");
        assert_eq!(resolve(Path::new("a/b"), dir), Path::new("/d/a/b"));
        assert_eq!(resolve(Path::new("/a"), dir), Path::new("/a"));
        assert!(!resolve(Path::new("~/a"), dir).starts_with("~"));
    }
}
