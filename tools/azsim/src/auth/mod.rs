//! Who asks, and whether they may. Written from the REST documentation alone: it is the judge of clients.

pub(crate) mod delegation;
mod roles;
pub(crate) mod sas;
pub(crate) mod shared_key;

use std::net::IpAddr;

use http::header::AUTHORIZATION;
use http::request::Parts;

use crate::entra::{Caller, Role, Trusted};
use crate::error::{
    AUTHENTICATION_FAILED, AUTHORIZATION_FAILURE, AUTHORIZATION_PERMISSION_MISMATCH,
    AUTHORIZATION_RESOURCE_TYPE_MISMATCH, ApiError, INVALID_AUTHENTICATION_INFO, INVALID_BEARER, More,
    NO_AUTHENTICATION_INFORMATION, Result,
};
use crate::route::Operation;
use crate::target::Target;
use crate::time;

/// What a credential that has been verified allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Grant {
    /// The account's key: everything.
    Key,
    /// No credential: what a public container offers.
    Anonymous,
    /// A shared access signature over `srt` resource types.
    AccountSas { types: Permissions, permissions: Permissions },
    /// A shared access signature for one container or blob.
    ServiceSas { permissions: Permissions },
    /// The same, signed with the user delegation key of a principal who has these roles now.
    DelegationSas { permissions: Permissions, roles: Vec<Role> },
    /// A token of the authority.
    Token(Caller),
}

/// A set of the letters of `sp` or `srt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Permissions(u32);

impl Permissions {
    /// Reads letters; `None` for anything that is no lower-case letter.
    pub(crate) fn parse(text: &str) -> Option<Permissions> {
        text.bytes().try_fold(Permissions(0), |set, b| {
            b.is_ascii_lowercase().then(|| Permissions(set.0 | 1 << (b - b'a')))
        })
    }

    pub(crate) fn has(self, letter: u8) -> bool {
        self.0 & 1 << (letter - b'a') != 0
    }

    fn has_any(self, letters: &[u8]) -> bool {
        letters.iter().any(|l| self.has(*l))
    }
}

/// Facts about the connection that a SAS or a firewall can restrict.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    pub(crate) ip: IpAddr,
    /// The address of the server's that it reached.
    pub(crate) at: IpAddr,
    pub(crate) tls: bool,
}

/// Verifies the credential of a request.
pub(crate) fn authenticate(
    parts: &Parts,
    target: &Target<'_>,
    peer: Peer,
    version: Option<&str>,
    issuer: Option<Trusted<'_>>,
) -> Result<Grant> {
    let now = time::now();
    if let Some(header) = parts.headers.get(AUTHORIZATION) {
        let header = header.to_str().map_err(|_| INVALID_AUTHENTICATION_INFO)?;
        return match header.split_once(' ') {
            Some(("SharedKey", credential)) => {
                shared_key::verify(parts, target, credential, version, now).map(|()| Grant::Key)
            }
            Some(("Bearer", token)) => bearer(token, peer, version, issuer).map(Grant::Token),
            _ => Err(INVALID_AUTHENTICATION_INFO.into()),
        };
    }
    if target.query.get("sig").is_some() {
        return sas::verify(target, peer, now, issuer);
    }
    Ok(Grant::Anonymous)
}

