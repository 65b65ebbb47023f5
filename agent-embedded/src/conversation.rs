//! A conversation with the console: bytes between its connection and whoever operates the gateway.

use knockgate_core::Now;
use smoltcp::socket::tcp::Socket;

use crate::environment::{Health, Operate, Over};
use crate::limits::CONSOLE_STEPS;

/// What became of it in one turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Course {
    /// Nobody has said anything.
    Quiet,
    /// Something was said.
    Going,
    /// Something was said, and there is more to say or to hear at once.
    Hurried,
    /// It is over.
    Ended,
}

/// Carries what can be carried now.
pub(crate) fn carry(
    socket: &mut Socket<'static>,
    now: Now,
    health: Health,
    operator: &mut impl Operate,
) -> Course {
    for carried in 0..CONSOLE_STEPS {
        let (Ok(heard), Ok(said)) = (hear(socket, now, health, operator), say(socket, now, operator)) else {
            return Course::Ended;
        };
        match (heard + said, carried) {
            // Whoever has said goodbye has heard all that was to be said by now.
            (0, _) if !socket.may_recv() => return Course::Ended,
            (0, 0) => return Course::Quiet,
            (0, _) => return Course::Going,
            (1.., _) => {}
        }
    }
    Course::Hurried
}

fn hear(
    socket: &mut Socket<'static>,
    now: Now,
    health: Health,
    operator: &mut impl Operate,
) -> Result<usize, Over> {
    if !socket.can_recv() {
        return Ok(0);
    }
    let heard = socket.recv(|bytes| match operator.hear(now, health, bytes) {
        Ok(heard) => (heard.min(bytes.len()), Ok(heard)),
        Err(over) => (0, Err(over)),
    });
    heard.unwrap_or(Err(Over))
}

fn say(socket: &mut Socket<'static>, now: Now, operator: &mut impl Operate) -> Result<usize, Over> {
    if !socket.can_send() {
        return Ok(0);
    }
    let said = socket.send(|buffer| match operator.say(now, buffer) {
        Ok(said) => (said.min(buffer.len()), Ok(said)),
        Err(over) => (0, Err(over)),
    });
    said.unwrap_or(Err(Over))
}
