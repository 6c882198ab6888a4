//! Blobs become local files: where these are, and what they are called.

use std::collections::{HashMap, HashSet};
use std::ffi::{CString, OsStr};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use azuring_azure::Wanted;
use azuring_job::entry::BlobItem;
use azuring_job::failure::{Failure, FailureKind};
use azuring_job::outcome::{Outcome, TransferId};
use azuring_job::spec::SpecWork;
use azuring_link::Links;
use azuring_local::{Destination, KNOWN_DIRECTORIES, LocalError, TargetTree};
use azuring_plan::destination::NamingOptions;
use azuring_plan::download::{DownloadNaming, LocalDestination, LocalName, RemoteShape, TargetRoot};
use azuring_ring::{Names, SourceDir};

use crate::limits::patience::patiently;
use crate::object::in_order::Held;
use crate::object::target::{Target, temporary_name};

use super::directories::{Directories, Made};
use super::names::Given;

/// Blobs become local files.
pub struct Download {
    /// As the user named it.
    pub(crate) destination: PathBuf,
    /// What that leads to.
    place: Destination,
    pub(crate) as_subdir: bool,
    /// Nothing is written.
    dry_run: bool,
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
    pub(crate) held: Arc<Held>,
    /// Where the bytes go instead of to files, until somebody takes it.
    pipe: Mutex<Option<Box<dyn Write + Send>>>,
    to_pipe: bool,
    /// Local names of blobs whose own have empty segments, each with the blob that has it.
    pub(super) collapsed: Mutex<HashMap<LocalName, String>>,
    pub(super) any_collapsed: AtomicBool,
    /// The other names of a list.
    pub(super) given: Mutex<Given>,
    /// Empty files that may have to be directories.
    pub(super) empty: Mutex<HashSet<LocalName>>,
    /// Directories that get their properties at the end.
    pub(crate) directories: Directories,
    /// Whether it was told that set-user bits are left out.
    setuid_told: AtomicBool,
    /// The same of times that the file system has changed.
    time_told: AtomicBool,
    /// Unfinished files of an earlier run that were taken up, or could not be.
    taken_up: Mutex<HashSet<TransferId>>,
}

pub(crate) struct Begun {
    pub(super) naming: Rule,
    /// Names are relative to this.
    root: PathBuf,
    /// Whether anything is kept.
    pub(crate) keeps: bool,
    /// Where that is written, once it is there.
    tree: OnceLock<TargetTree>,
}

pub(super) enum Rule {
    Names(DownloadNaming),
    /// Versions of one blob, each under its id and the blob's last name.
    Versions,
}

impl Download {
    /// Gives it other bounds of what may wait to be summed.
    pub fn hold(&mut self, held: Arc<Held>) {
        self.held = held;
    }

