// Package knockgate is the Knockgate policy ABI 1.0 for Go.
//
// A policy is one function of the main package, marked `//go:wasmexport decide` and returning a Verdict as uint32. Its
// manifest stands in manifest.txt beside it.
//
// Generated from the tables in policies/abi; do not edit.
//
// Code generated from the tables in policies/abi; DO NOT EDIT.
package knockgate

import "structs"

// What decide returns; anything else denies.
const (
	// Let everything that was queued happen.
	Commit uint32 = 0
	// Nothing happens.
	Deny uint32 = 1
	// Nothing happens here; ask the next policy.
	Abstain uint32 = 2
)

// What an act answers when it was not queued; 0 is queued.
const (
	Invalid int32 = -1
	NotPermitted int32 = -2
	LimitReached int32 = -3
	NoSuchThing int32 = -4
	NotOnThisHost int32 = -5
)

// Levels of Log.
const (
	Error uint32 = 1
	Warning uint32 = 2
	Information uint32 = 3
	Debug uint32 = 4
)

// What happened.
const (
	// A client has knocked with a sequence.
	CauseSequence uint32 = 1
	// A client has knocked with a packet.
	CausePacket uint32 = 2
	// A client asks to keep a grant open for longer.
	CauseRenew uint32 = 3
	// A client has closed its grant.
	CauseClose uint32 = 4
	// A grant has reached its end.
	CauseExpiry uint32 = 5
	// A source or client has been locked out.
	CauseLockout uint32 = 6
	// An attempt has failed.
	CauseFailedAttempt uint32 = 7
	// The gate has started.
	CauseStartUp uint32 = 8
)

// Flags in Head.Bits.
const (
	// The source address is IPv6.
	BitIpv6 uint32 = 1
	// `time` is known.
	BitTime uint32 = 2
	// `weekday` and `minute` are known.
	BitZone uint32 = 4
	// The client has proved who it is.
	BitClient uint32 = 8
	// A second factor was seen.
	BitSecondFactor uint32 = 16
)

// Attributes of the event.
const (
	// Unix time in seconds; absent on a host without a clock.
	AttrTime uint32 = 1
	// Day in the gate's time zone: 1 Monday to 7 Sunday; absent without a clock.
	AttrWeekday uint32 = 2
	// Minute of the day in the gate's time zone: 0 to 1439; absent without a clock.
	AttrMinute uint32 = 3
	// What happened: a cause number.
	AttrCause uint32 = 4
	// Where the policy runs: 1 Linux agent, 2 gateway.
	AttrHostKind uint32 = 5
	// The client's number in the roster; absent when nobody has proved who he is.
	AttrClient uint32 = 10
	// The client's name in the roster.
	AttrClientName uint32 = 11
	// Failed attempts of this client since its last grant.
	AttrClientFailures uint32 = 12
	// Grants of this client that are open now.
	AttrClientGrants uint32 = 13
	// A second factor was seen with this knock.
	AttrSecondFactor uint32 = 14
	// Upper half of the source address; IPv4 is ::ffff:a.b.c.d.
	AttrAddressHigh uint32 = 20
	// Lower half of the source address; of IPv4 the low 32 bits are the address.
	AttrAddressLow uint32 = 21
	// Address family: 4 or 6.
	AttrFamily uint32 = 22
	// Bits of the source address that this gate counts as one source.
	AttrPrefix uint32 = 23
	// Failed attempts from this source since its last grant.
	AttrSourceFailures uint32 = 24
	// Grants of this source that are open now.
	AttrSourceGrants uint32 = 25
	// Bits of the prefix that the client wants it opened to; absent for its address alone.
	AttrAskedPrefix uint32 = 26
	// The service's number in the configuration.
	AttrService uint32 = 30
	// The service's name in the configuration.
	AttrServiceName uint32 = 31
	// How long it shall be open: what the client asked, else the service's default.
	AttrSeconds uint32 = 32
	// The longest time that `open` accepts from this policy here.
	AttrMaxSeconds uint32 = 33
	// Grants of this service that are open now.
	AttrServiceGrants uint32 = 34
	// Number of the knock in its knock book; absent for a packet.
	AttrBookNumber uint32 = 40
	// Knocks left in the client's book after this one.
	AttrBookLeft uint32 = 41
	// The grant that is renewed, closed or expired.
	AttrGrant uint32 = 50
	// Seconds until that grant ends.
	AttrGrantLeft uint32 = 51
	// Grants open on the whole gate.
	AttrGrantsOpen uint32 = 52
	// The oldest open grant of this client, for `extend` and `revoke`.
	AttrOldestGrant uint32 = 53
	// How long the lockout lasts that is reported.
	AttrLockoutSeconds uint32 = 60
)

