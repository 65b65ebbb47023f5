//! Speaks with the console of a gateway: knocks for its service, connects, asks for the console, and goes on over the connection.
//!
//! The console is a service of the gateway like any other, so nothing of it can be seen without a knock, and the policy has
//! decided before anything is said. Rule: `docs/protocol.md`, section 6.10.

pub(crate) mod conversation;
pub(crate) mod log;
pub(crate) mod update;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use knockgate_core::Name;
use knockgate_core::console::{Ask, Status, Tell};
use knockgate_core::message::Verdict;
use knockgate_core::profile::{ProfileService, Protocol};
use knockgate_core::time::UnixTime;
use serde::{Deserialize, Serialize};

use crate::attempt::{Done, Target, choose, recorded, tell};
use crate::cli::Form;
use crate::code::Codes;
use crate::knock;
use crate::opening::{Opening, refused};
use crate::outcome::Failure;
use crate::print::{Facts, Report, lasting};
use crate::session::Session;
use crate::settings::Choices;
use crate::store::Store;
use crate::voice::Voice;

use conversation::{Conversation, Pace, TalkFault};
use log::{Printed, Until, Wanted};
use update::Image;

/// The service that stands for the console, unless another one is named.
const SERVICE: &str = "console";

/// What is asked of a gateway's console, as the command line says it.
pub(crate) struct ConsoleCall {
    pub(crate) profile: Name,
    /// Its service is the console's; that of the settings file is another one.
    pub(crate) choices: Choices,
    pub(crate) codes: Codes,
    pub(crate) asked: Asked,
    pub(crate) form: Form,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Status,
    Time,
    Update(PathBuf),
    Log(Wanted),
}

impl Asked {
    const fn command(&self) -> &'static str {
        match self {
            Self::Status => "console status",
            Self::Time => "console time",
            Self::Update(_) => "console update",
            Self::Log(_) => "log",
        }
    }
}

/// How a gateway says that it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Gateway {
    /// Tells one start from another.
    boot: u64,
    /// Of the site image in force.
    serial: u32,
    up_seconds: u64,
    grants: u16,
    flows: u16,
    heap_bytes: u32,
    most_heap_bytes: u32,
    room_bytes: u32,
}

/// One conversation: held, told, and written into the journal, whatever comes of it.
pub(crate) fn run(call: &ConsoleCall, voice: &Voice) -> u8 {
    let mut facts = Facts::of(call.asked.command(), call.profile.as_str());
    let store = Store::find().ok();
    let done = recorded(store.as_ref(), &mut facts, voice, |store, facts| {
        // A file that is none is told before anybody is asked for a passphrase.
        let asked = Prepared::of(&call.asked)?;
        let mut target = Target::find(store, (Some(&call.profile), &call.choices), facts, voice)?;
        let started = Instant::now();
        let mut conversation = reach(&mut target, call, facts, voice)?;
        let report = asked.hold(&mut conversation, (facts, started), voice)?;
        Ok(Done::plain(report))
    });
    match call.asked {
        // The records are what was asked for; nothing stands behind them.
        Asked::Log(_) if done.report.exit == 0 => voice.end(),
        Asked::Log(_) | Asked::Status | Asked::Time | Asked::Update(_) => tell(&done, call.form, voice),
    }
    done.report.exit
}

/// What is asked, with all that is needed for it.
enum Prepared {
    Status,
    Time,
    Update(Image),
    Log(Wanted),
}

impl Prepared {
    fn of(asked: &Asked) -> Result<Self, Failure> {
        Ok(match asked {
            Asked::Status => Self::Status,
            Asked::Time => Self::Time,
            Asked::Update(file) => Self::Update(Image::read(file).map_err(Failure::SiteImage)?),
            Asked::Log(wanted) => Self::Log(*wanted),
        })
    }

    fn hold(
        &self,
        conversation: &mut Conversation,
        (facts, started): (&Facts, Instant),
        voice: &Voice,
    ) -> Result<Report, Failure> {
        let gate = facts.gate_and_address();
        let told = |message| Report::told(facts, message, started.elapsed());
        match self {
            Self::Status => {
                let status = ask_status(conversation)?;
                let report = told(format!("{gate}: {}", sentence(&status)));
                Ok(Report { gateway: Some(Gateway::of(&status)), ..report })
            }
            Self::Time => {
                give_time(conversation)?;
                Ok(told(format!("{gate} has the time of this machine")))
            }
            Self::Update(image) => {
                update::send(conversation, image, facts, voice)?;
                Ok(told(format!(
                    "{gate} has taken site image {}, of {} bytes, and starts with it; \
                     `knockgate console status {}` tells when it is up",
                    image.serial,
                    image.bytes().len(),
                    facts.profile
                )))
            }
            Self::Log(wanted) => {
                let printed = log::print(conversation, *wanted, voice)?;
                go_on(printed, *wanted, voice);
                Ok(told(format!("{gate}: {} records, {} lost", printed.records, printed.lost)))
            }
        }
    }
}

