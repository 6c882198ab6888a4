//! Lengths and bytes that are compared when the caller asks for it.

use super::*;

#[test]
fn a_length_that_is_to_be_compared_is_compared() {
    use BlobTypeChoice::{Append, Block, Page};
    for (kind, len, is_pipe) in [
        (Block, PIECE / 2, false),
        (Block, 3 * PIECE, false),
        (Page, 3 * PIECE, false),
        (Append, 3 * PIECE, false),
        (Block, PIECE / 2, true),
        (Block, 3 * PIECE, true),
        (Append, 3 * PIECE, true),
    ] {
        let scene = Scene::new(len, Vec::new());
        let send = |check_length| {
            let options = of_type(kind).check_length(check_length).overwrite_in_place(true);
            match is_pipe {
                true => scene.pipe(bytes(len), &options).map(drop),
                false => match scene.upload(options).1.pop() {
                    Some(failure) => Err(format!("{} ({:?})", failure, failure.kind)),
                    None => Ok(()),
                },
            }
        };
        let what = format!("{kind:?} {len} {is_pipe}");
        assert_eq!(send(CheckLength::Unproven), Ok(()), "{what}");
        assert_eq!(scene.count(Operation::GetBlobProperties), 0, "{what}");
        // A gateway that loses something behind the answer.
        let other = scene.other();
        let shorter = Answer::passed().meanwhile(move |_| other.replaces(b"shorter"));
        scene.hostile.add(Rule::on("HEAD", "x").nth(1).answer(shorter));
        let told = send(CheckLength::Always).unwrap_err();
        assert!(
            told.contains(&format!(
                "the blob has 7 bytes and the {}",
                if is_pipe { "input" } else { "file" }
            )),
            "{told}"
        );
    }
}

/// What a caller may ask for besides, and another blob that it finds out.
pub(crate) fn comparisons(len: usize) -> [(JobOptions, Vec<u8>); 2] {
    let options = options().overwrite(Overwrite::Never);
    [
        (options.clone().check_length(CheckLength::Always), b"shorter".to_vec()),
        (options.verify(true), vec![7; len]),
    ]
}

#[test]
fn a_blob_whose_answer_was_lost_is_compared_too() {
    for (len, part) in [(PIECE / 2, ""), (3 * PIECE, "comp=blocklist")] {
        for (options, found) in comparisons(len) {
            let lost = Answer::status(500).after_it_was_done();
            let scene = Scene::new(len, vec![Rule::on("PUT", "x").query(part).nth(1).answer(lost)]);
            let other = scene.other();
            // Asked first whether it is there, or is this one.
            let becomes = Answer::passed().meanwhile(move |_| other.replaces(&found));
            scene.hostile.add(Rule::on("HEAD", "x").nth(2).answer(becomes));
            let (report, failures) = scene.upload(options);
            assert_eq!(counts(&report), (0, 1, 0), "{len}");
            assert_eq!(failures[0].kind, FailureKind::Integrity, "{failures:?}");
        }
    }
}

#[test]
fn what_is_verified_is_read_back_and_compared() {
    let verify = || options().verify(true);
    for (kind, len) in [
        (BlobTypeChoice::Block, PIECE / 2),
        (BlobTypeChoice::Block, 3 * PIECE),
        (BlobTypeChoice::Append, 3 * PIECE),
        (BlobTypeChoice::Page, 3 * PIECE),
    ] {
        let scene = Scene::new(len, Vec::new());
        let options = of_type(kind).verify(true);
        assert_eq!(counts(&scene.upload(options).0), (1, 0, 0));
        assert!(!scene.hostile.requests_of("GET", "x").is_empty());
    }
    for len in [PIECE / 2, 3 * PIECE] {
        // A service that gives other bytes than it has taken.
        let scene = Scene::new(len, Vec::new());
        let other = scene.other();
        let damaged = Answer::passed().meanwhile(move |_| other.replaces(&vec![7; len]));
        scene.hostile.add(Rule::on("HEAD", "x").answer(damaged));
        let (report, failures) = scene.upload(verify());
        assert_eq!(counts(&report), (0, 1, 0));
        assert_eq!(failures[0].kind, FailureKind::Integrity, "{failures:?}");
        // And of a download.
        let (scene, to) = (Scene::new(1, Vec::new()), tempfile::tempdir().unwrap());
        scene.other().replaces(&bytes(len));
        for is_damaged in [false, true] {
            if is_damaged {
                let (other, file) = (scene.other(), to.path().join("x"));
                let damaged = Answer::passed().meanwhile(move |_| {
                    if file.exists() {
                        other.replaces(&vec![7; len]);
                    }
                });
                scene.hostile.add(Rule::on("HEAD", "x").after(1).answer(damaged));
                std::fs::remove_file(to.path().join("x")).unwrap();
            }
            let url = scene.url("/x");
            let credential = Credential::find(&url, |_| None).unwrap();
            let (report, failures) = run(Job::download(url, credential, to.path()).options(verify()));
            let want = if is_damaged { (0, 1, 0) } else { (1, 0, 0) };
            assert_eq!(counts(&report), want, "{failures:?}");
        }
    }
}
