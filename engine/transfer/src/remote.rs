//! What a remote source holds, found by listing it.

mod below;
mod lines;
mod names;
mod offer;
mod tree;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;

use azuring_azure::{Access, BlobEntry, Course, ListInclude, ListItem, ListPage, ListRequest, Wanted, Which};
use azuring_job::choices::{ListOfFiles, PermanentDelete};
use azuring_job::durable::RemotePosition;
use azuring_job::end_error::EndError;
use azuring_job::entry::{BlobItem, Found, Known};
use azuring_job::failure::{Failure, FailureKind};
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

use crate::planner::Planner;

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
    /// Requests of the planner at a time, at most.
    pub(crate) at_once: usize,
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
        self.filter.passes(item.relative().as_bytes(), Some(modified_ns))
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

/// Why the planner goes no further.
enum Halt {
    /// The job is stopping.
    Stopping,
    /// The source cannot be listed, or is not there.
    Failed(Box<Failure>),
}

impl From<Box<Failure>> for Halt {
    fn from(failure: Box<Failure>) -> Self {
        // Somebody has interrupted the listing; that is no fault of it.
        if failure.kind == FailureKind::Interrupted { Self::Stopping } else { Self::Failed(failure) }
    }
}

/// What the planner has answered: whether the job goes on.
fn going(on: bool) -> Result<(), Halt> {
    if on { Ok(()) } else { Err(Halt::Stopping) }
}

