//! One blob under way to its file, and what that file is called until it is complete.

use std::ffi::CString;

use azuring_job::outcome::TransferId;
use azuring_plan::download::LocalName;
use azuring_ring::Names;

/// One blob under way.
pub(crate) struct Target {
    pub(crate) id: TransferId,
    pub(crate) local: LocalName,
    /// Where it is written; `None` when it is not kept.
    pub(crate) names: Option<Names>,
    /// Whether a file of that name is replaced.
    pub(crate) replace: bool,
}

/// The name of a file that is not complete: of the job's and the transfer's numbers, so that it is short whatever the
/// file is called, and known to whoever goes on with the job.
pub(crate) fn temporary_name(job: &[u8; 16], id: TransferId) -> CString {
    let name = format!("{}{}-{}", temporary_prefix(job), id.part, id.index);
    CString::new(name).expect("there is no NUL in it")
}

/// What these names of a job begin with.
pub(crate) fn temporary_prefix(job: &[u8; 16]) -> String {
    format!(".azuring-{:032x}-", u128::from_be_bytes(*job))
}
