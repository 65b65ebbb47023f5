//! `knockgate-policy`: writes, checks, tests, replays and signs policies.

fn main() {}
