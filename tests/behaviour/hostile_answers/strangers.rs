//! Whatever answers in the place of the service is told from it, and nothing that it says is a success.

use std::fs;

use azuring_tests::hostile::{Answer, Hostile, Rule};
use azuring_tests::{Fixture, Outcome, Stdin, azuring};

const PAGE: &str = "<!DOCTYPE html><title>Log in to the hotel</title>\n<form action=/login>";

/// A container with blobs, a directory to upload, and a server in between.
fn planted() -> Fixture {
    let fixture = Fixture::new(azuring!().stdin(Stdin::Bytes(b"from a pipe")));
    fixture.file("up/a.txt", b"content");
    fixture.file("up/b.txt", b"other");
    fixture.file("page.vhd", &[7; 1024]);
    fixture.file("big", &[7; 600 << 10]);
    fixture.upload(&fixture.path().join("up"), &["--as-subdir=false"]).expect_code(0);
    fixture
}

/// The arguments of a run, `{UP}`, `{FILE}`, `{PAGE}`, `{DOWN}` and `{URL}` (or `{URL/blob}`) put in.
fn args(fixture: &Fixture, hostile: &Hostile, line: &str) -> Vec<String> {
    let path = |name: &str| fixture.path().join(name).display().to_string();
    let one = |word: &str| match word {
        "{UP}" => path("up"),
        "{FILE}" => path("up/a.txt"),
        "{BIG}" => path("big"),
        "{PAGE}" => path("page.vhd"),
        "{DOWN}" => path("down"),
        _ => match word.strip_prefix("{URL").and_then(|rest| rest.strip_suffix('}')) {
            Some(blob) => hostile.via(&fixture.url_of("data", blob.trim_start_matches('/'))),
            None => word.to_owned(),
        },
    };
    line.split(' ').map(one).collect()
}

/// Every way to say something to the service, with the requests of it that a stranger answers.
const COMMANDS: &[(&str, &str, &str)] = &[
    ("copy {UP} {URL} --recursive", "PUT", ""),
    ("copy {BIG} {URL/new} --block-size-mb=0.25 --put-blob-size-mb=0.25", "PUT", "comp=block&"),
    ("copy {BIG} {URL/new} --block-size-mb=0.25 --put-blob-size-mb=0.25", "PUT", "comp=blocklist"),
    ("copy {FILE} {URL/new} --overwrite=false --check-length=false", "PUT", ""),
    ("copy {FILE} {URL/new} --overwrite=ifSourceNewer", "HEAD", ""),
    ("copy {FILE} {URL/new} --blob-type=AppendBlob", "PUT", ""),
    ("copy {FILE} {URL/new} --blob-type=AppendBlob", "PUT", "comp=appendblock"),
    ("copy {PAGE} {URL/new} --blob-type=PageBlob", "PUT", ""),
    ("copy {PAGE} {URL/new} --blob-type=PageBlob", "PUT", "comp=page"),
    ("copy - {URL/new} --from-to=PipeBlob", "PUT", ""),
    ("copy - {URL/new} --from-to=PipeBlob --blob-type=AppendBlob", "PUT", "comp=appendblock"),
    ("copy {URL/a.txt} {DOWN}", "GET", ""),
    ("copy {URL} {DOWN} --recursive", "GET", "comp=list"),
    ("copy {URL} {DOWN} --recursive", "GET", ""),
    ("copy {URL/a.txt} - --from-to=BlobPipe", "GET", ""),
    ("remove {URL/a.txt}", "DELETE", ""),
    ("remove {URL} --recursive", "POST", "comp=batch"),
    ("set-properties {URL} --recursive --block-blob-tier=Cool", "POST", "comp=batch"),
    ("set-properties {URL/a.txt} --metadata=k=v", "PUT", "comp=metadata"),
    ("set-properties {URL/a.txt} --blob-tags=k=v", "PUT", "comp=tags"),
    ("list {URL}", "", ""),
    ("make {URL}", "", ""),
];

#[track_caller]
fn told(outcome: &Outcome, line: &str, parts: &[&str]) {
    assert_eq!(outcome.code, Some(5), "{line}\n{}\n{}", outcome.stdout, outcome.stderr);
    for part in parts {
        assert!(outcome.stderr.contains(part), "{line}: no {part:?} in:\n{}", outcome.stderr);
    }
    assert_ne!(outcome.field("Final Job Status"), Some("Completed"), "{line}");
    assert!(!outcome.stdout.contains("Log in"), "{line}: the page was taken for content");
}

