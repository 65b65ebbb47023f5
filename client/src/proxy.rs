//! For ssh's `ProxyCommand`: knocks, connects, and is the connection from then on.
//!
//! Nothing but the stream is written to stdout. The connection leaves from the address that has knocked.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use knockgate_core::Name;
use knockgate_core::profile::{Hosts, Profile, ProfileService, Protocol};

use crate::attempt::{Done, Target, choose, recorded};
use crate::code::Codes;
use crate::dial::{self, CONNECT_WAIT};
use crate::knock;
use crate::opening::Opening;
use crate::outcome::{Failure, Outcome};
use crate::print::{Facts, Report, host_and_port};
use crate::private_file::plain;
use crate::settings::{Choices, Family};
use crate::store::Store;
use crate::voice::{Loudness, Voice};

/// As much as a pipe holds.
const CHUNK: usize = 64 * 1024;
/// How long a name may take to be looked up.
const LOOK_UP: Duration = Duration::from_secs(10);

/// What shall be done, as the command line says it.
pub(crate) struct ProxyCall {
    pub(crate) profile: Name,
    pub(crate) choices: Choices,
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// Returns the exit code.
pub(crate) fn run(call: &ProxyCall) -> u8 {
    let voice = Voice::new(Loudness::Quiet);
    let mut facts = Facts::of("proxy", call.profile.as_str());
    let store = Store::find().ok();
    let mut stream = None;
    let done = recorded(store.as_ref(), &mut facts, &voice, |store, facts| {
        let mut target = Target::find(store, (Some(&call.profile), &call.choices), facts, &voice)?;
        let started = Instant::now();
        let opening = open(&mut target, call, facts, &voice)?;
        stream = Some(connect(&opening, call, facts)?);
        Ok(Done::plain(Report::opened(facts, &[opening], started.elapsed())))
    });
    let Some(stream) = stream else {
        voice.error(&done.report.message);
        return done.report.exit;
    };
    match splice(stream) {
        Ok(()) => 0,
        Err(error) => {
            let to = host_and_port(&call.host, call.port);
            voice.error(&format!("the connection to {to} broke: {}; connect again", plain(&error)));
            Outcome::Failed.exit_code()
        }
    }
}

fn open(
    target: &mut Target<'_>,
    call: &ProxyCall,
    facts: &mut Facts,
    voice: &Voice,
) -> Result<Opening, Failure> {
    let named = call.choices.service.clone();
    let meant = named.or_else(|| at_port(&target.kept.profile, call));
    let service = match meant {
        Some(name) => choose(&target.kept.profile, Some(&name), facts)?.clone(),
        None => target.service(facts)?,
    };
    let mut wish = target.wish(service.id, Codes::IfWanted);
    let mut session = target.session(voice, facts)?;
    session.keep_to(&service)?;
    let openings = knock::knock_once(&mut session, &mut wish)?;
    openings.into_iter().next().ok_or(Failure::Unexpected)
}

/// The service that listens at the port. Several machines behind a gate may have one there: then the one whose address it is.
fn at_port(profile: &Profile, call: &ProxyCall) -> Option<Name> {
    let is_there = |service: &&ProfileService| service.port == call.port && service.protocol == Protocol::Tcp;
    let mut there: Vec<_> = profile.services.iter().filter(is_there).collect();
    if there.len() > 1 {
        let addresses = look_up(call, Family::Any).unwrap_or_default();
        let is_meant = |service: &ProfileService| {
            addresses.iter().any(|address| service.address(address.ip()) == Some(address.ip()))
        };
        // The sort is stable: if nobody's address is meant, it is the profile's first one.
        there.sort_by_key(|service| service.hosts == Hosts::AT_GATE || !is_meant(service));
    }
    there.first().map(|service| service.name.clone())
}

fn look_up(call: &ProxyCall, family: Family) -> Result<Vec<SocketAddr>, Failure> {
    dial::resolve(&call.host, call.port, family, Instant::now() + LOOK_UP).map_err(Failure::Resolve)
}

fn connect(opening: &Opening, call: &ProxyCall, facts: &Facts) -> Result<TcpStream, Failure> {
    let gate = opening.route.to;
    let family = if gate.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 };
    let mut addresses = match opening.at {
        // Whoever names the gate means what is behind it.
        Some(at) if opening.is_behind() && call.host == facts.host => vec![dial::with_port(at, call.port)],
        Some(_) | None => look_up(call, family)?,
    };
    // Where the name is the gate's own, it is the address that was opened.
    addresses.sort_by_key(|address| address.ip() != gate.ip());
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match connect_to(address, opening) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(Failure::NoConnection { to: host_and_port(&call.host, call.port), source: last })
}

fn connect_to(address: SocketAddr, opening: &Opening) -> io::Result<TcpStream> {
    let stream = dial::connect(address, Some(opening.route.from), CONNECT_WAIT)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Passes bytes both ways until the other side has said everything. That stdin ends is passed on, and ends nothing here.
fn splice(stream: TcpStream) -> io::Result<()> {
    let mut outgoing = stream.try_clone()?;
    thread::spawn(move || {
        // A connection that the other side has closed is noticed where it is read.
        let _ = copy(&mut io::stdin().lock(), &mut outgoing);
        let _ = outgoing.shutdown(Shutdown::Write);
    });
    copy(&mut &stream, &mut io::stdout().lock())
}

fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = match from.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        to.write_all(chunk.get(..read).unwrap_or_default())?;
        to.flush()?;
    }
}
