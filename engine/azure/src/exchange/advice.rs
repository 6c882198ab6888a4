//! What a person can do about a refusal, knowing who was refused, and what for.
//!
//! Roles: <https://learn.microsoft.com/azure/role-based-access-control/built-in-roles/storage>; letters: "Create a
//! service SAS" in the REST documentation; codes: "Status and error codes" there.

use crate::account::credential::Credential;
use crate::account::sas::Sas;
use crate::exchange::error::{RequestError, ServiceError};

/// What a request was to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read blobs, their properties or their tags' count.
    Read,
    /// List blobs.
    List,
    /// Write blobs, their properties, metadata or tiers; make containers.
    Write,
    /// Delete blobs.
    Delete,
    /// Write index tags.
    Tag,
    /// Get a user delegation key.
    Delegate,
}

impl Access {
    /// The role that allows it, the smallest one.
    fn role(self) -> &'static str {
        match self {
            Access::Read | Access::List => "Storage Blob Data Reader",
            Access::Write | Access::Delete => "Storage Blob Data Contributor",
            Access::Tag => "Storage Blob Data Owner",
            Access::Delegate => "Storage Blob Delegator",
        }
    }

    /// Whether a SAS has none of the letters that allow it. Where it has one, something else is missing.
    fn lacks(self, sas: &Sas) -> bool {
        let any = match self {
            Access::Read => "r",
            Access::List => "l",
            Access::Write => "cw",
            Access::Delete => "dxy",
            Access::Tag => "t",
            Access::Delegate => "",
        };
        sas.facts().permissions.is_none_or(|sp| !sp.contains(|letter| any.contains(letter)))
    }

    /// The letters in `sp` that allow it.
    fn letters(self) -> &'static str {
        match self {
            Access::Read => "`r`",
            Access::List => "`l`",
            Access::Write => "`w` (or `c` for what is new)",
            Access::Delete => "`d` (versions `x`, for good `y`)",
            Access::Tag => "`t`",
            Access::Delegate => "none: only an identity can get this key",
        }
    }
}

/// A clock that is further off than this is told of. The service itself allows 15 minutes in signed requests and none
/// in the times of a SAS.
const SKEW_S: u32 = 300;

impl RequestError {
    /// What a person can do about it. Of 401 and 403 it says who was refused, and what they lack.
    pub fn advice_for(&self, credential: &Credential, access: Access) -> String {
        let refused = |error: &&ServiceError| {
            // What is not public is not there for somebody without a credential.
            let nobody = matches!(credential, Credential::Anonymous)
                && matches!(error.code.as_str(), "ResourceNotFound" | "PublicAccessNotPermitted");
            nobody || matches!(error.status, 401 | 403)
        };
        let at_source = self.service().and_then(ServiceError::at_copy_source);
        let told = at_source.as_ref().filter(|told| told.code != "CannotVerifyCopySource");
        let is_read = matches!(access, Access::Read | Access::List);
        if is_read && told.or(self.service()).is_some_and(|error| error.code == "ContainerNotFound") {
            return "there is no such container: check the URL".to_owned();
        }
        let Some(error) = told.or(self.service()).filter(refused) else { return self.advice().to_owned() };
        let skew =
            error.clock_skew_s.filter(|skew| skew.unsigned_abs() > SKEW_S).map(off).unwrap_or_default();
        format!("{skew}{}", refusal(error, credential, access))
    }
}

/// How far this machine's clock is from the service's, which is `skew_s` ahead of it.
fn off(skew_s: i32) -> String {
    let (amount, way) = (skew_s.unsigned_abs(), if skew_s > 0 { "behind" } else { "ahead of" });
    let amount = match amount {
        0..7200 => format!("{} minutes", amount / 60),
        7200..172_800 => format!("{} hours", amount / 3600),
        _ => format!("{} days", amount / 86_400),
    };
    format!(
        "this machine's clock is {amount} {way} the service's, and signatures and tokens hold for a time: set it right; "
    )
}

