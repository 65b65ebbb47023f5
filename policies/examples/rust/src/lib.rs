//! Opens on weekdays from 8 to 18 o'clock in the gate's time zone, at most two grants at a time for each client.
#![no_std]

use knockgate_policy::{LogLevel, Verdict, act, attr, event, head, journal, policy};

// What the policy says about itself. What it does not ask for here it does not have.
policy! {
    manifest: "abi=1.0\n\
               name=office-hours\n\
               version=1.0\n\
               services=*\n\
               capabilities=open log\n\
               fuel=5000\n\
               pages=1\n",
    decide: decide,
}

// Called for every knock, each time in a fresh instance: nothing is left over from the last knock.
fn decide() -> Verdict {
    // Without a clock nobody knows whether it is office hours.
    let (Some(weekday), Some(minute)) = (event::number(attr::WEEKDAY), event::number(attr::MINUTE)) else {
        journal::log(LogLevel::Warning, "no clock: denied");
        return Verdict::Deny;
    };
    // 1 is Monday, 5 is Friday; minutes count from midnight.
    if weekday > 5 || !(8 * 60..18 * 60).contains(&minute) {
        journal::log(LogLevel::Information, "outside office hours: denied");
        return Verdict::Deny;
    }
    let knock = head();
    if knock.grants >= 2 {
        journal::log(LogLevel::Information, "two grants are open already: denied");
        return Verdict::Deny;
    }
    // Who asks for more time than is allowed gets as much as is allowed.
    let most = event::number(attr::MAX_SECONDS).unwrap_or(0);
    act::open(knock.service, knock.seconds.min(most as u32)).into()
}
