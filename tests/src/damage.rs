//! A proxy that damages what passes: what a network, a middlebox or a failing machine does to connections.
//!
//! Which damage is fair depends on what can be noticed. TLS notices everything, so there any byte is changed, left out
//! or doubled. Plain HTTP notices nothing by itself: of it only those bodies are changed that have a checksum beside
//! them (a changed head, listing or list of blocks can say anything, as HTTP has it, and nobody could tell). Cut off,
//! reset, delayed and taken apart is everything.

use std::collections::{BTreeMap, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use azuring_bench::workload::Noise;
use socket2::SockRef;

/// What passes the proxy, and so what damage can be noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// HTTP/1.1: bodies with a CRC64 in their head are changed.
    Http,
    /// TLS: anything is changed.
    Tls,
}

/// Something bad, once in a connection and direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Damage {
    /// Both ends see a reset.
    Reset,
    /// Both ends see the other one close.
    Close,
    /// Nothing passes any more in this direction, and nobody is told.
    Stall,
    /// A bit is another.
    Flip,
    /// A few bytes are left out.
    Drop,
    /// A few bytes come twice.
    Double,
    /// The next bytes come in pieces of a few.
    Dribble,
    /// The next bytes are kept until no more come for a moment, and then come together.
    Merge,
}

const OF_HTTP: &[Damage] = &[
    Damage::Reset,
    Damage::Close,
    Damage::Stall,
    Damage::Flip,
    Damage::Flip,
    Damage::Dribble,
    Damage::Merge,
];
const OF_TLS: &[Damage] = &[
    Damage::Reset,
    Damage::Close,
    Damage::Stall,
    Damage::Flip,
    Damage::Drop,
    Damage::Double,
    Damage::Dribble,
    Damage::Merge,
];

/// So many bytes are dribbled.
const DRIBBLED: usize = 600;
/// When nothing more comes for so long, what was kept is passed on.
const MOMENT: Duration = Duration::from_millis(15);

/// A running proxy in front of one server. A seed chooses what happens; which connection is which depends on the
/// client.
#[derive(Debug)]
pub struct DamagingProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    wire: Wire,
    seed: u64,
    /// Damages still to come: after them all is well, and a job that repeats gets through.
    left: AtomicU64,
    connections: AtomicU64,
    happened: Mutex<BTreeMap<String, u64>>,
}

