//! A small HTTP/1.1 client on a raw socket, which shows what is on the wire: spelling, order, early ends.

#![allow(dead_code)] // Each test file uses its part of this.
#![allow(clippy::unwrap_used)] // Helpers of tests: a panic is the report.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use azsim::Server;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub(crate) const ACCOUNT: &str = "devstoreaccount1";

pub(crate) trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// One connection.
pub(crate) struct Client {
    stream: Box<dyn Stream>,
    pub(crate) host: String,
    /// Appended to each query.
    pub(crate) sas: String,
}

/// An answer; header names as they were written.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map_or("", |(_, v)| v)
    }

    pub(crate) fn code(&self) -> &str {
        self.header("x-ms-error-code")
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// Status and error code, to compare in one go.
    pub(crate) fn verdict(&self) -> (u16, &str) {
        (self.status, self.code())
    }

    /// The texts of all elements of one name.
    pub(crate) fn elements(&self, name: &str) -> Vec<String> {
        let text = self.text();
        let open = format!("<{name}>");
        text.split(&open).skip(1).map(|rest| rest.split('<').next().unwrap().to_owned()).collect()
    }
}

pub(crate) fn server() -> Server {
    let server = Server::builder().threads(1).start().unwrap();
    assert!(server.create_container(ACCOUNT, "con"));
    server
}

pub(crate) fn sas(server: &Server) -> String {
    server.account_sas(ACCOUNT, "rwdxlact", Duration::from_secs(600))
}

pub(crate) fn connect(server: &Server) -> TcpStream {
    dial(server.addr())
}

fn dial(addr: SocketAddr) -> TcpStream {
    tuned(TcpStream::connect(addr).unwrap())
}

fn tuned(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

impl Client {
    pub(crate) fn new(server: &Server) -> Client {
        Client { stream: Box::new(connect(server)), host: server.addr().to_string(), sas: sas(server) }
    }

    pub(crate) fn tls(server: &Server, alpn: &[&[u8]]) -> Client {
        let client = Client::dial(server.addr(), Some(tls_config(server, alpn)));
        Client { sas: sas(server), ..client }
    }

    /// A connection to an address, without credentials.
    pub(crate) fn dial(addr: SocketAddr, tls: Option<rustls::ClientConfig>) -> Client {
        let stream: Box<dyn Stream> = match tls {
            None => Box::new(dial(addr)),
            Some(config) => {
                let name = "localhost".try_into().unwrap();
                let session = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
                Box::new(rustls::StreamOwned::new(session, dial(addr)))
            }
        };
        Client { stream, host: addr.to_string(), sas: String::new() }
    }

    /// A plain connection from an address, without credentials.
    pub(crate) fn from_to(from: IpAddr, to: SocketAddr) -> Client {
        use socket2::{Domain, Socket, Type};
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::new(from, 0).into()).unwrap();
        socket.connect(&to.into()).unwrap();
        let stream = tuned(socket.into());
        Client { stream: Box::new(stream), host: to.to_string(), sas: String::new() }
    }

    /// Sends to `/devstoreaccount1{path}` with the SAS.
    pub(crate) fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        self.try_send(method, path, headers, body).unwrap()
    }

    pub(crate) fn try_send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Reply> {
        let joint = if self.sas.is_empty() {
            ""
        } else if path.contains('?') {
            "&"
        } else {
            "?"
        };
        let target = format!("/{ACCOUNT}{path}{joint}{}", self.sas);
        self.raw(method, &target, headers, body)
    }

    /// Sends to a target without adding anything to it but the lengths.
    pub(crate) fn raw(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Reply> {
        let mut head = format!("{method} {target} HTTP/1.1\r\n");
        if !headers.iter().any(|(n, _)| n.eq_ignore_ascii_case("host")) {
            head += &format!("Host: {}\r\n", self.host);
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        if method == "PUT" || !body.is_empty() {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        self.stream.write_all(format!("{head}\r\n").as_bytes())?;
        self.stream.write_all(body)?;
        self.stream.flush()?;
        self.read(method)
    }

    /// Writes bytes as they are.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Reads one answer.
    pub(crate) fn read(&mut self, method: &str) -> io::Result<Reply> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> =
            lines.filter_map(|l| l.split_once(": ")).map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
        let mut reply = Reply { status, headers, body: Vec::new() };
        if method != "HEAD" && status != 304 {
            let len = reply.header("content-length").parse().unwrap_or(0);
            reply.body = vec![0; len];
            self.stream.read_exact(&mut reply.body)?;
        }
        Ok(reply)
    }

    pub(crate) fn put(&mut self, name: &str, content: &[u8]) -> Reply {
        self.send("PUT", &format!("/con/{name}"), &[("x-ms-blob-type", "BlockBlob")], content)
    }

    pub(crate) fn put_block(&mut self, name: &str, id: &str, content: &[u8]) -> Reply {
        let id = STANDARD.encode(id).replace('=', "%3D");
        self.send("PUT", &format!("/con/{name}?comp=block&blockid={id}"), &[], content)
    }

    pub(crate) fn commit(&mut self, name: &str, list: &[(&str, &str)]) -> Reply {
        let list: String = list.iter().map(|(k, id)| format!("<{k}>{}</{k}>", STANDARD.encode(id))).collect();
        let xml = format!("<?xml version=\"1.0\"?><BlockList>{list}</BlockList>");
        self.send("PUT", &format!("/con/{name}?comp=blocklist"), &[], xml.as_bytes())
    }

    pub(crate) fn get(&mut self, name: &str) -> Reply {
        self.send("GET", &format!("/con/{name}"), &[], b"")
    }
}

pub(crate) fn tls_config(server: &Server, alpn: &[&[u8]]) -> rustls::ClientConfig {
    trusting(server.ca_pem().unwrap(), alpn)
}

pub(crate) fn trusting(pem: &str, alpn: &[&[u8]]) -> rustls::ClientConfig {
    use rustls::pki_types::pem::PemObject as _;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(rustls::pki_types::CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|p| p.to_vec()).collect();
    config
}

pub(crate) fn sign(text: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(azsim::DEVSTORE_KEY).unwrap());
    STANDARD.encode(hmac::sign(&key, text.as_bytes()))
}

pub(crate) fn escape(text: &str) -> String {
    text.bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
                (b as char).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect()
}

pub(crate) fn crc64(bytes: &[u8]) -> String {
    STANDARD.encode(crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, bytes).to_le_bytes())
}
