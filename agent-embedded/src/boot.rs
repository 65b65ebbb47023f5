//! A start: from flash to a gate that is up, or one that stays shut and says why.
//!
//! 1. the owner's page says whose images count,
//! 2. the journal says what was used up, and which slot is in force,
//! 3. the image there is checked, and its policies are loaded,
//! 4. the gateway is made of it.
//!
//! A new image is on trial at its first start: that is written down before it is looked at, and taken back only when the gate
//! is up. So one that brings the start down, or the machine, is not tried a second time.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt::{self, Write};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use knockgate_core::Now;
use knockgate_core::site::{OuterAddress, SiteError};
use knockgate_policy_host::{Capabilities, EngineError, PolicyEngine};
use rand_core::CryptoRng;
use smoltcp::phy::Device;
use smoltcp::wire::EthernetAddress;
use spin::Mutex;

use crate::audit::Audit;
use crate::board::{Flash, Layout, Parts, Vouch};
use crate::calendar::Calendar;
use crate::config::{Config, ConfigError};
use crate::console::Console;
use crate::court::Court;
use crate::gateway::Gateway;
use crate::heap::on_heap;
use crate::machine::{Machine, Post};
use crate::names::ServiceNames;
use crate::shut::ShutGateway;
use crate::site::{Fit, Judge, SiteRoster, Unfit, config};
use crate::storage::{
    Choice, Journal, JournalError, LayoutError, NotStored, Other, OwnerError, PolicyNumbers, Recalled, Slot,
    read_owner,
};
use crate::update::{InForce, Updater, wipe};

/// Why a gate stays shut.
#[derive(Debug)]
enum Shut {
    Layout(LayoutError),
    Owner(OwnerError),
    Journal(JournalError),
    Engine(EngineError),
    /// Neither slot has an image that is fit for use; the words were said for each.
    NoImage,
    Config(ConfigError),
    /// The board has seen starts that came to no end.
    Unfinished,
}

impl fmt::Display for Shut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Layout(error) => error.fmt(f),
            Self::Owner(error) => error.fmt(f),
            Self::Journal(error) => error.fmt(f),
            Self::Engine(error) => error.fmt(f),
            Self::NoImage => f.write_str("no image is fit for use; write one with the cable"),
            Self::Config(error) => error.fmt(f),
            Self::Unfinished => f.write_str(
                "the last two starts ended before the gate was up, as the lines before say; perhaps the site needs more memory \
                 than there is. Write one with fewer services, policies or clients with the cable, or take the power away to \
                 try again",
            ),
        }
    }
}

/// Starts. Never fails: without a site that is fit for use the machine stays shut, and says why on the board's console.
///
/// By itself, so that what a start has needed is gone from the stack when the machine runs.
#[inline(never)]
pub fn start<Outer: Device, Inner: Device, F: Flash, G: CryptoRng, C: Write>(
    parts: Parts<Outer, Inner, F, G, C>,
    now: Now,
) -> Machine<Outer, Inner, F, G, C> {
    let Parts { outer, inner, hardware, flash, layout, mut rng, console: mut wire, heap, vouch } = parts;
    say(&mut wire, format_args!("knockgate gateway {}", env!("CARGO_PKG_VERSION")));
    let opened = open(flash, layout, hardware, vouch, &mut wire).and_then(|opened| {
        let config = on_heap(|| config(&opened.found.fit.site, hardware));
        config.check(&outer, &inner).map_err(Shut::Config).map(|()| (opened, config))
    });
    match opened {
        Ok((opened, config)) => {
            let post = post(&opened, wire, rng.next_u64(), heap);
            bring_up(opened, config, (outer, inner), rng, post, now)
        }
        Err(why) => shut((outer, inner), hardware, rng, wire, why, now),
    }
}

/// Does not even try, and stays shut: for a board that has seen its last starts end before the gate was up.
pub fn stay_shut<Outer: Device, Inner: Device, F: Flash, G: CryptoRng, C: Write>(
    parts: Parts<Outer, Inner, F, G, C>,
    now: Now,
) -> Machine<Outer, Inner, F, G, C> {
    let Parts { outer, inner, hardware, rng, console, .. } = parts;
    shut((outer, inner), hardware, rng, console, Shut::Unfinished, now)
}

