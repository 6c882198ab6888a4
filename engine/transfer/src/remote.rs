//! What a remote source holds, found by listing it.

use std::cell::{Cell, RefCell};
use std::io::Read;
use std::path::PathBuf;

use azuring_azure::{BlobClient, BlobEntry, ListInclude, ListItem, ListPage, ListRequest, Wanted, Which};
use azuring_plan::download::{RemotePath, RemoteShape};
use azuring_plan::filter::Filter;
use azuring_plan::list_of_files::ListOfFiles as Lines;
use azuring_plan::name::{check, encode_path, escape};
use azuring_plan::{PlanError, list_of_files};
use azuring_ring::{IoPath, LaneRuntime};
use tokio::sync::Semaphore;

use crate::choices::{ListOfFiles, PermanentDelete};
use crate::failure::{Failure, FailureKind};
use crate::lane::new_histogram;
use crate::outcome::SkippedKind;
use crate::planner::Planner;
use crate::request::{Begin, GaveUp, Sender, request};
use crate::task::{BlobItem, Found, Known, Task};

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
}

impl RemoteSource {
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
        } else if entry.is_folder() && !self.stubs {
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

/// Why the planner goes no further.
enum Halt {
    /// The job is stopping.
    Stopping,
    /// The source cannot be listed, or is not there.
    Failed(Box<Failure>),
}

impl From<Box<Failure>> for Halt {
    fn from(failure: Box<Failure>) -> Self {
        Self::Failed(failure)
    }
}

/// Finds the objects of `source` and hands them to `planner`.
pub(crate) fn plan(source: &RemoteSource, planner: &mut Planner<'_>) {
    let threads = IoPath::Threads { reason: String::new() };
    let session = &planner.shared.session;
    let result = match LaneRuntime::new(&threads) {
        Ok(runtime) => runtime.block_on(async {
            let client = session.client();
            let remote = Remote {
                source,
                client,
                permits: Semaphore::new(2),
                latency_us: RefCell::new(new_histogram()),
                base: String::new(),
                stub: Cell::new(None),
            };
            remote.run(planner).await
        }),
        Err(error) => {
            let text = format!("the planner could not be started: {error}");
            Err(Halt::Failed(Box::new(Failure::new(FailureKind::Limit, "", text))))
        }
    };
    if let Err(Halt::Failed(failure)) = result {
        planner.halt(*failure);
    }
}

struct Remote<'a> {
    source: &'a RemoteSource,
    client: BlobClient,
    permits: Semaphore,
    latency_us: RefCell<hdrhistogram::Histogram<u64>>,
    /// What the relative paths of the blobs leave out.
    base: String,
    /// The stub of the directory that is the source.
    stub: Cell<Option<Box<BlobEntry>>>,
}

