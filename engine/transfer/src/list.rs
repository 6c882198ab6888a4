//! Listing blobs for a reader: streaming, and of what is large several places at once.
//!
//! A listing is a chain of pages, each of which names the next, so one chain goes no faster than one request after the
//! other. What does not fit into one page is cut at its directories:
//!
//! ```text
//!   all below a prefix: first page ─> told ─> was it the last? ── yes ──> done
//!                                              │ no, and few pieces wait
//!                                              ▼
//!                         its level, with a delimiter ─> 1 to 256 directories not told yet? ── no ──> page after page
//!                                              │ yes
//!                                              ▼
//!                         blobs of the level: told; each directory: a piece of its own, the same way
//! ```
//!
//! Nothing is told twice and nothing left out: a cut remembers what its first page has told, 5,000 names at most. It
//! takes one thing for granted of the order of a listing: that the names below a directory follow each other. So they
//! do where names are ordered by their bytes, and in a hierarchical namespace, which orders each directory by itself.
//! What is told of a page but its last name is complete, all versions and snapshots included; the last name is kept
//! back.

mod seen;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use azuring_azure::{
    Access, BlobEntry, BlobUrl, Credential, ListInclude, ListItem, ListPage, UrlError, Wanted, Which,
};
use azuring_job::failure::{Failure, FailureKind};
use azuring_job::job_error::JobError;
use azuring_job::options::JobOptions;
use azuring_job::verdict::StopHandle;
use azuring_lane::client::Client;
use azuring_plan::download::RemotePath;
use azuring_plan::name::{directory_prefix, encode_path};
use tokio::sync::{Notify, mpsc};

use crate::command::{Answer, Command, CommandError};
use crate::pages::{PageOptions, Pages};
use crate::wait::wait_for;
use seen::Seen;

/// Requests in flight. Each may have a page of 4 to 5 MB on its way, and all of them share 64 MB.
const AT_ONCE: usize = 8;
/// Blobs that are handed over at a time, and such batches that wait for whoever reads them: then the listing waits.
const BATCH: usize = 256;
const WAITING: usize = 4;
/// Directories of one level that are listed each for itself. Where there are more, they are small, or one page after
/// the other is as good.
const MAX_PREFIXES: usize = 256;

azuring_plan::growing! {
    /// What a listing shows, and in which order.
    #[derive(Clone, Debug)]
    #[non_exhaustive]
    pub struct ListOptions {
        /// How requests are sent: retries, HTTP version, proxies, certificate authorities. Options of transfers have no
        /// effect.
        pub engine: JobOptions,
        /// Show earlier versions as well.
        pub include_versions: bool,
        /// More properties to read. Length, modification time, type, tier and metadata are always read.
        pub wanted: Wanted,
        /// Several requests in parallel; then blobs come in no order. Otherwise they come in the service's order.
        pub parallel: bool,
    }
}

impl Default for ListOptions {
    fn default() -> Self {
        let engine = JobOptions::default();
        Self { engine, include_versions: false, wanted: Wanted::default(), parallel: true }
    }
}

/// One line of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListedBlob {
    /// Its name below the directory that is listed; its whole name where that would be empty (a blob `x/` below `x/`),
    /// and empty when the URL names the blob itself.
    pub path: String,
    /// What the listing says about the blob.
    pub entry: Box<BlobEntry>,
}

/// The totals of a listing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListTotals {
    /// Blobs and versions.
    pub files: u64,
    /// The sum of their lengths.
    pub bytes: u64,
    /// Requests that were sent, including retries.
    pub requests: u64,
}

