//! Answers `GET /metrics`, and nothing else. A connection is one request.
//!
//! Read by `httparse`, which webhooks bring along anyway; a whole HTTP server would be more code than all that is served here.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use super::exposition::CONTENT_TYPE;
use super::{Listener, figures};
use crate::control::{Asked, Caller, Callers, Desk, Reply, Request};

/// How long a scraper may take for its request, and as long again to read the answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of a request, with all headers.
const MAX_REQUEST: usize = 8192;
const MAX_HEADERS: usize = 64;
/// So long an answer serves all who ask.
const FRESH: Duration = Duration::from_secs(1);
/// Pause after an error that persists, such as a lack of descriptors.
const PAUSE: Duration = Duration::from_millis(50);
/// Who calls over TCP is not known. They share the places of one user.
const SOMEBODY: u32 = u32::MAX;

/// Answers from now on, in tasks of their own.
///
/// # Errors
/// If the runtime cannot take the socket.
pub fn serve(listeners: Vec<Listener>, desk: &impl Desk) -> io::Result<()> {
    let office = Office { desk: desk.clone(), last: Arc::default() };
    for listener in listeners {
        tokio::spawn(accept(Ear::of(listener)?, office.clone()));
    }
    Ok(())
}

enum Ear {
    Loopback(TcpListener),
    Unix(UnixListener),
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Ear {
    fn of(listener: Listener) -> io::Result<Self> {
        match listener {
            Listener::Loopback(listener) => {
                listener.set_nonblocking(true)?;
                TcpListener::from_std(listener).map(Self::Loopback)
            }
            Listener::Unix(listener) => {
                listener.set_nonblocking(true)?;
                UnixListener::from_std(listener).map(Self::Unix)
            }
        }
    }

    /// The next one who may ask, and whose places he takes; none if this one may not or has gone.
    async fn accept(&self) -> io::Result<Option<(u32, Box<dyn Stream>)>> {
        match self {
            Self::Loopback(listener) => {
                let (stream, from) = listener.accept().await?;
                let stream: Box<dyn Stream> = Box::new(stream);
                // With `route_localnet` a host routes what others send to a loopback address.
                Ok(from.ip().is_loopback().then_some((SOMEBODY, stream)))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                let uid = stream.peer_cred().ok().map(|peer| peer.uid());
                let stream: Box<dyn Stream> = Box::new(stream);
                Ok(uid.map(|uid| (uid, stream)))
            }
        }
    }
}

/// Accepts for ever.
async fn accept(ear: Ear, office: Office<impl Desk>) {
    let mut callers = Callers::default();
    loop {
        match ear.accept().await {
            Ok(Some((uid, stream))) => callers.spawn(uid, talk(stream, office.clone())),
            Ok(None) => {}
            Err(error) => {
                tracing::debug!("the socket of the metrics cannot accept: {error}");
                sleep(PAUSE).await;
            }
        }
    }
}

async fn talk(mut stream: impl Stream, office: Office<impl Desk>) {
    let Ok(Ok(heard)) = timeout(PATIENCE, hear(&mut stream)).await else { return };
    let answer = match heard {
        Heard::Metrics => office.page().await.map_or_else(stopping, |page| answer("200 OK", "", &page)),
        Heard::OtherPath => answer("404 Not Found", "", "only /metrics is here\n"),
        Heard::OtherMethod => {
            answer("405 Method Not Allowed", "Allow: GET\r\n", "only GET is answered here\n")
        }
        Heard::Nonsense => answer("400 Bad Request", "", "this is no HTTP request\n"),
        Heard::TooMuch => answer("431 Request Header Fields Too Large", "", "the request is too long\n"),
    };
    let send = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await
    };
    // Whoever does not read has no answer.
    let _ = timeout(PATIENCE, send).await;
}

fn stopping() -> String {
    answer("503 Service Unavailable", "", "the agent is stopping\n")
}

fn answer(status: &str, headers: &str, text: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {CONTENT_TYPE}\r\nContent-Length: {}\r\n{headers}Connection: close\r\n\r\n{text}",
        text.len()
    )
}

#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Metrics,
    OtherPath,
    OtherMethod,
    Nonsense,
    TooMuch,
}

/// Reads one request.
async fn hear(stream: &mut impl Stream) -> io::Result<Heard> {
    let mut request = Vec::with_capacity(1024);
    loop {
        let room = u64::try_from(MAX_REQUEST - request.len()).unwrap_or_default();
        if (&mut *stream).take(room).read_buf(&mut request).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match understand(&request) {
            Some(heard) => return Ok(heard),
            None if request.len() >= MAX_REQUEST => return Ok(Heard::TooMuch),
            None => {}
        }
    }
}

/// What a request is about; `None` if there is more of it to come.
fn understand(request: &[u8]) -> Option<Heard> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    match parsed.parse(request) {
        Ok(httparse::Status::Partial) => return None,
        Ok(httparse::Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => return Some(Heard::TooMuch),
        Err(_) => return Some(Heard::Nonsense),
    }
    let path = parsed.path.and_then(|path| path.split('?').next());
    Some(match (parsed.method, path) {
        (Some("GET"), Some("/metrics")) => Heard::Metrics,
        (Some("GET"), _) => Heard::OtherPath,
        (_, _) => Heard::OtherMethod,
    })
}

/// Where the figures come from. Clones are of the same office.
#[derive(Clone)]
struct Office<D> {
    desk: D,
    /// Locked while the next one is written.
    last: Arc<Mutex<Option<Page>>>,
}

struct Page {
    written: Instant,
    text: Arc<str>,
}

impl<D: Desk> Office<D> {
    /// A page that is fresh; none if the agent is stopping.
    async fn page(&self) -> Option<Arc<str>> {
        let mut last = self.last.lock().await;
        if let Some(page) = last.as_ref().filter(|page| page.written.elapsed() < FRESH) {
            return Some(Arc::clone(&page.text));
        }
        let caller = Caller { uid: rustix::process::geteuid().as_raw(), pid: None };
        let Reply::Status(status) = self.desk.answer(Asked { request: Request::Status, caller }).await else {
            return None;
        };
        let text: Arc<str> = figures::page(&status).into();
        *last = Some(Page { written: Instant::now(), text: Arc::clone(&text) });
        Some(text)
    }
}

#[cfg(test)]
mod tests;
