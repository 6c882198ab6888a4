//! Shared access signatures: what stands in the query of a URL.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::secret::Secret;
use crate::url::UrlError;

/// A SAS query as it was given, without the question mark. The signature inside is a secret, so all of it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sas {
    query: Secret,
}

impl Sas {
    /// Takes a query string and checks that it has the shape of a SAS: version, signature, and an end or a
    /// stored policy.
    ///
    /// # Errors
    /// [`UrlError::Sas`] with what is missing. A query cut off at its first `&` by the shell is the usual cause.
    pub fn parse(query: &str) -> Result<Self, UrlError> {
        let fault = |what: &str| UrlError::Sas { reason: what.to_owned() };
        let mut seen = Seen::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or_else(|| fault("a part of it has no `=`"))?;
            match name {
                "sv" => seen.version = true,
                "se" | "si" => seen.end = true,
                "sig" => {
                    let raw = percent_encoding::percent_decode_str(value).decode_utf8_lossy();
                    // A plus sign that was not encoded arrives as a blank in some shells and editors.
                    let hash = BASE64_STANDARD
                        .decode(raw.replace(' ', "+").as_bytes())
                        .map_err(|_| fault("its signature (sig) is not base64; was it cut off?"))?;
                    if hash.len() != 32 {
                        return Err(fault("its signature (sig) is not 32 bytes long; was it cut off?"));
                    }
                    seen.signature = true;
                }
                _ => {}
            }
        }
        match seen {
            Seen { signature: false, .. } => Err(fault("it has no signature (sig)")),
            Seen { version: false, .. } => Err(fault("it has no version (sv)")),
            Seen { end: false, .. } => Err(fault("it has neither an expiry (se) nor a stored policy (si)")),
            _ => {
                let valid = query.bytes().all(|b| b.is_ascii_graphic());
                if !valid {
                    return Err(fault("it has blanks or other characters that a query cannot have"));
                }
                Ok(Self { query: Secret::new(query) })
            }
        }
    }

    /// The query, to be appended to the URL of a request.
    pub fn expose(&self) -> &str {
        self.query.expose()
    }
}

#[derive(Default)]
struct Seen {
    version: bool,
    end: bool,
    signature: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIG: &str = "sig=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D";

    fn reason(query: &str) -> String {
        match Sas::parse(query) {
            Err(UrlError::Sas { reason }) => reason,
            other => panic!("{query} must be refused, got {other:?}"),
        }
    }

    #[test]
    fn a_whole_sas_is_kept_as_it_is_and_hidden() {
        let query = format!("sv=2024-11-04&ss=b&srt=co&sp=rwl&se=2030-01-01T00%3A00%3A00Z&{SIG}");
        let sas = Sas::parse(&query).unwrap();
        assert_eq!(sas.expose(), query);
        assert!(!format!("{sas:?}").contains("AAAA"));
    }

    #[test]
    fn what_is_missing_is_named() {
        assert!(reason("sv=2024-11-04").contains("no signature"));
        assert!(reason(&format!("se=2030&{SIG}")).contains("no version"));
        assert!(reason(&format!("sv=2024&{SIG}")).contains("neither an expiry"));
        assert!(reason("sv=2024&se=2030&sig=AAAA").contains("32 bytes"));
        assert!(reason("sv=2024&se=2030&sig=%%%").contains("not base64"));
        assert!(reason("nonsense").contains("no `=`"));
    }
}
