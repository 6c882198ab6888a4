//! What a request names: account, container, blob and query, from the URL and the Host header.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use http::header::HOST;
use http::request::Parts;

use crate::error::{
    INVALID_QUERY_PARAMETER_VALUE, INVALID_RESOURCE_NAME, INVALID_URI, OUT_OF_RANGE_INPUT,
    RESOURCE_NOT_FOUND, Result,
};
use crate::store::Account;

/// The named resource. Borrowed from the request wherever nothing was percent-encoded.
pub(crate) struct Target<'r> {
    pub(crate) account: Arc<Account>,
    pub(crate) container: Option<Cow<'r, str>>,
    pub(crate) blob: Option<Cow<'r, str>>,
    pub(crate) query: Query<'r>,
    /// The path as it was sent, which is what SharedKey signs.
    pub(crate) raw_path: &'r str,
}

/// Query parameters, decoded, in the order of the URL.
pub(crate) struct Query<'r>(Vec<(Cow<'r, str>, Cow<'r, str>)>);

impl<'r> Query<'r> {
    fn parse(raw: &'r str) -> Result<Query<'r>> {
        let mut pairs = Vec::with_capacity(10);
        for pair in raw.split('&').filter(|p| !p.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let bad = || INVALID_QUERY_PARAMETER_VALUE.query(name, value);
            let name_decoded = percent_decode(name, true).ok_or_else(bad)?;
            pairs.push((name_decoded, percent_decode(value, true).ok_or_else(bad)?));
        }
        Ok(Query(pairs))
    }

    /// The first value of a parameter; names are case-insensitive.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| &**v)
    }

    /// The value of a parameter that must be there.
    pub(crate) fn require(&self, name: &str) -> Result<&str> {
        self.get(name)
            .ok_or_else(|| crate::error::MISSING_REQUIRED_QUERY_PARAMETER.detail("QueryParameterName", name))
    }

    pub(crate) fn pairs(&self) -> &[(Cow<'r, str>, Cow<'r, str>)] {
        &self.0
    }
}

/// Decodes `%XX`; `+` means a space in a query only. `None`: a broken escape, or no UTF-8.
pub(crate) fn percent_decode(raw: &str, query: bool) -> Option<Cow<'_, str>> {
    if !raw.bytes().any(|b| b == b'%' || (query && b == b'+')) {
        return Some(Cow::Borrowed(raw));
    }
    let hex = |b: u8| (b as char).to_digit(16).map(|d| d as u8);
    let mut out = Vec::with_capacity(raw.len());
    let mut bytes = raw.bytes();
    while let Some(b) = bytes.next() {
        out.push(match b {
            b'%' => hex(bytes.next()?)? << 4 | hex(bytes.next()?)?,
            b'+' if query => b' ',
            _ => b,
        });
    }
    String::from_utf8(out).ok().map(Cow::Owned)
}

/// The account whose name is the first label of the host, for `ACCOUNT.blob.anything`.
fn account_of_host<'a>(parts: &Parts, accounts: &'a [Arc<Account>]) -> Option<&'a Arc<Account>> {
    let authority = match parts.headers.get(HOST) {
        Some(host) => host.to_str().ok()?,
        None => parts.uri.authority()?.as_str(),
    };
    account_of_authority(authority, accounts)
}

/// The same for a host that may have a port.
pub(crate) fn account_of_authority<'a>(
    authority: &str,
    accounts: &'a [Arc<Account>],
) -> Option<&'a Arc<Account>> {
    if authority.starts_with('[') {
        return None;
    }
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    let (label, _) = host.split_once('.')?;
    if host.parse::<IpAddr>().is_ok() {
        return None;
    }
    accounts.iter().find(|a| a.name.eq_ignore_ascii_case(label))
}

