//! The key that an identity of Microsoft Entra ID signs SAS with.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// A user delegation key. It is the identity's, and for so long as it says; that it is shown to nobody is up to its
/// holder.
#[derive(Clone)]
pub struct UserDelegationKey {
    pub(super) object_id: String,
    pub(super) tenant_id: String,
    pub(super) start: String,
    pub(super) expiry: String,
    pub(super) service: String,
    pub(super) version: String,
    key: hmac::Key,
}

impl std::fmt::Debug for UserDelegationKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserDelegationKey")
            .field("object_id", &self.object_id)
            .field("start", &self.start)
            .field("expiry", &self.expiry)
            .finish_non_exhaustive()
    }
}

impl UserDelegationKey {
    /// `says`: whose it is (object, tenant), from when to when, for which service, of which version.
    pub(crate) fn new(says: [String; 6], key: &[u8]) -> Self {
        let [object_id, tenant_id, start, expiry, service, version] = says;
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        Self { object_id, tenant_id, start, expiry, service, version, key }
    }

    pub(super) fn signature(&self, text: &str) -> String {
        BASE64_STANDARD.encode(hmac::sign(&self.key, text.as_bytes()).as_ref())
    }
}
