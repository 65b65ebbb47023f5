//! Waits until an opened service answers: a gate opens the way, but a service may still be starting.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use knockgate_core::profile::{ProfileService, Protocol};

use crate::dial;
use crate::opening::Opening;
use crate::outcome::Failure;
use crate::voice::Voice;

/// How long one attempt may take: the first SYN, and its retransmission after a second.
const ATTEMPT: Duration = Duration::from_millis(1500);
/// Pause after a refusal.
const PAUSE: Duration = Duration::from_millis(100);

/// Connects to the service until it accepts, at any of the addresses that were opened.
pub(crate) fn await_service(
    openings: &[Opening],
    service: &ProfileService,
    patience: Duration,
    voice: &Voice,
) -> Result<(), Failure> {
    let port = service.port;
    match service.protocol {
        Protocol::Tcp => {}
        Protocol::Udp => {
            voice.notice(&format!("{} is a UDP service: whether it answers cannot be told", service.name));
            return Ok(());
        }
    }
    voice.step(format!("waiting for {} to answer at port {port}", service.name));
    let deadline = Instant::now() + patience;
    loop {
        if openings.iter().any(|opening| accepts(opening, port, deadline)) {
            return Ok(());
        }
        if Instant::now() + PAUSE >= deadline {
            return Err(Failure::ServiceSilent { port, patience });
        }
        thread::sleep(PAUSE);
    }
}

fn accepts(opening: &Opening, port: u16, deadline: Instant) -> bool {
    let to: SocketAddr = dial::with_port(opening.route.to, port);
    let left = deadline.saturating_duration_since(Instant::now()).min(ATTEMPT);
    dial::connect(to, Some(opening.route.from), left).is_ok()
}
