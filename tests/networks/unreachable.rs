//! A source that the destination does not reach at all: two servers, and no cable between them.

use std::time::Duration;

use azsim::{Seed, Server};
use azuring_tests::{Azuring, CONTAINER, Namespace, Outcome, azuring};

use super::scene::{FROM, KEYS, TO, moved};

struct Apart {
    azuring: Azuring,
    from: Server,
    to: Server,
    machine: Namespace,
    _others: [Namespace; 2],
}

impl Apart {
    fn new() -> Self {
        let [machine, near, far] = [(); 3].map(|()| Namespace::new());
        machine.link(&["10.3.0.1/24"], &near, &["10.3.0.2/24"]);
        machine.link(&["10.4.0.1/24"], &far, &["10.4.0.2/24"]);
        let start = |network: &Namespace, address: [u8; 4], account: &str| {
            let key = KEYS.into_iter().find(|(name, _)| *name == account).unwrap().1;
            let server = Server::builder().account(account, key).listen((address, 0).into());
            let server = network.within(|| server.start()).unwrap();
            assert!(server.create_container(account, CONTAINER));
            server
        };
        let (from, to) = (start(&far, [10, 4, 0, 2], FROM), start(&near, [10, 3, 0, 2], TO));
        let seed = |name: &str, len: usize| Seed {
            name: name.to_owned(),
            content: vec![vec![7; len].into()],
            ..Seed::default()
        };
        from.plant(FROM, CONTAINER, [seed("a", 5), seed("large", 300_000)]);
        to.plant(TO, CONTAINER, [seed("a", 6)]);
        Self { azuring: azuring!(), from, to, machine, _others: [near, far] }
    }

    fn urls(&self) -> (String, String) {
        let url = |server: &Server, account| {
            let sas = server.account_sas(account, "rwdl", Duration::from_secs(3600));
            format!("{}/{CONTAINER}?{sas}", server.url(account))
        };
        (url(&self.from, FROM), url(&self.to, TO))
    }

    #[track_caller]
    fn copy(&self, route: &str) -> Outcome {
        let (from, to) = self.urls();
        let blocks = ["--block-size-mb=0.0625", "--put-blob-size-mb=0.0625", "--retry-failed=0"];
        let line =
            [&["copy", &*from, &*to, "--recursive", "--output-type=ndjson", route][..], &blocks].concat();
        self.machine.within(|| self.azuring.run(line))
    }
}

#[test]
fn a_source_that_the_destination_does_not_reach_is_named() {
    let apart = Apart::new();
    let outcome = apart.copy("--route=direct");
    outcome.expect_code(1);
    let told = "the job was stopped: source: 404 CannotVerifyCopySource: Could not verify copy source.";
    assert!(outcome.stderr.contains(told), "{}", outcome.stderr);
    let advice = "the account of the destination does not reach the source";
    assert!(
        outcome.stderr.contains(advice) && outcome.stderr.contains("--route=relay"),
        "{}",
        outcome.stderr
    );
    // The doctor says so too, and what there is to do.
    let (from, to) = apart.urls();
    let doctor = apart.machine.within(|| apart.azuring.run(["doctor", &*from, &*to, "--write-test"]));
    assert_ne!(doctor.code, Some(0), "{}", doctor.stdout);
    let told = ["no: the destination could not read the source: 404 CannotVerifyCopySource", "--route=relay"];
    assert!(told.iter().all(|told| doctor.stdout.contains(told)), "{}", doctor.stdout);
    let left = apart.to.blobs(TO, CONTAINER);
    assert_eq!((left.len(), left[0].len), (1, 6), "as it was");
}

#[test]
fn a_machine_that_reaches_both_copies_from_a_source_that_the_destination_does_not_reach() {
    for (route, reason) in [("--route=auto", "unreachable"), ("--route=relay", "asked")] {
        let apart = Apart::new();
        let outcome = apart.copy(route);
        outcome.expect_code(0);
        assert_eq!(moved(&outcome), [0, 300_005]);
        assert!(outcome.stdout.contains(&format!("\"route_reason\":\"{reason}\"")), "{}", outcome.stdout);
        let told = outcome.stderr.contains(" does not reach http://10.4.0.2:");
        assert_eq!(told, reason == "unreachable", "{}", outcome.stderr);
        for blob in apart.from.blobs(FROM, CONTAINER) {
            let content = |server: &Server, account| server.content(account, CONTAINER, &blob.name).unwrap();
            assert!(content(&apart.from, FROM) == content(&apart.to, TO), "{}", blob.name);
        }
    }
}
