//! A process of its own: its limit of open files stays as it is.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod kit;

use azuring_transfer::{Credential, Job, StopHandle, keep_descriptor_limit};
use kit::{Bench, text};
use rustix::process::{Resource, getrlimit, setrlimit};

#[test]
fn the_limit_of_open_files_is_raised_only_where_that_is_allowed() {
    let bench = Bench::new();
    bench.server.plant(azuring_transfer::DEVSTORE_ACCOUNT, "cont", [text("a", "x")]);
    let low = 200;
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(low);
    setrlimit(Resource::Nofile, limit).unwrap();
    let url = bench.url("/a");
    let credential = Credential::find(&url, |_| None).unwrap();
    let run = || {
        let job = Job::download(url.clone(), credential.clone(), "/dev/null").build().unwrap();
        let scarce = job.plan().scarce.is_some();
        assert_eq!(job.run(&StopHandle::new(), |_| {}).counts.done, 1);
        (scarce, getrlimit(Resource::Nofile).current.unwrap() > low)
    };
    keep_descriptor_limit();
    assert_eq!(run(), (true, false));
}
