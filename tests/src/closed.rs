//! A port at which nobody listens, and nobody will.

use std::net::{SocketAddr, TcpListener, TcpStream};

/// A loopback port that refuses connections for as long as this lives. (A port that was free a moment ago is another
/// test's a moment later; this one is taken, as the near end of a connection.)
#[derive(Debug)]
pub struct ClosedPort {
    taken: TcpStream,
    _far: TcpListener,
}

impl ClosedPort {
    /// Takes a port.
    ///
    /// # Panics
    /// When a socket cannot be made.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it takes a port")]
    pub fn new() -> Self {
        let far = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = TcpStream::connect(far.local_addr().unwrap()).unwrap();
        Self { taken, _far: far }
    }

    /// Its address.
    ///
    /// # Panics
    /// When the system does not know it.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.taken.local_addr().unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_refuses() {
        let port = ClosedPort::new();
        let refused = TcpStream::connect(port.address()).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    }
}
