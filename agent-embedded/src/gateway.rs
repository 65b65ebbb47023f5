//! The gateway itself: two ports and what happens between them.

use alloc::boxed::Box;

use knockgate_core::{Happening, Instant, Now, Roster};
use rand_core::CryptoRng;
use smoltcp::phy::{Device, RxToken};

use crate::bridge::Bridge;
use crate::clock;
use crate::config::{Config, ConfigError};
use crate::environment::{Environment, Health};
use crate::filter::Filter;
use crate::front::Front;
use crate::heap::on_heap;
use crate::jam::Jam;
use crate::limits::{EXCHANGES, FRAMES_PER_POLL, GRANTS, HOLDS, LOCKOUTS};
use crate::works::Works;

/// The core with the table sizes of a gateway.
pub type Gate<R, G> = knockgate_core::Gate<R, G, EXCHANGES, HOLDS, GRANTS, LOCKOUTS>;

/// A gateway: `Outer` faces everybody, `Inner` the machines to protect.
///
/// `R` is the roster, `G` the generator of random numbers, `E` everything else that the board gives.
pub struct Gateway<Outer, Inner, R, G, E> {
    outer: Outer,
    inner: Inner,
    outer_jam: Jam,
    inner_jam: Jam,
    works: Works<R, G, E>,
}

impl<Outer: Device, Inner: Device, R: Roster, G: CryptoRng, E: Environment> Gateway<Outer, Inner, R, G, E> {
    /// A gateway that is shut to everybody. Both ports must take frames for any address (promiscuous mode), and frames that are
    /// longer by a VLAN tag of four bytes than their capabilities say.
    ///
    /// # Errors
    /// [`ConfigError`] if `config` makes no sense.
    pub fn new(
        config: Box<Config>,
        mut outer: Outer,
        inner: Inner,
        roster: R,
        mut rng: G,
        environment: E,
        now: Instant,
    ) -> Result<Self, ConfigError> {
        config.check(&outer, &inner)?;
        let seed = rng.next_u64();
        let front = on_heap(|| Front::new(&config, &mut outer, seed, now));
        let filter = config.guarded(front.addresses());
        let bridge = on_heap(|| Bridge::new(Filter::new(filter), rng.next_u32()));
        let gate = on_heap(|| Gate::new(config.gate, roster, rng));
        let works = Works::new(gate, environment, front, bridge, now);
        Ok(Self { outer, inner, outer_jam: Jam::default(), inner_jam: Jam::default(), works })
    }

    /// Tells the policies that the gateway has started. Its host calls it once, when nothing more can go wrong.
    pub fn start(&mut self, now: Now) {
        self.works.tell(now, &Happening::start_up());
        self.works.write_notes(now);
    }

    /// Takes what has come in, does what is due, sends what is ready: a bounded amount of work.
    ///
    /// Returns when to call again if no frame comes before; a moment that has passed means at once, and `None` never.
    /// Extra calls are harmless. `now` never runs backwards.
    pub fn poll(&mut self, now: Now) -> Option<Instant> {
        self.works.begin_turn();
        let more_outside = self.receive_outer(now);
        let more_inside = self.receive_inner(now);
        self.works.keep_time(now);
        self.works.front.transmit(now.instant, &mut self.outer);
        let more = more_outside || more_inside || self.works.is_exhausted();
        if more { Some(now.instant) } else { self.works.next(now) }
    }

    /// Returns whether more may be waiting.
    fn receive_outer(&mut self, now: Now) -> bool {
        for _ in 0..FRAMES_PER_POLL {
            // What costs much leaves the rest to the next turn, so that the inner port has its turn, too.
            if self.works.is_exhausted() || self.inner_jam.holds_up(now.instant, &mut self.inner) {
                return true;
            }
            let Some((received, token)) = self.outer.receive(clock::wire(now.instant)) else { return false };
            received.consume(|bytes| self.works.take_from_outside(now, bytes, token, &mut self.inner));
        }
        true
    }

    /// Returns whether more may be waiting.
    fn receive_inner(&mut self, now: Now) -> bool {
        for _ in 0..FRAMES_PER_POLL {
            if self.outer_jam.holds_up(now.instant, &mut self.outer) {
                return true;
            }
            let Some((received, _)) = self.inner.receive(clock::wire(now.instant)) else { return false };
            received.consume(|bytes| self.works.bridge.take_from_inside(now.instant, bytes, &mut self.outer));
        }
        true
    }

    /// How many grants are open and flows remembered.
    pub fn health(&self, now: Instant) -> Health {
        self.works.health(now)
    }

    /// Whether all that the console has said has arrived: a good moment for a restart.
    pub fn has_said_all(&self) -> bool {
        self.works.has_said_all()
    }

    /// What is open.
    pub fn filter(&self) -> &Filter {
        &self.works.bridge.filter
    }

    /// The core, to look at.
    pub fn gate(&self) -> &Gate<R, G> {
        &self.works.gate
    }

    /// The core, for commands of the operator; [`Gateway::poll`] carries out what follows from them.
    pub fn gate_mut(&mut self) -> &mut Gate<R, G> {
        &mut self.works.gate
    }

    /// What the board gives.
    pub fn environment(&self) -> &E {
        &self.works.environment
    }

    /// What the board gives, to change it.
    pub fn environment_mut(&mut self) -> &mut E {
        &mut self.works.environment
    }
}
