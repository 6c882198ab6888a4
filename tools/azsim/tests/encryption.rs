//! Customer-provided keys and encryption scopes.

#![allow(clippy::unwrap_used)] // Helpers of tests: a panic is the report.

mod common;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::{Client, server};

struct Key(String, String);

impl Key {
    fn new(byte: u8) -> Key {
        let sha = digest::digest(&digest::SHA256, &[byte; 32]);
        Key(STANDARD.encode([byte; 32]), STANDARD.encode(sha))
    }

    fn headers(&self) -> Vec<(&str, &str)> {
        vec![
            ("x-ms-encryption-key", &self.0),
            ("x-ms-encryption-key-sha256", &self.1),
            ("x-ms-encryption-algorithm", "AES256"),
        ]
    }

    fn with<'k>(&'k self, header: (&'k str, &'k str)) -> Vec<(&'k str, &'k str)> {
        let mut headers = self.headers();
        headers.push(header);
        headers
    }
}

const BLOCK: (&str, &str) = ("x-ms-blob-type", "BlockBlob");

#[test]
fn a_blob_with_a_key_is_for_those_who_bring_it() {
    let server = server();
    let mut client = Client::new(&server);
    let (key, other) = (Key::new(1), Key::new(2));
    let mut headers = key.with(BLOCK);
    headers.push(("x-ms-meta-secret", "v"));
    let put = client.send("PUT", "/con/x", &headers, b"abc");
    assert_eq!((put.status, put.header("x-ms-encryption-key-sha256")), (201, &*key.1));
    client.put("plain", b"1");
    for method in ["GET", "HEAD"] {
        assert_eq!(
            client.send(method, "/con/x", &[], b"").verdict(),
            (409, "BlobUsesCustomerSpecifiedEncryption")
        );
        let wrong = client.send(method, "/con/x", &other.headers(), b"");
        assert_eq!(wrong.verdict(), (409, "BlobCustomerSpecifiedEncryptionMismatch"));
        let plain = client.send(method, "/con/plain", &key.headers(), b"");
        assert_eq!(plain.verdict(), (409, "BlobDoesNotUseCustomerSpecifiedEncryption"));
        let right = client.send(method, "/con/x", &key.headers(), b"");
        assert_eq!((right.status, right.header("x-ms-encryption-key-sha256")), (200, &*key.1));
        assert_eq!(right.header("x-ms-meta-secret"), "v");
    }
    for query in ["comp=metadata", "comp=properties", "comp=snapshot"] {
        let refused = client.send("PUT", &format!("/con/x?{query}"), &[], b"");
        assert_eq!(refused.verdict(), (409, "BlobUsesCustomerSpecifiedEncryption"), "{query}");
        let done = client.send("PUT", &format!("/con/x?{query}"), &key.headers(), b"");
        assert!(done.status < 300, "{query}");
    }
    let list = client.send("GET", "/con?restype=container&comp=list&include=metadata", &[], b"");
    assert_eq!(list.elements("CustomerProvidedKeySha256"), [&*key.1]);
    assert!(list.text().contains("<Metadata Encrypted=\"true\" />") && !list.text().contains("<secret>"));
    assert!(!list.text().contains(&key.0), "the key itself is not kept");

    let bad = [BLOCK, ("x-ms-encryption-key", &*key.0), ("x-ms-encryption-key-sha256", &*other.1)];
    let refused = client.send("PUT", "/con/y", &bad, b"abc");
    assert_eq!(refused.verdict(), (400, "InvalidHeaderValue"));
    assert!(!refused.text().contains(&key.0));
}

#[test]
fn all_blocks_of_a_blob_have_one_key() {
    let server = server();
    let mut client = Client::new(&server);
    let (key, other) = (Key::new(1), Key::new(2));
    let block = "/con/x?comp=block&blockid=";
    let put = client.send("PUT", &format!("{block}MDE%3D"), &key.headers(), b"abc");
    assert_eq!((put.status, put.header("x-ms-encryption-key-sha256")), (201, &*key.1));
    let wrong = client.send("PUT", &format!("{block}MDI%3D"), &other.headers(), b"def");
    assert_eq!(wrong.verdict(), (409, "BlobCustomerSpecifiedEncryptionMismatch"));
    let list = b"<BlockList><Latest>MDE=</Latest></BlockList>";
    let refused = client.send("PUT", "/con/x?comp=blocklist", &[], list);
    assert_eq!(refused.verdict(), (409, "BlobUsesCustomerSpecifiedEncryption"));
    assert_eq!(client.send("PUT", "/con/x?comp=blocklist", &key.headers(), list).status, 201);
    assert_eq!(client.send("GET", "/con/x", &key.headers(), b"").body, b"abc");
    let append = key.with(("x-ms-blob-type", "AppendBlob"));
    assert_eq!(client.send("PUT", "/con/a", &append, b"").status, 201);
    let refused = client.send("PUT", "/con/a?comp=appendblock", &[], b"1");
    assert_eq!(refused.verdict(), (409, "BlobUsesCustomerSpecifiedEncryption"));
    assert_eq!(client.send("PUT", "/con/a?comp=appendblock", &key.headers(), b"1").status, 201);
}

#[test]
fn an_encryption_scope_is_echoed() {
    let server = server();
    let mut client = Client::new(&server);
    let put = client.send("PUT", "/con/x", &[BLOCK, ("x-ms-encryption-scope", "scope1")], b"abc");
    assert_eq!((put.status, put.header("x-ms-encryption-scope")), (201, "scope1"));
    let get = client.get("x");
    assert_eq!((get.status, get.header("x-ms-encryption-scope")), (200, "scope1"));
    let list = client.send("GET", "/con?restype=container&comp=list", &[], b"");
    assert_eq!(list.elements("EncryptionScope"), ["scope1"]);
}
