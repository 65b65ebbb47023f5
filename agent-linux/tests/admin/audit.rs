//! `audit verify` and `report`, over a log that the agent's own writer has made.
#![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

use std::fs;
use std::io::Write;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::SystemTime;

use knockgate_agent::audit::{Audit, AuditRecord, Rotation};
use serde_json::Value;

use super::scene::{Said, Scene};

/// What a file is when the next record puts it away.
const ALWAYS_FULL: Rotation = Rotation { size: 1, age: None, keep: 15 };
/// Text that a page or a terminal would act upon, of a client or a policy that means harm.
pub(super) const HOSTILE: &str = "</td><script>alert('x')</script>\u{1b}[2J\u{202e}";

/// A gate with a log.
pub(super) struct Logged {
    pub(super) scene: Scene,
    log: PathBuf,
}

impl Logged {
    pub(super) fn new() -> Self {
        let scene = Scene::ready();
        let log = scene.path().join("log/audit.jsonl");
        fs::create_dir_all(log.parent().unwrap()).unwrap();
        Self { scene, log }
    }

    /// Three files of four, four and four records.
    fn in_three_files() -> Self {
        let logged = Self::new();
        for file in 0..3 {
            logged.write(ALWAYS_FULL, [refused("alice", "denied")]);
            logged.write(Rotation::default(), [refused("alice", "denied"), refused("bob", "stale")]);
            assert_eq!(logged.files().len(), file + 1);
        }
        logged
    }

    fn write(&self, rotation: Rotation, records: impl IntoIterator<Item = AuditRecord>) {
        let audit = Audit::open_with(&self.log, rotation).unwrap();
        records.into_iter().for_each(|record| audit.write(record));
    }

    /// The same of what happened at `time`.
    pub(super) fn write_at(&self, time: SystemTime, record: AuditRecord) {
        Audit::open(&self.log).unwrap().write_at(time, record);
    }

    /// In the order of their records.
    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.log.parent().unwrap()).unwrap();
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files.rotate_left(1);
        files
    }

    fn lines(&self, file: usize) -> Vec<String> {
        fs::read_to_string(&self.files()[file]).unwrap().lines().map(str::to_owned).collect()
    }

    fn put(&self, file: usize, lines: &[String]) {
        fs::write(&self.files()[file], lines.join("\n") + "\n").unwrap();
    }

    fn verify(&self, arguments: &[&str]) -> Said {
        self.scene.run(&[&["audit", "verify"], arguments].concat())
    }

    /// What is said of a broken log: the figures up to there, the place, and exit status 1.
    fn broken(&self) -> String {
        let said = self.verify(&[]);
        assert_eq!(said.code, Some(1), "{}", said.out);
        assert!(said.out.contains("whole up to the place named below"), "{}", said.out);
        said.err
    }

    pub(super) fn page(&self) -> String {
        self.scene.run(&["report", "--since", "1d", "--html", "page.html"]).good();
        fs::read_to_string(self.scene.path().join("page.html")).unwrap()
    }
}

fn refused(client: &str, reason: &'static str) -> AuditRecord {
    AuditRecord::Refused {
        client: client.into(),
        source: IpAddr::from([192, 0, 2, 7]),
        reason,
        service: None,
    }
}

/// The value of the chain at the end of a line.
fn link(line: &str) -> String {
    serde_json::from_str::<Value>(line).unwrap()["hash"].as_str().unwrap().to_owned()
}

#[test]
fn a_whole_log_is_said_to_be_whole_with_all_its_files() {
    let logged = Logged::in_three_files();
    let said = logged.verify(&[]).good();
    assert!(said.starts_with("chain     whole: 12 records in 3 files\n"), "{said}");
    let last = link(&logged.lines(2)[3]);
    assert!(
        said.lines().any(|line| line.starts_with("last      record 11, ") && line.ends_with(&last)),
        "{said}"
    );
    assert!(!said.contains("note: "), "{said}");
}

