//! How a file is cut into requests: AzCopy's block-size rules, block ranges and block ids.
//!
//! Source of the rule: AzCopy's `mgr-JobPartTransferMgr.go`; of the limits: Azure's "Scalability and
//! performance targets for Blob storage" (service version 2019-12-12 and later).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::PlanError;

/// One MiB in bytes.
pub const MIB: u64 = 1 << 20;
/// Most blocks that a block blob can have.
pub const MAX_BLOCKS: u64 = 50_000;
/// Block size where the file and the user leave the choice: 8 MiB, AzCopy's.
pub const DEFAULT_BLOCK_SIZE: u64 = 8 * MIB;
/// Largest body of one Put Block.
pub const MAX_BLOCK_SIZE: u64 = 4_000 * MIB;
/// Largest body of one Put Blob.
pub const MAX_PUT_BLOB_SIZE: u64 = 5_000 * MIB;
/// Up to here the default block size grows by doubling; beyond, it is just large enough.
const DOUBLE_UP_TO: u64 = 256 * MIB;

crate::growing! {
    /// What the user said about block sizes; `None` leaves it to the rule.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    #[non_exhaustive]
    pub struct BlockRules {
        /// `--block-size-mb`, in bytes: kept as given, never enlarged.
        pub block_size: Option<u64>,
        /// `--put-blob-size-mb`, in bytes: the largest file sent as one Put Blob. By default the block size.
        pub put_blob_size: Option<u64>,
    }
}

/// How one file is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadShape {
    /// One Put Blob with the whole file.
    PutBlob,
    /// `count` Put Block requests of `block_size` bytes (the last one may be shorter) and a Put Block List.
    Blocks {
        /// Bytes of every block but the last.
        block_size: u64,
        /// Number of blocks, 1 to [`MAX_BLOCKS`].
        count: u32,
    },
}

impl BlockRules {
    /// Says how a file of `size` bytes is sent.
    ///
    /// # Errors
    ///
    /// An explicit size outside the service's limits or too small for [`MAX_BLOCKS`] blocks, and a file
    /// larger than a block blob can be.
    pub fn shape(&self, size: u64) -> Result<UploadShape, PlanError> {
        let block_size = match self.block_size {
            Some(given) => given,
            None => default_block_size(size)?,
        };
        if block_size == 0 || block_size > MAX_BLOCK_SIZE {
            return Err(PlanError::BlockSizeOutOfRange { block_size });
        }
        // The default never exceeds a limit: a block is smaller than the largest Put Blob.
        let put_blob_size = self.put_blob_size.unwrap_or(block_size);
        if put_blob_size > MAX_PUT_BLOB_SIZE {
            return Err(PlanError::PutBlobSizeOutOfRange { put_blob_size });
        }
        // An empty blob has no block that could carry it.
        if size <= put_blob_size || size == 0 {
            return Ok(UploadShape::PutBlob);
        }
        let count = size.div_ceil(block_size);
        if count > MAX_BLOCKS {
            let minimum = size.div_ceil(MAX_BLOCKS).div_ceil(MIB) * MIB;
            if minimum > MAX_BLOCK_SIZE {
                return Err(PlanError::FileTooLarge { size });
            }
            return Err(PlanError::BlockSizeTooSmall { size, block_size, minimum });
        }
        let count = u32::try_from(count).expect("at most 50,000");
        Ok(UploadShape::Blocks { block_size, count })
    }
}

/// AzCopy's rule: 8 MiB, doubled while 50,000 of them would not hold the file with room to spare, and from
/// 256 MiB on exactly as large as needed.
fn default_block_size(size: u64) -> Result<u64, PlanError> {
    let mut block_size = DEFAULT_BLOCK_SIZE;
    while size >= MAX_BLOCKS * block_size {
        if block_size > DOUBLE_UP_TO {
            block_size = size.div_ceil(MAX_BLOCKS);
            break;
        }
        block_size *= 2;
    }
    if block_size > MAX_BLOCK_SIZE { Err(PlanError::FileTooLarge { size }) } else { Ok(block_size) }
}

/// The bytes `(offset, len)` of block `index` of a file of `size` bytes, or `None` beyond its end.
/// `block_size` must not be zero.
#[must_use]
pub fn block_range(size: u64, block_size: u64, index: u32) -> Option<(u64, u64)> {
    debug_assert!(block_size > 0, "UploadShape never has an empty block");
    let offset = u64::from(index).checked_mul(block_size)?;
    (offset < size).then(|| (offset, block_size.min(size - offset)))
}

