//! `azsim bench`: Put Blob requests, or copies, from one client thread, and what they cost the server's threads.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use azsim::{Alpn, Seed, Server, Store, Tls};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::cli::Bench;
use crate::cpu;

const ACCOUNT: &str = "devstoreaccount1";
const CONTAINER: &str = "bench";
/// Digits of a blob's name.
const DIGITS: usize = 10;

/// Runs the measurement and prints one line.
pub(crate) fn run(args: &Bench) -> io::Result<()> {
    let tls = if args.tls { Tls::SelfSigned } else { Tls::Off };
    // The source of copies has to be there.
    let store = if args.copy { Store::Memory } else { args.store.clone() };
    let server = Server::builder().threads(args.threads).store(store).tls(tls).alpn(Alpn::Http11).start()?;
    server.create_container(ACCOUNT, CONTAINER);
    let request = Template::new(&server, args.size, args.copy);
    let connector = server.ca_pem().map(connector).transpose()?;

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = Arc::new(AtomicU64::new(0));
    let (elapsed, cpu_seconds, requests) = runtime.block_on(async {
        let mut tasks = Vec::new();
        for number in 0..args.connections.max(1) {
            let stream = TcpStream::connect(server.addr()).await?;
            stream.set_nodelay(true)?;
            let (request, done) = (request.clone(), Arc::clone(&done));
            let first = (number as u64) << 24;
            tasks.push(match &connector {
                None => tokio::spawn(client(stream, request, first, done)),
                Some(connector) => {
                    let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
                    let stream = connector.connect(name, stream).await?;
                    tokio::spawn(client(stream, request, first, done))
                }
            });
        }
        // Connections, allocator and branch predictors warm up first.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let (start, cpu, before) =
            (Instant::now(), cpu::thread_seconds("azsim-"), done.load(Ordering::Relaxed));
        tokio::time::sleep(Duration::from_secs(args.seconds.max(1))).await;
        let requests = done.load(Ordering::Relaxed) - before;
        let cpu_seconds = cpu::thread_seconds("azsim-") - cpu;
        for task in &tasks {
            if task.is_finished() {
                return Err(io::Error::other("a client connection ended early"));
            }
            task.abort();
        }
        Ok((start.elapsed().as_secs_f64(), cpu_seconds, requests as f64))
    })?;
    println!(
        "azsim bench: {} of {} bytes over {}, {} connections, {} server threads: {:.0} requests/s, {:.2} us server CPU a request, {:.0} requests/s per core",
        if args.copy { "Put Blob From URL" } else { "Put Blob" },
        args.size,
        if args.tls { "https" } else { "http" },
        args.connections,
        args.threads,
        requests / elapsed,
        cpu_seconds * 1e6 / requests,
        requests / cpu_seconds,
    );
    Ok(())
}

fn connector(ca: &str) -> io::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    let cert = CertificateDer::from_pem_slice(ca.as_bytes()).map_err(io::Error::other)?;
    roots.add(cert).map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// A request with room for the digits of a name.
#[derive(Clone)]
struct Template {
    bytes: Vec<u8>,
    digits: usize,
}

impl Template {
    fn new(server: &Server, size: usize, copy: bool) -> Template {
        let sas = server.account_sas(ACCOUNT, "rwdlac", Duration::from_secs(24 * 3600));
        let path = format!("PUT /{ACCOUNT}/{CONTAINER}/dir/");
        let zeros = "0".repeat(DIGITS);
        let host = server.addr();
        let content = vec![b'a'; size];
        // What a client sends that wants integrity: type, length, version and checksum.
        let crc = base64::Engine::encode(
            &base64::engine::general_purpose::STANDARD,
            crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, &content).to_le_bytes(),
        );
        if copy {
            let seed = Seed { name: "source".into(), content: vec![content.into()], ..Seed::default() };
            server.plant(ACCOUNT, CONTAINER, [seed]);
            let source = format!("{}/{CONTAINER}/source?{sas}", server.url(ACCOUNT));
            let head = format!(
                "{path}{zeros}?{sas} HTTP/1.1\r\nhost: {host}\r\nx-ms-version: 2025-11-05\r\nx-ms-blob-type: \
                 BlockBlob\r\nx-ms-copy-source: {source}\r\ncontent-length: 0\r\n\r\n"
            );
            return Template { bytes: head.into_bytes(), digits: path.len() };
        }
        let head = format!(
            "{path}{zeros}?{sas} HTTP/1.1\r\nhost: {host}\r\nx-ms-version: 2025-11-05\r\nx-ms-blob-type: BlockBlob\r\n\
             content-type: text/plain\r\nx-ms-content-crc64: {crc}\r\ncontent-length: {size}\r\n\r\n"
        );
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(&content);
        Template { bytes, digits: path.len() }
    }

    fn name(&mut self, mut number: u64) {
        for digit in self.bytes[self.digits..self.digits + DIGITS].iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
        }
    }
}

/// Sends one request after the other until it is stopped; ends at the first answer that is not 201.
async fn client<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    mut request: Template,
    first: u64,
    done: Arc<AtomicU64>,
) -> io::Result<()> {
    let mut answer = vec![0; 16 << 10];
    for number in first.. {
        request.name(number);
        stream.write_all(&request.bytes).await?;
        stream.flush().await?;
        let mut read = 0;
        while !answer[..read].ends_with(b"\r\n\r\n") {
            match stream.read(&mut answer[read..]).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => read += n,
            }
        }
        if !answer.starts_with(b"HTTP/1.1 201") {
            let text = String::from_utf8_lossy(&answer[..read]).into_owned();
            eprintln!("{text}");
            return Err(io::Error::other(text));
        }
        done.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
