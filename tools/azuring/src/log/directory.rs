//! The directory of all logs: names, and how old ones make room for new ones.

use std::fs::{self, File, OpenOptions};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What follows the time in the first line of each file. AzCopy's logs have the same names, and are not ours to remove.
pub(super) const SIGN: &str = concat!("INFO azuring ", env!("CARGO_PKG_VERSION"));

/// The part of [`SIGN`] that all versions have.
const SIGN_OF_ALL: &str = " INFO azuring ";
/// It is among so many bytes, behind the time.
const SIGN_WITHIN: usize = 64;

/// The name of a job's log file: the first is 0.
pub(super) fn name(job: &str, number: u32) -> String {
    if number == 0 { format!("{job}.log") } else { format!("{job}.{number}.log") }
}

/// The job and the number that a name tells, if it is one of ours.
fn parse(file: &str) -> Option<(&str, u32)> {
    let (job, rest) = file.split_at_checked(36)?;
    let is_id = job.bytes().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
    });
    let number = match rest.strip_suffix(".log")? {
        "" => 0,
        rest => rest.strip_prefix('.')?.parse().ok()?,
    };
    // As it is written, and no other way.
    (is_id && name(job, number) == file).then_some((job, number))
}

/// The file in which a job's log ends; 0 if it has none.
pub(super) fn last_number(directory: &Path, job: &str) -> u32 {
    let logs = logs(directory).into_iter().filter(|log| log.job == job);
    logs.map(|log| log.number).max().unwrap_or(0)
}

struct Found {
    path: PathBuf,
    job: String,
    number: u32,
    modified: SystemTime,
    len: u64,
}

fn logs(directory: &Path) -> Vec<Found> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let found = |entry: fs::DirEntry| {
        let file = entry.file_name();
        let (job, number) = parse(file.to_str()?)?;
        let meta = entry.metadata().ok().filter(fs::Metadata::is_file)?;
        let (modified, job) = (meta.modified().ok()?, job.to_owned());
        Some(Found { path: entry.path(), job, number, modified, len: meta.len() })
    };
    entries.filter_map(Result::ok).filter_map(found).collect()
}

/// Removes the oldest logs until all together have at most `total_bytes`. Those of running jobs stay. What only has the
/// name of a log is neither counted nor removed: AzCopy may keep its own in the same directory. What cannot be removed
/// is left.
pub(super) fn make_room(directory: &Path, total_bytes: u64) {
    let mut logs = logs(directory);
    logs.retain(|log| is_ours(&log.path));
    let mut total: u64 = logs.iter().map(|log| log.len).sum();
    logs.sort_by_key(|log| log.modified);
    for log in logs {
        if total <= total_bytes {
            return;
        }
        let first = directory.join(name(&log.job, 0));
        let Some(_locked) = unused(if first.exists() { &first } else { &log.path }) else { continue };
        if fs::remove_file(&log.path).is_ok() {
            total -= log.len;
        }
    }
}

/// Removes the log of a job that is not running; returns how many files it had.
pub(super) fn remove(directory: &Path, job: &str) -> usize {
    let mut logs: Vec<_> = logs(directory).into_iter().filter(|log| log.job == job).collect();
    logs.sort_by_key(|log| log.number);
    let _locked = match logs.first().map(|log| unused(&log.path)) {
        Some(Some(locked)) => locked,
        _ => return 0,
    };
    logs.iter().filter(|log| is_ours(&log.path) && fs::remove_file(&log.path).is_ok()).count()
}

/// The lock of a job that is not running.
fn unused(path: &Path) -> Option<File> {
    let file = OpenOptions::new().read(true).write(true).open(path).ok()?;
    file.try_lock().is_ok().then_some(file)
}

fn is_ours(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    let mut begin = Vec::new();
    let read = file.take(SIGN_WITHIN as u64).read_to_end(&mut begin);
    read.is_ok() && begin.windows(SIGN_OF_ALL.len()).any(|part| part == SIGN_OF_ALL.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const JOB: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";

    /// A log of 1000 bytes that is `age` seconds old.
    fn log(directory: &Path, name: &str, age: u64) -> PathBuf {
        with(directory, name, age, &format!("2026-11-22T10:00:00.123Z {SIGN}, job x\n"))
    }

    fn with(directory: &Path, name: &str, age: u64, begin: &str) -> PathBuf {
        let path = directory.join(name);
        fs::write(&path, begin).unwrap();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(1000).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        path
    }

    fn job(n: u32) -> String {
        format!("{n:08x}-0000-4000-8000-000000000000")
    }

    fn left(directory: &Path) -> Vec<String> {
        let names = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for number in [0, 1, 12, u32::MAX] {
            assert_eq!(parse(&name(JOB, number)), Some((JOB, number)));
        }
        let upper = JOB.to_uppercase();
        for other in [
            "x.log".to_owned(),
            JOB.to_owned(),
            format!("{JOB}-scanning.log"),
            format!("{JOB}.log.gz"),
            format!("{JOB}.0.log"),
            format!("{JOB}.01.log"),
            format!("{JOB}.+1.log"),
            format!("{JOB}..log"),
            format!("{JOB}.4294967296.log"),
            format!("{upper}.log"),
            format!("{}.log", JOB.replace('-', "0")),
        ] {
            assert_eq!(parse(&other), None, "{other}");
        }
    }

    #[test]
    fn the_oldest_go_until_all_fit() {
        let dir = tempfile::tempdir().unwrap();
        for n in 0..5 {
            log(dir.path(), &name(&job(n), n), u64::from(10 - n));
        }
        make_room(dir.path(), 5000);
        assert_eq!(left(dir.path()).len(), 5);
        make_room(dir.path(), 2500);
        assert_eq!(left(dir.path()), [name(&job(3), 3), name(&job(4), 4)]);
        make_room(dir.path(), 0);
        assert!(left(dir.path()).is_empty());
        make_room(&dir.path().join("none"), 0);
    }

    #[test]
    fn logs_of_others_take_no_room_from_ours() {
        let dir = tempfile::tempdir().unwrap();
        let azcopys = "2026/11/22 10:00:00 AzcopyVersion  10.32.2 INFO";
        for n in 10..20 {
            with(dir.path(), &name(&job(n), 0), 5, azcopys);
        }
        log(dir.path(), &name(&job(1), 0), 99);
        log(dir.path(), &name(&job(2), 0), 98);
        make_room(dir.path(), 2000);
        assert_eq!(left(dir.path()).len(), 12);
        make_room(dir.path(), 1999);
        let left = left(dir.path());
        assert_eq!((left.len(), left[0].clone()), (11, name(&job(2), 0)));
    }

    #[test]
    fn what_is_in_use_or_not_ours_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        let running = log(path, &name(&job(1), 0), 99);
        log(path, &name(&job(1), 7), 98);
        let azcopys = "2026/11/22 10:00:00 AzcopyVersion  10.32.2 INFO";
        with(path, &name(&job(2), 0), 97, azcopys);
        log(path, "notes.log", 96);
        log(path, &format!("{}-scanning.log", job(3)), 95);
        fs::create_dir(path.join(name(&job(4), 0))).unwrap();
        std::os::unix::fs::symlink(path.join("notes.log"), path.join(name(&job(5), 0))).unwrap();
        let kept = left(path);
        log(path, &name(&job(6), 0), 1);
        let lock = File::open(&running).unwrap();
        lock.lock_shared().unwrap();
        make_room(path, 0);
        assert_eq!(left(path), kept);
        drop(lock);
        make_room(path, 0);
        assert_eq!(left(path), kept[2..], "the job is not running any more");
    }
}
