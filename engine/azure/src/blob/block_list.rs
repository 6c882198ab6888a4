//! Get Block List: what of a blob the service has.

use azuring_link::Payload;
use http::Method;

use crate::exchange::client::{BlobClient, Head};
use crate::exchange::error::RequestError;
use crate::exchange::operation::Operation;
use crate::exchange::xml::Xml;

/// Blocks of a blob at most: 50,000 that are committed and 100,000 that are not
/// (<https://learn.microsoft.com/rest/api/storageservices/put-block#remarks>)...
const MAX_LISTED: usize = 150_000;
/// ...each with a name of 88 characters and some 70 of XML around it and its size.
const LISTED_BYTES: usize = 192;

/// A block that the service has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedBlock {
    /// Its id, in base64.
    pub id: String,
    /// Its length in bytes.
    pub len: u64,
}

/// The blocks under one name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockLists {
    /// Those that the blob consists of, in order.
    pub committed: Vec<ListedBlock>,
    /// Those that wait for a Put Block List: of whoever has sent them.
    pub uncommitted: Vec<ListedBlock>,
}

impl BlobClient {
    /// Get Block List: the blocks of a blob.
    ///
    /// # Errors
    /// [`RequestError`]; a blob that has neither content nor blocks is 404.
    pub async fn get_block_list(&self, name: &str) -> Result<BlockLists, RequestError> {
        let query = vec![("comp", "blocklist"), ("blocklisttype", "all")];
        let (operation, headers) = (Operation::GetBlockList, self.target().common.clone());
        let head = Head { operation, method: Method::GET, name, query, headers };
        let answer = self.exchange(head, Payload::default(), MAX_LISTED * LISTED_BYTES).await?;
        parse(&answer.body).map_err(|reason| operation.answered_otherwise(reason, false))
    }
}

fn parse(document: &[u8]) -> Result<BlockLists, String> {
    let (mut xml, root) = Xml::open(document, "BlockList")?;
    let mut lists = BlockLists::default();
    xml.each(&root, |xml, list| match list.name() {
        name @ (b"CommittedBlocks" | b"UncommittedBlocks") => {
            let blocks =
                if name == b"CommittedBlocks" { &mut lists.committed } else { &mut lists.uncommitted };
            xml.each(&list, |xml, child| {
                if child.name() != b"Block" {
                    return xml.skip(&child);
                }
                let (mut id, mut len) = (None, None);
                xml.each(&child, |xml, field| {
                    match field.name() {
                        b"Name" => id = Some(xml.text(&field)?.into_owned()),
                        b"Size" => len = xml.text(&field)?.parse().ok(),
                        _ => xml.skip(&field)?,
                    }
                    Ok(())
                })?;
                match (id, len) {
                    (Some(id), Some(len)) => {
                        blocks.push(ListedBlock { id, len });
                        Ok(())
                    }
                    _ => Err("a block has no name or no size".to_owned()),
                }
            })
        }
        _ => xml.skip(&list),
    })?;
    Ok(lists)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_lists_are_read() {
        let block = |id: &str, len| ListedBlock { id: id.to_owned(), len };
        // The service's own example, shortened.
        let text = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList><CommittedBlocks><Block><Name>QUFB</Name>\
                    <Size>1048576</Size></Block></CommittedBlocks><UncommittedBlocks><Block><Name>QkJC</Name><Size>7</Size>\
                    <Other/></Block></UncommittedBlocks></BlockList>";
        let (committed, uncommitted) = (vec![block("QUFB", 1 << 20)], vec![block("QkJC", 7)]);
        assert_eq!(parse(text.as_bytes()), Ok(BlockLists { committed, uncommitted }));
        assert_eq!(parse(b"<BlockList><CommittedBlocks /></BlockList>"), Ok(BlockLists::default()));
        for bad in [
            "<BlockList><CommittedBlocks><Block><Name>QQ==</Name></Block></CommittedBlocks></BlockList>",
            "<BlockList><CommittedBlocks>",
            "<Other/>",
        ] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
