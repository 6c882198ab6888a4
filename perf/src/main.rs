//! One command for the comparison table; see the library of this crate and `perf/README.md`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    azuring_perf::main()
}
