//! `[unit.NAME]` and `[channel.NAME]`: what policies can set going besides the gate.
//!
//! Policies know units and channels by number, people by name. A module may use those that its own section lists.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use knockgate_core::Name;
use ureq::http::Uri;

use super::document::{At, Section};
use super::read::{accept, accept_name, or_default};
use super::value;

/// Every channel has a thread of its own.
const MAX_CHANNELS: usize = 16;
/// Longest name of a unit: systemd's own `UNIT_NAME_MAX` less its zero.
const MAX_UNIT: usize = 255;
/// The kinds of units that can be started.
const KINDS: [&str; 8] = ["service", "target", "timer", "socket", "path", "mount", "automount", "swap"];
/// Longest path of a socket: `sun_path` less its zero. Source: unix(7).
const MAX_SOCKET: usize = 107;

const TIMEOUTS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(60);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
const RETRIES: RangeInclusive<u8> = 0..=10;
const DEFAULT_RETRIES: u8 = 3;

/// `[unit.NAME]`
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unit {
    pub id: u16,
    pub name: Name,
    /// The service manager's name, such as `backup.service`.
    pub unit: String,
}

/// `[channel.NAME]`
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Channel {
    pub id: u16,
    pub name: Name,
    pub to: Destination,
    /// How long one try may take.
    pub timeout: Duration,
    /// Tries after the first.
    pub retries: u8,
}

/// Where a channel leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    Webhook(Webhook),
    /// A Unix stream socket where somebody listens.
    Socket(PathBuf),
}

/// An address that takes notices by HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Webhook {
    pub url: WebhookUrl,
    /// Headers to send, such as a token; readable by its owner alone.
    pub header_file: Option<PathBuf>,
    /// Certificates to trust instead of the public authorities, in PEM.
    pub ca_file: Option<PathBuf>,
}

/// An absolute `http` or `https` URL. With many services whoever knows it may post, so only scheme and host are ever shown.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl(Uri);

impl WebhookUrl {
    pub fn uri(&self) -> &Uri {
        &self.0
    }

    fn is_encrypted(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }

    fn is_on_this_host(&self) -> bool {
        let host = self.0.host().unwrap_or("").trim_matches(['[', ']']);
        host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
    }
}

impl fmt::Display for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = self.0.authority().map_or("", |authority| authority.as_str());
        write!(f, "{}://{authority}", self.0.scheme_str().unwrap_or("http"))
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}/...")
    }
}

/// In the order of their numbers; `None` only if a problem was noted.
pub(super) fn units(root: &Section<'_>) -> Option<Vec<Unit>> {
    let drafts: Vec<_> =
        root.named_sections("unit").iter().map(|(name, section)| unit(name, section)).collect();
    different_numbers("units", root, &drafts);
    in_order(drafts, |name, id, unit| Unit { id, name, unit })
}

/// In the order of their numbers; `None` only if a problem was noted.
pub(super) fn channels(root: &Section<'_>) -> Option<Vec<Channel>> {
    let sections = root.named_sections("channel");
    if let (true, Some((name, _))) = (sections.len() > MAX_CHANNELS, sections.last()) {
        let count = sections.len();
        root.note(
            name.line,
            format!("there are {count} channels; at most {MAX_CHANNELS} can be, so tell notices apart by their codes"),
        );
    }
    let drafts: Vec<_> = sections.iter().map(|(name, section)| channel(name, section)).collect();
    different_numbers("channels", root, &drafts);
    in_order(drafts, |name, id, (to, timeout, retries)| Channel { id, name, to, timeout, retries })
}

/// What is allowed and yet should be thought over.
pub(super) fn warnings(channels: &[Channel]) -> impl Iterator<Item = String> {
    channels.iter().filter_map(|Channel { name, to, .. }| match to {
        Destination::Webhook(Webhook { url, .. }) if !url.is_encrypted() && !url.is_on_this_host() => {
            Some(format!(
                "channel.{name}.webhook is not encrypted: whoever is on the way reads who knocked from where; use https"
            ))
        }
        Destination::Webhook(_) | Destination::Socket(_) => None,
    })
}

/// A unit or channel as far as it could be read.
struct Draft<T> {
    name: Option<Name>,
    id: Option<At<u16>>,
    rest: Option<T>,
}

fn in_order<T, Done>(drafts: Vec<Draft<T>>, done: impl Fn(Name, u16, T) -> Done) -> Option<Vec<Done>> {
    let mut whole: Vec<_> = drafts
        .into_iter()
        .map(|draft| Some((draft.id?.value, draft.name?, draft.rest?)))
        .collect::<Option<_>>()?;
    whole.sort_by_key(|(id, ..)| *id);
    Some(whole.into_iter().map(|(id, name, rest)| done(name, id, rest)).collect())
}

