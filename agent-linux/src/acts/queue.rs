//! The way to a thread that carries acts out: never waits, and tells what found no room.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Acts that wait for one thread. A minute of a policy that acts once a second, while the other side is slow.
const CAPACITY: usize = 64;

pub(super) struct Queue<T> {
    sender: Sender<T>,
    /// What it leads to, for the log.
    to: String,
    /// Acts that were dropped since one found room.
    dropped: AtomicU64,
}

/// There is no room; the act comes back.
pub(super) struct Dropped<T>(pub(super) T);

impl<T> Queue<T> {
    pub(super) fn new(to: impl Into<String>) -> (Self, Receiver<T>) {
        let (sender, receiver) = channel(CAPACITY);
        (Self { sender, to: to.into(), dropped: AtomicU64::new(0) }, receiver)
    }

    pub(super) fn put(&self, act: T) -> Result<(), Dropped<T>> {
        let to = &self.to;
        match self.sender.try_send(act) {
            Ok(()) => {
                let dropped = self.dropped.swap(0, Ordering::Relaxed);
                if dropped > 0 {
                    tracing::warn!("{to}: there is room again; {dropped} acts were dropped");
                }
                Ok(())
            }
            Err(full) => {
                // A line for each would make it worse.
                if self.dropped.fetch_add(1, Ordering::Relaxed) == 0 {
                    tracing::warn!(
                        "{to}: {CAPACITY} acts wait already, so more are dropped and counted; look why it is slow, or let \
                         policies act less often"
                    );
                }
                Err(Dropped(full.into_inner()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_no_room_comes_back_and_is_counted_until_there_is_room() {
        let (queue, mut receiver) = Queue::new("channel test");
        (0..CAPACITY).for_each(|act| assert!(queue.put(act).is_ok(), "{act}"));

        assert!(queue.put(100).is_err_and(|Dropped(act)| act == 100));
        assert!(queue.put(101).is_err());
        assert_eq!(queue.dropped.load(Ordering::Relaxed), 2);

        assert_eq!(receiver.blocking_recv(), Some(0));
        assert!(queue.put(102).is_ok());
        assert_eq!(queue.dropped.load(Ordering::Relaxed), 0);
    }
}
