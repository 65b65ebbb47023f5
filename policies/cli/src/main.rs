//! `knockgate-policy`: see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    knockgate_policy_cli::run(std::env::args_os())
}
