//! Whether a SAS can do a job, found out before the job begins.
//!
//! Source: the tables of permissions in "Create an account SAS", "Create a service SAS" and "Create a user delegation
//! SAS". What cannot be judged from here passes: what a stored policy adds, which address the service sees, whether a
//! blob to write is there already. A SAS that could do the job is never refused; the service has the last word on
//! others.

use std::time::{Duration, SystemTime};

use super::date;
use super::facts::{SasFacts, SasKind, SasResource};

/// The service and this machine may differ by so much in what time it is; Azure's documentation asks for as much at the
/// beginning of a SAS.
const SKEW: Duration = Duration::from_secs(15 * 60);

/// Something a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SasOperation {
    /// List Blobs.
    List,
    /// Get Blob, its properties, blocks and ranges.
    Read,
    /// Put Blob, Put Block and Put Block List. Replacing a blob needs `w`; whether there is one is not known before.
    WriteBlob,
    /// Append Block.
    Append,
    /// Put Page.
    WritePages,
    /// Delete Blob, and of snapshots.
    Delete,
    /// Delete Blob of a version.
    DeleteVersion,
    /// Delete Blob for good.
    DeletePermanently,
    /// Get and Set Blob Tags, and tags of a new blob.
    Tags,
    /// Set Blob Metadata, Properties and Tier.
    SetProperties,
    /// Create Container.
    CreateContainer,
    /// List Containers.
    ListContainers,
    /// Blob Batch. Its parts need what they need by themselves.
    Batch,
}

impl SasOperation {
    /// Letters of `sp` of which one is enough; none where the letters are not what decides.
    fn letters(self) -> &'static str {
        match self {
            SasOperation::List | SasOperation::ListContainers => "l",
            SasOperation::Read => "r",
            SasOperation::WriteBlob | SasOperation::CreateContainer => "cw",
            SasOperation::WritePages => "w",
            SasOperation::Append => "aw",
            SasOperation::Delete => "d",
            SasOperation::DeleteVersion => "x",
            SasOperation::DeletePermanently => "y",
            SasOperation::Tags => "t",
            SasOperation::SetProperties => "w",
            SasOperation::Batch => "",
        }
    }

    /// The letter of `srt` it needs; Blob Batch is judged by its parts.
    fn resource_type(self) -> Option<char> {
        match self {
            SasOperation::List | SasOperation::CreateContainer => Some('c'),
            SasOperation::ListContainers => Some('s'),
            SasOperation::Batch => None,
            _ => Some('o'),
        }
    }

    /// Whether a SAS for this resource can never do it, whatever its permissions.
    fn is_beyond(self, resource: &SasResource) -> bool {
        let of_account = matches!(self, SasOperation::CreateContainer | SasOperation::ListContainers);
        let of_container = matches!(self, SasOperation::List | SasOperation::Batch) || of_account;
        let writes = !matches!(
            self,
            SasOperation::Read
                | SasOperation::Delete
                | SasOperation::DeleteVersion
                | SasOperation::DeletePermanently
        );
        match resource {
            SasResource::Container | SasResource::Directory => of_account,
            SasResource::Blob => of_container,
            SasResource::Snapshot => writes,
            SasResource::Version => {
                writes && self != SasOperation::Tags && self != SasOperation::SetProperties
            }
            SasResource::Other(_) => false,
        }
    }

    /// What it is, as in `listing needs ...`.
    fn name(self) -> &'static str {
        match self {
            SasOperation::List => "listing",
            SasOperation::Read => "reading",
            SasOperation::WriteBlob => "writing",
            SasOperation::Append => "appending",
            SasOperation::WritePages => "writing pages",
            SasOperation::Delete => "deleting",
            SasOperation::DeleteVersion => "deleting versions",
            SasOperation::DeletePermanently => "deleting for good",
            SasOperation::Tags => "reading and writing tags",
            SasOperation::SetProperties => "changing metadata, properties or tiers",
            SasOperation::CreateContainer => "creating the container",
            SasOperation::ListContainers => "listing containers",
            SasOperation::Batch => "a batch of requests",
        }
    }

    /// `writing needs c or w`.
    fn needs(self) -> String {
        let letters: Vec<_> = self.letters().chars().map(|letter| format!("`{letter}`")).collect();
        format!("{} needs {}", self.name(), letters.join(" or "))
    }
}

/// What a job wants of a SAS.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct SasNeeds<'a> {
    /// Whether requests go over TLS.
    pub tls: bool,
    /// Whether all of it is about one blob, so that a SAS for that blob may do.
    pub one_blob: bool,
    /// What the job will do; each operation needs one of certain letters.
    pub operations: &'a [SasOperation],
}

impl<'a> SasNeeds<'a> {
    /// These operations, over TLS or not, on more than one blob.
    pub fn new(tls: bool, operations: &'a [SasOperation]) -> Self {
        Self { tls, one_blob: false, operations }
    }

    /// Sets [`one_blob`](Self::one_blob).
    #[must_use]
    pub fn one_blob(mut self, one_blob: bool) -> Self {
        self.one_blob = one_blob;
        self
    }
}

