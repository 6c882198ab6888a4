//! What a store can do, as data.

use azuring_plan::order::OrderKey;
use azuring_plan::place::NameRules;

/// What a store can do and how it wants things. Movers and planners ask this, and never which store it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traits {
    /// The store in a word or two, for messages: `Blob storage`.
    pub name: &'static str,
    /// Bytes of the largest object that goes in one request ([`put`](crate::Store::put)).
    pub whole_max: u64,
    /// How larger objects are sent; `None`: they cannot be.
    pub pieces: Option<PieceTraits>,
    /// When others can see an object that is sent in pieces.
    pub visible: Visible,
    /// How the names of a listing rise. Scans, and whoever merges listings, rely on it.
    pub order: ListOrder,
    /// Whether directories exist by themselves, or only as part of names.
    pub directories: Directories,
    /// The most objects of one [`remove`](crate::Store::remove) call; at least 1.
    pub remove_batch: usize,
    /// Checksums that it compares or tells.
    pub checksums: Checksums,
    /// Which conditions it keeps on writing.
    pub conditions: Conditions,
    /// What of an object it changes without its bytes.
    pub changes: Changes,
    /// What it can copy from by itself.
    pub copies_from: CopySource,
    /// Names that it refuses or changes.
    pub names: NameRules,
}

impl Traits {
    /// The least that a store can do: objects in one request, no conditions, no order. Set the rest.
    pub fn new(name: &'static str, whole_max: u64) -> Self {
        Self {
            name,
            whole_max,
            pieces: None,
            visible: Visible::OnCommit,
            order: ListOrder::None,
            directories: Directories::None,
            remove_batch: 1,
            checksums: Checksums::default(),
            conditions: Conditions::default(),
            changes: Changes::default(),
            copies_from: CopySource::Nothing,
            names: NameRules::Exact,
        }
    }

    /// Whether it can be as it says. Jobs check that before they begin.
    ///
    /// # Errors
    /// Which trait cannot be, and why.
    pub fn check(&self) -> Result<(), String> {
        let Some(pieces) = &self.pieces else { return Ok(()) };
        let PieceTraits { min_bytes, max_bytes, max_count, align, .. } = *pieces;
        if max_count == 0 {
            return Err("its trait `pieces.max_count` is 0: no object can have pieces".to_owned());
        }
        if pieces.fitting(min_bytes, u64::MAX) < min_bytes.max(1) {
            return Err(format!(
                "its trait `pieces` says at least {min_bytes} bytes, at most {max_bytes}, in multiples of {align}: \
                 there is no such piece"
            ));
        }
        Ok(())
    }
}

azuring_plan::growing! {
    /// How large objects are sent in pieces.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    pub struct PieceTraits {
        /// Bytes of a piece at least; the last one may have less.
        pub min_bytes: u64,
        /// Bytes of a piece at most.
        pub max_bytes: u64,
        /// Pieces of an object at most.
        pub max_count: u32,
        /// Pieces begin at multiples of this; 1: anywhere.
        pub align: u64,
        /// In which order they may come.
        pub sequence: Sequence,
    }
}

impl PieceTraits {
    /// Pieces of any size up to this one, in any order, and at most so many.
    pub fn new(max_bytes: u64, max_count: u32) -> Self {
        Self { min_bytes: 1, max_bytes, max_count, align: 1, sequence: Sequence::Any }
    }

    /// The size of pieces that is nearest to `wanted` bytes, not less if possible, and at most `held`. It is less than
    /// `min_bytes` (or 0) only if there is no such size.
    pub fn fitting(&self, wanted: u64, held: u64) -> u64 {
        let align = self.align.max(1);
        let most = self.max_bytes.min(held) / align * align;
        let wanted = wanted.max(self.min_bytes).max(1);
        wanted.checked_next_multiple_of(align).map_or(most, |size| size.min(most))
    }
}

/// In which order pieces may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sequence {
    /// Any, several at a time.
    Any,
    /// One after the other. One that is there may come again.
    Appended,
}

/// When others see an object that is sent in pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visible {
    /// All at once, when it is committed. What was there before stays until then.
    OnCommit,
    /// From its first piece on.
    FromStart,
}

/// How the names of a listing rise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListOrder {
    /// Always by this key.
    By(OrderKey),
    /// One of the known orders, which is found out while it is listed.
    OneOf(&'static [OrderKey]),
    /// In no known order; nobody may rely on one.
    None,
}

/// What a directory is to a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directories {
    /// There are none: names only have slashes in them.
    None,
    /// There are none, but some empty objects stand for directories (`hdi_isfolder`).
    Marks,
    /// They exist by themselves, and can be empty.
    Real,
}

azuring_plan::growing! {
    /// Checksums that a store compares or tells.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    #[non_exhaustive]
    pub struct Checksums {
        /// It compares the CRC-64/NVME of what it is sent.
        pub crc64_in: bool,
        /// It tells the CRC-64/NVME of ranges up to this many bytes; 0: of none.
        pub crc64_out_bytes: u64,
        /// It keeps the MD5 of an object that it is given.
        pub keeps_md5: bool,
    }
}

azuring_plan::growing! {
    /// Conditions that a store keeps on writing.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    #[non_exhaustive]
    pub struct Conditions {
        /// Only what is not there yet.
        pub only_new: bool,
        /// Only what is still in this state.
        pub only_tag: bool,
    }
}

azuring_plan::growing! {
    /// What of an object a store changes without its bytes.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    #[non_exhaustive]
    pub struct Changes {
        /// Metadata, as a whole.
        pub metadata: bool,
        /// Its tier: all that an object can be put into, from the dearest to keep to the cheapest that is read at once.
        /// Empty: there are none.
        pub tiers: &'static [&'static str],
        /// Index tags, as a whole.
        pub tags: bool,
    }
}

/// What a store can copy from without the client's bandwidth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopySource {
    /// It has no such operation: bytes go through the client.
    Nothing,
    /// Places of the same kind of store, to which it is granted access by a URL.
    GrantedUrls,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_that_cannot_be_are_told() {
        let check = |pieces: PieceTraits| {
            let mut traits = Traits::new("here", 10);
            traits.pieces = Some(pieces);
            traits.check().err().unwrap_or_default()
        };
        let pieces = PieceTraits::new;
        assert_eq!(check(pieces(8, 1)), "");
        assert_eq!(check(pieces(8, 1).min_bytes(8).align(4)), "");
        assert_eq!(
            check(pieces(8, 1).min_bytes(9)),
            "its trait `pieces` says at least 9 bytes, at most 8, in multiples of 1: there is no such piece"
        );
        // No multiple of 8 is from 9 to 15, and none but 0 is up to 7.
        for bad in [pieces(0, 1), pieces(15, 1).min_bytes(9).align(8), pieces(7, 1).align(8)] {
            assert!(check(bad).contains("there is no such piece"), "{bad:?}");
        }
        assert!(check(pieces(8, 0)).contains("`pieces.max_count` is 0"));
        assert_eq!(pieces(u64::MAX, 1).align(u64::MAX).fitting(2, 100), 0);
    }
}
