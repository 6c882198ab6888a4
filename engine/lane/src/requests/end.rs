//! The remote end of a job: where it is, and who the job is there.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use azuring_azure::{BlobClient, BlobProperties, Credential, Target, Which};
use azuring_link::{Links, Pacer};
use azuring_plan::name::{encode_path_for_people, stored_as};
use azuring_plan::place::NameRules;
use azuring_ring::{IoPath, LaneRuntime};
use azuring_store::{ContentFacts, CustomStore, Store, Traits};

use super::client::{Client, Own};

/// The remote end of a job.
#[derive(Clone)]
pub enum End {
    /// A container of Blob storage.
    Blob(Box<Target>),
    /// Somebody's own store.
    Own(OwnEnd),
}

/// Somebody's own store as the end of a job.
#[derive(Clone, Debug)]
pub struct OwnEnd {
    store: CustomStore,
    traits: Box<Traits>,
    content: ContentFacts,
    metadata: Vec<(String, String)>,
}

impl OwnEnd {
    /// `store`, where all objects are given these properties. It is opened once, to ask what it can do.
    ///
    /// # Errors
    /// What it says of itself cannot be.
    pub fn new(store: CustomStore, properties: &BlobProperties) -> Result<Self, String> {
        let traits = Box::new(traits_of(&store)?);
        traits.check().map_err(|reason| format!("{}: {reason}", store.name()))?;
        let content = ContentFacts::default()
            .encoding(properties.content_encoding.clone())
            .language(properties.content_language.clone())
            .disposition(properties.content_disposition.clone())
            .cache_control(properties.cache_control.clone());
        Ok(Self { store, traits, content, metadata: properties.metadata.clone() })
    }

    /// What it can do.
    pub fn traits(&self) -> &Traits {
        &self.traits
    }
}

/// What a store can do. It may be opened on the thread of a lane alone, where there is a runtime; the calling one may
/// be that of another runtime.
fn traits_of(store: &CustomStore) -> Result<Traits, String> {
    let ask = || {
        let runtime = LaneRuntime::new(&IoPath::Threads { reason: String::new() })?;
        Ok(runtime.block_on(async { store.open().traits().clone() }))
    };
    let asked: std::io::Result<Traits> = std::thread::scope(|scope| match scope.spawn(ask).join() {
        Ok(asked) => asked,
        Err(panic) => std::panic::resume_unwind(panic),
    });
    asked.map_err(|error| format!("{}: it cannot be opened: {error}", store.name()))
}

impl End {
    /// A client for the calling thread; `links` makes the links of Blob storage, `bounds` are those of others: bytes
    /// per second, and how long one may say nothing.
    pub(super) fn client(
        &self,
        links: impl FnOnce(&Target) -> Links,
        bounds: (Option<Arc<Pacer>>, Duration),
    ) -> Client {
        match self {
            Self::Blob(target) => Client::Blob(BlobClient::new(Rc::new((**target).clone()), links(target))),
            Self::Own(OwnEnd { store, content, metadata, .. }) => {
                Client::Own(Rc::new(Own::new(store.open(), bounds, content.clone(), metadata.clone())))
            }
        }
    }

    /// The target of Blob storage, if it is that.
    pub fn target(&self) -> Option<&Target> {
        match self {
            Self::Blob(target) => Some(target),
            Self::Own(_) => None,
        }
    }

    /// What authorizes the requests.
    pub fn credential(&self) -> &Credential {
        match self {
            Self::Blob(target) => target.credential(),
            Self::Own(_) => &Credential::Anonymous,
        }
    }

    /// The other name under which it would keep this one, if it would.
    pub fn takes_for(&self, name: &str) -> Option<String> {
        match self {
            Self::Blob(target) => target.url().takes_for(name).map(Into::into),
            Self::Own(own) => {
                let stored = Some(stored_as(name)).filter(|_| own.traits.names == NameRules::Azure)?;
                (stored != name).then(|| stored.into())
            }
        }
    }

    /// Whether it compares the checksums of what it is sent, as far as that is known before anything was sent.
    pub(super) fn compares_crc64(&self) -> bool {
        match self {
            Self::Blob(_) => true,
            Self::Own(own) => own.traits.checksums.crc64_in,
        }
    }

    /// The name of the container.
    pub fn container(&self) -> &str {
        match self {
            Self::Blob(target) => target.url().container(),
            Self::Own(own) => own.store.name(),
        }
    }

    /// Where an object is, without what authorizes.
    pub fn url_of(&self, name: &str) -> String {
        let container = match self {
            Self::Blob(target) => target.url().container_url(),
            Self::Own(own) => own.store.name().to_owned(),
        };
        let mut url = String::with_capacity(container.len() + 1 + name.len() + 16);
        url.push_str(&container);
        url.push('/');
        encode_path_for_people(name, &mut url);
        url
    }

    /// Which state of an object the URL names.
    pub fn which(&self) -> Which<'_> {
        self.target().map_or(Which::default(), |target| target.url().which())
    }

    /// Whether the URL names a snapshot or version.
    pub fn names_state(&self) -> bool {
        self.target().is_some_and(|target| target.url().names_state())
    }
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Blob(target) => target.url().fmt(f),
            Self::Own(own) => f.write_str(own.store.name()),
        }
    }
}
