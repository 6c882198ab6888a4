//! An end of a job as one lane reaches it: Blob storage, or somebody's own store.
//!
//! An enum and no trait object: the way of a small file to Blob storage costs nothing more for it. Names are
//! percent-encoded here, as Blob storage wants them.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use azuring_azure::{
    BlobClient, BlobFacts, Body, Course, Crc64, Delete, Get, ListPage, ListRequest, Told, Wanted, Which,
    crc64_of,
};
use azuring_job::end_error::EndError;
use azuring_link::{Links, Pacer, Payload, Reply};
use azuring_store::{
    At, Begin, Change, Class, Condition, ContentFacts, Custom, CustomBody, ErrorKind, Facts, Put, Read,
    Receipt, Removal, Store, StoreError, There, Token, Traits,
};
use percent_encoding::percent_decode_str;

/// Sends the requests of one lane, or of the planner. Clones are the same.
#[derive(Clone)]
pub enum Client {
    /// To a container of Blob storage.
    Blob(BlobClient),
    /// To somebody's own store.
    Own(Rc<Own>),
}

/// A store of somebody's own, and what all objects of the job are given there.
pub struct Own {
    store: Custom,
    /// The limit of bytes per second: of those that are sent, and of those of objects that come.
    pacer: Option<Arc<Pacer>>,
    /// How long a call may take that sends no bytes of objects. How far one is that does, nobody can see.
    stall: Duration,
    content: ContentFacts,
    metadata: Vec<(String, String)>,
}

impl Own {
    pub(super) fn new(
        store: Custom,
        (pacer, stall): (Option<Arc<Pacer>>, Duration),
        content: ContentFacts,
        metadata: Vec<(String, String)>,
    ) -> Self {
        Self { store, pacer, stall, content, metadata }
    }

    /// What it can do.
    pub(crate) fn traits(&self) -> &Traits {
        self.store.traits()
    }

    /// Begins an object of `len` bytes (not known, of a stream) in pieces of `piece_bytes`.
    pub(crate) async fn begin(
        &self,
        name: &str,
        (len, piece_bytes): (Option<u64>, u64),
        content: [u8; 16],
        body: Body<'_>,
    ) -> Result<Token, EndError> {
        let given = self.given(&body);
        let begin = Begin { len, piece_bytes, content, put: given.put(&body) };
        Ok(within(self.stall, self.store.begin(&key(name), &begin)).await?)
    }

    /// Sends a piece.
    pub(crate) async fn piece(
        &self,
        name: &str,
        token: &[u8],
        at: At,
        payload: Payload,
        crc64: Option<Crc64>,
    ) -> Result<Receipt, EndError> {
        pace(self.pacer.as_deref(), payload.len()).await;
        Ok(self.store.piece(&key(name), token, at, payload, crc64).await?)
    }

    /// The pieces that are there.
    pub(crate) async fn pieces(&self, name: &str, token: &[u8]) -> Result<Vec<There>, EndError> {
        Ok(within(self.stall, self.store.pieces(&key(name), token)).await?)
    }

    /// Makes the object of its pieces.
    pub(crate) async fn commit(
        &self,
        name: &str,
        token: &[u8],
        receipts: &[Receipt],
        body: Body<'_>,
    ) -> Result<(), EndError> {
        let given = self.given(&body);
        within(self.stall, self.store.commit(&key(name), token, receipts, &given.put(&body))).await?;
        Ok(())
    }

    /// Gives it up.
    pub(crate) async fn abort(&self, name: &str, token: &[u8]) -> Result<(), EndError> {
        Ok(within(self.stall, self.store.abort(&key(name), token)).await?)
    }

    /// What an object is given: the job's, and its own.
    fn given(&self, body: &Body<'_>) -> Given {
        let mut content = self.content.clone();
        if let Some(own) = body.content {
            for (given, own) in [
                (&mut content.content_type, &own.content_type),
                (&mut content.encoding, &own.encoding),
                (&mut content.language, &own.language),
                (&mut content.disposition, &own.disposition),
                (&mut content.cache_control, &own.cache_control),
            ] {
                if own.is_some() {
                    given.clone_from(own);
                }
            }
        }
        if let Some(content_type) = body.content_type {
            content.content_type = Some(content_type.to_owned());
        }
        let mut metadata = self.metadata.clone();
        metadata.retain(|(name, _)| !body.metadata.iter().any(|(own, _)| own.eq_ignore_ascii_case(name)));
        metadata.extend_from_slice(body.metadata);
        Given { content, metadata }
    }
}

/// What one object is given.
struct Given {
    content: ContentFacts,
    metadata: Vec<(String, String)>,
}

impl Given {
    fn put<'a>(&'a self, body: &Body<'a>) -> Put<'a> {
        Put {
            content: Some(&self.content),
            metadata: &self.metadata,
            crc64: body.crc64,
            md5: body.content_md5,
            condition: match (body.if_none_match_any, body.if_match) {
                (true, _) => Condition::New,
                (false, Some(tag)) => Condition::Tag(tag),
                (false, None) => Condition::Always,
            },
        }
    }
}

