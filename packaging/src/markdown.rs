//! The Markdown of `docs/` as the text of a man page: headings, paragraphs, lists, tables, code. No more than those documents use.
//!
//! A table becomes a list: the first column is the term, the others say what they are by the head of their column, but for the
//! last one, which is what the table is about.

use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

/// Writes a document, or a part of one. Its own title is the page's, so headings begin at the second level.
pub fn write(roff: &mut Roff, text: &str) {
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            code(roff, lines.by_ref().take_while(|line| !line.starts_with("```")));
        } else if let Some(heading) = line.strip_prefix("## ") {
            roff.control("SH", [plain(heading).as_str()]);
        } else if let Some(heading) = line.strip_prefix("### ").or_else(|| line.strip_prefix("#### ")) {
            roff.control("SS", [plain(heading).as_str()]);
        } else if line.starts_with('|') {
            let mut rows = vec![cells(line)];
            while let Some(row) = lines.next_if(|line| line.starts_with('|')) {
                rows.push(cells(row));
            }
            table(roff, &rows);
        } else if !line.trim().is_empty() {
            let mut paragraph = line.to_owned();
            while let Some(more) = lines.next_if(|line| continues(line)) {
                paragraph.push(' ');
                paragraph.push_str(more.trim());
            }
            write_paragraph(roff, &paragraph);
        }
    }
}

/// Whether a line belongs to the paragraph or list item above it.
fn continues(line: &str) -> bool {
    let begins = ["```", "#", "|", "- "].iter().any(|mark| line.starts_with(mark));
    !line.trim().is_empty() && !begins && numbered(line).is_none()
}

/// An item such as `1. text`.
fn numbered(line: &str) -> Option<(&str, &str)> {
    let (number, text) = line.split_once(". ")?;
    (!number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())).then_some((number, text))
}

fn write_paragraph(roff: &mut Roff, paragraph: &str) {
    if let Some(item) = paragraph.strip_prefix("- ") {
        roff.control("IP", ["\\(bu", "2"]);
        roff.text(inlines(item));
    } else if let Some((number, item)) = numbered(paragraph) {
        roff.control("IP", [format!("{number}.").as_str(), "4"]);
        roff.text(inlines(item));
    } else {
        roff.control("PP", []);
        roff.text(inlines(paragraph));
    }
}

fn code<'l>(roff: &mut Roff, lines: impl Iterator<Item = &'l str>) {
    roff.control("PP", []);
    roff.control("RS", ["4"]);
    roff.control("nf", []);
    for line in lines {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
    roff.control("RE", []);
}

/// The cells of a row; a bar behind a backslash belongs to the text.
fn cells(row: &str) -> Vec<String> {
    const BAR: &str = "\u{0}";
    let row = row.trim().replace("\\|", BAR);
    let row = row.strip_prefix('|').unwrap_or(&row);
    let row = row.strip_suffix('|').unwrap_or(row);
    row.split('|').map(|cell| cell.trim().replace(BAR, "|")).collect()
}

fn table(roff: &mut Roff, rows: &[Vec<String>]) {
    let [head, _, body @ ..] = rows else { return };
    for row in body {
        let Some((term, rest)) = row.split_first() else { continue };
        roff.control("TP", []);
        roff.text(if term.is_empty() { vec![roman("-")] } else { emphatic(term) });
        let last = rest.len().saturating_sub(1);
        for (column, cell) in rest.iter().enumerate().filter(|(_, cell)| !cell.is_empty()) {
            let head = head.get(column + 1).map_or("", String::as_str);
            if column != last && !head.is_empty() {
                roff.text(
                    [italic(plain(head)), roman(": ")].into_iter().chain(inlines(cell)).collect::<Vec<_>>(),
                );
                roff.control("br", []);
            } else {
                roff.text(inlines(cell));
            }
        }
    }
}

fn emphatic(text: &str) -> Vec<Inline> {
    vec![bold(plain(text))]
}

/// Without marks: for headings and terms, which stand out by themselves.
fn plain(text: &str) -> String {
    pieces(text).into_iter().map(|piece| piece.text).collect()
}

fn inlines(text: &str) -> Vec<Inline> {
    pieces(text)
        .into_iter()
        .map(|piece| match piece.face {
            Face::Roman => roman(piece.text),
            Face::Strong => bold(piece.text),
            Face::Stressed => italic(piece.text),
        })
        .collect()
}

enum Face {
    Roman,
    /// Code and `**text**`.
    Strong,
    /// `*text*`.
    Stressed,
}

struct Piece {
    face: Face,
    text: String,
}

/// Cuts a paragraph at its marks. Of a link only the text is kept: where it leads has no address on a page.
fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some((piece, after)) = marked(rest) {
            pieces.extend(piece);
            rest = after;
            continue;
        }
        let first = rest.chars().next().map_or(0, char::len_utf8);
        let end =
            rest.get(first..).and_then(|tail| tail.find(['`', '*', '['])).map_or(rest.len(), |at| at + first);
        let (said, after) = rest.split_at(end);
        pieces.push(Piece { face: Face::Roman, text: said.to_owned() });
        rest = after;
    }
    pieces
}

/// What the text begins with, if that is a mark with an end, and what comes after it.
fn marked(text: &str) -> Option<(Vec<Piece>, &str)> {
    let one = |face, text: &str| vec![Piece { face, text: text.to_owned() }];
    if let Some(inside) = text.strip_prefix('`') {
        let (code, after) = inside.split_once('`')?;
        return Some((one(Face::Strong, code), after));
    }
    if let Some(inside) = text.strip_prefix("**") {
        let (strong, after) = inside.split_once("**")?;
        return Some((one(Face::Strong, &plain(strong)), after));
    }
    if let Some(inside) = text.strip_prefix('*').filter(|inside| !inside.starts_with(' ')) {
        let (stressed, after) = inside.split_once('*')?;
        return Some((one(Face::Stressed, &plain(stressed)), after));
    }
    let (words, target) = text.strip_prefix('[')?.split_once("](")?;
    let (_, after) = target.split_once(')')?;
    Some((pieces(words), after))
}
