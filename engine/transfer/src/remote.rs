//! What a remote source holds, found by listing it.

mod below;
mod containers;
mod lines;
mod names;
mod offer;
#[cfg(test)]
mod tests;
mod tree;

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;

use azuring_azure::{Access, BlobEntry, ListInclude, ListItem, ListPage, Wanted, Which};
use azuring_job::choices::{ListOfFiles, PermanentDelete};
use azuring_job::durable::RemotePosition;
use azuring_job::end_error::EndError;
use azuring_job::entry::{BlobItem, Found, Known};
use azuring_job::failure::{Failure, FailureKind, Side};
use azuring_job::outcome::{SkippedKind, TransferId};
use azuring_lane::client::Client;
use azuring_lane::descriptors::LINES_AT_ONCE;
use azuring_lane::lines::Lines;
use azuring_lane::request::{Begin, Cut, GaveUp, Sender, new_histogram, request};
use azuring_lane::shared::Shared;
use azuring_lane::task::verb::Task;
use azuring_plan::download::{RemotePath, RemoteShape};
use azuring_plan::filter::Filter;
use azuring_plan::name::{directory_prefix, encode_path};
use azuring_ring::{IoPath, LaneRuntime};
use tokio::sync::Semaphore;

use crate::pages::{PageOptions, Pages};
use crate::planner::Planner;
use crate::scan::{Halt, Met, Outlet, Pulled};

pub(crate) use containers::{Containers, Makes};
use names::Names;
use tree::Tree;

/// What is to be listed.
#[derive(Debug)]
pub(crate) struct RemoteSource {
    pub(crate) path: RemotePath,
    pub(crate) recursive: bool,
    pub(crate) filter: Filter,
    pub(crate) list: Option<ListOfFiles>,
    pub(crate) versions: Option<PathBuf>,
    /// Take the stubs of directories as well.
    pub(crate) stubs: bool,
    /// Take the stubs of symbolic links as well.
    pub(crate) links: bool,
    pub(crate) permanent: Option<PermanentDelete>,
    pub(crate) wanted: Wanted,
    /// Whether listings have the index tags.
    pub(crate) tags: bool,
    /// Requests of the planner at a time, at most.
    pub(crate) at_once: usize,
    /// Of whole accounts.
    pub(crate) containers: Containers,
}

impl RemoteSource {
    /// Whether a line of the list that names no blob may be a directory.
    pub(crate) fn expands(&self) -> bool {
        self.recursive
    }

    /// Whether a listed blob is to be transferred.
    pub(crate) fn wants(&self, item: &BlobItem) -> bool {
        let entry = &item.entry;
        if let Some(permanent) = self.permanent {
            let is_version = entry.snapshot.is_none();
            let wanted = match permanent {
                PermanentDelete::Snapshots => !is_version,
                PermanentDelete::Versions => is_version && !entry.is_current_version,
                PermanentDelete::SnapshotsAndVersions => !is_version || !entry.is_current_version,
            };
            if !entry.deleted || !wanted {
                return false;
            }
        } else if entry.is_folder() && (!self.stubs || self.filter.is_for_files()) {
            return false;
        }
        !self.leaves_out_link(item) && self.passes(item)
    }

    /// Whether it stands for a symbolic link, which only those who preserve links want; AzCopy leaves them out as well.
    fn leaves_out_link(&self, item: &BlobItem) -> bool {
        !self.links && item.entry.facts.is_symlink() && self.passes(item)
    }

    fn passes(&self, item: &BlobItem) -> bool {
        let modified_ns = i128::from(item.entry.facts.last_modified) * 1_000_000_000;
        self.filter.passes(self.inside(item.relative()).as_bytes(), Some(modified_ns))
            && self.filter.passes_type(plan_type(&item.entry))
    }
}

/// What stands at a name.
enum Single {
    /// A blob.
    Blob(Box<BlobEntry>),
    /// The stub of a directory.
    Stub(Box<BlobEntry>),
    /// Nothing: a directory, perhaps.
    None,
    /// It may not be asked.
    Unknown(Box<Failure>),
}

/// A blob as a listing gives it.
type Listed = Box<BlobEntry>;

/// Listings under way: prefixes, each with the marker of its next page.
type Listings = Vec<(String, Option<String>)>;

/// What the planner has answered: whether the job goes on.
fn going(on: bool) -> Result<(), Halt> {
    if on { Ok(()) } else { Err(Halt::Stopping) }
}

