//! What others see of this process.
//!
//! The arguments are what every user of the machine sees, in `ps` and `/proc/PID/cmdline`.
//!
//! They lie on the stack that the kernel made for the process. Nothing of Rust's is there: the standard library copies
//! them whenever it is asked for arguments, and from then on copies what stands there now. So they are overwritten
//! through `/proc/self/mem`, the one way that is a file's. A signature can be seen for the first milliseconds all the
//! same, and stays in the shell's history.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;

use crate::redact::redact_word;

/// Takes the secrets out of the arguments. Must be called before there is another thread, and after the arguments were
/// taken. Without `/proc` they stay as they are.
pub(crate) fn hide_secrets() {
    let Ok(line) = fs::read("/proc/self/cmdline") else { return };
    let Some(hidden) = hidden(&line) else { return };
    let Some(start) = fs::read_to_string("/proc/self/stat").ok().and_then(|stat| start(&stat, line.len()))
    else {
        return;
    };
    let memory = File::options().write(true).open("/proc/self/mem");
    // A kernel that forbids it leaves them visible, as they are of most programs.
    let _ = memory.and_then(|memory| memory.write_all_at(&hidden, start));
}

/// Keys and tokens are in the memory of this process: it leaves no core file, and no other process of this user looks
/// into it. To be called after [`hide_secrets`], which looks into it too.
pub(crate) fn forbid_core() {
    // It cannot fail with this argument (PR_SET_DUMPABLE).
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

/// Where the arguments lie, if they are these `len` bytes: `arg_start` and `arg_end` of proc_pid_stat(5).
fn start(stat: &str, len: usize) -> Option<u64> {
    // The name before it may hold anything; what follows begins with the third field.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(48 - 3).map(str::parse::<u64>);
    let (start, end) = (fields.next()?.ok()?, fields.next()?.ok()?);
    (start > 0 && end.checked_sub(start) == u64::try_from(len).ok()).then_some(start)
}

/// The same number of bytes without secrets; `None` if there are none. What became shorter is filled up with zeros.
fn hidden(line: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(line.len());
    for arg in line.split_inclusive(|&byte| byte == 0) {
        let word = arg.strip_suffix(&[0]).unwrap_or(arg);
        let text = String::from_utf8_lossy(word);
        let redacted = redact_word(&text);
        let shown = if redacted == text { word } else { redacted.as_bytes() };
        let begin = out.len();
        out.extend_from_slice(&shown[..shown.len().min(word.len())]);
        out.resize(begin + arg.len(), 0);
    }
    (out != line).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_core_is_left() {
        use rustix::process::{DumpableBehavior, dumpable_behavior, set_dumpable_behavior};
        let before = dumpable_behavior().unwrap();
        forbid_core();
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        set_dumpable_behavior(before).unwrap();
    }

    #[test]
    fn the_length_stays() {
        let line = b"azuring\0copy\0/a?b\0https://a.net/c?sv=1&sig=S3S3S3S3S3\0x&sig=S\0--log-level\0";
        let want =
            b"azuring\0copy\0/a?b\0https://a.net/c?REDACTED\0\0\0\0\0\0\0\0\0\0\0\0x&sig=R\0--log-level\0";
        assert_eq!(hidden(line).as_deref(), Some(&want[..]));
        assert_eq!(want.len(), line.len());
        assert_eq!(hidden(want), None);
        assert_eq!(hidden(b"azuring\0/data/\xff?\0\0x"), None);
        assert_eq!(hidden(b""), None);
        assert_eq!(hidden(b"\xff&sig=S3S3S3S3").unwrap().len(), 14);
    }

    #[test]
    fn the_place_is_believed_only_if_it_has_the_length() {
        let stat = |start: u64, end: u64| {
            let zeros = "0 ".repeat(48 - 4);
            format!("1 (a) b) S {zeros}{start} {end} 0 0 0\n")
        };
        assert_eq!(start(&stat(1000, 1010), 10), Some(1000));
        assert_eq!(start(&stat(1000, 1010), 9), None);
        assert_eq!(start(&stat(0, 10), 10), None);
        assert_eq!(start(&stat(10, 0), 10), None);
        assert_eq!(start("1 (a) S 0 0", 0), None);
        let (own, line) =
            (fs::read_to_string("/proc/self/stat").unwrap(), fs::read("/proc/self/cmdline").unwrap());
        assert!(start(&own, line.len()).is_some());
    }
}
