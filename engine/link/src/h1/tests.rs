//! A real socket on both ends; the server sends what the test says.

use super::*;
use crate::pipe::Pipe;
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::TcpListener;
use tokio::net::TcpStream;

/// A server that reads a request's head, answers with `pieces` (each in a packet of its own), and closes
/// when `close` says so; returns what it read.
async fn talk(
    pieces: Vec<Vec<u8>>,
    payload: Payload,
    read_body: bool,
) -> (Result<(u16, Vec<u8>, bool), String>, String) {
    talk_and_read(pieces, payload, read_body, None).await
}

/// The same; the answer's body is read into a buffer of `room` bytes, or piece by piece as it comes.
async fn talk_and_read(
    pieces: Vec<Vec<u8>>,
    payload: Payload,
    read_body: bool,
    room: Option<usize>,
) -> (Result<(u16, Vec<u8>, bool), String>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let body_len = payload.len() as usize;
    let server = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        socket.set_nodelay(true).unwrap();
        let mut seen = Vec::new();
        let mut buf = [0; 65536];
        loop {
            let n = socket.read(&mut buf).unwrap();
            seen.extend_from_slice(&buf[..n]);
            let head = seen.windows(4).position(|w| w == b"\r\n\r\n");
            if let Some(head) = head
                && (!read_body || seen.len() >= head + 4 + body_len)
            {
                break;
            }
        }
        for piece in pieces {
            // A client that has seen enough hangs up.
            if socket.write_all(&piece).is_err() {
                break;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        seen
    });
    let tcp = TcpStream::connect(address).await.unwrap();
    let activity = Rc::new(Activity::default());
    let stream = Stream::plain(Pipe::Tcp(tcp), Rc::new(Cell::new(0)), Rc::clone(&activity));
    let mut link = Connection::new(stream, activity, None);
    let request = http::Request::put("http://h/c/b?x=y").header("host", "h").header("x-ms-meta-Bee", "1");
    let spelling = Spelling::new(["x-ms-meta-Bee", "host"]).unwrap();
    let request = request.extension(spelling).body(()).unwrap();
    let (head, ()) = request.into_parts();
    let outcome = async {
        let (raw, mut body) = link.exchange(&head, &payload).await.map_err(|f| format!("{:?}", f.error))?;
        let mut whole = Vec::new();
        let mut buffer = vec![0; room.unwrap_or_default()];
        loop {
            let told = |f: Fault| format!("{f:?}");
            if room.is_some() {
                match link.read(&mut body, &mut buffer).await.map_err(told)? {
                    0 => break,
                    got => whole.extend_from_slice(&buffer[..got]),
                }
            } else {
                let Some(piece) = link.next(&mut body).await.map_err(told)? else { break };
                whole.extend_from_slice(&piece);
            }
        }
        Ok((raw.status.as_u16(), whole, link.is_reusable(&body)))
    }
    .await;
    drop(link);
    let seen = server.join().unwrap();
    (outcome, String::from_utf8_lossy(&seen).into_owned())
}

fn one(text: &str) -> Vec<Vec<u8>> {
    vec![text.as_bytes().to_vec()]
}

/// The same bytes, each in a packet of its own.
fn dribbled(text: &str) -> Vec<Vec<u8>> {
    text.bytes().map(|b| vec![b]).collect()
}

#[tokio::test]
async fn the_request_is_written_as_http_wants_it() {
    let parts = vec![Bytes::from_static(b"hello "), Bytes::new(), Bytes::from_static(b"world")];
    let (got, seen) =
        talk(one("HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n"), Payload::from_parts(parts), true)
            .await;
    assert_eq!(got, Ok((201, vec![], true)));
    assert_eq!(
        seen,
        "PUT /c/b?x=y HTTP/1.1\r\nhost: h\r\nx-ms-meta-Bee: 1\r\ncontent-length: 11\r\n\r\nhello world"
    );
    let (_, seen) =
        talk(one("HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n"), Payload::default(), true).await;
    assert!(seen.ends_with("content-length: 0\r\n\r\n"), "{seen}");
}

