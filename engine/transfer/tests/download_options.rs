//! What can be asked of a download, from a real server to a real file system.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod kit;

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use azsim::Seed;
use azuring_plan::filter::{Filter, FilterSpec};
use azuring_transfer::{
    CheckMd5, Credential, DEVSTORE_ACCOUNT, Event, FailureKind, Job, JobOptions, ListOfFiles, PosixStyle,
    StopHandle, Symlinks,
};

use kit::{Bench, bytes, files, text};

fn failures(events: &[Event]) -> Vec<(String, FailureKind)> {
    let mut all: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Failed(failure) => Some((failure.object.clone(), failure.kind)),
            _ => None,
        })
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

fn plant(bench: &Bench, seed: Seed) {
    bench.server.plant(DEVSTORE_ACCOUNT, "cont", [seed]);
}

#[test]
fn a_stored_md5_is_compared_as_asked() {
    use md5::Digest;
    let bench = Bench::new();
    // Of one request, and of several ranges that come in any order.
    for (name, len) in [("small", 10_000), ("large", 9_000_001)] {
        let content = bytes(len);
        let right = md5::Md5::digest(&content).into();
        let seed = |kind: &str, content_md5| Seed {
            name: format!("{name}-{kind}"),
            content: vec![content.clone().into()],
            content_md5,
            ..Seed::default()
        };
        plant(&bench, seed("right", Some(right)));
        plant(&bench, seed("wrong", Some([7; 16])));
        plant(&bench, seed("none", None));
    }
    let wrong = [("large-wrong", FailureKind::Integrity), ("small-wrong", FailureKind::Integrity)];
    let none = [("large-none", FailureKind::Integrity), ("small-none", FailureKind::Integrity)];
    let both = [none[0], wrong[0], none[1], wrong[1]];
    let cases: [(CheckMd5, &[(&str, FailureKind)]); 4] = [
        (CheckMd5::NoCheck, &[]),
        (CheckMd5::LogOnly, &[]),
        (CheckMd5::FailIfDifferent, &wrong),
        (CheckMd5::FailIfDifferentOrMissing, &both),
    ];
    for (check_md5, want) in cases {
        for keep in [true, false] {
            let to = bench.dir.path().join(format!("{check_md5:?}"));
            let to = if keep { to.as_path() } else { Path::new("/dev/null") };
            let (report, events) = bench.download("/*", to, JobOptions::default().check_md5(check_md5));
            let want: Vec<_> = want.iter().map(|&(name, kind)| (name.to_owned(), kind)).collect();
            assert_eq!(failures(&events), want, "{check_md5:?}");
            assert_eq!(report.counts.done, 6 - want.len() as u64);
            let notices = events.iter().filter(|event| matches!(event, Event::Notice(_))).count();
            assert_eq!(notices, if check_md5 == CheckMd5::LogOnly { 2 } else { 0 });
            if keep {
                // What failed is not there, under no name.
                assert_eq!(files(to).len() as u64, report.counts.done);
            }
        }
    }
}

#[test]
fn packed_blobs_are_unpacked_and_lose_their_suffix() {
    let bench = Bench::new();
    let (small, large) = (bytes(5_000), bytes(30_000_000));
    let gzip = |content: &[u8]| {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
        packer.write_all(content).unwrap();
        packer.finish().unwrap()
    };
    let zlib = |content: &[u8]| {
        let mut packer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(content).unwrap();
        packer.finish().unwrap()
    };
    let seeds = [
        ("a.txt.gz", "gzip", gzip(&small)),
        ("b.GZIP", "gzip", gzip(&large)),
        ("c.zz", "deflate", zlib(&small)),
        ("d.gz", "", gzip(&small)),
        ("e.gz", "br", small.clone()),
        ("f.txt", "gzip", gzip(&small)),
        ("broken.gz", "gzip", small.clone()),
    ];
    for (name, encoding, content) in seeds.clone() {
        let (name, content_encoding) = (name.to_owned(), encoding.to_owned());
        plant(&bench, Seed { name, content_encoding, content: vec![content.into()], ..Seed::default() });
    }
    let to = bench.dir.path().join("to");
    let (_, events) = bench.download("/*", &to, JobOptions::default().decompress(true));
    assert_eq!(failures(&events), [("broken.gz".to_owned(), FailureKind::Destination)]);
    let got = files(&to);
    assert_eq!(got.keys().collect::<Vec<_>>(), ["a.txt", "b", "c", "d.gz", "e.gz", "f.txt"]);
    for name in ["a.txt", "c", "f.txt"] {
        assert_eq!(got[name], small, "{name}");
    }
    assert_eq!(got["b"], large);
    assert_eq!(got["d.gz"], seeds[3].2);
    assert_eq!(got["e.gz"], small);
}

