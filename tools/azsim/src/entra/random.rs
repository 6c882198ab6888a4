//! Ids and secrets.

use aws_lc_rs::{digest, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Bytes that nobody can guess.
pub(super) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).expect("the kernel gives random bytes");
    bytes
}

/// A secret of 43 characters.
pub(super) fn secret() -> String {
    URL_SAFE_NO_PAD.encode(bytes::<32>())
}

/// A GUID that nobody has had.
pub(super) fn guid() -> String {
    write_guid(bytes())
}

/// The GUID that belongs to a text.
pub(super) fn guid_of(text: &str) -> String {
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.as_ref()[..16]);
    write_guid(bytes)
}

/// Letters and digits for people to type.
pub(super) fn user_code() -> String {
    bytes::<9>()
        .map(|b| char::from(b"BCDFGHJKLMNPQRSTVWXZ23456789ABCD"[usize::from(b & 31)]))
        .iter()
        .collect()
}

fn write_guid(bytes: [u8; 16]) -> String {
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
