//! External sort of a directory that is too large for memory: sorted runs in an unlinked file, merged.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::listing::{Kind, Names};

/// Buffers of all runs of a merge together: 8 MiB, or half of the walk's memory for names where that is less...
pub(crate) const MERGE_BYTES: usize = 8 << 20;
/// ...but at least this much each (a run has at least `MIN_RUN_BYTES`, so a directory with 8 GiB of names
/// has at most 8,192 runs, and their buffers 32 MiB).
const MIN_BUFFER: usize = 4 << 10;
/// Few runs need no more: reads of this size are sequential enough.
const MAX_BUFFER: usize = 256 << 10;
/// Length (2, little-endian), kind (1).
const HEADER: usize = 3;

/// Sorted runs on their way to disk.
#[derive(Debug)]
pub(crate) struct Runs {
    file: File,
    /// Start of each run, and the end of the last.
    bounds: Vec<u64>,
}

impl Runs {
    /// A new file, without a name, mode 0600: in the system's directory for temporary files, unless that lies in
    /// memory, which is what a sort file is to spare; then in `/var/tmp`.
    pub(crate) fn new() -> io::Result<Self> {
        let file = file_in(&[&std::env::temp_dir(), Path::new(ON_DISK)])?;
        Ok(Self { file, bounds: vec![0] })
    }

    /// Writes `names`, which must be sorted, as one run.
    pub(crate) fn push(&mut self, names: &Names) -> io::Result<()> {
        let mut out = io::BufWriter::with_capacity(MAX_BUFFER, &self.file);
        let mut len = 0;
        for (name, kind) in names.iter() {
            let name_len = u16::try_from(name.len()).expect("taken from a u16");
            out.write_all(&name_len.to_le_bytes())?;
            out.write_all(&[kind as u8])?;
            out.write_all(name)?;
            len += (HEADER + name.len()) as u64;
        }
        out.flush()?;
        let end = self.bounds.last().expect("starts with one");
        self.bounds.push(end + len);
        Ok(())
    }

    /// Starts reading all runs in order, with so many bytes of buffers.
    pub(crate) fn merge(self, buffers: usize) -> io::Result<Merge> {
        let count = self.bounds.len() - 1;
        let buffer = (buffers / count.max(1)).clamp(MIN_BUFFER, MAX_BUFFER);
        let (runs, heads, bytes) = (Vec::with_capacity(count), BinaryHeap::new(), buffer * count);
        let mut merge = Merge { file: self.file, runs, heads, bytes };
        for bounds in self.bounds.windows(2) {
            let run = Run { at: bounds[0], end: bounds[1], buffer: Vec::new(), start: 0, chunk: buffer };
            merge.runs.push(run);
            merge.advance(merge.runs.len() - 1)?;
        }
        Ok(merge)
    }
}

/// Where files that are temporary and large belong (`hier(7)`).
const ON_DISK: &str = "/var/tmp";

