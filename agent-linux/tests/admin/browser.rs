//! The page of `report` in a browser that has no network: what is drawn, in both colour schemes, and what is not acted upon.
#![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use knockgate_agent::audit::{AuditRecord, Heard, Noise, NoiseFrom, Opinion, Waits};
use knockgate_policy_host::{Cause, Decision, Event, HostKind, Verdict};
use serde_json::Value;

use super::audit::{HOSTILE, Logged};

/// Said by the frame around the page: so what a browser has to say about the page would be seen, too.
const HEARD: &str = "this is heard";
/// Looks at the page from outside, for it has no script, and says what is there.
const FRAME: &str = include_str!("browser.html");
/// As the style sheet has them.
const LIGHT: &str = "rgb(255, 255, 255)";
const DARK: &str = "rgb(20, 24, 29)";

#[test]
fn a_browser_without_a_network_draws_every_chart_and_shows_hostile_names_as_text() {
    let logged = Logged::new();
    let begins = SystemTime::now();
    let after = |seconds| begins + Duration::from_secs(seconds);
    for (seconds, record) in an_hour() {
        logged.write_at(after(seconds), record);
    }
    let until = humantime::format_rfc3339_seconds(after(3600)).to_string();
    logged.scene.run(&["report", "--since", "1d", "--until", &until, "--html", "page.html"]).good();
    let folder = logged.scene.path();
    fs::write(folder.join("frame.html"), FRAME).unwrap();

    // Browsers take their time, so both at once.
    let schemes = [("0", DARK), ("1", LIGHT)].map(|(scheme, paper)| (Visit::begin(folder, scheme), paper));

    let pictures = schemes.map(|(visit, paper)| {
        let (seen, picture) = visit.end();
        must_be_drawn(&seen, paper);
        must_be_harmless(&seen);
        picture
    });
    assert_ne!(pictures[0], pictures[1]);
}

/// Of the next hour: somebody of every kind, and a client whose name means harm.
fn an_hour() -> Vec<(u64, AuditRecord)> {
    let (client, service) = (HOSTILE.to_owned(), "web".to_owned());
    let source = "192.0.2.7".to_owned();
    let noise = Noise { unsealed: 1000, probes: 200, ..Noise::default() };
    let from = vec![NoiseFrom { prefix: "198.51.100.0/24".into(), packets: 700 }];
    vec![
        (10, AuditRecord::started(["web"], 1)),
        (90, decision(Verdict::Commit)),
        (
            100,
            AuditRecord::GrantOpened {
                grant: 1,
                client: client.clone(),
                source: source.clone(),
                service: service.clone(),
                seconds: 60,
            },
        ),
        (
            160,
            AuditRecord::GrantClosed {
                grant: 1,
                client: client.clone(),
                source: source.clone(),
                service: service.clone(),
                reason: "expired",
            },
        ),
        (590, decision(Verdict::Deny)),
        (
            600,
            AuditRecord::Refused {
                client: client.clone(),
                source: source.parse().unwrap(),
                reason: "denied",
                service: Some(service),
            },
        ),
        (700, AuditRecord::Lockout { who: client, seconds: 60 }),
        (800, AuditRecord::Noise { within_seconds: 60, noise, from }),
        (1600, AuditRecord::stopped("SIGTERM")),
        (2600, AuditRecord::started(["web"], 1)),
    ]
}

/// Of a policy whose name means harm.
fn decision(verdict: Verdict) -> AuditRecord {
    let said = Decision {
        verdict,
        actions: heapless::Vec::new(),
        fuel: 12,
        failure: None,
        refused: heapless::Vec::new(),
        loaded: heapless::Vec::new(),
        log: heapless::Vec::new(),
        log_dropped: 0,
    };
    let (policy, took) = (HOSTILE.into(), Duration::from_micros(34));
    let opinions = [Opinion { policy, cause: Cause::Packet, said, took }].into();
    let heard = Heard { event: Event::new(Cause::Packet, HostKind::Linux), waits: Waits::Somebody, opinions };
    Arc::new(heard).records().next().unwrap()
}

/// A browser with the page, in a network of its own that leads nowhere.
struct Visit {
    browser: Child,
    picture: PathBuf,
}

impl Visit {
    fn begin(folder: &Path, scheme: &str) -> Self {
        let picture = folder.join(format!("{scheme}.png"));
        let option = |name: &str, value: &Path| format!("--{name}={}", value.display());
        let browser = Command::new("unshare")
            .args(["--map-root-user", "--user", "--net", "chromium", "--headless", "--disable-gpu"])
            // Its sandbox has no place in the one that it is in, and the page is our own.
            .args([
                "--no-sandbox",
                "--disable-dev-shm-usage",
                "--enable-logging=stderr",
                "--window-size=1200,1600",
            ])
            // The frame may look at the page that it shows.
            .args([
                "--allow-file-access-from-files",
                &format!("--blink-settings=preferredColorScheme={scheme}"),
            ])
            .args([
                option("user-data-dir", &folder.join(format!("profile-{scheme}"))),
                option("screenshot", &picture),
            ])
            .args(["--dump-dom", &format!("file://{}", folder.join("frame.html").display())])
            .env("HOME", folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("unshare can be run");
        Self { browser, picture }
    }

    /// What the frame has found, and the picture.
    fn end(self) -> (Value, Vec<u8>) {
        let output = self.browser.wait_with_output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "chromium (Debian's package of that name) has failed: {err}");
        // A browser has pages of its own, which have their say, too.
        let of_files = |line: &&str| line.contains("CONSOLE") && line.contains("source: file:");
        let said: Vec<_> = err.lines().filter(of_files).collect();
        assert!(matches!(said[..], [line] if line.contains(HEARD)), "{said:?}");
        let found = out.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>"));
        let found = found.map(|(found, _)| found.replace("&amp;", "&")).unwrap_or_default();
        let seen = serde_json::from_str(&found).unwrap_or_else(|error| panic!("{error}: {out}"));
        (seen, fs::read(self.picture).unwrap())
    }
}

fn must_be_drawn(seen: &Value, paper: &str) {
    assert_eq!((&seen["paper"], &seen["scrolls"]), (&paper.into(), &false.into()), "{seen}");
    let charts = seen["charts"].as_object().unwrap();
    for (chart, bars) in [
        ("Knocks over time", 2),
        ("Noise over time", 1),
        ("Clients", 2),
        ("Services", 2),
        ("Why knocks were refused", 1),
        ("How long grants were open", 1),
        ("Noise by kind", 2),
        ("Noise by prefix", 2),
        ("What policies decided", 2),
    ] {
        assert_eq!(charts[chart], bars, "{chart}: {seen}");
    }
    let text = seen["text"].as_str().unwrap();
    for expected in ["198.51.100.0/24", "the agent was stopped", "1: 16m 40s without an agent"] {
        assert!(text.contains(expected), "{expected:?}: {text}");
    }
}

fn must_be_harmless(seen: &Value) {
    // Neither what could act nor what could fetch.
    assert_eq!(seen["active"], 0, "{seen}");
    let text = seen["text"].as_str().unwrap();
    assert!(
        text.contains("\u{2039}/td\u{203a}\u{2039}script\u{203a}alert('x')\u{2039}/script\u{203a}"),
        "{text}"
    );
}
