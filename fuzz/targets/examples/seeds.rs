//! Writes valid inputs for every target into a folder, one folder for each target: `cargo run --example seeds -- FOLDER`.

use std::fs;
use std::io;
use std::path::PathBuf;

use knockgate_fuzz_targets::ALL;
use knockgate_fuzz_targets::seed::seeds;

fn main() -> io::Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder =
        folder.ok_or_else(|| io::Error::other("name the folder that the seeds shall be written to"))?;
    for (target, _) in ALL {
        let folder = folder.join(target);
        fs::create_dir_all(&folder)?;
        for (number, seed) in seeds(target).iter().enumerate() {
            fs::write(folder.join(format!("seed-{number:02}")), seed)?;
        }
    }
    Ok(())
}
