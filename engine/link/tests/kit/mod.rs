//! A web server and proxies for the tests, each a thread with real sockets.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use azuring_link::{
    Answer, Endpoint, HttpChoice, LinkError, LinkSettings, Links, Payload, Proxies, TlsSetup,
};
use http::Request;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// The name that only a proxy resolves here.
pub(crate) const HOST: &str = "acc.blob.core.windows.net";

/// An authority of certificates, and a server's configuration with one of them.
pub(crate) struct Authority {
    pub(crate) dir: tempfile::TempDir,
    server: Arc<rustls::ServerConfig>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        let issuer = Issuer::new(params, key);
        let names = [HOST, "localhost", "127.0.0.1"].map(str::to_owned);
        let key = KeyPair::generate().unwrap();
        let cert = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
        let cert = vec![CertificateDer::from(cert.der().to_vec())];
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider);
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        Self { dir, server: Arc::new(config.with_single_cert(cert, key).unwrap()) }
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    pub(crate) fn trusted(&self) -> TlsSetup {
        TlsSetup::from_env(Some(&self.ca()), |_| None).unwrap()
    }

    /// Speaks TLS with a client.
    pub(crate) fn tls(&self, socket: TcpStream) -> rustls::StreamOwned<rustls::ServerConnection, TcpStream> {
        let connection = rustls::ServerConnection::new(Arc::clone(&self.server)).unwrap();
        rustls::StreamOwned::new(connection, socket)
    }

    /// Takes the TLS off a client's connection and passes on to `to` what is inside.
    pub(crate) fn unwrap_tls(&self, socket: TcpStream, to: SocketAddr) {
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::clone(&self.server));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        socket.set_nonblocking(true).unwrap();
        runtime.block_on(async {
            let socket = tokio::net::TcpStream::from_std(socket).unwrap();
            let mut inner = tokio::net::TcpStream::connect(to).await.unwrap();
            // A client that does not trust the certificate hangs up.
            if let Ok(mut outer) = acceptor.accept(socket).await {
                let _ = tokio::io::copy_bidirectional(&mut outer, &mut inner).await;
            }
        });
    }
}

/// Calls `serve` with every connection to a new port, each in a thread of its own.
pub(crate) fn listen(serve: impl Fn(TcpStream) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for socket in listener.incoming() {
            let serve = serve.clone();
            thread::spawn(move || serve(socket.unwrap()));
        }
    });
    address
}

/// The head of a request; `None` when the client hung up before its end.
pub(crate) fn head(stream: &mut impl Read) -> Option<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return None,
        }
    }
    Some(String::from_utf8(head).unwrap())
}

/// Answers every request on the stream with 200 and the request's head.
pub(crate) fn echo(stream: &mut (impl Read + Write)) {
    while let Some(head) = head(stream) {
        let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{head}", head.len());
        let _ = stream.flush();
    }
}

/// Connects `client` with `target`, both ways, until either has no more to say.
pub(crate) fn splice(client: TcpStream, target: SocketAddr) {
    let server = TcpStream::connect(target).unwrap();
    let (mut up_from, mut up_to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    thread::spawn(move || {
        let _ = io::copy(&mut up_from, &mut up_to);
        let _ = up_to.shutdown(std::net::Shutdown::Write);
    });
    let (mut down_from, mut down_to) = (server, client);
    let _ = io::copy(&mut down_from, &mut down_to);
    let _ = down_to.shutdown(std::net::Shutdown::Write);
}

/// What was said to a proxy before it answered, request by request.
pub(crate) type Heard = Arc<Mutex<Vec<String>>>;

/// An HTTP proxy that says `answer` to every CONNECT, and where that begins with a 200 connects to `target`.
pub(crate) fn connect_proxy(target: SocketAddr, answer: &str) -> (SocketAddr, Heard) {
    let heard = Heard::default();
    let (answer, hear) = (answer.to_owned(), Arc::clone(&heard));
    let address = listen(move |mut socket| {
        let Some(head) = head(&mut socket) else { return };
        hear.lock().unwrap().push(head);
        let _ = socket.write_all(answer.as_bytes());
        if answer.contains("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\n") {
            splice(socket, target);
        }
    });
    (address, heard)
}

/// Sends `GET /c/b` to the endpoint through the proxies that `vars` name, `times` times, and tells how the last went.
pub(crate) fn get(
    endpoint: Endpoint,
    vars: &[(&str, String)],
    tls: Option<TlsSetup>,
    times: usize,
) -> Result<String, LinkError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, exchange(endpoint, vars, tls, times))
}

