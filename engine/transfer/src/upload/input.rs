//! A stream whose length nobody knows becomes a blob.
//!
//! A thread of its own reads the stream into buffers of the pool, one block after the other; the blocks are sent at the
//! same time, as many as buffers and requests allow, and listed when the stream has ended. What fits into one block is one
//! Put Blob. A stream that breaks off, or a job that is stopped, leaves no blob; an append blob that others have written
//! to meanwhile is theirs.

mod reader;

use std::io::Read;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use azuring_azure::{
    Access, BlobClient, BlobType, BlobUrl, Body, Crc64, Crc64Digest, Credential, MAX_APPEND_BYTES, UrlError,
    Which,
};
use azuring_link::Payload;
use azuring_plan::PlanError;
use azuring_plan::blocks::{DEFAULT_BLOCK_SIZE, MAX_BLOCK_SIZE, MAX_BLOCKS};
use azuring_plan::name::{check, encode_path, escape};
use azuring_ring::{BLOCK_SLOT_BYTES, Pool, SlotClass};
use tokio::task::JoinSet;

use crate::budget;
use crate::choices::{BlobTypeChoice, Overwrite};
use crate::command::{Command, CommandError};
use crate::failure::{Failure, FailureKind};
use crate::job_error::JobError;
use crate::options::{ContentTypePolicy, JobOptions};
use crate::outcome::{Counts, Report};
use crate::progress::add;
use crate::rate::PAUSE_STEP;
use crate::request::{Begin, GaveUp, request};
use crate::task::blob_url;
use crate::verdict::StopHandle;

use super::append::Appended;
use super::blocks::{self, Way};
use super::look::Look;
use super::{pages, put, visible};
use reader::{Filled, Reader};

/// After so many blocks their size is doubled: 50,000 of them hold 31 times what as many of the first size would.
const DOUBLE_EVERY: u64 = MAX_BLOCKS / 5;

/// Uploads what `input` gives as the blob at `url`, on the calling thread and one more, which ends when `input` does. The
/// blob is there when all of it is; a stop, or an error of `input`, leaves what was there before (an append blob grows
/// before everybody's eyes, and is removed again, as long as nobody else has written to it).
///
/// # Errors
/// [`CommandError::Start`] when it cannot be begun: a URL without a blob, a page blob (its length has to be known).
/// [`CommandError::Failed`] otherwise.
pub fn upload_from(
    input: impl Read + Send + 'static,
    url: &BlobUrl,
    credential: &Credential,
    options: &JobOptions,
    stop: &StopHandle,
) -> Result<Report, CommandError> {
    let begun = Instant::now();
    let name = url.path().to_owned();
    check(&name).map_err(|error| JobError::from(PlanError::from(error)))?;
    if let Some(stored) = url.takes_for(&name) {
        return Err(CommandError::failed(Failure::other_name(&escape(name.as_bytes()), &stored)));
    }
    if options.blob_type == BlobTypeChoice::Page {
        let text = "a page blob is made with its length, which a stream does not tell: use a file";
        return Err(CommandError::failed(Failure::new(FailureKind::Usage, "", text)));
    }
    if url.names_state() {
        return Err(JobError::from(UrlError::State { reason: "cannot be written" }).into());
    }
    budget::check(&options.limits)?;
    let mut bounds = options.clone();
    bounds.limits.lanes = 1;
    let share = budget::shares(&bounds, false)?[0];
    let access = if options.properties.tags.is_some() { Access::Tag } else { Access::Write };
    let command = Rc::new(Command::new(url, (credential, access), options, stop, share.in_flight)?);
    let theirs = Rc::clone(&command);
    let pool = Pool::new(share.pool_bytes);
    let (mut counts, links_opened) = command.run(async move |client| {
        let largest = match options.blob_type {
            BlobTypeChoice::Append => MAX_APPEND_BYTES,
            _ => MAX_BLOCK_SIZE,
        };
        let held = pool.capacity(SlotClass::Block) as u64 * BLOCK_SLOT_BYTES as u64;
        let input = Input {
            reader: Reader::start(input, options.put_md5).map_err(|error| theirs.broken(&error))?,
            first: options.blocks.block_size.unwrap_or(DEFAULT_BLOCK_SIZE),
            largest: largest.min(held),
            pool,
            blob: encode_path(&name),
            name,
            client,
            command: theirs,
        };
        let links = input.client.links().clone();
        let counts = input.send().await?;
        Ok((counts, links.stats().opened))
    })?;
    let made = command.session.progress.planner();
    counts.found = 1;
    counts.requests = made.requests.load(Ordering::Relaxed);
    counts.retries = made.retries.load(Ordering::Relaxed);
    counts.bytes_sent = made.bytes_sent.load(Ordering::Relaxed);
    Ok(Report {
        before: Counts::default(),
        counts,
        elapsed: begun.elapsed(),
        fatal: None,
        interrupted: false,
        kinds: Vec::new(),
        latency_us: command.latency_us(),
        links_opened,
        pool_bytes: share.pool_bytes as u64,
    })
}

