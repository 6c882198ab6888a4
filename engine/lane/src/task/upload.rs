//! Local files, or a stream, become blobs: where they are, and what their blobs are called.

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use azuring_job::outcome::Transfer;
use azuring_plan::destination::Naming;
use azuring_plan::name::escape;
use azuring_ring::SourceDir;

use crate::object::in_order::Held;
use crate::requests::session::Session;

use super::in_place::InPlace;

/// Local files, or a stream, become blobs.
pub struct Upload {
    /// Where the bytes come from.
    pub origin: Origin,
    /// Bytes that wait for their turn to be summed.
    pub held: Arc<Held>,
    /// Blobs that are visible before they are complete.
    pub in_place: InPlace,
}

/// Where an upload has its bytes from.
pub enum Origin {
    /// Files of a tree.
    Tree(Tree),
    /// A stream.
    Stream(Stream),
}

/// The local tree that is uploaded.
pub struct Tree {
    /// Paths start here.
    pub root: SourceDir,
    /// Makes the blobs' names.
    pub naming: Naming,
    /// The root's path as the user named it.
    pub root_path: PathBuf,
}

/// What a stream becomes: the whole of a job.
pub struct Stream {
    /// The blob's name.
    pub(crate) name: String,
    input: Mutex<Option<Box<dyn Read + Send>>>,
}

impl Stream {
    /// What `input` gives, as the blob of this name.
    pub fn new(name: String, input: Box<dyn Read + Send>) -> Self {
        Self { name, input: Mutex::new(Some(input)) }
    }

    /// The name on one line.
    pub(crate) fn object(&self) -> String {
        escape(self.name.as_bytes())
    }

    /// The stream, for whoever reads it: once.
    pub(crate) fn input(&self) -> Option<Box<dyn Read + Send>> {
        self.input.lock().expect("nothing panics while the lock is held").take()
    }
}

impl Origin {
    /// The tree. Only for what the planner has found in one.
    pub(crate) fn tree(&self) -> &Tree {
        match self {
            Self::Tree(tree) => tree,
            Self::Stream(_) => unreachable!("files are found in trees"),
        }
    }

    /// The stream. Only for [`Found::Stream`].
    pub(crate) fn stream(&self) -> &Stream {
        match self {
            Self::Stream(stream) => stream,
            Self::Tree(_) => unreachable!("a tree has no stream"),
        }
    }
}

impl Tree {
    pub(super) fn transfer(&self, session: &Session, path: &[u8]) -> Transfer {
        let name = self.naming.blob_name_for(path);
        let source = match path {
            b"" => self.root_path.to_string_lossy().into_owned(),
            path => self.root_path.join(OsStr::from_bytes(path)).to_string_lossy().into_owned(),
        };
        let destination = name.map(|name| session.ends.to().end.url_of(&name)).unwrap_or_default();
        Transfer::default().object(escape(path)).source(source).destination(destination)
    }
}
