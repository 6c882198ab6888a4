//! A signed statement of who an application is, instead of a secret.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::RSA_PSS_SHA256;
use aws_lc_rs::{digest, rand};
use azuring_azure::Secret;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;

use crate::certificate::Certificate;
use crate::error::IdentityError;
use crate::login::Login;

/// How long a statement is good. Microsoft advises 5 to 10 minutes.
const LIFETIME_S: u64 = 600;
/// How far this machine's clock may be ahead.
const AHEAD_S: u64 = 300;

/// Signs who the login's application is, for its token endpoint (RFC 7523; learn.microsoft.com, "Microsoft identity
/// platform application authentication certificate credentials"): PS256, the certificate named by its SHA-256, and the
/// whole chain for applications that trust an authority and a subject's name, as AzCopy sends it.
pub(crate) fn sign(login: &Login, certificate: &Certificate, now_s: u64) -> Result<Secret, IdentityError> {
    let (tenant, client) = login.application("a login as service principal")?;
    let base64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let fault = |_| IdentityError::Unsupported("the certificate's key cannot sign".to_owned());
    let mut number = [0; 16];
    rand::fill(&mut number).map_err(fault)?;
    let chain: Vec<String> = certificate.chain.iter().map(|der| STANDARD.encode(der)).collect();
    let thumbprint = digest::digest(&digest::SHA256, certificate.leaf());
    let header = json!({"alg": "PS256", "typ": "JWT", "x5t#S256": base64(thumbprint.as_ref()), "x5c": chain});
    let claims = json!({
        "aud": format!("{}/{tenant}/oauth2/v2.0/token", login.authority),
        "iss": client,
        "sub": client,
        "jti": base64(&number),
        "iat": now_s,
        "nbf": now_s.saturating_sub(AHEAD_S),
        "exp": now_s + LIFETIME_S,
    });
    let parts = [header, claims].map(|part| base64(part.to_string().as_bytes()));
    let mut statement = parts.join(".");
    let mut signature = vec![0; certificate.key.public_modulus_len()];
    certificate
        .key
        .sign(&RSA_PSS_SHA256, &SystemRandom::new(), statement.as_bytes(), &mut signature)
        .map_err(fault)?;
    statement.push('.');
    statement.push_str(&base64(&signature));
    Ok(Secret::new(statement))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::LoginKind;
    use aws_lc_rs::signature::{KeyPair, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
    use serde_json::Value;

    #[test]
    fn the_statement_verifies_with_the_certificates_key() {
        let path = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/certificates/plain.pem"));
        let certificate = Certificate::load(path, None).unwrap();
        let login = Login::new(LoginKind::AzureCli).with_tenant("", "2222").unwrap();
        let login = login.with_client("", "1111").unwrap();
        let statement = sign(&login, &certificate, 1_000_000).unwrap();
        let (signed, signature) = statement.expose().rsplit_once('.').unwrap();
        let (header, claims) = signed.split_once('.').unwrap();
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
        let key = UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, certificate.key.public_key().as_ref());
        key.verify(signed.as_bytes(), &decode(signature)).unwrap();
        assert!(key.verify(format!("{signed} ").as_bytes(), &decode(signature)).is_err());

        let header: Value = serde_json::from_slice(&decode(header)).unwrap();
        // `openssl x509 -in plain.pem -noout -fingerprint -sha256`
        let thumbprint = include_str!("../tests/certificates/plain.sha256").trim().replace(':', "");
        let sent = decode(header["x5t#S256"].as_str().unwrap());
        assert_eq!(sent.iter().map(|byte| format!("{byte:02X}")).collect::<String>(), thumbprint);
        let chain: Vec<_> = header["x5c"]
            .as_array()
            .unwrap()
            .iter()
            .map(|cert| STANDARD.decode(cert.as_str().unwrap()).unwrap())
            .collect();
        assert_eq!(chain, certificate.chain);
        assert_eq!((header["alg"].as_str(), header["typ"].as_str()), (Some("PS256"), Some("JWT")));

        let mut claims: Value = serde_json::from_slice(&decode(claims)).unwrap();
        let number = claims.as_object_mut().unwrap().remove("jti").unwrap();
        assert_eq!(decode(number.as_str().unwrap()).len(), 16);
        assert_eq!(
            claims,
            json!({"aud": "https://login.microsoftonline.com/2222/oauth2/v2.0/token", "iss": "1111", "sub": "1111",
                "iat": 1_000_000, "nbf": 999_700, "exp": 1_000_600})
        );
        assert_ne!(sign(&login, &certificate, 1_000_000).unwrap(), statement);
    }
}
