//! The program as it is delivered.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::process::Command;

#[test]
fn it_needs_nothing_but_the_c_library() {
    let output = Command::new("ldd").arg(env!("CARGO_BIN_EXE_azuring")).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    if text.contains("statically linked") {
        return;
    }
    assert!(output.status.success() && text.contains("libc."), "{text}");
    for line in text.lines() {
        let library = line.split_whitespace().next().unwrap_or_default();
        let name = library.rsplit('/').next().unwrap_or_default();
        let known = ["linux-vdso", "linux-gate", "ld-linux", "ld-musl", "ld64", "libc.", "libm."];
        assert!(known.iter().any(|known| name.starts_with(known)), "{library} is needed:\n{text}");
    }
}
