use std::io::{Read, Write};

use azuring_link::LinkSettings;

use super::*;
use crate::cache::Cache;
use crate::clock::Clock;
use crate::keep::keep;
use crate::login::LoginKind;
use crate::network::{Network, in_runtime};

/// A server that answers one request, and where it is.
fn answers(body: String) -> Url {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !request.windows(4).any(|end| end == b"\r\n\r\n") {
            let mut some = [0; 4096];
            let read = stream.read(&mut some).unwrap();
            request.extend_from_slice(&some[..read]);
        }
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        // Closed by the other side, which has read it then.
        while stream.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {}
    });
    Url::parse(&address).unwrap()
}

const ENDLESS: [&str; 2] = [r#""expires_in":9223372036854775807"#, r#""expires_on":"18446744073709551615""#];

#[test]
fn the_library_is_shown_no_answer() {
    for life in ENDLESS {
        let url = answers(format!(r#"{{"access_token":"hunter2","token_type":"Bearer",{life}}}"#));
        let network = Network::new(LinkSettings::default());
        in_runtime(&network, async |wire| {
            let courier = Courier::new(wire, None, 1000);
            let request = Request::new(url, azure_core::http::Method::Get);
            let (_, _, body) = courier.carry(&request).await?;
            assert_eq!(body, SHOWN);
            let noted = courier.noted.lock().unwrap().take().unwrap()?;
            assert_eq!(noted.secret.expose(), "hunter2");
            Ok(())
        })
        .unwrap();
    }
}

#[test]
fn a_token_for_ever_is_kept_for_a_while() {
    for life in ENDLESS {
        let mut login = Login::new(LoginKind::DeviceCode { refresh: Some(Secret::new("r")) });
        login.authority = answers(format!(r#"{{"access_token":"t",{life}}}"#)).origin().ascii_serialization();
        let network = Network::new(LinkSettings::default());
        let bearer = keep(login, network, "s/.default", Clock::system(), None, Cache::none()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(bearer.ready()).unwrap();
    }
}
