//! Who answers what is asked over the control sockets: the gate's thread, from its own state, or somebody beside it.
//!
//! A question is a piece of work that the gate's thread does between two batches of packets. One is there at a time, and there is a
//! pause between two, so that callers who ask without end take little of that thread. What grows with the roster is put together
//! beside it, one list after the other, so that callers who go before they have theirs do not pile them up.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Semaphore, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

use crate::control::{Asked, Caller, Desk, Reply, Request};

use super::driver::Driver;
use super::input::{Input, Inputs};
use super::listings::lowest;
use super::orders::Meant;
use super::reload::{LOST, Reloads};

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(20);

/// What the gate's thread shall do for somebody who waits for it.
pub(super) struct Question(Box<dyn FnOnce(&mut Driver) + Send>);

impl Question {
    pub(super) fn put_to(self, driver: &mut Driver) {
        (self.0)(driver);
    }
}

/// Clones are of the same desk.
#[derive(Clone)]
pub(super) struct FrontDesk {
    inputs: Inputs,
    /// When the next question may be put. Locked while one is.
    next: Arc<Mutex<Instant>>,
    /// For the one list that is put together beside the gate's thread.
    beside: Arc<Semaphore>,
    reloads: Reloads,
}

/// The gate's thread is not there any more.
struct Stopping;

impl FrontDesk {
    pub(super) fn new(inputs: Inputs, reloads: Reloads) -> Self {
        let (next, beside) = (Arc::new(Mutex::new(Instant::now())), Arc::new(Semaphore::new(1)));
        Self { inputs, next, beside, reloads }
    }

    /// Has the configuration read again, and waits for what has come of it.
    async fn reload(&self, caller: Caller) -> Reply {
        let (answer, answered) = oneshot::channel();
        self.reloads.ask(format!("knockgated reload of uid {}", caller.uid), Some(answer));
        match answered.await {
            Ok(Ok(changes)) => Reply::Reloaded { changes },
            Ok(Err(problems)) => Reply::NotReloaded { problems },
            // An agent that stops answers, and takes this task with it.
            Err(_) => Reply::refused(LOST),
        }
    }

    /// Has the gate's thread do this, and waits for what it says.
    async fn at_gate<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Driver) -> T + Send + 'static,
    ) -> Result<T, Stopping> {
        let mut next = self.next.lock().await;
        sleep_until(*next).await;
        *next = Instant::now() + PAUSE;
        let (answer, answered) = oneshot::channel();
        // Whoever has gone meanwhile needs no answer.
        let question = Question(Box::new(move |driver| drop(answer.send(question(driver)))));
        self.inputs.send(Input::Asked(question)).await.map_err(|_| Stopping)?;
        let answer = answered.await.map_err(|_| Stopping);
        *next = Instant::now() + PAUSE;
        answer
    }

    /// On a thread where it keeps nobody waiting. Its place is taken until it ends, also if nobody waits for it any more.
    async fn beside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Stopping> {
        let place = Arc::clone(&self.beside).acquire_owned().await.map_err(|_| Stopping)?;
        let work = move || {
            let _place = place;
            work()
        };
        spawn_blocking(work).await.map_err(|_| Stopping)
    }

    async fn status(&self) -> Result<Reply, Stopping> {
        let (mut status, view) = self.at_gate(|driver| (driver.status(), driver.roster_view())).await?;
        status.books = self.beside(move || lowest(&view)).await?;
        Ok(Reply::Status(Box::new(status)))
    }

    async fn clients(&self) -> Result<Reply, Stopping> {
        let people = self.at_gate(|driver| driver.people()).await?;
        Ok(Reply::Clients { clients: self.beside(move || people.list()).await? })
    }

    async fn why(&self, whom: String) -> Result<Reply, Stopping> {
        let unknown = Reply::refused(format!(
            "{whom:?} is no address, and nobody is called so; `knockgated clients` lists the names"
        ));
        let why = self.at_gate(move |driver| driver.why(&whom)).await?;
        Ok(why.map_or(unknown, |why| Reply::Why(Box::new(why))))
    }

    async fn lockouts(&self) -> Result<Reply, Stopping> {
        let lockouts = self.at_gate(|driver| driver.lockouts()).await?;
        Ok(Reply::Lockouts { lockouts: lockouts.into_iter().map(|(_, shown)| shown).collect() })
    }
}

impl Desk for FrontDesk {
    async fn answer(&self, asked: Asked) -> Reply {
        let Asked { request, caller } = asked;
        let said = match request {
            Request::Status => self.status().await,
            Request::Grants => self.at_gate(|driver| Reply::Grants { grants: driver.grants() }).await,
            Request::Lockouts => self.lockouts().await,
            Request::Clients => self.clients().await,
            Request::Why { whom } => self.why(whom).await,
            Request::Revoke { what } => {
                self.at_gate(move |driver| driver.revoke(caller, &Meant::Named(what))).await
            }
            Request::RevokeAll => self.at_gate(move |driver| driver.revoke(caller, &Meant::All)).await,
            Request::Unlock { whom } => {
                self.at_gate(move |driver| driver.unlock(caller, &Meant::Named(whom))).await
            }
            Request::UnlockAll => self.at_gate(move |driver| driver.unlock(caller, &Meant::All)).await,
            Request::Rescue { service, address, seconds } => {
                let lasts = Duration::from_secs(seconds.into());
                self.at_gate(move |driver| driver.rescue(caller, &service, address, lasts)).await
            }
            Request::Reload => Ok(self.reload(caller).await),
            Request::InForce => self.at_gate(|driver| driver.in_force()).await,
        };
        said.unwrap_or_else(|Stopping| Reply::refused("the agent is stopping; ask again once it runs"))
    }
}