fn shut<Outer: Device, Inner: Device, F: Flash, G: CryptoRng, C: Write>(
    (outer, inner): (Outer, Inner),
    hardware: EthernetAddress,
    mut rng: G,
    mut wire: C,
    why: Shut,
    now: Now,
) -> Machine<Outer, Inner, F, G, C> {
    say(&mut wire, format_args!("the gate stays shut: {why}"));
    let seed = rng.next_u32();
    Machine::shut(on_heap(|| ShutGateway::new(outer, inner, hardware, seed, now.instant)))
}

/// Says a line on the console that is wired to the board. Nobody needs to listen.
pub(crate) fn say(wire: &mut impl Write, words: fmt::Arguments<'_>) {
    let _ = wire.write_fmt(words).and_then(|()| wire.write_str("\n"));
}

/// The environment of the gateway, but for the policies.
fn post<F: Flash, C>(opened: &Opened<F>, wire: C, boot: u64, heap: fn() -> (u32, u32)) -> Post<F, C> {
    let Opened { journal, judge, found, .. } = opened;
    let site = &found.fit.site;
    let services: ServiceNames = site.services().map(|service| (service.service.id, service.name)).collect();
    Post {
        journal: Arc::clone(journal),
        court: Court::new(services.clone()),
        audit: Audit::new(services),
        updater: Updater::new(Arc::clone(journal), judge.clone(), found.in_force()),
        calendar: Calendar::new(site.head.made),
        console: Console::default(),
        wire,
        printed: 0,
        boot,
        heap,
    }
}

/// Makes the gateway. `config` was checked with these ports. By itself, so that what was read to get here is gone from the stack.
#[inline(never)]
fn bring_up<Outer: Device, Inner: Device, F: Flash, G: CryptoRng, C: Write>(
    opened: Opened<F>,
    config: Box<Config>,
    (outer, inner): (Outer, Inner),
    rng: G,
    mut post: Post<F, C>,
    now: Now,
) -> Machine<Outer, Inner, F, G, C> {
    let Opened { journal, recalled, found: Found { slot, fit, standing }, .. } = opened;
    let (site, policies) = (fit.site, fit.chain.len());
    for (name, policy) in fit.chain {
        let numbers = PolicyNumbers::new(Arc::clone(&journal), &name);
        // An image with more policies than a court has seats is not fit for use.
        let _ = post.court.seat(policy, Arc::new(numbers));
    }
    let roster = SiteRoster::new(&site, &recalled);
    let (clients, addresses) = (site.client_count(), Addresses(config.ipv4, config.ipv6));
    let mut gateway = Box::new(
        Gateway::new(config, outer, inner, roster, rng, post, now.instant)
            .expect("the configuration was checked with these very ports"),
    );
    gateway.start(now);
    let post = gateway.environment_mut();
    if standing == Standing::OnTrial && post.journal.lock().choose(slot.proven()).is_err() {
        post.say(format_args!("{slot}: the flash does not take that it came up; the next start goes back"));
    }
    post.say(format_args!(
        "gate up: site {}, image {} in {slot}, at {addresses}, {clients} clients, {policies} policies",
        site.head.name, site.head.serial
    ));
    post.audit.started(now, usize::try_from(clients).unwrap_or(usize::MAX));
    post.print();
    Machine::up(gateway)
}

/// The gateway's own addresses, as people write them.
struct Addresses(Option<OuterAddress<Ipv4Addr>>, Option<OuterAddress<Ipv6Addr>>);

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let v4 = self.0.map(|v4| (IpAddr::from(v4.address), v4.prefix));
        let v6 = self.1.map(|v6| (IpAddr::from(v6.address), v6.prefix));
        for (index, (address, prefix)) in [v4, v6].into_iter().flatten().enumerate() {
            write!(f, "{}{address}/{prefix}", if index == 0 { "" } else { " and " })?;
        }
        Ok(())
    }
}

/// What a start has found in flash.
pub(crate) struct Opened<F: Flash> {
    pub(crate) journal: Arc<Mutex<Journal<F>>>,
    pub(crate) recalled: Recalled,
    pub(crate) judge: Judge,
    pub(crate) found: Found,
}

/// An image that is fit for use, and where it lies.
pub(crate) struct Found {
    pub(crate) slot: Slot,
    pub(crate) fit: Fit<'static>,
    standing: Standing,
}

/// Whether an image has ever come up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Proven,
    OnTrial,
}

