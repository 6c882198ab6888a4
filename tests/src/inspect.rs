//! A client that is not ours: `@azure/storage-blob` in Node, driven by `peers/inspect.mjs`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::node;

/// A blob as Microsoft's client lists and reads it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RemoteBlob {
    /// The full name in the container, decoded.
    pub name: String,
    /// Bytes the download gave.
    pub length: u64,
    /// Bytes the listing promised.
    pub listed_length: u64,
    /// SHA-256 of the bytes the download gave, in lower-case hex.
    pub sha256: String,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Content-Encoding`.
    pub content_encoding: Option<String>,
    /// `Content-Language`.
    pub content_language: Option<String>,
    /// `Content-Disposition`.
    pub content_disposition: Option<String>,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// Stored MD5 in base64.
    pub content_md5: Option<String>,
    /// Access tier.
    pub tier: Option<String>,
    /// Metadata as the download's headers gave it (names in lower case).
    pub metadata: BTreeMap<String, String>,
    /// Metadata as the listing gave it.
    pub listed_metadata: BTreeMap<String, String>,
    /// Index tags.
    pub tags: BTreeMap<String, String>,
}

/// What a SAS shall allow.
#[derive(Clone, Debug)]
pub struct SasSpec {
    /// Only this container; `None` for the whole account.
    pub container: Option<String>,
    /// Letters as in `sp=`: `rwdlactf`...
    pub permissions: String,
    /// From now to its end; zero gives one that has expired.
    pub valid_for: Duration,
}

/// Microsoft's client for one account of one service.
#[derive(Clone, Debug)]
pub struct BlobClient {
    service: String,
    account: String,
    key: String,
    ca: Option<PathBuf>,
}

impl BlobClient {
    /// A client for the account at `service` (`http://127.0.0.1:PORT/ACCOUNT`) that trusts `ca` besides the usual
    /// authorities.
    #[must_use]
    pub fn new(service: &str, account: &str, key: &str, ca: Option<&Path>) -> Self {
        let [service, account, key] = [service, account, key].map(str::to_owned);
        Self { service, account, key, ca: ca.map(Path::to_owned) }
    }

    /// Makes a container and returns its URL, without a SAS.
    ///
    /// # Panics
    /// As every call here: with what Microsoft's client says when it fails.
    pub fn create_container(&self, container: &str) -> String {
        let _: Vec<Value> = self.ask(json!({ "action": "createContainer", "container": container }));
        format!("{}/{container}", self.service)
    }

    /// Every blob of a container by its name, each downloaded and digested.
    ///
    /// # Panics
    /// When Microsoft's client fails, or lists a name twice.
    #[must_use]
    pub fn blobs(&self, container: &str) -> BTreeMap<String, RemoteBlob> {
        let blobs: Vec<RemoteBlob> = self.ask(json!({ "action": "blobs", "container": container }));
        let count = blobs.len();
        let by_name: BTreeMap<_, _> = blobs.into_iter().map(|blob| (blob.name.clone(), blob)).collect();
        assert_eq!(by_name.len(), count, "a name was listed twice");
        by_name
    }

    /// Writes a blob.
    ///
    /// # Panics
    /// When Microsoft's client fails.
    pub fn put(&self, container: &str, name: &str, content: &[u8]) {
        let base64 = BASE64_STANDARD.encode(content);
        let _: Vec<Value> =
            self.ask(json!({ "action": "put", "container": container, "name": name, "base64": base64 }));
    }

    /// A SAS as it stands behind the `?` of a URL.
    ///
    /// # Panics
    /// When Microsoft's client fails.
    #[must_use]
    pub fn sas(&self, spec: &SasSpec) -> String {
        #[derive(Deserialize)]
        struct Answer {
            sas: String,
        }
        let answers: Vec<Answer> = self.ask(json!({
            "action": "sas",
            "container": spec.container,
            "permissions": spec.permissions,
            "seconds": spec.valid_for.as_secs(),
        }));
        answers.into_iter().next().expect("one answer").sas
    }

    /// The container's URL with a SAS for an hour that allows everything an upload, a download or a listing needs.
    ///
    /// # Panics
    /// When Microsoft's client fails.
    #[must_use]
    pub fn container_url_with_sas(&self, container: &str) -> String {
        let sas = self.sas(&SasSpec {
            container: Some(container.to_owned()),
            permissions: "racwdlt".to_owned(),
            valid_for: Duration::from_secs(3600),
        });
        format!("{}/{container}?{sas}", self.service)
    }

    fn ask<T: DeserializeOwned>(&self, mut request: Value) -> Vec<T> {
        for (name, value) in [("service", &self.service), ("account", &self.account), ("key", &self.key)] {
            request[name] = Value::from(value.as_str());
        }
        node::ask("inspect.mjs", &request, self.ca.as_deref())
    }
}
