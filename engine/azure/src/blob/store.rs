//! Blob storage as a store: block blobs.
//!
//! Page and append blobs are seen from their first byte on, and are held by leases and positions. Movers that write
//! them use [`BlobClient`] itself.

use azuring_link::{LinkError, Payload, Reply};
use azuring_plan::blocks::{BlockId, MAX_BLOCK_SIZE, MAX_BLOCKS, MAX_PUT_BLOB_SIZE, block_id_of_len};
use azuring_plan::name::{check, encode_path};
use azuring_plan::order::OrderKey;
use azuring_plan::place::NameRules;
use azuring_store::{
    At, Begin, Change, Changes, Checksums, Class, Condition, Conditions, CopySource, Course, Crc64,
    Directories, ErrorKind, Facts, Grant, List, ListOrder, Page, PieceTraits, Put, Read, Reading, Receipt,
    Removal, Said, Store, StoreError, There, Token, Traits, Visible, Wanted, Which, Written,
};

use crate::account::bearer::TokenError;
use crate::blob::change::SetTier;
use crate::blob::delete::Delete;
use crate::blob::facts::Told;
use crate::blob::get_blob::{Get, MAX_CRC64_RANGE_BYTES};
use crate::blob::put_blob::Body;
use crate::exchange::batch::MAX_BATCH;
use crate::exchange::checksum::crc64_of;
use crate::exchange::client::BlobClient;
use crate::exchange::error::{RequestError, ServiceError};

/// One container as one lane reaches it. Objects are block blobs.
#[derive(Clone)]
pub struct BlobStore {
    client: BlobClient,
    traits: Traits,
}

impl BlobStore {
    /// The container that `client` sends to.
    pub fn new(client: BlobClient) -> Self {
        let mut traits = Traits::new("Blob storage", MAX_PUT_BLOB_SIZE);
        traits.pieces = Some(PieceTraits::new(MAX_BLOCK_SIZE, MAX_BLOCKS as u32));
        traits.visible = Visible::OnCommit;
        traits.order = ListOrder::OneOf(&[OrderKey::Utf16, OrderKey::Tree, OrderKey::Bytes]);
        traits.directories = Directories::Marks;
        traits.remove_batch = MAX_BATCH;
        traits.checksums =
            Checksums::default().crc64_in(true).crc64_out_bytes(MAX_CRC64_RANGE_BYTES).keeps_md5(true);
        traits.conditions = Conditions::default().only_new(true).only_tag(true);
        traits.changes = Changes::default().metadata(true).tiers(&["Hot", "Cool", "Cold"]).tags(true);
        traits.names = NameRules::Azure;
        traits.copies_from = CopySource::GrantedUrls;
        Self { client, traits }
    }

    /// What it sends with.
    pub fn client(&self) -> &BlobClient {
        &self.client
    }
}

/// The bytes of a blob.
pub struct BlobBody(Reply);

impl azuring_store::Body for BlobBody {
    async fn read(&mut self, out: &mut [u8]) -> Result<usize, StoreError> {
        self.0.read(out).await.map_err(|error| RequestError::from(error).into())
    }
}

/// What the service takes with the bytes.
fn body<'a>(put: &'a Put<'a>) -> Body<'a> {
    Body {
        content_type: put.content.and_then(|content| content.content_type.as_deref()),
        content: put.content,
        crc64: put.crc64,
        content_md5: put.md5,
        metadata: put.metadata,
        tier: None,
        tags: &[],
        if_none_match_any: put.condition == Condition::New,
        if_match: match put.condition {
            Condition::Tag(tag) => Some(tag),
            Condition::Always | Condition::New => None,
        },
        lease: None,
    }
}

/// A key as it stands in a URL. What no blob can be called would be another blob's or the container's.
fn path(key: &str) -> Result<String, StoreError> {
    check(key).map_err(|error| StoreError::new(ErrorKind::Name, error.to_string()))?;
    Ok(encode_path(key))
}

/// An error of a write under this condition, which decides what an unmet condition means.
fn of_write(error: RequestError, condition: Condition<'_>) -> StoreError {
    let exists = condition == Condition::New && error.already_exists();
    let error = StoreError::from(error);
    if exists { error.of_kind(ErrorKind::Exists) } else { error }
}

/// What the blocks of a token hold.
fn content_of(token: &[u8]) -> Result<[u8; 16], StoreError> {
    token.try_into().map_err(|_| StoreError::new(ErrorKind::Other, "the token is not this store's"))
}

/// The name of a block: the same whenever content and number are.
fn block_id(content: [u8; 16], piece: u32) -> String {
    block_id_of_len(content, piece, BlockId::RAW_LEN).expect("there are ids of the usual length")
}

impl Store for BlobStore {
    type Body = BlobBody;

    fn traits(&self) -> &Traits {
        &self.traits
    }

    async fn list(&self, list: &List<'_>) -> Result<Page, StoreError> {
        // The caller's course judges all pages together.
        Ok(self.client.list_blobs(list, &mut Course::default()).await?)
    }

