//! Deterministic file trees.
//!
//! Three workloads: many small files ([`small_tree`], [`TreeSpec`]), one huge file ([`large_file`]), and one tree that
//! holds every name, size and content kind that has ever broken an upload tool ([`awkward_tree`]). Each returns what it
//! wrote as a [`Tree`] or [`FileFacts`], so that a reader on the far side can be checked without the source.

mod awkward;
mod noise;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

pub use awkward::{AWKWARD_FILES, awkward_tree};
pub use noise::Noise;

use crc_fast::{CrcAlgorithm, Digest};

/// Size of the buffer contents are produced in: large enough that the system call does not count.
const WRITE_BUFFER_BYTES: usize = 1 << 20;

/// Length and checksum of one file as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileFacts {
    /// Length in bytes.
    pub len_bytes: u64,
    /// CRC-64/NVME of the content: the checksum Azure calls CRC64.
    pub crc64: u64,
}

impl FileFacts {
    /// The facts of `content`.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        Self { len_bytes: content.len() as u64, crc64: crc_fast::checksum(CrcAlgorithm::Crc64Nvme, content) }
    }
}

/// What was written: every file below `root`, by its path relative to `root` with `/` between the parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// The directory the paths are relative to.
    pub root: PathBuf,
    /// Relative path -> facts, in the byte order of the paths.
    pub files: BTreeMap<String, FileFacts>,
}

impl Tree {
    /// Sum of all file lengths in bytes.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.files.values().map(|facts| facts.len_bytes).sum()
    }

    /// Where the file with this relative path lies.
    #[must_use]
    pub fn path_of(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// Writes `content` as `relative` and notes it; parent directories are made.
    fn put(&mut self, relative: &str, content: &[u8]) -> io::Result<()> {
        let path = self.path_of(relative);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let mut file = File::create_new(&path)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
        file.write_all(content)?;
        self.files.insert(relative.to_owned(), FileFacts::of(content));
        Ok(())
    }
}

/// A tree of equal small files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeSpec {
    /// Number of files.
    pub files: usize,
    /// Number of directories they are spread over in turn; 0 puts all of them into the root.
    pub dirs: usize,
    /// Length of each file in bytes.
    pub file_bytes: usize,
    /// Two seeds give two trees with the same names and different contents.
    pub seed: u64,
}

impl TreeSpec {
    /// Relative path of file `index`: `d0007/f0000123.bin`.
    #[must_use]
    pub fn name(&self, index: usize) -> String {
        match self.dirs {
            0 => format!("f{index:07}.bin"),
            dirs => format!("{}/f{index:07}.bin", Self::dir_name(index % dirs)),
        }
    }

    /// Writes the tree below `root` (made if missing) and returns the manifest.
    ///
    /// # Errors
    /// Any error of the file system, a file that is there already included.
    pub fn create(&self, root: &Path) -> io::Result<Tree> {
        let mut files = BTreeMap::new();
        self.write(root, |name, content| {
            files.insert(name, FileFacts::of(content));
        })?;
        Ok(Tree { root: root.to_owned(), files })
    }

    /// Writes the tree without a manifest, for trees whose list of names would not be worth its memory.
    ///
    /// # Errors
    /// As [`TreeSpec::create`].
    pub fn create_unlisted(&self, root: &Path) -> io::Result<()> {
        self.write(root, |_, _| ())
    }

    fn dir_name(index: usize) -> String {
        format!("d{index:04}")
    }

    fn write(&self, root: &Path, mut wrote: impl FnMut(String, &[u8])) -> io::Result<()> {
        fs::create_dir_all(root)?;
        for dir in 0..self.dirs {
            fs::create_dir_all(root.join(Self::dir_name(dir)))?;
        }
        let mut content = vec![0; self.file_bytes];
        for index in 0..self.files {
            let name = self.name(index);
            Noise::new(self.seed ^ index as u64).fill(&mut content);
            File::create_new(root.join(&name))?.write_all(&content)?;
            wrote(name, &content);
        }
        Ok(())
    }
}

/// `n_files` files of `bytes` bytes each, spread over `n_dirs` directories below `root`.
///
/// # Errors
/// As [`TreeSpec::create`].
pub fn small_tree(root: &Path, n_files: usize, n_dirs: usize, bytes: usize) -> io::Result<Tree> {
    TreeSpec { files: n_files, dirs: n_dirs, file_bytes: bytes, seed: 1 }.create(root)
}

/// One file of `bytes` bytes at `path`; its directory is made if missing.
///
/// # Errors
/// Any error of the file system, a file that is there already included.
pub fn large_file(path: &Path, bytes: u64) -> io::Result<FileFacts> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut file = File::create_new(path)?;
    let mut noise = Noise::new(bytes);
    let mut digest = Digest::new(CrcAlgorithm::Crc64Nvme);
    let mut buffer = vec![0; WRITE_BUFFER_BYTES];
    let mut left = bytes;
    while left > 0 {
        let now = usize::try_from(left).map_or(WRITE_BUFFER_BYTES, |left| left.min(WRITE_BUFFER_BYTES));
        noise.fill(&mut buffer[..now]);
        digest.update(&buffer[..now]);
        file.write_all(&buffer[..now])?;
        left -= now as u64;
    }
    Ok(FileFacts { len_bytes: bytes, crc64: digest.finalize() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_one_azure_documents() {
        // Azure's own example: "Hello Azure!" -> base64 DtjZpL9/o8c= (8 bytes, little endian).
        let facts = FileFacts::of(b"Hello Azure!");
        assert_eq!(facts.crc64.to_le_bytes(), [0x0e, 0xd8, 0xd9, 0xa4, 0xbf, 0x7f, 0xa3, 0xc7]);
    }

    #[test]
    fn a_small_tree_is_the_same_each_time_and_its_files_differ() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = small_tree(one.path(), 50, 4, 333).unwrap();
        let second = small_tree(two.path(), 50, 4, 333).unwrap();
        assert_eq!(first.files, second.files);
        assert_eq!(first.files.len(), 50);
        assert_eq!(first.total_bytes(), 50 * 333);
        let contents: std::collections::BTreeSet<u64> =
            first.files.values().map(|facts| facts.crc64).collect();
        assert_eq!(contents.len(), 50, "two files with the same content would hide a mix-up");
        for (name, facts) in &first.files {
            assert_eq!(*facts, FileFacts::of(&fs::read(first.path_of(name)).unwrap()));
        }
    }

    #[test]
    fn a_large_file_has_the_length_and_checksum_it_reports() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/large.bin");
        let facts = large_file(&path, 3 * (1 << 20) + 17).unwrap();
        assert_eq!(facts, FileFacts::of(&fs::read(path).unwrap()));
        assert_eq!(facts.len_bytes, 3 * (1 << 20) + 17);
    }
}
