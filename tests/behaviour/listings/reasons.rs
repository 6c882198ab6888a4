//! What stops a command is what it says, whatever else is given up for it.

use std::time::Duration;

use azsim::{Fault, Faults, NameMatch, Operation, Rule};
use azuring_tests::{DEVSTORE_ACCOUNT, Fixture, Outcome, Stdin, azuring};

use super::plant;

/// The commands that look at what is there, at this URL.
fn commands(url: &str, fixture: &Fixture) -> Vec<Vec<String>> {
    let down = fixture.path().join("down").display().to_string();
    let list = format!("--list-of-files={}", fixture.file("list", b"one\ntwo\nthree\n").display());
    let lines: [&[&str]; 8] = [
        &["list", url],
        &["copy", url, &down, "--recursive"],
        &["copy", url, "-", "--from-to=BlobPipe"],
        &["remove", url, "--recursive"],
        &["remove", url],
        &["set-properties", url, "--recursive", "--metadata=k=v"],
        &["remove", url, &list],
        &["copy", url, &down, &list],
    ];
    lines.iter().map(|line| line.iter().map(|word| (*word).to_owned()).collect()).collect()
}

/// A SAS whose signature is another one's.
fn bad_sas(fixture: &Fixture) -> String {
    let sas = fixture.server().account_sas(DEVSTORE_ACCOUNT, "rwdlact", Duration::from_secs(600));
    let cut = sas.find("sig=").unwrap() + 4;
    format!("{}{}", &sas[..cut], "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D")
}

#[track_caller]
fn told(outcome: &Outcome, code: i32, reason: &str, line: &[String]) {
    let line = line[..2.min(line.len())].join(" ");
    assert_eq!(outcome.code, Some(code), "{line}\n{}\n{}", outcome.stdout, outcome.stderr);
    let all = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(all.contains(reason), "{line}: {all}");
    assert!(!all.contains("was stopped before"), "{line}: {all}");
}

#[test]
fn a_refused_credential_is_the_reason() {
    let fixture = Fixture::new(azuring!());
    plant(&fixture, [("c/x", "1"), ("c/x/y", "2"), ("one", "3")]);
    let base = fixture.server().url(DEVSTORE_ACCOUNT);
    let bad = bad_sas(&fixture);
    for path in ["c/x", "c/x/", "", "gone"] {
        let url = format!("{base}/data/{path}?{bad}");
        for line in commands(&url, &fixture) {
            if path.is_empty() && line.contains(&"-".to_owned()) {
                continue;
            }
            told(&fixture.run(&line), 3, "AuthenticationFailed", &line);
        }
    }
    // A wrong key.
    let key = azuring!().env("AZURE_STORAGE_KEY", "d3Jvbmcga2V5IGZvciBhIHRlc3Q=");
    let url = format!("{base}/data/c/x");
    for line in commands(&url, &fixture) {
        told(&key.run(&line), 3, "AuthenticationFailed", &line);
    }
}

#[test]
fn a_service_that_is_not_there_is_the_reason() {
    let fixture = Fixture::new(azuring!());
    // Nobody listens there.
    let url = format!("http://127.0.0.1:1/{DEVSTORE_ACCOUNT}/data/c/x");
    for line in commands(&url, &fixture) {
        let outcome = fixture.run(line.iter().map(String::as_str).chain(["--max-tries=2"]));
        told(&outcome, 5, "refused", &line);
    }
}

#[test]
fn a_container_that_is_not_there_is_the_reason() {
    let fixture = Fixture::new(azuring!());
    let url = fixture.url_of("nothing-here", "c/x");
    for line in commands(&url, &fixture) {
        let outcome = fixture.run(&line);
        let all = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(all.contains("ContainerNotFound") && !all.contains("was stopped before"), "{line:?}: {all}");
        assert_ne!(outcome.code, Some(6), "{line:?}");
    }
}

#[test]
fn a_resumed_job_and_a_pipe_say_it_too() {
    let fixture = Fixture::new(azuring!());
    let names: Vec<String> = (0..300).map(|n| format!("d/{n:03}")).collect();
    plant(&fixture, names.iter().map(|name| (name.as_str(), "content")));
    let name = NameMatch::Contains("d/".to_owned());
    let fault = Fault::error(403, "AuthorizationPermissionMismatch");
    let rule = Rule { name, operation: Some(Operation::GetBlob), fault, skip: 10, count: 50 };
    fixture.server().set_faults(Faults { rules: vec![rule], ..Faults::default() });
    let down = fixture.path().join("down");
    let first = fixture.run(["copy", &fixture.url(), down.to_str().unwrap(), "--recursive"]);
    assert_ne!(first.code, Some(0));
    let jobs = fixture.run(["jobs", "list"]);
    let id = jobs.stdout.lines().find_map(|line| line.strip_prefix("JobId: ")).unwrap().to_owned();
    let line: Vec<String> =
        ["jobs", "resume", &id, &format!("--source-sas={}", bad_sas(&fixture))].map(str::to_owned).to_vec();
    let outcome = fixture.run(&line);
    assert_eq!(outcome.code, Some(3), "{}\n{}", outcome.stdout, outcome.stderr);
    assert!(outcome.stderr.contains("AuthenticationFailed"), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("was stopped before"), "{}", outcome.stderr);

    let url = format!("{}/data/x?{}", fixture.server().url(DEVSTORE_ACCOUNT), bad_sas(&fixture));
    let line = ["copy", "-", &url, "--from-to=PipeBlob"].map(str::to_owned);
    told(&azuring!().stdin(Stdin::Bytes(b"some data")).run(&line), 3, "AuthenticationFailed", &line);
}
