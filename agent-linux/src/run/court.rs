//! Asks policies: at once where they are quick, and each on a thread of its own where they are not, so that a slow or hostile one
//! delays only what it is asked about.
//!
//! A knock goes along a chain: its client's, else its service's, else the general one. Whoever abstains passes it on; the first
//! who does not decides; if nobody does, it is denied. An event that nobody waits for goes to every policy of the chains that
//! concern it, and what they commit together comes back.
//!
//! A client waits for the answer to a knock, so it is asked for in line, on the gate's own thread, within bounded fuel
//! ([`knockgate_policy_host::InLine`]): no thread is woken, nothing is allocated. From the first policy on that needs longer, has
//! to store something or is just deciding something else, the case goes from thread to thread and comes back as an input, as every
//! event does that nobody waits for. Decisions of one policy are made one after the other either way.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`witness`] | what policies are told |
//! | [`case`] | a question on its way, and what each policy said |
//! | [`docket`] | what waits for a policy |
//! | [`seat`] | a policy in use, whose module can be replaced |
//! | [`effects`] | what an answer means to the gate, and what beside it |
//! | [`shadow`] | policies of which only the differences are told |

mod case;
mod docket;
mod effects;
mod seat;
mod shadow;
#[cfg(test)]
mod tests;
mod witness;

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Context;
use knockgate_core::{Subject, Ticket};
use knockgate_policy_host::Event;

use crate::audit::{Audit, Heard, Opinion};
use crate::control::ModuleInForce;

use super::input::{Input, Inputs};

use case::Progress;
pub(super) use case::{Case, Outcome, Purpose};
pub(super) use effects::{Errand, decision, errands, reaction};
use seat::Seat;
pub(super) use seat::{Chair, Successor};
use shadow::Decided;
pub(super) use witness::Witness;

/// The policies in use and the order in which they are asked.
#[derive(Default)]
pub(super) struct Chains {
    pub(super) general: Vec<Arc<Chair>>,
    pub(super) services: HashMap<u16, Vec<Arc<Chair>>>,
    /// By name: a client may be enrolled later.
    pub(super) clients: HashMap<String, Vec<Arc<Chair>>>,
    pub(super) shadows: Vec<Arc<Chair>>,
}

type Bench = Vec<Arc<Seat<Case>>>;

/// Those who sit in a court, for one that follows it.
#[derive(Clone, Default)]
pub(super) struct Seats {
    live: Vec<Arc<Tenure<Case>>>,
    shadows: Vec<Arc<Tenure<Arc<Decided>>>>,
}

/// Whom to ask about what.
pub(super) struct Court {
    general: Bench,
    services: HashMap<u16, Bench>,
    clients: HashMap<String, Bench>,
    /// Every live policy once.
    all: Bench,
    shadows: Vec<Arc<Seat<Arc<Decided>>>>,
    /// For what will be said about the next knock: as much as the longest chain can say.
    room: Vec<Opinion>,
    seats: Seats,
}

impl Court {
    /// Starts a thread for every policy that has none: those that sit in `former`, in the same chair, go on with what waits for them.
    /// Whoever sits in no court any more leaves.
    pub(super) fn convene(
        chains: Chains,
        former: &Seats,
        inputs: &Inputs,
        audit: &Arc<Audit>,
    ) -> anyhow::Result<Self> {
        let mut court = Self::seated_after(chains, former);
        for seat in &court.all {
            let inputs = inputs.clone();
            court.seats.live.push(hold_office(&former.live, seat, move |seat| sit(&seat, &inputs))?);
        }
        for seat in &court.shadows {
            let audit = Arc::clone(audit);
            let watch = move |seat: Arc<Seat<Arc<Decided>>>| shadow::watch(&seat, &audit);
            court.seats.shadows.push(hold_office(&former.shadows, seat, watch)?);
        }
        Ok(court)
    }

    /// Those who sit in it.
    pub(super) fn seats(&self) -> &Seats {
        &self.seats
    }

    #[cfg(test)]
    fn seated(chains: Chains) -> Self {
        Self::seated_after(chains, &Seats::default())
    }

