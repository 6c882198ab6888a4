//! The pair table: from where, to where, what is done, whether this version does it, and which flags mean something.
//!
//! One row for each pair that AzCopy has a name for (`--from-to`, `common/fe-ste-models.go`), and one for each command
//! that has one place. Command lines, checks, help and the compatibility ledger read it; a service that is added is a
//! few rows.

use std::fmt;

use crate::PlanError;
use crate::flags::Group;
use crate::location::Location;
use crate::name::escape;

/// A pair of locations that AzCopy has a name for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FromTo {
    /// The source.
    pub from: Location,
    /// The destination.
    pub to: Location,
}

/// What is done with the objects: the mover that a pair needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// From here into a service.
    Put,
    /// From a service to here.
    Get,
    /// From a service to a service: the destination pulls, or the bytes go through memory.
    Copy,
    /// Objects are removed.
    Remove,
    /// Properties of objects are changed; no bytes move.
    SetProperties,
    /// Objects are printed.
    List,
    /// A container is created.
    Make,
}

impl Verb {
    /// The word on the command line, which several verbs may share.
    #[must_use]
    pub const fn command(self) -> &'static str {
        match self {
            Self::Put | Self::Get | Self::Copy => "copy",
            Self::Remove => "remove",
            Self::SetProperties => "set-properties",
            Self::List => "list",
            Self::Make => "make",
        }
    }

    /// AzCopy's word for what is under way.
    #[must_use]
    pub const fn doing(self) -> &'static str {
        match self {
            Self::Put => "uploading",
            Self::Get => "downloading",
            Self::Copy => "copying from service to service",
            Self::Remove => "removing",
            Self::SetProperties => "setting properties",
            Self::List => "listing",
            Self::Make => "making",
        }
    }
}

/// Whether this version can do a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Support {
    /// This version does.
    Now,
    /// A later version will; until then it is refused with that reason.
    Later,
    /// No version will: there is no such thing.
    Never,
}

/// A row of the table.
#[derive(Debug)]
pub struct Pair {
    /// What is done.
    pub verb: Verb,
    /// The source, or the only place.
    pub from: Location,
    /// The destination; `None`: the command has one place.
    pub to: Option<Location>,
    /// Whether it can be done.
    pub support: Support,
    /// Why not, after the pair's name.
    pub why: &'static str,
    /// The groups of flags that mean something.
    pub flags: &'static [Group],
    /// Whether the destination keeps what it gets; `/dev/null` does not.
    pub keeps: bool,
}

const OTHER_SERVICES: &str =
    "this version moves between local files and Blob storage, and within Blob storage";
const NAME_ALONE: &str = "AzCopy has a name for this and does not do it either";
const CHANGES_BLOBS: &str = "this version works on Blob storage";
const LISTS_BLOBS: &str = "this version lists Blob storage";
const MAKES_CONTAINERS: &str = "this version makes containers of Blob storage";

const fn now(verb: Verb, from: Location, to: Location, flags: &'static [Group]) -> Pair {
    Pair { verb, from, to: Some(to), support: Support::Now, why: "", flags, keeps: true }
}

const fn later(verb: Verb, from: Location, to: Location, why: &'static str, flags: &'static [Group]) -> Pair {
    Pair { verb, from, to: Some(to), support: Support::Later, why, flags, keeps: true }
}

const fn never(verb: Verb, from: Location, to: Location) -> Pair {
    Pair { verb, from, to: Some(to), support: Support::Never, why: NAME_ALONE, flags: &[], keeps: true }
}

const fn alone(verb: Verb, from: Location, why: &'static str, flags: &'static [Group]) -> Pair {
    let support = if why.is_empty() { Support::Now } else { Support::Later };
    Pair { verb, from, to: None, support, why, flags, keeps: true }
}