/// Knocks for the console, connects to it, and is let in.
fn reach(
    target: &mut Target<'_>,
    call: &ConsoleCall,
    facts: &mut Facts,
    voice: &Voice,
) -> Result<Conversation, Failure> {
    let service = console_service(target, call, facts)?;
    let mut wish = target.wish(service.id, call.codes.clone());
    let mut session = target.session(voice, facts)?;
    let openings = knock::knock(&mut session, &mut wish)?;
    let mut result = Err(Failure::Unexpected);
    for opening in &openings {
        result = converse(&mut session, &service, opening);
        if !matches!(result, Err(Failure::NoConnection { .. } | Failure::Unreachable(_))) {
            break;
        }
    }
    result
}

fn console_service(
    target: &Target<'_>,
    call: &ConsoleCall,
    facts: &mut Facts,
) -> Result<ProfileService, Failure> {
    let usual = || SERVICE.parse::<Name>().map_err(|_| Failure::Unexpected);
    let name = call.choices.service.clone().map_or_else(usual, Ok)?;
    let service = choose(&target.kept.profile, Some(&name), facts)?.clone();
    match service.protocol {
        Protocol::Tcp => Ok(service),
        Protocol::Udp => Err(Failure::NoConsole(name.to_string())),
    }
}

fn converse(
    session: &mut Session<'_>,
    service: &ProfileService,
    opening: &Opening,
) -> Result<Conversation, Failure> {
    let to = opening.at.ok_or(Failure::Unexpected)?;
    session.voice.step(format!("connecting to the console of {}", session.facts.gate_and_address()));
    let (answered, mut conversation) = session.converse(service.id, (to, opening.route.from))?;
    match answered.answer.verdict {
        Verdict::Granted => {
            conversation.hurry(session.patience);
            Ok(conversation)
        }
        Verdict::Refused(code) => Err(refused(code, &answered.answer)),
        Verdict::Nothing | Verdict::Offered | Verdict::Pending => Err(Failure::Unexpected),
        Verdict::Confirm(_) | Verdict::Closed => Err(Failure::Unexpected),
    }
}

fn ask_status(conversation: &mut Conversation) -> Result<Status, Failure> {
    conversation.ask(&Ask::Status)?;
    match conversation.hear(Pace::Prompt)? {
        Tell::Status(status) => Ok(status),
        Tell::Record { .. } | Tell::End { .. } | Tell::Next { .. } | Tell::Done | Tell::Refused { .. } => {
            Err(TalkFault::NotUnderstood.into())
        }
    }
}

fn give_time(conversation: &mut Conversation) -> Result<(), Failure> {
    let micros = u64::try_from(Timestamp::now().as_microsecond()).unwrap_or_default();
    conversation.ask(&Ask::Time { now: UnixTime::from_micros(micros) })?;
    Ok(conversation.hear_done(Pace::Prompt)?)
}

/// How to fetch what comes after this.
fn go_on(printed: Printed, wanted: Wanted, voice: &Voice) {
    if wanted.until == Until::Now && printed.records > 0 {
        let last = printed.last;
        voice.notice(&format!(
            "the last record is number {last}; `--after {last}` leaves out what was printed"
        ));
    }
}

fn sentence(status: &Status) -> String {
    let &Status { serial, up, grants, flows, heap: (heap, most), room, boot: _ } = status;
    format!(
        "up for {} with site image {serial}; {grants} grants, {flows} connections; heap {heap} bytes, at most {most}; \
         room for an image of {room} bytes",
        lasting(Duration::from_secs(up))
    )
}

impl Gateway {
    fn of(status: &Status) -> Self {
        let &Status { boot, serial, up, grants, flows, heap: (heap, most), room } = status;
        Self {
            boot,
            serial,
            up_seconds: up,
            grants,
            flows,
            heap_bytes: heap,
            most_heap_bytes: most,
            room_bytes: room,
        }
    }
}

impl From<TalkFault> for Failure {
    fn from(fault: TalkFault) -> Self {
        Self::Talk(fault)
    }
}
