//! Bodies: hashing and storing what comes in, streaming what goes out.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use crc_fast::{CrcAlgorithm, Digest};
use http::request::Parts;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use md5::Digest as _;

use crate::content::{Stored, Writer};
use crate::error::{BOTH_CRC64_AND_MD5, CRC64_MISMATCH, MD5_MISMATCH, Result};
use crate::headers;

/// Bytes handed to hyper at a time.
const PIECE: u64 = 1 << 20;
/// Between the last byte of a body that fails and its failure.
const FAIL_AFTER: Duration = Duration::from_millis(20);

/// The CRC-64/NVME of some bytes, as Azure computes it.
pub(crate) fn crc64(bytes: &[u8]) -> u64 {
    crc_fast::checksum(CrcAlgorithm::Crc64Nvme, bytes)
}

/// The CRC64 of a concatenation, from the CRC64s and the length of the second part.
pub(crate) fn crc64_combine(first: u64, second: u64, second_len: u64) -> u64 {
    crc_fast::checksum_combine(CrcAlgorithm::Crc64Nvme, first, second, second_len)
}

/// The checksums that a request says its body has.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Claimed {
    pub(crate) md5: Option<[u8; 16]>,
    pub(crate) crc64: Option<u64>,
}

impl Claimed {
    pub(crate) fn read(parts: &Parts) -> Result<Claimed> {
        Claimed::read_from(parts, "content-md5", "x-ms-content-crc64")
    }

    /// What the request says of a source.
    pub(crate) fn of_source(parts: &Parts) -> Result<Claimed> {
        Claimed::read_from(parts, "x-ms-source-content-md5", "x-ms-source-content-crc64")
    }

    fn read_from(parts: &Parts, md5: &str, crc64: &str) -> Result<Claimed> {
        let claimed = Claimed { md5: headers::md5(parts, md5)?, crc64: headers::crc64(parts, crc64)? };
        if claimed.md5.is_some() && claimed.crc64.is_some() {
            return Err(BOTH_CRC64_AND_MD5.into());
        }
        Ok(claimed)
    }

    /// Compares with what arrived.
    pub(crate) fn check(&self, received: &Received) -> Result<()> {
        if let (Some(claimed), Some(computed)) = (self.md5, received.md5)
            && claimed != computed
        {
            return Err(MD5_MISMATCH
                .detail("UserSpecifiedMd5", headers::write_md5(&claimed))
                .detail("ServerCalculatedMd5", headers::write_md5(&computed)));
        }
        if let Some(claimed) = self.crc64
            && claimed != received.crc64
        {
            return Err(CRC64_MISMATCH
                .detail("UserSpecifiedCrc64", headers::write_crc64(claimed))
                .detail("ServerCalculatedCrc64", headers::write_crc64(received.crc64)));
        }
        Ok(())
    }
}

/// A body that arrived whole.
pub(crate) struct Received {
    pub(crate) len: u64,
    pub(crate) crc64: u64,
    pub(crate) md5: Option<[u8; 16]>,
    pub(crate) stored: Option<Arc<Stored>>,
}

/// Why a body did not arrive.
pub(crate) enum Broken {
    /// The client went away or broke the protocol: nobody is there to be answered.
    Connection,
    /// The store failed.
    Store(io::Error),
}

/// Reads a body to its end into `writer`, hashing as it passes.
pub(crate) async fn receive(
    mut body: Incoming,
    mut writer: Writer,
    with_md5: bool,
) -> std::result::Result<Received, Broken> {
    let mut digest = Digest::new(CrcAlgorithm::Crc64Nvme);
    let mut md5 = with_md5.then(md5::Md5::new);
    let mut len = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Broken::Connection)?;
        let Some(data) = frame.data_ref() else { continue };
        digest.update(data);
        if let Some(md5) = &mut md5 {
            md5.update(data);
        }
        writer.write(data).map_err(Broken::Store)?;
        len += data.len() as u64;
    }
    Ok(Received {
        len,
        crc64: digest.finalize(),
        md5: md5.map(|m| m.finalize().into()),
        stored: writer.finish(),
    })
}

