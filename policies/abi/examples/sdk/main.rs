//! Writes the SDK files that are made from the tables of this crate: `cargo run -p knockgate-policy-abi --example sdk`.

mod files;

use std::path::Path;

fn main() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(files::FOLDER);
    for file in files::all() {
        let path = folder.join(file.path);
        std::fs::write(&path, file.text)?;
        println!("{}", path.display());
    }
    Ok(())
}