/// Where the objects come from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    /// The whole source.
    Source,
    /// Lines of its list that are known to be no blobs.
    Lines,
}

/// Finds the objects of `source` and hands them to `planner`; then what turns out later, until everything is done.
pub(crate) fn plan(source: &RemoteSource, planner: &mut Planner<'_>, from: From) {
    let threads = IoPath::Threads { reason: String::new() };
    let session = &planner.shared.session;
    match LaneRuntime::new(&threads) {
        Ok(runtime) => runtime.block_on(async {
            let remote = Rc::new(Remote::new(source, planner.shared, planner.remote_position()));
            let cut = &remote.cut;
            let mut scan = scan(&remote);
            if from == From::Source && (remote.resumed.is_some() || planner.resume()) {
                // Whenever the scan stands, none of its requests is in flight.
                let expand = async |planner: &mut Planner<'_>| remote.expand(planner).await;
                cut.watch_reading(&session.verdict, planner.pull(&mut scan, expand)).await;
            }
            planner.end();
            // A line may turn out to be a directory whenever a lane comes to it, and again in a later pass.
            loop {
                // The lanes may need the descriptor of a link on which nothing is asked meanwhile.
                if let Some(links) = remote.client.links() {
                    links.let_go();
                }
                if planner.shared.lines.is_some() && !planner.wait_until_done() {
                    break;
                }
                if planner.shared.lines.as_ref().is_some_and(Lines::any) {
                    let expanded = cut.watch_reading(&session.verdict, remote.expand(planner)).await;
                    if expanded.is_err() {
                        break;
                    }
                } else if !planner.next_pass() {
                    break;
                }
            }
        }),
        Err(error) => {
            let text = format!("the planner could not be started: {error}");
            planner.halt(Failure::new(FailureKind::Limit, "", text));
            planner.end();
        }
    }
}

fn scan<'a>(remote: &Rc<Remote<'a>>) -> Pulled<'a> {
    let run = Rc::clone(remote);
    Pulled::new(Rc::clone(&remote.out), async move { run.run().await })
}

struct Remote<'a> {
    source: &'a RemoteSource,
    shared: &'a Shared,
    client: Client,
    permits: Semaphore,
    latency_us: RefCell<hdrhistogram::Histogram<u64>>,
    /// Takes what is met.
    out: Rc<Outlet>,
    /// What the relative paths of the blobs leave out, when that is known.
    base: OnceCell<String>,
    /// Where an earlier run of the job stood.
    resumed: Option<RemotePosition>,
    /// Where this one stands.
    place: RefCell<RemotePosition>,
    /// Listings that were under way there, until they are taken up.
    under_way: RefCell<Listings>,
    /// It was told that names come in no order.
    told_disorder: Cell<bool>,
    /// Where the listings of lines that are directories stand: they go on there when they are tried again.
    listed: RefCell<HashMap<TransferId, String>>,
    /// The names that an earlier run was given are known again.
    knows_given: Cell<bool>,
    /// Entries of a page, where they are not as many as the service likes.
    page_entries: Option<u32>,
    /// Containers are taken to be there that can neither be made nor looked at: that was told.
    told_unseen: Cell<bool>,
    cut: Cut,
}

impl<'a> Remote<'a> {
    fn new(source: &'a RemoteSource, shared: &'a Shared, resumed: Option<RemotePosition>) -> Self {
        let mut place = resumed.clone().unwrap_or_default();
        let under_way = std::mem::take(&mut place.listings);
        Self {
            source,
            shared,
            client: shared.session.source_client(),
            permits: Semaphore::new(source.at_once.min(LINES_AT_ONCE)),
            latency_us: RefCell::new(new_histogram()),
            out: Rc::default(),
            base: OnceCell::new(),
            resumed,
            place: RefCell::new(place),
            under_way: RefCell::new(under_way),
            told_disorder: Cell::new(false),
            listed: RefCell::default(),
            knows_given: Cell::new(false),
            page_entries: None,
            told_unseen: Cell::new(false),
            cut: Cut::default(),
        }
    }

    /// What the relative paths of the blobs leave out.
    fn base(&self) -> &str {
        self.base.get().map_or("", String::as_str)
    }

