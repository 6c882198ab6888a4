//! redb: a copy-on-write B-tree in one file.

use std::path::Path;

use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition, WriteTransaction};

use super::Store;
use crate::Result;
use crate::workload::Name;

/// Name by number; without a second table, the first byte says whether it is done.
const NAMES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("names");
const DONE: TableDefinition<'_, u64, ()> = TableDefinition::new("done");

/// With `TABLE`, what is done stands in a second table. A transaction lasts until the commit.
pub(crate) struct Redb<const TABLE: bool> {
    database: Database,
    open: Option<WriteTransaction>,
    value: Vec<u8>,
}

impl<const TABLE: bool> Redb<TABLE> {
    pub(crate) fn open(directory: &Path) -> Result<Self> {
        let database = Database::builder().set_cache_size(64 << 20).create(directory.join("redb"))?;
        Ok(Self { database, open: None, value: Vec::new() })
    }

    fn put(&mut self, numbers: &[u64], names: &[Name], is_done: u8) -> Result<()> {
        let open = match &mut self.open {
            Some(open) => open,
            none => none.insert(self.database.begin_write()?),
        };
        if TABLE && is_done == 1 {
            let mut table = open.open_table(DONE)?;
            for number in numbers {
                table.insert(number, ())?;
            }
            return Ok(());
        }
        let mut table = open.open_table(NAMES)?;
        for (number, name) in numbers.iter().zip(names) {
            self.value.clear();
            if !TABLE {
                self.value.push(is_done);
            }
            self.value.extend_from_slice(name.as_bytes());
            table.insert(number, &self.value[..])?;
        }
        Ok(())
    }
}

impl<const TABLE: bool> Store for Redb<TABLE> {
    fn found(&mut self, numbers: &[u64], names: &[Name]) -> Result<()> {
        self.put(numbers, names, 0)
    }

    fn done(&mut self, numbers: &[u64], names: &[Name]) -> Result<()> {
        self.put(numbers, names, 1)
    }

    fn commit(&mut self) -> Result<()> {
        // Durable by default.
        self.open.take().map_or(Ok(()), WriteTransaction::commit)?;
        Ok(())
    }

    fn left(&mut self, tell: &mut dyn FnMut(u64, &[u8])) -> Result<()> {
        let read = self.database.begin_read()?;
        let names = read.open_table(NAMES)?;
        if !TABLE {
            for row in names.iter()? {
                let (number, value) = row?;
                if let [0, name @ ..] = value.value() {
                    tell(number.value(), name);
                }
            }
            return Ok(());
        }
        let done = read.open_table(DONE)?;
        let mut done = done.iter()?;
        let mut next = done.next().transpose()?.map(|(number, _)| number.value());
        for row in names.iter()? {
            let (number, name) = row?;
            if next == Some(number.value()) {
                next = done.next().transpose()?.map(|(number, _)| number.value());
            } else {
                tell(number.value(), name.value());
            }
        }
        Ok(())
    }

    fn compact(&mut self) -> Result<bool> {
        self.database.compact()?;
        Ok(true)
    }
}
