//! Options of uploads through the public API, on a real server.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use azsim::{BlobInfo, Fault, Faults, NameMatch, Operation, Rule, Seed, Server, ServerBuilder, Tls};
use azuring_azure::{Cpk, Secret};
use azuring_transfer::{
    BlobProperties, BlobTypeChoice, BlobUrl, BlockRules, CheckLength, Credential, DEVSTORE_ACCOUNT,
    Encryption, Event, Failure, Job, JobOptions, Limits, ListOfFiles, Overwrite, PosixStyle, Report,
    RetryPolicy, SkippedKind, StopHandle, Symlinks,
};
use md5::{Digest, Md5};
use tempfile::TempDir;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

struct Bench {
    server: Server,
    dir: TempDir,
}

/// How a job ended, and what it told.
struct Ran {
    report: Report,
    failures: Vec<Failure>,
    skipped: Vec<(String, SkippedKind)>,
}

impl Bench {
    fn new() -> Self {
        Self::with(Server::builder().threads(1))
    }

    fn with(server: ServerBuilder) -> Self {
        let server = server.start().unwrap();
        server.create_container(DEVSTORE_ACCOUNT, "cont");
        Self { server, dir: tempfile::tempdir().unwrap() }
    }

    fn file(&self, name: &str, content: &[u8]) -> &Self {
        std::fs::write(self.dir.path().join(name), content).unwrap();
        self
    }

    fn plant(&self, name: &str, content: &str, modified_s: Option<u64>) {
        let seed = Seed {
            name: name.to_owned(),
            content: vec![content.to_owned().into()],
            modified_s,
            ..Seed::default()
        };
        self.server.plant(DEVSTORE_ACCOUNT, "cont", [seed]);
    }

    fn url(&self) -> BlobUrl {
        BlobUrl::parse(&format!("{}/cont", self.server.url(DEVSTORE_ACCOUNT))).unwrap()
    }

    /// Uploads everything in the directory.
    fn upload(&self, options: JobOptions) -> Ran {
        self.upload_asking(options, |_| unreachable!("nothing is asked"))
    }

    fn upload_asking(&self, options: JobOptions, ask: impl FnMut(&str) -> bool + Send + 'static) -> Ran {
        let credential = Credential::find(&self.url(), |_| None).unwrap();
        let job = Job::upload(self.dir.path(), self.url(), credential).recursive(true).as_subdir(false);
        let (mut failures, mut skipped) = (Vec::new(), Vec::new());
        let job = job.options(options).build().unwrap().asking(ask);
        let report = job.run(&StopHandle::new(), |event| match event {
            Event::Failed(failure) => failures.push(failure),
            Event::Skipped { transfer, kind, .. } => skipped.push((transfer.object, kind)),
            _ => {}
        });
        Ran { report, failures, skipped }
    }

    fn blobs(&self) -> BTreeMap<String, BlobInfo> {
        let blobs = self.server.blobs(DEVSTORE_ACCOUNT, "cont");
        blobs.into_iter().map(|blob| (blob.name.clone(), blob)).collect()
    }

    fn content(&self, name: &str) -> Vec<u8> {
        self.server.content(DEVSTORE_ACCOUNT, "cont", name).unwrap().to_vec()
    }

    fn requests(&self) -> BTreeMap<Operation, u64> {
        self.server.stats().by_operation
    }

    fn strike(&self, name: &str, operation: Operation, fault: Fault, skip: u64, count: u64) {
        let name = NameMatch::Exact(name.to_owned());
        let rules = vec![Rule { name, operation: Some(operation), fault, skip, count }];
        self.server.set_faults(Faults { rules, ..Faults::default() });
    }
}

fn options() -> JobOptions {
    JobOptions::default()
        .limits(Limits::here().memory_bytes(128 << 20).concurrency(16).lanes(2))
        .retry(RetryPolicy::default().first_pause(Duration::from_millis(1)))
}

fn blocks_of(size: usize) -> BlockRules {
    BlockRules::default().block_size(Some(size as u64))
}