/// Lists what is at `url`: a blob, or all that is below a directory or in a container, without the stubs that stand for
/// directories. `tell` is called on this thread for every blob; when it breaks, the listing ends there.
///
/// # Errors
/// [`CommandError`]: of kind [`FailureKind::Missing`] when there is no such container, blob or directory, and
/// [`FailureKind::Interrupted`] after `stop`.
pub fn list(
    url: &BlobUrl,
    credential: &Credential,
    options: &ListOptions,
    stop: &StopHandle,
    mut tell: impl FnMut(ListedBlob) -> ControlFlow<()>,
) -> Result<ListTotals, CommandError> {
    if tokio::runtime::Handle::try_current().is_err() {
        // No runtime has this thread: the listing can run here, and nothing has to go from thread to thread.
        let (path, at_once, command) = prepare(url, credential, options, stop)?;
        let (mut tell, totals) = (tell, Cell::new(ListTotals::default()));
        let out = Out::Here(RefCell::new(&mut tell), &totals);
        return command.run(async |_: &Command, client: Client| {
            Lister::new(&command, client, options, out).run(&path, at_once).await?;
            Ok(ListTotals { requests: command.requests(), ..totals.get() })
        });
    }
    let mut listing = Listing::begin(url, credential, options, stop)?;
    while let Some(blob) = wait_for(listing.next()) {
        if tell(blob?).is_break() {
            break;
        }
    }
    let totals = listing.totals;
    match listing.end() {
        // The caller has had enough.
        Some(answer) => Ok(ListTotals { requests: answer.wait()?, ..totals }),
        None => Ok(totals),
    }
}

/// Checks what can be checked before the first request: the path, requests at a time, and what sends them.
fn prepare(
    url: &BlobUrl,
    credential: &Credential,
    options: &ListOptions,
    stop: &StopHandle,
) -> Result<(RemotePath, usize, Command), CommandError> {
    let path = RemotePath::parse(url.raw_path()).map_err(JobError::from)?;
    check_state(url, &path).map_err(JobError::from)?;
    let at_once = if options.parallel { AT_ONCE } else { 1 };
    Ok((path, at_once, Command::new(url, (credential, Access::List), &options.engine, stop, at_once)?))
}

/// A listing that runs on its own thread. It waits while nobody reads it. Dropping it ends it.
pub struct Listing {
    batches: mpsc::Receiver<Vec<ListedBlob>>,
    batch: std::vec::IntoIter<ListedBlob>,
    /// The number of requests; `None` once it was read.
    answer: Option<Answer<u64>>,
    totals: ListTotals,
}

impl Listing {
    pub(crate) fn begin(
        url: &BlobUrl,
        credential: &Credential,
        options: &ListOptions,
        stop: &StopHandle,
    ) -> Result<Self, CommandError> {
        let (path, at_once, command) = prepare(url, credential, options, stop)?;
        let (out, batches) = mpsc::channel(WAITING);
        let options = options.clone();
        let answer = command.start(async move |command: &Command, client: Client| {
            Lister::new(command, client, &options, Out::Queue(out)).run(&path, at_once).await?;
            Ok(command.requests())
        });
        let (batch, totals) = (Vec::new().into_iter(), ListTotals::default());
        Ok(Self { batches, batch, answer: Some(answer), totals })
    }

    /// Cuts it short by its handle when it is dropped.
    pub(crate) fn or_give_up(mut self, stop: StopHandle) -> Self {
        self.answer = self.answer.map(|answer| answer.or_give_up(stop));
        self
    }

