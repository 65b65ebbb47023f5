//! Looks at everything that a new configuration needs, and makes it ready, without touching anything that is in use.

use anyhow::{Context, anyhow};
use knockgate_core::replay::Burnt;

use crate::acts::Acts;
use crate::audit::AuditRecord;
use crate::capture::opener::{Here, Nobody};
use crate::config::{Change, Config, changes};
use crate::firewall::{Firewall, FirewallError, Plan};
use crate::run::court::{Court, Seats, Witness};
use crate::run::ears::{NewEars, TakenOver};
use crate::run::input::Input;
use crate::run::policy::{self, PolicyWatch, Seated, Seating};
use crate::run::{plan, start};
use crate::state::{Changes, GateIdentity, RosterFile};

use super::apply::Turnover;
use super::fixed::{Running, only_by_a_restart};
use super::{Reloader, lines};

/// Ready to be applied.
pub(in crate::run) struct Prepared {
    pub(super) change: Box<Turnover>,
    pub(super) taken: TakenOver,
    pub(super) watch: PolicyWatch,
    pub(super) seats: Seats,
    pub(super) seated: Seated,
    pub(super) loaded: Vec<AuditRecord>,
    /// Of the roster and the keys.
    pub(super) news: Vec<String>,
    pub(super) changes: Vec<Change>,
}

/// What is wrong, all of it.
struct Problems(Vec<String>);

impl Problems {
    fn note<T>(&mut self, result: anyhow::Result<T>) -> Option<T> {
        match result {
            Ok(good) => Some(good),
            Err(error) => {
                self.0.extend(format!("{error:#}").lines().map(str::to_owned));
                None
            }
        }
    }
}

impl Reloader {
    /// # Errors
    /// All that is wrong, a line for each.
    pub(super) fn prepare(&self, config: Config) -> Result<Prepared, Vec<String>> {
        config.of_a_server().map_err(|error| lines(&error))?;
        let restart = self.only_by_a_restart(&config);
        // A process without rights cannot judge the rest of what it cannot have. `knockgated check` can.
        if self.config.separation.is_some() && !restart.is_empty() {
            return Err(restart);
        }
        let mut problems = Problems(restart);
        let identity = problems.note(self.check_state(&config));
        let seating = problems.note(policy::seat(&config, &self.seated, &self.store, &self.audit));
        let acts = problems.note(self.acts(&config));
        let court = seating.map(|Seating { chains, watch, successors, seated, loaded }| {
            let court = problems.note(Court::convene(chains, &self.seats, &self.inputs, &self.audit));
            (court, watch, successors, seated, loaded)
        });
        // Last, since from then on they hear.
        let ears = problems.note(self.ears(&config));
        let (Some(identity), Some(acts), Some(ears)) = (identity, acts, ears) else { return Err(problems.0) };
        let Some((Some(court), watch, successors, seated, loaded)) = court else { return Err(problems.0) };
        let plan = plan::of(&config, &identity.decoys(), ears.decoy_port, ears.means());
        problems.note(self.check_guard(&plan));
        let look = self.vigil.look();
        problems.0.extend(look.troubles.iter().map(|(what, error)| format!("{what} changed: {error}")));
        if !problems.0.is_empty() {
            // What is new of roster and keys is so without a new configuration, too.
            self.pass_on(look.news);
            return Err(problems.0);
        }
        let heard_by = ears.means().to_string();
        let (packets, taken) = ears.split();
        let (news, seats, changes) =
            (look.news.iter().map(word).collect(), court.seats().clone(), changes(&self.config, &config));
        let change = Box::new(Turnover {
            core: start::core_config(&config, &identity, Burnt::default()),
            plan,
            packets,
            court,
            successors,
            witness: Witness::new(&config),
            heard_by,
            acts,
            news: look.news,
            config,
        });
        Ok(Prepared { change, taken, watch, seats, seated, loaded, news, changes })
    }

    fn only_by_a_restart(&self, config: &Config) -> Vec<String> {
        let decoys = self.identity.decoys();
        let running = Running { started: &self.started, in_force: &self.config, decoys: &decoys };
        only_by_a_restart(&running, config)
    }

    /// The guard can be changed to the new plan. A broker keeps the one that it was started with.
    fn check_guard(&self, plan: &Plan) -> anyhow::Result<()> {
        match self.config.separation {
            None => Firewall::rehearse(plan).context("the guard would not take it"),
            Some(_) if self.plan == *plan => Ok(()),
            Some(_) => Err(FirewallError::PlanIsFixed.into()),
        }
    }

    /// Keys and roster are those of this gate and fit the configuration.
    fn check_state(&self, config: &Config) -> anyhow::Result<GateIdentity> {
        let identity = GateIdentity::load(&self.dir)?;
        if identity.id != self.identity.id || identity.secret.public() != self.identity.secret.public() {
            let file = self.dir.identity_file();
            return Err(anyhow!(
                "{}: is the identity of another gate now; put the old one back, or restart the agent to run that gate",
                file.display()
            ));
        }
        identity.check_against(config, self.dir.path())?;
        let roster = RosterFile::load(&self.dir)?;
        config.check_names(roster.clients().iter().map(|client| &client.name))?;
        Ok(identity)
    }

    fn pass_on(&self, news: Vec<Input>) {
        for input in news {
            if self.inputs.blocking_send(input).is_err() {
                return;
            }
        }
    }

    /// `None` if they stay as they are.
    fn acts(&self, config: &Config) -> anyhow::Result<Option<Acts>> {
        let of =
            |config: &Config| (config.units.clone(), config.channels.clone(), config.gate.address.clone());
        crate::acts::check(config)?;
        if of(config) == of(&self.config) {
            return Ok(None);
        }
        Acts::start(config, &self.audit).map(Some)
    }

    fn ears(&self, config: &Config) -> anyhow::Result<NewEars> {
        let decoys = self.identity.decoys();
        match self.config.separation {
            None => self.ears.prepare(config, &decoys, &Here),
            Some(_) => self.ears.prepare(config, &decoys, &Nobody).context(
                "with separate = true in [process] what the agent hears cannot change while it runs; restart it",
            ),
        }
    }
}

fn word(news: &Input) -> String {
    let Input::Roster(change) = news else { return "the door keys".to_owned() };
    let Changes { added, removed, changed, restricted: _ } = &change.changes;
    format!("the roster: {} added, {} removed, {} changed", added.len(), removed.len(), changed.len())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use knockgate_core::ClientId;

    use super::*;
    use crate::state::{Enrolment, RosterChange};

    #[test]
    fn what_is_new_of_roster_and_keys_is_told_in_a_few_words() {
        let client = |id, name: &str| (ClientId(id), name.parse().unwrap());
        let changes = Changes {
            added: vec![client(1, "alice"), client(2, "bob")],
            removed: Vec::new(),
            changed: vec![client(3, "carol")],
            restricted: vec![client(3, "carol")],
        };
        let enrolment = Arc::new(Enrolment::new(&RosterFile::default()));
        let roster = Input::Roster(Box::new(RosterChange { enrolment, changes }));
        assert_eq!(word(&roster), "the roster: 2 added, 0 removed, 1 changed");
        assert_eq!(word(&Input::DoorKeys(heapless::Vec::new())), "the door keys");
    }
}
