//! The watchdog, tick by tick: a server that lets one byte through whenever the test says so.

use std::sync::Arc;

use super::*;
use hostile::{Answer, Gate, Hostile, Rule};

#[path = "../../../../tests/src/hostile/mod.rs"]
mod hostile;

const STALL: Duration = Duration::from_secs(30);

/// Runs `exchange` over links to this server, and `test` beside it, with the links and what came of the exchange.
async fn beside<T: 'static>(
    server: &Hostile,
    exchange: impl AsyncFnOnce(Links, String) -> T + 'static,
    test: impl AsyncFnOnce(&Inner, &Cell<Option<T>>),
) {
    let address = server.address();
    let endpoint = Endpoint { tls: false, host: address.ip().to_string(), port: address.port() };
    let within = async {
        let links = Links::new(endpoint, LinkSettings { stall: STALL, ..LinkSettings::default() });
        let ended = Rc::new(Cell::new(None));
        let (theirs, into, url) = (links.clone(), Rc::clone(&ended), server.url());
        tokio::task::spawn_local(async move { into.set(Some(exchange(theirs, url).await)) });
        test(&links.inner, &ended).await;
    };
    tokio::task::LocalSet::new().run_until(within).await;
}

/// Runs what is due until `seen`.
async fn until(seen: impl Fn() -> bool) {
    while !seen() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// The one link's bytes so far.
fn bytes(inner: &Inner) -> u64 {
    let watched = inner.watched.borrow();
    watched.iter().filter_map(Weak::upgrade).map(|link| link.flow.bytes()).sum()
}

/// Lets a byte through every 25 ticks until the exchange has ended, and returns how many ticks that took.
async fn drip<T>(inner: &Inner, gate: &Gate, ended: &Cell<Option<T>>) -> (u32, T) {
    until(|| gate.is_waited_for()).await;
    for ticks in 0.. {
        if let Some(result) = ended.take() {
            return (ticks, result);
        }
        assert!(ticks < 1000, "it is waited for for ever");
        if ticks % 25 == 0 {
            let before = bytes(inner);
            gate.pass(1);
            until(|| bytes(inner) > before).await;
        }
        // It looks whether it is cut.
        inner.tick();
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
    }
    unreachable!("the numbers do not end")
}

async fn get(links: Links, url: String) -> Result<Bytes, LinkError> {
    let request = Request::get(url).body(()).unwrap();
    Ok(links.send(request, Payload::default()).await?.collect(1 << 20).await?.body)
}

/// Head, body, chunks and the body of an error alike.
#[tokio::test]
async fn an_answer_that_drips_is_cut_after_a_minute_or_two() {
    for (status, head, chunked) in
        [(200, true, false), (200, false, false), (200, false, true), (503, false, false)]
    {
        let gate = Gate::new();
        let mut answer = Answer::status(status).body("x".repeat(5_000)).gated(&gate, head);
        if chunked {
            answer = answer.chunked();
        }
        let server = Hostile::start(vec![Rule::on("", "").answer(answer)]);
        beside(&server, get, async |inner, ended| {
            let (ticks, result) = drip(inner, &gate, ended).await;
            assert!(matches!(result, Err(LinkError::TooSlow { seconds: 60, .. })), "{result:?}");
            assert!(ticks <= 121, "{ticks}");
            assert_eq!(inner.stats.get().stalled, 1);
        })
        .await;
    }
}

/// The server reads no further: what was written at once is not enough for the minutes after.
#[tokio::test]
async fn a_request_that_is_read_too_slowly_is_cut() {
    let gate = Gate::new();
    // Its head is read, and its answer drips before the body was read.
    let answer = Answer::status(100).gated(&gate, true).early();
    let server = Hostile::start(vec![Rule::on("", "").answer(answer)]);
    let put = async |links: Links, url| {
        let body = Payload::from(Bytes::from(vec![7; 64 << 20]));
        links.send(Request::put(url).body(()).unwrap(), body).await.map(drop)
    };
    beside(&server, put, async |inner, ended| {
        let (_, result) = drip(inner, &gate, ended).await;
        assert!(matches!(result, Err(LinkError::TooSlow { .. })), "{result:?}");
    })
    .await;
}

/// A slow disk or reader, or a limit that the user has set, is nobody's fault at the other end.
#[tokio::test]
async fn who_does_not_wait_for_the_network_blames_nobody() {
    let server = Hostile::start(vec![Rule::on("", "").answer(Answer::status(200).body("hello"))]);
    let (tell, told) = tokio::sync::oneshot::channel::<()>();
    let slow_reader = async move |links: Links, url: String| {
        let mut reply = links.send(Request::get(url).body(()).unwrap(), Payload::default()).await.unwrap();
        let first = reply.next().await.unwrap().unwrap();
        told.await.unwrap();
        let rest = reply.next().await;
        (first, rest)
    };
    beside(&server, slow_reader, async |inner, ended| {
        until(|| bytes(inner) > 0).await;
        tokio::task::yield_now().await;
        for _ in 0..29 {
            inner.tick();
        }
        tell.send(()).unwrap();
        until(|| {
            let result = ended.take();
            let done = result.is_some();
            ended.set(result);
            done
        })
        .await;
        assert_eq!(inner.stats.get().stalled, 0);
    })
    .await;

    let link = Activity::default();
    let mut slow = None;
    link.in_flight.set(1);
    link.watch(std::task::Waker::noop());
    for now in 1..1000 {
        link.last_s.set(now);
        link.paced_s.set(now - now % 2);
        slow = slow.or(link.tick(now, STALL));
    }
    assert_eq!(slow, None, "a limit holds it back");
    for now in 1000..1100 {
        link.last_s.set(now);
        slow = slow.or(link.tick(now, STALL));
    }
    assert!(slow.is_some(), "nothing does");
}

/// Eight bytes a second are more than the share of one exchange among a thousand, whichever lanes the others are on,
/// and too few when it is alone.
#[tokio::test]
async fn lanes_share_the_least_rate() {
    let gate = Gate::new();
    let answer = Answer::status(200).body("x".repeat(5_000)).gated(&gate, false);
    let server = Hostile::start(vec![Rule::on("", "").answer(answer)]);
    beside(&server, get, async |inner, _| {
        let under_way = Arc::clone(&inner.settings.under_way);
        let settings = LinkSettings { under_way: Arc::clone(&under_way), ..LinkSettings::default() };
        let lane = Links::new(inner.connector.endpoint.clone(), settings);
        let busy = Rc::new(Activity::default());
        busy.in_flight.set(900);
        lane.inner.watched.borrow_mut().push(Rc::downgrade(&busy));
        lane.inner.tick();
        let mut lane = Some(lane);
        until(|| gate.is_waited_for()).await;
        for ticks in 0.. {
            if inner.stats.get().stalled > 0 {
                assert!((200..=321).contains(&ticks), "{ticks}");
                break;
            }
            if ticks == 200 {
                assert_eq!(under_way.load(Ordering::Relaxed), 901);
                lane = None;
                assert_eq!(under_way.load(Ordering::Relaxed), 1);
            }
            let before = bytes(inner);
            gate.pass(8);
            until(|| bytes(inner) >= before + 8).await;
            inner.tick();
        }
        assert!(lane.is_none());
    })
    .await;
}
