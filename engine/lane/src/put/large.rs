//! A file that is sent in parts, by all lanes together: the blocks of a block blob, or the pages of a page blob.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use azuring_azure::Body;
use azuring_job::entry::Found;
use azuring_job::failure::Failure;
use azuring_job::progress::add;
use azuring_local::RelPath;
use azuring_ring::{FileRing, OpenFile};
use azuring_store::At;

use crate::lane::context::{Ended, Lane};
use crate::lane::driver::{self, InPieces, drive};
use crate::lane::{read, verify};
use crate::object::file::{LargeFile, Parts};
use crate::object::large::Large;
use crate::object::pieces::Pieces;
use crate::task::upload::Upload;
use crate::task::verb::Task;

use super::place::{Place, content_type, first_of};
use super::visible::not_written;
use super::{assembly, pages, resume, sums};

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
    if !assembly::is_in_order(lane) {
        lane.offer(&Large::Up(Arc::clone(&large)), large.pieces.count);
    }
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

    fn is_in_order(&self, lane: &Lane<R>) -> bool {
        assembly::is_in_order(lane)
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
        sums::take(large.md5.as_ref(), offset, payload.parts());
        let body = Body { crc64, ..Body::default() };
        match &large.parts {
            // They are zeros already.
            Parts::Pages if payload.parts().iter().all(|part| is_zero(part)) => {}
            Parts::Pages => pages::write(lane, large, offset, &payload, body).await?,
            Parts::Unseen { assembly, .. } => {
                let at = At { piece: n, offset };
                let sent = assembly::put(lane, assembly, &large.blob, at, &payload, body).await;
                sent.map_err(|gave_up| gave_up.for_object(lane.session(), &large.object()))?;
            }
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
    match (&large.parts, &mut result) {
        (Parts::Unseen { assembly, .. }, ended) => {
            assembly::release(lane, assembly, &large.blob, ended).await;
        }
        (Parts::Pages, Ok(_)) => {
            if let Task::Upload(task) = &lane.shared.task {
                resume::is_complete(&task.in_place, large.id);
            }
        }
        (Parts::Pages, Err(failure)) => pages::take_back(lane, large, file, failure).await,
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
            let finished = hold.beside(&lane.look(&large.blob), md5.finish()).await;
            Some(finished.map_err(|gave_up| not_written(gave_up, lane, &large.object()))?)
        }
    };
    let content_md5 = content_md5.transpose().map_err(|error| large.not_read(&error))?;
    let ended = match &large.parts {
        Parts::Unseen { assembly, only_new } => {
            let body = Body { content_md5, ..large.body(*only_new) };
            let (place, size) = (Place::of(large), (large.pieces.count, large.meta.len));
            let look = lane.look(&large.blob);
            let is_same = async || verify::open_file(lane, &look, file, &large.object()).await.is_ok();
            assembly::commit(lane, assembly, &place, size, body, is_same).await?
        }
        Parts::Pages => pages::complete(lane, large, content_md5).await?,
    };
    if lane.session().options.verify && matches!(ended, Ended::Done { .. }) {
        verify::open_file(lane, &lane.look(&large.blob), file, &large.object()).await?;
    }
    Ok(ended)
}

#[cfg(test)]
mod tests {
    use super::*;

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
