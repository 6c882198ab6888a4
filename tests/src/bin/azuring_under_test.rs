//! The `azuring` program as the behaviour tests run it.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    azuring_cli::main()
}
