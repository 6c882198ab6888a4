//! Shared access signatures: for an account, a container or a blob, signed with the account's key.
//!
//! Rules: <https://learn.microsoft.com/rest/api/storageservices/create-account-sas> and `.../create-service-sas`.
//! Not here: stored access policies (`si`), user delegation (`skoid`), directories (`sr=d`), snapshots (`sr=bs`).

use std::net::IpAddr;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Grant, Peer, Permissions, VERSIONS, failed, is_version};
use crate::error::{
    AUTHORIZATION_PROTOCOL_MISMATCH, AUTHORIZATION_SERVICE_MISMATCH, AUTHORIZATION_SOURCE_IP_MISMATCH, Result,
};
use crate::store::Account;
use crate::target::{Query, Target};
use crate::time::{self, SECOND};

/// From this version on the strings to sign hold the encryption scope.
const WITH_SCOPE: &str = "2020-12-06";
/// The oldest service SAS whose string to sign is known here.
const OLDEST_SERVICE_SAS: &str = "2018-11-09";
/// The order in which a service SAS has to list its permissions.
const PERMISSION_ORDER: &str = "racwdxyltmeopi";

/// Verifies the SAS in the query.
pub(crate) fn verify(target: &Target<'_>, peer: Peer, now: u64) -> Result<Grant> {
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
    let to_sign =
        if account_sas { account_string(target, version)? } else { service_string(target, version)? };
    let signature = STANDARD.decode(field(query, "sig")?).map_err(|_| failed("sig is not base64"))?;
    if hmac::verify(&target.account.hmac, to_sign.as_bytes(), &signature).is_err() {
        let shown = to_sign.replace('\n', "\\n");
        return Err(failed(format!("Signature did not match. String to sign used was {shown}")));
    }
    check_time(query, now)?;
    let permissions = field(query, "sp")?;
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
    Ok(Grant::ServiceSas { permissions: parse(permissions, "sp")? })
}

fn field<'q>(query: &'q Query<'_>, name: &str) -> Result<&'q str> {
    query
        .get(name)
        .filter(|v| !v.is_empty())
        .ok_or_else(|| failed(format!("{name} is mandatory. Cannot be empty")))
}

fn check_time(query: &Query<'_>, now: u64) -> Result<()> {
    let expiry = field(query, "se")?;
    let end = time::parse_iso(expiry).ok_or_else(|| failed("se is not a date"))?;
    let start = match query.get("st").filter(|s| !s.is_empty()) {
        Some(text) => time::parse_iso(text).ok_or_else(|| failed("st is not a date"))?,
        None => 0,
    };
    if now < start || now >= end {
        let start = query.get("st").unwrap_or_default();
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
    if query.get("si").is_some_and(|s| !s.is_empty()) {
        return Err(failed("Stored access policies are not implemented"));
    }
    if version < OLDEST_SERVICE_SAS {
        return Err(failed(format!("A service SAS before {OLDEST_SERVICE_SAS} is not implemented")));
    }
    let Some(container) = target.container.as_deref() else {
        return Err(failed("A service SAS names a container or a blob"));
    };
    let mut resource = format!("/blob/{}/{container}", target.account.name);
    match (kind, target.blob.as_deref()) {
        ("c", _) => {}
        ("b", Some(blob)) => {
            resource.push('/');
            resource.push_str(blob);
        }
        ("b", None) => return Err(failed("sr=b names a blob, the request does not")),
        _ => return Err(failed(format!("sr={kind} is not implemented"))),
    }
    let mut fields = vec![
        field(query, "sp")?,
        optional("st"),
        field(query, "se")?,
        &resource,
        "",
        optional("sip"),
        optional("spr"),
        version,
        kind,
        "",
    ];
    if version >= WITH_SCOPE {
        fields.push(optional("ses"));
    }
    fields.extend(["rscc", "rscd", "rsce", "rscl", "rsct"].map(optional));
    Ok(fields.join("\n"))
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
