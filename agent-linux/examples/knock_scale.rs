//! What a good packet knock costs a gate of one, a thousand and a hundred thousand clients.
//!
//! `cargo run --release -p knockgate-agent --example knock_scale` measures on one thread, in processor time, with the agent's own
//! roster. With the words `enrol FOLDER COUNT` it adds so many clients to the fresh state folder of a gate that is to be measured.

mod crowd;

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use knockgate_agent::state::{GateIdentity, LiveRoster, RosterWatch, StateDir, Store, system_rng};
use knockgate_core::client::Keys;
use knockgate_core::envelope::Message;
use knockgate_core::gate::{LockoutScope, Service};
use knockgate_core::key::{Identity, PublicKey, SecretKey};
use knockgate_core::message::{Kind, Mode, Request};
use knockgate_core::profile::Profile;
use knockgate_core::replay::{Burnt, Lease};
use knockgate_core::{
    Action, Config, Decision, Effect, Gate, Instant, Now, Origin, Outcome, Peer, UnixTime, Verdict, Way,
    book::Order,
};
use rustix::time::{ClockId, clock_gettime};

const SIZES: [u32; 3] = [1, 1000, 100_000];
/// Those who knock, spread over the roster.
const KNOCKERS: u32 = 16;
/// Knocks of one measurement, and how often it is repeated; the median counts.
const KNOCKS: u32 = 1000;
const RUNS: usize = 7;

/// As big as the agent's.
type Bench = Gate<LiveRoster, rand_core::UnwrapErr<getrandom::SysRng>, 64, 256, 1024, 1024>;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => table(),
        ["enrol", folder, count] => enrol(Path::new(folder), count.parse()?),
        _ => Err("usage: knock_scale [enrol FOLDER COUNT]".into()),
    }
}

fn table() -> Result<(), Box<dyn Error>> {
    println!("| clients | good packet knock, µs | a second |\n| ---: | ---: | ---: |");
    for size in SIZES {
        let seconds = Scene::set(size)?.measure()?;
        println!("| {size} | {:.1} | {:.0} |", seconds * 1e6, 1.0 / seconds);
    }
    Ok(())
}

fn enrol(folder: &Path, count: u32) -> Result<(), Box<dyn Error>> {
    let dir = StateDir::open(folder)?;
    crowd::write_roster(&dir, &GateIdentity::load(&dir)?, count, crowd::key)?;
    Ok(())
}

/// A gate, and some of those who are on its roster.
struct Scene {
    gate: Box<Bench>,
    knockers: Vec<Keys>,
    counter: u64,
    _folder: tempfile::TempDir,
}

