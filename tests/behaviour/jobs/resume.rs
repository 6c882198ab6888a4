//! A job goes on where it was.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use azsim::{Fault, Faults, NameMatch, Operation, Rule, Seed};
use azuring_tests::{CONTAINER, DEVSTORE_ACCOUNT, DEVSTORE_KEY, Fixture, azuring};

use super::{begun, failing, home, listed, number, refused, schema, the_job};

/// The SAS of a URL.
fn sas(url: &str) -> String {
    url.split_once('?').unwrap().1.to_owned()
}

fn done_once(fixture: &Fixture) {
    let names = fixture.names();
    assert_eq!(names.len(), 1000);
    for (n, name) in names.iter().enumerate() {
        assert_eq!(*name, format!("tree/{n:04}"));
        assert_eq!(fixture.content(name), format!("{n}").as_bytes());
    }
}

#[test]
fn an_interrupted_upload_is_resumed_to_the_last_object() {
    let fixture = Fixture::new(azuring!());
    let running = begun(&fixture);
    running.interrupt_and_see();
    fixture.release();
    let first = running.wait().unwrap();
    first.expect_code(6);
    let done = number(&first, "Number of File Transfers Completed");
    assert_eq!(done, 44, "what was in flight is finished");
    let id = the_job(&fixture);
    let told = format!("resume with: azuring jobs resume {id} --destination-sas='SAS'");
    assert!(first.stderr.contains(&told), "{}", first.stderr);
    let shown = fixture.run(["jobs", "show", &id]);
    shown.expect_code(0);
    assert_eq!(shown.field("Final Job Status"), Some("Cancelled"));
    assert_eq!(number(&shown, "Number of File Transfers Completed"), done);

    // What did not end is still known by name.
    let of = |status: &str| {
        let flag = format!("--with-status={status}");
        let outcome = fixture.run(["jobs", "show", &id, &flag, "--output-type=ndjson"]);
        outcome.expect_code(0).stdout.lines().map(schema::type_of).collect::<Result<Vec<_>, _>>().unwrap()
    };
    assert_eq!(of("Success"), vec!["transfer"; done as usize]);
    assert_eq!(of("Started").len() as u64, number(&first, "Number of File Transfers Skipped"));
    assert_eq!(of("All").len() as u64, number(&first, "Total Number of Transfers"));

    let before = fixture.server().stats().requests;
    let second = fixture.run(["jobs", "resume", &id[..8], "--concurrency=8"]);
    second.expect_code(0);
    assert_eq!(second.field("Final Job Status"), Some("Completed"));
    for label in ["Total Number of Transfers", "Number of File Transfers Completed"] {
        assert_eq!(number(&second, label), 1000, "{label}");
    }
    assert_eq!(number(&second, "Number of File Transfers Skipped"), 0);
    assert!(second.stdout.contains(&format!("Job {id} has started")), "{}", second.stdout);
    assert!(second.stderr.contains("8 requests in flight"), "{}", second.stderr);
    assert!(!second.stderr.contains("resume with"), "{}", second.stderr);
    let sent = fixture.server().stats().requests - before;
    assert_eq!(sent, 1000 - done, "what was done is not done again");
    done_once(&fixture);
}

#[test]
fn a_killed_upload_is_resumed_to_the_last_object() {
    let fixture = Fixture::new(azuring!());
    let running = begun(&fixture);
    running.kill();
    assert_eq!(running.wait().unwrap().signal, Some(9));
    let id = the_job(&fixture);
    assert_eq!(listed(&fixture, &["--with-status=Cancelled"]), std::slice::from_ref(&id));
    fixture.release();
    let second = fixture.run(["jobs", "resume", &id]);
    second.expect_code(0);
    for label in ["Total Number of Transfers", "Number of File Transfers Completed"] {
        assert_eq!(number(&second, label), 1000, "{label}");
    }
    assert_eq!(number(&second, "Total Number of Bytes Transferred"), 10 + 180 + 2700);
    done_once(&fixture);
}

