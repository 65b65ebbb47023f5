//! Everything that a gateway works with beside its ports, in one place.

use alloc::sync::Arc;
use core::fmt::{Display, Write};
use core::net::IpAddr;

use knockgate_core::channel::Channel;
use knockgate_core::{
    ClientId, Consultation, Decision, Happening, Name, Note, Now, Occasion, Outcome, Record, Standing,
};
use spin::Mutex;

use crate::audit::Audit;
use crate::board::Flash;
use crate::boot::say;
use crate::calendar::Calendar;
use crate::console::{Console, Desk};
use crate::court::Court;
use crate::environment::{Decide, Health, Journal, Operate, Over, Reaction, Store};
use crate::storage;
use crate::update::Updater;

/// The environment of a machine's gateway.
pub(crate) struct Post<F: Flash, C> {
    pub(crate) journal: Arc<Mutex<storage::Journal<F>>>,
    pub(crate) court: Court,
    pub(crate) audit: Audit,
    pub(crate) updater: Updater<F>,
    pub(crate) calendar: Calendar,
    pub(crate) console: Console,
    /// The console that is wired to the board.
    pub(crate) wire: C,
    /// The number of the last record that was printed there.
    pub(crate) printed: u64,
    /// Tells this start from others.
    pub(crate) boot: u64,
    pub(crate) heap: fn() -> (u32, u32),
}

impl<F: Flash, C: Write> Post<F, C> {
    /// Says a line on the board's console.
    pub(crate) fn say(&mut self, words: impl Display) {
        say(&mut self.wire, format_args!("{words}"));
    }

    /// Prints the records of the audit log that have come since the last call.
    pub(crate) fn print(&mut self) {
        for (number, line) in self.audit.ring().after(self.printed) {
            say(&mut self.wire, format_args!("{line}"));
            self.printed = number;
        }
    }
}

impl<F: Flash, C> Store for Post<F, C> {
    fn remember(&mut self, record: &Record) -> Outcome {
        self.journal.lock().remember(record)
    }
}

impl<F: Flash, C> Decide for Post<F, C> {
    fn decide(&mut self, now: Now, question: &Consultation) -> Decision {
        self.court.decide(now, question, &mut self.audit)
    }

    fn wants(&self, occasion: Occasion) -> bool {
        self.court.wants(occasion)
    }

    fn react(
        &mut self,
        now: Now,
        happening: &Happening,
        standing: &Standing,
        name: Option<&Name>,
    ) -> Reaction {
        self.court.react(now, happening, standing, name, &mut self.audit)
    }
}

impl<F: Flash, C> Journal for Post<F, C> {
    fn note(&mut self, now: Now, note: &Note, name: Option<&Name>) {
        self.audit.note(now, note, name);
    }
}

impl<F: Flash, C> Operate for Post<F, C> {
    fn welcome(&mut self, _: Now, _: ClientId, _: IpAddr, channel: Channel) {
        self.console.welcome(channel);
    }

    fn hear(&mut self, now: Now, health: Health, bytes: &[u8]) -> Result<usize, Over> {
        let mut desk = Desk {
            boot: self.boot,
            serial: self.updater.in_force().serial,
            heap: self.heap,
            records: self.audit.ring(),
            calendar: &mut self.calendar,
            updates: &mut self.updater,
        };
        self.console.hear(now, health, bytes, &mut desk)
    }

    fn say(&mut self, _: Now, buffer: &mut [u8]) -> Result<usize, Over> {
        self.console.say(self.audit.ring(), buffer)
    }

    fn leave(&mut self) {
        self.console.leave();
    }
}