    async fn stat(&self, key: &str, which: Which<'_>) -> Result<Facts, StoreError> {
        Ok(self.client.head_blob(&path(key)?, which).await?)
    }

    async fn read(&self, key: &str, read: &Read<'_>) -> Result<Reading<BlobBody>, StoreError> {
        let in_one = read.range.is_some_and(|(first, last)| last - first < MAX_CRC64_RANGE_BYTES);
        let get = Get {
            range: read.range,
            len: read.len,
            if_match: read.tag,
            which: read.which,
            range_crc64: read.crc64 && in_one,
        };
        let reply = self.client.get_blob(&path(key)?, &get).await?;
        let facts = match &read.wanted {
            Some(wanted) => Some(told(&reply, wanted)?),
            None => None,
        };
        let crc64 = crc64_of(&reply);
        let mut reading = Reading::new(BlobBody(reply));
        (reading.facts, reading.crc64) = (facts, crc64);
        Ok(reading)
    }

    async fn put(&self, key: &str, payload: Payload, put: &Put<'_>) -> Result<Written, StoreError> {
        let written = self.client.put_blob(&path(key)?, payload, body(put)).await;
        let written = written.map_err(|error| of_write(error, put.condition))?;
        Ok(Written::default().tag(written.etag))
    }

    async fn begin(&self, _: &str, begin: &Begin<'_>) -> Result<Token, StoreError> {
        // Nothing is begun: blocks are named by what they hold.
        Ok(begin.content.to_vec())
    }

    async fn piece(
        &self,
        key: &str,
        token: &[u8],
        at: At,
        payload: Payload,
        crc64: Option<Crc64>,
    ) -> Result<Receipt, StoreError> {
        let body = Body { crc64, ..Body::default() };
        self.client.put_block(&path(key)?, &block_id(content_of(token)?, at.piece), payload, body).await?;
        Ok(Receipt::new())
    }

    async fn pieces(&self, key: &str, token: &[u8]) -> Result<Vec<There>, StoreError> {
        let lists = match self.client.get_block_list(&path(key)?).await {
            Ok(lists) => lists,
            Err(error) if error.not_found() => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let content = content_of(token)?;
        // Others' blocks may lie there too.
        let ours = lists.uncommitted.iter().filter_map(|block| {
            let piece = BlockId::block_of(content, &block.id)?;
            Some(There::new(piece, block.len, Receipt::new()))
        });
        let mut there: Vec<There> = ours.collect();
        there.sort_by_key(|there| there.piece);
        Ok(there)
    }

    async fn commit(
        &self,
        key: &str,
        token: &[u8],
        receipts: &[Receipt],
        put: &Put<'_>,
    ) -> Result<Written, StoreError> {
        let count = receipts.len() as u32;
        let content = content_of(token)?;
        let ids = (0..count).map(|piece| block_id(content, piece));
        let with_crc64 = put.crc64.is_some();
        let written = self.client.put_block_list(&path(key)?, ids, body(put), with_crc64).await;
        let written = written.map_err(|error| of_write(error, put.condition))?;
        Ok(Written::default().tag(written.etag))
    }

    async fn abort(&self, _: &str, _: &[u8]) -> Result<(), StoreError> {
        // Blocks of others may lie under the same name, and there is no way to discard some of them. They vanish after
        // a week, and with the next blob of the name.
        Ok(())
    }

    async fn copy_from(&self, key: &str, from: &Grant<'_>, put: &Put<'_>) -> Result<Written, StoreError> {
        let written = self.client.put_blob_from_url(&path(key)?, from, body(put)).await;
        let written = written.map_err(|error| of_write(error, put.condition))?;
        Ok(Written::default().tag(written.etag))
    }

    async fn remove(&self, removals: &[Removal<'_>]) -> Result<Vec<Result<(), StoreError>>, StoreError> {
        if removals.len() > MAX_BATCH {
            return Err(StoreError::new(ErrorKind::Limit, format!("{MAX_BATCH} blobs are removed at most")));
        }
        let paths: Vec<_> = removals.iter().map(|removal| path(removal.key)).collect();
        if let ([name], [removal]) = (&paths[..], removals) {
            let removed = match name {
                Ok(name) => {
                    self.client.delete_blob(name, &delete_of(removal)).await.map_err(StoreError::from)
                }
                Err(error) => Err(error.clone()),
            };
            return Ok(vec![removed]);
        }
        // Names that no blob can have are not sent, and have their answers all the same.
        let sent =
            paths.iter().zip(removals).filter_map(|(name, removal)| Some((name.as_ref().ok()?, removal)));
        let batch: Vec<_> = sent.map(|(name, removal)| (name.as_str(), delete_of(removal))).collect();
        let mut answers = self.client.delete_batch(&batch).await?.into_iter();
        let mut of_service = || {
            let answer = answers.next().expect("there is an answer to each request");
            answer.map_err(|error| RequestError::from(error).into())
        };
        Ok(paths.iter().map(|name| name.as_ref().map_err(Clone::clone).and_then(|_| of_service())).collect())
    }

    async fn change(&self, key: &str, which: Which<'_>, change: &Change<'_>) -> Result<(), StoreError> {
        let name = path(key)?;
        if let Some(metadata) = change.metadata {
            self.client.set_metadata(&name, metadata).await?;
        }
        if let Some(tags) = change.tags {
            self.client.set_tags(&name, tags, which).await?;
        }
        if let Some(tier) = change.tier {
            self.client.set_tier(&name, &SetTier { tier, priority: None, which }).await?;
        }
        Ok(())
    }

    async fn make(&self) -> Result<(), StoreError> {
        self.client.create_container("").await.map_err(|error| {
            let is_there = error.service().is_some_and(|refusal| refusal.code == "ContainerAlreadyExists");
            let error = StoreError::from(error);
            if is_there { error.of_kind(ErrorKind::Exists) } else { error }
        })
    }
}

fn delete_of<'a>(removal: &Removal<'a>) -> Delete<'a> {
    Delete { which: removal.which, if_match: removal.tag, ..Delete::default() }
}

