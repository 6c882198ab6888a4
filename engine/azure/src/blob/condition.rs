//! Under which conditions a request is carried out.

use http::HeaderMap;
use http::header::{HeaderName, IF_MATCH};

use crate::exchange::properties::{PropertyError, value};

const X_MS_LEASE_ID: HeaderName = HeaderName::from_static("x-ms-lease-id");

/// Adds `If-Match` with the quotes that an ETag has (RFC 9110 section 8.8.3); listings leave them out.
pub(crate) fn add_if_match(headers: &mut HeaderMap, etag: Option<&str>) -> Result<(), PropertyError> {
    if let Some(etag) = etag {
        let bare = etag == "*" || etag.ends_with('"');
        let text = if bare { etag.to_owned() } else { format!("\"{etag}\"") };
        headers.insert(IF_MATCH, value("if-match", &text)?);
    }
    Ok(())
}

/// Adds the lease under which a request is made.
pub(crate) fn add_lease(headers: &mut HeaderMap, lease: Option<&str>) -> Result<(), PropertyError> {
    if let Some(lease) = lease {
        headers.insert(X_MS_LEASE_ID, value(X_MS_LEASE_ID.as_str(), lease)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn etags_are_sent_in_quotes() {
        let sent = |etag| {
            let mut headers = HeaderMap::new();
            add_if_match(&mut headers, Some(etag)).unwrap();
            headers[IF_MATCH].to_str().unwrap().to_owned()
        };
        assert_eq!(sent("0x8D"), "\"0x8D\"");
        assert_eq!(sent("\"0x8D\""), "\"0x8D\"");
        assert_eq!(sent("*"), "*");
    }
}
