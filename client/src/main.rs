//! `knockgate`: see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    knockgate::run(std::env::args_os())
}
