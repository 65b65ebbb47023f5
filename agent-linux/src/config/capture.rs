//! `[capture]`: by which way packets are heard.

use super::Via;
use super::document::Section;
use super::read::or_default;

/// `[capture]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capture {
    /// How knocks are heard that no socket is bound for.
    pub via: Via,
}

pub(super) fn capture(root: &Section<'_>) -> Option<Capture> {
    let section = &root.section("capture");
    let ways = [("auto", Via::Auto), ("packet-sockets", Via::PacketSockets), ("nflog", Via::Nflog)];
    let via = section.choice("via", &ways);
    let via = or_default(section, "via", via, Via::Auto);
    section.refuse_unknown_keys();
    Some(Capture { via: via? })
}