    /// The next blob; `None` at the end. An error is the last that comes. Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Result<ListedBlob, CommandError>> {
        loop {
            if let Some(blob) = self.batch.next() {
                self.totals.files += 1;
                self.totals.bytes += blob.entry.facts.len;
                return Some(Ok(blob));
            }
            if let Some(batch) = self.batches.recv().await {
                self.batch = batch.into_iter();
                continue;
            }
            let ended = self.answer.as_mut()?.await;
            self.answer = None;
            match ended {
                Ok(requests) => self.totals.requests = requests,
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// The sum of what has come so far; the requests are known at the end.
    pub fn totals(&self) -> ListTotals {
        self.totals
    }

    /// Ends it; the number of its requests.
    fn end(self) -> Option<Answer<u64>> {
        self.answer
    }
}

/// Refuses a snapshot or version where `path` does not name one blob.
pub(crate) fn check_state(url: &BlobUrl, path: &RemotePath) -> Result<(), UrlError> {
    let is_one = matches!(path, RemotePath::Object { name } if !name.ends_with('/'));
    if url.names_state() && !is_one {
        return Err(UrlError::State { reason: "is one of a single blob, and the URL names none" });
    }
    Ok(())
}

/// Why a listing ends before its end.
enum End {
    /// Whoever is told wants no more.
    Enough,
    Failed(CommandError),
}

impl From<CommandError> for End {
    fn from(error: CommandError) -> Self {
        Self::Failed(error)
    }
}

/// Takes one piece after the other.
type Worker<'a> = Pin<Box<dyn Future<Output = Result<(), End>> + 'a>>;

/// Something to be listed.
enum Piece {
    /// All below a prefix but these names, in order.
    All { prefix: String, told: Vec<Box<str>> },
    /// The further pages of a level.
    Level { level: Box<Pages>, seen: Rc<Seen> },
}

/// Who is told.
enum Out<'a> {
    /// Whoever reads this queue, on another thread.
    Queue(mpsc::Sender<Vec<ListedBlob>>),
    /// Whoever waits for the listing on this thread; the sum of what it was told.
    Here(RefCell<&'a mut dyn FnMut(ListedBlob) -> ControlFlow<()>>, &'a Cell<ListTotals>),
}

struct Lister<'a> {
    command: &'a Command,
    client: Client,
    options: &'a ListOptions,
    /// What the paths leave out.
    base: String,
    outbox: RefCell<Vec<ListedBlob>>,
    out: Out<'a>,
    /// Whoever is told wants no more.
    enough: Cell<bool>,
    /// Whether there was anything at all.
    found: Cell<bool>,
    waiting: RefCell<VecDeque<Piece>>,
    working: Cell<usize>,
    /// A piece was added or is done.
    changed: Notify,
}

impl<'a> Lister<'a> {
    fn new(command: &'a Command, client: Client, options: &'a ListOptions, out: Out<'a>) -> Self {
        Self {
            command,
            client,
            options,
            base: String::new(),
            outbox: RefCell::default(),
            out,
            enough: Cell::new(false),
            found: Cell::new(false),
            waiting: RefCell::default(),
            working: Cell::new(0),
            changed: Notify::new(),
        }
    }

    async fn run(mut self, path: &RemotePath, at_once: usize) -> Result<(), CommandError> {
        let mut unseen = None;
        match path {
            RemotePath::Container => {}
            RemotePath::Contents { prefix } => self.base.clone_from(prefix),
            RemotePath::Object { name } => {
                if !name.ends_with('/') {
                    match self.single(name).await {
                        Ok(true) => return Ok(()),
                        Ok(false) => {}
                        // It would be the same for the listing.
                        Err(error) if self.command.session.verdict.stopping() => return Err(error),
                        Err(error) => unseen = Some(error),
                    }
                }
                self.base = directory_prefix(name);
            }
        }
        self.waiting.get_mut().push_back(Piece::All { prefix: self.base.clone(), told: Vec::new() });
        match self.work_together(at_once).await {
            Ok(()) | Err(End::Enough) => {}
            Err(End::Failed(error)) => return Err(error),
        }
        if self.found.get() || !matches!(path, RemotePath::Object { .. }) {
            return Ok(());
        }
        Err(unseen.unwrap_or_else(|| {
            let url = &self.command.session.ends.from().end;
            let text = format!("there is no blob and no directory at {url}");
            CommandError::failed(Failure::new(FailureKind::Missing, "", text))
        }))
    }

