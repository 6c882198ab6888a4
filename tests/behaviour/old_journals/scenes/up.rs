//! Uploads.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use azsim::{Fault, Operation};
use azuring_tests::hostile::{self, Answer, Hostile};

use super::{Scene, cut};
use crate::stage::{Stage, content, rule};

/// Bytes of a block.
const PIECE: u64 = 256 << 10;

pub(super) fn all() -> Vec<Scene> {
    vec![
        Scene::new("up-killed", names, |scene, program| {
            let stage = scene.stage(program);
            stage.hold(Operation::PutBlob, "", 10);
            let words = ["copy", "tree", "{URL}", "--recursive", "--concurrency=4", "--lanes=1"];
            stage.killed_when(&words, "ten files", |it| it.counts().done >= 10);
            stage
        }),
        Scene::new("up-interrupted", names, |scene, program| {
            let stage = scene.stage(program);
            stage.hold(Operation::PutBlob, "", 6);
            let words = [
                "copy",
                "{ROOT}/tree/*",
                "{URL}/below",
                "--recursive",
                "--include-pattern=*.txt;*.log",
                "--exclude-path=sub/f03.txt",
                "--concurrency=2",
                "--lanes=1",
            ];
            let running = stage.start(&words);
            stage.wait_for("six files", |it| it.counts().done >= 6);
            running.interrupt_and_see();
            stage.faults(Vec::new());
            running.wait().unwrap().expect_code(6);
            stage
        }),
        Scene::new("up-failed", failing, |scene, program| {
            let stage = scene.stage(program);
            fail(&stage);
            let words =
                ["copy", "od\u{1}d/tree", "{URL}", "--recursive", "--overwrite=false", "--max-tries=2"];
            stage.run(stage.words(
                &[&words[..], &["--follow-symlinks", "--retry-failed=0", "--block-size-mb=0.25"]].concat(),
            ));
            stage
        }),
        Scene::new("up-all-failed", small, |scene, program| {
            let stage = scene.stage(program);
            stage.faults(vec![rule(None, "", Fault::error(404, "ContainerNotFound"))]);
            stage.run(stage.words(&["copy", "tree", "{URL}", "--recursive", "--max-tries=2"]));
            stage.faults(Vec::new());
            stage
        }),
        Scene::new("up-finished", small, |scene, program| {
            let stage = scene.stage(program);
            stage.run(stage.words(&["copy", "tree", "{URL}", "--recursive"])).expect_code(0);
            stage
        }),
        Scene::new("up-skipped", small, |scene, program| {
            let stage = scene.stage(program);
            stage.blob("tree/a.txt", 40);
            let words = ["copy", "tree", "{URL}", "--recursive", "--overwrite=ifSourceNewer"];
            stage.run(stage.words(&words)).expect_code(0);
            stage
        }),
        // A job that has not ended still tells why it has skipped something.
        Scene::new("up-not-newer", small, |scene, program| {
            skipping(scene, program, "--overwrite=ifSourceNewer")
        }),
        Scene::new("up-exists", small, |scene, program| skipping(scene, program, "--overwrite=false")),
        Scene::new("up-odd-answer", small, |scene, program| {
            let stage = scene.stage(program);
            let answer = Answer::status(409)
                .header("x-ms-error-code", "BlobImmutableDueToPolicy")
                .header("x-ms-request-id", "no UUID at all");
            let odd = hostile::Rule::on("PUT", "sub/c").answer(answer);
            let hostile = Hostile::before(stage.server.addr(), vec![odd]);
            let url = stage.words(&["{URL}"])[0].to_str().unwrap().to_owned();
            let words = ["copy", "tree", &hostile.via(&url), "--recursive", "--retry-failed=0"];
            stage.run(words).expect_code(1);
            stage
        }),
        // Two of four blocks are moved, one list of blocks is asked for, and one is sent.
        Scene::new("up-blocks", large, |scene, program| {
            let stage = scene.stage(program);
            stage.hold(Operation::PutBlock, "large", 2);
            let words = ["copy", "src/*", "{URL}", "--block-size-mb=0.25", "--put-blob-size-mb=0.25"];
            let words = [&words[..], &["--concurrency=2", "--lanes=1"]].concat();
            killed_when_held(&stage, &words);
            stage
        })
        .moves(2 * PIECE + 3_000),
        Scene::new("up-append", large, |scene, program| {
            let stage = scene.stage(program);
            stage.hold(Operation::AppendBlock, "large", 1);
            let words = ["copy", "src/*", "{URL}", "--block-size-mb=0.25", "--blob-type=AppendBlob"];
            let words = [&words[..], &["--overwrite=false", "--lanes=1"]].concat();
            killed_when_held(&stage, &words);
            stage
        }),
        Scene::new("up-pages", large, |scene, program| {
            let stage = scene.stage(program);
            stage.hold(Operation::PutPage, "large", 1);
            let words = ["copy", "src/*", "{URL}", "--block-size-mb=0.25", "--blob-type=PageBlob"];
            let words = [&words[..], &["--overwrite=false", "--lanes=1"]].concat();
            killed_when_held(&stage, &words);
            stage
        }),
        Scene::new("up-list", list, |scene, program| {
            let stage = scene.stage(program);
            // Its end is not there yet.
            std::fs::remove_file(stage.root().join("list")).unwrap();
            fifo(&stage.root().join("list"));
            let words = ["copy", "tree", "{URL}", "--list-of-files=list", "--recursive", "--lanes=1"];
            let running = stage.start(&words);
            let mut pipe = std::fs::File::options().write(true).open(stage.root().join("list")).unwrap();
            std::io::Write::write_all(&mut pipe, LIST[..1].concat().as_bytes()).unwrap();
            for lines in [1..4, 4..7] {
                let before = stage.recorded().map_or(0, |(_, it)| it.counts().found);
                std::io::Write::write_all(&mut pipe, LIST[lines].concat().as_bytes()).unwrap();
                stage.wait_for("lines", |it| it.counts().found > before || it.cursor().is_some());
            }
            stage.wait_for("a line", |it| it.cursor().is_some() && it.counts().done > 2);
            running.kill();
            running.wait().unwrap();
            drop(pipe);
            stage.settle();
            std::fs::remove_file(stage.root().join("list")).unwrap();
            stage.write("list", LIST.concat().as_bytes());
            stage
        }),
        Scene::new("up-posix", posix, |scene, program| {
            let stage = scene.stage(program);
            stage.hold(Operation::PutBlob, "", 4);
            let words = ["copy", "tree", "{URL}", "--recursive", "--preserve-posix-properties"];
            let more = ["--include-directory-stub", "--preserve-symlinks", "--concurrency=1", "--lanes=1"];
            stage.killed_when(&[&words[..], &more].concat(), "four", |it| it.counts().done >= 4);
            stage
        }),
        Scene::new("up-walk", wide, |scene, program| {
            let words = ["copy", "tree", "{URL}", "--recursive", "--lanes=1", "--concurrency=1"];
            cut(scene, program, &words, |_, it| it.cursor().is_some() && !it.scanned())
        })
        .mend(|stage| stage.faults(Vec::new())),
        Scene::new("up-torn", not_text, |scene, program| {
            let words = ["copy", "s{FF}c/*", "{URL}", "--lanes=1"];
            cut(scene, program, &words, |_, it| {
                it.cut_off() > 0 && it.counts().found > 0 && it.counts().done == 0
            })
        }),
        Scene::new("up-format-1", names, |scene, program| {
            let stage = scene.stage(program);
            stage.hold(Operation::PutBlob, "", 0);
            let words = ["copy", "tree", "{URL}", "--recursive", "--concurrency=4", "--lanes=1"];
            stage.killed_when(&words, "a beginning", |_| true);
            // What the first version that had journals had written by then: the description in its own format.
            let (id, _) = stage.recorded().unwrap();
            let path = stage.jobs().directory(id).join("journal");
            let mut journal = crate::bytes::Journal::read(&std::fs::read(&path).unwrap());
            journal.header[8] = 1;
            journal.records.truncate(1);
            journal.tail.clear();
            std::fs::write(&path, journal.to_bytes()).unwrap();
            stage.faults(vec![
                rule(Some(Operation::PutBlob), "f02", Fault::error(409, "BlobImmutableDueToPolicy")),
                azsim::Rule { skip: 12, ..rule(Some(Operation::PutBlob), "", Fault::Hold) },
            ]);
            let resume = ["jobs".to_owned(), "resume".to_owned(), id.to_string()];
            let resume = resume.into_iter().chain([format!("--destination-sas={}", stage.sas())]);
            let running = stage.azuring().start(resume);
            stage.wait_for("some files", |it| it.counts().done >= 10 && it.counts().failed > 0);
            running.kill();
            running.wait().unwrap();
            stage.faults(Vec::new());
            stage.settle();
            stage
        }),
        Scene::new("up-shrinking", small, |scene, program| {
            let words = ["copy", "tree", "{URL}", "--recursive", "--lanes=1"];
            cut(scene, program, &words, |stage, it| {
                let (id, _) = stage.recorded().unwrap();
                it.summary().is_some() && stage.jobs().directory(id).join("journal.new").exists()
            })
        }),
    ]
}

