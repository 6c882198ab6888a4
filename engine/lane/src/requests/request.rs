//! One request until it is answered for good: permits, repeats, counters.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use azuring_azure::{Access, Class, RequestError, ServiceError};
use azuring_job::end_error::EndError;
use azuring_job::failure::{Failure, FailureKind, Side};
use azuring_job::progress::{LaneCounters, add};
use azuring_job::retry::{self, Next};
use azuring_job::verdict::Verdict;
use hdrhistogram::Histogram;
use tokio::sync::{Notify, Semaphore};
use tracing::debug;

use crate::limits::patience::{self, wants_descriptor};
use crate::limits::rate::PAUSE_STEP;
use crate::requests::session::Session;

/// Who sends: a lane, or the planner.
pub struct Sender<'a> {
    /// Where it goes, and how it has gone so far.
    pub session: &'a Session,
    /// To which end.
    pub side: Side,
    /// Whether the service is to read the source for it: then it is slowed by what the source says.
    pub reads_source: bool,
    /// Who counts it.
    pub counters: &'a LaneCounters,
    /// One permit per request that may be in flight, served in order.
    pub permits: &'a Semaphore,
    /// How long answers took.
    pub latency_us: &'a RefCell<Histogram<u64>>,
    /// Tells a person something.
    pub notice: &'a dyn Fn(&str),
    /// Ends what is in flight.
    pub cut: &'a Cut,
}

/// Microseconds from 1 to an hour, two digits exact: 20 KiB.
pub fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 3_600_000_000, 2).expect("the bounds are valid")
}

/// Tells the requests of one thread that nobody waits for them any more.
#[derive(Debug, Default)]
pub struct Cut(Notify);

impl Cut {
    /// Runs `work`, which only reads, and ends what is in flight as soon as somebody interrupts the job: there is
    /// nothing to finish.
    pub async fn watch_reading<T>(&self, verdict: &Verdict, work: impl Future<Output = T>) -> T {
        let looking = async {
            loop {
                tokio::time::sleep(PAUSE_STEP).await;
                if verdict.interrupted() {
                    self.0.notify_waiters();
                }
            }
        };
        tokio::select! {
            done = work => done,
            () = looking => unreachable!("it looks for ever"),
        }
    }

    /// Looks whether the job is cut short, and says so; called now and then.
    pub(crate) fn look(&self, verdict: &Verdict) {
        if verdict.is_cut_short() {
            self.0.notify_waiters();
        }
    }

    /// Runs `work` and looks meanwhile.
    pub async fn watch<T>(&self, verdict: &Verdict, work: impl Future<Output = T>) -> T {
        let looking = async {
            loop {
                tokio::time::sleep(PAUSE_STEP).await;
                self.look(verdict);
            }
        };
        tokio::select! {
            done = work => done,
            () = looking => unreachable!("it looks for ever"),
        }
    }
}

/// A request that will not be repeated any more.
pub struct GaveUp {
    /// `None`: the job stopped before it was sent again.
    pub error: Option<EndError>,
    side: Side,
    tries: u32,
    stop_job: bool,
    maybe_done: bool,
}

impl GaveUp {
    /// The credential may not do this.
    pub fn forbidden(&self) -> bool {
        self.error.as_ref().is_some_and(EndError::forbidden)
    }

    /// The service says that there is no such object (the container being there).
    pub fn not_found(&self) -> bool {
        self.error.as_ref().is_some_and(EndError::not_found)
    }

    /// What the service said, if it was the service that refused.
    pub fn service(&self) -> Option<&ServiceError> {
        self.error.as_ref().and_then(EndError::service)
    }

    /// The object was to be new, and is there.
    pub(crate) fn already_exists(&self) -> bool {
        self.error.as_ref().is_some_and(EndError::already_exists)
    }

    /// Somebody else has written to the blob, has replaced or removed it, or holds it.
    pub(crate) fn is_of_another(&self) -> bool {
        self.service().is_some_and(|refusal| {
            refusal.precondition_failed()
                || refusal.append_position_differs()
                || refusal.lease_lost()
                || refusal.is_leased()
                || matches!(&*refusal.code, "InvalidBlobType" | "BlobNotFound")
        })
    }

