//! An application's certificate and key, from a file.

use std::io::Read;
use std::path::Path;

use aws_lc_rs::signature::{KeyPair, RsaKeyPair};
use azuring_azure::Secret;
use p12_keystore::Pkcs12Archive;
use p12_keystore::error::Error;
use pkcs8::{EncryptedPrivateKeyInfoRef, SecretDocument};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::error::IdentityError;

/// A chain and a key have a few KiB.
const MAX_FILE_BYTES: u64 = 1 << 20;
const PASSWORD: &str = "AZCOPY_SPA_CERT_PASSWORD";

/// A certificate with its private key and the certificates above it.
#[derive(Debug)]
pub(crate) struct Certificate {
    pub(crate) key: RsaKeyPair,
    /// DER, the application's own first.
    pub(crate) chain: Vec<Vec<u8>>,
}

impl Certificate {
    /// Reads PEM or PKCS#12. PEM may hold the key as PKCS#8 (encrypted or not) or PKCS#1.
    ///
    /// # Errors
    /// [`IdentityError::File`].
    pub(crate) fn load(path: &Path, password: Option<&Secret>) -> Result<Self, IdentityError> {
        let fault = |reason: String| IdentityError::file(path, reason);
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).map_err(|error| fault(error.to_string()))?;
        file.take(MAX_FILE_BYTES).read_to_end(&mut bytes).map_err(|error| fault(error.to_string()))?;
        // What stands between the blocks of PEM is for people, in any encoding; on Windows a mark stands before the
        // first.
        let text = String::from_utf8_lossy(&bytes);
        let (key, certificates) = match text.find("-----BEGIN ") {
            Some(begin) => from_pem(&text[begin..], password),
            None => from_pkcs12(&bytes, password),
        }
        .map_err(fault)?;
        Self::new(key, certificates).map_err(fault)
    }

    fn new(key: RsaKeyPair, mut chain: Vec<Vec<u8>>) -> Result<Self, String> {
        // A certificate holds its key in the encoding of PKCS#1, as it stands there.
        let public = key.public_key().as_ref();
        let own = chain.iter().position(|der| der.windows(public.len()).any(|part| part == public));
        let own = own.ok_or("there is no certificate for the private key in it")?;
        chain[..=own].rotate_right(1);
        Ok(Self { key, chain })
    }

    /// The application's own certificate.
    pub(crate) fn leaf(&self) -> &[u8] {
        &self.chain[0]
    }
}

type Found = (RsaKeyPair, Vec<Vec<u8>>);

fn rsa(der: Result<RsaKeyPair, aws_lc_rs::error::KeyRejected>) -> Result<RsaKeyPair, String> {
    der.map_err(|rejected| format!("its private key is not an RSA key that can be used ({rejected})"))
}

fn from_pem(text: &str, password: Option<&Secret>) -> Result<Found, String> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    let certificates = certificates.map_err(|error| format!("its PEM is damaged: {error}"))?;
    let certificates = certificates.iter().map(|der| der.to_vec()).collect();
    if let Some(encrypted) = section(text, "ENCRYPTED PRIVATE KEY") {
        let password = password.ok_or_else(|| format!("its key is encrypted: set {PASSWORD}"))?;
        let damaged = || "its encrypted key is damaged".to_owned();
        let (_, der) = SecretDocument::from_pem(encrypted).map_err(|_| damaged())?;
        let key = EncryptedPrivateKeyInfoRef::try_from(der.as_bytes()).map_err(|_| damaged())?;
        let opened = key.decrypt(password.expose().as_bytes());
        let opened = opened.map_err(|error| match error {
            pkcs8::Error::EncryptedPrivateKey(pkcs8::pkcs5::Error::DecryptFailed) => wrong_password(),
            other => format!("its key cannot be decrypted: {other}"),
        })?;
        return Ok((rsa(RsaKeyPair::from_pkcs8(opened.as_bytes()))?, certificates));
    }
    if text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(
            "its key is encrypted in an old format: convert it with `openssl pkcs8 -topk8`".to_owned()
        );
    }
    let key = match PrivateKeyDer::from_pem_slice(text.as_bytes()) {
        Ok(PrivateKeyDer::Pkcs8(der)) => rsa(RsaKeyPair::from_pkcs8(der.secret_pkcs8_der())),
        Ok(PrivateKeyDer::Pkcs1(der)) => rsa(RsaKeyPair::from_der(der.secret_pkcs1_der())),
        Ok(_) => Err("its private key is not an RSA key".to_owned()),
        Err(_) => Err("there is no private key in it".to_owned()),
    };
    Ok((key?, certificates))
}