/// What an operation asks of a SAS: resource type, any of these permissions, and whether a service SAS can do it.
fn needs(operation: Operation) -> (u8, &'static [u8], bool) {
    match operation {
        Operation::ListContainers => (b's', b"l", false),
        Operation::GetServiceProperties => (b's', b"r", false),
        Operation::CreateContainer => (b'c', b"cw", false),
        Operation::DeleteContainer => (b'c', b"d", false),
        Operation::SetContainerMetadata => (b'c', b"w", false),
        // `lease.rs` looks closer: `d` is for breaking alone.
        Operation::LeaseContainer => (b'c', b"wd", false),
        Operation::LeaseBlob => (b'o', b"wd", true),
        Operation::GetContainerProperties => (b'c', b"r", false),
        // No SAS can do these: `authorize` says so first.
        Operation::GetContainerAcl | Operation::SetContainerAcl | Operation::GetUserDelegationKey => {
            (b'c', b"", false)
        }
        Operation::ListBlobs => (b'c', b"l", true),
        Operation::FindBlobs => (b's', b"f", false),
        Operation::FindBlobsInContainer => (b'c', b"f", true),
        Operation::UndeleteBlob => (b'o', b"w", true),
        Operation::PutBlob | Operation::PutBlobFromUrl => (b'o', b"cw", true),
        Operation::CopyBlob | Operation::CopyBlobFromUrl => (b'o', b"cw", true),
        Operation::AbortCopyBlob => (b'o', b"w", true),
        Operation::PutBlock | Operation::PutBlockFromUrl | Operation::PutBlockList => (b'o', b"w", true),
        Operation::GetBlob | Operation::GetBlobProperties | Operation::GetBlockList => (b'o', b"r", true),
        // Which of them depends on what is deleted: `delete.rs` looks closer.
        Operation::DeleteBlob => (b'o', b"dxy", true),
        Operation::SetBlobTier
        | Operation::SetBlobMetadata
        | Operation::SetBlobProperties
        | Operation::SealAppendBlob
        | Operation::PutPage
        | Operation::PutPageFromUrl => (b'o', b"w", true),
        Operation::SnapshotBlob => (b'o', b"cw", true),
        Operation::AppendBlock | Operation::AppendBlockFromUrl => (b'o', b"aw", true),
        Operation::SetBlobTags | Operation::GetBlobTags => (b'o', b"t", true),
        Operation::GetPageRanges => (b'o', b"r", true),
        Operation::GetAccountInformation | Operation::BlobBatch | Operation::Other => (b'o', b"", true),
    }
}

/// The first version of the service that knows tokens.
const WITH_TOKENS: &str = "2017-11-09";

/// Verifies a token: <https://learn.microsoft.com/rest/api/storageservices/authorize-with-azure-active-directory>.
fn bearer(token: &str, peer: Peer, version: Option<&str>, issuer: Option<Trusted<'_>>) -> Result<Caller> {
    if !peer.tls {
        return Err(failed("Authentication scheme Bearer is not allowed with HTTP."));
    }
    if version.is_none_or(|v| v < WITH_TOKENS) {
        return Err(failed("Authentication scheme Bearer is not supported in this version."));
    }
    let verified = match issuer {
        Some(issuer) => issuer.verify(token),
        None => Err("This server knows no authority and accepts no tokens."),
    };
    verified.map_err(|why| {
        let error = INVALID_BEARER.detail("AuthenticationErrorDetail", why);
        ApiError { more: challenge_of(issuer), ..error }
    })
}

/// Where clients get tokens.
fn authorization_uri(issuer: Option<Trusted<'_>>) -> String {
    let nowhere = "https://login.microsoftonline.com/00000000-0000-0000-0000-000000000000/oauth2/authorize";
    issuer.map_or_else(|| nowhere.to_owned(), Trusted::authorization_uri)
}

fn challenge_of(issuer: Option<Trusted<'_>>) -> Option<Box<More>> {
    Some(Box::new(More::Challenge(authorization_uri(issuer))))
}

/// The 401 that a request without credentials gets.
pub(crate) fn challenge(issuer: Option<Trusted<'_>>) -> ApiError {
    ApiError { more: challenge_of(issuer), ..NO_AUTHENTICATION_INFORMATION.into() }
}

