use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use knockgate_core::ClientId;
use knockgate_policy_host::{Cause, Event, HostKind};
use serde_json::Value;

use super::writer::now;
use super::*;

#[path = "../../../tests/golden/audit.rs"]
mod golden;

struct AliceAndSsh;

impl Names for AliceAndSsh {
    fn client(&self, id: ClientId) -> Option<String> {
        (id.0 == 1).then(|| "alice".into())
    }

    fn service(&self, id: u16) -> Option<String> {
        (id == 3).then(|| "ssh".into())
    }
}

fn log() -> (tempfile::TempDir, PathBuf) {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("audit.jsonl");
    (temp, path)
}

fn open(path: &Path) -> AuditFile {
    AuditFile::open(path, Rotation::default()).unwrap()
}

fn lines(path: &Path) -> Vec<Value> {
    std::fs::read_to_string(path)
        .unwrap()
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

fn source() -> std::net::IpAddr {
    "192.0.2.7".parse().unwrap()
}

#[test]
fn every_record_is_a_line_with_its_time_and_a_rising_number_across_restarts() {
    let (_temp, path) = log();
    for run in 0..2 {
        let audit = Audit::open(&path).unwrap();
        audit.write(AuditRecord::started(["ssh"], run));
        audit.write(AuditRecord::stopped("SIGTERM"));
    }

    let lines = lines(&path);

    assert_eq!(lines.iter().map(|line| line["seq"].as_u64().unwrap()).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    assert_eq!(
        lines.iter().map(|line| line["event"].as_str().unwrap()).collect::<Vec<_>>(),
        ["log-begins", "started", "stopped", "started", "stopped"]
    );
    let time = lines[0]["time"].as_str().unwrap();
    assert!(
        humantime::parse_rfc3339(time).is_ok() && time.len() == "2026-01-01T00:00:00.000000Z".len(),
        "{time}"
    );
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o137, 0, "0640 or less");
}

#[test]
fn a_line_that_a_crash_cut_off_spoils_no_other() {
    let (_temp, path) = log();
    Audit::open(&path).unwrap().write(AuditRecord::stopped("one"));
    std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(br#"{"time":"2026-"#).unwrap();
    Audit::open(&path).unwrap().write(AuditRecord::stopped("two"));
    let seen: Vec<_> =
        lines(&path).iter().map(|line| (line["event"].clone(), line["reason"].clone())).collect();
    let [new, stopped, torn] = ["log-begins", "stopped", "torn"].map(Value::from);
    assert_eq!(
        seen,
        [(new, "new".into()), (stopped.clone(), "one".into()), (torn, Value::Null), (stopped, "two".into())]
    );
}

#[test]
fn a_minute_of_noise_is_one_record_with_its_counters() {
    let noise = Noise { unsealed: 1_000_000, over_budget: 7, ..Noise::default() };
    let from = vec![NoiseFrom { prefix: "192.0.2.0/24".into(), packets: 900_000 }];
    let record = serde_json::to_value(AuditRecord::Noise { within_seconds: 60, noise, from }).unwrap();
    let expected = serde_json::json!({
        "event": "noise", "within-seconds": 60, "unsealed": 1_000_000, "over-budget": 7, "unanswered": 0, "probes": 0,
        "incomplete": 0, "foreign": 0, "unreadable": 0, "lost": 0, "from": [{"prefix": "192.0.2.0/24", "packets": 900_000}],
    });
    assert_eq!(record, expected);
}

#[test]
fn records_that_find_no_room_are_counted_and_nobody_waits() {
    let (_temp, path) = log();
    let (queue, entries) = sync_channel(1);
    let state = Arc::default();
    let writer = Writer::new(open(&path), &state);
    let audit = Audit { queue: Some(queue), state, writer: None };

    for _ in 0..4 {
        audit.write(AuditRecord::stopped("test"));
    }
    drop(audit);
    writer.run(&entries);

    let seen: Vec<_> =
        lines(&path).iter().map(|line| (line["event"].clone(), line["records"].as_u64())).collect();
    assert_eq!(seen[1..], [("lost".into(), Some(3)), ("stopped".into(), None)]);
}

#[test]
fn a_full_disk_loses_records_but_not_their_number() {
    let state = Arc::new(State { lost: AtomicU64::new(5), ..State::default() });
    let mut writer = Writer::new(open(Path::new("/dev/full")), &state);
    writer.append(vec![now(AuditRecord::stopped("one")), now(AuditRecord::stopped("two"))]);
    assert_eq!(state.lost.load(Ordering::Relaxed), 7);
    assert!(state.is_failing.load(Ordering::Relaxed));
}

#[test]
fn one_sync_is_for_all_that_follows_soon_and_is_not_put_off_by_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = open(&folder.path().join("audit.jsonl"));
    let mut writer = Writer::new(file, &Arc::default());
    let append = |writer: &mut Writer| writer.append(vec![now(AuditRecord::stopped("one"))]);
    assert!(writer.sync_due.is_none(), "nothing is written");
    append(&mut writer);
    let due = writer.sync_due.unwrap();
    append(&mut writer);
    assert_eq!(writer.sync_due, Some(due));
    writer.sync_if(|_| false);
    assert_eq!(writer.sync_due, Some(due));
    writer.sync_if(|_| true);
    assert!(writer.sync_due.is_none(), "all is durable");
}

#[test]
fn a_full_file_is_put_away_before_more_is_written_and_the_chain_goes_on() {
    let (_temp, path) = log();
    let rotation = Rotation { size: 500, ..Rotation::default() };
    let mut writer = Writer::new(AuditFile::open(&path, rotation).unwrap(), &Arc::default());
    for number in 0..10 {
        writer.append(vec![now(AuditRecord::stopped(number.to_string()))]);
    }
    let files = Series::of(&path).unwrap().files;
    assert!(files.len() > 2, "{files:?}");
    for file in &files[..files.len() - 1] {
        let size = std::fs::metadata(file).unwrap().len();
        assert!((500..1000).contains(&size), "{}: {size}", file.display());
    }
    let finding = verify(&files, None).unwrap();
    assert_eq!((finding.broken, finding.files), (None, files.len()));
    let told: Vec<Value> = files.iter().flat_map(|file| lines(file)).collect();
    let told: Vec<_> =
        told.iter().filter(|line| line["event"] == "stopped").map(|line| &line["reason"]).collect();
    assert_eq!(told, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
}

#[test]
fn a_log_that_cannot_be_opened_says_the_remedy() {
    let error = Audit::open(Path::new("/nonexistent/audit.jsonl")).err().unwrap().to_string();
    assert!(
        error.starts_with("/nonexistent/audit.jsonl: ") && error.contains("make its directory"),
        "{error}"
    );
}

#[test]
fn what_the_gate_notes_is_told_in_the_words_of_every_agent() {
    for (note, expected) in golden::notes() {
        let record = serde_json::to_value(AuditRecord::note(&note, &AliceAndSsh)).unwrap();
        assert_eq!(record, serde_json::from_str::<Value>(expected).unwrap());
    }
}

#[test]
fn every_attribute_of_the_abi_that_an_event_has_is_in_its_decision() {
    use knockgate_policy_abi::attr;
    use knockgate_policy_host as host;

    let event = Event {
        time: Some(1),
        local: Some(host::LocalTime { weekday: 1, minute: 2 }),
        client: Some(host::Client {
            id: 1,
            name: host::text("alice"),
            failures: 0,
            grants: 0,
            oldest_grant: Some(3),
            second_factor: false,
        }),
        source: Some(host::Source { address: source(), prefix: 32, failures: 0, grants: 0 }),
        request: Some(host::Request {
            service: 1,
            name: host::text("ssh"),
            seconds: 60,
            grants: 0,
            prefix: Some(24),
        }),
        book: Some(host::Book { number: 0, left: 9 }),
        grant: Some(host::Grant { id: 1, left: 2 }),
        lockout_seconds: Some(1),
        ..Event::new(Cause::Sequence, HostKind::Linux)
    };
    let said = host::Decision {
        verdict: host::Verdict::Deny,
        actions: heapless::Vec::new(),
        fuel: 12,
        failure: None,
        refused: heapless::Vec::new(),
        loaded: [(5, 6)].into_iter().collect(),
        log: heapless::Vec::new(),
        log_dropped: 0,
    };
    let opinions = ["networks", "office-hours"].map(|policy| Opinion {
        policy: policy.into(),
        cause: Cause::Packet,
        said: said.clone(),
        took: Duration::from_micros(34),
    });
    let heard = Arc::new(Heard { event, waits: Waits::Somebody, opinions: opinions.into() });
    let [first, record] = heard
        .records()
        .map(|record| serde_json::to_value(record).unwrap())
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    assert_eq!((&first["event"], &first["policy"]), (&"decision".into(), &"networks".into()));
    assert_eq!(first["chain"].as_array().map(Vec::len), Some(1), "nobody was asked before it");
    assert_eq!((&record["client"], &record["service"]), (&"alice".into(), &"ssh".into()));
    assert_eq!(record["attributes"]["cause"], "packet", "as this policy was told of it");
    assert_eq!(
        (&record["verdict"], &record["fuel"], &record["elapsed-us"]),
        (&"deny".into(), &12.into(), &34.into())
    );
    assert_eq!(record["loaded"], serde_json::json!([[5, 6]]));
    assert_eq!(record["chain"][0], serde_json::json!({ "policy": "networks", "verdict": "deny" }));
    assert_eq!(record["hash"], Value::Null, "the writer adds it");
    // These are the host's and the policy's own, or are told by `address`.
    let derived = ["host-kind", "max-seconds", "family", "address-high", "address-low"];
    for row in attr::TABLE.iter().filter(|row| !derived.contains(&row.name)) {
        assert!(!record["attributes"][row.name].is_null(), "{}", row.name);
    }
}
