//! Shared access signatures: for an account, a container or a blob.
//!
//! Rules: <https://learn.microsoft.com/rest/api/storageservices/create-account-sas> and `.../create-service-sas`.
//! With a user delegation key: `delegation.rs`.

use std::net::IpAddr;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Grant, Peer, Permissions, VERSIONS, delegation, failed, is_version};
use crate::entra::Trusted;
use crate::error::{
    AUTHORIZATION_PROTOCOL_MISMATCH, AUTHORIZATION_SERVICE_MISMATCH, AUTHORIZATION_SOURCE_IP_MISMATCH, Result,
};
use crate::store::{Account, Policy};
use crate::target::{Query, Target};
use crate::time::{self, SECOND};

/// From this version on the strings to sign hold the encryption scope.
const WITH_SCOPE: &str = "2020-12-06";
/// The oldest service SAS whose string to sign is known here.
const OLDEST_SERVICE_SAS: &str = "2018-11-09";
/// The order in which a service SAS has to list its permissions.
const PERMISSION_ORDER: &str = "racwdxyltfmeopi";

/// Verifies the SAS in the query.
pub(crate) fn verify(
    target: &Target<'_>,
    peer: Peer,
    now: u64,
    issuer: Option<Trusted<'_>>,
) -> Result<Grant> {
    let query = &target.query;
    let pairs = query.pairs();
    if let Some((name, _)) =
        pairs.iter().enumerate().find_map(|(i, p)| pairs[..i].iter().find(|q| q.0.eq_ignore_ascii_case(&p.0)))
    {
        // Which of the two was signed would be a guess.
        return Err(failed(format!("{name} is given more than once")));
    }
    let version = field(query, "sv")?;
    if !is_version(version) {
        return Err(failed(format!(
            "sv={version} is not a version between {} and {}",
            VERSIONS.0, VERSIONS.1
        )));
    }
    let account_sas = query.get("srt").is_some() || query.get("ss").is_some();
    let delegated = query.get("skoid").is_some();
    let (to_sign, key) = match (account_sas, delegated) {
        (true, _) => (account_string(target, version)?, None),
        (false, true) => {
            let key = delegation::Key::of_query(query)?;
            (delegation::string_to_sign(target, version, &key)?, Some(key.hmac(&target.account)))
        }
        (false, false) => (service_string(target, version)?, None),
    };
    let signature = STANDARD.decode(field(query, "sig")?).map_err(|_| failed("sig is not base64"))?;
    let key = key.as_ref().unwrap_or(&target.account.hmac);
    if hmac::verify(key, to_sign.as_bytes(), &signature).is_err() {
        let shown = to_sign.replace('\n', "\\n");
        return Err(failed(format!("Signature did not match. String to sign used was {shown}")));
    }
    let terms = Terms::of(target)?;
    check_time(terms.start.as_deref(), &terms.expiry, now)?;
    let permissions = terms.permissions.as_str();
    if let Some(protocol) = query.get("spr").filter(|p| !p.is_empty()) {
        match protocol {
            "https" if !peer.tls => return Err(AUTHORIZATION_PROTOCOL_MISMATCH.into()),
            "https" | "https,http" | "http,https" => {}
            _ => return Err(failed("spr is neither https nor https,http")),
        }
    }
    if let Some(range) = query.get("sip").filter(|p| !p.is_empty())
        && !ip_in(range, peer.ip).ok_or_else(|| failed("sip is no address or range of addresses"))?
    {
        return Err(AUTHORIZATION_SOURCE_IP_MISMATCH.detail("SourceIP", peer.ip.to_string()));
    }
    let parse = |text: &str, what: &str| {
        Permissions::parse(text).ok_or_else(|| failed(format!("{what} is malformed")))
    };
    if account_sas {
        if !field(query, "ss")?.contains('b') {
            return Err(AUTHORIZATION_SERVICE_MISMATCH.into());
        }
        return Ok(Grant::AccountSas {
            types: parse(field(query, "srt")?, "srt")?,
            permissions: parse(permissions, "sp")?,
        });
    }
    let mut order = PERMISSION_ORDER.chars();
    if !permissions.chars().all(|p| order.any(|o| o == p)) {
        return Err(failed("sp does not list its permissions in the order that is demanded"));
    }
    let permissions = parse(permissions, "sp")?;
    if !delegated {
        return Ok(Grant::ServiceSas { permissions });
    }
    let issuer = issuer.ok_or_else(|| failed("This server knows no authority and has issued no keys."))?;
    check_time(Some(field(query, "skt")?), field(query, "ske")?, now)?;
    Ok(Grant::DelegationSas { permissions, roles: issuer.roles(field(query, "skoid")?) })
}

/// What a SAS allows and when, from its URL or from a stored access policy.
struct Terms {
    start: Option<String>,
    expiry: String,
    permissions: String,
}

