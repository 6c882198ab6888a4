//! A certificate authority and a server certificate, made on the spot.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

/// Three PEM files: what clients trust, and what a server on `127.0.0.1` or `localhost` shows.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The authority's certificate, for `SSL_CERT_FILE` and `--ca-file`.
    pub ca: PathBuf,
    /// The server's certificate, signed by the authority.
    pub cert: PathBuf,
    /// The server's private key (PKCS #8).
    pub key: PathBuf,
}

impl Certificate {
    /// Makes a new authority and certificate, and writes them into `dir`.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn make(dir: &Path) -> io::Result<Self> {
        let made = || -> Result<_, rcgen::Error> {
            let mut authority = CertificateParams::new(Vec::<String>::new())?;
            authority.distinguished_name.push(DnType::CommonName, "azuring test authority");
            authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
            let authority_key = KeyPair::generate()?;
            let ca = authority.self_signed(&authority_key)?.pem();
            let issuer = Issuer::new(authority, authority_key);

            let mut server = CertificateParams::new(["127.0.0.1".to_owned(), "localhost".to_owned()])?;
            server.distinguished_name.push(DnType::CommonName, "azuring test server");
            let key = KeyPair::generate()?;
            let cert = server.signed_by(&key, &issuer)?.pem();
            Ok((ca, cert, key.serialize_pem()))
        };
        let (ca, cert, key) = made().map_err(io::Error::other)?;
        let files = Self { ca: dir.join("ca.pem"), cert: dir.join("cert.pem"), key: dir.join("key.pem") };
        fs::write(&files.ca, ca)?;
        fs::write(&files.cert, cert)?;
        fs::write(&files.key, key)?;
        Ok(files)
    }
}
