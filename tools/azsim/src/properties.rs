//! Properties, metadata and tags that arrive in headers and leave in headers or listings.

use http::HeaderMap;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderName, HeaderValue};

use crate::answer::Answer;
use crate::copied::Copied;
use crate::error::{
    EMPTY_METADATA_KEY, INVALID_HEADER_VALUE, INVALID_METADATA, INVALID_TAG, METADATA_TOO_LARGE, Result,
};
use crate::headers::{TAG_COUNT, nonempty, text};
use crate::page_blob::PageTier;
use crate::target::percent_decode;

/// What is said about a blob apart from its bytes and times.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Props {
    pub(crate) content_type: Box<str>,
    pub(crate) content_encoding: Box<str>,
    pub(crate) content_language: Box<str>,
    pub(crate) content_disposition: Box<str>,
    pub(crate) cache_control: Box<str>,
    pub(crate) metadata: Vec<(Box<str>, Box<str>)>,
    pub(crate) tags: Vec<(Box<str>, Box<str>)>,
    pub(crate) tier: Tier,
    /// The tier is the account's default, not a wish of the client.
    pub(crate) tier_inferred: bool,
    /// What few blobs have.
    pub(crate) rare: Option<Box<Rare>>,
}

/// Properties of page and append blobs, of customer keys, rehydration and versions: apart, because most blobs have
/// none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Rare {
    pub(crate) kind: BlobKind,
    /// An append blob that takes no more.
    pub(crate) sealed: bool,
    /// Sequence number of a page blob.
    pub(crate) sequence: u64,
    /// On its way out of the archive to this tier; with high priority.
    pub(crate) rehydrating: Option<(Tier, bool)>,
    /// When Set Blob Tier changed the tier, in ticks; 0: never.
    pub(crate) tier_changed: u64,
    /// The tier that was set of a page blob in a premium account.
    pub(crate) page_tier: Option<PageTier>,
    /// The id of this version, in ticks; 0: none.
    pub(crate) version: u64,
    /// SHA-256 of the customer's key.
    pub(crate) key: Option<[u8; 32]>,
    /// Encryption scope.
    pub(crate) scope: Box<str>,
    /// The copy that made it.
    pub(crate) copied: Option<Box<Copied>>,
}

/// The three types of blobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum BlobKind {
    #[default]
    Block,
    Append,
    Page,
}

impl BlobKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            BlobKind::Block => "BlockBlob",
            BlobKind::Append => "AppendBlob",
            BlobKind::Page => "PageBlob",
        }
    }
}

/// Access tier of a block blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Tier {
    #[default]
    Hot,
    Cool,
    Cold,
    Archive,
}

impl Tier {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Tier::Hot => "Hot",
            Tier::Cool => "Cool",
            Tier::Cold => "Cold",
            Tier::Archive => "Archive",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Tier> {
        [Tier::Hot, Tier::Cool, Tier::Cold, Tier::Archive]
            .into_iter()
            .find(|t| t.name().eq_ignore_ascii_case(name))
    }
}

/// Which blobs of an account have tiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tiers {
    /// Block blobs: a standard account.
    OfBlocks,
    /// Page blobs: a premium account for them.
    OfPages,
    /// None: a premium account for block blobs.
    None,
}

/// Where the properties of a write come from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// Put Blob: `x-ms-blob-*`, else the standard header.
    PutBlob,
    /// Put Block List: `x-ms-blob-*` alone; the standard headers describe the XML.
    PutBlockList,
}

impl Props {
    /// The rare properties, all absent for most blobs.
    pub(crate) fn rare(&self) -> &Rare {
        static NONE: std::sync::OnceLock<Rare> = std::sync::OnceLock::new();
        self.rare.as_deref().unwrap_or_else(|| NONE.get_or_init(Rare::default))
    }

    /// Changes the rare properties, which are dropped when that leaves none.
    pub(crate) fn set_rare(&mut self, change: impl FnOnce(&mut Rare)) {
        let mut rare = self.rare.take().unwrap_or_default();
        change(&mut rare);
        self.rare = (*rare != Rare::default()).then_some(rare);
    }

