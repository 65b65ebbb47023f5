//! Translates the built-in policies from WebAssembly text, so that the repository holds no binaries.

use std::path::Path;
use std::{env, fs};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let source = Path::new("../builtin/default.wat");
    println!("cargo::rerun-if-changed={}", source.display());
    let module = wat::parse_file(source)?;
    fs::write(Path::new(&env::var("OUT_DIR")?).join("default.wasm"), module)?;
    Ok(())
}
