// Knockgate policy ABI 1.0 for AssemblyScript. Generated from the tables in policies/abi; do not edit.
//
// A policy is one function: `export function decide(): u32`. Its manifest stands in `manifest.txt` beside it.

/** What `decide` returns; anything else denies. */
export const enum Verdict {
  /** Let everything that was queued happen. */
  Commit = 0,
  /** Nothing happens. */
  Deny = 1,
  /** Nothing happens here; ask the next policy. */
  Abstain = 2,
}

/** What an act answers when it was not queued; 0 is queued. */
export const enum Refusal {
  Invalid = -1,
  NotPermitted = -2,
  LimitReached = -3,
  NoSuchThing = -4,
  NotOnThisHost = -5,
}

/** Levels of `log`. */
export const enum Level {
  Error = 1,
  Warning = 2,
  Information = 3,
  Debug = 4,
}

/** What happened. */
export const enum Cause {
  /** A client has knocked with a sequence. */
  Sequence = 1,
  /** A client has knocked with a packet. */
  Packet = 2,
  /** A client asks to keep a grant open for longer. */
  Renew = 3,
  /** A client has closed its grant. */
  Close = 4,
  /** A grant has reached its end. */
  Expiry = 5,
  /** A source or client has been locked out. */
  Lockout = 6,
  /** An attempt has failed. */
  FailedAttempt = 7,
  /** The gate has started. */
  StartUp = 8,
}

/** Flags in `Head.bits`. */
export const enum Bit {
  /** The source address is IPv6. */
  Ipv6 = 1,
  /** `time` is known. */
  Time = 2,
  /** `weekday` and `minute` are known. */
  Zone = 4,
  /** The client has proved who it is. */
  Client = 8,
  /** A second factor was seen. */
  SecondFactor = 16,
}

/** Attributes of the event. */
export const enum Attr {
  /** Unix time in seconds; absent on a host without a clock. */
  Time = 1,
  /** Day in the gate's time zone: 1 Monday to 7 Sunday; absent without a clock. */
  Weekday = 2,
  /** Minute of the day in the gate's time zone: 0 to 1439; absent without a clock. */
  Minute = 3,
  /** What happened: a cause number. */
  Cause = 4,
  /** Where the policy runs: 1 Linux agent, 2 gateway. */
  HostKind = 5,
  /** The client's number in the roster; absent when nobody has proved who he is. */
  Client = 10,
  /** The client's name in the roster. */
  ClientName = 11,
  /** Failed attempts of this client since its last grant. */
  ClientFailures = 12,
  /** Grants of this client that are open now. */
  ClientGrants = 13,
  /** A second factor was seen with this knock. */
  SecondFactor = 14,
  /** Upper half of the source address; IPv4 is ::ffff:a.b.c.d. */
  AddressHigh = 20,
  /** Lower half of the source address; of IPv4 the low 32 bits are the address. */
  AddressLow = 21,
  /** Address family: 4 or 6. */
  Family = 22,
  /** Bits of the source address that this gate counts as one source. */
  Prefix = 23,
  /** Failed attempts from this source since its last grant. */
  SourceFailures = 24,
  /** Grants of this source that are open now. */
  SourceGrants = 25,
  /** Bits of the prefix that the client wants it opened to; absent for its address alone. */
  AskedPrefix = 26,
  /** The service's number in the configuration. */
  Service = 30,
  /** The service's name in the configuration. */
  ServiceName = 31,
  /** How long it shall be open: what the client asked, else the service's default. */
  Seconds = 32,
  /** The longest time that `open` accepts from this policy here. */
  MaxSeconds = 33,
  /** Grants of this service that are open now. */
  ServiceGrants = 34,
  /** Number of the knock in its knock book; absent for a packet. */
  BookNumber = 40,
  /** Knocks left in the client's book after this one. */
  BookLeft = 41,
  /** The grant that is renewed, closed or expired. */
  Grant = 50,
  /** Seconds until that grant ends. */
  GrantLeft = 51,
  /** Grants open on the whole gate. */
  GrantsOpen = 52,
  /** The oldest open grant of this client, for `extend` and `revoke`. */
  OldestGrant = 53,
  /** How long the lockout lasts that is reported. */
  LockoutSeconds = 60,
}

