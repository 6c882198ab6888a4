//! `--decompress`: from a packed blob to an unpacked file.

use std::io::{self, BufRead, BufReader, Read};

use azuring_ring::{Finish, Lease, Names, NewFile};
use flate2::bufread::{DeflateDecoder, GzDecoder, ZlibDecoder};

/// Bytes unpacked at a time.
const PIECE_BYTES: usize = 256 << 10;

/// How a blob is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    /// `gzip` (RFC 1952).
    Gzip,
    /// `deflate`, which in HTTP is zlib's format (RFC 9110 section 8.4.1.2, RFC 1950), and which some send without
    /// zlib's header (RFC 1951), as the same section says.
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
    let done = tokio::task::spawn_blocking(move || {
        let mut packed = BufReader::with_capacity(PIECE_BYTES, packed.reader());
        // What is told is that the bytes are not as they should be; a file that cannot be read says so itself.
        let first = packed.fill_buf()?;
        match packing {
            // Nothing, packed by nobody.
            _ if first.is_empty() => write(io::empty(), &names, finish),
            Packing::Gzip => write(Members(Some(GzDecoder::new(packed))), &names, finish),
            Packing::Deflate if is_zlib(first) => write(ZlibDecoder::new(packed), &names, finish),
            Packing::Deflate => write(DeflateDecoder::new(packed), &names, finish),
        }
    });
    done.await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// Whether these are the first bytes of zlib's format: method and window, and a check of both (RFC 1950 section 2.2).
fn is_zlib(first: &[u8]) -> bool {
    match first {
        [method, flags, ..] => {
            method & 0x0f == 8 && method >> 4 <= 7 && (u32::from(*method) << 8 | u32::from(*flags)) % 31 == 0
        }
        _ => false,
    }
}

/// The members of a gzip file one after the other (RFC 1952 section 2.2). Zeros behind the last one, with which tapes
/// and disk images are filled up, are no member, as for gzip itself.
struct Members<R: BufRead>(Option<GzDecoder<R>>);

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.0 {
            let got = member.read(out)?;
            if got > 0 || out.is_empty() {
                return Ok(got);
            }
            let mut rest = self.0.take().expect("there is a member").into_inner();
            let mut is_filled_up = false;
            loop {
                let bytes = rest.fill_buf()?;
                let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
                is_filled_up |= zeros > 0;
                if bytes.is_empty() {
                    return Ok(0);
                }
                if zeros < bytes.len() {
                    break;
                }
                rest.consume(zeros);
            }
            if is_filled_up {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "there is more data after its end"));
            }
            self.0 = Some(GzDecoder::new(rest));
        }
        Ok(0)
    }
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

    /// What a reader unpacks these bytes to, or why not.
    fn unpacked(packing: Packing, packed: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        match packing {
            Packing::Gzip => Members(Some(GzDecoder::new(packed))).read_to_end(&mut out)?,
            Packing::Deflate if is_zlib(packed) => ZlibDecoder::new(packed).read_to_end(&mut out)?,
            Packing::Deflate => DeflateDecoder::new(packed).read_to_end(&mut out)?,
        };
        Ok(out)
    }

    #[test]
    fn members_padding_and_deflate_without_a_header() {
        use flate2::Compression;
        use std::io::Write as _;
        let gzip = |bytes: &[u8]| {
            let mut out = flate2::write::GzEncoder::new(Vec::new(), Compression::default());
            out.write_all(bytes).unwrap();
            out.finish().unwrap()
        };
        let (one, two) = (gzip(b"hello "), gzip(b"world"));
        let whole = [&one[..], &two].concat();
        assert_eq!(unpacked(Packing::Gzip, &whole).unwrap(), b"hello world");
        let padded = [&whole[..], &[0; 1000]].concat();
        assert_eq!(unpacked(Packing::Gzip, &padded).unwrap(), b"hello world");
        for bad in [
            [&padded[..], b"more"].concat(),
            [&padded[..], &one].concat(),
            [&whole[..], b"more"].concat(),
            whole[..whole.len() - 1].to_vec(),
        ] {
            unpacked(Packing::Gzip, &bad).unwrap_err();
        }
        for level in [Compression::none(), Compression::fast(), Compression::best()] {
            let mut raw = flate2::write::DeflateEncoder::new(Vec::new(), level);
            let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), level);
            raw.write_all(b"hello world").unwrap();
            zlib.write_all(b"hello world").unwrap();
            for packed in [raw.finish().unwrap(), zlib.finish().unwrap()] {
                assert_eq!(unpacked(Packing::Deflate, &packed).unwrap(), b"hello world");
            }
        }
    }
}