/// Finds the objects of `source` and hands them to `planner`; then what turns out later, until everything is done.
pub(crate) fn plan(source: &RemoteSource, planner: &mut Planner<'_>) {
    let threads = IoPath::Threads { reason: String::new() };
    let session = &planner.shared.session;
    match LaneRuntime::new(&threads) {
        Ok(runtime) => runtime.block_on(async {
            let cut = Rc::new(Cut::default());
            let client = session.client();
            let mut remote = Remote {
                source,
                client,
                permits: Semaphore::new(source.at_once.min(LINES_AT_ONCE)),
                latency_us: RefCell::new(new_histogram()),
                base: String::new(),
                stub: None,
                refused: None,
                resumed: planner.remote_position(),
                place: RefCell::default(),
                under_way: RefCell::default(),
                told_disorder: Cell::new(false),
                listed: RefCell::default(),
                cut: Rc::clone(&cut),
            };
            let found = cut.watch_reading(&session.verdict, remote.run(planner)).await;
            if let Err(Halt::Failed(failure)) = found {
                planner.halt(*failure);
            }
            planner.end();
            // A line may turn out to be a directory whenever a lane comes to it, and again in a later pass.
            while planner.shared.lines.is_none() || planner.wait_until_done() {
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

struct Remote<'a> {
    source: &'a RemoteSource,
    client: Client,
    permits: Semaphore,
    latency_us: RefCell<hdrhistogram::Histogram<u64>>,
    /// What the relative paths of the blobs leave out.
    base: String,
    /// The stub of the directory that is the source.
    stub: Option<Box<BlobEntry>>,
    /// Why it is not known whether the source is a blob.
    refused: Option<Box<Failure>>,
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
    cut: Rc<Cut>,
}

impl Remote<'_> {
    async fn run(&mut self, planner: &mut Planner<'_>) -> Result<(), Halt> {
        let source = self.source;
        if let Some(resumed) = &self.resumed {
            self.under_way.replace(resumed.listings.clone());
            self.place.replace(RemotePosition { listings: Vec::new(), ..resumed.clone() });
        } else if !planner.resume() {
            // An earlier run has seen that there is nothing.
            return Ok(());
        }
        if source.versions.is_some() {
            return self.versions(planner);
        }
        let mut went_on = false;
        let was_blob = self.resumed.as_ref().map(|resumed| resumed.is_blob);
        let container = planner.shared.session.end.container().to_owned();
        let shape = match &source.path {
            RemotePath::Container => RemoteShape::Container { name: &container },
            RemotePath::Contents { prefix } => RemoteShape::Contents { prefix },
            RemotePath::Object { name } if name.ends_with('/') || source.list.is_some() => {
                RemoteShape::Directory { prefix: name }
            }
            RemotePath::Object { name } if was_blob == Some(true) => RemoteShape::Blob { name },
            RemotePath::Object { name } if was_blob == Some(false) && source.permanent.is_none() => {
                if let (Task::Remove(_), Single::Stub(entry)) =
                    (&planner.shared.task, self.single(planner, name).await?)
                {
                    self.stub = Some(entry);
                }
                RemoteShape::Directory { prefix: name }
            }
            RemotePath::Object { name } if source.permanent.is_some() => {
                self.begin(planner, RemoteShape::Directory { prefix: name })?;
                if self.resumed.is_some() && !planner.resume() {
                    return Ok(());
                }
                went_on = true;
                if self.resumed.as_ref().is_none_or(RemotePosition::is_first) {
                    self.states_of(planner, name, name.rfind('/').map_or(0, |slash| slash + 1)).await?;
                }
                RemoteShape::Directory { prefix: name }
            }
            RemotePath::Object { name } => match self.single(planner, name).await? {
                Single::None | Single::Stub(_) if self.names_state(planner) => {
                    let url = &planner.shared.session.end;
                    let text = format!("there is no such snapshot or version of {url}");
                    return Err(Box::new(Failure::new(FailureKind::Missing, "", text)).into());
                }
                Single::Blob(entry) => {
                    let into_directory = self.begin_task(planner, RemoteShape::Blob { name })?;
                    let at = name.rfind('/').map_or(0, |slash| slash + 1);
                    let item = BlobItem { entry, relative_at: at, known: self.known(planner) };
                    if source.leaves_out_link(&item) {
                        self.skip_link(planner, item)?;
                    } else if source.wants(&item) {
                        self.hand_over(planner, item)?;
                    }
                    // With the blob: a job that goes on does not ask for it again.
                    return self.begun(planner, true, into_directory);
                }
                Single::Stub(entry) => {
                    self.stub = Some(entry);
                    RemoteShape::Directory { prefix: name }
                }
                Single::Unknown(refused) => {
                    self.refused = Some(refused);
                    RemoteShape::Directory { prefix: name }
                }
                Single::None => RemoteShape::Directory { prefix: name },
            },
        };
        self.base = match shape {
            RemoteShape::Directory { prefix } => directory_prefix(prefix),
            RemoteShape::Contents { prefix } => prefix.to_owned(),
            RemoteShape::Container { .. } | RemoteShape::Blob { .. } => String::new(),
        };
        let is_directory = matches!(shape, RemoteShape::Directory { .. });
        if self.resumed.is_some() && !went_on {
            self.begin(planner, shape)?;
            if !planner.resume() || matches!(shape, RemoteShape::Blob { .. }) {
                return Ok(());
            }
        }
        if source.list.is_some() {
            // The list says what is there: nothing is asked.
            if self.resumed.is_none() {
                self.begin(planner, shape)?;
            }
            return self.listed(planner).await;
        }
        let base = self.base.clone();
        let included: Vec<String> = match source.filter.include_paths(source.recursive) {
            // Paths that are not UTF-8 name no blob.
            Some(paths) => {
                paths.iter().filter_map(|path| Some(base.clone() + str::from_utf8(path).ok()?)).collect()
            }
            None => vec![base],
        };
        let is_included = source.filter.include_paths(source.recursive).is_some();
        let mut begun = self.resumed.is_some() || source.permanent.is_some();
        let done = self.place.borrow().included;
        for (n, prefix) in (0u64..).zip(included).skip(done as usize) {
            let path = is_included.then(|| prefix.clone());
            let mut tree = self.tree(prefix, path);
            let mut names = Names::default();
            while let Some(page) = tree.next_page(self, planner).await? {
                if !begun && tree.seen {
                    // Only now is it known that the directory exists.
                    self.begin(planner, shape)?;
                    begun = true;
                }
                self.offer_page(planner, page, &mut names, tree.is_disordered()).await?;
                if begun && tree.may_stand() {
                    self.stands(planner, |place| {
                        place.included = n + u64::from(tree.is_done());
                        place.listings.clone_from(tree.listings());
                    })?;
                }
            }
        }
        if let (false, Some(refused)) = (begun, self.refused.take()) {
            return Err(refused.into());
        }
        if let (Some(entry), Task::Remove(_), true) =
            (self.stub.take(), &planner.shared.task, source.recursive)
        {
            // After everything below it. To the filters it is the source, whose path is empty.
            let (whole, base) = (entry.name.len(), entry.name.rfind('/').map_or(0, |slash| slash + 1));
            let item = BlobItem { entry, relative_at: whole, known: Known::Listed };
            if !source.wants(&item) {
                return Ok(());
            }
            return self.hand_over(planner, BlobItem { relative_at: base, ..item });
        }
        // As AzCopy has it, there being nothing to remove or to change is no error.
        if !begun && is_directory && matches!(planner.shared.task, Task::Download(_)) {
            let url = planner.shared.session.end.to_string();
            let text = format!("there is no blob and no directory at {url}");
            return Err(Box::new(Failure::new(FailureKind::Missing, "", text)).into());
        }
        if !begun && matches!(planner.shared.task, Task::Download(_)) {
            self.begin(planner, shape)?;
        }
        Ok(())
    }

    /// The deleted snapshots and versions of one blob, whose path begins at `relative_at`.
    async fn states_of(&self, planner: &mut Planner<'_>, name: &str, relative_at: usize) -> Result<(), Halt> {
        let (mut marker, mut course) = (None, Course::default());
        loop {
            let page = self.page(planner, (name, false, marker.as_deref(), None), &mut course).await?;
            for item in page.items {
                match item {
                    ListItem::Blob(entry) if entry.name == name => {
                        let item = BlobItem { entry, relative_at, known: Known::Version };
                        if self.source.wants(&item) {
                            self.hand_over(planner, item)?;
                        }
                    }
                    // No name that begins with this one comes before it, whatever the order.
                    _ => return Ok(()),
                }
            }
            marker = page.next;
            if marker.is_none() {
                return Ok(());
            }
        }
    }

    /// Tells the task what kind of source it is.
    fn begin(&self, planner: &mut Planner<'_>, shape: RemoteShape<'_>) -> Result<(), Halt> {
        let into_directory = self.begin_task(planner, shape)?;
        self.begun(planner, matches!(shape, RemoteShape::Blob { .. }), into_directory)
    }

    /// The same, which is still to be noted; whether the destination is a directory.
    fn begin_task(&self, planner: &Planner<'_>, shape: RemoteShape<'_>) -> Result<bool, Halt> {
        let recursive = self.source.recursive || self.source.list.is_some();
        let was = self.resumed.as_ref().map(|resumed| resumed.into_directory);
        Ok(match &planner.shared.task {
            Task::Download(task) => task.begin(shape, recursive, was)?,
            // Without recursion a removal or change takes the blobs directly below, as AzCopy does.
            Task::Remove(_) | Task::SetProperties(_) | Task::Upload(_) => false,
        })
    }

    /// Notes how the names of everything that follows are made, before any of it is recorded.
    fn begun(&self, planner: &mut Planner<'_>, is_blob: bool, into_directory: bool) -> Result<(), Halt> {
        if self.resumed.is_some() {
            return Ok(planner.claim_again()?);
        }
        self.stands(planner, |place| (place.is_blob, place.into_directory) = (is_blob, into_directory))
    }

    /// Says where the scan stands, everything before having been handed over.
    fn stands(
        &self,
        planner: &mut Planner<'_>,
        change: impl FnOnce(&mut RemotePosition),
    ) -> Result<(), Halt> {
        let mut place = self.place.borrow_mut();
        change(&mut place);
        going(planner.stands(&place))
    }

    /// What is below a prefix, of an included path; what an earlier run had under way goes on.
    fn tree(&self, prefix: String, path: Option<String>) -> Tree {
        Tree::new(prefix, self.under_way.take(), path)
    }

    /// The blob of this name, if there is one that is not the stub of a directory.
    async fn single(&self, planner: &Planner<'_>, name: &str) -> Result<Single, Halt> {
        let blob = encode_path(name);
        // A URL that names a snapshot or a version names one blob.
        let which = planner.shared.session.end.which();
        let asked = self.ask(planner, async || self.client.facts(&blob, which).await).await;
        match asked {
            Ok(mut facts) => {
                let is_stub = facts.hdi_isfolder() && !self.is_change(planner);
                if let Some(version) = which.version {
                    facts.version_id = Some(version.into());
                }
                let entry = BlobEntry {
                    name: name.to_owned(),
                    snapshot: which.snapshot.map(Into::into),
                    is_current_version: which == Which::default(),
                    facts,
                    ..BlobEntry::default()
                };
                let entry = Box::new(entry);
                Ok(if is_stub { Single::Stub(entry) } else { Single::Blob(entry) })
            }
            Err(gave_up) if gave_up.not_found() => Ok(Single::None),
            // A credential that may list and not read: what is below can be found all the same.
            Err(gave_up) if gave_up.forbidden() => {
                let error = gave_up.error.expect("it was just seen");
                let failure =
                    Failure::request("", &error, 1, planner.shared.session.end.credential(), Access::Read);
                Ok(Single::Unknown(Box::new(failure)))
            }
            Err(gave_up) => Err(gave_up.for_object(&planner.shared.session, "").into()),
        }
    }

    fn names_state(&self, planner: &Planner<'_>) -> bool {
        planner.shared.session.end.names_state()
    }

    /// How much is known of the blob that is the source.
    fn known(&self, planner: &Planner<'_>) -> Known {
        if self.names_state(planner) { Known::Version } else { Known::Listed }
    }

    fn is_change(&self, planner: &Planner<'_>) -> bool {
        !matches!(planner.shared.task, Task::Download(_)) && !self.source.recursive
    }

    /// Whether an excluded path lies below this prefix, so that listing all of it would list what nobody wants.
    fn excludes_below(&self, prefix: &str) -> bool {
        let relative = prefix.strip_prefix(&self.base).unwrap_or(prefix).as_bytes();
        self.source.filter.excluded_paths().iter().any(|path| path.starts_with(relative))
    }

    fn prunes(&self, prefix: &str) -> bool {
        let relative = prefix.strip_prefix(&self.base).unwrap_or(prefix);
        self.source.filter.prunes(relative.strip_suffix('/').unwrap_or(relative).as_bytes())
    }

    async fn page(
        &self,
        planner: &Planner<'_>,
        (prefix, delimiter, marker, max_results): (&str, bool, Option<&str>, Option<u32>),
        course: &mut Course,
    ) -> Result<ListPage, Halt> {
        let permanent = self.source.permanent;
        let include = ListInclude {
            metadata: permanent.is_none(),
            snapshots: permanent.is_some_and(|what| what != PermanentDelete::Versions),
            versions: permanent.is_some_and(|what| what != PermanentDelete::Snapshots),
            deleted: permanent.is_some(),
            ..ListInclude::default()
        };
        let wanted = self.source.wanted;
        let list = ListRequest { prefix, delimiter, marker, include, max_results, wanted };
        let page = self.ask(planner, async || self.client.list(&list, course).await).await;
        page.map_err(|gave_up| gave_up.for_listing(&planner.shared.session, "").into())
    }

    async fn ask<T>(
        &self,
        planner: &Planner<'_>,
        send: impl AsyncFnMut() -> Result<T, EndError>,
    ) -> Result<T, GaveUp> {
        self.ask_of(planner.shared, send).await
    }

    async fn ask_of<T>(
        &self,
        shared: &Shared,
        mut send: impl AsyncFnMut() -> Result<T, EndError>,
    ) -> Result<T, GaveUp> {
        let session = &shared.session;
        let sender = Sender {
            session,
            counters: session.progress.planner(),
            permits: &self.permits,
            latency_us: &self.latency_us,
            notice: &|_| {},
            cut: &self.cut,
        };
        request(&sender, 0, Begin::UnlessStopping, async |_| send().await).await
    }

    /// Tells of a blob that stands for a symbolic link, and is left out.
    fn skip_link(&self, planner: &mut Planner<'_>, item: BlobItem) -> Result<(), Halt> {
        let transfer = planner.shared.task.transfer(&planner.shared.session, &Found::Blob(Box::new(item)));
        going(planner.skip(transfer, SkippedKind::Symlink))
    }

    fn hand_over(&self, planner: &mut Planner<'_>, item: BlobItem) -> Result<(), Halt> {
        let found = Found::Blob(Box::new(item));
        if planner.finds_again(&found) {
            return Ok(());
        }
        going(planner.push(found))
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
