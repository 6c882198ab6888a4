//! Blobs that cannot all be files beside each other.

use std::path::Path;

use azuring_tests::{Fixture, Outcome, azuring};

use super::plant;

fn download(fixture: &Fixture, path: &str, to: &Path, more: &[&str]) -> Outcome {
    let url = fixture.url_of("data", path);
    fixture.run(["copy", &url, to.to_str().unwrap(), "--recursive"].iter().chain(more))
}

#[test]
fn an_empty_blob_whose_name_begins_others_is_a_directory() {
    let fixture = Fixture::new(azuring!());
    let names: Vec<(String, String, String)> =
        (0..30).map(|n| (format!("dir{n:02}"), format!("dir{n:02}-x"), format!("dir{n:02}/data"))).collect();
    for (dir, beside, below) in &names {
        // Others lie between a name and what is below it.
        plant(&fixture, [(dir.as_str(), ""), (beside, "beside"), (below, "data")]);
    }
    plant(&fixture, [("alone", ""), ("chain", ""), ("chain-", ""), ("chain-/1", "1"), ("chain/2", "2")]);
    for round in 0..5 {
        let to = fixture.path().join(format!("down{round}"));
        let outcome = download(&fixture, "*", &to, &["--concurrency=64"]);
        outcome.expect_code(0);
        for (dir, beside, below) in &names {
            assert!(to.join(dir).is_dir());
            assert_eq!(std::fs::read(to.join(below)).unwrap(), b"data");
            assert_eq!(std::fs::read(to.join(beside)).unwrap(), b"beside");
        }
        assert_eq!(std::fs::read(to.join("alone")).unwrap(), b"");
        assert_eq!(std::fs::read(to.join("chain-/1")).unwrap(), b"1");
        assert_eq!(std::fs::read(to.join("chain/2")).unwrap(), b"2");
        // The directories are counted as such.
        assert_eq!(outcome.field("Number of File Transfers Completed"), Some("63"), "{}", outcome.stdout);
        assert_eq!(outcome.field("Number of Folder Property Transfers"), Some("32"), "{}", outcome.stdout);
    }
    // Level by level it is the same, and where what is below is left out.
    let to = fixture.path().join("levels");
    download(&fixture, "*", &to, &["--exclude-path=dir07/none;dir08"]).expect_code(0);
    assert!(to.join("dir07/data").is_file() && to.join("dir09/data").is_file() && !to.join("dir08").exists());
}

#[test]
fn a_page_may_end_between_a_name_and_what_is_below_it() {
    let fixture = Fixture::new(azuring!());
    let many: Vec<String> = (0..4_999).map(|n| format!("a{n:05}")).collect();
    plant(&fixture, many.iter().map(|name| (name.as_str(), "")));
    // The last of the first page.
    plant(&fixture, [("dir", ""), ("dir-x", "1"), ("dir/data", "2"), ("e", ""), ("e-", "3")]);
    let to = fixture.path().join("down");
    download(&fixture, "*", &to, &[]).expect_code(0);
    assert_eq!(std::fs::read(to.join("dir/data")).unwrap(), b"2");
    assert!(to.join("e").is_file() && to.join("a04998").is_file());
    assert_eq!(std::fs::read_dir(&to).unwrap().count(), 4_999 + 4);
}

#[test]
fn of_a_file_and_what_is_below_it_the_file_is_kept_whatever_the_lanes_do() {
    let fixture = Fixture::new(azuring!());
    let large = "x".repeat(300_000);
    plant(&fixture, [("a", &*large), ("a-b", "1"), ("a/b", "2"), ("a/c/d", "3"), ("a/c", ""), ("b", "4")]);
    for round in 0..5 {
        let to = fixture.path().join(format!("down{round}"));
        let outcome = download(&fixture, "*", &to, &["--concurrency=64"]);
        outcome.expect_code(1);
        assert_eq!(std::fs::metadata(to.join("a")).unwrap().len(), 300_000);
        assert!(to.join("a-b").is_file() && to.join("b").is_file());
        for name in ["a/b", "a/c", "a/c/d"] {
            let told = format!("{name}: the blob `a` is a file");
            assert!(outcome.stderr.contains(&told), "{name}: {}", outcome.stderr);
        }
        assert_eq!(outcome.field("Number of File Transfers Failed"), Some("3"), "{}", outcome.stdout);
    }
}

#[test]
fn lines_of_a_list_come_in_any_order() {
    let fixture = Fixture::new(azuring!());
    plant(&fixture, [("d", ""), ("d/1", "1"), ("d/e", ""), ("d/e/2", "2"), ("f", ""), ("g", "")]);
    for (n, lines) in ["d\nd/1\nd/e\nd/e/2\nf\n", "f\nd/e/2\nd/e\nd/1\nd\n"].into_iter().enumerate() {
        for round in 0..5 {
            let to = fixture.path().join(format!("down{n}{round}"));
            std::fs::create_dir_all(to.join("g")).unwrap();
            let list = fixture.file("list", lines.as_bytes());
            let outcome = download(
                &fixture,
                "",
                &to,
                &[&format!("--list-of-files={}", list.display()), "--as-subdir=false", "--concurrency=8"],
            );
            outcome.expect_code(0);
            assert_eq!(std::fs::read(to.join("d/1")).unwrap(), b"1");
            assert_eq!(std::fs::read(to.join("d/e/2")).unwrap(), b"2");
            assert!(to.join("f").is_file());
        }
    }
    // A directory that was there, and of which the service knows nothing, is in the way.
    let to = fixture.path().join("there");
    std::fs::create_dir_all(to.join("g")).unwrap();
    let list = fixture.file("list", b"g\n");
    let outcome =
        download(&fixture, "", &to, &["--as-subdir=false", &format!("--list-of-files={}", list.display())]);
    assert_ne!(outcome.code, Some(0), "{}", outcome.stdout);
    assert!(outcome.stderr.contains("g: "), "{}", outcome.stderr);
}

#[test]
fn of_two_names_that_are_one_without_empty_segments_one_fails_in_either_order() {
    let fixture = Fixture::new(azuring!());
    // A dot comes before a slash, a letter behind it.
    plant(
        &fixture,
        [("d/.x", "plain"), ("d//.x", "not"), ("d/y", "plain"), ("d//y", "not"), ("d//.alone", "alone")],
    );
    for round in 0..3 {
        let to = fixture.path().join(format!("down{round}"));
        let outcome = download(&fixture, "*", &to, &["--concurrency=64"]);
        outcome.expect_code(1);
        assert_eq!(outcome.field("Number of File Transfers Failed"), Some("2"), "{}", outcome.stdout);
        assert_eq!(outcome.field("Number of File Transfers Completed"), Some("3"), "{}", outcome.stdout);
        assert_eq!(std::fs::read(to.join("d/.x")).unwrap(), b"plain");
        assert_eq!(std::fs::read(to.join("d/.alone")).unwrap(), b"alone");
        assert!(to.join("d/y").is_file());
        assert!(outcome.stderr.contains("d//.x: another blob has the same name"), "{}", outcome.stderr);
    }
}
