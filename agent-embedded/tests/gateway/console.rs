//! The console's port: invisible without a grant, and a conversation with one.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use knockgate_core::Refusal;
use knockgate_core::message::{Kind, Mode, Verdict};
use knockgate_gateway::limits::{CONSOLE_IDLE, LINGER};
use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp::State;

use crate::bridge::connects;
use crate::knocker::{Knocker, converse};
use crate::world::{
    CENTRAL, CONSOLE, CONSOLE_PORT, GATEWAY_V4, GATEWAY_V6, Who, World, with_console, with_packets,
};

const FAMILIES: [IpAddr; 2] = [GATEWAY_V4, GATEWAY_V6];

fn world() -> World {
    World::changed(Mode::Connect, |config| {
        with_console(config);
        with_packets(config);
    })
}

/// Alice, with the console open to her.
fn admitted(world: &mut World, gateway: IpAddr) -> Knocker {
    // Past all that she has asked before.
    let counter = 10 * world.gateway.environment().stored.len() as u64;
    let mut alice = Knocker::starting_at(world, gateway, counter).for_service(CONSOLE);
    let answer = alice.packet(world, Kind::Open, 60, 1).expect("an answer");
    assert_eq!(answer.verdict, Verdict::Granted);
    alice
}

fn called(world: &mut World, gateway: IpAddr) -> SocketHandle {
    let (handle, answer) = admitted(world, gateway).call(world, CONSOLE_PORT).expect("an answer");
    assert_eq!(answer.verdict, Verdict::Granted);
    handle
}

fn visits(world: &World) -> (usize, usize) {
    world.gateway.environment().visits
}

fn says(world: &mut World, handle: SocketHandle, words: &[u8]) -> bool {
    world.host(Who::Alice).socket(handle).send_slice(words).unwrap();
    world.run_until(Duration::from_secs(3), |world| world.gateway.environment().heard.ends_with(words))
}

#[test]
fn the_consoles_port_is_met_with_silence_without_a_grant() {
    for gateway in FAMILIES {
        let mut world = world();
        let console = SocketAddr::new(gateway, CONSOLE_PORT);
        assert!(connects(&mut world, Who::Alice, console).is_none(), "shut before");
        Knocker::new(&world, gateway).packet(&mut world, Kind::Open, 60, 1).expect("an answer");
        assert!(
            connects(&mut world, Who::Alice, console).is_none(),
            "another service is none of its business"
        );
        admitted(&mut world, gateway);
        assert!(connects(&mut world, Who::Mallory, console).is_none(), "a grant is for one source");
        assert!(connects(&mut world, Who::Alice, console).is_some());
        world.pass(Duration::from_secs(61));
        assert!(connects(&mut world, Who::Alice, console).is_none(), "shut afterwards");
    }
}

#[test]
fn bytes_go_both_ways_in_any_pieces_and_longer_than_the_grant() {
    for gateway in FAMILIES {
        let mut world = world();
        let handle = called(&mut world, gateway);
        assert_eq!(visits(&world), (1, 0));
        assert!(says(&mut world, handle, &[7; 3_000]));
        let speech: Vec<u8> = (0..10_000_u32).map(|n| (n % 251) as u8).collect();
        world.gateway.environment_mut().to_say.extend(&speech);
        let mut heard = Vec::new();
        world.run_until(Duration::from_secs(30), |world| {
            heard.extend(world.host(Who::Alice).read(handle));
            heard.len() >= speech.len()
        });
        assert_eq!(heard, speech);
        for _ in 0..5 {
            world.pass(CONSOLE_IDLE / 3);
            assert!(says(&mut world, handle, b"still here"));
        }
        assert!(world.gateway.gate().open_grants().next().is_none(), "the grant is long over");
        assert_eq!(visits(&world), (1, 0));
        world.host(Who::Alice).socket(handle).close();
        assert!(world.run_until(LINGER, |world| visits(world) == (1, 1)), "he has left");
    }
}

#[test]
fn a_conversation_ends_when_it_is_over_or_silent_or_cut_off() {
    let mut world = world();
    let gone = |world: &mut World, handle| {
        let closed = [State::CloseWait, State::Closed];
        world.run_until(LINGER, |world| closed.contains(&world.host(Who::Alice).state(handle)))
    };

    let handle = called(&mut world, GATEWAY_V4);
    assert!(says(&mut world, handle, b"over"));
    assert!(gone(&mut world, handle), "over");
    world.host(Who::Alice).socket(handle).close();
    assert!(world.run_until(LINGER, |world| visits(world) == (1, 1)));
    world.gateway.environment_mut().heard.clear();
    world.pass(LINGER);

    let handle = called(&mut world, GATEWAY_V4);
    world.pass(CONSOLE_IDLE);
    assert!(gone(&mut world, handle), "silent");
    assert_eq!(visits(&world), (2, 2));
    world.host(Who::Alice).socket(handle).close();
    world.pass(LINGER);

    let handle = called(&mut world, GATEWAY_V4);
    world.host(Who::Alice).socket(handle).abort();
    assert!(world.run_until(LINGER, |world| visits(world) == (3, 3)), "cut off");
}

#[test]
fn there_is_one_conversation_at_a_time() {
    let mut world = world();
    let handle = called(&mut world, GATEWAY_V4);
    let console = SocketAddr::new(GATEWAY_V4, CONSOLE_PORT);
    assert!(connects(&mut world, Who::Alice, console).is_none(), "the port is taken");
    assert!(says(&mut world, handle, b"good day"));
    assert_eq!(visits(&world), (1, 0));
}

#[test]
fn whoever_is_silent_or_talks_nonsense_is_kept_in_silence_and_closed_after_a_while() {
    for words in [&[][..], &[0x55; 200]] {
        let mut world = world();
        admitted(&mut world, GATEWAY_V4);
        let handle = connects(&mut world, Who::Alice, SocketAddr::new(GATEWAY_V4, CONSOLE_PORT)).unwrap();
        world.host(Who::Alice).socket(handle).send_slice(words).unwrap();
        world.pass(LINGER / 2);
        assert_eq!(world.host(Who::Alice).state(handle), State::Established);
        assert!(world.run_until(LINGER, |world| world.host(Who::Alice).state(handle) == State::CloseWait));
        assert_eq!((world.host(Who::Alice).read(handle), visits(&world)), (vec![], (0, 0)));
    }
}

#[test]
fn nowhere_else_is_a_console_and_what_was_asked_before_is_met_with_silence() {
    let mut world = world();
    let mut alice = admitted(&mut world, GATEWAY_V4);
    assert!(alice.call(&mut world, CENTRAL).is_none(), "at the central port nobody goes on");
    assert_eq!(visits(&world), (0, 0));
    let sealed = Knocker::new(&world, GATEWAY_V4).sealed();
    assert!(converse(&mut world, Who::Alice, SocketAddr::new(GATEWAY_V4, CONSOLE_PORT), &sealed).is_none());
    assert_eq!(world.gateway.gate().refusals().of(Refusal::Replayed), 1);
}

#[test]
fn other_questions_are_answered_at_the_console_as_anywhere() {
    let mut world = world();
    admitted(&mut world, GATEWAY_V4);
    let mut alice = Knocker::starting_at(&world, GATEWAY_V4, 100).asking_at(CONSOLE_PORT);
    assert_eq!(alice.status(&mut world).verdict, Verdict::Nothing);
    assert_eq!(visits(&world), (0, 0));
}