impl Remote<'_> {
    async fn run(mut self, planner: &mut Planner<'_>) -> Result<(), Halt> {
        let source = self.source;
        if source.versions.is_some() {
            return self.versions(planner);
        }
        let container = planner.shared.session.target.url().container().to_owned();
        let shape = match &source.path {
            RemotePath::Container => RemoteShape::Container { name: &container },
            RemotePath::Contents { prefix } => RemoteShape::Contents { prefix },
            RemotePath::Object { name } if name.ends_with('/') || source.list.is_some() => {
                RemoteShape::Directory { prefix: name }
            }
            RemotePath::Object { name } => match self.single(planner, name).await? {
                Some(entry) => {
                    self.begin(planner, RemoteShape::Blob { name })?;
                    let at = name.rfind('/').map_or(0, |slash| slash + 1);
                    let item = BlobItem { entry, relative_at: at, known: Known::Listed };
                    return self.hand_over(planner, item);
                }
                None => RemoteShape::Directory { prefix: name },
            },
        };
        self.base = match shape {
            RemoteShape::Directory { prefix } => format!("{}/", prefix.trim_end_matches('/')),
            RemoteShape::Contents { prefix } => prefix.to_owned(),
            RemoteShape::Container { .. } | RemoteShape::Blob { .. } => String::new(),
        };
        let is_directory = matches!(shape, RemoteShape::Directory { .. });
        if source.list.is_some() {
            // The list says what is there: nothing is asked.
            self.begin(planner, shape)?;
            return self.listed(planner).await;
        }
        let base = self.base.clone();
        let included: Vec<String> = match source.filter.include_paths() {
            // Paths that are not UTF-8 name no blob.
            Some(paths) => {
                paths.iter().filter_map(|path| Some(base.clone() + str::from_utf8(path).ok()?)).collect()
            }
            None => vec![base],
        };
        let mut begun = false;
        for prefix in included {
            let mut tree = Tree::new(prefix);
            while let Some(page) = tree.next_page(&self, planner).await? {
                if !begun && tree.seen {
                    // Only now is it known that the directory exists.
                    self.begin(planner, shape)?;
                    begun = true;
                }
                for entry in page {
                    self.offer(planner, entry)?;
                }
            }
        }
        if let (Some(entry), Task::Remove(_), true) =
            (self.stub.take(), &planner.shared.task, source.recursive)
        {
            // After everything below it.
            let relative_at = entry.name.rfind('/').map_or(0, |slash| slash + 1);
            return self.hand_over(planner, BlobItem { entry, relative_at, known: Known::Listed });
        }
        // As AzCopy has it, there being nothing to remove or to change is no error.
        if !begun && is_directory && matches!(planner.shared.task, Task::Download(_)) {
            let url = planner.shared.session.target.url().to_string();
            let text = format!("there is no blob and no directory at {url}");
            return Err(Box::new(Failure::new(FailureKind::Missing, "", text)).into());
        }
        if !begun && matches!(planner.shared.task, Task::Download(_)) {
            self.begin(planner, shape)?;
        }
        Ok(())
    }

    /// Tells the task what kind of source it is.
    fn begin(&self, planner: &Planner<'_>, shape: RemoteShape<'_>) -> Result<(), Halt> {
        let recursive = self.source.recursive || self.source.list.is_some();
        match &planner.shared.task {
            Task::Download(task) => task.begin(shape, recursive)?,
            // Without recursion a removal or change takes the blobs directly below, as AzCopy does.
            Task::Remove(_) | Task::SetProperties(_) | Task::Upload(_) => {}
        }
        Ok(())
    }

    /// The blob of this name, if there is one that is not the stub of a directory.
    async fn single(&self, planner: &Planner<'_>, name: &str) -> Result<Option<Box<BlobEntry>>, Halt> {
        let blob = encode_path(name);
        let asked = self.ask(planner, async || self.client.head_blob(&blob, Which::default()).await).await;
        match asked {
            Ok(facts) if facts.hdi_isfolder() && !self.is_change(planner) => Ok(None),
            Ok(facts) => {
                let entry = BlobEntry {
                    name: name.to_owned(),
                    is_current_version: true,
                    facts,
                    ..BlobEntry::default()
                };
                Ok(Some(Box::new(entry)))
            }
            Err(gave_up) if gave_up.not_found() => Ok(None),
            Err(gave_up) => Err(gave_up.for_object(&planner.shared.session, "").into()),
        }
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
        self.source.filter.prunes(relative.trim_end_matches('/').as_bytes())
    }

    async fn page(
        &self,
        planner: &Planner<'_>,
        prefix: &str,
        delimiter: bool,
        marker: Option<&str>,
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
        let list = ListRequest { prefix, delimiter, marker, include, max_results: None, wanted };
        let page = self.ask(planner, async || self.client.list_blobs(&list).await).await;
        page.map_err(|gave_up| gave_up.for_object(&planner.shared.session, "").into())
    }

    async fn ask<T>(
        &self,
        planner: &Planner<'_>,
        mut send: impl AsyncFnMut() -> Result<T, azuring_azure::RequestError>,
    ) -> Result<T, GaveUp> {
        let session = &planner.shared.session;
        let sender = Sender {
            session,
            counters: session.progress.planner(),
            permits: &self.permits,
            latency_us: &self.latency_us,
            notice: &|_| {},
        };
        request(&sender, 0, Begin::UnlessStopping, async |_| send().await).await
    }

    /// Hands a listed blob over if the filters let it pass.
    fn offer(&self, planner: &mut Planner<'_>, entry: Box<BlobEntry>) -> Result<(), Halt> {
        let source = self.source;
        if !entry.name.starts_with(&self.base) {
            return Ok(());
        }
        let known = if source.permanent.is_some() { Known::Version } else { Known::Listed };
        let item = BlobItem { relative_at: self.base.len(), entry, known };
        if source.leaves_out_link(&item) {
            let transfer =
                planner.shared.task.transfer(&planner.shared.session, &Found::Blob(Box::new(item)));
            return if planner.skip(transfer, SkippedKind::Symlink) { Ok(()) } else { Err(Halt::Stopping) };
        }
        if source.wants(&item) { self.hand_over(planner, item) } else { Ok(()) }
    }

    fn hand_over(&self, planner: &mut Planner<'_>, item: BlobItem) -> Result<(), Halt> {
        if planner.push(Found::Blob(Box::new(item))) { Ok(()) } else { Err(Halt::Stopping) }
    }

    /// The blobs named in a list. None of them is asked for: whoever transfers one finds out whether it is there.
    async fn listed(&self, planner: &mut Planner<'_>) -> Result<(), Halt> {
        let mut lines = list_lines(self.source.list.as_ref())?;
        let mut entries = Vec::new();
        while lines.next(&mut entries)? {
            for entry in entries.drain(..) {
                let path = match entry {
                    Ok(path) => path,
                    Err(error) => {
                        planner.refuse(Failure::new(FailureKind::Name, &error.text, error.to_string()));
                        continue;
                    }
                };
                let name = String::from_utf8(path).map(|path| self.base.clone() + &path);
                match name {
                    Ok(name) if check(&name).is_ok() => {
                        if !self.source.filter.passes_name(&name.as_bytes()[self.base.len()..]) {
                            continue;
                        }
                        if name.ends_with('/') {
                            self.listed_directory(planner, name).await?;
                            continue;
                        }
                        let entry = BlobEntry { name, is_current_version: true, ..BlobEntry::default() };
                        let (relative_at, entry) = (self.base.len(), Box::new(entry));
                        self.hand_over(planner, BlobItem { entry, relative_at, known: Known::Named })?;
                    }
                    Ok(name) => drop(planner.refuse(bad_name(name.as_bytes()))),
                    Err(error) => drop(planner.refuse(bad_name(error.as_bytes()))),
                }
            }
        }
        Ok(())
    }

    /// A line that says itself that it is a directory.
    async fn listed_directory(&self, planner: &mut Planner<'_>, name: String) -> Result<(), Halt> {
        let object = escape(name[self.base.len()..].as_bytes());
        if !self.source.recursive {
            let text = "a directory in a list of files needs --recursive";
            planner.refuse(Failure::new(FailureKind::Usage, &object, text));
            return Ok(());
        }
        let mut tree = Tree::new(name);
        while let Some(page) = tree.next_page(self, planner).await? {
            for entry in page {
                self.offer(planner, entry)?;
            }
        }
        if !tree.seen {
            planner.refuse(Failure::new(FailureKind::Missing, &object, "there is no such directory"));
        }
        Ok(())
    }

    /// Versions of one blob, by their ids.
    fn versions(&self, planner: &mut Planner<'_>) -> Result<(), Halt> {
        let RemotePath::Object { name } = &self.source.path else {
            let text = "versions are listed for one blob: the URL names a container or a directory";
            return Err(Box::new(Failure::new(FailureKind::Usage, "", text)).into());
        };
        let list = self.source.versions.clone().map(ListOfFiles::File);
        let mut lines = list_lines(list.as_ref())?;
        if let Task::Download(task) = &planner.shared.task {
            task.begin_versions()?;
        }
        let mut entries = Vec::new();
        while lines.next(&mut entries)? {
            for entry in entries.drain(..) {
                match entry.map(|line| String::from_utf8_lossy(&line).trim().to_owned()) {
                    Ok(id) => {
                        let mut entry = BlobEntry { name: name.clone(), ..BlobEntry::default() };
                        entry.facts.version_id = Some(id.into());
                        let relative_at = name.rfind('/').map_or(0, |slash| slash + 1);
                        let (entry, known) = (Box::new(entry), Known::Version);
                        self.hand_over(planner, BlobItem { entry, relative_at, known })?;
                    }
                    Err(error) => {
                        planner.refuse(Failure::new(FailureKind::Name, &error.text, error.to_string()));
                    }
                }
            }
        }
        Ok(())
    }
}

