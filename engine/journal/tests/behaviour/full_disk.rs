//! A disk without room: the journal stands as after its last commit, and goes on when there is room again.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use azuring_journal::{CommitBy, Disk, Jobs, JournalError, Storage};
use fastrand::Rng;
use rustix::io::Errno;

use crate::model::{DESCRIPTION, ID, Model};

/// A disk on which a file may have so many bytes.
#[derive(Debug)]
struct Quota {
    bytes: AtomicU64,
    /// Whether it is found out only when the bytes are to be made durable, as on a network's disk.
    late: bool,
}

impl Storage for Quota {
    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        let room = self.bytes.load(Ordering::SeqCst).saturating_sub(offset);
        let fits = usize::try_from(room).map_or(bytes.len(), |room| room.min(bytes.len()));
        Disk.write_at(file, &bytes[..fits], offset)?;
        if fits < bytes.len() && !self.late { Err(Errno::NOSPC.into()) } else { Ok(()) }
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        let is_full = file.metadata()?.len() == self.bytes.load(Ordering::SeqCst);
        if self.late && is_full { Err(Errno::DQUOT.into()) } else { Disk.sync(file) }
    }

    fn set_len(&self, file: &File, len: u64) -> io::Result<()> {
        Disk.set_len(file, len)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Disk.rename(from, to)
    }

    fn sync_dir(&self, directory: &Path) -> io::Result<()> {
        Disk.sync_dir(directory)
    }
}

#[test]
fn without_room_nothing_is_lost_and_with_room_it_goes_on() {
    let mut random = Rng::with_seed(30);
    for (late, commit_by) in [
        (false, CommitBy::Caller),
        (true, CommitBy::Caller),
        (false, CommitBy::Thread),
        (true, CommitBy::Thread),
    ] {
        let state = tempfile::tempdir().unwrap();
        let quota = Arc::new(Quota { bytes: AtomicU64::new(3_000), late });
        let jobs = Jobs::new(state.path()).storage(Arc::clone(&quota) as _).commit_by(commit_by);
        let journal = jobs.create(ID, DESCRIPTION).unwrap();
        let path = jobs.directory(ID).join("journal");
        let (mut model, mut committed) = (Model::default(), Model::default());
        let mut refusals = 0;
        while refusals < 20 {
            // With a thread, nobody knows when it finds the disk full.
            if journal.write().is_ok() {
                model.find(&mut journal.write().unwrap(), b"one name at least", b"");
            }
            match journal.commit() {
                Ok(()) => committed = model.clone(),
                Err(error) => {
                    refusals += 1;
                    let errno = if late { Errno::DQUOT } else { Errno::NOSPC }.raw_os_error();
                    assert_eq!(error, JournalError::Full { path: path.clone(), errno });
                    assert_eq!(journal.write().unwrap_err(), error, "nothing is taken meanwhile");
                    assert_eq!(journal.commit().unwrap_err(), error, "nothing changed");
                    let recovered = jobs.read(ID).unwrap();
                    assert!(Model::of(&recovered) == committed);
                    assert_eq!(recovered.cut_off(), 0, "what was written in part gives its room back");
                    quota.bytes.fetch_add(random.u64(1..200), Ordering::SeqCst);
                }
            }
        }
        quota.bytes.store(u64::MAX, Ordering::SeqCst);
        journal.commit().unwrap();
        assert!(Model::of(&jobs.read(ID).unwrap()) == model);
        model.say(&journal, &mut random, 10);
        journal.commit().unwrap();
        drop(journal);
        assert!(Model::of(&jobs.resume(ID).unwrap().0) == model);
    }
}

#[test]
fn a_job_that_cannot_be_created_or_shrunk_for_want_of_room_is_as_before() {
    let state = tempfile::tempdir().unwrap();
    let quota = Arc::new(Quota { bytes: AtomicU64::new(0), late: false });
    let jobs = Jobs::new(state.path()).storage(Arc::clone(&quota) as _).commit_by(CommitBy::Caller);
    for room in [0, 39, 40, 60] {
        quota.bytes.store(room, Ordering::SeqCst);
        assert!(matches!(jobs.create(ID, DESCRIPTION), Err(JournalError::Full { .. })));
        assert_eq!(jobs.list().unwrap(), []);
        assert_eq!(jobs.read(ID).unwrap_err(), JournalError::NoSuchJob(ID.to_string()));
    }
    quota.bytes.store(u64::MAX, Ordering::SeqCst);
    let journal = jobs.create(ID, DESCRIPTION).unwrap();
    let mut entry = journal.write().unwrap();
    let number = entry.transfer(b"a", b"").unwrap();
    entry.done(number);
    entry.scanned();
    entry.summary(b"ended").unwrap();
    drop(entry);
    journal.commit().unwrap();
    drop(journal);
    let before = Model::of(&jobs.read(ID).unwrap());
    quota.bytes.store(100, Ordering::SeqCst);
    assert!(matches!(jobs.shrink(ID), Err(JournalError::Full { .. })));
    assert!(Model::of(&jobs.read(ID).unwrap()) == before);
    assert!(
        !jobs.directory(ID).join("journal.new").exists(),
        "what could not be finished gives its room back"
    );
    quota.bytes.store(u64::MAX, Ordering::SeqCst);
    jobs.shrink(ID).unwrap();
    assert_eq!(jobs.read(ID).unwrap().counts().done, 1);
}

#[test]
fn a_disk_that_the_thread_finds_full_is_told_to_whoever_writes_next() {
    let state = tempfile::tempdir().unwrap();
    let quota = Arc::new(Quota { bytes: AtomicU64::new(200), late: false });
    let jobs = Jobs::new(state.path()).storage(Arc::clone(&quota) as _);
    let journal = jobs.create(ID, DESCRIPTION).unwrap();
    let mut random = Rng::with_seed(31);
    let mut said = 0;
    // Also when so much waits that there is no room for more.
    let error = loop {
        let mut noise = [0; 10_000];
        random.fill(&mut noise);
        match journal.write().and_then(|mut entry| entry.transfer(&noise, b"")) {
            Ok(_) => said += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, JournalError::Full { .. }), "{error}");
    quota.bytes.store(u64::MAX, Ordering::SeqCst);
    assert_eq!(journal.write().unwrap_err(), error, "until a commit succeeds");
    journal.commit().unwrap();
    assert_eq!(jobs.read(ID).unwrap().counts().found, said);
    assert!(journal.write().is_ok());
}

#[test]
fn the_systems_own_limit_is_met_like_a_full_disk_and_the_job_is_resumed_without_it() {
    let state = tempfile::tempdir().unwrap();
    // The shell ignores the signal that would end the process, and so does what it runs.
    let output = Command::new("sh")
        .args(["-c", r#"trap "" XFSZ; ulimit -f 64; exec "$0" fill "$1""#])
        .arg(env!("CARGO_BIN_EXE_journal-process"))
        .arg(state.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let (recovered, journal) = Jobs::new(state.path()).resume(ID).unwrap();
    let found = recovered.counts().found;
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("committed {found}\n"));
    assert_eq!(recovered.cut_off(), 0);
    assert!(found > 50, "{found}");
    assert_eq!(journal.write().unwrap().transfer(&[b'x'; 40_000], b"").unwrap(), found);
    journal.commit().unwrap();
    assert_eq!(Jobs::new(state.path()).read(ID).unwrap().counts().found, found + 1);
}
