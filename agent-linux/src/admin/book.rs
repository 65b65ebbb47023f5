//! `knockgated book`: makes and prints knock books.

use std::fmt::Write;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, bail};
use knockgate_core::book::{Book, Order, Shape};

use super::SetUp;
use crate::config::Config;
use crate::state::{RosterFile, StateDir, StateError, Store, private_file, system_rng};

/// Figures that differ from those of the configuration.
pub struct Figures {
    pub length: Option<u8>,
    pub decoy_count: Option<u16>,
    pub count: Option<u32>,
}

/// Makes a book and writes it to a new file.
pub fn new(config: &Path, file: &Path, figures: &Figures) -> anyhow::Result<String> {
    let SetUp { config, identity, .. } = SetUp::load(config)?;
    let usual = config.sequence.shape;
    let shape = Shape::new(
        figures.count.unwrap_or(usual.count()),
        figures.length.unwrap_or(usual.length()),
        figures.decoy_count.unwrap_or(usual.decoys()),
        usual.ports(),
    )
    .context("no such book can be made")?;
    let book = identity.new_book(shape, &mut system_rng())?;
    let mut buffer = [0; Book::MAX_FILE];
    let content = book
        .encode(&mut buffer)
        .map_err(|error| StateError::unreadable(file, KIND, error, "report this as a defect"))?;
    private_file::create(file, content)?;
    let path = file.display();
    Ok(format!(
        "made {path}, which is secret\n{}Next: `knockgated client add NAME --book {path}` for every client that shares it.\n",
        header(&book)
    ))
}

/// Prints the book in a file, or of a client.
pub fn show(config: &Path, named: &Path, numbers: Option<Range<u32>>) -> anyhow::Result<String> {
    let (book, next) = if named.is_file() { (read(named)?, None) } else { of_client(config, named)? };
    let mut text = header(&book);
    if let Some(next) = next {
        let left = book.shape().count().saturating_sub(next);
        writeln!(text, "next      number {next}, {left} left")?;
    }
    writeln!(text, "number  ports")?;
    let decoys = book.decoys();
    let numbers = numbers.unwrap_or(0..book.shape().count());
    if numbers.start >= book.shape().count() {
        bail!("the book ends with number {}; ask for a lower one", book.shape().count() - 1);
    }
    for number in numbers.start..numbers.end.min(book.shape().count()) {
        let ports = book.sequence(number, &decoys).context("the book makes no sense; make a new one")?;
        let ports: Vec<_> = ports.iter().map(|port| format!("{port:5}")).collect();
        writeln!(text, "{number:6}  {}", ports.join(" "))?;
    }
    Ok(text)
}

const KIND: &str = "knock book";

/// Reads a book's file.
pub(super) fn read(file: &Path) -> Result<Book, StateError> {
    let restore = "copy it again from where it was made, or make a new one with `knockgated book new`";
    let content = private_file::read(file)?;
    Book::decode(&content).map_err(|error| StateError::unreadable(file, KIND, error, restore))
}

fn of_client(config: &Path, name: &Path) -> anyhow::Result<(Book, Option<u32>)> {
    let dir = StateDir::open(&Config::load(config)?.gate.state_dir)?;
    let roster = RosterFile::load(&dir)?;
    let Some(client) = name.to_str().and_then(|name| roster.client(name)) else {
        bail!(
            "{} is neither a file nor a client; `knockgated client list` shows the clients",
            name.display()
        );
    };
    let enrolled =
        roster.book(client.book).context("the roster lacks this client's book; restore it from a backup")?;
    let next = Store::peek(&dir).ok().map(|used| used.cursors.get(&client.book).copied().unwrap_or(0));
    Ok((enrolled.book.clone(), next))
}

fn header(book: &Book) -> String {
    let shape = book.shape();
    format!(
        "book      {}\nknocks    {} of {} ports each, out of {} decoys in {} to {}\nkeyspace  {}\n",
        book.id(),
        shape.count(),
        shape.length(),
        shape.decoys(),
        shape.ports().start(),
        shape.ports().end(),
        keyspace(shape, Order::Strict),
    )
}

/// What an attacker must reckon with.
pub(super) fn keyspace(shape: &Shape, order: Order) -> String {
    let size = shape.keyspace(order);
    let how = match order {
        Order::Strict => "in order",
        Order::Any => "in any order",
    };
    format!("{size:.2e} sequences {how} ({:.1} bits)", size.log2())
}
