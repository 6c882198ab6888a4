//! Signatures are those of Microsoft's library, and servers take them and no others.
#![allow(clippy::unwrap_used, reason = "test code")]

use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use azsim::{Authority, Role, Server, Tls};
use azuring_azure::{
    AccountKey, BlobClient, BlobProperties, BlobUrl, Body, Credential, SERVICE_VERSION, Sas, SasBuilder,
    SasOverrides, Secret, Target, TrustedSuffixes, UserDelegationKey, Which, bearer,
};
use azuring_link::{Endpoint, HttpChoice, LinkSettings, Links, Payload, TlsSetup};
use azuring_tests::{
    Azurite, AzuriteOptions, DEVSTORE_ACCOUNT, DEVSTORE_KEY, SignedOverrides, SignedSas, signed,
};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};

const SEED: u32 = 20_261_122;

fn key() -> AccountKey {
    AccountKey::new(DEVSTORE_ACCOUNT, &Secret::new(DEVSTORE_KEY)).unwrap()
}

#[test]
fn requests_are_signed_as_microsofts_library_signs_them() {
    let (requests, _) = signed(DEVSTORE_ACCOUNT, DEVSTORE_KEY, SEED, 300, 0);
    assert_eq!(requests.len(), 300);
    for request in requests {
        let method: Method = request.method.parse().unwrap();
        let query: Vec<_> =
            request.query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let headers: HeaderMap = request
            .headers
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap()))
            .collect();
        let ours = key().sign(&method, &request.path, &query, &headers, request.length);
        assert_eq!(ours, request.authorization, "{request:?}");
    }
}

#[test]
fn a_sas_is_what_microsofts_library_makes_of_it() {
    let (_, tokens) = signed(DEVSTORE_ACCOUNT, DEVSTORE_KEY, SEED, 0, 300);
    assert_eq!(tokens.len(), 300);
    for theirs in tokens {
        let ours = make(&theirs);
        assert_eq!(ours.expose(), theirs.sas, "{theirs:?}");
        // What it says is read back.
        let facts = ours.facts();
        assert_eq!((facts.expiry, facts.policy), (theirs.expiry.map(at), theirs.policy), "{}", theirs.sas);
        assert_eq!((facts.allows_http, facts.version.as_str()), (theirs.http, SERVICE_VERSION));
    }
}

fn at(since_ms: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(since_ms)
}

fn make(spec: &SignedSas) -> Sas {
    let mut builder = SasBuilder::new(spec.permissions.as_deref().unwrap_or_default());
    if let Some(start) = spec.start {
        builder = builder.starts_at(at(start));
    }
    if let Some(expiry) = spec.expiry {
        builder = builder.expires_at(at(expiry));
    }
    if let Some(ip) = &spec.ip {
        builder = builder.ip(&ip.join("-"));
    }
    if spec.http {
        builder = builder.allow_http();
    }
    if let Some(scope) = &spec.scope {
        builder = builder.encryption_scope(scope);
    }
    if let Some(policy) = &spec.policy {
        builder = builder.policy(policy);
    }
    let SignedOverrides {
        cache_control,
        content_disposition,
        content_encoding,
        content_language,
        content_type,
    } = spec.overrides.clone().unwrap_or_default();
    builder = builder.overrides(
        SasOverrides::default()
            .cache_control(cache_control)
            .content_disposition(content_disposition)
            .content_encoding(content_encoding)
            .content_language(content_language)
            .content_type(content_type),
    );
    let made = match (spec.kind.as_str(), &spec.blob, &spec.delegation) {
        ("account", ..) => builder.account(&key(), &spec.services, &spec.types),
        (_, _, Some(delegation)) => {
            let key = delegation_key(delegation);
            builder.delegated(DEVSTORE_ACCOUNT, &key, &spec.container, spec.blob.as_deref())
        }
        (_, Some(blob), None) => builder.blob(&key(), &spec.container, blob),
        (_, None, None) => builder.container(&key(), &spec.container),
    };
    made.unwrap_or_else(|error| panic!("{error}: {spec:?}"))
}

