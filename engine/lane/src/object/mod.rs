//! One object under way, as all lanes that work on it know it.

pub(crate) mod assembly;
pub(crate) mod blob;
pub(crate) mod copy;
pub(crate) mod file;
pub(crate) mod hold;
pub mod in_order;
pub(crate) mod large;
pub(crate) mod pieces;
pub(crate) mod target;
pub(crate) mod way;
