//! Journals that were written once and kept: what is read of them must not change.
//!
//! A file's name begins with what it is: `whole`, `torn`, `damaged`, `newer` or `foreign`. What a fuzzer finds is added
//! to the directories beside them, which the test `fuzz` replays. Those of the first format are kept as `whole-1` and
//! so on.

use std::path::{Path, PathBuf};

use azuring_journal::{CommitBy, FORMAT, Jobs, JournalError, State};

use crate::model::{DESCRIPTION, ID, Model, Transfer};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

/// The journal of all files here, as it is written today.
fn sample(state: &Path) -> Vec<u8> {
    let jobs = Jobs::new(state).commit_by(CommitBy::Caller);
    let journal = jobs.create(ID, DESCRIPTION).unwrap();
    let mut entry = journal.write().unwrap();
    for name in ["a.txt", "ab.txt", "b/c"] {
        entry.transfer(name.as_bytes(), b"12").unwrap();
    }
    entry.done(0);
    entry.failed(1, 5, b"no").unwrap();
    entry.large(2, b"etag").unwrap();
    [0, 1, 7].into_iter().for_each(|piece| entry.piece(2, piece));
    entry.cursor(b"b/c").unwrap();
    entry.count(1, -3);
    entry.problem(2, b"d").unwrap();
    drop(entry);
    journal.commit().unwrap();
    let mut entry = journal.write().unwrap();
    entry.transfer(b"e", b"").unwrap();
    entry.skipped(3, 1);
    // Said again, in the way that the first format does not know.
    assert!(entry.failed_for(1, 5, b"cause", b"no").unwrap());
    entry.scanned();
    entry.summary(b"ended").unwrap();
    drop(entry);
    journal.commit().unwrap();
    std::fs::read(jobs.directory(ID).join("journal")).unwrap()
}

/// What the sample says; `commits`: 1 or 2 of them.
fn said(commits: usize) -> Model {
    let transfer = |name: &str, facts: &[u8], state| Transfer {
        name: name.into(),
        facts: facts.to_vec(),
        state,
        failure: matches!(state, State::Failed(_)).then(|| b"no".to_vec()),
    };
    let mut model = Model {
        transfers: vec![
            transfer("a.txt", b"12", State::Done),
            transfer("ab.txt", b"12", State::Failed(5)),
            transfer("b/c", b"12", State::Pending),
        ],
        cursor: Some((3, b"b/c".to_vec())),
        counters: [0, -3, 0],
        problems: vec![(2, b"d".to_vec())],
        ..Model::default()
    };
    model.large.insert(2, (b"etag".to_vec(), [0, 1, 7].into()));
    if commits == 2 {
        model.transfers.push(transfer("e", b"", State::Skipped(1)));
        (model.scanned, model.summary) = (true, Some(b"ended".to_vec()));
    }
    model
}

#[test]
fn the_kept_journals_are_read_as_their_names_say() {
    let state = tempfile::tempdir().unwrap();
    let jobs = Jobs::new(state.path());
    std::fs::create_dir_all(jobs.directory(ID)).unwrap();
    let mut replayed = 0;
    for entry in std::fs::read_dir(corpus()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        std::fs::copy(&path, jobs.directory(ID).join("journal")).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap();
        match (name.split('-').next(), jobs.read(ID)) {
            (Some("whole"), Ok(recovered)) => {
                assert_eq!(recovered.cut_off(), 0);
                assert!(Model::of(&recovered) == said(2), "{name}");
            }
            (Some("torn"), Ok(recovered)) => {
                assert!(recovered.cut_off() > 0);
                assert!(Model::of(&recovered) == said(1), "{name}");
            }
            (Some("damaged"), Err(JournalError::Damaged { .. }))
            | (Some("foreign"), Err(JournalError::NotAJournal { .. })) => {}
            (Some("newer"), Err(JournalError::Newer { found, known, .. })) => {
                assert_eq!((found, known), (FORMAT + 1, FORMAT));
            }
            (_, result) => panic!("{name}: {result:?}"),
        }
        replayed += 1;
    }
    assert!(replayed >= 15, "{replayed}");
}

