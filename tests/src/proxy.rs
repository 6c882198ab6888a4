//! An HTTP proxy that knows one thing: CONNECT. Whatever host is asked for, it leads to one address.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// A running proxy on a free loopback port. With it `https://ACCOUNT.blob.core.windows.net` reaches azsim or Azurite
/// unchanged: no name is looked up. It ends with the test's process.
#[derive(Debug)]
pub struct ConnectProxy {
    address: SocketAddr,
    login: Option<(String, String)>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// The value of `Proxy-Authorization` that is demanded.
    demanded: Option<String>,
    connects: Mutex<Vec<String>>,
    refused: AtomicU64,
}

impl ConnectProxy {
    /// A proxy for everybody, whose tunnels all lead to `target`.
    ///
    /// # Panics
    /// As everything here: when a socket cannot be made.
    #[must_use]
    pub fn start(target: SocketAddr) -> Self {
        Self::run(target, None)
    }

    /// The same for those alone who know the password.
    ///
    /// # Panics
    /// When a socket cannot be made.
    #[must_use]
    pub fn with_login(target: SocketAddr, user: &str, password: &str) -> Self {
        Self::run(target, Some((user.to_owned(), password.to_owned())))
    }

    fn run(target: SocketAddr, login: Option<(String, String)>) -> Self {
        let demanded = login.as_ref().map(|(user, password)| {
            format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")))
        });
        let shared = Arc::new(Shared { demanded, ..Shared::default() });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let of_threads = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming() {
                let shared = Arc::clone(&of_threads);
                // A client that hangs up early, or a target that is gone, is the test's business.
                thread::spawn(move || client.and_then(|client| shared.serve(client, target)));
            }
        });
        Self { address, login, shared }
    }

    /// Its URL for `HTTPS_PROXY`, with user and password where it wants them; these have to be letters and digits.
    #[must_use]
    pub fn url(&self) -> String {
        match &self.login {
            Some((user, password)) => format!("http://{user}:{password}@{}", self.address),
            None => self.bare_url(),
        }
    }

    /// Its URL without user and password.
    #[must_use]
    pub fn bare_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The `HOST:PORT` of every tunnel that was opened, in their order.
    ///
    /// # Panics
    /// When one of its threads has.
    #[must_use]
    pub fn connects(&self) -> Vec<String> {
        self.shared.connects.lock().unwrap().clone()
    }

    /// How many tunnels were refused for want of a user and password.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn serve(&self, mut client: TcpStream, target: SocketAddr) -> io::Result<()> {
        client.set_nodelay(true)?;
        let (mut head, mut byte) = (Vec::new(), [0]);
        // Byte by byte: what follows the head is the tunnel's.
        while !head.ends_with(b"\r\n\r\n") {
            client.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head);
        let mut lines = head.lines();
        let first = lines.next().unwrap_or_default();
        let Some(peer) = first.strip_prefix("CONNECT ").and_then(|rest| rest.strip_suffix(" HTTP/1.1"))
        else {
            return client.write_all(b"HTTP/1.1 405 Only CONNECT\r\ncontent-length: 0\r\n\r\n");
        };
        let given = lines.find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("proxy-authorization").then_some(value)
        });
        if self.demanded.is_some() && self.demanded.as_deref() != given {
            self.refused.fetch_add(1, Ordering::SeqCst);
            return client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic realm=\"test\"\r\ncontent-length: 0\r\n\r\n");
        }
        self.connects.lock().unwrap().push(peer.to_owned());
        let server = TcpStream::connect(target)?;
        server.set_nodelay(true)?;
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
        let (up_from, up_to) = (client.try_clone()?, server.try_clone()?);
        thread::spawn(move || pass(up_from, up_to));
        pass(server, client);
        Ok(())
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    // Whoever has nothing more to say is not waited for.
    let _ = to.shutdown(Shutdown::Write);
}