/// Reads a size given in MiB, as `--block-size-mb` takes it: `8`, `0.25`.
///
/// # Errors
///
/// [`PlanError::BadMib`] unless the value is a positive finite number that is a whole number of bytes
/// (AzCopy's condition) and fits in 63 bits.
pub fn mib_to_bytes(text: &str) -> Result<u64, PlanError> {
    let bad = |reason| PlanError::BadMib { text: text.to_owned(), reason };
    let mib: f64 = text.trim().parse().map_err(|_| bad("not a number"))?;
    if !mib.is_finite() || mib <= 0.0 {
        return Err(bad("it must be greater than zero"));
    }
    // Scaling by a power of two is exact.
    let bytes = mib * MIB as f64;
    if bytes >= (1_u64 << 63) as f64 {
        return Err(bad("it is too large"));
    }
    if bytes.fract() != 0.0 {
        return Err(bad("it is not a whole number of bytes (use a fraction such as 0.25 or 0.5)"));
    }
    Ok(bytes as u64)
}

/// Bytes as MiB for messages, without superfluous digits: `0.25`, `8`.
pub(crate) fn display_mib(bytes: u64) -> f64 {
    bytes as f64 / MIB as f64
}

/// Raw bytes of a block id.
const RAW_LEN: usize = 36;
/// Marks the ids this program made, and the version of their layout.
const PREFIX: &[u8; 8] = b"azuring2";

/// The id of one block: always [`BlockId::LEN`] characters of base64, the same for the same content and block, so that
/// a resumed job recognises the blocks it has already sent.
///
/// The service wants all ids of one blob to have the same length and at most 64 bytes before encoding. The layout
/// follows AzCopy's (36 bytes, 48 characters: a prefix, 16 bytes, then numbers), with the number in binary, since
/// decimal digits overflow. AzCopy's 16 bytes are the job's id, so a block of a file that changed meanwhile has the
/// id of the old one; here they stand for the state of the content.
///
/// ```text
/// 0        8             24       32       36
/// azuring2 | content (16) | zeros  | block  |      the number big-endian
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlockId([u8; RAW_LEN]);

/// The shortest id, in raw bytes, that tells enough of the content: eight bytes of it and the number.
const SHORTEST_RAW_LEN: usize = 12;
/// The longest id that the service takes, in raw bytes.
const LONGEST_RAW_LEN: usize = 64;

/// The id of one block as another program's blocks want it: all blocks under a name, also those that nobody has
/// committed, have ids of one length. `raw_len` is that length before it is encoded; `None`: too short to tell contents
/// apart, or longer than the service takes.
///
/// Longer ids than this program's own begin like them; shorter ones are the beginning of `content` alone. The number
/// stands at the end of all.
#[must_use]
pub fn block_id_of_len(content: [u8; 16], block: u32, raw_len: usize) -> Option<String> {
    if !(SHORTEST_RAW_LEN..=LONGEST_RAW_LEN).contains(&raw_len) {
        return None;
    }
    let own = BlockId::new(content, 0).0;
    let mut raw = [0; LONGEST_RAW_LEN];
    let begin = raw_len - 4;
    let from = if raw_len >= RAW_LEN { &own[..RAW_LEN - 4] } else { &content[..content.len().min(begin)] };
    raw[..from.len()].copy_from_slice(from);
    raw[begin..raw_len].copy_from_slice(&block.to_be_bytes());
    Some(STANDARD.encode(&raw[..raw_len]))
}

/// Raw bytes of an id in base64, by whichever program; `None`: it is no base64.
#[must_use]
pub fn block_id_len(id: &str) -> Option<usize> {
    STANDARD.decode(id).ok().map(|raw| raw.len())
}

impl BlockId {
    /// Length of the base64 form in characters.
    pub const LEN: usize = 48;
    /// Length before it is encoded, in bytes.
    pub const RAW_LEN: usize = RAW_LEN;

    /// Whether this program has made the id, in base64.
    #[must_use]
    pub fn is_ours(id: &str) -> bool {
        STANDARD.decode(id).is_ok_and(|raw| raw.starts_with(PREFIX))
    }