/// The key as the service would have sent it.
fn delegation_key(fields: &serde_json::Value) -> UserDelegationKey {
    let mut document = "<UserDelegationKey>".to_owned();
    for (element, field) in [
        ("SignedOid", "signedObjectId"),
        ("SignedTid", "signedTenantId"),
        ("SignedStart", "signedStartsOn"),
        ("SignedExpiry", "signedExpiresOn"),
        ("SignedService", "signedService"),
        ("SignedVersion", "signedVersion"),
        ("Value", "value"),
    ] {
        let text = fields[field].as_str().unwrap().replace(".000Z", "Z");
        document.push_str(&format!("<{element}>{text}</{element}>"));
    }
    document.push_str("</UserDelegationKey>");
    UserDelegationKey::parse(document.as_bytes()).unwrap()
}

/// Sends requests to a server on this machine, one after the other.
struct Sender {
    runtime: tokio::runtime::Runtime,
    port: u16,
}

impl Sender {
    fn new(port: u16) -> Self {
        Self { runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(), port }
    }

    /// The status of the answer to a request for `path`, which holds the query.
    fn send(&self, method: Method, path: &str, headers: HeaderMap, body: &'static [u8]) -> u16 {
        let endpoint = Endpoint { tls: false, host: "127.0.0.1".to_owned(), port: self.port };
        let url = format!("http://{endpoint}{path}");
        let (http, stall) = (HttpChoice::Auto, Duration::from_secs(30));
        let settings = LinkSettings::default().http(http).stall(stall).tls(None);
        tokio::task::LocalSet::new().block_on(&self.runtime, async {
            let mut request = Request::builder().method(method).uri(url).body(()).unwrap();
            *request.headers_mut() = headers;
            let payload = Payload::from(bytes::Bytes::from_static(body));
            let reply = Links::new(endpoint, settings).send(request, payload).await.unwrap();
            reply.collect(1 << 20).await.unwrap().status().as_u16()
        })
    }

