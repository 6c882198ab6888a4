//! A service that is nothing but names, in whatever order and pages a test wants.
//!
//! It knows List Blobs (prefix, delimiter, marker), Get Blob and its properties, Delete Blob; all else is 501. Each
//! blob's content is its name. Whoever asks is welcome.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

use azuring_plan::order::OrderKey;
use percent_encoding::percent_decode_str;

/// A request for a page.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) prefix: String,
    pub(super) marker: String,
    pub(super) delimiter: bool,
    /// Pages asked for before it.
    pub(super) before: usize,
}

/// What it does with a request for a page.
pub(super) enum Say {
    /// The page that comes now.
    Page,
    /// These entries and this marker.
    This(Vec<String>, String),
    /// This document.
    Whole(String),
    /// Nothing, until the client has gone.
    Nothing,
}

type Script = Box<dyn Fn(&Ask) -> Say + Send + Sync>;

struct State {
    /// In the order in which they are listed.
    names: Vec<String>,
    page: usize,
    script: Script,
    asked: Mutex<Vec<Ask>>,
    /// How often each blob was read or removed.
    touched: Mutex<BTreeMap<String, usize>>,
    changed: Condvar,
}

/// The running service.
pub(super) struct Lister {
    state: Arc<State>,
    url: String,
}

impl Lister {
    /// Lists these names in this order; `None`: as they come.
    pub(super) fn start(
        mut names: Vec<String>,
        order: Option<OrderKey>,
        page: usize,
        script: impl Fn(&Ask) -> Say + Send + Sync + 'static,
    ) -> Self {
        if let Some(order) = order {
            names.sort_by(|a, b| order.compare(a.as_bytes(), b.as_bytes()));
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/acc/data", listener.local_addr().unwrap());
        let state = Arc::new(State {
            names,
            page,
            script: Box::new(script),
            asked: Mutex::default(),
            touched: Mutex::default(),
            changed: Condvar::new(),
        });
        let theirs = Arc::clone(&state);
        // It ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&theirs);
                std::thread::spawn(move || state.serve(stream));
            }
        });
        Self { state, url }
    }

    /// The container's URL.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn asked(&self) -> Vec<Ask> {
        self.state.asked.lock().unwrap().clone()
    }

    /// Waits until so many pages were asked for.
    pub(super) fn wait_for(&self, pages: usize) {
        let asked = self.state.asked.lock().unwrap();
        drop(self.state.changed.wait_while(asked, |asked| asked.len() < pages).unwrap());
    }

    /// How often each blob was read or removed.
    pub(super) fn touched(&self) -> BTreeMap<String, usize> {
        self.state.touched.lock().unwrap().clone()
    }
}

impl State {
    /// Serves a connection until the client has enough; errors are the client's business.
    fn serve(&self, stream: TcpStream) -> Option<()> {
        let mut out = stream.try_clone().ok()?;
        let mut input = BufReader::new(stream);
        loop {
            let mut first = String::new();
            if input.read_line(&mut first).ok()? == 0 {
                return None;
            }
            let mut length = 0;
            loop {
                let mut line = String::new();
                input.read_line(&mut line).ok()?;
                if line.trim().is_empty() {
                    break;
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().ok()?;
                }
            }
            std::io::copy(&mut std::io::Read::take(&mut input, length), &mut std::io::sink()).ok()?;
            let mut words = first.split(' ');
            let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
            let (path, query) = target.split_once('?').unwrap_or((&target, ""));
            let name = decode(path.strip_prefix("/acc/data").unwrap_or_default());
            let name = name.strip_prefix('/').unwrap_or_default().to_owned();
            let query: BTreeMap<String, String> = query
                .split('&')
                .filter_map(|pair| pair.split_once('='))
                .map(|(key, value)| (key.to_owned(), decode(value)))
                .collect();
            let said = if query.get("comp").is_some_and(|comp| comp == "list") && method == "GET" {
                self.list(&query)
            } else {
                Some(self.blob(&method, &name, &query))
            };
            let Some((status, headers, body)) = said else {
                std::io::copy(&mut input, &mut std::io::sink()).ok()?;
                return None;
            };
            let head = format!(
                "HTTP/1.1 {status}\r\nx-ms-request-id: 1\r\nx-ms-version: 2025-07-05\r\n{headers}Content-Length: {}\r\n\r\n",
                body.len()
            );
            out.write_all(head.as_bytes()).ok()?;
            if method != "HEAD" {
                out.write_all(body.as_bytes()).ok()?;
            }
        }
    }

