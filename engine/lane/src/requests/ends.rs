//! The remote ends of a job, each for itself: where it is, who the job is there, and how it has answered so far.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use azuring_azure::Access;
use azuring_job::failure::Side;
use azuring_job::verdict::Reception;
use azuring_link::TlsSetup;

use super::end::End;

/// One thing for each remote end of a job.
///
/// A job whose other end is the local file system, or that has only one place (a removal), has one remote end, which is
/// both: it is read from and written to, as far as the job does either.
#[derive(Clone, Debug)]
pub struct Ends<T> {
    from: T,
    to: Option<T>,
}

impl<T> Ends<T> {
    /// Of a job with one remote end.
    pub fn one(only: T) -> Self {
        Self { from: only, to: None }
    }

    /// Of a job that goes from one store to another.
    pub fn two(from: T, to: T) -> Self {
        Self { from, to: Some(to) }
    }

    /// Where objects are found and read.
    pub fn from(&self) -> &T {
        &self.from
    }

    /// Where objects are written, changed or removed.
    pub fn to(&self) -> &T {
        self.to.as_ref().unwrap_or(&self.from)
    }

    /// That of a side.
    pub fn at(&self, side: Side) -> &T {
        match side {
            Side::Source => self.from(),
            Side::Destination => self.to(),
        }
    }

    /// Whether they are two: a message has to say then which one it is about.
    pub fn are_two(&self) -> bool {
        self.to.is_some()
    }

    /// Each of them.
    pub fn each(&self) -> impl Iterator<Item = &T> + Clone {
        std::iter::once(&self.from).chain(&self.to)
    }

    /// Something made of each.
    pub fn map<U>(&self, mut make: impl FnMut(&T) -> U) -> Ends<U> {
        Ends { from: make(&self.from), to: self.to.as_ref().map(make) }
    }
}

/// A remote end of a job, shared by all threads.
pub struct RemoteEnd {
    /// Where it is, and with which credential requests go there.
    pub end: End,
    /// What the job's requests do to its objects.
    pub access: Access,
    pub(super) tls: Option<TlsSetup>,
    /// Whether it has accepted anything.
    pub reception: Reception,
    /// Exchanges of all clients, which share the least rate.
    pub(super) under_way: Arc<AtomicU32>,
    /// Cleared when the server turns out not to take checksums.
    crc64: AtomicBool,
    /// Cleared when it turns out not to compute those of ranges.
    range_crc64: AtomicBool,
    /// Set when it has taken one: later refusals have other reasons.
    crc64_taken: AtomicBool,
    /// Cleared when its account turns out to have no tiers.
    tiers: AtomicBool,
}

impl RemoteEnd {
    /// An end to which nothing was sent yet. `crc64`: whether bytes go with checksums, if it
    /// compares them, until it refuses them.
    pub fn new(end: End, access: Access, tls: Option<TlsSetup>, crc64: bool) -> Self {
        let sends_crc64 = crc64 && end.compares_crc64();
        Self {
            end,
            access,
            tls,
            reception: Reception::default(),
            under_way: Arc::default(),
            crc64: AtomicBool::new(sends_crc64),
            range_crc64: AtomicBool::new(crc64),
            crc64_taken: AtomicBool::new(false),
            tiers: AtomicBool::new(true),
        }
    }

    /// The same end for another session over the same links. What was found out of it is known, but for whether it
    /// accepts what is sent.
    #[must_use]
    pub fn again(&self) -> Self {
        let known = |flag: &AtomicBool| AtomicBool::new(flag.load(Ordering::Relaxed));
        Self {
            end: self.end.clone(),
            access: self.access,
            tls: self.tls.clone(),
            reception: Reception::default(),
            under_way: Arc::clone(&self.under_way),
            crc64: known(&self.crc64),
            range_crc64: known(&self.range_crc64),
            crc64_taken: known(&self.crc64_taken),
            tiers: known(&self.tiers),
        }
    }

    /// How its links are secured, where they are.
    pub fn tls(&self) -> Option<&TlsSetup> {
        self.tls.as_ref()
    }

    pub(crate) fn sends_crc64(&self) -> bool {
        self.crc64.load(Ordering::Relaxed)
    }

    /// Whether to ask for the checksums of ranges.
    pub(crate) fn asks_crc64(&self) -> bool {
        self.range_crc64.load(Ordering::Relaxed)
    }

    /// The server does not compute them. `true` for the first one to find out.
    pub(crate) fn asks_no_crc64(&self) -> bool {
        self.range_crc64.swap(false, Ordering::SeqCst)
    }

    /// Whether its blobs may be given tiers.
    pub(crate) fn has_tiers(&self) -> bool {
        self.tiers.load(Ordering::Relaxed)
    }

    /// Its account has none. `true` for the first one to find out.
    pub(crate) fn has_no_tiers(&self) -> bool {
        self.tiers.swap(false, Ordering::SeqCst)
    }

    /// The server has taken a checksum.
    pub(crate) fn crc64_accepted(&self) {
        if !self.crc64_taken.load(Ordering::Relaxed) {
            self.crc64_taken.store(true, Ordering::Relaxed);
        }
    }

    /// The server has refused a request for its checksum. `None`: not for that, since it has taken one before.
    /// Otherwise the request goes again without; `Some(true)` for the first one to find out.
    pub(crate) fn crc64_refused(&self) -> Option<bool> {
        if self.crc64_taken.load(Ordering::Relaxed) {
            return None;
        }
        Some(self.crc64.swap(false, Ordering::SeqCst))
    }
}
