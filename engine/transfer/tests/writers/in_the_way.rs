//! Blocks that nobody has committed, and blobs of another type, where a blob is to be.

use super::*;

/// The id of a block of this program: `azuring2`, and zeros.
const OWN: &str = "YXp1cmluZzIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A block that somebody has left uncommitted.
fn leave_block(scene: &Scene, id: &str) {
    let id = id.replace('=', "%3D").replace('+', "%2B").replace('/', "%2F");
    assert_eq!(scene.other().asks("PUT", &format!("comp=block&blockid={id}"), "", b"left"), 201);
}

#[test]
fn blocks_of_another_program_close_no_name() {
    // 16 bytes before they are encoded.
    let left = "AAECAwQFBgcICQoLDA0ODw==";
    let scene = Scene::new(3 * PIECE, Vec::new());
    leave_block(&scene, left);
    let (report, failures) = scene.upload(options());
    assert_eq!(counts(&report), (1, 0, 0), "{failures:?}");
    assert!(scene.content().unwrap() == bytes(3 * PIECE));
    let scene = Scene::new(1, Vec::new());
    leave_block(&scene, left);
    scene.pipe(bytes(3 * PIECE), &options()).unwrap();
    assert!(scene.content().unwrap() == bytes(3 * PIECE));
    // Too short for ids that tell contents apart: the caller decides.
    let scene = Scene::new(3 * PIECE, Vec::new());
    leave_block(&scene, "MDAwMQ==");
    let (report, failures) = scene.upload(options());
    assert_eq!(counts(&report), (0, 1, 0));
    assert!(failures[0].advice.as_ref().unwrap().contains("--delete-destination-file"), "{failures:?}");
    let (report, failures) = scene.upload(options().delete_destination(true));
    assert_eq!(counts(&report), (1, 0, 0), "{failures:?}");
    assert!(scene.content().unwrap() == bytes(3 * PIECE));
}

#[test]
fn a_blob_of_another_type_is_removed_only_when_that_was_said() {
    use BlobTypeChoice::{Append, Block, Page};
    for (old, new, len) in
        [(Page, Block, PIECE / 2), (Page, Block, 3 * PIECE), (Block, Page, PIECE), (Page, Append, PIECE)]
    {
        let scene = Scene::new(PIECE, Vec::new());
        assert_eq!(counts(&scene.upload(of_type(old)).0), (1, 0, 0));
        std::fs::write(&scene.file, vec![7; len]).unwrap();
        let options =
            |delete_destination| of_type(new).delete_destination(delete_destination).overwrite_in_place(true);
        let (report, failures) = scene.upload(options(false));
        assert_eq!(counts(&report), (0, 1, 0), "{old:?} {new:?}");
        assert_eq!(failures[0].code.as_deref(), Some("InvalidBlobType"));
        assert!(scene.content().unwrap() == bytes(PIECE));
        let (report, failures) = scene.upload(options(true));
        assert_eq!(counts(&report), (1, 0, 0), "{old:?} {new:?} {failures:?}");
        assert!(scene.content().unwrap() == vec![7; len]);
    }
}

#[test]
fn a_blob_of_another_type_is_removed_for_a_pipe_only_when_that_was_said() {
    use BlobTypeChoice::{Append, Block, Page};
    for (old, new, len) in [(Page, Block, PIECE / 2), (Page, Block, 3 * PIECE), (Block, Append, 3 * PIECE)] {
        let scene = Scene::new(PIECE, Vec::new());
        assert_eq!(counts(&scene.upload(of_type(old)).0), (1, 0, 0));
        let options =
            |delete_destination| of_type(new).delete_destination(delete_destination).overwrite_in_place(true);
        let told = scene.pipe(vec![7; len], &options(false)).unwrap_err();
        assert!(told.contains("InvalidBlobType"), "{old:?} {new:?} {told}");
        assert!(scene.content().unwrap() == bytes(PIECE));
        // What is not to be overwritten is not removed either.
        let never = options(true).overwrite(Overwrite::Never);
        assert_eq!(counts(&scene.pipe(vec![7; len], &never).unwrap()), (0, 0, 1));
        assert!(scene.content().unwrap() == bytes(PIECE));
        let report = scene.pipe(vec![7; len], &options(true)).unwrap();
        assert_eq!(counts(&report), (1, 0, 0), "{old:?} {new:?}");
        assert!(scene.content().unwrap() == vec![7; len]);
    }
}

/// One request at a time.
fn one_by_one() -> JobOptions {
    options().limits(Limits::here().lanes(1).concurrency(1))
}

/// Takes no block before an empty blob is made, which discards what is there; then it is removed, with this answer.
fn full_until_cleared(scene: &Scene, removed: Answer) {
    let hostile = scene.hostile.clone();
    let made = Answer::passed().meanwhile(move |_| {
        hostile.relent();
        hostile.add(Rule::on("DELETE", "x").answer(removed.clone()));
    });
    scene.hostile.add(Rule::on("PUT", "x").answer(made));
    let full = Answer::error(409, "BlockCountExceedsLimit");
    scene.hostile.add(Rule::on("PUT", "x").query("comp=block&").answer(full));
}

/// Gives the rest only when the blob that discards is being removed: some block is sure to come in between.
struct InBetween {
    hostile: Hostile,
    beginning: std::io::Cursor<Vec<u8>>,
    rest: std::io::Cursor<Vec<u8>>,
}

