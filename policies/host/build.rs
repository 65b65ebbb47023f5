//! Translates the built-in policies from WebAssembly text, so that the repository holds no binaries.

use std::path::Path;
use std::{env, fs};

const SOURCES: &str = "../builtin";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed={SOURCES}");
    let out = env::var("OUT_DIR")?;
    for entry in fs::read_dir(SOURCES)? {
        let source = entry?.path();
        println!("cargo::rerun-if-changed={}", source.display());
        let name = source.with_extension("wasm");
        let name = name.file_name().ok_or("a source without a name")?;
        fs::write(Path::new(&out).join(name), wat::parse_file(&source)?)?;
    }
    Ok(())
}