/// The blobs below a prefix, page by page, in the order of their names; without those below excluded directories.
struct Tree {
    /// Prefixes still to be listed, the next one last.
    stack: Vec<String>,
    marker: Option<String>,
    below: Vec<String>,
    /// There is something, be it only a prefix.
    seen: bool,
}

impl Tree {
    fn new(prefix: String) -> Self {
        Self { stack: vec![prefix], marker: None, below: Vec::new(), seen: false }
    }

    /// The blobs of the next page, which may be none; `None` after the last one.
    async fn next_page(
        &mut self,
        remote: &Remote<'_>,
        planner: &Planner<'_>,
    ) -> Result<Option<Vec<Box<BlobEntry>>>, Halt> {
        let Some(prefix) = self.stack.last() else { return Ok(None) };
        let recursive = remote.source.recursive;
        let delimiter = !recursive || remote.excludes_below(prefix);
        let page = remote.page(planner, prefix, delimiter, self.marker.as_deref()).await?;
        self.seen |= !page.items.is_empty();
        let mut blobs = Vec::with_capacity(page.items.len());
        for item in page.items {
            match item {
                ListItem::Blob(entry) => blobs.push(entry),
                ListItem::Prefix(name) if recursive && !remote.prunes(&name) => self.below.push(name),
                ListItem::Prefix(_) => {}
            }
        }
        self.marker = page.next;
        if self.marker.is_none() {
            self.stack.pop();
            self.stack.extend(self.below.drain(..).rev());
        }
        Ok(Some(blobs))
    }
}

