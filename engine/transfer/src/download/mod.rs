//! One blob from the service to disk.
//!
//! A blob that fits into one range is received into memory, verified, and then written under a temporary name and
//! renamed; of a larger one the lanes read ranges, all of the same version, straight to their place in a file whose
//! space is reserved. Nothing has its own name before it is complete.

mod directories;
mod finish;
mod holes;
mod large;
mod leftovers;
mod names;
mod receive;
mod resume;
mod unpack;

use std::collections::HashSet;
use std::ffi::{CString, OsStr};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, SystemTime};

use azuring_azure::{BlobEntry, BlobFacts, Wanted, Which};
use azuring_link::Links;
use azuring_local::{Destination, KNOWN_DIRECTORIES, LocalError, TargetTree};
use azuring_plan::destination::NamingOptions;
use azuring_plan::download::{DownloadNaming, LocalDestination, LocalName, RemoteShape, TargetRoot};
use azuring_plan::name::encode_path;
use azuring_ring::{FileRing, Lease, Names, SlotClass, SourceDir};
use rustix::fs::{AtFlags, FileType, Stat, statat};

use crate::choices::{Overwrite, Symlinks};
use crate::failure::{Failure, FailureKind};
use crate::in_order::Held;
use crate::lane::{Ended, Lane};
use crate::outcome::{SkippedKind, TransferId};
use crate::patience::patiently;
use crate::request::{Begin, pause_for, request};
use crate::session::Session;
use crate::task::{BlobItem, Known};
use crate::verify;

use directories::Directories;
pub(crate) use large::{LargeBlob, help};
pub use leftovers::remove_unfinished;
pub(crate) use names::Claim;

/// What is asked of a blob of which nothing is known: most that somebody lists by name are small, and memory for a
/// whole range costs eight times what the file costs.
const FIRST_BYTES: u64 = azuring_ring::SMALL_SLOT_BYTES as u64;
/// The largest range: the service computes checksums of ranges up to this size.
const RANGE_BYTES: u64 = azuring_azure::MAX_CRC64_RANGE_BYTES;

/// Blobs become local files.
pub(crate) struct Download {
    /// As the user named it.
    pub(crate) destination: PathBuf,
    /// What that leads to.
    place: Destination,
    pub(crate) as_subdir: bool,
    /// Nothing is written.
    dry_run: bool,
    /// Bytes of a range.
    pub(crate) range_bytes: u64,
    /// Permission bits that the umask leaves to new files.
    pub(crate) mode: u32,
    /// The job's id, for temporary names.
    pub(crate) job: [u8; 16],
    /// Directories of the target that are held open at most.
    held_directories: usize,
    /// Known when the planner has seen what the source is.
    begun: OnceLock<Begun>,
    /// Bytes that wait for their turn to be summed.
    held: Arc<Held>,
    /// Where the bytes go instead of to files, until somebody takes it.
    pipe: Mutex<Option<Box<dyn Write + Send>>>,
    to_pipe: bool,
    /// Local names of blobs whose own have empty segments.
    collapsed: Mutex<HashSet<LocalName>>,
    any_collapsed: AtomicBool,
    /// Empty files that may have to be directories.
    empty: Mutex<HashSet<LocalName>>,
    /// One question at a time.
    asking: Mutex<()>,
    /// Directories that get their properties at the end.
    pub(crate) directories: Directories,
    /// Whether it was told that set-user bits are left out.
    setuid_told: AtomicBool,
    /// The same of times that the file system has changed.
    time_told: AtomicBool,
    /// Unfinished files of an earlier run that were taken up, or could not be.
    taken_up: Mutex<HashSet<TransferId>>,
}

struct Begun {
    naming: Rule,
    /// Names are relative to this.
    root: PathBuf,
    /// Whether anything is kept.
    keeps: bool,
    /// Where that is written, once it is there.
    tree: OnceLock<TargetTree>,
}

