//! Why an object was not transferred, in words for a person and in fields for a program.

use azuring_azure::{Access, Class, Credential, RequestError, secrets};
use azuring_link::LinkError;
use azuring_local::LocalError;
use azuring_plan::{NameError, PlanError};
use azuring_ring::HasContent;
use azuring_store::{ErrorKind, StoreError};

use crate::end_error::EndError;

/// What kind of thing went wrong; decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// The file could not be read, or changed while it was read.
    Source,
    /// The source, or something it needs, is not there.
    Missing,
    /// What was asked for cannot be done with this source.
    Usage,
    /// The object's name cannot be used at the destination.
    Name,
    /// The file could not be written.
    Destination,
    /// The service refused this object.
    Service,
    /// The service refused the credential.
    Authentication,
    /// The service kept saying it is busy until the attempts were used up.
    Throttled,
    /// The network or the service failed until the attempts were used up.
    Network,
    /// Bytes arrived other than they were sent, repeatedly.
    Integrity,
    /// A limit of the service or of the job stands against it.
    Limit,
    /// The job was stopped while the object was under way.
    Interrupted,
}

/// One end of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Where objects come from.
    Source,
    /// Where they go.
    Destination,
}

impl Side {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Destination => "destination",
        }
    }
}

/// What keeps every file from being written, not this one alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Blocked {
    /// The file system, or the user's part of it, has no room.
    Full,
    /// Nothing may be written on it.
    ReadOnly,
    /// It fails, or has gone.
    Broken,
    /// The user may not write here; whether anywhere, the place tells.
    Denied,
}

impl Blocked {
    /// What an answer of the kernel to a write means for other files; `None`: nothing.
    fn of(errno: Option<i32>) -> Option<Self> {
        use rustix::io::Errno;
        Some(match Errno::from_raw_os_error(errno?) {
            Errno::NOSPC | Errno::DQUOT => Self::Full,
            Errno::ROFS => Self::ReadOnly,
            Errno::IO
            | Errno::NOTCONN
            | Errno::CONNABORTED
            | Errno::STALE
            | Errno::NODEV
            | Errno::NXIO
            | Errno::SHUTDOWN
            | Errno::HOSTDOWN
            | Errno::TIMEDOUT => Self::Broken,
            Errno::ACCESS | Errno::PERM => Self::Denied,
            _ => return None,
        })
    }
}

azuring_plan::growing! {
    /// One object that was not transferred. `Display` is the one line a person reads.
    #[derive(Clone, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    pub struct Failure {
        /// The object: its path below the source, escaped to one line. Empty when it concerns the whole job.
        pub object: String,
        /// Where it comes from: a full path, or a URL without its SAS. Empty when it concerns the whole job.
        pub source: String,
        /// Where it was to go; empty when it goes nowhere.
        pub destination: String,
        /// Its length, as far as it is known.
        pub bytes: u64,
        /// Decides the exit code of the job.
        pub kind: FailureKind,
        /// What happened, in one line without secrets.
        pub reason: String,
        /// What to do about it.
        pub advice: Option<String>,
        /// The HTTP status, when the service answered.
        pub status: Option<u16>,
        /// The service's error code.
        pub code: Option<String>,
        /// The service's request id.
        pub request_id: Option<String>,
        /// Attempts made.
        pub tries: u32,
        /// What it means for all other files that are written.
        pub blocked: Option<Blocked>,
        /// Which end said so, where the job has two remote ones; `reason` begins with it. A journal keeps the reason
        /// alone.
        pub side: Option<Side>,
        /// The same job fails the same way when it is resumed: another command, or another name, is needed.
        pub is_final: bool,
    }
}

impl Failure {
    /// A job cannot go on, since the list of files is not the one it was begun with.
    pub fn other_list(lines: u64) -> Box<Self> {
        let text =
            format!("the list of files has {lines} lines, fewer than an earlier run of the job has read");
        let failure = Self::new(FailureKind::Usage, "", text).advise("resume the job with the same list");
        Box::new(failure.is_final(false))
    }

    /// A failure without advice. Secrets in `reason` are concealed.
    pub fn new(kind: FailureKind, object: &str, reason: impl Into<String>) -> Self {
        Self {
            object: object.to_owned(),
            source: String::new(),
            destination: String::new(),
            bytes: 0,
            kind,
            // Others may have had a hand in it: a service or gateway repeats the URL that it was sent.
            reason: secrets::conceal(&reason.into()).into_owned(),
            advice: None,
            status: None,
            code: None,
            request_id: None,
            tries: 0,
            blocked: None,
            side: None,
            is_final: matches!(kind, FailureKind::Usage | FailureKind::Name),
        }
    }