fn refusal(error: &ServiceError, credential: &Credential, access: Access) -> String {
    let who = credential.describe();
    let role = access.role();
    match (error.code.as_str(), credential) {
        ("AuthorizationPermissionMismatch", Credential::Token(token)) => format!(
            "{} lacks the role {role}, on the account{}: assign it (Owner or Contributor of the account are not enough; a new \
             assignment takes up to 10 minutes)",
            token.identity(),
            if access == Access::Delegate { "" } else { " or the container" }
        ),
        ("AuthorizationPermissionMismatch", Credential::Sas(sas)) if access.lacks(sas) => {
            let has = sas.facts().permissions.map(|sp| format!(" (it has sp={sp})")).unwrap_or_default();
            format!("the SAS lacks {}{has}", access.letters())
        }
        ("AuthorizationSourceIPMismatch", Credential::Sas(sas)) => match sas.facts().ip {
            Some(range) => format!("the SAS admits {range} only, and the service sees this machine at another address"),
            None => error.advice().to_owned(),
        },
        ("AuthorizationFailure", _) => format!(
            "it was sent with {who}; the account's firewall does not admit this network, or only a private endpoint (portal: Networking), or \
             the account forbids this kind of credential"
        ),
        ("KeyBasedAuthenticationNotPermitted", _) => format!(
            "it was sent with {who}, and the account forbids keys and what is signed with them: use Microsoft Entra ID (azuring login, \
             AZCOPY_AUTO_LOGIN_TYPE) or a user delegation SAS (azuring sas --user-delegation)"
        ),
        ("InvalidAuthenticationInfo", Credential::Token(token)) => format!(
            "the tokens of {} are not taken: they have to be of the account's own tenant (AZCOPY_TENANT_ID, --tenant-id; \
             between two: --source-tenant-id, --destination-tenant-id){}",
            token.identity(),
            error.tenant.as_ref().map(|tenant| format!(", which is {tenant}")).unwrap_or_default()
        ),
        ("AuthenticationFailed", Credential::Token(token)) => {
            format!("the tokens of {} are not taken: are they of the account's own tenant (AZCOPY_TENANT_ID, --tenant-id)?", token.identity())
        }
        ("AuthenticationFailed", Credential::Sas(_)) => {
            "the SAS is not taken: was it copied whole, has it expired, was the key it is signed with changed?".to_owned()
        }
        ("AuthenticationFailed", Credential::SharedKey(_)) => {
            format!("check the key: is it {who}, and still that key? And is this machine's clock right?")
        }
        (_, Credential::Anonymous) => format!(
            "it was sent without a credential: append a SAS to the URL, give the account's key (AZURE_STORAGE_KEY, --account-key-file), or be \
             somebody with the role {role} (azuring login, AZCOPY_AUTO_LOGIN_TYPE)"
        ),
        (_, Credential::Token(token)) => {
            format!("it was sent with the tokens of {}; {}; the role for it is {role}", token.identity(), error.advice())
        }
        _ => format!("it was sent with {who}; {}", error.advice()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::bearer::bearer;
    use crate::account::credential::TrustedSuffixes;
    use crate::account::url::BlobUrl;

    fn error(status: u16, code: &str, clock_skew_s: Option<i32>) -> RequestError {
        ServiceError { clock_skew_s, tenant: Some("t1".into()), ..ServiceError::new(status, code) }.into()
    }

    fn token() -> Credential {
        let url = BlobUrl::parse("https://acc.blob.core.windows.net/cont").unwrap();
        let (_feed, bearer) = bearer("robot");
        Credential::token(&url, bearer, &TrustedSuffixes::default()).unwrap()
    }

    #[test]
    fn the_role_or_the_letter_that_is_missing_is_named() {
        let lacking = error(403, "AuthorizationPermissionMismatch", None);
        for (access, role) in [
            (Access::List, "robot lacks the role Storage Blob Data Reader"),
            (Access::Write, "robot lacks the role Storage Blob Data Contributor"),
            (Access::Tag, "robot lacks the role Storage Blob Data Owner"),
            (Access::Delegate, "robot lacks the role Storage Blob Delegator"),
        ] {
            assert!(lacking.advice_for(&token(), access).starts_with(role), "{role}");
        }
        let sas = "sv=2025-07-05&sr=c&sp=rl&sip=10.0.0.1&se=2030-01-01&sig=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D";
        let sas = Credential::Sas(Sas::parse(sas).unwrap());
        assert_eq!(
            lacking.advice_for(&sas, Access::Delete),
            "the SAS lacks `d` (versions `x`, for good `y`) (it has sp=rl)"
        );
        let elsewhere = error(403, "AuthorizationSourceIPMismatch", None).advice_for(&sas, Access::Read);
        assert!(elsewhere.contains("admits 10.0.0.1 only"), "{elsewhere}");
        let nobody =
            error(401, "NoAuthenticationInformation", None).advice_for(&Credential::Anonymous, Access::Read);
        assert!(
            nobody.contains("without a credential") && nobody.contains("Storage Blob Data Reader"),
            "{nobody}"
        );
        let tenant = error(401, "InvalidAuthenticationInfo", None).advice_for(&token(), Access::Read);
        assert!(tenant.contains("robot") && tenant.contains("which is t1"), "{tenant}");
    }

    #[test]
    fn a_container_that_is_not_there_is_made_where_something_is_written_alone() {
        let missing = error(404, "ContainerNotFound", None);
        for (access, advice) in [
            (Access::Write, "create the container first"),
            (Access::Read, "there is no such container: check the URL"),
            (Access::List, "there is no such container: check the URL"),
        ] {
            assert_eq!(missing.advice_for(&Credential::Anonymous, access), advice);
        }
    }

    #[test]
    fn a_clock_that_is_off_is_told_of_first() {
        let told = |skew| error(403, "AuthenticationFailed", Some(skew)).advice_for(&token(), Access::Read);
        assert!(told(1020).starts_with("this machine's clock is 17 minutes behind the service's"));
        assert!(told(-7200).starts_with("this machine's clock is 2 hours ahead of the service's"));
        assert!(told(1_000_000).starts_with("this machine's clock is 11 days behind"));
        assert!(told(299).starts_with("the tokens of robot"));
        let other = error(404, "BlobNotFound", Some(9000));
        assert_eq!(other.advice_for(&token(), Access::Read), other.advice());
    }
}
