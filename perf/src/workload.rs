//! The files to upload: made once, kept, and read again before each run so that none of them comes from the disk.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use azuring_bench::workload::{TreeSpec, large_file};
use crc_fast::{CrcAlgorithm, Digest};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::report::Case;

/// Content of the one small file: as short as AzCopy's own measurements.
const ONE_FILE: &[u8] = b"7 bytes";

const READ_BUFFER_BYTES: usize = 1 << 20;

/// How much is uploaded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Files of 4 KiB in the small case.
    pub(crate) files: usize,
    /// Directories they lie in.
    pub(crate) dirs: usize,
    /// Bytes in the large case.
    pub(crate) large_bytes: u64,
}

impl Size {
    pub(crate) const FULL: Self = Self { files: 100_000, dirs: 200, large_bytes: 4 << 30 };
    pub(crate) const QUICK: Self = Self { files: 10_000, dirs: 20, large_bytes: 512 << 20 };
}

/// A source on disk.
pub(crate) struct Workload {
    pub(crate) case: Case,
    /// The file or directory to upload; its own name is the first part of every blob's name.
    pub(crate) source: PathBuf,
    /// Relative names below `source`; one empty name for a file.
    names: Vec<String>,
}

/// What a sink must hold after an upload: blob name, length, CRC64.
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
}

impl Manifest {
    pub(crate) fn tally(&self) -> Tally {
        Tally::of(self.0.iter().map(|(name, len, crc64)| (name.as_str(), *len, *crc64)))
    }
}

impl Workload {
    /// The files of `case` below `work`; made unless they are there.
    pub(crate) fn prepare(case: Case, size: Size, work: &Path) -> Result<Self, Error> {
        // A directory of its own for each size, renamed when complete: what is there is whole.
        let (dir, source) = match case {
            Case::Small => (format!("small-{}", size.files), "small"),
            Case::Large => (format!("large-{}", size.large_bytes), "large.bin"),
            Case::One => ("one".to_owned(), "one.bin"),
        };
        let dir = work.join(dir);
        let tree = TreeSpec { files: size.files, dirs: size.dirs, file_bytes: 4096, seed: 1 };
        if !dir.exists() {
            eprintln!("making {}", dir.display());
            let partial = dir.with_extension("partial");
            let _ = fs::remove_dir_all(&partial);
            fs::create_dir_all(&partial)?;
            match case {
                Case::Small => tree.create_unlisted(&partial.join(source))?,
                Case::Large => large_file(&partial.join(source), size.large_bytes).map(drop)?,
                Case::One => fs::write(partial.join(source), ONE_FILE)?,
            }
            fs::rename(&partial, &dir)?;
        }
        let names = match case {
            Case::Small => (0..tree.files).map(|index| tree.name(index)).collect(),
            Case::Large | Case::One => vec![String::new()],
        };
        Ok(Self { case, source: dir.join(source), names })
    }

    /// Reads every file, which leaves it in the page cache, and returns what it saw.
    pub(crate) fn read(&self) -> Result<Manifest, Error> {
        let base = self.source.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut buffer = vec![0; READ_BUFFER_BYTES];
        let mut entries = Vec::with_capacity(self.names.len());
        for name in &self.names {
            let (path, blob) = match name.as_str() {
                "" => (self.source.clone(), base.clone()),
                name => (self.source.join(name), format!("{base}/{name}")),
            };
            let (len, crc64) = read_file(&path, &mut buffer)?;
            entries.push((blob, len, crc64));
        }
        entries.sort();
        Ok(Manifest(entries))
    }

    /// Files and bytes of a manifest.
    pub(crate) fn totals(manifest: &Manifest) -> (u64, u64) {
        (manifest.0.len() as u64, manifest.0.iter().map(|(_, len, _)| len).sum())
    }
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