/// Checks an operation against a SAS, roles or the key. Anonymous requests are judged by [`allow_anonymous`].
pub(crate) fn authorize(grant: &Grant, operation: Operation) -> Result<()> {
    let is_sas = !matches!(grant, Grant::Key | Grant::Anonymous | Grant::Token(_));
    let beyond_sas = matches!(
        operation,
        Operation::GetContainerAcl | Operation::SetContainerAcl | Operation::GetUserDelegationKey
    );
    if is_sas && beyond_sas {
        return Err(AUTHORIZATION_FAILURE.into());
    }
    let (resource, letters, by_service_sas) = needs(operation);
    // The parts of a batch are judged one by one.
    let any = matches!(operation, Operation::GetAccountInformation | Operation::BlobBatch | Operation::Other);
    match grant {
        Grant::Key | Grant::Anonymous => Ok(()),
        Grant::Token(caller) => roles::authorize(&caller.roles, operation),
        Grant::AccountSas { types, .. } if !any && !types.has(resource) => {
            Err(AUTHORIZATION_RESOURCE_TYPE_MISMATCH.into())
        }
        Grant::DelegationSas { permissions, roles } => {
            // Both have to allow it: what the SAS says, and what its principal may do.
            authorize(&Grant::ServiceSas { permissions: *permissions }, operation)?;
            roles::authorize(roles, operation)
        }
        Grant::ServiceSas { .. } if !by_service_sas => Err(AUTHORIZATION_PERMISSION_MISMATCH.into()),
        Grant::AccountSas { permissions, .. } | Grant::ServiceSas { permissions } => {
            if any || permissions.has_any(letters) {
                Ok(())
            } else {
                Err(AUTHORIZATION_PERMISSION_MISMATCH.into())
            }
        }
    }
}

/// Whether a grant has a permission. The key has all; anonymous requests were judged by [`allow_anonymous`].
pub(crate) fn may(grant: &Grant, letter: u8) -> bool {
    match grant {
        Grant::Key | Grant::Anonymous => true,
        Grant::Token(caller) => roles::may(&caller.roles, letter),
        Grant::DelegationSas { permissions, roles } => permissions.has(letter) && roles::may(roles, letter),
        Grant::AccountSas { permissions, .. } | Grant::ServiceSas { permissions } => permissions.has(letter),
    }
}

/// Whether a grant that may create may also replace what is there.
pub(crate) fn may_overwrite(grant: &Grant) -> bool {
    may(grant, b'w')
}

/// Whether a grant may set tags together with the blob.
pub(crate) fn may_tag(grant: &Grant) -> bool {
    may(grant, b't')
}

/// What a container lets anonymous requests do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PublicAccess {
    /// Nothing.
    #[default]
    None,
    /// Read blobs.
    Blob,
    /// Read blobs and list them.
    Container,
}

/// Judges a request without credentials.
pub(crate) fn allow_anonymous(
    operation: Operation,
    access: PublicAccess,
    issuer: Option<Trusted<'_>>,
) -> Result<()> {
    let allowed = match operation {
        Operation::GetBlob
        | Operation::GetBlobProperties
        | Operation::GetBlockList
        | Operation::GetPageRanges => access != PublicAccess::None,
        Operation::ListBlobs | Operation::GetContainerProperties => access == PublicAccess::Container,
        _ => false,
    };
    if allowed { Ok(()) } else { Err(challenge(issuer)) }
}

/// `AuthenticationFailed` with the reason, which the real service gives too.
pub(crate) fn failed(why: impl Into<String>) -> ApiError {
    AUTHENTICATION_FAILED.detail("AuthenticationErrorDetail", why)
}

/// The oldest and newest `x-ms-version` and `sv` this server answers to.
pub(crate) const VERSIONS: (&str, &str) = ("2015-02-21", "2026-12-31");

/// Whether a text is a service version in the accepted span.
pub(crate) fn is_version(text: &str) -> bool {
    let b = text.as_bytes();
    b.len() == 10
        && b.iter().enumerate().all(|(i, c)| if i == 4 || i == 7 { *c == b'-' } else { c.is_ascii_digit() })
        && (VERSIONS.0..=VERSIONS.1).contains(&text)
}
