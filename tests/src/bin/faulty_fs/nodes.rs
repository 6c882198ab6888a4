//! Files, directories and links in memory, and the operations on them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use super::Faults;
use super::wire::{Reply, Request};

const ENOENT: i32 = 2;
const EEXIST: i32 = 17;
const ENOSYS: i32 = 38;
const ENOTEMPTY: i32 = 39;

const ROOT: u64 = 1;
const DIRECTORY: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_000;

/// `RENAME_NOREPLACE`.
const NO_REPLACE: u32 = 1;
/// `FUSE_BIG_WRITES`, and `FUSE_WRITEBACK_CACHE`.
const BIG_WRITES: u32 = 1 << 5;
const WRITEBACK: u32 = 1 << 16;
const MAX_WRITE: u32 = 128 << 10;

#[derive(Debug)]
enum Content {
    File(Vec<u8>),
    Directory(BTreeMap<Vec<u8>, u64>),
    Link(Vec<u8>),
}

#[derive(Debug)]
struct Node {
    content: Content,
    mode: u32,
    links: u32,
    owner: (u32, u32),
    /// Access, modification, change: seconds and nanoseconds.
    times: [(u64, u32); 3],
    /// Whether it was said of all that was written that it is kept.
    is_kept: bool,
}

pub(crate) struct Nodes {
    faults: Arc<Mutex<Faults>>,
    tmpfile: bool,
    writeback: bool,
    times32: bool,
    noumask: bool,
    /// Nothing is ever forgotten: a test writes little.
    all: HashMap<u64, Node>,
}

type Answer = Result<Option<Reply>, i32>;

/// What each operation is called in rules and counts.
fn operation_of(opcode: u32) -> &'static str {
    match opcode {
        4 => "setattr",
        6 => "symlink",
        8 | 35 => "create",
        9 => "mkdir",
        10 => "unlink",
        12 | 45 => "rename",
        13 => "link",
        14 => "open",
        15 => "read",
        16 => "write",
        20 => "fsync",
        25 => "flush",
        43 => "fallocate",
        50 => "syncfs",
        51 => "tmpfile",
        _ => "other",
    }
}

impl Nodes {
    pub(crate) fn new(faults: Arc<Mutex<Faults>>, has: impl Fn(&str) -> bool) -> Self {
        let (tmpfile, writeback, times32) = (has("tmpfile"), has("writeback"), has("times32"));
        let noumask = has("noumask");
        let mut this = Self { faults, tmpfile, writeback, times32, noumask, all: HashMap::new() };
        this.all.insert(ROOT, Node::new(Content::Directory(BTreeMap::new()), DIRECTORY | 0o755, (0, 0)));
        this
    }

