//! Collects what a job needs and checks it.

mod whole;

use std::error::Error;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use azuring_azure::{BlobProperties, BlobUrl, Credential, UrlError, Wanted};
use azuring_job::choices::{Encryption, ListOfFiles, PropertyChange, RouteChoice, Symlinks};
use azuring_job::durable::{Before, Durable};
use azuring_job::failure::Side;
use azuring_job::job_error::JobError;
use azuring_job::options::{ContentTypePolicy, JobOptions};
use azuring_job::progress::Progress;
use azuring_journal::{JobId, Jobs};
use azuring_lane::budget;
use azuring_lane::budget::LaneShare;
use azuring_lane::descriptors::{Needs, Opens, Split};
use azuring_lane::ends::{Ends, RemoteEnd};
use azuring_lane::route::can_be_direct;
use azuring_lane::shared::Earlier;
use azuring_lane::staging::Staging;
use azuring_lane::task::change::{Remove, SetProperties};
use azuring_lane::task::copy::Copying;
use azuring_lane::task::download;
use azuring_lane::task::download::Download;
use azuring_lane::task::upload::{Origin, Stream, Tree};
use azuring_lane::task::verb::Task;
use azuring_local::Destination;
use azuring_plan::PlanError;
use azuring_plan::destination::NamingOptions;
use azuring_plan::download::RemotePath;
use azuring_plan::filter::Filter;
use azuring_plan::name::check;
use azuring_ring::probe;
use azuring_store::CustomStore;

use crate::at::{At, FindCredential, Location};
use crate::engine::Engine;
use crate::frame;
use crate::job::{Job, JobPlan, Verb};
use crate::list::check_state;
use crate::remote::{Containers, Makes, RemoteSource};
use crate::scan::LocalOptions;
use crate::scan::local::LocalFinder;
use crate::source::{Finder, Source};

/// Collects what a job needs; made by [`Job::upload`] and its sisters.
pub struct JobBuilder {
    what: What,
    at: At,
    credential: Credential,
    /// Finds another credential when all else is well.
    find: Option<FindCredential>,
    naming: NamingOptions,
    filter: Filter,
    list_of_files: Option<ListOfFiles>,
    list_of_versions: Option<PathBuf>,
    left_out: Vec<String>,
    makes_container: bool,
    options: JobOptions,
    keep: Keep,
    engine: Option<Engine>,
    /// Through this host, whatever the options say.
    relays: bool,
    staging: Option<(Location, u64)>,
}

/// What is kept of the job.
enum Keep {
    /// Nothing: the job cannot be resumed.
    Nothing,
    /// A journal, which begins with this description.
    Journal(Jobs, Vec<u8>),
    /// The journal of the job that goes on.
    Resume(Jobs, JobId),
}

enum What {
    Upload(PathBuf),
    Stream(Option<Box<dyn Read + Send>>),
    Download(PathBuf),
    Pipe(Option<Box<dyn Write + Send>>),
    Copy(Option<Box<Location>>),
    Remove,
    SetProperties(PropertyChange),
}

impl Job {
    /// A job that uploads `source`, a file, a directory, `dir/*` or a pattern.
    pub fn upload(source: impl AsRef<Path>, destination: BlobUrl, credential: Credential) -> JobBuilder {
        JobBuilder::new(What::Upload(source.as_ref().to_owned()), destination, credential)
    }

    /// A job that uploads what `input` gives, however long that is, as the one blob at `destination`. It is read on a
    /// thread of its own, which ends when `input` does. Nothing is kept of it, so it cannot be resumed.
    pub fn upload_from(
        input: impl Read + Send + 'static,
        destination: BlobUrl,
        credential: Credential,
    ) -> JobBuilder {
        JobBuilder::new(What::Stream(Some(Box::new(input))), destination, credential)
    }

    /// A job that downloads `source`, a blob, a virtual directory, a container, or what is in one (`/*`). Into
    /// `/dev/null` it is read and verified, and nothing is kept.
    pub fn download(source: BlobUrl, credential: Credential, destination: impl AsRef<Path>) -> JobBuilder {
        JobBuilder::new(What::Download(destination.as_ref().to_owned()), source, credential)
    }

