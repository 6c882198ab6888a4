//! What stays of a finished job.

use crate::error::JournalError;
use crate::format::COUNTERS;
use crate::journal::Writer;
use crate::pending::Pending;
use crate::recover::Recovered;
use crate::states::State;

/// Writes what stays of `old`, of which no large object is begun: a record with all that is about the job, and one for
/// each part with failures.
pub(crate) fn copy(old: &Recovered, new: &mut Writer) -> Result<(), JournalError> {
    let counts = old.counts();
    let mut about = Pending::default();
    about.describe(old.description());
    about.left_out(counts.done, counts.skipped);
    if let Some(cursor) = old.cursor() {
        // What was found since lies before it; of what the position says, something may concern the whole job.
        about.cursor(0, &cursor.position);
    }
    about.scanned();
    // With the numbers they have.
    old.causes.iter().for_each(|cause| about.cause(cause));
    for counter in 0..COUNTERS {
        about.count(counter, old.counter(counter));
    }
    new.commit(old.id(), about)?;
    let mut kept = 0;
    for part in (0..old.parts()).filter(|part| old.left_in_part(*part) > 0) {
        let mut pending = Pending::default();
        let mut transfers = old.part(part)?;
        while let Some(transfer) = transfers.next()? {
            let State::Failed(reason) = transfer.state else { continue };
            pending.transfer(kept, transfer.name, transfer.facts);
            pending.outcome(kept, transfer.state);
            let text = transfer.failure.unwrap_or_default();
            pending.failure(Some(kept), reason, transfer.cause_number, text);
            kept += 1;
            if pending.is_enough() {
                new.commit(old.id(), std::mem::take(&mut pending))?;
            }
        }
        if !pending.is_empty() {
            new.commit(old.id(), pending)?;
        }
    }
    let mut end = Pending::default();
    let mut result = Ok(());
    old.problems(|reason, text| {
        end.failure(None, reason, None, text);
        if end.is_enough() && result.is_ok() {
            result = new.commit(old.id(), std::mem::take(&mut end));
        }
    })?;
    result?;
    end.summary(old.summary().unwrap_or_default());
    new.commit(old.id(), end)
}
