//! Every limit of the protocol in one place, each with its unit and its reason.
//!
//! Table sizes are not here: they are const generics of [`Gate`](crate::Gate), because a server and a microcontroller
//! differ in nothing else. Rule: `docs/protocol.md`, section 9.

use core::ops::RangeInclusive;
use core::time::Duration;

/// Bytes of every message, both ways. Fixed, so that length tells nothing and an answer is never longer than its question.
pub const MESSAGE_LEN: usize = 200;
/// Bytes of the random XChaCha20 nonce in front of a message. 192 bits: random nonces do not collide.
pub const NONCE_LEN: usize = 24;
/// Bytes of a Poly1305 tag.
pub const TAG_LEN: usize = 16;
/// Bytes inside the envelope: one Noise message.
pub const INNER_LEN: usize = MESSAGE_LEN - NONCE_LEN - TAG_LEN;
/// Bytes of an X25519 key.
pub const KEY_LEN: usize = 32;
/// Bytes of a request in the first Noise message: 160 less `e` (32), sealed `s` (48) and a tag (16).
pub const REQUEST_LEN: usize = INNER_LEN - KEY_LEN - (KEY_LEN + TAG_LEN) - TAG_LEN;
/// Bytes of an answer in the second Noise message: 160 less `e` (32) and a tag (16).
pub const ANSWER_LEN: usize = INNER_LEN - KEY_LEN - TAG_LEN;
/// Door keys that are valid at the same time: the current one and, while it is being changed, the one before.
pub const MAX_DOOR_KEYS: usize = 2;

/// Ports of one sequence. Fewer than three can be guessed in an afternoon; more than sixteen only cost time.
pub const SEQUENCE_LENGTHS: RangeInclusive<u8> = 3..=16;
/// Longest sequence, as a table size.
pub const MAX_SEQUENCE: usize = 16;
/// Decoy ports of a gate. Sixteen is the least that makes a sequence of three worth anything; 1024 keeps the kernel's set small.
pub const DECOY_COUNTS: RangeInclusive<u16> = 16..=1024;
/// Most decoys, as a table size.
pub const MAX_DECOYS: usize = 1024;
/// Knocks in one book. 65 536 is sixty years of three knocks a day.
pub const BOOK_COUNTS: RangeInclusive<u32> = 1..=65_536;
/// The paper's figures: knocks in a book, ports in a knock, decoys. Source: the port-knocking paper, its section on the knock file.
pub const DEFAULT_BOOK_COUNT: u32 = 1000;
/// See [`DEFAULT_BOOK_COUNT`].
pub const DEFAULT_SEQUENCE: u8 = 6;
/// See [`DEFAULT_BOOK_COUNT`].
pub const DEFAULT_DECOYS: u16 = 100;
/// Ports to draw decoys from: above the well-known services, below Linux's ephemeral range (32 768), so that neither a
/// daemon nor the host's own connections meet a decoy.
pub const DEFAULT_PORTS: RangeInclusive<u16> = 10_000..=32_767;
/// A book is low when this share of it is left: one in ten, and at least [`LOW_WATER_MIN`].
pub const LOW_WATER_DIVISOR: u32 = 10;
/// Least numbers that count as low: a client that knocks three times a day still has a week.
pub const LOW_WATER_MIN: u32 = 20;

/// How long a number may be held, from the answer to the last port. Ten seconds is six connects at 500 ms, three times.
pub const DEFAULT_HOLD: Duration = Duration::from_secs(10);
/// Longest and shortest hold that can be configured.
pub const HOLDS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(60);
/// The lockout of the paper.
pub const DEFAULT_LOCKOUT: Duration = Duration::from_secs(60);
/// Longest lockout, asked by a policy or configured: a day. Longer is removal from the roster, which a person does.
pub const MAX_LOCKOUT: Duration = Duration::from_secs(86_400);
/// Wrong probes that `closed` mode forgives, since anyone can forge one.
pub const DEFAULT_STRAYS: u8 = 2;
/// Most strays that can be forgiven. More would let a guesser walk through the decoys.
pub const MAX_STRAYS: u8 = 16;
/// Probes that are kept of one attempt for the audit log: the longest sequence and as many wrong ones.
pub const MAX_SEEN: usize = 2 * MAX_SEQUENCE;
/// Pause that a client leaves between two probes of `closed` mode. Long enough to keep their order on most paths.
pub const PROBE_GAP: Duration = Duration::from_millis(15);

/// Static sequences of one gate. As many as there are bits in a word; a gate that needs more wants books.
pub const MAX_STATIC_SEQUENCES: usize = 16;
/// Shortest and longest time from the first step of a static sequence to its last: a client on a slow link needs a second or
/// two, and a person who types the commands less than a minute.
pub const STATIC_WITHIN: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(60);
/// Probes of other watched ports that an attempt at a static sequence forgives, since anyone can forge one. A scan of all ports
/// touches more.
pub const STATIC_STRAYS: u8 = 2;
/// Messages that a source prefix may send at once before any of them is authenticated: a client's tries, for a few clients
/// behind one address.
pub const BUDGET_BURST: u32 = 32;
/// After this time it may send another one: 16 a second, of the thousands of handshakes that one processor opens.
pub const BUDGET_PERIOD: Duration = Duration::from_micros(62_500);

