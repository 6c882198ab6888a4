//! A walk over the elements of an answer, without building a tree of it.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::events::{BytesEnd, BytesStart, Event};

/// A place in a document. Every element it gives is used up by exactly one of [`Xml::each`], [`Xml::text`],
/// [`Xml::skip`].
pub(crate) struct Xml<'a> {
    reader: Reader<&'a [u8]>,
}

/// An element whose beginning was read.
pub(crate) struct Element<'a> {
    tag: BytesStart<'a>,
    /// `<name/>`: it has no end of its own.
    empty: bool,
}

/// Where an element begins or ends.
pub(crate) enum Step<'a> {
    Begin(Element<'a>),
    End(BytesEnd<'a>),
}

impl Element<'_> {
    /// Whether it has no end of its own.
    pub(crate) fn is_empty(&self) -> bool {
        self.empty
    }

    pub(crate) fn name(&self) -> &[u8] {
        self.tag.name().into_inner()
    }

    pub(crate) fn has(&self, attribute: &str, value: &str) -> bool {
        self.tag
            .attributes()
            // The search for a name that stands twice compares each with all before it: what a server sends decides.
            .with_checks(false)
            .flatten()
            .any(|found| found.key.into_inner() == attribute.as_bytes() && *found.value == *value.as_bytes())
    }
}

impl<'a> Xml<'a> {
    /// Goes into the root element of a document, which has to have this name.
    pub(crate) fn open(document: &'a [u8], root: &str) -> Result<(Self, Element<'a>), String> {
        let text = std::str::from_utf8(document).map_err(|_| "it is not UTF-8".to_owned())?;
        // The service begins its documents with a byte order mark.
        let mut xml = Self { reader: Reader::from_str(text.trim_start_matches('\u{feff}')) };
        match xml.next()? {
            Some(element) if element.name() == root.as_bytes() => Ok((xml, element)),
            _ => Err(format!("it is no {root}")),
        }
    }

    /// A part of a document, which may begin and end anywhere between two elements.
    pub(crate) fn part(text: &'a str) -> Self {
        let mut reader = Reader::from_str(text);
        // Of elements that have begun before it.
        reader.config_mut().allow_unmatched_ends = true;
        Self { reader }
    }

    /// Bytes read so far.
    pub(crate) fn read(&self) -> usize {
        self.reader.buffer_position() as usize
    }

    /// The next beginning or end of an element.
    pub(crate) fn step(&mut self) -> Result<Step<'a>, String> {
        loop {
            match self.event()? {
                Event::Start(tag) => return Ok(Step::Begin(Element { tag, empty: false })),
                Event::Empty(tag) => return Ok(Step::Begin(Element { tag, empty: true })),
                Event::End(tag) => return Ok(Step::End(tag)),
                _ => {}
            }
        }
    }

    /// Hands over the children of an element in their order.
    pub(crate) fn each(
        &mut self,
        parent: &Element<'a>,
        mut child: impl FnMut(&mut Self, Element<'a>) -> Result<(), String>,
    ) -> Result<(), String> {
        if !parent.empty {
            while let Some(element) = self.next()? {
                child(self, element)?;
            }
        }
        Ok(())
    }

    /// The text of an element without children.
    pub(crate) fn text(&mut self, element: &Element<'a>) -> Result<Cow<'a, str>, String> {
        let mut text = Cow::Borrowed("");
        if element.empty {
            return Ok(text);
        }
        loop {
            let part = match self.event()? {
                Event::Text(part) => part.decode().map_err(|error| error.to_string())?,
                Event::CData(part) => part.decode().map_err(|error| error.to_string())?,
                Event::GeneralRef(reference) => {
                    let name = reference.decode().map_err(|error| error.to_string())?;
                    match quick_xml::escape::resolve_predefined_entity(&name) {
                        Some(known) => Cow::Borrowed(known),
                        None => match reference.resolve_char_ref() {
                            Ok(Some(c)) => Cow::Owned(c.to_string()),
                            _ => return Err(format!("`&{};` is no character", name.escape_debug())),
                        },
                    }
                }
                Event::End(_) => return Ok(text),
                Event::Comment(_) => continue,
                _ => return Err("there is an element where text should be".to_owned()),
            };
            if text.is_empty() {
                text = part;
            } else {
                text.to_mut().push_str(&part);
            }
        }
    }

    /// Passes over an element and all in it.
    pub(crate) fn skip(&mut self, element: &Element<'a>) -> Result<(), String> {
        let mut depth = u32::from(!element.empty);
        while depth > 0 {
            match self.event()? {
                Event::Start(_) => depth += 1,
                Event::End(_) => depth -= 1,
                _ => {}
            }
        }
        Ok(())
    }

    /// The next child of the element at hand; `None` at its end.
    fn next(&mut self) -> Result<Option<Element<'a>>, String> {
        Ok(match self.step()? {
            Step::Begin(element) => Some(element),
            Step::End(_) => None,
        })
    }

    fn event(&mut self) -> Result<Event<'a>, String> {
        match self.reader.read_event() {
            Ok(Event::Eof) => Err("it ends too early".to_owned()),
            Ok(event) => Ok(event),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Appends text, with the characters escaped that XML reserves.
pub(crate) fn escape(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // A bare CR would be read back as LF.
            '\r' => out.push_str("&#xD;"),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(document: &str) -> Result<Vec<String>, String> {
        let (mut xml, root) = Xml::open(document.as_bytes(), "R")?;
        let mut found = Vec::new();
        xml.each(&root, |xml, child| {
            match child.name() {
                b"T" => found.push(xml.text(&child)?.into_owned()),
                _ => xml.skip(&child)?,
            }
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn texts_are_put_together_and_the_rest_is_passed_over() {
        let document = "\u{feff}<?xml version=\"1.0\"?><R a=\"b\"> <T>a&amp;b &#x41;<!-- x -->c</T><S><T>no</T><T/></S>\n<T/><T>ä</T></R>";
        assert_eq!(texts(document).unwrap(), ["a&b Ac", "", "ä"]);
        assert_eq!(texts("<R/>").unwrap(), [""; 0]);
    }

    #[test]
    fn broken_documents_are_errors() {
        for (document, why) in [
            ("", "too early"),
            ("<R><T>a</T>", "too early"),
            ("<R><T>a", "too early"),
            ("<Q></Q>", "no R"),
            ("<R><T>a&nbsp;</T></R>", "`&nbsp;` is no character"),
            ("<R><T>a&#xD800;</T></R>", "is no character"),
            ("<R><T><U/></T></R>", "an element where text"),
            ("<R></S>", "R"),
        ] {
            let told = texts(document).unwrap_err();
            assert!(told.contains(why), "{document}: {told}");
        }
        assert!(Xml::open(b"<R>\xff</R>", "R").is_err());
    }

    #[test]
    fn what_is_escaped_is_read_back() {
        let mut out = String::from("<R><T>");
        escape(&mut out, "a<b>&\r\"c");
        out.push_str("</T></R>");
        assert_eq!(texts(&out).unwrap(), ["a<b>&\r\"c"]);
    }
}
