//! What a case works on, and whether it was done: files to upload are made once, kept, and read again before each run
//! so that none of them comes from the disk; what is downloaded goes to a directory that is empty before each run.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use azuring_bench::workload::{TreeSpec, large_file};
use crc_fast::{CrcAlgorithm, Digest};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::planted::Planted;
use crate::report::Case;
use crate::sink::Holds;

/// Content of the one small file: as short as AzCopy's own measurements.
const ONE_FILE: &[u8] = b"7 bytes";

const READ_BUFFER_BYTES: usize = 1 << 20;

/// How much there is to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Files of 4 KiB in the small case.
    pub(crate) files: usize,
    /// Directories they lie in.
    pub(crate) dirs: usize,
    /// Bytes in the large cases.
    pub(crate) large_bytes: u64,
    /// Blobs to list.
    pub(crate) listed: usize,
    /// Blobs to copy.
    pub(crate) copied: usize,
    /// Blobs to remove.
    pub(crate) removed: usize,
    /// Files of the dry run.
    pub(crate) dry: usize,
}

impl Size {
    pub(crate) const FULL: Self = Self {
        files: 100_000,
        dirs: 200,
        large_bytes: 4 << 30,
        listed: 1_000_000,
        copied: 50_000,
        removed: 50_000,
        dry: 300_000,
    };
    pub(crate) const QUICK: Self = Self {
        files: 10_000,
        dirs: 20,
        large_bytes: 512 << 20,
        listed: 100_000,
        copied: 5_000,
        removed: 5_000,
        dry: 30_000,
    };
}

/// What a case works on.
pub(crate) struct Workload {
    pub(crate) case: Case,
    /// The file or directory to upload, whose own name is the first part of every blob's name, or the directory to
    /// download to.
    pub(crate) local: PathBuf,
    /// Relative names below `local`; one empty name for a file, none for what is not uploaded.
    names: Vec<String>,
    /// What the container holds before.
    pub(crate) planted: Planted,
}

impl Drop for Workload {
    fn drop(&mut self) {
        for used in (0..).map(|n| self.used(n)).take_while(|path| path.exists()) {
            // What cannot be removed is left for the next one who looks.
            let _ = fs::remove_dir_all(used);
        }
    }
}

/// Blobs or files: name, length, CRC64, in the order of the names.
pub(crate) struct Manifest(Vec<(String, u64, u64)>);

/// A digest of a manifest or of a container, equal only if names, lengths and contents are.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) blobs: u64,
    pub(crate) bytes: u64,
    pub(crate) digest: u64,
}

impl Tally {
    /// Of entries in the byte order of their names.
    pub(crate) fn of<'a>(entries: impl Iterator<Item = (&'a str, u64, u64)>) -> Self {
        let mut digest = Digest::new(CrcAlgorithm::Crc64Nvme);
        let (mut blobs, mut bytes) = (0, 0);
        for (name, len, crc64) in entries {
            digest.update(&(name.len() as u64).to_le_bytes());
            digest.update(name.as_bytes());
            digest.update(&len.to_le_bytes());
            digest.update(&crc64.to_le_bytes());
            blobs += 1;
            bytes += len;
        }
        Self { blobs, bytes, digest: digest.finalize() }
    }

    /// What is not as in `expected`; `None` when everything is.
    pub(crate) fn difference(&self, expected: &Self) -> Option<String> {
        match self {
            _ if self.blobs != expected.blobs => {
                Some(format!("{} blobs, not {}", self.blobs, expected.blobs))
            }
            _ if self.bytes != expected.bytes => {
                Some(format!("{} bytes, not {}", self.bytes, expected.bytes))
            }
            _ if self.digest != expected.digest => Some("names or contents differ".to_owned()),
            _ => None,
        }
    }
}

impl Manifest {
    pub(crate) fn of(mut entries: Vec<(String, u64, u64)>) -> Self {
        entries.sort();
        Self(entries)
    }

