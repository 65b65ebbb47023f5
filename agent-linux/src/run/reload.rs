//! Another configuration for a running agent: looked at whole before any of it applies, then applied whole, or not at all.
//!
//! The work is done on a thread of its own, so that no knock waits for it: the file, keys and roster are read, policies compiled, the new
//! rules tried with `nft --check`, new sockets opened beside the old ones. What has come of it is handed over to the gate's thread,
//! which takes it between two batches of packets. The one step that can fail there, to change the guard, comes first and is undone
//! then. Whatever has come to a socket that goes is heard before it goes.
//!
//! Not without a restart: what [`fixed`] lists, and another identity.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`prepare`] | looks at everything, on the thread beside |
//! | [`apply`] | changes everything, on the gate's thread |
//! | [`fixed`] | knows what only a restart changes |

mod apply;
mod fixed;
mod prepare;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use anyhow::Context;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::audit::{Audit, AuditRecord};
use crate::config::Config;
use crate::firewall::{FirewallError, Plan};
use crate::state::{GateIdentity, StateDir, Store};

use super::court::Seats;
use super::ears::InUse;
use super::input::{Input, Inputs};
use super::notify::Notify;
use super::plan;
use super::policy::{Seated, Watching};
use super::vigil::Vigil;

use apply::with_fate;
pub(super) use apply::{Fates, Turnover};
pub use apply::{Forecast, forecast};
pub use fixed::Running;
pub(super) use prepare::Prepared;

/// As much as the thread has that compiles policies at the start: what could be loaded then must be loadable now.
const STACK_BYTES: usize = 8 * 1024 * 1024;

/// The thread has panicked, and what it knew of the agent may be wrong.
pub(super) const LOST: &str = "the thread that looks at new configurations has failed, and the lines before say how; the gate goes on; \
                               restart the agent before the next reload";

/// What has come of a new configuration: what is otherwise now, or all that is wrong with it.
pub(crate) type Outcome = Result<Vec<String>, Vec<String>>;

/// The way to the thread.
#[derive(Clone)]
pub(crate) struct Reloads(Sender<Order>);

struct Order {
    /// Who wants it, for the logs.
    by: String,
    /// Whoever has gone meanwhile finds it in the log.
    answer: Option<oneshot::Sender<Outcome>>,
}

/// What the thread knows of the agent, and by what it changes it.
pub(super) struct Reloader {
    /// What the agent was started with, for what lasts as long as it runs.
    pub(super) started: Config,
    /// In force.
    pub(super) config: Config,
    /// Likewise.
    pub(super) plan: Plan,
    pub(super) dir: StateDir,
    pub(super) identity: GateIdentity,
    pub(super) store: Arc<Store>,
    pub(super) audit: Arc<Audit>,
    pub(super) inputs: Inputs,
    pub(super) ears: InUse,
    pub(super) seats: Seats,
    pub(super) seated: Seated,
    pub(super) watching: Watching,
    pub(super) vigil: Vigil,
    pub(super) notify: Arc<Notify>,
}

impl Reloads {
    /// Asks for it. What has come of it is told in the log, and by `answer`.
    pub(crate) fn ask(&self, by: String, answer: Option<oneshot::Sender<Outcome>>) {
        // Until the agent ends the thread is there, unless it has failed. Whoever waits for an answer learns it by having none.
        if self.0.send(Order { by, answer }).is_err() {
            tracing::error!("{LOST}");
        }
    }
}

impl Reloader {
    /// Waits on a thread of its own for whoever wants a new configuration. In the context of the runtime.
    pub(super) fn start(self, orders: Orders) -> anyhow::Result<()> {
        let runtime = Handle::current();
        std::thread::Builder::new()
            .name("reload".into())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                // Sockets belong to the runtime.
                let _context = runtime.enter();
                let notify = Arc::clone(&self.notify);
                let work = AssertUnwindSafe(|| self.work(&orders.0));
                if catch_unwind(work).is_err() {
                    tracing::error!("{LOST}");
                    notify.ready();
                }
            })
            .map(drop)
            .context("cannot start the thread that looks at new configurations")
    }

    fn work(mut self, orders: &Receiver<Order>) {
        while let Ok(Order { by, answer }) = orders.recv() {
            self.notify.reloading();
            // Whoever has put the log away says so by this, however good the configuration is.
            self.audit.reopen();
            let outcome = self.reload();
            self.tell(&by, &outcome);
            self.notify.ready();
            if let Some(answer) = answer {
                // Whoever has gone meanwhile finds it in the log.
                let _ = answer.send(outcome);
            }
        }
    }

    fn reload(&mut self) -> Outcome {
        let watching = self.watching.clone();
        // No policy's file is taken up meanwhile, or an old definition could take the place of a new one.
        let mut files = watching.pause();
        let config = Config::load(&self.config.path).map_err(|error| lines(&error))?;
        let prepared = self.prepare(config)?;
        let Prepared { change, taken, watch, seats, seated, loaded, mut news, changes } = prepared;
        let (config, plan) = (change.config.clone(), change.plan.clone());
        let fates = self.hand_over(*change).map_err(|error| vec![error])?;

        *files = watch;
        (self.seats, self.seated) = (seats, seated);
        (self.config, self.plan) = (config, plan);
        plan::keep(&self.dir, &self.config);
        // The gate's thread has everything by now, so there is no way back.
        if let Err(error) = self.ears.take(taken) {
            tracing::error!("the new configuration is in force, but not all of it is heard: {error:#}");
            news.push(format!("but not all of it is heard: {error:#}; reload again, and restart the agent if that does not help"));
        }
        loaded.iter().filter_map(title).for_each(|policy| news.push(policy));
        loaded.into_iter().for_each(|record| self.audit.write(record));
        Ok(changes.iter().map(|change| with_fate(change, &fates)).chain(news).collect())
    }

    /// Has the gate's thread apply it.
    fn hand_over(&self, change: Turnover) -> Result<Fates, String> {
        let (answer, answered) = oneshot::channel();
        let input = Input::Turnover(Box::new(change), answer);
        let gone = || "the agent is stopping".to_owned();
        self.inputs.blocking_send(input).map_err(|_| gone())?;
        let applied: Result<Fates, FirewallError> = answered.blocking_recv().map_err(|_| gone())?;
        applied
            .map_err(|error| format!("the guard could not be changed, so everything is as it was: {error}"))
    }

    fn tell(&self, by: &str, outcome: &Outcome) {
        match outcome {
            Ok(changes) => {
                tracing::info!(%by, "the configuration was read again: {} changes", changes.len());
                changes.iter().for_each(|change| tracing::info!("now {change}"));
                self.audit.write(AuditRecord::Reloaded { by: by.to_owned(), changes: changes.clone() });
            }
            Err(problems) => {
                tracing::error!(%by, "the new configuration is not used, and the old one stays");
                problems.iter().for_each(|problem| tracing::error!("{problem}"));
                self.audit
                    .write(AuditRecord::ReloadRefused { by: by.to_owned(), problems: problems.clone() });
            }
        }
    }
}

/// The other end of [`Reloads`].
pub(super) struct Orders(Receiver<Order>);

/// A way to a thread that is to be started.
pub(super) fn orders() -> (Reloads, Orders) {
    let (sender, receiver) = channel();
    (Reloads(sender), Orders(receiver))
}

fn lines(error: &impl std::fmt::Display) -> Vec<String> {
    error.to_string().lines().map(str::to_owned).collect()
}

fn title(record: &AuditRecord) -> Option<String> {
    let AuditRecord::PolicyLoaded { policy, title, .. } = record else { return None };
    Some(format!("policy {policy}: {title}"))
}
