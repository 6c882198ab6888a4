//! Who writes to a blob at the same time, what an answer that is lost leaves open, and what is taken back.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[allow(unused_imports, reason = "this file uses a part of it")]
#[path = "../../../tests/src/hostile/mod.rs"]
mod hostile;
mod kit;

use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use azsim::{Operation, Seed};
use azuring_transfer::{
    BlobTypeChoice, BlobUrl, BlockRules, CheckLength, Credential, DEVSTORE_ACCOUNT, Event, Failure,
    FailureKind, Job, JobBuilder, JobOptions, Jobs, Limits, Overwrite, Report, RetryPolicy, StopHandle,
    upload_from,
};
use hostile::{Answer, End, Gate, Hostile, Rule};
use kit::{Bench, bytes};

const PIECE: usize = 100 << 10;

fn options() -> JobOptions {
    JobOptions {
        blocks: BlockRules { block_size: Some(PIECE as u64), put_blob_size: Some(PIECE as u64) },
        limits: Limits { lanes: 2, ..Limits::here() },
        retry: RetryPolicy { max_tries: 3, first_pause: Duration::from_millis(1), ..RetryPolicy::default() },
        ..JobOptions::default()
    }
}

fn of_type(blob_type: BlobTypeChoice) -> JobOptions {
    JobOptions { blob_type, ..options() }
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
        let url = self.url("/x");
        let credential = Credential::find(&url, |_| None).unwrap();
        let input = std::io::Cursor::new(input);
        upload_from(input, &url, &credential, options, &StopHandle::new()).map_err(|error| error.to_string())
    }

    fn content(&self) -> Option<Vec<u8>> {
        self.bench.server.content(DEVSTORE_ACCOUNT, "cont", "x").map(|content| content.to_vec())
    }

    fn count(&self, operation: Operation) -> u64 {
        self.bench.server.stats().by_operation.get(&operation).copied().unwrap_or_default()
    }
}

