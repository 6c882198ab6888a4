//! The `azuring` program as the crash tests run it: it can end itself at any moment that counts for a job's journal.
//!
//! Moments are what lies before and after each write, sync, cut and rename of a journal and each sync of its directory,
//! the middle of each write, and what lies before and after each request and each name that a downloaded file gets.
//! They are counted from 1.
//!
//! | variable | |
//! |---|---|
//! | `AZURING_CUT_AT` | the moment at which the process sends itself SIGKILL; without it this is `azuring` |
//! | `AZURING_CUT_NOTE` | a file for the moment's name, or, at an end of its own, for the number of moments there were |
//! | `AZURING_CUT_POWER` | a directory: the power is cut, and what no sync has made durable of the journal is gone |
//! | `AZURING_CUT_SKIPS_SYNC` | a planted bug: the commits of a running job are not synced |
//!
//! When the power is cut, the directory gets `jobs/ID/journal` as it has to be at least: without the last write.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "test code")]

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use azuring_cli::hooks::{self, Hooks};
use azuring_journal::{Disk, Storage};
use azuring_transfer::Boundary;
use rustix::process::{Signal, getpid, kill_process};

fn main() -> ExitCode {
    let Some(at) = std::env::var_os("AZURING_CUT_AT") else { return azuring_cli::main() };
    let path = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let cut = Arc::new(Cut {
        at: at.to_str().unwrap().parse().unwrap(),
        reached: AtomicU64::new(0),
        note: path("AZURING_CUT_NOTE"),
        power: path("AZURING_CUT_POWER"),
        skips_sync: std::env::var_os("AZURING_CUT_SKIPS_SYNC").is_some(),
        written: Mutex::default(),
    });
    let theirs = Arc::clone(&cut);
    let boundary = Boundary(Arc::new(move |moment| theirs.moment(moment)));
    hooks::set(Hooks { storage: Arc::clone(&cut) as _, boundary });
    let code = azuring_cli::main();
    cut.tell(&cut.reached.load(Ordering::SeqCst).to_string());
    code
}

#[derive(Debug)]
struct Cut {
    at: u64,
    reached: AtomicU64,
    note: Option<PathBuf>,
    power: Option<PathBuf>,
    skips_sync: bool,
    written: Mutex<Written>,
}

/// What was asked of the file system. Whoever asks holds it, so that nothing is half asked when the process ends.
#[derive(Debug, Default)]
struct Written {
    /// By inode.
    files: HashMap<u64, Lengths>,
    /// A rename whose directory was not synced: from, to, and what `to` was.
    renamed: Option<(PathBuf, PathBuf, Option<Vec<u8>>)>,
}

#[derive(Debug)]
struct Lengths {
    file: File,
    /// Bytes that are durable.
    durable: u64,
    /// Where the last write began.
    last: u64,
}

impl Cut {
    /// Whether the process ends here.
    fn is_now(&self) -> bool {
        self.reached.fetch_add(1, Ordering::SeqCst) + 1 == self.at
    }

    fn moment(&self, name: &str) {
        if self.is_now() {
            self.end(name, self.written());
        }
    }

    fn tell(&self, what: &str) {
        if let Some(note) = &self.note {
            fs::write(note, what).unwrap();
        }
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, name: &str, mut written: MutexGuard<'_, Written>) -> ! {
        self.tell(name);
        if let Some(witness) = &self.power {
            written.keep(witness);
            written.lose();
        }
        kill_process(getpid(), Signal::KILL).unwrap();
        loop {
            std::thread::park();
        }
    }
}

fn path_of(file: &File) -> PathBuf {
    fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap()
}

fn is_journal(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "journal")
}

impl Written {
    fn lengths(&mut self, file: &File) -> &mut Lengths {
        let meta = file.metadata().unwrap();
        // What an earlier process left has been there for long.
        let new = || Lengths { file: file.try_clone().unwrap(), durable: meta.len(), last: meta.len() };
        self.files.entry(meta.ino()).or_insert_with(new)
    }

    /// Copies journals as they are without their last write.
    fn keep(&self, witness: &Path) {
        for lengths in self.files.values() {
            let path = path_of(&lengths.file);
            if is_journal(&path) {
                let mut bytes = fs::read(&path).unwrap();
                bytes.truncate(usize::try_from(lengths.last).unwrap());
                let job = path.parent().unwrap().file_name().unwrap();
                let directory = witness.join("jobs").join(job);
                fs::create_dir_all(&directory).unwrap();
                fs::write(directory.join("journal"), bytes).unwrap();
            }
        }
    }

    /// What is not durable is gone.
    fn lose(&mut self) {
        for lengths in self.files.values() {
            if lengths.file.metadata().unwrap().len() > lengths.durable {
                lengths.file.set_len(lengths.durable).unwrap();
            }
        }
        if let Some((from, to, before)) = self.renamed.take() {
            fs::rename(&to, from).unwrap();
            if let Some(before) = before {
                fs::write(to, before).unwrap();
            }
        }
    }
}

impl Storage for Cut {
    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.moment("before a write");
        {
            let mut written = self.written();
            written.lengths(file).last = offset;
            if self.is_now() {
                Disk.write_at(file, &bytes[..bytes.len() / 2], offset)?;
                self.end("in a write", written);
            }
            Disk.write_at(file, bytes, offset)?;
        }
        self.moment("after a write");
        Ok(())
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        self.moment("before a sync");
        {
            let mut written = self.written();
            if !(self.skips_sync && is_journal(&path_of(file))) {
                Disk.sync(file)?;
                written.lengths(file).durable = file.metadata()?.len();
            }
        }
        self.moment("after a sync");
        Ok(())
    }

    fn set_len(&self, file: &File, len: u64) -> io::Result<()> {
        self.moment("before a cut");
        {
            let mut written = self.written();
            Disk.set_len(file, len)?;
            let lengths = written.lengths(file);
            lengths.durable = lengths.durable.min(len);
        }
        self.moment("after a cut");
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.moment("before a rename");
        {
            let mut written = self.written();
            let before = fs::read(to).ok();
            Disk.rename(from, to)?;
            written.renamed = Some((from.to_owned(), to.to_owned(), before));
        }
        self.moment("after a rename");
        Ok(())
    }

    fn sync_dir(&self, directory: &Path) -> io::Result<()> {
        self.moment("before a directory's sync");
        {
            let mut written = self.written();
            Disk.sync_dir(directory)?;
            if written.renamed.as_ref().is_some_and(|(_, to, _)| to.parent() == Some(directory)) {
                written.renamed = None;
            }
        }
        self.moment("after a directory's sync");
        Ok(())
    }
}
