//! `knockgate-packaging FOLDER DATE`: writes man pages and completions into the folder, dated with the day of the last change.
//! `cargo xtask man` runs it.

use std::path::Path;

use anyhow::{Result, bail};
use knockgate_packaging::{Imprint, write};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, date] = arguments.as_slice() else {
        bail!("usage: knockgate-packaging FOLDER YYYY-MM-DD");
    };
    write(Path::new(folder), &Imprint::new(date.clone()))
}
