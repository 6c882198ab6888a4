//! HTTP/2 over a pipe in memory; the clock is the test's.

use super::*;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use http_body::{Body, Frame};
use hyper_util::rt::TokioIo;
use tokio::time::Sleep;

use crate::body::Payload;
use crate::links::LocalExec;

const STALL: Duration = Duration::from_secs(30);

/// A body whose only piece comes late.
struct Late {
    due: Pin<Box<Sleep>>,
    sent: bool,
}

impl Body for Late {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.sent {
            return Poll::Ready(None);
        }
        ready!(self.due.as_mut().poll(cx));
        self.sent = true;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"late")))))
    }
}

/// A body of a byte every 25 s.
struct Drip {
    due: Pin<Box<Sleep>>,
}

impl Body for Drip {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        ready!(self.due.as_mut().poll(cx));
        self.due = Box::pin(tokio::time::sleep(Duration::from_secs(25)));
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"x")))))
    }
}

/// What comes of a body that is sent after 100 s over a link that is held back by a limit for `paced_s` seconds.
async fn read_late(paced_s: u32) -> Result<Option<Bytes>, LinkError> {
    let late = || Late { due: Box::pin(tokio::time::sleep(Duration::from_secs(100))), sent: false };
    answered_with(late, paced_s).await.next().await
}

/// An answer with such a body.
async fn answered_with<B>(body: impl Fn() -> B + Clone + 'static, paced_s: u32) -> Reply
where
    B: Body<Data = Bytes, Error = Infallible> + 'static,
{
    let (near, far) = tokio::io::duplex(64 << 10);
    tokio::task::spawn_local(async move {
        let serve = hyper::service::service_fn(move |_: Request<Incoming>| {
            let body = body.clone();
            async move { Ok::<_, Infallible>(Response::new(body())) }
        });
        let server = hyper::server::conn::http2::Builder::new(LocalExec);
        // The client leaves when it has seen enough.
        let _ = server.serve_connection(TokioIo::new(far), serve).await;
    });
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(LocalExec, TokioIo::new(near)).await.unwrap();
    tokio::task::spawn_local(connection);

    let (clock, link) = (Seconds::default(), Rc::new(Activity::default()));
    let progress = Progress::new(&clock, &link, STALL);
    let (ticking, paced) = (Rc::clone(&clock), Rc::clone(&link));
    tokio::task::spawn_local(async move {
        for second in 1..2000 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            ticking.set(second);
            paced.paced_s.set(second.min(paced_s));
        }
    });
    let request = Request::get("http://h/").body(Payload::default().into_body()).unwrap();
    let (parts, body) = sender.send_request(request).await.unwrap().into_parts();
    Reply {
        head: Head::Parsed(parts.status, parts.headers),
        from: From::Two { body, progress, rest: Bytes::new() },
        _busy: InFlight::begin(&link, &clock),
        timing: Timing { answered: Duration::ZERO, fresh_link: true },
        stall: STALL,
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_drips_is_given_up_unless_a_limit_holds_it_back() {
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            let drip = || Drip { due: Box::pin(tokio::time::sleep(Duration::from_secs(1))) };
            let ended = answered_with(drip, 0).await.collect(1 << 20).await;
            assert!(matches!(ended, Err(LinkError::TooSlow { bytes: 1..4, .. })), "{ended:?}");
            let mut held_back = answered_with(drip, 1999).await;
            for _ in 0..40 {
                assert_eq!(held_back.next().await.unwrap().unwrap(), "x");
            }
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_waits_behind_a_limit_has_not_stalled() {
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            assert_eq!(read_late(99).await.unwrap().unwrap(), "late");
            for paced_s in [0, 60] {
                let stalled = read_late(paced_s).await;
                assert!(matches!(stalled, Err(LinkError::Stalled(STALL))), "{paced_s}: {stalled:?}");
            }
        })
        .await;
}
