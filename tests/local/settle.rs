//! A file system that could not write back what it took: an error of `syncfs(2)`, which says nothing of which file.

use std::fs;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};

use azsim::{Fault, Faults, NameMatch, Operation, Rule};
use azuring_journal::Jobs;
use azuring_tests::{Call, Outcome, Running, wait_until};

use crate::scene::{EIO, Files, Scene, noise, small, there};

/// A file system that tells of an error only when it is asked to write back.
const WRITEBACK: [&str; 2] = ["tmpfile", "writeback"];

fn of(files: Files) -> Scene {
    Scene::new(files, &WRITEBACK)
}

/// Runs the job with `flags`; while one of its blobs is not given, the file system loses something: its last error is
/// the whole system's, and is told to everybody who watches.
fn with_an_error_of_writing_back(scene: &Scene, flags: &[&str]) -> Outcome {
    scene.fixture.hold(Operation::GetBlob, "dir 4/019", 0);
    let running = scene.fixture.azuring().start(scene.command(flags));
    wait_until("all files but one", || there(&scene.root).len() >= scene.files.len() - 1);
    // Another program's file. Its own error is told to it, and to whoever asks for the whole file system.
    scene.disk.fail(Call::Write, EIO, 1, 0);
    let of = format!("of={}", scene.disk.path().join("other").display());
    let dd = ["if=/dev/zero", &of, "bs=5000", "count=1", "conv=fsync"];
    let wrote = Command::new("dd").args(dd).output().unwrap();
    assert!(!wrote.status.success(), "{wrote:?}");
    scene.disk.heal();
    fs::remove_file(scene.disk.path().join("other")).unwrap();
    scene.fixture.release();
    running.wait().unwrap()
}

/// Another program, whose file is written and not on the disk yet. Not this one: each process that it starts would
/// close the file too, and wait for the disk.
struct Other(Child);

impl Other {
    fn start(scene: &Scene) -> Self {
        let file = scene.disk.path().join("other");
        let mut program = Command::new("dd");
        program.args(["bs=5000", "iflag=fullblock", "status=none"]).arg(format!("of={}", file.display()));
        let mut program = program.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        program.stdin.as_mut().unwrap().write_all(&[1; 5000]).unwrap();
        // It waits for more.
        wait_until("a block that is written", || fs::metadata(&file).is_ok_and(|it| it.len() == 5000));
        Self(program)
    }

    /// Ends it, when the disk has answered.
    fn remove(mut self, scene: &Scene) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
        fs::remove_file(scene.disk.path().join("other")).unwrap();
    }
}

/// Starts the job and waits until it waits for the disk, which keeps it waiting; one of its blobs is not given.
fn waiting_for_the_disk(scene: &Scene) -> (Running, Other) {
    let other = Other::start(scene);
    scene.disk.hold("other");
    scene.fixture.hold(Operation::GetBlob, "dir 4/019", 0);
    let running = scene.fixture.azuring().start(scene.command(&["--lanes=1", "--stall-seconds=600"]));
    wait_until("all files but one", || there_but_other(scene) >= scene.files.len() - 1);
    scene.fixture.wait_for_held(1);
    wait_until("a thread that waits for the disk", || scene.disk.held() > 0 && settles(running.id()));
    (running, other)
}

fn there_but_other(scene: &Scene) -> usize {
    // Reading `other` would wait for the disk too.
    let below = fs::read_dir(&scene.root).unwrap().map(|entry| entry.unwrap().path());
    below.filter(|path| path.is_dir()).map(|path| there(&path).len()).sum()
}

/// Whether a thread of the process that is called so sleeps in the kernel and cannot be woken.
fn settles(process: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else { return false };
    threads.flatten().any(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        stat.contains(" (settle) D ")
    })
}

/// Nobody knows what the files hold that are there: now none of them holds what it should.
fn damage(scene: &Scene) {
    for name in scene.files.keys() {
        if let Ok(file) = fs::OpenOptions::new().write(true).open(scene.root.join(name)) {
            file.set_len(1).unwrap();
        }
    }
}

/// Kills the job while the disk has not answered.
fn kill_while_it_asks(scene: &Scene, running: Running, other: Other) {
    running.kill();
    scene.disk.refuse(EIO);
    assert_eq!(running.wait().unwrap().signal, Some(9));
    other.remove(scene);
    scene.fixture.release();
}

/// The job downloads again what may be damaged, whatever is there.
fn goes_on(scene: &Scene) {
    damage(scene);
    scene.heals();
}

#[test]
fn what_was_written_before_the_error_has_failed_and_is_downloaded_again() {
    let scene = of(small(20));
    let stopped = with_an_error_of_writing_back(&scene, &["--lanes=1"]);
    stopped.expect_code(1);
    assert!(stopped.stderr.contains("writing back failed: Input/output error"), "{}", stopped.stderr);
    assert!(stopped.stderr.contains("azuring jobs resume"), "{}", stopped.stderr);
    let count = |outcome: &Outcome, label: &str| outcome.field(label).unwrap().parse::<u64>().unwrap();
    let (failed, done) = (
        count(&stopped, "Number of File Transfers Failed"),
        count(&stopped, "Number of File Transfers Completed"),
    );
    // All but what the disk had before, when it was asked between two files.
    assert!(failed > 0 && failed + done <= 20, "{}", stopped.stdout);
    assert_eq!(stopped.field("Final Job Status"), Some("Failed"));
    goes_on(&scene);
}

