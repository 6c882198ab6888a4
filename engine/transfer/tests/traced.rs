//! What somebody sees who listens with `tracing`: each request with its answer, whose job it is of, and no secret.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod kit;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::{Debug, Write as _};
use std::io::{Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use azsim::{Fault, Faults, NameMatch, Operation, Rule};
use azuring_transfer::{BlobUrl, Credential, Job, JobOptions, Limits, RetryPolicy, StopHandle};
use kit::Bench;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_core::span::Current;

/// A span or an event.
#[derive(Clone, Debug)]
struct Seen {
    of: &'static Metadata<'static>,
    name: String,
    target: String,
    level: Level,
    fields: BTreeMap<String, String>,
    /// The span that it lies in.
    within: Option<usize>,
    is_span: bool,
}

/// Keeps everything. A span's id is its place in the list, from 1.
#[derive(Default)]
struct Listener(Mutex<Vec<Seen>>);

thread_local! {
    static ENTERED: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

struct Fields<'a>(&'a mut BTreeMap<String, String>);

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut text = String::new();
        write!(text, "{value:?}").unwrap();
        self.0.insert(field.name().to_owned(), text);
    }
}

impl Listener {
    fn seen(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.0.lock().unwrap()
    }

    fn keep(
        &self,
        of: &'static Metadata<'static>,
        within: Option<usize>,
        is_span: bool,
        fill: impl FnOnce(&mut Fields<'_>),
    ) -> usize {
        let mut fields = BTreeMap::new();
        fill(&mut Fields(&mut fields));
        let (name, target, level) = (of.name().to_owned(), of.target().to_owned(), *of.level());
        let mut seen = self.seen();
        seen.push(Seen { of, name, target, level, fields, within, is_span });
        seen.len()
    }
}

fn innermost() -> Option<usize> {
    ENTERED.with_borrow(|entered| entered.last().copied())
}

impl Subscriber for &'static Listener {
    fn enabled(&self, of: &Metadata<'_>) -> bool {
        // Others' words are not ours: hyper and h2 have spans of their own.
        of.target().starts_with("azuring") || of.target() == "embedder"
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let within = match span.parent() {
            Some(parent) => Some(parent.into_u64() as usize),
            None if span.is_contextual() => innermost(),
            None => None,
        };
        let id = self.keep(span.metadata(), within, true, |fields| span.record(fields));
        Id::from_u64(id as u64)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        values.record(&mut Fields(&mut self.seen()[span.into_u64() as usize - 1].fields));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.keep(event.metadata(), innermost(), false, |fields| event.record(fields));
    }

    fn enter(&self, span: &Id) {
        ENTERED.with_borrow_mut(|entered| entered.push(span.into_u64() as usize));
    }

    fn current_span(&self) -> Current {
        match innermost() {
            Some(span) => Current::new(Id::from_u64(span as u64), self.seen()[span - 1].of),
            None => Current::none(),
        }
    }

    fn exit(&self, _: &Id) {
        let _ = ENTERED.with_borrow_mut(Vec::pop);
    }
}

/// All tests of this file listen together: a process has one listener.
fn listener() -> &'static Listener {
    static LISTENER: OnceLock<&'static Listener> = OnceLock::new();
    LISTENER.get_or_init(|| {
        let listener: &'static Listener = Box::leak(Box::default());
        tracing::subscriber::set_global_default(listener).unwrap();
        listener
    })
}

/// What lies in the span of this job, at whatever depth.
fn of_job(id: &str) -> Vec<Seen> {
    let seen = listener().seen();
    let is_in_it = |one: &&Seen| {
        let mut at = one.within;
        while let Some(span) = at {
            let span = &seen[span - 1];
            if span.name == "job" && span.fields.get("id").is_some_and(|other| other == id) {
                return true;
            }
            at = span.within;
        }
        false
    };
    seen.iter().filter(is_in_it).cloned().collect()
}

fn options() -> JobOptions {
    JobOptions::default()
        .limits(Limits::here().lanes(2))
        .retry(RetryPolicy::default().max_tries(3).first_pause(Duration::from_millis(1)))
}

fn job(bench: &Bench, name: &str) -> (String, Job) {
    let url = bench.url("");
    let credential = Credential::find(&url, |_| None).unwrap();
    let job = Job::upload(bench.dir.path().join(name), url, credential).options(options()).build().unwrap();
    (job.plan().id.clone(), job)
}

fn field<'a>(seen: &'a Seen, name: &str) -> &'a str {
    seen.fields.get(name).map_or("", |text| text)
}

