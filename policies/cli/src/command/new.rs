//! Begins a policy.

use std::fs;
use std::io;
use std::path::Path;

use knockgate_policy_abi::limits::MAX_NAME_BYTES;
use serde_json::json;

use crate::answer::{Exit, Section, Told, Trouble};
use crate::cli::New;
use crate::template;
use crate::text::plain;

pub(crate) fn run(new: &New) -> Result<Told, Trouble> {
    let folder = &new.folder;
    let name = name(folder)?;
    let files = template::files(new.lang, name);
    empty_folder(folder)?;
    for (place, text) in &files {
        let path = folder.join(place);
        write(&path, text).map_err(|error| fault(&path, &error))?;
    }
    let lines = vec![
        format!("{}: a policy in {}, ready to build", folder.display(), new.lang.name()),
        format!("  cd {}", folder.display()),
        "  knockgate-policy build".to_owned(),
        "  knockgate-policy test".to_owned(),
    ];
    let places: Vec<_> = files.iter().map(|(place, _)| place).collect();
    let facts = json!({ "folder": folder, "name": name, "lang": new.lang.name(), "files": places });
    Ok(Told { exit: Exit::Fine, lines, facts })
}

/// The folder's own name, which the manifest takes.
fn name(folder: &Path) -> Result<&str, Trouble> {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let starts_well = name.starts_with(|letter: char| letter.is_ascii_lowercase());
    if starts_well && name.len() <= MAX_NAME_BYTES && name.bytes().all(allowed) {
        return Ok(name);
    }
    let told = format!(
        "{name:?} cannot name a policy; use 1 to {MAX_NAME_BYTES} lower-case letters, digits and hyphens, a letter first"
    );
    Err(Trouble::with_use(Section::New, told))
}

fn empty_folder(folder: &Path) -> Result<(), Trouble> {
    fs::create_dir_all(folder).map_err(|error| fault(folder, &error))?;
    let mut entries = fs::read_dir(folder).map_err(|error| fault(folder, &error))?;
    if entries.next().is_none() {
        return Ok(());
    }
    let told = format!("{}: is not empty; choose a new folder", folder.display());
    Err(Trouble::with_use(Section::New, told))
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)
}

fn fault(path: &Path, error: &io::Error) -> Trouble {
    let told =
        format!("{}: cannot be made: {}; check the folder and its permissions", path.display(), plain(error));
    Trouble::with_use(Section::New, told)
}