    /// Does what a request asks for; `None`: it wants no answer.
    pub(crate) fn answer(&mut self, mut request: Request<'_>) -> Answer {
        let r = &mut request;
        let operation = operation_of(r.opcode);
        if matches!(operation, "write" | "setattr") && self.holds(r) {
            return Ok(None);
        }
        if let Some(errno) = self.faults.lock().unwrap().strike(operation) {
            if operation == "flush"
                && let Some(Node { content: Content::File(bytes), is_kept: is_kept @ false, .. }) =
                    self.all.get_mut(&r.node)
            {
                bytes.fill(0);
                *is_kept = true;
            }
            return Err(errno);
        }
        match r.opcode {
            // FORGET, INTERRUPT, BATCH_FORGET
            2 | 36 | 42 => Ok(None),
            // LOOKUP
            1 => {
                let name = r.name();
                let node = *self.directory(r.node)?.get(&name).ok_or(ENOENT)?;
                Ok(Some(self.entry(node)))
            }
            // GETATTR
            3 => Ok(Some(self.attributes(r.node)?)),
            4 => self.set_attributes(r),
            // READLINK
            5 => match &self.node(r.node)?.content {
                Content::Link(text) => Ok(Some(Reply::default().bytes(text))),
                _ => Err(ENOENT),
            },
            // SYMLINK
            6 => {
                let (name, text) = (r.name(), r.name());
                let node = self.make(r, &name, Content::Link(text), LINK | 0o777)?;
                Ok(Some(self.entry(node)))
            }
            // MKNOD: mode, device, umask, padding
            8 => {
                let mode = r.u32();
                r.bytes(12);
                let name = r.name();
                let node = self.make(r, &name, Content::File(Vec::new()), mode)?;
                Ok(Some(self.entry(node)))
            }
            // MKDIR: mode, umask
            9 => {
                let mode = r.u32();
                r.u32();
                let name = r.name();
                let node = self.make(r, &name, Content::Directory(BTreeMap::new()), DIRECTORY | mode)?;
                Ok(Some(self.entry(node)))
            }
            // UNLINK
            10 => {
                let name = r.name();
                let node = self.directory(r.node)?.remove(&name).ok_or(ENOENT)?;
                self.node(node)?.links -= 1;
                Ok(Some(Reply::default()))
            }
            // RMDIR
            11 => {
                let name = r.name();
                let node = *self.directory(r.node)?.get(&name).ok_or(ENOENT)?;
                if !self.directory(node)?.is_empty() {
                    return Err(ENOTEMPTY);
                }
                self.directory(r.node)?.remove(&name);
                Ok(Some(Reply::default()))
            }
            // RENAME: directory
            12 => {
                let to = r.u64();
                self.rename(r, to, 0)
            }
            // RENAME2: directory, flags, padding
            45 => {
                let (to, flags) = (r.u64(), r.u32());
                r.u32();
                self.rename(r, to, flags)
            }
            // LINK: node
            13 => {
                let (node, name) = (r.u64(), r.name());
                let directory = self.directory(r.node)?;
                if directory.contains_key(&name) {
                    return Err(EEXIST);
                }
                directory.insert(name, node);
                self.node(node)?.links += 1;
                Ok(Some(self.entry(node)))
            }
            // OPEN, OPENDIR: handle, flags, backing
            14 | 27 => Ok(Some(Reply::default().zeros(16))),
            15 => self.read(r),
            16 => self.write(r),
            // STATFS
            17 => Ok(Some(
                Reply::default()
                    .u64(1 << 20)
                    .u64(1 << 20)
                    .u64(1 << 20)
                    .u64(1 << 20)
                    .u64(1 << 20)
                    .u32(4096)
                    .u32(255)
                    .u32(4096)
                    .zeros(28),
            )),
            // FSYNC, FLUSH
            20 | 25 => {
                self.node(r.node)?.is_kept = true;
                Ok(Some(Reply::default()))
            }
            // RELEASE, RELEASEDIR, FSYNCDIR, DESTROY, SYNCFS
            18 | 29 | 30 | 38 | 50 => Ok(Some(Reply::default())),
            26 => Ok(Some(self.init(r))),
            28 => self.list(r),
            // CREATE: flags, mode, umask, flags
            35 => {
                r.u32();
                let mode = r.u32();
                r.bytes(8);
                let name = r.name();
                let node = self.make(r, &name, Content::File(Vec::new()), FILE | mode)?;
                Ok(Some(self.entry(node).zeros(16)))
            }
            // TMPFILE: the same
            51 if self.tmpfile => {
                r.u32();
                let mode = if self.noumask { 0o666 } else { r.u32() };
                let node = self.add(Node::new(Content::File(Vec::new()), FILE | mode, (r.uid, r.gid)));
                self.node(node)?.links = 0;
                Ok(Some(self.entry(node).zeros(16)))
            }
            // FALLOCATE: handle, offset, length
            43 => {
                r.u64();
                let end = usize::try_from(r.u64() + r.u64()).unwrap();
                if let Content::File(bytes) = &mut self.node(r.node)?.content
                    && bytes.len() < end
                {
                    bytes.resize(end, 0);
                }
                Ok(Some(Reply::default()))
            }
            _ => Err(ENOSYS),
        }
    }

    /// Whether a change is answered later. The kernel does not wait for the bytes of a FUSE file when it syncs all of
    /// the file system, but for the file's times.
    fn holds(&self, r: &Request<'_>) -> bool {
        let mut faults = self.faults.lock().unwrap();
        let Content::Directory(names) = &self.all[&ROOT].content else { return false };
        let is_held = faults.hold.as_ref().and_then(|name| names.get(name)) == Some(&r.node);
        if is_held {
            faults.held.push(r.unique);
        }
        is_held
    }

    fn node(&mut self, node: u64) -> Result<&mut Node, i32> {
        self.all.get_mut(&node).ok_or(ENOENT)
    }

    fn directory(&mut self, node: u64) -> Result<&mut BTreeMap<Vec<u8>, u64>, i32> {
        match &mut self.node(node)?.content {
            Content::Directory(names) => Ok(names),
            _ => Err(ENOENT),
        }
    }

    fn add(&mut self, node: Node) -> u64 {
        let number = self.all.len() as u64 + ROOT;
        self.all.insert(number, node);
        number
    }

    fn make(&mut self, r: &Request<'_>, name: &[u8], content: Content, mode: u32) -> Result<u64, i32> {
        if self.directory(r.node)?.contains_key(name) {
            return Err(EEXIST);
        }
        let node = self.add(Node::new(content, mode, (r.uid, r.gid)));
        self.directory(r.node)?.insert(name.to_owned(), node);
        Ok(node)
    }

    fn rename(&mut self, r: &mut Request<'_>, to: u64, flags: u32) -> Answer {
        let (from, name) = (r.name(), r.name());
        if flags & NO_REPLACE != 0 && self.directory(to)?.contains_key(&name) {
            return Err(EEXIST);
        }
        let node = self.directory(r.node)?.remove(&from).ok_or(ENOENT)?;
        if let Some(replaced) = self.directory(to)?.insert(name, node) {
            self.node(replaced)?.links -= 1;
        }
        Ok(Some(Reply::default()))
    }

    /// Handle, offset, size.
    fn read(&mut self, r: &mut Request<'_>) -> Answer {
        r.u64();
        let (from, len) = (usize::try_from(r.u64()).unwrap(), r.u32() as usize);
        match &self.node(r.node)?.content {
            Content::File(bytes) => {
                let from = from.min(bytes.len());
                Ok(Some(Reply::default().bytes(&bytes[from..(from + len).min(bytes.len())])))
            }
            _ => Err(ENOENT),
        }
    }

