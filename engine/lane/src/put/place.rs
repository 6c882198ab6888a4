//! An object of a local source, or a stream, and what its blob is given.

use std::ffi::CString;
use std::io;

use azuring_job::failure::Failure;
use azuring_job::options::ContentTypePolicy;
use azuring_job::outcome::TransferId;
use azuring_link::Payload;
use azuring_plan::name::{encode_path, escape};
use azuring_ring::{FileRing, OpenFile};

use crate::lane::context::Lane;
use crate::object::file::LargeFile;
use crate::task::upload::{Stream, Upload};

/// An object and its blob.
pub(crate) struct Place<'a> {
    pub(crate) id: TransferId,
    /// The path below the source.
    pub(crate) path: &'a [u8],
    /// The same for the kernel.
    pub(crate) c_path: CString,
    /// The blob's name.
    pub(crate) name: String,
    /// The same, percent-encoded.
    pub(crate) blob: String,
    /// It is a stream: read once, and without a path.
    pub(crate) is_stream: bool,
}

impl<'a> Place<'a> {
    pub(crate) fn new<R: FileRing>(
        lane: &Lane<R>,
        task: &Upload,
        id: TransferId,
        path: &'a [u8],
    ) -> Result<Self, Box<Failure>> {
        let object = || escape(path);
        let mut name =
            task.origin.tree().naming.blob_name_for(path).map_err(|e| Failure::name(&object(), &e))?;
        if path.is_empty() {
            // The source itself, for its stub: what the names below it begin with, without the slash between.
            name.truncate(name.strip_suffix('/').unwrap_or(&name).len());
        }
        if let Some(stored) = lane.session().ends.to().end.takes_for(&name) {
            return Err(Box::new(Failure::other_name(&object(), &stored).advise("rename the file")));
        }
        let blob = encode_path(&name);
        let in_root: &[u8] = if path.is_empty() { b"." } else { path };
        let c_path = CString::new(in_root).expect("a path from the file system has no NUL");
        Ok(Self { id, path, c_path, name, blob, is_stream: false })
    }

    /// The same of a stream, whose blob's name is the only one it has.
    pub(crate) fn of_stream<R: FileRing>(
        lane: &Lane<R>,
        id: TransferId,
        stream: &'a Stream,
    ) -> Result<Self, Box<Failure>> {
        let (name, path) = (stream.name.clone(), stream.name.as_bytes());
        if let Some(stored) = lane.session().ends.to().end.takes_for(&name) {
            return Err(Box::new(Failure::other_name(&stream.object(), &stored)));
        }
        let blob = encode_path(&name);
        Ok(Self { id, path, c_path: CString::default(), name, blob, is_stream: true })
    }

    /// The same of an object of another store, at `path` below the source.
    pub(crate) fn of_object(id: TransferId, path: &'a str, name: String) -> Self {
        let blob = encode_path(&name);
        Self { id, path: path.as_bytes(), c_path: CString::default(), name, blob, is_stream: false }
    }

    /// The same of a large file.
    pub(crate) fn of(large: &'a LargeFile) -> Self {
        let (c_path, name, blob) = (large.path.clone(), large.name.clone(), large.blob.clone());
        Self { id: large.id, path: large.path.as_bytes(), c_path, name, blob, is_stream: false }
    }

    /// The object's name in messages.
    pub(crate) fn object(&self) -> String {
        escape(self.path)
    }

    pub(crate) fn not_read(&self, error: &io::Error) -> Box<Failure> {
        Box::new(Failure::read(&self.object(), error))
    }
}

/// What an open file's blob is given as metadata of its own.
pub(super) fn metadata_of<R: FileRing>(
    lane: &Lane<R>,
    place: &Place<'_>,
    file: &OpenFile,
) -> Result<Vec<(String, String)>, Box<Failure>> {
    let Some(style) = lane.session().options.preserve_posix else { return Ok(Vec::new()) };
    let properties = azuring_local::read_posix(file).map_err(|error| place.not_read(&error))?;
    Ok(properties.to_metadata(style))
}

/// The content type of a file whose first bytes are `first`.
pub(super) fn content_type<'a>(policy: &'a ContentTypePolicy, path: &[u8], first: &[u8]) -> Option<&'a str> {
    match policy {
        ContentTypePolicy::Guess(types) => Some(types.guess(path, first)),
        ContentTypePolicy::Fixed(fixed) => Some(fixed),
        ContentTypePolicy::None => None,
    }
}

/// The first piece of a payload.
pub(super) fn first_of(payload: &Payload) -> &[u8] {
    payload.parts().first().map_or(&[][..], |part| &part[..])
}
