//! Stanzas of `access.conf` and of the files that it includes. Values of keys and passwords are never kept.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use knockgate_core::limits::MAX_SERVICE_PORTS;
use knockgate_core::profile::Protocol;

use super::expiry::Expiry;
use crate::admin::import::draft::Masquerade;
use crate::admin::import::finding::{Findings, Place, shown};
use crate::admin::import::source::{self, Line};

/// Files in files. fwknopd itself goes no deeper.
const MAX_DEPTH: usize = 3;
/// Files altogether, so that a folder that was named by mistake ends somewhere.
const MAX_FILES: usize = 100;
/// Most stanzas: far more than anybody has written by hand.
const MAX_STANZAS: usize = 1000;

/// What one `SOURCE` and the lines below it say.
#[derive(Debug)]
pub(super) struct Stanza {
    pub(super) place: Place,
    pub(super) sources: Vec<String>,
    pub(super) open: Ports,
    pub(super) restricted: Vec<(Protocol, u16)>,
    pub(super) username: Option<String>,
    pub(super) timeout: Option<u64>,
    pub(super) max_timeout: Option<u64>,
    pub(super) forward: Option<SocketAddr>,
    pub(super) masquerade: Masquerade,
    pub(super) expires: Option<Expiry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ports {
    /// Whatever the client asks for.
    Any,
    Named(Vec<(Protocol, u16)>),
}

/// All stanzas, in their order. What fwknopd passes over is passed over here, too, and said.
///
/// # Errors
/// If a file cannot be read, or fwknopd would refuse it.
pub(super) fn read(path: &Path, findings: &mut Findings) -> anyhow::Result<Vec<Stanza>> {
    let mut reader = Reader { stanzas: Vec::new(), files: 0, findings };
    reader.file(path, MAX_DEPTH)?;
    let stanzas = reader.stanzas;
    if stanzas.is_empty() {
        anyhow::bail!("{}: has no stanza, which begins with SOURCE; name fwknop's access.conf", shown(path));
    }
    Ok(stanzas)
}

struct Reader<'f> {
    stanzas: Vec<Stanza>,
    files: usize,
    findings: &'f mut Findings,
}