impl Command {
    fn broken(&self, error: &std::io::Error) -> CommandError {
        CommandError::failed(Failure::new(FailureKind::Source, "", format!("reading the input: {error}")))
    }
}

/// A stream on its way.
struct Input {
    reader: Reader,
    pool: Pool,
    /// Bytes of the first blocks, and of the largest there can be.
    first: u64,
    largest: u64,
    name: String,
    /// The same, percent-encoded.
    blob: String,
    client: BlobClient,
    command: Rc<Command>,
}

/// A block that was read.
struct Block {
    payload: Payload,
    crc64: Option<Crc64>,
    is_last: bool,
}

/// Bytes of the `n`th block.
fn block_size(first: u64, largest: u64, n: u64) -> u64 {
    (first << (n / DOUBLE_EVERY).min(5)).min(largest)
}

impl Input {
    async fn send(self) -> Result<Counts, CommandError> {
        let options = &self.command.session.options;
        let skipped = Counts { skipped_existing: 1, ..Counts::default() };
        let Some(only_new) = self.verdict().await? else { return Ok(skipped) };
        let first = self.next(0).await?;
        // A pipe has no name that could tell, and AzCopy does not look at its bytes.
        let content_type = match &options.content_type {
            ContentTypePolicy::Fixed(fixed) => Some(fixed.clone()),
            _ => None,
        };
        let body =
            Body { content_type: content_type.as_deref(), if_none_match_any: only_new, ..Body::default() };
        let made = if options.blob_type == BlobTypeChoice::Append {
            self.append(first, body).await?
        } else if first.is_last {
            self.whole(first, body).await?
        } else {
            // Freed with its block: the pool may hold no more than two.
            self.blocks(first, body).await?
        };
        let Some(bytes) = made else { return Ok(skipped) };
        self.check_length(bytes).await?;
        Ok(Counts { done: 1, bytes, ..Counts::default() })
    }

    /// Whether the blob is to be written, and if so whether only as a new one.
    async fn verdict(&self) -> Result<Option<bool>, CommandError> {
        let session = &self.command.session;
        let only_new = match &session.options.overwrite {
            // A stream is of now.
            Overwrite::Always | Overwrite::IfSourceNewer => return Ok(Some(false)),
            Overwrite::Never => true,
            Overwrite::Ask(_) => false,
        };
        match self.command.ask(async || self.client.head_blob(&self.blob, Which::default()).await).await {
            Ok(_) => Ok(match &session.options.overwrite {
                Overwrite::Ask(ask) if ask(&blob_url(session, &self.name)) => Some(false),
                _ => None,
            }),
            Err(gave_up) if gave_up.not_found() => Ok(Some(only_new)),
            Err(gave_up) => Err(self.failed(gave_up)),
        }
    }

    fn failed(&self, gave_up: GaveUp) -> CommandError {
        CommandError::Failed(gave_up.for_object(&self.command.session, &escape(self.name.as_bytes())))
    }

    /// Reads the `n`th block.
    async fn next(&self, n: u64) -> Result<Block, CommandError> {
        let session = &self.command.session;
        let too_long = |what: String| {
            let failure = Failure::new(FailureKind::Limit, &escape(self.name.as_bytes()), what);
            CommandError::failed(failure.advise("raise --block-size-mb"))
        };
        if n >= MAX_BLOCKS {
            return Err(too_long(format!("the input is longer than {MAX_BLOCKS} blocks")));
        }
        let size = block_size(self.first, self.largest, n);
        let slots = size.div_ceil(BLOCK_SLOT_BYTES as u64) as usize;
        let leases = self.pool.acquire(SlotClass::Block, slots).await;
        let leases = leases.map_err(|error| self.command.broken(&error))?;
        let mut answer = self.reader.fill(leases, size, n == 0);
        let filled = loop {
            match tokio::time::timeout(PAUSE_STEP, &mut answer).await {
                Ok(filled) => break filled.expect("the reader answers every request"),
                Err(_) if session.verdict.stopping() => {
                    return Err(CommandError::failed(Failure::interrupted(&escape(self.name.as_bytes()))));
                }
                Err(_) => {}
            }
        };
        let Filled { leases, is_last } = filled.map_err(|error| self.command.broken(&error))?;
        let mut crc64 = session.options.crc64.then(Crc64Digest::new);
        let parts = leases.into_iter().map(|lease| {
            if let Some(digest) = &mut crc64 {
                digest.update(&lease);
            }
            lease.freeze()
        });
        let payload = Payload::from_parts(parts.collect());
        Ok(Block { payload, crc64: crc64.map(Crc64Digest::finish), is_last })
    }

