//! Accepting, so that nothing a stranger provokes ends it.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

/// Pause after an error that persists, such as a lack of descriptors: long enough not to spin, short enough for a client.
const PAUSE: Duration = Duration::from_millis(50);

/// The next connection.
pub(super) async fn accept(listener: &TcpListener, what: &str) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if belongs_to_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!("{what}: cannot accept: {error}; raise LimitNOFILE if descriptors ran out");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn belongs_to_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