    /// Handle, offset, size, flags, lock, flags, padding; the bytes.
    fn write(&mut self, r: &mut Request<'_>) -> Answer {
        r.u64();
        let (from, len) = (usize::try_from(r.u64()).unwrap(), r.u32());
        r.bytes(20);
        let written = r.bytes(len as usize);
        let node = self.node(r.node)?;
        let Content::File(bytes) = &mut node.content else { return Err(ENOENT) };
        let end = from + written.len();
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[from..end].copy_from_slice(written);
        node.times[1] = now();
        node.is_kept = false;
        Ok(Some(Reply::default().u32(len).u32(0)))
    }

    fn set_attributes(&mut self, r: &mut Request<'_>) -> Answer {
        let valid = r.u32();
        r.bytes(12);
        let size = usize::try_from(r.u64()).unwrap();
        r.u64();
        let last = if self.times32 { i32::MAX.unsigned_abs().into() } else { u64::MAX };
        let seconds = [r.u64(), r.u64(), r.u64()].map(|seconds| seconds.min(last));
        let nanoseconds = [r.u32(), r.u32(), r.u32()];
        let mode = r.u32();
        r.u32();
        let (uid, gid) = (r.u32(), r.u32());
        let node = self.node(r.node)?;
        let has = |bit: u32| valid & bit != 0;
        if has(1) {
            node.mode = node.mode & 0o170_000 | mode & 0o7777;
        }
        if has(2) {
            node.owner.0 = uid;
        }
        if has(4) {
            node.owner.1 = gid;
        }
        if let (true, Content::File(bytes)) = (has(8), &mut node.content) {
            bytes.resize(size, 0);
        }
        for (n, (given, is_now)) in [(16, 128), (32, 256), (1024, 0)].into_iter().enumerate() {
            if has(is_now) {
                node.times[n] = now();
            } else if has(given) {
                node.times[n] = (seconds[n], nanoseconds[n]);
            }
        }
        Ok(Some(self.attributes(r.node)?))
    }

    /// Handle, offset, size.
    fn list(&mut self, r: &mut Request<'_>) -> Answer {
        r.u64();
        let (from, room) = (usize::try_from(r.u64()).unwrap(), r.u32() as usize);
        let names: Vec<_> =
            self.directory(r.node)?.iter().map(|(name, node)| (name.clone(), *node)).collect();
        let mut reply = Reply::default();
        for (n, (name, node)) in names.into_iter().enumerate().skip(from) {
            let kind = self.node(node)?.mode >> 12 & 0xf;
            let padding = name.len().next_multiple_of(8) - name.len();
            if reply.len() + 24 + name.len() + padding > room {
                break;
            }
            let len = u32::try_from(name.len()).unwrap();
            reply = reply.u64(node).u64(n as u64 + 1).u32(len).u32(kind).bytes(&name).zeros(padding);
        }
        Ok(Some(reply))
    }

    /// Major and minor version, read-ahead, flags.
    fn init(&self, r: &mut Request<'_>) -> Reply {
        r.bytes(8);
        let (read_ahead, offered) = (r.u32(), r.u32());
        let wanted = BIG_WRITES | if self.writeback { WRITEBACK } else { 0 };
        Reply::default()
            .u32(7)
            .u32(31)
            .u32(read_ahead)
            .u32(offered & wanted)
            .u16(16)
            .u16(12)
            .u32(MAX_WRITE)
            .u32(1)
            .zeros(36)
    }

    fn entry(&self, node: u64) -> Reply {
        let reply = Reply::default().u64(node).zeros(32);
        reply.bytes(&self.all[&node].attributes(node))
    }

    fn attributes(&self, node: u64) -> Result<Reply, i32> {
        let attributes = self.all.get(&node).ok_or(ENOENT)?.attributes(node);
        Ok(Reply::default().zeros(16).bytes(&attributes))
    }
}

impl Node {
    fn new(content: Content, mode: u32, owner: (u32, u32)) -> Self {
        Self { content, mode, links: 1, owner, times: [now(); 3], is_kept: true }
    }

    /// `struct fuse_attr`.
    fn attributes(&self, number: u64) -> Vec<u8> {
        let size = match &self.content {
            Content::File(bytes) | Content::Link(bytes) => bytes.len() as u64,
            Content::Directory(_) => 4096,
        };
        let [accessed, modified, changed] = self.times;
        let mut out = Vec::with_capacity(88);
        for long in [number, size, size.div_ceil(512), accessed.0, modified.0, changed.0] {
            out.extend(long.to_le_bytes());
        }
        let (uid, gid) = self.owner;
        for short in [accessed.1, modified.1, changed.1, self.mode, self.links, uid, gid, 0, 4096, 0] {
            out.extend(short.to_le_bytes());
        }
        out
    }
}

fn now() -> (u64, u32) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    (now.as_secs(), now.subsec_nanos())
}
