//! Calls every function of the SDK; policies/host/tests/sdk.rs says what must come of it.
#![no_std]

use knockgate_policy::attr::{self, bits};
use knockgate_policy::{LogLevel, Refusal, Verdict, act, event, head, journal, parameter, policy, state};

policy! {
    manifest: "abi=1.0\n\
               name=every-function\n\
               services=*\n\
               capabilities=open open-prefix extend revoke lockout start notify state log\n\
               parameters=first:number second:numbers\n",
    decide: decide,
}

const BITS: u32 = bits::IPV6 | bits::TIME | bits::ZONE | bits::CLIENT | bits::SECOND_FACTOR;

fn decide() -> Verdict {
    if !head_is_what_the_attributes_say() || event::number(attr::GRANT).is_some() {
        return Verdict::Abstain;
    }
    journal::log(
        LogLevel::Information,
        core::str::from_utf8(event::text(attr::CLIENT_NAME, &mut [0; 64])).unwrap_or(""),
    );
    match acts() {
        Ok(()) if act::open(0, 0) == Err(Refusal::Invalid) => Verdict::Commit,
        _ => Verdict::Deny,
    }
}

fn head_is_what_the_attributes_say() -> bool {
    let head = head();
    let number = |key| event::number(key).unwrap_or(0);
    let long = [(head.time, attr::TIME), (head.client, attr::CLIENT)];
    let address = [(head.address_high, attr::ADDRESS_HIGH), (head.address_low, attr::ADDRESS_LOW)];
    let short = [(head.cause, attr::CAUSE), (head.service, attr::SERVICE), (head.seconds, attr::SECONDS)];
    let counts = [(head.failures, attr::CLIENT_FAILURES), (head.grants, attr::CLIENT_GRANTS)];
    long.into_iter().chain(address).all(|(field, key)| field == number(key))
        && short.into_iter().chain(counts).all(|(field, key)| u64::from(field) == number(key))
        && head.bits == BITS
}

fn acts() -> Result<(), Refusal> {
    let grant = event::number(attr::OLDEST_GRANT).unwrap_or(0);
    act::open(1, 60)?;
    act::open_prefix(2, 64, 59)?;
    act::extend(grant, 62)?;
    act::revoke(grant)?;
    act::lockout(63)?;
    act::start(4)?;
    act::notify(9, 64)?;
    let third = parameter::value(1, 2).unwrap_or(0);
    let sum = parameter::values(1).sum::<u64>();
    let first = parameter::value(0, 0).unwrap_or(7);
    state::store(5, state::load(5) + third + sum + first + u64::from(parameter::count(1)))
}
