//! Protocols, addressing and stores: the same operations over each.

#![allow(clippy::unwrap_used)] // Helpers of tests: a panic is the report.

mod common;

use std::sync::Arc;

use azsim::{Alpn, Faults, Rate, Server, Store, Tls};
use bytes::Bytes;
use common::{ACCOUNT, Client, sas, tls_config};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

fn start(builder: azsim::ServerBuilder) -> Server {
    let server = builder.threads(2).start().unwrap();
    server.create_container(ACCOUNT, "con");
    server
}

#[test]
fn tls_with_its_own_authority() {
    let server = start(Server::builder().tls(Tls::SelfSigned).alpn(Alpn::Http11));
    assert!(server.url(ACCOUNT).starts_with("https://127.0.0.1:"));
    let mut client = Client::tls(&server, &[b"h2", b"http/1.1"]);
    let content = vec![3; 3 << 20];
    assert_eq!(client.put("x", &content).status, 201);
    assert!(client.get("x").body == content);
    let stats = server.stats();
    assert_eq!((stats.connections, stats.tls_handshakes), (1, 1));
    client.sas += "&spr=https";
    assert_eq!(client.get("x").verdict(), (403, "AuthenticationFailed"));
}

/// Sends over one HTTP/2 connection.
async fn h2<S>(stream: S, server: &Server, bodies: &[Vec<u8>]) -> Vec<(u16, Result<Vec<u8>, String>)>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (mut send, conn) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(conn);
    let uri = |i: usize| format!("http://{}/{ACCOUNT}/con/h2-{i}?{}", server.addr(), sas(server));
    let mut replies = Vec::new();
    let mut pending = Vec::new();
    for (i, body) in bodies.iter().enumerate() {
        let request = hyper::Request::put(uri(i)).header("x-ms-blob-type", "BlockBlob");
        let request = request.header("content-length", body.len());
        pending.push(send.send_request(request.body(Full::new(Bytes::from(body.clone()))).unwrap()));
    }
    for reply in pending {
        assert_eq!(reply.await.unwrap().status(), 201);
    }
    for i in 0..bodies.len() {
        let request = hyper::Request::get(uri(i)).body(Full::new(Bytes::new())).unwrap();
        let reply = send.send_request(request).await.unwrap();
        let status = reply.status().as_u16();
        let body = reply.into_body().collect().await;
        replies.push((status, body.map(|b| b.to_bytes().to_vec()).map_err(|e| e.to_string())));
    }
    replies
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn http2_by_prior_knowledge_and_by_alpn() {
    let bodies: Vec<Vec<u8>> = (0..20).map(|i| vec![i as u8; i * 100_000]).collect();
    let plain = start(Server::builder());
    let secure = start(Server::builder().tls(Tls::SelfSigned).h2_max_frame(1 << 20));
    block_on(async {
        let stream = TcpStream::connect(plain.addr()).await.unwrap();
        let replies = h2(stream, &plain, &bodies).await;
        assert!(replies.iter().zip(&bodies).all(|(r, b)| r.0 == 200 && r.1.as_ref() == Ok(b)));

        let connector = tokio_rustls::TlsConnector::from(Arc::new(tls_config(&secure, &[b"h2"])));
        let stream = TcpStream::connect(secure.addr()).await.unwrap();
        let stream = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let replies = h2(stream, &secure, &bodies).await;
        assert!(replies.iter().zip(&bodies).all(|(r, b)| r.0 == 200 && r.1.as_ref() == Ok(b)));
    });
    assert_eq!((plain.stats().connections, secure.stats().connections), (1, 1));
    assert!(plain.stats().in_flight_max > 1);
}