/// A store that does not say of each object what became of it: which answer is whose is not known. It would say the
/// same again.
fn not_answered(answers: usize, removals: usize) -> StoreError {
    let reason =
        format!("the store gave {answers} answers to {removals} removals: what became of them is not known");
    StoreError::new(ErrorKind::Broken, reason).of_class(Class::Skip)
}

/// What a store answers, if it does so in time.
async fn within<T>(
    stall: Duration,
    call: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    tokio::time::timeout(stall, call).await.unwrap_or_else(|_| {
        let reason = format!("the store did not answer for {} s", stall.as_secs_f64());
        Err(StoreError::new(ErrorKind::Stalled, reason))
    })
}

/// Waits until bytes of an own store may have passed.
async fn pace(pacer: Option<&Pacer>, bytes: u64) {
    if let Some(pacer) = pacer.filter(|_| bytes > 0) {
        pacer.pass(bytes).await;
    }
}

/// The name as the store has it.
fn key(name: &str) -> Cow<'_, str> {
    percent_decode_str(name).decode_utf8_lossy()
}

/// An object whose bytes are still to come.
pub(crate) enum Incoming {
    /// Of Blob storage.
    Blob(Reply),
    /// Of somebody's own store.
    Own {
        /// What it is, where that was not known.
        facts: Option<Facts>,
        /// The checksum of what comes.
        crc64: Option<Crc64>,
        /// Its bytes.
        body: CustomBody,
        /// The limit of bytes per second.
        pacer: Option<Arc<Pacer>>,
        /// How long nothing may come.
        stall: Duration,
    },
}

impl Incoming {
    /// What the object is, with the metadata of these names.
    ///
    /// # Errors
    /// What is wrong with what was told.
    pub(crate) fn facts(&mut self, wanted: &Wanted, metadata: &[&str]) -> Result<BlobFacts, String> {
        match self {
            Self::Blob(reply) => BlobFacts::of_reply(reply, wanted, metadata),
            Self::Own { facts, .. } => {
                facts.take().ok_or_else(|| "it does not tell what the object is".to_owned())
            }
        }
    }

    /// The checksum of the bytes that come, where it is told.
    pub(crate) fn crc64(&self) -> Option<Crc64> {
        match self {
            Self::Blob(reply) => crc64_of(reply),
            Self::Own { crc64, .. } => *crc64,
        }
    }

    /// Whether all of the object comes, whatever range was asked for.
    pub(crate) fn is_all(&self) -> bool {
        matches!(self, Self::Blob(reply) if reply.status().as_u16() == 200)
    }

    /// Whether it says where it ends.
    pub(crate) fn tells_its_end(&self) -> bool {
        match self {
            Self::Blob(reply) => reply.tells_its_end(),
            Self::Own { .. } => true,
        }
    }

    /// Fills `out` as far as there is something; 0 at the end.
    pub(crate) async fn read(&mut self, out: &mut [u8]) -> Result<usize, EndError> {
        use azuring_store::Body;
        match self {
            Self::Blob(reply) => Ok(reply.read(out).await.map_err(azuring_azure::RequestError::from)?),
            Self::Own { body, pacer, stall, .. } => {
                let got = within(*stall, body.read(out)).await?;
                pace(pacer.as_deref(), got as u64).await;
                Ok(got)
            }
        }
    }
}

impl Client {
    /// The client of Blob storage, for what no other store has.
    ///
    /// # Errors
    /// Another store.
    pub fn blob(&self) -> Result<&BlobClient, EndError> {
        match self {
            Self::Blob(client) => Ok(client),
            Self::Own(_) => {
                Err(StoreError::new(ErrorKind::Unsupported, "only Blob storage can do this").into())
            }
        }
    }

    /// Somebody's own store, if it is one.
    pub(crate) fn own(&self) -> Option<&Rc<Own>> {
        match self {
            Self::Blob(_) => None,
            Self::Own(own) => Some(own),
        }
    }

    /// The links requests go over, where they go over links.
    pub fn links(&self) -> Option<&Links> {
        match self {
            Self::Blob(client) => Some(client.links()),
            Self::Own(_) => None,
        }
    }

    /// Writes an object in one request.
    pub(crate) async fn put(&self, name: &str, payload: Payload, body: Body<'_>) -> Result<(), EndError> {
        match self {
            Self::Blob(client) => {
                client.put_blob(name, payload, body).await?;
            }
            Self::Own(own) => {
                let given = own.given(&body);
                pace(own.pacer.as_deref(), payload.len()).await;
                own.store.put(&key(name), payload, &given.put(&body)).await?;
            }
        }
        Ok(())
    }

    /// What is known of an object.
    pub async fn facts(&self, name: &str, which: Which<'_>) -> Result<BlobFacts, EndError> {
        match self {
            Self::Blob(client) => Ok(client.head_blob(name, which).await?),
            Self::Own(own) => Ok(within(own.stall, own.store.stat(&key(name), which)).await?),
        }
    }

