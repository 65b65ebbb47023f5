//! Accepting, so that nothing a stranger provokes ends it: only the agent does, and whoever had connected by then is still accepted.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Pause after an error that persists, such as a lack of descriptors: long enough not to spin, short enough for a client.
const PAUSE: Duration = Duration::from_millis(50);
/// A trouble that persists is told this often.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// Ends a [`Listener`] when it is dropped.
pub(super) type Stop = oneshot::Sender<()>;

/// A listener that does not give up.
pub(super) struct Listener {
    listener: TcpListener,
    what: &'static str,
    told: Option<Instant>,
    stop: oneshot::Receiver<()>,
    stopped: bool,
}

impl Listener {
    /// `what` names it in the log.
    pub(super) fn new(listener: TcpListener, what: &'static str) -> (Self, Stop) {
        let (stop, stopped) = oneshot::channel();
        (Self { listener, what, told: None, stop: stopped, stopped: false }, stop)
    }

    /// The next connection; none when it has been stopped and nobody waits any more.
    pub(super) async fn accept(&mut self) -> Option<(TcpStream, SocketAddr)> {
        loop {
            match self.next().await? {
                Ok(accepted) => return Some(accepted),
                Err(error) if belongs_to_one_connection(&error) => {}
                Err(error) => {
                    self.tell(&error);
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn next(&mut self) -> Option<std::io::Result<(TcpStream, SocketAddr)>> {
        poll_fn(|context| {
            if let Poll::Ready(accepted) = self.listener.poll_accept(context) {
                return Poll::Ready(Some(accepted));
            }
            self.stopped = self.stopped || Pin::new(&mut self.stop).poll(context).is_ready();
            if self.stopped { Poll::Ready(None) } else { Poll::Pending }
        })
        .await
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
