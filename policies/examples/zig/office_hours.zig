//! Opens on weekdays from 8 to 18 o'clock in the gate's time zone, at most two grants at a time for each client.

const kg = @import("knockgate.zig");

// What the policy says about itself. What it does not ask for here it does not have.
comptime {
    asm (kg.manifest(
            \\abi=1.0
            \\name=office-hours
            \\version=1.0
            \\services=*
            \\capabilities=open log
            \\fuel=5000
            \\pages=1
        ));
}

// Called for every knock, each time in a fresh instance: nothing is left over from the last knock.
export fn decide() kg.Verdict {
    // Without a clock nobody knows whether it is office hours.
    const weekday = kg.number(.weekday) orelse return deny(.warning, "no clock: denied");
    const minute = kg.get(.minute);
    // 1 is Monday, 5 is Friday; minutes count from midnight.
    if (weekday > 5 or minute < 8 * 60 or minute >= 18 * 60) {
        return deny(.information, "outside office hours: denied");
    }
    const knock = kg.head();
    if (knock.grants >= 2) return deny(.information, "two grants are open already: denied");
    // Who asks for more time than is allowed gets as much as is allowed.
    const seconds: u32 = @intCast(@min(knock.seconds, kg.get(.max_seconds)));
    kg.open(knock.service, seconds) catch return .deny;
    return .commit;
}

fn deny(level: kg.Level, reason: []const u8) kg.Verdict {
    kg.log(level, reason);
    return .deny;
}
