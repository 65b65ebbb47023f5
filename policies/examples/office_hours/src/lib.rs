//! Opens on weekdays from 8 to 18 o'clock in the gate's time zone, and never otherwise.
#![no_std]

use knockgate_policy::{LogLevel, Verdict, act, attr, event, head, journal, policy};

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

const FRIDAY: u64 = 5;
const OPENS: u64 = 8 * 60;
const CLOSES: u64 = 18 * 60;

fn decide() -> Verdict {
    // Without a clock nobody knows whether it is office hours: deny.
    let (Some(weekday), Some(minute)) = (event::number(attr::WEEKDAY), event::number(attr::MINUTE)) else {
        journal::log(LogLevel::Warning, "no clock: denied");
        return Verdict::Deny;
    };
    if weekday > FRIDAY || !(OPENS..CLOSES).contains(&minute) {
        journal::log(LogLevel::Information, "outside office hours: denied");
        return Verdict::Deny;
    }
    let knock = head();
    act::open(knock.service, knock.seconds).into()
}
