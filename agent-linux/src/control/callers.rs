//! Who has connected to a socket: so many at most, and whoever has most gives way first.

use std::collections::VecDeque;
use std::future::Future;

use tokio::task::AbortHandle;

/// Callers of one socket at the same time. A command is there for milliseconds; a dashboard stays.
pub(super) const MOST: usize = 32;
/// Of one user: so nobody keeps another one out.
pub(super) const MOST_OF_ONE: usize = 8;

/// They, the oldest first.
#[derive(Default)]
pub(crate) struct Callers {
    there: VecDeque<(u32, AbortHandle)>,
}

impl Callers {
    /// Runs `talk` until it ends or has to make room.
    pub(crate) fn spawn(&mut self, uid: u32, talk: impl Future<Output = ()> + Send + 'static) {
        self.there.retain(|(_, task)| !task.is_finished());
        if self.of(uid) >= MOST_OF_ONE {
            self.send_away(uid);
        } else if self.there.len() >= MOST
            && let Some((most, _)) = self.there.iter().max_by_key(|(uid, _)| self.of(*uid))
        {
            self.send_away(*most);
        }
        self.there.push_back((uid, tokio::spawn(talk).abort_handle()));
    }

    fn of(&self, uid: u32) -> usize {
        self.there.iter().filter(|(other, _)| *other == uid).count()
    }

    /// The oldest of this user.
    fn send_away(&mut self, uid: u32) {
        let oldest = self.there.iter().position(|(other, _)| *other == uid);
        if let Some((_, task)) = oldest.and_then(|at| self.there.remove(at)) {
            task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_calls_most_makes_room_and_nobody_else() {
        let mut callers = Callers::default();
        callers.spawn(1, std::future::pending());
        (0..1000).for_each(|_| callers.spawn(2, std::future::pending()));
        assert_eq!((callers.of(1), callers.of(2)), (1, MOST_OF_ONE));
        (3..60).for_each(|uid| callers.spawn(uid, std::future::pending()));
        assert_eq!((callers.of(2), callers.there.len()), (1, MOST));
    }
}
