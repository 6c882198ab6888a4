//! What tests put between the program and the system, to end the process at a chosen moment. The program itself sets
//! nothing.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use azuring_transfer::{Boundary, Jobs, Storage};

/// What a test puts in.
#[derive(Debug)]
pub struct Hooks {
    /// What writes the journals.
    pub storage: Arc<dyn Storage>,
    /// What is called around each request, and around each name that a file gets.
    pub boundary: Boundary,
}

static HOOKS: OnceLock<Hooks> = OnceLock::new();

/// Before [`crate::main`]; the first call counts.
pub fn set(hooks: Hooks) {
    let _ = HOOKS.set(hooks);
}

/// The jobs below `state`.
pub(crate) fn jobs(state: &Path) -> Jobs {
    let jobs = Jobs::new(state);
    match HOOKS.get() {
        Some(hooks) => jobs.storage(Arc::clone(&hooks.storage)),
        None => jobs,
    }
}

/// What is called around each request.
pub(crate) fn boundary() -> Option<Boundary> {
    HOOKS.get().map(|hooks| hooks.boundary.clone())
}
