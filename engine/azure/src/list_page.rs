//! Reading a page of List Blobs. Half of what listing a million blobs costs is spent here.

use percent_encoding::percent_decode_str;

use crate::facts::{Property, Wanted};
use crate::list::{BlobEntry, ListItem, ListPage};
use crate::xml::{Element, Xml};

/// Reads a whole document.
pub(crate) fn parse(document: &[u8], wanted: &Wanted) -> Result<ListPage, String> {
    let (mut xml, root) = Xml::open(document, "EnumerationResults")?;
    let mut page = ListPage::default();
    let mut complete = false;
    xml.each(&root, |xml, child| match child.name() {
        b"Blobs" => {
            complete = true;
            xml.each(&child, |xml, child| {
                match child.name() {
                    b"Blob" => page.items.push(ListItem::Blob(Box::new(blob(xml, &child, wanted)?))),
                    b"BlobPrefix" => page.items.push(ListItem::Prefix(prefix(xml, &child)?)),
                    _ => xml.skip(&child)?,
                }
                Ok(())
            })
        }
        b"NextMarker" => {
            page.next = Some(xml.text(&child)?.into_owned()).filter(|marker| !marker.is_empty());
            Ok(())
        }
        _ => xml.skip(&child),
    })?;
    if complete { Ok(page) } else { Err("it has no list of blobs".to_owned()) }
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
    let mut entry = BlobEntry { is_current_version: true, ..Default::default() };
    entry.facts.len_is_unknown = true;
    let mut current = None;
    xml.each(parent, |xml, child| {
        match child.name() {
            b"Name" => entry.name = name(xml, &child)?,
            b"Properties" => properties(xml, &child, &mut entry, wanted)?,
            b"Metadata" => {
                xml.each(&child, |xml, child| {
                    let key = String::from_utf8_lossy(child.name()).into_owned();
                    entry.facts.metadata.push((key, xml.text(&child)?.into_owned()));
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
            entry.facts.set(property, &text)
        }
        None if child.name() == b"ResourceType" => {
            entry.is_directory = xml.text(&child)? == "directory";
            Ok(())
        }
        None => xml.skip(&child),
    })
}

/// The tags in `<Tags><TagSet><Tag><Key/><Value/></Tag>...`, of a listing or of Get Blob Tags.
pub(crate) fn tag_set<'a>(xml: &mut Xml<'a>, tags: &Element<'a>) -> Result<Vec<(String, String)>, String> {
    let mut found = Vec::new();
    xml.each(tags, |xml, set| {
        xml.each(&set, |xml, tag| {
            let (mut key, mut value) = (String::new(), String::new());
            xml.each(&tag, |xml, part| {
                match part.name() {
                    b"Key" => key = xml.text(&part)?.into_owned(),
                    b"Value" => value = xml.text(&part)?.into_owned(),
                    _ => xml.skip(&part)?,
                }
                Ok(())
            })?;
            found.push((key, value));
            Ok(())
        })
    })?;
    Ok(found)
}

#[cfg(test)]
#[path = "list_page/tests.rs"]
mod tests;
