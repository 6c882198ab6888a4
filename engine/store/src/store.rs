//! The seam.

use azuring_link::Payload;

use crate::checksum::Crc64;
use crate::error::{ErrorKind, StoreError};
use crate::facts::{ContentFacts, Facts, Wanted};
use crate::listing::{List, Page};
use crate::traits::Traits;
use crate::which::Which;

/// One container, share, filesystem or bucket, as one lane reaches it.
///
/// **One call is one exchange.** Who calls repeats it, holds the permits and counts. A store knows no files, jobs or
/// retries. Futures need not be `Send`: they run on the lane's thread. A future that is dropped may or may not have
/// been carried out.
///
/// **Keys** are names as people write them, not percent-encoded, `/` between directories.
///
/// **Pieces.** [`begin`](Self::begin) gives a token, and each [`piece`](Self::piece) a receipt: bytes that mean
/// something to the store alone, empty where it needs none. The token is kept in the job's journal. A piece may be sent
/// again with the same number and bytes. What `content` stands for in [`Begin`] is always the same bytes: a store whose
/// tokens follow from it finds the pieces of an earlier run again.
///
/// **What is not written is refused** as [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported): a place that is
/// only read has to say its traits, list, tell and read. Traits have to agree with that.
///
/// The conformance suite (`azuring_store::conformance`, feature `conformance`) says what a store has to do exactly.
#[expect(async_fn_in_trait, reason = "a lane is one thread: its futures are not sent")]
pub trait Store {
    /// The open answer to [`read`](Self::read). Dropping it before its end gives up the exchange.
    type Body: Body;

    /// What the store can do. The same for all of a job.
    fn traits(&self) -> &Traits;

    /// One page of a listing, in the store's own order ([`Traits::order`]). The caller follows [`Page::next`].
    async fn list(&self, list: &List<'_>) -> Result<Page, StoreError>;

    /// What is known of an object. [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if there is none.
    async fn stat(&self, key: &str, which: Which<'_>) -> Result<Facts, StoreError>;

    /// Begins to read an object, or a range of it.
    async fn read(&self, key: &str, read: &Read<'_>) -> Result<Reading<Self::Body>, StoreError>;

    /// Writes an object in one request. Either all of it is there afterwards, or what was there before.
    async fn put(&self, key: &str, payload: Payload, put: &Put<'_>) -> Result<Written, StoreError> {
        let _ = (key, payload, put);
        unsupported("to write objects")
    }

    /// Begins an object that is sent in pieces.
    async fn begin(&self, key: &str, begin: &Begin<'_>) -> Result<Token, StoreError> {
        let _ = (key, begin);
        unsupported("to write objects in pieces")
    }

    /// Sends a piece. `crc64`: of its bytes, for a store that compares it.
    async fn piece(
        &self,
        key: &str,
        token: &[u8],
        at: At,
        payload: Payload,
        crc64: Option<Crc64>,
    ) -> Result<Receipt, StoreError> {
        let _ = (key, token, at, payload, crc64);
        unsupported("to write objects in pieces")
    }

    /// Which pieces of this token are there, with their receipts.
    async fn pieces(&self, key: &str, token: &[u8]) -> Result<Vec<There>, StoreError> {
        let _ = (key, token);
        unsupported("to write objects in pieces")
    }

    /// Makes the object of its pieces: one receipt for each piece, in the order of their numbers.
    async fn commit(
        &self,
        key: &str,
        token: &[u8],
        receipts: &[Receipt],
        put: &Put<'_>,
    ) -> Result<Written, StoreError> {
        let _ = (key, token, receipts, put);
        unsupported("to write objects in pieces")
    }

    /// Gives up an object that was begun, and frees what its pieces take up, as far as the store can do that without
    /// harm to anybody else's.
    async fn abort(&self, key: &str, token: &[u8]) -> Result<(), StoreError> {
        let _ = (key, token);
        unsupported("to write objects in pieces")
    }

    /// Copies an object from another place, which the store reads itself.
    async fn copy_from(&self, key: &str, from: &Grant<'_>, put: &Put<'_>) -> Result<Written, StoreError> {
        let _ = (key, from, put);
        unsupported("to copy from elsewhere")
    }

    /// Removes objects, at most [`Traits::remove_batch`]: an answer for each, in their order. The outer error: there
    /// are no answers, and some may be removed all the same.
    async fn remove(&self, removals: &[Removal<'_>]) -> Result<Vec<Result<(), StoreError>>, StoreError> {
        let _ = removals;
        unsupported("to remove objects")
    }

    /// Changes what is known of an object, and not its bytes.
    async fn change(&self, key: &str, which: Which<'_>, change: &Change<'_>) -> Result<(), StoreError> {
        let _ = (key, which, change);
        unsupported("to change objects")
    }

    /// Makes the container, share or bucket. [`ErrorKind::Exists`](crate::ErrorKind::Exists) if it is there.
    async fn make(&self) -> Result<(), StoreError> {
        unsupported("to be made")
    }
}

fn unsupported<T>(what: &str) -> Result<T, StoreError> {
    Err(StoreError::new(ErrorKind::Unsupported, format!("this store has no way {what}")))
}

/// The bytes of an object that are still to come.
#[expect(async_fn_in_trait, reason = "a lane is one thread: its futures are not sent")]
pub trait Body {
    /// Fills `out` as far as there is something; 0 at the end, and only there. An object that ends early is an error.
    async fn read(&mut self, out: &mut [u8]) -> Result<usize, StoreError>;
}

/// What [`Store::read`] reads of an object. The default is all of it, in its current state.
#[derive(Clone, Copy, Debug, Default)]
pub struct Read<'a> {
    /// First and last byte; all of the object otherwise. A range that goes beyond the end stops there.
    pub range: Option<(u64, u64)>,
    /// The length of the whole object, where it is known: another one is
    /// [`ErrorKind::Changed`](crate::ErrorKind::Changed).
    pub len: Option<u64>,
    /// Only the object in this state ([`Facts::etag`]).
    pub tag: Option<&'a str>,
    /// A snapshot or version; otherwise the current state.
    pub which: Which<'a>,
    /// Have the CRC64 of the range told, where the store can ([`Checksums`](crate::Checksums)).
    pub crc64: bool,
    /// What is to be told of the object; nothing otherwise.
    pub wanted: Option<Wanted>,
}

/// An object that is being read.
#[derive(Debug)]
#[non_exhaustive]
pub struct Reading<B> {
    /// Properties of the object; `None` if [`Read::wanted`] was `None`.
    pub facts: Option<Facts>,
    /// The CRC64 of the bytes in `body`, as the store sent it. The caller compares it.
    pub crc64: Option<Crc64>,
    /// The bytes of the range, from its first one.
    pub body: B,
}

impl<B> Reading<B> {
    /// An object of which these bytes come, and nothing else is told.
    pub fn new(body: B) -> Self {
        Self { facts: None, crc64: None, body }
    }
}

/// What an object is given with its bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Put<'a> {
    /// Content type, encoding, language, disposition and cache control.
    pub content: Option<&'a ContentFacts>,
    /// Names and values. Empty: the object gets none.
    pub metadata: &'a [(String, String)],
    /// The CRC64 of the body, for the store to compare.
    pub crc64: Option<Crc64>,
    /// The MD5 of the whole object, for the store to keep.
    pub md5: Option<[u8; 16]>,
    /// What must be true of an existing object, or else nothing is written.
    pub condition: Condition<'a>,
}

/// What must be true of an existing object so that it is written. [`Conditions`](crate::Conditions) says which of them
/// a store can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Condition<'a> {
    /// Nothing: an existing object is replaced.
    #[default]
    Always,
    /// Only if there is no object of this name: [`ErrorKind::Exists`](crate::ErrorKind::Exists).
    New,
    /// Only over the object in this state: [`ErrorKind::Changed`](crate::ErrorKind::Changed).
    Tag(&'a str),
}

/// An object that is going to be sent in pieces.
#[derive(Clone, Copy, Debug)]
pub struct Begin<'a> {
    /// Bytes of the whole object; `None`: of a stream, whose length is known at its end.
    pub len: Option<u64>,
    /// Bytes of each piece but the last.
    pub piece_bytes: u64,
    /// Stands for job, source and state of the source: the same bytes whenever it is the same.
    pub content: [u8; 16],
    /// Content type, metadata and condition, for stores that want them now.
    pub put: Put<'a>,
}

/// What a store calls an object that was begun. For the journal: at most 1 KiB.
pub type Token = Vec<u8>;
/// What a store calls a piece that it has: at most 64 bytes. A resumed job is told it again by `Store::pieces`.
pub type Receipt = Vec<u8>;

/// Where a piece belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// The number of the piece, from 0.
    pub piece: u32,
    /// Its first byte, counted from the beginning of the object.
    pub offset: u64,
}

