//! Asking a proxy for a connection to the server: CONNECT (RFC 9110 section 9.3.6) and SOCKS 5 (RFC 1928, RFC 1929).

use std::io;
use std::net::IpAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::endpoint::Endpoint;
use crate::error::LinkError;
use crate::h1::{HEAD_LIMIT_BYTES, HEADERS_LIMIT, INTERIM_LIMIT};
use crate::proxy::Proxy;

/// Has `proxy`, at the other end of `stream`, connect to `peer`. Afterwards every byte is the peer's.
///
/// # Errors
/// [`LinkError::Proxy`], [`LinkError::ProxyLogin`], [`LinkError::ProxyRefused`].
pub(crate) async fn open<S>(stream: &mut S, proxy: &Proxy, peer: &Endpoint) -> Result<(), LinkError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let refused =
        if proxy.is_socks() { socks5(stream, proxy, peer).await } else { connect(stream, proxy, peer).await };
    match refused.map_err(|source| proxy.fault(source))? {
        Answered::Open => Ok(()),
        Answered::WantsLogin => Err(proxy.wants_login()),
        Answered::Refused { reason, permanent } => Err(proxy.refused(peer, reason, permanent)),
    }
}

/// What the proxy said.
enum Answered {
    Open,
    WantsLogin,
    Refused { reason: String, permanent: bool },
}

fn fault(text: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text.into())
}

async fn connect<S>(stream: &mut S, proxy: &Proxy, peer: &Endpoint) -> io::Result<Answered>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut request = format!("CONNECT {peer} HTTP/1.1\r\nhost: {peer}\r\n");
    if let Some(login) = &proxy.login {
        request.push_str(&format!("proxy-authorization: {}\r\n", login.basic()));
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut read = Vec::with_capacity(1024);
    for _interim in 0..=INTERIM_LIMIT {
        let (len, status, phrase) = head(stream, &mut read).await?;
        read.drain(..len);
        match status {
            100..=199 => {}
            200..=299 if read.is_empty() => return Ok(Answered::Open),
            200..=299 => return Err(fault("it sent more than its answer")),
            407 => return Ok(Answered::WantsLogin),
            _ => {
                // Who may connect to what is decided by people; whether a name resolves and a peer answers is not.
                let permanent = matches!(status, 300..=499 | 501 | 505) && !matches!(status, 408 | 425 | 429);
                let phrase: String = phrase.chars().filter(|c| !c.is_control()).take(200).collect();
                let reason = format!("{status} {phrase}").trim_end().to_owned();
                return Ok(Answered::Refused { reason, permanent });
            }
        }
    }
    Err(fault(format!("more than {INTERIM_LIMIT} answers of status 1xx and no other")))
}

/// Reads until `read` begins with a whole head; its length, status and phrase.
async fn head<S: AsyncRead + Unpin>(stream: &mut S, read: &mut Vec<u8>) -> io::Result<(usize, u16, String)> {
    loop {
        if !read.is_empty() {
            let mut headers = [httparse::EMPTY_HEADER; HEADERS_LIMIT];
            let mut parsed = httparse::Response::new(&mut headers);
            match parsed.parse(read) {
                Ok(httparse::Status::Complete(len)) => {
                    let status = parsed.code.expect("a complete head has a status");
                    return Ok((len, status, parsed.reason.unwrap_or_default().to_owned()));
                }
                Ok(httparse::Status::Partial) if read.len() < HEAD_LIMIT_BYTES => {}
                Ok(httparse::Status::Partial) => return Err(fault("its answer's head does not end")),
                Err(error) => return Err(fault(format!("its answer is not HTTP: {error}"))),
            }
        }
        let before = read.len();
        if stream.read_buf(read).await? == 0 {
            return Err(fault(match before {
                0 => "it closed the connection before it answered",
                _ => "it closed the connection in the middle of its answer",
            }));
        }
    }
}

const VERSION: u8 = 5;
const NO_LOGIN: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;
const NONE_ACCEPTABLE: u8 = 0xff;

async fn socks5<S>(stream: &mut S, proxy: &Proxy, peer: &Endpoint) -> io::Result<Answered>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let hello: &[u8] = match proxy.login {
        Some(_) => &[VERSION, 2, NO_LOGIN, USER_AND_PASSWORD],
        None => &[VERSION, 1, NO_LOGIN],
    };
    stream.write_all(hello).await?;
    stream.flush().await?;
    let [version, method] = take(stream).await?;
    if version != VERSION {
        return Err(fault("its answer is not SOCKS 5"));
    }
    match (method, &proxy.login) {
        (NO_LOGIN, _) => {}
        (USER_AND_PASSWORD, Some(login)) => {
            let mut text = vec![1];
            for part in [&login.user, &login.password] {
                text.push(u8::try_from(part.len()).expect("the length was checked when it was read"));
                text.extend_from_slice(part.as_bytes());
            }
            stream.write_all(&text).await?;
            stream.flush().await?;
            let [_, refused] = take(stream).await?;
            if refused != 0 {
                return Ok(Answered::WantsLogin);
            }
        }
        (NONE_ACCEPTABLE, _) => return Ok(Answered::WantsLogin),
        _ => return Err(fault(format!("it chose the method {method}, which was not offered"))),
    }
    let mut request = vec![VERSION, 1, 0];
    match peer.host.parse() {
        Ok(IpAddr::V4(address)) => {
            request.push(1);
            request.extend(address.octets());
        }
        Ok(IpAddr::V6(address)) => {
            request.push(4);
            request.extend(address.octets());
        }
        Err(_) => {
            // A DNS name has at most 253 bytes.
            let len =
                u8::try_from(peer.host.len()).map_err(|_| fault("the host's name is too long for it"))?;
            request.extend([3, len]);
            request.extend(peer.host.as_bytes());
        }
    }
    request.extend(peer.port.to_be_bytes());
    stream.write_all(&request).await?;
    stream.flush().await?;
    let [version, reply, _, kind] = take(stream).await?;
    if version != VERSION {
        return Err(fault("its answer is not SOCKS 5"));
    }
    let (reason, permanent) = match reply {
        0 => {
            // The address it connects from, of no use here.
            let address_len = match kind {
                1 => 4,
                4 => 16,
                3 => usize::from(take::<_, 1>(stream).await?[0]),
                _ => return Err(fault("its answer is not SOCKS 5")),
            };
            let mut rest = vec![0; address_len + 2];
            stream.read_exact(&mut rest).await.map_err(cut_off)?;
            return Ok(Answered::Open);
        }
        1 => ("general failure", false),
        2 => ("not allowed by its rules", true),
        3 => ("network unreachable", false),
        4 => ("host unreachable", false),
        5 => ("connection refused", false),
        6 => ("time to live expired", false),
        7 => ("it does not connect", true),
        8 => ("it does not know this type of address", true),
        _ => ("unknown reason", false),
    };
    Ok(Answered::Refused { reason: format!("{reason} (SOCKS {reply})"), permanent })
}

async fn take<S: AsyncRead + Unpin, const N: usize>(stream: &mut S) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await.map_err(cut_off)?;
    Ok(bytes)
}

fn cut_off(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => fault("it closed the connection in the middle of its answer"),
        _ => error,
    }
}
