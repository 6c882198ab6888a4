//! The `azuring` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    azuring_cli::main()
}