    fn seated_after(chains: Chains, former: &Seats) -> Self {
        let mut all = Bench::new();
        let mut bench = |chairs: Vec<Arc<Chair>>| -> Bench {
            chairs.into_iter().map(|chair| seat_of(&mut all, &former.live, chair)).collect()
        };
        let general = bench(chains.general);
        let services = chains.services.into_iter().map(|(id, chairs)| (id, bench(chairs))).collect();
        let clients = chains.clients.into_iter().map(|(name, chairs)| (name, bench(chairs))).collect();
        let shadows = chains.shadows.into_iter().map(|chair| same_or_new(&former.shadows, chair)).collect();
        let (room, seats) = (Vec::new(), Seats::default());
        let mut court = Self { general, services, clients, all, shadows, room, seats };
        court.prepare();
        court
    }

    /// Asks about a knock. It comes back if everybody who was to be asked could say at once; else it comes as an input.
    pub(super) fn ask(&mut self, ticket: Ticket, event: Event) -> Option<Case> {
        let room = std::mem::take(&mut self.room);
        let mut case = Case::new(Purpose::Knock(ticket), event, room);
        let cause = case.heard.event.cause;
        let mut asked =
            self.chain_of(&case.heard.event).iter().filter(|seat| seat.chair.wants(cause)).peekable();
        if asked.peek().is_none() {
            tracing::warn!("no policy of the chain wants to be asked about this knock, so it is denied");
        }
        while let Some(seat) = asked.next() {
            match case.hear_at_once(seat) {
                Progress::Settled => return Some(case),
                Progress::PassedOn => {}
                Progress::Stuck => {
                    let rest = std::iter::once(seat).chain(asked).cloned();
                    return case.with_route(rest).proceed();
                }
            }
        }
        Some(case)
    }

    /// Makes ready what the next knock needs. Not while somebody waits: it takes longer than a decision.
    pub(super) fn prepare(&mut self) {
        let chains =
            std::iter::once(&self.general).chain(self.services.values()).chain(self.clients.values());
        let longest = chains.map(Vec::len).max().unwrap_or(0);
        self.room.reserve(longest);
        self.all.iter().for_each(|seat| seat.chair.prepare());
    }

    /// Tells everybody whom it concerns what has happened to `about`. It comes back at once if nobody wants to hear of it.
    pub(super) fn tell(&self, about: Subject, event: Event) -> Option<Case> {
        let route: Vec<_> = self.concerned_by(&event).collect();
        Case::new(Purpose::Event(about), event, Vec::new()).with_route(route.into_iter()).proceed()
    }

    /// Whether anybody wants to hear of this, a shadow included.
    pub(super) fn wants(&self, cause: knockgate_policy_host::Cause) -> bool {
        let live = self.all.iter().map(|seat| &seat.chair);
        live.chain(self.shadows.iter().map(|seat| &seat.chair)).any(|chair| chair.wants(cause))
    }

    /// Lets the shadows decide about what has been decided.
    pub(super) fn compare(&self, heard: &Arc<Heard>, live: Outcome) {
        let cause = heard.event.cause;
        let mut asked = self.shadows.iter().filter(|seat| seat.chair.wants(cause)).peekable();
        if asked.peek().is_none() {
            return;
        }
        let decided = Arc::new(Decided { heard: Arc::clone(heard), live });
        for seat in asked {
            // Dropped and counted: a shadow that cannot keep up misses some.
            let _ = seat.docket.put(docket::Urgency::Event, Arc::clone(&decided));
        }
    }

    /// Which policies have missed events since this was asked last, and how many.
    pub(super) fn take_missed(&self) -> Vec<(String, u64)> {
        let live = self.all.iter().map(|seat| (seat.chair.name(), seat.docket.take_dropped()));
        let shadows = self.shadows.iter().map(|seat| (seat.chair.name(), seat.docket.take_dropped()));
        let missed = live.chain(shadows).filter(|(_, count)| *count > 0);
        missed.map(|(name, count)| (name.to_owned(), count)).collect()
    }

    /// Who is asked about a knock for the service, unless its client has a chain of its own.
    pub(super) fn names_for(&self, service: u16) -> Vec<String> {
        let chain = self.services.get(&service).unwrap_or(&self.general);
        chain.iter().map(|seat| seat.chair.name().to_owned()).collect()
    }

