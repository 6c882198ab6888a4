//! Blob URLs, told apart by their shape.

use std::borrow::Cow;

use azuring_link::Endpoint;
use azuring_plan::location::Location;
use azuring_plan::name::{encoded_stored_as, stored_as};
use azuring_plan::place::{NameRules, Remote};
use azuring_plan::source::Glob;
use azuring_store::Which;
use percent_encoding::percent_decode_str;

use crate::account::error::UrlError;
use crate::account::sas::Sas;

/// A container of Blob storage, or a place in it: what the URL says, and the SAS in it. Where that is asked for, it may
/// be an account too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobUrl {
    place: Remote,
    /// Decoded; empty where the URL is of an account.
    container: String,
    /// Of an account: which containers are meant, a pattern; empty for all of them.
    pattern: String,
    /// Decoded.
    path: String,
    sas: Option<Sas>,
}

const SHAPE: &str =
    "https://ACCOUNT.blob.core.windows.net/CONTAINER/PATH or http://HOST:PORT/ACCOUNT/CONTAINER/PATH";

impl BlobUrl {
    /// Whether `text` looks like a URL rather than a local path.
    pub fn looks_like(text: &str) -> bool {
        let lower = text.get(..8).unwrap_or(text).to_ascii_lowercase();
        lower.starts_with("http://") || lower.starts_with("https://")
    }

