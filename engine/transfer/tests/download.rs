//! Downloads through the public API, from a real server to a real file system.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod kit;

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use azuring_transfer::{
    BlockRules, Credential, DEVSTORE_ACCOUNT, Event, FailureKind, IoChoice, Job, JobOptions, Overwrite,
    SkippedKind,
};

use kit::{Bench, bytes, files, text};

#[test]
fn a_tree_comes_back_as_it_was_whatever_the_sizes_are() {
    let bench = Bench::new();
    let tree = bench.dir.path().join("tree");
    std::fs::create_dir_all(tree.join("deep/er dir/ü%41#?+&")).unwrap();
    let sizes =
        [0, 1, 7, 4096, 65_536, 65_537, 262_145, 4 << 20, (4 << 20) + 1, 9_000_001, (64 << 20) + 4097];
    for (n, size) in sizes.into_iter().enumerate() {
        let below = ["", "deep/", "deep/er dir/ü%41#?+&/"][n % 3];
        std::fs::write(tree.join(format!("{below}file {n} of {size}.bin")), bytes(size)).unwrap();
    }
    bench.upload(&tree);
    let total: u64 = sizes.iter().map(|&size| size as u64).sum();
    for io in [IoChoice::Auto, IoChoice::Threads] {
        let to = bench.dir.path().join(format!("to-{io:?}"));
        let (report, events) = bench.download("/*", &to, JobOptions::default().io(io));
        assert_eq!(report.counts.done, sizes.len() as u64, "{events:?}");
        assert_eq!((report.counts.failed, report.counts.bytes), (0, total));
        assert_eq!(files(&to), files(&tree));
        // One request each for blobs of up to one range (an empty one may have been written to since), one for the
        // listing.
        let ranges: u64 = sizes.iter().map(|&size| (size as u64).div_ceil(4 << 20).max(1)).sum();
        assert_eq!(report.counts.requests, ranges + 1);
    }
    // Into nothing: read, verified, and not kept.
    let (report, _) = bench.download("", Path::new("/dev/null"), JobOptions::default());
    assert_eq!((report.counts.done, report.counts.bytes), (sizes.len() as u64, total));
    // Ranges as large as asked for.
    let blocks = BlockRules::default().block_size(Some(1 << 20));
    let to = bench.dir.path().join("small-ranges");
    bench.download("/*", &to, JobOptions::default().blocks(blocks));
    assert_eq!(files(&to), files(&tree));
}

#[test]
fn names_follow_the_shape_of_the_source() {
    let bench = Bench::new();
    let seeds = ["top.txt", "dir/a.txt", "dir/sub/b.txt", "dirty/c.txt"];
    for name in seeds {
        bench.server.plant(DEVSTORE_ACCOUNT, "cont", [text(name, name)]);
    }
    let cases: [(&str, &str, &[&str]); 6] = [
        ("", "container", &["cont/top.txt", "cont/dir/a.txt", "cont/dir/sub/b.txt", "cont/dirty/c.txt"]),
        ("/*", "contents", &["top.txt", "dir/a.txt", "dir/sub/b.txt", "dirty/c.txt"]),
        ("/dir", "directory", &["dir/a.txt", "dir/sub/b.txt"]),
        ("/dir/", "directory with a slash", &["dir/a.txt", "dir/sub/b.txt"]),
        ("/dir/*", "contents of a directory", &["a.txt", "sub/b.txt"]),
        ("/dir/sub/b.txt", "one/", &["b.txt"]),
    ];
    for (source, to, want) in cases {
        let (report, _) = bench.download(source, &bench.dir.path().join(to), JobOptions::default());
        assert_eq!(report.counts.failed, 0, "{source}");
        let got: Vec<_> = files(&bench.dir.path().join(to)).into_keys().collect();
        let mut want: Vec<_> = want.iter().map(|&name| name.to_owned()).collect();
        want.sort();
        assert_eq!(got, want, "{source}");
    }
    // One blob to one name; and a source that is not there.
    bench.download("/top.txt", &bench.dir.path().join("renamed"), JobOptions::default());
    assert_eq!(std::fs::read(bench.dir.path().join("renamed")).unwrap(), b"top.txt");
    let (report, _) = bench.download("/nothing", &bench.dir.path().join("none"), JobOptions::default());
    assert_eq!(report.fatal.unwrap().kind, FailureKind::Missing);
    assert!(!bench.dir.path().join("none").exists());
}