    /// Reads the headers of a write. `cased` are the metadata headers as the client spelled them.
    pub(crate) fn read(parts: &Parts, source: Source, cased: &[Box<str>]) -> Result<Props> {
        let property = |own: &str, standard: Option<&str>| -> Box<str> {
            let fallback = || standard.filter(|_| source == Source::PutBlob).and_then(|s| nonempty(parts, s));
            nonempty(parts, own).or_else(fallback).unwrap_or_default().into()
        };
        let mut content_type = property("x-ms-blob-content-type", Some("content-type"));
        if content_type.is_empty() {
            content_type = "application/octet-stream".into();
        }
        let named = nonempty(parts, "x-ms-access-tier");
        let (tier, page_tier) = (named.and_then(Tier::parse), named.and_then(PageTier::parse));
        if let (Some(name), None, None) = (named, tier, page_tier) {
            return Err(INVALID_HEADER_VALUE.header("x-ms-access-tier", name));
        }
        let mut props = Props {
            content_type,
            content_encoding: property("x-ms-blob-content-encoding", Some("content-encoding")),
            content_language: property("x-ms-blob-content-language", Some("content-language")),
            content_disposition: property("x-ms-blob-content-disposition", None),
            cache_control: property("x-ms-blob-cache-control", Some("cache-control")),
            metadata: metadata(parts, cased)?,
            tags: match text(parts, "x-ms-tags") {
                Some(raw) => tags(raw)?,
                None => Vec::new(),
            },
            tier: tier.unwrap_or_default(),
            tier_inferred: tier.is_none(),
            rare: None,
        };
        props.set_rare(|rare| rare.page_tier = page_tier);
        Ok(props)
    }

    /// The tier as it is shown of a blob of this length, and whether nobody asked for it. Append blobs have none.
    pub(crate) fn shown_tier(&self, len: u64, tiers: Tiers) -> Option<(&'static str, bool)> {
        match self.rare().kind {
            BlobKind::Block if tiers != Tiers::None => Some((self.tier.name(), self.tier_inferred)),
            BlobKind::Page if tiers == Tiers::OfPages => {
                let set = self.rare().page_tier;
                Some((set.unwrap_or_else(|| PageTier::of(len)).name(), set.is_none()))
            }
            BlobKind::Block | BlobKind::Page | BlobKind::Append => None,
        }
    }

    /// Writes the headers of Get Blob and Get Blob Properties.
    pub(crate) fn write(&self, answer: &mut Answer) {
        let headers = answer.headers_mut();
        for (name, value) in [
            (CONTENT_TYPE, &self.content_type),
            (CONTENT_ENCODING, &self.content_encoding),
            (CONTENT_LANGUAGE, &self.content_language),
            (CONTENT_DISPOSITION, &self.content_disposition),
            (CACHE_CONTROL, &self.cache_control),
        ] {
            if !value.is_empty() {
                put(headers, name, value);
            }
        }
        if !self.tags.is_empty() {
            headers.insert(TAG_COUNT, HeaderValue::from(self.tags.len()));
        }
        write_metadata(&self.metadata, answer);
    }
}

/// Sets a header to text that came in as a header.
pub(crate) fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
        headers.insert(name, value);
    }
}

/// Metadata names that are not in lower case, for the connection to restore: hyper writes lower case only.
#[derive(Clone)]
pub(crate) struct Spelling(pub(crate) Vec<Box<str>>);

/// Metadata as response headers.
pub(crate) fn write_metadata(metadata: &[(Box<str>, Box<str>)], answer: &mut Answer) {
    let mut spelled = Vec::new();
    for (short, value) in metadata {
        let name = HeaderName::from_bytes(format!("x-ms-meta-{short}").as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.as_bytes())) {
            answer.headers_mut().insert(name, value);
        }
        if short.bytes().any(|b| b.is_ascii_uppercase()) {
            spelled.push(short.clone());
        }
    }
    if !spelled.is_empty() {
        answer.extensions_mut().insert(Spelling(spelled));
    }
}

/// Names and values together, in bytes.
const MAX_METADATA: usize = 8 << 10;

/// Reads `x-ms-meta-*`: names are C# identifiers, compared without case and kept in the case they came in.
pub(crate) fn metadata(parts: &Parts, cased: &[Box<str>]) -> Result<Vec<(Box<str>, Box<str>)>> {
    let mut pairs = Vec::new();
    let mut size = 0;
    for name in parts.headers.keys() {
        let Some(short) = name.as_str().strip_prefix("x-ms-meta-") else { continue };
        if short.is_empty() {
            return Err(EMPTY_METADATA_KEY.into());
        }
        let mut letters = short.chars();
        let first = letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
        if !first || !letters.all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(INVALID_METADATA.header(name.as_str(), ""));
        }
        let values: Vec<_> = parts.headers.get_all(name).iter().collect();
        let values: std::result::Result<Vec<&str>, _> =
            values.iter().map(|v| std::str::from_utf8(v.as_bytes())).collect();
        let value = values.map_err(|_| INVALID_METADATA.header(name.as_str(), ""))?.join(",");
        let short = cased.iter().find(|c| c.eq_ignore_ascii_case(short)).map_or(short, |c| c);
        size += short.len() + value.len();
        pairs.push((short.into(), value.trim().into()));
    }
    if size > MAX_METADATA {
        return Err(METADATA_TOO_LARGE.into());
    }
    // The header map has no order of its own worth keeping; a listing should have one.
    pairs.sort_unstable();
    Ok(pairs)
}

