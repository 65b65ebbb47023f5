//! Every size and time of the gateway in one place, each with its reason. Those of the protocol are in
//! [`knockgate_core::limits`].

use core::time::Duration;

/// Questions without an answer. Each lasts as long as one write to flash.
pub const EXCHANGES: usize = 8;
/// Clients that knock at the same time, or whose result is still remembered.
pub const HOLDS: usize = 16;
/// Grants that are open at the same time.
pub const GRANTS: usize = 64;
/// Lockouts: a client and its address take two.
pub const LOCKOUTS: usize = 64;
/// Established connections through the bridge.
pub const FLOWS: usize = 512;

/// Connections at the central port. A stranger's is given up for a newcomer, so this need only outlast one round trip.
pub const CENTRAL_SOCKETS: usize = 16;
/// Connections at decoys. A holder has one at a time, and one or two that are still being closed.
pub const DECOY_SOCKETS: usize = 16;
/// Bytes of a socket's buffer, each way: one message, and no segment of it is cut.
pub const SOCKET_BUFFER: usize = 256;

/// Frames that one call of [`Gateway::poll`](crate::Gateway::poll) takes from each port: at 100 Mbit/s and full size, 4 ms
/// of traffic.
pub const FRAMES_PER_POLL: usize = 32;

/// How long a silent connection is kept, at the central port as at a decoy. A client needs one round trip of it. The Linux
/// agent waits as long.
pub const LINGER: Duration = Duration::from_secs(10);
/// How long the other side may take to agree to a closing.
pub const CLOSING: Duration = Duration::from_secs(10);

/// How long a flow may be silent before both sides have spoken: one more than TCP's usual tries at 1, 3, 7 and 15 s.
pub const FLOW_OPENING: Duration = Duration::from_secs(30);
/// How long an established TCP connection may be silent. Source: RFC 5382, REQ-5 asks for 2 hours 4 minutes at least.
pub const FLOW_TCP_IDLE: Duration = Duration::from_secs(2 * 3600 + 4 * 60);
/// How long an established UDP flow may be silent. Source: RFC 4787, REQ-5 asks for 2 minutes and recommends 5.
pub const FLOW_UDP_IDLE: Duration = Duration::from_secs(300);
/// How long a TCP connection is known after its first FIN or RST: acknowledgements and retransmissions still pass.
pub const FLOW_CLOSING: Duration = Duration::from_secs(60);