/// Whoever goes on with a journal of the first format writes what that format has.
#[test]
fn a_journal_of_the_first_format_goes_on_in_it() {
    let state = tempfile::tempdir().unwrap();
    let jobs = Jobs::new(state.path()).commit_by(CommitBy::Caller);
    std::fs::create_dir_all(jobs.directory(ID)).unwrap();
    let path = jobs.directory(ID).join("journal");
    std::fs::copy(corpus().join("whole-1.journal"), &path).unwrap();
    let (_, journal) = jobs.resume(ID).unwrap();
    let mut entry = journal.write().unwrap();
    assert!(!entry.failed_for(2, 7, b"cause", b"own").unwrap(), "it knows no causes");
    entry.failed(2, 7, b"whole").unwrap();
    entry.problem(9, b"unreadable").unwrap();
    entry.summary(b"ended again").unwrap();
    drop(entry);
    journal.commit().unwrap();
    drop(journal);
    assert_eq!(std::fs::read(&path).unwrap()[8], 1, "the format of its header");
    let mut model = said(2);
    model.transfers[2] =
        Transfer { state: State::Failed(7), failure: Some(b"whole".to_vec()), ..model.transfers[2].clone() };
    model.problems.push((9, b"unreadable".to_vec()));
    model.summary = Some(b"ended again".to_vec());
    assert!(Model::of(&jobs.read(ID).unwrap()) == model);
    // What is there of a large object is known by its number.
    assert_eq!(jobs.shrink(ID), Err(JournalError::NotFinished(ID)));
    let (_, journal) = jobs.resume(ID).unwrap();
    let mut entry = journal.write().unwrap();
    entry.done(2);
    entry.summary(b"ended again").unwrap();
    drop(entry);
    journal.commit().unwrap();
    drop(journal);
    // What stays of it when it has ended is written anew.
    jobs.shrink(ID).unwrap();
    assert_eq!(u32::from(std::fs::read(&path).unwrap()[8]), FORMAT);
    let shrunk = jobs.read(ID).unwrap();
    let mut part = shrunk.part(0).unwrap();
    let transfer = part.next().unwrap().unwrap();
    assert_eq!((transfer.name, transfer.failure), (&b"ab.txt"[..], Some(&b"no"[..])));
    assert!(part.next().unwrap().is_none());
}

/// `UPDATE_CORPUS=1 cargo test -p azuring-journal corpus` writes the files anew, for a new format.
#[test]
fn the_format_is_the_one_of_the_kept_journal() {
    if std::env::var_os("UPDATE_CORPUS").is_some() {
        write_the_corpus();
    }
    let state = tempfile::tempdir().unwrap();
    let kept = std::fs::read(corpus().join("whole.journal")).unwrap();
    assert_eq!(sample(state.path()), kept, "a new format needs a new number");
}

fn write_the_corpus() {
    let state = tempfile::tempdir().unwrap();
    let whole = sample(state.path());
    let put =
        |name: &str, bytes: &[u8]| std::fs::write(corpus().join(format!("{name}.journal")), bytes).unwrap();
    let changed = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        bytes
    };
    let last = whole.windows(4).rposition(|bytes| bytes == b"\x8fREC").unwrap();
    // Those of earlier formats stay as they are.
    put("whole", &whole);
    put("torn-body", &whole[..whole.len() - 1]);
    put("torn-head", &whole[..last + 31]);
    put("torn-zeros", &[&whole[..last], &[0; 100][..]].concat());
    put("torn-bit", &changed(last + 40));
    put("damaged-id", &changed(20));
    put("damaged-head", &changed(44));
    put("damaged-body", &changed(80));
    put("damaged-missing-record", &[&whole[..40], &whole[last..]].concat());
    put("damaged-no-records", &whole[..40]);
    let mut newer = whole.clone();
    newer[8..12].copy_from_slice(&(FORMAT + 1).to_le_bytes());
    let sum = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, &newer[..32]);
    newer[32..40].copy_from_slice(&sum.to_le_bytes());
    put("newer", &newer);
    put("foreign-text", b"this is a text, and longer than the header of a journal is");
    put("foreign-empty", b"");
}
