//! Connect mode: the listener behind all decoys, by which a touched decoy reaches the driver.

use knockgate_core::{Probe, ProbeKind};

use crate::capture::decoy::{self, DecoyTouched};

use super::connections::{Connections, deadline, linger};
use super::holders::Holders;
use super::input::{Call, Calls};
use super::listen::Listener;

/// Accepts until it is stopped. Probes reach the driver in the order in which their connections were complete.
pub(super) async fn serve(mut listener: Listener, calls: Calls, holders: Holders) {
    let mut connections = Connections::default();
    while let Some((stream, peer)) = listener.accept().await {
        // What nobody redirected came from this host itself. It is kept like a stranger's, since a close tells a holder that
        // his knock was seen.
        let Ok(Some(DecoyTouched { source, port })) = decoy::touched(&stream) else {
            connections.spawn(peer.ip(), linger(stream, deadline()));
            continue;
        };
        // Looked up before the driver hears of it: the last port makes him a holder no longer.
        let is_by_holder = holders.contains(source);
        let probe = Probe { source, port, kind: ProbeKind::Connected };
        if calls.send(Call::Probe(probe)).await.is_err() {
            return;
        }
        // A holder's connection has done its work, right or wrong: what comes after it comes to the driver after it. A
        // stranger's is treated like any other.
        if is_by_holder {
            drop(stream);
        } else {
            connections.spawn(source, linger(stream, deadline()));
        }
    }
}