#[test]
fn a_throttled_upload_shows_its_requests_with_their_answers_and_the_repetition() {
    listener();
    let bench = Bench::new();
    std::fs::write(bench.dir.path().join("calm"), "x").unwrap();
    std::fs::write(bench.dir.path().join("busy"), "x").unwrap();
    let busy = Rule {
        name: NameMatch::Contains("busy".to_owned()),
        operation: Some(Operation::PutBlob),
        fault: Fault::error(503, "ServerBusy"),
        skip: 0,
        count: 1,
    };
    bench.server.set_faults(Faults { rules: vec![busy], ..Faults::default() });
    let (id, job) = job(&bench, "busy");
    let (other_id, other) = self::job(&bench, "calm");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // The embedder's own span, which both ways of running a job lie in.
    let (one, two) = {
        let _mine = tracing::info_span!(target: "embedder", "nightly").entered();
        let other = other.start().unwrap();
        (job.run(&StopHandle::new(), |_| {}), runtime.block_on(other.outcome()))
    };
    assert_eq!((one.counts.done, two.counts.done), (1, 1));

    let seen = of_job(&id);
    let puts: Vec<_> = seen.iter().filter(|one| field(one, "operation") == "Put Blob").collect();
    let statuses: Vec<_> = puts.iter().map(|put| field(put, "status")).collect();
    assert_eq!(statuses, ["503", "201"], "{seen:#?}");
    for put in &puts {
        assert_eq!((&*put.name, put.level, put.is_span), ("request", Level::DEBUG, true));
        assert!(put.target.starts_with("azuring_azure"), "{}", put.target);
        assert_eq!((field(put, "method"), field(put, "body_len")), ("PUT", "1"));
        assert!(field(put, "container").ends_with("/cont") && !field(put, "request_id").is_empty());
    }
    let event = |message: &str| {
        let found = seen.iter().find(|one| field(one, "message") == message);
        found.unwrap_or_else(|| panic!("{message}: {seen:#?}")).clone()
    };
    let refused = event("refused");
    assert_eq!((field(&refused, "code"), field(&refused, "class")), ("ServerBusy", "Throttle"));
    assert_eq!(field(&event("sent again after a pause"), "tries"), "1");
    assert_eq!(field(&event("connected"), "tls"), "false");
    // Names are told at TRACE alone.
    let names: Vec<_> =
        seen.iter().filter(|one| one.fields.values().any(|text| text.contains("busy"))).collect();
    assert!(!names.is_empty() && names.iter().all(|one| one.level == Level::TRACE), "{names:#?}");

    // The other job's are its own, and both lie in the embedder's span.
    let others = of_job(&other_id);
    let puts: Vec<_> = others.iter().filter(|one| field(one, "operation") == "Put Blob").collect();
    assert_eq!(puts.iter().map(|put| field(put, "status")).collect::<Vec<_>>(), ["201"]);
    let all = listener().seen();
    for id in [&id, &other_id] {
        let span = all.iter().find(|one| one.name == "job" && field(one, "id") == *id).unwrap();
        assert_eq!(all[span.within.unwrap() - 1].name, "nightly");
    }
}

/// Reads a request up to its body and answers with what it has asked for, wherever there is room for it.
fn repeat(mut stream: TcpStream) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).unwrap_or(0) == 0 {
            return;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let url = head.split(' ').nth(1).unwrap();
    let all = head.replace("\r\n", " ");
    let body = format!("<?xml version=\"1.0\"?><Error><Code>{url}</Code><Message>{all}</Message></Error>");
    let answer = format!(
        "HTTP/1.1 400 {all}\r\nx-ms-error-code: {url}\r\nx-ms-request-id: {url}\r\nx-ms-version: 2023-11-03\r\n\
         location: {url}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let _ = stream.write_all(answer.as_bytes());
}

#[test]
fn no_signature_and_no_key_is_in_it_whatever_the_answer_repeats() {
    const SIGNATURE: &str = "TracedSignature0123456789abcdefghijklmnopqQ";
    const KEY: &str = "VHJhY2VkS2V5VHJhY2VkS2V5VHJhY2VkS2V5VHJhY2VkS2V5VHJhY2VkS2V5VHJhY2U=";
    listener();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    std::thread::spawn(move || server.incoming().for_each(|stream| repeat(stream.unwrap())));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "x").unwrap();
    let base = format!("http://127.0.0.1:{port}/account/cont/x");
    let with_sas = format!("{base}?sv=2023-11-03&sr=c&sp=rwdl&se=2099-01-01T00:00:00Z&sig={SIGNATURE}%3D");
    for (url, key) in [(&with_sas, None), (&base, Some(KEY))] {
        let url = BlobUrl::parse(url).unwrap();
        let variables = |name: &str| key.filter(|_| name == "AZURE_STORAGE_KEY").map(str::to_owned);
        let credential = Credential::find(&url, variables).unwrap();
        let job = Job::upload(file.path(), url, credential).options(options()).build().unwrap();
        let id = job.plan().id.clone();
        let report = job.run(&StopHandle::new(), |_| {});
        assert_eq!(report.counts.done, 0);
        let told = of_job(&id);
        assert!(told.iter().any(|one| field(one, "message") == "refused"), "{told:#?}");
    }
    for one in &*listener().seen() {
        let text = format!("{one:?}");
        assert!(!text.contains(SIGNATURE) && !text.contains(&KEY[..20]), "{text}");
    }
}