    /// A job that writes the bytes of one blob, read in parallel ranges, into `pipe` in their order.
    pub fn download_to(
        source: BlobUrl,
        credential: Credential,
        pipe: impl Write + Send + 'static,
    ) -> JobBuilder {
        JobBuilder::new(What::Pipe(Some(Box::new(pipe))), source, credential)
    }

    /// A job that removes `target`, a blob, a virtual directory, or everything in a container.
    pub fn remove(target: BlobUrl, credential: Credential) -> JobBuilder {
        JobBuilder::new(What::Remove, target, credential)
    }

    /// A job that changes tier, metadata or tags of `target`: a blob, a virtual directory, or everything in a
    /// container.
    pub fn set_properties(target: BlobUrl, credential: Credential, change: PropertyChange) -> JobBuilder {
        JobBuilder::new(What::SetProperties(change), target, credential)
    }

    /// A job that uploads `source` into a store of the caller's own, below `path` (or as the object `path`, of one
    /// file).
    pub fn upload_to_store(source: impl AsRef<Path>, store: CustomStore, path: &str) -> JobBuilder {
        JobBuilder::own(What::Upload(source.as_ref().to_owned()), store, path)
    }

    /// A job that downloads what is at `path` of a store of the caller's own: an object, all below a directory, or
    /// everything (an empty path).
    pub fn download_from_store(store: CustomStore, path: &str, destination: impl AsRef<Path>) -> JobBuilder {
        JobBuilder::own(What::Download(destination.as_ref().to_owned()), store, path)
    }

    /// A job that uploads what `input` gives, however long that is, as the one object `key` of a store of the caller's
    /// own. As [`Job::upload_from`].
    pub fn stream_to_store(input: impl Read + Send + 'static, store: CustomStore, key: &str) -> JobBuilder {
        JobBuilder::own(What::Stream(Some(Box::new(input))), store, key)
    }

    /// A job that writes the bytes of the object `key` of a store of the caller's own into `pipe`, in their order.
    pub fn stream_from_store(store: CustomStore, key: &str, pipe: impl Write + Send + 'static) -> JobBuilder {
        JobBuilder::own(What::Pipe(Some(Box::new(pipe))), store, key)
    }

    /// A job that copies objects from one store to another. From and to Blob storage the destination reads the source
    /// by itself, and nothing of the bytes passes this host; where the source does not admit that, and with other
    /// stores, they go through this host's memory (see [`RouteChoice`](azuring_job::choices::RouteChoice)), and never
    /// to its disk. All of an object is of the state that was found.
    ///
    /// Content type and its kin, MD5, metadata and tiers go with the bytes, and tags if that is wanted
    /// ([`JobOptions::preserve_tags`]); page and append blobs stay what they are, and are written as
    /// uploads write them. A container is copied as what it holds, a directory as in [`Job::upload`]. Either end
    /// may be an account ([`BlobUrl::parse_with_account`]). What the destination is encrypted with is
    /// [`JobOptions::encryption`]; the key of the source, if it has one, is [`JobOptions::source_key`].
    pub fn copy(source: Location, destination: Location) -> JobBuilder {
        let mut job = JobBuilder::of(What::Copy(Some(Box::new(destination))), source.at, source.credential);
        job.find = source.find;
        job
    }

    /// As [`Job::copy`], through this host's memory.
    pub fn relay(source: Location, destination: Location) -> JobBuilder {
        let mut job = Self::copy(source, destination);
        job.relays = true;
        job
    }

    /// A job that removes what is at `path` of a store of the caller's own.
    pub fn remove_from_store(store: CustomStore, path: &str) -> JobBuilder {
        JobBuilder::own(What::Remove, store, path)
    }
}

/// Who the job is to its ends.
fn credentials(ends: &Ends<RemoteEnd>) -> String {
    let who = |remote: &RemoteEnd| remote.end.credential().describe();
    match ends.are_two() {
        true => format!("{} for the source and {} for the destination", who(ends.from()), who(ends.to())),
        false => who(ends.from()),
    }
}