impl Terms {
    fn of(target: &Target<'_>) -> Result<Terms> {
        let given = |name: &str| target.query.get(name).filter(|v| !v.is_empty()).map(str::to_owned);
        let mut policy = match given("si") {
            Some(id) => stored_policy(target, &id)?,
            None => Policy::default(),
        };
        for (name, slot) in
            [("st", &mut policy.start), ("se", &mut policy.expiry), ("sp", &mut policy.permissions)]
        {
            match (given(name), &slot) {
                (Some(_), Some(_)) => {
                    return Err(failed(
                        "Access policy fields can be associated with signature or SAS identifier but not both.",
                    ));
                }
                (Some(value), None) => *slot = Some(value),
                (None, _) => {}
            }
        }
        let mandatory = |name: &str| failed(format!("{name} is mandatory. Cannot be empty"));
        Ok(Terms {
            start: policy.start,
            expiry: policy.expiry.ok_or_else(|| mandatory("se"))?,
            permissions: policy.permissions.ok_or_else(|| mandatory("sp"))?,
        })
    }
}

fn stored_policy(target: &Target<'_>, id: &str) -> Result<Policy> {
    let container = target.account.container(target.names().0);
    let policies = container.map(|c| c.facts().policies).unwrap_or_default();
    policies
        .into_iter()
        .find(|p| p.id == id)
        .ok_or_else(|| failed("The specified signed identifier is not found"))
}

pub(super) fn field<'q>(query: &'q Query<'_>, name: &str) -> Result<&'q str> {
    query
        .get(name)
        .filter(|v| !v.is_empty())
        .ok_or_else(|| failed(format!("{name} is mandatory. Cannot be empty")))
}

fn check_time(start: Option<&str>, expiry: &str, now: u64) -> Result<()> {
    let ticks = |text: &str| time::parse_iso(text).ok_or_else(|| failed(format!("{text} is not a date")));
    let end = ticks(expiry)?;
    if now < start.map_or(Ok(0), ticks)? || now >= end {
        let start = start.unwrap_or_default();
        return Err(failed(format!(
            "Signature not valid in the specified time frame: Start [{start}] - Expiry [{expiry}] - Current [{}]",
            time::http_date(now)
        )));
    }
    Ok(())
}

/// `a.b.c.d` or `a.b.c.d-e.f.g.h`; `None` when it is neither.
fn ip_in(range: &str, ip: IpAddr) -> Option<bool> {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, last): (IpAddr, IpAddr) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    Some(first <= ip.to_canonical() && ip.to_canonical() <= last)
}

fn account_string(target: &Target<'_>, version: &str) -> Result<String> {
    let query = &target.query;
    let mut out = String::with_capacity(160);
    let optional = |name: &str| query.get(name).unwrap_or_default();
    for value in [
        target.account.name.as_str(),
        field(query, "sp")?,
        field(query, "ss")?,
        field(query, "srt")?,
        optional("st"),
        field(query, "se")?,
        optional("sip"),
        optional("spr"),
        version,
    ] {
        out.push_str(value);
        out.push('\n');
    }
    if version >= WITH_SCOPE {
        out.push_str(optional("ses"));
        out.push('\n');
    }
    Ok(out)
}

fn service_string(target: &Target<'_>, version: &str) -> Result<String> {
    let query = &target.query;
    let optional = |name: &str| query.get(name).unwrap_or_default();
    let kind = field(query, "sr")?;
    if version < OLDEST_SERVICE_SAS {
        return Err(failed(format!("A service SAS before {OLDEST_SERVICE_SAS} is not implemented")));
    }
    let Some(container) = target.container.as_deref() else {
        return Err(failed("A service SAS names a container or a blob"));
    };
    let mut resource = format!("/blob/{}/{container}", target.account.name);
    match (kind, target.blob.as_deref()) {
        ("c", _) => {}
        ("b" | "bs" | "bv", Some(blob)) => {
            resource.push('/');
            resource.push_str(blob);
        }
        ("b" | "bs" | "bv", None) => {
            return Err(failed(format!("sr={kind} names a blob, the request does not")));
        }
        _ => return Err(failed(format!("sr={kind} is not implemented"))),
    }
    let mut fields = vec![
        optional("sp"),
        optional("st"),
        optional("se"),
        &resource,
        optional("si"),
        optional("sip"),
        optional("spr"),
        version,
        kind,
        moment(query, kind)?,
    ];
    if version >= WITH_SCOPE {
        fields.push(optional("ses"));
    }
    fields.extend(["rscc", "rscd", "rsce", "rscl", "rsct"].map(optional));
    Ok(fields.join("\n"))
}

/// The snapshot or version that a signature is for; nothing for the others.
pub(super) fn moment<'q>(query: &'q Query<'_>, kind: &str) -> Result<&'q str> {
    match kind {
        "bs" => field(query, "snapshot"),
        "bv" => field(query, "versionid"),
        _ => Ok(""),
    }
}

/// Makes an account SAS for the blob service over all resource types, valid from five minutes ago.
pub(crate) fn make_account_sas(account: &Account, permissions: &str, lifetime: Duration) -> String {
    let now = time::now();
    let start = time::iso_seconds(now - 300 * SECOND);
    let end = time::iso_seconds(now + lifetime.as_secs() * SECOND);
    let version = "2025-07-05";
    let to_sign =
        format!("{}\n{permissions}\nb\nsco\n{start}\n{end}\n\nhttps,http\n{version}\n\n", account.name);
    let signature = STANDARD.encode(hmac::sign(&account.hmac, to_sign.as_bytes()));
    let signature = signature.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let escape = |time: &str| time.replace(':', "%3A");
    format!(
        "sv={version}&ss=b&srt=sco&sp={permissions}&st={}&se={}&spr=https%2Chttp&sig={signature}",
        escape(&start),
        escape(&end)
    )
}