#[test]
fn a_changed_line_is_named_with_its_file() {
    let logged = Logged::in_three_files();
    let mut lines = logged.lines(1);
    lines[2] = lines[2].replace("alice", "malory");
    logged.put(1, &lines);
    let said = logged.broken();
    let place = format!("{}:3: record 6 was changed", logged.files()[1].display());
    assert!(said.contains(&place) && said.contains("a copy that was made before"), "{said}");
}

#[test]
fn a_removed_line_is_named_by_the_one_after_it() {
    let logged = Logged::in_three_files();
    let mut lines = logged.lines(0);
    lines.remove(1);
    logged.put(0, &lines);
    let said = logged.broken();
    let place = format!("{}:2: record 1 before this line is missing", logged.files()[0].display());
    assert!(said.contains(&place), "{said}");
}

#[test]
fn a_removed_file_is_named_by_the_one_after_it_and_the_oldest_by_a_note() {
    let logged = Logged::in_three_files();
    let files = logged.files();
    let oldest = fs::read(&files[0]).unwrap();
    fs::remove_file(&files[0]).unwrap();
    let said = logged.verify(&[]).good();
    let name = files[0].file_name().unwrap().to_str().unwrap();
    assert!(said.contains("whole: 8 records in 2 files"), "{said}");
    assert!(said.contains(&format!("note: the log begins after {name}, which is not here")), "{said}");

    fs::write(&files[0], oldest).unwrap();
    fs::remove_file(&files[1]).unwrap();
    let said = logged.broken();
    assert!(said.contains(&format!("{}:1: this file follows ", files[2].display())), "{said}");
    assert!(said.contains("ends 4 records earlier: a file or the end of one is missing"), "{said}");
}

