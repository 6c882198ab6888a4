//! Counters: cheap to raise from any thread, read as one snapshot.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::route::Operation;

/// What a server has done so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Requests whose head was read, faults included. A batch is one.
    pub requests: u64,
    /// Requests that were parts of a batch.
    pub batch_parts: u64,
    /// Both by operation; operations that were never asked for are absent.
    pub by_operation: BTreeMap<Operation, u64>,
    /// Those of them that came from a server itself, as the destination of a copy whose source is here.
    pub of_services: BTreeMap<Operation, u64>,
    /// Bytes of request bodies.
    pub bytes_in: u64,
    /// Bytes of response bodies, counted when the answer begins.
    pub bytes_out: u64,
    /// Bytes that this server read from sources of copies: they are in no `bytes_in`.
    pub bytes_fetched: u64,
    /// TCP connections accepted.
    pub connections: u64,
    /// TLS handshakes completed.
    pub tls_handshakes: u64,
    /// Requests in progress now.
    pub in_flight: u64,
    /// Most requests in progress at one moment.
    pub in_flight_max: u64,
    /// Error answers by `x-ms-error-code`; those without a code stand under their status.
    pub errors: BTreeMap<String, u64>,
    /// Faults committed, by name: `503 ServerBusy`, `reset`, `cut body`, ...
    pub faults: BTreeMap<String, u64>,
}

/// The counters of one worker thread, so that threads do not share cache lines.
pub(crate) struct Counters {
    by_operation: [AtomicU64; Operation::ALL.len()],
    parts: [AtomicU64; Operation::ALL.len()],
    of_services: [AtomicU64; Operation::ALL.len()],
    bytes_in: AtomicU64,
    bytes_fetched: AtomicU64,
    bytes_out: AtomicU64,
    connections: AtomicU64,
    tls_handshakes: AtomicU64,
    errors: Mutex<BTreeMap<String, u64>>,
}

impl Default for Counters {
    fn default() -> Counters {
        Counters {
            by_operation: std::array::from_fn(|_| AtomicU64::new(0)),
            parts: std::array::from_fn(|_| AtomicU64::new(0)),
            of_services: std::array::from_fn(|_| AtomicU64::new(0)),
            bytes_in: AtomicU64::new(0),
            bytes_fetched: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            tls_handshakes: AtomicU64::new(0),
            errors: Mutex::default(),
        }
    }
}

impl Counters {
    pub(crate) fn request(&self, operation: Operation) {
        self.by_operation[operation as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one request in a batch.
    pub(crate) fn part(&self, operation: Operation) {
        self.parts[operation as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts, beside [`request`](Self::request), one that came from a server itself.
    pub(crate) fn of_service(&self, operation: Operation) {
        self.of_services[operation as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn fetched(&self, bytes: u64) {
        self.bytes_fetched.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn received(&self, bytes: u64) {
        self.bytes_in.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn sent(&self, bytes: u64) {
        self.bytes_out.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn connection(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn handshake(&self) {
        self.tls_handshakes.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn error(&self, code: &str, status: u16) {
        let key = if code.is_empty() { status.to_string() } else { code.to_owned() };
        *self.errors.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default() += 1;
    }

    /// Adds these counters to a snapshot.
    pub(crate) fn add_to(&self, stats: &mut Stats) {
        let counts = self.by_operation.iter().zip(&self.parts);
        for (operation, (whole, parts)) in Operation::ALL.iter().zip(counts) {
            let (whole, parts) = (whole.load(Ordering::Relaxed), parts.load(Ordering::Relaxed));
            if whole + parts > 0 {
                *stats.by_operation.entry(*operation).or_default() += whole + parts;
                stats.requests += whole;
                stats.batch_parts += parts;
            }
        }
        for (operation, count) in Operation::ALL.iter().zip(&self.of_services) {
            let count = count.load(Ordering::Relaxed);
            if count > 0 {
                *stats.of_services.entry(*operation).or_default() += count;
            }
        }
        stats.bytes_fetched += self.bytes_fetched.load(Ordering::Relaxed);
        stats.bytes_in += self.bytes_in.load(Ordering::Relaxed);
        stats.bytes_out += self.bytes_out.load(Ordering::Relaxed);
        stats.connections += self.connections.load(Ordering::Relaxed);
        stats.tls_handshakes += self.tls_handshakes.load(Ordering::Relaxed);
        for (code, count) in self.errors.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            *stats.errors.entry(code.clone()).or_default() += count;
        }
    }
}

/// Requests in progress over all threads.
#[derive(Default)]
pub(crate) struct InFlight {
    now: AtomicU64,
    max: AtomicU64,
}

impl InFlight {
    /// Counts one request until the guard is dropped.
    pub(crate) fn enter(&self) -> InFlightGuard<'_> {
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        if now > self.max.load(Ordering::Relaxed) {
            self.max.fetch_max(now, Ordering::Relaxed);
        }
        InFlightGuard(self)
    }

    pub(crate) fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    pub(crate) fn max(&self) -> u64 {
        self.max.load(Ordering::Relaxed)
    }
}

/// Leaves the count when dropped.
pub(crate) struct InFlightGuard<'a>(&'a InFlight);

impl Drop for InFlightGuard<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_add_up_over_threads() {
        assert!(Operation::ALL.iter().enumerate().all(|(i, o)| *o as usize == i));
        let (a, b) = (Counters::default(), Counters::default());
        a.request(Operation::PutBlob);
        b.request(Operation::PutBlob);
        b.request(Operation::GetBlob);
        a.error("BlobNotFound", 404);
        b.error("", 500);
        let mut stats = Stats::default();
        a.add_to(&mut stats);
        b.add_to(&mut stats);
        assert_eq!(stats.requests, 3);
        assert_eq!(stats.by_operation[&Operation::PutBlob], 2);
        assert_eq!((stats.errors["BlobNotFound"], stats.errors["500"]), (1, 1));
    }

    #[test]
    fn the_maximum_in_flight_is_kept() {
        let in_flight = InFlight::default();
        let first = in_flight.enter();
        drop(in_flight.enter());
        drop(first);
        drop(in_flight.enter());
        assert_eq!(in_flight.max(), 2);
    }
}
