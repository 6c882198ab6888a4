//! What a job can be told.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use azuring_azure::{BlobProperties, Clock, Cpk};
use azuring_link::{Endpoint, HttpChoice, Proxies, TlsError, TlsSetup};
use azuring_plan::blocks::BlockRules;
use azuring_plan::content_type::{self, ContentTypes};
use azuring_ring::IoChoice;

use crate::choices::{
    BlobTypeChoice, CheckLength, CheckMd5, DeleteSnapshots, Encryption, Overwrite, PermanentDelete,
    PosixStyle, RouteChoice, Symlinks,
};
use crate::machine;

azuring_plan::growing! {
    /// The bounds a job keeps.
    #[derive(Clone, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    pub struct Limits {
        /// Memory of the whole job in bytes, at least [`MIN_MEMORY_BYTES`]. Most of it is the lanes' buffers.
        pub memory_bytes: u64,
        /// Requests in flight of all lanes together, from 1 to [`MAX_CONCURRENCY`].
        pub concurrency: usize,
        /// Lanes, from 1 to [`MAX_LANES`]; each is a thread.
        pub lanes: usize,
    }
}

/// Least memory a job can be given: the walk's names, the links, and two blocks.
pub const MIN_MEMORY_BYTES: u64 = 64 << 20;
/// More lanes than this gain nothing: the account is the limit long before.
pub const MAX_LANES: usize = 16;
/// Requests in flight that can be asked for.
pub const MAX_CONCURRENCY: usize = 4096;

impl Limits {
    /// The defaults for a machine: a quarter of its memory and at most 1 GiB; 16 requests per core and
    /// at least 64; a lane per core, at most 16.
    pub fn for_machine(cores: usize, memory_bytes: u64) -> Self {
        Self {
            memory_bytes: (memory_bytes / 4).clamp(MIN_MEMORY_BYTES, 1 << 30),
            concurrency: (cores * 16).clamp(64, MAX_CONCURRENCY),
            lanes: cores.clamp(1, MAX_LANES),
        }
    }

    /// The defaults for the machine this runs on, as far as the process may use it: its affinity, and the least memory
    /// limit of the cgroups it is in.
    pub fn here() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::for_machine(cores, machine::memory_bytes(Path::new("/")))
    }
}

azuring_plan::growing! {
    /// How failed requests are retried.
    #[derive(Clone, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    pub struct RetryPolicy {
        /// Attempts per request, the first included.
        pub max_tries: u32,
        /// The pause before the second attempt; each further pause is twice as long, with jitter.
        pub first_pause: Duration,
        /// The longest pause.
        pub max_pause: Duration,
        /// A request on which no byte moves for this long is cut and retried.
        pub stall: Duration,
    }
}

impl Default for RetryPolicy {
    /// 20 attempts as AzCopy has them, from half a second to a minute apart: 14 minutes of patience.
    fn default() -> Self {
        Self {
            max_tries: 20,
            first_pause: Duration::from_millis(500),
            max_pause: Duration::from_secs(60),
            stall: Duration::from_secs(30),
        }
    }
}

/// Where a blob's content type comes from.
#[derive(Clone, Debug)]
pub enum ContentTypePolicy {
    /// From the file's name; if that does not tell, from its first 512 bytes.
    Guess(ContentTypes),
    /// This one for all blobs.
    Fixed(String),
    /// Not sent; the service says `application/octet-stream`.
    None,
}

