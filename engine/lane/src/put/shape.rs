//! How an object is cut, as its store wants it.

use azuring_job::failure::{Failure, FailureKind};
use azuring_plan::blocks::{BlockRules, UploadShape};
use azuring_store::Traits;

use crate::requests::client::Client;

/// How an object of `len` bytes is sent.
///
/// # Errors
/// What the store cannot take.
pub(crate) fn shape(
    client: &Client,
    rules: &BlockRules,
    len: u64,
    object: &str,
) -> Result<UploadShape, Box<Failure>> {
    Ok(match client.own() {
        None => rules.shape(len).map_err(|error| Failure::plan(object, &error))?,
        Some(store) => of_traits(store.traits(), rules, len)
            .map_err(|text| Failure::new(FailureKind::Limit, object, text))?,
    })
}

fn of_traits(traits: &Traits, rules: &BlockRules, len: u64) -> Result<UploadShape, String> {
    let wanted = rules.shape(len).map_err(|error| error.to_string())?;
    let Some(pieces) = traits.pieces else {
        return match len <= traits.whole_max {
            true => Ok(UploadShape::PutBlob),
            false => Err(format!("{} takes objects of {} bytes at most", traits.name, traits.whole_max)),
        };
    };
    let size = match wanted {
        UploadShape::PutBlob if len <= traits.whole_max => return Ok(UploadShape::PutBlob),
        UploadShape::PutBlob => traits.whole_max.max(1),
        UploadShape::Blocks { block_size, .. } => block_size,
    };
    let least = len.div_ceil(u64::from(pieces.max_count.max(1)));
    let size = pieces.fitting(size.max(least), u64::MAX).max(1);
    match u32::try_from(len.div_ceil(size)) {
        Ok(count) if count <= pieces.max_count => Ok(UploadShape::Blocks { block_size: size, count }),
        _ => Err(format!(
            "{len} bytes are more than {} pieces of {}, the most that {} takes",
            pieces.max_count, pieces.max_bytes, traits.name
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use azuring_store::PieceTraits;

    const MIB: u64 = 1 << 20;

    #[test]
    fn pieces_are_as_the_store_wants_them() {
        let mut traits = Traits::new("here", 10 * MIB);
        let rules = |block_size| BlockRules::default().block_size(block_size);
        let shape = |traits: &Traits, block, len| of_traits(traits, &rules(block), len);
        assert_eq!(shape(&traits, None, 9 * MIB), Ok(UploadShape::PutBlob));
        assert!(shape(&traits, None, 11 * MIB).unwrap_err().contains("10485760 bytes at most"));
        traits.pieces = Some(PieceTraits::new(100 * MIB, 1_000).min_bytes(5 * MIB).align(512));
        let blocks = |block_size, count| Ok(UploadShape::Blocks { block_size, count });
        assert_eq!(shape(&traits, Some(MIB), MIB), Ok(UploadShape::PutBlob));
        assert_eq!(shape(&traits, Some(MIB), 20 * MIB), blocks(5 * MIB, 4));
        assert_eq!(shape(&traits, Some(6_000_000), 20_000_000), blocks(6_000_128, 4));
        // Small pieces would be too many.
        assert_eq!(shape(&traits, Some(8 * MIB), 16_000 * MIB), blocks(16 * MIB, 1_000));
        assert!(shape(&traits, Some(8 * MIB), 200_000 * MIB).is_err());
        // Where the largest is no multiple of what they begin at.
        traits.pieces = Some(PieceTraits::new(10 * MIB - 1, 1_000).align(MIB));
        assert_eq!(shape(&traits, Some(20 * MIB), 90 * MIB), blocks(9 * MIB, 10));
        // What no job begins with ends none.
        for pieces in [PieceTraits::new(0, 1), PieceTraits::new(8, 1).min_bytes(9)] {
            traits.pieces = Some(pieces);
            assert!(shape(&traits, None, 90 * MIB).is_err());
        }
    }
}
