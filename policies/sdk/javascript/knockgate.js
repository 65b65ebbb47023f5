// Knockgate policy ABI 1.0 for JavaScript. Generated from the tables in policies/abi; do not edit.
//
// A policy is one function: `export function decide()`. Its manifest stands in `manifest.txt` beside it.
//
// Numbers are JavaScript's, exact up to 2^53. The halves of an IPv6 address are larger and come rounded, and names cannot be
// read here at all: tell clients and services by their numbers.

import event from "knockgate:policy/event@1.0.0";
import act from "knockgate:policy/act@1.0.0";
import journal from "knockgate:policy/journal@1.0.0";
import state from "knockgate:policy/state@1.0.0";

/** What `decide` returns; anything else denies. */
export const Verdict = {
  /** Let everything that was queued happen. */
  Commit: 0,
  /** Nothing happens. */
  Deny: 1,
  /** Nothing happens here; ask the next policy. */
  Abstain: 2,
};

/** What an act answers when it was not queued; 0 is queued. */
export const Refusal = {
  Invalid: -1,
  NotPermitted: -2,
  LimitReached: -3,
  NoSuchThing: -4,
  NotOnThisHost: -5,
};

/** Levels of `log`. */
export const Level = {
  Error: 1,
  Warning: 2,
  Information: 3,
  Debug: 4,
};

/** What happened. */
export const Cause = {
  /** A client has knocked with a sequence. */
  Sequence: 1,
  /** A client has knocked with a packet. */
  Packet: 2,
  /** A client asks to keep a grant open for longer. */
  Renew: 3,
  /** A client has closed its grant. */
  Close: 4,
  /** A grant has reached its end. */
  Expiry: 5,
  /** A source or client has been locked out. */
  Lockout: 6,
  /** An attempt has failed. */
  FailedAttempt: 7,
  /** The gate has started. */
  StartUp: 8,
};

/** Flags in the `bits` of `readHead`. */
export const Bit = {
  /** The source address is IPv6. */
  Ipv6: 1,
  /** `time` is known. */
  Time: 2,
  /** `weekday` and `minute` are known. */
  Zone: 4,
  /** The client has proved who it is. */
  Client: 8,
  /** A second factor was seen. */
  SecondFactor: 16,
};

/** Attributes of the event. */
export const Attr = {
  /** Unix time in seconds; absent on a host without a clock. */
  Time: 1,
  /** Day in the gate's time zone: 1 Monday to 7 Sunday; absent without a clock. */
  Weekday: 2,
  /** Minute of the day in the gate's time zone: 0 to 1439; absent without a clock. */
  Minute: 3,
  /** What happened: a cause number. */
  Cause: 4,
  /** Where the policy runs: 1 Linux agent, 2 gateway. */
  HostKind: 5,
  /** The client's number in the roster; absent when nobody has proved who he is. */
  Client: 10,
  /** The client's name in the roster. */
  ClientName: 11,
  /** Failed attempts of this client since its last grant. */
  ClientFailures: 12,
  /** Grants of this client that are open now. */
  ClientGrants: 13,
  /** A second factor was seen with this knock. */
  SecondFactor: 14,
  /** Upper half of the source address; IPv4 is ::ffff:a.b.c.d. */
  AddressHigh: 20,
  /** Lower half of the source address; of IPv4 the low 32 bits are the address. */
  AddressLow: 21,
  /** Address family: 4 or 6. */
  Family: 22,
  /** Bits of the source address that this gate counts as one source. */
  Prefix: 23,
  /** Failed attempts from this source since its last grant. */
  SourceFailures: 24,
  /** Grants of this source that are open now. */
  SourceGrants: 25,
  /** Bits of the prefix that the client wants it opened to; absent for its address alone. */
  AskedPrefix: 26,
  /** The service's number in the configuration. */
  Service: 30,
  /** The service's name in the configuration. */
  ServiceName: 31,
  /** How long it shall be open: what the client asked, else the service's default. */
  Seconds: 32,
  /** The longest time that `open` accepts from this policy here. */
  MaxSeconds: 33,
  /** Grants of this service that are open now. */
  ServiceGrants: 34,
  /** Number of the knock in its knock book; absent for a packet. */
  BookNumber: 40,
  /** Knocks left in the client's book after this one. */
  BookLeft: 41,
  /** The grant that is renewed, closed or expired. */
  Grant: 50,
  /** Seconds until that grant ends. */
  GrantLeft: 51,
  /** Grants open on the whole gate. */
  GrantsOpen: 52,
  /** The oldest open grant of this client, for `extend` and `revoke`. */
  OldestGrant: 53,
  /** How long the lockout lasts that is reported. */
  LockoutSeconds: 60,
};

/** A number or flag of the event, the length of a text; 0 when it is absent. */
export function attr(key) {
  return event.attr(key);
}

/** Whether the event has the attribute. */
export function has(key) {
  return event.has(key) !== 0;
}

/** The attributes that almost every policy reads, in one call, as an object. */
export function readHead() {
  return event.readHead();
}

/** Open a service to the knocker's address. */
export function open(service, seconds) {
  return act.open(service, seconds);
}

/** Open a service to the knocker's whole prefix of so many bits. */
export function openPrefix(service, bits, seconds) {
  return act.openPrefix(service, bits, seconds);
}

/** Let an open grant of the client last so many seconds from now. */
export function extend(grant, seconds) {
  return act.extend(grant, seconds);
}

/** Close an open grant of the client. */
export function revoke(grant) {
  return act.revoke(grant);
}

/** Lock the source out for so many seconds. */
export function lockout(seconds) {
  return act.lockout(seconds);
}

/** Start a unit of the host's table. */
export function start(unit) {
  return act.start(unit);
}

/** Send a code to a channel of the host's table. */
export function notify(channel, code) {
  return act.notify(channel, code);
}

/** A line for the operator; a client never sees it. */
export function log(level, message) {
  return journal.log(level, message);
}

/** The number that this policy keeps under `key`, 0 when there is none. */
export function load(key) {
  return state.load(key);
}

/** Keep a number under `key`; 0 forgets it. Happens only if `decide` commits. */
export function store(key, value) {
  return state.store(key, value);
}

/** The values of parameter number `index` of the manifest; none when the configuration does not give it. */
export function parameter(index) {
  const first = 65536 + 256 * index;
  return Array.from({ length: event.attr(first) }, (_, at) => event.attr(first + 1 + at));
}
