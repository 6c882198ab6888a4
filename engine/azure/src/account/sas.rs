//! Shared access signatures: what stands in the query of a URL.

mod build;
mod check;
pub(crate) mod date;
mod delegation;
mod facts;

use std::time::SystemTime;

use azuring_link::secrets;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::account::error::UrlError;
use crate::account::secret::Secret;
pub use build::{SasBuildError, SasBuilder, SasOverrides};
pub use check::{SasFault, SasNeeds, SasOperation};
pub use delegation::UserDelegationKey;
pub use facts::{SasFacts, SasKind, SasResource};

/// A SAS query as it was given, without the question mark. The signature inside is a secret, so all of it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sas {
    query: Secret,
}

impl Sas {
    /// Takes a query string and checks that it has the shape of a SAS: version, signature, and an end or a
    /// stored policy.
    ///
    /// # Errors
    /// [`UrlError::Sas`] with what is missing. A query cut off at its first `&` by the shell is the usual cause.
    pub fn parse(query: &str) -> Result<Self, UrlError> {
        let fault = |what: &str| UrlError::Sas { reason: what.to_owned() };
        let mut seen = Seen::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or_else(|| fault("a part of it has no `=`"))?;
            if !is_field(name) {
                return Err(UrlError::Parameter { parameter: shown(name) });
            }
            match name {
                "sv" => seen.version = true,
                "se" | "si" => seen.end = true,
                "sig" => {
                    secrets::register(value);
                    let raw = percent_encoding::percent_decode_str(value).decode_utf8_lossy();
                    // A plus sign that was not encoded arrives as a blank in some shells and editors.
                    let hash = BASE64_STANDARD
                        .decode(raw.replace(' ', "+").as_bytes())
                        .map_err(|_| fault("its signature (sig) is not base64; was it cut off?"))?;
                    if hash.len() != 32 {
                        return Err(fault("its signature (sig) is not 32 bytes long; was it cut off?"));
                    }
                    seen.signature = true;
                }
                _ => {}
            }
        }
        match seen {
            Seen { signature: false, .. } => Err(fault("it has no signature (sig)")),
            Seen { version: false, .. } => Err(fault("it has no version (sv)")),
            Seen { end: false, .. } => Err(fault("it has neither an expiry (se) nor a stored policy (si)")),
            _ => {
                let valid = query.bytes().all(|b| b.is_ascii_graphic());
                if !valid {
                    return Err(fault("it has blanks or other characters that a query cannot have"));
                }
                Ok(Self { query: Secret::partly(query) })
            }
        }
    }

    /// What it says of itself, but for its signature.
    pub fn facts(&self) -> SasFacts {
        SasFacts::read(self.expose())
    }

    /// Whether it can do a job. What cannot be judged from here passes.
    ///
    /// # Errors
    /// [`SasFault`].
    pub fn check(&self, want: &SasNeeds<'_>, now: SystemTime) -> Result<(), SasFault> {
        self.facts().check(want, now)
    }

    /// When it ends to be valid, where it says so itself.
    pub fn expires(&self) -> Option<SystemTime> {
        self.facts().expiry
    }

    /// The query, to be appended to the URL of a request.
    pub fn expose(&self) -> &str {
        self.query.expose()
    }
}

/// The fields of a SAS: "Create an account SAS", "Create a service SAS", "Create a user delegation SAS", version
/// 2025-07-05.
const FIELDS: [&str; 33] = [
    "sv", "ss", "srt", "st", "se", "sp", "sip", "spr", "sr", "si", "sig", "ses", "sdd", "skoid", "sktid",
    "skt", "ske", "sks", "skv", "saoid", "suoid", "scid", "skdutid", "sduoid", "rscc", "rscd", "rsce",
    "rscl", "rsct", "tn", "spk", "srk", "epk",
];

/// Whether a parameter is one of a SAS, be it of a later version: all begin with an `s` and are short, as no parameter
/// is that says what a request does.
fn is_field(name: &str) -> bool {
    let later = name.len() <= 5 && name.starts_with('s') && name.bytes().all(|b| b.is_ascii_lowercase());
    later || FIELDS.contains(&name)
}

/// A parameter's name for a message; what is no word may be a part of a signature.
fn shown(name: &str) -> String {
    let is_word = name.len() <= 24 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if is_word { format!("`{name}`") } else { "something".to_owned() }
}

#[derive(Default)]
struct Seen {
    version: bool,
    end: bool,
    signature: bool,
}

#[cfg(test)]
mod tests;
