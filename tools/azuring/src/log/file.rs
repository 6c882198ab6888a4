//! The files of one job's log, and the thread that writes them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use azuring_transfer::check_close;

use super::Limits;
use super::directory;
use crate::cli::global::LogLevel;
use crate::redact::redact;
use crate::state;
use azuring_plan::name::is_unprintable;

/// Lines that wait for the thread: some 300 bytes each.
const WAITING: usize = 4096;
/// So long the job waits for the disk, once; then lines are left out until it goes on.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two looks whether the thread has caught up.
const PAUSE: Duration = Duration::from_millis(1);
/// What was written is in the file after this long.
const FLUSH: Duration = Duration::from_secs(1);
/// Written at once.
const PIECE_BYTES: usize = 64 << 10;

/// How something that a person should know is told.
pub(super) type Tell = Box<dyn Fn(&str) + Send>;

struct Line {
    at: SystemTime,
    level: LogLevel,
    text: String,
}

/// Takes lines for a job's log.
pub(super) struct LogFile {
    path: PathBuf,
    lines: Option<SyncSender<Line>>,
    thread: Option<JoinHandle<()>>,
    patience: Duration,
    /// Lines that were left out since the last one that was taken.
    lost: u64,
}

impl LogFile {
    /// Goes on with the log of this job, or begins it. Makes room for it among the others.
    ///
    /// # Errors
    /// What the file system answers.
    pub(super) fn open(directory: &Path, job: &str, limits: Limits, tell: Tell) -> io::Result<Self> {
        state::make(directory)?;
        let files = Files::open(directory, job, limits)?;
        let directory = directory.to_owned();
        let path = files.path(0);
        let (lines, taken) = sync_channel(WAITING);
        let write = move || {
            directory::make_room(&directory, limits.total_bytes);
            run(&taken, files, &tell);
        };
        let thread = thread::Builder::new().name("log".to_owned()).spawn(write)?;
        Ok(Self { path, lines: Some(lines), thread: Some(thread), patience: PATIENCE, lost: 0 })
    }

    /// The first file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a line, soon.
    pub(super) fn line(&mut self, level: LogLevel, text: String) {
        if self.lost > 0 {
            let text = format!("{} lines are missing here: they could not be written in time", self.lost);
            if self.send(LogLevel::Warning, text) {
                self.lost = 0;
            }
        }
        if self.lost > 0 || !self.send(level, text) {
            self.lost += 1;
        }
    }

    /// Whether the thread has taken the line.
    fn send(&self, level: LogLevel, text: String) -> bool {
        let Some(lines) = &self.lines else { return true };
        let (begun, mut line) = (Instant::now(), Line { at: SystemTime::now(), level, text });
        loop {
            match lines.try_send(line) {
                Ok(()) | Err(TrySendError::Disconnected(_)) => return true,
                Err(TrySendError::Full(_)) if self.lost > 0 || begun.elapsed() >= self.patience => {
                    return false;
                }
                Err(TrySendError::Full(back)) => line = back,
            }
            thread::sleep(PAUSE);
        }
    }

    /// Writes what waits, unless the disk does not take it.
    pub(super) fn end(&mut self) {
        self.lines.take();
        if let Some(thread) = self.thread.take().filter(|_| self.lost == 0) {
            let _ = thread.join();
        }
    }
}

impl Drop for LogFile {
    fn drop(&mut self) {
        self.end();
    }
}

/// Writes lines until there are no more. After an error, which is told, it only takes them.
fn run(lines: &Receiver<Line>, mut files: Files, tell: &Tell) {
    let (mut flushed, mut is_cut) = (Instant::now(), false);
    loop {
        let written = match lines.recv_timeout(FLUSH) {
            Ok(_) | Err(RecvTimeoutError::Timeout) if is_cut => Ok(()),
            Ok(line) => files.write(&line.rendered()),
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Err(RecvTimeoutError::Disconnected) => break,
        };
        let is_due = !is_cut && flushed.elapsed() >= FLUSH;
        let written = if is_due { written.and_then(|()| files.flush()) } else { written };
        if is_due {
            flushed = Instant::now();
        }
        is_cut |= told(written, &files, tell);
    }
    if !is_cut {
        told(files.flush(), &files, tell);
    }
}

