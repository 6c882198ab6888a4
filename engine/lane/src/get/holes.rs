//! Ranges of a page blob that nobody has written to: they are zeros, and neither read nor stored.

use azuring_azure::{BlobFacts, Which};
use azuring_job::end_error::EndError;
use azuring_ring::FileRing;

use crate::lane::context::Lane;
use crate::object::pieces::Pieces;
use crate::requests::request::{Begin, request};

/// `ranges` without those that are zeros. Where the service does not tell, all are read.
pub(super) async fn without<R: FileRing>(
    lane: &Lane<R>,
    (blob, which): (&str, Which<'_>),
    facts: &BlobFacts,
    ranges: Pieces,
) -> Pieces {
    let mut is_hole = vec![true; ranges.count as usize];
    let (mut marker, mut end) = (None, 0);
    loop {
        let asked = request(&lane.reading(), 0, Begin::UnlessStopping, async |_| {
            Ok::<_, EndError>(
                lane.from()
                    .blob()?
                    .get_page_ranges(blob, which, facts.etag.as_deref(), marker.as_deref())
                    .await?,
            )
        })
        .await;
        // Why it does not tell is told by the ranges themselves.
        let Ok(page) = asked else { return ranges };
        for used in &page.ranges {
            // They rise and lie within the blob, or they are not to be trusted.
            if used.start < end || used.is_empty() || used.end > ranges.len {
                return ranges;
            }
            end = used.end;
            let (first, last) = (used.start / ranges.size, (used.end - 1) / ranges.size);
            is_hole[first as usize..=last as usize].fill(false);
        }
        marker = match page.next {
            None => return ranges.skipping(is_hole.into()),
            // A page without anything could go on for ever.
            Some(_) if page.ranges.is_empty() => return ranges,
            next => next,
        };
    }
}
