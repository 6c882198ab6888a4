//! The key that an identity of Microsoft Entra ID signs SAS with, and how it is got.

use std::time::SystemTime;

use aws_lc_rs::hmac;
use azuring_link::Payload;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::Method;
use http::header::CONTENT_TYPE;

use super::date;
use crate::exchange::client::{ANSWER_LIMIT_BYTES, BlobClient, Head};
use crate::exchange::error::RequestError;
use crate::exchange::operation::Operation;
use crate::exchange::properties::value;
use crate::exchange::xml::Xml;

/// A user delegation key. It is the identity's, and for so long as it says; that it is shown to nobody is up to its holder.
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
    /// Reads the answer of Get User Delegation Key.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(document: &[u8]) -> Result<Self, String> {
        const NAMES: [&str; 7] = [
            "SignedOid",
            "SignedTid",
            "SignedStart",
            "SignedExpiry",
            "SignedService",
            "SignedVersion",
            "Value",
        ];
        let mut found: [Option<String>; 7] = Default::default();
        let (mut xml, root) = Xml::open(document, "UserDelegationKey")?;
        xml.each(&root, |xml, child| {
            match NAMES.iter().position(|name| name.as_bytes() == child.name()) {
                Some(at) => found[at] = Some(xml.text(&child)?.into_owned()),
                None => xml.skip(&child)?,
            }
            Ok(())
        })?;
        let [object_id, tenant_id, start, expiry, service, version, key] = found;
        let key = BASE64_STANDARD
            .decode(key.unwrap_or_default().trim())
            .ok()
            .filter(|bytes| !bytes.is_empty())
            .ok_or_else(|| "its Value is not base64".to_owned())?;
        let whole = |at: usize, text: Option<String>| text.ok_or_else(|| format!("it has no {}", NAMES[at]));
        Ok(Self {
            object_id: whole(0, object_id)?,
            tenant_id: whole(1, tenant_id)?,
            start: whole(2, start)?,
            expiry: whole(3, expiry)?,
            service: whole(4, service)?,
            version: whole(5, version)?,
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
        })
    }

    pub(super) fn signature(&self, text: &str) -> String {
        BASE64_STANDARD.encode(hmac::sign(&self.key, text.as_bytes()).as_ref())
    }
}

impl BlobClient {
    /// Get User Delegation Key, for SAS between `start` and `expiry`, at most 7 days later. Needs a token.
    ///
    /// # Errors
    /// [`RequestError`]; 403 when the identity may not (role Storage Blob Delegator), or without a token.
    pub async fn user_delegation_key(
        &self,
        start: SystemTime,
        expiry: SystemTime,
    ) -> Result<UserDelegationKey, RequestError> {
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><KeyInfo><Start>{}</Start><Expiry>{}</Expiry></KeyInfo>",
            date::write(start),
            date::write(expiry)
        );
        let mut headers = self.target().common.clone();
        headers.insert(CONTENT_TYPE, value("content-type", "application/xml")?);
        let query = vec![("restype", "service"), ("comp", "userdelegationkey")];
        let operation = Operation::GetUserDelegationKey;
        let head = Head { operation, method: Method::POST, name: "", query, headers };
        let payload = Payload::from(Bytes::from(body));
        let answer = self.exchange_with_service(head, payload, ANSWER_LIMIT_BYTES).await?;
        UserDelegationKey::parse(&answer.body).map_err(|reason| operation.answered_otherwise(reason, true))
    }
}
