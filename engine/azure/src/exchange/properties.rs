//! What a blob is given besides its bytes.

use azuring_store::ContentFacts;
use http::{HeaderMap, HeaderName, HeaderValue};

/// Why a property cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PropertyError {
    /// Metadata names follow the rules of C# identifiers.
    #[error("`{0}` cannot be the name of metadata: letters, digits and `_`, not beginning with a digit")]
    MetadataName(String),
    /// Headers carry printable ASCII only.
    #[error("the value of {name} has characters that a header cannot carry: use printable ASCII")]
    Value {
        /// Name of the header or of the metadata entry.
        name: String,
    },
}

azuring_plan::growing! {
    /// Properties that all blobs of a job share.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    #[non_exhaustive]
    pub struct BlobProperties {
        /// Header `Content-Encoding`, such as `gzip`; `None` sends none.
        pub content_encoding: Option<String>,
        /// Header `Content-Language`, such as `de`; `None` sends none.
        pub content_language: Option<String>,
        /// Header `Content-Disposition`, such as `attachment`; `None` sends none.
        pub content_disposition: Option<String>,
        /// Header `Cache-Control`, such as `no-cache`; `None` sends none.
        pub cache_control: Option<String>,
        /// Metadata names and values; names keep their case.
        pub metadata: Vec<(String, String)>,
        /// Access tier (Hot, Cool, Cold, Archive).
        pub tier: Option<String>,
        /// Index tags, as `key=value&key2=value2` with percent-encoded parts.
        pub tags: Option<String>,
    }
}

impl BlobProperties {
    /// Whether `text` can be sent as a content type.
    ///
    /// # Errors
    /// [`PropertyError::Value`].
    pub fn check_content_type(text: &str) -> Result<(), PropertyError> {
        value("content-type", text).map(drop)
    }

    /// Whether all of them can be sent.
    ///
    /// # Errors
    /// [`PropertyError`].
    pub fn check(&self) -> Result<(), PropertyError> {
        self.headers().map(drop)
    }

    /// The headers of Put Blob and Put Block List that carry them.
    ///
    /// # Errors
    /// [`PropertyError`].
    pub fn headers(&self) -> Result<HeaderMap, PropertyError> {
        let mut headers = HeaderMap::new();
        let fixed = [
            ("x-ms-blob-content-encoding", &self.content_encoding),
            ("x-ms-blob-content-language", &self.content_language),
            ("x-ms-blob-content-disposition", &self.content_disposition),
            ("x-ms-blob-cache-control", &self.cache_control),
            ("x-ms-access-tier", &self.tier),
            ("x-ms-tags", &self.tags),
        ];
        for (name, text) in fixed {
            if let Some(text) = text {
                headers.insert(HeaderName::from_static(name), value(name, text)?);
            }
        }
        add_metadata(&mut headers, &self.metadata)?;
        Ok(headers)
    }
}

/// Adds what a blob is given beside its content type, in the place of what is there.
pub(crate) fn add_content(headers: &mut HeaderMap, content: &ContentFacts) -> Result<(), PropertyError> {
    let fixed = [
        ("x-ms-blob-content-encoding", &content.encoding),
        ("x-ms-blob-content-language", &content.language),
        ("x-ms-blob-content-disposition", &content.disposition),
        ("x-ms-blob-cache-control", &content.cache_control),
    ];
    for (name, text) in fixed {
        if let Some(text) = text {
            headers.insert(HeaderName::from_static(name), value(name, text)?);
        }
    }
    Ok(())
}

/// Adds `x-ms-meta-` headers; a name that is there already gets the new value.
pub(crate) fn add_metadata(
    headers: &mut HeaderMap,
    metadata: &[(String, String)],
) -> Result<(), PropertyError> {
    for (name, text) in metadata {
        let mut letters = name.bytes();
        let valid = letters.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
            && letters.all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !valid {
            return Err(PropertyError::MetadataName(name.clone()));
        }
        let header = HeaderName::from_bytes(format!("x-ms-meta-{name}").as_bytes())
            .map_err(|_| PropertyError::MetadataName(name.clone()))?;
        headers.insert(header, value(name, text)?);
    }
    Ok(())
}

/// A header's value; the service signs and stores printable ASCII.
pub(crate) fn value(name: &str, text: &str) -> Result<HeaderValue, PropertyError> {
    let printable = text.bytes().all(|b| (0x20..0x7f).contains(&b));
    HeaderValue::from_str(text)
        .ok()
        .filter(|_| printable)
        .ok_or_else(|| PropertyError::Value { name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_names_are_checked_and_values_arrive() {
        let with = |name: &str, value: &str| {
            BlobProperties { metadata: vec![(name.to_owned(), value.to_owned())], ..Default::default() }
                .headers()
        };
        assert_eq!(with("Owner_1", "a b=c").unwrap()["x-ms-meta-owner_1"], "a b=c");
        assert_eq!(with("a-b", "x").unwrap_err(), PropertyError::MetadataName("a-b".to_owned()));
        assert_eq!(with("1a", "x").unwrap_err(), PropertyError::MetadataName("1a".to_owned()));
        assert_eq!(with("", "x").unwrap_err(), PropertyError::MetadataName(String::new()));
        assert_eq!(with("a", "ä").unwrap_err(), PropertyError::Value { name: "a".to_owned() });
        assert_eq!(with("a", "x\r\ny: z").unwrap_err(), PropertyError::Value { name: "a".to_owned() });
    }
}
