//! The little XML that the service speaks: escaping on the way out, the block list on the way in.

use quick_xml::Reader;
use quick_xml::events::Event;

use crate::error::{BLOCK_LIST_TOO_LONG, INVALID_XML_DOCUMENT, Result};

/// What every document of the service begins with; the byte order mark is the service's own.
pub(crate) const PROLOG: &str = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?>";

/// Blocks in one Put Block List.
pub(crate) const MAX_BLOCKS: usize = 50_000;

/// Appends text, with the characters escaped that XML reserves.
pub(crate) fn escape(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.find(['&', '<', '>', '"', '\r']) {
        out.push_str(&rest[..at]);
        out.push_str(match rest.as_bytes()[at] {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'"' => "&quot;",
            // A bare CR would be read back as LF.
            _ => "&#xD;",
        });
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
}

/// Appends `<name>text</name>`, or `<name />` when the text is empty.
pub(crate) fn element(out: &mut String, name: &str, text: &str) {
    out.push('<');
    out.push_str(name);
    if text.is_empty() {
        out.push_str(" />");
        return;
    }
    out.push('>');
    escape(out, text);
    out.push_str("</");
    out.push_str(name);
    out.push('>');
}

/// Whether XML 1.0 can carry the text at all.
pub(crate) fn is_representable(text: &str) -> bool {
    text.chars().all(|c| {
        matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
    })
}

/// Where Put Block List looks for a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BlockSource {
    Latest,
    Committed,
    Uncommitted,
}

/// Reads the body of Put Block List.
pub(crate) fn parse_block_list(body: &[u8]) -> Result<Vec<(BlockSource, String)>> {
    let bad = |why: &str| INVALID_XML_DOCUMENT.detail("Reason", why);
    let text = std::str::from_utf8(body).map_err(|_| bad("not UTF-8"))?;
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let mut blocks = Vec::new();
    let mut open: Option<(BlockSource, String)> = None;
    let mut inside = false;
    let mut closed = false;
    loop {
        match reader.read_event().map_err(|e| bad(&e.to_string()))? {
            Event::Start(tag) => match (inside, tag.local_name().as_ref()) {
                (false, b"BlockList") if !closed => inside = true,
                (true, name) if open.is_none() => open = Some((source(name)?, String::new())),
                _ => return Err(bad("unexpected element")),
            },
            Event::Empty(tag) => match (inside, tag.local_name().as_ref()) {
                (false, b"BlockList") if !closed => closed = true,
                _ => return Err(bad("unexpected element")),
            },
            Event::Text(t) => {
                let t = t.decode().map_err(|e| bad(&e.to_string()))?;
                match &mut open {
                    Some((_, id)) => id.push_str(&t),
                    None if t.trim().is_empty() => {}
                    None => return Err(bad("unexpected text")),
                }
            }
            Event::End(_) => match open.take() {
                Some((source, id)) => {
                    if blocks.len() == MAX_BLOCKS {
                        return Err(BLOCK_LIST_TOO_LONG.into());
                    }
                    blocks.push((source, id.trim().to_owned()));
                }
                None => {
                    inside = false;
                    closed = true;
                }
            },
            Event::Eof if closed && !inside => return Ok(blocks),
            Event::Eof => return Err(bad("unexpected end")),
            Event::Decl(_) | Event::Comment(_) => {}
            _ => return Err(bad("unexpected content")),
        }
    }
}

/// Appends `<Tags><TagSet>...</TagSet></Tags>`.
pub(crate) fn write_tags(out: &mut String, tags: &[(Box<str>, Box<str>)]) {
    out.push_str("<Tags><TagSet>");
    for (key, value) in tags {
        out.push_str("<Tag>");
        element(out, "Key", key);
        element(out, "Value", value);
        out.push_str("</Tag>");
    }
    out.push_str("</TagSet></Tags>");
}