enum Rule {
    Names(DownloadNaming),
    /// Versions of one blob, each under its id and the blob's last name.
    Versions,
}

impl Download {
    pub(crate) fn new(
        (destination, place): (&Path, Destination),
        naming: NamingOptions,
        dry_run: bool,
        range_bytes: u64,
        held: Arc<Held>,
        mode: u32,
        job: [u8; 16],
    ) -> Self {
        Self {
            destination: destination.to_owned(),
            place,
            as_subdir: naming.as_subdir,
            dry_run,
            range_bytes,
            mode,
            job,
            held_directories: KNOWN_DIRECTORIES,
            begun: OnceLock::new(),
            held,
            pipe: Mutex::new(None),
            to_pipe: false,
            collapsed: Mutex::default(),
            any_collapsed: AtomicBool::new(false),
            empty: Mutex::default(),
            asking: Mutex::new(()),
            directories: Directories::default(),
            setuid_told: AtomicBool::new(false),
            time_told: AtomicBool::new(false),
            taken_up: Mutex::default(),
        }
    }

    /// Holds at most so many directories of the target open.
    pub(crate) fn holding(mut self, directories: usize) -> Self {
        self.held_directories = directories;
        self
    }

    /// Whether the unfinished file of an earlier run may be taken up: once, since what this run makes instead has the same name.
    fn takes_up(&self, id: TransferId) -> bool {
        self.taken_up.lock().expect("nothing panics while the lock is held").insert(id)
    }

    /// Tells once that the set-user bits of files are left out.
    fn tell_setuid(&self, notice: impl Fn(&str)) {
        if !self.setuid_told.swap(true, Ordering::SeqCst) {
            notice("set-user-ID and set-group-ID of files are left out; --preserve-setuid restores them");
        }
    }

    /// Tells once that the file system has changed a time, here that of `object`.
    fn tell_time(&self, object: &str, notice: impl Fn(&str)) {
        if !self.time_told.swap(true, Ordering::SeqCst) {
            notice(&format!(
                "{object}: the file system cannot keep this time and has set another (told once)"
            ));
        }
    }

    /// Sends the bytes of the one blob into `pipe` instead.
    pub(crate) fn into_pipe(mut self, pipe: Box<dyn Write + Send>) -> Self {
        self.pipe = Mutex::new(Some(pipe));
        self.to_pipe = true;
        self
    }

    /// The pipe, for whoever writes to it: there is one blob.
    fn pipe(&self) -> Option<Box<dyn Write + Send>> {
        if !self.to_pipe {
            return None;
        }
        self.pipe.lock().expect("nothing panics while the lock is held").take()
    }

    /// Whether nothing is kept.
    pub(crate) fn is_null(&self) -> bool {
        self.place == Destination::Null
    }

