//! The walk: a stack of sorted listings, with directories read ahead by other threads.

use std::collections::VecDeque;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::fs::{Mode, OFlags};

use crate::ahead::Pool;
use crate::listing::{Budget, Kind, Listing};
use crate::read::{CHUNK_BYTES, Matchers, Reader, Shared};
use crate::{LocalError, RelPath};

/// Memory for the names of all directories of a walk that are open or read ahead: 64 MiB.
///
/// A name takes its length and 16 bytes, so a directory of a million files with names of 20 bytes takes
/// 36 MB; reading ahead stops at half. Where the budget does not suffice, directories are sorted on disk
/// in runs of at least 1 MiB; each reader may hold that much in excess.
pub const NAMES_BUDGET: usize = 64 << 20;

/// A directory with more names than this, in bytes, is sorted on disk: half the budget, so that one large
/// directory below another still fits.
pub const RUN_BYTES: usize = NAMES_BUDGET / 2;

/// Most directories that are requested or waiting read at a time: [`PER_LEVEL`] on each of the last 16 levels.
pub const LOOK_AHEAD: usize = PER_LEVEL * LEVELS;

/// Most directories of one level that are read ahead: enough for [`MAX_THREADS`] on a slow file system, where every read waits.
pub const PER_LEVEL: usize = 64;

/// Levels above the current one, itself included, that are read ahead in; deeper trees are rarely wide as well.
const LEVELS: usize = 16;

/// Most threads that read ahead. Cold directories need many: 16 read a cold tree 4.5 times as fast as none.
pub const MAX_THREADS: usize = 64;

/// Says whether a path segment (a name, without `/`) matches.
pub type SegmentMatcher = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// Why an entry is not a file to transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkippedKind {
    /// A symbolic link, whatever it leads to.
    Symlink,
    /// A Unix socket.
    Socket,
    /// A named pipe.
    Fifo,
    /// A block device.
    BlockDevice,
    /// A character device.
    CharDevice,
}

impl fmt::Display for SkippedKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Symlink => "a symbolic link",
            Self::Socket => "a socket",
            Self::Fifo => "a named pipe",
            Self::BlockDevice => "a block device",
            Self::CharDevice => "a character device",
        })
    }
}

/// What a walk finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A regular file (or what the file system says is one: it may be gone or changed when it is opened).
    File(RelPath),
    /// Something that has no content to transfer.
    Skipped {
        /// Where.
        path: RelPath,
        /// What.
        kind: SkippedKind,
    },
    /// Something that could not be read, in the place of its entries or (a listing that broke off) before
    /// them. The walk goes on; whoever deletes by comparing must not delete below this path.
    Problem(LocalError),
}

/// What a walk has met so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Files given out.
    pub files: u64,
    /// Entries given out as skipped.
    pub skipped: u64,
    /// Problems given out.
    pub problems: u64,
    /// Directories read, the root included.
    pub directories: u64,
    /// Directories without any entry (they have no blob).
    pub empty_directories: u64,
    /// Directories left alone because the walk is not recursive.
    pub directories_not_entered: u64,
}

/// A walk to be started.
#[derive(Debug, Clone)]
pub struct Walk {
    root: PathBuf,
    recursive: bool,
    threads: usize,
    matchers: Matchers,
    names_bytes: usize,
    run_bytes: usize,
    #[cfg(test)]
    hook: crate::read::Hook,
}

