//! How an attempt ended: a word for programs, an exit code for scripts, a sentence for people.

mod refusals;
mod unreachable;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use knockgate_core::Refusal;
use knockgate_core::profile::Hosts;

use crate::code::CodeFault;
use crate::console::conversation::TalkFault;
use crate::console::update::ImageFault;
use crate::dial::ResolveFault;
use crate::exchange::NoAnswer;
use crate::ledger::LedgerFault;
use crate::print::{Facts, lasting};
use crate::private_file::plain;
use crate::sequence::Blocked;
use crate::settings::file::SettingsFault;
use crate::store::{StoreFault, there_are};

pub(crate) use refusals::because;
use unreachable::{unreachable_reason, unreachable_sentence};

/// The kinds of end, as scripts see them. Words and codes are never given a new meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A knock opened its service.
    Open,
    /// What was open is not any more.
    Closed,
    /// The gate answered a question of status.
    Answered,
    Failed,
    /// The command line does not say enough.
    Usage,
    NoAnswer,
    Refused,
    LockedOut,
    Busy,
    Exhausted,
    Unconfirmed,
}

impl Outcome {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Answered => "ok",
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::NoAnswer => "no-answer",
            Self::Refused => "refused",
            Self::LockedOut => "locked-out",
            Self::Busy => "busy",
            Self::Exhausted => "exhausted",
            Self::Unconfirmed => "unconfirmed",
        }
    }

    pub(crate) const fn exit_code(self) -> u8 {
        match self {
            Self::Open | Self::Closed | Self::Answered => 0,
            Self::Failed => 1,
            // Also what clap exits with.
            Self::Usage => 2,
            Self::NoAnswer => 3,
            Self::Refused => 4,
            Self::LockedOut => 5,
            Self::Busy => 6,
            Self::Exhausted => 7,
            Self::Unconfirmed => 8,
        }
    }
}

/// Why an attempt failed.
#[derive(Debug)]
pub(crate) enum Failure {
    Settings(SettingsFault),
    /// No profile was named, and the settings file names none either.
    NoProfile {
        known: Vec<String>,
        config: PathBuf,
    },
    Store(StoreFault),
    Ledger(LedgerFault),
    /// The profile has no such service.
    UnknownService {
        asked: String,
        known: Vec<String>,
    },
    /// The service is behind the gate, and has no address in a family that the gate is asked in.
    OtherFamily {
        service: String,
        hosts: Hosts,
    },
    /// The profile's keys cannot be used.
    BadKeys,
    /// The profile names no port for packet knocks.
    NoPackets,
    /// The profile names no central port.
    NoCentral,
    /// There is no code of the second factor to send.
    Code(CodeFault),
    /// The gate knocks from another book, or beyond the end of this one.
    ForeignBook {
        offered: String,
        own: String,
    },
    Resolve(ResolveFault),
    /// No address of the gate gave an answer.
    Unreachable(Vec<(SocketAddr, NoAnswer)>),
    NewerGate,
    /// An answer that makes no sense here.
    Unexpected,
    /// `wait` is how long the client is locked out for it; zero if it is not.
    Refused {
        refusal: Refusal,
        wait: Duration,
    },
    UnknownRefusal(u8),
    UsedNumber {
        number: u32,
        highest: u32,
    },
    LockedOut(Duration),
    Busy {
        retry: Duration,
        patience: Duration,
    },
    Exhausted,
    Unconfirmed(Doubt),
    /// The gate has opened the service, but it does not answer.
    ServiceSilent {
        at: String,
        patience: Duration,
    },
    /// The gate has opened the service, but there is no connection to it.
    NoConnection {
        to: String,
        source: io::Error,
    },
    /// A service of that name cannot be a console.
    NoConsole(String),
    SiteImage(ImageFault),
    /// The conversation with the console is over.
    Talk(TalkFault),
}

/// What is unclear after a knock.
#[derive(Debug)]
pub(crate) enum Doubt {
    /// A port could not be knocked, and the gate has no other explanation.
    Blocked { blocked: Blocked, ports: usize },
    /// The gate answered before, and does not any more.
    Silent,
    /// The gate remembers no knock.
    Forgotten,
    /// The gate has not decided in time.
    Undecided,
    /// The knock was granted, but the service is not among what is open.
    NotOpen,
}

