//! Streams of unknown length become blobs.
#![allow(clippy::unwrap_used)]

use std::io::{self, Read};
use std::sync::Arc;

use azsim::{DEVSTORE_KEY, Fault, Faults, NameMatch, Operation, Rule, Seed, Server};
use azuring_azure::{AccountKey, Secret};
use azuring_transfer::{
    BlobTypeChoice, BlobUrl, BlockRules, CommandError, Credential, DEVSTORE_ACCOUNT, FailureKind, JobOptions,
    Overwrite, Report, StopHandle, upload_from,
};
use md5::{Digest, Md5};

const MIB: usize = 1 << 20;

fn server() -> Server {
    // As the service computes it of what comes in one request.
    let server = Server::builder().threads(1).always_md5(true).start().unwrap();
    server.create_container(DEVSTORE_ACCOUNT, "cont");
    server
}

fn send(
    server: &Server,
    name: &str,
    input: impl Read + Send + 'static,
    options: &JobOptions,
    stop: &StopHandle,
) -> Result<Report, CommandError> {
    let url = BlobUrl::parse(&format!("{}/cont/{name}", server.url(DEVSTORE_ACCOUNT))).unwrap();
    let key = AccountKey::new(DEVSTORE_ACCOUNT, &Secret::new(DEVSTORE_KEY)).unwrap();
    upload_from(input, &url, &Credential::SharedKey(Box::new(key)), options, stop)
}

fn noise(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    fastrand::Rng::with_seed(3).fill(&mut bytes);
    bytes
}

fn blocks_of(size: usize) -> JobOptions {
    let blocks = BlockRules::default().block_size(Some(size as u64));
    JobOptions::default().blocks(blocks)
}

/// Gives a few bytes at a time, as pipes do.
struct Trickle(io::Cursor<Vec<u8>>);

impl Read for Trickle {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let most = out.len().min(7001);
        self.0.read(&mut out[..most])
    }
}

#[test]
fn a_stream_becomes_one_request_or_as_many_blocks_as_it_needs() {
    let size = 300_000;
    for (len, blocks) in [(0, 0), (1, 0), (size, 0), (size + 1, 2), (3 * size, 3), (3 * size + 5, 4)] {
        let server = server();
        let bytes = noise(len);
        let options = blocks_of(size).put_md5(true);
        let report =
            send(&server, "x", Trickle(io::Cursor::new(bytes.clone())), &options, &StopHandle::new())
                .unwrap();
        let blobs = server.blobs(DEVSTORE_ACCOUNT, "cont");
        assert_eq!(server.content(DEVSTORE_ACCOUNT, "cont", "x").unwrap(), bytes, "{len}");
        assert_eq!((blobs.len(), blobs[0].blocks.len()), (1, blocks), "{len}");
        assert_eq!(blobs[0].content_md5, Some(Md5::digest(&bytes).into()));
        let requests = if blocks == 0 { 1 } else { blocks as u64 + 1 };
        assert_eq!((report.counts.done, report.counts.bytes), (1, len as u64));
        assert_eq!((report.counts.requests, server.stats().requests), (requests, requests));
    }
}

#[test]
fn an_append_blob_grows_in_order_also_when_an_answer_is_lost() {
    let server = server();
    let lost = Rule {
        name: NameMatch::Exact("log".to_owned()),
        operation: Some(Operation::AppendBlock),
        fault: Fault::CutHeaders,
        skip: 1,
        count: 1,
    };
    server.set_faults(Faults { rules: vec![lost], ..Faults::default() });
    let bytes = noise(5 * MIB + 3);
    let options = blocks_of(MIB).blob_type(BlobTypeChoice::Append);
    send(&server, "log", io::Cursor::new(bytes.clone()), &options, &StopHandle::new()).unwrap();
    let blobs = server.blobs(DEVSTORE_ACCOUNT, "cont");
    assert_eq!((blobs[0].blob_type.as_str(), blobs[0].blocks.len()), ("AppendBlob", 6));
    assert_eq!(server.content(DEVSTORE_ACCOUNT, "cont", "log").unwrap(), bytes);
}

/// Breaks after some bytes, or stops the job and goes on for ever.
struct Ends {
    left: usize,
    stop: Option<StopHandle>,
}

impl Read for Ends {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = out.len().min(self.left);
        self.left -= n;
        match (n, &self.stop) {
            (0, None) => Err(io::Error::other("the pipe burst")),
            (0, Some(stop)) => {
                stop.stop();
                std::thread::park();
                Ok(0)
            }
            _ => Ok(n),
        }
    }
}

