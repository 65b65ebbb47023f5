//! The notes at the end of a help text as sections of a page.
//!
//! A help text is written for a terminal: paragraphs at the left edge, indented lines that are either `TERM  meaning` or to be
//! typed as they stand. A page keeps the difference, and fills its lines to the reader's width.

use clap_mangen::roff::{Roff, bold, roman};

/// Sections, in the order of the text.
#[must_use]
pub fn sections(help: &str) -> String {
    let mut roff = Roff::new();
    let mut heading = "";
    for block in help.split("\n\n") {
        let (wanted, block) = heading_of(block);
        // An indented block goes on with what was said before it.
        if wanted != heading && (heading.is_empty() || !block.starts_with(' ') || wanted != "NOTES") {
            roff.control("SH", [wanted]);
            heading = wanted;
        } else {
            roff.control("PP", []);
        }
        write_block(&mut roff, block);
    }
    roff.render()
}

/// Under which heading a block stands, and what of it is left to say there.
fn heading_of(block: &str) -> (&'static str, &str) {
    if let Some(rest) = block.strip_prefix("Exit codes:\n") {
        return ("EXIT STATUS", rest);
    }
    if block.starts_with("Files, ") {
        return ("FILES", block);
    }
    ("NOTES", block)
}

fn write_block(roff: &mut Roff, block: &str) {
    let mut literal = Vec::new();
    let mut paragraph: Option<String> = None;
    for line in block.lines() {
        match kind(line) {
            Line::Term(term, text) => {
                flush(roff, &mut paragraph, &mut literal);
                roff.control("TP", []);
                roff.text([bold(term)]);
                paragraph = Some(text.to_owned());
            }
            // A deeper line goes on with the term above it.
            Line::Indented(text) if paragraph.is_some() && line.starts_with("    ") && literal.is_empty() => {
                push(&mut paragraph, text);
            }
            Line::Indented(_) => {
                flush_paragraph(roff, &mut paragraph);
                literal.push(line);
            }
            Line::Plain(text) => {
                flush_literal(roff, &mut literal);
                push(&mut paragraph, text);
            }
        }
    }
    flush(roff, &mut paragraph, &mut literal);
}

enum Line<'l> {
    /// `  term   meaning`.
    Term(&'l str, &'l str),
    Indented(&'l str),
    Plain(&'l str),
}

fn kind(line: &str) -> Line<'_> {
    let Some(rest) = line.strip_prefix("  ") else { return Line::Plain(line) };
    match rest.split_once("  ") {
        Some((term, text)) if !rest.starts_with(' ') && !text.trim().is_empty() => {
            Line::Term(term, text.trim_start())
        }
        Some(_) | None => Line::Indented(rest.trim_start()),
    }
}

fn push(paragraph: &mut Option<String>, text: &str) {
    match paragraph {
        Some(whole) => {
            whole.push(' ');
            whole.push_str(text);
        }
        None => *paragraph = Some(text.to_owned()),
    }
}

fn flush(roff: &mut Roff, paragraph: &mut Option<String>, literal: &mut Vec<&str>) {
    flush_paragraph(roff, paragraph);
    flush_literal(roff, literal);
}

fn flush_paragraph(roff: &mut Roff, paragraph: &mut Option<String>) {
    if let Some(text) = paragraph.take() {
        roff.text([roman(text)]);
    }
}

fn flush_literal(roff: &mut Roff, literal: &mut Vec<&str>) {
    if literal.is_empty() {
        return;
    }
    roff.control("RS", ["4"]);
    roff.control("nf", []);
    for line in literal.drain(..) {
        roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
    }
    roff.control("fi", []);
    roff.control("RE", []);
}