impl Failure {
    /// The gate wants a code, and nobody can be asked for one.
    pub(crate) fn code_wanted() -> Self {
        Self::Refused { refusal: Refusal::CodeWanted, wait: Duration::ZERO }
    }

    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::Settings(_) | Self::Store(_) | Self::Ledger(_) | Self::UnknownService { .. } => {
                Outcome::Failed
            }
            Self::NoProfile { .. } => Outcome::Usage,
            Self::BadKeys | Self::ForeignBook { .. } | Self::OtherFamily { .. } => Outcome::Failed,
            Self::NoPackets | Self::NoCentral | Self::Code(_) => Outcome::Failed,
            Self::NoConsole(_) | Self::SiteImage(_) => Outcome::Failed,
            Self::Talk(fault) => fault.outcome(),
            Self::Resolve(_) | Self::Unreachable(_) | Self::NewerGate | Self::Unexpected => Outcome::NoAnswer,
            Self::Refused { .. } | Self::UnknownRefusal(_) | Self::UsedNumber { .. } => Outcome::Refused,
            Self::LockedOut(_) => Outcome::LockedOut,
            Self::Busy { .. } => Outcome::Busy,
            Self::Exhausted => Outcome::Exhausted,
            Self::Unconfirmed(_) | Self::ServiceSilent { .. } | Self::NoConnection { .. } => {
                Outcome::Unconfirmed
            }
        }
    }

    /// A word that says more than the outcome's; never changes.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Settings(_) => "settings",
            Self::NoProfile { .. } => "no-profile",
            Self::Store(StoreFault::Locked { .. }) => "locked",
            Self::Store(_) => "profile",
            Self::Ledger(_) => "state",
            Self::UnknownService { .. } => "unknown-service",
            Self::OtherFamily { .. } => "other-family",
            Self::BadKeys => "bad-keys",
            Self::NoPackets => "no-packets",
            Self::NoCentral => "no-central-port",
            Self::Code(_) => "code",
            Self::ForeignBook { .. } => "foreign-book",
            Self::Resolve(_) => "unresolved",
            Self::Unreachable(tries) => unreachable_reason(tries),
            Self::NewerGate => "newer-gate",
            Self::Unexpected => "unexpected-answer",
            Self::Refused { refusal, .. } => refusal.word(),
            Self::UnknownRefusal(_) => "unknown-refusal",
            Self::UsedNumber { .. } => "used-number",
            Self::LockedOut(_) => Refusal::LockedOut.word(),
            Self::Busy { .. } => Refusal::Busy.word(),
            Self::Exhausted => Refusal::Exhausted.word(),
            Self::Unconfirmed(doubt) => match doubt {
                Doubt::Blocked { .. } => "path-blocked",
                Doubt::Silent => "silence",
                Doubt::Forgotten => "forgotten",
                Doubt::Undecided => "undecided",
                Doubt::NotOpen => "not-open",
            },
            Self::ServiceSilent { .. } => "service-silent",
            Self::NoConnection { .. } => "no-connection",
            Self::NoConsole(_) => "no-console",
            Self::SiteImage(_) => "site-image",
            Self::Talk(fault) => fault.reason(),
        }
    }

    /// After which time a knock can succeed, where the gate says so.
    pub(crate) fn retry(&self) -> Option<Duration> {
        match self {
            Self::LockedOut(wait) | Self::Refused { wait, .. } | Self::Busy { retry: wait, .. } => {
                Some(*wait).filter(|wait| !wait.is_zero())
            }
            Self::Settings(_) | Self::Store(_) | Self::Ledger(_) => None,
            Self::NoProfile { .. } | Self::UnknownService { .. } | Self::BadKeys => None,
            Self::ForeignBook { .. } | Self::Resolve(_) | Self::Unreachable(_) | Self::NewerGate => None,
            Self::OtherFamily { .. } => None,
            Self::Unexpected | Self::UnknownRefusal(_) | Self::UsedNumber { .. } => None,
            Self::NoPackets | Self::NoCentral | Self::Code(_) => None,
            Self::Exhausted | Self::Unconfirmed(_) => None,
            Self::ServiceSilent { .. } | Self::NoConnection { .. } => None,
            Self::NoConsole(_) | Self::SiteImage(_) | Self::Talk(_) => None,
        }
    }

    /// What a person reads; ends with the next step.
    pub(crate) fn sentence(&self, facts: &Facts) -> String {
        let (gate, host, profile) = (facts.gate_and_address(), &facts.host, &facts.profile);
        match self {
            Self::Settings(fault) => fault.to_string(),
            Self::NoProfile { known, config } => format!(
                "no profile is named{}; name one, or choose one for always with DefaultProfile NAME in {}",
                there_are(known),
                config.display()
            ),
            Self::Store(fault) => fault.to_string(),
            Self::Ledger(fault) => fault.to_string(),
            Self::UnknownService { asked, known } => format!(
                "profile \"{profile}\" has no service \"{asked}\"; it has: {}. \
                 Ask the administrator of {host} for a profile with that service",
                known.join(", ")
            ),
            Self::OtherFamily { service, hosts } => {
                let (has, flag) = if hosts.v4.is_some() { ("IPv4", "-6") } else { ("IPv6", "-4") };
                format!(
                    "{service} is behind {host} at an {has} address alone, and {host} cannot be knocked at over {has}. Leave \
                     {flag} away, or ask the administrator for an address of each family"
                )
            }
            Self::BadKeys => format!(
                "the keys in profile \"{profile}\" cannot be used; ask the administrator of {host} for a new profile"
            ),
            Self::NoPackets => format!(
                "profile \"{profile}\" names no UDP port of the gate; leave --via packet away, \
                 or ask the administrator of {host} for a profile with packet knocks"
            ),
            Self::NoCentral => format!(
                "profile \"{profile}\" names no central port of the gate; leave --via tcp away, \
                 or ask the administrator of {host} for a profile with one"
            ),
            Self::Code(fault) => fault.to_string(),
            Self::ForeignBook { offered, own } => format!(
                "{gate} offers a number of knock book {offered}, but profile \"{profile}\" has book {own}. \
                 The client was enrolled anew; take the newer profile with `knockgate enroll FILE --name {profile} --force`"
            ),
            Self::Resolve(fault) => fault.to_string(),
            Self::Unreachable(tries) => unreachable_sentence(tries, facts),
            Self::NewerGate => {
                format!("{gate} answers in a way that this version cannot read; install a newer knockgate")
            }
            Self::Unexpected => {
                format!(
                    "{gate} answers a question that was not asked; install the same version on both sides"
                )
            }
            Self::Refused { refusal, wait } => {
                let because = because(*refusal, facts);
                let lockout = if wait.is_zero() {
                    String::new()
                } else {
                    format!(". Locked out for {}", lasting(*wait))
                };
                format!("{gate} refused{}: {because}{lockout}", asked_service(facts))
            }
            Self::UnknownRefusal(code) => format!(
                "{gate} refused{} for reason {code}, which this version does not know; install a newer knockgate",
                asked_service(facts)
            ),
            Self::UsedNumber { number, highest } => format!(
                "{gate} offers knock number {number}, but this client has used the numbers up to {highest}. \
                 Not knocked: the gate's state was set back, and a used sequence may be known to whoever listened. \
                 Ask the administrator of {host} for a new profile"
            ),
            Self::LockedOut(left) if left.is_zero() => {
                format!("{gate} has locked out this client or its address for a while; try again later")
            }
            Self::LockedOut(left) => format!(
                "{gate} has locked out this client or its address for {} more; try again after that",
                lasting(*left)
            ),
            Self::Busy { retry, patience } => format!(
                "{gate} is busy, and {} were not enough to wait: another client holds a number of this book or at this \
                 address; try again in {}, or with a longer --timeout",
                lasting(*patience),
                lasting(*retry)
            ),
            Self::Exhausted => format!(
                "every number of the knock book in profile \"{profile}\" has been used; \
                 ask the administrator of {host} for a new profile (`knockgated client add`)"
            ),
            Self::Unconfirmed(doubt) => doubt.sentence(facts),
            Self::ServiceSilent { at, patience } => format!(
                "{gate} has opened{}, but {at} accepted no connection within {}. Either the service is not \
                 running, or connections leave from another address than the knock; \
                 `knockgate doctor {profile}` tells which address the gate sees",
                asked_service(facts),
                lasting(*patience)
            ),
            Self::NoConnection { to, source } => format!(
                "{gate} has opened{}, but there is no connection to {to}: {}. Either the service is not running, \
                 or {to} is not what was opened; ask with `knockgate status {profile}`",
                asked_service(facts),
                plain(source)
            ),
            Self::NoConsole(service) => format!(
                "{service} is a UDP service, and a console is spoken with over TCP; name the console's with --service"
            ),
            Self::SiteImage(fault) => fault.to_string(),
            Self::Talk(fault) => fault.sentence(facts),
        }
    }
}

