use super::*;
use crate::Class;
use crate::conformance;
use crate::memory::Memory;
use crate::now;

fn faulty(rules: impl IntoIterator<Item = Rule>) -> Faulty<Memory> {
    Faulty::new(Memory::new(), Plan { seed: 7, rules: rules.into_iter().collect() })
}

fn bytes(text: &'static str) -> Payload {
    Payload::from(Bytes::from_static(text.as_bytes()))
}

async fn put(store: &Faulty<Memory>, key: &str) -> Result<Written, StoreError> {
    store.put(key, bytes("hello"), &Put::default()).await
}

async fn read(store: &Faulty<Memory>, key: &str) -> (Vec<u8>, Result<(), StoreError>) {
    let mut body = store.read(key, &Read::default()).await.unwrap().body;
    let (mut all, mut out) = (Vec::new(), [0; 2]);
    loop {
        match body.read(&mut out).await {
            Ok(0) => return (all, Ok(())),
            Ok(got) => all.extend_from_slice(&out[..got]),
            Err(error) => return (all, Err(error)),
        }
    }
}

#[test]
fn without_a_plan_it_is_the_store() {
    let store = faulty([]);
    now(conformance::run(&store, "conform/")).fails_only(&[]).unwrap();
    let unmade = Faulty::new(Memory::missing(), Plan::default());
    now(conformance::run_unmade(&unmade)).fails_only(&[]).unwrap();
    assert!(store.calls(Call::Put) > 100);
}

#[test]
fn the_suite_sees_what_goes_wrong() {
    for (call, fault) in [
        (Call::Read, Fault::Damage(3)),
        (Call::Put, Fault::Damage(0)),
        (Call::Piece, Fault::Damage(0)),
        (Call::Read, Fault::Cut { after: 3, told: false }),
        (Call::List, Fault::of(ErrorKind::Unavailable)),
        (Call::Commit, Fault::LoseAnswer),
        (Call::Remove, Fault::throttle(None)),
    ] {
        let store = faulty([Rule::on(call, When::Always, fault.clone())]);
        let report = now(conformance::run(&store, "conform/"));
        assert!(report.failed().count() > 0, "{call:?} {fault:?}");
    }
}

