//! CRC64 as Azure and S3 compute it.

use azuring_link::Payload;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use crc_fast::{CrcAlgorithm, Digest};

/// CRC-64/NVME, the checksum Azure calls `x-ms-content-crc64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crc64(pub u64);

impl Crc64 {
    /// The checksum of everything in `payload`.
    pub fn of(payload: &Payload) -> Self {
        let mut digest = Crc64Digest::new();
        for part in payload.parts() {
            digest.update(part);
        }
        digest.finish()
    }

    /// As the header has it: base64 of the eight bytes, lowest first.
    pub fn to_header(self) -> String {
        BASE64_STANDARD.encode(self.0.to_le_bytes())
    }

    /// What [`Self::to_header`] gives, read back; `None` of anything else.
    pub fn of_header(text: &[u8]) -> Option<Self> {
        let bytes = BASE64_STANDARD.decode(text).ok()?;
        Some(Self(u64::from_le_bytes(bytes.try_into().ok()?)))
    }
}

/// A [`Crc64`] under way.
#[derive(Clone, Debug)]
pub struct Crc64Digest(Digest);

impl Crc64Digest {
    /// The checksum of nothing.
    pub fn new() -> Self {
        Self(Digest::new(CrcAlgorithm::Crc64Nvme))
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The checksum of all that was taken.
    pub fn finish(self) -> Crc64 {
        Crc64(self.0.finalize())
    }
}

impl Default for Crc64Digest {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn crc64_is_the_one_azure_computes() {
        // The value in Microsoft's storage SDK tests.
        let whole = Payload::from(Bytes::from_static(b"Hello Azure!"));
        assert_eq!(Crc64::of(&whole).to_header(), "DtjZpL9/o8c=");
        assert_eq!(Crc64::of_header(b"DtjZpL9/o8c="), Some(Crc64::of(&whole)));
        assert_eq!(Crc64::of_header(b"DtjZpL8="), None);
        let parts = Payload::from_parts(vec![Bytes::from_static(b"Hello "), Bytes::from_static(b"Azure!")]);
        assert_eq!(Crc64::of(&parts), Crc64::of(&whole));
        assert_eq!(Crc64::of(&Payload::default()).0, 0);
    }
}
