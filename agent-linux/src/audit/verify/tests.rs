use std::io::Write;
use std::time::{Duration, SystemTime};

use super::*;
use crate::audit::file::AuditFile;
use crate::audit::{AuditRecord, Rotation, Series};

/// A log of two files, with ten records after those that it makes itself.
struct Log {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

#[test]
fn a_log_of_several_files_and_runs_is_whole() {
    let log = Log::of_two_files();
    log.write(2);
    let finding = log.verify(None);
    assert_eq!(finding.broken, None);
    assert_eq!((finding.files, finding.records, finding.unchained, finding.torn), (2, 14, 0, 0));
    assert_eq!(finding.notes, [""; 0]);
    assert_eq!(finding.last.unwrap().seq, 13);
}

#[test]
fn the_first_broken_place_is_told_with_file_line_and_what_is_wrong() {
    type Damage = fn(&mut Vec<String>);
    #[rustfmt::skip]
    let cases: [(u8, Damage, u64, &str); 9] = [
        (1, |lines| lines[2] = lines[2].replace("r1", "r7"), 3, "record 2 was changed"),
        (2, |lines| drop(lines.remove(3)), 4, "record 3 before this line is missing"),
        (3, |lines| drop(lines.drain(2..5)), 3, "records 2 to 4 before this line are missing"),
        (4, |lines| lines.swap(1, 2), 2, "record 1 before this line is missing"),
        (5, |lines| lines.insert(3, lines[1].clone()), 4, "record 1 stands where record 3 belongs"),
        (6, |lines| lines.insert(2, "what is this?".into()), 3, "13 bytes from line 3 on are no record"),
        (7, |lines| drop(lines.remove(0)), 1, "the log begins in the middle"),
        (8, |lines| lines[1] = unchained(&lines[1]), 2, "record 1 carries no value of the chain"),
        (9, |lines| lines[2] = "x".repeat(70_000), 3, "longer than any record"),
    ];
    for (case, damage, line, what) in cases {
        let log = Log::of_two_files();
        let file = log.files().remove(0);
        let mut lines: Vec<_> = text(&file).lines().map(str::to_owned).collect();
        damage(&mut lines);
        std::fs::write(&file, lines.join("\n") + "\n").unwrap();

        let finding = log.verify(None);

        let Some(broken) = finding.broken else {
            assert!(case == 7 && finding.notes[0].contains(what), "case {case}: {:?}", finding.notes);
            continue;
        };
        assert!(broken.what.contains(what), "case {case}: {broken}");
        assert_eq!((broken.file, broken.line.abs_diff(line) <= 1), (file, true), "case {case}");
    }
}

#[test]
fn a_file_that_is_missing_or_cut_off_at_its_end_shows_in_the_next_one() {
    let log = Log::of_two_files();
    log.rotate();
    log.write(1);
    let files = log.files();
    let first = text(&files[0]);
    let shorter: String =
        first.lines().take(first.lines().count() - 2).map(|line| line.to_owned() + "\n").collect();
    std::fs::write(&files[0], shorter).unwrap();
    let broken = log.verify(None).broken.unwrap();
    assert_eq!((&broken.file, broken.line), (&files[1], 1));
    assert!(broken.what.contains("ends 2 records earlier"), "{broken}");

    std::fs::write(&files[0], first).unwrap();
    std::fs::remove_file(&files[1]).unwrap();
    let broken = log.verify(None).broken.unwrap();
    assert_eq!((&broken.file, broken.line), (&files[2], 1));
    assert!(broken.what.contains("a file or the end of one is missing"), "{broken}");

    std::fs::remove_file(&files[0]).unwrap();
    let finding = log.verify(None);
    assert_eq!(finding.broken, None, "the oldest may go");
    assert!(finding.notes[0].contains("the log begins after audit.jsonl.0"), "{:?}", finding.notes);
}

#[test]
fn an_end_that_was_cut_off_shows_by_a_value_that_was_noted_elsewhere() {
    let log = Log::of_two_files();
    let noted: Link = log.verify(None).last.unwrap().chain.parse().unwrap();
    log.write(3);
    assert_eq!(log.verify(Some(noted)).after_expected, Some(3));
    let last = text(&log.path);
    std::fs::write(&log.path, last.lines().take(3).map(|line| line.to_owned() + "\n").collect::<String>())
        .unwrap();
    let finding = log.verify(Some(noted));
    assert_eq!((finding.broken, finding.after_expected), (None, None));
}

#[test]
fn a_record_that_a_crash_cut_off_is_told_of_by_the_next_one_and_cannot_be_changed() {
    for piece in [r#"{"time":"2026-"#, "a\nb\n", "\n", "\n\nx"] {
        let log = Log::of_two_files();
        log.append(piece);
        let pending = log.verify(None);
        assert!(pending.broken.is_none() && pending.notes[0].contains("not told of yet"), "{piece:?}");
        log.write(1);
        log.append("}");
        log.write(1);
        let finding = log.verify(None);
        assert_eq!((finding.broken, finding.torn), (None, 2), "{piece:?}");

        let changed = text(&log.path).replacen("\n}\n", "\n]\n", 1);
        std::fs::write(&log.path, changed).unwrap();
        assert!(log.verify(None).broken.unwrap().what.contains("tells of a torn one"), "{piece:?}");
    }
}

#[test]
fn a_record_that_lacks_only_its_end_is_none_that_was_cut_off() {
    let log = Log::of_two_files();
    let whole = text(&log.path);
    std::fs::write(&log.path, whole.trim_end()).unwrap();
    assert_eq!(log.verify(None).torn, 0);
    log.write(1);
    let finding = log.verify(None);
    assert_eq!((finding.broken, finding.torn, finding.records), (None, 0, 13));
}

#[test]
fn a_log_of_before_the_chain_goes_on_chained() {
    let log = Log::empty();
    let old = "{\"time\":\"2026-11-01T00:00:00Z\",\"seq\":0,\"event\":\"stopped\"}\n{\"ti";
    std::fs::write(&log.path, old).unwrap();
    log.write(2);
    let finding = log.verify(None);
    assert_eq!((finding.broken, finding.unchained, finding.torn), (None, 1, 1));
    assert_eq!(finding.last.unwrap().seq, 4);
    assert!(finding.notes[0].contains("before the chain"), "{:?}", finding.notes);
}

#[test]
fn a_chain_that_begins_anew_is_broken() {
    let log = Log::of_two_files();
    std::fs::write(&log.path, "x".repeat(200_000)).unwrap();
    log.write(1);
    let broken = log.verify(None).broken.unwrap();
    assert_eq!(broken.file, log.path);
    assert!(broken.what.contains("longer than any record"), "{broken}");
    std::fs::write(&log.path, "nonsense\n").unwrap();
    log.write(1);
    assert!(log.verify(None).broken.unwrap().what.contains("begins anew (unreadable)"));
}

#[test]
fn only_so_many_files_are_kept_as_was_asked() {
    let log = Log::empty();
    let rotation = Rotation { size: 1, age: None, keep: 3 };
    for _ in 0..6 {
        let mut file = AuditFile::open(&log.path, rotation).unwrap();
        append(&mut file, 2);
        assert!(file.is_full(SystemTime::now()));
        file.put_away(SystemTime::now()).unwrap();
        append(&mut file, 1);
    }
    let own: Vec<_> = log.files();
    assert_eq!(own.len(), 4, "{own:?}");
    let finding = log.verify(None);
    assert_eq!(finding.broken, None);
    assert_eq!(finding.last.unwrap().seq, 6 * 4, "a number is used once");
}

#[test]
fn a_file_is_put_away_for_its_age_which_its_first_record_tells() {
    let log = Log::empty();
    log.write(1);
    let rotation = Rotation { age: Some(Duration::from_secs(3600)), ..Rotation::default() };
    let mut file = AuditFile::open(&log.path, rotation).unwrap();
    assert!(!file.is_full(SystemTime::now() + Duration::from_secs(3500)));
    assert!(file.is_full(SystemTime::now() + Duration::from_secs(3600)));
}

#[test]
fn a_file_that_logrotate_has_emptied_is_not_put_away_for_what_was_in_it() {
    let log = Log::empty();
    let rotation = Rotation { size: 1000, age: Some(Duration::from_secs(3600)), ..Rotation::default() };
    let mut file = AuditFile::open(&log.path, rotation).unwrap();
    let later = |seconds| SystemTime::now() + Duration::from_secs(seconds);
    append(&mut file, 3);
    assert!(!file.is_full(later(0)), "a record has some 120 bytes");
    append(&mut file, 5);
    std::fs::File::options().write(true).truncate(true).open(&log.path).unwrap();
    append(&mut file, 1);
    assert!(!file.is_full(later(3500)), "it has one record");
    assert!(!file.is_full(later(7000)), "and is as old as that");
    append(&mut file, 9);
    assert!(file.is_full(later(3500)));
}

#[test]
fn what_logrotate_does_to_a_file_breaks_nothing() {
    let log = Log::empty();
    let mut file = AuditFile::open(&log.path, Rotation::default()).unwrap();
    append(&mut file, 2);
    assert!(!file.reopen().unwrap(), "it is where it was");
    // `create`, and a signal after it.
    let first = log.path.with_file_name("audit.jsonl.2");
    std::fs::rename(&log.path, &first).unwrap();
    append(&mut file, 1);
    assert!(file.reopen().unwrap());
    append(&mut file, 1);
    // `copytruncate`, and no signal.
    std::fs::copy(&log.path, log.path.with_file_name("audit.jsonl.1")).unwrap();
    std::fs::File::options().write(true).truncate(true).open(&log.path).unwrap();
    append(&mut file, 1);
    // A start after one of them.
    drop(file);
    log.write(1);
    std::fs::rename(&log.path, log.path.with_file_name("audit.jsonl.0")).unwrap();
    log.write(1);

    let finding = log.verify(None);
    assert_eq!((finding.broken, finding.files), (None, 4));
    assert_eq!(finding.notes, [""; 0]);
    let named = text(&log.path.with_file_name("audit.jsonl.1"));
    assert!(named.contains(r#""file":"audit.jsonl.2""#), "{named}");
}

impl Log {
    fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        Self { _folder: folder, path }
    }

    fn of_two_files() -> Self {
        let log = Self::empty();
        log.write(7);
        log.rotate();
        log.write(3);
        log
    }

    fn write(&self, records: usize) {
        append(&mut AuditFile::open(&self.path, Rotation::default()).unwrap(), records);
    }

    fn rotate(&self) {
        let mut file = AuditFile::open(&self.path, Rotation::default()).unwrap();
        drop(file.put_away(SystemTime::now()).unwrap());
    }

    fn append(&self, text: &str) {
        std::fs::File::options().append(true).open(&self.path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn files(&self) -> Vec<PathBuf> {
        Series::of(&self.path).unwrap().files
    }

    fn verify(&self, expected: Option<Link>) -> Finding {
        verify(&self.files(), expected).unwrap()
    }
}

fn append(file: &mut AuditFile, records: usize) {
    let records: Vec<_> = (0..records).map(|at| AuditRecord::stopped(format!("r{at}"))).collect();
    file.append(records.iter().map(|record| (SystemTime::now(), record))).unwrap();
}

fn text(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap()
}

fn unchained(line: &str) -> String {
    format!("{}}}", line.split_once(r#","hash":"#).unwrap().0)
}