#[test]
fn calls_are_refused_by_number_method_and_key() {
    let pause = Some(Duration::from_secs(3));
    let store = faulty([
        Rule::on(Call::Put, When::Nth(2), Fault::throttle(pause)).of_key("a"),
        Rule::on(Call::Put, When::First(1), Fault::of(ErrorKind::Denied)).of_key("b"),
    ]);
    assert!(now(put(&store, "a")).is_ok());
    let busy = now(put(&store, "a")).unwrap_err();
    assert_eq!((busy.class(), busy.retry_after()), (Class::Throttle, pause));
    assert!(now(put(&store, "a")).is_ok());
    assert_eq!(now(put(&store, "b")).unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!(store.inner().keys(), ["a"]);
    assert!(now(put(&store, "b")).is_ok());
    assert_eq!((store.calls(Call::Put), store.struck()), (5, vec![1, 1]));
}

#[test]
fn a_rate_is_the_same_by_the_same_seed() {
    let struck = |seed| {
        let rule = Rule::on(Call::Stat, When::Of1000(300), Fault::of(ErrorKind::Unavailable));
        let store = Faulty::new(Memory::new(), Plan { seed, rules: vec![rule] });
        let outcomes = (0..1_000).map(|_| now(store.stat("a", Which::default())).unwrap_err().kind());
        outcomes.map(|kind| kind == ErrorKind::Unavailable).collect::<Vec<_>>()
    };
    let (one, again, other) = (struck(1), struck(1), struck(2));
    assert_eq!(one, again);
    assert_ne!(one, other);
    let count = one.iter().filter(|hit| **hit).count();
    assert!((250..350).contains(&count), "{count} of 1,000");
}

#[test]
fn a_lost_answer_is_of_something_done() {
    let store = faulty([
        Rule::on(Call::Put, When::Nth(1), Fault::LoseAnswer),
        Rule::on(Call::Remove, When::Nth(1), Fault::LoseAnswer),
    ]);
    let lost = now(put(&store, "a")).unwrap_err();
    assert_eq!((lost.kind(), lost.maybe_done()), (ErrorKind::Broken, true));
    assert_eq!(store.inner().content("a").unwrap(), "hello");
    let removal = Removal { key: "a", ..Removal::default() };
    assert!(now(store.remove(&[removal])).unwrap_err().maybe_done());
    assert_eq!(store.inner().content("a"), None);
}

#[test]
fn bytes_are_damaged_and_bodies_cut() {
    let store = faulty([
        Rule::on(Call::Read, When::Nth(1), Fault::Damage(3)),
        Rule::on(Call::Read, When::Nth(2), Fault::Cut { after: 3, told: true }),
        Rule::on(Call::Read, When::Nth(3), Fault::Cut { after: 3, told: false }),
        Rule::on(Call::Put, When::Nth(2), Fault::Damage(99)),
        Rule::on(Call::Put, When::Nth(3), Fault::Damage(0)),
    ]);
    now(put(&store, "a")).unwrap();
    assert_eq!(now(read(&store, "a")), (b"hel\x93o".to_vec(), Ok(())));
    let (got, end) = now(read(&store, "a"));
    assert_eq!((got.as_slice(), end.unwrap_err().kind()), (&b"hel"[..], ErrorKind::Broken));
    assert_eq!(now(read(&store, "a")), (b"hel".to_vec(), Ok(())));
    assert_eq!(now(read(&store, "a")), (b"hello".to_vec(), Ok(())));
    now(put(&store, "b")).unwrap();
    assert_eq!(store.inner().content("b").unwrap(), b"hell\x90"[..]);
    // Whoever sends a checksum is told.
    let checked = Put { crc64: Some(Crc64::of(&bytes("hello"))), ..Put::default() };
    let refused = now(store.put("c", bytes("hello"), &checked)).unwrap_err();
    assert_eq!((refused.kind(), store.inner().content("c")), (ErrorKind::Integrity, None));
}

#[test]
fn of_a_batch_one_is_refused_or_all() {
    let store = faulty([
        Rule::on(Call::Remove, When::Nth(1), Fault::of(ErrorKind::Conflict)).of_key("b"),
        Rule::on(Call::Remove, When::Nth(2), Fault::of(ErrorKind::Unavailable)),
    ]);
    for key in ["a", "b", "c"] {
        now(put(&store, key)).unwrap();
    }
    let removals = ["a", "b", "c"].map(|key| Removal { key, ..Removal::default() });
    let kinds = |answers: Vec<Result<(), StoreError>>| {
        answers.into_iter().map(|answer| answer.err().map(|error| error.kind())).collect::<Vec<_>>()
    };
    assert_eq!(kinds(now(store.remove(&removals)).unwrap()), [None, Some(ErrorKind::Conflict), None]);
    assert_eq!(store.inner().keys(), ["b"]);
    assert_eq!(now(store.remove(&removals)).unwrap_err().kind(), ErrorKind::Unavailable);
    let missing = Some(ErrorKind::NotFound);
    assert_eq!(kinds(now(store.remove(&removals)).unwrap()), [missing, None, missing]);
    assert_eq!(store.struck(), [1, 1]);
}

#[test]
fn what_is_slow_waits_at_its_gate() {
    let store = faulty([Rule::on(Call::Put, When::First(2), Fault::Hold(4))]);
    let mut slow = Box::pin(put(&store, "slow"));
    let mut given_up = Box::pin(put(&store, "given up"));
    let mut context = std::task::Context::from_waker(Waker::noop());
    for _ in 0..2 {
        assert!(slow.as_mut().poll(&mut context).is_pending());
        assert!(given_up.as_mut().poll(&mut context).is_pending());
        assert_eq!((store.waiting(4), store.inner().keys().len()), (2, 0));
    }
    drop(given_up);
    assert_eq!(store.waiting(4), 1);
    // Nobody else waits.
    assert!(now(put(&store, "other")).is_ok());
    store.open(3);
    assert!(slow.as_mut().poll(&mut context).is_pending());
    store.open(4);
    assert!(slow.as_mut().poll(&mut context).is_ready());
    assert_eq!((store.waiting(4), store.inner().keys()), (0, vec!["other".to_owned(), "slow".to_owned()]));
}