impl Reader<'_> {
    fn file(&mut self, path: &Path, depth: usize) -> anyhow::Result<()> {
        self.files += 1;
        if self.files > MAX_FILES {
            anyhow::bail!("{}: more than {MAX_FILES} files are included; import them in parts", shown(path));
        }
        // A stanza goes on behind an included file, and never into one.
        let mut stanza = None;
        for line in source::lines(path)? {
            // The value is apart by blanks and ends with a semicolon, if there is one; a line that begins with one says nothing.
            let text = line.text.split(';').next().unwrap_or_default();
            let (key, value) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
            let (key, value) = (key.trim_end_matches(':'), value.trim());
            match key {
                "" => {}
                "%include" | "%include_folder" => self.include(&line, key, value, depth)?,
                // Whatever else it is, a file of keys has nothing that could be carried over, so it is not opened.
                "%include_keys" => {}
                "SOURCE" => stanza = Some(self.begin(&line.place, value)?),
                _ => self.setting(stanza, &line.place, key, value)?,
            }
        }
        Ok(())
    }

    /// A new stanza; returns which.
    fn begin(&mut self, place: &Place, sources: &str) -> anyhow::Result<usize> {
        if self.stanzas.len() == MAX_STANZAS {
            return Err(place.wrong(format!("more than {MAX_STANZAS} stanzas; import them in parts")));
        }
        self.stanzas.push(Stanza::of(place, sources));
        Ok(self.stanzas.len() - 1)
    }

    fn include(&mut self, line: &Line, directive: &str, value: &str, depth: usize) -> anyhow::Result<()> {
        let place = &line.place;
        if depth == 0 {
            return Err(place.wrong(format!(
                "files include each other more than {MAX_DEPTH} deep; include them from the first one"
            )));
        }
        let wanted = place.file.parent().unwrap_or(Path::new(".")).join(value);
        if directive == "%include" {
            return self.file(&wanted, depth - 1);
        }
        let files = configurations(&wanted).map_err(|error| {
            place.wrong(format!("{}: {error}; correct this line, or leave it out", shown(&wanted)))
        })?;
        files.iter().try_for_each(|file| self.file(file, depth - 1))
    }

    fn setting(
        &mut self,
        stanza: Option<usize>,
        place: &Place,
        key: &str,
        value: &str,
    ) -> anyhow::Result<()> {
        let Some(stanza) = stanza.and_then(|at| self.stanzas.get_mut(at)) else {
            self.findings.guessed(place, format!(
                "{} stands above the first SOURCE of its file, where fwknopd passes over it; put it below if it is meant to count",
                shown_key(key)
            ));
            return Ok(());
        };
        let wrong = |what: String| place.wrong(format!("{key}: {what}"));
        match key {
            "OPEN_PORTS" => stanza.open = Ports::Named(ports(value).map_err(wrong)?),
            "RESTRICT_PORTS" => stanza.restricted = ports(value).map_err(wrong)?,
            "REQUIRE_USERNAME" => stanza.username = Some(value.to_owned()),
            "FW_ACCESS_TIMEOUT" => stanza.timeout = Some(seconds(value).map_err(wrong)?),
            "MAX_FW_TIMEOUT" => stanza.max_timeout = Some(seconds(value).map_err(wrong)?),
            "ACCESS_EXPIRE" => stanza.expires = Some(Expiry::day(value).map_err(wrong)?),
            "ACCESS_EXPIRE_EPOCH" => stanza.expires = Some(Expiry::epoch(value).map_err(wrong)?),
            "FORCE_NAT" => stanza.forward = Some(inner_host(value).map_err(wrong)?),
            "FORCE_MASQUERADE" if is_yes(value) => stanza.masquerade = Masquerade::Wanted,
            "FORCE_SNAT" => {
                stanza.masquerade = Masquerade::Wanted;
                self.findings.changed(
                    place,
                    "FORCE_SNAT: inner hosts see this host's address on their side, which is `masquerade`",
                );
            }
            _ => self.elsewhere(place, key, value),
        }
        Ok(())
    }

    /// What is no property of a service or a client here.
    fn elsewhere(&mut self, place: &Place, key: &str, value: &str) {
        // Said once for all of them, and their values are nobody's business.
        if is_secret(key) {
            return;
        }
        let Some((_, fate, why)) = FATES.iter().find(|(known, ..)| *known == key) else {
            return self.findings.guessed(place, format!(
                "{} is no setting of access.conf, and fwknopd passes over it; correct it if it is meant to count",
                shown_key(key)
            ));
        };
        match fate {
            // Switched off is as good as not there.
            Fate::Switch if !is_yes(value) => {}
            Fate::Switch | Fate::Lost => self.findings.lost(place, format!("{key}: {why}")),
            Fate::Changed => self.findings.changed(place, format!("{key}: {why}")),
            Fate::Needless => self.findings.needless(place, format!("{key}: {why}")),
        }
    }
}

/// Only a key that could be one is shown: what stands in its place may be anything.
fn shown_key(key: &str) -> &str {
    let is_key = key.len() <= 40
        && key.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    if is_key { key } else { "this line" }
}

enum Fate {
    /// Lost, if it is switched on.
    Switch,
    Lost,
    Changed,
    Needless,
}

const COMMANDS: &str = "Knockgate runs no commands, neither a client's nor its own; a policy can start units that the configuration \
                        names (docs/policies.md)";
const SOURCE_ADDRESS: &str = "a grant is for the address that the knock has come from, and no knock can ask for another one; `confirm = true` in \
                              the service proves that address before it opens";
const KEYS: &str = "there is no GnuPG here; a client's key pair is its identity";