impl Walk {
    /// A walk of the directory `root` (or a symbolic link to one): not recursive, with four threads reading ahead,
    /// or one per core up to 16.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
        Self {
            root,
            recursive: false,
            threads: cores.clamp(4, 16),
            matchers: Matchers::default(),
            names_bytes: NAMES_BUDGET,
            run_bytes: RUN_BYTES,
            #[cfg(test)]
            hook: crate::read::Hook::default(),
        }
    }

    /// Where the walk starts.
    #[must_use]
    pub fn root(&self) -> &std::path::Path {
        &self.root
    }

    /// Whether directories are entered.
    #[must_use]
    pub fn recursive(mut self, recursive: bool) -> Self {
        self.recursive = recursive;
        self
    }

    /// Threads that read ahead: 0 (the consumer does everything) to [`MAX_THREADS`]. They start when there is something to
    /// read ahead.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.min(MAX_THREADS);
        self
    }

    /// Memory for names in bytes: 1 MiB to [`NAMES_BUDGET`], the default. Directories larger than half of it are
    /// sorted on disk.
    #[must_use]
    pub fn names_bytes(mut self, bytes: usize) -> Self {
        self.names_bytes = bytes.clamp(1 << 20, NAMES_BUDGET);
        self.run_bytes = self.names_bytes / 2;
        self
    }

    /// Takes only paths whose first segments match `segments` one by one (a pattern such as `a*/b?`, from the root).
    ///
    /// Directories that the pattern's inner segments match are entered in any case. What the last one
    /// matches is a source: a file is found; a directory is walked, if the walk is recursive, with everything below.
    /// Symbolic links that match are skipped, also in the middle. Relative paths start at the root.
    /// That nothing matched shows in [`Counts`]: no files, nothing skipped, no problems.
    #[must_use]
    pub fn matching(mut self, segments: Vec<SegmentMatcher>) -> Self {
        self.matchers = Matchers(segments);
        self
    }

    /// Opens the root. Reading starts with the first call on the stream.
    ///
    /// # Errors
    ///
    /// The root is missing, not a directory, or may not be read.
    pub fn start(self) -> Result<WalkStream, LocalError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root_fd = rustix::fs::open(&self.root, flags, Mode::empty())
            .map_err(|errno| LocalError::new(self.root.clone(), "open", errno))?;
        let shared = Arc::new(Shared {
            root: self.root,
            root_fd,
            matchers: self.matchers,
            budget: Budget::new(self.names_bytes),
            run_bytes: self.run_bytes,
            stop: AtomicBool::new(false),
            #[cfg(test)]
            hook: self.hook,
        });
        Ok(WalkStream {
            pool: Pool::new(Arc::clone(&shared), self.threads),
            shared,
            recursive: self.recursive,
            reader: Reader::new(),
            stack: Vec::new(),
            path: Vec::new(),
            problems: VecDeque::new(),
            counts: Counts::default(),
            started: false,
            stop: None,
        })
    }
}

/// A directory being given out.
#[derive(Debug)]
struct Frame {
    listing: Listing,
    /// Next entry to give out.
    cursor: usize,
    /// Next entry to look at for reading ahead.
    ahead: usize,
    /// Subdirectories asked for, in order: entry and ticket.
    tickets: VecDeque<(usize, u64)>,
    /// Length of this directory's part of the path, its final `/` included.
    path_len: usize,
}

/// The entries of a tree in order. `Send`; dropping it stops the threads.
#[derive(Debug)]
pub struct WalkStream {
    // Before `shared` and the rest: its threads end first.
    pool: Pool,
    shared: Arc<Shared>,
    recursive: bool,
    reader: Reader,
    /// From the root to the directory being given out.
    stack: Vec<Frame>,
    /// The path of the top of the stack: empty, or ending in `/`.
    path: Vec<u8>,
    /// To be given out before anything else.
    problems: VecDeque<LocalError>,
    counts: Counts,
    started: bool,
    /// Ends the walk from outside.
    stop: Option<Arc<AtomicBool>>,
}

impl WalkStream {
    /// Appends up to `max` entries to `out`. `false`: the walk is over, and this call may still have added some.
    pub fn next_batch(&mut self, max: usize, out: &mut Vec<Found>) -> bool {
        for _ in 0..max {
            match self.advance() {
                Some(found) => out.push(found),
                None => return false,
            }
        }
        true
    }

    /// Ends the walk when `stop` becomes true, also while it goes through directories that give nothing out.
    pub fn stop_with(&mut self, stop: Arc<AtomicBool>) {
        self.stop = Some(stop);
    }

