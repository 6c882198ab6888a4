//! The walk: a stack of sorted listings, with directories read ahead by other threads.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::fs::{Mode, OFlags};

use crate::ahead::{LEVELS, Pool};
use crate::found::{Counts, Found, SkippedKind, SymlinkMode};
use crate::listing::{Budget, Kind, Listing};
use crate::matching::{Matchers, Pruner};
use crate::read::{CHUNK_BYTES, Place, Reader, Shared};
use crate::{LocalError, RelPath};

pub use crate::ahead::{LOOK_AHEAD, PER_LEVEL};
pub use crate::matching::{DirectoryPruner, SegmentMatcher};

/// Memory for the names of all directories of a walk that are open or read ahead: 64 MiB.
///
/// A name takes its length and 16 bytes, so a directory of a million files with names of 20 bytes takes
/// 36 MB; reading ahead stops at half. Where the budget does not suffice, directories are sorted on disk
/// in runs of at least 1 MiB; each reader may hold that much in excess.
pub const NAMES_BUDGET: usize = 64 << 20;

/// A directory with more names than this, in bytes, is sorted on disk: half the budget, so that one large
/// directory below another still fits.
pub const RUN_BYTES: usize = NAMES_BUDGET / 2;

/// Most threads that read ahead. Cold directories need many: 16 read a cold tree 4.5 times as fast as none.
pub const MAX_THREADS: usize = 64;

/// A walk to be started.
#[derive(Debug, Clone)]
pub struct Walk {
    root: PathBuf,
    recursive: bool,
    threads: usize,
    matchers: Matchers,
    pruner: Pruner,
    symlinks: SymlinkMode,
    directories: bool,
    specials: bool,
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
            pruner: Pruner::default(),
            symlinks: SymlinkMode::default(),
            directories: false,
            specials: false,
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

    /// Threads that read ahead: 0 (the consumer does everything) to [`MAX_THREADS`]. They start when there is something
    /// to read ahead.
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

    /// Leaves out the directories that `prunes` names: they are neither opened nor given out, in any form.
    #[must_use]
    pub fn pruning(mut self, prunes: DirectoryPruner) -> Self {
        self.pruner = Pruner(Some(prunes));
        self
    }

    /// The same for further directories.
    #[must_use]
    pub fn also_pruning(mut self, prunes: DirectoryPruner) -> Self {
        self.pruner.0 = Some(match self.pruner.0.take() {
            Some(first) => Arc::new(move |directory: &[u8]| first(directory) || prunes(directory)),
            None => prunes,
        });
        self
    }

    /// What becomes of symbolic links below the root: by default they are skipped.
    #[must_use]
    pub fn symlinks(mut self, mode: SymlinkMode) -> Self {
        self.symlinks = mode;
        self
    }

    /// Whether directories that are entered are given out too, as [`Found::Directory`].
    #[must_use]
    pub fn directories(mut self, wanted: bool) -> Self {
        self.directories = wanted;
        self
    }

