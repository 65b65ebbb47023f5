//! Tells the service manager how the agent is: that the gate is up, that a configuration is being looked at, that the gate's thread
//! turns. Without a service manager that wants to know, nothing is said.
//!
//! Protocol: `sd_notify(3)`; one datagram for each message, to the socket that `NOTIFY_SOCKET` names.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use rustix::time::{ClockId, clock_gettime};

/// The way to the service manager.
#[derive(Default)]
pub(super) struct Notify {
    way: Option<UnixDatagram>,
    watched: bool,
}

impl Notify {
    /// As the environment says it.
    pub(super) fn from_environment() -> Self {
        let variable = |name| std::env::var(name).ok();
        let way = variable("NOTIFY_SOCKET").and_then(|name| way(&name));
        let own = std::process::id().to_string();
        let watched = variable("WATCHDOG_USEC").is_some()
            && variable("WATCHDOG_PID").is_none_or(|process| process == own);
        Self { way, watched }
    }

    /// The gate is up, under the configuration that it has now.
    pub(super) fn ready(&self) {
        self.say("READY=1");
    }

    /// Another configuration is being looked at. Ends with [`Notify::ready`], whatever comes of it.
    pub(super) fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1000);
        self.say(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    pub(super) fn stopping(&self) {
        self.say("STOPPING=1");
    }

    /// The gate's thread has turned. To be said by that thread alone, every second.
    pub(super) fn alive(&self) {
        if self.watched {
            self.say("WATCHDOG=1");
        }
    }

    fn say(&self, message: &str) {
        let Some(manager) = &self.way else { return };
        if let Err(error) = manager.send(message.as_bytes()) {
            tracing::debug!("the service manager does not hear: {error}");
        }
    }
}

/// An abstract socket's name begins with `@`.
fn way(name: &str) -> Option<UnixDatagram> {
    let manager = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name.as_bytes()),
        None => SocketAddr::from_pathname(name),
    };
    let open = || {
        let socket = UnixDatagram::unbound()?;
        // Nobody waits for a service manager that does not read.
        socket.set_nonblocking(true)?;
        socket.connect_addr(&manager?)?;
        Ok::<_, std::io::Error>(socket)
    };
    match open() {
        Ok(way) => Some(way),
        Err(error) => {
            tracing::warn!(
                "NOTIFY_SOCKET={name} cannot be used, so the service manager hears nothing: {error}"
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_sockets_hear_each_message_whole() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("notify").to_str().unwrap().to_owned();
        let name = format!("knockgate-test-{}", std::process::id());
        let manager = UnixDatagram::bind(&path).unwrap();
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let abstract_manager = UnixDatagram::bind_addr(&address).unwrap();
        for (manager, name) in [(manager, path), (abstract_manager, format!("@{name}"))] {
            let notify = Notify { way: way(&name), watched: true };
            notify.ready();
            notify.reloading();
            notify.alive();
            assert_eq!(heard(&manager), "READY=1");
            let reloading = heard(&manager);
            let micros = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
            assert!(micros.parse::<u64>().unwrap() > 0);
            assert_eq!(heard(&manager), "WATCHDOG=1");
        }
    }

    fn heard(manager: &UnixDatagram) -> String {
        let mut message = [0; 256];
        let length = manager.recv(&mut message).unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap()
    }

    #[test]
    fn without_a_watchdog_no_beat_is_said_and_without_a_socket_nothing() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("notify").to_str().unwrap().to_owned();
        let manager = UnixDatagram::bind(&path).unwrap();
        manager.set_nonblocking(true).unwrap();
        let unwatched = Notify { way: way(&path), watched: false };
        unwatched.alive();
        unwatched.ready();
        assert_eq!(heard(&manager), "READY=1");
        for deaf in [Notify::default(), Notify { way: way(""), watched: true }] {
            deaf.alive();
            deaf.ready();
            assert!(deaf.way.is_none());
            assert_eq!(manager.recv(&mut [0; 16]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
        }
    }
}
