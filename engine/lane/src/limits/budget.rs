//! How a job's bounds are split over its lanes.

use azuring_job::job_error::JobError;
use azuring_job::options::{JobOptions, Limits, MAX_CONCURRENCY, MAX_LANES, MIN_MEMORY_BYTES};
use azuring_ring::CHUNK_BYTES;

/// Memory that is not buffers: the program itself, the walk's names, the queues.
const BASE_BYTES: u64 = 24 << 20;
/// Memory of a job's journal: 2 MiB that wait for the disk, the part that is packed and what packing it needs (zstd's
/// tables), and the names and causes of what has failed.
const JOURNAL_BYTES: u64 = 16 << 20;
/// Memory of a link with TLS: records and hyper's buffers.
const LINK_BYTES: u64 = 96 << 10;

/// File tasks per lane at least: a cold cache needs this many opens and reads under way.
const MIN_TASKS: usize = 64;

/// Budget of one lane.
#[derive(Clone, Copy, Debug)]
pub struct LaneShare {
    /// Memory of its buffers.
    pub pool_bytes: usize,
    /// Requests at a time.
    pub in_flight: usize,
    /// Objects that are worked on at a time.
    pub(crate) tasks: usize,
}

/// Tasks of a lane with so many requests in flight.
pub(crate) fn tasks_for(in_flight: usize) -> usize {
    MIN_TASKS.max(in_flight + in_flight / 4)
}

/// Checks that the bounds are in their ranges.
pub fn check(limits: &Limits) -> Result<(), JobError> {
    if limits.memory_bytes < MIN_MEMORY_BYTES {
        let least = MIN_MEMORY_BYTES >> 20;
        return Err(JobError::Limit(format!("a job needs at least {least} MiB of memory")));
    }
    if !(1..=MAX_CONCURRENCY).contains(&limits.concurrency) {
        return Err(JobError::Limit(format!("concurrency is from 1 to {MAX_CONCURRENCY}")));
    }
    Ok(())
}

/// Memory for the walk's names.
pub fn names_bytes(limits: &Limits) -> usize {
    (limits.memory_bytes / 16).min(azuring_local::walk::NAMES_BUDGET as u64) as usize
}

/// Splits the budgets over lanes; `journal`: whether the job keeps one.
///
/// Fewer lanes when the memory would not give each of them the largest block and a little
/// more.
pub fn shares(options: &JobOptions, journal: bool) -> Result<Vec<LaneShare>, JobError> {
    split(options, &options.limits, beside(&options.limits, journal))
}

/// Memory that is neither buffers nor links.
fn beside(limits: &Limits, journal: bool) -> u64 {
    BASE_BYTES + if journal { JOURNAL_BYTES } else { 0 } + names_bytes(limits) as u64
}

/// The largest body of a request.
fn largest(options: &JobOptions) -> u64 {
    let default = azuring_plan::blocks::DEFAULT_BLOCK_SIZE;
    let block = options.blocks.block_size.unwrap_or(default);
    block.max(options.blocks.put_blob_size.unwrap_or(block))
}

/// Buffers that a lane has at least.
fn least_pool(options: &JobOptions) -> u64 {
    largest(options) + 2 * CHUNK_BYTES as u64
}

/// The least memory with which a job can run that was made for `options.limits`.
pub fn least(options: &JobOptions, journal: bool) -> u64 {
    (beside(&options.limits, journal) + LINK_BYTES + least_pool(options)).max(MIN_MEMORY_BYTES)
}

/// The same job with `memory_bytes`, [`least`] or more, and no more of anything than `shares`: fewer requests in flight
/// where their links would leave no buffers, and fewer lanes.
pub fn smaller(
    options: &JobOptions,
    journal: bool,
    shares: &[LaneShare],
    memory_bytes: u64,
) -> Result<Vec<LaneShare>, JobError> {
    let beside = beside(&options.limits, journal);
    let links = memory_bytes.saturating_sub(beside + least_pool(options)) / LINK_BYTES;
    let in_flight: usize = shares.iter().map(|share| share.in_flight).sum();
    let concurrency = in_flight.min(usize::try_from(links).unwrap_or(usize::MAX)).max(1);
    let limits = Limits::here().memory_bytes(memory_bytes).concurrency(concurrency).lanes(shares.len());
    let mut smaller = split(options, &limits, beside)?;
    for (share, made_for) in smaller.iter_mut().zip(shares) {
        share.tasks = share.tasks.min(made_for.tasks);
    }
    Ok(smaller)
}

/// `beside`: memory that is neither buffers nor links.
fn split(options: &JobOptions, limits: &Limits, beside: u64) -> Result<Vec<LaneShare>, JobError> {
    let (largest, least) = (largest(options), least_pool(options));
    let fixed = beside + limits.concurrency as u64 * LINK_BYTES;
    let pool = limits.memory_bytes.saturating_sub(fixed);
    if pool < least {
        let needed = (least + fixed).div_ceil(15 << 16).max(MIN_MEMORY_BYTES >> 20);
        return Err(JobError::Limit(format!(
            "blocks of {} MiB and {} requests in flight need more memory: --memory {needed}M would do",
            largest.div_ceil(1 << 20),
            limits.concurrency,
        )));
    }
    let lanes = limits.lanes.clamp(1, MAX_LANES).min(limits.concurrency).min((pool / least) as usize).max(1);
    let pool_bytes = (pool / lanes as u64) as usize;
    // What does not divide goes to the first lanes.
    let in_flight = |lane| limits.concurrency / lanes + usize::from(lane < limits.concurrency % lanes);
    let share = |in_flight| LaneShare { pool_bytes, in_flight, tasks: tasks_for(in_flight) };
    Ok((0..lanes).map(|lane| share(in_flight(lane))).collect())
}
