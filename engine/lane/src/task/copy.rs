//! Objects of one store become objects of another: what they are called there.

use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

use azuring_job::entry::BlobItem;
use azuring_job::failure::{Failure, FailureKind};
use azuring_plan::NameError;
use azuring_plan::blocks::{BlockRules, MAX_BLOCKS};
use azuring_plan::destination::{Naming, NamingOptions, SourceShape};
use azuring_plan::download::RemoteShape;
use azuring_plan::name::{check, directory_prefix};

use super::in_place::InPlace;
use super::names::version_name;

/// Bytes of a piece: the largest range of which Blob storage tells the checksum.
const PIECE_BYTES: u64 = azuring_azure::MAX_CRC64_RANGE_BYTES;

/// The largest object that a service is asked to read in one request; AzCopy's limit
/// (`ste/sender-blockBlobFromURL.go`).
const DIRECT_BYTES: u64 = 256 << 20;

/// How names are made.
#[derive(Debug)]
enum Rule {
    Names(Naming),
    /// Versions of one blob, in this directory: each under its id and the blob's last name.
    Versions(Naming),
}

/// Objects go from store to store.
pub struct Copying {
    /// The path at the destination, decoded.
    path: String,
    as_subdir: bool,
    /// Source and destination are one place: what is copied may be found again, or replace what is still to be copied.
    is_one_place: bool,
    /// The destination is an account: names begin with those of containers, which do not count.
    into_account: bool,
    /// Known when the planner has seen what the source is.
    naming: OnceLock<Rule>,
    /// Blobs that are visible before they are complete.
    pub(crate) in_place: InPlace,
    /// The service has refused to copy a blob by itself (Copy Blob).
    pub(crate) no_copy_blob: AtomicBool,
    /// It was told that copies of the archive can be read later.
    pub(crate) told_of_archive: AtomicBool,
}

impl Copying {
    /// To this path of the destination: an object's name, or what the names of all begin with.
    pub fn new(path: String, options: NamingOptions, is_one_place: bool) -> Self {
        Self {
            path,
            as_subdir: options.as_subdir,
            is_one_place,
            into_account: false,
            naming: OnceLock::new(),
            in_place: InPlace::default(),
            no_copy_blob: AtomicBool::new(false),
            told_of_archive: AtomicBool::new(false),
        }
    }

    /// Whether the destination is an account.
    #[must_use]
    pub fn into_account(self, into_account: bool) -> Self {
        Self { into_account, ..self }
    }

    /// Decides names, now that it is known what the source is. A container is copied as what it holds.
    pub fn begin(&self, shape: RemoteShape<'_>, recursive: bool) -> Result<(), Box<Failure>> {
        let last = |name: &str| name.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned();
        let name;
        let source = match shape {
            RemoteShape::Blob { name } => name.to_owned(),
            RemoteShape::Directory { prefix } => directory_prefix(prefix),
            RemoteShape::Contents { prefix } => prefix.to_owned(),
            RemoteShape::Container { .. } => String::new(),
        };
        let shape = match shape {
            RemoteShape::Blob { name: whole } => {
                name = last(whole);
                SourceShape::File { name: name.as_bytes() }
            }
            RemoteShape::Directory { prefix } => {
                name = last(prefix);
                SourceShape::Directory { name: Some(name.as_bytes()).filter(|name| !name.is_empty()) }
            }
            RemoteShape::Contents { .. } | RemoteShape::Container { .. } => SourceShape::Contents,
        };
        let options = NamingOptions { recursive, as_subdir: self.as_subdir };
        let naming =
            Naming::new(shape, &self.path, options).map_err(|error| Failure::plan_of_source(&error))?;
        let overlaps = match &naming {
            Naming::Exact(name) => *name == source,
            Naming::Under(prefix) => prefix.starts_with(&source) || source.starts_with(&**prefix),
        };
        if self.is_one_place && overlaps {
            let text = "source and destination overlap: what is copied would replace, or be, what is still to be copied";
            let failure = Failure::new(FailureKind::Usage, "", text);
            return Err(Box::new(failure.advise("choose another destination")));
        }
        // The planner begins once.
        let _ = self.naming.set(Rule::Names(naming));
        Ok(())
    }

    /// The same for versions of one blob, which go into the destination as a directory.
    pub fn begin_versions(&self) -> Result<(), Box<Failure>> {
        let naming = Naming::new(SourceShape::Contents, &self.path, NamingOptions::default());
        let naming = naming.map_err(|error| Failure::plan_of_source(&error))?;
        let _ = self.naming.set(Rule::Versions(naming));
        Ok(())
    }

    /// The object's name at the destination.
    pub(crate) fn name_for(&self, item: &BlobItem) -> Result<String, NameError> {
        let naming = match self.naming.get().expect("the planner begins before it hands anything over") {
            Rule::Names(naming) => naming,
            Rule::Versions(naming) => return naming.blob_name_for(version_name(item).as_bytes()),
        };
        let Naming::Under(prefix) = naming else { return naming.blob_name_for(item.relative().as_bytes()) };
        if !self.into_account {
            return naming.blob_name_for(item.relative().as_bytes());
        }
        let name = [prefix, item.relative()].concat();
        check(name.split_once('/').map_or("", |(_, inside)| inside))?;
        Ok(name)
    }

    /// How an object of `len` bytes is cut. What the destination reads by itself is one request, if it is not so large
    /// that this takes long; what comes through here is ranges that have checksums, where there may be so many.
    pub(crate) fn rules(&self, given: &BlockRules, len: u64, is_direct: bool) -> BlockRules {
        if is_direct {
            let mut rules = *given;
            rules.put_blob_size = Some(given.put_blob_size.unwrap_or(DIRECT_BYTES));
            return rules;
        }
        if given.block_size.is_some() || len > PIECE_BYTES * MAX_BLOCKS {
            return *given;
        }
        let mut rules = *given;
        rules.block_size = Some(PIECE_BYTES);
        rules.put_blob_size = Some(given.put_blob_size.unwrap_or(PIECE_BYTES).min(PIECE_BYTES));
        rules
    }
}