    /// The same, of a job with two remote ends: this one said so.
    pub fn of_side(mut self, side: Side) -> Self {
        self.reason = format!("{}: {}", side.as_str(), self.reason);
        self.side = Some(side);
        self
    }

    /// A blob that somebody named and that is not there.
    pub fn not_there(object: &str) -> Box<Self> {
        Box::new(Self::new(FailureKind::Missing, object, "there is no such blob"))
    }

    /// The service says that there is no such object.
    pub fn is_missing(&self) -> bool {
        self.status == Some(404)
            && self.code.as_deref() != Some("ContainerNotFound")
            && self.kind != FailureKind::Network
    }

    /// Says what to do about it.
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// Says which other command does it; see [`Failure::is_final`].
    pub fn advise_anew(self, advice: impl Into<String>) -> Self {
        self.advise(advice).is_final(true)
    }

    /// The job has stopped first.
    pub fn interrupted(object: &str) -> Self {
        Self::new(FailureKind::Interrupted, object, "the job was stopped before this object was complete")
    }

    /// A file that could not be read.
    pub fn read(object: &str, error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        let advice = match error.kind() {
            ErrorKind::NotFound => "it was removed after it was listed",
            ErrorKind::PermissionDenied => "run as a user who may read it",
            _ if error.get_ref().is_some_and(|inner| inner.is::<HasContent>()) => {
                "upload what it gives when it is read: azuring copy - URL < FILE"
            }
            ErrorKind::UnexpectedEof | ErrorKind::Other => "transfer it when it is not being written to",
            ErrorKind::OutOfMemory => "give the job more --memory",
            _ => "check the file and its file system",
        };
        let kind =
            if error.kind() == ErrorKind::OutOfMemory { FailureKind::Limit } else { FailureKind::Source };
        Self::new(kind, object, error.to_string()).advise(advice)
    }