/// A part of a PEM file, with the lines around it.
fn section<'a>(text: &'a str, label: &str) -> Option<&'a str> {
    let end = format!("-----END {label}-----");
    let rest = &text[text.find(&format!("-----BEGIN {label}-----"))?..];
    Some(&rest[..rest.find(&end)? + end.len()])
}

fn from_pkcs12(bytes: &[u8], password: Option<&Secret>) -> Result<Found, String> {
    let text = password.map_or("", Secret::expose);
    let archive = Pkcs12Archive::from_pkcs12(bytes, text).map_err(|error| match error {
        // Without a code that tells, what comes out is not what went in.
        Error::Pkcs5Error(reason) if reason != pkcs8::pkcs5::Error::DecryptFailed.to_string() => {
            format!("it cannot be decrypted: {reason}")
        }
        Error::MacError(_) | Error::Pkcs5Error(_) if password.is_none() => {
            format!("it needs a password: set {PASSWORD}")
        }
        Error::MacError(_) | Error::Pkcs5Error(_) => wrong_password(),
        other => format!("it is neither PEM nor PKCS#12 that can be read: {other}"),
    })?;
    let bag = archive.keys.first().ok_or("there is no private key in it")?;
    let key = rsa(RsaKeyPair::from_pkcs8(bag.key.as_der()))?;
    Ok((key, archive.certs.iter().map(|bag| bag.cert.as_der().to_vec()).collect()))
}

fn wrong_password() -> String {
    format!("the password is wrong: check {PASSWORD}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `tests/certificates/make.sh`.
    fn load(name: &str, password: Option<&str>) -> Result<Certificate, String> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/certificates").join(name);
        Certificate::load(&path, password.map(Secret::new).as_ref()).map_err(|error| match error {
            IdentityError::File { reason, .. } => reason,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn every_format_holds_the_same_certificate() {
        let plain = load("plain.pem", None).unwrap();
        assert_eq!(plain.chain.len(), 2);
        for (name, password) in [
            ("pkcs1.pem", None),
            ("encrypted.pem", Some("hunter2")),
            ("encrypted-3des.pem", Some("hunter2")),
            ("modern.p12", Some("hunter2")),
            ("legacy.p12", Some("hunter2")),
            ("empty-password.p12", None),
        ] {
            let found = load(name, password).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(found.leaf(), plain.leaf(), "{name}");
            assert_eq!(found.chain.len(), 2, "{name}");
            assert_eq!(found.key.public_key().as_ref(), plain.key.public_key().as_ref(), "{name}");
        }
    }

    #[test]
    fn what_stands_between_the_blocks_is_for_people() {
        let dir = tempfile::tempdir().unwrap();
        let plain = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/certificates/plain.pem"));
        // As OpenSSL writes a friendly name, in Latin-1; and as Windows' editors begin a file.
        for before in [&b"Bag Attributes\n    friendlyName: Schl\xfcssel\n"[..], b"\xef\xbb\xbf"] {
            let path = dir.path().join("c.pem");
            std::fs::write(&path, [before, plain.as_ref().unwrap()].concat()).unwrap();
            assert_eq!(Certificate::load(&path, None).unwrap().chain.len(), 2);
        }
    }

    #[test]
    fn what_cannot_be_used_says_why() {
        let error = |name: &str, password| load(name, password).unwrap_err();
        let wrong = "the password is wrong: check AZCOPY_SPA_CERT_PASSWORD";
        assert_eq!(error("encrypted.pem", Some("other")), wrong);
        assert_eq!(error("modern.p12", Some("other")), wrong);
        assert_eq!(error("legacy.p12", Some("other")), wrong);
        assert_eq!(error("encrypted.pem", None), "its key is encrypted: set AZCOPY_SPA_CERT_PASSWORD");
        assert_eq!(error("modern.p12", None), "it needs a password: set AZCOPY_SPA_CERT_PASSWORD");
        assert_eq!(error("no-key.pem", None), "there is no private key in it");
        assert_eq!(error("no-certificate.pem", None), "there is no certificate for the private key in it");
        assert_eq!(
            error("ec.pem", None).split(" (").next().unwrap(),
            "its private key is not an RSA key that can be used"
        );
        assert_eq!(error("no-mac.p12", Some("other")), wrong);
        assert_eq!(error("no-mac.p12", None), "it needs a password: set AZCOPY_SPA_CERT_PASSWORD");
        assert!(error("make.sh", None).starts_with("it is neither PEM nor PKCS#12"));
        assert!(error("nothing", None).starts_with("No such file"));
    }
}