    /// What has been met so far; final once the stream has ended.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    fn advance(&mut self) -> Option<Found> {
        if !self.started {
            self.started = true;
            let root = self.reader.read(&self.shared, b"", 0);
            self.enter(root);
        }
        loop {
            if self.stop.as_ref().is_some_and(|stop| stop.load(std::sync::atomic::Ordering::Relaxed)) {
                return None;
            }
            if let Some(problem) = self.problems.pop_front() {
                self.counts.problems += 1;
                return Some(Found::Problem(problem));
            }
            let frame = self.stack.last_mut()?;
            let index = frame.cursor;
            let Some((name, kind)) = frame.listing.names.get(index) else {
                self.refill_or_leave();
                continue;
            };
            frame.cursor += 1;
            let skipped = match kind {
                Kind::File => {
                    self.counts.files += 1;
                    return Some(Found::File(RelPath::join(&self.path, name)));
                }
                Kind::Directory => {
                    let depth = self.stack.len() - 1;
                    if self.enters(depth) {
                        self.enter_entry(index);
                    } else {
                        self.counts.directories_not_entered += 1;
                    }
                    continue;
                }
                Kind::Symlink => SkippedKind::Symlink,
                Kind::Socket => SkippedKind::Socket,
                Kind::Fifo => SkippedKind::Fifo,
                Kind::BlockDevice => SkippedKind::BlockDevice,
                Kind::CharDevice => SkippedKind::CharDevice,
            };
            self.counts.skipped += 1;
            return Some(Found::Skipped { path: RelPath::join(&self.path, name), kind: skipped });
        }
    }

    /// Whether directories found at `depth` are entered.
    fn enters(&self, depth: usize) -> bool {
        self.recursive || self.shared.matchers.is_above_last(depth)
    }

    /// Goes into the directory that is entry `index` of the top frame.
    fn enter_entry(&mut self, index: usize) {
        let Some(frame) = self.stack.last_mut() else { return };
        let Some((name, _)) = frame.listing.names.get(index) else { return };
        self.path.extend_from_slice(name);
        let listing = match frame.tickets.front() {
            Some(&(entry, ticket)) if entry == index => {
                frame.tickets.pop_front();
                self.pool.take(ticket)
            }
            _ => None,
        };
        let depth = self.stack.len();
        let listing = listing.unwrap_or_else(|| {
            let relative = &self.path[..self.path.len() - 1];
            self.reader.read(&self.shared, relative, depth)
        });
        self.enter(listing);
    }

    /// Puts the directory at `self.path` on the stack, or notes why it cannot be read.
    fn enter(&mut self, listing: Result<Listing, LocalError>) {
        match listing {
            Ok(mut listing) => {
                self.counts.directories += 1;
                self.counts.empty_directories += u64::from(listing.is_empty);
                self.problems.extend(listing.problems.drain(..));
                let path_len = self.path.len();
                self.stack.push(Frame { listing, cursor: 0, ahead: 0, tickets: VecDeque::new(), path_len });
            }
            Err(problem) => {
                self.problems.push_back(problem);
                self.back_to_top();
            }
        }
        self.read_ahead();
    }

    /// The top frame has given everything it holds: more from its file, or up.
    fn refill_or_leave(&mut self) {
        let Some(frame) = self.stack.last_mut() else { return };
        if let Some(tail) = &mut frame.listing.tail {
            frame.listing.names.clear();
            (frame.cursor, frame.ahead) = (0, 0);
            let more = tail.fill(&mut frame.listing.names, CHUNK_BYTES);
            frame.listing.charge.set(frame.listing.names.size_bytes());
            match more {
                Ok(true) => {}
                Ok(false) => frame.listing.tail = None,
                Err(error) => {
                    frame.listing.tail = None;
                    self.problems.push_back(self.shared.merge_error(&self.path, &error));
                }
            }
            self.read_ahead();
            return;
        }
        self.stack.pop();
        self.back_to_top();
    }

    fn back_to_top(&mut self) {
        self.path.truncate(self.stack.last().map_or(0, |frame| frame.path_len));
    }

    /// Asks for the next directories, those nearest in order first.
    fn read_ahead(&mut self) {
        if !self.pool.is_usable() {
            return;
        }
        let top = self.stack.len();
        for level in (top.saturating_sub(LEVELS)..top).rev() {
            if !self.enters(level) {
                continue;
            }
            let frame = &mut self.stack[level];
            // Asking in lots lets a worker that was woken once do several.
            if frame.tickets.len() > PER_LEVEL / 2 {
                continue;
            }
            frame.ahead = frame.ahead.max(frame.cursor);
            while frame.tickets.len() < PER_LEVEL {
                let Some((name, kind)) = frame.listing.names.get(frame.ahead) else { break };
                if kind == Kind::Directory {
                    if !self.shared.budget.is_relaxed() {
                        return;
                    }
                    let name = name.strip_suffix(b"/").unwrap_or(name);
                    let mut relative = Vec::with_capacity(frame.path_len + name.len());
                    relative.extend_from_slice(&self.path[..frame.path_len]);
                    relative.extend_from_slice(name);
                    let Some(ticket) = self.pool.ask(relative, level + 1) else { return };
                    frame.tickets.push_back((frame.ahead, ticket));
                }
                frame.ahead += 1;
            }
        }
    }
}

impl Iterator for WalkStream {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        self.advance()
    }
}

#[cfg(test)]
mod tests;
