//! The thread that keeps a token fresh ends with the last who sends it. In a process of its own, so that the thread is
//! found.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(missing_docs, unreachable_pub, dead_code, reason = "it is a test")]

mod kit;

use azsim::{Application, Authority};
use azuring_identity::{Cache, Clock, STORAGE_SCOPE, keep};
use kit::{CLIENT, SECRET, network_of, with_secret};

fn keepers() -> usize {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let names =
        threads.filter_map(|thread| std::fs::read_to_string(thread.unwrap().path().join("comm")).ok());
    names.filter(|name| name.trim() == "identity").count()
}

#[test]
fn nobody_keeps_a_token_that_nobody_sends() {
    let authority = Authority::builder().start().unwrap();
    authority.register(Application::new(CLIENT).secret(SECRET));
    let login = with_secret(&authority, SECRET);
    let network = network_of(&authority);
    let bearer = keep(login, network, STORAGE_SCOPE, Clock::system(), None, Cache::none()).unwrap();
    let another = bearer.clone();
    drop(bearer);
    assert_eq!(keepers(), 1);
    drop(another);
    while keepers() > 0 {
        std::thread::yield_now();
    }
}
