//! The thread that reads a stream.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use azuring_ring::{BLOCK_SLOT_BYTES, Lease};
use md5::{Digest, Md5};
use tokio::sync::oneshot;

/// Buffers that were filled.
pub(super) struct Filled {
    /// Without those that nothing was left for.
    pub(super) leases: Vec<Lease>,
    /// Whether the stream has ended.
    pub(super) is_last: bool,
}

struct Fill {
    leases: Vec<Lease>,
    len: u64,
    /// Look whether there is more behind it.
    look_ahead: bool,
    answer: oneshot::Sender<io::Result<Filled>>,
}

/// Reads on demand.
pub(super) struct Reader {
    wanted: Sender<Fill>,
    md5: Option<Arc<Mutex<Md5>>>,
}

impl Reader {
    /// # Errors
    /// When the system refuses a thread.
    pub(super) fn start(input: impl Read + Send + 'static, with_md5: bool) -> io::Result<Self> {
        // One request at a time.
        let (wanted, inbox) = channel();
        let md5 = with_md5.then(|| Arc::new(Mutex::new(Md5::new())));
        let theirs = md5.clone();
        std::thread::Builder::new().name("input".to_owned()).spawn(move || {
            read_all(input, &inbox, theirs.as_deref());
        })?;
        Ok(Self { wanted, md5 })
    }

    /// Fills `leases`, which have room for them, with the next `len` bytes.
    pub(super) fn fill(
        &self,
        leases: Vec<Lease>,
        len: u64,
        look_ahead: bool,
    ) -> oneshot::Receiver<io::Result<Filled>> {
        let (answer, filled) = oneshot::channel();
        // A thread that has gone away drops the request, and so the answer.
        let _ = self.wanted.send(Fill { leases, len, look_ahead, answer });
        filled
    }

    /// The MD5 of everything that was read, where it is wanted. Asked for after the last block.
    pub(super) fn md5(&self) -> Option<[u8; 16]> {
        let md5 = self.md5.as_ref()?;
        Some(md5.lock().expect("nothing panics while the lock is held").clone().finalize().into())
    }
}

fn read_all(mut input: impl Read, inbox: &Receiver<Fill>, md5: Option<&Mutex<Md5>>) {
    // Read ahead of its block.
    let mut ahead = None;
    for Fill { leases, len, look_ahead, answer } in inbox {
        let filled = fill(&mut input, leases, len, look_ahead, &mut ahead);
        if let (Ok(filled), Some(md5)) = (&filled, md5) {
            let mut md5 = md5.lock().expect("nothing panics while the lock is held");
            for lease in &filled.leases {
                md5.update(&**lease);
            }
        }
        // Nobody waits for it any more when the job was stopped.
        let _ = answer.send(filled);
    }
}

fn fill(
    input: &mut impl Read,
    leases: Vec<Lease>,
    len: u64,
    look_ahead: bool,
    ahead: &mut Option<u8>,
) -> io::Result<Filled> {
    let mut left = len;
    let mut filled = Vec::with_capacity(leases.len());
    for mut lease in leases {
        let room = left.min(BLOCK_SLOT_BYTES as u64) as usize;
        let space = &mut lease.space_mut()[..room];
        let mut got = 0;
        if let (Some(first), Some(byte)) = (space.first_mut(), ahead.take()) {
            (*first, got) = (byte, 1);
        }
        got += read_full(input, &mut space[got..])?;
        lease.set_len(got);
        left -= got as u64;
        if got > 0 {
            filled.push(lease);
        }
        if got < room {
            return Ok(Filled { leases: filled, is_last: true });
        }
    }
    let mut is_last = false;
    if look_ahead {
        let mut byte = [0];
        is_last = read_full(input, &mut byte)? == 0;
        *ahead = (!is_last).then_some(byte[0]);
    }
    Ok(Filled { leases: filled, is_last })
}

/// Reads until `out` is full or the stream has ended.
fn read_full(input: &mut impl Read, out: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while got < out.len() {
        match input.read(&mut out[got..]) {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}
