//! From a holder's probes to a complete sequence, or to its end.

use core::net::IpAddr;

use rand_core::CryptoRng;

use crate::address::SourcePrefix;
use crate::attempt::Step;
use crate::hold::{Hold, Phase};
use crate::limits::POLICY_DEADLINE;
use crate::message::Mode;
use crate::note::{KnockEnd, Locked, Note};
use crate::refusal::Refusal;
use crate::roster::{ClientId, Roster};
use crate::time::{Instant, Now};

use super::{Gate, LockoutScope, Probe, ProbeKind};

/// The record of an attempt that has ended.
pub(super) fn ended(hold: &Hold, end: KnockEnd) -> Note {
    Note::KnockEnded {
        client: hold.client,
        source: hold.source,
        book: hold.book,
        number: hold.number,
        service: hold.service,
        end,
        seen: hold.attempt.seen().clone(),
    }
}

impl<R: Roster, G: CryptoRng, const E: usize, const H: usize, const N: usize, const L: usize, const S: usize>
    Gate<R, G, E, H, N, L, S>
{
    /// Takes a probe of a watched port. Whoever holds no number is ignored, and cannot tell.
    pub fn handle_probe(&mut self, now: Now, probe: Probe) {
        let source = probe.source.to_canonical();
        if !self.is_knock(probe) {
            return;
        }
        let Some(hold) = self.holds.held_at(now.instant, source) else { return };
        if self.lockouts.left(now.instant, source, hold.client).is_some() {
            return;
        }
        self.stirred = true;
        match hold.attempt.probe(probe.port) {
            Step::Advanced | Step::Repeated => {}
            Step::Complete => {
                hold.phase = Phase::ConsultDue;
                hold.until = now.instant.after(POLICY_DEADLINE);
                let note = ended(hold, KnockEnd::Complete);
                self.stop_watching(source);
                self.note(note);
            }
            step @ (Step::Ahead | Step::Wrong) => self.stray(now.instant, probe, step),
        }
    }

    /// Only a watched port, touched in the way that this gate wants, is a knock.
    fn is_knock(&self, probe: Probe) -> bool {
        let kind = match self.config.mode {
            Mode::Connect => ProbeKind::Connected,
            Mode::Closed => ProbeKind::Attempted,
        };
        probe.kind == kind && self.config.decoys.contains(probe.port)
    }

    /// A holder has touched a port that was not due.
    fn stray(&mut self, now: Instant, probe: Probe, step: Step) {
        let source = probe.source.to_canonical();
        let Some(hold) = self.holds.held_at(now, source) else { return };
        let client = hold.client;
        match (self.config.mode, step) {
            // A whole connection cannot be forged: it was he.
            (Mode::Connect, _) => {
                self.end_attempt(now, client, Refusal::WrongPort);
                self.lock_out_knocker(now, source, client);
            }
            // The network reorders, and a client sends the sequence again for what was lost.
            (Mode::Closed, Step::Ahead) => {}
            // Anybody can forge this one, so it neither ends the attempt at once nor locks anybody out.
            (Mode::Closed, _) => {
                hold.strays = hold.strays.saturating_add(1);
                if hold.strays > self.config.strays {
                    self.end_attempt(now, client, Refusal::TooManyStrays);
                }
            }
        }
    }

    fn lock_out_knocker(&mut self, now: Instant, source: IpAddr, client: ClientId) {
        let lasts = self.config.lockout;
        match self.config.lockout_scope {
            LockoutScope::Everybody => self.lock_out(now, Locked::Everybody, lasts),
            LockoutScope::Source => {
                self.lock_out(now, Locked::Source(SourcePrefix::of(source)), lasts);
                self.lock_out(now, Locked::Client(client), lasts);
            }
        }
    }
}
