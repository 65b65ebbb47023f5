//! Wrong input of every kind: refused with file, place and remedy, and nothing half-applied.

mod configurations;
mod files;

use std::process::ExitCode;

use knockgate_tests::harness;

fn main() -> ExitCode {
    harness::run(|| {
        let mut stories = files::stories();
        stories.extend(configurations::stories());
        stories
    })
}