/// Reads `x-ms-tags`: a URL-encoded query of at most 10 tags.
fn tags(raw: &str) -> Result<Vec<(Box<str>, Box<str>)>> {
    let mut tags: Vec<(Box<str>, Box<str>)> = Vec::new();
    for pair in raw.split('&').filter(|p| !p.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or(INVALID_TAG)?;
        let name = percent_decode(name, true).ok_or(INVALID_TAG)?;
        let value = percent_decode(value, true).ok_or(INVALID_TAG)?;
        tags.push((name.into(), value.into()));
    }
    check_tags(tags)
}

/// At most 10 tags, each name once, of the characters that are allowed.
pub(crate) fn check_tags(tags: Vec<(Box<str>, Box<str>)>) -> Result<Vec<(Box<str>, Box<str>)>> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || " +-./:=_".contains(c);
    for (i, (name, value)) in tags.iter().enumerate() {
        let fits = (1..=128).contains(&name.len()) && value.len() <= 256;
        let again = tags[..i].iter().any(|(n, _)| n == name);
        if !fits || again || !name.chars().chain(value.chars()).all(allowed) {
            return Err(INVALID_TAG.into());
        }
    }
    if tags.len() > 10 { Err(INVALID_TAG.into()) } else { Ok(tags) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[(&str, &str)], source: Source) -> std::result::Result<Props, String> {
        let mut builder = http::Request::builder();
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        let parts = builder.body(()).unwrap().into_parts().0;
        Props::read(&parts, source, &["MixedCase".into()]).map_err(|e| e.code.to_string())
    }

    #[test]
    fn put_blob_takes_standard_headers_and_block_list_does_not() {
        let headers = [("content-type", "application/xml"), ("cache-control", "no-store")];
        let blob = read(&headers, Source::PutBlob).unwrap();
        assert_eq!((&*blob.content_type, &*blob.cache_control), ("application/xml", "no-store"));
        let list = read(&headers, Source::PutBlockList).unwrap();
        assert_eq!((&*list.content_type, &*list.cache_control), ("application/octet-stream", ""));
        let both = [("content-type", "a/b"), ("x-ms-blob-content-type", "c/d")];
        assert_eq!(&*read(&both, Source::PutBlob).unwrap().content_type, "c/d");
    }

    #[test]
    fn tier_is_read_and_said_to_be_inferred() {
        let inferred = read(&[], Source::PutBlob).unwrap();
        assert_eq!((inferred.tier, inferred.tier_inferred), (Tier::Hot, true));
        let cool = read(&[("x-ms-access-tier", "cool")], Source::PutBlob).unwrap();
        assert_eq!((cool.tier, cool.tier_inferred), (Tier::Cool, false));
        assert_eq!(read(&[("x-ms-access-tier", "Warm")], Source::PutBlob).unwrap_err(), "InvalidHeaderValue");
    }

    #[test]
    fn metadata_names_are_identifiers_in_their_case() {
        let props = read(&[("x-ms-meta-mixedcase", "v"), ("x-ms-meta-_a1", "")], Source::PutBlob).unwrap();
        let expected: [(Box<str>, Box<str>); 2] =
            [("MixedCase".into(), "v".into()), ("_a1".into(), "".into())];
        assert_eq!(props.metadata, expected);
        for bad in ["x-ms-meta-a-b", "x-ms-meta-1a", "x-ms-meta-a.b"] {
            assert_eq!(read(&[(bad, "v")], Source::PutBlob).unwrap_err(), "InvalidMetadata", "{bad}");
        }
        assert_eq!(read(&[("x-ms-meta-", "v")], Source::PutBlob).unwrap_err(), "EmptyMetadataKey");
        let large = "x".repeat(MAX_METADATA);
        assert_eq!(read(&[("x-ms-meta-a", &large)], Source::PutBlob).unwrap_err(), "MetadataTooLarge");
    }

    #[test]
    fn tags_are_decoded_and_limited() {
        let props = read(&[("x-ms-tags", "proj=x&y=z%201")], Source::PutBlob).unwrap();
        let expected: [(Box<str>, Box<str>); 2] = [("proj".into(), "x".into()), ("y".into(), "z 1".into())];
        assert_eq!(props.tags, expected);
        let eleven: Vec<String> = (0..11).map(|i| format!("t{i}=1")).collect();
        for bad in ["a", "a=1&a=2", "a=%23", "=1", &eleven.join("&")] {
            assert_eq!(read(&[("x-ms-tags", bad)], Source::PutBlob).unwrap_err(), "InvalidTag", "{bad}");
        }
    }
}