fn upload(file: &std::path::Path, url: BlobUrl) -> JobBuilder {
    let credential = Credential::find(&url, |_| None).unwrap();
    Job::upload(file, url, credential)
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

#[test]
fn a_failed_append_upload_leaves_what_another_writer_has_stored() {
    let scene = Scene::new(3 * PIECE, Vec::new());
    let other = scene.other();
    let theirs = Answer::passed().meanwhile(move |_| other.replaces(b"theirs"));
    scene.hostile.add(Rule::on("PUT", "x").query("appendblock").nth(2).answer(theirs));
    let (report, failures) = scene.upload(of_type(BlobTypeChoice::Append));
    assert_eq!(counts(&report), (0, 1, 0));
    assert!(failures[0].reason.starts_with("another writer has written"), "{failures:?}");
    assert_eq!(scene.content().unwrap(), b"theirs");
}

#[test]
fn a_log_that_somebody_appends_to_is_not_deleted() {
    for is_pipe in [false, true] {
        let scene = Scene::new(3 * PIECE, Vec::new());
        let other = scene.other();
        let theirs = Answer::passed().meanwhile(move |_| assert_eq!(other.appends(b"line"), 201));
        scene.hostile.add(Rule::on("PUT", "x").query("appendblock").nth(2).answer(theirs));
        let told = if is_pipe {
            scene.pipe(bytes(3 * PIECE), &of_type(BlobTypeChoice::Append)).unwrap_err()
        } else {
            scene.upload(of_type(BlobTypeChoice::Append)).1.remove(0).to_string()
        };
        assert!(told.contains("another writer has written"), "{told}");
        assert_eq!(scene.content().unwrap(), [bytes(PIECE), b"line".to_vec()].concat(), "{is_pipe}");
    }
}

#[test]
fn what_an_upload_has_begun_alone_is_taken_back() {
    for (kind, part) in [(BlobTypeChoice::Append, "appendblock"), (BlobTypeChoice::Page, "comp=page")] {
        let refused = Answer::error(403, "AuthorizationPermissionMismatch");
        let scene = Scene::new(4 * PIECE, vec![Rule::on("PUT", "x").query(part).after(1).answer(refused)]);
        let (report, failures) = scene.upload(of_type(kind));
        assert_eq!(counts(&report), (0, 1, 0));
        assert_eq!(scene.content(), None, "{kind:?}: {failures:?}");
        assert!(!failures[0].reason.contains("left"), "{failures:?}");
        // Nor may it be removed: that is told.
        scene
            .hostile
            .add(Rule::on("DELETE", "x").answer(Answer::error(403, "AuthorizationPermissionMismatch")));
        let (_, failures) = scene.upload(of_type(kind));
        assert!(failures[0].reason.ends_with("was left, since it could not be removed"), "{failures:?}");
        assert!(scene.content().is_some());
    }
}

#[test]
fn of_two_writers_of_a_page_blob_one_fails_and_nothing_is_mixed() {
    let scene = Scene::new(5 * PIECE, Vec::new());
    let (bench, second) = (Arc::clone(&scene.bench), scene.bench.dir.path().join("second"));
    std::fs::write(&second, vec![7; 5 * PIECE]).unwrap();
    let came: Arc<Mutex<Option<Ran>>> = Arc::default();
    let theirs = Arc::clone(&came);
    // The first one is in the middle of its pages when the second begins and ends.
    let meanwhile = Answer::passed().meanwhile(move |_| {
        let options = JobOptions { overwrite_in_place: true, ..of_type(BlobTypeChoice::Page) };
        let url = bench.url("/x");
        *theirs.lock().unwrap() = Some(run(upload(&second, url).options(options)));
    });
    scene.hostile.add(Rule::on("PUT", "x").query("comp=page").nth(2).answer(meanwhile));
    let first = scene.upload(of_type(BlobTypeChoice::Page));
    let second = came.lock().unwrap().take().unwrap();
    assert_eq!((counts(&first.0), counts(&second.0)), ((1, 0, 0), (0, 1, 0)), "{:?} {:?}", first.1, second.1);
    assert!(second.1[0].advice.as_ref().unwrap().contains("another writer holds the blob"), "{:?}", second.1);
    assert!(scene.content().unwrap() == bytes(5 * PIECE));
    // It is let go of: the next one may write.
    let options = JobOptions { overwrite_in_place: true, ..of_type(BlobTypeChoice::Page) };
    assert_eq!(counts(&scene.upload(options).0), (1, 0, 0));
}

#[test]
fn a_page_blob_whose_lease_was_broken_is_lost_to_who_broke_it() {
    let scene = Scene::new(5 * PIECE, Vec::new());
    let other = scene.other();
    let meanwhile = Answer::passed().meanwhile(move |_| {
        let broken = other.asks(
            "PUT",
            "comp=lease",
            "x-ms-lease-action: break\r\nx-ms-lease-break-period: 0\r\n",
            b"",
        );
        assert_eq!(broken, 202);
        assert_eq!(other.asks("DELETE", "", "", b""), 202);
        other.replaces(b"theirs");
    });
    scene.hostile.add(Rule::on("PUT", "x").query("comp=page").nth(2).answer(meanwhile));
    let (report, failures) = scene.upload(of_type(BlobTypeChoice::Page));
    assert_eq!(counts(&report), (0, 1, 0));
    assert!(failures[0].reason.starts_with("another writer has written"), "{failures:?}");
    assert_eq!(scene.content().unwrap(), b"theirs");
}

#[test]
fn a_lease_that_has_run_out_is_renewed_and_the_upload_goes_on() {
    let run_out = Answer::error(412, "LeaseLost");
    let scene = Scene::new(5 * PIECE, vec![Rule::on("PUT", "x").query("comp=page").nth(3).answer(run_out)]);
    let (report, failures) = scene.upload(of_type(BlobTypeChoice::Page));
    assert_eq!(counts(&report), (1, 0, 0), "{failures:?}");
    assert!(scene.content().unwrap() == bytes(5 * PIECE));
    let renewed = |request: &&hostile::Received| request.header("x-ms-lease-action") == Some("renew");
    assert_eq!(scene.hostile.requests_of("PUT", "x").iter().filter(renewed).count(), 1);
}

#[test]
fn a_page_or_append_blob_that_is_there_is_replaced_only_when_that_was_said() {
    for kind in [BlobTypeChoice::Append, BlobTypeChoice::Page] {
        let scene = Scene::new(3 * PIECE / 2, Vec::new());
        assert_eq!(counts(&scene.upload(of_type(kind)).0), (1, 0, 0));
        let old = scene.content();
        std::fs::write(&scene.file, vec![7; 2 * PIECE]).unwrap();
        let (report, failures) = scene.upload(of_type(kind));
        assert_eq!(counts(&report), (0, 1, 0));
        assert_eq!(failures[0].advice.as_deref(), Some("give --overwrite=true to replace it all the same"));
        assert!(scene.content() == old);
        let options = JobOptions { overwrite_in_place: true, ..of_type(kind) };
        assert_eq!(counts(&scene.upload(options).0), (1, 0, 0));
        assert!(scene.content().unwrap() == vec![7; 2 * PIECE]);
    }
    let scene = Scene::new(1, Vec::new());
    scene.pipe(b"old".to_vec(), &of_type(BlobTypeChoice::Append)).unwrap();
    let told = scene.pipe(b"new".to_vec(), &of_type(BlobTypeChoice::Append)).unwrap_err();
    assert!(told.contains("--overwrite=true"), "{told}");
    assert_eq!(scene.content().unwrap(), b"old");
}

#[test]
fn an_answer_that_was_lost_doubles_nothing_and_skips_nothing() {
    let cases: [(BlobTypeChoice, usize, &[&str]); 4] = [
        (BlobTypeChoice::Append, 3 * PIECE, &["", "appendblock"]),
        (BlobTypeChoice::Page, 3 * PIECE / 512 * 512, &["", "comp=page", "comp=lease"]),
        (BlobTypeChoice::Block, 3 * PIECE, &["comp=block&", "comp=blocklist"]),
        (BlobTypeChoice::Block, PIECE / 2, &[""]),
    ];
    for (kind, len, parts) in cases {
        for part in parts {
            for (n, answer) in lost().into_iter().enumerate() {
                for overwrite in [Overwrite::Never, Overwrite::Always] {
                    let rule = Rule::on("PUT", "x").query(part).nth(1).answer(answer.clone());
                    let scene = Scene::new(len, vec![rule]);
                    let (report, failures) = scene.upload(JobOptions { overwrite, ..of_type(kind) });
                    let what = format!("{kind:?} {part} {n} {failures:?}");
                    assert_eq!(counts(&report), (1, 0, 0), "{what}");
                    assert!(scene.content().unwrap() == bytes(len), "{what}");
                }
            }
        }
    }
}

#[test]
fn an_answer_that_was_lost_doubles_nothing_in_a_pipe() {
    let cases: [(BlobTypeChoice, usize, &[&str]); 3] = [
        (BlobTypeChoice::Append, 3 * PIECE, &["", "appendblock"]),
        (BlobTypeChoice::Block, 3 * PIECE, &["comp=block&", "comp=blocklist"]),
        (BlobTypeChoice::Block, PIECE / 2, &[""]),
    ];
    for (kind, len, parts) in cases {
        for part in parts {
            for answer in lost() {
                let scene = Scene::new(1, vec![Rule::on("PUT", "x").query(part).nth(1).answer(answer)]);
                let options = JobOptions { overwrite: Overwrite::Never, ..of_type(kind) };
                let report = scene.pipe(bytes(len), &options).unwrap();
                assert_eq!(counts(&report), (1, 0, 0), "{kind:?} {part}");
                assert!(scene.content().unwrap() == bytes(len), "{kind:?} {part}");
            }
        }
    }
}

#[test]
fn anothers_blob_of_the_same_length_is_not_taken_for_this_one() {
    for (len, part) in [(3 * PIECE, "comp=blocklist"), (PIECE / 2, "")] {
        for is_pipe in [false, true] {
            let scene = Scene::new(len, Vec::new());
            let other = scene.other();
            // Not done, and nobody can know.
            let failed = Answer::status(503).meanwhile(move |_| other.replaces(&vec![7; len]));
            scene.hostile.add(Rule::on("PUT", "x").query(part).nth(1).answer(failed));
            let options = JobOptions { overwrite: Overwrite::Never, ..options() };
            let report = match is_pipe {
                true => scene.pipe(bytes(len), &options).unwrap(),
                false => scene.upload(options).0,
            };
            assert_eq!(counts(&report), (0, 0, 1), "{len} {is_pipe}");
            assert!(scene.content().unwrap() == vec![7; len]);
        }
    }
}

/// A block that somebody has left uncommitted.
fn leave_block(scene: &Scene, id: &str) {
    let id = id.replace('=', "%3D").replace('+', "%2B").replace('/', "%2F");
    assert_eq!(scene.other().asks("PUT", &format!("comp=block&blockid={id}"), "", b"left"), 201);
}

#[test]
fn blocks_of_another_program_close_no_name() {
    // 16 bytes before they are encoded.
    let left = "AAECAwQFBgcICQoLDA0ODw==";
    let scene = Scene::new(3 * PIECE, Vec::new());
    leave_block(&scene, left);
    let (report, failures) = scene.upload(options());
    assert_eq!(counts(&report), (1, 0, 0), "{failures:?}");
    assert!(scene.content().unwrap() == bytes(3 * PIECE));
    let scene = Scene::new(1, Vec::new());
    leave_block(&scene, left);
    scene.pipe(bytes(3 * PIECE), &options()).unwrap();
    assert!(scene.content().unwrap() == bytes(3 * PIECE));
    // Too short for ids that tell contents apart: the caller decides.
    let scene = Scene::new(3 * PIECE, Vec::new());
    leave_block(&scene, "MDAwMQ==");
    let (report, failures) = scene.upload(options());
    assert_eq!(counts(&report), (0, 1, 0));
    assert!(failures[0].advice.as_ref().unwrap().contains("--delete-destination-file"), "{failures:?}");
    let (report, failures) = scene.upload(JobOptions { delete_destination: true, ..options() });
    assert_eq!(counts(&report), (1, 0, 0), "{failures:?}");
    assert!(scene.content().unwrap() == bytes(3 * PIECE));
}

#[test]
fn a_blob_of_another_type_is_removed_only_when_that_was_said() {
    use BlobTypeChoice::{Append, Block, Page};
    for (old, new, len) in
        [(Page, Block, PIECE / 2), (Page, Block, 3 * PIECE), (Block, Page, PIECE), (Page, Append, PIECE)]
    {
        let scene = Scene::new(PIECE, Vec::new());
        assert_eq!(counts(&scene.upload(of_type(old)).0), (1, 0, 0));
        std::fs::write(&scene.file, vec![7; len]).unwrap();
        let options =
            |delete_destination| JobOptions { delete_destination, overwrite_in_place: true, ..of_type(new) };
        let (report, failures) = scene.upload(options(false));
        assert_eq!(counts(&report), (0, 1, 0), "{old:?} {new:?}");
        assert_eq!(failures[0].code.as_deref(), Some("InvalidBlobType"));
        assert!(scene.content().unwrap() == bytes(PIECE));
        let (report, failures) = scene.upload(options(true));
        assert_eq!(counts(&report), (1, 0, 0), "{old:?} {new:?} {failures:?}");
        assert!(scene.content().unwrap() == vec![7; len]);
    }
}

#[test]
fn blocks_of_own_runs_that_are_too_many_are_discarded_and_a_blob_never_is() {
    // `azuring2`, and zeros.
    let own = "YXp1cmluZzIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let full = || {
        Rule::on("PUT", "x").query("comp=block&").nth(1).answer(Answer::error(409, "BlockCountExceedsLimit"))
    };
    // What was sent before the first refusal is discarded as well.
    let twice = || JobOptions { retry_failed: 1, ..options() };
    let scene = Scene::new(3 * PIECE, vec![full()]);
    leave_block(&scene, own);
    let (report, failures) = scene.upload(twice());
    assert_eq!(counts(&report), (1, 0, 0), "{failures:?}");
    assert!(scene.content().unwrap() == bytes(3 * PIECE));
    // Another program's blocks, or a blob, are not touched unless that is said.
    for has_blob in [false, true] {
        let scene = Scene::new(3 * PIECE, vec![full()]);
        if has_blob {
            scene.other().replaces(b"old");
        }
        leave_block(&scene, if has_blob { own } else { "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIj" });
        let (report, failures) = scene.upload(twice());
        assert_eq!(counts(&report), (0, 1, 0));
        assert!(failures[0].advice.as_ref().unwrap().contains("--delete-destination-file"), "{failures:?}");
        assert_eq!(scene.content(), has_blob.then(|| b"old".to_vec()));
        scene.hostile.relent();
        scene.hostile.add(full());
        let (report, failures) = scene.upload(JobOptions { delete_destination: true, ..twice() });
        assert_eq!(counts(&report), (1, 0, 0), "{failures:?}");
    }
}

