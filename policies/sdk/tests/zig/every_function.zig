//! Calls every function of the SDK; policies/host/tests/sdk.rs says what must come of it.

const kg = @import("knockgate.zig");

comptime {
    asm (kg.manifest(
            \\abi=1.0
            \\name=every-function
            \\services=*
            \\capabilities=open open-prefix extend revoke lockout start notify state log
            \\parameters=first:number second:numbers
        ));
}

const bits = kg.bits.ipv6 | kg.bits.time | kg.bits.zone | kg.bits.client | kg.bits.second_factor;

export fn decide() kg.Verdict {
    if (!headIsWhatTheAttributesSay() or kg.number(.grant) != null) return .abstain;
    var name: [64]u8 = undefined;
    kg.log(.information, kg.text(.client_name, &name));
    acts() catch return .deny;
    kg.open(0, 0) catch |refusal| return if (refusal == error.Invalid) .commit else .deny;
    return .deny;
}

fn headIsWhatTheAttributesSay() bool {
    const head = kg.head();
    return head.time == kg.get(.time) and head.client == kg.get(.client) and
        head.address_high == kg.get(.address_high) and head.address_low == kg.get(.address_low) and
        head.cause == kg.get(.cause) and head.service == kg.get(.service) and head.seconds == kg.get(.seconds) and
        head.failures == kg.get(.client_failures) and head.grants == kg.get(.client_grants) and head.bits == bits;
}

fn acts() kg.Refusal!void {
    const grant = kg.get(.oldest_grant);
    try kg.open(1, 60);
    try kg.openPrefix(2, 64, 59);
    try kg.extend(grant, 62);
    try kg.revoke(grant);
    try kg.lockout(63);
    try kg.start(4);
    try kg.notify(9, 64);
    var sum = kg.load(5) + (kg.parameter(0, 0) orelse 7) + kg.parameterCount(1) + kg.parameter(1, 2).?;
    var at: u32 = 0;
    while (kg.parameter(1, at)) |value| : (at += 1) sum += value;
    try kg.store(5, sum);
}
