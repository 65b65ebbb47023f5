//! From the configuration to a gate that is up.
//!
//! Everything is checked before anything is changed; then the guard is installed; only then anybody is listened to. So a
//! start that fails leaves the firewall as it was, and one that succeeds is never open early.

use std::path::Path;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use anyhow::Context;
use knockgate_core::Happening;
use knockgate_core::gate::{self, Gate};
use knockgate_core::key::Identity;
use knockgate_core::replay::Burnt;

use crate::acts::Acts;
use crate::audit::{Audit, AuditRecord};
use crate::broker::NewBroker;
use crate::capture::opener::{Here, Opener};
use crate::config::Config;
use crate::control::{self, Sockets};
use crate::metrics::{self, Listener};
use crate::state::{GateIdentity, IdentityWatch, LiveRoster, RosterWatch, StateDir, Store, system_rng};

use super::adopt::adopt;
use super::apart;
use super::budgets::Budgets;
use super::court::{Court, Seats, Witness};
use super::desk::FrontDesk;
use super::driver::{CoreConfig, Driver, LinuxGate};
use super::ears::{Ears, InUse, Visitors};
use super::figures::Figures;
use super::flows::Lookout;
use super::gate_thread::GateThread;
use super::holders::Holders;
use super::input::{self, Inputs, Ways};
use super::lease::Renewal;
use super::ledger::Ledger;
use super::noise::{NoiseMeter, Visits};
use super::notify::Notify;
use super::peers::Peers;
use super::reload::Reloader;
use super::signals::{EarlyHangup, Signals};
use super::sole::Sole;
use super::spares::Spares;
use super::statics::{self, Statics};
use super::trails::Trails;
use super::upkeep::Upkeep;
use super::{clock, keeper, plan, policy, reload, vigil};

/// A gate that is shut, and that hears nobody yet.
pub(super) struct Ready {
    pub(super) driver: Driver,
    ears: Ears,
    ways: Ways,
    visits: Visits,
    signals: Signals,
    sockets: Sockets,
    scrapers: Vec<Listener>,
    beside: Beside,
    sole: Sole,
    notify: Arc<Notify>,
}

/// What a new configuration is looked at with.
struct Beside {
    dir: StateDir,
    identity: GateIdentity,
    seated: policy::Seated,
    watching: policy::Watching,
    vigil: vigil::Vigil,
}

/// Brings the gate up and runs it.
pub(super) async fn start(
    path: &Path,
    broker: Option<NewBroker>,
    hangup: &EarlyHangup,
) -> anyhow::Result<()> {
    let ready = make_ready(path, broker)?;
    let Ready { driver, ears, ways, visits, signals, sockets, scrapers, beside, notify, sole: _sole } = ready;
    let Ways { inputs, calls, received } = ways;
    announce(&driver, &ears);
    let (packets, ears) = ears.listen(Visitors { calls, visits, holders: driver.holders.clone() })?;
    let (reloads, orders) = reload::orders();
    beside.reloader(&driver, ears, &inputs, &notify).start(orders)?;
    let desk = FrontDesk::new(inputs.clone(), reloads.clone());
    control::serve(sockets, &desk).context("cannot serve the control sockets")?;
    metrics::serve(scrapers, &desk).context("cannot serve the metrics")?;
    hangup.report(&reloads);
    tokio::spawn(signals.report(inputs, reloads));
    notify.ready();
    GateThread::new(driver, packets, received, notify).run().await
}

