//! What is known about a blob: from the headers of Get Blob and Get Blob Properties, or from a listing.

use std::time::SystemTime;

use azuring_link::{Answer, Reply};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// Which properties are read beside length, time of change, type, tier and metadata. Each costs memory for every blob
/// of a listing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// [`BlobFacts::etag`].
    pub etag: bool,
    /// [`BlobFacts::content_md5`].
    pub content_md5: bool,
    /// [`BlobFacts::created`].
    pub created: bool,
    /// [`BlobFacts::content`].
    pub content: bool,
    /// [`BlobFacts::state`].
    pub state: bool,
    /// All metadata of listed blobs. Otherwise only those that say what a blob's file is
    /// ([`PosixType::is_told_by`](azuring_plan::posix::PosixType::is_told_by)): a blob may have 8 KiB of others.
    pub all_metadata: bool,
}

impl Wanted {
    /// Everything.
    pub const ALL: Self =
        Self { etag: true, content_md5: true, created: true, content: true, state: true, all_metadata: true };
}

/// The three types of blobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BlobType {
    /// `BlockBlob`.
    #[default]
    Block,
    /// `AppendBlob`.
    Append,
    /// `PageBlob`.
    Page,
}

impl BlobType {
    /// Reads the service's word.
    fn parse(text: &str) -> Option<Self> {
        [Self::Block, Self::Append, Self::Page].into_iter().find(|kind| kind.name() == text)
    }

    /// The service's word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Block => "BlockBlob",
            Self::Append => "AppendBlob",
            Self::Page => "PageBlob",
        }
    }
}

/// Access tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessTier {
    /// Hot.
    Hot,
    /// Cool.
    Cool,
    /// Cold.
    Cold,
    /// Archive: has to be rehydrated before it can be read.
    Archive,
    /// Another one: those of page blobs (P4 to P80), Premium.
    Other(Box<str>),
}

impl AccessTier {
    /// Reads the service's word.
    pub fn parse(text: &str) -> Self {
        match text {
            "Hot" => Self::Hot,
            "Cool" => Self::Cool,
            "Cold" => Self::Cold,
            "Archive" => Self::Archive,
            other => Self::Other(other.into()),
        }
    }

    /// The service's word.
    pub fn name(&self) -> &str {
        match self {
            Self::Hot => "Hot",
            Self::Cool => "Cool",
            Self::Cold => "Cold",
            Self::Archive => "Archive",
            Self::Other(name) => name,
        }
    }
}

