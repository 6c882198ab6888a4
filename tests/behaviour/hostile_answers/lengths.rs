//! How long a blob is: told, not told, told otherwise.

use std::fs;
use std::sync::Arc;

use azsim::Seed;
use azuring_tests::hostile::{Answer, Hostile, Rule};
use azuring_tests::{CONTAINER, DEVSTORE_ACCOUNT, Fixture, Outcome, azuring};

/// A container with one blob; where the listing and the answers go through `rules`.
struct Case {
    fixture: Arc<Fixture>,
    hostile: Hostile,
}

fn plant(fixture: &Fixture, content: &[u8]) {
    let seed = Seed { name: "b".to_owned(), content: vec![content.to_vec().into()], ..Seed::default() };
    fixture.server().plant(DEVSTORE_ACCOUNT, CONTAINER, [seed]);
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8).collect()
}

impl Case {
    fn new(content: &[u8], rules: Vec<Rule>) -> Self {
        let fixture = Arc::new(Fixture::new(azuring!()));
        plant(&fixture, content);
        let hostile = Hostile::before(fixture.server().addr(), rules);
        Self { fixture, hostile }
    }

    /// A case whose blob becomes `then` before it is first read.
    fn written_before_its_turn(content: &[u8], then: &[u8], mut rules: Vec<Rule>) -> Self {
        let case = Self::new(content, Vec::new());
        let (fixture, then) = (Arc::clone(&case.fixture), then.to_vec());
        rules.push(
            Rule::on("GET", "/b").nth(1).answer(Answer::passed().meanwhile(move |_| plant(&fixture, &then))),
        );
        rules.into_iter().rev().for_each(|rule| case.hostile.add(rule));
        case
    }

    /// Downloads the container, and what became of the blob.
    fn download(&self, more: &[&str]) -> (Outcome, Option<Vec<u8>>) {
        let down = self.fixture.path().join("down");
        let url = self.hostile.via(&self.fixture.url());
        let args = ["copy", &url, down.to_str().unwrap(), "--recursive", "--max-tries=2", "--retry-failed=0"];
        let outcome = self.fixture.run(args.into_iter().chain(more.iter().copied()));
        (outcome, fs::read(down.join("data/b")).ok())
    }

    #[track_caller]
    fn arrives(&self, what: &[u8], more: &[&str]) {
        let (outcome, file) = self.download(more);
        outcome.expect_code(0);
        let file = file.unwrap_or_else(|| panic!("no file\n{}\n{}", outcome.stdout, outcome.stderr));
        assert!(file == what, "{} bytes of {}\n{}", file.len(), what.len(), outcome.stderr);
    }

    #[track_caller]
    fn fails(&self, part: &str, more: &[&str]) {
        let (outcome, file) = self.download(more);
        assert!(matches!(outcome.code, Some(1 | 5)), "{:?}\n{}", outcome.code, outcome.stderr);
        assert!(outcome.stderr.contains(part), "no {part:?} in:\n{}", outcome.stderr);
        assert_eq!(file, None, "no file");
    }

    fn gets(&self) -> usize {
        self.hostile.requests_of("GET", "/b").len()
    }
}

fn listing(answer: Answer) -> Rule {
    Rule::on("GET", "").query("comp=list").answer(answer)
}

/// A listing without the ETags.
fn without_etags() -> Rule {
    listing(Answer::passed().replace("<Etag>", "<Other>").replace("</Etag>", "</Other>"))
}

/// A listing without the lengths.
fn no_length() -> Rule {
    listing(Answer::passed().replace("<Content-Length>", "<Other>").replace("</Content-Length>", "</Other>"))
}

#[test]
fn a_blob_that_was_empty_arrives_as_it_is_now() {
    for len in [11, 300_000, 9 << 20] {
        for rules in [vec![], vec![without_etags()]] {
            Case::written_before_its_turn(b"", &bytes(len), rules).arrives(&bytes(len), &[]);
        }
    }
}

#[test]
fn an_empty_blob_is_asked_for_once() {
    let case = Case::new(b"", vec![]);
    case.arrives(b"", &[]);
    assert_eq!(case.gets(), 1);
    let case = Case::written_before_its_turn(b"not empty", b"", vec![without_etags()]);
    case.arrives(b"", &[]);
}

#[test]
fn a_length_that_a_listing_leaves_out_is_told_by_the_answer() {
    for len in [0, 11, 300_000, 9 << 20] {
        Case::new(&bytes(len), vec![no_length()]).arrives(&bytes(len), &[]);
    }
}

