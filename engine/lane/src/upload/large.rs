//! A file that is sent in parts, by all lanes together: the blocks of a block blob, or the pages of a page blob.

use std::ffi::CString;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use azuring_azure::Body;
use azuring_job::entry::Found;
use azuring_job::failure::Failure;
use azuring_job::outcome::TransferId;
use azuring_job::progress::add;
use azuring_local::RelPath;
use azuring_ring::{FileMeta, FileRing, OpenFile};
use bytes::Bytes;
use md5::{Digest, Md5};

use crate::driver::{self, InPieces, drive};
use crate::in_order::{InOrder, ReadAgain};
use crate::lane::{Ended, Lane};
use crate::pieces::Pieces;
use crate::queue::Large;
use crate::request::{Begin, GaveUp, request};
use crate::task::Upload;
use crate::verify;

use super::blocks::Way;
use super::hold::Hold;
use super::{Place, blocks, content_type, first_of, metadata_of, pages, read, resume};

/// What the lanes share about one large file.
pub(crate) struct LargeFile {
    pub(super) id: TransferId,
    /// The job and the state of the content, part of every block's name.
    content: [u8; 16],
    pub(super) way: Way,
    /// The path below the source, for the kernel.
    path: CString,
    /// The blob's name.
    name: String,
    /// The same, percent-encoded.
    pub(super) blob: String,
    parts: Parts,
    /// The lease under which pages are written.
    pub(super) hold: Option<Hold>,
    /// What the file was when it was found to be large; every lane compares.
    pub(super) meta: FileMeta,
    pub(super) pieces: Pieces,
    /// Known from the name, or set by whoever reads the first block.
    pub(super) content_type: OnceLock<Option<String>>,
    /// The blob's own, beside the job's.
    metadata: Vec<(String, String)>,
    /// The checksum of the whole, where it is stored.
    pub(super) md5: Option<InOrder<Md5>>,
}

/// What a large file is sent as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parts {
    /// Blocks, invisible until they are listed.
    Blocks {
        /// Only if there is no blob of the name by then.
        only_new: bool,
    },
    /// Pages of a blob that is there already.
    Pages,
}

impl std::fmt::Debug for LargeFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LargeFile")
            .field("blob", &self.blob)
            .field("parts", &self.parts)
            .finish_non_exhaustive()
    }
}

impl LargeFile {
    pub(super) async fn new<R: FileRing>(
        lane: &Lane<R>,
        task: &Upload,
        id: TransferId,
        place: &Place<'_>,
        file: &OpenFile,
        parts: Parts,
        pieces: Pieces,
    ) -> Result<Self, Box<Failure>> {
        let metadata = metadata_of(lane, place, file)?;
        let md5 = start_md5(lane, task, file).await.map_err(|error| place.not_read(&error))?;
        Ok(Self {
            id,
            content: content_key(lane.shared.id, &file.meta, pieces.size),
            way: Way::default(),
            path: place.c_path.clone(),
            name: place.name.clone(),
            blob: place.blob.clone(),
            parts,
            hold: None,
            meta: file.meta,
            pieces,
            content_type: OnceLock::new(),
            metadata,
            md5,
        })
    }

    pub(super) fn place(&self) -> Place<'_> {
        let (c_path, name, blob) = (self.path.clone(), self.name.clone(), self.blob.clone());
        Place { id: self.id, path: self.path.as_bytes(), c_path, name, blob }
    }

    /// The path below the source, for messages.
    pub(super) fn object(&self) -> String {
        azuring_plan::name::escape(self.path.as_bytes())
    }

    fn not_read(&self, error: &io::Error) -> Box<Failure> {
        Box::new(Failure::read(&self.object(), error))
    }

    /// The service's name for a block.
    pub(super) fn block_id(&self, block: u32) -> String {
        self.way.block_id(self.content, block)
    }

    /// What the whole blob is given.
    pub(super) fn body(&self, only_new: bool) -> Body<'_> {
        Body {
            content_type: self.content_type.get().and_then(Option::as_deref),
            metadata: &self.metadata,
            if_none_match_any: only_new,
            ..Body::default()
        }
    }
}

