//! The server's TLS: a certificate made on the spot, or files that are given.

use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::{Alpn, Tls};

/// Names of the certificate made on the spot.
const NAMES: [&str; 5] = ["127.0.0.1", "::1", "localhost", "*.blob.core.windows.net", "*.blob.localhost"];

/// A TLS configuration and, in PEM, what a client must trust.
pub(crate) struct Identity {
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) ca_pem: String,
}

/// Makes the configuration that was asked for; `None` without TLS.
///
/// The certificate made on the spot is for these addresses too.
pub(crate) fn identity(tls: &Tls, alpn: Alpn, addresses: &[IpAddr]) -> io::Result<Option<Identity>> {
    let (chain, key, ca_pem) = match tls {
        Tls::Off => return Ok(None),
        Tls::SelfSigned => generate(addresses).map_err(io::Error::other)?,
        Tls::Pem { cert, key } => read(cert, key)?,
    };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(io::Error::other)?;
    config.alpn_protocols = match alpn {
        Alpn::H2AndHttp11 => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        Alpn::Http11 => vec![b"http/1.1".to_vec()],
        Alpn::H2 => vec![b"h2".to_vec()],
    };
    Ok(Some(Identity { config: Arc::new(config), ca_pem }))
}

type Material = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>, String);

/// An authority of its own and a leaf signed by it: some clients refuse a leaf as its own trust anchor.
fn generate(addresses: &[IpAddr]) -> Result<Material, rcgen::Error> {
    let ca_key = KeyPair::generate()?;
    let mut ca = CertificateParams::new(Vec::new())?;
    ca.distinguished_name.push(DnType::CommonName, "azsim authority");
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let ca_cert = ca.self_signed(&ca_key)?;
    let issuer = Issuer::new(ca, ca_key);

    let key = KeyPair::generate()?;
    let names = NAMES.map(str::to_owned).into_iter().chain(addresses.iter().map(IpAddr::to_string));
    let mut leaf = CertificateParams::new(names.collect::<Vec<_>>())?;
    leaf.distinguished_name.push(DnType::CommonName, "azsim");
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    let cert = leaf.signed_by(&key, &issuer)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    Ok((vec![cert.der().clone()], key, ca_cert.pem()))
}

fn read(cert: &Path, key: &Path) -> io::Result<Material> {
    let named = |path: &Path, e: &dyn std::fmt::Display| io::Error::other(format!("{}: {e}", path.display()));
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| named(cert, &e))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|e| named(key, &e))?;
    let pem = std::fs::read_to_string(cert).map_err(|e| named(cert, &e))?;
    Ok((chain, key, pem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_made_and_files_are_read() {
        let made = identity(&Tls::SelfSigned, Alpn::Http11, &[]).unwrap().unwrap();
        assert!(made.ca_pem.starts_with("-----BEGIN CERTIFICATE-----"));
        assert_eq!(made.config.alpn_protocols, [b"http/1.1".to_vec()]);

        let directory = tempfile::tempdir().unwrap();
        let (cert, key) = (directory.path().join("cert.pem"), directory.path().join("key.pem"));
        let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(&cert, pair.cert.pem()).unwrap();
        std::fs::write(&key, pair.signing_key.serialize_pem()).unwrap();
        let given = identity(&Tls::Pem { cert: cert.clone(), key }, Alpn::H2, &[]).unwrap().unwrap();
        assert_eq!(given.ca_pem, pair.cert.pem());
        let missing = Tls::Pem { cert, key: directory.path().join("nope") };
        assert!(identity(&missing, Alpn::H2, &[]).err().unwrap().to_string().contains("nope"));
    }
}
