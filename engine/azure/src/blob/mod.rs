//! The operations of the Blob service: a file for what each of them asks and is answered.

pub(crate) mod account;
pub(crate) mod append_blob;
pub(crate) mod block_list;
pub(crate) mod change;
pub(crate) mod condition;
pub(crate) mod container;
pub(crate) mod copy_blob;
pub(crate) mod delegation_key;
pub(crate) mod delete;
pub(crate) mod facts;
pub(crate) mod from_url;
pub(crate) mod get_blob;
pub(crate) mod lease;
pub(crate) mod list;
pub(crate) mod list_page;
pub(crate) mod page_blob;
pub(crate) mod put_blob;
pub(crate) mod store;
pub(crate) mod tags;
