//! `cargo xtask`: set-up, demo, tests and checks of Knockgate.
//!
//! Each module is one concern and each subcommand is one module's `run`. Nothing here is part of what is installed.

mod bare;
mod bench;
mod c_wasm;
mod command;
mod core_check;
mod demo;
mod dist;
mod gateway;
mod lint;
mod policies;
mod setup;
mod small_agent;
mod step;
mod test;
mod tool;

fn main() -> std::process::ExitCode {
    command::run(std::env::args().skip(1).collect())
}
