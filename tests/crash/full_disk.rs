//! No room under the journal: a tmpfs of 1 MiB, most of which something else has.
//!
//! It is mounted in a namespace of its own, which ordinary users may make on most systems. Where they may not, the test
//! fails and says so. A limit of file sizes would be no substitute: it meets one file, not the device, and gives no
//! room back.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use azuring_bench::workload::Noise;
use azuring_tests::{Running, Stdin, spawn, wait_until};

use crate::kit::{Files, Scene, Way, noise};
use crate::point::Uncut;

const SIZE: usize = 1 << 20;

/// A file system of [`SIZE`] bytes, as long as this lives.
struct Small {
    /// Holds the namespace.
    _holder: Running,
    /// Its root, seen from outside.
    path: PathBuf,
}

impl Small {
    /// Mounts it over `directory`.
    fn mount(directory: &Path) -> Self {
        let own = ["--user", "--map-root-user", "--mount"];
        // In a container whose users have no namespaces of their own, root may have one.
        let how = [&own[..], &own[2..]].into_iter().find(|how| {
            let probe = Command::new("unshare")
                .args(*how)
                .args(["mount", "-t", "tmpfs", "none"])
                .arg(directory)
                .output();
            probe.is_ok_and(|output| output.status.success())
        });
        let how = how.expect(
            "this test mounts a tmpfs: allow `unshare --user --map-root-user --mount`, or run it as root",
        );
        let script = format!("mount -t tmpfs -o size={SIZE} none \"$0\" && : >\"$0/mounted\" && exec cat");
        let mut command = Command::new("unshare");
        command.args(how).args(["sh", "-c", &script]).arg(directory);
        let holder = spawn(&mut command, Stdin::Blocking, Duration::from_secs(600)).unwrap();
        let path = PathBuf::from(format!("/proc/{}/root{}", holder.id(), directory.display()));
        wait_until("a tmpfs", || path.join("mounted").exists());
        Self { _holder: holder, path }
    }

    /// Leaves so many bytes.
    fn leave(&self, bytes: usize) {
        fs::write(self.path.join("of others"), vec![1; SIZE - bytes]).unwrap();
    }
}

/// Runs the job with room for `room` bytes of its journal, and goes on with more.
///
/// Returns how many files were there when it stopped.
fn stops_and_goes_on(way: Way, files: Files, flags: &[&str], room: usize) -> usize {
    let totals = Uncut::run(way, &files).totals;
    let scene = Scene::new(way, files);
    let directory = scene.fixture.path().join("small");
    fs::create_dir(&directory).unwrap();
    let small = Small::mount(&directory);
    small.leave(room);
    let state = scene.fixture.azuring().home().join(".azuring");
    fs::create_dir(&state).unwrap();
    std::os::unix::fs::symlink(&small.path, state.join("jobs")).unwrap();

    // Not everything is done before the journal is written.
    scene.slow();
    let stopped = scene.fixture.run(scene.command(flags));
    stopped.expect_code(8);
    let reason = "no room for the job's journal";
    assert!(stopped.stdout.contains(reason) || stopped.stderr.contains(reason), "{stopped:?}");
    let id = scene.id().expect("it can be gone on with");
    assert!(stopped.stderr.contains(&format!("azuring jobs resume {id}")), "{}", stopped.stderr);
    let there = scene.nothing_is_half_there().unwrap();
    // Still none.
    let again = scene.fixture.run(scene.resume_command(id, &[]));
    again.expect_code(8);
    scene.nothing_is_half_there().unwrap();

    scene.fast();
    fs::remove_file(small.path.join("of others")).unwrap();
    let last = scene.fixture.run(scene.resume_command(id, &[]));
    scene.judge(&last, &totals).unwrap();
    there
}

/// The names alone are too much.
#[test]
fn an_upload_without_room_for_its_names() {
    let mut random = Noise::new(5);
    let mut name = || (0..6).map(|_| format!("{:016x}", random.next_u64())).collect::<String>();
    let files = (0..400).map(|n| (name(), noise(n, 100))).collect();
    let there = stops_and_goes_on(Way::Up, files, &["--concurrency=4"], 8 << 10);
    assert!(there < 400, "{there}");
}

/// There is room for what 128 tasks begin at once, and for some more large blobs, but not for all of them.
#[test]
fn a_download_without_room_for_its_progress() {
    let files = (0..400).map(|n| (format!("{n:03}"), noise(n, 20 << 10))).collect();
    let there =
        stops_and_goes_on(Way::Down, files, &["--block-size-mb=0.015625", "--concurrency=64"], 28 << 10);
    assert!((1..400).contains(&there), "{there}");
}
