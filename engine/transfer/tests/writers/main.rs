//! Who writes to a blob at the same time, what an answer that is lost leaves open, and what is taken back.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[allow(unused_imports, reason = "this file uses a part of it")]
#[path = "../../../../tests/src/hostile/mod.rs"]
mod hostile;
#[path = "../kit/mod.rs"]
mod kit;

mod compared;
mod held;
mod in_the_way;
mod killed;
mod lost;
mod replaced;

use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use azsim::{Operation, Seed};
use azuring_transfer::{
    BlobTypeChoice, BlobUrl, BlockRules, CheckLength, Clock, Credential, DEVSTORE_ACCOUNT, Event, Failure,
    FailureKind, Job, JobBuilder, JobOptions, Jobs, Limits, Overwrite, Report, RetryPolicy, StopHandle,
    upload_from,
};
use hostile::{Answer, End, Gate, Hostile, Rule};
use kit::{Bench, bytes};

const PIECE: usize = 100 << 10;

fn options() -> JobOptions {
    JobOptions::default()
        .blocks(BlockRules::default().block_size(Some(PIECE as u64)).put_blob_size(Some(PIECE as u64)))
        .limits(Limits::here().lanes(2))
        .retry(RetryPolicy::default().max_tries(3).first_pause(Duration::from_millis(1)))
}

fn of_type(blob_type: BlobTypeChoice) -> JobOptions {
    options().blob_type(blob_type)
}

/// A server, a file, and what stands between azuring and the server.
struct Scene {
    bench: Arc<Bench>,
    hostile: Hostile,
    file: PathBuf,
}

/// Another writer, who is answered by the server itself.
#[derive(Clone)]
struct Other(Arc<Bench>);

impl Other {
    /// Puts a block blob in the place of whatever is there.
    fn replaces(&self, content: &[u8]) {
        let content = vec![content.to_vec().into()];
        self.0.server.plant(
            DEVSTORE_ACCOUNT,
            "cont",
            vec![Seed { name: "x".to_owned(), content, ..Seed::default() }],
        );
    }

    /// A request about the blob, with these headers and this body; its status.
    fn asks(&self, method: &str, query: &str, headers: &str, body: &[u8]) -> u16 {
        let sas = self.0.server.account_sas(DEVSTORE_ACCOUNT, "rwdlac", Duration::from_secs(600));
        let and = if query.is_empty() { "" } else { "&" };
        let mut socket = std::net::TcpStream::connect(self.0.server.addr()).unwrap();
        write!(
            socket,
            "{method} /{DEVSTORE_ACCOUNT}/cont/x?{query}{and}{sas} HTTP/1.1\r\nhost: h\r\nx-ms-version: 2024-11-04\r\n\
             connection: close\r\ncontent-length: {}\r\n{headers}\r\n",
            body.len()
        )
        .unwrap();
        socket.write_all(body).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    }

    fn breaks_the_lease(&self) {
        let headers = "x-ms-lease-action: break\r\nx-ms-lease-break-period: 0\r\n";
        assert_eq!(self.asks("PUT", "comp=lease", headers, b""), 202);
    }

    fn appends(&self, line: &[u8]) -> u16 {
        self.asks("PUT", "comp=appendblock", "", line)
    }
}

impl Scene {
    fn new(len: usize, rules: Vec<Rule>) -> Self {
        let bench = Arc::new(Bench::new());
        let file = bench.dir.path().join("x");
        std::fs::write(&file, bytes(len)).unwrap();
        let hostile = Hostile::before(bench.server.addr(), rules);
        Self { bench, hostile, file }
    }

    fn other(&self) -> Other {
        Other(Arc::clone(&self.bench))
    }

    fn url(&self, path: &str) -> BlobUrl {
        let url = format!("{}/cont{path}", self.bench.server.url(DEVSTORE_ACCOUNT));
        BlobUrl::parse(&self.hostile.via(&url)).unwrap()
    }

    fn job(&self) -> JobBuilder {
        upload(&self.file, self.url("/x"))
    }

    /// Uploads the file as the blob `x`.
    fn upload(&self, options: JobOptions) -> Ran {
        run(self.job().options(options))
    }

    /// Pipes these bytes into the blob `x`.
    fn pipe(&self, input: Vec<u8>, options: &JobOptions) -> Result<Report, String> {
        self.pipe_from(std::io::Cursor::new(input), options)
    }

    /// Pipes what this gives into the blob `x`.
    fn pipe_from(
        &self,
        input: impl std::io::Read + Send + 'static,
        options: &JobOptions,
    ) -> Result<Report, String> {
        let url = self.url("/x");
        let credential = Credential::find(&url, |_| None).unwrap();
        upload_from(input, &url, &credential, options, &StopHandle::new()).map_err(|error| error.to_string())
    }

    fn content(&self) -> Option<Vec<u8>> {
        self.bench.server.content(DEVSTORE_ACCOUNT, "cont", "x").map(|content| content.to_vec())
    }

    /// The server's own account of the blob.
    fn blob(&self) -> azsim::BlobInfo {
        self.bench.server.blobs(DEVSTORE_ACCOUNT, "cont").remove(0)
    }

    /// How often a lease was renewed so far.
    fn renewals(&self) -> usize {
        renewals(&self.hostile)
    }

    fn count(&self, operation: Operation) -> u64 {
        self.bench.server.stats().by_operation.get(&operation).copied().unwrap_or_default()
    }
}

/// Waits for what comes within a minute or never.
fn wait_until(seen: impl Fn() -> bool) {
    let until = std::time::Instant::now() + Duration::from_secs(60);
    while !seen() {
        assert!(std::time::Instant::now() < until, "it has not come");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn upload(file: &std::path::Path, url: BlobUrl) -> JobBuilder {
    let credential = Credential::find(&url, |_| None).unwrap();
    Job::upload(file, url, credential)
}

fn renewals(hostile: &Hostile) -> usize {
    let is_renewal = |request: &&hostile::Received| request.header("x-ms-lease-action") == Some("renew");
    hostile.requests_of("PUT", "x").iter().filter(is_renewal).count()
}

/// How a job ended, and what failed.
type Ran = (Report, Vec<Failure>);

fn run(job: JobBuilder) -> Ran {
    let mut failures = Vec::new();
    let report = job.build().unwrap().run(&StopHandle::new(), |event| {
        if let Event::Failed(failure) = event {
            failures.push(failure);
        }
    });
    (report, failures)
}

fn counts(report: &Report) -> (u64, u64, u64) {
    (report.counts.done, report.counts.failed, report.counts.skipped_existing)
}

/// What a gateway says that gave up on what the service has done.
fn lost() -> [Answer; 3] {
    [
        Answer::status(503).body("busy").after_it_was_done(),
        Answer::status(500).after_it_was_done(),
        Answer::passed().cut_after(5).end(End::Reset),
    ]
}
