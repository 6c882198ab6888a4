//! azuring's own.

use std::path::Path;

use azuring_journal::{CommitBy, JobId, Jobs, Journal, JournalError, Recovered, State};

use super::Store;
use crate::Result;
use crate::workload::Name;

const ID: JobId = JobId::from_bytes([1; 16]);

pub(crate) struct JournalStore {
    journal: Journal,
    recovered: Option<Recovered>,
}

impl JournalStore {
    pub(crate) fn open(directory: &Path) -> Result<Self> {
        let jobs = Jobs::new(directory).commit_by(CommitBy::Caller);
        let (recovered, journal) = match jobs.resume(ID) {
            Ok((recovered, journal)) => (Some(recovered), journal),
            Err(JournalError::NoSuchJob(_)) => (None, jobs.create(ID, b"comparison")?),
            Err(error) => return Err(error.into()),
        };
        Ok(Self { journal, recovered })
    }
}

impl Store for JournalStore {
    fn found(&mut self, numbers: &[u64], names: &[Name]) -> Result<()> {
        let mut entry = self.journal.write()?;
        for (number, name) in numbers.iter().zip(names) {
            assert_eq!(entry.transfer(name.as_bytes(), b"")?, *number);
        }
        Ok(())
    }

    fn done(&mut self, numbers: &[u64], _: &[Name]) -> Result<()> {
        let mut entry = self.journal.write()?;
        numbers.iter().for_each(|number| entry.done(*number));
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        Ok(self.journal.commit()?)
    }

    fn left(&mut self, tell: &mut dyn FnMut(u64, &[u8])) -> Result<()> {
        let recovered = self.recovered.as_ref().ok_or("it was opened")?;
        for part in (0..recovered.parts()).filter(|part| recovered.left_in_part(*part) > 0) {
            let mut part = recovered.part(part)?;
            while let Some(transfer) = part.next()? {
                if transfer.state == State::Pending {
                    tell(transfer.number, transfer.name);
                }
            }
        }
        Ok(())
    }

    /// Nothing is ever written twice.
    fn compact(&mut self) -> Result<bool> {
        Ok(false)
    }
}