impl<'r> Target<'r> {
    /// Reads the target of a request.
    ///
    /// # Errors
    /// 400 for a URL that cannot be decoded or breaks the naming rules, 404 for an unknown account.
    pub(crate) fn parse(parts: &'r Parts, accounts: &[Arc<Account>], names: NameRules) -> Result<Target<'r>> {
        let raw_path = parts.uri.path();
        let canonical = match names {
            NameRules::Exact => None,
            NameRules::Service => Some(canonical_path(raw_path).ok_or(INVALID_URI)?),
        };
        // What is decoded already is not decoded again.
        let decode = |raw: &str| -> Result<String> {
            match names {
                NameRules::Exact => {
                    percent_decode(raw, false).map(Cow::into_owned).ok_or_else(|| INVALID_URI.into())
                }
                NameRules::Service => Ok(raw.to_owned()),
            }
        };
        let whole = canonical.as_deref().unwrap_or(raw_path);
        let path = whole.strip_prefix('/').unwrap_or(whole);
        let (account, path) = match account_of_host(parts, accounts) {
            Some(account) => (Arc::clone(account), path),
            None => {
                let (name, rest) = path.split_once('/').unwrap_or((path, ""));
                let account = accounts.iter().find(|a| a.name == name);
                let account = account.ok_or_else(|| RESOURCE_NOT_FOUND.detail("Account", name))?;
                (Arc::clone(account), rest)
            }
        };
        let query = Query::parse(parts.uri.query().unwrap_or(""))?;
        let (first, rest) = path.split_once('/').unwrap_or((path, ""));
        let (first, rest): (Cow<'r, str>, Cow<'r, str>) = (decode(first)?.into(), decode(rest)?.into());
        let (container, blob) = match (first.is_empty(), rest.is_empty()) {
            (true, true) => (None, None),
            (true, false) => return Err(INVALID_RESOURCE_NAME.into()),
            // One segment is a blob of the root container, unless the query says that a container is meant.
            (false, true) if query.get("restype").is_none() && !whole.ends_with('/') => {
                (Some(Cow::Borrowed("$root")), Some(first))
            }
            (false, true) => (Some(first), None),
            (false, false) => (Some(first), Some(rest)),
        };
        if let Some(name) = &container {
            check_container_name(name)?;
        }
        if let Some(name) = &blob {
            check_blob_name(name)?;
        }
        Ok(Target { account, container, blob, query, raw_path })
    }

    /// Container and blob of an operation on a blob; the router has established that both are there.
    pub(crate) fn names(&self) -> (&str, &str) {
        (self.container.as_deref().unwrap_or_default(), self.blob.as_deref().unwrap_or_default())
    }
}

/// The rules for container names: 3-63 characters of `a-z 0-9 -`, no `-` at an end or twice in a row.
pub(crate) fn check_container_name(name: &str) -> Result<()> {
    if matches!(name, "$root" | "$web" | "$logs" | "$blobchangefeed") {
        return Ok(());
    }
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !name.bytes().all(allowed) || name.starts_with('-') || name.ends_with('-') || name.contains("--") {
        return Err(INVALID_RESOURCE_NAME.into());
    }
    if !(3..=63).contains(&name.len()) {
        return Err(OUT_OF_RANGE_INPUT.into());
    }
    Ok(())
}

/// Whether a container belongs to the service: listed only when that is asked for, and neither made nor deleted by
/// clients.
pub(crate) fn is_system(container: &str) -> bool {
    matches!(container, "$logs" | "$blobchangefeed")
}

/// What becomes of the path of a URL before it names something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum NameRules {
    /// It is decoded, and that is all: every name can be tested, and gateways do the same.
    #[default]
    Exact,
    /// It is made canonical first, as the service does it.
    Service,
}

/// The path as the service sees it: decoded, `\` as `/`, `.` and `..` resolved, dots at the end of a segment dropped.
///
/// These are the rules of .NET's `Uri` for http (`CanonicalizeAsFilePath`), which explain what users of the service
/// report: <https://github.com/rclone/rclone/blob/master/docs/content/azureblob.md> (restricted file names), and "No
/// path segments should end with a dot" (Naming and Referencing Containers, Blobs, and Metadata). Nothing was tried on
/// an account.
fn canonical_path(raw: &str) -> Option<String> {
    let decoded = percent_decode(raw, false)?.replace('\\', "/");
    let mut segments: Vec<&str> = Vec::new();
    let mut all = decoded.strip_prefix('/').unwrap_or(&decoded).split('/').peekable();
    while let Some(segment) = all.next() {
        let last = all.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    segments.pop();
                }
                if last {
                    segments.push("");
                }
            }
            segment => segments.push(segment.trim_end_matches('.')),
        }
    }
    Some(format!("/{}", segments.join("/")))
}

/// Path segments of a blob's name.
const MAX_SEGMENTS: usize = 254;

