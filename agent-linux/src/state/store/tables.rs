//! The tables of the store: what they hold, how they are read and changed.
//!
//! A row of `used` is the last counter, the first and last of those that came from far ahead (both 0 if there are none),
//! and the last time step whose code was used.

use std::collections::HashMap;

use knockgate_core::ClientId;
use knockgate_core::action::Record;
use knockgate_core::book::BookId;
use knockgate_core::key::GateId;
use knockgate_core::replay::{Burnt, Lease, Span, Used};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, TableError, WriteTransaction};

use super::{LastStop, Loaded};

type UsedRow = (u64, u64, u64, u64);
/// `after` and `until`.
type LeaseRow = (u64, u64);

const USED: TableDefinition<'_, u32, UsedRow> = TableDefinition::new("used");
const CURSORS: TableDefinition<'_, [u8; 8], u32> = TableDefinition::new("cursors");
const POLICIES: TableDefinition<'_, (&str, u32), u64> = TableDefinition::new("policies");
/// At most one row: the lease of the agent that runs, or that did not end as it should.
const LEASE: TableDefinition<'_, u32, LeaseRow> = TableDefinition::new("lease");
const THE_LEASE: u32 = 0;
/// Leases of unclean stops, numbered from 0.
const BURNT: TableDefinition<'_, u32, LeaseRow> = TableDefinition::new("burnt");
/// One row: which gate this is the state of, under the version of these tables.
const GATE: TableDefinition<'_, u32, [u8; 16]> = TableDefinition::new("gate");
const VERSION: u32 = 2;

/// The first version: one counter for each client in a table of that name, no leases.
const VERSION_1: u32 = 1;
const COUNTERS_1: TableDefinition<'_, u32, u64> = TableDefinition::new("counters");

/// Which gate a store belongs to; `None` if its version is not known here.
pub(super) fn gate_of(database: &impl ReadableDatabase) -> Result<Option<GateId>, redb::Error> {
    let table = database.begin_read()?.open_table(GATE)?;
    let found = match table.get(VERSION)? {
        Some(id) => Some(id),
        None => table.get(VERSION_1)?,
    };
    Ok(found.map(|id| GateId(id.value())))
}

/// All that has been used up, in a store of either version.
pub(super) fn read(database: &impl ReadableDatabase) -> Result<Loaded, redb::Error> {
    let transaction = database.begin_read()?;
    let mut loaded = Loaded::default();
    match transaction.open_table(USED) {
        Ok(table) => {
            for row in table.iter()? {
                let (client, used) = row?;
                loaded.used.insert(ClientId(client.value()), unpacked(used.value()));
            }
        }
        Err(TableError::TableDoesNotExist(_)) => {
            for row in transaction.open_table(COUNTERS_1)?.iter()? {
                let (client, last) = row?;
                loaded.used.insert(ClientId(client.value()), Used { last: last.value(), ..Used::NOTHING });
            }
        }
        Err(error) => return Err(error.into()),
    }
    for row in transaction.open_table(CURSORS)?.iter()? {
        let (book, next) = row?;
        loaded.cursors.insert(BookId(book.value()), next.value());
    }
    if let Some(burnt) = optional(transaction.open_table(BURNT))? {
        for row in burnt.iter()? {
            loaded.burnt.add(lease(row?.1.value()));
        }
    }
    if let Some(leases) = optional(transaction.open_table(LEASE))?
        && let Some(left) = leases.get(THE_LEASE)?
    {
        loaded.last_stop = LastStop::Unclean(lease(left.value()));
    }
    Ok(loaded)
}

/// What was found by [`read`] is what the agent starts from: a store of version 1 becomes one of version 2, and a lease that
/// an unclean stop has left becomes a burnt one. All of it or nothing.
pub(super) fn settle(database: &Database, gate: GateId, loaded: &mut Loaded) -> Result<(), redb::Error> {
    let is_old = database.begin_read()?.open_table(GATE)?.get(VERSION)?.is_none();
    if !is_old && loaded.last_stop == LastStop::Clean {
        return Ok(());
    }
    let transaction = database.begin_write()?;
    if is_old {
        put_all(&transaction, gate, loaded)?;
        transaction.open_table(GATE)?.remove(VERSION_1)?;
        transaction.delete_table(COUNTERS_1)?;
    }
    if let LastStop::Unclean(left) = loaded.last_stop {
        loaded.burnt.add(left);
        put_burnt(&transaction, &loaded.burnt)?;
        transaction.open_table(LEASE)?.remove(THE_LEASE)?;
    }
    Ok(transaction.commit()?)
}

