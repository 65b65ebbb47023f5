//! What waits for one policy: first what somebody waits for, then what nobody does. And whose turn it is: whoever has a turn
//! decides, its own thread or one that would not wait for that, and nobody else does until it is over.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Events that wait for one policy. Decided in 20 ms each at worst, they are two seconds of work; whoever causes more in a
/// row is an enrolled client that runs wild, and the first hundred tell as much as the next.
pub(super) const MOST_EVENTS: usize = 100;

/// Whether somebody waits for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    /// A knock. The gate's tables bound how many there are.
    Knock,
    /// An event; past [`MOST_EVENTS`] it is dropped and counted.
    Event,
}

/// A queue for one thread that works and others that never wait.
pub(super) struct Docket<T> {
    waiting: Mutex<Waiting<T>>,
    news: Condvar,
    dropped: AtomicU64,
}

struct Waiting<T> {
    knocks: VecDeque<T>,
    events: VecDeque<T>,
    /// Somebody has a turn.
    taken: bool,
    closed: bool,
}

/// The time in which one case is decided. It is over when this is dropped, also in a panic.
pub(super) struct Turn<'a, T>(&'a Docket<T>);

impl<T> Default for Docket<T> {
    fn default() -> Self {
        let waiting =
            Waiting { knocks: VecDeque::new(), events: VecDeque::new(), taken: false, closed: false };
        Self { waiting: Mutex::new(waiting), news: Condvar::new(), dropped: AtomicU64::new(0) }
    }
}

impl<T> Docket<T> {
    /// Puts a case on the docket; it comes back if there is no room, or nobody works here any more.
    pub(super) fn put(&self, urgency: Urgency, case: T) -> Result<(), T> {
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(case);
        }
        match urgency {
            Urgency::Knock => waiting.knocks.push_back(case),
            Urgency::Event if waiting.events.len() >= MOST_EVENTS => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                return Err(case);
            }
            Urgency::Event => waiting.events.push_back(case),
        }
        self.news.notify_one();
        Ok(())
    }

    /// Waits for the next case and a turn to decide it; `None` when the docket is closed, whatever is left on it.
    pub(super) fn take(&self) -> Option<(T, Turn<'_, T>)> {
        let mut waiting = self.lock();
        loop {
            if waiting.closed {
                return None;
            }
            if !waiting.taken
                && let Some(case) = waiting.next()
            {
                waiting.taken = true;
                return Some((case, Turn(self)));
            }
            waiting = self.news.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A turn for a knock that is not on the docket; `None` if it is somebody else's turn, or somebody has waited for longer.
    pub(super) fn turn(&self) -> Option<Turn<'_, T>> {
        let mut waiting = self.lock();
        if waiting.taken || waiting.closed || !waiting.knocks.is_empty() {
            return None;
        }
        waiting.taken = true;
        Some(Turn(self))
    }

    /// Nothing is taken any more, and whoever waits for a case is let go.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.news.notify_all();
    }

    /// Closes it when its worker lets go of this, also in a panic.
    pub(super) fn close_in_the_end(&self) -> Closing<'_, T> {
        Closing(self)
    }

    /// How many events were dropped since this was asked last.
    pub(super) fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<T>> {
        // A case is on the docket or it is not: no panic leaves half of one.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Waiting<T> {
    fn next(&mut self) -> Option<T> {
        self.knocks.pop_front().or_else(|| self.events.pop_front())
    }
}

impl<T> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        let mut waiting = self.0.lock();
        waiting.taken = false;
        // Whoever had the turn in line wakes the thread only if there is work for it.
        if !waiting.knocks.is_empty() || !waiting.events.is_empty() {
            self.0.news.notify_one();
        }
    }
}

/// Closes a docket when it goes.
pub(super) struct Closing<'a, T>(&'a Docket<T>);

impl<T> Drop for Closing<'_, T> {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[test]
    fn a_knock_is_taken_before_every_event_and_else_the_first_comes_first() {
        let docket = Docket::default();
        for (urgency, case) in
            [(Urgency::Event, 1), (Urgency::Knock, 2), (Urgency::Event, 3), (Urgency::Knock, 4)]
        {
            docket.put(urgency, case).unwrap();
        }

        let taken: Vec<_> = (0..4).filter_map(|_| docket.take().map(|(case, _)| case)).collect();

        assert_eq!(taken, [2, 4, 1, 3]);
    }

    #[test]
    fn events_that_find_no_room_are_counted_and_knocks_always_find_room() {
        let docket = Docket::default();
        (0..MOST_EVENTS).for_each(|case| docket.put(Urgency::Event, case).unwrap());

        assert_eq!(docket.put(Urgency::Event, 7), Err(7));
        assert_eq!(docket.put(Urgency::Event, 8), Err(8));
        docket.put(Urgency::Knock, 1000).unwrap();

        assert_eq!((docket.take_dropped(), docket.take_dropped()), (2, 0), "told once");
        assert_eq!(docket.take().map(|(case, _)| case), Some(1000));
    }

    #[test]
    fn it_is_nobody_elses_turn_while_a_case_is_decided_or_a_knock_waits() {
        let docket = Docket::default();
        let in_line = docket.turn().unwrap();
        assert!(docket.turn().is_none(), "it is taken");
        docket.put(Urgency::Event, 1).unwrap();
        drop(in_line);
        assert!(docket.turn().is_some(), "an event can wait");
        let (event, turn) = docket.take().unwrap();
        assert!((event, docket.turn().is_none()) == (1, true), "the thread decides");
        docket.put(Urgency::Knock, 2).unwrap();
        drop(turn);
        assert!(docket.turn().is_none(), "a knock has waited for longer");
        docket.take().unwrap();
        assert!(docket.turn().is_some());
        docket.close();
        assert!(docket.turn().is_none(), "nobody decides any more");
    }

    #[test]
    fn a_thread_waits_for_the_end_of_a_turn_in_line() {
        let docket = Docket::default();
        let in_line = docket.turn().unwrap();
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let worker = scope.spawn(|| {
                let taken = docket.take().map(|(case, _)| case);
                assert!(is_over.load(Ordering::SeqCst));
                taken
            });
            docket.put(Urgency::Knock, 1).unwrap();
            is_over.store(true, Ordering::SeqCst);
            drop(in_line);
            assert_eq!(worker.join().unwrap(), Some(1));
        });
    }

    #[test]
    fn a_worker_that_panics_closes_its_docket() {
        let docket = Docket::<i32>::default();
        std::thread::scope(|scope| {
            let worker = scope.spawn(|| {
                let _docket = docket.close_in_the_end();
                panic!("a worker that ends early");
            });
            assert!(worker.join().is_err());
        });
        assert_eq!(docket.put(Urgency::Knock, 1), Err(1));
    }

    #[test]
    fn a_closed_docket_lets_its_thread_go_and_takes_nothing() {
        let docket = Docket::default();
        docket.put(Urgency::Knock, 1).unwrap();
        std::thread::scope(|scope| {
            let worker = scope.spawn(|| std::iter::from_fn(|| docket.take()).count());
            docket.close();
            assert!(worker.join().unwrap() <= 1);
        });
        assert_eq!(docket.put(Urgency::Knock, 2), Err(2));
    }
}