fn told(reply: &Reply, wanted: &Wanted) -> Result<Facts, StoreError> {
    Facts::of_head(reply, wanted).map_err(|reason| {
        StoreError::new(ErrorKind::Broken, format!("the answer to Get Blob cannot be read: {reason}"))
    })
}

impl From<RequestError> for StoreError {
    fn from(error: RequestError) -> Self {
        let told = StoreError::new(kind(&error), error.to_string())
            .advise(error.advice())
            .of_class(error.class())
            .leaving_open(error.maybe_done())
            .after(error.retry_after());
        match error {
            RequestError::Service(ServiceError { status, code, of_service, message, request_id, .. }) => {
                let said = Said::default().status(Some(status)).code(code).message(message.map(String::from));
                told.said(said.request_id(request_id).of_store(of_service))
            }
            _ => told,
        }
    }
}

/// What any store could have answered instead.
fn kind(error: &RequestError) -> ErrorKind {
    match error {
        RequestError::Link(LinkError::Resolve { .. }) => ErrorKind::NoHost,
        RequestError::Link(LinkError::Stalled(_) | LinkError::TooSlow { .. }) => ErrorKind::Stalled,
        RequestError::Link(LinkError::Broken(_) | LinkError::TooLarge { .. }) => ErrorKind::Broken,
        RequestError::Link(_) => ErrorKind::Unreachable,
        RequestError::NotStorage(_) => ErrorKind::NotTheStore,
        RequestError::Changed { .. } => ErrorKind::Changed,
        RequestError::Integrity => ErrorKind::Integrity,
        RequestError::Token(TokenError { passing: true, .. }) | RequestError::TokenRenewed { .. } => {
            ErrorKind::Unavailable
        }
        RequestError::Token(_) => ErrorKind::Unauthenticated,
        RequestError::Name(_) | RequestError::OtherName { .. } => ErrorKind::Name,
        RequestError::Property(_) => ErrorKind::Other,
        RequestError::Answer { .. } => ErrorKind::Broken,
        RequestError::Service(refusal) => kind_of_refusal(refusal),
    }
}

fn kind_of_refusal(refusal: &ServiceError) -> ErrorKind {
    match refusal.code.as_str() {
        "ContainerNotFound" => return ErrorKind::NoBucket,
        "Md5Mismatch" | "Crc64Mismatch" => return ErrorKind::Integrity,
        "InvalidResourceName" => return ErrorKind::Name,
        "InvalidBlockList" => return ErrorKind::Conflict,
        "BlobAlreadyExists" | "UnauthorizedBlobOverwrite" => return ErrorKind::Exists,
        "RequestBodyTooLarge" | "BlockCountExceedsLimit" => return ErrorKind::Limit,
        "FeatureNotSupported" | "APINotImplemented" => return ErrorKind::Unsupported,
        _ => {}
    }
    if refusal.is_of_copy_source() {
        return match refusal.class() {
            Class::Throttle => ErrorKind::Throttled,
            Class::Retry => ErrorKind::Unavailable,
            // Nothing is said of the object itself.
            Class::Skip | Class::Fatal => ErrorKind::Other,
        };
    }
    if refusal.precondition_failed() {
        return ErrorKind::Changed;
    }
    match (refusal.status, refusal.class()) {
        _ if !refusal.of_service && refusal.class() == Class::Fatal => ErrorKind::NotTheStore,
        (_, Class::Throttle) => ErrorKind::Throttled,
        (_, Class::Retry) => ErrorKind::Unavailable,
        (401, _) | (403, Class::Fatal) => ErrorKind::Unauthenticated,
        (403, _) => ErrorKind::Denied,
        (404, _) => ErrorKind::NotFound,
        (409 | 412, _) => ErrorKind::Conflict,
        (416, _) => ErrorKind::BehindEnd,
        _ => ErrorKind::Other,
    }
}