    /// Decides names and root, now that it is known what the source is. Tells whether the destination is a directory: `was` says
    /// that it was one when the job began, and that counts.
    pub(crate) fn begin(
        &self,
        shape: RemoteShape<'_>,
        recursive: bool,
        was: Option<bool>,
    ) -> Result<bool, Box<Failure>> {
        let place = match &self.place {
            Destination::Null => &self.destination,
            Destination::Path(path) => path,
        };
        let bytes = place.as_os_str().as_bytes();
        let is_directory = was.unwrap_or_else(|| bytes.ends_with(b"/") || place.is_dir() || self.is_null());
        let file_name = place.file_name().unwrap_or_default().as_bytes();
        let local = if is_directory || file_name.is_empty() {
            LocalDestination::Directory
        } else {
            LocalDestination::Path { file_name }
        };
        if self.to_pipe && !matches!(shape, RemoteShape::Blob { .. }) {
            let text = "only one blob can be written to a pipe: the URL names a container or a directory";
            return Err(Box::new(Failure::new(FailureKind::Usage, "", text)));
        }
        let options = NamingOptions { recursive, as_subdir: self.as_subdir };
        let naming =
            DownloadNaming::new(shape, local, options).map_err(|error| Failure::plan_of_source(&error))?;
        let root = match naming.root() {
            TargetRoot::Destination => place.clone(),
            TargetRoot::Parent => match place.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
                _ => PathBuf::from("."),
            },
        };
        self.set(Rule::Names(naming), root)?;
        Ok(is_directory)
    }

    /// The same for versions of one blob, which go into the destination as a directory.
    pub(crate) fn begin_versions(&self) -> Result<(), Box<Failure>> {
        self.set(Rule::Versions, self.destination.clone())
    }

    fn set(&self, naming: Rule, root: PathBuf) -> Result<(), Box<Failure>> {
        let keeps = !(self.is_null() || self.dry_run || self.to_pipe);
        let is_there = root.symlink_metadata().is_ok();
        // The planner begins once.
        let _ = self.begun.set(Begun { naming, root, keeps, tree: OnceLock::new() });
        if keeps && is_there {
            // Told now if nothing can be written there. A directory that is missing is made with the first of its files.
            self.tree().map_err(|error| Failure::target("", &error))?;
        }
        Ok(())
    }

    /// Has everything that was written so far written back; `false`: that is not known, or nothing is kept.
    pub(crate) fn sync(&self) -> Result<bool, LocalError> {
        let tree = self.begun.get().and_then(|begun| begun.tree.get());
        tree.map_or(Ok(false), TargetTree::sync)
    }

    /// Whether the blob's file cannot be made because nothing may be made in the destination.
    pub(crate) fn is_root_denied(&self, item: &BlobItem) -> bool {
        // It cannot even be made, where it is missing.
        let Some(tree) = self.begun.get().and_then(|begun| begun.tree.get()) else { return true };
        self.local_name(item).is_ok_and(|local| tree.is_root_denied(&local))
    }

    /// Where files are written; `None` when nothing is kept.
    ///
    /// # Errors
    /// It cannot be made.
    fn tree(&self) -> Result<Option<&TargetTree>, LocalError> {
        let begun = self.begun();
        match begun.tree.get() {
            Some(tree) => Ok(Some(tree)),
            None if !begun.keeps => Ok(None),
            None => {
                let tree = TargetTree::open(&begun.root)?.holding(self.held_directories);
                // Another lane may have been faster.
                Ok(Some(begun.tree.get_or_init(|| tree)))
            }
        }
    }

    fn begun(&self) -> &Begun {
        self.begun.get().expect("the planner begins before it hands anything over")
    }

    /// Where a blob goes, for messages; empty where it cannot go anywhere.
    pub(crate) fn destination_of(&self, name: &str) -> String {
        if self.is_null() {
            return self.destination.display().to_string();
        }
        let Some(begun) = self.begun.get() else { return String::new() };
        let Rule::Names(naming) = &begun.naming else { return begun.root.display().to_string() };
        naming.local_name_for(name).map_or(String::new(), |local| {
            begun.root.join(OsStr::from_bytes(local.as_bytes())).display().to_string()
        })
    }

    /// The directory that holds `local`, made where it is missing; `None` when nothing is kept.
    async fn dir_of(&self, links: &Links, local: &LocalName) -> Result<Option<Arc<OwnedFd>>, LocalError> {
        patient(links, async || match self.tree()? {
            Some(tree) => tree.dir_of(local).map(Some),
            None => Ok(None),
        })
        .await
    }

    /// Makes the directory `local` itself; `false` when nothing is kept.
    async fn make_directory(&self, links: &Links, local: &LocalName) -> Result<bool, LocalError> {
        patient(links, async || match self.tree()? {
            Some(tree) => tree.make_dir(local).map(|_| true),
            None => Ok(false),
        })
        .await
    }

    /// Opens the directory of the target and gives it its names.
    async fn open(&self, links: &Links, target: &mut Target, object: &str) -> Result<(), Box<Failure>> {
        let mut dir = self.dir_of(links, &target.local).await;
        if dir.is_err() && self.gives_way(target.local.parent()) {
            dir = self.dir_of(links, &target.local).await;
        }
        let Some(dir) = dir.map_err(|error| Failure::target(object, &error))? else { return Ok(()) };
        target.names = Some(Names {
            dir: SourceDir::from(dir),
            temporary: temporary_name(&self.job, target.id),
            name: CString::new(target.local.file_name()).expect("a local name has no NUL"),
        });
        Ok(())
    }
}