fn different_numbers<T>(kind: &str, root: &Section<'_>, drafts: &[Draft<T>]) {
    for (at, two) in drafts.iter().enumerate() {
        let (Some(id), Some(name)) = (&two.id, &two.name) else { continue };
        let earlier = drafts.iter().take(at);
        let mut same = earlier.filter(|one| one.id.as_ref().is_some_and(|other| other.value == id.value));
        if let Some(Some(other)) = same.next().map(|one| &one.name) {
            let number = id.value;
            root.note(
                id.line,
                format!("{kind} {other} and {name} both have id {number}; give each a number of its own"),
            );
        }
    }
}

fn unit(name: &At<&str>, section: &Section<'_>) -> Draft<String> {
    let name = accept_name("unit", section, name);
    let id = number(section);
    let unit = section.require(
        "unit",
        section.text("unit"),
        r#"name what shall be started: unit = "backup.service""#,
    );
    let unit = unit.and_then(|text| accept(section, "unit", text.line, unit_name(text.value)));
    section.refuse_unknown_keys();
    Draft { name, id, rest: unit }
}

fn number(section: &Section<'_>) -> Option<At<u16>> {
    section.require("id", section.number("id", &(1..=u16::MAX)), "give it a number of its own: id = 1")
}

fn channel(name: &At<&str>, section: &Section<'_>) -> Draft<(Destination, Duration, u8)> {
    let name = accept_name("channel", section, name);
    let id = number(section);
    let to = destination(section);
    let timeout = section.duration("timeout", &TIMEOUTS);
    let timeout = or_default(section, "timeout", timeout, DEFAULT_TIMEOUT);
    let retries = section.number("retries", &RETRIES);
    let retries = or_default(section, "retries", retries, DEFAULT_RETRIES);
    section.refuse_unknown_keys();
    let rest = to.and_then(|to| Some((to, timeout?, retries?)));
    Draft { name, id, rest }
}

