//! Index tags.

use azuring_link::Payload;
use azuring_store::Which;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};

use crate::account::which::query_of;
use crate::exchange::client::{ANSWER_LIMIT_BYTES, BlobClient, Head};
use crate::exchange::error::RequestError;
use crate::exchange::operation::Operation;
use crate::exchange::xml::{Element, Xml, escape};

impl BlobClient {
    /// Set Blob Tags: puts these tags, at most 10, in the place of all there were. The credential needs the permission
    /// `t`.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn set_tags(
        &self,
        name: &str,
        tags: &[(String, String)],
        which: Which<'_>,
    ) -> Result<(), RequestError> {
        let mut headers = self.target().common.clone();
        // Required, unlike a checksum of the body, which not every emulator knows here.
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml; charset=UTF-8"));
        let query = std::iter::once(("comp", "tags")).chain(query_of(which)).collect();
        let head = Head::put(Operation::SetBlobTags, name, query, headers);
        self.write(head, Payload::from(Bytes::from(tags_document(tags))), None).await?;
        Ok(())
    }

    /// Get Blob Tags. The credential needs the permission `t`.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn get_tags(
        &self,
        name: &str,
        which: Which<'_>,
    ) -> Result<Vec<(String, String)>, RequestError> {
        let query = std::iter::once(("comp", "tags")).chain(query_of(which)).collect();
        let operation = Operation::GetBlobTags;
        let headers = self.target().common.clone();
        let head = Head { operation, method: Method::GET, name, query, headers };
        let answer = self.exchange(head, Payload::default(), ANSWER_LIMIT_BYTES).await?;
        Xml::open(&answer.body, "Tags")
            .and_then(|(mut xml, root)| tag_set(&mut xml, &root))
            .map_err(|reason| operation.answered_otherwise(reason, false))
    }
}

fn tags_document(tags: &[(String, String)]) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?><Tags><TagSet>");
    for (key, value) in tags {
        xml.push_str("<Tag><Key>");
        escape(&mut xml, key);
        xml.push_str("</Key><Value>");
        escape(&mut xml, value);
        xml.push_str("</Value></Tag>");
    }
    xml.push_str("</TagSet></Tags>");
    xml
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
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_back_as_they_were_written() {
        let tags = [("a b".to_owned(), "1".to_owned()), ("k<&>".to_owned(), String::new())];
        let document = tags_document(&tags);
        let (mut xml, root) = Xml::open(document.as_bytes(), "Tags").unwrap();
        assert_eq!(tag_set(&mut xml, &root).unwrap(), tags);
    }
}
