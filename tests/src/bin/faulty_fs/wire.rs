//! The messages of the FUSE protocol (`linux/fuse.h`, version 7.31).

/// Bytes of a request's header, and of an answer's.
const IN_HEADER_BYTES: usize = 40;
const OUT_HEADER_BYTES: usize = 16;

/// One request: its header, and its body to be read in order.
pub(crate) struct Request<'a> {
    pub(crate) opcode: u32,
    pub(crate) unique: u64,
    pub(crate) node: u64,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    body: &'a [u8],
}

impl<'a> Request<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        let (header, body) = bytes.split_at(IN_HEADER_BYTES);
        let mut header = Self { opcode: 0, unique: 0, node: 0, uid: 0, gid: 0, body: header };
        header.u32();
        let (opcode, unique, node) = (header.u32(), header.u64(), header.u64());
        let (uid, gid) = (header.u32(), header.u32());
        Self { opcode, unique, node, uid, gid, body }
    }

    fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.body.split_at(len);
        self.body = rest;
        taken
    }

    pub(crate) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take(4).try_into().unwrap())
    }

    pub(crate) fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take(8).try_into().unwrap())
    }

    /// A name that ends with a zero.
    pub(crate) fn name(&mut self) -> Vec<u8> {
        let end = self.body.iter().position(|&b| b == 0).unwrap();
        let name = self.take(end).to_vec();
        self.take(1);
        name
    }

    /// So many bytes.
    pub(crate) fn bytes(&mut self, len: usize) -> &'a [u8] {
        self.take(len)
    }
}

/// An answer that is being written.
#[derive(Default)]
pub(crate) struct Reply(Vec<u8>);

impl Reply {
    pub(crate) fn u16(mut self, value: u16) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    pub(crate) fn u32(mut self, value: u32) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    pub(crate) fn u64(mut self, value: u64) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn zeros(mut self, len: usize) -> Self {
        self.0.resize(self.0.len() + len, 0);
        self
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// With its header.
    pub(crate) fn answer(self, unique: u64) -> Vec<u8> {
        Self::framed(unique, 0, &self.0)
    }

    /// An error.
    pub(crate) fn refusal(unique: u64, errno: i32) -> Vec<u8> {
        Self::framed(unique, -errno, &[])
    }

    fn framed(unique: u64, error: i32, body: &[u8]) -> Vec<u8> {
        let len = u32::try_from(OUT_HEADER_BYTES + body.len()).unwrap();
        let mut out = len.to_le_bytes().to_vec();
        out.extend(error.to_le_bytes());
        out.extend(unique.to_le_bytes());
        out.extend_from_slice(body);
        out
    }
}
