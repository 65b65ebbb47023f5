//! Every size and time of the gateway in one place, each with its reason. Those of the protocol are in
//! [`knockgate_core::limits`].

use core::time::Duration;

use knockgate_core::channel::MAX_FRAME;
use knockgate_core::limits::MESSAGE_LEN;

/// Questions without an answer. Each is answered in the turn that it came in.
pub const EXCHANGES: usize = HANDSHAKES_PER_POLL;
/// Answers to packet knocks that wait for a port that is busy. Who gets none asks again.
pub const ANSWERS: usize = 4;
/// Clients that knock at the same time, or whose result is still remembered.
pub const HOLDS: usize = 16;
/// Grants that are open at the same time.
pub const GRANTS: usize = 64;
/// Lockouts: a client and its address take two.
pub const LOCKOUTS: usize = 64;
/// Connections through the bridge that are remembered.
pub const FLOWS: usize = 512;
/// Of those, how many one address outside may have while others want their places.
pub const FLOWS_PER_SOURCE: usize = FLOWS / 4;
/// Packets from outside that come in fragments, at the same time. Each may take as long as [`FRAGMENT_WAIT`].
pub const FRAGMENTS: usize = 32;
/// Of those, how many one address outside may have while others want their places.
pub const FRAGMENTS_PER_SOURCE: usize = FRAGMENTS / 4;
/// Stretches of a fragmented packet that have come while there are gaps between them. A path that shuffles fragments more than
/// that loses some.
pub const STRETCHES: usize = 4;
/// Machines inside that ask for an address at the same time.
pub const DHCP_WAITS: usize = 16;

/// Connections at the central port. A stranger's is given up for a newcomer, so this need only outlast one round trip. Each takes
/// 800 bytes of memory.
pub const CENTRAL_SOCKETS: usize = 8;
/// Connections at decoys. A holder has one at a time, and one or two that are still being closed.
pub const DECOY_SOCKETS: usize = 8;
/// Bytes of a socket's buffer, each way: one message, and no segment of it is cut.
pub const SOCKET_BUFFER: usize = MESSAGE_LEN;
/// Bytes of the buffer of a decoy's socket, each way. Nothing is said there.
pub const DECOY_BUFFER: usize = 16;
/// Bytes of the console's buffer, each way: the longest message of a conversation.
pub const CONSOLE_BUFFER: usize = MAX_FRAME + 64;
/// How often in one turn the console hears and speaks. Each time moves a whole buffer at most.
pub const CONSOLE_STEPS: usize = 4;
/// How long a conversation with the console may be silent. A client that only watches asks every few seconds.
pub const CONSOLE_IDLE: Duration = Duration::from_secs(60);

/// Frames that one call of [`Gateway::poll`](crate::Gateway::poll) takes from each port: at 100 Mbit/s and full size, 4 ms
/// of traffic.
pub const FRAMES_PER_POLL: usize = 32;
/// How long a port that takes no frame holds up the other one. A card has sent what it holds in a few milliseconds at 10 Mbit/s;
/// longer than that the cable is not plugged in.
pub const LONGEST_JAM: Duration = Duration::from_millis(20);
/// Messages that are not noise and that one call of [`Gateway::poll`](crate::Gateway::poll) takes. Each costs the public-key work of a
/// handshake, perhaps a policy and a write to flash: milliseconds on a microcontroller.
pub const HANDSHAKES_PER_POLL: usize = 2;

/// How long a silent connection is kept, at the central port as at a decoy. A client needs one round trip of it. The Linux
/// agent waits as long.
pub const LINGER: Duration = Duration::from_secs(10);
/// How long the other side may take to agree to a closing.
pub const CLOSING: Duration = Duration::from_secs(10);

/// How often the gateway looks which grants are in use, and forgets flows that are over. The Linux agent looks as often.
pub const LOOK: Duration = Duration::from_secs(1);

/// How long a flow may be silent before both sides have spoken: one more than TCP's usual tries at 1, 3, 7 and 15 s.
pub const FLOW_OPENING: Duration = Duration::from_secs(30);
/// How long an established TCP connection may be silent. Source: RFC 5382, REQ-5 asks for 2 hours 4 minutes at least.
pub const FLOW_TCP_IDLE: Duration = Duration::from_secs(2 * 3600 + 4 * 60);
/// How long an established UDP flow may be silent. Source: RFC 4787, REQ-5 asks for 2 minutes and recommends 5.
pub const FLOW_UDP_IDLE: Duration = Duration::from_secs(300);
/// How long an echo's reply may take. Source: RFC 5508, REQ-2 asks for 60 seconds at least.
pub const FLOW_ECHO_IDLE: Duration = Duration::from_secs(60);
/// How long a TCP connection may be silent when one side has said all it had to say. Source: RFC 5382, REQ-5 asks for 4
/// minutes at least.
pub const FLOW_HALF_CLOSED: Duration = Duration::from_secs(240);
/// How long a TCP connection is known after both sides' FIN or one's RST: acknowledgements and retransmissions still pass.
pub const FLOW_CLOSING: Duration = Duration::from_secs(60);

/// How long the fragments of a packet may take. Source: RFC 8200, section 4.5.
pub const FRAGMENT_WAIT: Duration = Duration::from_secs(60);
/// Bytes of a fragment that is not the last one. Links have room for 576 bytes at least; smaller ones are made to hide what they
/// carry.
pub const SMALLEST_FRAGMENT: u16 = 256;
/// How long an answer to a question for an address may take. Source: RFC 2131, section 4.1: a client's last try waits 64 s.
pub const DHCP_WAIT: Duration = Duration::from_secs(64);
