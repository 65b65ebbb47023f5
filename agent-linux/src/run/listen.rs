//! Accepting, so that nothing a stranger provokes ends it.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

/// Pause after an error that persists, such as a lack of descriptors: long enough not to spin, short enough for a client.
const PAUSE: Duration = Duration::from_millis(50);
/// A trouble that persists is told this often.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// A listener that never gives up.
pub(super) struct Listener {
    listener: TcpListener,
    what: &'static str,
    told: Option<Instant>,
}

impl Listener {
    /// `what` names it in the log.
    pub(super) fn new(listener: TcpListener, what: &'static str) -> Self {
        Self { listener, what, told: None }
    }

    /// The next connection.
    pub(super) async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok(accepted) => return accepted,
                Err(error) if belongs_to_one_connection(&error) => {}
                Err(error) => {
                    self.tell(&error);
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    fn tell(&mut self, error: &std::io::Error) {
        if self.told.is_some_and(|told| told.elapsed() < TOLD_EVERY) {
            return;
        }
        self.told = Some(Instant::now());
        tracing::warn!("{}: cannot accept: {error}; raise LimitNOFILE if descriptors ran out", self.what);
    }
}

fn belongs_to_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
