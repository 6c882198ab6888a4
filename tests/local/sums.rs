//! A stored MD5 that is none: the service keeps there what it is given.

use azsim::Seed;
use azuring_tests::{CONTAINER, DEVSTORE_ACCOUNT, Fixture, azuring};

use crate::scene::{download, noise, there};

#[test]
fn a_stored_md5_that_is_none_fails_where_it_is_to_be_compared() {
    let fixture = Fixture::new(azuring!());
    // Of one request, and of several ranges.
    let blobs = [("small", noise(1, 5000)), ("large", noise(2, 1 << 20))];
    for (name, bytes) in &blobs {
        let blob = Seed {
            name: format!("tree/{name}"),
            content: vec![bytes.clone().into()],
            content_md5_text: "bm90IHNpeHRlZW4gYnl0ZXM=".to_owned(),
            ..Seed::default()
        };
        fixture.server().plant(DEVSTORE_ACCOUNT, CONTAINER, [blob]);
    }
    let told = "what is stored as its MD5 is none";
    for (level, code, times) in
        [("NoCheck", 0, 0), ("LogOnly", 0, 2), ("FailIfDifferent", 7, 2), ("FailIfDifferentOrMissing", 7, 2)]
    {
        let flags = [&format!("--check-md5={level}")[..], "--block-size-mb=0.25", "--retry-failed=0"];
        let to = fixture.path().join(level);
        let done = fixture.run(download(&fixture, &to, &flags));
        done.expect_code(code);
        assert_eq!(done.stderr.matches(told).count(), times, "{level}: {}", done.stderr);
        let files = if to.exists() { there(&to) } else { Default::default() };
        assert_eq!(files.len(), if code == 0 { 2 } else { 0 }, "{level}: {:?}", files.keys());
        for (name, bytes) in &blobs {
            assert!(code != 0 || files[*name] == *bytes, "{level}: {name}");
            let source = fixture.url_of(CONTAINER, &format!("tree/{name}"));
            let piped = fixture.run(["copy", &source, "-"].into_iter().chain(flags));
            piped.expect_code(code);
            assert_eq!(piped.stderr.matches(told).count(), times / 2, "{level}: {}", piped.stderr);
            assert_eq!(piped.stdout.is_empty(), code != 0, "nothing goes out that cannot be compared");
        }
    }
}
