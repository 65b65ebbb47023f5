//! The ways in which a touched decoy reaches the driver: the listener behind all decoys, and the guard's reports.

use anyhow::Context;
use knockgate_core::{Probe, ProbeKind};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::capture::decoy::{self, DecoyTouched};
use crate::capture::nflog::ProbeLog;

use super::connections::{Connections, deadline, linger};
use super::input::{Input, Inputs};
use super::listen::Listener;

/// Connect mode: accepts for ever. Probes reach the driver in the order in which their connections were complete.
pub(super) async fn serve(listener: TcpListener, inputs: Inputs) {
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
        if inputs.send(Input::Probe { probe, by_holder }).await.is_err() {
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

/// Closed mode: reads reports for ever, on a thread of its own.
pub(super) fn watch(mut log: ProbeLog, inputs: Inputs) -> anyhow::Result<()> {
    std::thread::Builder::new()
        .name("probes".into())
        .spawn(move || {
            loop {
                let input = match log.recv() {
                    Ok(seen) => Input::SilentProbe(Probe {
                        source: seen.source,
                        port: seen.port,
                        kind: ProbeKind::Attempted,
                    }),
                    Err(error) => {
                        Input::Broken(anyhow::Error::new(error).context("the probes of closed mode"))
                    }
                };
                let broken = matches!(input, Input::Broken(_));
                if inputs.blocking_send(input).is_err() || broken {
                    return;
                }
            }
        })
        .map(drop)
        .context("cannot start the thread that reads probes")
}
