//! Downloads.

use std::os::unix::fs::symlink;
use std::path::Path;

use azsim::{Fault, Operation, Seed};
use azuring_journal::{Recovered, State};
use azuring_tests::{CONTAINER, DEVSTORE_ACCOUNT};
use md5::Digest as _;

use super::{Scene, cut};
use crate::stage::{Stage, rule};

/// What transfers are that are written, and not known to be on the disk.
const WRITTEN: State = State::Skipped(62);
/// The counter of questions to the disk that nobody has answered.
const ASKED: usize = 19;
/// Of blobs, more than a page of a listing has.
const MANY: usize = 5_005;

pub(super) fn all() -> Vec<Scene> {
    vec![
        Scene::new("down-killed", names, |scene, program| {
            let stage = scene.stage(program);
            stage.hold(Operation::GetBlob, "", 8);
            let words = ["copy", "{URL}/tree", "to", "--recursive", "--concurrency=4", "--lanes=1"];
            stage.killed_when(&words, "files", |it| it.numbers(WRITTEN).count() >= 5);
            stage
        })
        .restarts(),
        Scene::new("down-interrupted", names, |scene, program| {
            let stage = scene.stage(program);
            stage.hold(Operation::GetBlob, "", 6);
            let words = ["copy", "{URL}/tree/*", "{ROOT}/to", "--recursive", "--include-pattern=f*"];
            let words = [&words[..], &["--concurrency=2", "--lanes=1"]].concat();
            let running = stage.start(&words);
            stage.wait_for("files", |it| it.numbers(WRITTEN).count() >= 5);
            running.interrupt_and_see();
            stage.faults(Vec::new());
            running.wait().unwrap().expect_code(6);
            stage
        })
        .restarts(),
        // One file is on the disk, as the disk has said, and some are only written.
        Scene::new("down-settled", names, |scene, program| {
            let stage = scene.stage(program);
            stage.hold(Operation::GetBlob, "", 3);
            let words = ["copy", "{URL}/tree", "to", "--recursive", "--concurrency=2", "--lanes=1"];
            let running = stage.start(&words);
            stage.wait_for("an answer of the disk", |it| it.counts().done >= 2);
            stage.faults(vec![azsim::Rule { skip: 6, ..rule(Some(Operation::GetBlob), "", Fault::Hold) }]);
            stage.wait_for("more files", |it| it.numbers(WRITTEN).count() >= 3);
            running.kill();
            running.wait().unwrap();
            stage.faults(Vec::new());
            stage.settle();
            stage
        })
        .restarts(),
        Scene::new("down-asked", small, |scene, program| {
            let words = ["copy", "{URL}/tree", "to", "--recursive", "--lanes=1"];
            cut(scene, program, &words, |_, it| it.counter(ASKED) > 0)
        })
        .restarts(),
        // It was gone on with after that, and killed again.
        Scene::new("down-doubted", small, |scene, program| doubted(scene, program, &[])).restarts(),
        // Files that are lost are its own: they are written again all the same.
        Scene::new("down-doubted-kept", small, |scene, program| {
            doubted(scene, program, &["--overwrite=false"])
        })
        .restarts(),
        Scene::new("down-finished", small, |scene, program| {
            let stage = scene.stage(program);
            stage.run(stage.words(&["copy", "{URL}/tree", "to", "--recursive"])).expect_code(0);
            stage
        })
        .restarts(),
        // Two of four ranges are asked for again, and what the blob is now.
        Scene::new("down-large", large, |scene, program| {
            let stage = scene.stage(program);
            stage.hold(Operation::GetBlob, "large", 3);
            let words = ["copy", "{URL}/tree", "to", "--recursive", "--block-size-mb=0.25", "--lanes=1"];
            let words = [&words[..], &["--concurrency=1"]].concat();
            stage.killed_when(&words, "ranges", |it| pieces(it) >= 2 && it.numbers(WRITTEN).count() > 0);
            stage
        })
        .restarts()
        .moves(2 * (256 << 10) + (128 << 10) + 5_000),
        Scene::new("down-large-doubted", large, |scene, program| {
            let stage = scene.stage(program);
            stage.hold(Operation::GetBlob, "large", 3);
            let words = ["copy", "{URL}/tree", "to", "--recursive", "--block-size-mb=0.25", "--lanes=1"];
            let words = [&words[..], &["--concurrency=1"]].concat();
            stage.killed_when(&words, "ranges", |it| pieces(it) >= 2 && it.numbers(WRITTEN).count() > 0);
            // As if the disk had been asked when it was killed; it goes on in doubt, and is killed again.
            let (id, _) = stage.recorded().unwrap();
            let path = stage.jobs().directory(id).join("journal");
            let (_, journal) = stage.jobs().resume(id).unwrap();
            journal.write().unwrap().count(ASKED, 1);
            journal.commit().unwrap();
            drop(journal);
            assert!(path.exists());
            stage.hold(Operation::GetBlob, "large", 3);
            let resume = ["jobs".to_owned(), "resume".to_owned(), id.to_string()];
            let running =
                stage.azuring().start(resume.into_iter().chain([format!("--source-sas={}", stage.sas())]));
            stage.wait_for("ranges in doubt", |it| it.counter(20) > 0 && pieces(it) >= 2);
            running.kill();
            running.wait().unwrap();
            stage.faults(Vec::new());
            stage.settle();
            stage
        })
        .restarts()
        .moves(2 * (256 << 10) + (128 << 10) + 5_000),
        // The file has its name, and nobody has recorded that it is done.
        Scene::new("down-complete", large, |scene, program| {
            let words = ["copy", "{URL}/tree", "to", "--recursive", "--block-size-mb=0.25", "--lanes=1"];
            let words = [&words[..], &["--concurrency=1"]].concat();
            cut(scene, program, &words, |stage, it| {
                pieces(it) == 5 && stage.root().join("to/tree/large.bin").exists()
            })
        })
        .restarts()
        .moves(256 << 10),
        Scene::new("down-list", listed, |scene, program| {
            let stage = scene.stage(program);
            let hold = |operation, name: &str, skip| azsim::Rule {
                skip,
                ..rule(Some(operation), name, Fault::Hold)
            };
            // The second page of the one directory, and some blobs of the other, do not come.
            stage.faults(vec![hold(Operation::GetBlob, "half/", 1)]);
            let words = ["copy", "{URL}/tree", "to", "--list-of-files=list", "--recursive", "--lanes=1"];
            let words = [&words[..], &["--concurrency=4"]].concat();
            stage.killed_when(&words, "what is below", |it| {
                it.counts().done + it.numbers(WRITTEN).count() as u64 > 5 && has_expanded(it)
            });
            stage
        })
        .restarts(),
        Scene::new("down-many-below", many_below, |scene, program| {
            let stage = scene.stage(program);
            stage.faults(vec![
                azsim::Rule { skip: 1, ..rule(Some(Operation::ListBlobs), "", Fault::Hold) },
                azsim::Rule { skip: 30, ..rule(Some(Operation::GetBlob), "many/", Fault::Hold) },
            ]);
            let words = ["copy", "{URL}/tree", "to", "--list-of-files=list", "--recursive", "--lanes=1"];
            stage.killed_when(&words, "a page", |it| it.counts().found as usize > 5_000);
            stage
        }),
        Scene::new("down-posix", posix, |scene, program| {
            let stage = scene.stage(program);
            stage.hold(Operation::GetBlob, "z-last", 0);
            let words = ["copy", "{URL}/tree", "to", "--recursive", "--preserve-posix-properties"];
            let more = ["--include-directory-stub", "--preserve-symlinks", "--concurrency=2", "--lanes=1"];
            stage.killed_when(&[&words[..], &more].concat(), "files", |it| it.numbers(WRITTEN).count() >= 3);
            stage
        })
        .posix()
        .restarts(),
        Scene::new("down-failed", failing, |scene, program| {
            let stage = scene.stage(program);
            let on = |name: &str, fault| rule(Some(Operation::GetBlob), name, fault);
            stage.faults(vec![
                on("service", Fault::error(409, "BlobArchived")),
                on("busy", Fault::error(503, "ServerBusy")),
                on("gone", Fault::error(404, "BlobNotFound")),
            ]);
            let words = ["copy", "{URL}/tree", "to", "--recursive", "--max-tries=2", "--retry-failed=0"];
            let more =
                ["--overwrite=false", "--check-md5=FailIfDifferentOrMissing", "--include-directory-stub"];
            stage.run(stage.words(&[&words[..], &more].concat()));
            stage.faults(Vec::new());
            stage
        })
        .mend(|stage| {
            for name in ["in-the-way", "stub"] {
                std::fs::remove_file(stage.root().join("to/tree").join(name)).unwrap();
            }
        }),
        Scene::new("down-directory", small, |scene, program| {
            let stage = scene.stage(program);
            std::fs::create_dir_all(stage.root().join("to/tree/a.txt/x")).unwrap();
            let words = ["copy", "{URL}/tree", "to", "--recursive", "--retry-failed=0"];
            stage.run(stage.words(&words)).expect_code(1);
            stage
        })
        .mend(|stage| std::fs::remove_dir_all(stage.root().join("to/tree/a.txt")).unwrap())
        .restarts(),
        Scene::new("down-refused", refused, |scene, program| {
            let stage = scene.stage(program);
            let words = ["copy", "{URL}/tree", "to", "--list-of-files=list", "--max-tries=2"];
            stage.run(stage.words(&[&words[..], &["--retry-failed=0"]].concat())).expect_code(1);
            stage
        }),
        Scene::new("down-skipped", refused, |scene, program| {
            let stage = scene.stage(program);
            stage.hold(Operation::GetBlob, "a.txt", 0);
            let words = ["copy", "{URL}/tree", "to", "--list-of-files=list", "--lanes=1"];
            stage.killed_when(&words, "a link", |it| it.counts().skipped > 0);
            stage
        }),
        // Directories are listed one by one where something below them is left out.
        Scene::new("down-pruned", pruned, |scene, program| {
            let stage = scene.stage(program);
            stage.faults(vec![azsim::Rule { skip: 2, ..rule(Some(Operation::ListBlobs), "", Fault::Hold) }]);
            let words =
                ["copy", "{URL}/tree", "to", "--recursive", "--exclude-path=one/deep/left-out;three/x"];
            stage.killed_when(&words, "directories", |it| it.cursor().is_some() && it.counts().found > 0);
            stage
        }),
        Scene::new("down-one", small, |scene, program| {
            let stage = scene.stage(program);
            std::fs::create_dir(stage.root().join("to")).unwrap();
            stage.hold(Operation::GetBlob, "", 0);
            stage.killed_when(&["copy", "{URL}/tree/a.txt", "to"], "the blob", |it| it.counts().found > 0);
            stage
        }),
        Scene::new("down-included", included, |scene, program| {
            let stage = scene.stage(program);
            stage.faults(vec![azsim::Rule { skip: 2, ..rule(Some(Operation::ListBlobs), "", Fault::Hold) }]);
            let words = ["copy", "{URL}/tree", "to", "--recursive", "--include-path=one;two;three"];
            stage.killed_when(&words, "two paths", |it| it.cursor().is_some() && it.counts().found >= 4);
            stage
        }),
        Scene::new("down-versions", versions, |scene, program| {
            let stage = scene.stage(program);
            stage.write("ids", stage.states().join("\n").as_bytes());
            stage.hold(Operation::GetBlob, "", 1);
            let words = ["copy", "{URL}/tree/a.txt", "to", "--list-of-versions=ids", "--lanes=1"];
            let words = [&words[..], &["--concurrency=1"]].concat();
            stage.killed_when(&words, "a version", |it| it.numbers(WRITTEN).count() > 0);
            stage
        })
        .keeps(),
    ]
}

