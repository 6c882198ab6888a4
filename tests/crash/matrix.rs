//! A job that is cut at every moment there is, each in a run of its own, and then resumed.
//!
//! For each cut point: nothing half-made is visible at the cut; the resumed job ends with exit code 0, every object
//! there with the bytes of one version of its source, no other object and no unfinished file, the totals of an uncut
//! run; and moves no byte again whose move was on record.
//!
//! The power is cut as well as the process: then all that no sync has made durable of the journal is gone.
//!
//! Bugs that were planted in the engine, and what found them:
//!
//! | planted | where | found by | as |
//! |---|---|---|---|
//! | a transfer is recorded as done when it is begun | `lane/src/crew/thread.rs`, `one` | every test here | `missing: [...]` |
//! | a commit is not synced | `journal/src/journal.rs`, `Writer::put` | both tests that cut the power | `this is no job journal` |
//! | the same, once the journal has its name | `azuring_cut.rs`, each time the tests run | [`crate::planted`] | `bytes were moved again` |
//! | a blob's ETag does not count for its ranges | `download/resume.rs`, `state_of` | the blobs that change | `bytes differ ... in pieces [0, 2, 3]` |
//! | an object's ETag does not count for its blocks | `put/state.rs`, `of_object` | the sources of copies that change | `bytes differ ... in pieces [0, 1, 2, 3]` |
//! | a file's times do not count for its blocks | `upload/large.rs`, `content_key` | the files that change | `bytes differ ... in pieces [1, 2]` |
//!
//! One that nobody planted: a large file that had its name, but was not recorded as done, was read again from its
//! beginning.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::kit::{Cut, Way, few_files, say};
use crate::point::{Ended, Point, Uncut};

/// Cuts at once: they wait for a slow service most of the time.
const AT_ONCE: usize = 4;
/// A job has no more moments when so many in a row were not reached: their number differs from run to run.
const UNREACHED: u64 = 3;

/// Runs cuts at `first`, `first + step`, ... until there are no more moments.
fn every(name: &str, first: u64, step: usize, point: impl Fn(u64) -> Point + Sync) {
    let uncut = Uncut::run(point(first).way, &few_files());
    let (next, unreached) = (AtomicU64::new(0), AtomicU64::new(0));
    let (moments, wrong) = (Mutex::new(BTreeMap::<String, u64>::new()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while unreached.load(Ordering::SeqCst) < UNREACHED {
                    let at = first + next.fetch_add(1, Ordering::SeqCst) * step as u64;
                    match point(at).run(&uncut) {
                        Ended::Uncut => {
                            unreached.fetch_add(1, Ordering::SeqCst);
                        }
                        Ended::Cut(moment) => {
                            unreached.store(0, Ordering::SeqCst);
                            *moments.lock().unwrap().entry(moment).or_default() += 1;
                        }
                        Ended::Wrong(moment, what) => {
                            let mut wrong = wrong.lock().unwrap();
                            wrong.push(format!("cut {at}, {moment}: {what}"));
                            // The first few tell enough.
                            if wrong.len() > 5 {
                                unreached.store(UNREACHED, Ordering::SeqCst);
                            }
                        }
                    }
                }
            });
        }
    });
    let (moments, wrong) = (moments.into_inner().unwrap(), wrong.into_inner().unwrap());
    let cuts: u64 = moments.values().sum();
    say(&format!("{name}: {cuts} cut points: {moments:?}"));
    assert!(wrong.is_empty(), "{} cut points of {name} went wrong:\n{}", wrong.len(), wrong.join("\n\n"));
    for kind in ["before a write", "in a write", "after a sync", "after a rename", "request", "answer"] {
        assert!(step > 1 || moments.contains_key(kind), "no cut at: {kind}");
    }
    assert!(cuts * step as u64 > 50, "only {cuts} cuts");
}

fn at(way: Way, cut: Cut, at: u64) -> Point {
    Point { way, cut, at, again_at: None, changes: false }
}

#[test]
fn an_upload_that_is_killed() {
    every("upload, killed", 1, 1, |n| at(Way::Up, Cut::Kill, n));
}

#[test]
fn a_download_that_is_killed() {
    every("download, killed", 1, 1, |n| at(Way::Down, Cut::Kill, n));
}

#[test]
fn an_upload_whose_power_is_cut() {
    every("upload, without power", 1, 2, |n| at(Way::Up, Cut::Power, n));
}

#[test]
fn a_download_whose_power_is_cut() {
    every("download, without power", 2, 2, |n| at(Way::Down, Cut::Power, n));
}

#[test]
fn an_upload_that_is_killed_twice() {
    every("upload, killed twice", 3, 7, |n| Point {
        again_at: Some(n % 29 * 2 + 1),
        ..at(Way::Up, Cut::Kill, n)
    });
}

#[test]
fn a_download_that_is_killed_twice() {
    every("download, killed twice", 3, 7, |n| Point {
        again_at: Some(n % 29 * 2 + 1),
        ..at(Way::Down, Cut::Kill, n)
    });
}

#[test]
fn an_upload_whose_files_change_after_it_was_killed() {
    every("upload, files changed", 2, 3, |n| Point { changes: true, ..at(Way::Up, Cut::Kill, n) });
}

#[test]
fn a_download_whose_blobs_change_after_it_was_killed() {
    every("download, blobs changed", 1, 3, |n| Point { changes: true, ..at(Way::Down, Cut::Kill, n) });
}

#[test]
fn a_copy_that_is_killed() {
    every("copy, killed", 1, 1, |n| at(Way::Copy, Cut::Kill, n));
}

#[test]
fn a_relay_that_is_killed() {
    every("relay, killed", 1, 1, |n| at(Way::Relay, Cut::Kill, n));
}

#[test]
fn a_copy_inside_an_account_that_is_killed() {
    every("copy inside an account, killed", 1, 2, |n| at(Way::Within, Cut::Kill, n));
}

#[test]
fn copies_whose_power_is_cut() {
    every("copy, without power", 1, 4, |n| at(Way::Copy, Cut::Power, n));
    every("relay, without power", 2, 4, |n| at(Way::Relay, Cut::Power, n));
}

#[test]
fn copies_that_are_killed_twice() {
    let twice = |way, n: u64| Point { again_at: Some(n % 29 * 2 + 1), ..at(way, Cut::Kill, n) };
    every("copy, killed twice", 3, 9, |n| twice(Way::Copy, n));
    every("relay, killed twice", 5, 9, |n| twice(Way::Relay, n));
}

#[test]
fn copies_whose_sources_change_after_they_were_killed() {
    let changed = |way, n| Point { changes: true, ..at(way, Cut::Kill, n) };
    every("copy, sources changed", 2, 5, |n| changed(Way::Copy, n));
    every("relay, sources changed", 1, 5, |n| changed(Way::Relay, n));
    every("copy inside an account, sources changed", 3, 5, |n| changed(Way::Within, n));
}
