//! What Microsoft's library signs, and its signatures: driven by `peers/sign.mjs`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::node;

/// A request that the library has signed with an account's key.
#[derive(Clone, Debug, Deserialize)]
pub struct SignedRequest {
    /// The method.
    pub method: String,
    /// The path as it is sent.
    pub path: String,
    /// The parameters, decoded.
    pub query: Vec<(String, String)>,
    /// What is sent with it, but for `authorization` and `content-length`.
    pub headers: BTreeMap<String, String>,
    /// Bytes of its body.
    pub length: u64,
    /// The value of `authorization`.
    pub authorization: String,
}

/// A SAS that the library has made, and what it was to say. Times are milliseconds since 1970.
#[derive(Clone, Debug, Deserialize)]
pub struct SignedSas {
    /// `account`, `container`, `blob`, `policy` (of container or blob), `delegated container` or `delegated blob`.
    pub kind: String,
    /// Letters of `sp`, in no order.
    pub permissions: Option<String>,
    /// Its beginning.
    pub start: Option<u64>,
    /// Its end.
    pub expiry: Option<u64>,
    /// One address, or the first and the last.
    pub ip: Option<Vec<String>>,
    /// Whether it may be used without TLS.
    pub http: bool,
    /// The encryption scope.
    pub scope: Option<String>,
    /// The container.
    pub container: String,
    /// The blob's name, decoded.
    pub blob: Option<String>,
    /// The stored policy.
    pub policy: Option<String>,
    /// Letters of `ss`, in no order.
    pub services: String,
    /// Letters of `srt`, in no order.
    pub types: String,
    /// Headers of answers.
    pub overrides: Option<SignedOverrides>,
    /// The key of an identity.
    pub delegation: Option<Value>,
    /// The SAS.
    pub sas: String,
}

/// Headers of answers that a SAS says.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "they are named after the headers")]
pub struct SignedOverrides {
    pub cache_control: Option<String>,
    pub content_disposition: Option<String>,
    pub content_encoding: Option<String>,
    pub content_language: Option<String>,
    pub content_type: Option<String>,
}

/// So many requests and SAS, each the same for the same seed.
///
/// # Panics
/// When the library fails.
#[must_use]
pub fn signed(
    account: &str,
    key: &str,
    seed: u32,
    requests: usize,
    tokens: usize,
) -> (Vec<SignedRequest>, Vec<SignedSas>) {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Line {
        Request(SignedRequest),
        Sas(Box<SignedSas>),
    }
    let request =
        json!({ "account": account, "key": key, "seed": seed, "requests": requests, "tokens": tokens });
    let (mut signed_requests, mut signed_tokens) = (Vec::new(), Vec::new());
    for line in node::ask("sign.mjs", &request, None) {
        match line {
            Line::Request(request) => signed_requests.push(request),
            Line::Sas(sas) => signed_tokens.push(*sas),
        }
    }
    (signed_requests, signed_tokens)
}