#[test]
fn blocks_that_another_writer_has_discarded_are_sent_again() {
    let scene = Scene::new(3 * PIECE, Vec::new());
    let other = scene.other();
    let theirs = Answer::passed().meanwhile(move |_| other.replaces(b"theirs"));
    scene.hostile.add(Rule::on("PUT", "x").query("comp=blocklist").nth(1).answer(theirs));
    let (report, failures) = scene.upload(JobOptions { retry_failed: 1, ..options() });
    assert_eq!(counts(&report), (1, 0, 0), "{failures:?}");
    assert!(scene.content().unwrap() == bytes(3 * PIECE));
}

#[test]
fn a_length_that_is_to_be_compared_is_compared() {
    for len in [PIECE / 2, 3 * PIECE] {
        let scene = Scene::new(len, Vec::new());
        let (report, _) = scene.upload(options());
        assert_eq!((counts(&report), scene.count(Operation::GetBlobProperties)), ((1, 0, 0), 0));
        // A gateway that loses something behind the answer.
        let other = scene.other();
        let shorter = Answer::passed().meanwhile(move |_| other.replaces(b"shorter"));
        scene.hostile.add(Rule::on("HEAD", "x").answer(shorter));
        let (report, failures) = scene.upload(JobOptions { check_length: CheckLength::Always, ..options() });
        assert_eq!(counts(&report), (0, 1, 0));
        assert_eq!(failures[0].kind, FailureKind::Integrity, "{failures:?}");
    }
}