/// Blob names hold 1 to 1,024 characters (UTF-16 units, as .NET counts them) in up to 254 segments.
fn check_blob_name(name: &str) -> Result<()> {
    if name.len() >= MAX_SEGMENTS && name.split('/').count() > MAX_SEGMENTS {
        return Err(OUT_OF_RANGE_INPUT.into());
    }
    if name.len() > 1024 && name.encode_utf16().count() > 1024 {
        return Err(OUT_OF_RANGE_INPUT.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(host: &str, uri: &str) -> Parts {
        http::Request::builder().uri(uri).header(HOST, host).body(()).unwrap().into_parts().0
    }

    fn names(host: &str, uri: &str) -> std::result::Result<(String, Option<String>, Option<String>), String> {
        let accounts = [Arc::new(Account::new("acct", &[1; 32])), Arc::new(Account::new("other", &[2; 32]))];
        let parts = parts(host, uri);
        let target = Target::parse(&parts, &accounts, NameRules::Exact).map_err(|e| e.code.to_string())?;
        Ok((
            target.account.name.clone(),
            target.container.map(Cow::into_owned),
            target.blob.map(Cow::into_owned),
        ))
    }

    fn some(account: &str, container: &str, blob: &str) -> (String, Option<String>, Option<String>) {
        let part = |s: &str| (!s.is_empty()).then(|| s.to_owned());
        (account.to_owned(), part(container), part(blob))
    }

    #[test]
    fn accounts_are_found_in_path_and_host() {
        assert_eq!(names("127.0.0.1:1", "/acct/con/a/b").unwrap(), some("acct", "con", "a/b"));
        assert_eq!(names("localhost:1", "/other/con/x").unwrap(), some("other", "con", "x"));
        assert_eq!(names("[::1]:1", "/acct").unwrap(), some("acct", "", ""));
        assert_eq!(names("acct.blob.localhost:1", "/con/x").unwrap(), some("acct", "con", "x"));
        assert_eq!(names("acct.blob.core.windows.net", "/").unwrap(), some("acct", "", ""));
        assert_eq!(names("nobody.blob.core.windows.net", "/acct/con/x").unwrap(), some("acct", "con", "x"));
        assert_eq!(names("127.0.0.1", "/nobody/con/x").unwrap_err(), "ResourceNotFound");
    }

    #[test]
    fn names_are_decoded_exactly() {
        let name = |uri: &str| names("127.0.0.1", uri).map(|n| n.2.unwrap_or_default());
        assert_eq!(name("/acct/con/a%20b+c%2Bd%25%3F%23%C3%A4%2Fe").unwrap(), "a b+c+d%?#ä/e");
        assert_eq!(name("/acct/con//a").unwrap(), "/a");
        assert_eq!(name("/acct/con/%zz").unwrap_err(), "InvalidUri");
        assert_eq!(name("/acct/con/%ff").unwrap_err(), "InvalidUri");
        assert_eq!(name(&format!("/acct/con/{}", "a".repeat(1025))).unwrap_err(), "OutOfRangeInput");
        assert_eq!(name(&format!("/acct/con/{}", "%C3%A4".repeat(1024))).unwrap(), "ä".repeat(1024));
    }

    #[test]
    fn a_name_has_so_many_segments() {
        let of =
            |segments: usize| names("127.0.0.1", &format!("/acct/con/{}", vec!["a"; segments].join("/")));
        assert_eq!(of(254).unwrap().2.unwrap().len(), 507);
        assert_eq!(of(255).unwrap_err(), "OutOfRangeInput");
        let empty = "/".repeat(300);
        assert_eq!(names("127.0.0.1", &format!("/acct/con/{empty}")).unwrap_err(), "OutOfRangeInput");
    }

    #[test]
    fn the_service_makes_paths_canonical() {
        for (raw, expected) in [
            ("/acct/con/a/b", "/acct/con/a/b"),
            ("/acct/con/a%5Cb%20c", "/acct/con/a/b c"),
            ("/acct/con/a./b..", "/acct/con/a/b"),
            ("/acct/con/a/./b/../c", "/acct/con/a/c"),
            ("/acct/con/a/%2E%2E/b", "/acct/con/b"),
            ("/acct/con/a/..", "/acct/con/"),
            ("/acct/con/a/.", "/acct/con/a/"),
            ("/acct/con/../other/x", "/acct/other/x"),
            ("/acct/con/a/.../b", "/acct/con/a//b"),
            ("/acct/con/a//b/", "/acct/con/a//b/"),
            ("/../../x", "/x"),
        ] {
            assert_eq!(canonical_path(raw).as_deref(), Some(expected), "{raw}");
        }
        assert_eq!(canonical_path("/acct/con/%zz"), None);
    }

    #[test]
    fn one_segment_is_a_container_or_a_root_blob() {
        assert_eq!(names("h", "/acct/con?restype=container").unwrap(), some("acct", "con", ""));
        assert_eq!(names("h", "/acct/con/?comp=list").unwrap(), some("acct", "con", ""));
        assert_eq!(names("h", "/acct/blob").unwrap(), some("acct", "$root", "blob"));
    }

    #[test]
    fn container_names_follow_the_rules() {
        for good in ["abc", "a-b-c", "0az", "$root", "$web"] {
            assert!(check_container_name(good).is_ok(), "{good}");
        }
        for (bad, code) in [
            ("A_b", "InvalidResourceName"),
            ("a--b", "InvalidResourceName"),
            ("-ab", "InvalidResourceName"),
            ("ab-", "InvalidResourceName"),
            ("ab", "OutOfRangeInput"),
        ] {
            assert_eq!(check_container_name(bad).unwrap_err().code, code, "{bad}");
        }
    }
}
