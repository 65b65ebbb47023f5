//! How a thread is woken that sleeps on descriptors: a bell beside them, rung by whoever has put something into its queue.
//!
//! The bell is an eventfd. It is rung only while the thread sleeps or is about to: a thread that is at work looks into its
//! queues by itself, and a call of the kernel for every input would be wasted on it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::time::Duration;

use heapless::Vec;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use tokio::sync::mpsc;

/// Descriptors beside the bell: those of the watch, and a socket for each port where sockets are bound.
pub(super) const MAX_DESCRIPTORS: usize = 32;

/// Wakes one thread.
pub(super) struct Bell {
    eventfd: OwnedFd,
    asleep: AtomicBool,
}

/// What a sleeper was woken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Woken {
    /// One of the descriptors is readable; the bell may have rung, too.
    ByDescriptor,
    /// Only the bell has rung, or the time is over.
    ByBellOrTime,
}

impl Bell {
    pub(super) fn hang() -> io::Result<Arc<Self>> {
        let eventfd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Arc::new(Self { eventfd, asleep: AtomicBool::new(false) }))
    }

    /// Wakes the sleeper, if there is one. To be called after its work was put where it looks for it.
    fn ring(&self) {
        // Together with the fence of the sleeper: either it sees the work, or we see that it sleeps.
        fence(Ordering::SeqCst);
        if self.asleep.swap(false, Ordering::SeqCst) {
            // It fails only if the bell has been rung 2^64 times and nobody has heard.
            let _ = rustix::io::write(&self.eventfd, &1_u64.to_ne_bytes());
        }
    }

    /// Sleeps until the bell rings, one of `descriptors` is readable or the time is over. `is_work` says whether there is
    /// something to do already, which is then not slept over.
    pub(super) fn sleep<'fd>(
        &'fd self,
        descriptors: impl Iterator<Item = BorrowedFd<'fd>>,
        most: Duration,
        is_work: impl FnOnce() -> bool,
    ) -> io::Result<Woken> {
        let bell = PollFd::from_borrowed_fd(self.eventfd.as_fd(), PollFlags::IN);
        let others = descriptors.map(|other| PollFd::from_borrowed_fd(other, PollFlags::IN));
        let mut all: Vec<PollFd<'_>, { MAX_DESCRIPTORS + 1 }> = std::iter::once(bell).chain(others).collect();
        self.asleep.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        let most = if is_work() { Duration::ZERO } else { most };
        let polled = poll(&mut all, Some(&timespec(most)));
        self.asleep.store(false, Ordering::SeqCst);
        match polled {
            Ok(_) => {}
            // The caller looks after everything and comes back.
            Err(Errno::INTR) => return Ok(Woken::ByBellOrTime),
            Err(error) => return Err(error.into()),
        }
        let mut readable = all.iter().map(|one| !one.revents().is_empty());
        if readable.next().unwrap_or(false) {
            self.hush();
        }
        Ok(if readable.any(|is_readable| is_readable) { Woken::ByDescriptor } else { Woken::ByBellOrTime })
    }

    fn hush(&self) {
        let mut count = [0; 8];
        // Somebody else cannot have read it; were it so, the next sleep would be none.
        let _ = rustix::io::read(&self.eventfd, &mut count);
    }
}

fn timespec(duration: Duration) -> Timespec {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    Timespec { tv_sec: seconds, tv_nsec: i64::from(duration.subsec_nanos()) }
}

/// The way into a queue of the thread.
pub(super) struct Way<T> {
    queue: mpsc::Sender<T>,
    bell: Arc<Bell>,
}

/// The thread has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gone;

impl<T> Clone for Way<T> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), bell: Arc::clone(&self.bell) }
    }
}

impl<T> Way<T> {
    /// A queue that holds so many.
    pub(super) fn queue(bell: &Arc<Bell>, most: usize) -> (Self, mpsc::Receiver<T>) {
        let (queue, received) = mpsc::channel(most);
        (Self { queue, bell: Arc::clone(bell) }, received)
    }

    /// Waits while the queue is full.
    pub(super) async fn send(&self, thing: T) -> Result<(), Gone> {
        self.queue.send(thing).await.map_err(|_| Gone)?;
        self.bell.ring();
        Ok(())
    }

    /// The same on a thread that may be kept waiting.
    pub(super) fn blocking_send(&self, thing: T) -> Result<(), Gone> {
        self.queue.blocking_send(thing).map_err(|_| Gone)?;
        self.bell.ring();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn nothing_that_is_sent_is_slept_over() {
        let bell = Bell::hang().unwrap();
        let (way, mut received) = Way::queue(&bell, 4);
        let begun = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| (0..20_000).for_each(|number: u32| way.blocking_send(number).unwrap()));
            for expected in 0..20_000 {
                let number = loop {
                    if let Ok(number) = received.try_recv() {
                        break number;
                    }
                    bell.sleep(std::iter::empty(), LONG, || !received.is_empty()).unwrap();
                };
                assert_eq!(number, expected);
            }
        });
        assert!(begun.elapsed() < LONG, "every sleep was ended by the bell");
    }

    #[test]
    fn a_readable_descriptor_ends_the_sleep_and_is_told_from_the_bell() {
        let bell = Bell::hang().unwrap();
        let (way, _received) = Way::queue(&bell, 4);
        let other = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
        let sleep = |most| bell.sleep(std::iter::once(other.as_fd()), most, || false).unwrap();
        assert_eq!(sleep(Duration::ZERO), Woken::ByBellOrTime);
        rustix::io::write(&other, &1_u64.to_ne_bytes()).unwrap();
        assert_eq!(sleep(LONG), Woken::ByDescriptor);
        way.blocking_send(()).unwrap();
        assert_eq!(sleep(LONG), Woken::ByDescriptor);
        rustix::io::read(&other, &mut [0; 8]).unwrap();
        assert_eq!(sleep(Duration::ZERO), Woken::ByBellOrTime);
    }

    #[test]
    fn a_thread_that_is_awake_is_not_rung_for() {
        let bell = Bell::hang().unwrap();
        let (way, mut received) = Way::queue(&bell, 4);
        way.blocking_send(7).unwrap();
        assert_eq!(rustix::io::read(&bell.eventfd, &mut [0; 8]), Err(Errno::AGAIN));
        bell.sleep(std::iter::empty(), LONG, || !received.is_empty()).unwrap();
        assert_eq!(received.try_recv(), Ok(7));
    }
}