#[tokio::test]
async fn bodies_end_where_their_framing_says() {
    let cases = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", Ok((200, "hello", true))),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nT: v\r\n\r\n",
            Ok((200, "hello", true)),
        ),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno",
            Ok((403, "no", true)),
        ),
        ("HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 2\r\n\r\nok", Ok((200, "ok", false))),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", Ok((200, "ok", false))),
        ("HTTP/1.1 200 OK\r\n\r\nuntil the end", Ok((200, "until the end", false))),
        ("HTTP/1.1 204 No Content\r\n\r\n", Ok((204, "", true))),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", Err("in the middle of the answer")),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", Err("in the middle of the answer")),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello", Err("has no size")),
        ("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", Err("length is no number")),
        ("HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello", Err("length is no number")),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", Ok((200, "hello", true))),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 4\r\n\r\nhello", Err("has two lengths")),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n", Err("has no size")),
        ("HTTP/1.1 2", Err("in the middle of the answer's head")),
        ("", Err("closed before it answered")),
        ("SSH-2.0-OpenSSH_9.2\r\n", Err("is not HTTP")),
    ];
    for (text, want) in cases {
        let ways =
            [(one(text), None), (dribbled(text), None), (one(text), Some(3)), (dribbled(text), Some(64))];
        for (pieces, room) in ways {
            let (got, _) = talk_and_read(pieces, Payload::from(Bytes::from_static(b"x")), true, room).await;
            match (got, &want) {
                (Ok((status, body, reusable)), Ok((s, b, r))) => {
                    assert_eq!((status, body.as_slice(), reusable), (*s, b.as_bytes(), *r), "{text:?}");
                }
                (Err(error), Err(part)) => assert!(error.contains(part), "{error} for {text:?}"),
                (got, want) => panic!("{text:?}: {got:?} instead of {want:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_server_that_never_comes_to_the_end_is_left() {
    let ended = async |text: String| {
        let payload = Payload::from(Bytes::from_static(b"x"));
        talk(one(&text), payload, true).await.0.map(|(status, body, _)| (status, body))
    };
    let interim = |count| "HTTP/1.1 102 Processing\r\n\r\n".repeat(count);
    let last = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    assert_eq!(ended(interim(INTERIM_LIMIT) + last).await, Ok((200, b"ok".to_vec())));
    let error = ended(interim(INTERIM_LIMIT + 1) + last).await.unwrap_err();
    assert!(error.contains("answers of status 1xx"), "{error}");

    let chunked = |trailers| {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n";
        head.to_owned() + &"a: b\r\n".repeat(trailers) + "\r\n"
    };
    assert_eq!(ended(chunked(HEADERS_LIMIT)).await, Ok((200, b"ok".to_vec())));
    let error = ended(chunked(HEADERS_LIMIT + 1)).await.unwrap_err();
    assert!(error.contains("trailers do not end"), "{error}");
}

#[tokio::test]
async fn an_answer_that_comes_before_the_whole_body_was_sent_counts_and_ends_the_connection() {
    // More than the socket buffers hold, and a server that reads the head only. What it has not read makes its end a
    // reset, which may be seen before the answer: at another moment each time.
    let payload = Payload::from(Bytes::from(vec![0u8; 64 << 20]));
    for _ in 0..40 {
        let answer = one("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n");
        let (got, _) = talk(answer, payload.clone(), false).await;
        assert_eq!(got, Ok((403, vec![], false)));
    }
}

#[tokio::test]
async fn a_connection_that_the_peer_closed_or_spoke_on_is_dead() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    for (text, close, dead) in [("", false, false), ("", true, true), ("x", false, true)] {
        let tcp = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut socket, _) = listener.accept().unwrap();
        let activity = Rc::new(Activity::default());
        let stream = Stream::plain(Pipe::Tcp(tcp), Rc::new(Cell::new(0)), Rc::clone(&activity));
        let mut link = Connection::new(stream, activity, None);
        assert!(!link.is_dead());
        socket.write_all(text.as_bytes()).unwrap();
        let kept = (!close).then_some(socket);
        // What the peer did arrives when the machine has time for it; what it did not do never does.
        for _ in 0..if dead { 9_000 } else { 1 } {
            tokio::time::sleep(Duration::from_millis(20)).await;
            if link.is_dead() {
                break;
            }
        }
        assert_eq!(link.is_dead(), dead, "{text:?} {close}");
        drop(kept);
    }
}

#[tokio::test]
async fn a_cut_connection_tells_whoever_waits() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let tcp = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let activity = Rc::new(Activity::default());
    let stream = Stream::plain(Pipe::Tcp(tcp), Rc::new(Cell::new(0)), Rc::clone(&activity));
    let mut link = Connection::new(stream, Rc::clone(&activity), None);
    let (head, ()) = http::Request::get("http://h/").body(()).unwrap().into_parts();
    let payload = Payload::default();
    let waiting = link.exchange(&head, &payload);
    let cutting = async {
        while !activity.waits.get() {
            tokio::task::yield_now().await;
        }
        activity.cut(Cut::Silent);
    };
    let (got, ()) = tokio::join!(waiting, cutting);
    assert!(matches!(got, Err(Failed { error: Fault::Cut(Cut::Silent), unsent: false })));
}
