//! What stops a command is what it says, whatever else is given up for it.

use std::time::Duration;

use azuring_tests::{DEVSTORE_ACCOUNT, Fixture, Outcome, azuring};

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
    let sas = fixture.server().account_sas(DEVSTORE_ACCOUNT, "rwdlact", Duration::from_secs(600));
    let cut = sas.find("sig=").unwrap() + 4;
    let bad = format!("{}{}", &sas[..cut], "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D");
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