    /// A file that could not be written.
    pub fn write(object: &str, error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        let advice = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room and run the job again",
            ErrorKind::PermissionDenied => "run as a user who may write there",
            ErrorKind::ReadOnlyFilesystem => "choose a destination that can be written to",
            ErrorKind::FileTooLarge => {
                "raise the limit of a file's size (ulimit -f), or use another file system"
            }
            ErrorKind::AlreadyExists => "it appeared while it was downloaded; it was left alone",
            ErrorKind::IsADirectory | ErrorKind::NotADirectory => "the name is taken by something else",
            ErrorKind::OutOfMemory => "give the job more --memory",
            _ => "check the target and its file system",
        };
        let kind = match error.kind() {
            ErrorKind::OutOfMemory
            | ErrorKind::StorageFull
            | ErrorKind::QuotaExceeded
            | ErrorKind::FileTooLarge => FailureKind::Limit,
            _ => FailureKind::Destination,
        };
        let mut failure = Self::new(kind, object, format!("writing the file: {error}")).advise(advice);
        failure.blocked = Blocked::of(error.raw_os_error());
        failure
    }

    /// Something stands in the way of a file, or its directory could not be made.
    pub fn target(object: &str, error: &LocalError) -> Self {
        let blocked = match error {
            LocalError::WriteDenied { .. } => Some(Blocked::Denied),
            error => Blocked::of(error.raw_os_error()),
        };
        let kind = if blocked == Some(Blocked::Full) { FailureKind::Limit } else { FailureKind::Destination };
        Self { blocked, ..Self::new(kind, object, error.to_string()) }
    }

    /// The reason why a job that writes to `destination` stops, after this failure of a single file.
    pub fn of_all(&self, destination: &str) -> Self {
        let advice = match self.blocked {
            Some(Blocked::Full) => "make room there, then resume the job",
            Some(Blocked::ReadOnly | Blocked::Denied) => "make it writable, or choose another destination",
            Some(Blocked::Broken) | None => "check the file system, then resume the job",
        };
        let text = format!("nothing more can be written to {destination}: {}", self.reason);
        Self::new(self.kind, "", text).advise(advice)
    }

    /// Files were written and their file system could not keep them.
    pub fn not_kept(error: &LocalError) -> Self {
        let text = format!(
            "{error}: files that were written since it last succeeded may be damaged, and count as failed"
        );
        let mut failure = Self::target("", error);
        failure.reason = text;
        failure.blocked = None;
        failure.advise("check the disk, then resume the job: it downloads them again")
    }

    /// A source that does not go together with the options.
    pub fn plan_of_source(error: &PlanError) -> Self {
        let failure = Self::new(FailureKind::Usage, "", error.to_string());
        match error {
            PlanError::DirectoryNotRecursive => failure.advise("add --recursive, or end the URL in /*"),
            _ => failure,
        }
    }

    /// Something of the source that could not be read.
    pub fn local(error: &LocalError) -> Self {
        let object = azuring_plan::name::escape(error.path().as_os_str().as_encoded_bytes());
        Self::new(FailureKind::Source, &object, error.to_string())
    }

    /// A name that cannot be used.
    pub fn name(object: &str, error: &NameError) -> Self {
        Self::new(FailureKind::Name, object, error.to_string())
    }

    /// A name that the service would take for another one.
    pub fn other_name(object: &str, stored: &str) -> Self {
        let stored = azuring_plan::name::escape(stored.as_bytes());
        let text = format!("the service would store this name as `{stored}`, which may be another file's");
        Self::new(FailureKind::Name, object, text)
    }

    /// An object that is beyond a limit of the service.
    pub fn plan(object: &str, error: &PlanError) -> Self {
        Self::new(FailureKind::Limit, object, error.to_string()).is_final(true)
    }

    /// What the service refused, or what did not reach it.
    pub fn request(
        object: &str,
        error: &EndError,
        tries: u32,
        credential: &Credential,
        access: Access,
    ) -> Self {
        let error = match error {
            EndError::Blob(error) => error,
            EndError::Store(error) => return Self::store(object, error, tries),
        };
        let kind = match error {
            _ if error.is_integrity() => FailureKind::Integrity,
            _ if error.is_authentication() => FailureKind::Authentication,
            // To somebody without a credential what is not public is not there.
            RequestError::Service(refusal)
                if refusal.code == "ResourceNotFound" && matches!(credential, Credential::Anonymous) =>
            {
                FailureKind::Authentication
            }
            RequestError::Token(_) | RequestError::NotStorage(_) => FailureKind::Network,
            // A proxy's or a web server's: the service was not reached.
            RequestError::Service(refusal) if !refusal.of_service && refusal.class() == Class::Fatal => {
                FailureKind::Network
            }
            RequestError::Name(_) | RequestError::OtherName { .. } => FailureKind::Name,
            RequestError::Link(LinkError::Certificate { .. }) => FailureKind::Network,
            _ => match error.class() {
                Class::Throttle => FailureKind::Throttled,
                Class::Retry => FailureKind::Network,
                Class::Skip | Class::Fatal => FailureKind::Service,
            },
        };
        let mut failure =
            Self::new(kind, object, error.to_string()).advise(error.advice_for(credential, access));
        failure.tries = tries;
        if let RequestError::Service(service) = error {
            failure.status = Some(service.status);
            failure.code = Some(secrets::conceal(&service.code).into_owned());
            failure.request_id = service.request_id.clone();
        }
        failure
    }
}

impl Failure {
    /// What a store refused, or what did not reach it.
    fn store(object: &str, error: &StoreError, tries: u32) -> Self {
        let kind = match error.kind() {
            ErrorKind::Integrity => FailureKind::Integrity,
            ErrorKind::Unauthenticated | ErrorKind::Denied => FailureKind::Authentication,
            ErrorKind::NoHost
            | ErrorKind::Unreachable
            | ErrorKind::Broken
            | ErrorKind::Stalled
            | ErrorKind::Unavailable
            | ErrorKind::NotTheStore => FailureKind::Network,
            ErrorKind::Name => FailureKind::Name,
            ErrorKind::Limit => FailureKind::Limit,
            ErrorKind::Throttled => FailureKind::Throttled,
            _ => FailureKind::Service,
        };
        let mut failure = Self::new(kind, object, error.to_string());
        failure.advice = error.advice().map(str::to_owned);
        failure.tries = tries;
        if let Some(said) = error.words() {
            failure.status = said.status;
            failure.code = Some(secrets::conceal(&said.code).into_owned());
            failure.request_id.clone_from(&said.request_id);
        } else if matches!(error.kind(), ErrorKind::NotFound) {
            // What a missing object is told by.
            failure.status = Some(404);
        }
        failure
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.object.is_empty() {
            write!(f, "{}: ", self.object)?;
        }
        f.write_str(&self.reason)?;
        if self.tries > 1 {
            write!(f, " (after {} tries)", self.tries)?;
        }
        if let Some(id) = &self.request_id {
            write!(f, " [request id {id}]")?;
        }
        if let Some(advice) = &self.advice {
            write!(f, "; {advice}")?;
        }
        Ok(())
    }
}