    /// Begins to read an object.
    pub(crate) async fn open(&self, name: &str, get: &Get<'_>) -> Result<Incoming, EndError> {
        match self {
            Self::Blob(client) => Ok(Incoming::Blob(client.get_blob(name, get).await?)),
            Self::Own(own) => {
                let read = Read {
                    range: get.range,
                    len: get.len,
                    tag: get.if_match,
                    which: get.which,
                    crc64: get.range_crc64,
                    wanted: get.len.is_none().then_some(Wanted::ALL),
                };
                let reading = within(own.stall, own.store.read(&key(name), &read)).await?;
                let (pacer, stall) = (own.pacer.clone(), own.stall);
                Ok(Incoming::Own {
                    facts: reading.facts,
                    crc64: reading.crc64,
                    body: reading.body,
                    pacer,
                    stall,
                })
            }
        }
    }

    /// A page of a listing; `course` is that of the whole listing.
    pub async fn list(&self, list: &ListRequest<'_>, course: &mut Course) -> Result<ListPage, EndError> {
        match self {
            Self::Blob(client) => Ok(client.list_blobs(list, course).await?),
            Self::Own(own) => {
                let mut page = within(own.stall, own.store.list(list)).await?;
                course.take(list, &mut page).map_err(|reason| {
                    StoreError::new(ErrorKind::Other, format!("the listing cannot be read: {reason}"))
                })?;
                Ok(page)
            }
        }
    }

    /// Removes one object.
    pub(crate) async fn delete(&self, name: &str, delete: &Delete<'_>) -> Result<(), EndError> {
        match self {
            Self::Blob(client) => Ok(client.delete_blob(name, delete).await?),
            Self::Own(_) => {
                let answers = self.delete_many(&[(name, *delete)]).await?;
                answers.into_iter().next().unwrap_or_else(|| Err(not_answered(0, 1).into()))
            }
        }
    }

    /// Removes many: an answer for each, in their order. What a store has answered before a later call failed counts.
    pub(crate) async fn delete_many(
        &self,
        names: &[(&str, Delete<'_>)],
    ) -> Result<Vec<Result<(), EndError>>, EndError> {
        let own = match self {
            Self::Blob(client) => {
                let answers = client.delete_batch(names).await?;
                let of_blob = |error| EndError::from(azuring_azure::RequestError::from(error));
                return Ok(answers.into_iter().map(|answer| answer.map_err(of_blob)).collect());
            }
            Self::Own(own) => own,
        };
        let mut answers = Vec::with_capacity(names.len());
        for some in names.chunks(own.traits().remove_batch.max(1)) {
            let keys: Vec<Cow<'_, str>> = some.iter().map(|(name, _)| key(name)).collect();
            let removals: Vec<Removal<'_>> = keys
                .iter()
                .zip(some)
                .map(|(key, (_, delete))| Removal { key, which: delete.which, tag: delete.if_match })
                .collect();
            let removed = match within(own.stall, own.store.remove(&removals)).await {
                Ok(removed) if removed.len() == some.len() => Ok(removed),
                Ok(removed) => Err(not_answered(removed.len(), some.len())),
                Err(error) => Err(error),
            };
            match removed {
                Ok(removed) => {
                    answers.extend(removed.into_iter().map(|answer| answer.map_err(EndError::from)));
                }
                Err(error) if answers.is_empty() => return Err(error.into()),
                Err(error) => {
                    answers.resize_with(names.len(), || Err(error.clone().into()));
                    break;
                }
            }
        }
        Ok(answers)
    }

    /// Puts metadata in the place of those there were.
    pub(crate) async fn set_metadata(
        &self,
        name: &str,
        metadata: &[(String, String)],
    ) -> Result<(), EndError> {
        match self {
            Self::Blob(client) => Ok(client.set_metadata(name, metadata).await?),
            Self::Own(own) => {
                let change = Change { metadata: Some(metadata), ..Change::default() };
                Ok(within(own.stall, own.store.change(&key(name), Which::default(), &change)).await?)
            }
        }
    }

    /// Puts tags in the place of those there were.
    pub(crate) async fn set_tags(
        &self,
        name: &str,
        tags: &[(String, String)],
        which: Which<'_>,
    ) -> Result<(), EndError> {
        match self {
            Self::Blob(client) => Ok(client.set_tags(name, tags, which).await?),
            Self::Own(own) => {
                let change = Change { tags: Some(tags), ..Change::default() };
                Ok(within(own.stall, own.store.change(&key(name), which, &change)).await?)
            }
        }
    }

    /// Makes the container.
    pub async fn make(&self) -> Result<(), EndError> {
        match self {
            Self::Blob(client) => Ok(client.create_container("").await?),
            Self::Own(own) => Ok(within(own.stall, own.store.make()).await?),
        }
    }
}
