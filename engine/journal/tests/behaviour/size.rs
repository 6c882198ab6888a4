//! What a transfer costs on disk.

use azuring_journal::Jobs;

use crate::model::{DESCRIPTION, ID};
use crate::names::{Names, facts};

#[test]
fn a_million_transfers_cost_less_than_forty_bytes_each() {
    for names in Names::ALL {
        let state = tempfile::tempdir().unwrap();
        let jobs = Jobs::new(state.path());
        let journal = jobs.create(ID, DESCRIPTION).unwrap();
        let mut random = fastrand::Rng::with_seed(5);
        let mut name = Vec::new();
        for batch in 0..1_000_000 / 64 {
            let mut entry = journal.write().unwrap();
            for n in batch * 64..(batch + 1) * 64 {
                names.nth(n, &mut random, &mut name);
                entry.transfer(&name, &facts(n, &mut random)).unwrap();
            }
            drop(entry);
            let mut entry = journal.write().unwrap();
            // They end in some disorder.
            (0..64).for_each(|n| entry.done(batch * 64 + (n ^ 5)));
        }
        journal.commit().unwrap();
        drop(journal);
        let counts = jobs.read(ID).unwrap().counts();
        assert_eq!((counts.found, counts.done), (1_000_000, 1_000_000));
        let bytes = jobs.list().unwrap()[0].len_bytes as f64 / 1e6;
        println!("{names:?}: {bytes:.1} bytes a transfer");
        assert!(bytes < 40.0, "{names:?}: {bytes} bytes a transfer");
    }
}
