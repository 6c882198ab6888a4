//! Where the body of an answer ends: RFC 9112 sections 6 and 7.

use bytes::{Buf, Bytes, BytesMut};
use http::Method;

use super::{Fault, HEAD_LIMIT_BYTES, HEADERS_LIMIT, RawHead, lines};

/// How the end of a body is known (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Length(u64),
    Chunk { left: u64, state: Chunk },
    UntilClose,
}

/// Where in a chunked body the reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    Size,
    Data,
    AfterData,
    /// So many trailers were read.
    Trailer(usize),
}

/// The body of an answer under way.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(super) framing: Framing,
    /// Whether the connection can be used again after this body.
    pub(super) keep: bool,
    /// Taken out of a chunk and not yet handed over.
    pub(super) rest: Bytes,
}

impl Incoming {
    pub(crate) fn ends_with_the_connection(&self) -> bool {
        self.framing == Framing::UntilClose
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.framing == Framing::Length(0)
    }
}

/// Decides how the body ends and whether the connection can be kept.
pub(super) fn frame(head: &RawHead, method: &Method, request_sent: bool) -> Result<Incoming, Fault> {
    let has = |value: &[u8], token: &[u8]| {
        value.split(|&b| b == b',').any(|part| part.trim_ascii().eq_ignore_ascii_case(token))
    };
    let mut keep = request_sent && head.bytes.starts_with(b"HTTP/1.1");
    let (mut chunked, mut length) = (false, None);
    for (name, value) in lines(&head.bytes) {
        // The lengths tell most names apart without a comparison.
        match name.len() {
            10 if name.eq_ignore_ascii_case(b"connection") => keep &= !has(value, b"close"),
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                let told = number(value, 10)
                    .ok_or_else(|| Fault::Broken("the answer's length is no number".to_owned()))?;
                if length.is_some_and(|before| before != told) {
                    return Err(Fault::Broken("the answer has two lengths".to_owned()));
                }
                length = Some(told);
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => chunked = has(value, b"chunked"),
            _ => {}
        }
    }
    let bodyless = *method == Method::HEAD || matches!(head.status.as_u16(), 204 | 304);
    let framing = match length {
        _ if bodyless => Framing::Length(0),
        _ if chunked => Framing::Chunk { left: 0, state: Chunk::Size },
        Some(length) => Framing::Length(length),
        None => Framing::UntilClose,
    };
    Ok(Incoming { framing, keep: keep && framing != Framing::UntilClose, rest: Bytes::new() })
}

/// What [`Incoming::take`] found.
pub(super) enum Taken {
    Piece(Bytes),
    End,
    More,
}

impl Incoming {
    /// Takes the next piece out of what was read.
    pub(super) fn take(&mut self, input: &mut BytesMut) -> Result<Taken, Fault> {
        match &mut self.framing {
            Framing::Length(0) => Ok(Taken::End),
            Framing::Length(left) => Ok(take_piece(left, input)),
            Framing::UntilClose if input.is_empty() => Ok(Taken::More),
            Framing::UntilClose => Ok(Taken::Piece(input.split().freeze())),
            Framing::Chunk { left, state } => loop {
                match state {
                    Chunk::Data => {
                        if *left > 0 {
                            return Ok(take_piece(left, input));
                        }
                        *state = Chunk::AfterData;
                    }
                    Chunk::Size | Chunk::AfterData | Chunk::Trailer(_) => {
                        let Some(line) = take_line(input)? else { return Ok(Taken::More) };
                        match state {
                            Chunk::AfterData if line.is_empty() => *state = Chunk::Size,
                            Chunk::AfterData => {
                                return Err(Fault::Broken("a chunk of the answer is too long".to_owned()));
                            }
                            Chunk::Trailer(_) if line.is_empty() => {
                                self.framing = Framing::Length(0);
                                return Ok(Taken::End);
                            }
                            Chunk::Trailer(HEADERS_LIMIT) => {
                                return Err(Fault::Broken("the answer's trailers do not end".to_owned()));
                            }
                            Chunk::Trailer(count) => *count += 1,
                            Chunk::Size | Chunk::Data => {
                                *left = chunk_size(&line)?;
                                *state = if *left == 0 { Chunk::Trailer(0) } else { Chunk::Data };
                            }
                        }
                    }
                }
            },
        }
    }
}

/// Moves what fits from the front of `rest` into `out`.
pub(crate) fn take_front(rest: &mut Bytes, out: &mut [u8]) -> usize {
    let len = rest.len().min(out.len());
    rest.split_to(len).copy_to_slice(&mut out[..len]);
    len
}

fn take_piece(left: &mut u64, input: &mut BytesMut) -> Taken {
    if input.is_empty() {
        return Taken::More;
    }
    let len = (*left).min(input.len() as u64) as usize;
    *left -= len as u64;
    Taken::Piece(input.split_to(len).freeze())
}

/// A line without its end, if there is a whole one.
fn take_line(input: &mut BytesMut) -> Result<Option<BytesMut>, Fault> {
    let Some(end) = input.iter().position(|&b| b == b'\n') else {
        if input.len() > HEAD_LIMIT_BYTES {
            return Err(Fault::Broken("a line of the answer does not end".to_owned()));
        }
        return Ok(None);
    };
    let mut line = input.split_to(end);
    input.advance(1);
    if line.last() == Some(&b'\r') {
        line.truncate(line.len() - 1);
    }
    Ok(Some(line))
}

fn chunk_size(line: &[u8]) -> Result<u64, Fault> {
    let digits = line.split(|&b| b == b';').next().unwrap_or_default().trim_ascii();
    number(digits, 16).ok_or_else(|| Fault::Broken("a chunk of the answer has no size".to_owned()))
}

/// A number of digits alone: a sign, which Rust would read, is not HTTP.
fn number(digits: &[u8], radix: u32) -> Option<u64> {
    let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
    u64::from_str_radix(digits, radix).ok()
}
