//! JSON web tokens: those that the authority signs, and those by which applications prove themselves.
//!
//! RFC 7515, RFC 7519; assertions by certificate:
//! <https://learn.microsoft.com/entra/identity-platform/certificate-credentials>.

use aws_lc_rs::{digest, hmac, signature};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;
use serde_json::{Value, json};

/// Seconds by which the clock of a client may differ from this one.
const SKEW_S: u64 = 300;

/// Signs claims with HMAC-SHA256.
pub(super) fn sign(claims: &Value, key: &hmac::Key) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(&json!({ "typ": "JWT", "alg": "HS256" })), part(claims));
    let signature = URL_SAFE_NO_PAD.encode(hmac::sign(key, text.as_bytes()));
    format!("{text}.{signature}")
}

/// A token taken apart, its signature not yet looked at.
pub(super) struct Jwt<'t> {
    pub(super) header: Value,
    pub(super) claims: Value,
    signed: &'t str,
    signature: Vec<u8>,
}

impl<'t> Jwt<'t> {
    /// `None`: not three parts in base64url without padding, the first two of them JSON objects.
    pub(super) fn read(token: &'t str) -> Option<Jwt<'t>> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let object = |part: &str| -> Option<Value> {
            let value: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()?;
            value.is_object().then_some(value)
        };
        Some(Jwt {
            header: object(header)?,
            claims: object(claims)?,
            signed,
            signature: URL_SAFE_NO_PAD.decode(signature).ok()?,
        })
    }

    /// Whether the authority signed it.
    pub(super) fn is_signed_with(&self, key: &hmac::Key) -> bool {
        self.header["alg"] == "HS256" && hmac::verify(key, self.signed.as_bytes(), &self.signature).is_ok()
    }

    /// A claim that is a text.
    pub(super) fn text(&self, claim: &str) -> Option<&str> {
        self.claims[claim].as_str()
    }

    /// A claim that is a point in time, in seconds since 1970.
    pub(super) fn time(&self, claim: &str) -> Option<u64> {
        self.claims[claim].as_u64()
    }
}

/// The certificate of an application, as far as assertions need it.
#[derive(Clone)]
pub(super) struct Certificate {
    sha1: String,
    sha256: String,
    /// SubjectPublicKeyInfo.
    key: Vec<u8>,
}

impl Certificate {
    pub(super) fn new(der: &CertificateDer<'_>) -> Result<Certificate, rustls::Error> {
        let thumbprint = |algorithm| URL_SAFE_NO_PAD.encode(digest::digest(algorithm, der));
        Ok(Certificate {
            sha1: thumbprint(&digest::SHA1_FOR_LEGACY_USE_ONLY),
            sha256: thumbprint(&digest::SHA256),
            key: ParsedCertificate::try_from(der)?.subject_public_key_info().to_vec(),
        })
    }
}

/// Why an assertion is not accepted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It breaks the format: this field does.
    Malformed(&'static str),
    /// No certificate of the application has this thumbprint.
    UnknownCertificate,
    Signature,
    Audience,
    Issuer,
    Time,
}

/// Judges an assertion by certificate. `audience` is the token endpoint, `now_s` the time of the client's clock.
pub(super) fn check_assertion(
    assertion: &Jwt<'_>,
    certificates: &[Certificate],
    client_id: &str,
    audience: &str,
    now_s: u64,
) -> Result<(), Refusal> {
    let header = |name: &str| assertion.header[name].as_str();
    if header("typ") != Some("JWT") {
        return Err(Refusal::Malformed("typ"));
    }
    let algorithm: &dyn signature::VerificationAlgorithm = match header("alg") {
        Some("RS256") => &signature::RSA_PKCS1_2048_8192_SHA256,
        Some("PS256") => &signature::RSA_PSS_2048_8192_SHA256,
        _ => return Err(Refusal::Malformed("alg")),
    };
    for claim in ["aud", "iss", "sub", "jti"] {
        if assertion.text(claim).is_none_or(str::is_empty) {
            return Err(Refusal::Malformed(claim));
        }
    }
    let (Some(not_before), Some(end)) = (assertion.time("nbf"), assertion.time("exp")) else {
        return Err(Refusal::Malformed("nbf and exp"));
    };
    let certificate = match (header("x5t#S256"), header("x5t")) {
        (Some(thumbprint), _) => certificates.iter().find(|c| c.sha256 == thumbprint),
        (None, Some(thumbprint)) => certificates.iter().find(|c| c.sha1 == thumbprint),
        (None, None) => return Err(Refusal::Malformed("x5t")),
    };
    let certificate = certificate.ok_or(Refusal::UnknownCertificate)?;
    let key = signature::UnparsedPublicKey::new(algorithm, &certificate.key);
    if key.verify(assertion.signed.as_bytes(), &assertion.signature).is_err() {
        return Err(Refusal::Signature);
    }
    if assertion.text("iss") != Some(client_id) || assertion.text("sub") != Some(client_id) {
        return Err(Refusal::Issuer);
    }
    if assertion.text("aud") != Some(audience) {
        return Err(Refusal::Audience);
    }
    if now_s + SKEW_S < not_before || now_s >= end + SKEW_S {
        return Err(Refusal::Time);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_of_the_algorithm_that_the_header_names() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
        let claims = json!({ "aud": "x" });
        let token = sign(&claims, &key);
        assert!(Jwt::read(&token).unwrap().is_signed_with(&key));
        assert!(!Jwt::read(&token).unwrap().is_signed_with(&hmac::Key::new(hmac::HMAC_SHA256, &[8; 32])));
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(&json!({ "alg": "none" })), part(&claims));
        let token = format!("{text}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&key, text.as_bytes())));
        assert!(!Jwt::read(&token).unwrap().is_signed_with(&key));
    }
}
