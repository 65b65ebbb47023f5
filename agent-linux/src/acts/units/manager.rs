//! The service manager's D-Bus interface, as far as it is needed.
//!
//! Source: org.freedesktop.systemd1(5).

use std::future::poll_fn;
use std::pin::pin;

use futures_core::Stream;
use zbus::{OwnedObjectPath, proxy};

/// The name that the manager has on the bus.
pub(super) const MANAGER: &str = "org.freedesktop.systemd1";

#[proxy(
    interface = "org.freedesktop.systemd1.Manager",
    default_service = "org.freedesktop.systemd1",
    default_path = "/org/freedesktop/systemd1"
)]
pub(super) trait Manager {
    /// Asks for signals; without one who asks, the manager sends none.
    fn subscribe(&self) -> zbus::Result<()>;

    /// Queues a job and answers its path.
    fn start_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;

    /// A job has ended.
    #[zbus(signal)]
    fn job_removed(&self, id: u32, job: OwnedObjectPath, unit: String, result: String) -> zbus::Result<()>;
}

/// The next item; `None` when the connection is closed.
pub(super) async fn next<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    let mut stream = pin!(stream);
    poll_fn(|context| stream.as_mut().poll_next(context)).await
}
