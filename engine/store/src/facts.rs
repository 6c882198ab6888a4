//! What is known about an object.

azuring_plan::growing! {
    /// Which properties are read beside length, time of change, type, tier and metadata. Each costs memory for every
    /// blob of a listing.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    #[non_exhaustive]
    pub struct Wanted {
        /// [`Facts::etag`].
        pub etag: bool,
        /// [`Facts::content_md5`].
        pub content_md5: bool,
        /// [`Facts::created`].
        pub created: bool,
        /// [`Facts::content`].
        pub content: bool,
        /// [`Facts::state`].
        pub state: bool,
        /// All metadata of listed blobs. Otherwise only those that say what a blob's file is
        /// ([`PosixType::is_told_by`](azuring_plan::posix::PosixType::is_told_by)): a blob may have 8 KiB of others.
        pub all_metadata: bool,
    }
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
    /// The service's word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Block => "BlockBlob",
            Self::Append => "AppendBlob",
            Self::Page => "PageBlob",
        }
    }
}

/// The tier of a blob: what it costs to keep, and to read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccessTier {
    /// `Hot`: read at once; the most expensive to keep, the cheapest to read.
    Hot,
    /// `Cool`: read at once; cheaper to keep, and more expensive to read.
    Cool,
    /// `Cold`: read at once; cheaper to keep than `Cool`, and more expensive to read.
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

azuring_plan::growing! {
    /// Headers that the service stores with a blob and sends to whoever reads it. Empty ones are `None`.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    #[non_exhaustive]
    pub struct ContentFacts {
        /// `Content-Type`, such as `text/plain`.
        pub content_type: Option<String>,
        /// `Content-Encoding`. `gzip` and `deflate` are what `--decompress` looks for.
        pub encoding: Option<String>,
        /// `Content-Language`, such as `de`.
        pub language: Option<String>,
        /// `Content-Disposition`, such as `attachment`.
        pub disposition: Option<String>,
        /// `Cache-Control`, such as `no-cache`.
        pub cache_control: Option<String>,
    }
}

/// What few callers ask for. Words as the service writes them; `None` where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct State {
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
    /// Name of the encryption scope.
    pub encryption_scope: Option<String>,
    /// SHA-256 of the customer's key, in base64.
    pub key_sha256: Option<String>,
    /// An append blob that takes no more.
    pub sealed: bool,
}

/// What is known about a blob beside its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Facts {
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
    /// Block, page or append blob.
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
    pub state: Option<Box<State>>,
    /// The version this is, where the account keeps versions.
    pub version_id: Option<Box<str>>,
    /// Metadata. Names keep their case in a listing; in headers they are in lower case.
    pub metadata: Vec<(String, String)>,
}

impl Facts {
    /// An object of this length, of which no more is known.
    pub fn of_len(len: u64) -> Self {
        Self { len, ..Self::default() }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stubs_are_known_by_their_metadata_without_case() {
        let with = |name: &str, value: &str| Facts {
            metadata: vec![(name.to_owned(), value.to_owned())],
            ..Default::default()
        };
        assert!(with("HDI_IsFolder", "True").hdi_isfolder());
        assert!(!with("hdi_isfolder", "false").hdi_isfolder());
        assert!(with("is_symlink", "true").is_symlink());
        assert!(!with("symlink", "true").is_symlink());
    }
}