    pub(crate) fn tally(&self) -> Tally {
        Tally::of(self.0.iter().map(|(name, len, crc64)| (name.as_str(), *len, *crc64)))
    }
}

impl Workload {
    /// The files of `case` below `work`, made unless they are there, and what is to be planted for it.
    pub(crate) fn prepare(case: Case, size: Size, work: &Path) -> Result<Self, Error> {
        let readable = true;
        let planted = match case {
            Case::Small | Case::Large | Case::One | Case::DryRun => Planted::default(),
            Case::Copy | Case::RelaySmall => {
                Planted { files: size.copied, dirs: size.copied / 500, file_bytes: 4096, readable }
            }
            Case::RelayLarge => Planted { files: 1, dirs: 0, file_bytes: size.large_bytes, readable },
            Case::DownSmall => Planted { files: size.files, dirs: size.dirs, file_bytes: 4096, readable },
            Case::DownLarge => Planted { files: 1, dirs: 0, file_bytes: size.large_bytes, readable },
            // As many in a directory as in the small case.
            Case::List => {
                Planted { files: size.listed, dirs: size.listed / 500, file_bytes: 4096, readable: false }
            }
            Case::Remove => {
                Planted { files: size.removed, dirs: size.removed / 500, file_bytes: 4096, readable: false }
            }
        };
        // A directory of its own for each size, renamed when complete: what is there is whole.
        let (dir, local) = match case {
            Case::Small => (format!("small-{}", size.files), "small"),
            Case::Large => (format!("large-{}", size.large_bytes), "large.bin"),
            Case::One => ("one".to_owned(), "one.bin"),
            Case::DryRun => (format!("dry-{}", size.dry), "dry"),
            Case::DownSmall
            | Case::DownLarge
            | Case::List
            | Case::Remove
            | Case::Copy
            | Case::RelaySmall
            | Case::RelayLarge => {
                return Ok(Self { case, local: work.join("down"), names: Vec::new(), planted });
            }
        };
        let dir = work.join(dir);
        let tree = match case {
            Case::DryRun => TreeSpec { files: size.dry, dirs: size.dry / 500, file_bytes: 0, seed: 1 },
            _ => TreeSpec { files: size.files, dirs: size.dirs, file_bytes: 4096, seed: 1 },
        };
        if !dir.exists() {
            eprintln!("making {}", dir.display());
            let partial = dir.with_extension("partial");
            let _ = fs::remove_dir_all(&partial);
            fs::create_dir_all(&partial)?;
            match case {
                Case::Large => large_file(&partial.join(local), size.large_bytes).map(drop)?,
                Case::One => fs::write(partial.join(local), ONE_FILE)?,
                _ => tree.create_unlisted(&partial.join(local))?,
            }
            fs::rename(&partial, &dir)?;
        }
        let names = match case {
            Case::Large | Case::One => vec![String::new()],
            _ => (0..tree.files).map(|index| tree.name(index)).collect(),
        };
        Ok(Self { case, local: dir.join(local), names, planted })
    }

    /// Makes everything ready for a run; the blobs or files it works on.
    pub(crate) fn begin(&self) -> Result<Manifest, Error> {
        if self.planted == Planted::default() {
            return self.read();
        }
        self.put_away()?;
        fs::create_dir_all(&self.local)?;
        Ok(self.planted.manifest())
    }

