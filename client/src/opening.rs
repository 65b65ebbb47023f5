//! Packet knocks: one question that opens, keeps open or closes. Rule: `docs/protocol.md`, section 6.8.
//!
//! Whatever the gate wants to know in between is told without a word: that the client is where its packet came from, and,
//! where somebody can be asked, the code of the second factor.

use std::net::{IpAddr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use knockgate_core::Refusal;
use knockgate_core::message::{Answer, Kind, OpenService, Reach, Request, Verdict};
use knockgate_core::profile::{Profile, ProfileService};

use crate::code::Codes;
use crate::dial;
use crate::exchange::{Answered, Route};
use crate::families;
use crate::outcome::{Doubt, Failure};
use crate::print::{Opened, lasting};
use crate::session::Session;

/// How often the gate may want the address confirmed: once, and once more because a token does not last.
const CONFIRMATIONS: u32 = 2;
/// The shortest pause between two questions, whatever the gate proposes.
pub(crate) const SHORTEST_WAIT: Duration = Duration::from_millis(10);
/// When the gate is busy and does not say for how long.
pub(crate) const BUSY_WAIT: Duration = Duration::from_millis(500);
/// A shorter wait is not worth a line.
const NOTICEABLE: Duration = Duration::from_millis(200);

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    /// 0 for any.
    pub(crate) service: u16,
    /// 0 to leave the time to the gate.
    pub(crate) seconds: u32,
    pub(crate) reach: Reach,
    /// Which grant to keep or to close; 0 for what is open of the service.
    pub(crate) grant: u32,
    pub(crate) codes: Codes,
}

/// A service that was opened, and on which way.
#[derive(Clone, Debug)]
pub(crate) struct Opening {
    pub(crate) opened: Opened,
    pub(crate) route: Route,
    /// Where to connect to; none if the profile does not know.
    pub(crate) at: Option<SocketAddr>,
    /// The address that the gate has seen.
    pub(crate) seen: Option<IpAddr>,
    pub(crate) via: &'static str,
    /// When it closes.
    pub(crate) ends: Instant,
}

