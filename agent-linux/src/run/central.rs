//! The central port: hands whole messages to the driver and answers to those whom the gate knows.

use std::net::IpAddr;

use knockgate_core::envelope::Message;
use knockgate_core::limits::MESSAGE_LEN;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::connections::{Connections, deadline, linger};
use super::input::{Call, Calls};
use super::listen::Listener;
use super::noise::Visits;

/// Accepts until it is stopped. What has been accepted goes on.
pub(super) async fn serve(mut listener: Listener, calls: Calls, visits: Visits) {
    let mut connections = Connections::default();
    while let Some((stream, peer)) = listener.accept().await {
        let source = peer.ip().to_canonical();
        connections.spawn(source, talk(stream, source, calls.clone(), visits.clone()));
    }
}

async fn talk(mut stream: TcpStream, source: IpAddr, calls: Calls, visits: Visits) {
    let until = deadline();
    let mut message: Message = [0; MESSAGE_LEN];
    let visit = Visit { visits: Some(visits) };
    if !matches!(timeout_at(until, stream.read_exact(&mut message)).await, Ok(Ok(_))) {
        return;
    }
    visit.goes_on();
    match timeout_at(until, ask(source, message, calls)).await {
        Ok(Some(answer)) => send(stream, &answer, until).await,
        Ok(None) | Err(_) => linger(stream, until).await,
    }
}

/// A connection that has said nothing whole yet. It is counted when it ends so, also when it had to make room.
struct Visit {
    visits: Option<Visits>,
}

impl Visit {
    /// The driver counts what comes of its message.
    fn goes_on(mut self) {
        self.visits = None;
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if let Some(visits) = &self.visits {
            visits.count();
        }
    }
}

async fn ask(source: IpAddr, message: Message, calls: Calls) -> Option<Message> {
    let (answer, answered) = oneshot::channel();
    calls.send(Call::Message { source, message: Box::new(message), answer }).await.ok()?;
    answered.await.ok()
}

async fn send(mut stream: TcpStream, answer: &Message, until: Instant) {
    let sent = timeout_at(until, async {
        stream.write_all(answer).await?;
        stream.shutdown().await
    });
    // A client that is gone asks again; there is nobody to tell. Bytes that it sent too many are read, or closing would
    // reset the connection under its answer.
    if let Ok(Ok(())) = sent.await {
        linger(stream, until).await;
    }
}
