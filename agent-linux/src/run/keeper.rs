//! Makes records durable, on a thread of its own: a slow disk delays the knock that needs it and nothing else.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use anyhow::Context;
use knockgate_core::action::{ExchangeId, Record};
use knockgate_core::replay::{Lease, Used};
use knockgate_core::{ClientId, Outcome};

use crate::state::Store;
use crate::state::store::WriteError;

use super::input::{Input, Inputs};

/// Orders that are carried out together. A disk needs as long for sixty as for one.
const BATCH: usize = 64;

enum Order {
    /// If there is an exchange, somebody waits for this one.
    Keep(Option<ExchangeId>, Record),
    /// A new lease, with all that was used under the one before.
    Renew(Lease, Vec<(ClientId, Used)>),
}

/// The way to the keeper.
pub(super) struct Keeper {
    /// `None` once it has been told to finish.
    orders: Option<Sender<Order>>,
    thread: Option<JoinHandle<()>>,
}

/// The keeper's thread has ended.
pub(super) struct Gone;

impl Keeper {
    /// Asks to make a record durable; the outcome comes back as an input.
    pub(super) fn keep(&self, exchange: ExchangeId, record: Record) -> Result<(), Gone> {
        self.order(Order::Keep(Some(exchange), record))
    }

    /// The same for a record that nobody waits for.
    pub(super) fn keep_aside(&self, record: Record) -> Result<(), Gone> {
        self.order(Order::Keep(None, record))
    }

    /// Asks to make a lease durable, and in the same breath what was used; the outcome comes back as an input.
    pub(super) fn renew(&self, lease: Lease, used: Vec<(ClientId, Used)>) -> Result<(), Gone> {
        self.order(Order::Renew(lease, used))
    }

    /// Waits until everything is carried out that was ordered. Nobody must be kept waiting by a full queue of inputs then: the
    /// other end of that is to be dropped before.
    pub(super) fn finish(&mut self) {
        drop(self.orders.take());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has told so itself.
            let _ = thread.join();
        }
    }

    fn order(&self, order: Order) -> Result<(), Gone> {
        self.orders.as_ref().ok_or(Gone)?.send(order).map_err(|_| Gone)
    }
}

/// Starts the keeper's thread.
pub(super) fn start(store: Arc<Store>, inputs: Inputs) -> anyhow::Result<Keeper> {
    let (orders, ordered) = channel();
    let thread = std::thread::Builder::new()
        .name("keeper".into())
        .spawn(move || {
            // The other end of the way back is gone: so is the agent.
            let _ = Work { store, inputs, told: None }.run(&ordered);
        })
        .context("cannot start the thread that stores records")?;
    Ok(Keeper { orders: Some(orders), thread: Some(thread) })
}

struct Work {
    store: Arc<Store>,
    inputs: Inputs,
    /// What keeps it from storing, as long as that is so.
    told: Option<String>,
}

impl Work {
    fn run(mut self, orders: &Receiver<Order>) -> Result<(), Gone> {
        while let Ok(first) = orders.recv() {
            let mut waiting = Vec::new();
            for order in std::iter::once(first).chain(orders.try_iter().take(BATCH - 1)) {
                match order {
                    Order::Keep(exchange, record) => waiting.push((exchange, record)),
                    Order::Renew(lease, used) => self.renew(lease, used)?,
                }
            }
            self.keep(waiting)?;
        }
        Ok(())
    }

    fn keep(&mut self, waiting: Vec<(Option<ExchangeId>, Record)>) -> Result<(), Gone> {
        if waiting.is_empty() {
            return Ok(());
        }
        let records: Vec<Record> = waiting.iter().map(|(_, record)| *record).collect();
        let written = self.store.write(&records);
        let outcome = self.outcome(written);
        for (exchange, record) in waiting {
            self.report(Input::Stored { exchange, record, outcome })?;
        }
        Ok(())
    }

    fn renew(&mut self, lease: Lease, used: Vec<(ClientId, Used)>) -> Result<(), Gone> {
        let records: Vec<Record> =
            used.iter().map(|(client, used)| Record::Counter { client: *client, used: *used }).collect();
        let written = self.store.write_lease(&records, Some(lease));
        let outcome = self.outcome(written);
        let clients = used.into_iter().map(|(client, _)| client).collect();
        self.report(Input::Leased { lease, clients, outcome })
    }

    /// A disk that cannot be written is tried again every second, and told of once.
    fn outcome(&mut self, written: Result<(), WriteError>) -> Outcome {
        match written.map_err(|error| error.to_string()) {
            Ok(()) => {
                if self.told.take().is_some() {
                    tracing::info!("what has been used can be stored again");
                }
                Outcome::Done
            }
            Err(error) => {
                if self.told.as_ref() != Some(&error) {
                    tracing::warn!(
                        "cannot store what has been used, so nothing is granted that depends on it: {error}"
                    );
                }
                self.told = Some(error);
                Outcome::Failed
            }
        }
    }

    fn report(&self, input: Input) -> Result<(), Gone> {
        self.inputs.blocking_send(input).map_err(|_| Gone)
    }
}
