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

#[test]
fn a_hundred_thousand_failures_of_one_cause_cost_little_more_than_their_names() {
    let state = tempfile::tempdir().unwrap();
    let jobs = Jobs::new(state.path());
    let journal = jobs.create(ID, DESCRIPTION).unwrap();
    let mut random = fastrand::Rng::with_seed(5);
    let cause = vec![b'c'; 300];
    let name = |n: u64| format!("dir-{}/file-{n}", n / 1000).into_bytes();
    let mut own = |n| [&name(n)[..], &std::array::from_fn::<u8, 16, _>(|_| random.u8(..))].concat();
    let owns: Vec<_> = (0..100_000).map(&mut own).collect();
    for batch in 0..100_000 / 50 {
        let mut entry = journal.write().unwrap();
        for n in batch * 50..(batch + 1) * 50 {
            entry.transfer(&name(n), b"").unwrap();
            assert!(entry.failed_for(n, 1, &cause, &owns[n as usize]).unwrap());
        }
    }
    let mut entry = journal.write().unwrap();
    entry.scanned();
    entry.summary(b"ended").unwrap();
    drop(entry);
    journal.commit().unwrap();
    drop(journal);
    for shrunk in [false, true] {
        let bytes = jobs.list().unwrap()[0].len_bytes as f64 / 1e5;
        println!("{bytes:.1} bytes a failure, shrunk: {shrunk}");
        assert!(bytes < 40.0, "{bytes} bytes a failure");
        let recovered = jobs.read(ID).unwrap();
        for index in 0..recovered.parts() {
            let mut part = recovered.part(index).unwrap();
            while let Some(transfer) = part.next().unwrap() {
                let own = &owns[transfer.number as usize];
                assert_eq!((transfer.failure, transfer.cause), (Some(&own[..]), Some(&cause[..])));
            }
        }
        jobs.shrink(ID).unwrap();
    }
}

#[test]
fn a_job_that_goes_on_has_the_causes_it_had() {
    let state = tempfile::tempdir().unwrap();
    let jobs = Jobs::new(state.path());
    drop(jobs.create(ID, DESCRIPTION).unwrap());
    for run in 0..3 {
        let (recovered, journal) = jobs.resume(ID).unwrap();
        assert_eq!(recovered.counts().failed, run);
        let mut entry = journal.write().unwrap();
        entry.transfer(b"name", b"").unwrap();
        assert!(entry.failed_for(run, 1, [&b"one"[..], b"two", b"one"][run as usize], b"").unwrap());
        drop(entry);
        journal.commit().unwrap();
    }
    let recovered = jobs.read(ID).unwrap();
    let mut part = recovered.part(0).unwrap();
    let mut causes = Vec::new();
    while let Some(transfer) = part.next().unwrap() {
        causes.push(transfer.cause.unwrap().to_vec());
    }
    assert_eq!(causes, [&b"one"[..], b"two", b"one"]);
}