/// Reads the body of Set Blob Tags.
pub(crate) fn parse_tags(body: &[u8]) -> Result<Vec<(Box<str>, Box<str>)>> {
    let bad = |why: &str| INVALID_XML_DOCUMENT.detail("Reason", why);
    let text = std::str::from_utf8(body).map_err(|_| bad("not UTF-8"))?;
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let mut path: Vec<Vec<u8>> = Vec::new();
    let mut tags = Vec::new();
    let (mut key, mut value, mut seen) = (None, None, false);
    loop {
        let event = reader.read_event().map_err(|e| bad(&e.to_string()))?;
        let slot = match path.last().map(Vec::as_slice) {
            Some(b"Key") => Some(&mut key),
            Some(b"Value") => Some(&mut value),
            _ => None,
        };
        match event {
            Event::Start(tag) => {
                let name = tag.local_name().as_ref().to_vec();
                let expected: &[&[u8]] = match path.len() {
                    0 => &[b"Tags"],
                    1 => &[b"TagSet"],
                    2 => &[b"Tag"],
                    3 => &[b"Key", b"Value"],
                    _ => &[],
                };
                if !expected.contains(&name.as_slice()) {
                    return Err(bad("unexpected element"));
                }
                match name.as_slice() {
                    b"Key" => key = Some(String::new()),
                    b"Value" => value = Some(String::new()),
                    _ => {}
                }
                seen = true;
                path.push(name);
            }
            Event::Empty(tag) => match (path.len(), tag.local_name().as_ref()) {
                (3, b"Key") => key = Some(String::new()),
                (3, b"Value") => value = Some(String::new()),
                (0, b"Tags") | (1, b"TagSet") => seen = true,
                _ => return Err(bad("unexpected element")),
            },
            Event::Text(t) => {
                let t = t.decode().map_err(|e| bad(&e.to_string()))?;
                match slot {
                    Some(Some(slot)) => slot.push_str(&t),
                    _ if t.trim().is_empty() => {}
                    _ => return Err(bad("unexpected text")),
                }
            }
            Event::GeneralRef(name) => {
                // The characters of tags need no other escape.
                let name = name.decode().map_err(|e| bad(&e.to_string()))?;
                let c = entity(&name).ok_or_else(|| bad("unknown entity"))?;
                slot.and_then(Option::as_mut).ok_or_else(|| bad("unexpected entity"))?.push(c);
            }
            Event::End(_) => {
                if path.pop().as_deref() == Some(b"Tag") {
                    let (Some(key), Some(value)) = (key.take(), value.take()) else {
                        return Err(bad("a tag has a key and a value"));
                    };
                    tags.push((key.into(), value.into()));
                }
            }
            Event::Eof if seen && path.is_empty() => return Ok(tags),
            Event::Eof => return Err(bad("unexpected end")),
            Event::Decl(_) | Event::Comment(_) => {}
            _ => return Err(bad("unexpected content")),
        }
    }
}

/// The entities that XML has without a declaration.
fn entity(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => None,
    }
}

/// Reads a small document: each element as `root/child/...` with its text, in the order in which they end.
pub(crate) fn parse_elements(body: &[u8]) -> Result<Vec<(String, String)>> {
    let bad = |why: &str| INVALID_XML_DOCUMENT.detail("Reason", why);
    let text = std::str::from_utf8(body).map_err(|_| bad("not UTF-8"))?;
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let mut path: Vec<String> = Vec::new();
    let mut texts: Vec<String> = Vec::new();
    let mut elements = Vec::new();
    loop {
        match reader.read_event().map_err(|e| bad(&e.to_string()))? {
            Event::Start(tag) => {
                path.push(String::from_utf8_lossy(tag.local_name().as_ref()).into_owned());
                texts.push(String::new());
            }
            Event::Empty(tag) => {
                path.push(String::from_utf8_lossy(tag.local_name().as_ref()).into_owned());
                elements.push((path.join("/"), String::new()));
                path.pop();
            }
            Event::Text(t) => {
                let t = t.decode().map_err(|e| bad(&e.to_string()))?;
                match texts.last_mut() {
                    Some(text) => text.push_str(&t),
                    None if t.trim().is_empty() => {}
                    None => return Err(bad("text outside of the document")),
                }
            }
            Event::GeneralRef(name) => {
                let name = name.decode().map_err(|e| bad(&e.to_string()))?;
                let c = entity(&name).ok_or_else(|| bad("unknown entity"))?;
                texts.last_mut().ok_or_else(|| bad("unexpected entity"))?.push(c);
            }
            Event::End(_) => {
                let text = texts.pop().ok_or_else(|| bad("unexpected end"))?;
                elements.push((path.join("/"), text.trim().to_owned()));
                path.pop();
            }
            Event::Eof if path.is_empty() => return Ok(elements),
            Event::Eof => return Err(bad("unexpected end")),
            Event::Decl(_) | Event::Comment(_) => {}
            _ => return Err(bad("unexpected content")),
        }
    }
}