/// A file without a name in the first of these directories that is on a disk; where none is, in the first that takes
/// one.
fn file_in(directories: &[&Path]) -> io::Result<File> {
    let (mut in_memory, mut refused) = (None, None);
    for directory in directories {
        match tempfile::tempfile_in(directory) {
            Ok(file) if is_in_memory(&file) => in_memory = in_memory.or(Some(file)),
            Ok(file) => return Ok(file),
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    in_memory.ok_or_else(|| refused.unwrap_or_else(|| io::ErrorKind::NotFound.into()))
}

/// Whether what is written to the file is held in memory (`statfs(2)`).
fn is_in_memory(file: &File) -> bool {
    const TMPFS: u64 = 0x0102_1994;
    const RAMFS: u64 = 0x8584_58f6;
    rustix::fs::fstatfs(file).is_ok_and(|facts| {
        // The type is a number of 32 bits, however wide and signed the field is.
        [TMPFS, RAMFS].contains(&(facts.f_type as u64 & 0xffff_ffff))
    })
}

/// One run being read.
#[derive(Debug)]
struct Run {
    /// What of the file is not in the buffer yet.
    at: u64,
    end: u64,
    buffer: Vec<u8>,
    /// First byte of the buffer that is not consumed.
    start: usize,
    /// How much is read at a time, in bytes.
    chunk: usize,
}

impl Run {
    /// Makes the next `len` bytes available; `false` at the end of the run.
    fn fill(&mut self, file: &File, len: usize) -> io::Result<bool> {
        let available = self.buffer.len() - self.start;
        if available >= len {
            return Ok(true);
        }
        if available == 0 && self.at == self.end {
            return Ok(false);
        }
        self.buffer.drain(..self.start);
        self.start = 0;
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        // A name can be longer than a chunk.
        let wanted = self.chunk.max(len - available).min(left);
        self.buffer.resize(available + wanted, 0);
        file.read_exact_at(&mut self.buffer[available..], self.at)?;
        self.at += wanted as u64;
        if self.buffer.len() < len { Err(io::ErrorKind::InvalidData.into()) } else { Ok(true) }
    }

    fn next(&mut self, file: &File) -> io::Result<Option<(Box<[u8]>, Kind)>> {
        if !self.fill(file, HEADER)? {
            return Ok(None);
        }
        let header = &self.buffer[self.start..][..HEADER];
        let len = usize::from(u16::from_le_bytes([header[0], header[1]]));
        let kind = Kind::from_u8(header[2]).ok_or(io::ErrorKind::InvalidData)?;
        self.fill(file, HEADER + len)?;
        let name = self.buffer[self.start + HEADER..][..len].into();
        self.start += HEADER + len;
        Ok(Some((name, kind)))
    }
}

/// The names of all runs in order, in pieces.
#[derive(Debug)]
pub(crate) struct Merge {
    file: File,
    runs: Vec<Run>,
    heads: BinaryHeap<Reverse<Head>>,
    /// Memory of its buffers.
    pub(crate) bytes: usize,
}

/// The next name of a run; names within a directory are unique, so nothing else takes part in the order.
#[derive(Debug)]
struct Head {
    name: Box<[u8]>,
    kind: Kind,
    run: usize,
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Head {}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.name.cmp(&other.name)
    }
}

impl Merge {
    /// Appends the next names to `names` until it holds `limit` bytes or all are out. `false`: none is left.
    pub(crate) fn fill(&mut self, names: &mut Names, limit: usize) -> io::Result<bool> {
        while names.size_bytes() < limit {
            let Some(Reverse(head)) = self.heads.pop() else { return Ok(false) };
            names.push(&head.name, head.kind);
            self.advance(head.run)?;
        }
        Ok(!self.heads.is_empty())
    }

    fn advance(&mut self, run: usize) -> io::Result<()> {
        if let Some((name, kind)) = self.runs[run].next(&self.file)? {
            self.heads.push(Reverse(Head { name, kind, run }));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_come_back_merged() {
        let mut runs = Runs::new().unwrap();
        let mut expected = Vec::new();
        for run in 0..37_u32 {
            let mut names = Names::default();
            for n in 0..500 {
                // Scattered over the runs, with lengths up to the longest name.
                let name = format!("{:07}{}", n * 37 + (run * 7) % 37, "é".repeat((n % 120) as usize));
                let kind = if n % 3 == 0 { Kind::Directory } else { Kind::Fifo };
                names.push(name.as_bytes(), kind);
                expected.push((name + if kind == Kind::Directory { "/" } else { "" }, kind));
            }
            names.sort();
            runs.push(&names).unwrap();
        }
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(runs.bounds.len(), 38);
        let mut merge = runs.merge(1 << 20).unwrap();
        assert!(merge.bytes <= 1 << 20, "{}", merge.bytes);
        let (mut found, mut chunk) = (Vec::new(), Names::default());
        loop {
            chunk.clear();
            let more = merge.fill(&mut chunk, 10_000).unwrap();
            assert!(chunk.size_bytes() < 10_000 + 300);
            found.extend(chunk.iter().map(|(name, kind)| (String::from_utf8(name.to_vec()).unwrap(), kind)));
            if !more {
                break;
            }
        }
        assert_eq!(found, expected);
    }

    #[test]
    fn a_sort_file_lies_on_a_disk_where_there_is_one() {
        use std::os::unix::fs::MetadataExt as _;
        let memory = Path::new("/dev/shm");
        let here = tempfile::tempdir_in(".").unwrap();
        let device = |path: &Path| std::fs::metadata(path).unwrap().dev();
        let in_order = |directories: &[&Path]| file_in(directories).unwrap().metadata().unwrap().dev();
        assert!(is_in_memory(&tempfile::tempfile_in(memory).unwrap()));
        assert_eq!(in_order(&[memory, here.path()]), device(here.path()));
        assert_eq!(in_order(&[here.path(), memory]), device(here.path()));
        // Where there is no disk, and where one directory is missing.
        assert_eq!(in_order(&[memory, Path::new("/nonexistent")]), device(memory));
        assert_eq!(in_order(&[Path::new("/nonexistent"), memory]), device(memory));
        assert!(file_in(&[Path::new("/nonexistent")]).is_err());
    }

    #[test]
    fn no_runs_is_an_empty_merge() {
        let mut merge = Runs::new().unwrap().merge(MERGE_BYTES).unwrap();
        assert!(!merge.fill(&mut Names::default(), 100).unwrap());
    }
}