#[test]
fn what_breaks_off_or_is_stopped_leaves_nothing() {
    for blob_type in [BlobTypeChoice::Detect, BlobTypeChoice::Append] {
        for left in [10, 3 * MIB + 10] {
            let server = server();
            let options = blocks_of(MIB).blob_type(blob_type);
            let error =
                send(&server, "x", Ends { left, stop: None }, &options, &StopHandle::new()).unwrap_err();
            assert_eq!(error.to_string(), "reading the input: the pipe burst");
            let stop = StopHandle::new();
            let error =
                send(&server, "x", Ends { left, stop: Some(stop.clone()) }, &options, &stop).unwrap_err();
            assert_eq!(error.kind(), FailureKind::Interrupted);
            assert_eq!(server.blobs(DEVSTORE_ACCOUNT, "cont"), []);
        }
    }
}

#[test]
fn what_is_there_stays_if_that_is_wanted() {
    let server = server();
    let text = |text: &'static str| io::Cursor::new(text.as_bytes());
    let options = JobOptions::default().overwrite(Overwrite::Never);
    assert_eq!(send(&server, "x", text("one"), &options, &StopHandle::new()).unwrap().counts.done, 1);
    let report = send(&server, "x", text("two"), &options, &StopHandle::new()).unwrap();
    assert_eq!((report.counts.done, report.counts.skipped_existing), (0, 1));
    assert_eq!(server.content(DEVSTORE_ACCOUNT, "cont", "x").unwrap(), "one");
}

#[test]
fn pages_and_nameless_blobs_are_refused() {
    let server = server();
    let page = JobOptions::default().blob_type(BlobTypeChoice::Page);
    let error = send(&server, "x", io::empty(), &page, &StopHandle::new()).unwrap_err();
    assert_eq!(error.kind(), FailureKind::Usage);
    let error = send(&server, "", io::empty(), &JobOptions::default(), &StopHandle::new()).unwrap_err();
    assert_eq!(error.to_string(), "the blob name is empty");
    assert_eq!(server.stats().requests, 0);
}

/// Somebody else makes the blob before the stream has ended.
struct Overtaken {
    server: Arc<Server>,
    input: io::Cursor<Vec<u8>>,
}

impl Read for Overtaken {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let content = vec![vec![7; self.input.get_ref().len()].into()];
        self.server.plant(DEVSTORE_ACCOUNT, "cont", [Seed { name: "x".into(), content, ..Seed::default() }]);
        self.input.read(out)
    }
}

#[test]
fn a_blob_that_is_new_is_told_from_one_that_somebody_else_made() {
    let shapes = [
        (BlobTypeChoice::Detect, 10, Operation::PutBlob),
        (BlobTypeChoice::Detect, 3 * MIB + 10, Operation::PutBlockList),
        (BlobTypeChoice::Append, 10, Operation::PutBlob),
    ];
    for (blob_type, len, operation) in shapes {
        let strike = |server: &Server, fault| {
            let name = NameMatch::Exact("x".to_owned());
            let rules = vec![Rule { name, operation: Some(operation), fault, skip: 0, count: 1 }];
            server.set_faults(Faults { rules, ..Faults::default() });
        };
        let options = blocks_of(MIB).blob_type(blob_type).overwrite(Overwrite::Never);
        let bytes = noise(len);
        let server = Arc::new(server());
        strike(&server, Fault::CutHeaders);
        let input = io::Cursor::new(bytes.clone());
        let counts = send(&server, "x", input, &options, &StopHandle::new()).unwrap().counts;
        assert_eq!((counts.done, counts.skipped_existing, counts.retries), (1, 0, 1), "{operation:?}");
        assert_eq!(server.content(DEVSTORE_ACCOUNT, "cont", "x").unwrap(), bytes);

        // As long as the stream, and the service was busy once: it is another one all the same.
        let server = Arc::new(self::server());
        strike(&server, Fault::error(503, "ServerBusy"));
        let input = Overtaken { server: Arc::clone(&server), input: io::Cursor::new(bytes) };
        let counts = send(&server, "x", input, &options, &StopHandle::new()).unwrap().counts;
        assert_eq!((counts.done, counts.skipped_existing, counts.retries), (0, 1, 1), "{operation:?}");
        assert_eq!(server.content(DEVSTORE_ACCOUNT, "cont", "x").unwrap(), vec![7; len]);
    }
}
