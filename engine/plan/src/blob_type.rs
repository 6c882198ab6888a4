//! The types of a blob, and which one a file name asks for.

use std::fmt;

use crate::PlanError;

/// What kind of blob an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BlobType {
    /// Made of blocks: whatever is not one of the others.
    Block,
    /// Made of 512-byte pages: disks.
    Page,
    /// Only grows: logs.
    Append,
}

impl BlobType {
    /// The service's word, as in `x-ms-blob-type` and in listings.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Block => "BlockBlob",
            Self::Page => "PageBlob",
            Self::Append => "AppendBlob",
        }
    }

    /// Reads the service's word, in any case.
    ///
    /// # Errors
    ///
    /// [`PlanError::BadBlobType`] with the word.
    pub fn parse(text: &str) -> Result<Self, PlanError> {
        [Self::Block, Self::Page, Self::Append]
            .into_iter()
            .find(|known| known.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| PlanError::BadBlobType { text: text.to_owned() })
    }

    /// Reads `--exclude-blob-type`: words separated by `;`. Empty ones are nothing.
    ///
    /// # Errors
    ///
    /// As [`BlobType::parse`].
    pub fn parse_list(text: &str) -> Result<Vec<Self>, PlanError> {
        text.split(';').map(str::trim).filter(|word| !word.is_empty()).map(Self::parse).collect()
    }

    /// The type that AzCopy's `Detect` gives a local file: [`BlobType::Page`] for the extensions `.vhd` and `.vhdx` in
    /// any case (`inferBlobType` in its `ste/xfer.go`), else [`BlobType::Block`].
    #[must_use]
    pub fn detect(name: &[u8]) -> Self {
        let file_name = name.rsplit(|&b| b == b'/').next().unwrap_or(name);
        let extension = file_name.rsplit(|&b| b == b'.').next().unwrap_or_default();
        let has_extension = extension.len() < file_name.len();
        let is_disk = [&b"vhd"[..], b"vhdx"].iter().any(|disk| extension.eq_ignore_ascii_case(disk));
        if has_extension && is_disk { Self::Page } else { Self::Block }
    }
}

impl fmt::Display for BlobType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_extension_makes_a_disk() {
        for page in ["a.vhd", "dir/A.VHDX", ".vhd", "x.y.VhD"] {
            assert_eq!(BlobType::detect(page.as_bytes()), BlobType::Page, "{page}");
        }
        for block in ["vhd", "a.vhd/b", "a.vhd.gz", "a.vhdxx", "a.", "", "a.vhd/"] {
            assert_eq!(BlobType::detect(block.as_bytes()), BlobType::Block, "{block}");
        }
    }

    #[test]
    fn words_of_the_service() {
        for kind in [BlobType::Block, BlobType::Page, BlobType::Append] {
            assert_eq!(BlobType::parse(&kind.to_string().to_lowercase()), Ok(kind));
        }
        assert_eq!(BlobType::parse_list("pageblob; AppendBlob;"), Ok(vec![BlobType::Page, BlobType::Append]));
        assert_eq!(BlobType::parse_list(""), Ok(vec![]));
        assert_eq!(
            BlobType::parse_list("BlockBlob;block"),
            Err(PlanError::BadBlobType { text: "block".into() })
        );
    }
}
