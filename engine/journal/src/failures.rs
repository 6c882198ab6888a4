//! Failures as they lie in a journal.

use crate::bytes::Reader;
use crate::format::BODY_MAX;
use crate::packing::Packing;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure<'a> {
    /// The transfer; `None`: it is no transfer.
    pub(crate) number: Option<u64>,
    pub(crate) reason: u8,
    /// The number of its cause, from 1.
    pub(crate) cause: Option<u32>,
    pub(crate) text: &'a [u8],
}

/// The next failure of what was packed; `None` at the end, or where there cannot be one.
pub(crate) fn read_failure<'a>(failures: &mut Reader<'a>) -> Option<Failure<'a>> {
    read(failures, true)
}

fn read<'a>(failures: &mut Reader<'a>, has_causes: bool) -> Option<Failure<'a>> {
    let number = failures.number()?.checked_sub(1);
    let reason = failures.byte()?;
    let cause = if has_causes { u32::try_from(failures.number()?).ok()? } else { 0 };
    Some(Failure { number, reason, cause: (cause > 0).then_some(cause), text: failures.string()? })
}

/// Calls `tell` for every failure of an item's content; `None` when it cannot be one, or when `tell` says so.
pub(crate) fn each<'a>(
    content: &[u8],
    is_packed: bool,
    mut tell: impl FnMut(Failure<'_>) -> Option<()> + 'a,
) -> Option<()> {
    let unpacked;
    let mut failures = Reader(content);
    if is_packed {
        let packing = Packing::of(failures.byte()?)?;
        let len = usize::try_from(failures.number()?).ok().filter(|len| *len <= BODY_MAX)?;
        unpacked = packing.unpack(failures.0, len)?;
        failures = Reader(&unpacked);
    }
    while !failures.is_empty() {
        tell(read(&mut failures, is_packed)?)?;
    }
    Some(())
}