impl Found {
    pub(crate) fn in_force(&self) -> InForce {
        let Self { slot, fit, .. } = self;
        InForce { slot: *slot, serial: fit.site.head.serial, gate: fit.site.head.gate }
    }
}

/// Reads everything that lasts, and finds an image that is fit for use.
#[inline(never)]
fn open<F: Flash>(
    mut flash: F,
    layout: Layout,
    hardware: EthernetAddress,
    vouch: Vouch,
    console: &mut impl Write,
) -> Result<Opened<F>, Shut> {
    layout.check::<F>(flash.capacity()).map_err(Shut::Layout)?;
    let (owner, used) = read_owner(&mut flash, &layout.owner).map_err(Shut::Owner)?;
    let (mut journal, recalled) = Journal::open(flash, layout, used).map_err(Shut::Journal)?;
    let engine = PolicyEngine::of_gateway(Capabilities::GATEWAY).map_err(Shut::Engine)?;
    let judge = Judge { owner, engine: Arc::new(engine), vouch, hardware };
    let choice = recalled.choice.unwrap_or(Choice::FIRST);
    let found = find(&mut journal, &judge, choice, console)?;
    Ok(Opened { journal: Arc::new(Mutex::new(journal)), recalled, judge, found })
}

/// The image to go by: a new one that was never tried, else the one in force, else the one before it.
fn find<F: Flash>(
    journal: &mut Journal<F>,
    judge: &Judge,
    choice: Choice,
    console: &mut impl Write,
) -> Result<Found, Shut> {
    if let Some(found) = try_new(journal, judge, choice, console) {
        return Ok(found);
    }
    let slot = choice.in_force;
    let unfit = match take_up(journal, judge, slot) {
        Ok(fit) => return Ok(Found { slot, fit, standing: Standing::Proven }),
        Err(unfit) => unfit,
    };
    say(console, format_args!("{slot}: {unfit}"));
    // Nothing at all in the slot in force is the work of the cable, too: it writes the first slot and erases the second.
    if choice.other != Other::Before && !matches!(unfit, Unfit::Site(SiteError::NotOne)) {
        return Err(Shut::NoImage);
    }
    let slot = slot.other();
    match take_up(journal, judge, slot) {
        Ok(fit) => {
            let chosen = journal.choose(Choice { in_force: slot, other: Other::Nothing });
            chosen.map_err(|NotStored| Shut::Journal(JournalError::ReadOnly))?;
            say(console, format_args!("{slot}: back to the image before"));
            Ok(Found { slot, fit, standing: Standing::Proven })
        }
        Err(unfit) => {
            say(console, format_args!("{slot}: {unfit}"));
            Err(Shut::NoImage)
        }
    }
}

/// A new image, on its first and only trial.
fn try_new<F: Flash>(
    journal: &mut Journal<F>,
    judge: &Judge,
    choice: Choice,
    console: &mut impl Write,
) -> Option<Found> {
    let slot = choice.in_force.other();
    match choice.other {
        Other::Nothing | Other::Before => return None,
        Other::New => {
            if journal.choose(choice.with(Other::Tried)).is_err() {
                say(console, format_args!("{slot}: the flash does not take that it is tried, so it is not"));
                return None;
            }
            match take_up(journal, judge, slot) {
                Ok(fit) => return Some(Found { slot, fit, standing: Standing::OnTrial }),
                Err(unfit) => say(console, format_args!("{slot}: {unfit}")),
            }
        }
        Other::Tried => {
            say(console, format_args!("{slot}: the new image did not come up; back to the one before"));
        }
    }
    give_up(journal, choice, slot, console);
    None
}

/// Forgets the image in `slot`, which no later start shall fall back to.
fn give_up<F: Flash>(journal: &mut Journal<F>, choice: Choice, slot: Slot, console: &mut impl Write) {
    let place = slot.range(journal.layout());
    let wiped = wipe(journal.flash_mut(), place).is_ok();
    if !wiped || journal.choose(choice.with(Other::Nothing)).is_err() {
        say(
            console,
            format_args!("{slot}: the flash does not take that it is given up; the board may be broken"),
        );
    }
}

fn take_up<F: Flash>(journal: &mut Journal<F>, judge: &Judge, slot: Slot) -> Result<Fit<'static>, Unfit> {
    let place = slot.range(journal.layout());
    judge.take_up(journal.flash_mut().lend(place))
}