    async fn run(&self) -> Result<(), Halt> {
        let (source, shared) = (self.source, self.shared);
        // The stub of the directory that is the source, and why it is not known whether the source is a blob.
        let (mut stub, mut refused) = (None, None);
        if source.versions.is_some() {
            return self.versions().await;
        }
        let mut went_on = false;
        let was_blob = self.resumed.as_ref().map(|resumed| resumed.is_blob);
        let container = shared.session.ends.from().end.container().to_owned();
        let shape = match &source.path {
            RemotePath::Container => RemoteShape::Container { name: &container },
            RemotePath::Contents { prefix } => RemoteShape::Contents { prefix },
            RemotePath::Object { name } if name.ends_with('/') || source.list.is_some() => {
                RemoteShape::Directory { prefix: name }
            }
            RemotePath::Object { name } if was_blob == Some(true) => RemoteShape::Blob { name },
            RemotePath::Object { name } if was_blob == Some(false) && source.permanent.is_none() => {
                if let (Task::Remove(_), Single::Stub(entry)) = (&shared.task, self.single(name).await?) {
                    stub = Some(entry);
                }
                RemoteShape::Directory { prefix: name }
            }
            RemotePath::Object { name } if source.permanent.is_some() => {
                self.begin(RemoteShape::Directory { prefix: name }).await?;
                went_on = true;
                if self.resumed.as_ref().is_none_or(RemotePosition::is_first) {
                    self.states_of(name, name.rfind('/').map_or(0, |slash| slash + 1)).await?;
                }
                RemoteShape::Directory { prefix: name }
            }
            RemotePath::Object { name } => match self.single(name).await? {
                Single::None | Single::Stub(_) if self.names_state() => {
                    let url = &shared.session.ends.from().end;
                    let text = format!("there is no such snapshot or version of {url}");
                    return Err(Box::new(Failure::new(FailureKind::Missing, "", text)).into());
                }
                Single::Blob(entry) => {
                    let into_directory = self.begin_task(RemoteShape::Blob { name })?;
                    self.make_first().await?;
                    let at = name.rfind('/').map_or(0, |slash| slash + 1);
                    let item = BlobItem { entry, relative_at: at, known: self.known() };
                    if source.leaves_out_link(&item) {
                        self.skip_link(item).await;
                    } else if source.wants(&item) {
                        self.hand_over(item).await;
                    }
                    // With the blob: a job that goes on does not ask for it again.
                    self.begun(true, into_directory).await;
                    return Ok(());
                }
                Single::Stub(entry) => {
                    stub = Some(entry);
                    RemoteShape::Directory { prefix: name }
                }
                Single::Unknown(failure) => {
                    refused = Some(failure);
                    RemoteShape::Directory { prefix: name }
                }
                Single::None => RemoteShape::Directory { prefix: name },
            },
        };
        let base = self.base.get_or_init(|| match shape {
            RemoteShape::Directory { prefix } => directory_prefix(prefix),
            RemoteShape::Contents { prefix } => prefix.to_owned(),
            RemoteShape::Container { .. } | RemoteShape::Blob { .. } => String::new(),
        });
        let is_directory = matches!(shape, RemoteShape::Directory { .. });
        if self.resumed.is_some() && !went_on {
            self.begin(shape).await?;
            if matches!(shape, RemoteShape::Blob { .. }) {
                return Ok(());
            }
        }
        if source.list.is_some() {
            // The list says what is there: nothing is asked.
            return self.listed(shape).await;
        }
        let included: Vec<String> = match source.filter.include_paths(source.recursive) {
            // Paths that are not UTF-8 name no blob.
            Some(paths) => {
                paths.iter().filter_map(|path| Some(base.clone() + str::from_utf8(path).ok()?)).collect()
            }
            None => vec![base.clone()],
        };
        let is_included = source.filter.include_paths(source.recursive).is_some();
        let mut begun = self.resumed.is_some() || source.permanent.is_some();
        let done = self.place.borrow().included;
        for (n, prefix) in (0u64..).zip(included).skip(done as usize) {
            let path = is_included.then(|| prefix.clone());
            let mut tree = self.tree(prefix, path);
            let mut names = Names::default();
            while let Some(page) = tree.next_page(self).await? {
                if !begun && tree.seen {
                    // Only now is it known that the directory exists.
                    self.begin(shape).await?;
                    begun = true;
                }
                self.out.rises(page.order.filter(|_| !is_included && !self.keeps()));
                self.offer_page(page, &mut names, tree.is_disordered()).await?;
                if begun && tree.may_stand() {
                    self.stands(|place| {
                        place.included = n + u64::from(tree.is_done());
                        place.listings = tree.listings();
                    })
                    .await;
                }
            }
        }
        if let (false, Some(refused)) = (begun, refused) {
            return Err(refused.into());
        }
        if let (Some(entry), Task::Remove(_), true) = (stub, &shared.task, source.recursive) {
            // After everything below it. To the filters it is the source, whose path is empty.
            let (whole, base) = (entry.name.len(), entry.name.rfind('/').map_or(0, |slash| slash + 1));
            let item = BlobItem { entry, relative_at: whole, known: Known::Listed };
            if !source.wants(&item) {
                return Ok(());
            }
            self.out.rises(None);
            self.hand_over(BlobItem { relative_at: base, ..item }).await;
            return Ok(());
        }
        // As AzCopy has it, there being nothing to remove or to change is no error.
        if !begun && is_directory && shared.task.reads_objects() {
            let url = shared.session.ends.from().end.to_string();
            let text = format!("there is no blob and no directory at {url}");
            return Err(Box::new(Failure::new(FailureKind::Missing, "", text)).into());
        }
        if !begun && shared.task.reads_objects() {
            self.begin(shape).await?;
        }
        Ok(())
    }