    /// The blob does not have the lease that was named.
    pub(crate) fn lease_lost(&self) -> bool {
        self.service().is_some_and(ServiceError::lease_lost)
    }

    /// Whether the last attempt may have been carried out.
    pub(crate) fn leaves_open(&self) -> bool {
        self.error.as_ref().is_none_or(EndError::maybe_done)
    }

    /// The service's code is this one.
    pub(crate) fn has_code(&self, code: &str) -> bool {
        self.service().is_some_and(|refusal| refusal.code == code)
    }

    /// Whether an attempt may have been carried out, its answer having been lost.
    pub fn maybe_done(&self) -> bool {
        self.maybe_done
    }

    /// The object is not the one that was meant any more: another state, another length, or too short for a range of
    /// it.
    pub(crate) fn precondition_failed(&self) -> bool {
        self.error.as_ref().is_some_and(EndError::is_changed)
    }

    /// The failure of the object the request was for; stops the job if it concerns everything.
    pub fn for_object(self, session: &Session, object: &str) -> Box<Failure> {
        self.failure(session, object, None)
    }

    /// The same of a request that was for a listing.
    pub fn for_listing(self, session: &Session, object: &str) -> Box<Failure> {
        self.failure(session, object, Some(Access::List))
    }

    fn failure(self, session: &Session, object: &str, access: Option<Access>) -> Box<Failure> {
        let Some(error) = self.error else {
            let mut failure = Failure::interrupted(object);
            failure.tries = self.tries;
            return Box::new(failure);
        };
        // The destination tells what the source has answered.
        let side = if error.is_of_copy_source() { Side::Source } else { self.side };
        let remote = session.ends.at(side);
        let access = access.unwrap_or(remote.access);
        let mut failure = Failure::request(object, &error, self.tries, remote.end.credential(), access);
        if let Some(side) = session.named(side) {
            failure = failure.of_side(side);
            if error.service().is_some() {
                failure.reason += &format!(", refused by {}", remote.end);
            }
        }
        if error.concerns_all() {
            // There is none for any other object either; and what is not the service stores no other object either.
            session.verdict.stop_for(&failure);
        } else if self.stop_job {
            session.verdict.fatal(&remote.reception, &failure);
        } else if failure.kind == FailureKind::Authentication {
            session.verdict.refused(&remote.reception, &failure);
        }
        Box::new(failure)
    }
}

/// Whether a request is begun while the job stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// Not any more.
    UnlessStopping,
    /// It completes what was begun.
    Always,
    /// Not any more; and it waits neither for a permit nor for its turn, since those who have them depend on it.
    Ahead,
}

/// Counts a request as in flight until it is answered, or nobody waits for it any more.
struct InFlight<'a>(&'a LaneCounters);

impl<'a> InFlight<'a> {
    fn new(counters: &'a LaneCounters) -> Self {
        add(&counters.in_flight, 1);
        Self(counters)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        add(&self.0.in_flight, 1u64.wrapping_neg());
    }
}

