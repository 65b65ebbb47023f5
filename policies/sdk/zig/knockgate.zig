//! Knockgate policy ABI 1.0 for Zig. Generated from the tables in policies/abi; do not edit.
//!
//! A policy is a manifest, `comptime { asm (kg.manifest("abi=1.0\nname=mine\n")); }`, and one function,
//! `export fn decide() kg.Verdict`.

/// The manifest as assembly that puts it where the host looks for it.
pub fn manifest(comptime lines: []const u8) []const u8 {
    @setEvalBranchQuota(100_000);
    comptime var section: []const u8 = ".section .custom_section.knockgate.manifest,\"\",@\n.ascii \"";
    inline for (lines) |letter| {
        section = section ++ if (letter == '\n') "\\n" else &[_]u8{letter};
    }
    return section ++ "\"\n";
}

/// What `decide` returns.
pub const Verdict = enum(u32) {
    /// Let everything that was queued happen.
    commit = 0,
    /// Nothing happens.
    deny = 1,
    /// Nothing happens here; ask the next policy.
    abstain = 2,
};

/// Why an act was not queued.
pub const Refusal = error{
    Invalid,
    NotPermitted,
    LimitReached,
    NoSuchThing,
    NotOnThisHost,
};

/// How much a line of the log matters.
pub const Level = enum(u32) {
    @"error" = 1,
    warning = 2,
    information = 3,
    debug = 4,
};

/// What happened. Newer hosts may have more.
pub const Cause = enum(u32) {
    /// A client has knocked with a sequence.
    sequence = 1,
    /// A client has knocked with a packet.
    packet = 2,
    /// A client asks to keep a grant open for longer.
    renew = 3,
    /// A client has closed its grant.
    close = 4,
    /// A grant has reached its end.
    expiry = 5,
    /// A source or client has been locked out.
    lockout = 6,
    /// An attempt has failed.
    failed_attempt = 7,
    /// The gate has started.
    start_up = 8,
    _,
};

/// Attributes of the event.
pub const Attribute = enum(u32) {
    /// number. Unix time in seconds; absent on a host without a clock.
    time = 1,
    /// number. Day in the gate's time zone: 1 Monday to 7 Sunday; absent without a clock.
    weekday = 2,
    /// number. Minute of the day in the gate's time zone: 0 to 1439; absent without a clock.
    minute = 3,
    /// number. What happened: a cause number.
    cause = 4,
    /// number. Where the policy runs: 1 Linux agent, 2 gateway.
    host_kind = 5,
    /// number. The client's number in the roster; absent when nobody has proved who he is.
    client = 10,
    /// text. The client's name in the roster.
    client_name = 11,
    /// number. Failed attempts of this client since its last grant.
    client_failures = 12,
    /// number. Grants of this client that are open now.
    client_grants = 13,
    /// flag. A second factor was seen with this knock.
    second_factor = 14,
    /// number. Upper half of the source address; IPv4 is ::ffff:a.b.c.d.
    address_high = 20,
    /// number. Lower half of the source address; of IPv4 the low 32 bits are the address.
    address_low = 21,
    /// number. Address family: 4 or 6.
    family = 22,
    /// number. Bits of the source address that this gate counts as one source.
    prefix = 23,
    /// number. Failed attempts from this source since its last grant.
    source_failures = 24,
    /// number. Grants of this source that are open now.
    source_grants = 25,
    /// number. Bits of the prefix that the client wants it opened to; absent for its address alone.
    asked_prefix = 26,
    /// number. The service's number in the configuration.
    service = 30,
    /// text. The service's name in the configuration.
    service_name = 31,
    /// number. How long it shall be open: what the client asked, else the service's default.
    seconds = 32,
    /// number. The longest time that `open` accepts from this policy here.
    max_seconds = 33,
    /// number. Grants of this service that are open now.
    service_grants = 34,
    /// number. Number of the knock in its knock book; absent for a packet.
    book_number = 40,
    /// number. Knocks left in the client's book after this one.
    book_left = 41,
    /// number. The grant that is renewed, closed or expired.
    grant = 50,
    /// number. Seconds until that grant ends.
    grant_left = 51,
    /// number. Grants open on the whole gate.
    grants_open = 52,
    /// number. The oldest open grant of this client, for `extend` and `revoke`.
    oldest_grant = 53,
    /// number. How long the lockout lasts that is reported.
    lockout_seconds = 60,
    _,
};

/// Flags in `Head.bits`.
pub const bits = struct {
    /// The source address is IPv6.
    pub const ipv6: u32 = 1;
    /// `time` is known.
    pub const time: u32 = 2;
    /// `weekday` and `minute` are known.
    pub const zone: u32 = 4;
    /// The client has proved who it is.
    pub const client: u32 = 8;
    /// A second factor was seen.
    pub const second_factor: u32 = 16;
};

/// The attributes that almost every policy reads.
pub const Head = extern struct {
    time: u64 = 0,
    client: u64 = 0,
    address_high: u64 = 0,
    address_low: u64 = 0,
    cause: u32 = 0,
    service: u32 = 0,
    seconds: u32 = 0,
    failures: u32 = 0,
    grants: u32 = 0,
    bits: u32 = 0,
};

