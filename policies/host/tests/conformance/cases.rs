//! The cases: what a policy does with an event, and what must come of it.

use std::net::IpAddr;

use knockgate_policy_host::{
    Action, Capabilities, Capability, Cause, Client, Event, Grant, HostKind, Request, Source, Verdict, text,
};

use crate::stage::knock;

/// Name, body of `decide`, event, verdict, actions. The body ends with the value to return.
pub(crate) type Case = (&'static str, &'static str, fn() -> Event, Verdict, &'static [Action]);

use Verdict::{Abstain, Commit, Deny};

const OPEN: Action = Action::Open { service: 1, seconds: 60 };
const OPEN_PREFIX: Action = Action::OpenPrefix { service: 1, bits: 24, seconds: 60 };
const EXTEND: Action = Action::Extend { grant: 9, seconds: 30 };

/// Decided alike in every profile.
#[rustfmt::skip]
pub(crate) const CASES: &[Case] = &[
    ("commit lets what is queued happen", "(drop (call $open (i32.const 1) (i32.const 60))) (i32.const 0)", knock, Commit, &[OPEN]),
    ("deny drops what is queued", "(drop (call $open (i32.const 1) (i32.const 60))) (i32.const 1)", knock, Deny, &[]),
    ("abstain drops what is queued", "(drop (call $open (i32.const 1) (i32.const 60))) (i32.const 2)", knock, Abstain, &[]),
    ("any other verdict denies", "(drop (call $open (i32.const 1) (i32.const 60))) (i32.const 3)", knock, Deny, &[]),
    ("a negative verdict denies", "(i32.const -1)", knock, Deny, &[]),
    ("commit without acts opens nothing", "(i32.const 0)", knock, Commit, &[]),
    ("a trap after an act drops it", "(drop (call $open (i32.const 1) (i32.const 60))) (unreachable)", knock, Deny, &[]),
    ("open answers 0", "(call $open (i32.const 1) (i32.const 60))", knock, Commit, &[OPEN]),
    ("open of service 0 is invalid", "(i32.ne (call $open (i32.const 0) (i32.const 60)) (i32.const -1))", knock, Commit, &[]),
    ("open of service 65536 is invalid", "(i32.ne (call $open (i32.const 65536) (i32.const 60)) (i32.const -1))", knock, Commit, &[]),
    ("open for 0 seconds is invalid", "(i32.ne (call $open (i32.const 1) (i32.const 0)) (i32.const -1))", knock, Commit, &[]),
    ("open of a foreign service is not permitted", "(i32.ne (call $open (i32.const 3) (i32.const 60)) (i32.const -2))", knock, Commit, &[]),
    ("open for the longest time is queued", "(call $open (i32.const 1) (i32.const 3600))", knock, Commit, &[Action::Open { service: 1, seconds: 3600 }]),
    ("open for longer reaches the limit", "(i32.ne (call $open (i32.const 1) (i32.const 3601)) (i32.const -3))", knock, Commit, &[]),
    ("every service has its own longest time", "(i32.ne (call $open (i32.const 2) (i32.const 61)) (i32.const -3))", knock, Commit, &[]),
    ("nobody to open to", "(i32.ne (call $open (i32.const 1) (i32.const 60)) (i32.const -4))", start_up, Commit, &[]),
    ("open-prefix is queued", "(call $open_prefix (i32.const 1) (i32.const 24) (i32.const 60))", knock, Commit, &[Action::OpenPrefix { service: 1, bits: 24, seconds: 60 }]),
    ("a prefix longer than the address is invalid", "(i32.ne (call $open_prefix (i32.const 1) (i32.const 33) (i32.const 60)) (i32.const -1))", knock, Commit, &[]),
    ("a prefix too wide reaches the limit", "(i32.ne (call $open_prefix (i32.const 1) (i32.const 15) (i32.const 60)) (i32.const -3))", knock, Commit, &[]),
    ("extend of the event's grant is queued", "(call $extend (i64.const 9) (i32.const 30))", renewal, Commit, &[Action::Extend { grant: 9, seconds: 30 }]),
    ("extend of another grant finds nothing", "(i32.ne (call $extend (i64.const 8) (i32.const 30)) (i32.const -4))", renewal, Commit, &[]),
    ("revoke of the event's grant is queued", "(call $revoke (i64.const 9))", renewal, Commit, &[Action::Revoke { grant: 9 }]),
    ("lockout is queued", "(call $lockout (i32.const 600))", knock, Commit, &[Action::Lockout { seconds: 600 }]),
    ("lockout for more than a day reaches the limit", "(i32.ne (call $lockout (i32.const 86401)) (i32.const -3))", knock, Commit, &[]),
    ("start of a listed unit is queued", "(call $start (i32.const 4))", knock, Commit, &[Action::Start { unit: 4 }]),
    ("start of another unit finds nothing", "(i32.ne (call $start (i32.const 5)) (i32.const -4))", knock, Commit, &[]),
    ("notify on a listed channel is queued", "(call $notify (i32.const 9) (i32.const 77))", knock, Commit, &[Action::Notify { channel: 9, code: 77 }]),
    ("notify on another channel finds nothing", "(i32.ne (call $notify (i32.const 8) (i32.const 77)) (i32.const -4))", knock, Commit, &[]),
    ("an attribute is answered", "(i64.ne (call $attr (i32.const 10)) (i64.const 7))", knock, Commit, &[]),
    ("an unknown attribute is 0", "(i32.or (i64.ne (call $attr (i32.const 9999)) (i64.const 0)) (call $has (i32.const 9999)))", knock, Commit, &[]),
    ("an absent attribute is 0 and not there", "(i32.or (i64.ne (call $attr (i32.const 10)) (i64.const 0)) (call $has (i32.const 10)))", start_up, Commit, &[]),
    ("a present 0 is there", "(i32.or (i64.ne (call $attr (i32.const 12)) (i64.const 0)) (i32.eqz (call $has (i32.const 12))))", knock, Commit, &[]),
    ("max-seconds is the policy's for the service", "(i64.ne (call $attr (i32.const 33)) (i64.const 3600))", knock, Commit, &[]),
    ("an IPv4 address is mapped", "(i64.ne (call $attr (i32.const 21)) (i64.const 0xffffc0000207))", knock, Commit, &[]),
    ("attr of a text is its length", "(i64.ne (call $attr (i32.const 11)) (i64.const 4))", knock, Commit, &[]),
    ("text comes in words of eight bytes", "(i64.ne (call $text (i32.const 11) (i32.const 0)) (i64.const 0x616e6e61))", knock, Commit, &[]),
    ("text begins at its offset", "(i64.ne (call $text (i32.const 11) (i32.const 3)) (i64.const 0x61))", knock, Commit, &[]),
    ("text behind its end is 0", "(i64.ne (call $text (i32.const 11) (i32.const -1)) (i64.const 0))", knock, Commit, &[]),
    ("the record is written where the policy says", "(call $read_head (i32.const 8)) (i32.ne (i32.load (i32.const 44)) (i32.const 1))", knock, Commit, &[]),
    ("the record may end where memory ends", "(call $read_head (i32.const 65480)) (i32.const 0)", knock, Commit, &[]),
    ("a record beyond memory traps", "(call $read_head (i32.const 65481)) (i32.const 0)", knock, Deny, &[]),
    ("a line is kept", "(call $log (i32.const 2) (i32.const 0) (i32.const 5)) (i32.const 0)", knock, Commit, &[]),
    ("a line beyond memory traps", "(call $log (i32.const 2) (i32.const 65535) (i32.const 2)) (i32.const 0)", knock, Deny, &[]),
    ("what is stored is loaded in the same decision", "(drop (call $store (i32.const 5) (i64.const 42))) (i64.ne (call $load (i32.const 5)) (i64.const 42))", knock, Commit, &[]),
    ("growth beyond the limit denies", "(drop (memory.grow (i32.const 1))) (i32.const 0)", knock, Deny, &[]),
    ("sign extension works", "(i32.ne (i32.extend8_s (i32.const 0xff)) (i32.const -1))", knock, Commit, &[]),
    ("conversion saturates", "(i32.ne (i32.trunc_sat_f64_u (f64.const -1)) (i32.const 0))", knock, Commit, &[]),
    ("every NaN is the same", "(i64.ne (i64.reinterpret_f64 (f64.div (f64.const 0) (f64.const 0))) (i64.const 0x7ff8000000000000))", knock, Commit, &[]),
    ("memory.copy works", "(i32.store8 (i32.const 100) (i32.const 9)) (memory.copy (i32.const 200) (i32.const 100) (i32.const 1)) (i32.ne (i32.load8_u (i32.const 200)) (i32.const 9))", knock, Commit, &[]),
    // Causes, and what can be given when nobody waits for an answer.
    ("the cause sequence is 1", "(i64.ne (call $attr (i32.const 4)) (i64.const 1))", || about(Cause::Sequence), Commit, &[]),
    ("the cause packet is 2", "(i64.ne (call $attr (i32.const 4)) (i64.const 2))", || about(Cause::Packet), Commit, &[]),
    ("the cause renew is 3", "(i64.ne (call $attr (i32.const 4)) (i64.const 3))", || about(Cause::Renew), Commit, &[]),
    ("the cause close is 4", "(i64.ne (call $attr (i32.const 4)) (i64.const 4))", || about(Cause::Close), Commit, &[]),
    ("the cause expiry is 5", "(i64.ne (call $attr (i32.const 4)) (i64.const 5))", || about(Cause::Expiry), Commit, &[]),
    ("the cause lockout is 6", "(i64.ne (call $attr (i32.const 4)) (i64.const 6))", || about(Cause::Lockout), Commit, &[]),
    ("the cause failed-attempt is 7", "(i64.ne (call $attr (i32.const 4)) (i64.const 7))", || about(Cause::FailedAttempt), Commit, &[]),
    ("the cause start-up is 8", "(i64.ne (call $attr (i32.const 4)) (i64.const 8))", || about(Cause::StartUp), Commit, &[]),
    ("in sequence there is somebody to give to", "(i32.or (i32.or (call $open (i32.const 1) (i32.const 60)) (call $open_prefix (i32.const 1) (i32.const 24) (i32.const 60))) (call $extend (i64.const 9) (i32.const 30)))", || about(Cause::Sequence), Commit, &[OPEN, OPEN_PREFIX, EXTEND]),
    ("in packet there is somebody to give to", "(i32.or (i32.or (call $open (i32.const 1) (i32.const 60)) (call $open_prefix (i32.const 1) (i32.const 24) (i32.const 60))) (call $extend (i64.const 9) (i32.const 30)))", || about(Cause::Packet), Commit, &[OPEN, OPEN_PREFIX, EXTEND]),
    ("in renew there is somebody to give to", "(i32.or (i32.or (call $open (i32.const 1) (i32.const 60)) (call $open_prefix (i32.const 1) (i32.const 24) (i32.const 60))) (call $extend (i64.const 9) (i32.const 30)))", || about(Cause::Renew), Commit, &[OPEN, OPEN_PREFIX, EXTEND]),
    ("in close there is nobody to give to", NOTHING_TO_GIVE, || about(Cause::Close), Commit, &[]),
    ("in expiry there is nobody to give to", NOTHING_TO_GIVE, || about(Cause::Expiry), Commit, &[]),
    ("in lockout there is nobody to give to", NOTHING_TO_GIVE, || about(Cause::Lockout), Commit, &[]),
    ("in failed-attempt there is nobody to give to", NOTHING_TO_GIVE, || about(Cause::FailedAttempt), Commit, &[]),
    ("in start-up there is nobody to give to", NOTHING_TO_GIVE, || about(Cause::StartUp), Commit, &[]),
    ("in expiry the rest can be done", "(i32.or (i32.or (call $revoke (i64.const 9)) (call $lockout (i32.const 60))) (i32.or (call $start (i32.const 4)) (call $notify (i32.const 9) (i32.const 1))))", || about(Cause::Expiry), Commit, &[Action::Revoke { grant: 9 }, Action::Lockout { seconds: 60 }, Action::Start { unit: 4 }, Action::Notify { channel: 9, code: 1 }]),
    ("a right comes before the asker", "(i32.ne (call $open (i32.const 3) (i32.const 60)) (i32.const -2))", || about(Cause::Expiry), Commit, &[]),
    ("sense comes before the asker", "(i32.ne (call $open (i32.const 1) (i32.const 0)) (i32.const -1))", || about(Cause::Close), Commit, &[]),
    ("a limit comes before the asker", "(i32.ne (call $open (i32.const 1) (i32.const 3601)) (i32.const -3))", || about(Cause::Lockout), Commit, &[]),
    ("at start-up there is no grant to revoke", "(i32.ne (call $revoke (i64.const 9)) (i32.const -4))", start_up, Commit, &[]),
    ("at start-up there is no source to lock out", "(i32.ne (call $lockout (i32.const 60)) (i32.const -4))", start_up, Commit, &[]),
    ("at start-up nothing is known but where it runs", "(i32.or (i32.or (i32.or (i64.ne (call $attr (i32.const 5)) (i64.const 1)) (call $has (i32.const 1))) (call $has (i32.const 20))) (call $has (i32.const 30)))", start_up, Commit, &[]),
    // What the host lacks now.
    ("start without a service manager finds nothing", "(i32.ne (call $start (i32.const 4)) (i32.const -4))", || lacking(Capability::Start), Commit, &[]),
    ("an unlisted unit finds nothing there either", "(i32.ne (call $start (i32.const 5)) (i32.const -4))", || lacking(Capability::Start), Commit, &[]),
    ("unit 0 is invalid there too", "(i32.ne (call $start (i32.const 0)) (i32.const -1))", || lacking(Capability::Start), Commit, &[]),
    ("what is lacking hinders no other act", "(drop (call $start (i32.const 4))) (call $open (i32.const 1) (i32.const 60))", || lacking(Capability::Start), Commit, &[OPEN]),
    ("notify without channels finds nothing", "(i32.ne (call $notify (i32.const 9) (i32.const 1)) (i32.const -4))", || lacking(Capability::Notify), Commit, &[]),
    // More answers of acts.
    ("unit 0 is invalid", "(i32.ne (call $start (i32.const 0)) (i32.const -1))", knock, Commit, &[]),
    ("channel 65536 is invalid", "(i32.ne (call $notify (i32.const 65536) (i32.const 1)) (i32.const -1))", knock, Commit, &[]),
    ("lockout for 0 seconds is invalid", "(i32.ne (call $lockout (i32.const 0)) (i32.const -1))", knock, Commit, &[]),
    ("lockout for a day is queued", "(call $lockout (i32.const 86400))", knock, Commit, &[Action::Lockout { seconds: 86_400 }]),
    ("extend for 0 seconds is invalid", "(i32.ne (call $extend (i64.const 9) (i32.const 0)) (i32.const -1))", renewal, Commit, &[]),
    ("extend for longer reaches the limit", "(i32.ne (call $extend (i64.const 9) (i32.const 3601)) (i32.const -3))", renewal, Commit, &[]),
    ("extend of the client's oldest grant is queued", "(call $extend (i64.const 9) (i32.const 30))", with_oldest_grant, Commit, &[EXTEND]),
    ("revoke of the client's oldest grant is queued", "(call $revoke (i64.const 9))", with_oldest_grant, Commit, &[Action::Revoke { grant: 9 }]),
    ("revoke in a knock without grants finds nothing", "(i32.ne (call $revoke (i64.const 9)) (i32.const -4))", knock, Commit, &[]),
    ("seconds without a sign are many", "(i32.ne (call $open (i32.const 1) (i32.const -1)) (i32.const -3))", knock, Commit, &[]),
    ("a prefix of 0 bits is invalid", "(i32.ne (call $open_prefix (i32.const 1) (i32.const 0) (i32.const 60)) (i32.const -1))", knock, Commit, &[]),
    ("an IPv6 prefix is queued", "(call $open_prefix (i32.const 1) (i32.const 48) (i32.const 60))", from_ipv6, Commit, &[Action::OpenPrefix { service: 1, bits: 48, seconds: 60 }]),
    ("an IPv6 prefix too wide reaches the limit", "(i32.ne (call $open_prefix (i32.const 1) (i32.const 47) (i32.const 60)) (i32.const -3))", from_ipv6, Commit, &[]),
    ("an IPv6 prefix longer than the address is invalid", "(i32.ne (call $open_prefix (i32.const 1) (i32.const 129) (i32.const 60)) (i32.const -1))", from_ipv6, Commit, &[]),
    ("acts keep their order", "(drop (call $lockout (i32.const 5))) (drop (call $open (i32.const 1) (i32.const 60))) (i32.const 0)", knock, Commit, &[Action::Lockout { seconds: 5 }, OPEN]),
    // More attributes.
    ("weekday and minute", "(i32.or (i64.ne (call $attr (i32.const 2)) (i64.const 1)) (i64.ne (call $attr (i32.const 3)) (i64.const 720)))", knock, Commit, &[]),
    ("IPv4 is family 4", "(i32.or (i32.or (i64.ne (call $attr (i32.const 22)) (i64.const 4)) (i64.ne (call $attr (i32.const 23)) (i64.const 32))) (i64.ne (call $attr (i32.const 20)) (i64.const 0)))", knock, Commit, &[]),
    ("IPv6 is family 6", "(i32.or (i32.or (i64.ne (call $attr (i32.const 22)) (i64.const 6)) (i64.ne (call $attr (i32.const 20)) (i64.const 0x20010db800010002))) (i64.ne (call $attr (i32.const 21)) (i64.const 0x3000400050006)))", from_ipv6, Commit, &[]),
    ("the book tells number and rest", "(i32.or (i64.ne (call $attr (i32.const 40)) (i64.const 5)) (i64.ne (call $attr (i32.const 41)) (i64.const 995)))", knock, Commit, &[]),
    ("a grant tells itself and how long it lasts", "(i32.or (i64.ne (call $attr (i32.const 50)) (i64.const 9)) (i64.ne (call $attr (i32.const 51)) (i64.const 10)))", renewal, Commit, &[]),
    ("a lockout tells how long it lasts", "(i64.ne (call $attr (i32.const 60)) (i64.const 600))", || about(Cause::Lockout), Commit, &[]),
    ("a second factor is an attribute and a flag", "(call $read_head (i32.const 8)) (i32.or (i64.ne (call $attr (i32.const 14)) (i64.const 1)) (i32.ne (i32.load (i32.const 60)) (i32.const 30)))", with_second_factor, Commit, &[]),
    ("a text of the wrong key is 0", "(i32.or (i64.ne (call $text (i32.const 10) (i32.const 0)) (i64.const 0)) (i64.ne (call $text (i32.const 9999) (i32.const 0)) (i64.const 0)))", knock, Commit, &[]),
    ("max-seconds of a foreign service is 0", "(i64.ne (call $attr (i32.const 33)) (i64.const 0))", for_foreign_service, Commit, &[]),
    // Parameters: `first` is not given, `second` has three values, `days` has Saturday and Sunday.
    ("a parameter that is not given is absent", "(i32.or (call $has (i32.const 65536)) (i64.ne (call $attr (i32.const 65536)) (i64.const 0)))", knock, Commit, &[]),
    ("the values of a parameter that is not given are absent", "(i32.or (call $has (i32.const 65537)) (i64.ne (call $attr (i32.const 65537)) (i64.const 0)))", knock, Commit, &[]),
    ("a parameter tells how many values it has", "(i32.or (i32.eqz (call $has (i32.const 65792))) (i64.ne (call $attr (i32.const 65792)) (i64.const 3)))", knock, Commit, &[]),
    ("a parameter tells its values in order", "(i32.or (i32.or (i64.ne (call $attr (i32.const 65793)) (i64.const 10)) (i64.ne (call $attr (i32.const 65794)) (i64.const 0))) (i64.ne (call $attr (i32.const 65795)) (i64.const 30)))", knock, Commit, &[]),
    ("a value of 0 is there", "(i32.eqz (call $has (i32.const 65794)))", knock, Commit, &[]),
    ("a value behind the last is absent", "(i32.or (call $has (i32.const 65796)) (i64.ne (call $attr (i32.const 65796)) (i64.const 0)))", knock, Commit, &[]),
    ("days are numbers of weekdays", "(i32.or (i32.or (i64.ne (call $attr (i32.const 66048)) (i64.const 2)) (i64.ne (call $attr (i32.const 66049)) (i64.const 6))) (i64.ne (call $attr (i32.const 66050)) (i64.const 7)))", knock, Commit, &[]),
    ("a parameter behind the last is absent", "(i32.or (call $has (i32.const 66304)) (i64.ne (call $attr (i32.const 66304)) (i64.const 0)))", knock, Commit, &[]),
    ("parameters are there whatever the cause", "(i64.ne (call $attr (i32.const 65795)) (i64.const 30))", start_up, Commit, &[]),
    // How the interface grows.
    ("an act of a newer interface is not on this host", "(i32.ne (call $wave (i64.const 1)) (i32.const -5))", knock, Commit, &[]),
    ("what a newer interface would tell is 0", "(i64.ne (call $measure (i32.const 1)) (i64.const 0))", knock, Commit, &[]),
    ("an attribute of a newer version is absent", "(i32.or (i32.or (i32.or (call $has (i32.const 61)) (i64.ne (call $attr (i32.const 61)) (i64.const 0))) (call $has (i32.const -1))) (i64.ne (call $attr (i32.const -1)) (i64.const 0)))", knock, Commit, &[]),
    // State.
    ("what was kept is loaded", "(i64.ne (call $load (i32.const 7)) (i64.const 70))", knock, Commit, &[]),
    ("what was never kept is 0", "(i64.ne (call $load (i32.const 5)) (i64.const 0))", knock, Commit, &[]),
    ("what is forgotten is 0", "(drop (call $store (i32.const 7) (i64.const 0))) (i64.ne (call $load (i32.const 7)) (i64.const 0))", knock, Commit, &[]),
    // What WebAssembly itself must mean everywhere.
    ("division by zero denies", "(i32.div_u (i32.const 1) (i32.const 0))", knock, Deny, &[]),
    ("overflow of a division denies", "(i32.div_s (i32.const 0x80000000) (i32.const -1))", knock, Deny, &[]),
    ("the rest of that division is 0", "(i32.rem_s (i32.const 0x80000000) (i32.const -1))", knock, Commit, &[]),
    ("a shift counts modulo its width", "(i32.ne (i32.shl (i32.const 1) (i32.const 33)) (i32.const 2))", knock, Commit, &[]),
    ("a conversion that does not fit denies", "(i32.trunc_f64_u (f64.const -1))", knock, Deny, &[]),
    ("the smaller of two zeros is the negative one", "(i64.ne (i64.reinterpret_f64 (f64.min (f64.const 0) (f64.const -0))) (i64.const 0x8000000000000000))", knock, Commit, &[]),
    ("half is rounded to even", "(f64.ne (f64.nearest (f64.const 2.5)) (f64.const 2))", knock, Commit, &[]),
    ("memory begins with zeros", "(i32.load (i32.const 65532))", knock, Commit, &[]),
    ("numbers lie in memory with the lowest byte first", "(i32.store (i32.const 100) (i32.const 0x01020304)) (i32.ne (i32.load8_u (i32.const 100)) (i32.const 4))", knock, Commit, &[]),
    ("memory.fill works", "(memory.fill (i32.const 100) (i32.const 7) (i32.const 3)) (i32.ne (i32.load (i32.const 100)) (i32.const 0x070707))", knock, Commit, &[]),
    ("a copy that does not fit denies", "(memory.copy (i32.const 65530) (i32.const 0) (i32.const 7)) (i32.const 0)", knock, Deny, &[]),
    ("several values return from a block", "(block (result i32 i32) (i32.const 5) (i32.const 5)) (i32.sub)", knock, Commit, &[]),
    ("an empty reference is null", "(i32.eqz (ref.is_null (ref.null func)))", knock, Commit, &[]),
    ("an endless loop is stopped", "(loop $again (br $again)) (unreachable)", knock, Deny, &[]),
];

/// Denied by every engine, but each has frames of its own size and gets to another depth.
#[rustfmt::skip]
pub(crate) const DEEP_CASES: &[Case] = &[
    ("endless recursion is stopped", "(call $decide)", knock, Deny, &[]),
];

/// Where the profiles differ: limits of the edge.
#[rustfmt::skip]
pub(crate) const EDGE_CASES: &[Case] = &[
    ("the ninth act reaches the limit of the edge", NINE_OPENS, knock, Commit, &[OPEN; 8]),
    ("the seventeenth key reaches the limit of the edge", SEVENTEEN_KEYS, knock, Commit, &[]),
];

const NINE_OPENS: &str = "(local $n i32) (local $answer i32)
    (loop $again
      (local.set $answer (call $open (i32.const 1) (i32.const 60)))
      (br_if $again (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 9))))
    (i32.ne (local.get $answer) (i32.const -3))";

