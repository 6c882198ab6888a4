//! Who holds a blob that is written in place: of two writers one fails, and what another has stored stays.

use super::*;

#[test]
fn a_failed_append_upload_leaves_what_another_writer_has_stored() {
    let scene = Scene::new(3 * PIECE, Vec::new());
    let other = scene.other();
    let theirs = Answer::passed().meanwhile(move |_| other.replaces(b"theirs"));
    scene.hostile.add(Rule::on("PUT", "x").query("appendblock").nth(2).answer(theirs));
    let (report, failures) = scene.upload(of_type(BlobTypeChoice::Append));
    assert_eq!(counts(&report), (0, 1, 0));
    assert!(failures[0].reason.starts_with("another writer has written"), "{failures:?}");
    assert_eq!(scene.content().unwrap(), b"theirs");
}

#[test]
fn a_log_that_somebody_appends_to_is_not_deleted() {
    for is_pipe in [false, true] {
        let scene = Scene::new(3 * PIECE, Vec::new());
        let other = scene.other();
        let theirs = Answer::passed().meanwhile(move |_| assert_eq!(other.appends(b"line"), 201));
        scene.hostile.add(Rule::on("PUT", "x").query("appendblock").nth(2).answer(theirs));
        let told = if is_pipe {
            scene.pipe(bytes(3 * PIECE), &of_type(BlobTypeChoice::Append)).unwrap_err()
        } else {
            scene.upload(of_type(BlobTypeChoice::Append)).1.remove(0).to_string()
        };
        assert!(told.contains("another writer has written"), "{told}");
        assert_eq!(scene.content().unwrap(), [bytes(PIECE), b"line".to_vec()].concat(), "{is_pipe}");
    }
}

#[test]
fn what_an_upload_has_begun_alone_is_taken_back() {
    for (kind, part) in [(BlobTypeChoice::Append, "appendblock"), (BlobTypeChoice::Page, "comp=page")] {
        let refused = Answer::error(403, "AuthorizationPermissionMismatch");
        let scene = Scene::new(4 * PIECE, vec![Rule::on("PUT", "x").query(part).after(1).answer(refused)]);
        let (report, failures) = scene.upload(of_type(kind));
        assert_eq!(counts(&report), (0, 1, 0));
        assert_eq!(scene.content(), None, "{kind:?}: {failures:?}");
        assert!(!failures[0].reason.contains("left"), "{failures:?}");
        // Nor may it be removed: that is told.
        scene
            .hostile
            .add(Rule::on("DELETE", "x").answer(Answer::error(403, "AuthorizationPermissionMismatch")));
        let (_, failures) = scene.upload(of_type(kind));
        assert!(failures[0].reason.ends_with("was left, since it could not be removed"), "{failures:?}");
        assert!(scene.content().is_some());
    }
}

#[test]
fn of_two_writers_of_a_page_blob_one_fails_and_nothing_is_mixed() {
    let scene = Scene::new(5 * PIECE, Vec::new());
    let (bench, second) = (Arc::clone(&scene.bench), scene.bench.dir.path().join("second"));
    std::fs::write(&second, vec![7; 5 * PIECE]).unwrap();
    let came: Arc<Mutex<Option<Ran>>> = Arc::default();
    let theirs = Arc::clone(&came);
    // The first one is in the middle of its pages when the second begins and ends.
    let meanwhile = Answer::passed().meanwhile(move |_| {
        let options = of_type(BlobTypeChoice::Page).overwrite_in_place(true);
        let url = bench.url("/x");
        *theirs.lock().unwrap() = Some(run(upload(&second, url).options(options)));
    });
    scene.hostile.add(Rule::on("PUT", "x").query("comp=page").nth(2).answer(meanwhile));
    let first = scene.upload(of_type(BlobTypeChoice::Page));
    let second = came.lock().unwrap().take().unwrap();
    assert_eq!((counts(&first.0), counts(&second.0)), ((1, 0, 0), (0, 1, 0)), "{:?} {:?}", first.1, second.1);
    assert!(second.1[0].advice.as_ref().unwrap().contains("another writer holds the blob"), "{:?}", second.1);
    assert!(scene.content().unwrap() == bytes(5 * PIECE));
    // It is let go of: the next one may write.
    let options = of_type(BlobTypeChoice::Page).overwrite_in_place(true);
    assert_eq!(counts(&scene.upload(options).0), (1, 0, 0));
}

#[test]
fn a_page_blob_whose_lease_was_broken_is_lost_to_who_broke_it() {
    let scene = Scene::new(5 * PIECE, Vec::new());
    let other = scene.other();
    let meanwhile = Answer::passed().meanwhile(move |_| {
        other.breaks_the_lease();
        assert_eq!(other.asks("DELETE", "", "", b""), 202);
        other.replaces(b"theirs");
    });
    scene.hostile.add(Rule::on("PUT", "x").query("comp=page").nth(2).answer(meanwhile));
    let (report, failures) = scene.upload(of_type(BlobTypeChoice::Page));
    assert_eq!(counts(&report), (0, 1, 0));
    assert!(failures[0].reason.starts_with("another writer has written"), "{failures:?}");
    assert_eq!(scene.content().unwrap(), b"theirs");
}

