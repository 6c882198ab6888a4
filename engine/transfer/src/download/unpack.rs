//! `--decompress`: from a packed blob to an unpacked file.

use std::io::{self, Read};

use azuring_ring::{Finish, Lease, Names, NewFile};
use flate2::read::{MultiGzDecoder, ZlibDecoder};

/// Bytes unpacked at a time.
const PIECE_BYTES: usize = 256 << 10;

/// How a blob is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    /// `gzip` (RFC 1952).
    Gzip,
    /// `deflate`, which in HTTP is zlib's format (RFC 9110 section 8.4.1.2, RFC 1950).
    Deflate,
}

impl Packing {
    /// What a content encoding says; `None` for what azuring does not unpack, as for AzCopy.
    pub(crate) fn of_encoding(encoding: &str) -> Option<Self> {
        match encoding.trim() {
            encoding if encoding.eq_ignore_ascii_case("gzip") => Some(Self::Gzip),
            encoding if encoding.eq_ignore_ascii_case("deflate") => Some(Self::Deflate),
            _ => None,
        }
    }
}

/// What is packed.
pub(crate) trait Packed: Send + 'static {
    /// Its bytes from the beginning.
    fn reader(self) -> impl Read;
}

impl Packed for Vec<Lease> {
    fn reader(self) -> impl Read {
        let mut at = (0, 0);
        ReadWith(move |out: &mut [u8]| {
            while let Some(part) = self.get(at.0) {
                let got = (part.len() - at.1).min(out.len());
                if got > 0 {
                    out[..got].copy_from_slice(&part[at.1..at.1 + got]);
                    at.1 += got;
                    return Ok(got);
                }
                at = (at.0 + 1, 0);
            }
            Ok(0)
        })
    }
}

impl Packed for NewFile {
    fn reader(self) -> impl Read {
        let mut at = 0;
        ReadWith(move |out: &mut [u8]| {
            let got = usize::try_from(self.len() - at).unwrap_or(usize::MAX).min(out.len());
            self.read_exact_at(&mut out[..got], at)?;
            at += got as u64;
            Ok(got)
        })
    }
}

struct ReadWith<F>(F);

impl<F: FnMut(&mut [u8]) -> io::Result<usize>> Read for ReadWith<F> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        (self.0)(out)
    }
}

/// Unpacks into a new file, on a thread of its own.
pub(crate) async fn unpack(
    packing: Packing,
    packed: impl Packed,
    names: Names,
    finish: Finish,
) -> io::Result<()> {
    let done = tokio::task::spawn_blocking(move || match packing {
        Packing::Gzip => write(MultiGzDecoder::new(packed.reader()), &names, finish),
        Packing::Deflate => write(ZlibDecoder::new(packed.reader()), &names, finish),
    });
    done.await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

fn write(mut unpacked: impl Read, names: &Names, finish: Finish) -> io::Result<()> {
    let file = NewFile::create_empty(names)?;
    let mut buffer = vec![0; PIECE_BYTES];
    let mut at = 0;
    let written = loop {
        match unpacked.read(&mut buffer) {
            Ok(0) => break Ok(()),
            Ok(got) => match file.append(&buffer[..got], at) {
                Ok(()) => at += got as u64,
                Err(error) => break Err(error),
            },
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                let text = format!("its content is not what its content encoding says: {error}");
                break Err(io::Error::new(error.kind(), text));
            }
        }
    };
    match written {
        Ok(()) => file.complete_now(names, &finish),
        Err(error) => {
            file.discard_now(names);
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_azcopy_unpacks_is_unpacked() {
        assert_eq!(Packing::of_encoding("gzip"), Some(Packing::Gzip));
        assert_eq!(Packing::of_encoding("GZIP "), Some(Packing::Gzip));
        assert_eq!(Packing::of_encoding("deflate"), Some(Packing::Deflate));
        for other in ["", "br", "gzip, br", "identity", "x-gzip"] {
            assert_eq!(Packing::of_encoding(other), None);
        }
    }
}