/// The disk was asked when it was killed; it goes on in doubt, and is killed again.
fn doubted(scene: &Scene, program: &Path, more: &[&str]) -> Stage {
    let words = [&["copy", "{URL}/tree", "to", "--recursive", "--lanes=1"][..], more].concat();
    let stage = cut(scene, program, &words, |_, it| it.counter(ASKED) > 0);
    let (id, _) = stage.recorded().unwrap();
    stage.hold(Operation::GetBlob, "", 0);
    let resume = ["jobs".to_owned(), "resume".to_owned(), id.to_string()];
    let running = stage.azuring().start(resume.into_iter().chain([format!("--source-sas={}", stage.sas())]));
    stage.wait_for("what is lost", |it| it.numbers(State::Failed(63)).count() > 0);
    running.kill();
    running.wait().unwrap();
    stage.faults(Vec::new());
    stage.settle();
    stage
}

fn pieces(it: &Recovered) -> u64 {
    (0..it.counts().found).filter_map(|number| it.large(number)).map(|large| large.pieces.count()).sum()
}

fn has_expanded(it: &Recovered) -> bool {
    it.numbers(State::Skipped(63)).count() > 0
}

/// Twenty blobs, and names that are hard to keep or no file can have.
fn names(stage: &Stage) {
    for n in 0..20 {
        stage.blob(&format!("tree/{}f{n:02}.txt", if n % 2 == 0 { "" } else { "sub/" }), 30 + n);
    }
    for name in ["new\nline", "per%2Fcent", "a b#?&+", "\u{e4}\u{1f600}", "tab\t", "qu\"ote"] {
        stage.blob(&format!("tree/odd/{name}"), 50);
    }
    // Two of one name, and names of no file.
    for name in ["twice//x", "twice/x", "up/../y", "slash/"] {
        stage.blob(&format!("tree/odd/{name}"), 20);
    }
}