    /// The deleted snapshots and versions of one blob, whose path begins at `relative_at`.
    async fn states_of(&self, name: &str, relative_at: usize) -> Result<(), Halt> {
        let mut listing = Pages::all(name.to_owned());
        while !listing.is_done() {
            for item in self.page(&mut listing, &self.pages()).await?.items {
                match item {
                    ListItem::Entry(entry) if entry.name == name => {
                        let item = BlobItem { entry, relative_at, known: Known::Version };
                        if self.source.wants(&item) {
                            self.hand_over(item).await;
                        }
                    }
                    // No name that begins with this one comes before it, whatever the order.
                    _ => return Ok(()),
                }
            }
        }
        Ok(())
    }

    /// Tells the task what kind of source it is.
    async fn begin(&self, shape: RemoteShape<'_>) -> Result<(), Halt> {
        let into_directory = self.begin_task(shape)?;
        self.make_first().await?;
        self.begun(matches!(shape, RemoteShape::Blob { .. }), into_directory).await;
        Ok(())
    }

    /// The same, which is still to be noted; whether the destination is a directory.
    fn begin_task(&self, shape: RemoteShape<'_>) -> Result<bool, Halt> {
        let recursive = self.source.recursive || self.source.list.is_some();
        let was = self.resumed.as_ref().map(|resumed| resumed.into_directory);
        Ok(match &self.shared.task {
            Task::Download(task) => task.begin(shape, recursive, was)?,
            Task::Copy(task) => {
                task.begin(shape, recursive)?;
                false
            }
            // Without recursion a removal or change takes the blobs directly below, as AzCopy does.
            Task::Remove(_) | Task::SetProperties(_) | Task::Upload(_) => false,
        })
    }

    /// Notes how the names of everything that follows are made, before any of it is recorded.
    async fn begun(&self, is_blob: bool, into_directory: bool) {
        if self.resumed.is_some() {
            return self.out.give(Met::Begins).await;
        }
        self.stands(|place| (place.is_blob, place.into_directory) = (is_blob, into_directory)).await;
    }

    /// Says where the scan stands, everything before having been given.
    async fn stands(&self, change: impl FnOnce(&mut RemotePosition)) {
        change(&mut self.place.borrow_mut());
        let place = self.place.borrow().encode();
        self.out.stands(place).await;
    }

    /// What is below a prefix, of an included path; what an earlier run had under way goes on.
    fn tree(&self, prefix: String, path: Option<String>) -> Tree {
        Tree::new(prefix, self.under_way.take(), path)
    }