/// One blob under way.
pub(crate) struct Target {
    pub(crate) id: TransferId,
    pub(crate) local: LocalName,
    /// Where it is written; `None` when it is not kept.
    pub(crate) names: Option<Names>,
    /// Whether a file of that name is replaced.
    pub(crate) replace: bool,
}

/// Downloads one blob.
pub(crate) async fn blob<R: FileRing>(
    lane: &Rc<Lane<R>>,
    task: &Download,
    id: TransferId,
    item: &BlobItem,
) -> Result<Ended, Box<Failure>> {
    let result = anew(lane, task, id, item, 0).await;
    let is_over = match &result {
        Ok(Ended::Skipped(_)) => true,
        Err(failure) => failure.is_missing(),
        Ok(_) => false,
    };
    if is_over {
        resume::forget(lane, task, id, item).await;
    }
    result
}

/// Downloads a blob as it is now, having found it changed so many times.
async fn anew<R: FileRing>(
    lane: &Rc<Lane<R>>,
    task: &Download,
    id: TransferId,
    item: &BlobItem,
    changes: u32,
) -> Result<Ended, Box<Failure>> {
    let object = item.object();
    let local = task.local_name(item).map_err(|error| Failure::name(&object, &error))?;
    let asked;
    // Of what an earlier run has listed no more is known than that.
    let is_link = item.known == Known::Before && item.entry.facts.is_symlink();
    let item = if item.known == Known::Listed || !(is_link || needs_facts(lane.session())) {
        item
    } else {
        asked = ask(lane, item).await?;
        if leaves_out_link(lane.session(), task, &asked.entry.facts) {
            return Ok(Ended::Skipped(SkippedKind::Symlink));
        }
        &asked
    };
    if task.is_taken(item, &local) {
        let text = "another blob has the same name on this file system, where empty segments disappear";
        return Err(Box::new(Failure::new(FailureKind::Name, &object, text).advise("rename one of them")));
    }
    let is_listed = matches!(item.known, Known::Listed | Known::Before);
    let is_empty = item.entry.facts.len == 0 && !item.entry.facts.len_is_unknown;
    let is_stub = local.is_directory() && is_listed && is_empty;
    if item.entry.is_folder() || is_stub {
        let mut made = task.make_directory(lane.client.links(), &local).await;
        if made.is_err() && task.gives_way(local.as_bytes()) {
            made = task.make_directory(lane.client.links(), &local).await;
        }
        if !made.map_err(|error| Failure::target(&object, &error))? {
            return Ok(Ended::Done { bytes: 0 });
        }
        if lane.session().options.preserve_posix.is_none() || item.entry.facts.metadata.is_empty() {
            return Ok(Ended::Done { bytes: 0 });
        }
        return finish::directory(lane, task, id, item, local).map(|()| Ended::Elsewhere);
    }
    if local.is_directory() {
        let text = "its name ends in a slash and it is not empty: no file can have this name";
        return Err(Box::new(Failure::new(FailureKind::Name, &object, text)));
    }
    if finish::is_special(lane.session(), &item.entry.facts) {
        return Ok(Ended::Skipped(SkippedKind::Special));
    }
    let local = finish::unpacked_name(lane.session(), item, local);
    let mut target = Target { id, local, names: None, replace: true };
    if task.begun().keeps && !lane.shared.is_lost(id) {
        let kept = patient(lane.client.links(), async || kept(lane, task, item, &mut target)).await;
        if let Some(kind) = kept.map_err(|error| Failure::target(&object, &error))? {
            if is_made_before(lane, task, item, &mut target).await {
                return Ok(Ended::Done { bytes: item.entry.facts.len });
            }
            return Ok(Ended::Skipped(kind));
        }
    }
    let facts = &item.entry.facts;
    if item.known == Known::Listed {
        task.open(lane.client.links(), &mut target, &object).await?;
        if finish::is_link(lane.session(), facts) {
            return finish::link(lane, task, item, &target).await;
        }
    }
    get(lane, task, item, target, changes).await
}

