//! Requests as they come, and answers of the server behind.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// A request that has arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// The method.
    pub method: String,
    /// Path and query as they were sent.
    pub target: String,
    /// Names in lower case, in their order.
    pub headers: Vec<(String, String)>,
    /// The body; empty where the answer did not wait for it.
    pub body: Vec<u8>,
}

impl Received {
    /// What stands before the question mark.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// What stands behind it.
    #[must_use]
    pub fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    /// The first header of this name, which is given in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// An answer, before it is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// What stands behind it.
    pub reason: String,
    /// In their order, without `content-length`, `transfer-encoding` and `connection`.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// `content-length` as the server behind told it; of the body to a HEAD too.
    pub told_len: Option<u64>,
}

impl Response {
    /// The first header of this name, in whatever case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Puts a header in the place of those of its name.
    pub fn set(&mut self, name: &str, value: &str) {
        self.remove(name);
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    /// Takes the headers of a name away.
    pub fn remove(&mut self, name: &str) {
        self.headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
    }
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Reads until `rest` holds a whole head; what follows it stays there. `None` at the end of the connection.
fn head_text(from: &mut impl Read, rest: &mut Vec<u8>) -> io::Result<Option<String>> {
    let mut buffer = [0; 4096];
    loop {
        if let Some(end) = rest.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = rest.drain(..end + 4).collect::<Vec<u8>>();
            return Ok(Some(String::from_utf8_lossy(&head).into_owned()));
        }
        let got = from.read(&mut buffer)?;
        if got == 0 {
            return if rest.is_empty() { Ok(None) } else { Err(bad("a head that does not end")) };
        }
        rest.extend_from_slice(&buffer[..got]);
    }
}

fn header_lines<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<(String, String)> {
    let pair = |line: &'a str| line.split_once(':').map(|(name, value)| (name, value.trim()));
    lines.filter_map(pair).map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect()
}

pub(super) fn read_head(client: &mut TcpStream, rest: &mut Vec<u8>) -> io::Result<Option<Received>> {
    let Some(head) = head_text(client, rest)? else { return Ok(None) };
    let mut lines = head.lines();
    let mut first = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(target)) = (first.next(), first.next()) else {
        return Err(bad("no request line"));
    };
    let (method, target) = (method.to_owned(), target.to_owned());
    Ok(Some(Received { method, target, headers: header_lines(lines), body: Vec::new() }))
}

pub(super) fn read_body(
    client: &mut TcpStream,
    rest: &mut Vec<u8>,
    request: &mut Received,
) -> io::Result<()> {
    let len = request.header("content-length").map_or(Ok(0), str::parse::<usize>);
    let len = len.map_err(|_| bad("no length"))?;
    let there = len.min(rest.len());
    request.body = rest.drain(..there).collect();
    client.take((len - there) as u64).read_to_end(&mut request.body)?;
    if request.body.len() < len { Err(bad("a body that ends early")) } else { Ok(()) }
}

/// Sends a request on and reads the whole answer.
pub(super) fn forward(request: &Received, to: SocketAddr) -> io::Result<Response> {
    let mut server = TcpStream::connect(to)?;
    server.set_nodelay(true)?;
    let mut out = format!("{} {} HTTP/1.1\r\n", request.method, request.target);
    for (name, value) in &request.headers {
        if name != "connection" {
            out.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    out.push_str("connection: close\r\n\r\n");
    server.write_all(out.as_bytes())?;
    // Who refuses a request may not read its body.
    let _ = server.write_all(&request.body);
    let mut rest = Vec::new();
    let head = head_text(&mut server, &mut rest)?.ok_or_else(|| bad("no answer"))?;
    let mut lines = head.lines();
    let mut first = lines.next().unwrap_or_default().splitn(3, ' ').skip(1);
    let status = first.next().and_then(|code| code.parse().ok()).ok_or_else(|| bad("no status"))?;
    let reason = first.next().unwrap_or_default().to_owned();
    let mut response = Response { status, reason, headers: header_lines(lines), ..Response::default() };
    response.told_len = response.header("content-length").and_then(|len| len.parse().ok());
    if response.header("transfer-encoding").is_some() {
        return Err(bad("the server behind is not to answer in chunks"));
    }
    for name in ["content-length", "connection"] {
        response.remove(name);
    }
    let bodyless = request.method == "HEAD" || matches!(status, 204 | 304);
    let len = if bodyless { Some(0) } else { response.told_len };
    server.take(len.unwrap_or(u64::MAX).saturating_sub(rest.len() as u64)).read_to_end(&mut rest)?;
    // A fault of the server behind is passed on: its body may be cut off.
    response.body = rest;
    Ok(response)
}