#[test]
fn what_a_killed_run_has_made_is_not_told_as_skipped() {
    for overwrite in [Overwrite::Never, Overwrite::IfSourceNewer] {
        for len in [100, 3 * PIECE / 4, 3 * PIECE] {
            let (state, gate) = (tempfile::tempdir().unwrap(), Gate::new());
            // The blob is there, and the answer never comes.
            let last = if len > PIECE { "comp=blocklist" } else { "" };
            let held = Rule::on("PUT", "x").query(last).answer(Answer::passed().held(&gate));
            let scene = Scene::new(len, vec![held]);
            let options = JobOptions { overwrite: overwrite.clone(), ..options() };
            let jobs = || Jobs::new(state.path());
            let job = scene.job().options(options.clone()).journal(jobs(), b"a job".to_vec());
            let (job, stop) = (job.build().unwrap(), StopHandle::new());
            let report = std::thread::scope(|scope| {
                scope.spawn(|| {
                    while scene.content().is_none() {
                        std::thread::yield_now();
                    }
                    stop.cut_short();
                });
                job.run(&stop, |_| {})
            });
            assert!(report.interrupted);
            gate.open();
            scene.hostile.relent();
            let id = jobs().list().unwrap()[0].id;
            let (report, failures) = run(scene.job().options(options).resume(jobs(), id));
            assert_eq!(counts(&report), (1, 0, 0), "{len} {overwrite:?} {failures:?}");
            assert!(scene.content().unwrap() == bytes(len));
        }
    }
}

