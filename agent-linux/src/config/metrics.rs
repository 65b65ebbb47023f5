//! `[metrics]`: where Prometheus may ask for figures. Nowhere, unless it says so.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::acts;
use super::document::Section;
use super::read::{accept, or_default};
use super::value;

/// `[metrics]`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// A port of this host alone.
    pub listen: Option<SocketAddr>,
    /// A Unix socket.
    pub socket: Option<PathBuf>,
}

pub(super) fn metrics(root: &Section<'_>) -> Option<Metrics> {
    let section = &root.section("metrics");
    let listen = section.text("listen").map(|text| {
        let read = value::loopback(text.value).map(Some);
        text.with(accept(section, "listen", text.line, read))
    });
    let listen = or_default(section, "listen", listen, Some(None));
    let socket = section.text("socket").map(|text| {
        let read = acts::socket_path(text.value).map(Some);
        text.with(accept(section, "socket", text.line, read))
    });
    let socket = or_default(section, "socket", socket, Some(None));
    section.refuse_unknown_keys();
    Some(Metrics { listen: listen??, socket: socket?? })
}