fn small(stage: &Stage) {
    for (name, len) in [("a.txt", 40), ("b b.txt", 50), ("sub/c", 60), ("empty", 0)] {
        stage.blob(&format!("tree/{name}"), len);
    }
}

fn large(stage: &Stage) {
    stage.blob("tree/a", 100);
    stage.blob("tree/large.bin", 4 * (256 << 10));
}

/// What a list names: blobs, one that is not there, and directories.
fn listed(stage: &Stage) {
    small(stage);
    for n in 0..3 {
        stage.blob(&format!("tree/whole/w{n}"), 20 + n);
        stage.blob(&format!("tree/half/h{n}"), 20 + n);
    }
    stage.write("list", b"a.txt\nmissing\nb b.txt\nwhole\nhalf\nsub/c\nempty\n");
}

fn many_below(stage: &Stage) {
    for n in 0..MANY {
        stage.blob(&format!("tree/many/{n:04}"), 0);
    }
    stage.write("list", b"many\n");
}

const MODE: &str = "permissions";

/// Directories with modes and times, links, and a file that stands for something else.
fn posix(stage: &Stage) {
    small(stage);
    stage.blob("tree/z-last", 70);
    let folder = |name: &str, mode: u32| {
        let mode = (0o040_000 | mode).to_string();
        let properties = [(MODE, &*mode), ("modtime", "1600000000000000000")];
        stage.plant(name, Vec::new(), &[&[("hdi_isfolder", "true")][..], &properties].concat());
    };
    folder("tree/sub", 0o750);
    folder("tree/dir", 0o700);
    folder("tree/dir/deep", 0o755);
    stage.blob("tree/dir/deep/file", 33);
    stage.plant("tree/link", b"a.txt".to_vec(), &[("is_symlink", "true")]);
    let mode = 0o010_644.to_string();
    stage.plant("tree/fifo", Vec::new(), &[(MODE, &mode), ("is_fifo", "true")]);
}