    /// Whether sockets, pipes and devices are given out as [`Found::Special`] instead of skipped.
    #[must_use]
    pub fn specials(mut self, wanted: bool) -> Self {
        self.specials = wanted;
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
            pruner: self.pruner,
            symlinks: self.symlinks,
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
            directories: self.directories,
            specials: self.specials,
            reader: Reader::new(),
            stack: Vec::new(),
            path: Vec::new(),
            first: VecDeque::new(),
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
    directories: bool,
    specials: bool,
    reader: Reader,
    /// From the root to the directory being given out.
    stack: Vec<Frame>,
    /// The path of the top of the stack: empty, or ending in `/`.
    path: Vec<u8>,
    /// To be given out before anything else.
    first: VecDeque<Found>,
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
            let root = self.reader.read(&self.shared, Place { relative: b"", depth: 0, above: None });
            self.enter(root);
        }
        loop {
            if self.stop.as_ref().is_some_and(|stop| stop.load(std::sync::atomic::Ordering::Relaxed)) {
                return None;
            }
            if let Some(found) = self.first.pop_front() {
                return Some(self.count(found));
            }
            let depth = self.stack.len().saturating_sub(1);
            let frame = self.stack.last_mut()?;
            let index = frame.cursor;
            let Some((name, kind)) = frame.listing.names.get(index) else {
                self.refill_or_leave();
                continue;
            };
            frame.cursor += 1;
            let kind = match kind {
                Kind::Directory => {
                    if self.enters(depth) {
                        self.enter_entry(index);
                    } else {
                        self.counts.directories_not_entered += 1;
                    }
                    continue;
                }
                Kind::File => {
                    let path = RelPath::join(&self.path, name);
                    return Some(self.count(Found::File(path)));
                }
                Kind::Dangling => {
                    let problem = self.shared.dangling(&RelPath::join(&self.path, name));
                    return Some(self.count(Found::Problem(problem)));
                }
                Kind::Symlink => SkippedKind::Symlink,
                Kind::Socket => SkippedKind::Socket,
                Kind::Fifo => SkippedKind::Fifo,
                Kind::BlockDevice => SkippedKind::BlockDevice,
                Kind::CharDevice => SkippedKind::CharDevice,
            };
            let path = RelPath::join(&self.path, name);
            let found = match kind {
                // In the middle of a pattern it is no source.
                _ if self.shared.matchers.is_above_last(depth) => Found::Skipped { path, kind },
                SkippedKind::Symlink if self.shared.symlinks == SymlinkMode::Preserve => Found::Symlink(path),
                SkippedKind::Symlink => Found::Skipped { path, kind },
                kind if self.specials => Found::Special { path, kind },
                kind => Found::Skipped { path, kind },
            };
            return Some(self.count(found));
        }
    }

    fn count(&mut self, found: Found) -> Found {
        match &found {
            Found::File(_) => self.counts.files += 1,
            Found::Skipped { .. } => self.counts.skipped += 1,
            Found::Symlink(_) | Found::Special { .. } => self.counts.specials += 1,
            Found::Problem(_) => self.counts.problems += 1,
            // Counted where they are read, given out or not.
            Found::Directory(_) => {}
        }
        found
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
        let listing = listing.unwrap_or_else(|| {
            let above = self.stack.last().and_then(|frame| frame.listing.chain.clone());
            let relative = &self.path[..self.path.len() - 1];
            self.reader.read(&self.shared, Place { relative, depth: self.stack.len(), above })
        });
        self.enter(listing);
    }

    /// Puts the directory at `self.path` on the stack, or notes why it cannot be read.
    fn enter(&mut self, listing: Result<Listing, LocalError>) {
        match listing {
            Ok(listing) if listing.is_loop => {
                let path = RelPath::new(&self.path[..self.path.len() - 1]);
                self.first.push_back(Found::Skipped { path, kind: SkippedKind::Symlink });
                self.back_to_top();
            }
            Ok(mut listing) => {
                self.counts.directories += 1;
                self.counts.empty_directories += u64::from(listing.is_empty);
                self.counts.directories_pruned += listing.pruned;
                if self.directories && !self.path.is_empty() {
                    let path = RelPath::new(&self.path[..self.path.len() - 1]);
                    self.first.push_back(Found::Directory(path));
                }
                self.first.extend(listing.problems.drain(..).map(Found::Problem));
                let path_len = self.path.len();
                self.stack.push(Frame { listing, cursor: 0, ahead: 0, tickets: VecDeque::new(), path_len });
            }
            Err(problem) => {
                self.first.push_back(Found::Problem(problem));
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
            frame.listing.charge.set(frame.listing.names.size_bytes() + tail.bytes);
            match more {
                Ok(true) => {}
                Ok(false) => frame.listing.tail = None,
                Err(error) => {
                    frame.listing.tail = None;
                    let problem = self.shared.merge_error(&self.path, &error);
                    self.first.push_back(Found::Problem(problem));
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
                    let above = frame.listing.chain.clone();
                    let Some(ticket) = self.pool.ask(relative, level + 1, above) else { return };
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
