//! Where a command goes, and with which credential.
//!
//! ```text
//!   SAS in the URL ─> --account-key-file ─> AZCOPY_AUTO_LOGIN_TYPE ─> key in a variable ─> emulator's key ─┐
//!                     public (for reading) ─> `azuring login` ─> chain ─> nothing (for reading) ───────────┴─> Credential
//! ```

pub(crate) mod ends;
pub(crate) mod identity;
mod keys;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use azuring_azure::{AccountKey, Sas, SasKind, SasNeeds, SasOperation, Secret, TrustedSuffixes};
use azuring_transfer::{BlobUrl, Credential, JobBuilder, JobOptions, Location, is_public};

use self::identity::{NoBearer, Who};
use self::keys::Keys;
use crate::cli::engine::EngineArgs;
use crate::cli::global::GlobalArgs;
use crate::exit::Exit;
use crate::options::{self, variable};
use crate::output::notice;
use crate::refused::{Refused, usage};
use crate::run;

/// What is done with what the URL names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Purpose<'a> {
    /// What is asked of the service.
    pub(crate) operations: &'a [SasOperation],
    /// Whether a directory, or the container, is listed for it.
    pub(crate) lists: bool,
    /// Whether nothing is changed: such a source may be public.
    pub(crate) reads: bool,
}

impl Purpose<'static> {
    /// Something is found out: nothing is demanded of a SAS but that it can be sent.
    pub(crate) const EXAMINE: Self = Self { operations: &[], lists: false, reads: true };
    /// Blobs are listed, or one of them is shown.
    pub(crate) const LIST: Self = Self { operations: &[], lists: true, reads: true };
    /// The container is made.
    pub(crate) const MAKE: Self =
        Self { operations: &[SasOperation::CreateContainer], lists: false, reads: false };
}

/// What authorizes the requests of a command, or how that is found out.
pub(crate) enum Access {
    /// A SAS, a key, or nothing.
    Known(Credential),
    /// Nothing was given: the source may be public, or this process somebody to Microsoft Entra ID. To find out takes
    /// requests.
    Asked(Box<Asked>),
}

/// What is needed to find out.
pub(crate) struct Asked {
    url: BlobUrl,
    /// Which end of a job it is, for messages: nothing where there is one only.
    end: &'static str,
    /// Who this process is, once that is known.
    who: Who,
    /// Whether nothing is changed, and a public source will do.
    reads: bool,
    /// Whether names are known beforehand, and blobs may be public where their list is not.
    named: bool,
    trusted: TrustedSuffixes,
    engine: EngineArgs,
    options: JobOptions,
}

impl Access {
    /// The credential of a job before it is found out.
    pub(crate) fn known(&self) -> Credential {
        match self {
            Self::Known(credential) => credential.clone(),
            Self::Asked(_) => Credential::Anonymous,
        }
    }

    /// Has the job find out when everything else is right.
    pub(crate) fn of(self, job: JobBuilder) -> JobBuilder {
        match self {
            Self::Known(_) => job,
            asked => job.credential_by(move || asked.now().map_err(Into::into)),
        }
    }

    /// An end of a copy, which has its credential found out when everything else is right. `check` looks at what was
    /// found.
    pub(crate) fn at(
        self,
        url: BlobUrl,
        check: impl FnOnce(&Credential) -> Result<(), Refused> + Send + 'static,
    ) -> Location {
        match self {
            Self::Known(credential) => Location::blob(url, credential),
            asked => {
                let found =
                    move || asked.now().and_then(|credential| check(&credential).map(|()| credential));
                Location::blob(url, Credential::Anonymous).credential_by(move || found().map_err(Into::into))
            }
        }
    }

    /// Finds out.
    pub(crate) fn now(self) -> Result<Credential, Refused> {
        run::before_it_begins(|| self.find_out())
    }

    fn find_out(self) -> Result<Credential, Refused> {
        let asked = match self {
            Self::Known(credential) => return Ok(credential),
            Self::Asked(asked) => asked,
        };
        let end = asked.end;
        asked.find_out().map_err(|refused| refused.of_end(end))
    }
}

