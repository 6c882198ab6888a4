//! The directory of jobs: listing, finding, removing; who may read it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use azuring_journal::{JobId, Jobs, JournalError, STRING_MAX};

use crate::model::{DESCRIPTION, ID};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn only_the_user_may_read_a_job() {
    let state = tempfile::tempdir().unwrap();
    let jobs = Jobs::new(&state.path().join("state"));
    assert_eq!(jobs.list().unwrap(), []);
    drop(jobs.create(ID, DESCRIPTION).unwrap());
    let directory = jobs.directory(ID);
    assert_eq!(directory, state.path().join("state/jobs").join(ID.to_string()));
    for (path, expected) in [("state", 0o700), ("state/jobs", 0o700)] {
        assert_eq!(mode(&state.path().join(path)), expected, "{path}");
    }
    assert_eq!(mode(&directory), 0o700);
    assert_eq!(mode(&directory.join("journal")), 0o600);
    assert_eq!(mode(&directory.join("lock")), 0o600);
}

#[test]
fn jobs_are_listed_and_found_by_a_prefix_that_only_one_has() {
    let state = tempfile::tempdir().unwrap();
    let jobs = Jobs::new(state.path());
    let [a, b, c] = [[0xaa; 16], [0xab; 16], [0xbb; 16]].map(JobId::from_bytes);
    for id in [c, a, b] {
        drop(jobs.create(id, DESCRIPTION).unwrap());
    }
    // What is no job does not disturb.
    std::fs::create_dir(state.path().join("jobs/notes")).unwrap();
    std::fs::create_dir(jobs.directory(ID)).unwrap();
    let listed = jobs.list().unwrap();
    assert_eq!(listed.iter().map(|job| job.id).collect::<Vec<_>>(), [a, b, c]);
    let len = std::fs::metadata(jobs.directory(a).join("journal")).unwrap().len();
    assert_eq!(listed[0].len_bytes, len);
    assert_eq!(jobs.find("b").unwrap(), c);
    assert_eq!(jobs.find("AB").unwrap(), b);
    assert_eq!(jobs.find(&a.to_string()).unwrap(), a);
    assert_eq!(jobs.find("a"), Err(JournalError::Ambiguous { prefix: "a".into(), matches: 2 }));
    for none in ["", "cc", "notes"] {
        assert_eq!(jobs.find(none), Err(JournalError::NoSuchJob(none.into())));
    }
}

#[test]
fn removing_a_job_leaves_all_others_and_what_is_not_its_own() {
    let state = tempfile::tempdir().unwrap();
    let jobs = Jobs::new(state.path());
    let other = JobId::from_bytes([1; 16]);
    for id in [ID, other] {
        drop(jobs.create(id, DESCRIPTION).unwrap());
    }
    std::fs::write(jobs.directory(other).join("notes.txt"), b"mine").unwrap();
    jobs.remove(ID).unwrap();
    assert!(!jobs.directory(ID).exists());
    assert_eq!(jobs.list().unwrap().len(), 1);
    jobs.remove(other).unwrap();
    assert_eq!(std::fs::read(jobs.directory(other).join("notes.txt")).unwrap(), b"mine");
    assert_eq!(jobs.list().unwrap(), []);
    let none = JournalError::NoSuchJob(ID.to_string());
    assert_eq!(jobs.remove(ID).unwrap_err(), none);
    assert_eq!(jobs.read(ID).unwrap_err(), none);
    assert_eq!(jobs.resume(ID).unwrap_err(), none);
    assert!(!jobs.directory(ID).exists(), "asking for it does not make it");
}

#[test]
fn a_job_is_created_once() {
    let state = tempfile::tempdir().unwrap();
    let jobs = Jobs::new(state.path());
    let too_long = vec![b'x'; STRING_MAX + 1];
    let what = "the job's description";
    let error = JournalError::TooLong { what, len: STRING_MAX + 1, limit: STRING_MAX };
    assert_eq!(jobs.create(ID, &too_long).unwrap_err(), error);
    drop(jobs.create(ID, DESCRIPTION).unwrap());
    assert_eq!(jobs.create(ID, DESCRIPTION).unwrap_err(), JournalError::Exists(ID));
    assert_eq!(jobs.read(ID).unwrap().description(), DESCRIPTION);
}

#[test]
fn what_is_too_long_is_refused_and_has_no_number() {
    let state = tempfile::tempdir().unwrap();
    let jobs = Jobs::new(state.path());
    let journal = jobs.create(ID, DESCRIPTION).unwrap();
    let (longest, too_long) = (vec![b'x'; STRING_MAX], vec![b'x'; STRING_MAX + 1]);
    let mut entry = journal.write().unwrap();
    let refused = |result: Result<(), JournalError>| {
        assert!(matches!(result, Err(JournalError::TooLong { limit: STRING_MAX, .. })), "{result:?}");
    };
    refused(entry.transfer(&too_long, b"").map(drop));
    refused(entry.transfer(b"", &too_long).map(drop));
    assert_eq!(entry.transfer(&longest, &longest).unwrap(), 0);
    refused(entry.failed(0, 0, &too_long));
    refused(entry.problem(0, &too_long));
    refused(entry.large(0, &too_long));
    refused(entry.cursor(&too_long));
    refused(entry.summary(&too_long));
    entry.failed(0, 63, &longest).unwrap();
    drop(entry);
    journal.commit().unwrap();
    let recovered = jobs.read(ID).unwrap();
    let mut part = recovered.part(0).unwrap();
    let transfer = part.next().unwrap().unwrap();
    assert_eq!((transfer.name, transfer.facts), (&longest[..], &longest[..]));
    assert_eq!(transfer.failure, Some(&longest[..]));
}

#[test]
fn an_entry_is_never_larger_than_a_record() {
    let state = tempfile::tempdir().unwrap();
    let jobs = Jobs::new(state.path());
    let journal = jobs.create(ID, DESCRIPTION).unwrap();
    let mut entry = journal.write().unwrap();
    let mut random = fastrand::Rng::with_seed(1);
    let mut facts = vec![0; STRING_MAX];
    let mut taken = 0;
    let error = loop {
        random.fill(&mut facts);
        match entry.transfer(b"name", &facts) {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, JournalError::TooLong { .. }), "{error}");
    drop(entry);
    journal.commit().unwrap();
    assert!(taken > 500);
    assert_eq!(jobs.read(ID).unwrap().counts().found, taken);
}