fn failing(stage: &Stage) {
    // Some have an MD5, which is right, wrong or not there.
    let right = |name: &str| Some(md5::Md5::digest(crate::stage::content(name.as_bytes(), 40)).into());
    for (name, content_md5) in [
        ("service", right("service")),
        ("busy", right("busy")),
        ("gone", right("gone")),
        ("there", right("there")),
        ("in-the-way/x", right("x")),
        ("other-md5", Some([7; 16])),
        ("no-md5", None),
    ] {
        let content = crate::stage::content(name.as_bytes(), 40);
        let seed = Seed {
            name: format!("tree/{name}"),
            content: vec![content.into()],
            content_md5,
            ..Seed::default()
        };
        stage.server.plant(DEVSTORE_ACCOUNT, CONTAINER, [seed]);
    }
    stage.write("to/tree/there", &crate::stage::earlier(b"there", 40));
    stage.plant("tree/stub", Vec::new(), &[("hdi_isfolder", "true")]);
    for name in ["in-the-way", "stub"] {
        stage.write(format!("to/tree/{name}"), &crate::stage::earlier(name.as_bytes(), 4));
    }
}

/// A list with lines that can be no blobs, or not without `--recursive`.
fn refused(stage: &Stage) {
    small(stage);
    stage.plant("tree/link", b"a.txt".to_vec(), &[("is_symlink", "true")]);
    stage.write("list", b"a.txt\nno\xfftext\nsub/\n\x01mark\nlink\n../up\nmissing\n");
    symlink("a.txt", stage.root().join("unused")).unwrap();
}

fn included(stage: &Stage) {
    for path in ["one", "two", "three"] {
        for n in 0..2 {
            stage.blob(&format!("tree/{path}/{path}-{n}"), 25 + n);
        }
    }
}

fn pruned(stage: &Stage) {
    for name in ["a", "one/1", "one/deep/2", "one/deep/left-out/3", "three/x/4", "three/5", "two/6"] {
        stage.blob(&format!("tree/{name}"), 25);
    }
}

fn versions(stage: &Stage) {
    for len in [10, 20, 30] {
        stage.blob("tree/a.txt", len);
    }
}