impl Opening {
    pub(crate) fn new(
        open: &OpenService,
        (answered, via): (&Answered, &'static str),
        profile: &Profile,
    ) -> Self {
        let Answered { answer, route, at: heard, .. } = answered;
        let service = profile.services.iter().find(|service| service.id == open.service);
        let at = service.and_then(|service| place(service, route.to));
        Self {
            opened: Opened::new(open, profile, heard.elapsed()),
            route: *route,
            at,
            seen: answer.seen,
            via,
            ends: *heard + Duration::from_millis(open.left_ms.into()),
        }
    }

    /// Whether the service is at another machine than the gate, as far as is known.
    pub(crate) fn is_behind(&self) -> bool {
        self.at.is_some_and(|at| at.ip() != self.route.to.ip())
    }
}

/// Where a service is for those who have knocked at this address of the gate.
pub(crate) fn place(service: &ProfileService, gate: SocketAddr) -> Option<SocketAddr> {
    let host = service.address(gate.ip())?;
    // The gate's own address may have a scope.
    let address = if host == gate.ip() { gate } else { SocketAddr::new(host, 0) };
    Some(dial::with_port(address, service.port))
}

/// Has the service opened to every address family that leads to the gate.
pub(crate) fn open(session: &mut Session<'_>, wish: &mut Wish) -> Result<Vec<Opening>, Failure> {
    at_each_family(session, Kind::Open, wish)
}

/// Has the service opened to the first address that answers.
pub(crate) fn open_once(session: &mut Session<'_>, wish: &mut Wish) -> Result<Vec<Opening>, Failure> {
    act(session, Kind::Open, wish).map(|opening| vec![opening])
}

/// Has what is open stay open.
pub(crate) fn renew(session: &mut Session<'_>, wish: &mut Wish) -> Result<Vec<Opening>, Failure> {
    at_each_family(session, Kind::Renew, wish)
}

/// The same for what is open on the way that the session has found.
pub(crate) fn renew_once(session: &mut Session<'_>, wish: &mut Wish) -> Result<Opening, Failure> {
    act(session, Kind::Renew, wish)
}

/// Closes what is open, and returns what is still open after that.
pub(crate) fn close(session: &mut Session<'_>, wish: &mut Wish) -> Result<Vec<Opened>, Failure> {
    let left = families::at_each(session, |session, _| {
        let answered = converse(session, Kind::Close, wish)?;
        match answered.answer.verdict {
            Verdict::Closed => Ok(Some(still_open(session, &answered))),
            _ => Err(Failure::Unexpected),
        }
    })?;
    Ok(left.into_iter().flatten().collect())
}

fn at_each_family(session: &mut Session<'_>, kind: Kind, wish: &mut Wish) -> Result<Vec<Opening>, Failure> {
    families::at_each(session, |session, turn| {
        if turn == families::Turn::AfterSuccess && wish.codes.is_used_up() {
            session.voice.notice(
                "a code opens for one address: knock again with -4 or -6 and the next code for the other",
            );
            return Ok(None);
        }
        act(session, kind, wish).map(Some)
    })
}

fn act(session: &mut Session<'_>, kind: Kind, wish: &mut Wish) -> Result<Opening, Failure> {
    let answered = converse(session, kind, wish)?;
    let Some(open) = find(&answered.answer, wish) else {
        return Err(Failure::Unconfirmed(Doubt::NotOpen));
    };
    Ok(Opening::new(open, (&answered, answered.way.word()), &session.kept.profile))
}

/// Asks until the gate has said its last word, which is neither a refusal nor a wish of its own.
fn converse(session: &mut Session<'_>, kind: Kind, wish: &mut Wish) -> Result<Answered, Failure> {
    let &mut Wish { service, seconds, reach, grant, .. } = wish;
    let mut draft = Request { service, seconds, reach, grant, ..Request::new(kind, 0) };
    let mut confirmations = 0;
    loop {
        draft.code = wish.codes.take(session.facts, session.voice)?.or(draft.code);
        let answered = session.ask(&draft)?;
        let code = match answered.answer.verdict {
            Verdict::Granted | Verdict::Closed => return Ok(answered),
            Verdict::Confirm(token) if confirmations < CONFIRMATIONS => {
                confirmations += 1;
                draft.token = Some(token);
                continue;
            }
            Verdict::Pending => {
                wait(session, retry(&answered.answer).unwrap_or(BUSY_WAIT))?;
                continue;
            }
            Verdict::Refused(code) => code,
            Verdict::Confirm(_) | Verdict::Nothing | Verdict::Offered => return Err(Failure::Unexpected),
        };
        match Refusal::from_code(code) {
            Some(Refusal::Busy | Refusal::Overloaded) => {
                wait(session, retry(&answered.answer).unwrap_or(BUSY_WAIT))?;
            }
            Some(Refusal::CodeWanted) if draft.code.is_none() && wish.codes.want() => {}
            // The answer to the first try was lost, and the code was used up by it.
            Some(Refusal::WrongCode) if answered.tries > 1 && find(&answered.answer, wish).is_some() => {
                return Ok(answered);
            }
            Some(_) | None => return Err(refused(code, &answered.answer)),
        }
    }
}

/// What the wish was about, among what is open.
fn find<'a>(answer: &'a Answer, wish: &Wish) -> Option<&'a OpenService> {
    let named = answer.open.iter().find(|open| wish.grant != 0 && open.grant == wish.grant);
    let of_service = || answer.open.iter().find(|open| wish.service == 0 || open.service == wish.service);
    named.or_else(of_service)
}

fn still_open(session: &Session<'_>, answered: &Answered) -> Vec<Opened> {
    let age = answered.at.elapsed();
    answered.answer.open.iter().map(|open| Opened::new(open, &session.kept.profile, age)).collect()
}

/// Waits until the gate can be asked again, and says so if a person would notice.
pub(crate) fn wait(session: &mut Session<'_>, retry: Duration) -> Result<(), Failure> {
    let retry = retry.max(SHORTEST_WAIT);
    if Instant::now() + retry >= session.deadline {
        return Err(Failure::Busy { retry, patience: session.patience });
    }
    let gate = session.facts.gate_and_address();
    if retry >= NOTICEABLE {
        session.voice.notice(&format!("{gate} is busy; asking again in {}", lasting(retry)));
    }
    session.voice.step(format!("waiting for {gate}"));
    thread::sleep(retry);
    Ok(())
}

/// What an answer with this refusal means.
pub(crate) fn refused(code: u8, answer: &Answer) -> Failure {
    match Refusal::from_code(code) {
        Some(Refusal::LockedOut) => Failure::LockedOut(retry(answer).unwrap_or_default()),
        Some(Refusal::Exhausted) => Failure::Exhausted,
        Some(refusal) => Failure::Refused { refusal, wait: retry(answer).unwrap_or_default() },
        None => Failure::UnknownRefusal(code),
    }
}

/// After which time the gate wants to be asked again, if it says so.
pub(crate) fn retry(answer: &Answer) -> Option<Duration> {
    Some(Duration::from_millis(answer.retry_ms.into())).filter(|retry| !retry.is_zero())
}