azuring_plan::growing! {
    /// All options of a job. `Default` is what `azuring copy` does without flags.
    #[derive(Clone, Debug)]
    #[non_exhaustive]
    pub struct JobOptions {
        /// Memory, requests in flight, threads.
        pub limits: Limits,
        /// Attempts, pauses, and when a request counts as stalled.
        pub retry: RetryPolicy,
        /// HTTP version for https; http always uses HTTP/1.1.
        pub http: HttpChoice,
        /// Whether files are read and written with io_uring or with threads.
        pub io: IoChoice,
        /// Block size, and the largest file that is sent in one request.
        pub blocks: BlockRules,
        /// Headers, metadata, tier and tags that every uploaded blob gets.
        pub properties: BlobProperties,
        /// Where the content type of a blob comes from.
        pub content_type: ContentTypePolicy,
        /// Send the CRC64 of every body, for the service to compare.
        pub crc64: bool,
        /// A PEM file of further certificate authorities.
        pub ca_file: Option<PathBuf>,
        /// The proxies that lead to the service; none by default, whatever the environment says.
        pub proxies: Option<Arc<Proxies>>,
        /// What to do if the destination already has the object.
        pub overwrite: Overwrite,
        /// Transfer nothing; report each object as [`Event::Planned`](crate::outcome::Event::Planned).
        pub dry_run: bool,
        /// In a dry run, look up the length of local files and all properties of blobs.
        pub plan_facts: bool,
        /// Name the object in every [`Outcome`](crate::outcome::Outcome). That costs an allocation for each object.
        pub report_objects: bool,
        /// Store the MD5 of each file with its blob.
        pub put_md5: bool,
        /// How a download checks the MD5 that is stored with a blob.
        pub check_md5: CheckMd5,
        /// Which way bytes go from one store to another.
        pub route: RouteChoice,
        /// The customer's key that the source of a copy is encrypted with. [`Self::encryption`] is the destination's.
        pub source_key: Option<Cpk>,
        /// Whether a blob that is copied keeps its tier, where the job gives none to all and the account of the
        /// destination has tiers.
        pub preserve_tier: bool,
        /// Whether a blob that is copied keeps its index tags, where the job gives none to all. Listing them needs the
        /// permission `t` of the source, writing them that of the destination.
        pub preserve_tags: bool,
        /// When to compare lengths after the transfer, which costs a request.
        pub check_length: CheckLength,
        /// Whether existing page and append blobs may be replaced. They are written in place: the earlier blob is lost
        /// when the upload begins, also if it fails. If this is false, [`Overwrite::Always`] fails them.
        pub overwrite_in_place: bool,
        /// Remove the existing blob first if its type, or uncommitted blocks, prevent the upload.
        pub delete_destination: bool,
        /// Read back what was transferred and compare it byte by byte. Every byte is transferred twice.
        pub verify: bool,
        /// Decompress downloads with content encoding gzip or deflate.
        pub decompress: bool,
        /// Set the modification time of downloaded files to that of their blobs.
        pub preserve_last_modified_time: bool,
        /// Upload owner, mode and times as metadata of this style, or restore them in a download.
        pub preserve_posix: Option<PosixStyle>,
        /// Restore set-user-ID and set-group-ID of downloaded files too. Anybody who can write to the container can
        /// then choose the user that a downloaded program runs as.
        pub preserve_setuid: bool,
        /// What to do with symbolic links in a local source.
        pub symlinks: Symlinks,
        /// Also transfer the stubs that stand for directories.
        pub directory_stubs: bool,
        /// The type of the blobs that an upload creates.
        pub blob_type: BlobTypeChoice,
        /// Tier of uploaded page blobs, such as `P10`; `None` leaves it to the account.
        pub page_blob_tier: Option<String>,
        /// Limit of bytes per second on all links together; `None` is no limit.
        pub cap_bytes_per_second: Option<f64>,
        /// Limit of requests per second; `None` is no limit.
        pub cap_requests_per_second: Option<f64>,
        /// The key or scope that blobs are encrypted with; `None` is the account's default.
        pub encryption: Option<Encryption>,
        /// Which snapshots a removal also removes. `None`: a blob with snapshots is skipped.
        pub delete_snapshots: Option<DeleteSnapshots>,
        /// What a removal removes permanently, although soft delete would keep it.
        pub permanent_delete: Option<PermanentDelete>,
        /// Put before the `User-Agent` of every request.
        pub user_agent_prefix: Option<String>,
        /// How often failed objects that may succeed now are tried again, after everything else is done. 0 is never.
        pub retry_failed: u32,
        /// Called by tests that end the process at one of these moments.
        #[doc(hidden)]
        pub boundary: Option<Boundary>,
        /// The time that leases live in, which tests move.
        #[doc(hidden)]
        pub clock: Clock,
    }
}

/// What a test does before each request, after each answer, and before and after a file gets its name.
#[doc(hidden)]
#[derive(Clone)]
pub struct Boundary(pub Arc<dyn Fn(&'static str) + Send + Sync>);

impl std::fmt::Debug for Boundary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Boundary")
    }
}

impl JobOptions {
    /// The TLS configuration for connections to `endpoint`, where they need one.
    pub fn tls(&self, endpoint: &Endpoint) -> Result<Option<TlsSetup>, TlsError> {
        let proxied = self.proxies.as_ref().is_some_and(|proxies| proxies.need_tls(endpoint));
        (endpoint.tls || proxied).then(|| TlsSetup::new(self.ca_file.as_deref())).transpose()
    }
}

impl Default for JobOptions {
    fn default() -> Self {
        Self::with(ContentTypePolicy::Guess(system_content_types()))
    }
}

impl JobOptions {
    /// The default ones with these content types, without a look at this machine's tables.
    pub(crate) fn with(content_type: ContentTypePolicy) -> Self {
        Self {
            limits: Limits::here(),
            retry: RetryPolicy::default(),
            http: HttpChoice::Auto,
            io: IoChoice::Auto,
            blocks: BlockRules::default(),
            properties: BlobProperties::default(),
            content_type,
            crc64: true,
            ca_file: None,
            proxies: None,
            overwrite: Overwrite::Always,
            dry_run: false,
            plan_facts: false,
            report_objects: false,
            put_md5: false,
            check_md5: CheckMd5::default(),
            route: RouteChoice::default(),
            source_key: None,
            preserve_tier: true,
            preserve_tags: false,
            check_length: CheckLength::default(),
            overwrite_in_place: false,
            delete_destination: false,
            verify: false,
            decompress: false,
            preserve_last_modified_time: false,
            preserve_posix: None,
            preserve_setuid: false,
            symlinks: Symlinks::default(),
            directory_stubs: false,
            blob_type: BlobTypeChoice::default(),
            page_blob_tier: None,
            cap_bytes_per_second: None,
            cap_requests_per_second: None,
            encryption: None,
            delete_snapshots: None,
            permanent_delete: None,
            user_agent_prefix: None,
            retry_failed: 0,
            boundary: None,
            clock: Clock::system(),
        }
    }
}

/// The content types this machine's tables name, read the way Go's `mime` package (and so AzCopy) does.
pub(crate) fn system_content_types() -> ContentTypes {
    match azuring_local::read_first_existing(content_type::GLOBS2_PATHS) {
        Some(globs) => ContentTypes::new().with_globs2(&globs),
        None => {
            let types = azuring_local::read_all_existing(content_type::MIME_TYPES_PATHS);
            ContentTypes::new().with_mime_types(&types)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_follow_the_machine_within_bounds() {
        let small = Limits::for_machine(1, 128 << 20);
        assert_eq!(small, Limits { memory_bytes: MIN_MEMORY_BYTES, concurrency: 64, lanes: 1 });
        let large = Limits::for_machine(64, 512 << 30);
        assert_eq!(large, Limits { memory_bytes: 1 << 30, concurrency: 1024, lanes: 16 });
        assert_eq!(Limits::for_machine(2, 2 << 30).memory_bytes, 512 << 20);
    }
}