#[test]
fn the_same_content_from_before_the_job_is_told_as_skipped() {
    for len in [100, 3 * PIECE / 4] {
        let (state, gate) = (tempfile::tempdir().unwrap(), Gate::new());
        let held = Rule::on("PUT", "x").answer(Answer::silence());
        let scene = Scene::new(len, vec![held]);
        let content = vec![bytes(len).into()];
        let seed = Seed { name: "x".to_owned(), content, modified_s: Some(1_000_000_000), ..Seed::default() };
        scene.bench.server.plant(DEVSTORE_ACCOUNT, "cont", vec![seed]);
        scene.hostile.add(Rule::on("HEAD", "x").answer(Answer::passed().held(&gate)));
        let options = JobOptions { overwrite: Overwrite::Never, ..options() };
        let jobs = || Jobs::new(state.path());
        let job = scene.job().options(options.clone()).journal(jobs(), b"a job".to_vec());
        let (job, stop) = (job.build().unwrap(), StopHandle::new());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                scene.hostile.wait_until(|all| !all.is_empty());
                stop.cut_short();
            });
            job.run(&stop, |_| {})
        });
        gate.open();
        scene.hostile.relent();
        let id = jobs().list().unwrap()[0].id;
        let (report, failures) = run(scene.job().options(options).resume(jobs(), id));
        assert_eq!(counts(&report), (0, 0, 1), "{failures:?}");
    }
}

