//! What the lanes do with the objects the planner finds.

use azuring_azure::{Access, MAX_BATCH};
use azuring_job::entry::{Found, Known};
use azuring_job::failure::{Blocked, Failure, Side};
use azuring_job::outcome::{Action, Planned, Transfer};
use azuring_job::spec::SpecWork;

use crate::requests::session::Session;

use super::change::{Remove, SetProperties};
use super::copy::Copying;
use super::download::Download;
use super::upload::{Origin, Upload};

/// What is done with every object of a job.
pub enum Task {
    /// Files, or a stream, become blobs.
    Upload(Upload),
    /// Blobs become files, or go into a pipe.
    Download(Box<Download>),
    /// Objects of one store become objects of another.
    Copy(Copying),
    /// Blobs are removed.
    Remove(Remove),
    /// Blobs get other properties.
    SetProperties(SetProperties),
}

impl Task {
    /// Objects that a lane takes at once, where that is not the usual number.
    pub fn batch_size(&self) -> Option<usize> {
        self.takes_batches().then_some(MAX_BATCH)
    }

    /// Whether a task of a lane takes all of a batch, and not one object after the other.
    pub(crate) fn takes_batches(&self) -> bool {
        matches!(self, Self::Remove(_) | Self::SetProperties(_))
    }

    /// Whether a stream is read, or a pipe written to.
    pub fn is_of_stream(&self) -> bool {
        match self {
            Self::Upload(upload) => matches!(upload.origin, Origin::Stream(_)),
            Self::Download(download) => download.is_pipe(),
            Self::Copy(_) | Self::Remove(_) | Self::SetProperties(_) => false,
        }
    }

    /// Whether objects of a store are read.
    pub fn reads_objects(&self) -> bool {
        matches!(self, Self::Download(_) | Self::Copy(_))
    }

    /// What is done with each object.
    pub(crate) fn action(&self) -> Action {
        match self {
            Self::Upload(_) | Self::Download(_) | Self::Copy(_) => Action::Copy,
            Self::Remove(_) => Action::Remove,
            Self::SetProperties(_) => Action::SetProperties,
        }
    }

    /// What is done, as a spec has it: paths begin at the root of the file system. Only when it has begun, and not for
    /// a stream.
    ///
    /// # Errors
    /// A path that cannot be told so.
    pub fn work(&self) -> std::io::Result<SpecWork> {
        Ok(match self {
            Self::Upload(upload) => {
                let tree = upload.origin.tree();
                SpecWork::Upload { root: std::path::absolute(&tree.root_path)?, naming: tree.naming.clone() }
            }
            Self::Download(download) => download.work()?,
            Self::Copy(_) => {
                let text = "a job from store to store is not cut into parts yet";
                return Err(std::io::Error::new(std::io::ErrorKind::Unsupported, text));
            }
            Self::Remove(_) => SpecWork::Remove,
            Self::SetProperties(task) => SpecWork::SetProperties(task.change.clone()),
        })
    }

    /// What its requests do to the objects of an end. `tags`: blobs that are made get tags.
    pub fn access(&self, side: Side, tags: bool) -> Access {
        match self {
            Self::Copy(_) if side == Side::Source => Access::Read,
            Self::Upload(_) | Self::Copy(_) if tags => Access::Tag,
            Self::Upload(_) | Self::Copy(_) => Access::Write,
            Self::Download(_) => Access::Read,
            Self::Remove(_) => Access::Delete,
            Self::SetProperties(task) if task.changes_tags() => Access::Tag,
            Self::SetProperties(_) => Access::Write,
        }
    }

    /// Whether the job has stopped because nothing can be written, before this object met the same. Stops it, if this
    /// one is the last of a few.
    pub(crate) fn is_blocked(&self, session: &Session, found: &Found, failure: &Failure) -> bool {
        let (Self::Download(task), Found::Blob(item), Some(blocked)) = (self, found, failure.blocked) else {
            return false;
        };
        if blocked == Blocked::Denied && !task.is_root_denied(item) {
            return false;
        }
        session.verdict.blocked(blocked, || failure.of_all(&task.destination.display().to_string()))
    }

    /// The object's names for messages and lists.
    pub fn transfer(&self, session: &Session, found: &Found) -> Transfer {
        match (self, found) {
            (
                Self::Upload(upload),
                Found::File(path) | Found::Link(path) | Found::Directory(path) | Found::Special(path),
            ) => upload.origin.tree().transfer(session, path.as_bytes()),
            (Self::Upload(upload), Found::Stream) => {
                let stream = upload.origin.stream();
                let destination = session.ends.to().end.url_of(&stream.name);
                Transfer::default().object(stream.object()).destination(destination)
            }
            (task, Found::Blob(blob)) => {
                let destination = match task {
                    Self::Download(download) => download.destination_of(&blob.entry.name),
                    Self::Copy(copying) => copying
                        .name_for(blob)
                        .map(|name| session.ends.to().end.url_of(&name))
                        .unwrap_or_default(),
                    // AzCopy's word for where a blob goes that goes nowhere.
                    _ => blob.relative().to_owned(),
                };
                let source = session.ends.from().end.url_of(&blob.entry.name);
                Transfer::default().object(blob.object()).source(source).destination(destination)
            }
            _ => Transfer::default(),
        }
    }

    /// The length of an object that was not transferred, as far as it can be known without a request.
    pub(crate) fn length(&self, found: &Found) -> u64 {
        match (self, found) {
            (Self::Upload(upload), Found::File(path)) => {
                std::fs::symlink_metadata(upload.origin.tree().root_path.join(path.as_path()))
                    .map_or(0, |meta| meta.len())
            }
            (_, Found::Blob(blob)) => blob.entry.facts.len,
            _ => 0,
        }
    }

    /// What a dry run says of the object.
    pub fn planned(&self, session: &Session, found: Found) -> Planned {
        let action = self.action();
        let mut transfer = self.transfer(session, &found);
        if matches!(self, Self::Remove(_) | Self::SetProperties(_)) {
            transfer.destination.clear();
        }
        let bytes = match &found {
            Found::File(_) => session.options.plan_facts.then(|| self.length(&found)),
            _ => None,
        };
        match found {
            Found::Blob(blob) if blob.known == Known::Listed => {
                let facts = blob.entry.facts;
                let (bytes, modified_s) = (Some(facts.len), Some(facts.last_modified));
                Planned::new(action, transfer)
                    .bytes(bytes)
                    .modified_s(modified_s)
                    .facts(Some(Box::new(facts)))
            }
            _ => Planned::new(action, transfer).bytes(bytes),
        }
    }
}
