//! Where a transfer goes from and to: AzCopy's `--from-to` (`common/fe-ste-models.go`) and how it is inferred
//! (`azcopy/validationUtil.go`).

use std::fmt;

use crate::name::escape;
use crate::{PlanError, host};

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
    /// What a source or destination argument is, as far as its shape tells.
    ///
    /// An `http://` or `https://` URL is told by its host ([`crate::host::service_of`]). A host that tells nothing is a Blob
    /// endpoint: an emulator, a gateway, a custom domain (AzCopy asks for `--from-to` there). Anything else is a local path.
    #[must_use]
    pub fn of(argument: &str) -> Self {
        match http_host(argument) {
            Some(host) => host::service_of(&host).unwrap_or(Self::Blob),
            None => Self::Local,
        }
    }

    fn as_str(self) -> &'static str {
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

    /// Whether it is reached over the network.
    #[must_use]
    pub fn is_remote(self) -> bool {
        matches!(self, Self::Blob | Self::BlobFs | Self::File | Self::FileNfs | Self::S3 | Self::Gcp)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The host of an http(s) URL in lower case, without user, port and brackets.
fn http_host(argument: &str) -> Option<String> {
    let (scheme, rest) = argument.split_once("://")?;
    if !(scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")) {
        return None;
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = match host.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    (!host.is_empty()).then(|| host.to_ascii_lowercase())
}

/// A pair of locations that AzCopy has a name for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FromTo {
    /// The source.
    pub from: Location,
    /// The destination.
    pub to: Location,
}

/// The pairs. Each is called by its two names put together.
const PAIRS: &[(Location, &[Location])] = {
    use Location::{Blob, BlobFs, File, FileNfs, Gcp, Local, None, Pipe, S3, Trash};
    &[
        (Local, &[Blob, BlobFs, File, FileNfs]),
        (Blob, &[Local, Blob, BlobFs, File, Pipe, Trash, None]),
        (BlobFs, &[Local, Blob, BlobFs, File, Trash, None]),
        (File, &[Local, Blob, BlobFs, File, FileNfs, Pipe, Trash, None]),
        (FileNfs, &[Local, File, FileNfs]),
        (S3, &[Blob]),
        (Gcp, &[Blob]),
        (Pipe, &[Blob, File]),
    ]
};

fn pairs() -> impl Iterator<Item = FromTo> {
    PAIRS.iter().flat_map(|&(from, all)| all.iter().map(move |&to| FromTo { from, to }))
}

impl FromTo {
    /// Reads a name such as `LocalBlob`, in any case. `FileSMB` is the same as `File`.
    ///
    /// # Errors
    ///
    /// [`PlanError::BadFromTo`].
    pub fn parse(text: &str) -> Result<Self, PlanError> {
        let name = text.to_ascii_lowercase().replace("filesmb", "file");
        pairs()
            .find(|pair| pair.to_string().to_ascii_lowercase() == name)
            .ok_or_else(|| PlanError::BadFromTo { text: escape(text.as_bytes()) })
    }

    /// The pair that two arguments tell by their shape ([`Location::of`]).
    ///
    /// # Errors
    ///
    /// [`PlanError::UnknownFromTo`] for a pair without a name, two local paths for example.
    pub fn infer(source: &str, destination: &str) -> Result<Self, PlanError> {
        let pair = Self { from: Location::of(source), to: Location::of(destination) };
        if pairs().any(|known| known == pair) { Ok(pair) } else { Err(PlanError::UnknownFromTo) }
    }

    /// Local to remote.
    #[must_use]
    pub fn is_upload(self) -> bool {
        !self.from.is_remote() && self.to.is_remote()
    }

    /// Remote to local (standard output included).
    #[must_use]
    pub fn is_download(self) -> bool {
        self.from.is_remote() && matches!(self.to, Location::Local | Location::Pipe)
    }

    /// Remote to remote: the services move the bytes.
    #[must_use]
    pub fn is_service_to_service(self) -> bool {
        self.from.is_remote() && self.to.is_remote()
    }
}

impl fmt::Display for FromTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.from, self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_azcopys() {
        let expected = [
            "LocalBlob",
            "LocalBlobFS",
            "LocalFile",
            "LocalFileNFS",
            "BlobLocal",
            "BlobBlob",
            "BlobBlobFS",
            "BlobFile",
            "BlobPipe",
            "BlobTrash",
            "BlobNone",
            "BlobFSLocal",
            "BlobFSBlob",
            "BlobFSBlobFS",
            "BlobFSFile",
            "BlobFSTrash",
            "BlobFSNone",
            "FileLocal",
            "FileBlob",
            "FileBlobFS",
            "FileFile",
            "FileFileNFS",
            "FilePipe",
            "FileTrash",
            "FileNone",
            "FileNFSLocal",
            "FileNFSFile",
            "FileNFSFileNFS",
            "S3Blob",
            "GCPBlob",
            "PipeBlob",
            "PipeFile",
        ];
        let names: Vec<String> = pairs().map(|pair| pair.to_string()).collect();
        assert_eq!(names, expected);
        for pair in pairs() {
            assert_eq!(FromTo::parse(&pair.to_string()), Ok(pair));
            assert_eq!(FromTo::parse(&pair.to_string().to_uppercase()), Ok(pair));
            let directions = [pair.is_upload(), pair.is_download(), pair.is_service_to_service()];
            let nowhere = matches!(pair.to, Location::Trash | Location::None);
            assert_eq!(directions.iter().filter(|&&d| d).count(), usize::from(!nowhere), "{pair}");
        }
        let (from, to) = (Location::File, Location::File);
        assert_eq!(FromTo::parse("fileSMBFileSMB"), Ok(FromTo { from, to }));
        for bad in ["", "LocalLocal", "Blob", "LocalBlobX", "LocalS3", "PipeLocal", "Local Blob"] {
            assert_eq!(FromTo::parse(bad), Err(PlanError::BadFromTo { text: bad.into() }));
        }
    }

    #[test]
    fn shapes_tell_the_location() {
        for (argument, expected) in [
            ("/data", Location::Local),
            ("data/x", Location::Local),
            ("", Location::Local),
            ("http", Location::Local),
            ("http:/x", Location::Local),
            ("https://", Location::Local),
            ("ftp://a.blob.core.windows.net/c", Location::Local),
            ("https://a.blob.core.windows.net/c?sv=1", Location::Blob),
            ("HTTPS://A.BLOB.core.windows.net", Location::Blob),
            ("https://a.blob.core.chinacloudapi.cn/c", Location::Blob),
            ("https://a.file.core.windows.net/s", Location::File),
            ("https://a.dfs.core.windows.net/f", Location::BlobFs),
            ("http://127.0.0.1:10000/devstoreaccount1/c", Location::Blob),
            ("http://[::1]:10000/devstoreaccount1/c", Location::Blob),
            ("http://localhost/acct/c", Location::Blob),
            ("https://files.example.com/c/x.file.txt", Location::Blob),
            ("https://data.files.example.com/c", Location::Blob),
            ("https://s3.eu-west-1.amazonaws.com/bucket/k", Location::S3),
            ("https://bucket.s3.amazonaws.com/k", Location::S3),
            ("https://storage.cloud.google.com/bucket", Location::Gcp),
        ] {
            assert_eq!(Location::of(argument), expected, "{argument}");
        }
        let blob = "https://a.blob.core.windows.net/c";
        assert_eq!(FromTo::infer("/d", blob).unwrap().to_string(), "LocalBlob");
        assert_eq!(FromTo::infer(blob, "/d").unwrap().to_string(), "BlobLocal");
        assert_eq!(FromTo::infer(blob, blob).unwrap().to_string(), "BlobBlob");
        assert_eq!(FromTo::infer("/a", "/b"), Err(PlanError::UnknownFromTo));
        assert_eq!(
            PlanError::UnknownFromTo.to_string(),
            "the inferred source/destination combination could not be identified, or is currently not supported"
        );
    }
}
