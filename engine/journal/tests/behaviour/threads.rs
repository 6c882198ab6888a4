//! Many write, one commits, others read meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};

use azuring_journal::Jobs;

use crate::model::{DESCRIPTION, ID};

#[test]
fn what_is_said_together_is_seen_together_while_others_write() {
    let state = tempfile::tempdir().unwrap();
    let jobs = Jobs::new(state.path());
    let journal = jobs.create(ID, DESCRIPTION).unwrap();
    let writing = AtomicBool::new(true);
    let seen = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|writer| {
                let journal = &journal;
                scope.spawn(move || {
                    for batch in 0..4_000_u32 {
                        let mut entry = journal.write().unwrap();
                        for n in 0..8 {
                            let name = format!("writer {writer}/{batch:06}-{n}");
                            let number = entry.transfer(name.as_bytes(), b"facts").unwrap();
                            entry.done(number);
                            entry.count(writer, 1);
                        }
                        if batch % 500 == 0 {
                            drop(entry);
                            journal.commit().unwrap();
                        }
                    }
                })
            })
            .collect();
        let reader = scope.spawn(|| {
            let mut seen = 0;
            while writing.load(Ordering::SeqCst) {
                let recovered = jobs.read(ID).unwrap();
                let counts = recovered.counts();
                let counted: i64 = (0..3).map(|writer| recovered.counter(writer)).sum();
                assert_eq!(counts.done as i64, counted);
                assert_eq!(counts.done % 8, 0, "an entry was split");
                assert!(counts.done >= seen);
                seen = counts.done;
            }
            seen
        });
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        writing.store(false, Ordering::SeqCst);
        reader.join().unwrap()
    });
    assert!(seen > 0, "the reader saw commits");
    journal.commit().unwrap();
    drop(journal);
    let recovered = jobs.read(ID).unwrap();
    assert_eq!(recovered.counts().done, 3 * 4_000 * 8);
    let mut names = std::collections::BTreeSet::new();
    for part in 0..recovered.parts() {
        let mut part = recovered.part(part).unwrap();
        while let Some(transfer) = part.next().unwrap() {
            names.insert(transfer.name.to_vec());
        }
    }
    assert_eq!(names.len(), 3 * 4_000 * 8);
}

#[test]
fn the_thread_commits_without_being_asked() {
    let state = tempfile::tempdir().unwrap();
    let jobs = Jobs::new(state.path());
    let journal = jobs.create(ID, DESCRIPTION).unwrap();
    for n in 0..2 {
        journal.write().unwrap().transfer(b"name", b"").unwrap();
        while jobs.read(ID).unwrap().counts().found == n {
            std::thread::yield_now();
        }
        assert_eq!(jobs.read(ID).unwrap().counts().found, n + 1);
    }
}
