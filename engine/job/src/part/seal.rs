//! What is around the bytes of a part and of its outcomes: what they are, of which version, and a checksum.

use azuring_azure::Crc64Digest;

/// The version that is written, and the latest that is read.
const VERSION: u8 = 1;
const CHECKSUM: usize = 8;

/// What the bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A part.
    Part,
    /// How its transfers ended.
    Ends,
}

impl Kind {
    fn mark(self) -> &'static [u8; 6] {
        match self {
            Self::Part => b"azpart",
            Self::Ends => b"azends",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Part => "a part of a job",
            Self::Ends => "the outcomes of a part",
        }
    }
}

/// Why bytes are no part, or no outcomes of one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PartError {
    /// They are something else.
    #[error("this is not {what}")]
    Other {
        /// What was expected.
        what: &'static str,
    },
    /// A later version of this library has written them.
    #[error(
        "{what} of version {version}, of a later azuring; this one reads up to {VERSION}: \
         run the same version everywhere"
    )]
    Later {
        /// `a part of a job` or `the outcomes of a part`.
        what: &'static str,
        /// The version that the bytes say.
        version: u8,
    },
    /// Something in it this version does not know.
    #[error("the part cannot be read: {what} is not known to this version")]
    Unknown {
        /// What this version does not know, for the message.
        what: String,
    },
    /// A path that does not lie below the source.
    #[error("the part cannot be read: `{path}` does not lie below the source")]
    Outside {
        /// The path that leads outside.
        path: String,
    },
    /// Bytes have changed, or are missing.
    #[error("bytes have changed since it was written, or are missing")]
    Damaged,
}

pub(super) fn seal(kind: Kind, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 15);
    out.extend_from_slice(kind.mark());
    out.push(VERSION);
    out.extend_from_slice(body);
    let sum = sum_of(&out);
    out.extend_from_slice(&sum);
    out
}

/// What [`seal`] was given.
pub(super) fn open(kind: Kind, bytes: &[u8]) -> Result<&[u8], PartError> {
    let what = kind.name();
    let rest = bytes.strip_prefix(kind.mark()).ok_or(PartError::Other { what })?;
    let (&version, rest) = rest.split_first().ok_or(PartError::Damaged)?;
    if version > VERSION {
        return Err(PartError::Later { what, version });
    }
    let end = rest.len().checked_sub(CHECKSUM).ok_or(PartError::Damaged)?;
    let (body, sum) = rest.split_at(end);
    if sum != sum_of(&bytes[..bytes.len() - CHECKSUM]) {
        return Err(PartError::Damaged);
    }
    Ok(body)
}

fn sum_of(bytes: &[u8]) -> [u8; CHECKSUM] {
    let mut digest = Crc64Digest::new();
    digest.update(bytes);
    digest.finish().0.to_le_bytes()
}