/// Why a SAS cannot do a job. No text of it contains the signature.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SasFault {
    /// It has expired: make a new one.
    #[error("the SAS has expired: it was valid until {} (se), {} ago by this machine's clock", date::write(*.at), date::span(*.ago))]
    Expired {
        /// Its end.
        at: SystemTime,
        /// How long ago that was.
        ago: Duration,
    },
    /// It is not valid yet.
    #[error("the SAS is not valid yet: it begins at {} (st), in {} by this machine's clock", date::write(*.at), date::span(*.ahead))]
    NotYet {
        /// Its beginning.
        at: SystemTime,
        /// How far ahead that is.
        ahead: Duration,
    },
    /// It has `spr=https`, and the URL is http.
    #[error("the SAS allows https only (spr=https), and the URL is http")]
    HttpsOnly,
    /// It is for other services of the account, or for a file share or the like.
    #[error("the SAS is not for blobs: {field}={given}")]
    OtherService {
        /// `ss` or `sr`.
        field: &'static str,
        /// Its value.
        given: String,
    },
    /// An account SAS for other levels of resources.
    #[error("the SAS has srt={given}: {} needs `{missing}` in it", .operation.name())]
    ResourceType {
        /// What needs it.
        operation: SasOperation,
        /// The letter.
        missing: char,
        /// The value of `srt`.
        given: String,
    },
    /// It is for one blob, and more than one is wanted.
    #[error("the SAS is for one blob (sr={given}), and this needs one for the container (sr=c)")]
    OneBlob {
        /// The value of `sr`.
        given: String,
    },
    /// A SAS of this kind cannot do it.
    #[error("a SAS with sr={given} cannot be used for {}: it needs {}", .operation.name(), match .operation {
        SasOperation::CreateContainer | SasOperation::ListContainers => "an account SAS, or the account's key",
        _ => "one for the container (sr=c)",
    })]
    Resource {
        /// What it cannot do.
        operation: SasOperation,
        /// The value of `sr`.
        given: String,
    },
    /// Letters are missing.
    #[error("the SAS has sp={given}: {}", .missing.iter().map(|operation| operation.needs()).collect::<Vec<_>>().join(", "))]
    Permissions {
        /// What it does not allow.
        missing: Vec<SasOperation>,
        /// The value of `sp`.
        given: String,
    },
}

impl SasFacts {
    /// Whether a SAS that says this can do a job.
    ///
    /// # Errors
    /// [`SasFault`], the first in the order of its variants.
    pub fn check(&self, want: &SasNeeds<'_>, now: SystemTime) -> Result<(), SasFault> {
        if let Some(at) = self.expiry
            && let Ok(ago) = now.duration_since(at)
            && ago > SKEW
        {
            return Err(SasFault::Expired { at, ago });
        }
        if let Some(at) = self.start
            && let Ok(ahead) = at.duration_since(now)
            && ahead > SKEW
        {
            return Err(SasFault::NotYet { at, ahead });
        }
        if !want.tls && !self.allows_http {
            return Err(SasFault::HttpsOnly);
        }
        match &self.kind {
            SasKind::Account { services, resource_types } => {
                for_blobs(services, want, resource_types)?;
            }
            SasKind::Service(resource) | SasKind::UserDelegation { resource, .. } => reaches(resource, want)?,
        }
        let Some(given) = &self.permissions else { return Ok(()) };
        let lacks = |operation: &&SasOperation| {
            let letters = operation.letters();
            !letters.is_empty() && !given.contains(|letter| letters.contains(letter))
        };
        let missing: Vec<_> = want.operations.iter().filter(lacks).copied().collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(SasFault::Permissions { missing, given: given.clone() })
    }
}

fn for_blobs(services: &str, want: &SasNeeds<'_>, resource_types: &str) -> Result<(), SasFault> {
    if !services.contains('b') {
        return Err(SasFault::OtherService { field: "ss", given: services.to_owned() });
    }
    for &operation in want.operations {
        if let Some(missing) = operation.resource_type()
            && !resource_types.contains(missing)
        {
            let given = resource_types.to_owned();
            return Err(SasFault::ResourceType { operation, missing, given });
        }
    }
    Ok(())
}

fn reaches(resource: &SasResource, want: &SasNeeds<'_>) -> Result<(), SasFault> {
    let given = resource.as_str().to_owned();
    match resource {
        // `s` and `f` are Azure Files; nothing is known of what is not said.
        SasResource::Other(other) if matches!(other.as_str(), "s" | "f") => {
            return Err(SasFault::OtherService { field: "sr", given });
        }
        SasResource::Blob | SasResource::Snapshot | SasResource::Version if !want.one_blob => {
            return Err(SasFault::OneBlob { given });
        }
        _ => {}
    }
    match want.operations.iter().find(|operation| operation.is_beyond(resource)) {
        Some(&operation) => Err(SasFault::Resource { operation, given }),
        None => Ok(()),
    }
}