    /// Reads a URL ([`Remote::parse`]). Whatever its host says, what is spoken there is the Blob service.
    ///
    /// # Errors
    /// [`UrlError`]; none of its texts contains the query.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let (place, sas) = Remote::parse(text, Some(Location::Blob))?;
        Self::of(place, &sas)
    }

    /// The same, and also a URL of a whole account, or of those of its containers that a pattern matches
    /// (`https://ACCOUNT.blob.core.windows.net/log*`).
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_with_account(text: &str) -> Result<Self, UrlError> {
        let (place, sas) = Remote::parse(text, Some(Location::Blob))?;
        let pattern = place.bucket();
        if !pattern.is_empty() && !pattern.contains('*') {
            return Self::of(place, &sas);
        }
        let fault = |reason: &str| UrlError::Malformed { url: place.to_string(), reason: reason.to_owned() };
        if !place.path().is_empty() {
            return Err(fault(
                "a wildcard in the name of the container stands for whole containers: leave out what follows it",
            ));
        }
        if place.snapshot().is_some() || place.version().is_some() {
            return Err(UrlError::State { reason: "is one of a blob" });
        }
        let pattern = percent_decode_str(pattern).decode_utf8_lossy().into_owned();
        Glob::new(pattern.as_bytes()).map_err(|error| fault(&error.to_string()))?;
        let sas = if sas.is_empty() { None } else { Some(Sas::parse(&sas)?) };
        Ok(Self { place, container: String::new(), pattern, path: String::new(), sas })
    }

    /// Refuses a whole account, of which nothing is done but that it is copied.
    ///
    /// # Errors
    /// [`UrlError::NoContainer`].
    pub fn check_container(&self) -> Result<(), UrlError> {
        if !self.is_account() {
            return Ok(());
        }
        Err(UrlError::NoContainer { url: self.to_string(), shape: SHAPE })
    }

    /// Whether it is an account: names of blobs begin with those of their containers there.
    pub fn is_account(&self) -> bool {
        self.container.is_empty()
    }

    /// Of an account: whether a container of this name is meant.
    pub fn means_container(&self, name: &str) -> bool {
        self.pattern.is_empty()
            || Glob::new(self.pattern.as_bytes()).is_ok_and(|glob| glob.matches(name.as_bytes()))
    }

    /// Of an account: whether not all of its containers are meant.
    pub fn has_pattern(&self) -> bool {
        !self.pattern.is_empty()
    }

    /// What the names of the containers that are meant begin with.
    pub(crate) fn container_prefix(&self) -> &str {
        self.pattern.split(['*', '?', '[', '\\']).next().unwrap_or_default()
    }

    /// A place, and what the rest of the query was: a SAS, or nothing.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn of(place: Remote, sas: &str) -> Result<Self, UrlError> {
        if place.bucket().is_empty() {
            return Err(UrlError::NoContainer { url: place.to_string(), shape: SHAPE });
        }
        let fault = |reason: String| UrlError::Malformed { url: place.to_string(), reason };
        let decode = |part: &str| {
            percent_decode_str(part)
                .decode_utf8()
                .map(|text| text.into_owned())
                .map_err(|_| fault("its path is not UTF-8 after decoding".to_owned()))
        };
        let container = decode(place.bucket())?;
        check_container(&container).map_err(fault)?;
        let path = decode(place.path())?;
        let sas = if sas.is_empty() { None } else { Some(Sas::parse(sas)?) };
        Ok(Self { place, container, pattern: String::new(), path, sas })
    }

    /// The snapshot or version that the URL names; by default the blob as it is now.
    pub fn which(&self) -> Which<'_> {
        Which { snapshot: self.place.snapshot(), version: self.place.version() }
    }

    /// Whether the URL names a snapshot or a version.
    pub fn names_state(&self) -> bool {
        self.which() != Which::default()
    }

    /// Where to connect to.
    pub fn endpoint(&self) -> Endpoint {
        let (tls, port) = (self.place.tls(), self.place.port());
        Endpoint { tls, host: self.place.host().to_owned(), port }
    }

    /// The same without the SAS, as any service has it.
    pub fn place(&self) -> &Remote {
        &self.place
    }

    /// Whether names have to follow the service's own rules: it stores some of them under another name.
    pub fn is_service(&self) -> bool {
        self.place.names() == NameRules::Azure
    }

    /// The name that the server would take `name` for, where that is another one. No request may name such a blob: what
    /// it reads, writes or removes is somebody else's.
    pub fn takes_for<'a>(&self, name: &'a str) -> Option<Cow<'a, str>> {
        Some(stored_as(name)).filter(|stored| stored != name && self.is_service())
    }

    /// The same of a name that is percent-encoded.
    pub(crate) fn takes_encoded_for(&self, name: &str) -> Option<String> {
        encoded_stored_as(name).filter(|_| self.is_service())
    }

    /// The account's name, where the URL tells it. A custom domain does not.
    pub fn account(&self) -> Option<&str> {
        self.place.account()
    }

    /// Whether both are in one account, reached in one way. Two names of one account are not known to be one.
    pub fn is_of_account(&self, other: &Self) -> bool {
        self.endpoint() == other.endpoint() && self.place.account_in_path() == other.place.account_in_path()
    }

    /// The container's name.
    pub fn container(&self) -> &str {
        &self.container
    }

    /// The decoded path below the container; empty for the container itself.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The path below the container as it was given, percent-encoded: a `*` in it is a wildcard, `%2A` is none.
    pub fn raw_path(&self) -> &str {
        self.place.path()
    }

    /// The SAS in the query.
    pub fn sas(&self) -> Option<&Sas> {
        self.sas.as_ref()
    }

    /// `host` or `host:port` as the `Host` header has it.
    pub(crate) fn authority(&self) -> String {
        let host = self.place.host();
        match (self.place.tls(), self.place.port()) {
            (true, 443) | (false, 80) if host.contains(':') => format!("[{host}]"),
            (true, 443) | (false, 80) => host.to_owned(),
            _ => self.endpoint().to_string(),
        }
    }

    pub(crate) fn scheme(&self) -> &'static str {
        if self.place.tls() { "https" } else { "http" }
    }

    /// The path of a request to the container: `/CONTAINER` or `/ACCOUNT/CONTAINER`; of an account what stands before
    /// the names of its containers, nothing or `/ACCOUNT`.
    pub(crate) fn container_path(&self) -> String {
        let account = self.account_path();
        if self.is_account() { account } else { format!("{account}/{}", self.container) }
    }

    /// What stands before the name of a container: nothing or `/ACCOUNT`.
    pub(crate) fn account_path(&self) -> String {
        self.place.account_in_path().map(|account| format!("/{account}")).unwrap_or_default()
    }
}

impl BlobUrl {
    /// The URL of the account that it is in, without a SAS.
    pub fn account_url(&self) -> String {
        format!("{}://{}{}", self.scheme(), self.authority(), self.account_path())
    }

    /// The container's URL, or the account's, without a SAS.
    pub fn container_url(&self) -> String {
        format!("{}://{}{}", self.scheme(), self.authority(), self.container_path())
    }
}

/// The URL as it was given, without its SAS.
impl std::fmt::Display for BlobUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.container_url())?;
        if !self.path.is_empty() {
            write!(f, "/{}", self.path)?;
        }
        if !self.pattern.is_empty() {
            write!(f, "/{}", self.pattern)?;
        }
        Ok(())
    }
}

