//! Starts units through the service manager, over D-Bus.
//!
//! Where no service manager is, nothing is lost but the acts: it is looked for again and again, policies are told meanwhile
//! that there is no such thing, and the log says so once. Jobs are followed to their end, so the log tells whether a unit
//! has come up.

mod job;
mod manager;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinSet;
use tokio::time::sleep;
use zbus::fdo::DBusProxy;
use zbus::{Connection, connection};

use crate::audit::{Audit, AuditRecord};
use crate::config::Unit;

use super::notice::Notice;
use super::queue::{Dropped, Queue};
use job::Start;
use manager::{MANAGER, ManagerProxy, next};

/// Before the bus is looked for again. Each further pause is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest time that a bus is there and not noticed.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// An answer that takes longer does not come.
const ANSWER: Duration = Duration::from_secs(25);
/// Units on their way up at the same time; more wait in the queue.
const JOBS: usize = 16;

/// Where the service manager is looked for.
#[derive(Clone)]
pub(super) enum Bus {
    /// The system bus, at `DBUS_SYSTEM_BUS_ADDRESS` or where it usually is.
    System,
    #[cfg(test)]
    At(String),
}

impl Bus {
    fn builder(&self) -> connection::Builder<'_> {
        match self {
            Self::System => connection::Builder::system(),
            #[cfg(test)]
            Self::At(address) => connection::Builder::address(address.as_str()),
        }
    }
}

/// The way to the thread that starts units.
pub(super) struct Units {
    names: HashMap<u16, Unit>,
    queue: Queue<Order>,
    answers: Arc<AtomicBool>,
    audit: Arc<Audit>,
}

struct Order {
    unit: Unit,
    about: Notice,
}

impl Units {
    /// False if there is no unit of that number.
    pub(super) fn start(&self, id: u16, about: Notice) -> bool {
        let Some(unit) = self.names.get(&id) else { return false };
        if let Err(Dropped(order)) = self.queue.put(Order { unit: unit.clone(), about }) {
            self.audit.write(record(order, "dropped", Some("too many units wait to be started".into())));
        }
        true
    }

    pub(super) fn manager_answers(&self) -> bool {
        self.answers.load(Ordering::Relaxed)
    }
}

/// Starts the thread.
pub(super) fn start(units: &[Unit], bus: Bus, audit: Arc<Audit>) -> anyhow::Result<Units> {
    let (queue, orders) = Queue::new("units");
    let answers = Arc::new(AtomicBool::new(false));
    let worker = Worker { bus, audit: Arc::clone(&audit), answers: Arc::clone(&answers), told: None };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start the event loop that talks with the service manager")?;
    std::thread::Builder::new()
        .name("units".into())
        .spawn(move || runtime.block_on(worker.run(orders)))
        .context("cannot start the thread that starts units")?;
    let names = units.iter().map(|unit| (unit.id, unit.clone())).collect();
    Ok(Units { names, queue, answers, audit })
}

struct Worker {
    bus: Bus,
    audit: Arc<Audit>,
    answers: Arc<AtomicBool>,
    /// What the log was told last, so that it is told only what is new.
    told: Option<bool>,
}

/// Why a connection is given up.
enum End {
    /// Nobody can order anything any more.
    Done,
    Lost(String),
}

impl Worker {
    async fn run(mut self, mut orders: Receiver<Order>) {
        let mut pause = FIRST_PAUSE;
        loop {
            let why = match connect(&self.bus).await {
                Ok(connection) => {
                    pause = FIRST_PAUSE;
                    match self.serve(&connection, &mut orders).await {
                        End::Done => return,
                        End::Lost(why) => why,
                    }
                }
                Err(error) => error.to_string(),
            };
            self.tell(false, &why);
            if self.refuse_for(pause, &mut orders, &why).await.is_none() {
                return;
            }
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        }
    }

    /// What a policy ordered before it could know that nobody answers. `None` when nobody can order any more.
    async fn refuse_for(&self, pause: Duration, orders: &mut Receiver<Order>, why: &str) -> Option<()> {
        let mut end = std::pin::pin!(sleep(pause));
        loop {
            tokio::select! {
                () = &mut end => return Some(()),
                order = orders.recv() => report(&self.audit, order?, Err(format!("no service manager answers: {why}"))),
            }
        }
    }