/// Compares the file with the blob, if that is wanted.
async fn verified<R: FileRing>(
    lane: &Lane<R>,
    blob: (&str, Which<'_>),
    target: &Target,
    object: &str,
) -> Result<(), Box<Failure>> {
    match &target.names {
        Some(names) if lane.session().options.verify => {
            verify::named_file(lane, blob, &names.dir, &names.name, object).await
        }
        _ => Ok(()),
    }
}

/// Waits before a blob that has changed `changes` times while it was asked for is asked for again: not before the first
/// time, and within the policy for repeats. `false`: that was the last time, or the job stops.
async fn waits_for_peace<R: FileRing>(lane: &Lane<R>, changes: u32) -> bool {
    let session = lane.session();
    let policy = &session.options.retry;
    if changes <= 1 {
        return !session.verdict.stopping();
    }
    let pause = policy.first_pause.saturating_mul(1 << (changes - 2).min(16)).min(policy.max_pause);
    changes < policy.max_tries && pause_for(pause, || session.verdict.stopping()).await
}

/// Why a blob was not downloaded that somebody writes to.
fn changed(object: &str) -> Box<Failure> {
    let text = "the blob was changed while it was downloaded";
    let failure = Failure::new(FailureKind::Source, object, text);
    Box::new(failure.advise("run the job again when nobody writes to it"))
}

/// Whether the file that is there is the one that an earlier run has made of this blob and could not record: it was made
/// since the job was begun, and it holds the same bytes.
async fn is_made_before<R: FileRing>(
    lane: &Lane<R>,
    task: &Download,
    item: &BlobItem,
    target: &mut Target,
) -> bool {
    let (facts, id) = (&item.entry.facts, target.id);
    let options = &lane.session().options;
    if !lane.shared.is_resumed(id) || matches!(options.overwrite, Overwrite::Ask(_)) || options.decompress {
        return false;
    }
    let object = item.object();
    if task.open(lane.client.links(), target, &object).await.is_err() {
        return false;
    }
    let Some(names) = &target.names else { return false };
    let there = statat(&names.dir, &names.name, AtFlags::SYMLINK_NOFOLLOW);
    let is_recent = |there: Stat| {
        let seconds = u64::try_from(there.st_ctime).unwrap_or_default();
        u64::try_from(there.st_size) == Ok(facts.len)
            && FileType::from_raw_mode(there.st_mode) == FileType::RegularFile
            && lane.shared.is_since_begun(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    };
    there.is_ok_and(is_recent)
        && verify::named_file(
            lane,
            (&encode_path(&item.entry.name), item.which()),
            &names.dir,
            &names.name,
            &object,
        )
        .await
        .is_ok()
}

/// Whether a blob stands for a symbolic link that is not to be made. What was listed was judged there already.
fn leaves_out_link(session: &Session, task: &Download, facts: &BlobFacts) -> bool {
    facts.is_symlink() && !task.to_pipe && session.options.symlinks != Symlinks::Preserve
}

/// Whether something has to be known of a blob before it is asked for.
fn needs_facts(session: &Session) -> bool {
    let options = &session.options;
    !matches!(options.overwrite, Overwrite::Always) || options.decompress || options.preserve_posix.is_some()
}

/// What is known of a blob that somebody named.
async fn ask<R: FileRing>(lane: &Lane<R>, item: &BlobItem) -> Result<BlobItem, Box<Failure>> {
    let (blob, which) = (encode_path(&item.entry.name), item.which());
    let head = async |_| lane.client.head_blob(&blob, which).await;
    let asked = request(&lane.sender(), 0, Begin::UnlessStopping, head).await;
    let facts = asked.map_err(|gave_up| gave_up.for_object(lane.session(), &item.object()))?;
    if item.known == Known::Named && facts.hdi_isfolder() {
        return Err(is_directory(item));
    }
    let version_id = item.entry.facts.version_id.clone().or(facts.version_id.clone());
    let known = if item.known == Known::Version { Known::Version } else { Known::Listed };
    let facts = BlobFacts { version_id, ..facts };
    let entry = Box::new(BlobEntry { facts, ..(*item.entry).clone() });
    Ok(BlobItem { entry, relative_at: item.relative_at, known })
}

/// The name in a list is that of a directory's stub: what is below it is meant.
fn is_directory(item: &BlobItem) -> Box<Failure> {
    let mut failure = Failure::new(FailureKind::Missing, &item.object(), "it is a directory");
    failure.status = Some(404);
    Box::new(failure)
}

/// Repeats what fails for want of a descriptor.
async fn patient<T>(
    links: &Links,
    mut attempt: impl AsyncFnMut() -> Result<T, LocalError>,
) -> Result<T, LocalError> {
    let mut refused = None;
    let done = patiently(links, async || {
        attempt().await.map_err(|error| {
            let errno = error.raw_os_error();
            refused = Some(error);
            errno.map_or(std::io::ErrorKind::Other.into(), std::io::Error::from_raw_os_error)
        })
    });
    done.await.map_err(|_| refused.take().expect("an attempt has failed"))
}

/// Reads the first range, which for most blobs is all of it.
async fn get<R: FileRing>(
    lane: &Rc<Lane<R>>,
    task: &Download,
    item: &BlobItem,
    mut target: Target,
    mut changes: u32,
) -> Result<Ended, Box<Failure>> {
    let object = item.object();
    let blob = encode_path(&item.entry.name);
    let mut first_bytes = FIRST_BYTES.min(task.range_bytes);
    let mut told;
    // What a listing leaves out is told by the first answer: the length, and the ETag that all ranges are to have.
    let mut listed = (item.known == Known::Listed)
        .then_some(&item.entry.facts)
        .filter(|facts| !facts.len_is_unknown && (facts.etag.is_some() || facts.len <= task.range_bytes));
    loop {
        if let Some(facts) = listed
            && facts.len > task.range_bytes
        {
            return large::begin(lane, task, item, target, facts.clone(), changes).await;
        }
        let range = receive::Range {
            blob: &blob,
            which: item.which(),
            etag: listed.and_then(|facts| facts.etag.as_deref()),
            offset: 0,
            len: listed.map_or(first_bytes, |facts| facts.len),
            whole: listed.map(|facts| facts.len),
        };
        let got = match receive::range(lane, &range).await {
            // It was changed since it was listed: what it is now counts.
            Err(receive::NotReceived::Request(gave_up))
                if gave_up.precondition_failed() && listed.is_some() =>
            {
                changes += 1;
                if !waits_for_peace(lane, changes).await {
                    return Err(changed(&object));
                }
                // One answer is of one state: as much as possible of a blob that grows is asked for at once.
                let grown = listed.map_or(0, |facts| facts.len.saturating_mul(2));
                first_bytes = grown.clamp(first_bytes, task.range_bytes);
                listed = None;
                continue;
            }
            got => got.map_err(|failed| failed.for_object(lane.session(), &object))?,
        };
        let receive::Received { parts, facts } = got;
        let facts = match &facts {
            Some(facts) => facts,
            None => listed.expect("what is not listed is told by the answer"),
        };
        if item.known == Known::Named && facts.hdi_isfolder() {
            return Err(is_directory(item));
        }
        if item.known != Known::Listed && leaves_out_link(lane.session(), task, facts) {
            return Ok(Ended::Skipped(SkippedKind::Symlink));
        }
        if item.known != Known::Listed {
            // Not before it is known that there is something to write.
            task.open(lane.client.links(), &mut target, &object).await?;
        }
        let received: u64 = parts.iter().map(|part| part.len() as u64).sum();
        if received < facts.len {
            // Now it is known how long it is: the few bytes are asked for again, with the rest and of the same state.
            if facts.etag.is_none() && facts.len > task.range_bytes {
                let text =
                    "the answers have no ETag, and the blob needs several: they could be of different states";
                let advice =
                    "raise --block-size-mb above its length, or have the gateway in between pass ETags on";
                return Err(Box::new(Failure::new(FailureKind::Service, &object, text).advise(advice)));
            }
            told = facts.clone();
            listed = Some(&told);
            continue;
        }
        if finish::whole(lane, task, item, &target, facts, parts).await? {
            verified(lane, (&blob, item.which()), &target, &object).await?;
        }
        return Ok(Ended::Done { bytes: received });
    }
}

/// Whether what the target has stays as it is, and why.
fn kept<R: FileRing>(
    lane: &Lane<R>,
    task: &Download,
    item: &BlobItem,
    target: &mut Target,
) -> Result<Option<SkippedKind>, LocalError> {
    let overwrite = &lane.session().options.overwrite;
    if matches!(overwrite, Overwrite::Always) {
        return Ok(None);
    }
    let Some(tree) = task.tree()? else { return Ok(None) };
    let Some(there) = tree.stat(&target.local)? else {
        // Somebody else may make it while it is downloaded.
        target.replace = false;
        return Ok(None);
    };
    Ok(match overwrite {
        Overwrite::Always => None,
        Overwrite::Never => Some(SkippedKind::Exists),
        Overwrite::IfSourceNewer => {
            let modified_ns = i128::from(item.entry.facts.last_modified) * 1_000_000_000;
            (modified_ns <= there.mtime_ns).then_some(SkippedKind::NotNewer)
        }
        Overwrite::Ask(ask) => {
            let _one = task.asking.lock().expect("nothing panics while the lock is held");
            let path = tree.path_of(&target.local).display().to_string();
            (!ask(&path)).then_some(SkippedKind::Exists)
        }
    })
}

/// The name of a file that is not complete: of the job's and the transfer's numbers, so that it is short whatever the
/// file is called, and known to whoever goes on with the job.
fn temporary_name(job: &[u8; 16], id: TransferId) -> CString {
    let name = format!("{}{}-{}", temporary_prefix(job), id.part, id.index);
    CString::new(name).expect("there is no NUL in it")
}

/// What these names of a job begin with.
fn temporary_prefix(job: &[u8; 16]) -> String {
    format!(".azuring-{:032x}-", u128::from_be_bytes(*job))
}

/// What a download wants to know of a blob.
pub(crate) fn wanted() -> Wanted {
    Wanted { etag: true, content_md5: true, content: true, ..Wanted::default() }
}

/// Slots for so many bytes.
pub(crate) fn slots_for(len: u64) -> (SlotClass, usize) {
    if len <= azuring_ring::SMALL_SLOT_BYTES as u64 {
        (SlotClass::Small, usize::from(len > 0))
    } else {
        (SlotClass::Block, len.div_ceil(azuring_ring::BLOCK_SLOT_BYTES as u64) as usize)
    }
}

/// The parts of a blob, in order.
pub(crate) type Parts = Vec<Lease>;
