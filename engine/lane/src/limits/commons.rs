//! What several jobs at a time share.

use std::sync::Arc;

use azuring_link::Pacer;
use tokio::sync::Semaphore;

use super::rate::RequestRate;

/// The requests in flight, the bytes and the requests per second of all jobs that share it.
#[derive(Debug)]
pub struct Commons {
    /// One permit per request in flight, served in order. A lane's own permit is taken first: nobody waits here while
    /// one job is alone.
    pub(crate) requests: Semaphore,
    /// Bytes per second.
    pub(crate) pacer: Option<Arc<Pacer>>,
    /// Requests per second.
    pub(crate) rate: Option<RequestRate>,
}

impl Commons {
    /// So many requests in flight, and these many bytes and requests per second, more than 0.
    pub fn new(in_flight: usize, bytes_per_second: Option<f64>, requests_per_second: Option<f64>) -> Self {
        let (pacer, rate) = (bytes_per_second.map(Pacer::new), requests_per_second.map(RequestRate::new));
        Self { requests: Semaphore::new(in_flight), pacer, rate }
    }
}
