//! What every store has to do: a suite that any of them is held to.
//!
//! ```text
//!   run(store, prefix)     listing, names, reading, writing, conditions, pieces, removal, changes   a store that is there
//!   run_unmade(store)      every call before make, make, make again                                one that is not
//!        └──> Report       each check by its name: held, refused as told, failed and why
//! ```
//!
//! What the [`Traits`](crate::Traits) of a store say it cannot do is not left out: it has to be refused, with
//! [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) and without a trace, or to be told as nothing. Each check
//! has names of its own below the prefix and goes on where another has failed.

mod changes;
mod ground;
mod listing;
mod names;
mod pieces;
mod reading;
mod removal;
mod report;
mod unmade;
mod writing;

use crate::store::Store;
use ground::Suite;

pub use report::{Check, Known, Report, Verdict};

/// Holds a store to all checks. Only names below `prefix` are touched; it ends with a slash, and nothing lies there
/// yet.
pub async fn run<S: Store>(store: &S, prefix: &str) -> Report {
    let mut suite = Suite::new(store, prefix);
    names::run(&mut suite).await;
    listing::run(&mut suite).await;
    reading::run(&mut suite).await;
    writing::run(&mut suite).await;
    pieces::run(&mut suite).await;
    removal::run(&mut suite).await;
    changes::run(&mut suite).await;
    suite.finish()
}

/// Holds a store to what is to happen before it is made, and makes it.
pub async fn run_unmade<S: Store>(store: &S) -> Report {
    let mut suite = Suite::new(store, "");
    unmade::run(&mut suite).await;
    suite.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::custom::CustomStore;
    use crate::memory::Memory;
    use crate::now;

    #[test]
    fn memory_conforms_as_it_is_and_boxed() {
        let memory = Memory::new();
        let boxed = CustomStore::shared("memory:conform", memory.clone()).open();
        for report in
            [now(run(&memory, "conform/")), now(run(&boxed, "boxed/")), now(run_unmade(&Memory::missing()))]
        {
            println!("{report}");
            report.fails_only(&[]).unwrap();
        }
    }
}