/// Without an ETag in the listing only its length tells that the blob is another one: whole, and never cut to the old
/// one.
#[test]
fn a_blob_of_another_length_than_listed_is_taken_as_it_is_now() {
    for (was, is) in [(1_000, 3_000), (3_000, 1_000), (1_000, 9 << 20)] {
        for rules in [vec![], vec![without_etags()]] {
            let case = Case::written_before_its_turn(&bytes(was), &bytes(is), rules);
            case.arrives(&bytes(is), &[]);
        }
    }
    let case = Case::written_before_its_turn(&bytes(9 << 20), &bytes(1_000), vec![without_etags()]);
    case.arrives(&bytes(1_000), &[]);
}

#[test]
fn the_first_answers_etag_pins_the_other_ranges() {
    let (old, new) = (bytes(9 << 20), vec![7; 9 << 20]);
    let case = Case::new(&old, vec![without_etags()]);
    let (fixture, then) = (Arc::clone(&case.fixture), new);
    // Of the same length, after the first answer.
    case.hostile.add(
        Rule::on("GET", "/b").nth(3).answer(Answer::passed().meanwhile(move |_| plant(&fixture, &then))),
    );
    case.hostile.add(without_etags());
    let (outcome, file) = case.download(&["--block-size-mb=1"]);
    match file {
        // Read anew as it is now, or refused; never a mixture.
        Some(file) => assert!(file.iter().all(|&byte| byte == 7)),
        None => assert!(outcome.stderr.contains("changed"), "{}", outcome.stderr),
    }
    let pinned = case.hostile.requests_of("GET", "/b");
    assert!(pinned[1..].iter().all(|request| request.header("if-match").is_some()), "{pinned:#?}");

    let bare = Rule::on("GET", "/b").answer(Answer::passed().without("etag"));
    let case = Case::new(&old, vec![without_etags(), bare]);
    case.fails("the answers have no ETag", &[]);
}

#[test]
fn answers_without_a_length_are_whole_or_refused() {
    let whole = || {
        Answer::passed().change(|request, answer| {
            // As a server that knows no ranges.
            if request.path().ends_with("/b") && answer.status == 206 {
                answer.status = 200;
                answer.remove("content-range");
            }
        })
    };
    for len in [0, 11, 50_000] {
        // Its end is told.
        let chunks = Rule::on("GET", "/b").answer(whole().chunked());
        Case::new(&bytes(len), vec![chunks]).arrives(&bytes(len), &[]);
        let chunks = Rule::on("GET", "/b").answer(whole().chunked());
        let case = Case::new(&bytes(len), vec![chunks]);
        let down = case.fixture.path().join("named");
        let url = case.hostile.via(&case.fixture.url_of(CONTAINER, "b"));
        case.fixture.run(["copy", &url, down.to_str().unwrap()]).expect_code(0);
        assert_eq!(fs::read(down).unwrap(), bytes(len));
        // Nobody knows whether the connection was cut.
        let until_close = Rule::on("GET", "/b").answer(whole().until_close());
        Case::new(&bytes(len), vec![no_length(), until_close]).fails("neither a length nor an end", &[]);
    }
}

#[test]
fn whole_blobs_in_the_place_of_ranges_are_taken_where_one_answer_is_enough() {
    let no_ranges = || {
        Rule::on("GET", "/b")
            .answer(Answer::passed().change(|_, answer| answer.status = 200).without("content-range"))
    };
    let content = bytes(3_000);
    Case::new(&content, vec![no_ranges()]).arrives(&content, &[]);
    let multipart =
        Answer::passed().without("content-range").set("content-type", "multipart/byteranges; boundary=x");
    Case::new(&content, vec![Rule::on("GET", "/b").answer(multipart)]).fails("its range is ``", &[]);
    let other = Answer::passed().set("content-range", "bytes 1-3000/3001");
    Case::new(&content, vec![Rule::on("GET", "/b").answer(other)]).fails("3001", &[]);
}

#[test]
fn a_blob_whose_length_nobody_tells_is_not_taken_for_an_empty_one() {
    for method in ["HEAD", "GET"] {
        let untold = Answer::passed().change(|_, answer| answer.told_len = None).until_close();
        let case = Case::new(b"content", vec![Rule::on(method, "/b").answer(untold)]);
        let url = case.hostile.via(&case.fixture.url_of(CONTAINER, "b"));
        let down = case.fixture.path().join("named");
        let more = ["--overwrite=ifSourceNewer", "--max-tries=2"];
        let outcome = case.fixture.run(["copy", &url, down.to_str().unwrap()].into_iter().chain(more));
        if outcome.code == Some(0) {
            assert_eq!(fs::read(&down).unwrap(), b"content", "{method}");
        } else {
            assert!(outcome.stderr.contains("length"), "{method}: {}", outcome.stderr);
            assert!(!down.exists());
        }
    }
}
