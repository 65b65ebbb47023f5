//! Packet knocks: what one authentic message may open, keep open or close. Rule: `docs/protocol.md`, section 6.8.

use core::net::IpAddr;

use blake2::Blake2sMac;
use blake2::digest::consts::U8;
use blake2::digest::{KeyInit, Mac};
use rand_core::CryptoRng;

use crate::action::{Cause, GrantId, Way};
use crate::grant::Grant;
use crate::limits::{CONFIRMATION, TOKEN_LEN, WRONG_CODES};
use crate::message::{Kind, Reach, Request, Token, Verdict};
use crate::note::{CloseReason, Locked, Note};
use crate::refusal::Refusal;
use crate::roster::{Client, ClientId, Roster};
use crate::time::{Instant, Now};

use super::exchange::{Asker, Reply, Then};
use super::{Gate, Recording};

/// What a packet knock wants to know from the policy.
#[derive(Clone, Copy)]
pub(super) struct Ask {
    pub(super) cause: Cause,
    pub(super) service: u16,
    pub(super) seconds: u32,
    pub(super) reach: Reach,
    pub(super) second_factor: bool,
    /// The grant that shall be kept.
    pub(super) grant: Option<GrantId>,
    /// Whether the knocker can certainly be reached at his address.
    pub(super) proven: bool,
}

/// What a client wants closed.
#[derive(Clone, Copy)]
pub(super) struct Unwanted {
    client: ClientId,
    source: IpAddr,
    grant: u32,
    service: u16,
}

impl Unwanted {
    /// A grant that is named can be closed from anywhere: its client may have another address by now.
    fn means(&self, grant: &Grant) -> bool {
        let named = if self.grant == 0 { grant.to.contains(self.source) } else { grant.id.0 == self.grant };
        grant.client == self.client && named && (self.service == 0 || grant.service == self.service)
    }
}

/// Whether a second factor was shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Factor {
    Missing,
    /// And is now used up, which must be durable.
    Shown,
}