/// The pairs of two places. Each is called by its two words put together.
pub const PAIRS: &[Pair] = {
    use Group::{
        Accounts, Any, Blobs, DataLake, Files, FromFiles, NewBlobs, Properties, Reads, Removals, Replaces,
        Services, Shares, ToFiles, Tree, Versions,
    };
    use Location::{Blob, BlobFs, File, FileNfs, Gcp, Local, None, Pipe, S3, Trash};
    use Verb::{Copy, Get, Put, Remove, SetProperties};
    const BETWEEN_SERVICES: &[Group] = &[Any, Tree, Replaces, Services];
    const BLOB_TO_BLOB: &[Group] = &[Any, Tree, Versions, Replaces, Services, Blobs, Accounts];
    const BETWEEN_BLOBS: &[Group] = &[Any, Tree, Versions, Replaces, Services, Blobs];
    const WITH_SHARES: &[Group] = &[Any, Tree, Replaces, Services, Shares];
    const FILES_TO_SHARE: &[Group] = &[Any, Tree, Files, Replaces, FromFiles, Shares];
    const SHARE_TO_FILES: &[Group] = &[Any, Tree, Files, Replaces, ToFiles, Reads, Shares];
    &[
        now(Put, Local, Blob, &[Any, Tree, Files, Replaces, FromFiles, NewBlobs]),
        later(Put, Local, BlobFs, OTHER_SERVICES, &[Any, Tree, Files, Replaces, FromFiles, DataLake]),
        later(Put, Local, File, OTHER_SERVICES, FILES_TO_SHARE),
        later(Put, Local, FileNfs, OTHER_SERVICES, FILES_TO_SHARE),
        now(Get, Blob, Local, &[Any, Tree, Versions, Files, Replaces, ToFiles, Reads]),
        now(Copy, Blob, Blob, BLOB_TO_BLOB),
        later(Copy, Blob, BlobFs, OTHER_SERVICES, BETWEEN_BLOBS),
        later(Copy, Blob, File, OTHER_SERVICES, WITH_SHARES),
        now(Get, Blob, Pipe, &[Any, Reads]),
        now(Remove, Blob, Trash, &[Any, Tree, Versions, Removals]),
        now(SetProperties, Blob, None, &[Any, Tree, Properties]),
        later(Get, BlobFs, Local, OTHER_SERVICES, &[Any, Tree, Files, Replaces, ToFiles, Reads]),
        later(Copy, BlobFs, Blob, OTHER_SERVICES, BETWEEN_BLOBS),
        later(Copy, BlobFs, BlobFs, OTHER_SERVICES, BETWEEN_BLOBS),
        later(Copy, BlobFs, File, OTHER_SERVICES, WITH_SHARES),
        later(Remove, BlobFs, Trash, CHANGES_BLOBS, &[Any, Tree]),
        later(SetProperties, BlobFs, None, CHANGES_BLOBS, &[Any, Tree, Properties]),
        later(Get, File, Local, OTHER_SERVICES, SHARE_TO_FILES),
        later(Copy, File, Blob, OTHER_SERVICES, WITH_SHARES),
        later(Copy, File, BlobFs, OTHER_SERVICES, WITH_SHARES),
        later(Copy, File, File, OTHER_SERVICES, WITH_SHARES),
        later(Copy, File, FileNfs, OTHER_SERVICES, WITH_SHARES),
        never(Get, File, Pipe),
        later(Remove, File, Trash, CHANGES_BLOBS, &[Any, Tree, Shares]),
        later(SetProperties, File, None, CHANGES_BLOBS, &[Any, Tree, Properties, Shares]),
        later(Get, FileNfs, Local, OTHER_SERVICES, SHARE_TO_FILES),
        later(Copy, FileNfs, File, OTHER_SERVICES, WITH_SHARES),
        later(Copy, FileNfs, FileNfs, OTHER_SERVICES, WITH_SHARES),
        later(Copy, S3, Blob, OTHER_SERVICES, BETWEEN_SERVICES),
        later(Copy, Gcp, Blob, OTHER_SERVICES, BETWEEN_SERVICES),
        now(Put, Pipe, Blob, &[Any, Replaces, NewBlobs]),
        never(Put, Pipe, File),
    ]
};