/// What the service answers a browser with; empty ones are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContentFacts {
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Content-Encoding`.
    pub encoding: Option<String>,
    /// `Content-Language`.
    pub language: Option<String>,
    /// `Content-Disposition`.
    pub disposition: Option<String>,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
}

/// What few callers ask for. Words as the service writes them; `None` where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlobState {
    /// `rehydrate-pending-to-hot` and the like.
    pub archive_status: Option<String>,
    /// `High` or `Standard`, while the blob leaves the archive.
    pub rehydrate_priority: Option<String>,
    /// `available`, `leased`, `expired`, `breaking`, `broken`.
    pub lease_state: Option<String>,
    /// `locked` or `unlocked`.
    pub lease_status: Option<String>,
    /// `infinite` or `fixed`, for a leased blob.
    pub lease_duration: Option<String>,
    /// `pending`, `success`, `aborted`, `failed`, for a blob that was copied.
    pub copy_status: Option<String>,
    /// Number of index tags.
    pub tag_count: u32,
    /// Encrypted at rest.
    pub server_encrypted: bool,
    /// Encryption scope.
    pub encryption_scope: Option<String>,
    /// SHA-256 of the customer's key, in base64.
    pub key_sha256: Option<String>,
    /// An append blob that takes no more.
    pub sealed: bool,
}

/// What is known about a blob beside its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlobFacts {
    /// Length of the whole blob in bytes, also where the answer is a range of it. Means nothing where
    /// [`len_is_unknown`](Self::len_is_unknown).
    pub len: u64,
    /// Nobody told the length: the body came in chunks, or a listing leaves it out. It is not an empty blob.
    pub len_is_unknown: bool,
    /// When it was last changed, in seconds since 1970.
    pub last_modified: i64,
    /// When it was made, in seconds since 1970.
    pub created: Option<i64>,
    /// ETag without its quotes.
    pub etag: Option<Box<str>>,
    /// Its type.
    pub blob_type: BlobType,
    /// Access tier; not for append blobs, nor in the answers of Get Blob.
    pub tier: Option<AccessTier>,
    /// MD5 of the whole blob, as its writer declared it or the service computed it.
    pub content_md5: Option<[u8; 16]>,
    /// What is stored as its MD5 is none: the service keeps there whatever it is given.
    pub md5_is_none: bool,
    /// Content type and its kin.
    pub content: Option<Box<ContentFacts>>,
    /// Lease, copy, rehydration, encryption.
    pub state: Option<Box<BlobState>>,
    /// The version this is, where the account keeps versions.
    pub version_id: Option<Box<str>>,
    /// Metadata. Names keep their case in a listing; in headers they are in lower case.
    pub metadata: Vec<(String, String)>,
}

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

impl BlobFacts {
    /// Reads the head of a Get Blob whose body is still to come: what is `wanted`, and the metadata of these names
    /// (in lower case).
    ///
    /// # Errors
    /// What is wrong with the headers.
    pub fn of_reply(reply: &Reply, wanted: &Wanted, metadata: &[&str]) -> Result<Self, String> {
        let mut facts = Self::of_headers(reply.status().as_u16(), |name| reply.header(name), wanted)?;
        for name in metadata {
            if let Some(value) = reply.header(&format!("x-ms-meta-{name}")) {
                facts.metadata.push(((*name).to_owned(), String::from_utf8_lossy(value).into_owned()));
            }
        }
        Ok(facts)
    }

    /// Reads the headers of an answer, all metadata included.
    ///
    /// # Errors
    /// What is wrong with the headers.
    pub fn of_answer(answer: &Answer, wanted: &Wanted) -> Result<Self, String> {
        let mut facts = Self::of_headers(answer.status().as_u16(), |name| answer.header(name), wanted)?;
        for (name, value) in &answer.headers() {
            if let Some(name) = name.as_str().strip_prefix("x-ms-meta-") {
                let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                facts.metadata.push((name.to_owned(), value));
            }
        }
        Ok(facts)
    }

    fn of_headers<'a>(
        status: u16,
        header: impl Fn(&str) -> Option<&'a [u8]>,
        wanted: &Wanted,
    ) -> Result<Self, String> {
        let mut facts = Self { len_is_unknown: true, ..Self::default() };
        for (property, name, _) in PROPERTIES {
            // The headers of a range are about the range.
            let value = match property {
                _ if !property.is_wanted(wanted) => None,
                Property::Length if status == 206 => header("content-range").and_then(total),
                Property::Md5 if status == 206 => header("x-ms-blob-content-md5"),
                _ => header(name),
            };
            if let Some(value) = value {
                facts.set(property, &String::from_utf8_lossy(value))?;
            }
        }
        Ok(facts)
    }

    /// Takes one property.
    pub(crate) fn set(&mut self, property: Property, text: &str) -> Result<(), String> {
        if text.is_empty() {
            return Ok(());
        }
        let word = || Some(text.to_owned());
        let wrong = |what: &str| format!("`{}` is no {what}", text.escape_debug());
        match property {
            Property::Length => {
                self.len = text.parse().map_err(|_| wrong("length"))?;
                self.len_is_unknown = false;
            }
            Property::Modified => self.last_modified = seconds(text).ok_or_else(|| wrong("date"))?,
            Property::Created => self.created = Some(seconds(text).ok_or_else(|| wrong("date"))?),
            Property::Etag => self.etag = Some(text.trim_matches('"').into()),
            Property::Type => self.blob_type = BlobType::parse(text).ok_or_else(|| wrong("type of blob"))?,
            Property::Tier => self.tier = Some(AccessTier::parse(text)),
            Property::Md5 => {
                self.content_md5 = BASE64_STANDARD.decode(text).ok().and_then(|b| b.try_into().ok());
                self.md5_is_none = self.content_md5.is_none();
            }
            Property::Version => self.version_id = Some(text.into()),
            Property::ContentType => self.content_mut().content_type = word(),
            Property::Encoding => self.content_mut().encoding = word(),
            Property::Language => self.content_mut().language = word(),
            Property::Disposition => self.content_mut().disposition = word(),
            Property::CacheControl => self.content_mut().cache_control = word(),
            Property::ArchiveStatus => self.state_mut().archive_status = word(),
            Property::RehydratePriority => self.state_mut().rehydrate_priority = word(),
            Property::LeaseState => self.state_mut().lease_state = word(),
            Property::LeaseStatus => self.state_mut().lease_status = word(),
            Property::LeaseDuration => self.state_mut().lease_duration = word(),
            Property::CopyStatus => self.state_mut().copy_status = word(),
            Property::TagCount => {
                self.state_mut().tag_count = text.parse().map_err(|_| wrong("number of tags"))?;
            }
            Property::ServerEncrypted => self.state_mut().server_encrypted = text == "true",
            Property::Scope => self.state_mut().encryption_scope = word(),
            Property::KeySha256 => self.state_mut().key_sha256 = word(),
            Property::Sealed => self.state_mut().sealed = text == "true",
        }
        Ok(())
    }

    fn content_mut(&mut self) -> &mut ContentFacts {
        self.content.get_or_insert_default()
    }

    fn state_mut(&mut self) -> &mut BlobState {
        self.state.get_or_insert_default()
    }

    /// The value of metadata; names are compared without case, as the service does.
    pub fn metadata(&self, name: &str) -> Option<&str> {
        let found = self.metadata.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Whether the blob stands for a directory: `hdi_isfolder` is true.
    pub fn hdi_isfolder(&self) -> bool {
        self.metadata("hdi_isfolder").is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// Whether the blob stands for a symbolic link, with its target as content: `is_symlink` is true.
    pub fn is_symlink(&self) -> bool {
        self.metadata("is_symlink").is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }
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
            let facts = BlobFacts::of_headers(status, header, &Wanted::ALL).unwrap();
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
        BlobFacts::of_headers(status, header, wanted).unwrap()
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
            facts.set(Property::Md5, text).unwrap();
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
        assert_eq!(facts.set(Property::Length, "-1").unwrap_err(), "`-1` is no length");
        assert_eq!(facts.set(Property::Modified, "soon").unwrap_err(), "`soon` is no date");
        assert_eq!(facts.set(Property::Type, "Blob\n").unwrap_err(), "`Blob\\n` is no type of blob");
        assert_eq!(facts, BlobFacts::default());
    }

    #[test]
    fn stubs_are_known_by_their_metadata_without_case() {
        let with = |name: &str, value: &str| BlobFacts {
            metadata: vec![(name.to_owned(), value.to_owned())],
            ..Default::default()
        };
        assert!(with("HDI_IsFolder", "True").hdi_isfolder());
        assert!(!with("hdi_isfolder", "false").hdi_isfolder());
        assert!(with("is_symlink", "true").is_symlink());
        assert!(!with("symlink", "true").is_symlink());
    }
}
