//! The stores, behind what a job needs of one.

mod fjall;
mod journal;
mod redb;

use std::path::Path;

use crate::Result;
use crate::workload::Name;

/// What a job needs of a store. What one call says is kept whole or not at all.
pub(crate) trait Store {
    /// Transfers were found.
    fn found(&mut self, numbers: &[u64], names: &[Name]) -> Result<()>;

    /// Transfers are done.
    fn done(&mut self, numbers: &[u64], names: &[Name]) -> Result<()>;

    /// Makes durable what was said.
    fn commit(&mut self) -> Result<()>;

    /// Tells number and name of each transfer that is not done.
    fn left(&mut self, tell: &mut dyn FnMut(u64, &[u8])) -> Result<()>;

    /// Makes it as small as the store can; whether it can.
    fn compact(&mut self) -> Result<bool>;
}

/// Opens the store in a directory, or makes it there.
type Open = fn(&Path) -> Result<Box<dyn Store>>;

/// All stores: `value` keeps the outcome with the name, `table` beside it.
pub(crate) const STORES: [(&str, Open); 5] = [
    ("azuring-journal", |directory| Ok(Box::new(journal::JournalStore::open(directory)?))),
    ("redb, value", |directory| Ok(Box::new(redb::Redb::<false>::open(directory)?))),
    ("redb, table", |directory| Ok(Box::new(redb::Redb::<true>::open(directory)?))),
    ("fjall, value", |directory| Ok(Box::new(fjall::Fjall::<false>::open(directory)?))),
    ("fjall, table", |directory| Ok(Box::new(fjall::Fjall::<true>::open(directory)?))),
];
