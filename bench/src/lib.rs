//! Workloads and benches.
//!
//! [`workload`] writes the trees that the demo, the behaviour tests and the side-by-side runner upload. The criterion
//! benches under `benches/` measure single stages on the same data.
//!
//! Invariants: the same call writes the same names and the same bytes on every machine, so a result can be repeated;
//! file contents do not compress, so no layer below can cheat.
//!
//! Deliberately unknown here: Azure, HTTP, and how a tree is uploaded.
#![forbid(unsafe_code)]

pub mod workload;
