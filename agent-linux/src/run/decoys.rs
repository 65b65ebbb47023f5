//! Connect mode: the listener behind all decoys, by which a touched decoy reaches the driver.

use knockgate_core::{Probe, ProbeKind};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::capture::decoy::{self, DecoyTouched};

use super::connections::{Connections, deadline, linger};
use super::input::{Call, Calls};
use super::listen::Listener;

/// Accepts for ever. Probes reach the driver in the order in which their connections were complete.
pub(super) async fn serve(listener: TcpListener, calls: Calls) {
    let mut listener = Listener::new(listener, "decoys");
    let mut connections = Connections::default();
    loop {
        let (stream, peer) = listener.accept().await;
        // What nobody redirected came from this host itself. It is kept like a stranger's, since a close tells a holder that
        // his knock was seen.
        let Ok(Some(DecoyTouched { source, port })) = decoy::touched(&stream) else {
            connections.spawn(peer.ip(), linger(stream, deadline()));
            continue;
        };
        let (by_holder, answer) = oneshot::channel();
        let probe = Probe { source, port, kind: ProbeKind::Connected };
        if calls.send(Call::Probe { probe, by_holder }).await.is_err() {
            return;
        }
        connections.spawn(source, close_for_holder(stream, answer, deadline()));
    }
}

/// A holder's connection has done its work once it was seen, right or wrong; a stranger's is treated like any other.
async fn close_for_holder(stream: TcpStream, by_holder: oneshot::Receiver<bool>, until: Instant) {
    if by_holder.await != Ok(true) {
        linger(stream, until).await;
    }
}
