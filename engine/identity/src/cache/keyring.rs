//! A key in the kernel's keyring: the user's persistent one, or where there is none the user's.

use linux_keyutils::{Key, KeyError, KeyRing, KeyRingIdentifier};

pub(super) const KEY_BYTES: usize = 32;

/// The key that seals a cache.
pub(super) type SealKey = [u8; KEY_BYTES];

/// The keyrings to look in, in order. Both are linked to this process's own, so that it possesses what is in them.
fn keyrings() -> Result<Vec<KeyRing>, String> {
    let forbidden = |error: KeyError| format!("the kernel's keyring cannot be used here: {error}");
    let own = KeyRing::from_special_id(KeyRingIdentifier::Process, true).map_err(forbidden)?;
    let user = KeyRing::from_special_id(KeyRingIdentifier::User, true);
    let user = user.and_then(|user| own.link_keyring(user).map(|()| user));
    let persistent = KeyRing::get_persistent(KeyRingIdentifier::Process);
    match (persistent, user) {
        (Err(error), Err(_)) => Err(forbidden(error)),
        (persistent, user) => Ok([persistent, user].into_iter().flatten().collect()),
    }
}

fn look(rings: &[KeyRing], name: &str) -> Option<(Key, SealKey)> {
    rings.iter().find_map(|ring| {
        let key = ring.search(name).ok()?;
        let mut bytes = [0; KEY_BYTES];
        (key.read(&mut bytes) == Ok(KEY_BYTES)).then_some((key, bytes))
    })
}

/// The key of this name; `None` if there is none, or no keyring.
pub(super) fn find(name: &str) -> Option<SealKey> {
    look(&keyrings().ok()?, name).map(|(_, bytes)| bytes)
}

/// The key of this name, which is made if need be; or why there can be none.
pub(super) fn find_or_make(name: &str) -> Result<SealKey, String> {
    let rings = keyrings()?;
    if let Some((_, bytes)) = look(&rings, name) {
        return Ok(bytes);
    }
    let mut bytes = [0; KEY_BYTES];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| "there is no randomness for a key".to_owned())?;
    let mut refused = String::new();
    for ring in &rings {
        match ring.add_key(name, &bytes) {
            // Read back: a key that cannot be read again would lose what it seals.
            Ok(_) if look(&rings, name).is_some_and(|(_, found)| found == bytes) => return Ok(bytes),
            Ok(_) => "the kernel's keyring does not give the key back".clone_into(&mut refused),
            Err(error) => refused = format!("the kernel's keyring takes no key: {error}"),
        }
    }
    Err(refused)
}

/// Removes the key of this name, if there is one.
pub(super) fn remove(name: &str) {
    let Ok(rings) = keyrings() else { return };
    while let Some((key, _)) = look(&rings, name) {
        if key.invalidate().is_err() {
            return;
        }
    }
}
