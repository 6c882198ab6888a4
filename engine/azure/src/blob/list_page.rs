//! Reading a page of List Blobs. Half of what listing a million blobs costs is spent here.

use azuring_plan::posix::PosixType;
use azuring_store::Wanted;
use azuring_store::{Entry as BlobEntry, Item as ListItem, MAX_PAGE_ENTRIES, Page as ListPage};
use percent_encoding::percent_decode_str;

use crate::blob::facts::{Property, set};
use crate::blob::tags::tag_set;
use crate::exchange::xml::{Element, Step, Xml};

/// Bytes that are read of a page before they are taken apart: of the page itself no more is in memory.
const WINDOW_BYTES: usize = 128 << 10;
/// The largest element: a name of 1,024 characters of three bytes, each percent-encoded (9 KiB), 8 KiB of metadata, 10
/// tags of 128 and 256 characters (4 KiB), properties (2 KiB); and metadata of `&` alone, of which XML makes five times
/// as much.
pub(crate) const ENTRY_LIMIT_BYTES: usize = 64 << 10;
/// Metadata that say what a file is are numbers and names: a longer value says nothing.
const VALUE_LIMIT_BYTES: usize = 512;
/// Entries of a page. The service gives 5,000 at most; servers that keep all versions of a name together give more.
const ENTRIES_LIMIT: usize = 4 * MAX_PAGE_ENTRIES as usize;

/// Where in the document the reader stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Before its root.
    Start,
    /// Among the children of the root.
    Root,
    /// Among the entries.
    Entries,
    /// Behind its root.
    End,
}

/// Reads a page as it comes: bytes are put into [`PageReader::space`], and what is whole of them is taken apart and
/// forgotten. A page counts as a whole all the same: its entries are handed over when its end was read, so that one
/// that is cut off and asked for again tells nothing twice.
pub(crate) struct PageReader<'w> {
    wanted: &'w Wanted,
    page: ListPage,
    at: At,
    /// There was a list of entries.
    listed: bool,
    window: Vec<u8>,
    filled: usize,
    /// Why nothing more of the window could be read: mostly that more has to come.
    why: String,
}

impl<'w> PageReader<'w> {
    pub(crate) fn new(wanted: &'w Wanted) -> Self {
        Self {
            wanted,
            page: ListPage::default(),
            at: At::Start,
            listed: false,
            window: vec![0; WINDOW_BYTES],
            filled: 0,
            why: String::new(),
        }
    }

    /// Where the next bytes of the document go; never empty.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        &mut self.window[self.filled..]
    }

    /// So many bytes were put into the space.
    pub(crate) fn filled(&mut self, bytes: usize) -> Result<(), String> {
        self.filled += bytes;
        if self.filled < self.window.len() {
            return Ok(());
        }
        self.why.clear();
        self.take()?;
        if self.filled <= ENTRY_LIMIT_BYTES { Ok(()) } else { Err(self.too_large()) }
    }

    /// What is said of an element that is not taken for its size, or that cannot be read to its end.
    fn too_large(&self) -> String {
        let place = match self.page.items.last() {
            Some(item) => format!("after `{}`", item.name().escape_debug()),
            None => "at its beginning".to_owned(),
        };
        let why = if self.why.is_empty() { String::new() } else { format!(" ({})", self.why) };
        format!("{place} there is an element of more than {} KiB{why}", ENTRY_LIMIT_BYTES >> 10)
    }

    /// The document has ended.
    pub(crate) fn finish(mut self) -> Result<ListPage, String> {
        self.take()?;
        match (self.at, self.listed) {
            (At::End, true) => Ok(self.page),
            (At::End, false) => Err("it has no list of blobs".to_owned()),
            _ => Err(self.why),
        }
    }

    /// Takes what is whole out of the window.
    fn take(&mut self) -> Result<(), String> {
        let window = std::mem::take(&mut self.window);
        let taken = self.take_from(&window[..self.filled]);
        self.window = window;
        let taken = taken?;
        self.window.copy_within(taken..self.filled, 0);
        self.filled -= taken;
        Ok(())
    }

    /// Takes what is whole and returns its length. An error at the end of `bytes` is none as long as there is more to
    /// come.
    fn take_from(&mut self, bytes: &[u8]) -> Result<usize, String> {
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) if error.error_len().is_some() => return Err("it is not UTF-8".to_owned()),
            // Cut within a character.
            Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).expect("so far it is UTF-8"),
        };
        // The service begins its documents with a byte order mark.
        let from =
            if self.at == At::Start { text.len() - text.trim_start_matches('\u{feff}').len() } else { 0 };
        let mut xml = Xml::part(&text[from..]);
        let mut taken = from;
        while self.at != At::End {
            match self.step(&mut xml) {
                Ok(()) if from + xml.read() - taken > ENTRY_LIMIT_BYTES => {
                    // The one that was too large is not the place.
                    self.page.items.pop();
                    return Err(self.too_large());
                }
                Ok(()) => taken = from + xml.read(),
                Err(why) => {
                    // Mostly that more has to come.
                    self.why = why;
                    return Ok(taken);
                }
            }
            if self.page.items.len() > ENTRIES_LIMIT {
                return Err(format!("it has more than {ENTRIES_LIMIT} entries"));
            }
        }
        // What follows the root is nothing.
        Ok(bytes.len())
    }

    /// Takes the next element, or goes into or out of one. What fails has changed nothing.
    fn step(&mut self, xml: &mut Xml<'_>) -> Result<(), String> {
        let step = xml.step()?;
        let child = match (self.at, step) {
            (At::Start, Step::Begin(root)) if root.name() == b"EnumerationResults" => {
                self.at = if root.is_empty() { At::End } else { At::Root };
                return Ok(());
            }
            (At::Start, _) => return Err("it is no EnumerationResults".to_owned()),
            (At::Entries, Step::End(tag)) if tag.name().into_inner() == b"Blobs" => {
                self.at = At::Root;
                return Ok(());
            }
            (At::Root, Step::End(tag)) if tag.name().into_inner() == b"EnumerationResults" => {
                self.at = At::End;
                return Ok(());
            }
            (_, Step::End(tag)) => {
                let name = String::from_utf8_lossy(tag.name().into_inner()).into_owned();
                return Err(format!("`{}` ends where it has not begun", name.escape_debug()));
            }
            (_, Step::Begin(child)) => child,
        };
        match (self.at, child.name()) {
            (At::Entries, b"Blob") => {
                let blob = blob(xml, &child, self.wanted)?;
                self.page.items.push(ListItem::Entry(Box::new(blob)));
            }
            (At::Entries, b"BlobPrefix") => self.page.items.push(ListItem::Prefix(prefix(xml, &child)?)),
            (At::Root, b"Blobs") => {
                self.listed = true;
                if !child.is_empty() {
                    self.at = At::Entries;
                }
            }
            (At::Root, b"NextMarker") => {
                self.page.next = Some(xml.text(&child)?.into_owned()).filter(|marker| !marker.is_empty());
            }
            _ => xml.skip(&child)?,
        }
        Ok(())
    }
}