pub(crate) async fn exchange(
    endpoint: Endpoint,
    vars: &[(&str, String)],
    tls: Option<TlsSetup>,
    times: usize,
) -> Result<String, LinkError> {
    let env = |name: &str| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
    let proxies = Some(Arc::new(Proxies::from_env(env).unwrap()));
    let (http, stall) = (HttpChoice::Auto, Duration::from_secs(30));
    let scheme = if endpoint.tls { "https" } else { "http" };
    let url = format!("{scheme}://{endpoint}/c/b?x=y");
    let links =
        Links::new(endpoint, LinkSettings::default().http(http).stall(stall).tls(tls).proxies(proxies));
    let mut last = None;
    for _ in 0..times {
        let request = Request::get(&url).header("host", HOST).body(()).unwrap();
        let answer: Answer = links.send(request, Payload::default()).await?.collect(1 << 20).await?;
        last = Some(format!("{} {}", answer.status().as_u16(), String::from_utf8_lossy(&answer.body)));
    }
    assert_eq!(links.stats().opened, 1, "one link serves all");
    Ok(last.unwrap())
}

pub(crate) fn https() -> Endpoint {
    Endpoint { tls: true, host: HOST.to_owned(), port: 443 }
}

pub(crate) fn http() -> Endpoint {
    Endpoint { tls: false, host: HOST.to_owned(), port: 80 }
}

/// A server in TLS that echoes.
pub(crate) fn https_server(authority: &Arc<Authority>) -> SocketAddr {
    let authority = Arc::clone(authority);
    listen(move |socket| echo(&mut authority.tls(socket)))
}

/// A SOCKS 5 proxy that wants `login`, and answers a request with `reply`; 0 is yes. Tells what it was asked for.
pub(crate) fn socks_proxy(
    target: SocketAddr,
    login: Option<(&'static str, &'static str)>,
    reply: u8,
) -> (SocketAddr, mpsc::Receiver<Vec<u8>>) {
    let (told, asked) = mpsc::channel();
    let address = listen(move |mut socket| {
        let mut take = |count: usize| {
            let mut bytes = vec![0; count];
            socket.read_exact(&mut bytes).unwrap();
            bytes
        };
        let hello = take(2);
        let methods = take(usize::from(hello[1]));
        let method = if login.is_some() { 2 } else { 0 };
        if !methods.contains(&method) {
            socket.write_all(&[5, 0xff]).unwrap();
            return;
        }
        socket.write_all(&[5, method]).unwrap();
        let mut take = |count: usize| {
            let mut bytes = vec![0; count];
            socket.read_exact(&mut bytes).unwrap();
            bytes
        };
        if let Some((user, password)) = login {
            let len = take(2)[1];
            let given_user = take(usize::from(len));
            let len = take(1)[0];
            let given = take(usize::from(len));
            let wrong = given_user != user.as_bytes() || given != password.as_bytes();
            socket.write_all(&[1, u8::from(wrong)]).unwrap();
            if wrong {
                return;
            }
        }
        let mut start = [0; 5];
        socket.read_exact(&mut start).unwrap();
        let mut rest = vec![0; usize::from(start[4]) + 2];
        socket.read_exact(&mut rest).unwrap();
        told.send([start.as_slice(), &rest].concat()).unwrap();
        // Its own address as a name, the longest form.
        socket.write_all(&[5, reply, 0, 3, 3, b'a', b'b', b'c', 0, 80]).unwrap();
        if reply == 0 {
            splice(socket, target);
        }
    });
    (address, asked)
}
