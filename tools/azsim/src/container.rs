//! Containers, and the little there is about the account and the service.

use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode};

use crate::answer::{self, Answer, Failure};
use crate::auth::PublicAccess;
use crate::conditions::Conditions;
use crate::encryption::ScopePolicy;
use crate::error::{INVALID_HEADER_VALUE, INVALID_RESOURCE_NAME, Result};
use crate::headers::{self, nonempty};
use crate::lease::{self, On, State};
use crate::names::Order;
use crate::properties::{Tiers, metadata, put, write_metadata};
use crate::service::{Rq, write_times};
use crate::store::{Container, Facts};
use crate::target::is_system;
use crate::xml;

/// Reads what a container is to offer without credentials.
pub(crate) fn read_access(parts: &Parts) -> Result<PublicAccess> {
    match nonempty(parts, "x-ms-blob-public-access") {
        None => Ok(PublicAccess::None),
        Some("blob") => Ok(PublicAccess::Blob),
        Some("container") => Ok(PublicAccess::Container),
        Some(other) => Err(INVALID_HEADER_VALUE.header("x-ms-blob-public-access", other)),
    }
}

/// Writes what a container offers without credentials.
pub(crate) fn write_access(access: PublicAccess, answer: &mut Answer) {
    let value = match access {
        PublicAccess::None => return,
        PublicAccess::Blob => "blob",
        PublicAccess::Container => "container",
    };
    answer.headers_mut().insert(headers::PUBLIC_ACCESS, HeaderValue::from_static(value));
}

pub(crate) fn create(rq: &Rq<'_>) -> std::result::Result<Answer, Failure> {
    let (name, _) = rq.target.names();
    if is_system(name) {
        return Err(INVALID_RESOURCE_NAME.into());
    }
    let access = read_access(rq.parts)?;
    let metadata = metadata(rq.parts, rq.metadata_names)?;
    let scopes = ScopePolicy::read(rq.parts)?;
    let facts = Facts { modified: rq.shared.clock.tick(), access, metadata, scopes, ..Facts::default() };
    let container =
        rq.target.account.create(Container::new(name, rq.shared.order, facts), rq.shared.now())?;
    let mut answer = answer::empty(StatusCode::CREATED);
    write_times(&mut answer, container.facts().modified);
    Ok(answer)
}

pub(crate) fn delete(rq: &Rq<'_>) -> std::result::Result<Answer, Failure> {
    let conditions = Conditions::read(rq.parts)?;
    let container = rq.container()?;
    if is_system(&container.name) {
        return Err(INVALID_RESOURCE_NAME.into());
    }
    let facts = container.facts();
    conditions.check_change(facts.modified)?;
    lease::check_write(rq.parts, facts.lease.as_ref(), On::Container, rq.shared.now())?;
    rq.target.account.remove(&container.name, rq.shared.now() + rq.shared.container_deletion)?;
    Ok(answer::empty(StatusCode::ACCEPTED))
}

pub(crate) fn properties(rq: &Rq<'_>) -> std::result::Result<Answer, Failure> {
    let container = rq.container()?;
    let facts = container.facts();
    lease::check_read(rq.parts, facts.lease.as_ref(), On::Container, rq.shared.now())?;
    let mut answer = answer::empty(StatusCode::OK);
    write_times(&mut answer, facts.modified);
    write_metadata(&facts.metadata, &mut answer);
    write_access(facts.access, &mut answer);
    State::of(facts.lease.as_ref(), rq.shared.now()).write(&mut answer);
    let headers = answer.headers_mut();
    for (name, value) in [
        ("x-ms-has-immutability-policy", "false"),
        ("x-ms-has-legal-hold", "false"),
        ("x-ms-immutable-storage-with-versioning-enabled", "false"),
        ("x-ms-deny-encryption-scope-override", if facts.scopes.deny_override { "true" } else { "false" }),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    put(headers, HeaderName::from_static("x-ms-default-encryption-scope"), facts.scopes.shown());
    Ok(answer)
}

/// Replaces the metadata.
pub(crate) fn set_metadata(rq: &Rq<'_>) -> std::result::Result<Answer, Failure> {
    let conditions = Conditions::read(rq.parts)?;
    let metadata = metadata(rq.parts, rq.metadata_names)?;
    let modified = rq.shared.clock.tick();
    rq.container()?.change(|facts| {
        conditions.check_change(facts.modified)?;
        lease::check_read(rq.parts, facts.lease.as_ref(), On::Container, rq.shared.now())?;
        (facts.modified, facts.metadata) = (modified, metadata);
        Ok(())
    })?;
    let mut answer = answer::empty(StatusCode::OK);
    write_times(&mut answer, modified);
    Ok(answer)
}

pub(crate) fn account_information(rq: &Rq<'_>) -> Answer {
    let mut answer = answer::empty(StatusCode::OK);
    for (name, value) in [
        ("x-ms-sku-name", if rq.tiers() == Tiers::OfBlocks { "Standard_LRS" } else { "Premium_LRS" }),
        ("x-ms-account-kind", if rq.tiers() == Tiers::None { "BlockBlobStorage" } else { "StorageV2" }),
        ("x-ms-is-hns-enabled", if rq.shared.order == Order::Tree { "true" } else { "false" }),
    ] {
        answer.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    answer
}

pub(crate) fn service_properties(rq: &Rq<'_>) -> Answer {
    let mut out = String::from(xml::PROLOG);
    out.push_str(concat!(
        "<StorageServiceProperties><Logging><Version>1.0</Version><Read>false</Read><Write>false</Write>",
        "<Delete>false</Delete><RetentionPolicy><Enabled>false</Enabled></RetentionPolicy></Logging>",
        "<HourMetrics><Version>1.0</Version><Enabled>false</Enabled><RetentionPolicy><Enabled>false</Enabled>",
        "</RetentionPolicy></HourMetrics><MinuteMetrics><Version>1.0</Version><Enabled>false</Enabled>",
        "<RetentionPolicy><Enabled>false</Enabled></RetentionPolicy></MinuteMetrics><Cors />",
        "<DeleteRetentionPolicy>",
    ));
    match rq.shared.soft_delete {
        None => out.push_str("<Enabled>false</Enabled>"),
        Some(days) => {
            out.push_str("<Enabled>true</Enabled>");
            xml::element(&mut out, "Days", &days.to_string());
            out.push_str("<AllowPermanentDelete>true</AllowPermanentDelete>");
        }
    }
    out.push_str(
        "</DeleteRetentionPolicy><StaticWebsite><Enabled>false</Enabled></StaticWebsite></StorageServiceProperties>",
    );
    answer::xml(out)
}
