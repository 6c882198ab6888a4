//! A store of somebody else's, behind one boxed future a call.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use azuring_link::Payload;

use crate::checksum::Crc64;
use crate::error::StoreError;
use crate::facts::Facts;
use crate::listing::{List, Page};
use crate::store::{
    At, Begin, Body, Change, Grant, Put, Read, Reading, Receipt, Removal, Store, There, Token, Written,
};
use crate::traits::Traits;
use crate::which::Which;

/// A future on a lane's thread.
pub type Local<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// A [`Body`] behind a box: the same method, with a boxed future.
pub trait AnyBody {
    /// As [`Body::read`].
    fn read<'a>(&'a mut self, out: &'a mut [u8]) -> Local<'a, Result<usize, StoreError>>;
}

impl<B: Body> AnyBody for B {
    fn read<'a>(&'a mut self, out: &'a mut [u8]) -> Local<'a, Result<usize, StoreError>> {
        Box::pin(Body::read(self, out))
    }
}

/// The bytes of an object of a [`Custom`] store.
pub struct CustomBody(Box<dyn AnyBody>);

impl Body for CustomBody {
    async fn read(&mut self, out: &mut [u8]) -> Result<usize, StoreError> {
        // The box's own trait: a box of a body is a body of its own otherwise.
        AnyBody::read(&mut *self.0, out).await
    }
}

/// Any [`Store`], with boxed futures: 20 ns more a call than without, where a small file costs 17,300.
trait AnyStore {
    fn traits(&self) -> &Traits;
    fn list<'a>(&'a self, list: &'a List<'a>) -> Local<'a, Result<Page, StoreError>>;
    fn stat<'a>(&'a self, key: &'a str, which: Which<'a>) -> Local<'a, Result<Facts, StoreError>>;
    fn read<'a>(
        &'a self,
        key: &'a str,
        read: &'a Read<'a>,
    ) -> Local<'a, Result<Reading<CustomBody>, StoreError>>;
    fn put<'a>(
        &'a self,
        key: &'a str,
        payload: Payload,
        put: &'a Put<'a>,
    ) -> Local<'a, Result<Written, StoreError>>;
    fn begin<'a>(&'a self, key: &'a str, begin: &'a Begin<'a>) -> Local<'a, Result<Token, StoreError>>;
    fn piece<'a>(
        &'a self,
        key: &'a str,
        token: &'a [u8],
        at: At,
        payload: Payload,
        crc64: Option<Crc64>,
    ) -> Local<'a, Result<Receipt, StoreError>>;
    fn pieces<'a>(&'a self, key: &'a str, token: &'a [u8]) -> Local<'a, Result<Vec<There>, StoreError>>;
    fn commit<'a>(
        &'a self,
        key: &'a str,
        token: &'a [u8],
        receipts: &'a [Receipt],
        put: &'a Put<'a>,
    ) -> Local<'a, Result<Written, StoreError>>;
    fn abort<'a>(&'a self, key: &'a str, token: &'a [u8]) -> Local<'a, Result<(), StoreError>>;
    fn copy_from<'a>(
        &'a self,
        key: &'a str,
        from: &'a Grant<'a>,
        put: &'a Put<'a>,
    ) -> Local<'a, Result<Written, StoreError>>;
    fn remove<'a>(&'a self, removals: &'a [Removal<'a>]) -> Local<'a, Removed>;
    fn change<'a>(
        &'a self,
        key: &'a str,
        which: Which<'a>,
        change: &'a Change<'a>,
    ) -> Local<'a, Result<(), StoreError>>;
    fn make(&self) -> Local<'_, Result<(), StoreError>>;
}

type Removed = Result<Vec<Result<(), StoreError>>, StoreError>;

impl<S: Store> AnyStore for S
where
    S::Body: 'static,
{
    fn traits(&self) -> &Traits {
        Store::traits(self)
    }

    fn list<'a>(&'a self, list: &'a List<'a>) -> Local<'a, Result<Page, StoreError>> {
        Box::pin(Store::list(self, list))
    }

    fn stat<'a>(&'a self, key: &'a str, which: Which<'a>) -> Local<'a, Result<Facts, StoreError>> {
        Box::pin(Store::stat(self, key, which))
    }

    fn read<'a>(
        &'a self,
        key: &'a str,
        read: &'a Read<'a>,
    ) -> Local<'a, Result<Reading<CustomBody>, StoreError>> {
        Box::pin(async move {
            let Reading { facts, crc64, body } = Store::read(self, key, read).await?;
            Ok(Reading { facts, crc64, body: CustomBody(Box::new(body)) })
        })
    }

    fn put<'a>(
        &'a self,
        key: &'a str,
        payload: Payload,
        put: &'a Put<'a>,
    ) -> Local<'a, Result<Written, StoreError>> {
        Box::pin(Store::put(self, key, payload, put))
    }

    fn begin<'a>(&'a self, key: &'a str, begin: &'a Begin<'a>) -> Local<'a, Result<Token, StoreError>> {
        Box::pin(Store::begin(self, key, begin))
    }

    fn piece<'a>(
        &'a self,
        key: &'a str,
        token: &'a [u8],
        at: At,
        payload: Payload,
        crc64: Option<Crc64>,
    ) -> Local<'a, Result<Receipt, StoreError>> {
        Box::pin(Store::piece(self, key, token, at, payload, crc64))
    }

    fn pieces<'a>(&'a self, key: &'a str, token: &'a [u8]) -> Local<'a, Result<Vec<There>, StoreError>> {
        Box::pin(Store::pieces(self, key, token))
    }

    fn commit<'a>(
        &'a self,
        key: &'a str,
        token: &'a [u8],
        receipts: &'a [Receipt],
        put: &'a Put<'a>,
    ) -> Local<'a, Result<Written, StoreError>> {
        Box::pin(Store::commit(self, key, token, receipts, put))
    }

    fn abort<'a>(&'a self, key: &'a str, token: &'a [u8]) -> Local<'a, Result<(), StoreError>> {
        Box::pin(Store::abort(self, key, token))
    }

    fn copy_from<'a>(
        &'a self,
        key: &'a str,
        from: &'a Grant<'a>,
        put: &'a Put<'a>,
    ) -> Local<'a, Result<Written, StoreError>> {
        Box::pin(Store::copy_from(self, key, from, put))
    }

    fn remove<'a>(&'a self, removals: &'a [Removal<'a>]) -> Local<'a, Removed> {
        Box::pin(Store::remove(self, removals))
    }

    fn change<'a>(
        &'a self,
        key: &'a str,
        which: Which<'a>,
        change: &'a Change<'a>,
    ) -> Local<'a, Result<(), StoreError>> {
        Box::pin(Store::change(self, key, which, change))
    }

    fn make(&self) -> Local<'_, Result<(), StoreError>> {
        Box::pin(Store::make(self))
    }
}