fn bad_name(name: &[u8]) -> Failure {
    Failure::new(FailureKind::Name, &escape(name), "no blob can have this name")
}

fn plan_type(entry: &BlobEntry) -> azuring_plan::blob_type::BlobType {
    use azuring_plan::blob_type::BlobType as Planned;
    match entry.facts.blob_type {
        azuring_azure::BlobType::Block => Planned::Block,
        azuring_azure::BlobType::Page => Planned::Page,
        azuring_azure::BlobType::Append => Planned::Append,
    }
}

/// Reads a list of files piece by piece.
pub(crate) struct ListReader {
    input: Box<dyn Read + Send>,
    name: String,
    /// `None` once the list has ended.
    lines: Option<Lines>,
}

fn list_lines(list: Option<&ListOfFiles>) -> Result<ListReader, Box<Failure>> {
    ListReader::open(list.expect("there is a list"))
}

impl ListReader {
    pub(crate) fn open(list: &ListOfFiles) -> Result<Self, Box<Failure>> {
        let (name, input): (_, Box<dyn Read + Send>) = match list {
            ListOfFiles::Stdin => ("standard input".to_owned(), Box::new(std::io::stdin())),
            ListOfFiles::File(path) => {
                let name = path.display().to_string();
                let file = std::fs::File::open(path).map_err(|error| unreadable(&name, &error))?;
                (name, Box::new(file))
            }
        };
        Ok(Self { input, name, lines: Some(Lines::new()) })
    }

    /// Appends the next entries; `false` at the end.
    pub(crate) fn next(&mut self, out: &mut Vec<list_of_files::ListEntry>) -> Result<bool, Box<Failure>> {
        let mut buffer = [0; 16 << 10];
        let Some(lines) = &mut self.lines else { return Ok(false) };
        let told = |error: PlanError| Box::new(Failure::new(FailureKind::Usage, "", error.to_string()));
        match self.input.read(&mut buffer).map_err(|error| unreadable(&self.name, &error))? {
            0 => {
                let lines = self.lines.take().expect("it was just seen");
                lines.finish(out).map_err(told)?;
            }
            got => lines.feed(&buffer[..got], out).map_err(told)?,
        }
        Ok(true)
    }
}

fn unreadable(name: &str, error: &std::io::Error) -> Box<Failure> {
    Box::new(Failure::new(
        FailureKind::Missing,
        "",
        format!("the list of files {name} cannot be read: {error}"),
    ))
}
