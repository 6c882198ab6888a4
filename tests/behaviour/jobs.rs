//! `azuring jobs`: what is kept of a job, and that it goes on where it was.
#![allow(clippy::unwrap_used, reason = "test code")]

use std::fs;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use azsim::{Fault, Faults, NameMatch, Operation, Rule, Seed};
use azuring_tests::{CONTAINER, DEVSTORE_ACCOUNT, Fixture, Outcome, Running, azuring, wait_until};
use serde_json::Value;

#[path = "../../tools/azuring/src/view/ndjson/schema.rs"]
mod schema;

#[path = "jobs/one_name.rs"]
mod one_name;
#[path = "jobs/resume.rs"]
mod resume;

fn home(fixture: &Fixture) -> PathBuf {
    fixture.azuring().home().join(".azuring")
}

/// The ids of all jobs, as `jobs list` gives them.
fn listed(fixture: &Fixture, more: &[&str]) -> Vec<String> {
    let mut args = vec!["jobs", "list"];
    args.extend(more);
    let outcome = fixture.run(args);
    outcome.expect_code(0);
    assert!(outcome.stdout.starts_with("Existing Jobs \n"), "{}", outcome.stdout);
    outcome.stdout.lines().filter_map(|line| line.strip_prefix("JobId: ")).map(str::to_owned).collect()
}

#[track_caller]
fn the_job(fixture: &Fixture) -> String {
    let jobs = listed(fixture, &[]);
    assert_eq!(jobs.len(), 1, "{jobs:?}");
    jobs[0].clone()
}