/// How far ahead of the gate's clock a counter may be and still be of the present. A clock set to the wrong half of the day
/// or to the wrong time zone is off by less.
pub const MAX_AHEAD: Duration = Duration::from_secs(86_400);
/// Leases of unclean stops that a gate remembers; more are merged, which only refuses more.
pub const MAX_BURNT: usize = 16;
/// How far on a client's counter jumps when a question got no answer: past every lease, so that no crash of the gate keeps
/// it out for longer than one try.
pub const COUNTER_JUMP: Duration = Duration::from_secs(120);
/// Longest lease, from its first to its last counter, as time.
pub const MAX_LEASE: Duration = COUNTER_JUMP;
/// How long a client may take to send a confirmation back: at least this, at most twice this.
pub const CONFIRMATION: Duration = Duration::from_secs(10);
/// Bytes of a confirmation token. It is tried online, by an enrolled client, once for every counter: 64 bits are plenty.
pub const TOKEN_LEN: usize = 8;
/// Length of a second factor's time step. Source: RFC 6238, section 5.2.
pub const CODE_STEP: Duration = Duration::from_secs(30);
/// Time steps before and after the present one whose code is accepted: a code typed slowly, a clock half a minute off.
/// Source: RFC 6238, section 5.2.
pub const CODE_WINDOW: u64 = 1;
/// Digits of a second factor's code, as every authenticator app shows them.
pub const CODE_DIGITS: u32 = 6;
/// Bytes of a second factor's secret. Source: RFC 4226, section 4, R6.
pub const TOTP_SECRET_LEN: usize = 20;
/// Wrong codes in a row after which a client is locked out. Five guesses at a million codes, three of which are right.
pub const WRONG_CODES: u32 = 5;
/// A grant that follows its connections is kept open for this long after each look at them.
pub const FOLLOW_AHEAD: Duration = Duration::from_secs(15);
/// A grant that follows its connections ends this long after the last of them: time enough to connect again.
pub const FOLLOW_GRACE: Duration = Duration::from_secs(3);

/// How long a policy may think before its silence denies. The hosts stop a policy much earlier; this catches a lost answer.
pub const POLICY_DEADLINE: Duration = Duration::from_secs(1);
/// How long a finished attempt is remembered, so that the client can ask what became of it.
pub const RESULT_AGE: Duration = Duration::from_secs(30);
/// When a client asks while the gate is still deciding, it shall ask again after this time.
pub const PENDING_RETRY: Duration = Duration::from_millis(20);
/// A closing that failed is tried again after this time.
pub const CLOSE_RETRY: Duration = Duration::from_secs(1);
/// Table entries that one call of `handle_timeout` ends at most: bounds the work of a turn.
pub const TIMEOUTS_PER_CALL: usize = 8;

/// Longest grant that can be configured or asked: thirty days.
pub const MAX_GRANT: Duration = Duration::from_secs(30 * 86_400);
/// Services of one gate.
pub const MAX_SERVICES: usize = 64;
/// Services of one client; as many fit into its profile.
pub const MAX_CLIENT_SERVICES: usize = 16;
/// Ports of one service.
pub const MAX_SERVICE_PORTS: usize = 16;
/// Bytes of a client's or service's name.
pub const MAX_NAME: usize = 32;
/// Bytes of a gate's address: the longest DNS name.
pub const MAX_ADDRESS: usize = 253;
/// What a policy may ask for in one decision.
pub const MAX_EFFECTS: usize = 16;
/// Grants that fit into an answer.
pub const MAX_ANSWER_GRANTS: usize = 4;

/// Addresses of a source that share its lockout, in bits: one IPv4 address, one IPv6 subnet (a host owns its whole /64).
pub const SOURCE_PREFIX_V4: u8 = 32;
/// See [`SOURCE_PREFIX_V4`].
pub const SOURCE_PREFIX_V6: u8 = 64;

/// Bytes of one message to or from a gate's console, before it is sealed. A gateway keeps two of them in its memory.
pub const MAX_SAID: usize = 1024;
/// Bytes of one piece of a site image on its way to a gateway. A multiple of 32, the most that a common flash memory writes at
/// a time; with its place and its length it fits into [`MAX_SAID`].
pub const MAX_PIECE: usize = 992;
/// Bytes of one record on its way from a gate's console: with its number and its length it fits into [`MAX_SAID`].
pub const MAX_LINE: usize = MAX_SAID - 13;
/// Hosts behind a gateway that offer one service.
pub const MAX_SERVICE_HOSTS: usize = 8;
/// Ranges of ports for packet knocks on a gateway.
pub const MAX_PACKET_RANGES: usize = 8;
/// Clients of a gateway.
pub const MAX_GATEWAY_CLIENTS: usize = 64;
/// Services that a gateway guards. With 64 clients, more of them do not fit into the memory of a small board.
pub const MAX_GATEWAY_SERVICES: usize = 16;
/// Policies that a gateway asks one after the other.
pub const MAX_GATEWAY_POLICIES: usize = 4;