/// Reads a small body into memory; `None` beyond the limit.
pub(crate) async fn receive_small(
    mut body: Incoming,
    limit: usize,
) -> std::result::Result<Option<Vec<u8>>, Broken> {
    let mut out = Vec::new();
    let mut over = false;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Broken::Connection)?;
        let Some(data) = frame.data_ref() else { continue };
        over |= out.len() + data.len() > limit;
        if !over {
            out.extend_from_slice(data);
        }
    }
    Ok((!over).then_some(out))
}

/// Reads a body to its end and forgets it. Returns its length.
pub(crate) async fn drain(mut body: Incoming) -> std::result::Result<u64, Broken> {
    let mut len = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Broken::Connection)?;
        len += frame.data_ref().map_or(0, |d| d.len() as u64);
    }
    Ok(len)
}

/// The MD5 of some bytes.
pub(crate) fn md5(bytes: &[u8]) -> [u8; 16] {
    md5::Md5::digest(bytes).into()
}

/// A response body.
#[derive(Default)]
pub(crate) struct Body {
    small: Bytes,
    pieces: VecDeque<(Arc<Stored>, u64, u64)>,
    left: u64,
    /// Fail when so much is left (a fault on HTTP/2, where the stream below cannot be cut).
    fail_at: Option<u64>,
    /// Time for what came before the failure to be sent: a reset discards what is still queued.
    fail_after: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Body {
    pub(crate) fn bytes(small: Bytes) -> Body {
        Body { left: small.len() as u64, small, ..Body::default() }
    }

    pub(crate) fn pieces(pieces: Vec<(Arc<Stored>, u64, u64)>) -> Body {
        Body { left: pieces.iter().map(|(_, _, len)| len).sum(), pieces: pieces.into(), ..Body::default() }
    }

    /// The bytes of a body that was made by [`Body::bytes`].
    pub(crate) fn small(&self) -> &[u8] {
        &self.small
    }

    pub(crate) fn len(&self) -> u64 {
        self.left
    }

    pub(crate) fn fail_halfway(&mut self) {
        self.fail_at = Some(self.left / 2);
    }

    fn next(&mut self) -> Option<io::Result<Bytes>> {
        if self.left == 0 {
            return None;
        }
        let most = match self.fail_at {
            Some(at) => self.left.saturating_sub(at),
            None => PIECE,
        };
        let data = if let Some((stored, offset, len)) = self.pieces.front_mut() {
            let data = match stored.read(*offset, (*len).min(most)) {
                Ok(data) if data.is_empty() => return Some(Err(io::ErrorKind::UnexpectedEof.into())),
                Ok(data) => data,
                Err(e) => return Some(Err(e)),
            };
            *offset += data.len() as u64;
            *len -= data.len() as u64;
            if *len == 0 {
                self.pieces.pop_front();
            }
            data
        } else {
            self.small.split_to(self.small.len().min(most as usize))
        };
        self.left -= data.len() as u64;
        Some(Ok(data))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.fail_at.is_some_and(|at| self.left <= at) {
            let wait = self.fail_after.get_or_insert_with(|| Box::pin(tokio::time::sleep(FAIL_AFTER)));
            ready!(wait.as_mut().poll(cx));
            return Poll::Ready(Some(Err(io::ErrorKind::BrokenPipe.into())));
        }
        Poll::Ready(self.next().map(|data| data.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crc_is_azures() {
        assert_eq!(headers::write_crc64(crc64(b"Hello Azure!")), "DtjZpL9/o8c=");
        assert_eq!(crc64(b"123456789"), 0xae8b_1486_0a79_9888);
        assert_eq!(crc64_combine(crc64(b"1234"), crc64(b"56789"), 5), crc64(b"123456789"));
        assert_eq!(crc64(b""), 0);
    }

    #[test]
    fn pieces_come_out_in_order() {
        let stored = |text: &'static str| Arc::new(Stored::Memory(vec![Bytes::from_static(text.as_bytes())]));
        let mut body = Body::pieces(vec![(stored("hello"), 1, 3), (stored("world"), 0, 5)]);
        assert_eq!(body.len(), 8);
        let mut out = Vec::new();
        while let Some(data) = body.next() {
            out.extend_from_slice(&data.unwrap());
        }
        assert_eq!(out, b"ellworld");

        let mut body = Body::bytes(Bytes::from_static(b"12345678"));
        body.fail_halfway();
        assert_eq!(body.next().unwrap().unwrap(), "1234");
        assert_eq!(body.left, 4);
    }
}