#[test]
fn a_file_that_a_killed_run_has_made_is_not_told_as_skipped() {
    for (len, is_older) in [(100, false), (3 * PIECE / 4, false), (3 * PIECE / 4, true)] {
        let (state, scene) = (tempfile::tempdir().unwrap(), Scene::new(1, Vec::new()));
        let to = scene.bench.dir.path().join("to");
        std::fs::create_dir(&to).unwrap();
        scene.other().replaces(&bytes(len));
        if is_older {
            std::fs::write(to.join("x"), vec![7; len]).unwrap();
        }
        let (jobs, stop) = (|| Jobs::new(state.path()), StopHandle::new());
        let url = || scene.url("/x");
        let job = || {
            let credential = Credential::find(&url(), |_| None).unwrap();
            let options = JobOptions { overwrite: Overwrite::Never, ..options() };
            Job::download(url(), credential, &to).options(options)
        };
        // It is cut while the blob is asked for; the file gets its name, which nobody has recorded.
        scene.hostile.add(Rule::on("GET", "x").answer(Answer::silence()));
        scene.hostile.add(Rule::on("HEAD", "x").after(1).answer(Answer::silence()));
        let first = job().journal(jobs(), b"a job".to_vec()).build().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                scene.hostile.wait_until(|all| all.len() > 1 || (is_older && !all.is_empty()));
                stop.cut_short();
            });
            first.run(&stop, |_| {})
        });
        if !is_older {
            std::fs::write(to.join("x"), bytes(len)).unwrap();
        }
        scene.hostile.relent();
        let id = jobs().list().unwrap()[0].id;
        let (report, failures) = run(job().resume(jobs(), id));
        let want = if is_older { (0, 0, 1) } else { (1, 0, 0) };
        assert_eq!(counts(&report), want, "{len} {is_older} {failures:?}");
    }
}