#[test]
fn a_cut_body_resets_the_stream_of_http2() {
    let server = start(Server::builder());
    block_on(async {
        let stream = TcpStream::connect(server.addr()).await.unwrap();
        let (mut send, conn) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(conn);
        let mut client = Client::new(&server);
        assert_eq!(client.put("x", &[1; 1000]).status, 201);
        server.set_faults(Faults { cut_body: Rate::Every(2), ..Faults::default() });
        let uri = format!("http://{}/{ACCOUNT}/con/x?{}", server.addr(), sas(&server));
        for expected in [true, false, true] {
            let request = hyper::Request::get(&uri).body(Full::new(Bytes::new())).unwrap();
            let reply = send.send_request(request).await.unwrap();
            assert_eq!(reply.into_body().collect().await.is_ok(), expected);
        }
    });
}

#[test]
fn accounts_are_found_by_host_name() {
    let server = start(Server::builder().account("one", "MTIz").account(ACCOUNT, azsim::DEVSTORE_KEY));
    let mut client = Client::new(&server);
    client.put("x", b"1");
    let target = format!("/con/x?{}", client.sas);
    let host = format!("{ACCOUNT}.blob.localhost:{}", server.addr().port());
    let reply = client.raw("GET", &target, &[("Host", &host)], b"").unwrap();
    assert_eq!((reply.status, &*reply.body), (200, &b"1"[..]));
    // The other account has another key.
    let reply = client.raw("GET", &target, &[("Host", "one.blob.core.windows.net")], b"").unwrap();
    assert_eq!(reply.verdict(), (403, "AuthenticationFailed"));
    let list = format!("/con?restype=container&comp=list&{}", client.sas);
    let reply = client.raw("GET", &list, &[("Host", &host)], b"").unwrap();
    assert!(reply.text().contains(&format!("ServiceEndpoint=\"http://{host}/\"")));
}

#[test]
fn every_store_keeps_what_it_promises() {
    let directory = tempfile::tempdir().unwrap();
    let files = || {
        let subdirectories = std::fs::read_dir(directory.path()).unwrap();
        subdirectories.map(|d| std::fs::read_dir(d.unwrap().path()).unwrap().count()).sum::<usize>()
    };
    for store in [Store::Memory, Store::Disk(directory.path().to_owned()), Store::Discard] {
        let server = start(Server::builder().store(store.clone()));
        let mut client = Client::new(&server);
        let content = vec![9; 2_500_000];
        let crc64 = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, &content);
        client.put("whole", &content);
        client.put("empty", b"");
        client.put_block("blocks", "1", &content[..1_000_000]);
        client.put_block("blocks", "2", &content[1_000_000..]);
        assert_eq!(client.commit("blocks", &[("Latest", "1"), ("Latest", "2")]).status, 201);
        assert_eq!(client.get("empty").status, 200);
        for blob in server.blobs(ACCOUNT, "con").iter().filter(|b| b.name != "empty") {
            assert_eq!((blob.len, blob.crc64), (content.len() as u64, crc64), "{store:?} {}", blob.name);
            let reply = client.get(&blob.name);
            if store == Store::Discard {
                assert_eq!(reply.verdict(), (409, "BlobContentDiscarded"));
                assert_eq!(server.content(ACCOUNT, "con", &blob.name), None);
            } else {
                assert!(reply.body == content, "{store:?} {}", blob.name);
                assert_eq!(server.content(ACCOUNT, "con", &blob.name).unwrap(), content);
            }
        }
        if matches!(store, Store::Disk(_)) {
            assert_eq!(files(), 4);
            client.put("whole", b"short");
            client.send("DELETE", "/con/blocks", &[], b"");
            assert_eq!(files(), 2);
        }
    }
    assert_eq!(files(), 0);
}

#[test]
fn a_port_in_use_is_an_error_and_a_dropped_server_frees_it() {
    let server = start(Server::builder());
    let addr = server.addr();
    assert!(Server::builder().listen(addr).start().is_err());
    drop(server);
    assert!(Server::builder().listen(addr).start().is_ok());
    assert!(Server::builder().account("a", "not base64!").start().is_err());
}
