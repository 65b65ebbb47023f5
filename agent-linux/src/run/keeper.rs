//! Makes records durable, on a thread of its own: a slow disk delays the knock that needs it and nothing else.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use anyhow::Context;
use knockgate_core::Outcome;
use knockgate_core::action::{ExchangeId, Record};

use crate::state::Store;

use super::input::{Input, Inputs};

/// Records that are made durable together. A disk needs as long for sixty as for one.
const BATCH: usize = 64;

type Order = (ExchangeId, Record);

/// The way to the keeper.
pub(super) struct Keeper {
    orders: Sender<Order>,
}

/// The keeper's thread has ended.
pub(super) struct Gone;

impl Keeper {
    /// Asks to make a record durable; the outcome comes back as an input.
    pub(super) fn keep(&self, exchange: ExchangeId, record: Record) -> Result<(), Gone> {
        self.orders.send((exchange, record)).map_err(|_| Gone)
    }
}

/// Starts the keeper's thread.
pub(super) fn start(store: Arc<Store>, inputs: Inputs) -> anyhow::Result<Keeper> {
    let (orders, ordered) = channel();
    std::thread::Builder::new()
        .name("keeper".into())
        .spawn(move || keep(&store, &ordered, &inputs))
        .context("cannot start the thread that stores records")?;
    Ok(Keeper { orders })
}

fn keep(store: &Store, orders: &Receiver<Order>, inputs: &Inputs) {
    while let Ok(first) = orders.recv() {
        let batch: Vec<Order> = std::iter::once(first).chain(orders.try_iter().take(BATCH - 1)).collect();
        let records: Vec<Record> = batch.iter().map(|(_, record)| *record).collect();
        let outcome = match store.write(&records) {
            Ok(()) => Outcome::Done,
            Err(error) => {
                tracing::warn!("cannot store used numbers, so none are given out: {error:#}");
                Outcome::Failed
            }
        };
        for (exchange, _) in batch {
            if inputs.blocking_send(Input::Stored { exchange, outcome }).is_err() {
                return;
            }
        }
    }
}
