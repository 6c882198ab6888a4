//! The two ends of a copy: each has its own credential, and messages say which end they are about.

use azuring_transfer::{BlobUrl, Credential, Location};

use super::identity::Who;
use super::keys::Keys;
use super::{Access, Purpose, find, trusted};
use crate::cli::engine::EngineArgs;
use crate::cli::global::GlobalArgs;
use crate::refused::Refused;

/// What messages about an end begin with.
const SOURCE: &str = "source: ";
const DESTINATION: &str = "destination: ";

/// Both ends, and what authorizes requests to them. Nobody was asked for it yet.
pub(crate) struct Both {
    source: (BlobUrl, Access),
    destination: (BlobUrl, Access),
    /// Why the destination must not see tokens for the source, if it may come to that.
    withheld: Option<String>,
}

/// Reads both URLs and finds what authorizes requests to each. Asks nobody.
pub(crate) fn open(
    (source, reads): (&str, &Purpose<'_>),
    (destination, writes): (&str, &Purpose<'_>),
    global: &GlobalArgs,
    engine: &EngineArgs,
) -> Result<Both, Refused> {
    let parsed = |text: &str, end| BlobUrl::parse(text).map_err(|error| Refused::from(error).of_end(end));
    let (source, destination) = (parsed(source, SOURCE)?, parsed(destination, DESTINATION)?);
    let who = Who::default();
    let found = |url: &BlobUrl, other: &BlobUrl, purpose: &Purpose<'_>, end: &'static str| {
        let find = || {
            let keys = Keys::beside(url, other, engine)?;
            find(url, (end, who.clone()), &keys, purpose, (global, engine))
        };
        find().map_err(|refused| refused.of_end(end))
    };
    let from = found(&source, &destination, reads, SOURCE)?;
    let to = found(&destination, &source, writes, DESTINATION)?;
    let may_be_token = matches!(from, Access::Asked(_));
    let may = Credential::may_send_tokens(&destination, &trusted(global));
    let withheld = may.err().filter(|_| may_be_token).map(|error| error.to_string());
    Ok(Both { source: (source, from), destination: (destination, to), withheld })
}

impl Both {
    /// Why the destination cannot be let read the source, if that takes a token: it would see it.
    pub(crate) fn withheld(&self) -> Option<&str> {
        self.withheld.as_deref()
    }

    /// The ends of a job.
    pub(crate) fn locations(self) -> [Location; 2] {
        [self.source, self.destination].map(|(url, access)| access.at(url))
    }
}
