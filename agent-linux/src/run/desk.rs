//! Who answers what is asked over the control sockets: the gate's thread, from its own state, or somebody beside it.
//!
//! A question is a piece of work that the gate's thread does between two batches of packets. One is there at a time, and there is a
//! pause between two, so that callers who ask without end take a hundredth of that thread at most.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, oneshot};
use tokio::time::{Instant, sleep_until};

use crate::control::{Asked, Desk, Reply, Request};

use super::driver::Driver;
use super::input::{Input, Inputs};

/// Between two questions. The longest answer, about a thousand grants, takes a hundredth of it.
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
}

/// The gate's thread is not there any more.
struct Stopping;

impl FrontDesk {
    pub(super) fn new(inputs: Inputs) -> Self {
        Self { inputs, next: Arc::new(Mutex::new(Instant::now())) }
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
        answered.await.map_err(|_| Stopping)
    }
}

impl Desk for FrontDesk {
    async fn answer(&self, asked: Asked) -> Reply {
        let said = match asked.request {
            Request::Status => self.at_gate(|driver| Reply::Status(Box::new(driver.status()))).await,
        };
        said.unwrap_or_else(|Stopping| Reply::refused("the agent is stopping; ask again once it runs"))
    }
}