#[track_caller]
fn number(outcome: &Outcome, label: &str) -> u64 {
    let field = outcome.field(label).unwrap_or_else(|| panic!("no {label}: {}", outcome.stdout));
    field.parse().unwrap()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What AzCopy's messages of this type contain.
fn content(text: &str, kind: &str) -> Value {
    let line = lines(text).into_iter().find(|line| line["MessageType"] == kind);
    serde_json::from_str(
        line.unwrap_or_else(|| panic!("no {kind}: {text}"))["MessageContent"].as_str().unwrap(),
    )
    .unwrap()
}

fn refused(name: &str) -> Rule {
    Rule {
        name: NameMatch::Contains(name.to_owned()),
        operation: Some(Operation::PutBlob),
        fault: Fault::error(409, "BlobImmutableDueToPolicy"),
        skip: 0,
        count: u64::MAX,
    }
}

/// A tree whose files with `bad` in their name fail.
fn failing() -> (Fixture, PathBuf) {
    let fixture = Fixture::new(azuring!());
    for name in ["a.txt", "bad 1.txt", "sub/bad%2.txt", "sub/b.txt"] {
        fixture.file(&format!("tree/{name}"), name.as_bytes());
    }
    fixture.server().set_faults(Faults { rules: vec![refused("bad")], ..Faults::default() });
    let tree = fixture.path().join("tree");
    (fixture, tree)
}

/// An upload of a thousand files that has done forty of them and stands still.
fn begun(fixture: &Fixture) -> Running {
    for n in 0..1000 {
        fixture.file(&format!("tree/{n:04}"), format!("{n}").as_bytes());
    }
    fixture.hold(Operation::PutBlob, "", 40);
    let args = fixture.upload_args(&fixture.path().join("tree"), &["--concurrency=4"]);
    let running = fixture.azuring().start(args);
    fixture.wait_for_held(4);
    running
}

#[test]
fn a_job_that_runs_is_left_alone() {
    let fixture = Fixture::new(azuring!());
    let running = begun(&fixture);
    let id = the_job(&fixture);
    assert_eq!(listed(&fixture, &["--with-status=InProgress"]), std::slice::from_ref(&id));
    assert_eq!(listed(&fixture, &["--with-status=Cancelled"]), Vec::<String>::new());
    for command in [&["jobs", "resume"][..], &["jobs", "remove"]] {
        let outcome = fixture.run(command.iter().copied().chain([&*id]));
        outcome.expect_code(1);
        assert!(outcome.stderr.contains("in use by another process"), "{command:?}: {}", outcome.stderr);
    }
    let cleaned = fixture.run(["jobs", "clean"]);
    cleaned.expect_code(0);
    assert!(cleaned.stderr.contains(&format!("job {id} is running: it stays")), "{}", cleaned.stderr);
    assert!(home(&fixture).join(format!("{id}.log")).exists());
    running.interrupt_and_see();
    fixture.release();
    running.wait().unwrap().expect_code(6);
    assert_eq!(listed(&fixture, &["--with-status=Cancelled"]), [id]);
}

/// Those of a download that was killed: nothing else has a name that begins so.
#[test]
fn a_job_that_is_removed_takes_its_unfinished_files_along() {
    let fixture = Fixture::new(azuring!());
    let seeds = [("small", 10), ("sub/large", 1 << 20)].map(|(name, len)| Seed {
        name: name.to_owned(),
        content: vec![vec![7; len].into()],
        ..Seed::default()
    });
    fixture.server().plant(DEVSTORE_ACCOUNT, CONTAINER, seeds);
    let to = fixture.path().join("to");
    let others = fixture.file("to/sub/.azuring-00000000000000000000000000000000-0-1", b"another job's");
    fixture.hold(Operation::GetBlob, "large", 2);
    let source = fixture.url_of(CONTAINER, "*");
    let command = ["copy", &source, to.to_str().unwrap(), "--recursive", "--block-size-mb=0.25", "--lanes=1"];
    let running = fixture.azuring().start(command);
    fixture.wait_for_held(1);
    running.kill();
    assert_eq!(running.wait().unwrap().signal, Some(9));
    fixture.release();
    let id = the_job(&fixture);
    let unfinished = || {
        let names = fs::read_dir(to.join("sub")).unwrap().map(|entry| entry.unwrap().path());
        names.filter(|path| *path != others).collect::<Vec<_>>()
    };
    let left = unfinished();
    assert!(left.len() == 1 && left[0].to_str().unwrap().contains(&id.replace('-', "")), "{left:?}");
    fixture.run(["jobs", "remove", &id]).expect_code(0);
    assert_eq!(unfinished(), Vec::<PathBuf>::new());
    assert!(others.exists() && !home(&fixture).join("jobs").join(&id).exists());
}

#[test]
fn what_failed_is_shown_and_feeds_a_copy() {
    let (fixture, tree) = failing();
    let first = fixture.upload(&tree, &[]);
    first.expect_code(1);
    let id = the_job(&fixture);
    assert!(first.stderr.contains(&format!("azuring jobs resume {id}")), "{}", first.stderr);

    let shown = fixture.run(["jobs", "show", &id, "--with-status=failed"]);
    shown.expect_code(0);
    assert!(shown.stdout.starts_with(&format!("----------- Transfers for JobId {id} -----------\n")));
    let source = tree.join("bad 1.txt");
    let line = format!("transfer--> source: {} destination: http", source.display());
    assert!(shown.stdout.contains(&line) && shown.stdout.contains(" status Failed\n"), "{}", shown.stdout);
    assert_eq!(shown.stdout.lines().count(), 3);

    let json = fixture.run(["jobs", "show", &id, "--with-status=Failed", "--output-type=json"]);
    let listed = content(&json.stdout, "ListJobTransfers");
    assert_eq!(listed["JobID"], id);
    assert_eq!(listed["Details"].as_array().unwrap().len(), 2);
    assert_eq!(listed["Details"][0]["ErrorCode"], "409");
    assert_eq!(listed, content(&json.stdout, "EndOfJob"));
    let json = fixture.run(["jobs", "show", &id, "--output-type=json"]);
    let summary = content(&json.stdout, "GetJobSummary");
    assert_eq!(summary["JobStatus"], "CompletedWithErrors");
    assert_eq!((&summary["TotalTransfers"], &summary["TransfersFailed"]), (&"4".into(), &"2".into()));
    assert_eq!(summary["FailedTransfers"], listed["Details"]);

    let ndjson = fixture.run(["jobs", "show", &id, "--failed", "--output-type=ndjson"]);
    let mut objects: Vec<_> = lines(&ndjson.stdout)
        .iter()
        .map(|line| {
            assert_eq!((&line["type"], &line["status"]), (&"failed".into(), &409.into()));
            assert_eq!(line["code"], "BlobImmutableDueToPolicy");
            line["object"].as_str().unwrap().to_owned()
        })
        .collect();
    objects.sort();
    assert_eq!(objects, ["bad 1.txt", "sub/bad%2.txt"]);
    let names = fixture.run(["jobs", "show", &id, "--failed", "--names"]);
    let mut named: Vec<_> = names.expect_code(0).stdout.lines().collect();
    named.sort_unstable();
    assert_eq!(named, objects);

    // The names are what a copy of the same source takes.
    assert!(fixture.server().create_container(DEVSTORE_ACCOUNT, "second"));
    fixture.server().set_faults(Faults::default());
    let list = fixture.file("list", names.stdout.as_bytes());
    let url = fixture.url_of("second", "");
    let list = format!("--list-of-files={}", list.display());
    fixture.run(["copy", tree.to_str().unwrap(), &url, "--recursive", &list]).expect_code(0);
    let there = fixture.server().blobs(DEVSTORE_ACCOUNT, "second");
    let there: Vec<_> = there.into_iter().map(|blob| blob.name).collect();
    assert_eq!(there, ["tree/bad 1.txt", "tree/sub/bad%2.txt"]);

    // And what a resumed job does.
    let resumed = fixture.run(["jobs", "resume", &id]);
    resumed.expect_code(0);
    assert_eq!(number(&resumed, "Total Number of Transfers"), 4);
    assert_eq!(number(&resumed, "Number of File Transfers Completed"), 4);
    assert_eq!(fixture.names(), ["tree/a.txt", "tree/bad 1.txt", "tree/sub/b.txt", "tree/sub/bad%2.txt"]);
    assert_eq!(fixture.run(["jobs", "show", &id, "--failed", "--names"]).expect_code(0).stdout, "");
}

#[test]
fn failed_downloads_feed_a_copy_too() {
    let fixture = Fixture::new(azuring!());
    for name in ["dir/a.txt", "dir/sub/b.txt", "dir/c.txt"] {
        let file = fixture.file("one", name.as_bytes());
        let url = fixture.url_of(CONTAINER, name);
        fixture.run(["copy", file.to_str().unwrap(), &url, "--no-journal"]).expect_code(0);
    }
    let to = fixture.path().join("to");
    fixture.file("to/dir/sub", b"in the way");
    let url = fixture.url_of(CONTAINER, "dir");
    let down = ["copy", &*url, to.to_str().unwrap(), "--recursive"];
    fixture.run(down).expect_code(1);
    let names = fixture.run(["jobs", "show", &the_job(&fixture), "--failed", "--names"]);
    assert_eq!(names.expect_code(0).stdout, "sub/b.txt\n");
    fs::remove_file(to.join("dir/sub")).unwrap();
    let list = format!("--list-of-files={}", fixture.file("list", names.stdout.as_bytes()).display());
    let again = fixture.run(down.into_iter().chain([&*list]));
    assert_eq!(number(again.expect_code(0), "Number of File Transfers Completed"), 1);
    assert_eq!(fs::read(to.join("dir/sub/b.txt")).unwrap(), b"dir/sub/b.txt");
}

#[test]
fn jobs_are_listed_the_latest_first() {
    let fixture = Fixture::new(azuring!());
    assert_eq!(listed(&fixture, &[]), Vec::<String>::new());
    let file = fixture.file("a b.txt", b"a");
    let url = fixture.url();
    fixture.run(["copy", file.to_str().unwrap(), &url]).expect_code(0);
    let one = the_job(&fixture);
    // Times are whole seconds.
    let second = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let now = second();
    wait_until("another second", || second() > now);
    fixture.run(["rm", &url, "--recursive"]).expect_code(0);
    let both = listed(&fixture, &[]);
    assert_eq!((both.len(), &both[1]), (2, &one));
    assert_eq!(listed(&fixture, &["--with-status=completed"]), both);
    assert_eq!(listed(&fixture, &["--with-status=Failed"]), Vec::<String>::new());
    let bare = url.split('?').next().unwrap();
    let text = fixture.run(["jobs", "ls"]).stdout;
    assert!(
        text.contains(&format!("Status: Completed\nCommand: copy '{}' {bare} \n", file.display())),
        "{text}"
    );
    assert!(text.contains(&format!("Command: rm {bare} --recursive \n")), "{text}");

    let json = fixture.run(["jobs", "list", "--output-type=json"]);
    let details = content(&json.stdout, "EndOfJob");
    assert_eq!(details["ErrorMessage"], "");
    let details = details["JobIDDetails"].as_array().unwrap();
    assert_eq!((&details[1]["JobId"], &details[1]["JobStatus"]), (&(*one).into(), &"Completed".into()));
    assert!(details[0]["StartTime"].as_i64().unwrap() > details[1]["StartTime"].as_i64().unwrap());
    let ndjson = lines(&fixture.run(["jobs", "list", "--output-type=ndjson"]).stdout);
    let commands: Vec<_> = ndjson.iter().map(|line| line["command"].as_str().unwrap()).collect();
    assert_eq!(commands, ["remove", "copy"]);
    assert_eq!(ndjson[1]["destination"], bare);
    let told = fixture.run(["jobs", "list", "--with-status=Bogus"]);
    assert!(told.expect_code(2).stderr.contains("CompletedWithErrors"), "{}", told.stderr);
}

#[test]
fn a_job_is_named_by_as_much_of_its_id_as_is_needed() {
    let fixture = Fixture::new(azuring!());
    let file = fixture.file("a.txt", b"a");
    fixture.upload(&file, &[]).expect_code(0);
    let id = the_job(&fixture);
    for begin in [&id[..4], &id, &id.to_uppercase(), &id.replace('-', "")[..20]] {
        assert!(fixture.run(["jobs", "show", begin]).expect_code(0).stdout.contains(&id), "{begin}");
    }
    let jobs = home(&fixture).join("jobs");
    let twin = format!("{}ffffffff", &id[..28]);
    fs::create_dir(jobs.join(&twin)).unwrap();
    fs::copy(jobs.join(&id).join("journal"), jobs.join(&twin).join("journal")).unwrap();
    for (job, parts) in [
        (&id[..8], &["2 jobs have an id that begins with"][..]),
        ("", &["there is no job"]),
        ("zz", &["there is no job", "zz"]),
        ("00000000-0000-0000-0000-000000000000", &["there is no job"]),
    ] {
        for command in ["show", "resume", "remove"] {
            let outcome = fixture.run(["jobs", command, job]);
            outcome.expect_code(2);
            assert!(parts.iter().all(|part| outcome.stderr.contains(part)), "{}", outcome.stderr);
        }
    }
    for flag in ["--include=a", "--exclude=a"] {
        let told = fixture.run(["jobs", "resume", &id, flag]);
        assert!(told.expect_code(2).stderr.contains("everything that is missing"), "{}", told.stderr);
    }
}

#[test]
fn damaged_and_newer_journals_do_not_hide_the_others() {
    let fixture = Fixture::new(azuring!());
    let file = fixture.file("a.txt", b"a");
    fixture.upload(&file, &[]).expect_code(0);
    let id = the_job(&fixture);
    let jobs = home(&fixture).join("jobs");
    let whole = fs::read(jobs.join(&id).join("journal")).unwrap();
    let keep = |id: &str, bytes: &[u8]| {
        fs::create_dir(jobs.join(id)).unwrap();
        fs::write(jobs.join(id).join("journal"), bytes).unwrap();
    };
    let (damaged, other) = ("11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222");
    keep(damaged, b"this is no journal, and longer than the header of one would be");
    keep(other, &whole);
    let outcome = fixture.run(["jobs", "list"]);
    outcome.expect_code(0);
    let told = |part: &str| assert!(outcome.stdout.contains(part), "{part}: {}", outcome.stdout);
    told(&format!("JobId: {id}\n"));
    told("this is no job journal");
    told("it belongs to another job");
    let json = fixture.run(["jobs", "list", "--output-type=json"]);
    assert_eq!(content(&json.stdout, "EndOfJob")["JobIDDetails"].as_array().unwrap().len(), 1);
    assert!(json.stderr.contains(damaged) && json.stderr.contains(other), "{}", json.stderr);
    for command in ["show", "resume"] {
        let told = fixture.run(["jobs", command, damaged]);
        assert!(told.expect_code(1).stderr.contains("this is no job journal"), "{}", told.stderr);
    }
    assert_eq!(listed(&fixture, &["--with-status=Completed"]), [id]);
    fixture.run(["jobs", "remove", damaged]).expect_code(0);
    fixture.run(["jobs", "clean", "--with-status=Completed"]).expect_code(0);
    assert_eq!(listed(&fixture, &[]), [other]);
    fixture.run(["jobs", "clean"]).expect_code(0);
    assert_eq!(listed(&fixture, &[]), Vec::<String>::new());
}

#[test]
fn jobs_are_removed_with_their_logs() {
    let (fixture, tree) = failing();
    let files = |id: &str| {
        let entries = fs::read_dir(home(&fixture)).unwrap().map(|entry| entry.unwrap());
        let logs = entries.filter(|entry| entry.file_name().to_str().unwrap().starts_with(id)).count();
        (home(&fixture).join("jobs").join(id).exists(), logs)
    };
    fixture.upload(&tree, &[]).expect_code(1);
    let id = the_job(&fixture);
    assert_eq!(files(&id), (true, 1));
    let removed = fixture.run(["jobs", "rm", &id[..8]]);
    let want = format!("Successfully removed log and job plan files for job {id}.\n");
    assert_eq!(removed.expect_code(0).stdout, want);
    assert_eq!(files(&id), (false, 0));
    let again = fixture.run(["jobs", "remove", &id, "--output-type=json"]);
    again.expect_code(2);
    let told = format!("failed to remove log and job plan files for job {id} due to error: there is no job");
    assert!(again.stdout.contains(&told), "{}", again.stdout);

    fixture.upload(&tree, &[]).expect_code(1);
    let failed = the_job(&fixture);
    fixture.upload(&tree.join("a.txt"), &[]).expect_code(0);
    let done = listed(&fixture, &["--with-status=Completed"]).remove(0);
    let cleaned = fixture.run(["jobs", "clean", "--with-status=Completed"]);
    let want =
        format!("INFO: Removing files for job {done}\n\nSuccessfully removed jobs with status: Completed.\n");
    assert_eq!(cleaned.expect_code(0).stdout, want);
    assert_eq!((files(&done), files(&failed)), ((false, 0), (true, 1)));
    let cleaned = fixture.run(["jobs", "cl"]);
    assert_eq!(cleaned.expect_code(0).stdout, "INFO: Removed 2 files.\n\nSuccessfully removed all jobs.\n");
    assert_eq!(files(&failed), (false, 0));
    let json = fixture.run(["jobs", "clean", "--output-type=json"]);
    assert!(json.expect_code(0).stdout.contains("Successfully removed all jobs."), "{}", json.stdout);
}

#[test]
fn without_a_journal_nothing_is_left() {
    let fixture = Fixture::new(azuring!());
    let file = fixture.file("a.txt", b"a");
    let url = fixture.url();
    for args in [
        &["copy", file.to_str().unwrap(), &url, "--no-journal"][..],
        &["copy", file.to_str().unwrap(), &url, "--dry-run"],
        &["copy", &fixture.url_of(CONTAINER, "a.txt"), "-"],
        &["set-properties", &url, "--recursive", "--metadata=a=1", "--no-journal"],
        &["remove", &url, "--recursive", "--no-journal"],
    ] {
        let outcome = fixture.run(args);
        outcome.expect_code(0);
        assert!(!outcome.stderr.contains("journal"), "{}", outcome.stderr);
        assert!(!home(&fixture).join("jobs").exists(), "{args:?}");
    }
    let nowhere = Fixture::new(azuring!().env("HOME", ""));
    let file = nowhere.file("a.txt", b"a");
    let outcome = nowhere.upload(&file, &[]);
    outcome.expect_code(0);
    assert_eq!(outcome.stderr.matches("no journal is kept").count(), 1, "{}", outcome.stderr);
    let unwritable = Fixture::new(azuring!().env("AZCOPY_JOB_PLAN_LOCATION", &file));
    let outcome = unwritable.upload(&file, &[]);
    assert!(outcome.expect_code(1).stderr.contains("with --no-journal the job runs"), "{}", outcome.stderr);
    unwritable.upload(&file, &["--no-journal"]).expect_code(0);
    let secret = fixture.upload(&file, &["--metadata=link=http://h/c?sig=S3CR3T"]);
    assert!(secret.expect_code(0).stderr.contains("holds a secret"), "{}", secret.stderr);
    assert!(!home(&fixture).join("jobs").exists());
}