#[test]
fn a_new_sas_goes_where_the_old_one_was() {
    const ACCOUNT: &str = "other";
    let key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let fixture = Fixture::with(azuring!(), |server| {
        server.account(DEVSTORE_ACCOUNT, DEVSTORE_KEY).account(ACCOUNT, key)
    });
    assert!(fixture.server().create_container(ACCOUNT, CONTAINER));
    let hour = Duration::from_secs(3600);
    let url = format!("{}/{CONTAINER}", fixture.server().url(ACCOUNT));
    let weak = fixture.server().account_sas(ACCOUNT, "r", hour);
    let strong = fixture.server().account_sas(ACCOUNT, "rwdlact", hour);
    let file = fixture.file("a.txt", b"a");
    // One whose signature is another's: only the service can tell.
    let forged = strong.split_once("sig=").map(|(before, _)| before.to_owned()).unwrap()
        + weak.split_once("sig=").map(|(_, signature)| format!("sig={signature}")).as_deref().unwrap();
    let first = fixture.run(["copy", file.to_str().unwrap(), &format!("{url}?{forged}")]);
    assert_ne!(first.code, Some(0));
    let id = the_job(&fixture);

    let without = fixture.run(["jobs", "resume", &id]);
    without.expect_code(3);
    assert!(without.stderr.contains("--destination-sas='SAS'"), "{}", without.stderr);
    let wrong = fixture.run(["jobs", "resume", &id, &format!("--source-sas={strong}")]);
    wrong.expect_code(2);
    assert!(wrong.stderr.contains("--source-sas: the job's source is no URL"), "{}", wrong.stderr);

    let resumed = fixture.run(["jobs", "resume", &id, &format!("--destination-sas=?{strong}")]);
    resumed.expect_code(0);
    assert_eq!(number(&resumed, "Number of File Transfers Completed"), 1);
    assert_eq!(fixture.server().content(ACCOUNT, CONTAINER, "a.txt").unwrap().to_vec(), b"a");

    // The other way round: the source is the URL.
    let (to, signed) = (fixture.path().join("down/a.txt"), format!("{url}/a.txt?{weak}"));
    fixture.file("down", b"in the way");
    let first = fixture.run(["copy", &signed, to.to_str().unwrap()]);
    assert_ne!(first.code, Some(0));
    let id = listed(&fixture, &[]).into_iter().find(|other| *other != id).unwrap();
    fs::remove_file(fixture.path().join("down")).unwrap();
    let without = fixture.run(["jobs", "resume", &id]);
    assert!(without.expect_code(3).stderr.contains("--source-sas='SAS'"), "{}", without.stderr);
    fixture.run(["jobs", "resume", &id, &format!("--source-sas={weak}")]).expect_code(0);
    assert_eq!(fs::read(to).unwrap(), b"a");
    for entry in fs::read_dir(home(&fixture).join("jobs")).unwrap() {
        let journal = fs::read(entry.unwrap().path().join("journal")).unwrap();
        let holds = |what: &str| journal.windows(what.len()).any(|part| part == what.as_bytes());
        assert!(holds(CONTAINER) && !holds("sig="));
    }
}