impl Asked {
    fn find_out(self) -> Result<Credential, Refused> {
        let Self { url, end, who, reads, named, trusted, engine, options } = self;
        if reads && is_public(&url, &options)? {
            return Ok(Credential::Anonymous);
        }
        match who.bearer(&engine) {
            Ok(bearer) => Ok(Credential::token(&url, bearer, &trusted)?),
            Err(NoBearer::Nobody(why)) if reads && named => {
                // The service has the last word.
                notice(&format!("{end}{why}"));
                Ok(Credential::Anonymous)
            }
            Err(none) => Err(none.into()),
        }
    }
}

/// The URL and what authorizes requests to it. Asks nobody.
pub(crate) fn open(
    url: &str,
    purpose: &Purpose<'_>,
    global: &GlobalArgs,
    engine: &EngineArgs,
) -> Result<(BlobUrl, Access), Refused> {
    let url = BlobUrl::parse(url)?;
    let keys = Keys::of(engine);
    let access = find(&url, ("", Who::default()), &keys, purpose, (global, engine))?;
    Ok((url, access))
}

/// The same, to be examined: why there is no credential is one of the things that are told.
pub(crate) fn one(url: &str, global: &GlobalArgs, engine: &EngineArgs) -> Result<ends::Each, Refused> {
    let url = BlobUrl::parse(url)?;
    let keys = Keys::of(engine);
    let access = find(&url, ("", Who::default()), &keys, &Purpose::EXAMINE, (global, engine));
    Ok((url, access))
}

/// What authorizes requests to the URL, at this end and for this process. Asks nobody.
fn find(
    url: &BlobUrl,
    (end, who): (&'static str, Who),
    keys: &Keys<'_>,
    purpose: &Purpose<'_>,
    (global, engine): (&GlobalArgs, &EngineArgs),
) -> Result<Access, Refused> {
    let forced = Forced::of(variable("AZCOPY_CRED_TYPE").as_deref())?;
    let trusted = trusted(global);
    let may = Credential::may_send_tokens(url, &trusted);
    // Who says who to be means it, whatever keys of other programs are about.
    let asked = forced == Some(Forced::Token) || identity::is_asked_for();
    let nothing_else = asked && may.is_ok() && forced != Some(Forced::SharedKey) && keys.file.is_none();
    let given = match url.sas() {
        None if nothing_else => Credential::Anonymous,
        _ => given(url, keys, forced)?,
    };
    match given {
        Credential::Anonymous if forced != Some(Forced::Anonymous) => {}
        credential => {
            if let Credential::Sas(sas) = &credential {
                check_sas(sas, url, end, purpose)?;
            }
            return Ok(Access::Known(credential));
        }
    }
    if let Err(error) = may {
        // Nobody else's server gets a token because one could be had.
        if asked {
            return Err(error.into());
        }
        if identity::is_set(engine.no_cache.0) {
            notice(&format!("{end}no login is used: {error}"));
        }
        return Ok(Access::Known(Credential::Anonymous));
    }
    let options = options::common(global, engine)?;
    let reads = forced.is_none() && purpose.reads;
    let (named, engine, url) = (!purpose.lists, engine.clone(), url.clone());
    Ok(Access::Asked(Box::new(Asked { url, end, who, reads, named, trusted, engine, options })))
}

/// The account's key, if one is given.
pub(crate) fn key(url: &BlobUrl, engine: &EngineArgs) -> Result<Option<AccountKey>, Refused> {
    match given(url, &Keys::of(engine), None)? {
        Credential::SharedKey(key) => Ok(Some(*key)),
        _ => Ok(None),
    }
}

/// Tokens for the requests to `url`.
pub(crate) fn token(url: &BlobUrl, global: &GlobalArgs, engine: &EngineArgs) -> Result<Credential, Refused> {
    let trusted = trusted(global);
    Credential::may_send_tokens(url, &trusted)?;
    Ok(Credential::token(url, identity::bearer(engine)?, &trusted)?)
}

fn trusted(global: &GlobalArgs) -> TrustedSuffixes {
    TrustedSuffixes::default().with(global.trusted_microsoft_suffixes.as_deref().unwrap_or_default())
}

/// Whether a credential can be found without asking anybody: one that was given, or a login. `other`: the other end of
/// a copy.
pub(crate) fn is_there(url: &BlobUrl, other: Option<&BlobUrl>, engine: &EngineArgs) -> Result<bool, Refused> {
    let keys = match other {
        Some(other) => Keys::beside(url, other, engine)?,
        None => Keys::of(engine),
    };
    Ok(identity::is_set(engine.no_cache.0) || !matches!(given(url, &keys, None)?, Credential::Anonymous))
}

/// What a parent process has chosen, by AZCOPY_CRED_TYPE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Forced {
    Anonymous,
    SharedKey,
    Token,
}