/// Fills a new store.
pub(super) fn fill(database: &Database, gate: GateId, used: &Loaded) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    put_all(&transaction, gate, used)?;
    Ok(transaction.commit()?)
}

/// What a transaction does with the lease.
#[derive(Clone, Copy)]
pub(super) enum LeaseChange<'a> {
    Keep,
    Set(Option<Lease>),
    /// There is none any more, and the books' positions are these, whatever was stored ahead.
    End(&'a [(BookId, u32)]),
}

/// Makes records durable, and the lease with them.
pub(super) fn write(
    database: &Database,
    records: &[Record],
    change: LeaseChange<'_>,
) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut table = transaction.open_table(USED)?;
        let mut cursors = transaction.open_table(CURSORS)?;
        for record in records {
            let (Record::Counter { client, used } | Record::Offer { client, used, .. }) = *record;
            let before = table.get(client.0)?.map_or(Used::NOTHING, |row| unpacked(row.value()));
            table.insert(client.0, packed(before.merged(used)))?;
            if let Record::Offer { book, next, .. } = *record {
                let before = cursors.get(book.0)?.map_or(0, |value| value.value());
                cursors.insert(book.0, next.max(before))?;
            }
        }
        let mut leases = transaction.open_table(LEASE)?;
        match change {
            LeaseChange::Keep => {}
            LeaseChange::Set(Some(Lease { after, until })) => drop(leases.insert(THE_LEASE, (after, until))?),
            LeaseChange::Set(None) => drop(leases.remove(THE_LEASE)?),
            LeaseChange::End(exact) => {
                leases.remove(THE_LEASE)?;
                for (book, next) in exact {
                    cursors.insert(book.0, *next)?;
                }
            }
        }
    }
    Ok(transaction.commit()?)
}

pub(super) fn read_policy(database: &Database, name: &str) -> Result<HashMap<u32, u64>, redb::Error> {
    let table = database.begin_read()?.open_table(POLICIES)?;
    let rows = table.range((name, 0)..=(name, u32::MAX))?;
    let numbers = rows.map(|row| row.map(|(key, value)| (key.value().1, value.value())));
    Ok(numbers.collect::<Result<_, _>>()?)
}

pub(super) fn write_policy(
    database: &Database,
    name: &str,
    numbers: &[(u32, u64)],
) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut table = transaction.open_table(POLICIES)?;
        for &(key, value) in numbers {
            match value {
                0 => drop(table.remove((name, key))?),
                _ => drop(table.insert((name, key), value)?),
            }
        }
    }
    Ok(transaction.commit()?)
}

fn put_all(transaction: &WriteTransaction, gate: GateId, used: &Loaded) -> Result<(), redb::Error> {
    transaction.open_table(GATE)?.insert(VERSION, gate.0)?;
    transaction.open_table(POLICIES)?;
    transaction.open_table(LEASE)?;
    let mut table = transaction.open_table(USED)?;
    for (client, used) in &used.used {
        table.insert(client.0, packed(*used))?;
    }
    let mut cursors = transaction.open_table(CURSORS)?;
    for (book, next) in &used.cursors {
        cursors.insert(book.0, *next)?;
    }
    put_burnt(transaction, &used.burnt)
}

/// All of them anew: adding one may have merged others.
fn put_burnt(transaction: &WriteTransaction, burnt: &Burnt) -> Result<(), redb::Error> {
    let mut table = transaction.open_table(BURNT)?;
    table.retain(|_, _| false)?;
    for (at, Lease { after, until }) in (0..).zip(burnt.iter()) {
        table.insert(at, (after, until))?;
    }
    Ok(())
}

/// A store of version 1 lacks some tables.
fn optional<T>(table: Result<T, TableError>) -> Result<Option<T>, redb::Error> {
    match table {
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        other => Ok(other.map(Some)?),
    }
}

fn lease((after, until): LeaseRow) -> Lease {
    Lease { after, until }
}

fn packed(used: Used) -> UsedRow {
    let Span { first, last } = used.ahead.unwrap_or(Span { first: 0, last: 0 });
    (used.last, first, last, used.code_step)
}

fn unpacked((last, first, ahead, code_step): UsedRow) -> Used {
    // What is ahead is above the last counter, so never 0.
    Used { last, ahead: (ahead != 0).then_some(Span { first, last: ahead }), code_step }
}