/** The attributes that almost every policy reads. */
@unmanaged
export class Head {
  time: u64;
  client: u64;
  addressHigh: u64;
  addressLow: u64;
  cause: u32;
  service: u32;
  seconds: u32;
  failures: u32;
  grants: u32;
  bits: u32;
}

/** A number or flag of the event, the length of a text; 0 when it is absent. */
@external("knockgate:policy/event@1.0.0", "attr")
export declare function attr(key: u32): u64;

/** 1 when the event has the attribute, else 0. */
@external("knockgate:policy/event@1.0.0", "has")
export declare function has(key: u32): bool;

/** Eight bytes of a text attribute from byte `offset`, little-endian, zero-filled past its end. */
@external("knockgate:policy/event@1.0.0", "text")
declare function textWord(key: u32, offset: u32): u64;

/** The attributes that almost every policy reads, in one call. */
@external("knockgate:policy/event@1.0.0", "read-head")
declare function readHead(head: usize): void;

/** Open a service to the knocker's address. */
@external("knockgate:policy/act@1.0.0", "open")
export declare function open(service: u32, seconds: u32): i32;

/** Open a service to the knocker's whole prefix of so many bits. */
@external("knockgate:policy/act@1.0.0", "open-prefix")
export declare function openPrefix(service: u32, bits: u32, seconds: u32): i32;

/** Let an open grant of the client last so many seconds from now. */
@external("knockgate:policy/act@1.0.0", "extend")
export declare function extend(grant: u64, seconds: u32): i32;

/** Close an open grant of the client. */
@external("knockgate:policy/act@1.0.0", "revoke")
export declare function revoke(grant: u64): i32;

/** Lock the source out for so many seconds. */
@external("knockgate:policy/act@1.0.0", "lockout")
export declare function lockout(seconds: u32): i32;

/** Start a unit of the host's table. */
@external("knockgate:policy/act@1.0.0", "start")
export declare function start(unit: u32): i32;

/** Send a code to a channel of the host's table. */
@external("knockgate:policy/act@1.0.0", "notify")
export declare function notify(channel: u32, code: u32): i32;

/** A line for the operator; a client never sees it. */
@external("knockgate:policy/journal@1.0.0", "log")
declare function writeLog(level: u32, message: usize, length: usize): void;

/** The number that this policy keeps under `key`, 0 when there is none. */
@external("knockgate:policy/state@1.0.0", "load")
export declare function stateLoad(key: u32): u64;

/** Keep a number under `key`; 0 forgets it. Happens only if `decide` commits. */
@external("knockgate:policy/state@1.0.0", "store")
export declare function stateStore(key: u32, value: u64): i32;

/** The attributes that almost every policy reads, in one call. */
export function head(): Head {
  const record = memory.data(56, 8);
  readHead(record);
  return changetype<Head>(record);
}

/** A text attribute; empty when the event does not have it. */
export function text(key: u32): string {
  const words = memory.data(64, 8);
  const length = min<usize>(<usize>attr(key), 64);
  for (let at: usize = 0; at < length; at += 8) {
    store<u64>(words + at, textWord(key, <u32>at));
  }
  return String.UTF8.decodeUnsafe(words, length);
}

/** A line for the operator; a client never sees it. */
export function log(level: u32, message: string): void {
  const bytes = String.UTF8.encode(message);
  writeLog(level, changetype<usize>(bytes), bytes.byteLength);
}

/** How many values parameter number `index` of the manifest has in the configuration; 0 when it is not given. */
export function parameterCount(index: u32): u32 {
  return <u32>attr(65536 + 256 * index);
}

/** Value number `at` of a parameter. */
export function parameter(index: u32, at: u32): u64 {
  return attr(65536 + 256 * index + 1 + at);
}

/** The first value of a parameter, or `otherwise` when it is not given. */
export function parameterOr(index: u32, otherwise: u64): u64 {
  return parameterCount(index) > 0 ? parameter(index, 0) : otherwise;
}