/// Opens the staging account.
fn stage(
    Location { at, credential, find }: Location,
    most: u64,
    options: &JobOptions,
    ends: &Ends<RemoteEnd>,
    id: uuid::Uuid,
) -> Result<Staging, JobError> {
    let refused = |text: &str| Err(JobError::Limit(format!("staging: {text}")));
    let are_blobs = ends.are_two() && ends.each().all(|remote| remote.end.target().is_some());
    let At::Blob(url) = at else { return refused("it has to be of Blob storage") };
    if !are_blobs {
        return refused("only copies from Blob storage to Blob storage go by it");
    }
    if options.source_key.is_some() || options.encryption.is_some() {
        return refused("blobs that are encrypted with customers' keys do not go by it in this version");
    }
    if url.container().is_empty() || url.names_state() {
        return refused("name a container, and a directory in it if it is not to be at the top");
    }
    let account = url.account_url();
    let is_end = |remote: &RemoteEnd| remote.end.target().is_some_and(|it| it.url().account_url() == account);
    if ends.each().any(is_end) {
        return refused("it has to be another account than source and destination");
    }
    let lends = |from: &RemoteEnd| match from.end.credential() {
        Credential::Token(token) => token.may_be_lent_to(&url),
        _ => true,
    };
    if !lends(ends.from()) {
        return refused("its host is not given tokens for the source: give the source a SAS");
    }
    let plain = options.clone().properties(BlobProperties::default());
    let find = || find.map_or(Ok(credential), |find| find().map_err(JobError::Login));
    let (target, tls) = frame::target(url.clone(), find, &plain, None)?;
    let staging = Staging::new(target, tls, id.into_bytes(), most);
    match staging.may_be_lent_to(&ends.to().end) {
        true => Ok(staging),
        false => refused("the destination's host is not given tokens for it: give it a SAS"),
    }
}

impl JobBuilder {
    fn new(what: What, url: BlobUrl, credential: Credential) -> Self {
        Self::of(what, At::Blob(url), credential)
    }

    fn own(what: What, store: CustomStore, path: &str) -> Self {
        Self::of(what, At::Own(store, path.to_owned()), Credential::Anonymous)
    }

    fn of(what: What, at: At, credential: Credential) -> Self {
        Self {
            what,
            at,
            credential,
            find: None,
            naming: NamingOptions::default(),
            filter: Filter::default(),
            list_of_files: None,
            list_of_versions: None,
            left_out: Vec::new(),
            makes_container: false,
            options: JobOptions::default(),
            keep: Keep::Nothing,
            engine: None,
            relays: false,
            staging: None,
        }
    }

    /// Whether directories below the source are entered. Default: no.
    pub fn recursive(mut self, recursive: bool) -> Self {
        self.naming.recursive = recursive;
        self
    }

    /// Whether a directory is recreated under the destination. Default: yes.
    pub fn as_subdir(mut self, as_subdir: bool) -> Self {
        self.naming.as_subdir = as_subdir;
        self
    }

    /// Which objects take part. Default: all.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// Takes the objects named in a list instead of everything at the source.
    pub fn list_of_files(mut self, list: ListOfFiles) -> Self {
        self.list_of_files = Some(list);
        self
    }

    /// Takes the versions of one blob whose ids stand in a file, one a line.
    pub fn list_of_versions(mut self, file: impl Into<PathBuf>) -> Self {
        self.list_of_versions = Some(file.into());
        self
    }

    /// Leaves these containers of an account out.
    pub fn exclude_containers(mut self, names: Vec<String>) -> Self {
        self.left_out = names;
        self
    }

    /// Whether the container that a copy goes to is made if it is missing. Those of a whole account always are.
    /// Default: no.
    pub fn make_container(mut self, make: bool) -> Self {
        self.makes_container = make;
        self
    }

    /// Finds the credential where that takes a while (a login): it is asked for when everything that can be checked
    /// without the network is right, and before anything is kept of the job.
    pub fn credential_by(
        mut self,
        find: impl FnOnce() -> Result<Credential, Box<dyn Error + Send + Sync>> + Send + 'static,
    ) -> Self {
        self.find = Some(Box::new(find));
        self
    }

    /// Names a directory of a third account, by which a copy goes where the destination is not admitted to the source,
    /// or always with [`RouteChoice::Staging`]. Never more than `most_bytes` are there at once; each object is removed
    /// when the destination has it.
    pub fn staging(mut self, place: Location, most_bytes: u64) -> Self {
        self.staging = Some((place, most_bytes));
        self
    }

