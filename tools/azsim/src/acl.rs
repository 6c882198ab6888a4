//! Get and Set Container ACL: public access and stored access policies.
//!
//! <https://learn.microsoft.com/rest/api/storageservices/set-container-acl>. The service takes up to 30 seconds until a
//! change is in force; here it is at once.

use http::StatusCode;
use hyper::body::Incoming;

use crate::answer::{self, Answer, Failure};
use crate::auth::PublicAccess;
use crate::body::receive_small;
use crate::conditions::Conditions;
use crate::container::{read_access, write_access};
use crate::error::{INVALID_XML_DOCUMENT, INVALID_XML_NODE_VALUE, REQUEST_BODY_TOO_LARGE, Result};
use crate::lease::{self, On};
use crate::server::Server;
use crate::service::{Rq, write_times};
use crate::store::Policy;
use crate::time;
use crate::xml;

/// Bytes of the request.
const MAX_BYTES: usize = 16 << 10;
/// Policies of one container.
const MAX_POLICIES: usize = 5;
/// Characters of a policy's name.
const MAX_ID: usize = 64;
/// The permissions that a policy can give.
const PERMISSIONS: &str = "racwdxyltfmeopi";

pub(crate) fn get(rq: &Rq<'_>) -> std::result::Result<Answer, Failure> {
    let acl = rq.container()?.facts();
    lease::check_read(rq.parts, acl.lease.as_ref(), On::Container, rq.shared.now())?;
    let mut out = String::from(xml::PROLOG);
    out.push_str("<SignedIdentifiers>");
    for policy in &acl.policies {
        out.push_str("<SignedIdentifier>");
        xml::element(&mut out, "Id", &policy.id);
        let fields =
            [("Start", &policy.start), ("Expiry", &policy.expiry), ("Permission", &policy.permissions)];
        // A policy of nothing is not there.
        if fields.iter().any(|(_, value)| value.is_some()) {
            out.push_str("<AccessPolicy>");
            for (name, value) in fields {
                if let Some(value) = value {
                    xml::element(&mut out, name, value);
                }
            }
            out.push_str("</AccessPolicy>");
        }
        out.push_str("</SignedIdentifier>");
    }
    out.push_str("</SignedIdentifiers>");
    let mut answer = answer::xml(out);
    write_times(&mut answer, acl.modified);
    write_access(acl.access, &mut answer);
    Ok(answer)
}

pub(crate) async fn set(rq: &Rq<'_>, body: &mut Option<Incoming>) -> std::result::Result<Answer, Failure> {
    let conditions = Conditions::read(rq.parts)?;
    let access = read_access(rq.parts)?;
    let document = receive_small(body.take().ok_or(Failure::Gone)?, MAX_BYTES).await?;
    let document = document.ok_or(REQUEST_BODY_TOO_LARGE)?;
    rq.counters.received(document.len() as u64);
    let policies = if document.is_empty() { Vec::new() } else { parse(&document)? };
    let modified = rq.shared.clock.tick();
    rq.container()?.change(|facts| {
        conditions.check_change(facts.modified)?;
        lease::check_read(rq.parts, facts.lease.as_ref(), On::Container, rq.shared.now())?;
        (facts.modified, facts.access, facts.policies) = (modified, access, policies);
        Ok(())
    })?;
    let mut answer = answer::empty(StatusCode::OK);
    write_times(&mut answer, modified);
    Ok(answer)
}

impl Server {
    /// Sets a container's public access and, from the document that Set Container ACL takes, its stored policies.
    ///
    /// # Errors
    /// What the service would answer.
    ///
    /// # Panics
    /// When there is no such container.
    pub fn set_acl(
        &self,
        account: &str,
        container: &str,
        access: PublicAccess,
        document: &str,
    ) -> std::result::Result<(), String> {
        let policies = match document {
            "" => Vec::new(),
            document => parse(document.as_bytes()).map_err(|error| error.code.to_string())?,
        };
        let container = self.container(account, container).expect("the container is there");
        let modified = self.shared.clock.tick();
        let changed = container.change(|facts| {
            (facts.modified, facts.access, facts.policies) = (modified, access, policies);
            Ok(())
        });
        changed.map_err(|error| error.code.to_string())
    }
}