fn noise(len: usize) -> Vec<u8> {
    (0..len as u64).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

fn md5(bytes: &[u8]) -> Option<[u8; 16]> {
    Some(Md5::digest(bytes).into())
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[test]
fn what_is_there_is_kept_and_small_files_cost_no_question() {
    let bench = Bench::new();
    let large = noise(200 * KIB);
    bench.file("new", b"1").file("old", b"2").file("large new", &large).file("large old", &large);
    bench.plant("old", "was here", None);
    bench.plant("large old", "was here too", None);
    let ran = bench.upload(options().overwrite(Overwrite::Never));
    assert_eq!((ran.report.counts.done, ran.report.counts.skipped_existing), (2, 2));
    let mut skipped = ran.skipped;
    skipped.sort_by(|a, b| a.0.cmp(&b.0));
    let exists = SkippedKind::Exists;
    assert_eq!(skipped, [("large old".to_owned(), exists), ("old".to_owned(), exists)]);
    assert_eq!((bench.content("new"), bench.content("old")), (b"1".to_vec(), b"was here".to_vec()));
    assert_eq!((bench.content("large new"), bench.content("large old")), (large, b"was here too".to_vec()));
    let want = BTreeMap::from([(Operation::PutBlob, 3), (Operation::GetBlobProperties, 2)]);
    assert_eq!(bench.requests(), want);
}

#[test]
fn an_answer_that_was_lost_is_no_blob_of_somebody_else() {
    let bench = Bench::new();
    let large = noise(MIB);
    bench.file("large", &large);
    bench.strike("large", Operation::PutBlockList, Fault::CutHeaders, 0, 1);
    let options = options().overwrite(Overwrite::Never).blocks(blocks_of(300 * KIB));
    let ran = bench.upload(options);
    assert_eq!((ran.report.counts.done, ran.skipped.len(), ran.failures.len()), (1, 0, 0));
    assert_eq!(bench.content("large"), large);
}

#[test]
fn a_blob_is_replaced_when_the_file_is_newer() {
    let bench = Bench::new();
    bench.file("same", b"new").file("newer", b"new").file("none", b"new");
    let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    for (name, since) in [("same", Duration::ZERO), ("newer", Duration::from_nanos(1))] {
        let file = std::fs::File::options().write(true).open(bench.dir.path().join(name)).unwrap();
        file.set_modified(modified + since).unwrap();
        bench.plant(name, "old", Some(1_700_000_000));
    }
    let ran = bench.upload(options().overwrite(Overwrite::IfSourceNewer));
    assert_eq!(ran.skipped, [("same".to_owned(), SkippedKind::NotNewer)]);
    assert_eq!(ran.report.counts.done, 2);
    assert_eq!(["same", "newer", "none"].map(|name| bench.content(name)), [&b"old"[..], b"new", b"new"]);
}

#[test]
fn whoever_runs_the_job_is_asked_for_what_is_there() {
    let bench = Bench::new();
    bench.file("no", b"new").file("yes", b"new").file("none", b"new");
    bench.plant("no", "old", None);
    bench.plant("yes", "old", None);
    let asked = Arc::new(Mutex::new(Vec::new()));
    let theirs = Arc::clone(&asked);
    let ask = move |url: &str| {
        theirs.lock().unwrap().push(url.to_owned());
        url.ends_with("/yes")
    };
    bench.upload_asking(options().overwrite(Overwrite::Ask), ask);
    let mut asked = asked.lock().unwrap().clone();
    asked.sort();
    assert_eq!(asked, ["no", "yes"].map(|name| format!("{}/{name}", bench.url())));
    assert_eq!(["no", "yes", "none"].map(|name| bench.content(name)), [&b"old"[..], b"new", b"new"]);
}

#[test]
fn every_shape_of_blob_gets_its_md5() {
    for blob_type in [BlobTypeChoice::Block, BlobTypeChoice::Page, BlobTypeChoice::Append] {
        let bench = Bench::new();
        let lengths = [0, 512, 65_536, 2 * MIB, 5 * MIB];
        for len in lengths {
            bench.file(&len.to_string(), &noise(len));
        }
        let blocks = BlockRules::default().block_size(Some(MIB as u64)).put_blob_size(Some(2 * MIB as u64));
        let ran = bench.upload(options().put_md5(true).blob_type(blob_type).blocks(blocks));
        assert_eq!(ran.failures, []);
        let blobs = bench.blobs();
        for len in lengths {
            let (blob, bytes) = (&blobs[&len.to_string()], noise(len));
            assert_eq!(bench.content(&blob.name), bytes, "{len}");
            assert_eq!(blob.content_md5, md5(&bytes), "{blob_type:?} {len}");
            let content_type = if len == 0 { "text/plain" } else { "application/octet-stream" };
            assert_eq!(blob.content_type, content_type, "{blob_type:?} {len}");
        }
    }
}

#[test]
fn a_disk_is_a_page_blob_and_its_holes_are_not_sent() {
    let bench = Bench::new();
    let mut disk = vec![0; 24 * MIB + 512];
    disk[9 * MIB] = 7;
    disk[24 * MIB + 511] = 8;
    bench.file("a.VHD", &disk).file("b.vhd", &[1; 513]).file("c.txt", b"text");
    let properties = BlobProperties::default().tier(Some("Cool".to_owned())).metadata(vec![pair("a", "b")]);
    let ran = bench.upload(options().properties(properties));
    assert_eq!(ran.report.counts.done, 2);
    assert_eq!(
        ran.failures[0].reason,
        "a page blob's length is a multiple of 512, and the file has 513 bytes"
    );
    let blobs = bench.blobs();
    assert_eq!(blobs.keys().collect::<Vec<_>>(), ["a.VHD", "c.txt"]);
    assert_eq!(blobs["a.VHD"].blob_type, "PageBlob");
    assert_eq!(blobs["a.VHD"].metadata, [pair("a", "b")]);
    assert_eq!(blobs["c.txt"].tier, "Cool");
    assert!(bench.content("a.VHD") == disk);
    assert_eq!(bench.requests()[&Operation::PutPage], 2);
}

#[test]
fn an_append_blob_grows_in_order_whatever_gets_lost() {
    let bench = Bench::new();
    let bytes = noise(5 * MIB + 1);
    bench.file("log", &bytes);
    bench.strike("log", Operation::AppendBlock, Fault::CutHeaders, 2, 1);
    let options = options().blob_type(BlobTypeChoice::Append).blocks(blocks_of(MIB));
    let ran = bench.upload(options);
    assert_eq!(ran.failures, []);
    assert!(bench.content("log") == bytes);
    let lengths: Vec<_> = bench.blobs()["log"].blocks.iter().map(|block| block.len).collect();
    let mib = MIB as u64;
    assert_eq!(lengths, [mib, mib, mib, mib, mib, 1]);
}

#[test]
fn what_cannot_be_completed_is_taken_back() {
    for (blob_type, operation) in
        [(BlobTypeChoice::Append, Operation::AppendBlock), (BlobTypeChoice::Page, Operation::PutPage)]
    {
        let bench = Bench::new();
        bench.file("x", &noise(3 * MIB));
        bench.strike("x", operation, Fault::error(409, "PendingCopyOperation"), 1, u64::MAX);
        let ran = bench.upload(options().blob_type(blob_type).blocks(blocks_of(MIB)));
        assert_eq!(ran.failures[0].code.as_deref(), Some("PendingCopyOperation"));
        assert_eq!(bench.blobs(), BTreeMap::new(), "{blob_type:?}");
    }
}

#[test]
fn a_blob_of_another_type_stands_in_the_way() {
    let bench = Bench::new();
    bench.file("x", &noise(3 * MIB));
    bench.upload(options().blob_type(BlobTypeChoice::Page));
    let ran = bench.upload(options().blocks(blocks_of(MIB)));
    assert_eq!(ran.failures[0].code.as_deref(), Some("InvalidBlobType"));
    assert!(ran.failures[0].advice.as_ref().unwrap().contains("remove it first"));
    assert_eq!(bench.blobs()["x"].blob_type, "PageBlob");
}

fn make_fifo(path: &Path) {
    let path = CString::new(path.as_os_str().as_bytes()).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
        .unwrap();
}

#[test]
fn links_directories_and_pipes_become_blobs_of_their_own() {
    let bench = Bench::new();
    std::fs::create_dir_all(bench.dir.path().join("d/empty")).unwrap();
    bench.file("d/file", b"text");
    std::os::unix::fs::symlink("../no such/ü", bench.dir.path().join("d/link")).unwrap();
    make_fifo(&bench.dir.path().join("pipe"));
    let options = options().symlinks(Symlinks::Preserve).directory_stubs(true);
    let ran = bench.upload(options.clone());
    assert_eq!((ran.failures, ran.report.counts.skipped_special), (vec![], 1));
    let blobs = bench.blobs();
    assert_eq!(blobs.keys().collect::<Vec<_>>(), ["d", "d/empty", "d/file", "d/link"]);
    assert_eq!(blobs["d/empty"].metadata, [pair("hdi_isfolder", "true")]);
    assert_eq!((blobs["d"].len, &blobs["d"].metadata), (0, &blobs["d/empty"].metadata));
    assert_eq!(blobs["d/link"].metadata, [pair("is_symlink", "true")]);
    assert_eq!(bench.content("d/link"), "../no such/ü".as_bytes());
    assert_eq!(blobs["d/file"].metadata, []);

    let ran = bench.upload(options.preserve_posix(Some(PosixStyle::Standard)));
    assert_eq!((ran.failures, ran.report.counts.skipped_special), (vec![], 0));
    let blobs = bench.blobs();
    for (name, mark) in [
        ("d", Some("hdi_isfolder")),
        ("d/link", Some("is_symlink")),
        ("pipe", Some("is_fifo")),
        ("d/file", None),
    ] {
        let metadata: BTreeMap<_, _> = blobs[name].metadata.iter().cloned().collect();
        let stat = std::fs::symlink_metadata(bench.dir.path().join(name)).unwrap();
        use std::os::unix::fs::MetadataExt;
        assert_eq!(metadata["permissions"], stat.mode().to_string(), "{name}");
        assert_eq!(metadata["posix_ino"], stat.ino().to_string(), "{name}");
        assert_eq!(metadata["modtime"], format!("{}{:09}", stat.mtime(), stat.mtime_nsec()), "{name}");
        let marks: Vec<_> =
            metadata.iter().filter(|(_, value)| *value == "true").map(|(key, _)| key).collect();
        assert_eq!(marks, mark.as_slice(), "{name}");
    }
    assert_eq!(blobs["pipe"].len, 0);
}

#[test]
fn lines_of_a_list_are_what_they_lead_to() {
    let bench = Bench::new();
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::create_dir(elsewhere.path().join("d")).unwrap();
    std::fs::write(elsewhere.path().join("d/x"), b"text").unwrap();
    for (to, link) in [("d", "to d"), ("d/x", "to x"), ("none", "to none")] {
        std::os::unix::fs::symlink(elsewhere.path().join(to), bench.dir.path().join(link)).unwrap();
    }
    make_fifo(&bench.dir.path().join("pipe"));
    let list = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(list.path(), "to d\nto x\nto none\npipe\n").unwrap();
    let upload = |symlinks, recursive| {
        let credential = Credential::find(&bench.url(), |_| None).unwrap();
        let job = Job::upload(bench.dir.path(), bench.url(), credential).recursive(recursive);
        let job = job.as_subdir(false).list_of_files(ListOfFiles::File(list.path().to_owned()));
        let options = options().symlinks(symlinks);
        job.options(options).build().unwrap().run(&StopHandle::new(), |_| {}).counts
    };
    let counts = upload(Symlinks::Follow, true);
    assert_eq!((counts.done, counts.failed, counts.problems, counts.skipped_special), (2, 1, 0, 1));
    assert_eq!(bench.blobs().into_keys().collect::<Vec<_>>(), ["to d/x", "to x"]);
    // A directory all the same, which needs recursion.
    let counts = upload(Symlinks::Follow, false);
    assert_eq!((counts.done, counts.failed, counts.problems, counts.skipped_special), (1, 2, 0, 1));
    let counts = upload(Symlinks::Skip, true);
    assert_eq!((counts.done, counts.skipped_symlinks, counts.skipped_special), (0, 3, 1));
    assert_eq!(upload(Symlinks::Preserve, true).done, 3);
}

#[test]
fn large_files_have_posix_properties_too() {
    for blob_type in [BlobTypeChoice::Block, BlobTypeChoice::Page, BlobTypeChoice::Append] {
        let bench = Bench::new();
        bench.file("whole", &noise(128 * KIB)).file("parts", &noise(MIB));
        let preserve_posix = Some(PosixStyle::Amlfs);
        let blocks = blocks_of(256 * KIB);
        bench.upload(options().preserve_posix(preserve_posix).blob_type(blob_type).blocks(blocks));
        let blobs = bench.blobs();
        for name in ["whole", "parts"] {
            let metadata: BTreeMap<_, _> = blobs[name].metadata.iter().cloned().collect();
            assert_eq!(
                (metadata["permissions"].len(), metadata.contains_key("owner")),
                (4, true),
                "{blob_type:?}"
            );
        }
    }
}

#[test]
fn a_customers_key_goes_with_all_requests_of_all_shapes() {
    const KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
    let bench = Bench::new();
    let bytes = noise(2 * MIB);
    bench.file("small", b"x").file("large", &bytes).file("disk.vhd", &bytes);
    let encryption = Some(Encryption::Key(Cpk::new(Secret::new(KEY), None).unwrap()));
    let options = options().encryption(encryption).blocks(blocks_of(MIB)).put_md5(true);
    assert_eq!(bench.upload(options.clone()).failures, []);
    let to = tempfile::tempdir().unwrap();
    let download = |options: JobOptions| {
        let credential = Credential::find(&bench.url(), |_| None).unwrap();
        let job = Job::download(bench.url(), credential, to.path()).recursive(true).as_subdir(false);
        job.options(options).build().unwrap().run(&StopHandle::new(), |_| {}).counts
    };
    let without = download(options.clone().encryption(None));
    assert_eq!((without.done, without.failed), (0, 3));
    assert_eq!(download(options).done, 3);
}

#[test]
fn lengths_are_compared_where_no_checksum_has_proven_them() {
    use CheckLength::{Always, Never, Unproven};
    for (crc64, check_length, questions) in
        [(true, Unproven, 0), (false, Unproven, 2), (false, Never, 0), (true, Never, 0), (true, Always, 2)]
    {
        let bench = Bench::new();
        bench.file("small", b"x").file("large", &noise(2 * MIB));
        let ran = bench.upload(options().crc64(crc64).check_length(check_length).blocks(blocks_of(MIB)));
        assert_eq!(ran.report.counts.done, 2);
        let asked = bench.requests().get(&Operation::GetBlobProperties).copied().unwrap_or(0);
        assert_eq!(asked, questions, "{crc64} {check_length:?}");
    }
}

#[test]
fn limits_of_bytes_and_requests_far_below_a_block_lose_nothing() {
    for tls in [Tls::Off, Tls::SelfSigned] {
        let bench = Bench::with(Server::builder().threads(1).tls(tls));
        let bytes = noise(MIB);
        bench.file("large", &bytes);
        for n in 0..20 {
            bench.file(&n.to_string(), &noise(5000));
        }
        let ca = tempfile::NamedTempFile::new().unwrap();
        let ca_file = bench.server.ca_pem().map(|pem| {
            std::fs::write(ca.path(), pem).unwrap();
            ca.path().to_owned()
        });
        let options = options()
            .ca_file(ca_file)
            // Pieces of 40 KB of a block of 512 KiB.
            .cap_bytes_per_second(Some(2e6))
            .cap_requests_per_second(Some(100.0))
            .blocks(blocks_of(512 * KIB));
        let counts = bench.upload(options).report.counts;
        assert_eq!((counts.done, counts.retries), (21, 0));
        assert_eq!((counts.bytes, counts.bytes_sent), ((MIB + 20 * 5000) as u64, counts.bytes));
        assert!(bench.content("large") == bytes);
    }
}