    /// Everything else.
    pub fn options(mut self, options: JobOptions) -> Self {
        self.options = options;
        self
    }

    /// Keeps a journal of the job in `jobs`, so that it can be resumed whatever happens. `description` is for the
    /// caller, who needs it to build the same job again; it is stored as it is, so it must not hold a secret. Jobs that
    /// read or write a pipe, and dry runs, have no journal.
    pub fn journal(mut self, jobs: Jobs, description: Vec<u8>) -> Self {
        self.keep = Keep::Journal(jobs, description);
        self
    }

    /// Goes on with a job of `jobs`. Everything else has to be built as it was then, but for credentials and limits.
    pub fn resume(mut self, jobs: Jobs, id: JobId) -> Self {
        self.keep = Keep::Resume(jobs, id);
        self
    }

    /// Lets it share the budgets of an engine: it begins when there is room for it. The limits in its options are what
    /// it wants of them at most.
    pub fn in_engine(mut self, engine: &Engine) -> Self {
        self.engine = Some(engine.clone());
        self
    }

    /// Opens the journal. The last step of building: a job that cannot be built leaves nothing.
    fn open_journal(keep: Keep, id: uuid::Uuid, settles: bool) -> Result<Option<Durable>, JobError> {
        Ok(match keep {
            Keep::Nothing => None,
            Keep::Journal(jobs, description) => {
                let journal = jobs.create(JobId::from_bytes(id.into_bytes()), &description)?;
                Some(Durable::new(jobs, journal, None, settles))
            }
            Keep::Resume(jobs, id) => {
                let (recovered, journal) = jobs.resume(id)?;
                Some(Durable::new(jobs, journal, Some(Before::new(recovered)), settles))
            }
        })
    }

