//! The content type that the first bytes of a file tell: the part of the WHATWG MIME Sniffing Standard
//! (<https://mimesniff.spec.whatwg.org/>, sections 5 to 7.1) that Go's `http.DetectContentType` covers, with
//! the names Go gives the types, since AzCopy stores those.

/// As many bytes from the start of a file as are ever looked at (the standard's 1,445 are 512 here, as in Go).
pub const SNIFF_LEN: usize = 512;

const HTML: &str = "text/html; charset=utf-8";
const XML: &str = "text/xml; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const UTF_16_BE: &str = "text/plain; charset=utf-16be";
const UTF_16_LE: &str = "text/plain; charset=utf-16le";
const BINARY: &str = "application/octet-stream";

/// Section 7.1: each is matched without regard to case and must be followed by a space or `>`.
const HTML_TAGS: &[&str] = &[
    "<!DOCTYPE HTML",
    "<HTML",
    "<HEAD",
    "<SCRIPT",
    "<IFRAME",
    "<H1",
    "<DIV",
    "<FONT",
    "<TABLE",
    "<A",
    "<STYLE",
    "<TITLE",
    "<B",
    "<BODY",
    "<BR",
    "<P",
    "<!--",
];

/// One row of the standard's tables; `None` is a byte that may be anything.
struct Pattern(&'static [Option<u8>], &'static str);

/// Writes a byte string as a pattern in which `.` stands for any byte (no signature with a mask contains one).
macro_rules! masked {
    ($bytes:literal, $content_type:expr) => {
        Pattern(
            &{
                let bytes: &[u8] = $bytes;
                let mut pattern = [None; $bytes.len()];
                let mut i = 0;
                while i < bytes.len() {
                    if bytes[i] != b'.' {
                        pattern[i] = Some(bytes[i]);
                    }
                    i += 1;
                }
                pattern
            },
            $content_type,
        )
    };
}

/// Sections 6.1 to 6.4 and 7.1, in their order. MP4 stands where [`sniff`] says.
const BEFORE_MP4: &[Pattern] = &[
    masked!(b"%PDF-", "application/pdf"),
    masked!(b"%!PS-Adobe-", "application/postscript"),
    // Byte order marks. The standard's patterns are four bytes long, so shorter files are not recognised by them.
    masked!(b"\xfe\xff..", UTF_16_BE),
    masked!(b"\xff\xfe..", UTF_16_LE),
    masked!(b"\xef\xbb\xbf.", TEXT),
    masked!(b"\0\0\x01\0", "image/x-icon"),
    masked!(b"\0\0\x02\0", "image/x-icon"),
    masked!(b"BM", "image/bmp"),
    masked!(b"GIF87a", "image/gif"),
    masked!(b"GIF89a", "image/gif"),
    masked!(b"RIFF....WEBPVP", "image/webp"),
    masked!(b"\x89PNG\r\n\x1a\n", "image/png"),
    masked!(b"\xff\xd8\xff", "image/jpeg"),
    masked!(b"FORM....AIFF", "audio/aiff"),
    masked!(b"ID3", "audio/mpeg"),
    masked!(b"OggS\0", "application/ogg"),
    masked!(b"MThd\0\0\0\x06", "audio/midi"),
    masked!(b"RIFF....AVI ", "video/avi"),
    masked!(b"RIFF....WAVE", "audio/wave"),
];

const AFTER_MP4: &[Pattern] = &[
    masked!(b"\x1a\x45\xdf\xa3", "video/webm"),
    masked!(b"..................................LP", "application/vnd.ms-fontobject"),
    masked!(b"\0\x01\0\0", "font/ttf"),
    masked!(b"OTTO", "font/otf"),
    masked!(b"ttcf", "font/collection"),
    masked!(b"wOFF", "font/woff"),
    masked!(b"wOF2", "font/woff2"),
    masked!(b"\x1f\x8b\x08", "application/x-gzip"),
    masked!(b"PK\x03\x04", "application/zip"),
    masked!(b"Rar!\x1a\x07\0", "application/x-rar-compressed"),
    masked!(b"Rar!\x1a\x07\x01\0", "application/x-rar-compressed"),
    masked!(b"\0asm", "application/wasm"),
];

