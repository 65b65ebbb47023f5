//! `fwknopd.conf`: where packets come in, and how old they may be.

use std::path::Path;

use crate::admin::import::draft::{Draft, Masquerade};
use crate::admin::import::finding::{Findings, Place};
use crate::admin::import::source;
use crate::config::value;

/// UDP port of both, unless they are told otherwise.
const USUAL_PORT: u16 = 62201;
/// Where Knockgate hears while fwknopd has a socket at the usual one.
const PORT_BESIDE: u16 = 62200;

/// Longest `packet.max-age`, in seconds. Rule: `docs/agent-toml.md`.
const LONGEST_AGE: u64 = 86_400;

/// What it says about services.
pub(super) struct Settings {
    pub(super) masquerade: Masquerade,
}

/// What its lines say, as far as it is looked at.
#[derive(Default)]
struct Said {
    ages: Option<bool>,
    max_age: Option<(Place, u64)>,
    has_socket: bool,
    socket_port: Option<u16>,
    snat: bool,
}

/// Reads it into the draft.
///
/// # Errors
/// If it cannot be read.
pub(super) fn read(path: &Path, draft: &mut Draft, findings: &mut Findings) -> anyhow::Result<Settings> {
    let mut said = Said::default();
    for line in source::lines(path)? {
        let (key, value) = line.text.split_once(char::is_whitespace).unwrap_or((&line.text, ""));
        let value = value.trim().trim_end_matches(';').trim_end();
        said.take(&line.place, &key.to_ascii_uppercase(), value, draft, findings)?;
    }
    said.finish(draft, findings);
    let masquerade = if said.snat { Masquerade::Wanted } else { Masquerade::NotAsked };
    Ok(Settings { masquerade })
}

impl Said {
    fn take(
        &mut self,
        place: &Place,
        key: &str,
        value: &str,
        draft: &mut Draft,
        findings: &mut Findings,
    ) -> anyhow::Result<()> {
        let is_on = value.eq_ignore_ascii_case("y");
        let number = || {
            value.parse::<u64>().map_err(|_| place.wrong(format!("{key}: {value:?} is no number; write one")))
        };
        match key {
            "PCAP_INTF" => interface(place, value, draft, findings)?,
            "PCAP_FILTER" => filter(place, value, draft, findings),
            "ENABLE_SPA_PACKET_AGING" => self.ages = Some(is_on),
            "MAX_SPA_PACKET_AGE" => self.max_age = Some((place.clone(), number()?)),
            "ENABLE_UDP_SERVER" | "ENABLE_NFQ_CAPTURE" => self.has_socket |= is_on,
            "UDPSERV_PORT" => self.socket_port = u16::try_from(number()?).ok().filter(|port| *port != 0),
            "ENABLE_IPT_SNAT" | "ENABLE_FIREWD_SNAT" => self.snat = is_on,
            "SNAT_TRANSLATE_IP" if self.snat => {
                findings.changed(place, "SNAT_TRANSLATE_IP: inner hosts see this host's own address, which is `masquerade`");
            }
            "ENABLE_SPA_OVER_HTTP" | "ENABLE_X_FORWARDED_FOR" if is_on => findings.lost(
                place,
                format!("{key}: knocks are datagrams, or come over TCP with [central]; let clients use one of these \
                     instead of HTTP"),
            ),
            "ENABLE_TCP_SERVER" if is_on => findings.changed(
                place,
                "ENABLE_TCP_SERVER: add the table [central] if clients are where UDP does not get through; \
                 it is a TCP port that is open",
            ),
            "ENABLE_DIGEST_PERSISTENCE" if !is_on => findings.changed(
                place,
                "ENABLE_DIGEST_PERSISTENCE: a knock counts once here, over every restart; this cannot be switched off",
            ),
            "ENABLE_EXTERNAL_CMDS" if is_on => findings.lost(
                place,
                "ENABLE_EXTERNAL_CMDS: Knockgate runs no commands; a policy can start units and notify channels (docs/policies.md)",
            ),
            "ENABLE_DESTINATION_RULE" if is_on => {
                findings.lost(place, "ENABLE_DESTINATION_RULE: a grant opens a service at every address of this host; `gate.interfaces` \
                     says at which links");
            }
            // How fwknopd itself works has no counterpart, and nothing is missing without it.
            _ => {}
        }
        Ok(())
    }

    fn finish(&self, draft: &mut Draft, findings: &mut Findings) {
        if let Some((place, seconds)) = &self.max_age
            && self.ages != Some(false)
        {
            draft.max_age = Some((*seconds).clamp(1, LONGEST_AGE));
            findings.changed(place, "MAX_SPA_PACKET_AGE: it is `packet.max-age`; no knock counts twice even without it, so take it out if clocks \
                 are not right");
        }
        let port = self.socket_port.unwrap_or(USUAL_PORT);
        if self.has_socket && port == USUAL_PORT && draft.packet_port.is_none() {
            draft.packet_port = Some(PORT_BESIDE.to_string());
            findings.check_this(format!(
                "packet.ports is {PORT_BESIDE}, so that fwknopd's socket at {USUAL_PORT} still hears what comes while both run"
            ));
        }
    }
}

fn interface(place: &Place, name: &str, draft: &mut Draft, findings: &mut Findings) -> anyhow::Result<()> {
    if name.eq_ignore_ascii_case("any") {
        return Ok(());
    }
    draft.interfaces =
        vec![value::interface(name).map_err(|what| place.wrong(format!("PCAP_INTF: {what}")))?];
    findings.changed(
        place,
        format!("PCAP_INTF {name}: services are guarded on {name} alone; take `interfaces` out to guard them on every interface"),
    );
    Ok(())
}

/// `udp port 62201` and `udp dst portrange 10000-65535`; other filters can say anything.
fn filter(place: &Place, text: &str, draft: &mut Draft, findings: &mut Findings) {
    let words: Vec<&str> = text.split_whitespace().filter(|word| *word != "dst").collect();
    let port = match words.as_slice() {
        ["udp", "port", port] => {
            port.parse::<u16>().ok().filter(|port| *port != 0).map(|port| port.to_string())
        }
        ["udp", "portrange", range] => value::port_range(range).ok().map(|_| format!("{range:?}")),
        _ => None,
    };
    match port {
        Some(port) if port == USUAL_PORT.to_string() => {}
        Some(port) => draft.packet_port = Some(port),
        None => findings.lost(
            place,
            "PCAP_FILTER: only `udp port PORT` and `udp portrange FIRST-LAST` can be carried over; set `packet.ports` by hand",
        ),
    }
}
