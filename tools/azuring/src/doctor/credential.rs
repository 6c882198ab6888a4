//! What authorizes requests, and what it says of itself.

use std::time::{SystemTime, UNIX_EPOCH};

use azuring_plan::date;
use azuring_transfer::{BlobUrl, Credential, Sas, SasFacts, SasKind, SasNeeds, SasOperation, SasResource};
use serde_json::json;

use super::end::Role;
use super::finding::{Finding, Verdict};
use crate::exit::Exit;

/// What a SAS may allow, and how it is called.
const POWERS: [(SasOperation, &str); 5] = [
    (SasOperation::List, "listing"),
    (SasOperation::Read, "reading"),
    (SasOperation::WriteBlob, "writing"),
    (SasOperation::Delete, "deleting"),
    (SasOperation::Tags, "tags"),
];

/// Of a SAS its kind, its end, and what it allows; of tokens whose they are.
pub(super) fn described(url: &BlobUrl, credential: &Credential, role: Role) -> Finding {
    match credential {
        Credential::Sas(sas) => of_sas(url, sas, role),
        Credential::Token(token) => Finding::new("credential", Verdict::Ok, credential.describe())
            .facts(json!({ "credential": "token", "identity": token.identity() })),
        Credential::SharedKey(_) => Finding::new("credential", Verdict::Ok, credential.describe())
            .facts(json!({ "credential": "key" })),
        _ => {
            let verdict =
                if role == Role::Destination { Verdict::Wrong(Exit::Authentication) } else { Verdict::Note };
            Finding::new("credential", verdict, credential.describe()).facts(json!({ "credential": "none" }))
        }
    }
}

/// Whether it allows this, as far as its letters tell.
pub(super) fn allows(url: &BlobUrl, credential: &Credential, operation: SasOperation) -> bool {
    match credential {
        Credential::Sas(sas) => can(url, &sas.facts(), operation),
        Credential::Anonymous => matches!(operation, SasOperation::List | SasOperation::Read),
        _ => true,
    }
}

/// Whether it gives access to more than one blob or directory.
pub(super) fn is_for_container(credential: &Credential) -> bool {
    let Credential::Sas(sas) = credential else { return true };
    match sas.facts().kind {
        SasKind::Account { .. } => true,
        SasKind::Service(resource) | SasKind::UserDelegation { resource, .. } => {
            resource == SasResource::Container
        }
        _ => false,
    }
}

fn can(url: &BlobUrl, facts: &SasFacts, operation: SasOperation) -> bool {
    let operations = [operation];
    let needs = SasNeeds::new(url.endpoint().tls, &operations).one_blob(operation != SasOperation::List);
    facts.check(&needs, SystemTime::now()).is_ok()
}

fn of_sas(url: &BlobUrl, sas: &Sas, role: Role) -> Finding {
    let facts = sas.facts();
    let kind = match &facts.kind {
        SasKind::Account { services, resource_types } => {
            format!("an account SAS (ss={services}, srt={resource_types})")
        }
        SasKind::Service(resource) => format!("a service SAS for {}", resource_name(resource)),
        SasKind::UserDelegation { resource, object_id } => {
            format!("a user delegation SAS of {object_id} for {}", resource_name(resource))
        }
        _ => "a SAS".to_owned(),
    };
    let letters = match (&facts.permissions, &facts.policy) {
        (Some(letters), None) => format!("sp={letters}"),
        (Some(letters), Some(policy)) => format!("sp={letters} and what the stored policy {policy} adds"),
        (None, Some(policy)) => format!("permissions of the stored policy {policy}"),
        (None, None) => "no permissions".to_owned(),
    };
    let ends = match facts.expiry {
        Some(end) => format!("it ends {}", shown(end)),
        None => "its end is not told".to_owned(),
    };
    let named = |able: bool| {
        let those = POWERS.iter().filter(|(operation, _)| can(url, &facts, *operation) == able);
        those.map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
    };
    let (able, unable) = (named(true), named(false));
    let mut text = format!("{kind}; {letters}; {ends}");
    if let Some(ip) = &facts.ip {
        text += &format!("; only from {ip}");
    }
    if !able.is_empty() {
        text += &format!("; allows {able}");
    }
    if !unable.is_empty() {
        text += &format!("; does not allow {unable}");
    }
    let path = url.raw_path();
    let lists = path.is_empty() || path.ends_with('/') || path.contains('*');
    let needed: &[SasOperation] = match role {
        Role::Destination => &[SasOperation::WriteBlob],
        _ if lists => &[SasOperation::List, SasOperation::Read],
        _ => &[SasOperation::Read],
    };
    let needs = SasNeeds::new(url.endpoint().tls, needed).one_blob(!needed.contains(&SasOperation::List));
    let fault = facts.check(&needs, SystemTime::now()).err();
    let verdict = if fault.is_some() { Verdict::Wrong(Exit::Authentication) } else { Verdict::Ok };
    if let Some(fault) = fault {
        text = format!("{fault}; {text}");
    }
    Finding::new("credential", verdict, text).facts(json!({
        "credential": "sas",
        "permissions": facts.permissions,
        "policy": facts.policy,
        "expires": facts.expiry.map(shown),
        "allows": able,
        "missing": unable,
    }))
}

fn resource_name(resource: &SasResource) -> String {
    match resource {
        SasResource::Container => "the container (sr=c)".to_owned(),
        SasResource::Blob => "one blob (sr=b)".to_owned(),
        SasResource::Directory => "one directory (sr=d)".to_owned(),
        SasResource::Snapshot => "one snapshot (sr=bs)".to_owned(),
        SasResource::Version => "one version (sr=bv)".to_owned(),
        SasResource::Other(other) => format!("sr={other}"),
        _ => "something else".to_owned(),
    }
}

/// `2026-11-22T07:40:42Z`.
fn shown(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let text = date::format_utc(i128::from(seconds) * 1_000_000_000);
    format!("{}Z", text.split('.').next().unwrap_or_default())
}