impl Doubt {
    fn sentence(&self, facts: &Facts) -> String {
        let (gate, host, profile) = (facts.gate_and_address(), &facts.host, &facts.profile);
        let service = facts.service.as_deref().unwrap_or("the service");
        let number = facts.number.unwrap_or_default();
        match self {
            Self::Blocked { blocked: Blocked { port, position, source }, ports } => format!(
                "knock {position} of {ports} failed: TCP port {port} of {gate}: {}. Either something on the way blocks \
                 that port, or the gate stopped waiting for this sequence; try again, and if the same ports fail from \
                 another network too, ask the administrator of {host} for another port range (sequence.port-range)",
                plain(source)
            ),
            Self::Silent => format!(
                "knocked number {number}, but then {gate} answered no more, so {service} may be open or not. \
                 Either the gate or the network went down; ask with `knockgate status {profile}`"
            ),
            Self::Forgotten => format!(
                "knocked number {number}, but {gate} remembers no knock. Either it was restarted meanwhile, or its \
                 answer came too late; try again"
            ),
            Self::Undecided => format!(
                "knocked number {number}, but {gate} has not decided yet; ask with `knockgate status {profile}`"
            ),
            Self::NotOpen => format!(
                "{gate} granted the knock, but {service} is not among what it opened for this address; \
                 ask the administrator of {host} what the policy opens"
            ),
        }
    }
}