#[test]
fn a_lease_that_has_run_out_is_renewed_and_the_upload_goes_on() {
    let run_out = Answer::error(412, "LeaseLost");
    let scene = Scene::new(5 * PIECE, vec![Rule::on("PUT", "x").query("comp=page").nth(3).answer(run_out)]);
    let (report, failures) = scene.upload(of_type(BlobTypeChoice::Page));
    assert_eq!(counts(&report), (1, 0, 0), "{failures:?}");
    assert!(scene.content().unwrap() == bytes(5 * PIECE));
    assert_eq!(scene.renewals(), 1);
}

#[test]
fn a_lease_is_kept_however_long_a_page_is_under_way() {
    let (scene, clock) = (Scene::new(PIECE, Vec::new()), Clock::standing());
    let (bench, hostile, time) = (Arc::clone(&scene.bench), scene.hostile.clone(), clock.clone());
    // A line that needs 100 s for a page.
    let slow = Answer::passed().meanwhile(move |_| {
        for _ in 0..4 {
            let before = renewals(&hostile);
            wait_until(|| time.sleepers() > 0);
            time.advance(Duration::from_secs(25));
            bench.server.advance(Duration::from_secs(25));
            wait_until(|| renewals(&hostile) > before);
        }
    });
    scene.hostile.add(Rule::on("PUT", "x").query("comp=page").answer(slow));
    // While the page is under way there is no other permit.
    let limits = Limits::here().lanes(1).concurrency(1);
    let (report, failures) = scene.upload(of_type(BlobTypeChoice::Page).limits(limits).clock(clock));
    assert_eq!(counts(&report), (1, 0, 0), "{failures:?}");
    assert!(scene.content().unwrap() == bytes(PIECE));
    assert_eq!((scene.renewals(), scene.count(Operation::PutPage)), (4, 1));
}

#[test]
fn a_lease_that_has_run_out_before_the_md5_is_stored_is_renewed() {
    let scene = Scene::new(PIECE, Vec::new());
    let bench = Arc::clone(&scene.bench);
    let sleeps = Answer::passed().meanwhile(move |_| bench.server.advance(Duration::from_secs(61)));
    scene.hostile.add(Rule::on("PUT", "x").query("comp=properties").nth(1).answer(sleeps));
    let options = of_type(BlobTypeChoice::Page).put_md5(true);
    let (report, failures) = scene.upload(options);
    assert_eq!(counts(&report), (1, 0, 0), "{failures:?}");
    assert!(scene.blob().content_md5.is_some());
}

#[test]
fn the_md5_of_a_blob_is_not_given_to_another_writers() {
    for (kind, is_pipe) in
        [(BlobTypeChoice::Append, false), (BlobTypeChoice::Append, true), (BlobTypeChoice::Page, false)]
    {
        let scene = Scene::new(2 * PIECE, Vec::new());
        let other = scene.other();
        // Every block is there; then somebody else has the blob.
        let theirs = Answer::passed().meanwhile(move |_| match kind {
            BlobTypeChoice::Append => assert_eq!(other.appends(b"line"), 201),
            _ => {
                other.breaks_the_lease();
                let page = "x-ms-page-write: update\r\nx-ms-range: bytes=0-511\r\n";
                assert_eq!(other.asks("PUT", "comp=page", page, &[7; 512]), 201);
            }
        });
        scene.hostile.add(Rule::on("PUT", "x").query("comp=properties").nth(1).answer(theirs));
        let options = of_type(kind).put_md5(true);
        let told = match is_pipe {
            true => scene.pipe(bytes(2 * PIECE), &options).unwrap_err(),
            false => scene.upload(options).1.remove(0).to_string(),
        };
        assert!(told.contains("another writer has written"), "{told}");
        assert_eq!(scene.blob().content_md5, None, "{kind:?}");
    }
}

#[test]
fn a_page_or_append_blob_that_is_there_is_replaced_only_when_that_was_said() {
    for kind in [BlobTypeChoice::Append, BlobTypeChoice::Page] {
        let scene = Scene::new(3 * PIECE / 2, Vec::new());
        assert_eq!(counts(&scene.upload(of_type(kind)).0), (1, 0, 0));
        let old = scene.content();
        std::fs::write(&scene.file, vec![7; 2 * PIECE]).unwrap();
        let (report, failures) = scene.upload(of_type(kind));
        assert_eq!(counts(&report), (0, 1, 0));
        assert_eq!(failures[0].advice.as_deref(), Some("give --overwrite=true to replace it all the same"));
        assert!(scene.content() == old);
        let options = of_type(kind).overwrite_in_place(true);
        assert_eq!(counts(&scene.upload(options).0), (1, 0, 0));
        assert!(scene.content().unwrap() == vec![7; 2 * PIECE]);
    }
    let scene = Scene::new(1, Vec::new());
    scene.pipe(b"old".to_vec(), &of_type(BlobTypeChoice::Append)).unwrap();
    let told = scene.pipe(b"new".to_vec(), &of_type(BlobTypeChoice::Append)).unwrap_err();
    assert!(told.contains("--overwrite=true"), "{told}");
    assert_eq!(scene.content().unwrap(), b"old");
}
