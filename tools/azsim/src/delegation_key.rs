//! Get User Delegation Key: <https://learn.microsoft.com/rest/api/storageservices/get-user-delegation-key>.

use hyper::body::Incoming;

use crate::answer::{self, Answer, Failure};
use crate::auth::delegation::Key;
use crate::auth::{Grant, failed};
use crate::body::receive_small;
use crate::error::{INVALID_XML_DOCUMENT, INVALID_XML_NODE_VALUE, REQUEST_BODY_TOO_LARGE, Result};
use crate::service::Rq;
use crate::time::{self, DAY};
use crate::xml;

/// Bytes of the request.
const MAX_BYTES: usize = 4 << 10;
/// How long a key lives at most, from now on.
const MAX_DAYS: u64 = 7;

pub(crate) async fn get(rq: &Rq<'_>, body: &mut Option<Incoming>) -> std::result::Result<Answer, Failure> {
    let Grant::Token(caller) = &rq.grant else {
        return Err(failed("Only authentication scheme Bearer is supported").into());
    };
    let document = receive_small(body.take().ok_or(Failure::Gone)?, MAX_BYTES).await?;
    let document = document.ok_or(REQUEST_BODY_TOO_LARGE)?;
    rq.counters.received(document.len() as u64);
    let (start, expiry) = key_info(&document, time::now())?;
    let key = Key {
        object_id: &caller.object_id,
        tenant: &caller.tenant,
        start: &start,
        expiry: &expiry,
        version: rq.version,
    };
    let mut out = String::from(xml::PROLOG);
    out.push_str("<UserDelegationKey>");
    for (name, text) in [
        ("SignedOid", key.object_id),
        ("SignedTid", key.tenant),
        ("SignedStart", key.start),
        ("SignedExpiry", key.expiry),
        ("SignedService", "b"),
        ("SignedVersion", key.version),
        ("Value", &key.text(&rq.target.account)),
    ] {
        xml::element(&mut out, name, text);
    }
    out.push_str("</UserDelegationKey>");
    Ok(answer::xml(out))
}

/// Reads start and expiry, as the key writes them. A key without a start begins now.
fn key_info(document: &[u8], now: u64) -> Result<(String, String)> {
    let bad = |why: &str| INVALID_XML_NODE_VALUE.detail("Reason", why);
    let (mut start, mut expiry) = (None, None);
    for (path, text) in xml::parse_elements(document)? {
        let slot = match path.as_str() {
            "KeyInfo" => continue,
            "KeyInfo/Start" => &mut start,
            "KeyInfo/Expiry" => &mut expiry,
            _ => return Err(INVALID_XML_DOCUMENT.detail("Reason", format!("unexpected element {path}"))),
        };
        *slot = Some(time::parse_iso(&text).ok_or_else(|| bad("not a date"))?);
    }
    let start = start.unwrap_or(now);
    let expiry = expiry.ok_or_else(|| INVALID_XML_DOCUMENT.detail("Reason", "there is no Expiry"))?;
    if expiry <= now || expiry <= start || expiry > now + MAX_DAYS * DAY {
        return Err(bad("a key ends after it begins, in the future, and within 7 days"));
    }
    Ok((time::iso_seconds(start), time::iso_seconds(expiry)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_life_of_a_key_is_limited() {
        let now = time::parse_iso("2026-01-10T00:00:00Z").unwrap();
        let info = |start: &str, expiry: &str| {
            let document = format!("<KeyInfo><Start>{start}</Start><Expiry>{expiry}</Expiry></KeyInfo>");
            key_info(document.as_bytes(), now).map_err(|e| e.code.to_string())
        };
        let (start, end) = ("2026-01-10T00:00:00Z".to_owned(), "2026-01-17T00:00:00Z".to_owned());
        assert_eq!(info(&start, &end), Ok((start.clone(), end.clone())));
        let value = Err("InvalidXmlNodeValue".to_owned());
        for (from, to) in [
            (start.as_str(), "2026-01-17T00:00:01Z"),
            (&end, &end),
            ("2026-01-01", &start),
            ("soon", &end),
            (&start, ""),
        ] {
            assert_eq!(info(from, to), value, "{from} {to}");
        }
        assert_eq!(key_info(b"<KeyInfo><Expiry>2026-01-11</Expiry></KeyInfo>", now).unwrap().0, start);
        for document in
            ["<KeyInfo/>", "<KeyInfo><Start>2026-01-10</Start></KeyInfo>", "<KeyInfo><X/></KeyInfo>"]
        {
            assert_eq!(
                key_info(document.as_bytes(), now).unwrap_err().code,
                "InvalidXmlDocument",
                "{document}"
            );
        }
    }
}
