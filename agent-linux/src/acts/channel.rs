//! One channel: a thread that sends notices one after the other, and again where that may help.
//!
//! A receiver that is slow or away delays the notices of its own channel and nothing else.

#[cfg(test)]
pub(super) mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::mpsc::Receiver;

use crate::audit::{Audit, AuditRecord};
use crate::config::{self, Destination};

use super::notice::Notice;
use super::queue::{Dropped, Queue};
use super::socket;
use super::webhook::WebhookClient;

/// Before the second try. Each further pause is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Why a message was not taken, with the remedy if there is one.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It may be taken later.
    Passing(String),
    /// It would not be taken later either.
    Lasting(String),
}

/// The way to a channel's thread.
pub(super) struct Channel {
    name: String,
    queue: Queue<Order>,
    audit: Arc<Audit>,
}

struct Order {
    code: u32,
    about: Notice,
}

impl Channel {
    pub(super) fn notify(&self, code: u32, about: Notice) {
        if let Err(Dropped(Order { about, .. })) = self.queue.put(Order { code, about }) {
            let why = Some("too many notices wait".to_owned());
            self.audit.write(record(&self.name, code, about, Told { outcome: "dropped", tries: 0, why }));
        }
    }
}

/// Starts the channel's thread.
pub(super) fn start(channel: &config::Channel, gate: &str, audit: Arc<Audit>) -> anyhow::Result<Channel> {
    start_with(channel, gate, audit, FIRST_PAUSE)
}

fn start_with(
    channel: &config::Channel,
    gate: &str,
    audit: Arc<Audit>,
    first_pause: Duration,
) -> anyhow::Result<Channel> {
    let name = channel.name.to_string();
    let (queue, orders) = Queue::new(format!("channel {name}"));
    let to = match &channel.to {
        Destination::Webhook(webhook) => {
            Receivers::Webhook(Box::new(WebhookClient::new(&channel.name, webhook, channel.timeout)?))
        }
        Destination::Socket(path) => Receivers::Socket(path.clone(), channel.timeout),
    };
    let worker = Worker {
        name: name.clone(),
        gate: gate.to_owned(),
        to,
        retries: channel.retries,
        first_pause,
        audit: Arc::clone(&audit),
    };
    std::thread::Builder::new()
        .name("channel".into())
        .spawn(move || worker.run(orders))
        .with_context(|| format!("cannot start the thread of channel {name}"))?;
    Ok(Channel { name, queue, audit })
}

struct Worker {
    name: String,
    gate: String,
    to: Receivers,
    retries: u8,
    first_pause: Duration,
    audit: Arc<Audit>,
}

/// Who takes the messages.
enum Receivers {
    Webhook(Box<WebhookClient>),
    Socket(PathBuf, Duration),
}

/// What became of a notice.
struct Told {
    outcome: &'static str,
    tries: u8,
    why: Option<String>,
}

impl Worker {
    fn run(self, mut orders: Receiver<Order>) {
        while let Some(Order { code, about }) = orders.blocking_recv() {
            let message = about.message(&self.gate, &self.name, code);
            let told = self.deliver(&message);
            let (channel, policy) = (&self.name, &about.policy);
            match &told.why {
                None => tracing::info!(%channel, code, %policy, tries = told.tries, "notified"),
                Some(why) => {
                    tracing::warn!(%channel, code, %policy, tries = told.tries, "not notified: {why}")
                }
            }
            self.audit.write(record(&self.name, code, about, told));
        }
    }

    fn deliver(&self, message: &str) -> Told {
        let mut pause = self.first_pause;
        let mut tries = 1;
        loop {
            let why = match self.send(message) {
                Ok(()) => return Told { outcome: "sent", tries, why: None },
                Err(Trouble::Passing(why)) if tries <= self.retries => why,
                Err(Trouble::Passing(why) | Trouble::Lasting(why)) => {
                    return Told { outcome: "failed", tries, why: Some(why) };
                }
            };
            tracing::debug!(channel = %self.name, tries, "not taken, and sent again: {why}");
            std::thread::sleep(pause);
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
            tries += 1;
        }
    }

    fn send(&self, message: &str) -> Result<(), Trouble> {
        match &self.to {
            Receivers::Webhook(client) => client.send(message),
            Receivers::Socket(path, timeout) => socket::send(path, *timeout, message),
        }
    }
}

fn record(channel: &str, code: u32, about: Notice, told: Told) -> AuditRecord {
    let Told { outcome, tries, why } = told;
    let Notice { policy, client, .. } = about;
    AuditRecord::Notice { channel: channel.to_owned(), code, policy, client, outcome, tries, why }
}