fn destination(section: &Section<'_>) -> Option<Destination> {
    let (url, socket) = (section.text("webhook"), section.text("socket"));
    let files = ["header-file", "ca-file"].map(|key| file(section, key));
    let (has_webhook, has_socket) = (section.has("webhook"), section.has("socket"));
    let (path, line) = (section.path(""), section.line);
    let place = path.trim_end_matches('.');
    if has_webhook == has_socket {
        let what = if has_socket { "leads to two places; keep one" } else { "leads nowhere; add one" };
        section
            .note(line, format!(r#"{place} {what} of webhook = "https://..." and socket = "/run/....sock""#));
        return None;
    }
    if let Some(socket) = socket {
        if section.has("header-file") || section.has("ca-file") {
            section.note(
                line,
                format!("{place} is a socket; leave out header-file and ca-file, which are for webhooks"),
            );
        }
        return accept(section, "socket", socket.line, socket_path(socket.value)).map(Destination::Socket);
    }
    let url = url.and_then(|text| accept(section, "webhook", text.line, webhook_url(text.value)))?;
    let [header_file, ca_file] = files;
    Some(Destination::Webhook(Webhook { url, header_file: header_file?, ca_file: ca_file? }))
}

/// `Some(None)` if the key is not there.
fn file(section: &Section<'_>, key: &'static str) -> Option<Option<PathBuf>> {
    let text = section.text(key);
    let path = text.and_then(|text| accept(section, key, text.line, value::absolute_path(text.value)));
    if section.has(key) { path.map(Some) } else { Some(None) }
}

pub(super) fn socket_path(text: &str) -> Result<PathBuf, String> {
    if text.len() > MAX_SOCKET || text.contains('\0') {
        return Err(format!(
            "{text:?} cannot be a socket: its path has at most {MAX_SOCKET} bytes; use a shorter one"
        ));
    }
    value::absolute_path(text)
}

/// Never repeats the text: what is wrong in it may stand beside what is secret.
fn webhook_url(text: &str) -> Result<WebhookUrl, String> {
    let wrong = || r#"this is no URL of a web server; write "https://HOST/PATH""#.to_owned();
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    let host = uri.host().unwrap_or("");
    if !matches!(uri.scheme_str(), Some("http" | "https")) || host.is_empty() {
        return Err(wrong());
    }
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("a user name and password in front of the host are not sent; put an Authorization header into header-file".into());
    }
    Ok(WebhookUrl(uri))
}

/// A whole name of systemd's with one of the kinds that can be started.
fn unit_name(text: &str) -> Result<String, String> {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
    let wrong = |why: &str| Err(format!("{text:?} cannot be started: {why}"));
    if text.len() > MAX_UNIT || !text.bytes().all(is_letter) {
        return wrong("it is no name of a unit; use one that `systemctl list-unit-files` shows");
    }
    match text.rsplit_once('.') {
        Some((stem, kind)) if !stem.is_empty() && KINDS.contains(&kind) => {}
        Some(_) | None => {
            let kinds = KINDS.join(", .");
            return wrong(&format!("it is no whole name; write it with its kind, one of .{kinds}"));
        }
    }
    if text.contains("@.") || text.starts_with('@') {
        return wrong(r#"it is a template; write an instance, such as "backup@nightly.service""#);
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::{Config, tests::with_ssh};
    use super::*;

    fn accepted(text: &str) -> Config {
        with_ssh(text).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn units_and_channels_are_read_in_the_order_of_their_numbers() {
        let config = accepted(
            r#"
            [unit.wake]
            id = 7
            unit = "wake@lab.target"
            [unit.backup]
            id = 3
            unit = "backup.service"
            [channel.ops]
            id = 9
            webhook = "https://hooks.example/T0/secret?x=1"
            header-file = "/etc/knockgate/ops.header"
            ca-file = "/etc/knockgate/ca.pem"
            timeout = "2s"
            retries = 0
            [channel.local]
            id = 8
            socket = "/run/x.sock"
            "#,
        );
        let units: Vec<_> = config.units.iter().map(|unit| (unit.id, unit.unit.as_str())).collect();
        assert_eq!(units, [(3, "backup.service"), (7, "wake@lab.target")]);
        let [local, ops] = config.channels.as_slice() else { panic!("{:?}", config.channels) };
        assert_eq!((local.timeout, local.retries), (Duration::from_secs(5), 3));
        assert_eq!(local.to, Destination::Socket("/run/x.sock".into()));
        assert_eq!((ops.timeout, ops.retries, ops.name.as_str()), (Duration::from_secs(2), 0, "ops"));
        let Destination::Webhook(webhook) = &ops.to else { panic!("{ops:?}") };
        assert_eq!(webhook.url.uri().path_and_query().map(|path| path.as_str()), Some("/T0/secret?x=1"));
        assert_eq!(webhook.header_file.as_deref(), Some("/etc/knockgate/ops.header".as_ref()));
        assert_eq!(webhook.ca_file.as_deref(), Some("/etc/knockgate/ca.pem".as_ref()));
    }

    #[test]
    fn nobody_is_told_the_path_of_a_webhook() {
        let config = accepted("[channel.ops]\nid = 1\nwebhook = \"https://hooks.example:8443/T0/secret\"\n");
        let shown = format!("{config:?}");
        assert!(shown.contains("https://hooks.example:8443/...") && !shown.contains("secret"), "{shown}");
        let error =
            with_ssh("[channel.ops]\nid = 1\nwebhook = \"https//hooks.example/secret\"\n").unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[test]
    fn an_unencrypted_webhook_is_warned_about_unless_it_stays_on_this_host() {
        #[rustfmt::skip]
        let cases = [
            (1, "https://hooks.example/", false), (2, "http://hooks.example/", true), (3, "http://localhost:80/x", false),
            (4, "http://127.0.0.1:8080", false), (5, "http://[::1]:8080/", false), (6, "http://10.0.0.1/", true),
        ];
        for (case, url, warned) in cases {
            let config = accepted(&format!("[channel.ops]\nid = 1\nwebhook = \"{url}\"\n"));
            assert_eq!(warnings(&config.channels).count(), usize::from(warned), "case {case}: {url}");
        }
    }

    #[test]
    fn every_wrong_value_is_named_with_its_line_and_a_remedy() {
        #[rustfmt::skip]
        let cases: &[(u32, &str, usize, &str)] = &[
            (1, "[unit.backup]\nunit = \"a.service\"", 1, "unit.backup.id is missing; give it a number of its own"),
            (2, "[unit.backup]\nid = 0\nunit = \"a.service\"", 2, "unit.backup.id is 0; it must be 1 to 65535"),
            (3, "[unit.backup]\nid = 1", 1, "unit.backup.unit is missing; name what shall be started"),
            (4, "[unit.backup]\nid = 1\nunit = \"backup\"", 3, "it is no whole name; write it with its kind"),
            (5, "[unit.backup]\nid = 1\nunit = \"a b.service\"", 3, "it is no name of a unit; use one that"),
            (6, "[unit.backup]\nid = 1\nunit = \"/a.service\"", 3, "it is no name of a unit; use one that"),
            (7, "[unit.backup]\nid = 1\nunit = \"a@.service\"", 3, "it is a template; write an instance"),
            (8, "[unit.backup]\nid = 1\nunit = \"a.device\"", 3, "it is no whole name; write it with its kind"),
            (9, "[unit.backup]\nid = 1\nunit = 5", 3, "unit.backup.unit is a number; write a text in quotes"),
            (10, "[unit.a]\nid = 1\nunit = \"a.service\"\n[unit.b]\nid = 1\nunit = \"b.service\"", 5,
                "units a and b both have id 1; give each"),
            (11, "[unit.backup]\nid = 1\nunit = \"a.service\"\nmode = \"fail\"", 4, "unit.backup.mode is not known; known here: id, unit"),
            (12, "[unit.\"a b\"]\nid = 1\nunit = \"a.service\"", 1, "unit \"a b\" is no name"),
            (13, "unit = 3", 1, "unit is a number; write a table [unit]"),
            (20, "[channel.ops]\nid = 1", 1, "channel.ops leads nowhere; add one of webhook"),
            (21, "[channel.ops]\nid = 1\nwebhook = \"https://h/\"\nsocket = \"/s\"", 1, "channel.ops leads to two places; keep one of"),
            (22, "[channel.ops]\nsocket = \"/s\"", 1, "channel.ops.id is missing; give it"),
            (23, "[channel.ops]\nid = 1\nsocket = \"s\"", 3, "channel.ops.socket: \"s\" is a relative path"),
            (24, "[channel.ops]\nid = 1\nsocket = \"/s\"\nheader-file = \"/h\"", 1, "is a socket; leave out header-file and ca-file"),
            (25, "[channel.ops]\nid = 1\nwebhook = \"ftp://h/\"", 3, "channel.ops.webhook: this is no URL of a web server; write"),
            (26, "[channel.ops]\nid = 1\nwebhook = \"/path\"", 3, "this is no URL of a web server; write"),
            (27, "[channel.ops]\nid = 1\nwebhook = \"https://u:p@h/\"", 3, "are not sent; put an Authorization header into header-file"),
            (28, "[channel.ops]\nid = 1\nwebhook = \"https://h/\"\nheader-file = \"h\"", 4, "channel.ops.header-file: \"h\" is a relative path"),
            (29, "[channel.ops]\nid = 1\nwebhook = \"https://h/\"\nca-file = 1", 4, "channel.ops.ca-file is a number; write a text"),
            (30, "[channel.ops]\nid = 1\nsocket = \"/s\"\ntimeout = \"500ms\"", 4, "channel.ops.timeout is 500ms; it must be 1s to 1m"),
            (31, "[channel.ops]\nid = 1\nsocket = \"/s\"\nretries = 11", 4, "channel.ops.retries is 11; it must be 0 to 10"),
            (32, "[channel.a]\nid = 2\nsocket = \"/s\"\n[channel.b]\nid = 2\nsocket = \"/t\"", 5, "channels a and b both have id 2; give each"),
            (33, "[channel.ops]\nid = 1\nsocket = \"/s\"\nurl = \"x\"", 4, "channel.ops.url is not known; known here: id, webhook"),
            (34, "[channel.ops]\nid = 1\nwebhook = \"https://\"", 3, "this is no URL of a web server; write"),
        ];
        for (case, text, line, expected) in cases {
            let error =
                with_ssh(&format!("{text}\n")).map_or_else(|error| error.to_string(), |_| "accepted".into());
            let problem = error.lines().find(|problem| problem.contains(expected)).unwrap_or("");
            let right = problem.starts_with(&format!("agent.toml:{line}: ")) && problem.contains("; ");
            assert!(right, "case {case}, line {line}, {expected:?}: {error}");
        }
        let long = format!("[channel.ops]\nid = 1\nsocket = \"/{}\"\n", "s".repeat(MAX_SOCKET));
        assert!(with_ssh(&long).unwrap_err().to_string().contains("use a shorter one"));
        let many: String =
            (1..=17).map(|id| format!("[channel.c{id}]\nid = {id}\nsocket = \"/s\"\n")).collect();
        assert!(
            with_ssh(&many).unwrap_err().to_string().contains("there are 17 channels; at most 16 can be")
        );
    }
}