/// Checks everything, then shuts the gate. Needs a tokio runtime. A broker is there already if this process has lost its rights.
pub(super) fn make_ready(path: &Path, broker: Option<NewBroker>) -> anyhow::Result<Ready> {
    let config = Config::load(path)?;
    let audit_log = config.of_a_server()?;
    let warnings = [config.warnings(), plan::unknown_forwarding(&config)].concat();
    warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let dir = StateDir::open(&config.gate.state_dir)?;
    let (identity_file, identity) = IdentityWatch::begin(&dir, clock::now().unix)?;
    identity.check_against(&config, dir.path())?;
    let (roster_file, roster) = RosterWatch::begin(&dir, identity.book_origin())?;
    config.check_names(roster.clients().iter().map(|client| &client.name))?;
    let sole = Sole::claim()?;
    let broker = apart::broker(&config, broker)?;
    let opener = broker.as_ref().map_or(&Here as &dyn Opener, |broker| broker);
    let (ears, mouth) = Ears::open(&config, &identity.decoys(), opener)?;
    let plan = plan::of(&config, &identity.decoys(), ears.decoy_port()?, ears.means());
    let sockets = Sockets::open(&config.control)?;
    let scrapers = Listener::open(&config.metrics, &config.control);
    // Connected before it is confined: afterwards it can connect to no abstract socket.
    let notify = Arc::new(Notify::from_environment());
    let (guard, flows) = apart::divide(&config, &dir, &plan, broker)?;
    let (store, loaded) = Store::open(&dir, identity.id, &roster)?;
    let store = Arc::new(store);
    drop(roster);
    let audit = Arc::new(Audit::open_with(audit_log, config.audit.rotation)?);
    let seating = policy::seat(&config, &policy::Seated::default(), &store, &audit)?;
    seating.loaded.into_iter().for_each(|record| audit.write(record));
    let signals = Signals::catch()?;
    let mut firewall = guard.install().context("the gate cannot be shut")?;
    plan::keep(&dir, &config);

    let ways = input::open().context("cannot wake the gate's thread")?;
    let inputs = &ways.inputs;
    let burnt = loaded.burnt.clone();
    let roster = LiveRoster::new(Arc::clone(roster_file.current()), loaded);
    let mut gate = Box::new(Gate::new(core_config(&config, &identity, burnt), roster, system_rng()));
    let mut renewal = Renewal::new(config.packet.lease);
    take_lease(&mut renewal, &mut gate, &store);
    adopt(&mut gate, &mut firewall, &config, &audit)?;
    let visits = Visits::default();
    let mut driver = Driver {
        court: Court::convene(seating.chains, &Seats::default(), inputs, &audit)?,
        former_court: None,
        witness: Witness::new(&config),
        ledger: Ledger::default(),
        acts: Acts::start(&config, &audit)?,
        keeper: keeper::start(Arc::clone(&store), inputs.clone())?,
        store,
        upkeep: Upkeep::new(plan),
        renewal,
        spares: Spares::default(),
        audit: Arc::clone(&audit),
        gate,
        firewall,
        peers: Peers::new(mouth),
        lookout: Lookout::start(flows, inputs.clone())?,
        noise: NoiseMeter::new(Instant::now(), visits.clone()),
        budgets: Budgets::full(),
        statics: Statics::new(&config.statics),
        holders: Holders::default(),
        figures: Figures::default(),
        trails: Trails::new(),
        since: SystemTime::now(),
        heard_by: ears.means().to_string(),
        started: config.text.clone(),
        config,
        former: None,
    };
    let watching = seating.watch.start()?;
    driver.tell(clock::now(), &Happening::start_up());
    let vigil = vigil::start(roster_file, identity_file, inputs.clone())?;
    let beside = Beside { dir, identity, seated: seating.seated, watching, vigil };
    Ok(Ready { driver, ears, ways, visits, signals, sockets, scrapers, beside, notify, sole })
}

impl Beside {
    fn reloader(self, driver: &Driver, ears: InUse, inputs: &Inputs, notify: &Arc<Notify>) -> Reloader {
        let Self { dir, identity, seated, watching, vigil } = self;
        Reloader {
            started: driver.config.clone(),
            config: driver.config.clone(),
            plan: driver.upkeep.plan.clone(),
            dir,
            identity,
            store: Arc::clone(&driver.store),
            audit: Arc::clone(&driver.audit),
            inputs: inputs.clone(),
            ears,
            seats: driver.court.seats().clone(),
            seated,
            watching,
            vigil,
            notify: Arc::clone(notify),
        }
    }
}

/// The first lease is there before anybody is heard. Without one, every knock waits for the disk.
fn take_lease(renewal: &mut Renewal, gate: &mut LinuxGate, store: &Store) {
    let Some(lease) = renewal.due(clock::now()) else { return };
    match store.write_lease(&[], Some(lease)) {
        Ok(()) => {
            renewal.stored();
            gate.set_lease(Some(lease));
        }
        Err(error) => {
            renewal.failed();
            tracing::warn!("cannot store a lease, so every knock waits for the disk: {error}");
        }
    }
}

/// The configuration in the core's words.
pub(super) fn core_config(config: &Config, identity: &GateIdentity, burnt: Burnt) -> CoreConfig {
    gate::Config {
        gate: identity.id,
        identity: Identity::new(identity.secret.clone()),
        door_keys: identity.door.at(clock::now().unix),
        decoys: identity.decoys(),
        mode: config.sequence.mode,
        order: config.sequence.order,
        hold: config.sequence.hold,
        strays: config.sequence.strays,
        lockout: config.lockout.duration,
        lockout_scope: config.lockout.scope.into(),
        max_age: config.packet.max_age,
        console: None,
        burnt,
        statics: statics::doors(&config.statics),
        services: config.services.iter().map(gate::Service::from).collect(),
    }
}

fn announce(driver: &Driver, ears: &Ears) {
    let Driver { config, gate, audit, .. } = driver;
    let clients = gate.roster().clients().count();
    let services: Vec<String> = config.services.iter().map(|service| service.name.to_string()).collect();
    audit.write(AuditRecord::started(&services, clients));
    let (central, mode) = (config.central.map(|central| central.port), config.sequence.mode);
    let packets = config.packet.mode;
    tracing::info!(clients, ?packets, ?central, sequences = ?mode, "gate up: guarding {}; {}", services.join(", "), ears.means());
}