fn asked_service(facts: &Facts) -> String {
    facts.service.as_ref().map(|service| format!(" {service}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        let mut facts = Facts::of("knock", "home");
        (facts.host, facts.port) = ("gate.example".to_owned(), 62201);
        facts.service = Some("ssh".to_owned());
        facts
    }

    #[test]
    fn every_refusal_has_a_sentence_with_a_next_step() {
        for refusal in Refusal::ALL {
            let sentence = Failure::Refused { refusal, wait: Duration::ZERO }.sentence(&facts());
            assert!(sentence.starts_with("gate.example refused ssh: "), "{sentence}");
            assert!(sentence.contains("; "), "no next step: {sentence}");
        }
    }

    #[test]
    fn silence_outweighs_a_refused_connection_in_the_explanation() {
        let refused = || NoAnswer::Connect(io::ErrorKind::ConnectionRefused.into());
        let (v4, v6) = ("192.0.2.7:62201".parse().unwrap(), "[2001:db8::1]:62201".parse().unwrap());
        #[rustfmt::skip]
        let cases = [
            (1, vec![(v6, refused())], "unreachable", "Either the gate is down"),
            (2, vec![(v6, refused()), (v4, NoAnswer::Silence)], "silence", "not on the gate's roster"),
            (3, vec![(v6, NoAnswer::NotTheGate), (v4, NoAnswer::Silence)], "not-the-gate", "another machine"),
        ];
        for (case, tries, reason, part) in cases {
            let failure = Failure::Unreachable(tries);
            assert_eq!(failure.reason(), reason, "case {case}");
            assert!(failure.sentence(&facts()).contains(part), "case {case}");
            assert_eq!(failure.outcome().exit_code(), 3, "case {case}");
        }
    }

    #[test]
    fn every_outcome_has_its_own_word() {
        let all = [
            Outcome::Open,
            Outcome::Closed,
            Outcome::Answered,
            Outcome::Failed,
            Outcome::Usage,
            Outcome::NoAnswer,
            Outcome::Refused,
            Outcome::LockedOut,
            Outcome::Busy,
            Outcome::Exhausted,
            Outcome::Unconfirmed,
        ];
        let mut words: Vec<_> = all.map(Outcome::word).to_vec();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), all.len());
    }
}