fn source(name: &[u8]) -> Result<BlockSource> {
    match name {
        b"Latest" => Ok(BlockSource::Latest),
        b"Committed" => Ok(BlockSource::Committed),
        b"Uncommitted" => Ok(BlockSource::Uncommitted),
        _ => Err(INVALID_XML_DOCUMENT.detail("Reason", "unknown element in BlockList")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_lists_are_read() {
        let list = parse_block_list(
            b"\xef\xbb\xbf<?xml version='1.0' encoding='utf-8'?>\n<BlockList>\n <Latest>MQ==</Latest>\
              <Committed>Mg==</Committed><Uncommitted>Mw==</Uncommitted></BlockList>\n",
        )
        .unwrap();
        let expected = [
            (BlockSource::Latest, "MQ==".to_owned()),
            (BlockSource::Committed, "Mg==".to_owned()),
            (BlockSource::Uncommitted, "Mw==".to_owned()),
        ];
        assert_eq!(list, expected);
        assert_eq!(parse_block_list(b"<BlockList/>").unwrap(), []);
        assert_eq!(parse_block_list(b"<BlockList></BlockList>").unwrap(), []);
    }

    #[test]
    fn what_is_no_block_list_is_refused() {
        for text in [
            "",
            "x",
            "<BlockList>",
            "<BlockList><Latest>a</BlockList>",
            "<List></List>",
            "<BlockList><Foo>a</Foo></BlockList>",
            "<BlockList>a</BlockList>",
        ] {
            assert_eq!(parse_block_list(text.as_bytes()).unwrap_err().code, "InvalidXmlDocument", "{text}");
        }
        let many = format!("<BlockList>{}</BlockList>", "<Latest>MQ==</Latest>".repeat(MAX_BLOCKS + 1));
        assert_eq!(parse_block_list(many.as_bytes()).unwrap_err().code, "BlockListTooLong");
    }

    #[test]
    fn tags_are_read_back() {
        let tags: Vec<(Box<str>, Box<str>)> = vec![("a".into(), "b c".into()), ("d".into(), "".into())];
        let mut out = String::from(PROLOG);
        write_tags(&mut out, &tags);
        assert_eq!(parse_tags(out.as_bytes()).unwrap(), tags);
        assert_eq!(parse_tags(b"<Tags><TagSet></TagSet></Tags>").unwrap(), []);
        let odd =
            parse_tags(b"<Tags>\n<TagSet><Tag><Key>a</Key><Value>b&amp;c</Value></Tag></TagSet></Tags>");
        assert_eq!(&*odd.unwrap()[0].1, "b&c");
        for bad in [
            "",
            "<Tags>",
            "<TagSet/>",
            "<Tags><TagSet><Tag><Key>a</Key></Tag></TagSet></Tags>",
            "<Tags>x</Tags>",
        ] {
            assert_eq!(parse_tags(bad.as_bytes()).unwrap_err().code, "InvalidXmlDocument", "{bad}");
        }
    }

    #[test]
    fn small_documents_are_read() {
        let elements =
            parse_elements(b"<?xml version='1.0'?><a>\n <b>1&amp;2</b><c/><d><e> x </e></d></a>").unwrap();
        let expected = [("a/b", "1&2"), ("a/c", ""), ("a/d/e", "x"), ("a/d", ""), ("a", "")];
        assert_eq!(elements, expected.map(|(path, text)| (path.to_owned(), text.to_owned())));
        for bad in ["x", "<a>", "<a></b>", "<a>&nope;</a>"] {
            assert_eq!(parse_elements(bad.as_bytes()).unwrap_err().code, "InvalidXmlDocument", "{bad}");
        }
    }

    #[test]
    fn text_is_escaped() {
        let mut out = String::new();
        element(&mut out, "Name", "a&b<c>\"d\"\r'e'");
        element(&mut out, "Empty", "");
        assert_eq!(out, "<Name>a&amp;b&lt;c&gt;&quot;d&quot;&#xD;'e'</Name><Empty />");
        assert!(is_representable("a\tü\u{10000}"));
        assert!(!is_representable("a\u{1}") && !is_representable("\u{ffff}"));
    }
}