    /// The blob of this name, if there is one that is not the stub of a directory.
    async fn single(&self, name: &str) -> Result<Single, Halt> {
        let blob = encode_path(name);
        // A URL that names a snapshot or a version names one blob.
        let which = self.shared.session.ends.from().end.which();
        let asked = self.ask(async || self.client.facts(&blob, which).await).await;
        match asked {
            Ok(mut facts) => {
                let is_stub = facts.hdi_isfolder() && !self.is_change();
                if let Some(version) = which.version {
                    facts.version_id = Some(version.into());
                }
                let mut entry = Box::new(BlobEntry::new(name.to_owned(), facts));
                entry.snapshot = which.snapshot.map(Into::into);
                entry.is_current_version = which == Which::default();
                Ok(if is_stub { Single::Stub(entry) } else { Single::Blob(entry) })
            }
            Err(gave_up) if gave_up.not_found() => Ok(Single::None),
            // A credential that may list and not read: what is below can be found all the same.
            Err(gave_up) if gave_up.forbidden() => {
                let error = gave_up.error.expect("it was just seen");
                let credential = self.shared.session.ends.from().end.credential();
                let failure = Failure::request("", &error, 1, credential, Access::Read);
                Ok(Single::Unknown(Box::new(failure)))
            }
            Err(gave_up) => Err(gave_up.for_object(&self.shared.session, "").into()),
        }
    }

    fn names_state(&self) -> bool {
        self.shared.session.ends.from().end.names_state()
    }

    /// How much is known of the blob that is the source.
    fn known(&self) -> Known {
        if self.names_state() { Known::Version } else { Known::Listed }
    }

    fn is_change(&self) -> bool {
        !self.shared.task.reads_objects() && !self.source.recursive
    }

    /// Whether an excluded path lies below this prefix, so that listing all of it would list what nobody wants.
    fn excludes_below(&self, prefix: &str) -> bool {
        let relative = prefix.strip_prefix(self.base()).unwrap_or(prefix);
        let relative = self.source.inside(relative).as_bytes();
        self.source.filter.excluded_paths().iter().any(|path| path.starts_with(relative))
    }

    fn prunes(&self, prefix: &str) -> bool {
        let relative = prefix.strip_prefix(self.base()).unwrap_or(prefix);
        let relative = self.source.inside(relative);
        self.source.filter.prunes(relative.strip_suffix('/').unwrap_or(relative).as_bytes())
    }

    /// What is asked of the pages of the source.
    fn pages(&self) -> PageOptions {
        let permanent = self.source.permanent;
        let include = ListInclude {
            metadata: permanent.is_none(),
            snapshots: permanent.is_some_and(|what| what != PermanentDelete::Versions),
            versions: permanent.is_some_and(|what| what != PermanentDelete::Snapshots),
            deleted: permanent.is_some(),
            tags: self.source.tags,
            ..ListInclude::default()
        };
        PageOptions { include, wanted: self.source.wanted, entries: self.page_entries }
    }

    async fn page(&self, listing: &mut Pages, pages: &PageOptions) -> Result<ListPage, Halt> {
        let page = listing.next(&self.sender(), &self.client, pages).await;
        page.map_err(|gave_up| gave_up.for_listing(&self.shared.session, "").into())
    }

    async fn ask<T>(&self, mut send: impl AsyncFnMut() -> Result<T, EndError>) -> Result<T, GaveUp> {
        request(&self.sender(), 0, Begin::UnlessStopping, async |_| send().await).await
    }

    fn sender(&self) -> Sender<'_> {
        self.sender_to(Side::Source, &self.permits)
    }

    fn sender_to<'s>(&'s self, side: Side, permits: &'s Semaphore) -> Sender<'s> {
        let session = &self.shared.session;
        Sender {
            session,
            side,
            reads_source: false,
            counters: session.progress.planner(),
            permits,
            latency_us: &self.latency_us,
            notice: &|_| {},
            cut: &self.cut,
        }
    }

    /// Tells of a blob that stands for a symbolic link, and is left out.
    async fn skip_link(&self, item: BlobItem) {
        self.out.give(Met::Skipped(Found::Blob(Box::new(item)), SkippedKind::Symlink)).await;
    }

    async fn refuse(&self, failure: Failure) {
        self.out.give(Met::Refused(Box::new(failure))).await;
    }

    async fn hand_over(&self, item: BlobItem) {
        self.out.give(Met::Object(Found::Blob(Box::new(item)))).await;
    }
}

fn plan_type(entry: &BlobEntry) -> azuring_plan::blob_type::BlobType {
    use azuring_plan::blob_type::BlobType as Planned;
    match entry.facts.blob_type {
        azuring_azure::BlobType::Block => Planned::Block,
        azuring_azure::BlobType::Page => Planned::Page,
        azuring_azure::BlobType::Append => Planned::Append,
    }
}