#[test]
fn a_job_goes_on_from_the_directory_where_it_began() {
    let (fixture, tree) = failing();
    let (home, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let within = |dir: &Path| azuring!().env("HOME", home.path()).current_dir(dir);
    let url = fixture.url();
    let first = within(&tree).run(["copy", "*", &url, "--recursive", "--include-pattern=*bad*"]);
    let text = first.expect_code(1).stderr.split("azuring jobs resume ").nth(1).unwrap();
    let id = text.split_whitespace().next().unwrap();
    fixture.server().set_faults(Faults::default());
    let moved = tree.with_file_name("moved");
    fs::rename(&tree, &moved).unwrap();
    let gone = within(elsewhere.path()).run(["jobs", "resume", id]);
    assert!(gone.expect_code(1).stderr.contains("cannot be entered"), "{}", gone.stderr);
    fs::rename(&moved, &tree).unwrap();
    let sas = format!("--destination-sas={}", sas(&url));
    within(elsewhere.path()).run(["jobs", "resume", id, &sas]).expect_code(0);
    assert_eq!(fixture.names(), ["bad 1.txt", "sub/bad%2.txt"]);
}

#[test]
fn what_failed_is_tried_once_more() {
    for (flag, code) in [("--retry-failed=0", 5), ("--retry-failed=1", 0), ("", 0)] {
        let fixture = Fixture::new(azuring!());
        fixture.file("tree/bad.txt", b"a");
        fixture.file("tree/good.txt", b"b");
        let fault = Fault::error(503, "ServerBusy");
        let rules = vec![Rule { fault, count: 1, ..refused("bad") }];
        fixture.server().set_faults(Faults { rules, ..Faults::default() });
        let more = ["--max-tries=1", flag];
        let more = if flag.is_empty() { &more[..1] } else { &more };
        let outcome = fixture.upload(&fixture.path().join("tree"), more);
        outcome.expect_code(code);
        let failed = number(&outcome, "Number of File Transfers Failed");
        assert_eq!((failed, fixture.names().len()), if code == 0 { (0, 2) } else { (1, 1) }, "{flag}");
    }
}

#[test]
fn removals_and_changes_are_resumed_too() {
    for (command, operation) in
        [(&["rm"][..], None), (&["sp", "--metadata=a=1"], Some(Operation::SetBlobMetadata))]
    {
        let fixture = Fixture::new(azuring!());
        for n in 0..3 {
            let file = fixture.file(&format!("f{n}"), b"x");
            fixture.upload(&file, &["--no-journal"]).expect_code(0);
        }
        let rule = Rule {
            name: NameMatch::Contains("f1".to_owned()),
            operation,
            fault: Fault::error(409, "BlobImmutableDueToPolicy"),
            skip: 0,
            count: u64::MAX,
        };
        fixture.server().set_faults(Faults { rules: vec![rule], ..Faults::default() });
        let url = fixture.url();
        let first =
            fixture.run([command[0], &*url, "--recursive"].into_iter().chain(command[1..].iter().copied()));
        assert_eq!(number(first.expect_code(1), "Number of File Transfers Failed"), 1, "{command:?}");
        fixture.server().set_faults(Faults::default());
        let id = the_job(&fixture);
        assert!(first.stderr.contains(&format!("{id} --source-sas='SAS'")), "{}", first.stderr);
        let second = fixture.run(["jobs", "resume", &id, &format!("--source-sas={}", sas(&url))]);
        assert_eq!(number(second.expect_code(0), "Number of File Transfers Completed"), 3, "{command:?}");
    }
}

#[test]
fn resuming_is_not_advised_where_it_looks_at_nothing() {
    let fixture = Fixture::new(azuring!());
    let file = fixture.file("tree/file", b"x");
    let link = file.with_file_name("link");
    std::os::unix::fs::symlink("nowhere", &link).unwrap();
    let (tree, more) = (fixture.path().join("tree"), ["--follow-symlinks"]);
    let first = fixture.upload(&tree, &more);
    first.expect_code(1);
    assert!(!first.stderr.contains("resume with"), "{}", first.stderr);
    assert!(first.stderr.contains("run the command anew"), "{}", first.stderr);
    // What is advised works.
    fs::write(tree.join("nowhere"), b"y").unwrap();
    fixture.upload(&tree, &more).expect_code(0);
    assert_eq!(fixture.content("tree/link"), b"y");
}

/// A job, and whether it is worth while to go on with it as it is.
struct Case {
    what: &'static str,
    /// Files below `tree`, and blobs.
    files: &'static [(&'static [u8], &'static str)],
    blobs: &'static [&'static str],
    /// The service refuses to write or to give what has this in its name.
    refuses: Option<&'static str>,
    /// `TREE` is the directory, `TO` another one, `URL` the container.
    command: &'static [&'static str],
    /// Another run of the same command comes before it.
    twice: bool,
    resumable: bool,
}