impl DamagingProxy {
    /// A proxy to `target` that damages at most `most` times.
    ///
    /// # Panics
    /// When a socket cannot be made.
    #[must_use]
    pub fn start(target: SocketAddr, wire: Wire, seed: u64, most: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            target,
            wire,
            seed,
            left: AtomicU64::new(most),
            connections: AtomicU64::new(0),
            happened: Mutex::default(),
        });
        let of_threads = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = Arc::clone(&of_threads);
                thread::spawn(move || shared.serve(client));
            }
        });
        Self { address, shared }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it did, with how often.
    #[must_use]
    pub fn happened(&self) -> BTreeMap<String, u64> {
        locked(&self.shared.happened).clone()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn serve(&self, client: TcpStream) {
        // A target that is gone, as a client that is, is the test's business.
        let Ok(server) = TcpStream::connect(self.target) else { return };
        for socket in [&client, &server] {
            let _ = socket.set_nodelay(true);
        }
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        let mut random = Noise::new(self.seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let heads = Heads::default();
        let [up, down] = [true, false].map(|up| {
            let plan = Plan::draw(&mut random, self.wire);
            (up, plan, Noise::new(random.next_u64()))
        });
        thread::scope(|scope| {
            let (client, server, heads) = (&client, &server, &heads);
            scope.spawn(move || self.pass(client, server, up, heads));
            self.pass(server, client, down, heads);
        });
    }

    /// Passes one direction on, damaged as planned.
    fn pass(&self, from: &TcpStream, to: &TcpStream, way: (bool, Plan, Noise), heads: &Heads) {
        let (up, plan, mut random) = way;
        let mut plan = Some(plan);
        let mut framing = Framing::new(up);
        let (mut passed, mut piece) = (0, vec![0; 16 << 10]);
        let (mut from, mut to) = (from, to);
        while let Ok(len @ 1..) = from.read(&mut piece) {
            let mut bytes = piece[..len].to_vec();
            let covered = match self.wire {
                Wire::Http => framing.covered(&bytes, heads),
                Wire::Tls => vec![true; len],
            };
            let due = plan.filter(|plan| plan.at < passed + len);
            passed += len;
            if let Some(due) = due {
                let at = due.at.saturating_sub(passed - len);
                // A bit is changed where that can be noticed, at this place or after it.
                let at = if due.damage == Damage::Flip {
                    covered.iter().skip(at).position(|covered| *covered).map(|n| at + n)
                } else {
                    Some(at)
                };
                if let Some(at) = at {
                    plan = None;
                    if self.may(due.damage, up) {
                        match due.damage {
                            Damage::Reset | Damage::Close => {
                                let _ = to.write_all(&bytes[..at]);
                                end(from, to, due.damage);
                                return;
                            }
                            Damage::Stall => {
                                let _ = to.write_all(&bytes[..at]);
                                while let Ok(1..) = from.read(&mut piece) {}
                                let _ = to.shutdown(Shutdown::Write);
                                return;
                            }
                            Damage::Flip => bytes[at] ^= 1 << random.below(8),
                            Damage::Drop => {
                                let end = (at + 1 + random.below(16) as usize).min(bytes.len());
                                bytes.drain(at..end);
                            }
                            Damage::Double => {
                                let end = (at + 1 + random.below(16) as usize).min(bytes.len());
                                let twice = bytes[at..end].to_vec();
                                bytes.splice(at..at, twice);
                            }
                            Damage::Dribble => {
                                let (few, rest) = bytes.split_at(bytes.len().min(DRIBBLED));
                                let mut few = few;
                                while !few.is_empty() {
                                    let (now, later) =
                                        few.split_at((1 + random.below(7) as usize).min(few.len()));
                                    if to.write_all(now).is_err() {
                                        break;
                                    }
                                    thread::yield_now();
                                    few = later;
                                }
                                bytes = rest.to_vec();
                            }
                            Damage::Merge => {
                                let _ = from.set_read_timeout(Some(MOMENT));
                                while bytes.len() < 256 << 10 {
                                    match from.read(&mut piece) {
                                        Ok(more @ 1..) => {
                                            if self.wire == Wire::Http {
                                                framing.covered(&piece[..more], heads);
                                            }
                                            bytes.extend_from_slice(&piece[..more]);
                                        }
                                        Err(error) if error.kind() == ErrorKind::Interrupted => {}
                                        _ => break,
                                    }
                                }
                                let _ = from.set_read_timeout(None);
                            }
                        }
                    }
                }
            }
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        // Whoever has nothing more to say is not waited for.
        let _ = to.shutdown(Shutdown::Write);
    }

    /// Whether there may be one more damage; counts it.
    fn may(&self, damage: Damage, up: bool) -> bool {
        let less = |left: u64| left.checked_sub(1);
        let may = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok();
        if may {
            let way = if up { "up" } else { "down" };
            *locked(&self.happened).entry(format!("{damage:?} {way}")).or_default() += 1;
        }
        may
    }
}

/// Ends both connections.
fn end(one: &TcpStream, other: &TcpStream, damage: Damage) {
    for socket in [one, other] {
        if damage == Damage::Reset {
            // Without lingering, closing is a reset; it is closed when both directions have seen this.
            let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
            let _ = socket.shutdown(Shutdown::Read);
        } else {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

/// What is to happen in one direction.
#[derive(Clone, Copy, Debug)]
struct Plan {
    /// After so many bytes.
    at: usize,
    damage: Damage,
}

impl Plan {
    fn draw(random: &mut Noise, wire: Wire) -> Self {
        let kinds = if wire == Wire::Http { OF_HTTP } else { OF_TLS };
        let damage = kinds[random.below(kinds.len() as u64) as usize];
        // Within a head, a small exchange, some of them, a large one; every fourth direction is left alone.
        let within = [0, 200, 3_000, 40_000, 400_000, 400_000][random.below(6) as usize];
        let at = if within == 0 { usize::MAX } else { random.below(within) as usize };
        Self { at, damage }
    }
}

/// The requests whose answers are still to come: whether they are HEAD, which have none of the bodies they tell of.
#[derive(Debug, Default)]
struct Heads(Mutex<VecDeque<bool>>);

/// Where the bodies are in a direction of an HTTP/1.1 connection.
#[derive(Debug)]
struct Framing {
    up: bool,
    head: Vec<u8>,
    /// What is left of a body, and whether it has a checksum.
    body: (u64, bool),
    /// Something that this does not read: nothing after it is known.
    lost: bool,
}

impl Framing {
    fn new(up: bool) -> Self {
        Self { up, head: Vec::new(), body: (0, false), lost: false }
    }

    /// For each of these bytes, which come next, whether a checksum covers it.
    fn covered(&mut self, bytes: &[u8], heads: &Heads) -> Vec<bool> {
        let mut covered = Vec::with_capacity(bytes.len());
        for byte in bytes {
            if self.lost {
                covered.push(false);
            } else if self.body.0 > 0 {
                covered.push(self.body.1);
                self.body.0 -= 1;
            } else {
                covered.push(false);
                self.head.push(*byte);
                if self.head.ends_with(b"\r\n\r\n") {
                    self.begin_body(heads);
                    self.head.clear();
                }
            }
        }
        covered
    }

    fn begin_body(&mut self, heads: &Heads) {
        let head = String::from_utf8_lossy(&self.head).to_ascii_lowercase();
        let mut lines = head.lines();
        let first = lines.next().unwrap_or_default();
        let fields: BTreeMap<&str, &str> = lines.filter_map(|line| line.split_once(": ")).collect();
        let status: Vec<&str> = first.split(' ').collect();
        let no_body = if self.up {
            locked(&heads.0).push_back(first.starts_with("head "));
            false
        } else if status.get(1).is_some_and(|status| status.starts_with('1')) {
            true
        } else {
            let of_head = locked(&heads.0).pop_front().unwrap_or(false);
            of_head || matches!(status.get(1), Some(&("204" | "304")))
        };
        self.lost = fields.contains_key("transfer-encoding");
        let len = fields.get("content-length").and_then(|len| len.parse().ok()).unwrap_or(0);
        let checked = fields.contains_key("x-ms-content-crc64");
        self.body = (if no_body { 0 } else { len }, checked);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covered(framing: &mut Framing, text: &str, heads: &Heads) -> String {
        let marks = framing.covered(text.as_bytes(), heads);
        text.bytes().zip(marks).filter(|(_, covered)| *covered).map(|(byte, _)| char::from(byte)).collect()
    }

    #[test]
    fn only_what_has_a_checksum_is_changed_over_http() {
        let (heads, mut up, mut down) = (Heads::default(), Framing::new(true), Framing::new(false));
        let put = "PUT /a HTTP/1.1\r\nContent-Length: 3\r\nx-ms-content-crc64: q\r\n\r\nabc";
        let list = "PUT /a?comp=blocklist HTTP/1.1\r\ncontent-length: 2\r\n\r\nxy";
        let head = "HEAD /a HTTP/1.1\r\n\r\n";
        assert_eq!(covered(&mut up, &format!("{put}{list}{head}{put}"), &heads), "abcabc");
        let none = "HTTP/1.1 201 Created\r\ncontent-length: 0\r\nx-ms-content-crc64: q\r\n\r\n";
        let wait = "HTTP/1.1 100 Continue\r\n\r\n";
        let of_head = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\nx-ms-content-crc64: q\r\n\r\n";
        let get = "HTTP/1.1 206 Partial\r\nx-ms-content-crc64: q\r\ncontent-length: 4\r\n\r\nmore";
        let answers = format!("{wait}{none}{none}{of_head}{get}");
        let (one, two) = answers.split_at(answers.len() - 2);
        let read = covered(&mut down, one, &heads) + &covered(&mut down, two, &heads);
        assert_eq!(read, "more");
        let chunked =
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nx-ms-content-crc64: q\r\n\r\n1\r\na\r\n";
        assert_eq!(covered(&mut down, chunked, &heads), "");
    }

    #[test]
    fn what_passes_is_damaged_as_often_as_it_was_told_to_be() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || {
                    let mut back = stream.try_clone().unwrap();
                    let _ = std::io::copy(&mut &stream, &mut back);
                });
            }
        });
        let sent = vec![7; 2_000];
        for (most, enough) in [(0, 0), (5, 5)] {
            let proxy = DamagingProxy::start(target, Wire::Tls, 3, most);
            for _ in 0..60 {
                let mut stream = TcpStream::connect(proxy.address()).unwrap();
                stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
                let _ = stream.write_all(&sent);
                let _ = stream.shutdown(Shutdown::Write);
                let mut back = Vec::new();
                let read = stream.read_to_end(&mut back);
                assert!(most > 0 || (read.is_ok() && back == sent));
            }
            assert_eq!(proxy.happened().values().sum::<u64>(), enough, "{:?}", proxy.happened());
        }
    }
}