/// A number or flag of the event, the length of a text; 0 when the event does not have it.
pub fn get(key: Attribute) u64 {
    return event.attr(@intFromEnum(key));
}

/// Whether the event has the attribute.
pub fn has(key: Attribute) bool {
    return event.has(@intFromEnum(key)) != 0;
}

/// A number or flag of the event; null when the event does not have it.
pub fn number(key: Attribute) ?u64 {
    return if (has(key)) get(key) else null;
}

/// Reads a text attribute into `buffer` and returns what fits; empty when the event does not have it.
pub fn text(key: Attribute, buffer: []u8) []u8 {
    const length: usize = @intCast(@min(get(key), buffer.len));
    for (buffer[0..length], 0..) |*byte, at| {
        const word = event.text(@intFromEnum(key), @intCast(at & ~@as(usize, 7)));
        byte.* = @truncate(word >> @intCast(8 * (at & 7)));
    }
    return buffer[0..length];
}

/// The attributes that almost every policy reads, in one call.
pub fn head() Head {
    var record: Head = .{};
    event.@"read-head"(&record);
    return record;
}

/// A line for the operator; a client never sees it.
pub fn log(level: Level, message: []const u8) void {
    journal.log(@intFromEnum(level), message.ptr, message.len);
}

/// The number that this policy keeps under `key`, 0 when there is none.
pub fn load(key: u32) u64 {
    return state.load(key);
}

/// Keep a number under `key`; 0 forgets it. Happens only if `decide` commits.
pub fn store(key: u32, value: u64) Refusal!void {
    return answer(state.store(key, value));
}

/// How many values parameter number `index` of the manifest has in the configuration; 0 when it is not given.
pub fn parameterCount(index: u32) u32 {
    return @truncate(event.attr(65536 + 256 * index));
}

/// Value number `at` of a parameter; null when it is not there.
pub fn parameter(index: u32, at: u32) ?u64 {
    return if (at < parameterCount(index)) event.attr(65536 + 256 * index + 1 + at) else null;
}

/// Open a service to the knocker's address.
pub fn open(service: u32, seconds: u32) Refusal!void {
    return answer(act.open(service, seconds));
}

/// Open a service to the knocker's whole prefix of so many bits.
pub fn openPrefix(service: u32, prefix_bits: u32, seconds: u32) Refusal!void {
    return answer(act.@"open-prefix"(service, prefix_bits, seconds));
}

/// Let an open grant of the client last so many seconds from now.
pub fn extend(grant: u64, seconds: u32) Refusal!void {
    return answer(act.extend(grant, seconds));
}

/// Close an open grant of the client.
pub fn revoke(grant: u64) Refusal!void {
    return answer(act.revoke(grant));
}

/// Lock the source out for so many seconds.
pub fn lockout(seconds: u32) Refusal!void {
    return answer(act.lockout(seconds));
}

/// Start a unit of the host's table.
pub fn start(unit: u32) Refusal!void {
    return answer(act.start(unit));
}

/// Send a code to a channel of the host's table.
pub fn notify(channel: u32, code: u32) Refusal!void {
    return answer(act.notify(channel, code));
}

fn answer(code: i32) Refusal!void {
    return switch (code) {
        0 => {},
        -1 => error.Invalid,
        -2 => error.NotPermitted,
        -3 => error.LimitReached,
        -4 => error.NoSuchThing,
        -5 => error.NotOnThisHost,
        // A newer host may have other reasons; the act was not queued.
        else => error.NotOnThisHost,
    };
}

const event = struct {
    extern "knockgate:policy/event@1.0.0" fn attr(key: u32) u64;
    extern "knockgate:policy/event@1.0.0" fn has(key: u32) u32;
    extern "knockgate:policy/event@1.0.0" fn text(key: u32, offset: u32) u64;
    extern "knockgate:policy/event@1.0.0" fn @"read-head"(record: *Head) void;
};

const act = struct {
    extern "knockgate:policy/act@1.0.0" fn open(service: u32, seconds: u32) i32;
    extern "knockgate:policy/act@1.0.0" fn @"open-prefix"(service: u32, prefix_bits: u32, seconds: u32) i32;
    extern "knockgate:policy/act@1.0.0" fn extend(grant: u64, seconds: u32) i32;
    extern "knockgate:policy/act@1.0.0" fn revoke(grant: u64) i32;
    extern "knockgate:policy/act@1.0.0" fn lockout(seconds: u32) i32;
    extern "knockgate:policy/act@1.0.0" fn start(unit: u32) i32;
    extern "knockgate:policy/act@1.0.0" fn notify(channel: u32, code: u32) i32;
};

const journal = struct {
    extern "knockgate:policy/journal@1.0.0" fn log(level: u32, message: [*]const u8, length: usize) void;
};

const state = struct {
    extern "knockgate:policy/state@1.0.0" fn load(key: u32) u64;
    extern "knockgate:policy/state@1.0.0" fn store(key: u32, value: u64) i32;
};