    /// Tells of the one blob of this name, if there is one that is not the stub of a directory. An error is no reason
    /// not to list: a credential may be good for listings alone.
    async fn single(&self, name: &str) -> Result<bool, CommandError> {
        let blob = encode_path(name);
        let which = self.command.session.ends.from().end.which();
        match self.command.ask(async || self.client.facts(&blob, which).await).await {
            Ok(facts) => {
                self.found.set(true);
                if facts.hdi_isfolder() {
                    return Ok(false);
                }
                let name = name.to_owned();
                let entry = BlobEntry::new(name, facts);
                self.tell(String::new(), Box::new(entry));
                // There is nothing more to be told anyway.
                let _ = self.hand_over().await;
                Ok(true)
            }
            Err(gave_up) if gave_up.not_found() && which != Which::default() => {
                let url = &self.command.session.ends.from().end;
                let text = format!("there is no such snapshot or version of {url}");
                Err(CommandError::failed(Failure::new(FailureKind::Missing, "", text)))
            }
            Err(gave_up) if gave_up.not_found() => Ok(false),
            Err(gave_up) => Err(self.command.failed(gave_up)),
        }
    }

    /// Works off all pieces, so many at a time; the first error ends it.
    async fn work_together(&self, at_once: usize) -> Result<(), End> {
        let mut workers: Vec<Worker<'_>> = Vec::new();
        workers.resize_with(at_once, || Box::pin(self.work()));
        std::future::poll_fn(|context| {
            let mut result = Ok(());
            workers.retain_mut(|worker| match worker.as_mut().poll(context) {
                _ if result.is_err() => false,
                Poll::Pending => true,
                Poll::Ready(ended) => {
                    result = ended;
                    false
                }
            });
            if workers.is_empty() || result.is_err() { Poll::Ready(result) } else { Poll::Pending }
        })
        .await
    }

    async fn work(&self) -> Result<(), End> {
        loop {
            // Made before the look, so that no change since then is missed.
            let changed = self.changed.notified();
            let piece = self.waiting.borrow_mut().pop_front();
            match piece {
                Some(piece) => {
                    self.working.update(|working| working + 1);
                    match piece {
                        Piece::All { prefix, told } => self.all(prefix, told).await?,
                        Piece::Level { mut level, seen } => {
                            let page = self.page(&mut level).await?;
                            self.level(level, page, seen).await?;
                        }
                    }
                    self.working.update(|working| working - 1);
                    self.changed.notify_waiters();
                }
                None if self.working.get() == 0 => return Ok(()),
                None => changed.await,
            }
        }
    }

    /// Lists all below a prefix but what was told of it.
    async fn all(&self, prefix: String, told: Vec<Box<str>>) -> Result<(), End> {
        let mut pages = Pages::all(prefix);
        let mut items = self.page(&mut pages).await?.items;
        let few_wait = self.options.parallel && self.waiting.borrow().len() < AT_ONCE;
        // Where names keep no order, those below a directory need not follow each other.
        if !pages.is_done()
            && few_wait
            && pages.disorder().is_none()
            && let Some((seen, kept_back)) = Seen::of(&mut items, &told)
        {
            self.tell_all(std::mem::take(&mut items), &told).await?;
            if self.cut(pages.prefix(), seen).await? {
                return Ok(());
            }
            items = kept_back;
        }
        loop {
            self.tell_all(items, &told).await?;
            if pages.is_done() {
                return Ok(());
            }
            items = self.page(&mut pages).await?.items;
        }
    }

