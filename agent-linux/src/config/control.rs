//! `[control]`: where the sockets are by which commands speak with a running agent.

use std::path::PathBuf;

use super::document::Section;
use super::read::{accept, or_default};
use super::value;

/// `[control]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// Where the sockets are.
    pub directory: PathBuf,
    /// Whose members may look: the name or the number of a group.
    pub group: Option<String>,
}

/// Where they are unless somebody says otherwise.
pub(crate) const DEFAULT_DIRECTORY: &str = "/run/knockgate";
/// Bytes of the directory's path: with the name of a socket it fits into the kernel's 108.
const MAX_PATH: usize = 98;

pub(super) fn control(root: &Section<'_>) -> Option<Control> {
    let section = &root.section("control");
    let directory = section.text("directory").map(|text| {
        let read = value::absolute_path(text.value).and_then(|path| match text.value.len() {
            0..=MAX_PATH => Ok(path),
            length => Err(format!(
                "a path of {length} bytes; the kernel takes {MAX_PATH} for it, so choose a shorter one"
            )),
        });
        text.with(accept(section, "directory", text.line, read))
    });
    let directory = or_default(section, "directory", directory, Some(DEFAULT_DIRECTORY.into()));
    let group = section.text("group").map(|text| text.value.to_owned());
    section.refuse_unknown_keys();
    Some(Control { directory: directory??, group })
}
