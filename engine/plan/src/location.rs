//! The kinds of places that AzCopy has names for.

use std::fmt;

/// One end of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Location {
    /// The local file system.
    Local,
    /// Standard input or output.
    Pipe,
    /// Azure Blob Storage.
    Blob,
    /// Azure Data Lake Storage Gen2, by its own endpoint.
    BlobFs,
    /// Azure Files over SMB.
    File,
    /// Azure Files over NFS.
    FileNfs,
    /// Amazon S3.
    S3,
    /// Google Cloud Storage.
    Gcp,
    /// Nowhere, as a destination: the source is removed.
    Trash,
    /// Nowhere, as a destination: the source's properties are set.
    None,
}

impl Location {
    /// Every location, for tables and tests.
    pub const ALL: [Self; 10] = [
        Self::Local,
        Self::Pipe,
        Self::Blob,
        Self::BlobFs,
        Self::File,
        Self::FileNfs,
        Self::S3,
        Self::Gcp,
        Self::Trash,
        Self::None,
    ];

    /// AzCopy's word, of which the names of pairs are made.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Local => "Local",
            Self::Pipe => "Pipe",
            Self::Blob => "Blob",
            Self::BlobFs => "BlobFS",
            Self::File => "File",
            Self::FileNfs => "FileNFS",
            Self::S3 => "S3",
            Self::Gcp => "GCP",
            Self::Trash => "Trash",
            Self::None => "None",
        }
    }

    /// What people call it.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Local => "local files",
            Self::Pipe => "a pipe",
            Self::Blob => "Blob storage",
            Self::BlobFs => "Data Lake Storage",
            Self::File => "Azure Files",
            Self::FileNfs => "Azure Files by NFS",
            Self::S3 => "S3",
            Self::Gcp => "GCS",
            Self::Trash => "nowhere (removed)",
            Self::None => "the same place (changed)",
        }
    }

    /// The location of this word, in any case. `FileSMB` is the same as `File`.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        let word = if word.eq_ignore_ascii_case("FileSMB") { "File" } else { word };
        Self::ALL.into_iter().find(|location| location.word().eq_ignore_ascii_case(word))
    }

    /// Whether it is reached over the network.
    #[must_use]
    pub const fn is_remote(self) -> bool {
        matches!(self, Self::Blob | Self::BlobFs | Self::File | Self::FileNfs | Self::S3 | Self::Gcp)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