const SEVENTEEN_KEYS: &str = "(local $n i32) (local $answer i32)
    (loop $again
      (local.set $answer (call $store (local.get $n) (i64.const 1)))
      (br_if $again (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 17))))
    (i32.ne (local.get $answer) (i32.const -3))";

/// `open`, `open-prefix` and `extend` all find nobody.
const NOTHING_TO_GIVE: &str = "(i32.or
    (i32.ne (call $open (i32.const 1) (i32.const 60)) (i32.const -4))
    (i32.or
      (i32.ne (call $open_prefix (i32.const 1) (i32.const 24) (i32.const 60)) (i32.const -4))
      (i32.ne (call $extend (i64.const 9) (i32.const 30)) (i32.const -4))))";

fn start_up() -> Event {
    Event::new(Cause::StartUp, HostKind::Linux)
}

fn renewal() -> Event {
    about(Cause::Renew)
}

/// Everything is known, whatever happened: what differs is whether somebody waits.
fn about(cause: Cause) -> Event {
    Event { cause, grant: Some(Grant { id: 9, left: 10 }), lockout_seconds: Some(600), ..knock() }
}

fn lacking(capability: Capability) -> Event {
    Event { lacking: Capabilities::of(&[capability]), ..knock() }
}

fn with_oldest_grant() -> Event {
    let client = knock().client.map(|client| Client { grants: 1, oldest_grant: Some(9), ..client });
    Event { client, ..knock() }
}

fn with_second_factor() -> Event {
    let client = knock().client.map(|client| Client { second_factor: true, ..client });
    Event { client, ..knock() }
}

fn from_ipv6() -> Event {
    let address: IpAddr = "2001:db8:1:2:3:4:5:6".parse().unwrap();
    Event { source: Some(Source { address, prefix: 64, failures: 0, grants: 0 }), ..knock() }
}

fn for_foreign_service() -> Event {
    let request = Request { service: 3, name: text("web"), seconds: 60, grants: 0, prefix: None };
    Event { request: Some(request), ..knock() }
}