    /// Why the run does not count, from what the sink holds, the client printed, and lies in the directory.
    pub(crate) fn check(
        &self,
        worked_on: &Manifest,
        holds: &Holds,
        stdout: &str,
    ) -> Result<Option<String>, Error> {
        let expected = worked_on.tally();
        let lines = |mark: &str| stdout.lines().filter(|line| line.contains(mark)).count() as u64;
        let listed = |count: u64, what: &str| {
            (count != expected.blobs).then(|| format!("{count} {what}, not {}", expected.blobs))
        };
        let sink = |wanted: &Tally| holds.tally.difference(wanted).map(|text| format!("the sink: {text}"));
        Ok(match self.case {
            Case::Small | Case::Large | Case::One | Case::Copy | Case::RelaySmall | Case::RelayLarge => {
                sink(&expected)
            }
            Case::DownSmall | Case::DownLarge => {
                let there = self.downloaded(worked_on)?;
                match self.case {
                    // Gigabytes that nobody reads again.
                    Case::DownLarge => fs::remove_dir_all(&self.local)?,
                    _ => self.put_away()?,
                }
                there.difference(&expected).map(|text| format!("the directory: {text}"))
            }
            Case::List => listed(lines("; Content Length: "), "names were listed"),
            Case::Remove => sink(&Manifest::of(Vec::new()).tally()),
            Case::DryRun => listed(lines("DRYRUN: copy "), "files were told")
                .or_else(|| sink(&Manifest::of(Vec::new()).tally())),
        })
    }

    /// Takes the directory of an earlier run out of the way. It is removed at the end of the case and not before: for
    /// five minutes ext4 gives no inode away that was freed, and looks at all of these for every file that is made (600
    /// us a file after 100,000 removals).
    fn put_away(&self) -> Result<(), Error> {
        if self.local.exists() {
            let used =
                (0..).map(|n| self.used(n)).find(|path| !path.exists()).expect("there is a free number");
            fs::rename(&self.local, used)?;
        }
        Ok(())
    }

    fn used(&self, n: u32) -> PathBuf {
        let mut name = self.local.file_name().unwrap_or_default().to_owned();
        name.push(format!("-used-{n}"));
        self.local.with_file_name(name)
    }

    /// What lies in the directory: the manifest's files as they are, and every other file counted.
    fn downloaded(&self, manifest: &Manifest) -> Result<Tally, Error> {
        let mut buffer = vec![0; READ_BUFFER_BYTES];
        let mut entries = Vec::with_capacity(manifest.0.len());
        for (name, _, _) in &manifest.0 {
            let path = self.local.join(name);
            if path.exists() {
                let (len, crc64) = read_file(&path, &mut buffer)?;
                entries.push((name.as_str(), len, crc64));
            }
        }
        let mut tally = Tally::of(entries.into_iter());
        tally.blobs = count_files(&self.local)?;
        Ok(tally)
    }

    /// Reads every file, which leaves it in the page cache, and returns what it saw.
    fn read(&self) -> Result<Manifest, Error> {
        let base = self.local.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut buffer = vec![0; READ_BUFFER_BYTES];
        let mut entries = Vec::with_capacity(self.names.len());
        for name in &self.names {
            let (path, blob) = match name.as_str() {
                "" => (self.local.clone(), base.clone()),
                name => (self.local.join(name), format!("{base}/{name}")),
            };
            let (len, crc64) = read_file(&path, &mut buffer)?;
            entries.push((blob, len, crc64));
        }
        Ok(Manifest::of(entries))
    }

    /// Files and bytes of a manifest.
    pub(crate) fn totals(manifest: &Manifest) -> (u64, u64) {
        (manifest.0.len() as u64, manifest.0.iter().map(|(_, len, _)| len).sum())
    }
}

/// Files below a directory, however deep.
fn count_files(dir: &Path) -> Result<u64, Error> {
    let mut count = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        count += if entry.file_type()?.is_dir() { count_files(&entry.path())? } else { 1 };
    }
    Ok(count)
}

/// Reads a file to its end; its length and CRC64.
pub(crate) fn read_file(path: &Path, buffer: &mut [u8]) -> Result<(u64, u64), Error> {
    let mut file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut digest = Digest::new(CrcAlgorithm::Crc64Nvme);
    let mut len = 0;
    loop {
        match file.read(buffer)? {
            0 => return Ok((len, digest.finalize())),
            now => {
                digest.update(&buffer[..now]);
                len += now as u64;
            }
        }
    }
}