/// A piece that a store has.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct There {
    /// The number of the piece, from 0.
    pub piece: u32,
    /// Length in bytes.
    pub len: u64,
    /// What [`Store::piece`] returned for it.
    pub receipt: Receipt,
}

impl There {
    /// A piece of this number, length and receipt.
    pub fn new(piece: u32, len: u64, receipt: Receipt) -> Self {
        Self { piece, len, receipt }
    }
}

azuring_plan::growing! {
    /// What a store says of an object that it has written.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    #[non_exhaustive]
    pub struct Written {
        /// The state that it is in now ([`Facts::etag`]); `None` where the store does not tell.
        pub tag: Option<Box<str>>,
    }
}

/// Access to an object of another place, for the store to read it.
#[derive(Clone, Copy)]
pub struct Grant<'a> {
    /// Its URL. With a signature it is a secret: it must not be printed.
    pub url: &'a str,
    /// What authorizes the request for it (`Authorization`), where the URL does not: a secret.
    pub authorization: Option<&'a str>,
    /// The ETag that the source must still have.
    pub tag: Option<&'a str>,
    /// First and last byte; `None` is the whole object.
    pub range: Option<(u64, u64)>,
    /// The MD5 that these bytes must have.
    pub md5: Option<[u8; 16]>,
    /// The customer's key that the source is encrypted with and its SHA-256, both in base64: the key is a secret.
    pub key: Option<(&'a str, &'a str)>,
}

impl std::fmt::Debug for Grant<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Grant").field("tag", &self.tag).field("range", &self.range).finish_non_exhaustive()
    }
}

/// One object of a removal.
#[derive(Clone, Copy, Debug, Default)]
pub struct Removal<'a> {
    /// The name of the object, decoded.
    pub key: &'a str,
    /// A snapshot or version to remove; otherwise the object itself.
    pub which: Which<'a>,
    /// The ETag that the object must still have.
    pub tag: Option<&'a str>,
}

/// What [`Store::change`] changes. `None` leaves that property as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Change<'a> {
    /// The new tier, one of [`Changes::tiers`](crate::Changes::tiers).
    pub tier: Option<&'a str>,
    /// Replaces all metadata; an empty list removes them.
    pub metadata: Option<&'a [(String, String)]>,
    /// Replaces all index tags; an empty list removes them.
    pub tags: Option<&'a [(String, String)]>,
}
