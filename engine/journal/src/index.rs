//! Where in a journal things lie.

use crate::format::PART_TRANSFERS;
use crate::states::States;

/// Where the content of an item lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ItemAt {
    pub(crate) offset: u64,
    pub(crate) len: usize,
}

/// Where failures lie, and in which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FailuresAt {
    pub(crate) at: ItemAt,
    pub(crate) is_packed: bool,
}

/// What is known of a part without reading its names.
#[derive(Debug, Default)]
pub(crate) struct PartIndex {
    pub(crate) names: Vec<ItemAt>,
    pub(crate) failures: Vec<FailuresAt>,
    pub(crate) states: States,
}

/// The part of a transfer.
pub(crate) fn part_of(number: u64) -> usize {
    (number / u64::from(PART_TRANSFERS)) as usize
}
