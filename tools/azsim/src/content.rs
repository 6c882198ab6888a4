//! Where the bytes of a blob rest: memory, a file, or nowhere.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};

use crate::Store;

/// Bytes of one allocation in memory: large enough to make the count of allocations irrelevant, small enough that
/// a cut-off body of 4 GiB does not claim 4 GiB first.
const CHUNK: u64 = 1 << 20;
/// Bytes read from a file at a time.
const FILE_READ: u64 = 256 << 10;

/// The content of one Put Blob or Put Block.
#[derive(Debug)]
pub(crate) enum Stored {
    /// Chunks in order; all but the last are full.
    Memory(Vec<Bytes>),
    /// A file of its own, removed when the last reader and the blob are gone. Opened for each piece that is read: a
    /// descriptor held for each blob would soon meet the limit on them.
    File(PathBuf),
    /// As many zeros as are asked for: pages that were never written.
    Zeros,
}

impl Drop for Stored {
    fn drop(&mut self) {
        if let Stored::File(path) = self {
            // The directory may be gone already; there is nobody to tell.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Stored {
    /// Some bytes from `offset`, at most `max`, at least one unless `offset` is the end.
    pub(crate) fn read(&self, offset: u64, max: u64) -> io::Result<Bytes> {
        match self {
            Stored::Memory(chunks) => {
                let mut offset = offset;
                for chunk in chunks {
                    if offset < chunk.len() as u64 {
                        let from = offset as usize;
                        return Ok(chunk.slice(from..chunk.len().min(from.saturating_add(max as usize))));
                    }
                    offset -= chunk.len() as u64;
                }
                Ok(Bytes::new())
            }
            Stored::Zeros => {
                static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
                Ok(Bytes::from_static(&ZEROS[..max.min(ZEROS.len() as u64) as usize]))
            }
            Stored::File(path) => {
                let file = File::open(path)?;
                let mut buffer = BytesMut::zeroed(max.min(FILE_READ) as usize);
                let read = file.read_at(&mut buffer, offset)?;
                buffer.truncate(read);
                Ok(buffer.freeze())
            }
        }
    }
}

/// Makes writers for the store that was chosen.
#[derive(Debug)]
pub(crate) struct Backend {
    store: Store,
    next_file: AtomicU64,
}

impl Backend {
    /// Prepares the store.
    ///
    /// # Errors
    /// When the directory cannot be created.
    pub(crate) fn new(store: Store) -> io::Result<Backend> {
        if let Store::Disk(directory) = &store {
            std::fs::create_dir_all(directory)?;
        }
        Ok(Backend { store, next_file: AtomicU64::new(0) })
    }

    /// Whether content is kept at all.
    pub(crate) fn keeps(&self) -> bool {
        self.store != Store::Discard
    }

    /// Begins the content of one request.
    pub(crate) fn writer(&self, len: u64) -> io::Result<Writer> {
        Ok(match &self.store {
            Store::Memory => Writer::Memory { done: Vec::new(), open: BytesMut::new(), left: len },
            Store::Discard => Writer::Discard,
            Store::Disk(directory) => {
                let number = self.next_file.fetch_add(1, Ordering::Relaxed);
                let path = file_path(directory, number);
                let file = match File::create_new(&path) {
                    Err(e) if e.kind() == io::ErrorKind::NotFound => {
                        std::fs::create_dir_all(path.parent().unwrap_or(directory))?;
                        File::create_new(&path)?
                    }
                    // Left behind by an earlier run, which nobody can read any more.
                    Err(e) if e.kind() == io::ErrorKind::AlreadyExists => File::create(&path)?,
                    other => other?,
                };
                Writer::File { write: file, stored: Stored::File(path) }
            }
        })
    }
}

/// `DIR/12/3456789a`: 4,096 files in a directory.
fn file_path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{:03x}", number >> 12)).join(format!("{number:08x}"))
}

/// Content on its way in. Dropped before [`Writer::finish`], it leaves nothing behind.
pub(crate) enum Writer {
    Memory { done: Vec<Bytes>, open: BytesMut, left: u64 },
    File { write: File, stored: Stored },
    Discard,
}

impl Writer {
    /// Takes the next piece. Pieces are copied: they are windows into large network buffers.
    pub(crate) fn write(&mut self, mut piece: &[u8]) -> io::Result<()> {
        match self {
            Writer::Discard => {}
            Writer::File { write, .. } => write.write_all(piece)?,
            Writer::Memory { done, open, left } => {
                while !piece.is_empty() {
                    if open.capacity() == 0 {
                        *open = BytesMut::with_capacity((*left).clamp(1, CHUNK) as usize);
                    }
                    let take = piece.len().min(open.capacity() - open.len());
                    open.extend_from_slice(&piece[..take]);
                    piece = &piece[take..];
                    *left = left.saturating_sub(take as u64);
                    if open.len() == open.capacity() {
                        done.push(std::mem::take(open).freeze());
                    }
                }
            }
        }
        Ok(())
    }

    /// The content, complete; `None` when the store discards.
    pub(crate) fn finish(self) -> Option<Arc<Stored>> {
        match self {
            Writer::Discard => None,
            Writer::File { stored, .. } => Some(Arc::new(stored)),
            Writer::Memory { mut done, open, .. } => {
                if !open.is_empty() {
                    done.push(open.freeze());
                }
                Some(Arc::new(Stored::Memory(done)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(stored: &Stored, len: u64) -> Vec<u8> {
        let mut out = Vec::new();
        while (out.len() as u64) < len {
            let piece = stored.read(out.len() as u64, len - out.len() as u64).unwrap();
            assert!(!piece.is_empty());
            out.extend_from_slice(&piece);
        }
        assert!(stored.read(len, 10).unwrap().is_empty());
        out
    }

    #[test]
    fn what_is_written_is_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let content: Vec<u8> = (0..3 * CHUNK + 17).map(|i| (i * 31 % 251) as u8).collect();
        for store in [Store::Memory, Store::Disk(directory.path().join("new"))] {
            let backend = Backend::new(store).unwrap();
            let mut writer = backend.writer(content.len() as u64).unwrap();
            for piece in content.chunks(100_003) {
                writer.write(piece).unwrap();
            }
            let stored = writer.finish().unwrap();
            assert_eq!(read_all(&stored, content.len() as u64), content);
            assert_eq!(stored.read(CHUNK - 1, 2).unwrap()[0], content[CHUNK as usize - 1]);
        }
    }

    #[test]
    fn abandoned_and_dropped_files_are_removed() {
        let directory = tempfile::tempdir().unwrap();
        let backend = Backend::new(Store::Disk(directory.path().to_owned())).unwrap();
        let files = || std::fs::read_dir(directory.path().join("000")).unwrap().count();
        let mut abandoned = backend.writer(5).unwrap();
        abandoned.write(b"hel").unwrap();
        let kept = backend.writer(0).unwrap().finish();
        assert_eq!(files(), 2);
        drop(abandoned);
        assert_eq!(files(), 1);
        drop(kept);
        assert_eq!(files(), 0);
    }
}
