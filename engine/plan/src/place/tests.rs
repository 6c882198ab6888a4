use super::*;

#[test]
fn shapes_tell_the_location() {
    for (argument, expected) in [
        ("/data", Location::Local),
        ("data/x", Location::Local),
        ("-", Location::Pipe),
        ("", Location::Local),
        ("http", Location::Local),
        ("http:/x", Location::Local),
        ("https://", Location::Local),
        ("ftp://a.blob.core.windows.net/c", Location::Local),
        ("https://a.blob.core.windows.net/c?sv=1", Location::Blob),
        ("HTTPS://A.BLOB.core.windows.net", Location::Blob),
        ("https://a.blob.core.chinacloudapi.cn/c", Location::Blob),
        ("https://a.file.core.windows.net/s", Location::File),
        ("https://a.dfs.core.windows.net/f", Location::BlobFs),
        ("http://127.0.0.1:10000/devstoreaccount1/c", Location::Blob),
        ("http://[::1]:10000/devstoreaccount1/c", Location::Blob),
        ("http://localhost/acct/c", Location::Blob),
        ("https://files.example.com/c/x.file.txt", Location::Blob),
        ("https://data.files.example.com/c", Location::Blob),
        ("https://s3.eu-west-1.amazonaws.com/bucket/k", Location::S3),
        ("https://bucket.s3.amazonaws.com/k", Location::S3),
        ("https://storage.cloud.google.com/bucket", Location::Gcp),
    ] {
        assert_eq!(Location::of(argument), expected, "{argument}");
    }
}

fn parsed(text: &str) -> Remote {
    Remote::parse(text, None).unwrap_or_else(|error| panic!("{text}: {error}")).0
}

#[test]
fn a_url_is_taken_apart() {
    for (url, account, bucket, path, names) in [
        ("https://acc.blob.core.windows.net/cont/a%20b/*", Some("acc"), "cont", "a%20b/*", NameRules::Azure),
        ("https://acc.dfs.core.windows.net/fs", Some("acc"), "fs", "", NameRules::Azure),
        ("http://data.contoso.com/cont//x", None, "cont", "/x", NameRules::Azure),
        ("http://127.0.0.1:10000/acc/cont/x", Some("acc"), "cont", "x", NameRules::Exact),
        ("http://host.docker.internal:10000/acc/cont", Some("acc"), "cont", "", NameRules::Exact),
        ("http://gw.corp/devstoreaccount1/cont", Some("devstoreaccount1"), "cont", "", NameRules::Exact),
        ("http://acc.blob.localhost/cont", Some("acc"), "cont", "", NameRules::Exact),
        ("https://s3.eu-west-1.amazonaws.com/bucket/a\\b", None, "bucket", "a\\b", NameRules::Exact),
        ("https://my.bucket.s3.eu-west-1.amazonaws.com/a/b", None, "my.bucket", "a/b", NameRules::Exact),
        ("https://acc.blob.core.windows.net", Some("acc"), "", "", NameRules::Azure),
    ] {
        let place = parsed(url);
        assert_eq!((place.account(), place.bucket(), place.path()), (account, bucket, path), "{url}");
        assert_eq!(place.names(), names, "{url}");
        assert_eq!(place.to_string().trim_end_matches('/'), url);
    }
}

#[test]
fn the_user_may_say_what_a_place_is() {
    let place = |text: &str, said| Place::parse(OsStr::new(text), said).unwrap();
    let dfs = "https://acc.dfs.core.windows.net/c";
    assert_eq!(place(dfs, None).location(), Location::BlobFs);
    assert_eq!(place(dfs, Some(Location::Blob)).location(), Location::Blob);
    assert_eq!(place("http://nas.corp/share", Some(Location::FileNfs)).location(), Location::FileNfs);
    assert_eq!(place(dfs, Some(Location::Local)), Place::Local(dfs.into()));
    assert_eq!((place("-", None), place("a", Some(Location::Pipe))), (Place::Pipe, Place::Pipe));
    assert_eq!(place("./-", None), Place::Local("./-".into()));
    assert!(Place::parse(OsStr::new("a"), Some(Location::Blob)).is_err());
}

#[test]
fn a_place_is_written_and_read_whatever_it_looks_like() {
    use std::os::unix::ffi::OsStrExt as _;
    let bytes = OsStr::from_bytes(b"/data/\xff");
    for place in [
        Place::Pipe,
        Place::Local("-".into()),
        Place::Local("https://a.blob.core.windows.net/c".into()),
        Place::Local(bytes.into()),
        Place::Local("".into()),
    ] {
        assert_eq!(Place::parse(&place.to_os_string(), Some(place.location())), Ok(place));
    }
    assert_eq!(Place::parse(bytes, None), Ok(Place::Local(bytes.into())));
}

#[test]
fn a_query_gives_its_snapshot_and_the_rest() {
    let url = "https://a.blob.core.windows.net/c/b?sv=1&SnapShot=2026%2D01&sig=s%3D";
    let (place, rest) = Remote::parse(url, None).unwrap();
    assert_eq!((place.snapshot(), place.version(), &*rest), (Some("2026-01"), None, "sv=1&sig=s%3D"));
    assert_eq!(place.to_string(), "https://a.blob.core.windows.net/c/b?snapshot=2026%2D01");
    for query in ["snapshot=", "versionid=1&versionid=2", "snapshot=1&versionid=1"] {
        let refused = Remote::parse(&format!("https://a.blob.core.windows.net/c/b?{query}"), None);
        assert!(matches!(refused, Err(PlaceError::State { .. })), "{query}");
    }
}

