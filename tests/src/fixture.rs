//! The everyday case: a directory, a storage server in this process, and azuring between them.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use azsim::{BlobInfo, Fault, Faults, NameMatch, Operation, Rule, Server, ServerBuilder};
use azuring_bench::workload::{FileFacts, Tree};
use tempfile::TempDir;

use crate::{Azuring, DEVSTORE_ACCOUNT, Outcome, wait_until};

/// The container every fixture starts with.
pub const CONTAINER: &str = "data";

/// All an upload or a download may need.
const PERMISSIONS: &str = "rwdlact";

/// A temp dir, azsim with one empty container, and azuring.
#[derive(Debug)]
pub struct Fixture {
    dir: TempDir,
    server: Server,
    azuring: Azuring,
}

impl Fixture {
    /// azsim over HTTP with blobs in memory. `azuring` is [`azuring!()`](crate::azuring), with any environment set.
    #[must_use]
    pub fn new(azuring: Azuring) -> Self {
        Self::with(azuring, |server| server)
    }

    /// As [`Fixture::new`], with other settings of the server: TLS, faults, another store. Where it speaks TLS, azuring
    /// trusts it.
    ///
    /// # Panics
    /// When the server does not start.
    #[must_use]
    pub fn with(azuring: Azuring, settings: impl FnOnce(ServerBuilder) -> ServerBuilder) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = settings(Server::builder()).start().unwrap();
        assert!(server.create_container(DEVSTORE_ACCOUNT, CONTAINER));
        let mut fixture = Self { dir, server, azuring };
        if let Some(pem) = fixture.server.ca_pem() {
            fs::write(fixture.ca_file(), pem).unwrap();
            fixture.azuring = fixture.azuring.trust(&fixture.dir.path().join(CA_FILE));
        }
        fixture
    }

    /// Lets azuring have at most so many files open from now on.
    #[must_use]
    pub fn limit_files(mut self, files: u64) -> Self {
        self.azuring = self.azuring.limit_files(files);
        self
    }

    /// The temp dir: empty but for the server's `ca.pem`.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The authority that signed the server's certificate; no such file without TLS.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.dir.path().join(CA_FILE)
    }

    /// Writes a file below the temp dir, with its parents, and returns its path.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn file(&self, relative: &str, content: &[u8]) -> PathBuf {
        let path = self.dir.path().join(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// The server: counters, faults, blobs.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Lets `passed` requests of this operation for blobs with `name` in their names through and holds those after
    /// them, until [`Fixture::release`] or other faults: whatever a test does meanwhile, it does in the middle of the
    /// job.
    pub fn hold(&self, operation: Operation, name: &str, passed: u64) {
        let name = NameMatch::Contains(name.to_owned());
        let rule =
            Rule { name, operation: Some(operation), fault: Fault::Hold, skip: passed, count: u64::MAX };
        self.server.set_faults(Faults { rules: vec![rule], ..Faults::default() });
    }

    /// How many requests were held since the server was started.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.server.stats().faults.get("hold").copied().unwrap_or(0)
    }

    /// Waits until so many were.
    ///
    /// # Panics
    /// When they do not come.
    #[track_caller]
    pub fn wait_for_held(&self, requests: u64) {
        wait_until("requests that are held", || self.held() >= requests);
    }

    /// Waits until the server has got so many requests since it was started.
    ///
    /// # Panics
    /// When they do not come.
    #[track_caller]
    pub fn wait_for_requests(&self, requests: u64) {
        wait_until("requests", || self.server.stats().requests >= requests);
    }

    /// Ends all faults: what was held goes on.
    pub fn release(&self) {
        self.server.set_faults(Faults::default());
    }

    /// URL of [`CONTAINER`] with a SAS that is good for an hour.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of(CONTAINER, "")
    }

    /// URL of a blob, or of a container with an empty `blob`, with a SAS; `blob` is already percent-encoded.
    #[must_use]
    pub fn url_of(&self, container: &str, blob: &str) -> String {
        let sas = self.server.account_sas(DEVSTORE_ACCOUNT, PERMISSIONS, Duration::from_secs(3600));
        let slash = if blob.is_empty() { "" } else { "/" };
        format!("{}/{container}{slash}{blob}?{sas}", self.server.url(DEVSTORE_ACCOUNT))
    }

    /// Runs azuring with these arguments.
    #[track_caller]
    pub fn run<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Outcome {
        self.azuring.run(args)
    }

    /// `azuring copy SOURCE CONTAINER-URL --recursive`, with `more` behind it.
    #[track_caller]
    pub fn upload(&self, source: &Path, more: &[&str]) -> Outcome {
        self.run(self.upload_args(source, more))
    }

    /// The arguments of [`Fixture::upload`], for [`Azuring::start`].
    #[must_use]
    pub fn upload_args(&self, source: &Path, more: &[&str]) -> Vec<OsString> {
        let mut args: Vec<OsString> =
            vec!["copy".into(), source.into(), self.url().into(), "--recursive".into()];
        args.extend(more.iter().map(OsString::from));
        args
    }

    /// The program this fixture runs.
    #[must_use]
    pub fn azuring(&self) -> &Azuring {
        &self.azuring
    }

    /// The committed blobs of [`CONTAINER`], in the order of their names.
    #[must_use]
    pub fn blobs(&self) -> Vec<BlobInfo> {
        self.server.blobs(DEVSTORE_ACCOUNT, CONTAINER)
    }

    /// Names of the committed blobs of [`CONTAINER`].
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.blobs().into_iter().map(|blob| blob.name).collect()
    }

    /// The content of a blob of [`CONTAINER`].
    ///
    /// # Panics
    /// When there is none of this name.
    #[must_use]
    #[track_caller]
    pub fn content(&self, name: &str) -> Vec<u8> {
        let content = self.server.content(DEVSTORE_ACCOUNT, CONTAINER, name);
        content.unwrap_or_else(|| panic!("no blob {name:?}; there are {:?}", self.names())).to_vec()
    }

    /// Asserts that [`CONTAINER`] holds exactly `tree`, each name behind `prefix` (`"tree/"`): names, lengths, CRC64.
    ///
    /// # Panics
    /// With the differences.
    #[track_caller]
    pub fn assert_holds(&self, tree: &Tree, prefix: &str) {
        let blobs = self.blobs();
        let there = blobs.iter().map(|blob| (blob.name.clone(), (blob.len, blob.crc64)));
        let expected = tree.files.iter().map(|(name, FileFacts { len_bytes, crc64, .. })| {
            (format!("{prefix}{name}"), (*len_bytes, *crc64))
        });
        let (there, expected): (Entries, Entries) = (there.collect(), expected.collect());
        let missing: Vec<_> =
            expected.iter().filter(|(name, _)| !there.contains_key(*name)).take(10).collect();
        let extra: Vec<_> = there.iter().filter(|(name, _)| !expected.contains_key(*name)).take(10).collect();
        let other: Vec<_> = there
            .iter()
            .filter(|(name, is)| expected.get(*name).is_some_and(|was| was != *is))
            .take(10)
            .collect();
        let same = missing.is_empty() && extra.is_empty() && other.is_empty();
        assert!(same, "missing: {missing:?}\nnot in the source: {extra:?}\nother content: {other:?}");
    }
}

const CA_FILE: &str = "ca.pem";

type Entries = std::collections::BTreeMap<String, (u64, u64)>;
