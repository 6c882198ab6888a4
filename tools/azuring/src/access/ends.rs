//! The two ends of a copy: each has its own credential, and messages say which end they are about.

use azuring_transfer::{BlobUrl, Credential, Location, RouteChoice};

use super::identity::Who;
use super::keys::Keys;
use super::{Access, Purpose, find};
use crate::cli::copy::TenantArgs;
use crate::cli::engine::EngineArgs;
use crate::cli::global::GlobalArgs;
use crate::output::notice;
use crate::refused::Refused;

/// What messages about an end begin with.
const SOURCE: &str = "source: ";
const DESTINATION: &str = "destination: ";

/// Both ends, and what authorizes requests to them. Nobody was asked for it yet.
pub(crate) struct Both {
    source: (BlobUrl, Access),
    destination: (BlobUrl, Access),
}

/// Reads both URLs and finds what authorizes requests to each. Asks nobody.
pub(crate) fn open(
    (source, reads): (&str, &Purpose<'_>),
    (destination, writes): (&str, &Purpose<'_>),
    global: &GlobalArgs,
    (engine, tenants): (&EngineArgs, &TenantArgs),
) -> Result<Both, Refused> {
    let parsed =
        |text: &str, end| BlobUrl::parse_with_account(text).map_err(|error| Refused::from(error).of_end(end));
    let (source, destination) = (parsed(source, SOURCE)?, parsed(destination, DESTINATION)?);
    let [reader, writer] = whose(tenants);
    let found = |url: &BlobUrl, other: &BlobUrl, purpose: &Purpose<'_>, (end, who, tenant): For| {
        let find = || {
            let keys = Keys::beside(url, other, engine)?;
            let access = find(url, (end, who), &keys, purpose, (global, engine))?;
            if let (Some((flag, _)), Access::Known(_)) = (tenant, &access) {
                notice(&format!("{end}{flag} is not used: no token is asked for"));
            }
            Ok(access)
        };
        find().map_err(|refused: Refused| refused.of_end(end))
    };
    let from = found(&source, &destination, reads, (SOURCE, reader, tenants.named()[0]))?;
    let to = found(&destination, &source, writes, (DESTINATION, writer, tenants.named()[1]))?;
    Ok(Both { source: (source, from), destination: (destination, to) })
}

/// An end for messages, who this process is there, and the flag that says so.
type For<'a> = (&'static str, Who, Option<(&'static str, &'a str)>);

/// Who this process is to the tenants of both ends.
fn whose(tenants: &TenantArgs) -> [Who; 2] {
    let usual = Who::default();
    let [source, destination] = tenants.named();
    let reader = source.map_or_else(|| usual.clone(), Who::of_tenant);
    let writer = match destination {
        Some((_, tenant)) if source.is_some_and(|(_, other)| other == tenant) => reader.clone(),
        Some(named) => Who::of_tenant(named),
        None => usual,
    };
    [reader, writer]
}

/// A URL, and what authorizes requests to it or why nothing does.
pub(crate) type Each = (BlobUrl, Result<Access, Refused>);

/// As [`open`], of ends that are examined: each is told of by itself.
pub(crate) fn each(
    source: &str,
    destination: &str,
    global: &GlobalArgs,
    (engine, tenants): (&EngineArgs, &TenantArgs),
) -> Result<[Each; 2], Refused> {
    let parsed = |text: &str, end| BlobUrl::parse(text).map_err(|error| Refused::from(error).of_end(end));
    let (source, destination) = (parsed(source, SOURCE)?, parsed(destination, DESTINATION)?);
    let [reader, writer] = whose(tenants);
    let found = |url: &BlobUrl, other: &BlobUrl, reads, (end, who): (&'static str, Who)| {
        let keys = Keys::beside(url, other, engine)?;
        let purpose = Purpose { reads, ..Purpose::EXAMINE };
        find(url, (end, who), &keys, &purpose, (global, engine))
    };
    let from = found(&source, &destination, true, (SOURCE, reader));
    let to = found(&destination, &source, false, (DESTINATION, writer));
    Ok([(source, from), (destination, to)])
}

impl Both {
    /// The account between both, and what authorizes requests to it.
    pub(crate) fn staging(
        &self,
        url: &str,
        purpose: &Purpose<'_>,
        global: &GlobalArgs,
        engine: &EngineArgs,
    ) -> Result<Location, Refused> {
        const STAGING: &str = "staging: ";
        let open = || {
            let url = BlobUrl::parse(url)?;
            let keys = Keys::beside(&url, &self.source.0, engine)?;
            let access = find(&url, (STAGING, Who::default()), &keys, purpose, (global, engine))?;
            Ok::<_, Refused>(access.at(url, |_| Ok(())))
        };
        open().map_err(|refused| refused.of_end(STAGING))
    }

    /// The ends of a job that goes this way.
    pub(crate) fn locations(self, route: RouteChoice) -> [Location; 2] {
        let ((source, reads), (destination, writes)) = (self.source, self.destination);
        let to = destination.clone();
        let source = reads.at(source, move |credential| lend(credential, &to, route));
        [source, writes.at(destination, |_| Ok(()))]
    }
}

/// Says what becomes of the way where the destination would see tokens that its host must not have.
///
/// # Errors
/// There is no other way.
fn lend(credential: &Credential, to: &BlobUrl, route: RouteChoice) -> Result<(), Refused> {
    match credential {
        Credential::Token(token) if !token.may_be_lent_to(to) => {}
        _ => return Ok(()),
    }
    let why = format!(
        "{} is not given tokens for the source: it is no host of the storage service",
        to.container_url()
    );
    match route {
        RouteChoice::Direct => Err(super::refused(format!(
            "{SOURCE}{why}; give the source a SAS, name the host with --trusted-microsoft-suffixes, or let the bytes go \
             through this host"
        ))),
        RouteChoice::Auto => {
            notice(&format!("all goes through this host, because {why}"));
            Ok(())
        }
        RouteChoice::Relay | RouteChoice::Staging => Ok(()),
    }
}