impl<R: Roster, G: CryptoRng, const E: usize, const H: usize, const N: usize, const L: usize, const S: usize>
    Gate<R, G, E, H, N, L, S>
{
    /// Open this service to me.
    pub(super) fn open_request(
        &mut self,
        now: Now,
        asker: &Asker<'_>,
        request: &Request,
    ) -> Result<Then, Reply> {
        self.note_packet(asker, request);
        self.admit_knock(now.instant, asker, request.service)?;
        let proven = self.prove_address(now.instant, asker, request)?;
        self.ask_policy(now, asker, request, Cause::Packet, None, proven)
    }

    /// Let what is open to me stay open. No proof of the address is asked for: it has a grant already. But nobody is locked out
    /// by it either, since it may be forged.
    pub(super) fn renew_request(
        &mut self,
        now: Now,
        asker: &Asker<'_>,
        request: &Request,
    ) -> Result<Then, Reply> {
        self.note_packet(asker, request);
        let (client, source) = (asker.client.id, asker.origin.source);
        let kept = |grant: &&Grant| {
            let named = request.grant == 0 || grant.id.0 == request.grant;
            let meant = request.service == 0 || grant.service == request.service;
            grant.client == client
                && grant.to.contains(source)
                && named
                && meant
                && grant.is_in_force(now.instant)
        };
        let kept = self.open_grants().find(kept).copied().ok_or(Reply::refused(Refusal::NoGrant))?;
        self.admit_knock(now.instant, asker, kept.service)?;
        let reach = if kept.to.is_host() { Reach::Address } else { Reach::Prefix };
        let request = Request { service: kept.service, reach, ..*request };
        let proven = asker.origin.way == Way::Connection;
        self.ask_policy(now, asker, &request, Cause::Renew, Some(kept.id), proven)
    }

    /// Close what is open to me.
    pub(super) fn close_request(&mut self, asker: &Asker<'_>, request: &Request) -> Result<Then, Reply> {
        self.note_packet(asker, request);
        let &Request { grant, service, .. } = request;
        let unwanted = Unwanted { client: asker.client.id, source: asker.origin.source, grant, service };
        if !self.grants.iter().any(|grant| unwanted.means(grant)) {
            return Err(Reply::refused(Refusal::NoGrant));
        }
        Ok(Then::Close(unwanted))
    }

    /// Closes what a client wanted closed, once that cannot be repeated.
    pub(super) fn close_unwanted(&mut self, now: Instant, unwanted: Unwanted) -> Reply {
        self.grants
            .iter_mut()
            .filter(|grant| unwanted.means(grant))
            .for_each(|grant| grant.close(now, CloseReason::ByClient));
        Reply::of(Verdict::Closed)
    }

    fn ask_policy(
        &mut self,
        now: Now,
        asker: &Asker<'_>,
        request: &Request,
        cause: Cause,
        grant: Option<GrantId>,
        proven: bool,
    ) -> Result<Then, Reply> {
        let &Request { service, seconds, reach, .. } = request;
        let factor = self.check_factor(now, asker, request)?;
        let second_factor = factor == Factor::Shown;
        Ok(Then::Consult(Ask { cause, service, seconds, reach, second_factor, grant, proven }))
    }

    fn note_packet(&mut self, asker: &Asker<'_>, request: &Request) {
        let (client, source) = (asker.client.id, asker.origin.source);
        let &Request { kind, service, .. } = request;
        debug_assert!(matches!(kind, Kind::Open | Kind::Renew | Kind::Close));
        self.note(Note::Packet { client, source, kind, service });
    }

    /// Whether a client may ask for `service` now, whichever way it knocks.
    pub(super) fn admit_knock(&mut self, now: Instant, asker: &Asker<'_>, service: u16) -> Result<(), Reply> {
        let client = asker.client;
        if self.recording == Recording::Wanting {
            return Err(Reply::refused(Refusal::Unrecorded));
        }
        if let Some(left) = self.lockouts.left(now, asker.origin.source, client.id) {
            return Err(Reply::refused(Refusal::LockedOut).retry(left));
        }
        if self.config.service(service).is_none() || !client.may_use(service) {
            return Err(Reply::refused(Refusal::NotAllowed));
        }
        Ok(())
    }

    /// Whether the client is certainly where its message came from. Where that is wanted and is not so, it is asked to prove
    /// it.
    fn prove_address(&self, now: Instant, asker: &Asker<'_>, request: &Request) -> Result<bool, Reply> {
        if asker.origin.way == Way::Connection {
            return Ok(true);
        }
        let slot = now.as_micros() / u64::try_from(CONFIRMATION.as_micros()).unwrap_or(u64::MAX);
        let is_good = |token: Token| {
            [slot, slot.wrapping_sub(1)].into_iter().any(|slot| self.is_token(token, asker, request, slot))
        };
        if request.token.is_some_and(is_good) {
            return Ok(true);
        }
        if asker.client.confirm || self.config.service(request.service).is_some_and(|service| service.confirm)
        {
            return Err(Reply::of(Verdict::Confirm(self.token(asker, request, slot))));
        }
        Ok(false)
    }

    fn token(&self, asker: &Asker<'_>, request: &Request, slot: u64) -> Token {
        let mut token = [0; TOKEN_LEN];
        token.copy_from_slice(&self.token_mac(asker, request, slot).finalize().into_bytes());
        Token(token)
    }

    fn is_token(&self, token: Token, asker: &Asker<'_>, request: &Request, slot: u64) -> bool {
        self.token_mac(asker, request, slot).verify_slice(&token.0).is_ok()
    }

    /// Only this gate, in this run, can make it; it is good for one client, address, service and time. Nothing need be kept.
    fn token_mac(&self, asker: &Asker<'_>, request: &Request, slot: u64) -> Blake2sMac<U8> {
        let mut mac = <Blake2sMac<U8> as KeyInit>::new(self.token_key.bytes().into());
        let address = match asker.origin.source {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        mac.update(&asker.client.id.0.to_le_bytes());
        mac.update(&address.octets());
        mac.update(&request.service.to_le_bytes());
        mac.update(&slot.to_le_bytes());
        mac
    }

    /// Uses up the code of a request, if it has one. A service that needs one has it asked for.
    pub(super) fn check_factor(
        &mut self,
        now: Now,
        asker: &Asker<'_>,
        request: &Request,
    ) -> Result<Factor, Reply> {
        let client = asker.client;
        let wanted = self.config.service(request.service).is_some_and(|service| service.second_factor);
        let (Some(code), Some(secret)) = (request.code, self.roster.totp(client.id)) else {
            return if wanted { Err(Reply::refused(Refusal::CodeWanted)) } else { Ok(Factor::Missing) };
        };
        // Without a clock no code can be checked.
        let unix = now.unix.ok_or(Reply::refused(Refusal::Unavailable))?;
        let used = self.roster.used(client.id);
        let Some(step) = secret.step_of(code, unix, used.code_step) else {
            return Err(self.refuse_code(now.instant, client, asker.origin.source));
        };
        self.roster.set_used(client.id, crate::replay::Used { code_step: step, ..used });
        Ok(Factor::Shown)
    }

    /// A wrong code is a guess by somebody who has the key. The address need not be his.
    fn refuse_code(&mut self, now: Instant, client: &Client, source: IpAddr) -> Reply {
        self.count_failure(client.id, source);
        if self.failures_of(Locked::Client(client.id)) >= WRONG_CODES {
            self.lock_out(now, Locked::Client(client.id), self.config.lockout);
        }
        Reply::refused(Refusal::WrongCode)
    }
}
