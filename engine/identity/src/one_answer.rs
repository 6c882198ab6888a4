//! For tests: a server that says one thing, which the protocol does not foresee.

use std::io::{BufRead, BufReader, Read, Write};
use std::sync::mpsc;

use url::Url;

/// A server that answers one request with `body`, and hands over what it was sent.
pub(crate) fn answers(body: String) -> (Url, mpsc::Receiver<String>) {
    says("200 OK", body)
}

/// The same with another status.
pub(crate) fn says(status: &'static str, body: String) -> (Url, mpsc::Receiver<String>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let (sent, received) = mpsc::channel();
    std::thread::spawn(move || {
        let mut stream = BufReader::new(listener.accept().unwrap().0);
        let (mut request, mut length) = (String::new(), 0);
        while !request.ends_with("\r\n\r\n") {
            let begin = request.len();
            assert_ne!(stream.read_line(&mut request).unwrap(), 0);
            if let Some(value) = request[begin..].to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        stream.by_ref().take(length).read_to_string(&mut request).unwrap();
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.get_mut().write_all(format!("{head}{body}").as_bytes()).unwrap();
        // A test that is not interested has dropped it.
        let _ = sent.send(request);
    });
    (url, received)
}
