//! TCP connections of people who have not proved anything yet: how many, how long, and what they learn.
//!
//! They learn nothing: every connection is accepted, nothing is said, and it is closed after [`LINGER`] or when the other
//! side closes. The central port and the decoys use the same code, so an ordinary connection cannot tell one from the
//! other. Whoever fills a listener can: each makes room for itself.

use std::collections::VecDeque;
use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;

use knockgate_core::address::SourcePrefix;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

/// How long a silent connection is kept. A client needs one round trip of it.
pub(super) const LINGER: Duration = Duration::from_secs(10);
/// Connections of one listener. Each costs a descriptor and some kilobytes; a service's usual limit is 1024 descriptors.
const MOST: usize = 256;
/// Connections of one source: several clients behind one address, and no way to fill the listener from there.
const MOST_PER_SOURCE: usize = 32;

/// The connections of one listener. When it is full, the oldest makes room, first the oldest of the same source.
#[derive(Default)]
pub(super) struct Connections {
    open: VecDeque<(SourcePrefix, AbortHandle)>,
}

impl Connections {
    /// Runs `talk` until it ends or has to make room.
    pub(super) fn spawn(&mut self, source: IpAddr, talk: impl Future<Output = ()> + Send + 'static) {
        self.open.retain(|(_, task)| !task.is_finished());
        let prefix = SourcePrefix::of(source);
        let same = self.open.iter().filter(|(other, _)| *other == prefix).count();
        if same >= MOST_PER_SOURCE {
            self.close_oldest(|other| other == prefix);
        } else if self.open.len() >= MOST {
            self.close_oldest(|_| true);
        }
        self.open.push_back((prefix, tokio::spawn(talk).abort_handle()));
    }

    fn close_oldest(&mut self, which: impl Fn(SourcePrefix) -> bool) {
        let oldest = self.open.iter().position(|(prefix, _)| which(*prefix));
        if let Some((_, task)) = oldest.and_then(|at| self.open.remove(at)) {
            task.abort();
        }
    }
}

/// When a connection that begins now is closed at the latest.
pub(super) fn deadline() -> Instant {
    Instant::now() + LINGER
}

/// Says nothing, hears nothing, and closes when the other side does or at `until`.
pub(super) async fn linger(mut stream: TcpStream, until: Instant) {
    let mut ignored = [0; 512];
    while let Ok(Ok(1..)) = timeout_at(until, stream.read(&mut ignored)).await {}
}