/// The content type of a file that starts with `data`; bytes after the first [`SNIFF_LEN`] are ignored.
/// An empty file is text. Never fails: what nothing recognises is `application/octet-stream`.
#[must_use]
pub fn sniff(data: &[u8]) -> &'static str {
    let data = &data[..data.len().min(SNIFF_LEN)];
    let blanks = data.iter().position(|b| !b"\t\n\x0c\r ".contains(b)).unwrap_or(data.len());
    let content = &data[blanks..];
    if HTML_TAGS.iter().any(|tag| starts_with_tag(content, tag.as_bytes())) {
        return HTML;
    }
    if content.starts_with(b"<?xml") {
        return XML;
    }
    if let Some(found) = first_match(BEFORE_MP4, data) {
        return found;
    }
    if is_mp4(data) {
        return "video/mp4";
    }
    if let Some(found) = first_match(AFTER_MP4, data) {
        return found;
    }
    if content.iter().copied().any(is_binary) { BINARY } else { TEXT }
}

fn first_match(patterns: &[Pattern], data: &[u8]) -> Option<&'static str> {
    patterns.iter().find(|Pattern(pattern, _)| starts_with(data, pattern)).map(|Pattern(_, found)| *found)
}

fn starts_with(data: &[u8], pattern: &[Option<u8>]) -> bool {
    data.len() >= pattern.len()
        && pattern.iter().zip(data).all(|(wanted, byte)| wanted.is_none_or(|w| w == *byte))
}

fn starts_with_tag(content: &[u8], tag: &[u8]) -> bool {
    content.get(..tag.len()).is_some_and(|head| head.eq_ignore_ascii_case(tag))
        && content.get(tag.len()).is_some_and(|end| matches!(end, b' ' | b'>'))
}

/// Section 6.2.1: a `ftyp` box with a brand that starts in `mp4`. The box must lie within `data`.
fn is_mp4(data: &[u8]) -> bool {
    let Some((head, _)) = data.split_first_chunk::<4>() else { return false };
    let box_len = u32::from_be_bytes(*head) as usize;
    if data.len() < 12 || data.len() < box_len || !box_len.is_multiple_of(4) || &data[4..8] != b"ftyp" {
        return false;
    }
    // The four bytes at 12 are the version of the major brand, not a brand.
    (8..box_len).step_by(4).filter(|&at| at != 12).any(|at| data[at..].starts_with(b"mp4"))
}