#[test]
fn a_visible_blob_of_a_killed_run_is_taken_up_and_anothers_is_not() {
    for (kind, part) in [(BlobTypeChoice::Append, "appendblock"), (BlobTypeChoice::Page, "comp=page")] {
        for is_anothers in [false, true] {
            let (state, gate) = (tempfile::tempdir().unwrap(), Gate::new());
            let held = Rule::on("PUT", "x").query(part).after(1).answer(Answer::passed().held(&gate));
            let scene = Scene::new(4 * PIECE, vec![held]);
            let options = JobOptions { overwrite: Overwrite::Never, ..of_type(kind) };
            let jobs = || Jobs::new(state.path());
            let job = scene.job().options(options.clone()).journal(jobs(), b"a job".to_vec());
            let (job, stop) = (job.build().unwrap(), StopHandle::new());
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    gate.wait_for_somebody();
                    stop.cut_short();
                });
                job.run(&stop, |_| {})
            });
            gate.open();
            scene.hostile.relent();
            if is_anothers {
                scene.other().asks(
                    "PUT",
                    "comp=lease",
                    "x-ms-lease-action: break\r\nx-ms-lease-break-period: 0\r\n",
                    b"",
                );
                scene.other().replaces(b"theirs");
            }
            let id = jobs().list().unwrap()[0].id;
            let (report, failures) = run(scene.job().options(options).resume(jobs(), id));
            let (want, content) = match is_anothers {
                true => ((0, 0, 1), b"theirs".to_vec()),
                false => ((1, 0, 0), bytes(4 * PIECE)),
            };
            assert_eq!(counts(&report), want, "{kind:?} {failures:?}");
            assert!(scene.content().unwrap() == content, "{kind:?}");
        }
    }
}

#[test]
fn a_large_blob_that_was_replaced_after_it_was_listed_is_taken_as_it_is_now() {
    for len in [3 * PIECE, 64] {
        let bench = Arc::new(Bench::new());
        let other = Other(Arc::clone(&bench));
        let options =
            || JobOptions { limits: Limits { lanes: 1, ..Limits::here() }, retry_failed: 0, ..options() };
        other.replaces(&bytes(3 * PIECE));
        // Between the listing and the first range.
        let meanwhile = Answer::passed().meanwhile(move |_| other.replaces(&vec![7; len]));
        let hostile =
            Hostile::before(bench.server.addr(), vec![Rule::on("GET", "/x").nth(1).answer(meanwhile)]);
        let url = hostile.via(&format!("{}/cont", bench.server.url(DEVSTORE_ACCOUNT)));
        let (url, to) = (BlobUrl::parse(&url).unwrap(), bench.dir.path().join("to"));
        let credential = Credential::find(&url, |_| None).unwrap();
        let job = Job::download(url, credential, &to).recursive(true).options(options());
        let (report, failures) = run(job);
        assert_eq!(counts(&report), (1, 0, 0), "{failures:?}");
        assert!(std::fs::read(to.join("cont/x")).unwrap() == vec![7; len]);
    }
}

#[test]
fn a_large_blob_that_is_replaced_while_it_is_read_is_read_again_in_the_second_attempt() {
    let bench = Arc::new(Bench::new());
    let other = Other(Arc::clone(&bench));
    other.replaces(&bytes(5 * PIECE));
    let meanwhile = Answer::passed().meanwhile(move |_| other.replaces(&[7; 4 * PIECE]));
    let hostile = Hostile::before(bench.server.addr(), vec![Rule::on("GET", "/x").nth(4).answer(meanwhile)]);
    let url = hostile.via(&format!("{}/cont", bench.server.url(DEVSTORE_ACCOUNT)));
    let (url, to) = (BlobUrl::parse(&url).unwrap(), bench.dir.path().join("to"));
    let credential = Credential::find(&url, |_| None).unwrap();
    let options = JobOptions { limits: Limits { lanes: 1, ..Limits::here() }, retry_failed: 1, ..options() };
    let (report, failures) = run(Job::download(url, credential, &to).recursive(true).options(options));
    assert_eq!(counts(&report), (1, 0, 0), "{failures:?}");
    assert!(std::fs::read(to.join("cont/x")).unwrap() == [7; 4 * PIECE]);
}

