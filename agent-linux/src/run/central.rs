//! The central port: hands whole messages to the driver and answers to those whom the gate knows.

use std::net::IpAddr;
use std::sync::Arc;

use knockgate_core::envelope::Message;
use knockgate_core::limits::MESSAGE_LEN;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::audit::{Audit, AuditRecord};

use super::connections::{Connections, deadline, linger};
use super::input::{Input, Inputs};
use super::listen::Listener;

/// Accepts for ever.
pub(super) async fn serve(listener: TcpListener, inputs: Inputs, audit: Arc<Audit>) {
    let mut listener = Listener::new(listener, "central port");
    let mut connections = Connections::default();
    loop {
        let (stream, peer) = listener.accept().await;
        let source = peer.ip().to_canonical();
        connections.spawn(source, talk(stream, source, inputs.clone(), Arc::clone(&audit)));
    }
}

async fn talk(mut stream: TcpStream, source: IpAddr, inputs: Inputs, audit: Arc<Audit>) {
    let until = deadline();
    let mut message: Message = [0; MESSAGE_LEN];
    let visit = Visit { source, audit: Some(audit) };
    if !matches!(timeout_at(until, stream.read_exact(&mut message)).await, Ok(Ok(_))) {
        return;
    }
    visit.goes_on();
    match timeout_at(until, ask(source, message, inputs)).await {
        Ok(Some(answer)) => send(stream, &answer, until).await,
        Ok(None) | Err(_) => linger(stream, until).await,
    }
}

/// A connection that has said nothing whole yet. It is written down when it ends so, also when it had to make room.
struct Visit {
    source: IpAddr,
    audit: Option<Arc<Audit>>,
}

impl Visit {
    /// The driver writes down what comes of its message.
    fn goes_on(mut self) {
        self.audit = None;
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if let Some(audit) = &self.audit {
            audit.write(AuditRecord::incomplete_connection(self.source));
        }
    }
}

async fn ask(source: IpAddr, message: Message, inputs: Inputs) -> Option<Message> {
    let (answer, answered) = oneshot::channel();
    inputs.send(Input::Message { source, message: Box::new(message), answer }).await.ok()?;
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
