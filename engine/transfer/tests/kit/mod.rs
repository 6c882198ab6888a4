//! A server with a container, and a directory on a disk.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;
use std::path::Path;

use azsim::{Seed, Server, ServerBuilder};
use azuring_transfer::{
    BlobUrl, Credential, DEVSTORE_ACCOUNT, Event, Job, JobBuilder, JobOptions, Report, StopHandle,
};

/// Bytes that differ everywhere, so that a piece in the wrong place shows.
pub(crate) fn bytes(len: usize) -> Vec<u8> {
    (0..len as u64)
        .flat_map(|i| (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56).to_le_bytes()[..1].to_vec())
        .collect()
}

pub(crate) fn text(name: &str, content: &str) -> Seed {
    Seed { name: name.to_owned(), content: vec![content.to_owned().into()], ..Seed::default() }
}

/// A server, a container, and a directory.
pub(crate) struct Bench {
    pub(crate) server: Server,
    pub(crate) dir: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(|server| server)
    }

    /// With other settings of the server.
    pub(crate) fn with(set: impl FnOnce(ServerBuilder) -> ServerBuilder) -> Self {
        let server = set(Server::builder().threads(1)).start().unwrap();
        server.create_container(DEVSTORE_ACCOUNT, "cont");
        // On the disk that holds the build: large files are to go around a page cache.
        Self { server, dir: tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap() }
    }

    pub(crate) fn url(&self, path: &str) -> BlobUrl {
        BlobUrl::parse(&format!("{}/cont{path}", self.server.url(DEVSTORE_ACCOUNT))).unwrap()
    }

    pub(crate) fn upload(&self, tree: &Path) {
        let url = self.url("");
        let credential = Credential::find(&url, |_| None).unwrap();
        let job = Job::upload(tree.join("*"), url, credential).recursive(true).build().unwrap();
        let report = job.run(&StopHandle::new(), |_| {});
        assert_eq!((report.counts.failed, report.counts.problems), (0, 0));
    }

    pub(crate) fn download(&self, path: &str, to: &Path, options: JobOptions) -> (Report, Vec<Event>) {
        self.download_with(path, to, |job| job.recursive(true).options(options))
    }

    pub(crate) fn download_with(
        &self,
        path: &str,
        to: &Path,
        set: impl FnOnce(JobBuilder) -> JobBuilder,
    ) -> (Report, Vec<Event>) {
        let url = self.url(path);
        let credential = Credential::find(&url, |_| None).unwrap();
        self.run_download(set(Job::download(url, credential, to)).build().unwrap())
    }

    pub(crate) fn run_download(&self, job: Job) -> (Report, Vec<Event>) {
        let mut events = Vec::new();
        let report = job.run(&StopHandle::new(), |event| events.push(event));
        (report, events)
    }
}

/// All files below `root` with their bytes.
pub(crate) fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut stack = vec![root.to_owned()];
    while let Some(dir) = stack.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.is_symlink() {
                stack.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                all.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    all
}
