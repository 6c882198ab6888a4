//! Blobs that are replaced while they are downloaded.

use super::*;

#[test]
fn a_large_blob_that_was_replaced_after_it_was_listed_is_taken_as_it_is_now() {
    for len in [3 * PIECE, 64] {
        let bench = Arc::new(Bench::new());
        let other = Other(Arc::clone(&bench));
        let options = || options().limits(Limits::here().lanes(1)).retry_failed(0);
        other.replaces(&bytes(3 * PIECE));
        // Between the listing and the first range.
        let meanwhile = Answer::passed().meanwhile(move |_| other.replaces(&vec![7; len]));
        let hostile =
            Hostile::before(bench.server.addr(), vec![Rule::on("GET", "/x").nth(1).answer(meanwhile)]);
        let url = hostile.via(&format!("{}/cont", bench.server.url(DEVSTORE_ACCOUNT)));
        let (url, to) = (BlobUrl::parse(&url).unwrap(), bench.dir.path().join("to"));
        let credential = Credential::find(&url, |_| None).unwrap();
        let job = Job::download(url, credential, &to).recursive(true).options(options());
        let (report, failures) = run(job);
        assert_eq!(counts(&report), (1, 0, 0), "{failures:?}");
        assert!(std::fs::read(to.join("cont/x")).unwrap() == vec![7; len]);
    }
}

#[test]
fn a_large_blob_that_is_replaced_while_it_is_read_is_read_again_in_the_second_attempt() {
    let bench = Arc::new(Bench::new());
    let other = Other(Arc::clone(&bench));
    other.replaces(&bytes(5 * PIECE));
    let meanwhile = Answer::passed().meanwhile(move |_| other.replaces(&[7; 4 * PIECE]));
    let hostile = Hostile::before(bench.server.addr(), vec![Rule::on("GET", "/x").nth(4).answer(meanwhile)]);
    let url = hostile.via(&format!("{}/cont", bench.server.url(DEVSTORE_ACCOUNT)));
    let (url, to) = (BlobUrl::parse(&url).unwrap(), bench.dir.path().join("to"));
    let credential = Credential::find(&url, |_| None).unwrap();
    let options = options().limits(Limits::here().lanes(1)).retry_failed(1);
    let (report, failures) = run(Job::download(url, credential, &to).recursive(true).options(options));
    assert_eq!(counts(&report), (1, 0, 0), "{failures:?}");
    assert!(std::fs::read(to.join("cont/x")).unwrap() == [7; 4 * PIECE]);
}

#[test]
fn a_blob_that_changes_every_time_ends_within_the_policy() {
    for len in [PIECE / 2, 3 * PIECE] {
        let bench = Arc::new(Bench::new());
        let other = Other(Arc::clone(&bench));
        other.replaces(&bytes(len));
        let n = Mutex::new(0u8);
        let meanwhile = Answer::passed().meanwhile(move |_| {
            let mut n = n.lock().unwrap();
            *n = n.wrapping_add(1);
            other.replaces(&vec![*n; len]);
        });
        let hostile = Hostile::before(bench.server.addr(), vec![Rule::on("GET", "/x").answer(meanwhile)]);
        let url = hostile.via(&format!("{}/cont", bench.server.url(DEVSTORE_ACCOUNT)));
        let (url, to) = (BlobUrl::parse(&url).unwrap(), bench.dir.path().join("to"));
        let credential = Credential::find(&url, |_| None).unwrap();
        let options = options().limits(Limits::here().lanes(1));
        let (report, failures) = run(Job::download(url, credential, &to).recursive(true).options(options));
        let asked = hostile.requests_of("GET", "/x").len();
        if len > PIECE {
            assert_eq!(counts(&report), (0, 1, 0));
            assert!(failures[0].reason.contains("changed while it was downloaded"), "{failures:?}");
        } else {
            // One answer is of one state.
            assert_eq!(counts(&report), (1, 0, 0), "{failures:?}");
        }
        assert!(asked <= 12, "{asked}");
    }
}

#[test]
fn what_somebody_holds_a_lease_of_is_there() {
    use BlobTypeChoice::{Append, Block, Page};
    for (kind, len) in [(Block, PIECE / 2), (Block, 3 * PIECE), (Page, PIECE), (Append, PIECE)] {
        let scene = Scene::new(len, Vec::new());
        assert_eq!(counts(&scene.upload(of_type(kind)).0), (1, 0, 0));
        let lease = "x-ms-lease-action: acquire\r\nx-ms-lease-duration: -1\r\n";
        assert_eq!(scene.other().asks("PUT", "comp=lease", lease, b""), 201);
        std::fs::write(&scene.file, vec![7; len]).unwrap();
        let (report, failures) = scene.upload(of_type(kind).overwrite(Overwrite::Never));
        assert_eq!(counts(&report), (0, 0, 1), "{kind:?} {len} {failures:?}");
        let (report, failures) = scene.upload(of_type(kind).overwrite_in_place(true));
        assert_eq!(counts(&report), (0, 1, 0), "{kind:?} {len}");
        assert_eq!(failures[0].code.as_deref(), Some("LeaseIdMissing"), "{failures:?}");
        assert!(scene.content().unwrap() == bytes(len));
    }
}