fn skipping(scene: &Scene, program: &Path, overwrite: &str) -> Stage {
    let stage = scene.stage(program);
    stage.blob("tree/a.txt", 40);
    stage.hold(Operation::PutBlob, "sub", 0);
    let words = ["copy", "tree", "{URL}", "--recursive", overwrite];
    stage.killed_when(&words, "one that is skipped", |it| it.counts().skipped > 0);
    stage
}

fn killed_when_held(stage: &Stage, words: &[&str]) {
    let running = stage.start(words);
    azuring_tests::wait_until("a request that is held", || stage.server.stats().faults.contains_key("hold"));
    stage.wait_for("its beginning", |it| it.large_count() > 0);
    running.kill();
    running.wait().unwrap();
    stage.faults(Vec::new());
    stage.settle();
}

fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// Twenty files, and names that are hard to keep.
fn names(stage: &Stage) {
    for n in 0..20 {
        let end = ["txt", "log", "bin"][n % 3];
        stage.file(format!("tree/{}f{n:02}.{end}", if n % 2 == 0 { "" } else { "sub/" }), 30 + n as u64);
    }
    for name in ["new\nline.txt", "per%2Fcent.txt", "a b#?&+.log", "\u{e4}\u{1f600}.txt", "tab\t", "qu\"ote"]
    {
        stage.file(format!("tree/odd/{name}"), 50);
    }
    stage.file(b"tree/odd/no\xfftext.txt", 9);
    symlink("f00.txt", stage.root().join("tree/link")).unwrap();
    fifo(&stage.root().join("tree/fifo"));
}