/// Stands for what a job reads from a file in this state, cut into pieces of this size: a block of that name holds nothing
/// else, whichever run of the job has sent it.
pub(super) fn content_key(job: [u8; 16], meta: &FileMeta, piece_bytes: u64) -> [u8; 16] {
    let mut key = Md5::new();
    key.update(job);
    // Not the device: its number may be another after a reboot.
    for number in [meta.len, meta.identity.1, piece_bytes] {
        key.update(number.to_le_bytes());
    }
    for time in [meta.mtime_ns, meta.ctime_ns] {
        key.update(time.to_le_bytes());
    }
    key.finalize().into()
}

/// A large file as one lane sends it.
#[derive(Clone)]
struct Sending {
    large: Arc<LargeFile>,
    file: Rc<OpenFile>,
}

/// Begins to send the pieces and asks the other lanes for help.
pub(super) async fn share<R: FileRing>(lane: &Rc<Lane<R>>, large: LargeFile, file: OpenFile) -> Ended {
    let large = Arc::new(large);
    driver::begin(lane, &large.pieces);
    lane.offer(&Large::Up(Arc::clone(&large)), large.pieces.count);
    send_pieces(lane, large, file).await;
    Ended::Elsewhere
}

/// Sends pieces of a large file that another lane has begun.
pub(crate) async fn help<R: FileRing>(lane: &Rc<Lane<R>>, task: &Upload, large: Arc<LargeFile>) {
    // Where it cannot be opened any more, the lane that began it has it open and goes on.
    if let Ok(open) = lane.ring.open(&task.origin.tree().root, &large.path).await {
        send_pieces(lane, large, open).await;
    }
}

/// Sends pieces of `large`; completes the blob if this lane reports the last one.
async fn send_pieces<R: FileRing>(lane: &Rc<Lane<R>>, large: Arc<LargeFile>, file: OpenFile) {
    if !file.meta.same_content(&large.meta) {
        let other = io::Error::other("the file was replaced or modified while it was read");
        large.pieces.lose(*large.not_read(&other));
    }
    let sending = Sending { large, file: Rc::new(file) };
    if drive(lane, &sending).await {
        let Sending { large, file } = &sending;
        let result = complete(lane, large, file).await;
        lane.finish(large.id, Found::File(RelPath::new(large.path.as_bytes())), result);
    }
}

impl<R: FileRing> InPieces<R> for Sending {
    fn pieces(&self) -> &Pieces {
        &self.large.pieces
    }

    fn object(&self) -> String {
        self.large.object()
    }

