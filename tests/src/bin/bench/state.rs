//! Where gates and clients keep their state while they are measured.

use anyhow::{Context, Result};
use knockgate_tests::{Lab, programs};

/// A lab's folder lies in memory, where a sync costs nothing. This puts a folder beside the program in its place.
pub(crate) fn put_on_disk(lab: &Lab) -> Result<()> {
    let program = std::env::current_exe()?;
    let name = lab.path("").file_name().context("a lab's folder has a name")?.to_owned();
    let folder = program.with_file_name("bench-state").join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    let [from, to] = [folder, lab.path("")].map(|path| path.display().to_string());
    programs::run("mount", &["--bind", &from, &to])
}

/// A network of its own, with its folder on the disk.
pub(crate) fn lab_on_disk() -> Result<Lab> {
    let lab = Lab::build()?;
    put_on_disk(&lab)?;
    Ok(lab)
}
