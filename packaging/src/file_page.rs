//! A page for each file that people write, from the document about it.

use anyhow::{Context, Result};
use clap_mangen::roff::Roff;

use crate::{Imprint, Page, markdown};

/// A file and the sections of a document that describe it.
#[derive(Debug)]
pub struct FilePage {
    /// `agent.toml`, in section 5 of the manual.
    pub name: &'static str,
    /// Whose package has it.
    pub program: &'static str,
    pub about: &'static str,
    pub document: &'static str,
    /// Headings of the second level; none means the whole document.
    pub headings: &'static [&'static str],
    pub see_also: &'static str,
}

/// A section of a document.
#[derive(Debug)]
pub struct Excerpt {
    pub document: &'static str,
    pub heading: &'static str,
}

pub const ALL: &[&FilePage] = &[
    &FilePage {
        name: "agent.toml",
        program: "knockgated",
        about: "configuration of knockgated",
        document: "agent-toml.md",
        headings: &[],
        see_also: "knockgated(8)",
    },
    &FilePage {
        name: "knockgate-audit",
        program: "knockgated",
        about: "what the audit log of knockgated says, and how it is checked",
        document: "audit-log.md",
        headings: &[],
        see_also: "agent.toml(5), knockgated(8), knockgated-audit-verify(8), knockgated-report(8)",
    },
    &FilePage {
        name: "knockgate-config",
        program: "knockgate",
        about: "settings of the client knockgate",
        document: "client.md",
        headings: &["Settings"],
        see_also: "knockgate(1)",
    },
    &FilePage {
        name: "knockgate-profile",
        program: "knockgate",
        about: "what a client of Knockgate knows about its gate",
        document: "protocol.md",
        headings: &["7. Enrolment and profile", "8. Files"],
        see_also: "knockgate(1), knockgated(8)",
    },
    &FilePage {
        name: "knockgate-policy.toml",
        program: "knockgate-policy",
        about: "project file and test cases of a policy",
        document: "knockgate-policy.md",
        headings: &["The project file", "Rights", "Test cases"],
        see_also: "knockgate-policy(1), agent.toml(5)",
    },
];

/// The documents as they are when this is compiled.
fn document(name: &str) -> Result<&'static str> {
    Ok(match name {
        "agent-toml.md" => include_str!("../../docs/agent-toml.md"),
        "audit-log.md" => include_str!("../../docs/audit-log.md"),
        "client.md" => include_str!("../../docs/client.md"),
        "knockgate-policy.md" => include_str!("../../docs/knockgate-policy.md"),
        "protocol.md" => include_str!("../../docs/protocol.md"),
        "running.md" => include_str!("../../docs/running.md"),
        _ => anyhow::bail!("docs/{name} is not compiled in; add it to file_page.rs"),
    })
}

/// The page of a file.
///
/// # Errors
/// A heading that its document has no more.
pub fn of_file(file: &FilePage, imprint: &Imprint) -> Result<Page> {
    let document = document(file.document)?;
    let mut roff = Roff::new();
    let title = file.name.to_uppercase();
    roff.control("TH", [title.as_str(), "5", &imprint.date, &imprint.source, "Knockgate"]);
    roff.control("SH", ["NAME"]);
    roff.text([format!("{} - {}", file.name, file.about).into()]);
    if file.headings.is_empty() {
        roff.control("SH", ["DESCRIPTION"]);
        markdown::write(&mut roff, after_title(document));
    }
    for heading in file.headings {
        roff.control("SH", [heading.to_uppercase().as_str()]);
        markdown::write(&mut roff, excerpt(document, heading).with_context(|| lost(file.document, heading))?);
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text([file.see_also.into()]);
    Ok(Page { program: file.program, file: format!("{}.5", file.name), text: roff.render() })
}

/// A section of a document under a heading of the page's own.
///
/// # Errors
/// A heading that the document has no more.
pub fn section(title: &str, wanted: &Excerpt) -> Result<String> {
    let text = excerpt(document(wanted.document)?, wanted.heading)
        .with_context(|| lost(wanted.document, wanted.heading))?;
    let mut roff = Roff::new();
    roff.control("SH", [title]);
    markdown::write(&mut roff, text);
    Ok(roff.render())
}

fn lost(document: &str, heading: &str) -> String {
    format!("docs/{document} has no section \"{heading}\" any more; name the one that replaces it")
}

fn after_title(document: &str) -> &str {
    document.split_once('\n').map_or("", |(_, rest)| rest)
}

/// What stands between this heading of the second level and the next one.
fn excerpt<'d>(document: &'d str, heading: &str) -> Option<&'d str> {
    let (_, rest) = document.split_once(&format!("\n## {heading}\n"))?;
    Some(rest.find("\n## ").and_then(|end| rest.get(..end)).unwrap_or(rest))
}