fn parse(document: &[u8]) -> Result<Vec<Policy>> {
    let bad = |why: String| INVALID_XML_DOCUMENT.detail("Reason", why);
    let value = |name: &str, text: &str| {
        INVALID_XML_NODE_VALUE.detail("XmlNodeName", name).detail("XmlNodeValue", text)
    };
    let mut policies: Vec<Policy> = Vec::new();
    let mut policy = Policy::default();
    let mut seen = false;
    for (path, text) in xml::parse_elements(document)? {
        let Some(name) = path.strip_prefix("SignedIdentifiers") else {
            return Err(bad(format!("unexpected element {path}")));
        };
        let given = (!text.is_empty()).then_some(&text);
        let date = |name: &str| {
            given.map(|t| time::parse_iso(t).map(time::iso).ok_or_else(|| value(name, t))).transpose()
        };
        match name {
            "" => seen = true,
            "/SignedIdentifier/AccessPolicy" => {}
            "/SignedIdentifier/Id" => policy.id = text,
            "/SignedIdentifier/AccessPolicy/Start" => policy.start = date("Start")?,
            "/SignedIdentifier/AccessPolicy/Expiry" => policy.expiry = date("Expiry")?,
            "/SignedIdentifier/AccessPolicy/Permission" => {
                if !text.chars().all(|c| PERMISSIONS.contains(c)) {
                    return Err(value("Permission", &text));
                }
                policy.permissions = given.cloned();
            }
            "/SignedIdentifier" => {
                let length = policy.id.chars().count();
                if !(1..=MAX_ID).contains(&length) || policies.iter().any(|p| p.id == policy.id) {
                    return Err(value("Id", &policy.id));
                }
                policies.push(std::mem::take(&mut policy));
            }
            _ => return Err(bad(format!("unexpected element {path}"))),
        }
    }
    if !seen || policies.len() > MAX_POLICIES {
        return Err(bad(format!("not a list of at most {MAX_POLICIES} identifiers")));
    }
    Ok(policies)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identifier(id: &str, policy: &str) -> String {
        format!("<SignedIdentifier><Id>{id}</Id><AccessPolicy>{policy}</AccessPolicy></SignedIdentifier>")
    }

    fn list(identifiers: &str) -> Result<Vec<Policy>> {
        parse(format!("<?xml version='1.0'?><SignedIdentifiers>{identifiers}</SignedIdentifiers>").as_bytes())
    }

    #[test]
    fn policies_are_read() {
        let policy =
            "<Start>2026-01-01</Start><Expiry>2027-01-01T00:00:00Z</Expiry><Permission>rl</Permission>";
        let expected = Policy {
            id: "a".to_owned(),
            start: Some("2026-01-01T00:00:00.0000000Z".to_owned()),
            expiry: Some("2027-01-01T00:00:00.0000000Z".to_owned()),
            permissions: Some("rl".to_owned()),
        };
        let empty = Policy { id: "b".to_owned(), ..Policy::default() };
        let both = identifier("a", policy) + &identifier("b", "<Start/>");
        assert_eq!(list(&both).unwrap(), [expected, empty]);
        assert_eq!(list("").unwrap(), []);
    }

    #[test]
    fn what_is_no_list_of_policies_is_refused() {
        let many: String = (0..6).map(|i| identifier(&i.to_string(), "")).collect();
        for (text, code) in [
            (many, "InvalidXmlDocument"),
            (identifier("a", "<Foo/>"), "InvalidXmlDocument"),
            (identifier("a", "<Start>soon</Start>"), "InvalidXmlNodeValue"),
            (identifier("a", "<Permission>q</Permission>"), "InvalidXmlNodeValue"),
            (identifier(&"a".repeat(65), ""), "InvalidXmlNodeValue"),
            (identifier("", ""), "InvalidXmlNodeValue"),
            (identifier("a", "") + &identifier("a", ""), "InvalidXmlNodeValue"),
        ] {
            assert_eq!(list(&text).unwrap_err().code, code, "{text}");
        }
        assert_eq!(parse(b"<Identifiers/>").unwrap_err().code, "InvalidXmlDocument");
    }
}