/// Naming Containers: 3 to 63 of `a-z 0-9 -`, no hyphen at either end or doubled; or a system container.
fn check_container(name: &str) -> Result<(), String> {
    if matches!(name, "$root" | "$web" | "$logs" | "$blobchangefeed") {
        return Ok(());
    }
    let valid = (3..=63).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.contains("--");
    if valid {
        Ok(())
    } else {
        Err(format!(
            "`{name}` is not a container name (3 to 63 of a-z, 0-9 and single hyphens, beginning and ending with a letter or digit)"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (String, Option<String>, String, String) {
        let url = BlobUrl::parse(text).unwrap();
        (url.endpoint().to_string(), url.account().map(str::to_owned), url.container_path(), url.path)
    }

    #[test]
    fn accounts_stand_in_the_host_or_in_the_path() {
        let some = |s: &str| Some(s.to_owned());
        let cases = [
            (
                "https://acc.blob.core.windows.net/cont",
                "acc.blob.core.windows.net:443",
                some("acc"),
                "/cont",
                "",
            ),
            (
                "https://acc.blob.core.windows.net/cont/",
                "acc.blob.core.windows.net:443",
                some("acc"),
                "/cont",
                "",
            ),
            (
                "https://Acc.z01.blob.storage.azure.net/cont/a/b%20c",
                "acc.z01.blob.storage.azure.net:443",
                some("acc"),
                "/cont",
                "a/b c",
            ),
            (
                "http://127.0.0.1:10000/devstoreaccount1/cont/x",
                "127.0.0.1:10000",
                some("devstoreaccount1"),
                "/devstoreaccount1/cont",
                "x",
            ),
            ("http://[::1]:10000/acc2/cont/x/", "[::1]:10000", some("acc2"), "/acc2/cont", "x/"),
            ("http://azurite:10000/acc2/cont", "azurite:10000", some("acc2"), "/acc2/cont", ""),
            (
                "http://azurite.local:10000/devstoreaccount1/cont",
                "azurite.local:10000",
                some("devstoreaccount1"),
                "/devstoreaccount1/cont",
                "",
            ),
            ("https://files.example.org/cont/x", "files.example.org:443", None, "/cont", "x"),
            (
                "https://acc.blob.core.windows.net/$web/x",
                "acc.blob.core.windows.net:443",
                some("acc"),
                "/$web",
                "x",
            ),
        ];
        for (text, endpoint, account, container, path) in cases {
            assert_eq!(
                parts(text),
                (endpoint.to_owned(), account, container.to_owned(), path.to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn a_whole_account_is_a_url_where_one_is_asked_for() {
        let parse = |text: &str| BlobUrl::parse_with_account(text).map_err(|error| error.to_string());
        for (text, path, shown) in [
            ("https://acc.blob.core.windows.net", "", "https://acc.blob.core.windows.net"),
            ("https://acc.blob.core.windows.net/", "", "https://acc.blob.core.windows.net"),
            ("https://acc.blob.core.windows.net/log*", "", "https://acc.blob.core.windows.net/log*"),
            ("http://127.0.0.1:1/acc/", "/acc", "http://127.0.0.1:1/acc"),
            (
                "http://127.0.0.1:1/acc/l*g?sv=1&se=2&sig=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D",
                "/acc",
                "http://127.0.0.1:1/acc/l*g",
            ),
        ] {
            let url = parse(text).unwrap();
            assert!(url.is_account());
            assert_eq!((&*url.container_path(), &*url.to_string()), (path, shown), "{text}");
            assert!(BlobUrl::parse(text).is_err(), "{text}");
        }
        let url = parse("https://acc.blob.core.windows.net/lo*[0-9]").unwrap();
        assert_eq!(url.container_prefix(), "lo");
        assert!(url.has_pattern() && url.means_container("logs-7") && !url.means_container("logs"));
        assert!(!parse("https://acc.blob.core.windows.net/cont").unwrap().is_account());
        let told = parse("https://acc.blob.core.windows.net/log*/x").unwrap_err();
        assert!(told.contains("whole containers"), "{told}");
        assert!(
            parse("https://acc.blob.core.windows.net/?snapshot=x").unwrap_err().contains("one of a blob")
        );
    }

    #[test]
    fn names_follow_the_services_rules_wherever_the_service_may_be() {
        for (url, is_service) in [
            ("https://acc.blob.core.windows.net/cont", true),
            ("http://data.contoso.com/cont", true),
            ("https://acc.dfs.core.windows.net/cont", true),
            ("https://files.example.org/cont", true),
            ("http://127.0.0.1:10000/acc/cont", false),
            ("http://azurite:10000/acc/cont", false),
            ("http://azurite.local:10000/devstoreaccount1/cont", false),
            ("http://acc.blob.localhost:10000/cont", false),
        ] {
            let url_of = BlobUrl::parse(url).unwrap();
            assert_eq!(url_of.is_service(), is_service, "{url}");
            assert_eq!(url_of.takes_for("a\\b/c.").as_deref(), is_service.then_some("a/b/c"), "{url}");
            assert_eq!(url_of.takes_for("a.b/c"), None, "{url}");
        }
    }

    #[test]
    fn faults_name_the_url_without_its_query() {
        let refused = |text: &str| BlobUrl::parse(text).unwrap_err().to_string();
        assert!(refused("https://acc.blob.core.windows.net?sig=hidden").contains("names no container"));
        assert!(refused("http://127.0.0.1:10000/acc?sig=hidden").contains("names no container"));
        assert!(
            refused("https://acc.blob.core.windows.net/UPPER?sig=hidden").contains("not a container name")
        );
        assert!(refused("https://acc.blob.core.windows.net/cont?sv=1").contains("no signature"));
        assert!(
            refused("https://acc.blob.core.windows.net/cont/a&sv=1&sig=hidden").contains("begins with `?`")
        );
        assert!(!refused("https://acc.blob.core.windows.net/cont/a&sv=1&sig=hidden").contains("hidden"));
        assert!(refused("ftp://acc/cont").contains("only https://"));
        assert!(refused("https:///cont").contains("host"));
        assert!(refused("https://h:99999/cont").contains("its port is not a number"));
        for text in
            ["https://acc.blob.core.windows.net?sig=hidden", "https://a.b/UPPER?sig=hidden", "x?sig=hidden"]
        {
            assert!(!refused(text).contains("hidden"), "{text}");
        }
    }

    const SAS: &str = "sv=2024-11-04&se=2030&sig=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D";

    #[test]
    fn what_would_change_the_operation_is_refused() {
        let parse = |query: &str| BlobUrl::parse(&format!("https://a.blob.core.windows.net/cont/b?{query}"));
        for foreign in [
            "comp=metadata",
            "restype=container",
            "timeout=1",
            "prefix=x",
            "where=a",
            "COMP=tier",
            "_=1",
            "snapshop=1",
        ] {
            let name = foreign.split('=').next().unwrap();
            for query in [foreign.to_owned(), format!("{foreign}&{SAS}"), format!("{SAS}&{foreign}")] {
                let told = parse(&query).unwrap_err().to_string();
                assert!(
                    told.contains(&format!("`{name}`")) && told.contains("leave it out"),
                    "{query}: {told}"
                );
            }
        }
        // Whatever it is, it is not shown.
        let told = parse(&format!("{SAS}&AAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D=")).unwrap_err().to_string();
        assert!(!told.contains("AAAA"), "{told}");
        let all = "sv=1&ss=b&srt=o&st=1&se=2&sp=r&sip=1&spr=https&sr=c&si=x&ses=x&sdd=1&skoid=1&sktid=1&skt=1&ske=1&sks=b\
                   &skv=1&saoid=1&suoid=1&scid=1&skdutid=1&sduoid=1&rscc=1&rscd=1&rsce=1&rscl=1&rsct=1&srh=x";
        let sig = SAS.rsplit('&').next().unwrap();
        assert_eq!(parse(&format!("{all}&{sig}")).unwrap().sas().unwrap().expose(), format!("{all}&{sig}"));
    }

    #[test]
    fn a_state_is_named_with_a_sas_or_without() {
        let parse = |query: &str| BlobUrl::parse(&format!("https://a.blob.core.windows.net/cont/b?{query}"));
        let version = parse("versionId=2026-11-30T01%3A02%3A03.0000000Z").unwrap();
        assert_eq!(version.which().version, Some("2026-11-30T01:02:03.0000000Z"));
        assert!(version.sas().is_none() && version.names_state());
        let snapshot = parse(&format!("snapshot=s&{SAS}")).unwrap();
        assert_eq!(snapshot.which(), Which { snapshot: Some("s"), version: None });
        assert_eq!(snapshot.sas().unwrap().expose(), SAS);
        assert!(!parse(SAS).unwrap().names_state());
        for bad in ["snapshot=a&versionid=b", "snapshot=a&snapshot=b", "versionid=", "snapshot"] {
            assert!(matches!(parse(bad), Err(UrlError::State { .. })), "{bad}");
        }
    }

    #[test]
    fn shown_without_the_sas() {
        let sas = "sv=2024-11-04&se=2030&sig=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D";
        let url = BlobUrl::parse(&format!("http://127.0.0.1:1/acc/cont/p?{sas}")).unwrap();
        assert_eq!(url.to_string(), "http://127.0.0.1:1/acc/cont/p");
        assert!(!format!("{url:?}").contains("AAAA"));
        assert_eq!(url.sas().unwrap().expose(), sas);
    }
}