/// `BlobLocal` to `/dev/null`: what is read is verified, and kept nowhere.
pub const TO_NULL: Pair = Pair {
    keeps: false,
    ..now(
        Verb::Get,
        Location::Blob,
        Location::Local,
        &[Group::Any, Group::Tree, Group::Versions, Group::Reads],
    )
};

/// What has one place.
pub const ALONE: &[Pair] = {
    use Location::{Blob, BlobFs, File};
    use Verb::{List, Make};
    &[
        alone(List, Blob, "", &[Group::Any, Group::Listing]),
        alone(List, BlobFs, LISTS_BLOBS, &[Group::Any, Group::Listing]),
        alone(List, File, LISTS_BLOBS, &[Group::Any, Group::Listing, Group::Shares]),
        alone(Make, Blob, "", &[Group::Any]),
        alone(Make, BlobFs, MAKES_CONTAINERS, &[Group::Any]),
        alone(Make, File, MAKES_CONTAINERS, &[Group::Any, Group::Shares]),
    ]
};

impl Pair {
    /// The row of a pair of two places; `None`: AzCopy has no name for it.
    #[must_use]
    pub fn of(pair: FromTo) -> Option<&'static Self> {
        PAIRS.iter().find(|row| row.from_to() == Some(pair))
    }

    /// The row of a verb that has one place; `None`: no service will ever do it.
    #[must_use]
    pub fn alone(verb: Verb, at: Location) -> Option<&'static Self> {
        ALONE.iter().find(|row| row.verb == verb && row.from == at)
    }

    /// The pairs of a command, in the order of the table.
    pub fn of_command(command: &str) -> impl Iterator<Item = &'static Self> {
        PAIRS.iter().filter(move |row| row.verb.command() == command)
    }

    /// Its name, where it has two places.
    #[must_use]
    pub fn from_to(&self) -> Option<FromTo> {
        self.to.map(|to| FromTo { from: self.from, to })
    }

    /// Whether this version does it.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        self.support == Support::Now
    }

    /// Whether what comes on stdin is sent.
    #[must_use]
    pub fn is_from_pipe(&self) -> bool {
        self.from == Location::Pipe
    }

    /// Whether what comes goes to stdout.
    #[must_use]
    pub fn is_to_pipe(&self) -> bool {
        self.to == Some(Location::Pipe)
    }
}

impl FromTo {
    /// Reads a name such as `LocalBlob`, in any case. `FileSMB` is the same as `File`.
    ///
    /// # Errors
    ///
    /// [`PlanError::BadFromTo`].
    pub fn parse(text: &str) -> Result<Self, PlanError> {
        let name = text.to_ascii_lowercase().replace("filesmb", "file");
        PAIRS
            .iter()
            .filter_map(Pair::from_to)
            .find(|pair| pair.to_string().to_ascii_lowercase() == name)
            .ok_or_else(|| PlanError::BadFromTo { text: escape(text.as_bytes()) })
    }

    /// Local to remote.
    #[must_use]
    pub fn is_upload(self) -> bool {
        Pair::of(self).is_some_and(|row| row.verb == Verb::Put)
    }

    /// Remote to local (standard output included).
    #[must_use]
    pub fn is_download(self) -> bool {
        Pair::of(self).is_some_and(|row| row.verb == Verb::Get)
    }

    /// Why `command` does not do this pair; `None`: it does.
    #[must_use]
    pub fn refusal(self, command: &str) -> Option<String> {
        match Pair::of(self) {
            Some(row) if row.verb.command() != command => {
                Some(format!("{self} is what `azuring {}` does", row.verb.command()))
            }
            Some(row) if row.is_possible() => None,
            Some(row) => Some(format!("{self}: {}", row.why)),
            None if command == "copy" => Some(format!("{self}: {OTHER_SERVICES}")),
            None => Some(format!("{self}: {CHANGES_BLOBS}")),
        }
    }
}

