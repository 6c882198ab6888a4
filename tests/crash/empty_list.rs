//! Jobs whose list names nothing: they end as usual, also when they are cut and go on.

use std::fs;

use azsim::Seed;
use azuring_tests::{CONTAINER, DEVSTORE_ACCOUNT, Fixture};

use crate::kit::{program, say, totals_of};

/// What a list may hold that names nothing.
const LISTS: [(&str, &[u8]); 4] = [
    ("empty", b""),
    ("blank lines", b"\n\r\n\n"),
    ("a mark", b"\xef\xbb\xbf"),
    ("blank in UTF-16", b"\xff\xfe\n\0"),
];

/// Commands with their flags; `@` is the directory of the test, `URL` the container, `BLOB` one in it. The end that a
/// resumed job is given a SAS for.
const COMMANDS: [(&[&str], &str); 5] = [
    (&["copy", "@/tree", "URL", "--recursive"], "destination"),
    (&["copy", "URL", "@/to", "--recursive"], "source"),
    (&["remove", "URL", "--recursive"], "source"),
    (&["set-properties", "URL", "--recursive", "--metadata=a=b"], "source"),
    (&["copy", "BLOB", "@/to/", "--list-of-versions=@/list"], "source"),
];

#[test]
fn a_job_whose_list_names_nothing_is_cut_and_goes_on() {
    let mut cuts = 0;
    for (n, (command, end)) in COMMANDS.into_iter().enumerate() {
        // Each list with each command, and many moments with one list of each.
        for (m, (what, content)) in LISTS.into_iter().enumerate() {
            let step = if n % LISTS.len() == m { 2 } else { 19 };
            cuts += every_cut(command, end, what, content, step);
        }
    }
    say(&format!("{cuts} cuts of jobs whose list names nothing"));
}

fn every_cut(command: &[&str], end: &str, what: &str, content: &[u8], step: usize) -> usize {
    let fixture = Fixture::new(program());
    let (url, home) = (fixture.url(), fixture.azuring().home().to_owned());
    fixture.file("tree/stays", b"local");
    let seed = Seed { name: "stays".to_owned(), content: vec![b"blob"[..].into()], ..Seed::default() };
    fixture.server().plant(DEVSTORE_ACCOUNT, CONTAINER, [seed]);
    let list = fixture.file("list", content);
    let word = |word: &&str| match *word {
        "URL" => url.clone(),
        "BLOB" => fixture.url_of(CONTAINER, "stays"),
        word => word.replace('@', fixture.path().to_str().unwrap()),
    };
    let mut line: Vec<String> = command.iter().map(word).collect();
    if !line.iter().any(|word| word.starts_with("--list")) {
        line.push(format!("--list-of-files={}", list.display()));
    }
    line.push("--output-type=json".to_owned());
    let jobs = home.join(".azuring");
    let uncut = fixture.run(&line);
    let totals = totals_of(uncut.expect_code(0));
    assert_eq!(
        (&*totals["TotalTransfers"], &*totals["JobStatus"]),
        ("0", "Completed"),
        "{what}: {command:?}"
    );
    let sas = format!("--{end}-sas={}", url.split_once('?').unwrap().1);
    let mut cuts = 0;
    for at in (1..).step_by(step) {
        fs::remove_dir_all(&jobs).unwrap();
        let cutting = program().env("HOME", &home).current_dir(&home).env("AZURING_CUT_AT", at.to_string());
        if cutting.run(&line).signal.is_none() {
            break;
        }
        cuts += 1;
        let begun = azuring_journal::Jobs::new(&jobs).list().unwrap();
        if let [job] = &begun[..] {
            let resumed = fixture.run(["jobs", "resume", &job.id.to_string(), &sas]);
            let told = totals_of(&resumed);
            assert_eq!(
                (resumed.code, &told),
                (Some(0), &totals),
                "{what}, cut {at}: {command:?}\n{resumed:?}"
            );
        }
        let blobs = fixture.blobs();
        assert!(
            matches!(&blobs[..], [blob] if blob.name == "stays" && blob.metadata.is_empty()),
            "{blobs:?}"
        );
        assert!(!fixture.path().join("to/stays").exists());
    }
    assert!(cuts > 0, "{what}: {command:?}");
    cuts
}

#[test]
fn a_list_that_is_empty_only_when_the_job_goes_on_is_another_list() {
    let (mut refused, mut done) = (0, 0);
    for at in 1.. {
        let fixture = Fixture::new(program());
        let (url, home) = (fixture.url(), fixture.azuring().home().to_owned());
        let seed = Seed { name: "a".to_owned(), content: vec![b"blob"[..].into()], ..Seed::default() };
        fixture.server().plant(DEVSTORE_ACCOUNT, CONTAINER, [seed]);
        let list = fixture.file("list", b"a\n");
        // A removal commits each step of its scan.
        let list = format!("--list-of-files={}", list.display());
        let line = ["remove", &url, "--recursive", "--output-type=json", &list];
        let cutting = program().env("HOME", &home).current_dir(&home).env("AZURING_CUT_AT", at.to_string());
        if cutting.run(line).signal.is_none() {
            break;
        }
        fixture.file("list", b"");
        let jobs = azuring_journal::Jobs::new(&home.join(".azuring"));
        let begun = jobs.list().unwrap();
        let [job] = &begun[..] else { continue };
        let is_known = jobs.read(job.id).unwrap().cursor().is_some();
        let sas = format!("--source-sas={}", url.split_once('?').unwrap().1);
        let resumed = fixture.run(["jobs", "resume", &job.id.to_string(), &sas]);
        let told = totals_of(&resumed);
        match (resumed.code, &*told["TotalTransfers"]) {
            // All of the list had been read.
            (Some(0), "1") => done += 1,
            // A failure of the list, and not of the object.
            (Some(2), "0" | "1") if told["TransfersFailed"] == "0" => refused += 1,
            // Nothing was known of the list.
            (Some(0), "0") if !is_known => {}
            other => panic!("cut {at}: {other:?}\n{resumed:?}"),
        }
    }
    assert!(refused > 0 && done > 0, "{refused} {done}");
}
