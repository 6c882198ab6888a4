//! An answer that is lost leaves open whether the service has done what it was asked for.

use super::*;

#[test]
fn an_answer_that_was_lost_doubles_nothing_and_skips_nothing() {
    let cases: [(BlobTypeChoice, usize, &[&str]); 4] = [
        (BlobTypeChoice::Append, 3 * PIECE, &["", "appendblock"]),
        (BlobTypeChoice::Page, 3 * PIECE / 512 * 512, &["", "comp=page", "comp=lease"]),
        (BlobTypeChoice::Block, 3 * PIECE, &["comp=block&", "comp=blocklist"]),
        (BlobTypeChoice::Block, PIECE / 2, &[""]),
    ];
    for (kind, len, parts) in cases {
        for part in parts {
            for (n, answer) in lost().into_iter().enumerate() {
                for overwrite in [Overwrite::Never, Overwrite::Always] {
                    let rule = Rule::on("PUT", "x").query(part).nth(1).answer(answer.clone());
                    let scene = Scene::new(len, vec![rule]);
                    let (report, failures) = scene.upload(of_type(kind).overwrite(overwrite));
                    let what = format!("{kind:?} {part} {n} {failures:?}");
                    assert_eq!(counts(&report), (1, 0, 0), "{what}");
                    assert!(scene.content().unwrap() == bytes(len), "{what}");
                }
            }
        }
    }
}

#[test]
fn an_answer_that_was_lost_doubles_nothing_in_a_pipe() {
    let cases: [(BlobTypeChoice, usize, &[&str]); 3] = [
        (BlobTypeChoice::Append, 3 * PIECE, &["", "appendblock"]),
        (BlobTypeChoice::Block, 3 * PIECE, &["comp=block&", "comp=blocklist"]),
        (BlobTypeChoice::Block, PIECE / 2, &[""]),
    ];
    for (kind, len, parts) in cases {
        for part in parts {
            for answer in lost() {
                let scene = Scene::new(1, vec![Rule::on("PUT", "x").query(part).nth(1).answer(answer)]);
                let options = of_type(kind).overwrite(Overwrite::Never);
                let report = scene.pipe(bytes(len), &options).unwrap();
                assert_eq!(counts(&report), (1, 0, 0), "{kind:?} {part}");
                assert!(scene.content().unwrap() == bytes(len), "{kind:?} {part}");
            }
        }
    }
}

#[test]
fn anothers_blob_of_the_same_length_is_not_taken_for_this_one() {
    for (len, part) in [(3 * PIECE, "comp=blocklist"), (PIECE / 2, "")] {
        for is_pipe in [false, true] {
            let scene = Scene::new(len, Vec::new());
            let other = scene.other();
            // Not done, and nobody can know.
            let failed = Answer::status(503).meanwhile(move |_| other.replaces(&vec![7; len]));
            scene.hostile.add(Rule::on("PUT", "x").query(part).nth(1).answer(failed));
            let options = options().overwrite(Overwrite::Never);
            let report = match is_pipe {
                true => scene.pipe(bytes(len), &options).unwrap(),
                false => scene.upload(options).0,
            };
            assert_eq!(counts(&report), (0, 0, 1), "{len} {is_pipe}");
            assert!(scene.content().unwrap() == vec![7; len]);
        }
    }
}