    async fn piece(&self, lane: &Lane<R>, n: u32) -> Result<(), Box<Failure>> {
        let large = &*self.large;
        let (offset, len) = large.pieces.range(n);
        let read = read::read_range(lane, &self.file, offset, len).await;
        let (payload, crc64) = read.map_err(|error| large.not_read(&error))?;
        if n == 0 && large.content_type.get().is_none() {
            let policy = &lane.session().options.content_type;
            let found = content_type(policy, large.path.as_bytes(), first_of(&payload));
            large.content_type.get_or_init(|| found.map(str::to_owned));
        }
        sum_up(large.md5.as_ref(), offset, payload.parts());
        let body = Body { crc64, ..Body::default() };
        match large.parts {
            // They are zeros already.
            Parts::Pages if payload.parts().iter().all(|part| is_zero(part)) => {}
            Parts::Pages => pages::write(lane, large, offset, &payload, body).await?,
            Parts::Blocks { .. } => blocks::put(lane, large, n, &payload, body).await?,
        }
        add(&lane.counters().bytes, len);
        Ok(())
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    // A machine word at a time, and an end at the first piece that is not.
    bytes.chunks(4096).all(|chunk| chunk.iter().fold(0, |all, byte| all | byte) == 0)
}

/// Completes a blob whose pieces are all reported, or takes back what is visible of it.
pub(super) async fn complete<R: FileRing>(
    lane: &Rc<Lane<R>>,
    large: &LargeFile,
    file: &OpenFile,
) -> Result<Ended, Box<Failure>> {
    let mut result = match large.pieces.take_failure() {
        Some(failure) => Err(Box::new(failure)),
        None => commit(lane, large, file).await,
    };
    if let Some(md5) = &large.md5 {
        md5.close();
    }
    if large.parts == Parts::Pages {
        match &mut result {
            Ok(_) => resume::is_complete(lane, large.id),
            Err(failure) => pages::take_back(lane, large, file, failure).await,
        }
    }
    result
}

async fn commit<R: FileRing>(
    lane: &Rc<Lane<R>>,
    large: &LargeFile,
    file: &OpenFile,
) -> Result<Ended, Box<Failure>> {
    file.check_unchanged().map_err(|error| large.not_read(&error))?;
    let content_md5 = match (&large.md5, &large.hold) {
        (None, _) => None,
        (Some(md5), None) => Some(md5.finish().await),
        (Some(md5), Some(hold)) => {
            let finished = hold.beside(lane, &large.blob, md5.finish()).await;
            Some(finished.map_err(|gave_up| pages::failed(lane, large, gave_up))?)
        }
    };
    let content_md5 = content_md5.transpose().map_err(|error| large.not_read(&error))?;
    let ended = match large.parts {
        Parts::Blocks { only_new } => blocks::commit(lane, large, only_new, content_md5).await?,
        Parts::Pages => pages::complete(lane, large, content_md5).await?,
    };
    if lane.session().options.verify && matches!(ended, Ended::Done { .. }) {
        verify::open_file(lane, &lane.look(&large.blob), file, &large.object()).await?;
    }
    Ok(ended)
}

/// Begins to sum up a file, if that is wanted, when it is its turn.
pub(super) async fn start_md5<R: FileRing>(
    lane: &Lane<R>,
    task: &Upload,
    file: &OpenFile,
) -> io::Result<Option<InOrder<Md5>>> {
    if !lane.session().options.put_md5 {
        return Ok(None);
    }
    let turn = lane.turn_to_sum().await;
    let again = std::fs::File::from(file.as_fd().try_clone_to_owned()?);
    let read_again: ReadAgain = Box::new(move |out, at| again.read_exact_at(out, at));
    InOrder::md5(Some(read_again), &task.held, turn).map(Some)
}

/// Hands over the parts that begin at `offset`. What goes wrong is told when the sum is asked for.
pub(super) fn sum_up(md5: Option<&InOrder<Md5>>, mut offset: u64, parts: &[Bytes]) {
    let Some(md5) = md5 else { return };
    for part in parts {
        md5.take(offset, part.clone());
        offset += part.len() as u64;
    }
}

/// Stores the MD5 of a blob that is complete.
pub(super) async fn set_md5<R: FileRing>(lane: &Lane<R>, blob: &str, body: Body<'_>) -> Result<(), GaveUp> {
    let set = async |_| lane.client.set_properties(blob, body).await;
    request(&lane.sender(), 0, Begin::Always, set).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_blocks_differ_and_have_one_length() {
        let file = LargeFile {
            id: TransferId { part: 0, index: 0 },
            content: [7; 16],
            way: Way::default(),
            path: c"x".into(),
            name: "x".into(),
            blob: "x".into(),
            parts: Parts::Blocks { only_new: false },
            hold: None,
            meta: FileMeta { len: 10, mtime_ns: 0, ctime_ns: 0, identity: (0, 0), regular: true },
            pieces: Pieces::new(10, 5, 2),
            content_type: OnceLock::new(),
            metadata: Vec::new(),
            md5: None,
        };
        assert_ne!(file.block_id(1), file.block_id(2));
        assert_eq!(file.block_id(1).len(), file.block_id(49_999).len());
    }

    #[test]
    fn only_zeros_are_zero() {
        let mut bytes = vec![0; 10_000];
        assert!(is_zero(&bytes) && is_zero(&[]));
        for at in [0, 4095, 4096, 9_999] {
            bytes[at] = 1;
            assert!(!is_zero(&bytes), "{at}");
            bytes[at] = 0;
        }
    }
}
