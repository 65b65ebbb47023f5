//! Connections through the bridge, between real stacks.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use knockgate_core::message::Mode;
use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp::State;

use crate::knocker::Knocker;
use crate::world::{GATEWAY_V4, GATEWAY_V6, Who, World};

const SOON: Duration = Duration::from_secs(3);

pub(crate) fn machine(world: &mut World, family: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(world.host(Who::Machine).address_towards(family), port)
}

pub(crate) fn connects(world: &mut World, who: Who, to: SocketAddr) -> Option<SocketHandle> {
    let handle = world.host(who).connect(to);
    let connected = world.run_until(SOON, |world| world.host(who).state(handle) == State::Established);
    if !connected {
        world.host(who).forget(handle);
    }
    connected.then_some(handle)
}

pub(crate) fn says(
    world: &mut World,
    from: (Who, SocketHandle),
    to: (Who, SocketHandle),
    words: &[u8],
) -> bool {
    world.host(from.0).socket(from.1).send_slice(words).unwrap();
    let mut heard = Vec::new();
    world.run_until(SOON, |world| {
        heard.extend(world.host(to.0).read(to.1));
        heard == words
    })
}

#[test]
fn a_guarded_service_is_reached_under_a_grant_and_the_connection_outlives_it() {
    for family in [GATEWAY_V4, GATEWAY_V6] {
        let mut world = World::new(Mode::Connect);
        let ssh = machine(&mut world, family, 22);
        let server = world.host(Who::Machine).listen(22);
        assert!(connects(&mut world, Who::Alice, ssh).is_none(), "shut before");

        Knocker::new(&world, family).knock(&mut world, 20);

        assert!(connects(&mut world, Who::Mallory, ssh).is_none(), "a grant is for one source");
        let client = connects(&mut world, Who::Alice, ssh).expect("open to the knocker");
        let (client, server) = ((Who::Alice, client), (Who::Machine, server));
        assert!(says(&mut world, client, server, b"SSH-2.0-client"));
        assert!(says(&mut world, server, client, b"SSH-2.0-server"));

        world.pass(Duration::from_secs(600));
        assert!(!world.allows(Who::Alice, family, 22));
        world.host(Who::Machine).listen(22);
        assert!(connects(&mut world, Who::Alice, ssh).is_none(), "shut afterwards");
        assert!(says(&mut world, client, server, b"uptime"), "what was begun goes on");
        assert!(says(&mut world, server, client, b"10 minutes"));
    }
}

#[test]
fn a_connection_begun_inside_passes_and_its_answers_too() {
    for family in [GATEWAY_V4, GATEWAY_V6] {
        let mut world = World::new(Mode::Connect);
        let server = world.host(Who::Mallory).listen(443);
        let to = SocketAddr::new(world.host(Who::Mallory).address_towards(family), 443);
        let client = connects(&mut world, Who::Machine, to).expect("frames from inside pass");
        assert!(says(&mut world, (Who::Machine, client), (Who::Mallory, server), b"hello"));
        assert!(says(&mut world, (Who::Mallory, server), (Who::Machine, client), b"good day"));
    }
}
