//! Man pages and completions of Knockgate's programs.
//!
//! Nothing here is written twice. A command's page comes from the program's own command line ([`command_page`]), its notes from the
//! help text ([`help_text`]), a file's page from the document about it in `docs/` ([`file_page`], through [`markdown`]), and
//! [`completions`] from the command lines again. So a new command, option or key has its page without anything being done here.
//!
//! The other files of this folder go into the packages as they are; `cargo xtask dist` puts them together.
#![forbid(unsafe_code)]

pub mod command_page;
pub mod completions;
pub mod file_page;
pub mod help_text;
pub mod markdown;
pub mod programs;

use std::path::Path;

use anyhow::{Context, Result};

/// What stands in the heading and the footer of every page.
#[derive(Clone, Debug)]
pub struct Imprint {
    /// `2027-01-31`: of the last change, and never of the build, so that two builds make the same page.
    pub date: String,
    /// `knockgate 0.1.0`.
    pub source: String,
}

impl Imprint {
    #[must_use]
    pub fn new(date: String) -> Self {
        Self { date, source: format!("knockgate {}", env!("CARGO_PKG_VERSION")) }
    }
}

/// A page under its file name, such as `knockgated.8`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The program whose package has it.
    pub program: &'static str,
    pub file: String,
    pub text: String,
}

/// Every page, those of commands first.
///
/// # Errors
/// A document that has lost a section that a page is made of.
pub fn pages(imprint: &Imprint) -> Result<Vec<Page>> {
    let mut pages = Vec::new();
    for program in programs::ALL {
        pages.extend(command_page::of_program(program, imprint)?);
    }
    for file in file_page::ALL {
        pages.push(file_page::of_file(file, imprint)?);
    }
    for page in &mut pages {
        page.text = tidy(&page.text);
    }
    Ok(pages)
}

/// Without breaks that break nothing: a paragraph right below a heading or before a list, and a second line break before the values
/// of an option.
fn tidy(text: &str) -> String {
    let text = text.replace(".br\n\n.br\n", ".br\n").replace("\n\n.br\n", "\n.br\n");
    let mut tidy = String::with_capacity(text.len());
    let mut below_heading = false;
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let breaks = !below_heading && lines.peek().is_some_and(|next| !next.starts_with(".TP"));
        if line != ".PP" || breaks {
            tidy.push_str(line);
            tidy.push('\n');
        }
        below_heading = line.starts_with(".SH ") || line.starts_with(".SS ");
    }
    tidy
}

/// Writes `man/PROGRAM/PAGE`, `completions/SHELL/FILE` and the example `agent.toml` into the folder.
///
/// # Errors
/// As [`pages`], or a file that cannot be written.
pub fn write(folder: &Path, imprint: &Imprint) -> Result<()> {
    for page in pages(imprint)? {
        write_file(&folder.join("man").join(page.program).join(page.file), &page.text)?;
    }
    for script in completions::all()? {
        write_file(&folder.join("completions").join(script.place), &script.text)?;
    }
    write_file(&folder.join("agent.toml"), &knockgate_agent::admin::init::example()?)
}

fn write_file(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