fn prefix<'a>(xml: &mut Xml<'a>, parent: &Element<'a>) -> Result<String, String> {
    let mut found = String::new();
    xml.each(parent, |xml, child| {
        match child.name() {
            b"Name" => found = name(xml, &child)?,
            _ => xml.skip(&child)?,
        }
        Ok(())
    })?;
    if found.is_empty() { Err("a prefix has no name".to_owned()) } else { Ok(found) }
}

/// Names that XML cannot carry are percent-encoded and marked so.
fn name<'a>(xml: &mut Xml<'a>, element: &Element<'a>) -> Result<String, String> {
    let encoded = element.has("Encoded", "true");
    let text = xml.text(element)?;
    if !encoded {
        return Ok(text.into_owned());
    }
    percent_decode_str(&text)
        .decode_utf8()
        .map(|name| name.into_owned())
        .map_err(|_| format!("the name `{}` is not UTF-8 after decoding", text.escape_debug()))
}

fn blob<'a>(xml: &mut Xml<'a>, parent: &Element<'a>, wanted: &Wanted) -> Result<BlobEntry, String> {
    let mut entry = BlobEntry::default();
    entry.is_current_version = true;
    entry.facts.len_is_unknown = true;
    let mut current = None;
    xml.each(parent, |xml, child| {
        match child.name() {
            b"Name" => entry.name = name(xml, &child)?,
            b"Properties" => properties(xml, &child, &mut entry, wanted)?,
            b"Metadata" => {
                xml.each(&child, |xml, child| {
                    let key = String::from_utf8_lossy(child.name());
                    if !wanted.all_metadata && !PosixType::is_told_by(&key) {
                        return xml.skip(&child);
                    }
                    let value = xml.text(&child)?;
                    if wanted.all_metadata || value.len() <= VALUE_LIMIT_BYTES {
                        entry.facts.metadata.push((key.into_owned(), value.into_owned()));
                    }
                    Ok(())
                })?;
            }
            b"Tags" => entry.tags = tag_set(xml, &child)?,
            b"Snapshot" => {
                let snapshot = xml.text(&child)?;
                entry.snapshot = (!snapshot.is_empty()).then(|| snapshot.into());
            }
            b"VersionId" => entry.facts.version_id = Some(xml.text(&child)?.into()),
            b"IsCurrentVersion" => current = Some(xml.text(&child)? == "true"),
            b"Deleted" => entry.deleted = xml.text(&child)? == "true",
            _ => xml.skip(&child)?,
        }
        Ok(())
    })
    .and_then(|()| if entry.name.is_empty() { Err("a blob has no name".to_owned()) } else { Ok(()) })
    .map_err(|why| format!("{why} (blob `{}`)", entry.name.escape_debug()))?;
    // Of a blob with versions only the newest one says which it is.
    entry.is_current_version =
        entry.snapshot.is_none() && current.unwrap_or(entry.facts.version_id.is_none());
    Ok(entry)
}

fn properties<'a>(
    xml: &mut Xml<'a>,
    parent: &Element<'a>,
    entry: &mut BlobEntry,
    wanted: &Wanted,
) -> Result<(), String> {
    xml.each(parent, |xml, child| match Property::of_element(child.name(), wanted) {
        Some(property) => {
            let text = xml.text(&child)?;
            set(&mut entry.facts, property, &text)
        }
        None if child.name() == b"ResourceType" => {
            entry.is_directory = xml.text(&child)? == "directory";
            Ok(())
        }
        None => xml.skip(&child),
    })
}

#[cfg(test)]
#[path = "list_page/tests.rs"]
mod tests;