#[test]
fn a_blob_that_changes_every_time_ends_within_the_policy() {
    for len in [PIECE / 2, 3 * PIECE] {
        let bench = Arc::new(Bench::new());
        let other = Other(Arc::clone(&bench));
        other.replaces(&bytes(len));
        let n = Mutex::new(0u8);
        let meanwhile = Answer::passed().meanwhile(move |_| {
            let mut n = n.lock().unwrap();
            *n = n.wrapping_add(1);
            other.replaces(&vec![*n; len]);
        });
        let hostile = Hostile::before(bench.server.addr(), vec![Rule::on("GET", "/x").answer(meanwhile)]);
        let url = hostile.via(&format!("{}/cont", bench.server.url(DEVSTORE_ACCOUNT)));
        let (url, to) = (BlobUrl::parse(&url).unwrap(), bench.dir.path().join("to"));
        let credential = Credential::find(&url, |_| None).unwrap();
        let options = JobOptions { limits: Limits { lanes: 1, ..Limits::here() }, ..options() };
        let (report, failures) = run(Job::download(url, credential, &to).recursive(true).options(options));
        let asked = hostile.requests_of("GET", "/x").len();
        if len > PIECE {
            assert_eq!(counts(&report), (0, 1, 0));
            assert!(failures[0].reason.contains("changed while it was downloaded"), "{failures:?}");
        } else {
            // One answer is of one state.
            assert_eq!(counts(&report), (1, 0, 0), "{failures:?}");
        }
        assert!(asked <= 12, "{asked}");
    }
}

#[test]
fn what_is_verified_is_read_back_and_compared() {
    let verify = || JobOptions { verify: true, ..options() };
    for (kind, len) in [
        (BlobTypeChoice::Block, PIECE / 2),
        (BlobTypeChoice::Block, 3 * PIECE),
        (BlobTypeChoice::Append, 3 * PIECE),
        (BlobTypeChoice::Page, 3 * PIECE),
    ] {
        let scene = Scene::new(len, Vec::new());
        let options = JobOptions { verify: true, ..of_type(kind) };
        assert_eq!(counts(&scene.upload(options).0), (1, 0, 0));
        assert!(!scene.hostile.requests_of("GET", "x").is_empty());
    }
    for len in [PIECE / 2, 3 * PIECE] {
        // A service that gives other bytes than it has taken.
        let scene = Scene::new(len, Vec::new());
        let other = scene.other();
        let damaged = Answer::passed().meanwhile(move |_| other.replaces(&vec![7; len]));
        scene.hostile.add(Rule::on("HEAD", "x").answer(damaged));
        let (report, failures) = scene.upload(verify());
        assert_eq!(counts(&report), (0, 1, 0));
        assert_eq!(failures[0].kind, FailureKind::Integrity, "{failures:?}");
        // And of a download.
        let (scene, to) = (Scene::new(1, Vec::new()), tempfile::tempdir().unwrap());
        scene.other().replaces(&bytes(len));
        for is_damaged in [false, true] {
            if is_damaged {
                let (other, file) = (scene.other(), to.path().join("x"));
                let damaged = Answer::passed().meanwhile(move |_| {
                    if file.exists() {
                        other.replaces(&vec![7; len]);
                    }
                });
                scene.hostile.add(Rule::on("HEAD", "x").after(1).answer(damaged));
                std::fs::remove_file(to.path().join("x")).unwrap();
            }
            let url = scene.url("/x");
            let credential = Credential::find(&url, |_| None).unwrap();
            let (report, failures) = run(Job::download(url, credential, to.path()).options(verify()));
            let want = if is_damaged { (0, 1, 0) } else { (1, 0, 0) };
            assert_eq!(counts(&report), want, "{failures:?}");
        }
    }
}