/// Makes a handle for a lane; called on its thread.
type Open = dyn Fn() -> Custom + Send + Sync;

/// An embedder's own store: what every lane opens for itself.
#[derive(Clone)]
pub struct CustomStore {
    name: String,
    open: Arc<Open>,
}

impl std::fmt::Debug for CustomStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CustomStore").field("name", &self.name).finish_non_exhaustive()
    }
}

impl CustomStore {
    /// A store that all lanes share. `name` stands for its URL in messages, plans and the journal: `memory:photos`. Two
    /// stores of one name are taken for the same place.
    pub fn shared<S: Store + Send + Sync + 'static>(name: impl Into<String>, store: S) -> Self
    where
        S::Body: 'static,
    {
        let store = Arc::new(store);
        Self::opened_by(name, move || Shared(Arc::clone(&store)))
    }

    /// A store that each lane opens for itself, on its thread: connections and the like stay there. It is opened once
    /// more where the job is built, to read its traits.
    pub fn opened_by<S: Store + 'static>(
        name: impl Into<String>,
        open: impl Fn() -> S + Send + Sync + 'static,
    ) -> Self
    where
        S::Body: 'static,
    {
        Self { name: name.into(), open: Arc::new(move || Custom(Rc::new(open()))) }
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Opens it for the calling thread.
    pub fn open(&self) -> Custom {
        (self.open)()
    }
}

/// A store of an embedder as one lane reaches it. Clones are the same handle.
#[derive(Clone)]
pub struct Custom(Rc<dyn AnyStore>);

impl Custom {
    fn inner(&self) -> &dyn AnyStore {
        &*self.0
    }
}

/// Hands every call on to `inner()`, by the methods of this trait.
macro_rules! handed_on {
    ($any:ident) => {
        fn traits(&self) -> &Traits {
            $any::traits(self.inner())
        }

        async fn list(&self, list: &List<'_>) -> Result<Page, StoreError> {
            $any::list(self.inner(), list).await
        }

        async fn stat(&self, key: &str, which: Which<'_>) -> Result<Facts, StoreError> {
            $any::stat(self.inner(), key, which).await
        }

        async fn read(&self, key: &str, read: &Read<'_>) -> Result<Reading<Self::Body>, StoreError> {
            $any::read(self.inner(), key, read).await
        }

        async fn put(&self, key: &str, payload: Payload, put: &Put<'_>) -> Result<Written, StoreError> {
            $any::put(self.inner(), key, payload, put).await
        }

        async fn begin(&self, key: &str, begin: &Begin<'_>) -> Result<Token, StoreError> {
            $any::begin(self.inner(), key, begin).await
        }

        async fn piece(
            &self,
            key: &str,
            token: &[u8],
            at: At,
            payload: Payload,
            crc64: Option<Crc64>,
        ) -> Result<Receipt, StoreError> {
            $any::piece(self.inner(), key, token, at, payload, crc64).await
        }

        async fn pieces(&self, key: &str, token: &[u8]) -> Result<Vec<There>, StoreError> {
            $any::pieces(self.inner(), key, token).await
        }

        async fn commit(
            &self,
            key: &str,
            token: &[u8],
            receipts: &[Receipt],
            put: &Put<'_>,
        ) -> Result<Written, StoreError> {
            $any::commit(self.inner(), key, token, receipts, put).await
        }

        async fn abort(&self, key: &str, token: &[u8]) -> Result<(), StoreError> {
            $any::abort(self.inner(), key, token).await
        }

        async fn copy_from(&self, key: &str, from: &Grant<'_>, put: &Put<'_>) -> Result<Written, StoreError> {
            $any::copy_from(self.inner(), key, from, put).await
        }

        async fn remove(&self, removals: &[Removal<'_>]) -> Result<Vec<Result<(), StoreError>>, StoreError> {
            $any::remove(self.inner(), removals).await
        }

        async fn change(&self, key: &str, which: Which<'_>, change: &Change<'_>) -> Result<(), StoreError> {
            $any::change(self.inner(), key, which, change).await
        }

        async fn make(&self) -> Result<(), StoreError> {
            $any::make(self.inner()).await
        }
    };
}

impl Store for Custom {
    type Body = CustomBody;

    handed_on!(AnyStore);
}

/// One store for all lanes.
struct Shared<S>(Arc<S>);

impl<S> Shared<S> {
    fn inner(&self) -> &S {
        &self.0
    }
}

impl<S: Store> Store for Shared<S> {
    type Body = S::Body;

    handed_on!(Store);
}