    /// Cuts what is below a prefix at its directories, the blobs between them told; `false`: there is nothing to be
    /// gained, and nothing was told.
    async fn cut(&self, prefix: &str, seen: Seen) -> Result<bool, End> {
        let mut prefix = prefix.to_owned();
        loop {
            let mut level = Box::new(Pages::all(prefix).level());
            let page = self.page(&mut level).await?;
            let (mut open, mut blobs) = (Vec::new(), false);
            for item in &page.items {
                match item {
                    ListItem::Prefix(below) if seen.is_open(below) => open.push(below),
                    ListItem::Prefix(_) => {}
                    ListItem::Entry(entry) => blobs |= !seen.has(&entry.name),
                }
            }
            match open[..] {
                [] => return Ok(false),
                // A corridor: where it leads is known, so its first page would tell nothing new.
                [only] if level.is_done() && !blobs => prefix = only.clone(),
                _ if open.len() > MAX_PREFIXES => return Ok(false),
                _ => {
                    self.level(level, page, Rc::new(seen)).await?;
                    return Ok(true);
                }
            }
        }
    }

    /// Tells the blobs of a page of a level, and takes its directories for pieces.
    async fn level(&self, level: Box<Pages>, page: ListPage, seen: Rc<Seen>) -> Result<(), End> {
        let mut pieces = Vec::new();
        for item in page.items {
            match item {
                ListItem::Entry(entry) if seen.has(&entry.name) => {}
                ListItem::Entry(entry) => self.offer(entry).await?,
                ListItem::Prefix(below) if seen.is_open(&below) => {
                    let told = seen.below(&below).to_vec();
                    pieces.push(Piece::All { prefix: below, told });
                }
                ListItem::Prefix(_) => {}
            }
        }
        if !level.is_done() {
            pieces.push(Piece::Level { level, seen });
        }
        self.waiting.borrow_mut().extend(pieces);
        self.changed.notify_waiters();
        self.hand_over().await
    }

    async fn page(&self, pages: &mut Pages) -> Result<ListPage, End> {
        let versions = self.options.include_versions;
        // Metadata tell the stubs of directories from blobs.
        let include = ListInclude { metadata: true, versions, ..ListInclude::default() };
        let options = PageOptions { include, wanted: self.options.wanted, entries: None };
        let page = pages.next(&self.command.sender(), &self.client, &options).await;
        let page = page.map_err(|gave_up| self.command.failed(gave_up))?;
        if !page.items.is_empty() {
            self.found.set(true);
        }
        Ok(page)
    }

    async fn tell_all(&self, items: Vec<ListItem>, told: &[Box<str>]) -> Result<(), End> {
        for item in items {
            if let ListItem::Entry(entry) = item
                && (told.is_empty() || told.binary_search_by(|name| (**name).cmp(&entry.name)).is_err())
            {
                self.offer(entry).await?;
            }
        }
        self.hand_over().await
    }

    async fn offer(&self, entry: Box<BlobEntry>) -> Result<(), End> {
        if entry.is_folder() {
            return Ok(());
        }
        // What is called as the directory itself has no name below it, and is told by its whole one.
        let below = entry.name.strip_prefix(&self.base).filter(|below| !below.is_empty());
        let path = below.unwrap_or(&entry.name).to_owned();
        self.tell(path, entry);
        if self.outbox.borrow().len() < BATCH { Ok(()) } else { self.hand_over().await }
    }

    fn tell(&self, path: String, entry: Box<BlobEntry>) {
        self.outbox.borrow_mut().push(ListedBlob { path, entry });
    }

    /// Hands over what was told; waits while too much waits for the reader.
    async fn hand_over(&self) -> Result<(), End> {
        let batch = self.outbox.take();
        if batch.is_empty() {
            return Ok(());
        }
        let (tell, totals) = match &self.out {
            Out::Queue(queue) => return queue.send(batch).await.map_err(|_| End::Enough),
            Out::Here(tell, totals) => (tell, totals),
        };
        for blob in batch {
            // Another piece's blob was the last that is wanted.
            if self.enough.get() {
                return Err(End::Enough);
            }
            let (sum, len) = (totals.get(), blob.entry.facts.len);
            totals.set(ListTotals { files: sum.files + 1, bytes: sum.bytes + len, ..sum });
            self.enough.set((tell.borrow_mut())(blob).is_break());
        }
        if self.enough.get() { Err(End::Enough) } else { Ok(()) }
    }
}