/// Sends a request until it is accepted, hopeless, or out of attempts. `send` is told whether to send checksums; what
/// it does counts as one attempt, the reading of the answer included. Holds a permit only while it is in flight.
pub async fn request<T, E: Into<EndError>>(
    sender: &Sender<'_>,
    body_bytes: u64,
    begin: Begin,
    mut send: impl AsyncFnMut(bool) -> Result<T, E>,
) -> Result<T, GaveUp> {
    let Sender { session, side, counters, .. } = *sender;
    let remote = session.ends.at(side);
    let (mut tries, mut maybe_done, mut waited) = (0, false, 0);
    loop {
        if let Some(rate) = &session.rate {
            // What completes something does not wait any more when the job stops.
            rate.wait(|| begin == Begin::Ahead || session.verdict.stopping()).await;
        }
        if let Some(rate) = session.commons.as_ref().and_then(|commons| commons.rate.as_ref()) {
            rate.wait(|| begin == Begin::Ahead || session.verdict.stopping()).await;
        }
        let with_crc64 = remote.sends_crc64();
        let attempt = {
            // Whoever waits for the source holds no permit: others need it.
            let (_permit, _turn) = loop {
                let permit = match begin {
                    Begin::Ahead => None,
                    _ => Some(sender.permits.acquire().await.expect("the semaphore is never closed")),
                };
                let turn = if sender.reads_source { session.source_pace.begin() } else { None };
                if turn.is_some() || !sender.reads_source || session.verdict.stopping() {
                    break (permit, turn);
                }
                drop(permit);
                session.source_pace.wait().await;
            };
            // Those of other jobs may take long: whoever is cut short does not wait for them.
            let _shared = match &session.commons {
                Some(commons) if begin != Begin::Ahead => tokio::select! {
                    permit = commons.requests.acquire() => permit.ok(),
                    () = sender.cut.0.notified() => None,
                },
                _ => None,
            };
            if session.verdict.is_cut_short() || (begin != Begin::Always && session.verdict.stopping()) {
                return Err(GaveUp { error: None, side, tries, stop_job: false, maybe_done });
            }
            let _in_flight = InFlight::new(counters);
            add(&counters.requests, 1);
            add(&counters.bytes_sent, body_bytes);
            let begun = Instant::now();
            session.boundary("request");
            let attempt = tokio::select! {
                biased;
                attempt = send(with_crc64) => Some(attempt),
                () = sender.cut.0.notified() => None,
            };
            session.boundary("answer");
            sender.latency_us.borrow_mut().saturating_record(begun.elapsed().as_micros() as u64);
            attempt
        };
        tries += 1;
        // Whether the service has done it is not known.
        let Some(attempt) = attempt else {
            return Err(GaveUp { error: None, side, tries, stop_job: false, maybe_done: true });
        };
        let error = match attempt {
            Ok(answer) => {
                remote.reception.accepted();
                if sender.reads_source {
                    session.source_pace.went_well();
                }
                if with_crc64 && body_bytes > 0 {
                    remote.crc64_accepted();
                }
                return Ok(answer);
            }
            Err(error) => error.into(),
        };
        if let Some(RequestError::TokenRenewed { .. }) = error.blob() {
            // Nobody's fault, and there is no end of it only while the service takes the tokens in between.
            add(&counters.retries, 1);
            tries -= 1;
            maybe_done |= error.maybe_done();
            continue;
        }
        if with_crc64
            && error.service().is_some_and(ServiceError::refuses_crc64)
            && let Some(first) = remote.crc64_refused()
        {
            // Told once; every request that was refused for it goes again without.
            if first {
                (sender.notice)("the server does not take CRC64 checksums: going on without them");
            }
            continue;
        }
        if wants_descriptor(&error) && waited < patience::TRIES {
            // It did not reach the service, whose fault it is not: others will close something.
            waited += 1;
            tries -= 1;
            if !pause_for(PAUSE_STEP, || session.verdict.stopping()).await {
                return Err(GaveUp { error: Some(error), side, tries, stop_job: false, maybe_done });
            }
            continue;
        }
        maybe_done |= error.maybe_done();
        let reached = remote.reception.ever_accepted();
        match retry::next(&session.options.retry, &error, tries, reached, fastrand::f64()) {
            Next::GiveUp => {
                return Err(GaveUp { error: Some(error), side, tries, stop_job: false, maybe_done });
            }
            Next::StopJob => {
                return Err(GaveUp { error: Some(error), side, tries, stop_job: true, maybe_done });
            }
            Next::After(pause) => {
                add(&counters.retries, 1);
                let pause_ms = pause.as_millis() as u64;
                debug!(?side, tries, pause_ms, class = ?error.class(), maybe_done, "sent again after a pause");
                match error.class() {
                    // It is the source that says so: whatever else the destination does goes on.
                    Class::Throttle if sender.reads_source && error.is_of_copy_source() => {
                        session.source_pace.throttled(pause);
                    }
                    Class::Throttle => add(&counters.throttled, 1),
                    _ => {}
                }
                if !pause_for(pause, || session.verdict.stopping()).await {
                    return Err(GaveUp { error: Some(error), side, tries, stop_job: false, maybe_done });
                }
            }
        }
    }
}

/// Waits; `false` when the job stopped meanwhile.
pub(crate) async fn pause_for(pause: Duration, stopping: impl Fn() -> bool) -> bool {
    let until = Instant::now() + pause;
    while !stopping() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        tokio::time::sleep(left.min(PAUSE_STEP)).await;
    }
    false
}
