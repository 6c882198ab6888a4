//! A store in memory with other traits, and with ways of its own to be wrong.

use azuring_transfer::store::{
    At, Begin, Condition, Crc64, CustomStore, ErrorKind, Facts, List, Memory, Page, Payload, Put, Read,
    Reading, Receipt, Removal, Store, StoreError, There, Token, Traits, Which, Written,
};

/// Objects in memory. It refuses conditions that its traits do not have.
#[derive(Clone)]
pub(crate) struct Odd {
    pub(crate) inner: Memory,
    pub(crate) traits: Traits,
    /// Keeps a byte less than it is sent.
    pub(crate) keeps_less: bool,
    /// The answers to so many removals are so many more, or fewer.
    pub(crate) removed: fn(usize) -> isize,
}

impl Odd {
    pub(crate) fn new(set: impl FnOnce(&mut Traits)) -> Self {
        let inner = Memory::new();
        let mut traits = inner.traits().clone();
        set(&mut traits);
        Self { inner, traits, keeps_less: false, removed: |_| 0 }
    }

    pub(crate) fn store(&self) -> CustomStore {
        CustomStore::shared("memory:odd", self.clone())
    }

    /// What it was sent, as it keeps it.
    fn kept(&self, payload: Payload) -> Payload {
        if !self.keeps_less {
            return payload;
        }
        let mut bytes: Vec<u8> = payload.parts().iter().flat_map(|part| part.iter().copied()).collect();
        bytes.pop();
        Payload::from(bytes::Bytes::from(bytes))
    }

    fn can(&self, put: &Put<'_>) -> Result<(), StoreError> {
        let can = self.traits.conditions;
        let refused = match put.condition {
            Condition::Always => false,
            Condition::New => !can.only_new,
            Condition::Tag(_) => !can.only_tag,
        };
        if refused || (put.crc64.is_some() && !self.traits.checksums.crc64_in) {
            return Err(StoreError::new(ErrorKind::Unsupported, "this store cannot do that"));
        }
        Ok(())
    }
}

impl Store for Odd {
    type Body = <Memory as Store>::Body;

    fn traits(&self) -> &Traits {
        &self.traits
    }

    async fn list(&self, list: &List<'_>) -> Result<Page, StoreError> {
        self.inner.list(list).await
    }

    async fn stat(&self, key: &str, which: Which<'_>) -> Result<Facts, StoreError> {
        self.inner.stat(key, which).await
    }

    async fn read(&self, key: &str, read: &Read<'_>) -> Result<Reading<Self::Body>, StoreError> {
        self.inner.read(key, read).await
    }

    async fn put(&self, key: &str, payload: Payload, put: &Put<'_>) -> Result<Written, StoreError> {
        self.can(put)?;
        self.inner.put(key, self.kept(payload), put).await
    }

    async fn begin(&self, key: &str, begin: &Begin<'_>) -> Result<Token, StoreError> {
        self.can(&begin.put)?;
        self.inner.begin(key, begin).await
    }

    async fn piece(
        &self,
        key: &str,
        token: &[u8],
        at: At,
        payload: Payload,
        crc64: Option<Crc64>,
    ) -> Result<Receipt, StoreError> {
        self.inner.piece(key, token, at, self.kept(payload), crc64).await
    }

    async fn pieces(&self, key: &str, token: &[u8]) -> Result<Vec<There>, StoreError> {
        self.inner.pieces(key, token).await
    }

    async fn commit(
        &self,
        key: &str,
        token: &[u8],
        receipts: &[Receipt],
        put: &Put<'_>,
    ) -> Result<Written, StoreError> {
        self.can(put)?;
        self.inner.commit(key, token, receipts, put).await
    }

    async fn abort(&self, key: &str, token: &[u8]) -> Result<(), StoreError> {
        self.inner.abort(key, token).await
    }

    async fn remove(&self, removals: &[Removal<'_>]) -> Result<Vec<Result<(), StoreError>>, StoreError> {
        let mut answers = self.inner.remove(removals).await?;
        answers.resize_with(removals.len().saturating_add_signed((self.removed)(removals.len())), || Ok(()));
        Ok(answers)
    }
}