// Head has the attributes that almost every policy reads.
type Head struct {
	_ structs.HostLayout

	Time, Client, AddressHigh, AddressLow uint64
	Cause, Service, Seconds, Failures, Grants, Bits uint32
}

// Attr: A number or flag of the event, the length of a text; 0 when it is absent.
//
//go:wasmimport knockgate:policy/event@1.0.0 attr
func Attr(key uint32) uint64

// has: 1 when the event has the attribute, else 0.
//
//go:wasmimport knockgate:policy/event@1.0.0 has
func has(key uint32) uint32

// text: Eight bytes of a text attribute from byte `offset`, little-endian, zero-filled past its end.
//
//go:wasmimport knockgate:policy/event@1.0.0 text
func text(key uint32, offset uint32) uint64

// readHead: The attributes that almost every policy reads, in one call.
//
//go:wasmimport knockgate:policy/event@1.0.0 read-head
func readHead(head *Head)

// Open: Open a service to the knocker's address.
//
//go:wasmimport knockgate:policy/act@1.0.0 open
func Open(service uint32, seconds uint32) int32

// OpenPrefix: Open a service to the knocker's whole prefix of so many bits.
//
//go:wasmimport knockgate:policy/act@1.0.0 open-prefix
func OpenPrefix(service uint32, bits uint32, seconds uint32) int32

// Extend: Let an open grant of the client last so many seconds from now.
//
//go:wasmimport knockgate:policy/act@1.0.0 extend
func Extend(grant uint64, seconds uint32) int32

// Revoke: Close an open grant of the client.
//
//go:wasmimport knockgate:policy/act@1.0.0 revoke
func Revoke(grant uint64) int32

// Lockout: Lock the source out for so many seconds.
//
//go:wasmimport knockgate:policy/act@1.0.0 lockout
func Lockout(seconds uint32) int32

// Start: Start a unit of the host's table.
//
//go:wasmimport knockgate:policy/act@1.0.0 start
func Start(unit uint32) int32

// Notify: Send a code to a channel of the host's table.
//
//go:wasmimport knockgate:policy/act@1.0.0 notify
func Notify(channel uint32, code uint32) int32

// Log: A line for the operator; a client never sees it.
//
//go:wasmimport knockgate:policy/journal@1.0.0 log
func Log(level uint32, message string)

// Load: The number that this policy keeps under `key`, 0 when there is none.
//
//go:wasmimport knockgate:policy/state@1.0.0 load
func Load(key uint32) uint64

// Store: Keep a number under `key`; 0 forgets it. Happens only if `decide` commits.
//
//go:wasmimport knockgate:policy/state@1.0.0 store
func Store(key uint32, value uint64) int32

// Has tells whether the event has the attribute.
func Has(key uint32) bool {
	return has(key) != 0
}

// Text answers a text attribute; empty when the event does not have it.
func Text(key uint32) string {
	letters := make([]byte, min(Attr(key), 64))
	for at := range letters {
		letters[at] = byte(text(key, uint32(at)&^7) >> (8 * (at & 7)))
	}
	return string(letters)
}

// ReadHead answers the attributes that almost every policy reads, in one call.
func ReadHead() Head {
	var head Head
	readHead(&head)
	return head
}

// ParameterCount tells how many values parameter number index of the manifest has in the configuration; 0 when it is not
// given.
func ParameterCount(index uint32) uint32 {
	return uint32(Attr(65536 + 256*index))
}

// Parameter answers value number at of a parameter.
func Parameter(index, at uint32) uint64 {
	return Attr(65536 + 256*index + 1 + at)
}

// ParameterOr answers the first value of a parameter, or otherwise when it is not given.
func ParameterOr(index uint32, otherwise uint64) uint64 {
	if ParameterCount(index) > 0 {
		return Parameter(index, 0)
	}
	return otherwise
}
