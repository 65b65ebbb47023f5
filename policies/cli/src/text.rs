//! Small things that are said in several places.

use std::io;
use std::path::Path;

use serde::de::DeserializeOwned;

use crate::answer::{Section, Trouble};

/// The text of an I/O error without the number that the standard library appends.
pub(crate) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    text.get(..end).unwrap_or_default().to_lowercase()
}

/// `1 byte`, `2 bytes`.
pub(crate) fn count(number: impl TryInto<u64>, one: &str, more: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    format!("{number} {}", if number == 1 { one } else { more })
}

/// What a file in TOML says; a mistake is told with its line.
pub(crate) fn from_toml<T: DeserializeOwned>(
    path: &Path,
    text: &str,
    section: Section,
) -> Result<T, Trouble> {
    toml::from_str(text).map_err(|error| {
        let line = error
            .span()
            .and_then(|span| text.get(..span.start))
            .map(|before| before.matches('\n').count() + 1);
        let place = line.map(|line| format!(":{line}")).unwrap_or_default();
        let message = error.message().trim_end().replace('\n', ", ");
        Trouble::with_use(section, format!("{}{place}: {message}; correct it", path.display()))
    })
}