impl std::io::Read for InBetween {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        match self.beginning.read(out)? {
            0 => {
                wait_until(|| !self.hostile.requests_of("DELETE", "x").is_empty());
                self.rest.read(out)
            }
            some => Ok(some),
        }
    }
}

#[test]
fn a_block_that_comes_while_others_are_discarded_is_sent_again() {
    let scene = Scene::new(1, Vec::new());
    leave_block(&scene, OWN);
    let (bench, left) = (Arc::clone(&scene.bench), scene.count(Operation::PutBlock));
    let sent = move || bench.server.stats().by_operation[&Operation::PutBlock] - left;
    full_until_cleared(&scene, Answer::passed().meanwhile(move |_| wait_until(|| sent() > 0)));
    let all = bytes(20 * PIECE);
    let (beginning, rest) = all.split_at(4 * PIECE);
    let input = InBetween {
        hostile: scene.hostile.clone(),
        beginning: std::io::Cursor::new(beginning.to_vec()),
        rest: std::io::Cursor::new(rest.to_vec()),
    };
    assert_eq!(counts(&scene.pipe_from(input, &options()).unwrap()), (1, 0, 0));
    assert!(scene.content().unwrap() == all);
}

#[test]
fn too_many_blocks_in_the_middle_of_a_pipe_end_it_at_once() {
    let full =
        || Rule::on("PUT", "x").query("comp=block&").answer(Answer::error(409, "BlockCountExceedsLimit"));
    let scene = Scene::new(1, vec![full().after(2)]);
    let told = scene.pipe(bytes(300 * PIECE), &one_by_one()).unwrap_err();
    assert!(told.contains("send the stream again"), "{told}");
    // What is there was neither looked at nor discarded, nor was all of the input sent.
    assert_eq!((scene.count(Operation::GetBlockList), scene.count(Operation::PutBlob)), (0, 0));
    assert_eq!(scene.count(Operation::PutBlock), 2);
    assert!(scene.hostile.requests_of("PUT", "x").len() < 200);
    // As it was told: the next one makes room.
    scene.hostile.relent();
    full_until_cleared(&scene, Answer::passed());
    assert_eq!(counts(&scene.pipe(bytes(3 * PIECE), &one_by_one()).unwrap()), (1, 0, 0));
    assert!(scene.content().unwrap() == bytes(3 * PIECE));
}

#[test]
fn too_many_blocks_in_the_middle_of_a_file_begin_it_anew_at_once() {
    let full = Answer::error(409, "BlockCountExceedsLimit");
    let scene = Scene::new(40 * PIECE, vec![Rule::on("PUT", "x").query("comp=block&").nth(3).answer(full)]);
    let (report, failures) = scene.upload(one_by_one().retry_failed(1));
    assert_eq!(counts(&report), (1, 0, 0), "{failures:?}");
    assert!(scene.content().unwrap() == bytes(40 * PIECE));
    assert!(scene.count(Operation::PutBlock) < 60, "{}", scene.count(Operation::PutBlock));
}

#[test]
fn blocks_of_own_runs_that_are_too_many_are_discarded_and_a_blob_never_is() {
    let full = || {
        Rule::on("PUT", "x").query("comp=block&").nth(1).answer(Answer::error(409, "BlockCountExceedsLimit"))
    };
    // What was sent before the first refusal is discarded as well.
    let twice = || options().retry_failed(1);
    let scene = Scene::new(3 * PIECE, vec![full()]);
    leave_block(&scene, OWN);
    let (report, failures) = scene.upload(twice());
    assert_eq!(counts(&report), (1, 0, 0), "{failures:?}");
    assert!(scene.content().unwrap() == bytes(3 * PIECE));
    // Another program's blocks, or a blob, are not touched unless that is said.
    for has_blob in [false, true] {
        let always = Answer::error(409, "BlockCountExceedsLimit");
        let scene = Scene::new(3 * PIECE, vec![Rule::on("PUT", "x").query("comp=block&").answer(always)]);
        if has_blob {
            scene.other().replaces(b"old");
        }
        leave_block(&scene, if has_blob { OWN } else { "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIj" });
        let (report, failures) = scene.upload(twice());
        assert_eq!(counts(&report), (0, 1, 0));
        assert!(failures[0].advice.as_ref().unwrap().contains("--delete-destination-file"), "{failures:?}");
        assert_eq!(scene.content(), has_blob.then(|| b"old".to_vec()));
        scene.hostile.relent();
        scene.hostile.add(full());
        let (report, failures) = scene.upload(twice().delete_destination(true));
        assert_eq!(counts(&report), (1, 0, 0), "{failures:?}");
    }
}

#[test]
fn blocks_that_another_writer_has_discarded_are_sent_again() {
    let scene = Scene::new(3 * PIECE, Vec::new());
    let other = scene.other();
    let theirs = Answer::passed().meanwhile(move |_| other.replaces(b"theirs"));
    scene.hostile.add(Rule::on("PUT", "x").query("comp=blocklist").nth(1).answer(theirs));
    let (report, failures) = scene.upload(options().retry_failed(1));
    assert_eq!(counts(&report), (1, 0, 0), "{failures:?}");
    assert!(scene.content().unwrap() == bytes(3 * PIECE));
}