    /// Asks about the blob.
    fn look(&self) -> Look<'_> {
        let (client, sender) = (&self.client, self.command.sender());
        Look { client, sender, blob: &self.blob, which: Which::default() }
    }

    /// Sends what makes a blob; where one of another type stands in the way, that is removed first if the caller says so.
    async fn cleared<T>(
        &self,
        body: Body<'_>,
        mut send: impl AsyncFnMut() -> Result<T, GaveUp>,
    ) -> Result<T, GaveUp> {
        match send().await {
            Err(gave_up)
                if self.command.session.options.delete_destination
                    && !body.if_none_match_any
                    && gave_up.has_code("InvalidBlobType")
                    && self.look().discard_blocks(true).await.unwrap_or_default() =>
            {
                send().await
            }
            sent => sent,
        }
    }

    /// Returns the length of the blob; so do the other shapes. `None`: it was there.
    async fn whole(&self, block: Block, body: Body<'_>) -> Result<Option<u64>, CommandError> {
        let Block { payload, crc64, .. } = block;
        let bytes = payload.len();
        let content_md5 = self.reader.md5();
        let send = async || {
            request(&self.command.sender(), bytes, Begin::UnlessStopping, async |with_crc64| {
                let body = Body { crc64: crc64.filter(|_| with_crc64), content_md5, ..body };
                self.client.put_blob(&self.blob, payload.clone(), body).await
            })
            .await
        };
        if let Err(gave_up) = self.cleared(body, send).await {
            if !(body.if_none_match_any && gave_up.already_exists()) {
                return Err(self.failed(gave_up));
            }
            let there = if gave_up.maybe_done() { self.look().facts().await.ok() } else { None };
            return Ok(match there {
                Some(there) if put::is_this_one(&self.look(), &there, &payload).await => Some(bytes),
                _ => None,
            });
        }
        add(&self.command.session.progress.planner().bytes, bytes);
        Ok(Some(bytes))
    }

    async fn blocks(&self, first: Block, body: Body<'_>) -> Result<Option<u64>, CommandError> {
        let content = uuid::Uuid::new_v4().into_bytes();
        let way = Rc::new(Way::of_pipe());
        let (mut bytes, mut count) = (0, 0);
        let mut tasks: JoinSet<Result<(), GaveUp>> = JoinSet::new();
        let mut block = first;
        loop {
            bytes += block.payload.len();
            let (client, command, blob) = (self.client.clone(), Rc::clone(&self.command), self.blob.clone());
            let Block { payload, crc64, is_last } = block;
            if !payload.is_empty() {
                let (n, way) = (count as u32, Rc::clone(&way));
                count += 1;
                // Bounded by the pool: each holds its buffers.
                tasks.spawn_local(async move {
                    let len = payload.len();
                    let (sender, which) = (command.sender(), Which::default());
                    let look = Look { client: &client, sender, blob: &blob, which };
                    let body = Body { crc64, ..Body::default() };
                    blocks::send(&look, &way, || way.block_id(content, n), &payload, body).await?;
                    add(&command.session.progress.planner().bytes, len);
                    Ok(())
                });
            }
            // What has failed is told before more is read; after the last block all are waited for.
            while let Some(sent) = if is_last { tasks.join_next().await } else { tasks.try_join_next() } {
                match sent {
                    Ok(sent) => sent.map_err(|gave_up| self.not_taken(gave_up))?,
                    Err(error) => std::panic::resume_unwind(error.into_panic()),
                }
            }
            if is_last {
                break;
            }
            block = self.next(count).await?;
        }
        let content_md5 = self.reader.md5();
        let ids = || (0..count as u32).map(|n| way.block_id(content, n));
        let listed = request(&self.command.sender(), 0, Begin::Always, async |with_crc64| {
            let body = Body { content_md5, ..body };
            self.client.put_block_list(&self.blob, ids(), body, with_crc64).await
        })
        .await;
        let Err(gave_up) = listed else { return Ok(Some(bytes)) };
        let exists = body.if_none_match_any && gave_up.already_exists();
        // The blocks' names are this run's own.
        if gave_up.maybe_done() && self.look().consists_of(ids()).await.unwrap_or_default() {
            return Ok(Some(bytes));
        }
        if exists { Ok(None) } else { Err(self.failed(gave_up)) }
    }

    /// The failure of a block.
    fn not_taken(&self, gave_up: GaveUp) -> CommandError {
        let is_full = gave_up.has_code("BlockCountExceedsLimit");
        match self.failed(gave_up) {
            CommandError::Failed(failure) if is_full => CommandError::failed(failure.advise(
                "uncommitted blocks of earlier runs lie under this name: send the stream again, which discards them \
                 before its first block (another program's with --delete-destination-file)",
            )),
            failed => failed,
        }
    }

    async fn append(&self, first: Block, body: Body<'_>) -> Result<Option<u64>, CommandError> {
        let options = &self.command.session.options;
        let in_place = !matches!(options.overwrite, Overwrite::Always) || options.overwrite_in_place;
        let body = Body { if_none_match_any: body.if_none_match_any || !in_place, ..body };
        let make =
            async || self.command.ask(async || self.client.create_append_blob(&self.blob, body).await).await;
        let made = self.cleared(body, make).await;
        let etag = match made {
            Ok(written) => written.etag,
            Err(gave_up) if body.if_none_match_any && gave_up.already_exists() => {
                let there = if gave_up.maybe_done() { self.look().facts().await.ok() } else { None };
                match there {
                    // An earlier attempt has made it.
                    Some(there) if there.blob_type == BlobType::Append && there.len == 0 => there.etag,
                    _ if in_place => return Ok(None),
                    _ => {
                        let session = &self.command.session;
                        let failure = gave_up.for_object(session, &escape(self.name.as_bytes()));
                        return Err(CommandError::Failed(visible::would_be_gone(*failure)));
                    }
                }
            }
            Err(gave_up) => return Err(self.failed(gave_up)),
        };
        let mut appended = Appended::new(etag);
        let result = self.append_all(first, body, &mut appended).await;
        if let Err(CommandError::Failed(mut failure)) = result {
            if let Err(left) = appended.take_back(&self.look()).await {
                pages::tell(&mut failure, left);
            }
            return Err(CommandError::Failed(failure));
        }
        result?;
        Ok(Some(appended.len))
    }

    async fn append_all(
        &self,
        first: Block,
        body: Body<'_>,
        appended: &mut Appended,
    ) -> Result<(), CommandError> {
        let (mut count, mut block) = (0, first);
        let failed = |gave_up: GaveUp| {
            let is_of_another = gave_up.is_of_another();
            let failure = gave_up.for_object(&self.command.session, &escape(self.name.as_bytes()));
            CommandError::Failed(if is_of_another { visible::another_writer(*failure) } else { failure })
        };
        loop {
            let Block { payload, crc64, is_last } = block;
            let len = payload.len();
            if len > 0 {
                count += 1;
                appended.append(&self.look(), payload, crc64).await.map_err(failed)?;
                add(&self.command.session.progress.planner().bytes, len);
            }
            if is_last {
                break;
            }
            block = self.next(count).await?;
        }
        let content_md5 = self.reader.md5();
        if content_md5.is_some() {
            let body = Body { content_md5, if_match: appended.etag(), if_none_match_any: false, ..body };
            let set = self.always(async || self.client.set_properties(&self.blob, body).await).await;
            set.map_err(failed)?;
        }
        Ok(())
    }

    /// A request that completes something.
    async fn always<T>(
        &self,
        mut send: impl AsyncFnMut() -> Result<T, azuring_azure::RequestError>,
    ) -> Result<T, GaveUp> {
        request(&self.command.sender(), 0, Begin::Always, async |_| send().await).await
    }

    async fn check_length(&self, bytes: u64) -> Result<(), CommandError> {
        let session = &self.command.session;
        if !put::is_length_checked(session) {
            return Ok(());
        }
        let there = self.look().facts().await.map_err(|gave_up| self.failed(gave_up))?.len;
        if there == bytes {
            return Ok(());
        }
        let text = format!("the blob has {there} bytes and the input had {bytes}");
        Err(CommandError::failed(Failure::new(FailureKind::Integrity, &escape(self.name.as_bytes()), text)))
    }
}

#[cfg(test)]
mod tests;
