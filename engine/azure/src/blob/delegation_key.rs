//! Get User Delegation Key.

use std::time::SystemTime;

use azuring_link::Payload;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::Method;
use http::header::CONTENT_TYPE;

use crate::account::sas::{UserDelegationKey, date};
use crate::exchange::client::{ANSWER_LIMIT_BYTES, BlobClient, Head};
use crate::exchange::error::RequestError;
use crate::exchange::operation::Operation;
use crate::exchange::properties::value;
use crate::exchange::xml::Xml;

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
        let says = [
            whole(0, object_id)?,
            whole(1, tenant_id)?,
            whole(2, start)?,
            whole(3, expiry)?,
            whole(4, service)?,
            whole(5, version)?,
        ];
        Ok(Self::new(says, &key))
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