    async fn serve(&mut self, connection: &Connection, orders: &mut Receiver<Order>) -> End {
        self.try_to_serve(connection, orders).await.unwrap_or_else(|error| End::Lost(error.to_string()))
    }

    async fn try_to_serve(
        &mut self,
        connection: &Connection,
        orders: &mut Receiver<Order>,
    ) -> zbus::Result<End> {
        let bus = DBusProxy::new(connection).await?;
        let mut owners = bus.receive_name_owner_changed_with_args(&[(0, MANAGER)]).await?;
        let is_there = bus.name_has_owner(MANAGER.try_into()?).await?;
        self.manager_is(is_there, connection).await;
        let mut jobs = JoinSet::new();
        loop {
            tokio::select! {
                order = orders.recv(), if jobs.len() < JOBS => {
                    let Some(order) = order else { return Ok(End::Done) };
                    jobs.spawn(carry_out(connection.clone(), Arc::clone(&self.audit), order));
                }
                change = next(&mut owners) => {
                    let Some(change) = change else { break };
                    let is_there = change.args()?.new_owner().is_some();
                    self.manager_is(is_there, connection).await;
                }
                Some(_) = jobs.join_next() => {}
                () = connection.closed() => break,
            }
        }
        self.answers.store(false, Ordering::Relaxed);
        // Each notices by itself that the connection is gone, and says so.
        jobs.join_all().await;
        Ok(End::Lost("the connection to the bus was closed".into()))
    }

    async fn manager_is(&mut self, there: bool, connection: &Connection) {
        if there && let Err(error) = subscribe(connection).await {
            tracing::debug!(
                "the service manager sends no signals, so whether units come up is not known: {error}"
            );
        }
        self.tell(there, "nobody on the bus is org.freedesktop.systemd1");
    }

    fn tell(&mut self, answers: bool, why: &str) {
        self.answers.store(answers, Ordering::Relaxed);
        if self.told.replace(answers) == Some(answers) {
            return;
        }
        if answers {
            tracing::info!("the service manager answers: policies can start units");
        } else {
            tracing::warn!(
                "no service manager answers, so policies that start units are told that there is no such thing; it is looked \
                 for until it does, and [unit.*] is for hosts that run systemd: {why}"
            );
        }
    }
}

async fn connect(bus: &Bus) -> zbus::Result<Connection> {
    let connecting = bus.builder().method_timeout(ANSWER).build();
    tokio::time::timeout(ANSWER, connecting)
        .await
        .unwrap_or_else(|_| Err(zbus::Error::Failure("the bus does not answer".into())))
}

async fn subscribe(connection: &Connection) -> zbus::Result<()> {
    ManagerProxy::new(connection).await?.subscribe().await
}

async fn carry_out(connection: Connection, audit: Arc<Audit>, order: Order) {
    let started = job::start(&connection, &order.unit.unit).await;
    report(&audit, order, started);
}

fn report(audit: &Audit, order: Order, started: Result<Start, String>) {
    let Order { unit: Unit { name, unit, .. }, about } = &order;
    let policy = &about.policy;
    let (outcome, why) = match started {
        Ok(Start::Started) => {
            tracing::info!(unit = %name, %policy, "started {unit}");
            ("started", None)
        }
        Ok(Start::Starting) => {
            tracing::warn!(unit = %name, %policy, "{unit} is not up yet; `systemctl status {unit}` tells how far it is");
            ("starting", None)
        }
        Err(why) => {
            tracing::warn!(unit = %name, %policy, "not started: {why}");
            ("failed", Some(why))
        }
    };
    audit.write(record(order, outcome, why));
}

fn record(order: Order, outcome: &'static str, why: Option<String>) -> AuditRecord {
    let Order { unit, about: Notice { policy, client, .. } } = order;
    AuditRecord::UnitStart { unit: unit.name.to_string(), policy, client, outcome, why }
}