impl fmt::Display for FromTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.from, self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_azcopys() {
        let expected = [
            "LocalBlob",
            "LocalBlobFS",
            "LocalFile",
            "LocalFileNFS",
            "BlobLocal",
            "BlobBlob",
            "BlobBlobFS",
            "BlobFile",
            "BlobPipe",
            "BlobTrash",
            "BlobNone",
            "BlobFSLocal",
            "BlobFSBlob",
            "BlobFSBlobFS",
            "BlobFSFile",
            "BlobFSTrash",
            "BlobFSNone",
            "FileLocal",
            "FileBlob",
            "FileBlobFS",
            "FileFile",
            "FileFileNFS",
            "FilePipe",
            "FileTrash",
            "FileNone",
            "FileNFSLocal",
            "FileNFSFile",
            "FileNFSFileNFS",
            "S3Blob",
            "GCPBlob",
            "PipeBlob",
            "PipeFile",
        ];
        let pairs = || PAIRS.iter().filter_map(Pair::from_to);
        let names: Vec<String> = pairs().map(|pair| pair.to_string()).collect();
        assert_eq!(names, expected);
        for pair in pairs() {
            assert_eq!(FromTo::parse(&pair.to_string()), Ok(pair));
            assert_eq!(FromTo::parse(&pair.to_string().to_uppercase()), Ok(pair));
            assert!(!(pair.is_upload() && pair.is_download()), "{pair}");
        }
        let (from, to) = (Location::File, Location::File);
        assert_eq!(FromTo::parse("fileSMBFileSMB"), Ok(FromTo { from, to }));
        for bad in ["", "LocalLocal", "Blob", "LocalBlobX", "LocalS3", "PipeLocal", "Local Blob"] {
            assert_eq!(FromTo::parse(bad), Err(PlanError::BadFromTo { text: bad.into() }));
        }
    }

    #[test]
    fn every_pair_has_one_row_and_says_why_it_is_not_done() {
        for (n, row) in PAIRS.iter().chain(ALONE).enumerate() {
            let same = |other: &&Pair| (other.verb, other.from, other.to) == (row.verb, row.from, row.to);
            assert_eq!(PAIRS.iter().chain(ALONE).filter(same).count(), 1, "{n}");
            assert_eq!(row.is_possible(), row.why.is_empty(), "{row:?}");
            assert_eq!(row.flags.is_empty(), row.support == Support::Never, "{row:?}");
            let Some(pair) = row.from_to() else { continue };
            assert_eq!(pair.refusal(row.verb.command()).is_none(), row.is_possible(), "{pair}");
            let verb = match (row.from.is_remote(), pair.to) {
                (_, Location::Trash) => Verb::Remove,
                (_, Location::None) => Verb::SetProperties,
                (true, to) if to.is_remote() => Verb::Copy,
                (true, _) => Verb::Get,
                (false, _) => Verb::Put,
            };
            assert_eq!(row.verb, verb, "{pair}");
            assert_eq!(
                row.flags.contains(&Group::Tree),
                row.support != Support::Never && !row.is_from_pipe() && !row.is_to_pipe()
            );
        }
        let to_null = TO_NULL.from_to().and_then(Pair::of).unwrap();
        assert!(to_null.keeps && to_null.verb == TO_NULL.verb && to_null.flags.len() > TO_NULL.flags.len());
    }

    #[test]
    fn what_is_not_done_is_told() {
        let told = |name: &str, command| FromTo::parse(name).unwrap().refusal(command);
        for name in ["LocalBlob", "BlobLocal", "PipeBlob", "BlobPipe", "BlobBlob"] {
            assert_eq!(told(name, "copy"), None, "{name}");
        }
        assert_eq!((told("BlobTrash", "remove"), told("BlobNone", "set-properties")), (None, None));
        assert!(told("BlobFile", "copy").unwrap().contains("within Blob storage"));
        assert!(told("LocalFile", "copy").unwrap().contains("between local files and Blob storage"));
        assert_eq!(told("BlobTrash", "copy").unwrap(), "BlobTrash is what `azuring remove` does");
        let unnamed = FromTo { from: Location::S3, to: Location::Trash };
        assert_eq!(unnamed.refusal("remove").unwrap(), "S3Trash: this version works on Blob storage");
    }
}