#[test]
fn hostile_names_fail_alone_and_nothing_leaves_the_target() {
    let bench = Bench::new();
    let long = "x".repeat(256);
    let bad = ["../escape", "a/../../escape2", "./dot", &long, "file/below"];
    let good = ["/leading", "a//double", "ok", "file", "line\nfeed", "back\\slash", "..."];
    for name in bad.iter().chain(&good) {
        bench.server.plant(DEVSTORE_ACCOUNT, "cont", [text(name, name)]);
    }
    bench.server.plant(DEVSTORE_ACCOUNT, "cont", [text("outward/x", "x")]);
    let to = bench.dir.path().join("inner/target");
    std::fs::create_dir_all(&to).unwrap();
    let outside = bench.dir.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::os::unix::fs::symlink(&outside, to.join("outward")).unwrap();
    let (report, events) = bench.download("/*", &to, JobOptions::default());
    // `file` and `file/below` cannot both be: whichever comes first stays.
    assert_eq!(report.counts.failed, bad.len() as u64 + 1, "{events:?}");
    assert_eq!(report.counts.done, good.len() as u64);
    let mut want: Vec<_> = good.iter().map(|name| name.trim_start_matches('/').replace("//", "/")).collect();
    want.push("outward".to_owned());
    want.sort();
    let got: Vec<_> = std::fs::read_dir(&to).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(got.len(), want.len(), "{got:?}");
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(bench.dir.path().join("inner")).unwrap().count(), 1);
    assert_eq!(std::fs::read_dir(bench.dir.path()).unwrap().count(), 2);
}

#[test]
fn what_is_there_is_overwritten_only_as_asked() {
    let bench = Bench::new();
    bench.server.plant(DEVSTORE_ACCOUNT, "cont", [text("old", "new bytes"), text("absent", "a")]);
    let to = bench.dir.path();
    let write = |age_s: u64| {
        let _ = std::fs::remove_file(to.join("absent"));
        std::fs::write(to.join("old"), "kept").unwrap();
        let file = std::fs::File::options().write(true).open(to.join("old")).unwrap();
        file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(age_s)).unwrap();
    };
    let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
    let answers = Arc::clone(&asked);
    let ask = move |path: &str| {
        answers.lock().unwrap().push(path.to_owned());
        false
    };
    let cases = [
        (Overwrite::Always, 0, true, None),
        (Overwrite::Never, 0, false, Some(SkippedKind::Exists)),
        (Overwrite::IfSourceNewer, 3_000_000_000, true, None),
        (Overwrite::IfSourceNewer, 0, false, Some(SkippedKind::NotNewer)),
        (Overwrite::Ask, 0, false, Some(SkippedKind::Exists)),
    ];
    for (overwrite, age_s, replaced, skipped) in cases {
        write(age_s.min(1_700_000_000));
        let options = JobOptions::default().overwrite(overwrite);
        let url = bench.url("/*");
        let credential = Credential::find(&url, |_| None).unwrap();
        let job = Job::download(url, credential, to).recursive(true).options(options).build().unwrap();
        let (report, events) = bench.run_download(job.asking(ask.clone()));
        assert_eq!(report.counts.skipped_existing, u64::from(skipped.is_some()));
        let kinds: Vec<_> = events
            .iter()
            .filter_map(|event| match event {
                Event::Skipped { kind, .. } => Some(*kind),
                _ => None,
            })
            .collect();
        assert_eq!(kinds, Vec::from_iter(skipped));
        let want = if replaced { "new bytes" } else { "kept" };
        assert_eq!(std::fs::read(to.join("old")).unwrap(), want.as_bytes());
        assert_eq!(std::fs::read(to.join("absent")).unwrap(), b"a");
    }
    assert_eq!(*asked.lock().unwrap(), [to.join("old").to_str().unwrap()]);
    // Ordinary permissions, as the process gives them; no temporary file is left.
    let mode = std::fs::metadata(to.join("absent")).unwrap().mode() & 0o777;
    std::fs::write(to.join("ordinary"), "").unwrap();
    assert_eq!(mode, std::fs::metadata(to.join("ordinary")).unwrap().mode() & 0o777);
    assert_eq!(std::fs::read_dir(to).unwrap().count(), 3);
}
