//! A small document as the benchmark's program prints it, for tests. Its figures are made up.

use super::document::Document;

pub(super) fn run() -> Document {
    Document::read(&serde_json::from_str(RUN).unwrap()).unwrap()
}

/// A run in which nothing was measured.
pub(super) fn nothing() -> Document {
    let json = r#"{"command": "bench", "programs": {}, "machine": "none", "started": "never"}"#;
    Document::read(&serde_json::from_str(json).unwrap()).unwrap()
}

pub(super) const RUN: &str = include_str!("fixture/run.json");

/// The page that is made of it.
pub(super) const PAGE: &str = include_str!("fixture/page.md");