/// Settings that no service and no client has here.
const FATES: [(&str, Fate, &str); 26] = [
    (
        "DESTINATION",
        Fate::Lost,
        "a grant opens a service at every address of this host; `gate.interfaces` says at which links it is guarded",
    ),
    ("ENABLE_CMD_EXEC", Fate::Switch, COMMANDS),
    ("ENABLE_CMD_SUDO_EXEC", Fate::Switch, COMMANDS),
    ("CMD_EXEC_USER", Fate::Lost, COMMANDS),
    ("CMD_EXEC_GROUP", Fate::Lost, COMMANDS),
    ("CMD_SUDO_EXEC_USER", Fate::Lost, COMMANDS),
    ("CMD_SUDO_EXEC_GROUP", Fate::Lost, COMMANDS),
    ("SUDO_EXE", Fate::Lost, COMMANDS),
    ("CMD_CYCLE_OPEN", Fate::Lost, COMMANDS),
    ("CMD_CYCLE_CLOSE", Fate::Lost, COMMANDS),
    ("CMD_CYCLE_TIMER", Fate::Lost, COMMANDS),
    ("REQUIRE_SOURCE_ADDRESS", Fate::Changed, SOURCE_ADDRESS),
    ("REQUIRE_SOURCE", Fate::Changed, SOURCE_ADDRESS),
    (
        "ENABLE_FORWARD_ACCESS",
        Fate::Switch,
        "a client cannot choose an inner host; each is a service with `forward`",
    ),
    (
        "FORWARD_ALL",
        Fate::Switch,
        "Knockgate opens services that are named; a gateway before the inner network guards all of it (docs/gateway.md)",
    ),
    (
        "DISABLE_DNAT",
        Fate::Switch,
        "a service with `forward` translates addresses; for machines that keep theirs see docs/gateway.md",
    ),
    ("ENCRYPTION_MODE", Fate::Needless, "there is one cipher, ChaCha20-Poly1305"),
    ("HMAC_DIGEST_TYPE", Fate::Needless, "there is one cipher, and it authenticates"),
    ("GPG_HOME_DIR", Fate::Needless, KEYS),
    ("GPG_EXE", Fate::Needless, KEYS),
    ("GPG_DECRYPT_ID", Fate::Lost, KEYS),
    ("GPG_ALLOW_NO_PW", Fate::Needless, KEYS),
    ("GPG_REQUIRE_SIG", Fate::Needless, KEYS),
    ("GPG_DISABLE_SIG", Fate::Needless, KEYS),
    ("GPG_IGNORE_SIG_VERIFY_ERROR", Fate::Needless, KEYS),
    ("FORCE_MASQUERADE", Fate::Switch, "needs FORCE_NAT"),
];

fn is_secret(key: &str) -> bool {
    matches!(
        key,
        "KEY"
            | "KEY_BASE64"
            | "HMAC_KEY"
            | "HMAC_KEY_BASE64"
            | "GPG_DECRYPT_PW"
            | "GPG_REMOTE_ID"
            | "GPG_FINGERPRINT_ID"
    )
}

impl Stanza {
    fn of(place: &Place, sources: &str) -> Self {
        Self {
            place: place.clone(),
            sources: sources
                .split(',')
                .map(|text| text.trim().to_owned())
                .filter(|text| !text.is_empty())
                .collect(),
            open: Ports::Any,
            restricted: Vec::new(),
            username: None,
            timeout: None,
            max_timeout: None,
            forward: None,
            masquerade: Masquerade::NotAsked,
            expires: None,
        }
    }
}

fn is_yes(value: &str) -> bool {
    value.eq_ignore_ascii_case("y") || value.eq_ignore_ascii_case("yes")
}

/// `tcp/22, udp/53`
fn ports(value: &str) -> Result<Vec<(Protocol, u16)>, String> {
    let mut ports = Vec::new();
    for item in value.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        let wrong = || format!("{item:?} is no port; write tcp/PORT or udp/PORT with a port of 1 to 65535");
        let (protocol, number) = item.split_once('/').ok_or_else(wrong)?;
        let protocol = match protocol.trim().to_ascii_lowercase().as_str() {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            _ => return Err(wrong()),
        };
        let port = number.trim().parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?;
        if !ports.contains(&(protocol, port)) {
            ports.push((protocol, port));
        }
    }
    // A client may use as many services as a service has ports at most; nobody names more.
    if ports.len() > MAX_SERVICE_PORTS * 4 {
        return Err(format!(
            "names {} ports; a gate has at most 64 services, so name those that are needed",
            ports.len()
        ));
    }
    Ok(ports)
}

fn seconds(value: &str) -> Result<u64, String> {
    value.parse().map_err(|_| format!("{value:?} is no number of seconds; write one, such as 30"))
}

/// `IP PORT`
fn inner_host(value: &str) -> Result<SocketAddr, String> {
    let wrong = || format!("{value:?} is no inner host; write its address and port, such as 10.0.0.5 22");
    let (address, port) = value.split_once(char::is_whitespace).ok_or_else(wrong)?;
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let port = port.trim().parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?;
    Ok(SocketAddr::new(address, port))
}

/// The files `*.conf` of a folder, in the order of their names.
fn configurations(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder)?;
    let mut files = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "conf"));
    files.sort_unstable();
    Ok(files)
}