impl Forced {
    fn of(kind: Option<&str>) -> Result<Option<Self>, Refused> {
        match kind.map(|kind| kind.trim().to_ascii_lowercase()).as_deref() {
            None => Ok(None),
            Some("anonymous") => Ok(Some(Self::Anonymous)),
            Some("sharedkey") => Ok(Some(Self::SharedKey)),
            Some("oauthtoken") => Ok(Some(Self::Token)),
            Some(other) => Err(usage(format!(
                "AZCOPY_CRED_TYPE is {other}: for Blob storage it is Anonymous, OAuthToken or SharedKey; unset it"
            ))),
        }
    }
}

/// A SAS that ends so soon is told of.
const SOON: Duration = Duration::from_secs(15 * 60);

/// Refuses a SAS that cannot do it, before anything is sent.
fn check_sas(sas: &Sas, url: &BlobUrl, end: &str, purpose: &Purpose<'_>) -> Result<(), Refused> {
    let path = url.raw_path();
    // Anything else may be one blob, whatever else it may be.
    let listed = purpose.lists && (path.is_empty() || path.ends_with('/') || path.contains('*'));
    let mut operations = purpose.operations.to_vec();
    if listed {
        operations.push(SasOperation::List);
    }
    if url.is_account() && listed {
        operations.push(SasOperation::ListContainers);
    } else if url.is_account() && !matches!(sas.facts().kind, SasKind::Account { .. }) {
        // Containers may be there: a SAS of the account does that can write blobs alone.
        operations.push(SasOperation::CreateContainer);
    }
    let needs = SasNeeds::new(url.endpoint().tls, &operations).one_blob(!listed);
    let now = SystemTime::now();
    sas.check(&needs, now).map_err(|fault| refused(fault.to_string()))?;
    match sas.expires().map(|end| end.duration_since(now)) {
        Some(Ok(left)) if left < SOON => {
            let minutes = left.as_secs() / 60;
            notice(&format!(
                "{end}the SAS expires in {minutes} minutes: requests after that will be refused"
            ));
        }
        Some(Err(ended)) => {
            let seconds = ended.duration().as_secs();
            notice(&format!("{end}the SAS expired {seconds} s ago, if this machine's clock is right"));
        }
        _ => {}
    }
    Ok(())
}

/// A SAS or a key, if one is given.
fn given(url: &BlobUrl, keys: &Keys<'_>, forced: Option<Forced>) -> Result<Credential, Refused> {
    let credential = match (url.sas(), keys.file) {
        (None, Some(path)) => Credential::key(url, &key_file(path)?, variable(keys::ACCOUNT))?,
        _ => Credential::find(url, |name| keys.variable(name))?,
    };
    match (forced, credential) {
        (Some(Forced::SharedKey), credential @ Credential::SharedKey(_)) => Ok(credential),
        (Some(Forced::SharedKey), _) => {
            Err(refused("AZCOPY_CRED_TYPE is SharedKey: set ACCOUNT_NAME and ACCOUNT_KEY"))
        }
        (Some(Forced::Anonymous | Forced::Token), Credential::SharedKey(_)) => Ok(Credential::Anonymous),
        (_, credential) => Ok(credential),
    }
}

/// The key in a file: base64, with whatever blanks and line ends an editor left around it.
fn key_file(path: &Path) -> Result<Secret, Refused> {
    // A key has 88 characters; a file that was named by mistake is not read whole.
    const LIMIT: usize = 4 << 10;
    let shown = path.display();
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LIMIT as u64 + 1).read_to_end(&mut text));
    read.map_err(|error| refused(format!("--account-key-file {shown}: {error}")))?;
    let text = String::from_utf8(text).ok().filter(|text| text.len() <= LIMIT && !text.trim().is_empty());
    match text {
        Some(text) => Ok(Secret::new(text.trim())),
        None => Err(refused(format!("--account-key-file {shown}: it holds no key (base64, one line)"))),
    }
}

/// A credential that is missing or cannot be used.
pub(crate) fn refused(text: impl Into<String>) -> Refused {
    Refused { text: text.into(), exit: Exit::Authentication }
}
