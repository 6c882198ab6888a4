//! A machine that stops in the middle of things, and what its disk holds then.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use azuring_journal::{CommitBy, Disk, Jobs, Storage};
use rustix::io::Errno;
use tempfile::TempDir;

/// What a crash leaves of what was not made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaves {
    /// All that was written, and half of what was being written.
    Everything,
    /// The names alone: files hold what they held when they were last synced.
    Names,
    /// Nothing: a file is there if its directory was synced since, and so with the directory itself.
    Nothing,
}

/// A machine that stops at its `after`th request.
#[derive(Debug)]
pub(crate) struct Machine {
    root: TempDir,
    after: usize,
    leaves: Leaves,
    /// A request to sync that it says it has met, and has not.
    ignores: Option<usize>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    requests: usize,
    /// Those that sync a file or a directory.
    syncs: Vec<usize>,
    /// What files hold that is durable, by their inode; open, so that no other gets it.
    contents: HashMap<u64, (File, Vec<u8>)>,
    /// What directories hold that is durable.
    names: HashMap<PathBuf, Vec<(PathBuf, Kind)>>,
    /// What the machine finds on its disk when it starts again.
    left: Option<Image>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Directory,
    /// Its inode.
    File(u64),
}

/// All that a disk holds, directories (without bytes) before what is in them.
type Image = BTreeMap<PathBuf, Option<Vec<u8>>>;

impl Machine {
    pub(crate) fn new(after: usize, leaves: Leaves, ignores: Option<usize>) -> Arc<Self> {
        let root = tempfile::tempdir().unwrap();
        Arc::new(Self { root, after, leaves, ignores, seen: Mutex::default() })
    }

    /// Its jobs, in a directory that is not there yet, nor is the one above it.
    pub(crate) fn jobs(self: &Arc<Self>) -> Jobs {
        self.jobs_after_it().storage(Arc::clone(self) as _)
    }

    /// The same on a machine that stops no more.
    pub(crate) fn jobs_after_it(&self) -> Jobs {
        Jobs::new(&self.root.path().join("share/azuring")).commit_by(CommitBy::Caller)
    }

    /// Requests so far.
    pub(crate) fn requests(&self) -> usize {
        self.seen.lock().unwrap().requests
    }

    /// The requests to sync so far.
    pub(crate) fn syncs(&self) -> Vec<usize> {
        self.seen.lock().unwrap().syncs.clone()
    }

    /// An earlier power failure left these bytes behind what is durable of a file.
    pub(crate) fn leave_torn(&self, path: &Path, bytes: &[u8]) {
        let file = OpenOptions::new().write(true).open(path).unwrap();
        let meta = file.metadata().unwrap();
        file.write_all_at(bytes, meta.len()).unwrap();
        let mut seen = self.seen.lock().unwrap();
        let (_, durable) = seen.contents.get_mut(&meta.ino()).expect("it was synced");
        durable.extend_from_slice(bytes);
    }

    /// Stops it, now that nothing is asked of it.
    pub(crate) fn stop(&self) {
        self.seen.lock().unwrap().stop(self.leaves, self.root.path()).unwrap();
    }

    /// Starts the machine again, with what its disk holds.
    pub(crate) fn restart(&self) {
        let image = self.seen.lock().unwrap().left.take().expect("it has stopped");
        for (path, _) in entries(self.root.path()).unwrap() {
            fs::remove_dir_all(path).unwrap();
        }
        for (path, bytes) in image {
            match bytes {
                Some(bytes) => fs::write(path, bytes).unwrap(),
                None => fs::create_dir(path).unwrap(),
            }
        }
    }

    /// Counts a request; the one that the machine does not live to see the end of comes as far as `half`.
    fn ask(&self, half: impl FnOnce() -> io::Result<()>) -> io::Result<MutexGuard<'_, Seen>> {
        let mut seen = self.seen.lock().unwrap();
        seen.requests += 1;
        if seen.requests == self.after {
            half()?;
            seen.stop(self.leaves, self.root.path())?;
        }
        if seen.left.is_some() { Err(Errno::IO.into()) } else { Ok(seen) }
    }

    /// Counts a request to sync; `None`: it is ignored.
    fn ask_to_sync(&self) -> io::Result<Option<MutexGuard<'_, Seen>>> {
        let mut seen = self.ask(|| Ok(()))?;
        let request = seen.requests;
        seen.syncs.push(request);
        Ok((self.ignores != Some(request)).then_some(seen))
    }
}

impl Seen {
    /// What the file holds is durable.
    fn keep(&mut self, file: &File) -> io::Result<()> {
        let meta = file.metadata()?;
        let mut bytes = vec![0; meta.len() as usize];
        file.read_exact_at(&mut bytes, 0)?;
        self.contents.insert(meta.ino(), (file.try_clone()?, bytes));
        Ok(())
    }

    fn stop(&mut self, leaves: Leaves, root: &Path) -> io::Result<()> {
        let mut image = Image::new();
        self.image(leaves, root, &mut image)?;
        self.left = Some(image);
        Ok(())
    }

    /// What is left of a directory.
    fn image(&self, leaves: Leaves, directory: &Path, image: &mut Image) -> io::Result<()> {
        let entries = match leaves {
            Leaves::Nothing => self.names.get(directory).cloned().unwrap_or_default(),
            Leaves::Everything | Leaves::Names => entries(directory)?,
        };
        for (path, kind) in entries {
            let bytes = match (kind, leaves) {
                (Kind::Directory, _) => {
                    self.image(leaves, &path, image)?;
                    None
                }
                (Kind::File(_), Leaves::Everything) => Some(fs::read(&path)?),
                (Kind::File(inode), _) => {
                    Some(self.contents.get(&inode).map(|(_, bytes)| bytes.clone()).unwrap_or_default())
                }
            };
            image.insert(path, bytes);
        }
        Ok(())
    }
}

fn entries(directory: &Path) -> io::Result<Vec<(PathBuf, Kind)>> {
    fs::read_dir(directory)?
        .map(|entry| {
            let entry = entry?;
            let meta = entry.metadata()?;
            let kind = if meta.is_dir() { Kind::Directory } else { Kind::File(meta.ino()) };
            Ok((entry.path(), kind))
        })
        .collect()
}

impl Storage for Machine {
    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        let _seen = self.ask(|| Disk.write_at(file, &bytes[..bytes.len() / 2], offset))?;
        Disk.write_at(file, bytes, offset)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        self.ask_to_sync()?.map_or(Ok(()), |mut seen| seen.keep(file))
    }

    fn set_len(&self, file: &File, len: u64) -> io::Result<()> {
        let _seen = self.ask(|| Ok(()))?;
        Disk.set_len(file, len)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let _seen = self.ask(|| Ok(()))?;
        Disk.rename(from, to)
    }

    fn sync_dir(&self, directory: &Path) -> io::Result<()> {
        let Some(mut seen) = self.ask_to_sync()? else { return Ok(()) };
        seen.names.insert(directory.to_owned(), entries(directory)?);
        Ok(())
    }
}
