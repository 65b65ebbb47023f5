//! A longer way: between a lab's client and the router, every frame is kept for some time, both ways.
//!
//! The client's cable is cut and two packet sockets, which see whole frames, take the place of the joint. What the kernel leaves to a
//! network card (checksums, cutting into segments) travels with the frames, so nothing has to be computed here.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use knockgate_tests::{Family, Host, Lab, programs};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Socket, Type};

use crate::link::{self, EVERY_PROTOCOL};
use crate::segment::Moment;
use crate::sys::{self, PacketOption};

/// How often a thread without frames looks whether it is still wanted.
const LOOK_UP: Duration = Duration::from_millis(50);

/// Before a frame is due.
const AWAKE: Duration = Duration::from_micros(100);

/// The largest that passes: segments that are yet to be cut, and the note about them.
const LARGEST: usize = 70_000;

/// Ends of the cut cable, in the router's namespace.
const CLIENT_END: &str = "cut2";
const ROUTER_END: &str = "joint2";

/// Keeps frames until it is dropped; from then on there is no way at all.
pub(crate) struct DelayLine {
    is_enough: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl DelayLine {
    /// Into a new lab, so that a round trip of its client takes twice this time longer.
    pub(crate) fn cut_into(lab: &Lab, one_way: Duration) -> Result<Self> {
        cut(lab)?;
        let [client, router] = lab.net.inside(|| Ok([end(CLIENT_END)?, end(ROUTER_END)?]))?;
        let is_enough = Arc::<AtomicBool>::default();
        let ways = [(client.try_clone()?, router.try_clone()?), (router, client)];
        let threads = ways.map(|(from, to)| {
            let is_enough = Arc::clone(&is_enough);
            std::thread::spawn(move || {
                if let Err(error) = carry(&from, &to, one_way, &is_enough) {
                    eprintln!("bench: the delay line broke: {error:#}");
                }
            })
        });
        Ok(Self { is_enough, threads: threads.into() })
    }
}

impl Drop for DelayLine {
    fn drop(&mut self) {
        self.is_enough.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // One that panicked has already said so.
            let _ = thread.join();
        }
    }
}

/// The two hosts keep their addresses; both ends of the cut are deaf, so that the router answers for nobody there.
fn cut(lab: &Lab) -> Result<()> {
    let [client, router] = [&lab.client, &lab.net];
    client.ip_batch("link delete eth0")?;
    let pair = |name: &str, of: &Host, end: &str| {
        let [near, far] = [of.namespace(), router.namespace()];
        programs::run(
            "ip",
            &["link", "add", name, "netns", near, "type", "veth", "peer", "name", end, "netns", far],
        )
    };
    pair("eth0", client, CLIENT_END)?;
    pair("to2", router, ROUTER_END)?;
    let (v4, v6) = (lab.client.ip(Family::V4), lab.client.ip(Family::V6));
    for end in [CLIENT_END, ROUTER_END] {
        router.sysctl(&[(&format!("ipv6/conf/{end}/disable_ipv6"), "1")])?;
        router.ip_batch(&format!("link set {end} arp off\nlink set {end} promisc on\nlink set {end} up"))?;
    }
    router.ip_batch("addr add 10.77.2.1/24 dev to2\naddr add fd77:2::1/64 dev to2\nlink set to2 up")?;
    client.ip_batch(&format!(
        "addr add {v4}/24 dev eth0\naddr add {v6}/64 dev eth0\nlink set eth0 up\n\
         route add default via 10.77.2.1\nroute add ::/0 via fd77:2::1"
    ))
}

fn end(interface: &str) -> Result<Socket> {
    let socket = link::unbound(Type::RAW)?;
    for option in [PacketOption::IgnoreOutgoing, PacketOption::WithOffloads] {
        sys::switch_on(&socket, option).context("the kernel's packet sockets are too old for a delay")?;
    }
    link::make_room(&socket)?;
    link::bind(&socket, interface, EVERY_PROTOCOL)?;
    socket.set_nonblocking(true)?;
    // The first question turns stamping on and finds no stamp.
    let _ = sys::stamp_of_last_packet(&socket);
    Ok(socket)
}

fn carry(from: &Socket, to: &Socket, delay: Duration, is_enough: &AtomicBool) -> Result<()> {
    rustix::thread::set_current_timer_slack(NonZeroU64::new(1))?;
    let mut frames = Frames::kept_for(delay);
    let mut buffer = vec![0; LARGEST];
    while !is_enough.load(Ordering::Relaxed) {
        // A sleeper wakes late, so the last moment is spent awake: sixteen of these delays add up in one knock.
        let patience = frames.until_next(Moment::now()).map_or(LOOK_UP, |left| left.saturating_sub(AWAKE));
        let patience = Timespec { tv_sec: 0, tv_nsec: i64::try_from(patience.min(LOOK_UP).as_nanos())? };
        poll(&mut [PollFd::new(from, PollFlags::IN)], Some(&patience))?;
        while let Some(frame) = next(from, &mut buffer)? {
            frames.push(Moment::of_stamp(sys::stamp_of_last_packet(from)?), frame);
        }
        while let Some(frame) = frames.pop(Moment::now()) {
            // What finds no room is lost, as on any wire.
            let _ = to.send(&frame);
        }
    }
    Ok(())
}

fn next(mut from: &Socket, buffer: &mut [u8]) -> Result<Option<Vec<u8>>> {
    match from.read(buffer) {
        Ok(length) => Ok(buffer.get(..length).map(<[u8]>::to_vec)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Frames on their way, in order.
struct Frames {
    delay: Duration,
    waiting: VecDeque<(Moment, Vec<u8>)>,
}

impl Frames {
    fn kept_for(delay: Duration) -> Self {
        Self { delay, waiting: VecDeque::new() }
    }

    fn push(&mut self, arrived: Moment, frame: Vec<u8>) {
        self.waiting.push_back((arrived.plus(self.delay), frame));
    }

    /// The first frame, if its time has come.
    fn pop(&mut self, now: Moment) -> Option<Vec<u8>> {
        let (due, _) = self.waiting.front()?;
        if *due > now {
            return None;
        }
        self.waiting.pop_front().map(|(_, frame)| frame)
    }

    fn until_next(&self, now: Moment) -> Option<Duration> {
        self.waiting.front().map(|(due, _)| due.time_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_leave_in_order_and_never_early() {
        let at = |millis: u64| Moment::of_stamp([7, 0]).plus(Duration::from_millis(millis));
        let mut frames = Frames::kept_for(Duration::from_millis(10));
        frames.push(at(0), vec![1]);
        frames.push(at(4), vec![2]);
        assert_eq!(frames.until_next(at(0)), Some(Duration::from_millis(10)));
        assert_eq!(frames.pop(at(9)), None);
        assert_eq!(frames.pop(at(10)), Some(vec![1]));
        assert_eq!(frames.pop(at(13)), None);
        assert_eq!(frames.pop(at(20)), Some(vec![2]));
        assert_eq!(frames.until_next(at(20)), None);
    }
}