#[test]
fn without_a_journal_all_of_the_job_has_failed() {
    let scene = of(small(20));
    let stopped = with_an_error_of_writing_back(&scene, &["--lanes=1", "--no-journal"]);
    stopped.expect_code(1);
    assert_eq!(stopped.field("Number of File Transfers Failed"), Some("20"), "{}", stopped.stdout);
    assert_eq!(stopped.field("Number of File Transfers Completed"), Some("0"));
    assert!(stopped.stderr.contains("may be damaged"), "{}", stopped.stderr);
}

/// The kernel tells the error to the process that asked, once, and that one is gone.
#[test]
fn a_job_that_is_killed_while_it_asks_takes_nothing_for_done() {
    let scene = of(small(20));
    let (running, other) = waiting_for_the_disk(&scene);
    kill_while_it_asks(&scene, running, other);
    goes_on(&scene);
}

#[test]
fn a_job_that_is_killed_after_the_error_has_recorded_it() {
    let scene = of(small(20));
    let (running, other) = waiting_for_the_disk(&scene);
    scene.disk.refuse(EIO);
    let job = scene.job();
    wait_until("an error that is recorded", || {
        let shown = scene.fixture.run(["jobs", "show", &job]);
        shown.field("Number of File Transfers Failed").is_some_and(|failed| failed != "0")
    });
    running.kill();
    assert_eq!(running.wait().unwrap().signal, Some(9));
    other.remove(&scene);
    scene.fixture.release();
    goes_on(&scene);
}

#[test]
fn a_job_that_is_interrupted_while_it_asks_takes_nothing_for_done() {
    let scene = of(small(20));
    let (running, other) = waiting_for_the_disk(&scene);
    running.interrupt_and_see();
    // It has told how it stands, and waits for nothing but the kernel.
    running.wait_for_stderr("azuring: resume with: azuring jobs resume");
    scene.disk.refuse(EIO);
    running.wait().unwrap().expect_code(6);
    let jobs = Jobs::new(&scene.fixture.azuring().home().join(".azuring"));
    let journal = jobs.read(jobs.list().unwrap()[0].id).unwrap();
    assert!(journal.summary().is_some(), "how it ended is not recorded");
    other.remove(&scene);
    scene.fixture.release();
    goes_on(&scene);
}

#[test]
fn a_disk_that_takes_long_at_the_end_is_told_of() {
    let scene = of(small(20));
    let other = Other::start(&scene);
    scene.disk.hold("other");
    let running = scene.fixture.azuring().start(scene.command(&["--lanes=1"]));
    running.wait_for_stderr("waiting until the disk has taken them");
    scene.disk.refuse(EIO);
    running.wait().unwrap().expect_code(1);
    other.remove(&scene);
    scene.heals();
}

/// An unfinished file may be damaged as well: it is begun anew.
#[test]
fn what_is_not_finished_is_begun_anew_after_an_error() {
    let mut files = small(20);
    files.insert("large".to_owned(), noise(7, 1 << 20));
    let scene = of(files);
    let ranges = |skip| Rule {
        name: NameMatch::Contains("large".to_owned()),
        operation: Some(Operation::GetBlob),
        fault: Fault::Hold,
        skip,
        count: u64::MAX,
    };
    scene.fixture.server().set_faults(Faults { rules: vec![ranges(2)], ..Faults::default() });
    let flags = ["--lanes=1", "--concurrency=2", "--block-size-mb=0.25", "--stall-seconds=600"];
    let other = Other::start(&scene);
    scene.disk.hold("other");
    let running = scene.fixture.azuring().start(scene.command(&flags));
    wait_until("a thread that waits for the disk", || scene.disk.held() > 0 && settles(running.id()));
    scene.fixture.wait_for_held(2);
    kill_while_it_asks(&scene, running, other);
    damage(&scene);
    // What of it was there.
    let unfinished = there(&scene.root).into_keys().find(|name| name.starts_with(".azuring-")).unwrap();
    fs::write(scene.root.join(unfinished), vec![0; 1 << 20]).unwrap();
    scene.heals();
}

#[test]
fn a_file_system_that_is_mounted_below_the_destination_is_asked_too() {
    let scene = Scene::mounted_below(small(20), "dir 4", &WRITEBACK);
    let stopped = with_an_error_of_writing_back(&scene, &["--lanes=1"]);
    stopped.expect_code(1);
    assert!(stopped.stderr.contains("dir 4: writing back failed"), "{}", stopped.stderr);
    assert_eq!(stopped.field("Final Job Status"), Some("Failed"));
    goes_on(&scene);
}