    fn blob(
        &self,
        method: &str,
        name: &str,
        query: &BTreeMap<String, String>,
    ) -> (&'static str, String, String) {
        if !query.is_empty() || !matches!(method, "GET" | "HEAD" | "DELETE") {
            return (
                "501 Not Implemented",
                "x-ms-error-code: APINotImplemented\r\n".to_owned(),
                String::new(),
            );
        }
        if !self.names.iter().any(|known| known == name) {
            return ("404 Not Found", "x-ms-error-code: BlobNotFound\r\n".to_owned(), String::new());
        }
        if method != "HEAD" {
            *self.touched.lock().unwrap().entry(name.to_owned()).or_default() += 1;
        }
        let headers =
            "ETag: \"1\"\r\nLast-Modified: Sun, 22 Nov 2026 04:00:00 GMT\r\nx-ms-blob-type: BlockBlob\r\n";
        match method {
            "DELETE" => ("202 Accepted", String::new(), String::new()),
            "GET" => {
                let range = format!("Content-Range: bytes 0-{}/{}\r\n", name.len() - 1, name.len());
                ("206 Partial Content", format!("{headers}{range}"), name.to_owned())
            }
            _ => ("200 OK", headers.to_owned(), name.to_owned()),
        }
    }

    fn list(&self, query: &BTreeMap<String, String>) -> Option<(&'static str, String, String)> {
        let text = |key: &str| query.get(key).cloned().unwrap_or_default();
        let ask = {
            let mut asked = self.asked.lock().unwrap();
            let ask = Ask {
                prefix: text("prefix"),
                marker: text("marker"),
                delimiter: query.contains_key("delimiter"),
                before: asked.len(),
            };
            asked.push(ask.clone());
            self.changed.notify_all();
            ask
        };
        let (entries, next) = match (self.script)(&ask) {
            Say::This(entries, next) => (entries, next),
            Say::Page => self.page(&ask),
            Say::Whole(document) => return Some(("200 OK", String::new(), document)),
            Say::Nothing => return None,
        };
        let mut xml = String::from("<?xml version=\"1.0\"?><EnumerationResults><Blobs>");
        for entry in entries {
            let is_prefix = ask.delimiter && entry.ends_with('/');
            let name = entry.replace('&', "&amp;").replace('<', "&lt;");
            let properties = format!(
                "<Properties><Content-Length>{}</Content-Length><Etag>1</Etag><BlobType>BlockBlob</BlobType>\
                 <Last-Modified>Sun, 22 Nov 2026 04:00:00 GMT</Last-Modified></Properties>",
                entry.len()
            );
            xml += &match is_prefix {
                true => format!("<BlobPrefix><Name>{name}</Name></BlobPrefix>"),
                false => format!("<Blob><Name>{name}</Name>{properties}</Blob>"),
            };
        }
        xml += &format!("</Blobs><NextMarker>{next}</NextMarker></EnumerationResults>");
        Some(("200 OK", "Content-Type: application/xml\r\n".to_owned(), xml))
    }

    /// The page that a service would send: markers are places in the list of names.
    fn page(&self, ask: &Ask) -> (Vec<String>, String) {
        let from = ask.marker.parse().unwrap_or(0);
        let mut entries: Vec<String> = Vec::new();
        for (at, name) in self.names.iter().enumerate().skip(from) {
            let Some(rest) = name.strip_prefix(&ask.prefix) else { continue };
            let entry = match rest.find('/').filter(|_| ask.delimiter) {
                Some(slash) => name[..ask.prefix.len() + slash + 1].to_owned(),
                None => name.clone(),
            };
            if entries.last() == Some(&entry) && entry.ends_with('/') {
                continue;
            }
            if entries.len() == self.page {
                return (entries, at.to_string());
            }
            entries.push(entry);
        }
        (entries, String::new())
    }
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8().unwrap().into_owned()
}