    /// A download to `place`, to which `destination` leads. `naming`, `range_bytes` and `mode` as in the fields; `job`
    /// is part of temporary names.
    pub fn new(
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
            given: Mutex::default(),
            empty: Mutex::default(),
            directories: Directories::default(),
            setuid_told: AtomicBool::new(false),
            time_told: AtomicBool::new(false),
            taken_up: Mutex::default(),
        }
    }

    /// Holds at most so many directories of the target open.
    pub fn holding(mut self, directories: usize) -> Self {
        self.held_directories = directories;
        self
    }

    /// Whether the unfinished file of an earlier run may be taken up: once, since what this run makes instead has the
    /// same name.
    pub(crate) fn takes_up(&self, id: TransferId) -> bool {
        self.taken_up.lock().expect("nothing panics while the lock is held").insert(id)
    }

    /// Tells once that the set-user bits of files are left out.
    pub(crate) fn tell_setuid(&self, notice: impl Fn(&str)) {
        if !self.setuid_told.swap(true, Ordering::SeqCst) {
            notice("set-user-ID and set-group-ID of files are left out; --preserve-setuid restores them");
        }
    }

    /// Tells once that the file system has changed a time, here that of `object`.
    pub(crate) fn tell_time(&self, object: &str, notice: impl Fn(&str)) {
        if !self.time_told.swap(true, Ordering::SeqCst) {
            notice(&format!(
                "{object}: the file system cannot keep this time and has set another (told once)"
            ));
        }
    }

    /// Sends the bytes of the one blob into `pipe` instead.
    pub fn into_pipe(mut self, pipe: Box<dyn Write + Send>) -> Self {
        self.pipe = Mutex::new(Some(pipe));
        self.to_pipe = true;
        self
    }

    /// The pipe, for whoever writes to it: there is one blob.
    pub(crate) fn pipe(&self) -> Option<Box<dyn Write + Send>> {
        if !self.to_pipe {
            return None;
        }
        self.pipe.lock().expect("nothing panics while the lock is held").take()
    }

    /// Whether the bytes go into a pipe.
    pub fn is_pipe(&self) -> bool {
        self.to_pipe
    }

    /// Whether nothing is kept.
    pub fn is_null(&self) -> bool {
        self.place == Destination::Null
    }

    /// Decides names and root, now that it is known what the source is. Tells whether the destination is a directory:
    /// `was` says that it was one when the job began, and that counts.
    pub fn begin(
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
    pub fn begin_versions(&self) -> Result<(), Box<Failure>> {
        self.set(Rule::Versions, self.destination.clone())
    }

    /// The same with names and root decided, by whoever planned the job; `None`: versions of one blob.
    pub fn begin_as(&self, naming: Option<DownloadNaming>, root: PathBuf) -> Result<(), Box<Failure>> {
        self.set(naming.map_or(Rule::Versions, Rule::Names), root)
    }

    /// What is done, as a spec has it. Only when it has begun, and not for a pipe.
    pub(super) fn work(&self) -> std::io::Result<SpecWork> {
        let begun = self.begun();
        Ok(SpecWork::Download {
            destination: std::path::absolute(&self.destination)?,
            root: std::path::absolute(&begun.root)?,
            is_null: self.is_null(),
            naming: match &begun.naming {
                Rule::Names(naming) => Some(naming.clone()),
                Rule::Versions => None,
            },
        })
    }

    fn set(&self, naming: Rule, root: PathBuf) -> Result<(), Box<Failure>> {
        let keeps = !(self.is_null() || self.dry_run || self.to_pipe);
        let is_there = root.symlink_metadata().is_ok();
        // The planner begins once.
        let _ = self.begun.set(Begun { naming, root, keeps, tree: OnceLock::new() });
        if keeps && is_there {
            // Told now if nothing can be written there. A directory that is missing is made with the first of its
            // files.
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
    pub(crate) fn tree(&self) -> Result<Option<&TargetTree>, LocalError> {
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

    pub(crate) fn begun(&self) -> &Begun {
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
    async fn dir_of<'a>(
        &self,
        links: impl Iterator<Item = &'a Links> + Clone,
        local: &LocalName,
    ) -> Result<Option<Arc<OwnedFd>>, LocalError> {
        patient(links, async || match self.tree()? {
            Some(tree) => tree.dir_of(local).map(Some),
            None => Ok(None),
        })
        .await
    }

    /// Makes the directory `local` itself; `false` when nothing is kept.
    pub(crate) async fn make_directory<'a>(
        &self,
        links: impl Iterator<Item = &'a Links> + Clone,
        local: &LocalName,
    ) -> Result<bool, LocalError> {
        patient(links, async || match self.tree()? {
            Some(tree) => tree.make_dir(local).map(|_| true),
            None => Ok(false),
        })
        .await
    }

    /// Gives the directories their properties. Only when nothing is made in them any more.
    pub fn finish_directories(&self) -> Vec<Outcome> {
        self.directories.take_all().into_iter().map(|made| self.finish_directory(made)).collect()
    }

    /// Gives one its properties.
    pub(crate) fn finish_directory(&self, made: Made) -> Outcome {
        made.finish(self.tree())
    }

    /// Opens the directory of the target and gives it its names.
    pub(crate) async fn open<'a>(
        &self,
        links: impl Iterator<Item = &'a Links> + Clone,
        target: &mut Target,
        object: &str,
    ) -> Result<(), Box<Failure>> {
        let mut dir = self.dir_of(links.clone(), &target.local).await;
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

/// Repeats what fails for want of a descriptor.
pub(crate) async fn patient<'a, T>(
    links: impl Iterator<Item = &'a Links> + Clone,
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

/// What a download wants to know of a blob.
pub fn wanted() -> Wanted {
    Wanted::default().etag(true).content_md5(true).content(true)
}