    fn headers(&self, more: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_str(&format!("127.0.0.1:{}", self.port)).unwrap());
        headers.insert("x-ms-version", HeaderValue::from_static(SERVICE_VERSION));
        for (name, value) in more {
            headers.insert(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    /// With the account's key, and with a bit of the signature flipped where one is given.
    fn with_key(&self, request: &Signed<'_>, flip: Option<usize>) -> u16 {
        let Signed { ref method, path, query, more, body } = *request;
        let mut headers = self.headers(more);
        headers
            .insert("x-ms-date", HeaderValue::from_str(&httpdate::fmt_http_date(SystemTime::now())).unwrap());
        let signed = key().sign(method, path, query, &headers, body.len() as u64);
        let (account, signature) = signed.rsplit_once(':').unwrap();
        let signature = flip.map_or_else(|| signature.to_owned(), |bit| flipped(signature, bit));
        headers.insert("authorization", HeaderValue::from_str(&format!("{account}:{signature}")).unwrap());
        let query: Vec<_> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mark = if query.is_empty() { "" } else { "?" };
        self.send(method.clone(), &format!("{path}{mark}{}", query.join("&")), headers, body)
    }

    /// With a SAS; `path` may have a query.
    fn with_sas(&self, path: &str, sas: &Sas, flip: Option<usize>) -> u16 {
        let query = match flip {
            None => sas.expose().to_owned(),
            Some(bit) => with_flipped(sas, bit),
        };
        let mark = if path.contains('?') { '&' } else { '?' };
        self.send(Method::GET, &format!("{path}{mark}{query}"), self.headers(&[]), b"")
    }
}

/// A request that is to be signed.
struct Signed<'a> {
    method: Method,
    path: &'a str,
    query: &'a [(&'a str, &'a str)],
    more: &'a [(&'static str, &'a str)],
    body: &'static [u8],
}

/// The signature in base64 with one of its 256 bits changed.
fn flipped(signature: &str, bit: usize) -> String {
    let mut bytes = BASE64_STANDARD.decode(signature).unwrap();
    bytes[bit / 8] ^= 1 << (bit % 8);
    BASE64_STANDARD.encode(bytes)
}

/// The query with a bit of its signature changed.
fn with_flipped(sas: &Sas, bit: usize) -> String {
    let (before, signature) = sas.expose().split_once("sig=").unwrap();
    let plain = percent_encoding::percent_decode_str(signature).decode_utf8().unwrap();
    let flipped = flipped(&plain, bit);
    let set = percent_encoding::NON_ALPHANUMERIC;
    format!("{before}sig={}", percent_encoding::utf8_percent_encode(&flipped, set))
}

/// Bits at both ends and in between.
const BITS: [usize; 4] = [0, 7, 130, 255];

/// Whether a server takes what we sign, and refuses it with any bit changed.
fn taken_and_refused(port: u16, metadata: &[(&'static str, &str)]) {
    let sender = Sender::new(port);
    let container = format!("/{DEVSTORE_ACCOUNT}/signed");
    let blob = format!("{container}/a%20b/%C3%BC%2B%25.txt");
    let name = "a b/ü+%.txt";
    let make = Signed {
        method: Method::PUT,
        path: &container,
        query: &[("restype", "container")],
        more: &[],
        body: b"",
    };
    let mut more = vec![("x-ms-blob-type", "BlockBlob"), ("content-type", "text/plain")];
    more.extend_from_slice(metadata);
    let put = Signed { method: Method::PUT, path: &blob, query: &[], more: &more, body: b"content" };
    let list = [("comp", "list"), ("prefix", "a"), ("restype", "container")];
    let list = Signed { method: Method::GET, path: &container, query: &list, more: &[], body: b"" };
    let get =
        Signed { method: Method::GET, path: &blob, query: &[], more: &[("range", "bytes=1-3")], body: b"" };
    for (request, status) in [(&make, 201), (&put, 201), (&list, 200), (&get, 206)] {
        for bit in BITS {
            assert_eq!(
                sender.with_key(request, Some(bit)),
                403,
                "{} {} bit {bit}",
                request.method,
                request.path
            );
        }
        assert_eq!(sender.with_key(request, None), status, "{} {}", request.method, request.path);
    }

    let hour = Duration::from_secs(3600);
    let builder = |letters: &str| {
        let begun = SystemTime::now() - hour;
        SasBuilder::new(letters).starts_at(begun).expires_at(SystemTime::now() + hour).allow_http()
    };
    let list = format!("{container}?restype=container&comp=list");
    let overrides = SasOverrides::default().content_type(Some("a/b".to_owned()));
    for (path, sas) in [
        (&blob, builder("lrw").account(&key(), "b", "oc").unwrap()),
        (&list, builder("lr").account(&key(), "bqt", "sco").unwrap()),
        (&blob, builder("wlr").container(&key(), "signed").unwrap()),
        (&list, builder("l").container(&key(), "signed").unwrap()),
        (&blob, builder("r").blob(&key(), "signed", name).unwrap()),
        (&blob, builder("r").ip("127.0.0.1").blob(&key(), "signed", name).unwrap()),
        (&blob, builder("r").overrides(overrides).blob(&key(), "signed", name).unwrap()),
    ] {
        for bit in BITS {
            assert_eq!(sender.with_sas(path, &sas, Some(bit)), 403, "{path} {sas:?} bit {bit}");
        }
        assert_eq!(sender.with_sas(path, &sas, None), 200, "{path} {:?}", sas.facts());
    }
    let other = builder("r").blob(&key(), "signed", "another").unwrap();
    assert_eq!(sender.with_sas(&blob, &other, None), 403, "a SAS for another blob");
    let write_only = builder("w").container(&key(), "signed").unwrap();
    assert_eq!(sender.with_sas(&blob, &write_only, None), 403, "a SAS without `r`");
}

#[test]
fn azsim_takes_ours_and_nothing_else() {
    let server = Server::builder().start().unwrap();
    taken_and_refused(server.addr().port(), &[("x-ms-meta-one", "a  b"), ("x-ms-meta-two", "2")]);
}

/// With names of metadata that are not in the order of their bytes.
#[test]
fn azurite_takes_ours_and_nothing_else() {
    let azurite = Azurite::start(AzuriteOptions::default());
    let url = azurite.url(DEVSTORE_ACCOUNT);
    let port = url.rsplit_once(':').unwrap().1.split('/').next().unwrap().parse().unwrap();
    taken_and_refused(
        port,
        &[
            ("x-ms-meta-i0", "a  b"),
            ("x-ms-meta-i_", "2"),
            ("x-ms-meta-foo2_bar", "3"),
            ("x-ms-meta-foo_bar", "4"),
        ],
    );
}

/// What an identity may do with the key that the service gives it: sign, and no more than it may do itself.
#[test]
fn azsim_takes_what_an_identity_signs() {
    let authority = Authority::builder().start().unwrap();
    let server = Server::builder().tls(Tls::SelfSigned).authority(&authority).start().unwrap();
    assert!(server.create_container(DEVSTORE_ACCOUNT, "signed"));
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, server.ca_pem().unwrap()).unwrap();
    let url = format!("https://localhost:{}/{DEVSTORE_ACCOUNT}/signed", server.addr().port());
    let url = BlobUrl::parse(&url).unwrap();
    let tls = TlsSetup::new(Some(&ca)).unwrap();
    let client = |credential: Credential| {
        let target = Target::new(url.clone(), credential, &BlobProperties::default()).unwrap();
        let (http, stall) = (HttpChoice::Auto, Duration::from_secs(30));
        let settings = LinkSettings::default().http(http).stall(stall).tls(Some(tls.clone()));
        BlobClient::new(Rc::new(target), Links::new(url.endpoint(), settings))
    };
    let (feed, bearer) = bearer("the identity of the test");
    let token = authority.token("11111111-2222-3333-4444-555555555555", &[Role::Contributor], 3600);
    feed.put(&Secret::new(token), Duration::from_secs(3600));
    let trusted = TrustedSuffixes::default().with("localhost");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let identity = client(Credential::token(&url, bearer, &trusted).unwrap());
        let begun = SystemTime::now() - Duration::from_secs(60);
        let end = begun + Duration::from_secs(86_400);
        let delegation = identity.user_delegation_key(begun, end).await.unwrap();
        let builder = |letters: &str| SasBuilder::new(letters).expires_at(end);
        let writer = builder("cwl").delegated(DEVSTORE_ACCOUNT, &delegation, "signed", None).unwrap();
        let content = Payload::from(bytes::Bytes::from_static(b"content"));
        let put = client(Credential::Sas(writer)).put_blob("a%20b", content, Body::default()).await;
        put.unwrap();
        let reader = builder("r").delegated(DEVSTORE_ACCOUNT, &delegation, "signed", Some("a b")).unwrap();
        let read = |sas: Sas| client(Credential::Sas(sas));
        let facts = read(reader.clone()).head_blob("a%20b", Which::default()).await.unwrap();
        assert_eq!(facts.len, 7);
        let refused = read(reader.clone()).head_blob("c", Which::default()).await.unwrap_err();
        assert_eq!(refused.service().unwrap().status, 403, "a SAS for another blob");
        for bit in BITS {
            let changed = Sas::parse(&with_flipped(&reader, bit)).unwrap();
            let refused = read(changed).head_blob("a%20b", Which::default()).await.unwrap_err();
            assert_eq!(refused.service().unwrap().status, 403, "bit {bit}");
        }
        // Without a token the service gives no key.
        let key = client(Credential::SharedKey(Box::new(key()))).user_delegation_key(begun, end).await;
        assert_eq!(key.unwrap_err().service().unwrap().status, 403);
    });
}
