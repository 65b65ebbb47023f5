//! The configuration as it was written.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A file's text. It may hold what only its owner shall know, such as a webhook's path, so it stays out of every log.
#[derive(Clone)]
pub struct Text(Arc<str>);

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}