impl Scene {
    fn set(size: u32) -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let dir = StateDir::create(&folder.path().join("state"))?;
        let identity = GateIdentity::generate(crowd::shape()?, &[], None, &mut system_rng())?;
        let knockers = KNOCKERS.min(size);
        let secrets: Vec<_> = (0..knockers).map(|_| SecretKey::generate(&mut system_rng())).collect();
        // The first of every so many clients.
        let apart = size / knockers;
        let key = |id: u32| -> PublicKey {
            let knocker = (id - 1).is_multiple_of(apart).then(|| secrets.get(((id - 1) / apart) as usize));
            knocker.flatten().map_or_else(|| crowd::key(id), SecretKey::public)
        };
        crowd::write_roster(&dir, &identity, size, key)?;
        let (watch, roster) = RosterWatch::begin(&dir, identity.book_origin())?;
        Store::create(&dir, identity.id)?;
        let (_, loaded) = Store::open(&dir, identity.id, &roster)?;
        let live = LiveRoster::new(Arc::clone(watch.current()), loaded);
        let knockers = secrets.into_iter().map(|secret| keys(&identity, secret)).collect::<Result<_, _>>()?;
        Ok(Self { gate: gate(&identity, live), knockers, counter: 0, _folder: folder })
    }

    /// Processor seconds of one knock.
    fn measure(&mut self) -> Result<f64, Box<dyn Error>> {
        let mut runs = [0.0; RUNS];
        for run in &mut runs {
            let knocks = self.seal()?;
            let begun = clock_gettime(ClockId::ThreadCPUTime);
            for (at, knock) in (0..).zip(&knocks) {
                self.knock(at, knock)?;
            }
            let took = Duration::try_from(clock_gettime(ClockId::ThreadCPUTime) - begun)?;
            *run = took.as_secs_f64() / f64::from(KNOCKS);
        }
        runs.sort_unstable_by(f64::total_cmp);
        Ok(runs[RUNS / 2])
    }

    fn seal(&mut self) -> Result<Vec<Message>, Box<dyn Error>> {
        let mut sealed = Vec::new();
        for knocker in self.knockers.iter().cycle().take(KNOCKS as usize) {
            self.counter += 1;
            let request = Request { service: 1, ..Request::new(Kind::Open, self.counter) };
            let asked = knocker.ask(&request, &mut system_rng()).map_err(|fault| format!("{fault:?}"))?;
            sealed.push(asked.1);
        }
        Ok(sealed)
    }

    /// Asks the gate and does what it wants done.
    fn knock(&mut self, at: u64, knock: &Message) -> Result<(), Box<dyn Error>> {
        let gate = &mut self.gate;
        let origin = Origin { peer: Peer(1), source: [192, 0, 2, 7].into(), way: Way::Datagram };
        gate.handle_message(now(at), origin, knock).map_err(|refusal| refusal.word())?;
        let mut answers = 0;
        while let Some(action) = gate.poll_action(now(at)) {
            match action {
                Action::Consult(asked) => {
                    let open = Effect::Open { service: 1, seconds: asked.seconds };
                    let effects = [open].into_iter().collect();
                    gate.handle_decision(
                        now(at),
                        asked.ticket,
                        Decision { verdict: Verdict::Commit, effects },
                    );
                }
                Action::Open { grant, .. } => gate.handle_opened(now(at), grant, Outcome::Done),
                Action::Answer { .. } => answers += 1,
                Action::Remember { .. }
                | Action::Watch { .. }
                | Action::Unwatch { .. }
                | Action::Converse { .. }
                | Action::Close { .. } => return Err("a knock under a lease only opens".into()),
            }
        }
        while gate.poll_note().is_some() {}
        if answers == 1 { Ok(()) } else { Err(format!("{answers} answers to a knock").into()) }
    }
}

fn keys(identity: &GateIdentity, secret: SecretKey) -> Result<Keys, Box<dyn Error>> {
    let profile = Profile {
        client: "somebody".parse()?,
        address: "gate.example".try_into().map_err(|_| "too long")?,
        central_port: 0,
        packet_ports: None,
        gate: identity.id,
        gate_key: identity.secret.public(),
        door_key: identity.door.current.clone(),
        secret: Some(secret),
        services: heapless::Vec::new(),
        book: identity.new_book(crowd::shape()?, &mut system_rng())?,
    };
    Ok(Keys::of(&profile).map_err(|fault| format!("{fault:?}"))?)
}

fn gate(identity: &GateIdentity, roster: LiveRoster) -> Box<Bench> {
    let config = Config {
        gate: identity.id,
        identity: Identity::new(identity.secret.clone()),
        door_keys: [identity.door.current.clone()].into_iter().collect(),
        decoys: identity.decoys(),
        mode: Mode::Connect,
        order: Order::Strict,
        hold: Duration::from_secs(10),
        strays: 2,
        lockout: Duration::from_secs(60),
        lockout_scope: LockoutScope::Source,
        max_age: None,
        console: None,
        burnt: Burnt::default(),
        statics: Default::default(),
        services: [Service::new(1, Duration::from_secs(60), Duration::from_secs(3600))].into_iter().collect(),
    };
    let mut gate = Box::new(Gate::new(config, roster, system_rng()));
    gate.set_lease(Some(Lease { after: 0, until: u64::MAX }));
    gate
}

fn now(micros: u64) -> Now {
    Now { instant: Instant::from_micros(micros), unix: Some(UnixTime::from_micros(1_700_000_000_000_000)) }
}