    /// Looks up a local source and checks everything that can be checked without the network.
    ///
    /// # Errors
    /// [`JobError`].
    pub fn build(mut self) -> Result<Job, JobError> {
        budget::check(&self.options.limits)?;
        if self.relays {
            self.options.route = RouteChoice::Relay;
        }
        if let Some(engine) = &self.engine {
            engine.bound(&mut self.options.limits);
        }
        self.check_state()?;
        if let What::Copy(Some(to)) = &self.what
            && to.at.url().is_some_and(|url| url.names_state())
        {
            return Err(UrlError::State { reason: "cannot be written" }.into());
        }
        if matches!(self.what, What::Copy(_)) && self.options.put_md5 {
            let text = "a copy keeps the MD5 that the source has: leave out put_md5";
            return Err(JobError::Limit(text.to_owned()));
        }
        let to = match &mut self.what {
            What::Copy(to) => to.take().map(|to| *to),
            _ => None,
        };
        if self.options.source_key.is_some() && (to.is_none() || self.at.url().is_none()) {
            let text = "only the source of a copy from Blob storage has a key of its own";
            return Err(JobError::Limit(text.to_owned()));
        }
        let containers = self.containers(to.as_ref())?;
        self.check_system(to.as_ref(), &containers)?;
        to.as_ref().map_or(&self.at, |to| &to.at).check(&self.options)?;
        if matches!(self.what, What::Stream(_)) {
            check(self.at.path()).map_err(PlanError::from)?;
            // One lane has all the memory: it reads the stream in order.
            self.options.limits.lanes = 1;
        }
        if let ContentTypePolicy::Fixed(fixed) = &self.options.content_type {
            BlobProperties::check_content_type(fixed)?;
        }
        if self.options.dry_run || matches!(self.what, What::Pipe(_) | What::Stream(_)) {
            self.keep = Keep::Nothing;
        }
        let journal = !matches!(self.keep, Keep::Nothing);
        let mut split = self.needs(to.as_ref()).split(budget::shares(&self.options, journal)?)?;
        let shares = std::mem::take(&mut split.shares);
        let id = match &self.keep {
            Keep::Resume(_, id) => uuid::Uuid::from_bytes(*id.as_bytes()),
            Keep::Nothing | Keep::Journal(..) => uuid::Uuid::new_v4(),
        };
        let place = self.at.to_string();
        let (mut pipe, mut input) = (None, None);
        match &mut self.what {
            What::Pipe(given) => pipe = given.take(),
            What::Stream(given) => input = given.take(),
            _ => {}
        }
        let upload = |origin| frame::upload(origin, &shares);
        let (verb, source, destination, is_pattern, task, finder) = match &self.what {
            What::Upload(source) => {
                let found = Source::resolve(source, self.at.path(), &self.local_options(&split))?;
                let (root, naming, root_path) = (found.root, found.naming, found.root_path);
                let task = upload(Origin::Tree(Tree { root, naming, root_path }));
                let source = source.to_string_lossy().into_owned();
                (Verb::Upload, source, place, found.is_pattern, task, Finder::Local(found.finder))
            }
            What::Stream(_) => {
                let input = input.expect("the stream was just taken");
                let task = upload(Origin::Stream(Stream::new(self.at.path().to_owned(), input)));
                (
                    Verb::Upload,
                    String::new(),
                    place,
                    false,
                    task,
                    Finder::Local(Box::new(LocalFinder::stream())),
                )
            }
            What::Download(destination) => {
                let task = self.download_task(destination, &shares, id, &split)?;
                let stubs = self.options.directory_stubs || self.options.preserve_posix.is_some();
                let finder = self.remote(stubs, &split)?;
                let destination = destination.to_string_lossy().into_owned();
                (Verb::Download, place, destination, false, Task::Download(Box::new(task)), finder)
            }
            What::Pipe(_) => {
                let task = self.download_task(Path::new("pipe"), &shares, id, &split)?;
                let task = task.into_pipe(pipe.expect("the pipe was just taken"));
                let (finder, destination) = (self.remote(false, &split)?, String::new());
                (Verb::Download, place, destination, false, Task::Download(Box::new(task)), finder)
            }
            What::Copy(_) => {
                let to = to.as_ref().expect("it was just taken");
                // A snapshot or version of a blob may take the blob's place.
                let is_one_place = self.at.is_beside(&to.at, &self.left_out)
                    && !self.at.url().is_some_and(|url| url.names_state());
                let mut path = to.at.path().to_owned();
                if let Makes::One(container) = &containers.makes {
                    path = format!("{container}/");
                }
                let copying = Copying::new(path, self.naming, is_one_place);
                let task = Task::Copy(copying.into_account(to.at.is_account()));
                let stubs = self.options.directory_stubs || self.options.preserve_posix.is_some();
                let finder = self.remote_of(stubs, &split, containers)?;
                (Verb::Copy, place, to.at.to_string(), false, task, finder)
            }
            What::Remove => {
                let task = Task::Remove(Remove::default());
                (Verb::Remove, place, String::new(), false, task, self.remote(true, &split)?)
            }
            What::SetProperties(change) => {
                let task = Task::SetProperties(SetProperties::new(change.clone()));
                (
                    Verb::SetProperties,
                    place,
                    String::new(),
                    false,
                    task,
                    self.remote(self.options.directory_stubs, &split)?,
                )
            }
        };
        let change = match &self.what {
            What::SetProperties(change) => Some(change),
            _ => None,
        };
        let (find, given) = (self.find, self.credential);
        let found = |find: Option<FindCredential>, given| {
            move || find.map_or(Ok(given), |find| find().map_err(JobError::Login))
        };
        let find = found(find, given);
        let access = frame::access(&task, Side::Source, &self.options);
        let from = match &to {
            None => self.at.open(find, &self.options, change, access)?,
            Some(_) => {
                // Each end of a copy has its own key.
                let encryption = self.options.source_key.clone().map(Encryption::Key);
                self.at.open(find, &self.options.clone().encryption(encryption), change, access)?
            }
        };
        let ends = match to {
            None => Ends::one(from),
            Some(Location { at, credential, find }) => {
                let access = frame::access(&task, Side::Destination, &self.options);
                Ends::two(from, at.open(found(find, credential), &self.options, None, access)?)
            }
        };
        if self.options.route == RouteChoice::Direct && ends.are_two() && !can_be_direct(&self.options, &ends)
        {
            let text = "only Blob storage reads a source by itself, from Blob storage, and is told a customer's key over https alone: leave out the route";
            return Err(JobError::Limit(text.to_owned()));
        }
        let staging = match self.staging {
            None if self.options.route == RouteChoice::Staging => {
                return Err(JobError::Limit("there is no staging account: name one".to_owned()));
            }
            None => None,
            Some((place, most)) => Some(stage(place, most, &self.options, &ends, id)?),
        };
        let lanes = shares.len();
        let settles = matches!(&task, Task::Download(task) if !task.is_null());
        let durable = Self::open_journal(self.keep, id, settles)?;
        Ok(Job {
            plan: JobPlan {
                id: id.to_string(),
                verb,
                source,
                is_pattern,
                destination,
                credential: credentials(&ends),
                lanes,
                concurrency: shares.iter().map(|share| share.in_flight).sum(),
                scarce: split.notice,
                memory_bytes: self.options.limits.memory_bytes,
                io: probe(self.options.io),
                journal: durable.is_some(),
                resumed: durable.as_ref().is_some_and(|durable| durable.before.is_some()),
            },
            id: id.into_bytes(),
            task,
            finder,
            ends,
            staging,
            shares,
            progress: Arc::new(Progress::new(lanes)),
            options: self.options,
            durable,
            earlier: Earlier::default(),
            ask: None,
            engine: self.engine,
        })
    }

