//! What the service tells about a blob: in the headers of Get Blob and Get Blob Properties, or in a listing.

use std::time::SystemTime;

use azuring_link::{Answer, Reply};
use azuring_store::{AccessTier, BlobType, Facts as BlobFacts, Wanted};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderMap;

/// The properties, by whatever name a source calls them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Property {
    Length,
    Modified,
    Created,
    Etag,
    Type,
    Tier,
    Md5,
    ContentType,
    Encoding,
    Language,
    Disposition,
    CacheControl,
    ArchiveStatus,
    RehydratePriority,
    LeaseState,
    LeaseStatus,
    LeaseDuration,
    CopyStatus,
    TagCount,
    ServerEncrypted,
    Scope,
    KeySha256,
    Sealed,
    Version,
}

/// Each with its name in a header and in a listing.
const PROPERTIES: [(Property, &str, &str); 24] = [
    (Property::Length, "content-length", "Content-Length"),
    (Property::Modified, "last-modified", "Last-Modified"),
    (Property::Created, "x-ms-creation-time", "Creation-Time"),
    (Property::Etag, "etag", "Etag"),
    (Property::Type, "x-ms-blob-type", "BlobType"),
    (Property::Tier, "x-ms-access-tier", "AccessTier"),
    (Property::Md5, "content-md5", "Content-MD5"),
    (Property::ContentType, "content-type", "Content-Type"),
    (Property::Encoding, "content-encoding", "Content-Encoding"),
    (Property::Language, "content-language", "Content-Language"),
    (Property::Disposition, "content-disposition", "Content-Disposition"),
    (Property::CacheControl, "cache-control", "Cache-Control"),
    (Property::ArchiveStatus, "x-ms-archive-status", "ArchiveStatus"),
    (Property::RehydratePriority, "x-ms-rehydrate-priority", "RehydratePriority"),
    (Property::LeaseState, "x-ms-lease-state", "LeaseState"),
    (Property::LeaseStatus, "x-ms-lease-status", "LeaseStatus"),
    (Property::LeaseDuration, "x-ms-lease-duration", "LeaseDuration"),
    (Property::CopyStatus, "x-ms-copy-status", "CopyStatus"),
    (Property::TagCount, "x-ms-tag-count", "TagCount"),
    (Property::ServerEncrypted, "x-ms-server-encrypted", "ServerEncrypted"),
    (Property::Scope, "x-ms-encryption-scope", "EncryptionScope"),
    (Property::KeySha256, "x-ms-encryption-key-sha256", "CustomerProvidedKeySha256"),
    (Property::Sealed, "x-ms-blob-sealed", "Sealed"),
    (Property::Version, "x-ms-version-id", "VersionId"),
];

impl Property {
    /// The property that an element of a listing holds, unless nobody wants it.
    pub(crate) fn of_element(name: &[u8], wanted: &Wanted) -> Option<Self> {
        // The lengths tell most names apart, so this is cheaper than hashing.
        let found = PROPERTIES.iter().find(|(_, _, element)| element.as_bytes() == name)?.0;
        found.is_wanted(wanted).then_some(found)
    }

    fn is_wanted(self, wanted: &Wanted) -> bool {
        match self {
            Self::Length | Self::Modified | Self::Type | Self::Tier | Self::Version => true,
            Self::Created => wanted.created,
            Self::Etag => wanted.etag,
            Self::Md5 => wanted.content_md5,
            Self::ContentType | Self::Encoding | Self::Language | Self::Disposition | Self::CacheControl => {
                wanted.content
            }
            Self::ArchiveStatus
            | Self::RehydratePriority
            | Self::LeaseState
            | Self::LeaseStatus
            | Self::LeaseDuration
            | Self::CopyStatus
            | Self::TagCount
            | Self::ServerEncrypted
            | Self::Scope
            | Self::KeySha256
            | Self::Sealed => wanted.state,
        }
    }
}

/// How the service tells what is known of a blob.
pub trait Told: Sized {
    /// Reads the head of a Get Blob whose body is still to come: what is `wanted`, and the metadata of these names
    /// (in lower case).
    ///
    /// # Errors
    /// What is wrong with the headers.
    fn of_reply(reply: &Reply, wanted: &Wanted, metadata: &[&str]) -> Result<Self, String>;

    /// The same with all metadata.
    ///
    /// # Errors
    /// What is wrong with the headers.
    fn of_head(reply: &Reply, wanted: &Wanted) -> Result<Self, String>;

    /// Reads the headers of an answer, all metadata included.
    ///
    /// # Errors
    /// What is wrong with the headers.
    fn of_answer(answer: &Answer, wanted: &Wanted) -> Result<Self, String>;
}

