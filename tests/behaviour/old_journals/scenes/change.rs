//! Removals and changes.

use azsim::{Fault, Operation};
use azuring_tests::{CONTAINER, DEVSTORE_ACCOUNT};

use super::Scene;
use crate::stage::{Stage, rule};

/// More than a part of a journal has, and four pages of a listing.
const MANY: usize = 15_040;

pub(super) fn all() -> Vec<Scene> {
    vec![
        Scene::new("rm-many", many, |scene, program| {
            let stage = scene.stage(program);
            stage.faults(vec![
                azsim::Rule { skip: 3, ..rule(Some(Operation::ListBlobs), "", Fault::Hold) },
                azsim::Rule { skip: 2, ..rule(Some(Operation::BlobBatch), "", Fault::Hold) },
            ]);
            let words = ["remove", "{URL}/m", "--recursive", "--lanes=1"];
            stage
                .killed_when(&words, "three pages", |it| it.counts().found >= 15_000 && it.counts().done > 0);
            stage
        }),
        Scene::new("rm-failed", kept, |scene, program| {
            let stage = scene.stage(program);
            let refuse = |code| Fault::error(409, code);
            stage.faults(vec![
                rule(Some(Operation::DeleteBlob), "leased", refuse("LeaseIdMissing")),
                rule(Some(Operation::DeleteBlob), "immutable", refuse("BlobImmutableDueToPolicy")),
            ]);
            stage.run(stage.words(&["rm", "{URL}/tree", "--recursive", "--retry-failed=0"])).expect_code(1);
            stage.faults(Vec::new());
            stage
        }),
        Scene::new("rm-skipped", kept, |scene, program| {
            let stage = scene.stage(program);
            stage.hold(Operation::DeleteBlob, "leased", 0);
            stage.killed_when(&["rm", "{URL}/tree", "--recursive"], "one with snapshots", |it| {
                it.counts().skipped > 0
            });
            stage
        }),
        Scene::new("rm-permanent", deleted, |scene, program| {
            let stage = scene.stage(program);
            let words = ["rm", "{URL}/tree", "--recursive", "--permanent-delete=snapshotsandversions"];
            stage.hold(Operation::BlobBatch, "", 0);
            stage.killed_when(&words, "what was deleted", |it| it.counts().found >= 2);
            stage
        })
        .keeps(),
        Scene::new("rm-versions", versions, |scene, program| {
            let stage = scene.stage(program);
            stage.write("ids", stage.states().join("\n").as_bytes());
            stage.faults(vec![
                rule(Some(Operation::DeleteBlob), "", Fault::Hold),
                rule(Some(Operation::BlobBatch), "", Fault::Hold),
            ]);
            let words = ["rm", "{URL}/tree/a.txt", "--list-of-versions=ids"];
            stage.killed_when(&words, "versions", |it| it.counts().found >= 2);
            stage
        })
        .keeps(),
        Scene::new("rm-list", kept, |scene, program| {
            let stage = scene.stage(program);
            stage.write("list", b"plain\nsub\nmissing\nleased\n");
            stage.faults(vec![
                rule(Some(Operation::DeleteBlob), "", Fault::Hold),
                rule(Some(Operation::BlobBatch), "", Fault::Hold),
            ]);
            let words = ["rm", "{URL}/tree", "--list-of-files=list", "--recursive"];
            let running = stage.start(&words);
            stage.wait_for("the list", |it| it.counts().found >= 4);
            running.interrupt_and_see();
            running.kill();
            running.wait().unwrap();
            stage.faults(Vec::new());
            stage.settle();
            stage
        })
        .mend(|stage| drop(stage.write("list", b"plain\nsub\nmissing\nleased\n"))),
        Scene::new("set-killed", kept, |scene, program| {
            let stage = scene.stage(program);
            stage.hold(Operation::SetBlobMetadata, "", 2);
            let words = ["set-properties", "{URL}/tree", "--recursive", "--metadata=a=1;b=2"];
            let more = ["--block-blob-tier=Cool", "--concurrency=1", "--lanes=1"];
            let words = [&words[..], &more].concat();
            stage.killed_when(&words, "blobs", |it| it.counts().found >= 5);
            stage
        }),
        Scene::new("set-interrupted", kept, |scene, program| {
            let stage = scene.stage(program);
            stage.hold(Operation::SetBlobTags, "", 2);
            let words =
                ["sp", "{URL}/tree", "--recursive", "--blob-tags=x=y", "--concurrency=1", "--lanes=1"];
            let running = stage.start(&words);
            azuring_tests::wait_until("a request that is held", || {
                stage.server.stats().faults.contains_key("hold")
            });
            running.interrupt_and_see();
            stage.faults(Vec::new());
            running.wait().unwrap().expect_code(6);
            stage
        }),
    ]
}

fn many(stage: &Stage) {
    for n in 0..MANY {
        stage.blob(&format!("m/{n:05}"), 0);
    }
}

/// One with snapshots among others.
fn kept(stage: &Stage) {
    for name in ["plain", "snapshots", "sub/a", "sub/b", "leased", "immutable", "new\nline"] {
        stage.blob(&format!("tree/{name}"), 30);
    }
    assert!(stage.server.snapshot(DEVSTORE_ACCOUNT, CONTAINER, "tree/snapshots"));
}

fn versions(stage: &Stage) {
    for len in [10, 20, 30] {
        stage.blob("tree/a.txt", len);
    }
}

/// A blob whose versions and snapshots were deleted.
fn deleted(stage: &Stage) {
    versions(stage);
    assert!(stage.server.snapshot(DEVSTORE_ACCOUNT, CONTAINER, "tree/a.txt"));
    let (status, answer) = stage.ask("DELETE", "tree/a.txt", "", "x-ms-delete-snapshots: only\r\n", b"");
    assert_eq!(status, 202, "{answer}");
    let (_, list) = stage.ask("GET", "", "restype=container&comp=list&include=versions", "", b"");
    let blobs = list.split("<Blob>").skip(1).filter(|blob| !blob.contains("<IsCurrentVersion>true"));
    for blob in blobs {
        let id = blob.split_once("<VersionId>").unwrap().1.split('<').next().unwrap();
        let query = format!("versionid={}", id.replace(':', "%3A"));
        let (status, answer) = stage.ask("DELETE", "tree/a.txt", &query, "", b"");
        assert_eq!(status, 202, "{answer}");
    }
}
