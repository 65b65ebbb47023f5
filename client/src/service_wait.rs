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

/// Connects to the service until it accepts, at any of the addresses that were opened, or behind them.
pub(crate) fn await_service(
    openings: &[Opening],
    service: &ProfileService,
    patience: Duration,
    voice: &Voice,
) -> Result<(), Failure> {
    match service.protocol {
        Protocol::Tcp => {}
        Protocol::Udp => {
            voice.notice(&format!("{} is a UDP service: whether it answers cannot be told", service.name));
            return Ok(());
        }
    }
    let place = |opening: &Opening| Some((opening.at?, opening.route.from));
    let places: Vec<_> = openings.iter().filter_map(place).collect();
    let at = words(&places);
    voice.step(format!("waiting for {} to answer at {at}", service.name));
    let deadline = Instant::now() + patience;
    loop {
        if places.iter().any(|place| accepts(*place, deadline)) {
            return Ok(());
        }
        if Instant::now() + PAUSE >= deadline {
            return Err(Failure::ServiceSilent { at, patience });
        }
        thread::sleep(PAUSE);
    }
}

/// `192.0.2.100:22 and [2001:db8::100]:22`
fn words(places: &[(SocketAddr, SocketAddr)]) -> String {
    places.iter().map(|(to, _)| to.to_string()).collect::<Vec<_>>().join(" and ")
}

fn accepts((to, from): (SocketAddr, SocketAddr), deadline: Instant) -> bool {
    let left = deadline.saturating_duration_since(Instant::now()).min(ATTEMPT);
    dial::connect(to, Some(from), left).is_ok()
}