#[test]
fn a_torn_end_is_a_note_until_the_agent_tells_of_it() {
    let logged = Logged::in_three_files();
    fs::OpenOptions::new().append(true).open(&logged.log).unwrap().write_all(br#"{"time":"20"#).unwrap();
    let said = logged.verify(&[]).good();
    assert!(
        said.contains(":5: the file ends with 11 bytes that are no record: cut off by a crash"),
        "{said}"
    );

    logged.write(Rotation::default(), [refused("alice", "denied")]);

    let said = logged.verify(&[]).good();
    assert!(said.contains("torn      1 records were cut off") && !said.contains("note: "), "{said}");
}

#[test]
fn an_end_that_was_cut_off_shows_by_the_value_that_was_noted() {
    let logged = Logged::in_three_files();
    let lines = logged.lines(2);
    let noted = link(&lines[1]);
    let said = logged.verify(&["--expect", &noted]).good();
    assert!(said.contains("expected  the value is there, 2 records before the end"), "{said}");

    logged.put(2, &lines[..1]);

    logged.verify(&[]).good();
    let said = logged.verify(&["--expect", &noted]);
    assert_eq!(said.code, Some(1));
    assert!(
        said.err.contains(&format!("the value {noted} is not in the log: its end was cut off")),
        "{}",
        said.err
    );
    let said = logged.verify(&["--expect", "12ab"]).bad(2);
    assert!(said.contains("\"12ab\" is no value of the chain; it has 32 digits"), "{said}");
}

#[test]
fn programs_get_an_object_with_the_place_and_the_same_exit_status() {
    let logged = Logged::in_three_files();
    let whole: Value = serde_json::from_str(&logged.verify(&["--json"]).good()).unwrap();
    assert_eq!((&whole["records"], &whole["files"], &whole["broken"]), (&12.into(), &3.into(), &Value::Null));
    let mut lines = logged.lines(2);
    lines.swap(1, 2);
    logged.put(2, &lines);
    let said = logged.verify(&["--json"]);
    let broken: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((said.code, &broken["broken"]["line"]), (Some(1), &2.into()), "{broken}");
    assert_eq!(broken["broken"]["file"], logged.log.to_str().unwrap());
}

#[test]
fn a_log_that_is_not_there_yet_or_cannot_be_read_is_told_with_the_remedy() {
    let logged = Logged::new();
    for command in [&["audit", "verify"][..], &["report"]] {
        let said = logged.scene.run(command).bad(1);
        assert!(
            said.contains("audit.jsonl: there is no record yet; the agent writes the first one"),
            "{said}"
        );
    }
    let said = logged.verify(&["elsewhere.jsonl"]).bad(1);
    assert!(said.contains("elsewhere.jsonl: cannot be read; try as root, or name another file"), "{said}");
}

#[test]
fn a_report_tells_the_same_figures_as_text_and_as_a_page() {
    let logged = Logged::in_three_files();
    let said = logged.scene.run(&["report", "--since", "1d"]).good();
    for expected in
        ["knocks    0 opened, 9 refused\n", "alice: 0 opened, 6 refused", "refusals  6 denied, 3 stale"]
    {
        assert!(said.contains(expected), "{expected:?}: {said}");
    }
    assert!(said.contains("chain     whole: 12 records in 3 files"), "{said}");
    let page = logged.page();
    assert!(page.contains("<strong>9</strong><span>refused</span>"), "{page}");
    assert!(page.contains("Made by knockgated") && page.contains("The chain is whole: 12 records"), "{page}");
}

#[test]
fn a_report_says_where_the_chain_is_broken() {
    let logged = Logged::in_three_files();
    let mut lines = logged.lines(1);
    lines[2] = lines[2].replace("alice", "malory");
    logged.put(1, &lines);
    let place = format!("{}:3: record 6 was changed", logged.files()[1].display());
    let said = logged.scene.run(&["report", "--since", "1d"]).good();
    assert!(said.contains(&format!("chain     broken at {place}")), "{said}");
    assert!(logged.page().contains(&format!("<p class=\"warning\">The audit log is broken at {place}")));
}

#[test]
fn hostile_text_of_the_log_and_of_paths_is_shown_and_never_acted_upon() {
    let logged = Logged::new();
    let mut hostile = logged.scene.path().join("<b onload=x>");
    fs::create_dir(&hostile).unwrap();
    hostile.push("audit.jsonl");
    let config = fs::read_to_string(logged.scene.config()).unwrap();
    let config = config.replace(logged.log.to_str().unwrap(), hostile.to_str().unwrap());
    fs::write(logged.scene.config(), config).unwrap();
    let logged = Logged { log: hostile, ..logged };
    logged.write(
        Rotation::default(),
        [refused(HOSTILE, "denied"), AuditRecord::Lockout { who: HOSTILE.into(), seconds: 60 }],
    );
    let mut lines = logged.lines(0);
    lines[1] = lines[1].replace("denied", "altered");
    logged.put(0, &lines);

    let page = logged.page();

    assert!(
        page.contains("&lt;script&gt;alert(&#39;x&#39;)") && page.contains("&lt;b onload=x&gt;"),
        "{page}"
    );
    for forbidden in ["<script", "<b ", "alert('", "\u{1b}", "\u{202e}"] {
        assert!(!page.contains(forbidden), "{forbidden:?}");
    }
    let said = logged.scene.run(&["report", "--since", "1d"]).good();
    assert!(said.contains("alert('x')") && !said.contains('\u{1b}'), "{said}");
}

#[test]
fn a_report_of_a_time_in_which_nothing_was_is_a_page_all_the_same() {
    let logged = Logged::in_three_files();
    let said = logged.scene.run(&[
        "report",
        "--since",
        "2001-01-01",
        "--until",
        "2001-01-02",
        "--html",
        "page.html",
    ]);
    assert!(said.good().contains("page.html: written"));
    let page = fs::read_to_string(logged.scene.path().join("page.html")).unwrap();
    assert!(page.contains("None in this time.") && page.ends_with("</html>\n"), "{page}");
    let said = logged.scene.run(&["report", "--html", "nowhere/page.html"]).bad(1);
    assert!(
        said.contains("nowhere/page.html: cannot be written; name a file in a directory that is there"),
        "{said}"
    );
}
