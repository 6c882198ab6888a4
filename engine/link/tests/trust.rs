//! Whose certificates are trusted: `SSL_CERT_FILE`, `SSL_CERT_DIR` and the file of extra authorities.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[expect(dead_code, reason = "the proxies are for the other tests")]
mod kit;

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use azuring_link::{Endpoint, LinkError, TlsError, TlsSetup};
use kit::{Authority, get, https_server};

/// A setup from variables.
fn setup(ca_file: Option<&Path>, vars: &[(&str, OsString)]) -> Result<TlsSetup, TlsError> {
    TlsSetup::from_env(ca_file, |name| {
        vars.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone())
    })
}

/// Whether a server of this authority is trusted.
fn trusts(setup: TlsSetup, authority: &Arc<Authority>) -> bool {
    let port = https_server(authority).port();
    match get(Endpoint { tls: true, host: "127.0.0.1".to_owned(), port }, &[], Some(setup), 1) {
        Ok(_) => true,
        Err(LinkError::Certificate { .. }) => false,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn each_source_of_authorities_counts() {
    let [file, directory, extra, stranger] = [(); 4].map(|()| Arc::new(Authority::new()));
    let by_file = ("SSL_CERT_FILE", file.ca().into_os_string());
    let by_directory = ("SSL_CERT_DIR", directory.dir.path().as_os_str().to_owned());
    let all = setup(Some(&extra.ca()), &[by_file.clone(), by_directory.clone()]).unwrap();
    for (authority, trusted) in [(&file, true), (&directory, true), (&extra, true), (&stranger, false)] {
        assert_eq!(trusts(all.clone(), authority), trusted);
    }
    assert!(!trusts(setup(Some(&extra.ca()), std::slice::from_ref(&by_file)).unwrap(), &directory));
    let two = std::env::join_paths([stranger.dir.path(), directory.dir.path()]).unwrap();
    let two = setup(None, &[("SSL_CERT_DIR", two)]).unwrap();
    assert!(trusts(two.clone(), &directory) && trusts(two.clone(), &stranger) && !trusts(two, &file));
}

#[test]
fn what_cannot_be_used_is_said() {
    let authority = Authority::new();
    let empty = authority.dir.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let no_pem = authority.dir.path().join("no.pem");
    std::fs::write(&no_pem, "nothing").unwrap();
    let broken = authority.dir.path().join("broken.pem");
    std::fs::write(&broken, "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n").unwrap();
    for (variable, path) in [
        ("SSL_CERT_FILE", Path::new("/no/such.pem")),
        ("SSL_CERT_FILE", &no_pem),
        ("SSL_CERT_FILE", &broken),
        ("SSL_CERT_DIR", Path::new("/no/such")),
        ("SSL_CERT_DIR", &empty),
    ] {
        // Another authority does not excuse it.
        let error = setup(Some(&authority.ca()), &[(variable, path.as_os_str().to_owned())]).unwrap_err();
        let told = error.to_string();
        assert!(
            told.starts_with(&format!("{variable} names {}, which cannot be used: ", path.display())),
            "{told}"
        );
    }
    for (path, why) in [(Path::new("/no/such.pem"), "/no/such.pem"), (&no_pem, "no certificate")] {
        let told = setup(Some(path), &[]).unwrap_err().to_string();
        assert!(told.starts_with("the CA file") && told.contains(why), "{told}");
    }
}
