use serde_json::json;

use super::*;
use crate::audit::{Audit, AuditRecord, Series};

const NASTY: &str = "</td><script>alert('x')</script>\u{1b}[2J\u{202e}&amp;\"";

#[test]
fn hostile_text_is_shown_and_never_acted_upon() {
    let mut tally = Tally::new(Span::new(1_000, 2_000));
    for event in ["grant-opened", "grant-closed", "refused", "knock", "decision", "lockout", "offered", NASTY]
    {
        tally.take(&json!({
            "time": "1970-01-01T00:20:00Z", "event": event, "client": NASTY, "service": NASTY, "reason": NASTY, "ended": NASTY,
            "policy": NASTY, "verdict": NASTY, "who": NASTY, "seconds": 5, "left": u64::MAX, "elapsed-us": u64::MAX, "grant": 1,
        }));
    }
    for nonsense in
        [json!(null), json!([1]), json!({"time": 7}), json!({"time": "1970-01-01T00:20:00Z", "event": {}})]
    {
        tally.take(&nonsense);
    }
    let report = Report { gate: NASTY.into(), tally, chain: Finding::default() };
    let page = report.html();
    assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)"), "it is shown");
    for forbidden in
        ["<script", "alert('", "\u{1b}", "\u{202e}", "&amp;amp;\"", "http://", "https://", "javascript:"]
    {
        assert!(!page.contains(forbidden), "{forbidden:?}");
    }
    assert!(!report.text().contains('\u{1b}'));
}

#[test]
fn what_the_log_tells_is_counted_once_and_only_of_that_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let audit = Audit::open(&path).unwrap();
    let at = |second| std::time::UNIX_EPOCH + std::time::Duration::from_secs(second);
    let source = std::net::IpAddr::from([192, 0, 2, 7]);
    let (client, service) = ("alice".to_owned(), "ssh".to_owned());
    let opened = |grant| AuditRecord::GrantOpened {
        grant,
        client: client.clone(),
        source: "192.0.2.7".into(),
        service: service.clone(),
        seconds: 60,
    };
    audit.write_at(at(50), opened(1));
    audit.write_at(at(100), opened(2));
    audit.write_at(
        at(130),
        AuditRecord::GrantClosed {
            grant: 2,
            client: client.clone(),
            source: "192.0.2.7".into(),
            service: service.clone(),
            reason: "expired",
        },
    );
    let refused =
        |service| AuditRecord::Refused { client: client.clone(), source, reason: "denied", service };
    audit.write_at(at(140), refused(Some(service.clone())));
    // As records of before are.
    audit.write_at(at(150), refused(None));
    audit.write_at(at(500), refused(Some(service)));
    drop(audit);

    let report = Report::of(Request {
        files: Series::of(&path).unwrap().files,
        since: UnixTime::from_micros(60_000_000),
        until: UnixTime::from_micros(200_000_000),
        gate: "gate.example".into(),
    });
    let Report { tally, chain, .. } = report.unwrap();

    assert_eq!((tally.opened.sum(), tally.refused.sum()), (1, 2));
    assert_eq!(tally.clients.highest(3), [("alice".to_owned(), [1, 2])]);
    assert_eq!(tally.services.highest(3), [("ssh".to_owned(), [1, 1])]);
    assert_eq!(tally.durations, [1, 0, 0, 0, 0, 0]);
    assert!(chain.broken.is_none());
}