fn small(stage: &Stage) {
    for (name, len) in [("a.txt", 40), ("b b.txt", 50), ("sub/c", 60), ("empty", 0)] {
        stage.file(format!("tree/{name}"), len);
    }
}

/// Files that fail, each in its own way (`fail`), and such that are skipped.
fn failing(stage: &Stage) {
    for name in ["good", "service-1", "service-2", "busy", "reset", "there", "sub/archived", "authentication"]
    {
        stage.file(format!("od\u{1}d/tree/{name}"), 70);
    }
    stage.file(b"od\x01d/tree/no\xfftext", 9);
    // More blocks than a blob may have.
    let huge = std::fs::File::create(stage.root().join("od\u{1}d/tree/huge")).unwrap();
    huge.set_len(20 << 30).unwrap();
    symlink("nowhere", stage.root().join("od\u{1}d/tree/dangling")).unwrap();
    stage.blob("tree/there", 5);
}

fn fail(stage: &Stage) {
    let on = |name: &str, fault| rule(Some(Operation::PutBlob), name, fault);
    stage.faults(vec![
        on("service-", Fault::error(409, "BlobImmutableDueToPolicy")),
        on("archived", Fault::error(409, "BlobArchived")),
        on("busy", Fault::error(503, "ServerBusy")),
        on("reset", Fault::Reset),
        on("authentication", Fault::error(403, "AuthorizationPermissionMismatch")),
    ]);
}

/// Four blocks, and a small file.
fn large(stage: &Stage) {
    stage.file("src/large.bin", 4 * PIECE);
    stage.file("src/small", 512);
}

const LIST: [&str; 9] = [
    "f00.txt\n",
    "sub\n",
    "f02.bin\n",
    "missing\n",
    "odd/per%2Fcent.txt\n",
    "odd/qu\"ote\n",
    "f04.log\n",
    "f06.txt\n",
    "f08.bin\n",
];

fn list(stage: &Stage) {
    names(stage);
    stage.write("list", LIST.concat().as_bytes());
}

fn posix(stage: &Stage) {
    small(stage);
    stage.file("tree/dir/deep/d", 30);
    symlink("a.txt", stage.root().join("tree/link")).unwrap();
    fifo(&stage.root().join("tree/fifo"));
    for (name, mode) in [("a.txt", 0o640), ("dir", 0o750), ("dir/deep", 0o700)] {
        let path = stage.root().join("tree").join(name);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
}

/// Names that fill what waits for a commit before a walk has come to its end.
fn wide(stage: &Stage) {
    // No request is a moment then.
    stage.hold(Operation::PutBlob, "", 0);
    let [a, b, c] = ["a", "b", "c"].map(|letter| letter.repeat(240));
    let tree = stage.root().join("tree").join(a).join(b).join(c);
    std::fs::create_dir_all(&tree).unwrap();
    for n in 0..1500 {
        std::fs::write(tree.join(format!("{n:04}")), content(format!("{n:04}").as_bytes(), 8)).unwrap();
    }
}

/// The source has a name that is no text.
fn not_text(stage: &Stage) {
    for n in 0..6 {
        stage.file([b"s\xffc/f", &[b'0' + n][..]].concat(), 100);
    }
}
