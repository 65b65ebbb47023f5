//! Takes requests in. What they mean is for the [`Desk`] to say.
//!
//! A caller that sends nonsense is told so and may go on; one that sends too much, nothing or half a line, or that does not read, is
//! let go. None of them keeps another one waiting.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::callers::Callers;
use super::protocol::{self, MAX_REQUEST};
use super::sockets::Place;
use super::{Door, Need, Reply, Request, Sockets};

/// How long a caller may take for a line, or to read one. A dashboard asks every second.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause after an error that persists, such as a lack of descriptors.
const PAUSE: Duration = Duration::from_millis(50);
const ROOT: u32 = 0;

/// Somebody who has connected, as the kernel knows him.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    pub uid: u32,
    pub pid: Option<i32>,
}

/// A request that its caller may make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub request: Request,
    pub caller: Caller,
}

/// Knows the answers.
pub trait Desk: Clone + Send + Sync + 'static {
    /// Does what is asked, if it can be done.
    fn answer(&self, asked: Asked) -> impl Future<Output = Reply> + Send;
}

/// Answers at both sockets from now on, in tasks of their own.
///
/// # Errors
/// If the runtime cannot take the sockets.
pub fn serve(sockets: Sockets, desk: &impl Desk) -> io::Result<()> {
    let Sockets { status, control, place } = sockets;
    let place = Arc::new(place);
    for (door, listener) in [(Door::Status, status), (Door::Control, control)] {
        listener.set_nonblocking(true)?;
        let listener = UnixListener::from_std(listener)?;
        tokio::spawn(accept(door, listener, desk.clone(), Arc::clone(&place)));
    }
    Ok(())
}

/// Accepts for ever. The place is ours for as long.
async fn accept(door: Door, listener: UnixListener, desk: impl Desk, _place: Arc<Place>) {
    let mut callers = Callers::default();
    loop {
        match listener.accept().await {
            // Whoever has gone already is nobody's caller.
            Ok((stream, _)) => {
                if let Ok(peer) = stream.peer_cred() {
                    let caller = Caller { uid: peer.uid(), pid: peer.pid() };
                    callers.spawn(caller.uid, talk(stream, door, caller, desk.clone()));
                }
            }
            Err(error) => {
                tracing::debug!("a control socket cannot accept: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn talk(stream: UnixStream, door: Door, caller: Caller, desk: impl Desk) {
    let mut stream = BufReader::new(stream);
    while let Some(heard) = hear(&mut stream).await {
        let (reply, next) = match heard {
            Heard::Line(line) => (answer(&line, door, caller, &desk).await, Next::Line),
            Heard::TooMuch => {
                let why = format!(
                    "a request has {MAX_REQUEST} bytes at most; nothing that is asked here is longer"
                );
                (Reply::refused(why), Next::End)
            }
        };
        // A list of many clients takes long to write, and others wait for this thread.
        let Ok(Ok(line)) = spawn_blocking(move || protocol::encode(&reply)).await else { return };
        let sent = timeout(PATIENCE, stream.write_all(&line)).await;
        if !matches!((sent, next), (Ok(Ok(())), Next::Line)) {
            return;
        }
    }
}

enum Heard {
    Line(Vec<u8>),
    TooMuch,
}

enum Next {
    Line,
    End,
}

/// The next line; `None` if there is none, or half a one.
async fn hear(stream: &mut BufReader<UnixStream>) -> Option<Heard> {
    let mut line = Vec::new();
    let mut bounded = stream.take(u64::try_from(MAX_REQUEST).unwrap_or(u64::MAX));
    let read = timeout(PATIENCE, bounded.read_until(b'\n', &mut line)).await.ok()?.ok()?;
    match line.last() {
        Some(b'\n') => Some(Heard::Line(line)),
        Some(_) if read >= MAX_REQUEST => Some(Heard::TooMuch),
        Some(_) | None => None,
    }
}

async fn answer(line: &[u8], door: Door, caller: Caller, desk: &impl Desk) -> Reply {
    let request: Request = match protocol::decode(line) {
        Ok(request) => request,
        Err(error) => return Reply::refused(error.to_string()),
    };
    if let Err(why) = admit(&request, door, caller, rustix::process::geteuid().as_raw()) {
        tracing::debug!(uid = caller.uid, ?request, "a caller may not ask this");
        return Reply::refused(why);
    }
    desk.answer(Asked { request, caller }).await
}

/// The mode of the socket has said who may connect; here it is said again, by another way.
fn admit(request: &Request, door: Door, caller: Caller, own: u32) -> Result<(), &'static str> {
    let is_owner = caller.uid == ROOT || caller.uid == own;
    match (request.needs(), door) {
        (_, Door::Control) if !is_owner => {
            Err("this socket is for root alone; ask at the other one, or as root")
        }
        (Need::Changing, Door::Status) => {
            Err("this socket is for looking only; ask as root, at the other one")
        }
        (Need::Reading | Need::Changing, Door::Control) | (Need::Reading, Door::Status) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
