//! TLS configuration: who is trusted, and which HTTP versions are offered.

use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_native_certs::load_certs_from_paths;

/// Why no TLS configuration can be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// No root certificates were found. Install the system's `ca-certificates`, or name a file in
    /// `SSL_CERT_FILE`.
    #[error(
        "no root certificates were found: install ca-certificates, or name a PEM file in SSL_CERT_FILE{0}"
    )]
    NoRoots(String),
    /// What the variable names cannot be read, or holds no certificate. Correct it, or unset it.
    #[error("{variable} names {path}, which cannot be used: {reason}")]
    Variable {
        /// `SSL_CERT_FILE` or `SSL_CERT_DIR`.
        variable: &'static str,
        /// Its value.
        path: String,
        /// What the system or the parser said.
        reason: String,
    },
    /// The file of extra roots cannot be used.
    #[error("the CA file {path} cannot be read: {reason}")]
    CaFile {
        /// The file.
        path: String,
        /// What the system or the parser said.
        reason: String,
    },
}

/// TLS client configurations shared by all lanes of a job, so that sessions are resumed across lanes.
#[derive(Clone, Debug)]
pub struct TlsSetup {
    pub(crate) both: Arc<ClientConfig>,
    pub(crate) http1: Arc<ClientConfig>,
    pub(crate) http2: Arc<ClientConfig>,
}

impl TlsSetup {
    /// Trusts the platform's roots (or what `SSL_CERT_FILE` and `SSL_CERT_DIR` name) and the certificates
    /// in `ca_file`, a PEM file.
    ///
    /// # Errors
    /// [`TlsError`]: no roots at all, or an unusable file or variable.
    pub fn new(ca_file: Option<&Path>) -> Result<Self, TlsError> {
        Self::from_env(ca_file, |name| std::env::var_os(name))
    }

    /// [`TlsSetup::new`] with the variables that `env` reads.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn from_env(
        ca_file: Option<&Path>,
        env: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        let mut platform_fault = String::new();
        match named_roots(env)? {
            Some(named) => {
                roots.add_parsable_certificates(named);
            }
            None => {
                let native = rustls_native_certs::load_native_certs();
                roots.add_parsable_certificates(native.certs);
                platform_fault = native.errors.first().map(|e| format!(" ({e})")).unwrap_or_default();
            }
        }
        if let Some(path) = ca_file {
            let fault = |reason: String| TlsError::CaFile { path: path.display().to_string(), reason };
            let mut added = 0;
            for cert in CertificateDer::pem_file_iter(path).map_err(|e| fault(e.to_string()))? {
                let cert = cert.map_err(|e| fault(e.to_string()))?;
                roots.add(cert).map_err(|e| fault(e.to_string()))?;
                added += 1;
            }
            if added == 0 {
                return Err(fault("there is no certificate in it".to_owned()));
            }
        }
        if roots.is_empty() {
            return Err(TlsError::NoRoots(platform_fault));
        }
        let mut provider = rustls::crypto::aws_lc_rs::default_provider();
        // AES-128 first where the server leaves the choice: as safe for this use, and a tenth cheaper per byte.
        provider.cipher_suites.sort_by_key(|suite| !format!("{:?}", suite.suite()).contains("AES_128"));
        let provider = Arc::new(provider);
        let base = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider supports TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let offer = |protocols: &[&str]| {
            let mut config = base.clone();
            config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
            Arc::new(config)
        };
        Ok(Self { both: offer(&["h2", "http/1.1"]), http1: offer(&["http/1.1"]), http2: offer(&["h2"]) })
    }
}

/// The certificates of `SSL_CERT_FILE` and of the directories in `SSL_CERT_DIR`; `None` when neither is set. A file is
/// used whole or not at all; of directories what can be used, as OpenSSL does.
fn named_roots(
    env: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<Vec<CertificateDer<'static>>>, TlsError> {
    let set = |name| env(name).filter(|value| !value.is_empty());
    let refused = |variable, value: &OsStr, error: Option<&rustls_native_certs::Error>| {
        let nothing = || "there is no certificate in it".to_owned();
        // The innermost says what; where is said beside it.
        let reason = error.and_then(Error::source).map_or_else(nothing, ToString::to_string);
        TlsError::Variable { variable, path: value.display().to_string(), reason }
    };
    let mut roots = None;
    if let Some(file) = set("SSL_CERT_FILE") {
        let found = load_certs_from_paths(Some(Path::new(&file)), None);
        if !found.errors.is_empty() || found.certs.is_empty() {
            return Err(refused("SSL_CERT_FILE", &file, found.errors.first()));
        }
        roots = Some(found.certs);
    }
    if let Some(directories) = set("SSL_CERT_DIR") {
        let (mut found, mut errors) = (Vec::new(), Vec::new());
        for directory in std::env::split_paths(&directories).filter(|path| !path.as_os_str().is_empty()) {
            let here = load_certs_from_paths(None, Some(&directory));
            found.extend(here.certs);
            errors.extend(here.errors);
        }
        if found.is_empty() && roots.is_none() {
            return Err(refused("SSL_CERT_DIR", &directories, errors.first()));
        }
        roots.get_or_insert_default().extend(found);
    }
    Ok(roots)
}

/// Whether the peer refused a handshake because it speaks none of the HTTP versions that were offered.
pub(crate) fn is_no_common_protocol(error: &io::Error) -> bool {
    let Some(inner) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        return false;
    };
    matches!(
        inner,
        rustls::Error::AlertReceived(rustls::AlertDescription::NoApplicationProtocol)
            | rustls::Error::NoApplicationProtocol
    )
}

/// The certificate fault inside a failed handshake, if that is what it was.
pub(crate) fn certificate_fault(error: &io::Error) -> Option<String> {
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(reason) => Some(match reason {
            rustls::CertificateError::UnknownIssuer => {
                "it was not issued by an authority this machine trusts".to_owned()
            }
            rustls::CertificateError::Expired | rustls::CertificateError::ExpiredContext { .. } => {
                "it has expired".to_owned()
            }
            rustls::CertificateError::NotValidForName
            | rustls::CertificateError::NotValidForNameContext { .. } => "it is for another name".to_owned(),
            other => format!("{other:?}"),
        }),
        _ => None,
    }
}
