//! What a source holds, pulled batch by batch.
//!
//! ```text
//!   Scan ─┬─ LocalScan    a walk, a list of names, one file, a stream
//!         └─ RemoteScan   a listing, a list of names, one blob
//!
//!   planner:  loop { scan.next(room, &mut met) ─> number, record with scan.position(), hand to the lanes }
//! ```
//!
//! Nothing is read before it is asked for, so whoever pulls from two scans can merge them. What a scan meets on its way
//! and is no object (what cannot be read, is left out or refused) has its place between the objects.

pub(crate) mod local;
mod options;
mod outlet;

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use azuring_job::entry::Found;
use azuring_job::failure::{Failure, FailureKind};
use azuring_job::outcome::SkippedKind;
use azuring_plan::order::OrderKey;

pub(crate) use options::LocalOptions;
pub(crate) use outlet::{Outlet, Pulled};

/// What a scan meets.
#[derive(Debug)]
pub(crate) enum Met {
    /// An object.
    Object(Found),
    /// Something that was asked for by name and cannot be transferred.
    Refused(Box<Failure>),
    /// An object that cannot be transferred, and why.
    Unfit(Box<(Found, Failure)>),
    /// Something that cannot be read.
    Problem(Box<Failure>),
    /// An object that is left out.
    Skipped(Found, SkippedKind),
    /// Something that a person should know.
    Notice(String),
    /// The local name of the next blob is shorter than its own.
    Collapsed,
    /// An earlier run has begun, and how its names were made is known again: what it has found and not done comes
    /// first.
    Begins,
}

/// Why a scan goes no further.
#[derive(Debug)]
pub(crate) enum Halt {
    /// The job is stopping.
    Stopping,
    /// The source cannot be read, or is not there.
    Failed(Box<Failure>),
}

impl From<Box<Failure>> for Halt {
    fn from(failure: Box<Failure>) -> Self {
        // Somebody has interrupted the scan; that is no fault of it.
        if failure.kind == FailureKind::Interrupted { Self::Stopping } else { Self::Failed(failure) }
    }
}

/// A source that is read from its beginning, or from where an earlier scan stood, to its end.
pub(crate) trait Scan {
    /// Whether it can stand after every object. Otherwise its places are few, and whoever records them misses none.
    const STANDS_EVERYWHERE: bool;

    /// Appends what comes next, at most `room` of it; `false`: that was all. What was appended before an error counts.
    ///
    /// After a refusal it appends nothing more: a refusal is recorded by itself, and what was met before it comes
    /// first. Nor after [`Met::Begins`].
    async fn next(&mut self, room: usize, out: &mut Vec<Met>) -> Result<bool, Halt>;

    /// Where it stands, as the journal keeps it: a scan that begins there gives all objects that this one has not given
    /// yet. What was met since the last object, and is none, is met again. `None`: nobody can go on from here.
    fn position(&self) -> Option<Vec<u8>>;

    /// The order of its objects, so far as is known; of a directory with a final slash.
    fn order(&self) -> Option<OrderKey>;
}

/// Whether objects come in the order that their scan says.
pub(crate) fn keeps(order: Option<OrderKey>, met: &[Met]) -> bool {
    let Some(order) = order else { return true };
    let objects =
        met.iter().filter_map(|met| if let Met::Object(found) = met { Some(found.place()) } else { None });
    // Of a blob there are several states.
    objects.is_sorted_by(|a, b| order.compare(a, b).is_le())
}

/// Runs what blocks and never waits, as a local scan does.
pub(crate) fn blocking<T>(work: impl Future<Output = T>) -> T {
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => unreachable!("it never waits"),
    }
}

#[cfg(test)]
mod tests;