impl Told for BlobFacts {
    fn of_reply(reply: &Reply, wanted: &Wanted, metadata: &[&str]) -> Result<Self, String> {
        let mut facts = of_headers(reply.status().as_u16(), |name| reply.header(name), wanted)?;
        for name in metadata {
            if let Some(value) = reply.header(&format!("x-ms-meta-{name}")) {
                facts.metadata.push(((*name).to_owned(), String::from_utf8_lossy(value).into_owned()));
            }
        }
        Ok(facts)
    }

    fn of_head(reply: &Reply, wanted: &Wanted) -> Result<Self, String> {
        let mut facts = of_headers(reply.status().as_u16(), |name| reply.header(name), wanted)?;
        facts.metadata = metadata_of(&reply.headers());
        Ok(facts)
    }

    fn of_answer(answer: &Answer, wanted: &Wanted) -> Result<Self, String> {
        let mut facts = of_headers(answer.status().as_u16(), |name| answer.header(name), wanted)?;
        facts.metadata = metadata_of(&answer.headers());
        Ok(facts)
    }
}

fn metadata_of(headers: &HeaderMap) -> Vec<(String, String)> {
    let named =
        headers.iter().filter_map(|(name, value)| Some((name.as_str().strip_prefix("x-ms-meta-")?, value)));
    named
        .map(|(name, value)| (name.to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect()
}

fn of_headers<'a>(
    status: u16,
    header: impl Fn(&str) -> Option<&'a [u8]>,
    wanted: &Wanted,
) -> Result<BlobFacts, String> {
    let mut facts = BlobFacts::default();
    facts.len_is_unknown = true;
    for (property, name, _) in PROPERTIES {
        // The headers of a range are about the range.
        let value = match property {
            _ if !property.is_wanted(wanted) => None,
            Property::Length if status == 206 => header("content-range").and_then(total),
            Property::Md5 if status == 206 => header("x-ms-blob-content-md5"),
            _ => header(name),
        };
        if let Some(value) = value {
            set(&mut facts, property, &String::from_utf8_lossy(value))?;
        }
    }
    Ok(facts)
}

/// Takes one property.
pub(crate) fn set(facts: &mut BlobFacts, property: Property, text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    let word = || Some(text.to_owned());
    let wrong = |what: &str| format!("`{}` is no {what}", text.escape_debug());
    match property {
        Property::Length => {
            facts.len = text.parse().map_err(|_| wrong("length"))?;
            facts.len_is_unknown = false;
        }
        Property::Modified => facts.last_modified = seconds(text).ok_or_else(|| wrong("date"))?,
        Property::Created => facts.created = Some(seconds(text).ok_or_else(|| wrong("date"))?),
        Property::Etag => facts.etag = Some(text.trim_matches('"').into()),
        Property::Type => facts.blob_type = blob_type(text).ok_or_else(|| wrong("type of blob"))?,
        Property::Tier => facts.tier = Some(AccessTier::parse(text)),
        Property::Md5 => {
            facts.content_md5 = BASE64_STANDARD.decode(text).ok().and_then(|b| b.try_into().ok());
            facts.md5_is_none = facts.content_md5.is_none();
        }
        Property::Version => facts.version_id = Some(text.into()),
        Property::ContentType => facts.content.get_or_insert_default().content_type = word(),
        Property::Encoding => facts.content.get_or_insert_default().encoding = word(),
        Property::Language => facts.content.get_or_insert_default().language = word(),
        Property::Disposition => facts.content.get_or_insert_default().disposition = word(),
        Property::CacheControl => facts.content.get_or_insert_default().cache_control = word(),
        Property::ArchiveStatus => facts.state.get_or_insert_default().archive_status = word(),
        Property::RehydratePriority => facts.state.get_or_insert_default().rehydrate_priority = word(),
        Property::LeaseState => facts.state.get_or_insert_default().lease_state = word(),
        Property::LeaseStatus => facts.state.get_or_insert_default().lease_status = word(),
        Property::LeaseDuration => facts.state.get_or_insert_default().lease_duration = word(),
        Property::CopyStatus => facts.state.get_or_insert_default().copy_status = word(),
        Property::TagCount => {
            facts.state.get_or_insert_default().tag_count =
                text.parse().map_err(|_| wrong("number of tags"))?;
        }
        Property::ServerEncrypted => facts.state.get_or_insert_default().server_encrypted = text == "true",
        Property::Scope => facts.state.get_or_insert_default().encryption_scope = word(),
        Property::KeySha256 => facts.state.get_or_insert_default().key_sha256 = word(),
        Property::Sealed => facts.state.get_or_insert_default().sealed = text == "true",
    }
    Ok(())
}

fn blob_type(text: &str) -> Option<BlobType> {
    [BlobType::Block, BlobType::Append, BlobType::Page].into_iter().find(|kind| kind.name() == text)
}

/// The length behind the slash of `bytes 0-9/100`; none in `bytes 0-9/*` (RFC 9110 section 14.4).
fn total(range: &[u8]) -> Option<&[u8]> {
    let slash = range.iter().rposition(|&byte| byte == b'/')?;
    Some(&range[slash + 1..]).filter(|&total| total != b"*")
}

/// An HTTP date in seconds since 1970.
fn seconds(date: &str) -> Option<i64> {
    let since = httpdate::parse_http_date(date).ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADERS: [(&str, &str); 12] = [
        ("content-length", "10"),
        ("content-range", "bytes 0-9/1000"),
        ("last-modified", "Sun, 22 Nov 2026 04:00:00 GMT"),
        ("etag", "\"0x8DE1\""),
        ("x-ms-blob-type", "PageBlob"),
        ("content-md5", "AAAAAAAAAAAAAAAAAAAAAA=="),
        ("x-ms-blob-content-md5", "AQEBAQEBAQEBAQEBAQEBAQ=="),
        ("content-type", "text/plain"),
        ("x-ms-access-tier", "P10"),
        ("x-ms-lease-state", "leased"),
        ("x-ms-tag-count", "3"),
        ("x-ms-version-id", "2026-11-22T04:00:00.0000000Z"),
    ];

    #[test]
    fn a_length_that_nobody_tells_is_not_zero() {
        let told = |status, headers: &[(&str, &'static str)]| {
            let header = |name: &str| headers.iter().find(|(key, _)| *key == name).map(|(_, v)| v.as_bytes());
            let facts = of_headers(status, header, &Wanted::ALL).unwrap();
            (!facts.len_is_unknown).then_some(facts.len)
        };
        assert_eq!(told(200, &[("content-length", "0")]), Some(0));
        assert_eq!(told(200, &[("transfer-encoding", "chunked")]), None);
        assert_eq!(told(200, &[("content-length", "")]), None);
        let range = |range| [("content-length", "10"), ("content-range", range)];
        assert_eq!(told(206, &range("bytes 0-9/100")), Some(100));
        assert_eq!(told(206, &range("bytes 0-9/*")), None);
    }

    fn read(status: u16, wanted: &Wanted) -> BlobFacts {
        let header = |name: &str| HEADERS.iter().find(|(key, _)| *key == name).map(|(_, v)| v.as_bytes());
        of_headers(status, header, wanted).unwrap()
    }

    #[test]
    fn a_range_tells_of_the_whole_blob() {
        let (whole, part) = (read(200, &Wanted::ALL), read(206, &Wanted::ALL));
        assert_eq!((whole.len, part.len), (10, 1000));
        assert_eq!((whole.content_md5, part.content_md5), (Some([0; 16]), Some([1; 16])));
        assert_eq!(part.last_modified, 1_795_320_000);
        assert_eq!(part.etag.as_deref(), Some("0x8DE1"));
        assert_eq!(part.blob_type, BlobType::Page);
        assert_eq!(part.tier, Some(AccessTier::Other("P10".into())));
        assert_eq!(part.content.unwrap().content_type.as_deref(), Some("text/plain"));
        let state = part.state.unwrap();
        assert_eq!((state.lease_state.as_deref(), state.tag_count), (Some("leased"), 3));
        assert_eq!(part.version_id.as_deref(), Some("2026-11-22T04:00:00.0000000Z"));
    }

    #[test]
    fn a_stored_md5_that_is_none_is_told_from_there_being_none() {
        for (text, md5, is_none) in [
            ("AQEBAQEBAQEBAQEBAQEBAQ==", Some([1; 16]), false),
            ("AQEBAQ==", None, true),
            ("AQEBAQEBAQEBAQEBAQEBAQEB", None, true),
            ("no base64", None, true),
            ("", None, false),
        ] {
            let mut facts = BlobFacts::default();
            set(&mut facts, Property::Md5, text).unwrap();
            assert_eq!((facts.content_md5, facts.md5_is_none), (md5, is_none), "{text}");
        }
    }

    #[test]
    fn only_what_is_wanted_is_kept() {
        let facts = read(200, &Wanted::default());
        assert_eq!((facts.etag, facts.content_md5, facts.content, facts.state), (None, None, None, None));
        assert_eq!(facts.len, 10);
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        let mut facts = BlobFacts::default();
        assert_eq!(set(&mut facts, Property::Length, "-1").unwrap_err(), "`-1` is no length");
        assert_eq!(set(&mut facts, Property::Modified, "soon").unwrap_err(), "`soon` is no date");
        assert_eq!(set(&mut facts, Property::Type, "Blob\n").unwrap_err(), "`Blob\\n` is no type of blob");
        assert_eq!(facts, BlobFacts::default());
    }
}