#[test]
fn what_is_no_place_is_told_without_its_query() {
    for (url, reason) in [
        ("acc/cont?sig=hidden", "there is no https:// in front"),
        ("ftp://acc.blob.core.windows.net/c?sig=hidden", "only https:// and http:// are known"),
        ("https://me:pw@host/c?sig=hidden", "a user name in the URL is not supported"),
        ("https://?sig=hidden", "it has no host"),
        ("https:///c", "it has no host"),
        ("https://a b/c", "its host is not valid"),
        ("https://a#b/c", "its host is not valid"),
        ("https://a\\b/c", "its host is not valid"),
        ("https://[::1/c", "its host is not valid"),
        ("https://[host]/c", "its host is not valid"),
        ("https://[::1]x/c", "its host is not valid"),
        ("https://::1/c", "it has no host"),
        ("https://h\u{f6}st/c", "its host is not valid"),
        ("https://host:/c", "its port is not a number from 1 to 65535"),
        ("https://host:0/c", "its port is not a number from 1 to 65535"),
        ("https://host:+80/c", "its port is not a number from 1 to 65535"),
        ("https://host:65536/c", "its port is not a number from 1 to 65535"),
        ("https://host:1:2/c", "its port is not a number from 1 to 65535"),
        ("https://host/c/a&sv=1&sig=hidden", "a SAS stands in its path: it begins with `?`, not with `&`"),
    ] {
        let told = Remote::parse(url, None).unwrap_err().to_string();
        assert!(told.contains(reason) && !told.contains("hidden"), "{url}: {told}");
    }
    assert!(Remote::parse(&format!("https://{}/c", "a".repeat(254)), None).is_err());
}

/// Chance that is the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % n as u64).unwrap()
    }

    fn of<'a>(&mut self, parts: &[&'a str]) -> &'a str {
        parts[self.below(parts.len())]
    }
}

const HOSTS: [&str; 13] = [
    "my.bucket.s3.eu-west-1.amazonaws.com",
    "acc.blob.core.windows.net",
    "ACC-secondary.Blob.core.windows.net",
    "acc.dfs.core.windows.net",
    "acc.file.core.windows.net",
    "data.contoso.com",
    "127.0.0.1",
    "[::1]",
    "[2001:db8::1]",
    "localhost",
    "azurite",
    "s3.amazonaws.com",
    "host.docker.internal",
];
const SEGMENTS: [&str; 12] =
    ["", "c", "cont", "devstoreaccount1", "a%20b", "*", "%2F", "a\\b", "dot.", "..", "ü", "a#b;c=d+e&f"];

#[test]
fn what_is_written_is_read_again() {
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let mut places = 0;
    for _ in 0..50_000 {
        let mut url = format!("{}://{}", chance.of(&["http", "https", "HTTPS"]), chance.of(&HOSTS));
        url.push_str(chance.of(&["", "", ":80", ":443", ":10000", ":65535"]));
        for _ in 0..chance.below(5) {
            url.push('/');
            url.push_str(chance.of(&SEGMENTS));
        }
        url.push_str(chance.of(&["", "?", "?snapshot=a%26b", "?sv=1&versionid=%C3%BC&sig=s", "?sv=1&sig=s"]));
        let service = [None, Some(Location::Blob), Some(Location::BlobFs), Some(Location::File)];
        let service = service[chance.below(4)];
        let (place, rest) = Remote::parse(&url, service).unwrap_or_else(|error| panic!("{url}: {error}"));
        let again = Remote::parse(&place.to_string(), Some(place.service())).unwrap();
        assert_eq!(again, (place.clone(), String::new()), "{url}");
        let place = Place::Remote(place);
        assert_eq!(Place::parse(&place.to_os_string(), Some(place.location())), Ok(place), "{url}");
        assert!(rest.is_empty() || rest == "sv=1&sig=s", "{url}: {rest}");
        places += 1;
    }
    assert_eq!(places, 50_000);
}

/// What parsers stumble over.
const HOSTILE: [&str; 30] = [
    "http",
    "https",
    "://",
    ":",
    "/",
    "//",
    "?",
    "#",
    "@",
    "[",
    "]",
    "%",
    "%2",
    "%2F",
    "%ff",
    "&",
    "=",
    "&sig=",
    "snapshot",
    "versionid=",
    "..",
    ".",
    "-",
    "::1",
    "127.0.0.1",
    "localhost",
    ".blob.",
    "\\",
    "\0",
    "\u{202e}ü",
];

#[test]
fn no_text_is_too_hostile() {
    let mut chance = Chance(0x2545_f491_4f6c_dd1d);
    let mut read = 0;
    for round in 0..200_000 {
        let mut text = if round % 2 == 0 { "https://a".to_owned() } else { String::new() };
        for _ in 0..chance.below(12) {
            text.push_str(chance.of(&HOSTILE));
        }
        let _ = Place::parse(OsStr::new(&text), None);
        match Remote::parse(&text, None) {
            Ok((place, rest)) => {
                assert!(!place.host().is_empty() && place.port() > 0, "{text:?}");
                let is_legal = |c: char| c.is_ascii_alphanumeric() || "-._~:".contains(c);
                assert!(place.host().chars().all(is_legal), "{text:?}");
                let shown = place.to_string();
                let again = Remote::parse(&shown, Some(place.service()));
                // Only what looked like a query without one can be refused: it is no place that a SAS was taken out of.
                let is_sas = shown.contains("&sig=");
                assert!(is_sas || again == Ok((place, String::new())), "{text:?}: {shown:?}, {rest:?}");
                read += 1;
            }
            Err(error) => {
                let told = error.to_string();
                let query = text.split_once('?').map_or("", |(_, query)| query);
                assert!(query.len() < 24 || !told.contains(query), "{text:?}: {told}");
            }
        }
    }
    assert!(read > 10_000, "{read}");
}
