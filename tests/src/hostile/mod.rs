//! A hostile server: HTTP/1.1 whose every answer a test decides, byte by byte if it wants.
//!
//! ```text
//!   azuring ──> Hostile ── first Rule that fits ──> Answer: own, or what the server behind it says, altered
//!                  └────── none fits ─────────────> the server behind it as it is (azsim), or a bare 404
//! ```
//!
//! ```ignore
//! let hostile = Hostile::before(fixture.server().addr(), vec![
//!     Rule::on("PUT", "a.txt").nth(1).answer(Answer::passed().status(503)),    // applied, and told as a failure
//!     Rule::on("GET", "").query("comp=list").answer(Answer::status(200).body("<html>Log in</html>")),
//! ]);
//! fixture.run(["copy", file, &hostile.via(&fixture.url())]);
//! assert_eq!(hostile.requests_of("PUT", "a.txt").len(), 2);
//! ```
//!
//! Invariants: a rule is used up in the order of the requests; what was received whole is recorded before it is
//! answered; nothing here waits for time unless an answer says so ([`Answer::drip`]), and a [`Gate`] lets the test say
//! when.
//!
//! Without anything else of this crate: the tests of `engine` include the directory too (`#[path]`), so that there is
//! one.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "test code")]

mod answer;
mod wire;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

#[allow(unused_imports, reason = "each test file uses a part of it")]
pub use answer::{Answer, End, Gate};
#[allow(unused_imports, reason = "each test file uses a part of it")]
pub use wire::{Received, Response};

/// What a test waits for comes within this time, or never.
const PATIENCE: Duration = Duration::from_secs(180);

/// Which requests, and what becomes of them.
#[derive(Clone, Debug)]
pub struct Rule {
    method: String,
    path: String,
    query: Vec<String>,
    /// So many that fit pass first.
    skip: usize,
    /// So many are answered after that.
    count: usize,
    answer: Answer,
}

impl Rule {
    /// Every request of this method (empty: any) whose path contains `path`. Paths and queries are compared as they
    /// were sent, percent-encoded.
    #[must_use]
    pub fn on(method: &str, path: &str) -> Self {
        let (method, path) = (method.to_owned(), path.to_owned());
        Self { method, path, query: Vec::new(), skip: 0, count: usize::MAX, answer: Answer::passed() }
    }

    /// Only those whose query contains `part` too.
    #[must_use]
    pub fn query(mut self, part: &str) -> Self {
        self.query.push(part.to_owned());
        self
    }

    /// Only the n-th of them, the first being 1.
    #[must_use]
    pub fn nth(mut self, n: usize) -> Self {
        (self.skip, self.count) = (n - 1, 1);
        self
    }

    /// All but the first `n`.
    #[must_use]
    pub fn after(mut self, n: usize) -> Self {
        self.skip = n;
        self
    }

    /// No more than `n` of them.
    #[must_use]
    pub fn times(mut self, n: usize) -> Self {
        self.count = n;
        self
    }

    /// What becomes of them.
    #[must_use]
    pub fn answer(mut self, answer: Answer) -> Self {
        self.answer = answer;
        self
    }

    fn fits(&self, request: &Received) -> bool {
        (self.method.is_empty() || self.method == request.method)
            && request.path().contains(&self.path)
            && self.query.iter().all(|part| request.query().contains(part.as_str()))
    }
}

/// A running server on a free loopback port. It ends with the test's process.
#[derive(Clone, Debug)]
pub struct Hostile {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    upstream: Option<SocketAddr>,
    /// Each with the number of requests that it has fitted.
    rules: Mutex<Vec<(Rule, usize)>>,
    received: Mutex<Vec<Received>>,
    came: Condvar,
}

impl Hostile {
    /// A server of these rules alone; what fits none gets a bare 404.
    ///
    /// # Panics
    /// When a socket cannot be made.
    #[must_use]
    pub fn start(rules: Vec<Rule>) -> Self {
        Self::run(None, rules)
    }

    /// A server in front of another one, which gets what the rules let pass. Plain HTTP both ways.
    ///
    /// # Panics
    /// When a socket cannot be made.
    #[must_use]
    pub fn before(upstream: SocketAddr, rules: Vec<Rule>) -> Self {
        Self::run(Some(upstream), rules)
    }

    fn run(upstream: Option<SocketAddr>, rules: Vec<Rule>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let rules = Mutex::new(rules.into_iter().map(|rule| (rule, 0)).collect());
        let shared = Shared { upstream, rules, received: Mutex::default(), came: Condvar::new() };
        let shared = Arc::new(shared);
        let of_threads = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming() {
                let shared = Arc::clone(&of_threads);
                // A client that hangs up is the test's business.
                thread::spawn(move || client.and_then(|client| shared.serve(client)));
            }
        });
        Self { address, shared }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://` and its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The same URL, but to this server. Signatures hold: neither a SAS nor a key signs the host.
    ///
    /// # Panics
    /// When it is none of `http://HOST/...`.
    #[must_use]
    pub fn via(&self, url: &str) -> String {
        let rest = url.strip_prefix("http://").expect("the hostile server speaks plain HTTP");
        let path = rest.find('/').map_or("", |slash| &rest[slash..]);
        format!("{}{path}", self.url())
    }

    /// Puts a rule in front of the others, while it runs too.
    pub fn add(&self, rule: Rule) {
        self.shared.rules.lock().unwrap().insert(0, (rule, 0));
    }

    /// Takes all rules away.
    pub fn relent(&self) {
        self.shared.rules.lock().unwrap().clear();
    }

    /// Everything that was asked, in the order in which it had arrived whole.
    #[must_use]
    pub fn requests(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap().clone()
    }

    /// Of these, those that a rule for this method and path would fit.
    #[must_use]
    pub fn requests_of(&self, method: &str, path: &str) -> Vec<Received> {
        let rule = Rule::on(method, path);
        self.requests().into_iter().filter(|request| rule.fits(request)).collect()
    }

    /// Waits until `seen` is true of the requests so far.
    ///
    /// # Panics
    /// When it does not become true in three minutes.
    #[track_caller]
    pub fn wait_until(&self, seen: impl Fn(&[Received]) -> bool) {
        let received = self.shared.received.lock().unwrap();
        let waited = self.shared.came.wait_timeout_while(received, PATIENCE, |all| !seen(all)).unwrap();
        assert!(!waited.1.timed_out(), "it has not come; what came: {:#?}", *waited.0);
    }
}

impl Shared {
    /// Requests of one connection, until an answer ends it.
    fn serve(&self, mut client: TcpStream) -> std::io::Result<()> {
        client.set_nodelay(true)?;
        let mut rest = Vec::new();
        loop {
            let Some(mut request) = wire::read_head(&mut client, &mut rest)? else { return Ok(()) };
            // An answer that does not wait for the body is chosen by the head alone.
            let answer = self.choose(&request);
            if !answer.is_early() {
                wire::read_body(&mut client, &mut rest, &mut request)?;
            }
            self.received.lock().unwrap().push(request.clone());
            self.came.notify_all();
            if !answer.send(&mut client, &request, self.upstream)? {
                return Ok(());
            }
        }
    }

    /// The first rule that fits and is not used up. Each that fits is counted.
    fn choose(&self, request: &Received) -> Answer {
        for (rule, seen) in self.rules.lock().unwrap().iter_mut() {
            if rule.fits(request) {
                *seen += 1;
                if *seen > rule.skip && *seen - rule.skip <= rule.count {
                    return rule.answer.clone();
                }
            }
        }
        if self.upstream.is_some() { Answer::passed() } else { Answer::status(404) }
    }
}