/// Whether it failed; then that is told.
fn told(written: io::Result<()>, files: &Files, tell: &Tell) -> bool {
    let Err(error) = written else { return false };
    tell(&format!("{}: {error}: the log is not complete", files.path(files.number).display()));
    true
}

impl Line {
    fn rendered(&self) -> String {
        let level = match self.level {
            LogLevel::Debug => "DEBUG",
            LogLevel::Info => "INFO",
            LogLevel::Warning => "WARNING",
            LogLevel::Error | LogLevel::None => "ERROR",
        };
        let mut line = format!("{} {level} ", time(self.at));
        for c in redact(&self.text).chars() {
            if is_unprintable(c) { line.extend(c.escape_default()) } else { line.push(c) }
        }
        line.push('\n');
        line
    }
}

/// In milliseconds.
fn time(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let exact = azuring_plan::date::format_utc(i128::try_from(since.as_nanos()).unwrap_or(i128::MAX));
    // Of its seven digits after the point, three.
    format!("{}Z", &exact[..exact.len() - "0000Z".len()])
}

/// The files themselves: the first one, which is locked until the end, and the one that is written.
struct Files {
    directory: PathBuf,
    job: String,
    limits: Limits,
    /// Holds the lock that says that the job is running. Not written any more once there is another.
    _first: File,
    out: BufWriter<File>,
    number: u32,
    len: u64,
}

impl Files {
    fn open(directory: &Path, job: &str, limits: Limits) -> io::Result<Self> {
        let number = directory::last_number(directory, job);
        let path = |number| directory.join(directory::name(job, number));
        let (first, last) = (open(&path(0))?, open(&path(number))?);
        let len = last.metadata()?.len();
        let (directory, job) = (directory.to_owned(), job.to_owned());
        let out = BufWriter::with_capacity(PIECE_BYTES, last);
        let mut files = Self { directory, job, limits, _first: first, out, number, len };
        files.head()?;
        files.flush()?;
        Ok(files)
    }

    fn path(&self, number: u32) -> PathBuf {
        self.directory.join(directory::name(&self.job, number))
    }

    fn write(&mut self, line: &str) -> io::Result<()> {
        if self.len + line.len() as u64 > self.limits.file_bytes {
            self.next()?;
        }
        self.len += line.len() as u64;
        self.out.write_all(line.as_bytes())
    }

    /// Goes on in another file, and removes the one that is too many.
    fn next(&mut self) -> io::Result<()> {
        self.flush()?;
        self.number += 1;
        self.out = BufWriter::with_capacity(PIECE_BYTES, open(&self.path(self.number))?);
        self.len = 0;
        if let Some(old) = self.number.checked_sub(self.limits.files).filter(|&old| old > 0) {
            // Whoever removed it was faster.
            let _ = fs::remove_file(self.path(old));
        }
        self.head()
    }

    /// The line that says whose file it is.
    fn head(&mut self) -> io::Result<()> {
        let line = format!("{} {}, job {}\n", time(SystemTime::now()), directory::SIGN, self.job);
        self.len += line.len() as u64;
        self.out.write_all(line.as_bytes())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()?;
        // Network file systems and quotas tell of what they have not kept when a file is closed.
        check_close(self.out.get_ref())
    }
}

/// Opens a log, locked as in use, for the user alone.
fn open(path: &Path) -> io::Result<File> {
    let no_link = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    loop {
        let mut options = OpenOptions::new();
        let file = options.append(true).create(true).mode(0o600).custom_flags(no_link).open(path)?;
        // A file system that knows no locks takes logs as well.
        let _ = file.lock_shared();
        // Removed by another job's start, just before.
        if file.metadata()?.nlink() > 0 {
            return Ok(file);
        }
    }
}

#[cfg(test)]
mod tests;