    /// What decides in every chair, by name.
    pub(super) fn modules(&self) -> Vec<ModuleInForce> {
        let live = self.all.iter().map(|seat| seat.chair.module());
        let shadows = self.shadows.iter().map(|seat| ModuleInForce { shadow: true, ..seat.chair.module() });
        let mut modules: Vec<_> = live.chain(shadows).collect();
        modules.sort();
        modules
    }

    fn chain_of(&self, event: &Event) -> &Bench {
        let client = event.client.as_ref().and_then(|client| self.clients.get(client.name.as_str()));
        let service = event.request.as_ref().and_then(|request| self.services.get(&request.service));
        client.or(service).unwrap_or(&self.general)
    }

    /// The policies of the general chain and of the event's client and service, each once; of all chains if it is about nobody
    /// and nothing.
    fn concerned_by(&self, event: &Event) -> impl Iterator<Item = Arc<Seat<Case>>> {
        let client = event.client.as_ref().and_then(|client| self.clients.get(client.name.as_str()));
        let service = event.request.as_ref().and_then(|request| self.services.get(&request.service));
        let of_nobody = event.client.is_none() && event.source.is_none() && event.request.is_none();
        let (general, cause) = (&self.general, event.cause);
        let concerned = move |seat: &&Arc<Seat<Case>>| {
            let has = |bench: &Bench| bench.iter().any(|other| Arc::ptr_eq(other, seat));
            of_nobody || has(general) || client.is_some_and(has) || service.is_some_and(has)
        };
        self.all.iter().filter(concerned).filter(move |seat| seat.chair.wants(cause)).cloned()
    }
}

/// The time in which a policy's thread works: as long as a court has a seat for it.
struct Tenure<T>(Arc<Seat<T>>);

impl<T> Drop for Tenure<T> {
    fn drop(&mut self) {
        self.0.docket.close();
    }
}

/// A policy of several chains sits once.
fn seat_of(all: &mut Bench, former: &[Arc<Tenure<Case>>], chair: Arc<Chair>) -> Arc<Seat<Case>> {
    if let Some(seat) = all.iter().find(|seat| Arc::ptr_eq(&seat.chair, &chair)) {
        return Arc::clone(seat);
    }
    let seat = same_or_new(former, chair);
    all.push(Arc::clone(&seat));
    seat
}

/// Whoever has a seat keeps it.
fn same_or_new<T>(former: &[Arc<Tenure<T>>], chair: Arc<Chair>) -> Arc<Seat<T>> {
    let same = former.iter().find(|tenure| Arc::ptr_eq(&tenure.0.chair, &chair));
    same.map_or_else(|| Seat::new(chair), |tenure| Arc::clone(&tenure.0))
}

/// Goes on, or starts a thread that does the `work`.
fn hold_office<T: Send + 'static>(
    former: &[Arc<Tenure<T>>],
    seat: &Arc<Seat<T>>,
    work: impl FnOnce(Arc<Seat<T>>) + Send + 'static,
) -> anyhow::Result<Arc<Tenure<T>>> {
    if let Some(tenure) = former.iter().find(|tenure| Arc::ptr_eq(&tenure.0, seat)) {
        return Ok(Arc::clone(tenure));
    }
    let (name, worker) = (seat.chair.name().to_owned(), Arc::clone(seat));
    start(&name, move || work(worker))?;
    Ok(Arc::new(Tenure(Arc::clone(seat))))
}

fn start(policy: &str, work: impl FnOnce() + Send + 'static) -> anyhow::Result<()> {
    std::thread::Builder::new()
        // Linux shows fifteen bytes of it.
        .name(format!("p:{policy}"))
        .spawn(work)
        .map(drop)
        .with_context(|| format!("cannot start the thread that asks policy {policy}"))
}

fn sit(seat: &Seat<Case>, inputs: &Inputs) {
    // However this ends: no knock shall wait for a policy that answers no more.
    let _docket = seat.docket.close_in_the_end();
    while let Some((mut case, turn)) = seat.docket.take() {
        case.hear(seat);
        drop(turn);
        if let Some(settled) = case.proceed()
            && inputs.blocking_send(Input::Judged(Box::new(settled))).is_err()
        {
            return;
        }
    }
}