/// Section 3: a byte that text does not contain.
fn is_binary(byte: u8) -> bool {
    matches!(byte, 0x00..=0x08 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_binary() {
        for (data, expected) in [
            (&b""[..], TEXT),
            (b"hello", TEXT),
            (b" \n\t", TEXT),
            (b"\x1b[1m escape is text", TEXT),
            ("grüße".as_bytes(), TEXT),
            (b"\xff\xfe\x80 no four-byte mark here?"[..2].as_ref(), TEXT),
            (b"a\0", BINARY),
            (b"\x01", BINARY),
            (b"text\x0b", BINARY),
            (b"\x1f", BINARY),
            (b"\x0c form feed", TEXT),
        ] {
            assert_eq!(sniff(data), expected, "{data:?}");
        }
        let mut late = vec![b'a'; SNIFF_LEN];
        late.push(0);
        assert_eq!(sniff(&late), TEXT);
        late[SNIFF_LEN - 1] = 0;
        assert_eq!(sniff(&late), BINARY);
    }

    #[test]
    fn markup_needs_a_tag_terminator() {
        for tag in HTML_TAGS {
            for text in [format!("{tag}>"), format!(" \r\n\t\x0c{} x", tag.to_lowercase())] {
                assert_eq!(sniff(text.as_bytes()), HTML, "{text}");
            }
            for text in [format!("x{tag}>"), format!("{tag}\n"), format!("{tag}1")] {
                assert_ne!(sniff(text.as_bytes()), HTML, "{text}");
            }
            assert_ne!(sniff(tag.as_bytes()), HTML, "{tag}");
        }
        assert_eq!(sniff(b"\n <?xml version"), XML);
        assert_eq!(sniff(b"<?XML"), TEXT);
        assert_eq!(sniff(b"<abbr>"), TEXT);
    }

    #[test]
    fn signatures() {
        let mut eot = vec![7; 34];
        eot.extend(b"LP");
        for (data, expected) in [
            (&b"%PDF-1.7"[..], "application/pdf"),
            (b" %PDF-1.7", TEXT),
            (b"%!PS-Adobe-3", "application/postscript"),
            (b"\xfe\xff\0a", UTF_16_BE),
            (b"\xff\xfea\0", UTF_16_LE),
            (b"\xef\xbb\xbfa", TEXT),
            (b"\0\0\x01\0", "image/x-icon"),
            (b"\0\0\x02\0", "image/x-icon"),
            (b"BM", "image/bmp"),
            (b"GIF89a", "image/gif"),
            (b"GIF88a", TEXT),
            (b"RIFF\x01\x02\x03\x04WEBPVP8", "image/webp"),
            (b"RIFF\x01\x02\x03\x04WAVEfmt", "audio/wave"),
            (b"RIFF\x01\x02\x03\x04AVI LIST", "video/avi"),
            (b"RIFF\x01\x02\x03\x04XXXX", BINARY),
            (b"\x89PNG\r\n\x1a\n", "image/png"),
            (b"\xff\xd8\xff\xe0", "image/jpeg"),
            (b"FORM\x01\x02\x03\x04AIFF", "audio/aiff"),
            (b"ID3\x03", "audio/mpeg"),
            (b"OggS\0", "application/ogg"),
            (b"MThd\0\0\0\x06\0\x01", "audio/midi"),
            (b"\x1a\x45\xdf\xa3", "video/webm"),
            (&eot, "application/vnd.ms-fontobject"),
            (b"\0\x01\0\0\0", "font/ttf"),
            (b"OTTO", "font/otf"),
            (b"ttcf", "font/collection"),
            (b"wOFF", "font/woff"),
            (b"wOF2", "font/woff2"),
            (b"\x1f\x8b\x08\0", "application/x-gzip"),
            (b"PK\x03\x04", "application/zip"),
            (b"Rar!\x1a\x07\0", "application/x-rar-compressed"),
            (b"Rar!\x1a\x07\x01\0", "application/x-rar-compressed"),
            (b"\0asm\x01", "application/wasm"),
        ] {
            assert_eq!(sniff(data), expected, "{data:?}");
            for cut in 0..data.len() {
                let _ = sniff(&data[..cut]);
            }
        }
    }

    #[test]
    fn mp4_brands() {
        assert_eq!(sniff(b"\0\0\0\x14ftypmp42\0\0\0\0isom"), "video/mp4");
        assert_eq!(sniff(b"\0\0\0\x18ftypisom\0\0\0\0isommp41"), "video/mp4");
        // "mp4" as the version number does not count.
        assert_eq!(sniff(b"\0\0\0\x14ftypisom\0mp4isom"), BINARY);
        assert_eq!(sniff(b"\0\0\0\x14ftypisommp4\0isom"), BINARY);
        assert_eq!(sniff(b"\0\0\0\x13ftypmp42\0\0\0\0iso"), BINARY);
        assert_eq!(sniff(b"\0\0\x02\x04ftypmp42"), BINARY);
        assert_eq!(sniff(b"\0\0\0\0ftypmp42"), BINARY);
    }
}
