//! User delegation keys, and the strings that are signed with them.
//!
//! <https://learn.microsoft.com/rest/api/storageservices/create-user-delegation-sas>, versions from 2020-12-06 on.
//! A key is made from its own fields and the account's key, so that none has to be kept. Not here: signatures bound to
//! another user (`sduoid`, `skdutid`, `suoid`) or to headers and parameters (`srh`, `srq`).

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::sas::{field, moment};
use super::{failed, is_version};
use crate::error::Result;
use crate::store::Account;
use crate::target::{Query, Target};

/// The oldest version whose string to sign is known here.
const OLDEST: &str = "2020-12-06";
/// From this version on the string names the user to whom the SAS is bound.
const WITH_DELEGATED_USER: &str = "2025-07-05";
/// From this version on the string names headers and parameters to which the SAS is bound.
const WITH_BOUND_REQUEST: &str = "2026-04-06";

/// What a key is for.
pub(crate) struct Key<'q> {
    pub(crate) object_id: &'q str,
    pub(crate) tenant: &'q str,
    pub(crate) start: &'q str,
    pub(crate) expiry: &'q str,
    pub(crate) version: &'q str,
}

impl<'q> Key<'q> {
    /// The key that a SAS says it was signed with.
    pub(super) fn of_query(query: &'q Query<'_>) -> Result<Key<'q>> {
        if field(query, "sks")? != "b" {
            return Err(failed("sks is not b: the key is for another service"));
        }
        let version = field(query, "skv")?;
        if !is_version(version) {
            return Err(failed("skv is no version"));
        }
        Ok(Key {
            object_id: field(query, "skoid")?,
            tenant: field(query, "sktid")?,
            start: field(query, "skt")?,
            expiry: field(query, "ske")?,
            version,
        })
    }

    /// The key itself, 32 bytes.
    fn value(&self, account: &Account) -> hmac::Tag {
        let Key { object_id, tenant, start, expiry, version } = self;
        let text = format!("user delegation key\n{object_id}\n{tenant}\n{start}\n{expiry}\nb\n{version}");
        hmac::sign(&account.hmac, text.as_bytes())
    }

    /// The key as the service hands it out.
    pub(crate) fn text(&self, account: &Account) -> String {
        STANDARD.encode(self.value(account))
    }

    pub(super) fn hmac(&self, account: &Account) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, self.value(account).as_ref())
    }
}

/// The string to sign of a user delegation SAS.
pub(super) fn string_to_sign(target: &Target<'_>, version: &str, key: &Key<'_>) -> Result<String> {
    let query = &target.query;
    let optional = |name: &str| query.get(name).unwrap_or_default();
    if version < OLDEST {
        return Err(failed(format!("A user delegation SAS before {OLDEST} is not implemented")));
    }
    if !optional("si").is_empty() {
        return Err(failed("A user delegation SAS has no stored access policy"));
    }
    if let Some(name) = ["suoid", "sduoid", "skdutid", "srh", "srq"].iter().find(|n| !optional(n).is_empty())
    {
        return Err(failed(format!("{name} is not implemented")));
    }
    let kind = field(query, "sr")?;
    let resource = resource(target, kind)?;
    let mut fields = vec![
        field(query, "sp")?,
        optional("st"),
        field(query, "se")?,
        &resource,
        key.object_id,
        key.tenant,
        key.start,
        key.expiry,
        "b",
        key.version,
        optional("saoid"),
        "",
        optional("scid"),
    ];
    if version >= WITH_DELEGATED_USER {
        fields.extend(["", ""]);
    }
    fields.extend([optional("sip"), optional("spr"), version, kind, moment(query, kind)?, optional("ses")]);
    if version >= WITH_BOUND_REQUEST {
        fields.extend(["", ""]);
    }
    fields.extend(["rscc", "rscd", "rsce", "rscl", "rsct"].map(optional));
    Ok(fields.join("\n"))
}

/// `/blob/ACCOUNT/CONTAINER`, with the name of the blob or the directory.
fn resource(target: &Target<'_>, kind: &str) -> Result<String> {
    let Some(container) = target.container.as_deref() else {
        return Err(failed("A user delegation SAS names a container or something in it"));
    };
    let container = format!("/blob/{}/{container}", target.account.name);
    match (kind, target.blob.as_deref()) {
        ("c", _) => Ok(container),
        ("b" | "bs" | "bv", Some(blob)) => Ok(format!("{container}/{blob}")),
        ("b" | "bs" | "bv" | "d", None) => {
            Err(failed(format!("sr={kind} names a blob, the request does not")))
        }
        ("d", Some(blob)) => {
            let depth = field(&target.query, "sdd")?.parse().ok().filter(|depth| *depth > 0);
            let depth: usize = depth.ok_or_else(|| failed("sdd is no depth"))?;
            let parts: Vec<&str> = blob.split('/').take(depth).collect();
            if parts.len() < depth {
                return Err(failed("the request is for something above the directory"));
            }
            Ok(format!("{container}/{}", parts.join("/")))
        }
        _ => Err(failed(format!("sr={kind} is not implemented"))),
    }
}
