//! Why a URL or a credential cannot be used.

use azuring_plan::place::PlaceError;

/// Why a URL cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// Not a URL at all, or not http(s).
    #[error("{url} is not a blob URL: {reason}")]
    Malformed {
        /// The URL without its query.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// There is no container in the path.
    #[error("{url} names no container; it should look like {shape}")]
    NoContainer {
        /// The URL without its query.
        url: String,
        /// The expected shape.
        shape: &'static str,
    },
    /// Something else than a SAS stands in the query: it would make another operation of every request, or nobody knows
    /// what it means. Leave it out.
    #[error(
        "the URL's query has {parameter}, which is neither part of a SAS nor `snapshot` or `versionid`: leave it out, since \
         it would change what the requests do"
    )]
    Parameter {
        /// The parameter's name in quotes, where it can be shown.
        parameter: String,
    },
    /// A snapshot or a version is named where there can be none.
    #[error("a snapshot or version {reason}: leave `snapshot` and `versionid` out of the URL")]
    State {
        /// Why it cannot be.
        reason: &'static str,
    },
    /// The query is not a shared access signature.
    #[error("the SAS in the URL is not valid: {reason} (put the URL in quotes: the shell ends it at `&`)")]
    Sas {
        /// What is wrong.
        reason: String,
    },
}

impl From<PlaceError> for UrlError {
    fn from(error: PlaceError) -> Self {
        match error {
            PlaceError::Malformed { url, reason } => Self::Malformed { url, reason: reason.to_owned() },
            PlaceError::State { reason } => Self::State { reason },
            // Of a kind that this crate does not know yet.
            other => Self::Malformed { url: "the URL".to_owned(), reason: other.to_string() },
        }
    }
}

/// Why no usable credential was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// The key is not base64. Copy it again, with its trailing `==`.
    #[error("the key for account {account} is not base64: copy it whole, with the `==` at its end")]
    Key {
        /// The account that the key was given for.
        account: String,
    },
    /// No account can have this name.
    #[error("`{account}` is not the name of an account: it has letters, digits and `-_.`")]
    Account {
        /// The name.
        account: String,
    },
    /// The connection string lacks a part or belongs to another account.
    #[error("AZURE_STORAGE_CONNECTION_STRING cannot be used: {reason}")]
    ConnectionString {
        /// What is wrong.
        reason: String,
    },
    /// A key was given, but not for which account.
    #[error("a key is set, but the URL does not tell the account's name: set AZURE_STORAGE_ACCOUNT")]
    NoAccount,
    /// The SAS in the connection string is not valid.
    #[error(transparent)]
    Sas(#[from] UrlError),
    /// A token would be readable on its way.
    #[error("tokens of Microsoft Entra ID are sent over https only: {url} is not https")]
    TokenNeedsTls {
        /// The URL that was refused, without its SAS.
        url: String,
    },
    /// A token would be given to a host that may not be the service.
    #[error(
        "tokens of Microsoft Entra ID are not sent to {host}: it is none of the storage service's domains ({trusted}); if it is yours, add --trusted-microsoft-suffixes={host}"
    )]
    TokenNotTrusted {
        /// Host and port.
        host: String,
        /// The domains that are trusted.
        trusted: String,
    },
    /// The token was meant for another host than the requests go to.
    #[error("the token is for {token_host}, the requests go to {host}")]
    TokenForOther {
        /// Where the token may go.
        token_host: String,
        /// Where the requests go.
        host: String,
    },
}
