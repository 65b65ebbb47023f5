//! Puts the examples and SDKs into the program, so that `new` works where there is no checkout.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// A file of the checkout or a folder of them, relative to `policies`, and its place in a new project.
type Piece = (&'static str, &'static str);

const HEADER: Piece = ("sdk/c/knockgate.h", "knockgate.h");

const LANGUAGES: [(&str, &[Piece]); 8] = [
    (
        "rust",
        &[
            ("examples/rust/src/lib.rs", "src/lib.rs"),
            ("examples/rust/build.rs", "build.rs"),
            ("cli/templates/rust-project.toml", "Cargo.toml"),
            ("sdk/rust/src", "sdk/knockgate-policy/src"),
            ("cli/templates/rust-sdk.toml", "sdk/knockgate-policy/Cargo.toml"),
            ("abi/src", "sdk/knockgate-policy-abi/src"),
            ("cli/templates/rust-abi.toml", "sdk/knockgate-policy-abi/Cargo.toml"),
        ],
    ),
    ("c", &[("examples/c/office_hours.c", "@CRATE@.c"), HEADER, ("sdk/c/flags.txt", "flags.txt")]),
    (
        "cpp",
        &[("examples/cpp/office_hours.cpp", "@CRATE@.cpp"), HEADER, ("sdk/c/flags_cpp.txt", "flags.txt")],
    ),
    (
        "zig",
        &[
            ("examples/zig/office_hours.zig", "@CRATE@.zig"),
            ("sdk/zig/knockgate.zig", "knockgate.zig"),
            ("sdk/zig/flags.txt", "flags.txt"),
        ],
    ),
    (
        "assemblyscript",
        &[
            ("examples/assemblyscript/office_hours.ts", "@CRATE@.ts"),
            ("examples/assemblyscript/manifest.txt", "manifest.txt"),
            ("sdk/assemblyscript/knockgate.ts", "knockgate.ts"),
            ("sdk/assemblyscript/flags.txt", "flags.txt"),
        ],
    ),
    (
        "go",
        &[
            ("examples/go/office_hours.go", "policy.go"),
            ("examples/go/go.mod", "go.mod"),
            ("examples/go/manifest.txt", "manifest.txt"),
            ("sdk/go/knockgate.go", "knockgate/knockgate.go"),
            ("sdk/go/flags.txt", "flags.txt"),
        ],
    ),
    ("wat", &[("examples/wat/office_hours.wat", "@CRATE@.wat"), ("sdk/wat/knockgate.wat", "knockgate.wat")]),
    (
        "javascript",
        &[
            ("examples/javascript/office_hours.js", "@CRATE@.js"),
            ("examples/javascript/manifest.txt", "manifest.txt"),
            ("sdk/javascript/knockgate.js", "knockgate.js"),
            ("sdk/javascript/policy.wit", "policy.wit"),
            ("sdk/javascript/flags.txt", "flags.txt"),
        ],
    ),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let policies = fs::canonicalize("..")?;
    println!("cargo::rerun-if-changed=build.rs");
    let mut out = String::from("&[\n");
    for (language, pieces) in LANGUAGES {
        writeln!(out, "    ({language:?}, &[")?;
        for (from, to) in pieces {
            let from = policies.join(from);
            println!("cargo::rerun-if-changed={}", from.display());
            for (file, place) in files(&from, Path::new(to))? {
                // As text, not by its path: a build elsewhere is the same, bit by bit.
                let text = fs::read_to_string(&file)?;
                writeln!(out, "        ({:?}, {text:?}),", place.display().to_string())?;
            }
        }
        out.push_str("    ]),\n");
    }
    out.push(']');
    fs::write(Path::new(&env::var("OUT_DIR")?).join("templates.rs"), out)?;
    Ok(())
}

/// The file, or all files below the folder, each with its place.
fn files(from: &Path, to: &Path) -> io::Result<Vec<(PathBuf, PathBuf)>> {
    if !from.is_dir() {
        return Ok(vec![(from.to_owned(), to.to_owned())]);
    }
    let mut entries = fs::read_dir(from)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    entries.sort();
    let each = entries.iter().map(|entry| files(entry, &to.join(entry.file_name().unwrap_or_default())));
    Ok(each.collect::<io::Result<Vec<_>>>()?.into_iter().flatten().collect())
}