    /// The id of block `block` of what `content` stands for.
    #[must_use]
    pub fn new(content: [u8; 16], block: u32) -> Self {
        let mut raw = [0; RAW_LEN];
        raw[..8].copy_from_slice(PREFIX);
        raw[8..24].copy_from_slice(&content);
        raw[32..].copy_from_slice(&block.to_be_bytes());
        Self(raw)
    }

    /// The number of the block whose id this is, in base64; `None` of any other id.
    #[must_use]
    pub fn block_of(content: [u8; 16], id: &str) -> Option<u32> {
        let raw = STANDARD.decode(id).ok()?;
        let block = u32::from_be_bytes(*raw.last_chunk()?);
        (block_id_of_len(content, block, raw.len())? == id).then_some(block)
    }

    /// Appends the base64 form, as Put Block List's XML carries it. It can contain `+` and `/`, which a query string
    /// must have percent-encoded.
    pub fn encode_into(&self, out: &mut String) {
        let mut text = [0; Self::LEN];
        out.push_str(self.base64(&mut text));
    }

    fn base64<'a>(&self, text: &'a mut [u8; Self::LEN]) -> &'a str {
        let len = STANDARD.encode_slice(self.0, text).expect("36 bytes are 48 characters");
        std::str::from_utf8(&text[..len]).expect("base64 is ASCII")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;
    const TIB: u64 = 1 << 40;

    fn blocks(size: u64) -> (u64, u32) {
        match BlockRules::default().shape(size).unwrap() {
            UploadShape::Blocks { block_size, count } => (block_size, count),
            UploadShape::PutBlob => (0, 0),
        }
    }

    #[test]
    fn ids_of_any_length_tell_content_and_block_and_own_ones_are_the_usual() {
        let (content, mut usual) = ([7; 16], String::new());
        BlockId::new(content, 49_999).encode_into(&mut usual);
        assert_eq!(block_id_of_len(content, 49_999, BlockId::RAW_LEN).as_deref(), Some(&*usual));
        for raw_len in 12..=64 {
            let id = block_id_of_len(content, 49_999, raw_len).unwrap();
            assert_eq!(block_id_len(&id), Some(raw_len));
            assert_eq!(BlockId::block_of(content, &id), Some(49_999), "{raw_len}");
            assert_eq!(BlockId::block_of([8; 16], &id), None, "{raw_len}");
            assert_eq!(BlockId::is_ours(&id), raw_len >= BlockId::RAW_LEN);
        }
        assert_eq!(block_id_of_len(content, 0, 11), None);
        assert_eq!(block_id_of_len(content, 0, 65), None);
    }

    #[test]
    fn default_rule_follows_azcopys_table() {
        assert_eq!(blocks(0), (0, 0));
        assert_eq!(blocks(8 * MIB), (0, 0));
        assert_eq!(blocks(8 * MIB + 1), (8 * MIB, 2));
        assert_eq!(blocks(50_000 * 8 * MIB - 1), (8 * MIB, 50_000));
        // "while size >= 50,000 * bs": the exact multiple already doubles.
        assert_eq!(blocks(50_000 * 8 * MIB), (16 * MIB, 25_000));
        assert_eq!(blocks(700 * GIB).0, 16 * MIB);
        assert_eq!(blocks(TIB).0, 32 * MIB);
        assert_eq!(blocks(3 * TIB).0, 64 * MIB);
        assert_eq!(blocks(6 * TIB).0, 128 * MIB);
        assert_eq!(blocks(12 * TIB).0, 256 * MIB);
        assert_eq!(blocks(24 * TIB).0, 512 * MIB);
        assert_eq!(blocks(100 * TIB), ((100 * TIB).div_ceil(50_000), 50_000));
        assert_eq!(blocks(50_000 * MAX_BLOCK_SIZE), (MAX_BLOCK_SIZE, 50_000));
        let size = 50_000 * MAX_BLOCK_SIZE + 1;
        assert_eq!(BlockRules::default().shape(size), Err(PlanError::FileTooLarge { size }));
        assert_eq!(BlockRules::default().shape(u64::MAX), Err(PlanError::FileTooLarge { size: u64::MAX }));
    }

    #[test]
    fn put_blob_size_is_separate_from_block_size() {
        let rules = BlockRules { block_size: Some(MIB), put_blob_size: Some(64 * MIB) };
        assert_eq!(rules.shape(64 * MIB), Ok(UploadShape::PutBlob));
        assert_eq!(rules.shape(64 * MIB + 1), Ok(UploadShape::Blocks { block_size: MIB, count: 65 }));
        let rules = BlockRules { block_size: Some(4 * MIB), put_blob_size: None };
        assert_eq!(rules.shape(4 * MIB), Ok(UploadShape::PutBlob));
        let rules = BlockRules { block_size: None, put_blob_size: Some(1) };
        assert_eq!(rules.shape(2), Ok(UploadShape::Blocks { block_size: 8 * MIB, count: 1 }));
        assert_eq!(
            BlockRules { block_size: None, put_blob_size: Some(0) }.shape(0),
            Ok(UploadShape::PutBlob)
        );
        let put_blob_size = MAX_PUT_BLOB_SIZE + 1;
        assert_eq!(
            BlockRules { block_size: None, put_blob_size: Some(put_blob_size) }.shape(1),
            Err(PlanError::PutBlobSizeOutOfRange { put_blob_size })
        );
    }

    #[test]
    fn explicit_block_size_too_small_names_one_that_does() {
        let rules = BlockRules { block_size: Some(MIB / 4), put_blob_size: None };
        let size = 100 * GIB;
        let error = rules.shape(size).unwrap_err();
        assert_eq!(error, PlanError::BlockSizeTooSmall { size, block_size: MIB / 4, minimum: 3 * MIB });
        assert_eq!(
            error.to_string(),
            "a block size of 0.25 MiB cuts this file of 107374182400 bytes into more than 50000 blocks; use at least --block-size-mb=3"
        );
        let rules = BlockRules { block_size: Some(3 * MIB), put_blob_size: None };
        assert!(rules.shape(size).is_ok());
        for block_size in [0, MAX_BLOCK_SIZE + 1] {
            let rules = BlockRules { block_size: Some(block_size), put_blob_size: None };
            assert_eq!(rules.shape(1), Err(PlanError::BlockSizeOutOfRange { block_size }));
        }
    }

    #[test]
    fn ranges_cover_the_file_exactly_once() {
        for (size, block_size) in [(1, 8), (8, 8), (9, 8), (24, 8), (25, 8)] {
            let mut at = 0;
            let mut index = 0;
            while let Some((offset, len)) = block_range(size, block_size, index) {
                assert_eq!(offset, at);
                assert!(len > 0 && len <= block_size);
                at += len;
                index += 1;
            }
            assert_eq!(at, size);
            assert_eq!(u64::from(index), size.div_ceil(block_size));
        }
        assert_eq!(block_range(0, 8, 0), None);
        assert_eq!(block_range(u64::MAX, u64::MAX, u32::MAX), None);
    }

    #[test]
    fn mib_accepts_what_is_a_whole_number_of_bytes() {
        assert_eq!(mib_to_bytes("8"), Ok(8 * MIB));
        assert_eq!(mib_to_bytes(" 0.25 "), Ok(MIB / 4));
        assert_eq!(mib_to_bytes("0.00000095367431640625"), Ok(1));
        for bad in ["", "x", "0", "-1", "nan", "inf", "1e300", "0.1", "8MB"] {
            assert!(matches!(mib_to_bytes(bad), Err(PlanError::BadMib { .. })), "{bad}");
        }
    }

    #[test]
    fn block_ids_have_one_length_and_differ() {
        let mut seen = std::collections::HashSet::new();
        for content in [[0; 16], [0xff; 16]] {
            for block in [0, 1, 49_999, u32::MAX] {
                let mut text = String::new();
                BlockId::new(content, block).encode_into(&mut text);
                assert_eq!(text.len(), BlockId::LEN);
                assert_eq!(STANDARD.decode(&text).unwrap().len(), 36);
                assert_eq!(BlockId::block_of(content, &text), Some(block));
                assert_eq!(BlockId::block_of([7; 16], &text), None);
                assert!(seen.insert(text));
            }
        }
        let mut text = String::new();
        BlockId::new(*b"0123456789abcdef", 3).encode_into(&mut text);
        assert_eq!(text, STANDARD.encode(b"azuring20123456789abcdef\0\0\0\0\0\0\0\0\0\0\0\x03"));
        for other in ["", "QQ==", &text[1..], &text.replacen('Y', "!", 1)] {
            assert_eq!(BlockId::block_of(*b"0123456789abcdef", other), None, "{other}");
        }
    }
}
