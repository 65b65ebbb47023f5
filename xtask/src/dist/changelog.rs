//! The changelog that Debian wants of a package: from which sources, and when, it was made.
//!
//! What has changed is told by `CHANGELOG.md`, which goes into every package as its `changelog.gz`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::tool;

const MANIFEST: &str = "packaging/Cargo.toml";

/// One file for each package, named like it, where `packaging/Cargo.toml` looks for it.
pub(super) fn write(folder: &Path, packages: &[&str], last_change: u64) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let maintainer = maintainer()?;
    let time = tool::output(
        Command::new("date").args(["--utc", "--rfc-email", "--date"]).arg(format!("@{last_change}")),
    )?;
    for package in packages {
        let text = entry(package, &maintainer, time.trim());
        std::fs::write(folder.join(package), text)
            .with_context(|| format!("cannot write the changelog of {package}"))?;
    }
    Ok(())
}

/// `-1` is the revision that `cargo-deb` appends.
fn entry(package: &str, maintainer: &str, time: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "{package} ({version}-1) unstable; urgency=medium\n\n  \
         * Made of the sources of that time. changelog.gz tells what is new.\n\n \
         -- {maintainer}  {time}\n"
    )
}

fn maintainer() -> Result<String> {
    let manifest = std::fs::read_to_string(MANIFEST).with_context(|| format!("cannot read {MANIFEST}"))?;
    let line = manifest.lines().find_map(|line| line.strip_prefix("maintainer = "));
    let name = line.with_context(|| format!("{MANIFEST} has no line that begins with `maintainer = `"))?;
    Ok(name.trim_matches('"').to_owned())
}