#[test]
fn a_login_page_is_no_success_of_any_command() {
    for &(line, method, query) in COMMANDS {
        let fixture = planted();
        let before = fixture.blobs();
        for status in [200, 201] {
            let rule = Rule::on(method, "").query(query).answer(Answer::status(status).body(PAGE));
            let hostile = Hostile::before(fixture.server().addr(), vec![rule]);
            let outcome = fixture.run(args(&fixture, &hostile, line));
            let first = if method == "HEAD" { "HEAD" } else { "Log in to the hotel" };
            let first = if first == "HEAD" { "this is not Azure Storage" } else { first };
            told(&outcome, line, &["this is not Azure Storage", first, "x-ms-request-id", "login page"]);
        }
        let left = fs::read_dir(fixture.path().join("down")).map_or(0, Iterator::count);
        assert_eq!(left, 0, "{line}: no page becomes a file");
        for blob in before {
            assert!(fixture.names().contains(&blob.name), "{line}: {} is there", blob.name);
        }
    }
}

#[test]
fn a_gateway_that_changes_status_or_headers_is_told_from_the_service() {
    for (answer, part) in [
        (Answer::passed().with_status(200), "to Put Blob is 200"),
        (Answer::passed().without("x-ms-request-id"), "without x-ms-request-id"),
        (Answer::passed().without("x-ms-version"), "Azure API Management, Front Door"),
        (Answer::status(302).header("location", "http://portal.test/"), "leads to http://portal.test/"),
    ] {
        let fixture = planted();
        let hostile = Hostile::before(fixture.server().addr(), vec![Rule::on("PUT", "").answer(answer)]);
        let line = "copy {FILE} {URL/new} --max-tries=2";
        told(&fixture.run(args(&fixture, &hostile, line)), line, &["this is not Azure Storage", part]);
        assert_eq!(hostile.requests().len(), 1, "it is not asked again");
    }
}

/// Long after the first success too, as when a network's login has expired.
#[test]
fn the_job_stops_in_its_middle_and_goes_on_when_the_service_is_back() {
    let fixture = planted();
    for n in 0..40 {
        fixture.file(&format!("many/{n:02}"), b"content");
    }
    let rule = Rule::on("PUT", "").after(10).answer(Answer::status(200).body(PAGE));
    let hostile = Hostile::before(fixture.server().addr(), vec![rule]);
    let many = fixture.path().join("many");
    let url = hostile.via(&fixture.url());
    let outcome = fixture.run(["copy", many.to_str().unwrap(), &url, "--recursive", "--concurrency=4"]);
    told(&outcome, "middle", &["the job was stopped", "this is not Azure Storage"]);
    assert!(hostile.requests().len() < 40, "it stopped");
    let job = outcome.stdout.split("JobID: ").nth(1).or(outcome.stdout.split("Job ").nth(1)).unwrap();
    let job = job.split_whitespace().next().unwrap();
    hostile.relent();
    let sas = url.split_once('?').unwrap().1;
    fixture.run(["jobs", "resume", job, &format!("--destination-sas={sas}")]).expect_code(0);
    let arrived = fixture.names().into_iter().filter(|name| name.starts_with("many/")).count();
    assert_eq!(arrived, 40);
}

/// What proxies and web servers refuse is told as theirs, and no 404 of theirs is a blob that is not there.
#[test]
fn refusals_of_strangers_are_told_as_theirs() {
    for status in [401, 403, 404, 405] {
        for (line, method) in [
            ("copy {UP} {URL} --recursive --concurrency=1", "PUT"),
            ("copy {URL/a.txt} {DOWN}", ""),
            ("remove {URL/a.txt}", ""),
            ("list {URL}", ""),
        ] {
            let fixture = planted();
            let proxy =
                Answer::status(status).header("server", "squid/5.2").body("<html>Denied by policy</html>");
            let hostile = Hostile::before(fixture.server().addr(), vec![Rule::on(method, "").answer(proxy)]);
            let outcome = fixture.run(args(&fixture, &hostile, line));
            let page = "not Azure Storage but `squid/5.2` answered this";
            let no_body = line.starts_with("copy {URL") || line.starts_with("remove");
            let parts = [page, if no_body { page } else { "Denied by policy" }, "HTTPS_PROXY"];
            told(&outcome, &format!("{status} {line}"), &parts);
            assert!(!outcome.stderr.contains("no such blob"), "{}", outcome.stderr);
        }
    }
}