#[test]
fn times_modes_and_links_come_back() {
    let bench = Bench::new();
    let meta = |pairs: &[(&str, &str)]| pairs.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
    let dated = |name: &str, metadata| Seed { modified_s: Some(1_600_000_000), metadata, ..text(name, name) };
    plant(&bench, dated("plain", vec![]));
    // -rwxr-x--- in decimal with the type, as AzCopy stores it.
    plant(&bench, dated("posix", meta(&[("permissions", "33256"), ("modtime", "1500000000123456789")])));
    plant(&bench, Seed { name: "link".into(), ..dated("plain", meta(&[("is_symlink", "true")])) });
    // What is made in it would change its times, and cannot be made once it has its mode.
    let dated_dir = [("hdi_isfolder", "true"), ("permissions", "16712"), ("modtime", "1400000000000000000")];
    plant(&bench, Seed { name: "dir".into(), metadata: meta(&dated_dir), ..Seed::default() });
    plant(&bench, text("dir/file", "x"));
    plant(&bench, Seed { name: "dir/sub".into(), metadata: meta(&dated_dir), ..Seed::default() });
    let look = |to: &str, options| {
        let to = bench.dir.path().join(to);
        let (report, events) = bench.download("/*", &to, options);
        assert_eq!(report.counts.failed, 0, "{events:?}");
        to
    };
    let to = look("plain", JobOptions::default());
    assert!(std::fs::metadata(to.join("plain")).unwrap().mtime() > 1_700_000_000);
    assert!(!to.join("link").is_symlink() && !to.join("dir/sub").exists());
    let to = look("lmt", JobOptions::default().preserve_last_modified_time(true));
    assert_eq!(std::fs::metadata(to.join("plain")).unwrap().mtime(), 1_600_000_000);
    let posix = JobOptions::default()
        .preserve_posix(Some(PosixStyle::Standard))
        .symlinks(Symlinks::Preserve)
        .directory_stubs(true);
    let to = look("posix", posix);
    let kept = std::fs::metadata(to.join("posix")).unwrap();
    assert_eq!((kept.mode() & 0o7777, kept.mtime(), kept.mtime_nsec()), (0o750, 1_500_000_000, 123_456_789));
    assert_eq!(std::fs::read_link(to.join("link")).unwrap(), Path::new("plain"));
    for dir in ["dir", "dir/sub"] {
        let kept = std::fs::metadata(to.join(dir)).unwrap();
        assert_eq!((kept.mode() & 0o7777, kept.mtime()), (0o510, 1_400_000_000), "{dir}");
    }
    assert_eq!(std::fs::read(to.join("dir/file")).unwrap(), b"x");
    for dir in ["dir/sub", "dir"] {
        // So that the test may remove it.
        std::fs::set_permissions(to.join(dir), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    }
}

#[test]
fn lists_and_filters_choose_and_what_is_missing_is_told() {
    let bench = Bench::new();
    for name in ["a/1.txt", "a/2.log", "a/b/3.txt", "ab/4.txt", "c d%41/5.txt", "large"] {
        plant(&bench, text(name, name));
    }
    plant(&bench, Seed { name: "large".into(), content: vec![bytes(9_000_001).into()], ..Seed::default() });
    plant(&bench, Seed { name: "empty".into(), ..Seed::default() });
    let list = bench.dir.path().join("list");
    std::fs::write(&list, "\u{feff}a/1.txt\r\n\nmissing\nc d%41/5.txt\n../a\nlarge\nempty").unwrap();
    let to = bench.dir.path().join("listed");
    let (report, events) =
        bench.download_with("/*", &to, |job| job.list_of_files(ListOfFiles::File(list.clone())));
    assert_eq!(failures(&events).iter().map(|f| f.0.as_str()).collect::<Vec<_>>(), ["../a", "missing"]);
    let got = files(&to);
    assert_eq!(got.keys().collect::<Vec<_>>(), ["a/1.txt", "c d%41/5.txt", "empty", "large"]);
    assert_eq!(got["large"], bytes(9_000_001));
    // Nothing was asked that was not to be read: one request each, and for a blob that turns out to be long its ranges;
    // of the empty one the beginning is asked for in vain.
    assert_eq!(report.counts.requests, 5 + 3);

    let cases: [(FilterSpec, &[&str]); 5] = [
        (spec().include_pattern(some("*.txt")), &["a/1.txt", "a/b/3.txt", "ab/4.txt", "c d%41/5.txt"]),
        (spec().exclude_path(some("a;large;empty")), &["ab/4.txt", "c d%41/5.txt"]),
        (spec().include_path(some("a/b;ab/4.txt")), &["a/b/3.txt", "ab/4.txt"]),
        (spec().include_regex(some("^a.*[34]")), &["a/b/3.txt", "ab/4.txt"]),
        (spec().include_after_ns(Some(i128::from(i64::MAX))), &[]),
    ];
    for (spec, want) in cases {
        let to = bench.dir.path().join("filtered");
        std::fs::create_dir(&to).unwrap();
        let filter = Filter::new(&spec).unwrap();
        let (report, _) = bench.download_with("/*", &to, |job| job.recursive(true).filter(filter));
        assert_eq!(files(&to).keys().collect::<Vec<_>>(), want, "{spec:?}");
        assert_eq!(report.counts.found, want.len() as u64);
        std::fs::remove_dir_all(&to).unwrap();
    }
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn spec() -> FilterSpec {
    FilterSpec::default()
}

#[test]
fn an_excluded_directory_is_not_listed() {
    let bench = Bench::new();
    let many = (0..12_000).map(|n| text(&format!("skip/{n}"), ""));
    bench.server.plant(DEVSTORE_ACCOUNT, "cont", many);
    plant(&bench, text("keep/1", "x"));
    let filter = Filter::new(&spec().exclude_path(some("skip"))).unwrap();
    let to = bench.dir.path().join("to");
    let (report, _) = bench.download_with("/*", &to, |job| job.recursive(true).filter(filter));
    assert_eq!(files(&to).keys().collect::<Vec<_>>(), ["keep/1"]);
    // The top, what is in `keep`, and the one blob; 12,001 names would have been three pages.
    assert_eq!(report.counts.requests, 3);
}

#[derive(Clone, Default)]
struct Pipe(Arc<Mutex<Vec<u8>>>, Option<usize>);

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut all = self.0.lock().unwrap();
        if self.1.is_some_and(|limit| all.len() >= limit) {
            return Err(std::io::ErrorKind::BrokenPipe.into());
        }
        all.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_pipe_gets_the_bytes_in_their_order() {
    let bench = Bench::new();
    for len in [0, 5, 4 << 20, 50_000_001] {
        let content = bytes(len);
        plant(&bench, Seed { name: "blob".into(), content: vec![content.clone().into()], ..Seed::default() });
        for limit in [None, Some(1_000_000)] {
            let pipe = Pipe(Arc::default(), limit);
            let url = bench.url("/blob");
            let credential = Credential::find(&url, |_| None).unwrap();
            let job = Job::download_to(url, credential, pipe.clone()).build().unwrap();
            let report = job.run(&StopHandle::new(), |_| {});
            let fits = limit.is_none_or(|limit| content.len() <= limit);
            assert_eq!(report.counts.done, u64::from(fits), "{len} {limit:?}");
            if fits {
                assert!(*pipe.0.lock().unwrap() == content);
            } else {
                assert_eq!(report.kinds, [FailureKind::Destination]);
            }
        }
    }
    let url = bench.url("");
    let credential = Credential::find(&url, |_| None).unwrap();
    let report =
        Job::download_to(url, credential, Pipe::default()).build().unwrap().run(&StopHandle::new(), |_| {});
    assert_eq!(report.fatal.unwrap().kind, FailureKind::Usage);
}

#[test]
fn a_list_means_what_it_names_however_much_is_there_already() {
    use azuring_transfer::Overwrite;
    let bench = Bench::new();
    let folder = vec![("hdi_isfolder".to_owned(), "true".to_owned())];
    plant(&bench, Seed { name: "dir".into(), metadata: folder, ..Seed::default() });
    for name in ["dir/old", "dir/new", "file", "packed.gz"] {
        plant(&bench, text(name, name));
    }
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(b"unpacked").unwrap();
    let content = vec![packer.finish().unwrap().into()];
    plant(
        &bench,
        Seed {
            content_encoding: "gzip".into(),
            content,
            ..Seed { name: "packed.gz".into(), ..Seed::default() }
        },
    );
    let list = bench.dir.path().join("list");
    let to = bench.dir.path().join("to");
    let run = |lines: &str, options: JobOptions| {
        std::fs::write(&list, lines).unwrap();
        let list = ListOfFiles::File(list.clone());
        bench.download_with("/*", &to, |job| job.recursive(true).list_of_files(list).options(options))
    };
    // A directory's stub is no file, whether or not the directory is there already.
    let never = || JobOptions::default().overwrite(Overwrite::Never);
    for options in [JobOptions::default(), never()] {
        let _ = std::fs::remove_dir_all(&to);
        std::fs::create_dir_all(to.join("dir")).unwrap();
        std::fs::write(to.join("dir/old"), "kept").unwrap();
        let kept = matches!(options.overwrite, Overwrite::Never);
        let (report, events) = run("dir\nfile\n", options);
        assert_eq!((report.counts.failed, report.counts.problems), (0, 0), "{events:?}");
        assert_eq!(report.counts.done, if kept { 2 } else { 3 });
        assert_eq!(std::fs::read(to.join("dir/new")).unwrap(), b"dir/new");
        let old: &[u8] = if kept { b"kept" } else { b"dir/old" };
        assert_eq!(std::fs::read(to.join("dir/old")).unwrap(), old);
    }
    // Newer and older are told by asking.
    let age = |name: &str, seconds: u64| {
        let file = std::fs::File::options().write(true).open(to.join(name)).unwrap();
        file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(seconds)).unwrap();
    };
    age("file", 1_000_000);
    std::fs::write(to.join("dir/old"), "younger").unwrap();
    let newer = JobOptions::default().overwrite(Overwrite::IfSourceNewer);
    let (report, _) = run("file\ndir/old\n", newer);
    assert_eq!((report.counts.done, report.counts.skipped_existing), (1, 1));
    // What is packed is known before it is named; what is missing makes no directory.
    let (_, events) = run("packed.gz\nno/such/blob\n", JobOptions::default().decompress(true));
    assert_eq!(failures(&events), [("no/such/blob".to_owned(), FailureKind::Missing)]);
    assert_eq!(std::fs::read(to.join("packed")).unwrap(), b"unpacked");
    assert!(!to.join("packed.gz").exists() && !to.join("no").exists());
    // Times decide about lines as well.
    let spec = spec().include_before_ns(Some(0));
    std::fs::write(&list, "file\ndir\n").unwrap();
    let (report, _) = bench.download_with("/*", &to, |job| {
        let filter = Filter::new(&spec).unwrap();
        job.recursive(true).filter(filter).list_of_files(ListOfFiles::File(list.clone()))
    });
    assert_eq!((report.counts.found, report.counts.failed), (0, 0));
}

#[test]
fn one_blob_is_filtered_too_and_blobs_of_one_local_name_are_not_mixed() {
    let bench = Bench::new();
    for name in ["one.txt", "/x", "x", "a//b", "a/b", "a///b"] {
        plant(&bench, text(name, name));
    }
    let to = bench.dir.path().join("to");
    let filter = Filter::new(&spec().exclude_pattern(some("*.txt"))).unwrap();
    let (report, _) = bench.download_with("/one.txt", &to, |job| job.filter(filter));
    assert_eq!((report.counts.found, report.counts.failed), (0, 0));
    let (report, events) = bench.download("/*", &to, JobOptions::default());
    // The first of each name is there, the others are told.
    assert_eq!((report.counts.done, report.counts.failed), (3, 3), "{events:?}");
    let got = files(&to);
    assert_eq!(got["x"], b"/x");
    assert_eq!(got["a/b"], b"a///b");
    let kinds: Vec<_> = failures(&events).into_iter().map(|(_, kind)| kind).collect();
    assert_eq!(kinds, [FailureKind::Name; 3]);
}

#[test]
fn a_stop_is_heard_while_a_list_gives_nothing() {
    let bench = Bench::new();
    let list = bench.dir.path().join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &list,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    // Somebody holds it open and writes nothing.
    let _writer = std::fs::File::options().read(true).write(true).open(&list).unwrap();
    let url = bench.url("/*");
    let credential = Credential::find(&url, |_| None).unwrap();
    let to = bench.dir.path().join("to");
    let job = Job::download(url, credential, &to).list_of_files(ListOfFiles::File(list)).build().unwrap();
    let stop = StopHandle::new();
    let theirs = stop.clone();
    let running = std::thread::spawn(move || job.run(&theirs, |_| {}));
    stop.stop();
    assert!(running.join().unwrap().interrupted);
}