    /// Refuses a snapshot or version that cannot be meant.
    fn check_state(&self) -> Result<(), JobError> {
        let Some(url) = self.at.url().filter(|url| url.names_state()) else { return Ok(()) };
        let several = self.list_of_files.is_some() || self.list_of_versions.is_some();
        let reason = match &self.what {
            What::Upload(_) | What::Stream(_) => "cannot be written",
            _ if several || self.options.permanent_delete.is_some() => {
                "does not go together with a list, or with a permanent deletion"
            }
            _ => return Ok(check_state(url, &RemotePath::parse(url.raw_path())?)?),
        };
        Err(UrlError::State { reason }.into())
    }

    /// What the job opens descriptors for.
    fn needs(&self, to: Option<&Location>) -> Needs {
        let opens = match self.what {
            What::Upload(_) => Opens::Source,
            What::Download(_) if !self.options.dry_run => Opens::Target,
            _ => Opens::Nothing,
        };
        let tls = self.at.is_tls() || to.is_some_and(|to| to.at.is_tls());
        let login = self.find.is_some() || to.is_some_and(|to| to.find.is_some());
        Needs { opens, tls, login }
    }

    fn local_options(&self, split: &Split) -> LocalOptions {
        let options = &self.options;
        LocalOptions {
            naming: self.naming,
            filter: self.filter.clone(),
            symlinks: options.symlinks,
            directories: options.directory_stubs || options.preserve_posix.is_some(),
            specials: options.preserve_posix.is_some(),
            names_bytes: budget::names_bytes(&options.limits),
            walk_threads: split.walk_threads,
            list: self.list_of_files.clone(),
        }
    }

    fn download_task(
        &self,
        destination: &Path,
        shares: &[LaneShare],
        job: uuid::Uuid,
        split: &Split,
    ) -> Result<Download, JobError> {
        let place = Destination::resolve(destination).map_err(JobError::Destination)?;
        let job = job.into_bytes();
        Ok(frame::download((destination, place), self.naming, &self.options, shares, job, split))
    }

    fn remote(&self, stubs: bool, split: &Split) -> Result<Finder, JobError> {
        self.remote_of(stubs, split, Containers::default())
    }

    fn remote_of(&self, stubs: bool, split: &Split, containers: Containers) -> Result<Finder, JobError> {
        Ok(Finder::Remote(Arc::new(RemoteSource {
            path: RemotePath::parse(&self.at.raw_path())?,
            recursive: self.naming.recursive,
            filter: self.filter.clone().of_blobs(),
            list: self.list_of_files.clone(),
            versions: self.list_of_versions.clone(),
            stubs,
            links: !matches!(self.what, What::Download(_)) || self.options.symlinks == Symlinks::Preserve,
            permanent: self.options.permanent_delete,
            wanted: match self.what {
                What::Download(_) | What::Pipe(_) if !self.options.dry_run => download::wanted(),
                What::Copy(_) => Wanted::ALL,
                _ if self.options.dry_run && self.options.plan_facts => Wanted::ALL,
                _ => Wanted::default(),
            },
            tags: matches!(self.what, What::Copy(_)) && self.options.preserve_tags,
            at_once: split.lines,
            containers,
        })))
    }
}
