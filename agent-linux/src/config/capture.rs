//! `[capture]`: by which way packets are heard.

use super::document::Section;
use super::read::or_default;
use super::{Capture, Via};

pub(super) fn capture(root: &Section<'_>) -> Option<Capture> {
    let section = &root.section("capture");
    let ways = [("auto", Via::Auto), ("packet-sockets", Via::PacketSockets), ("nflog", Via::Nflog)];
    let via = section.choice("via", &ways);
    let via = or_default(section, "via", via, Via::Auto);
    section.refuse_unknown_keys();
    Some(Capture { via: via? })
}