const CASES: [Case; 9] = [
    Case {
        what: "an append blob that is there",
        files: &[(b"a", "content")],
        command: &["copy", "TREE/*", "URL", "--blob-type=AppendBlob"],
        twice: true,
        ..Case::DONE
    },
    Case {
        what: "no whole pages",
        files: &[(b"a", "abc")],
        command: &["copy", "TREE/*", "URL", "--blob-type=PageBlob"],
        ..Case::DONE
    },
    Case {
        what: "a name that is no text",
        files: &[(b"bad\xff", "abc"), (b"good", "abc")],
        command: &["copy", "TREE/*", "URL"],
        ..Case::DONE
    },
    Case {
        what: "the same and a refusal",
        files: &[(b"bad\xff", "abc"), (b"good", "abc")],
        refuses: Some("good"),
        command: &["copy", "TREE/*", "URL"],
        resumable: true,
        ..Case::DONE
    },
    Case {
        what: "a refusal",
        files: &[(b"good", "abc")],
        refuses: Some("good"),
        command: &["copy", "TREE/*", "URL"],
        resumable: true,
        ..Case::DONE
    },
    Case {
        what: "a directory in a list",
        files: &[(b"list", "dir/\n")],
        blobs: &["dir/a"],
        command: &["copy", "URL", "TO", "--list-of-files=TREE/list"],
        ..Case::DONE
    },
    Case {
        what: "a name of a list that is not there",
        files: &[(b"list", "a\n")],
        command: &["copy", "URL", "TO", "--list-of-files=TREE/list"],
        resumable: true,
        ..Case::DONE
    },
    Case {
        what: "two blobs of one local name",
        blobs: &["d//a", "d/a"],
        command: &["copy", "URL", "TO", "--recursive"],
        ..Case::DONE
    },
    Case {
        what: "a directory without --recursive",
        blobs: &["d/a"],
        command: &["copy", "URL/d", "TO"],
        ..Case::DONE
    },
];

impl Case {
    const DONE: Self = Self {
        what: "",
        files: &[],
        blobs: &[],
        refuses: None,
        command: &[],
        twice: false,
        resumable: false,
    };
}

#[test]
fn resuming_is_advised_only_where_it_can_come_to_another_end() {
    for case in CASES {
        let fixture = Fixture::new(azuring!());
        let what = case.what;
        fs::create_dir(fixture.path().join("tree")).unwrap();
        for (name, content) in case.files {
            fs::write(fixture.path().join("tree").join(OsStr::from_bytes(name)), content).unwrap();
        }
        let seed = |name: &&str| Seed {
            name: (*name).to_owned(),
            content: vec![name.as_bytes().to_vec().into()],
            ..Seed::default()
        };
        fixture.server().plant(DEVSTORE_ACCOUNT, CONTAINER, case.blobs.iter().map(seed));
        let at = |name: &str| fixture.path().join(name).to_str().unwrap().to_owned();
        let word = |word: &&str| match word.strip_prefix("URL") {
            Some(path) => fixture.url_of(CONTAINER, path.trim_start_matches('/')),
            None => word.replace("TREE", &at("tree")).replace("TO", &at("to")),
        };
        let line: Vec<String> = case.command.iter().map(word).collect();
        if case.twice {
            fixture.run(line.iter().chain([&"--no-journal".to_owned()])).expect_code(0);
            // What is there could be the job's own.
            for (name, _) in case.files {
                fs::write(fixture.path().join("tree").join(OsStr::from_bytes(name)), b"others").unwrap();
            }
        }
        if let Some(name) = case.refuses {
            fixture.server().set_faults(Faults { rules: vec![refused(name)], ..Faults::default() });
        }
        let first = fixture.run(&line);
        assert!(matches!(first.code, Some(1 | 2 | 4 | 8)), "{what}: {first:?}");
        let advised = first.stderr.contains("resume with");
        assert_eq!(advised, case.resumable, "{what}: {}", first.stderr);
        if !case.resumable {
            let id = the_job(&fixture);
            let sas = sas(&fixture.url());
            let end = if case.command[1] == "TREE/*" { "destination" } else { "source" };
            let again = fixture.run(["jobs", "resume", &id, &format!("--{end}-sas={sas}")]);
            assert_eq!(again.code, first.code, "{what}: {}", again.stderr);
            let failed = |outcome| number(outcome, "Number of File Transfers Failed");
            if what.starts_with("two blobs") {
                // Not the other one.
                assert_eq!(fs::read(fixture.path().join("to/data/d/a")).unwrap(), b"d//a");
            }
            assert_eq!(failed(&again), failed(&first), "{what}");
            assert!(!again.stderr.contains("resume with"), "{what}: {}", again.stderr);
        }
    }
}
