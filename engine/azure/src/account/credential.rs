//! Which credential a request carries, and where it is found.

use std::sync::Arc;

use azuring_plan::host::CLOUDS;

use crate::account::bearer::Bearer;
use crate::account::emulator::{DEVSTORE_ACCOUNT, DEVSTORE_KEY};
use crate::account::error::CredentialError;
use crate::account::sas::Sas;
use crate::account::secret::Secret;
use crate::account::shared_key::AccountKey;
use crate::account::url::BlobUrl;

/// What authorizes requests.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Credential {
    /// Nothing: public containers only.
    Anonymous,
    /// A shared access signature.
    Sas(Sas),
    /// The account's key, which signs each request (Shared Key). It may do everything.
    SharedKey(Box<AccountKey>),
    /// Tokens of Microsoft Entra ID; made by [`Credential::token`].
    Token(HostToken),
}

/// Tokens, and the one host they may be sent to.
#[derive(Clone, Debug)]
pub struct HostToken {
    bearer: Bearer,
    authority: String,
    trusted: Arc<TrustedSuffixes>,
}

impl HostToken {
    /// The tokens, for the requests to `url`.
    ///
    /// # Errors
    /// [`CredentialError::TokenForOther`], [`CredentialError::TokenNeedsTls`].
    pub(crate) fn bearer_for(&self, url: &BlobUrl) -> Result<&Bearer, CredentialError> {
        needs_tls(url)?;
        let host = url.authority();
        if host != self.authority {
            return Err(CredentialError::TokenForOther { token_host: self.authority.clone(), host });
        }
        Ok(&self.bearer)
    }

    /// Whether the service at `url` may be given them to read here, for a copy to it.
    pub fn may_be_lent_to(&self, url: &BlobUrl) -> bool {
        Credential::may_send_tokens(url, &self.trusted).is_ok()
    }

    /// Whose tokens they are: never a secret.
    pub fn identity(&self) -> &str {
        self.bearer.identity()
    }
}

fn needs_tls(url: &BlobUrl) -> Result<(), CredentialError> {
    if url.endpoint().tls { Ok(()) } else { Err(CredentialError::TokenNeedsTls { url: url.to_string() }) }
}

/// The domains that may be sent tokens: those of the storage service in all clouds, and what the user adds.
///
/// The list is AzCopy's (`--trusted-microsoft-suffixes`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedSuffixes(Vec<String>);

impl Default for TrustedSuffixes {
    fn default() -> Self {
        Self(CLOUDS.map(|domain| format!("*.{domain}")).to_vec())
    }
}

impl TrustedSuffixes {
    /// Adds domains separated by `;`: `*.example.org` is all hosts below it, `example.org` that host and all below it;
    /// with `:port` that port alone.
    pub fn with(mut self, more: &str) -> Self {
        let more = more.split(';').map(|part| part.trim().trim_end_matches('.').to_ascii_lowercase());
        self.0.extend(more.filter(|part| !part.is_empty() && part != "*" && part != "*."));
        self
    }

    /// Whether `host` (without brackets), reached at `port`, may be sent tokens.
    pub fn trusts(&self, host: &str, port: u16) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        self.0.iter().any(|suffix| {
            let (suffix, wanted) = match suffix.rsplit_once(':') {
                // Not the last group of an IPv6 address.
                Some((name, digits)) if !name.contains(':') || name.ends_with(']') => (name, Some(digits)),
                _ => (suffix.as_str(), None),
            };
            if wanted.is_some_and(|wanted| wanted != port.to_string()) {
                return false;
            }
            let (domain, itself) = match suffix.strip_prefix('*').unwrap_or(suffix).strip_prefix('.') {
                Some(domain) => (domain, false),
                None => (suffix.trim_start_matches('[').trim_end_matches(']'), true),
            };
            match host.strip_suffix(domain) {
                Some("") => itself,
                Some(rest) => rest.ends_with('.') && rest.len() > 1,
                None => false,
            }
        })
    }
}

impl Credential {
    /// Tokens for the requests to `url`: over https, and to a trusted host, only.
    ///
    /// # Errors
    /// [`CredentialError::TokenNeedsTls`], [`CredentialError::TokenNotTrusted`].
    pub fn token(url: &BlobUrl, bearer: Bearer, trusted: &TrustedSuffixes) -> Result<Self, CredentialError> {
        Self::may_send_tokens(url, trusted)?;
        let trusted = Arc::new(trusted.clone());
        Ok(Credential::Token(HostToken { bearer, authority: url.authority(), trusted }))
    }

    /// Whether tokens may be sent to `url`.
    ///
    /// # Errors
    /// [`CredentialError::TokenNeedsTls`], [`CredentialError::TokenNotTrusted`].
    pub fn may_send_tokens(url: &BlobUrl, trusted: &TrustedSuffixes) -> Result<(), CredentialError> {
        needs_tls(url)?;
        let endpoint = url.endpoint();
        if !trusted.trusts(&endpoint.host, endpoint.port) {
            let trusted = trusted.0.join(";");
            return Err(CredentialError::TokenNotTrusted { host: url.authority(), trusted });
        }
        Ok(())
    }

    /// Finds the credential for `url`: the SAS in the URL; else a key from `AZURE_STORAGE_KEY` or `AZCOPY_ACCOUNT_KEY`
    /// (unless `AZURE_STORAGE_ACCOUNT` names another account), or `ACCOUNT_KEY` with `ACCOUNT_NAME`; else
    /// `AZURE_STORAGE_CONNECTION_STRING` (key or SAS); else the emulator's published key for `devstoreaccount1`; else
    /// none. `env` reads a variable.
    ///
    /// # Errors
    /// [`CredentialError`] when something is set but cannot be used; it is never passed over silently.
    pub fn find(url: &BlobUrl, env: impl Fn(&str) -> Option<String>) -> Result<Self, CredentialError> {
        if let Some(sas) = url.sas() {
            return Ok(Credential::Sas(sas.clone()));
        }
        let set = |name: &str| env(name).filter(|value| !value.trim().is_empty());
        let account = set("AZURE_STORAGE_ACCOUNT").map(|account| account.trim().to_owned());
        let of_another = matches!((url.account(), &account),
            (Some(of_url), Some(of_key)) if !of_url.eq_ignore_ascii_case(of_key));
        if let Some(key) =
            set("AZURE_STORAGE_KEY").or_else(|| set("AZCOPY_ACCOUNT_KEY")).filter(|_| !of_another)
        {
            return Self::key(url, &Secret::new(key), account);
        }
        if let (Some(account), Some(key)) = (set("ACCOUNT_NAME"), set("ACCOUNT_KEY"))
            && url.account().is_none_or(|of_url| of_url == account)
        {
            return Self::key(url, &Secret::new(key), Some(account));
        }
        if let Some(text) = set("AZURE_STORAGE_CONNECTION_STRING") {
            return from_connection_string(&text, url);
        }
        if url.account() == Some(DEVSTORE_ACCOUNT) {
            return Self::key(url, &Secret::new(DEVSTORE_KEY), None);
        }
        Ok(Credential::Anonymous)
    }

    /// The key of the URL's account, or of `account` where the URL does not tell it.
    ///
    /// # Errors
    /// [`CredentialError::NoAccount`], [`CredentialError::Key`].
    pub fn key(url: &BlobUrl, key: &Secret, account: Option<String>) -> Result<Self, CredentialError> {
        let account = match url.account() {
            Some(account) => account.to_owned(),
            None => account.ok_or(CredentialError::NoAccount)?,
        };
        Ok(Credential::SharedKey(Box::new(AccountKey::new(&account, key)?)))
    }

    /// What it is, for messages: never a secret.
    pub fn describe(&self) -> String {
        match self {
            Credential::Anonymous => "no credential (anonymous)".to_owned(),
            Credential::Sas(_) => "a SAS".to_owned(),
            Credential::SharedKey(key) => format!("the key of account {}", key.account()),
            Credential::Token(token) => format!("tokens of Microsoft Entra ID ({})", token.identity()),
        }
    }
}

fn from_connection_string(text: &str, url: &BlobUrl) -> Result<Credential, CredentialError> {
    let fault = |reason: String| CredentialError::ConnectionString { reason };
    let part = |name: &str| {
        text.split(';')
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    };
    let emulator = part("UseDevelopmentStorage").is_some_and(|v| v.eq_ignore_ascii_case("true"));
    if let Some(sas) = part("SharedAccessSignature") {
        // It may only go where the string says.
        let suffix = part("EndpointSuffix").unwrap_or(CLOUDS[0]);
        let of_name = part("AccountName").map(|name| format!("https://{name}.blob.{suffix}"));
        let endpoints = [part("BlobEndpoint").map(str::to_owned), of_name];
        let place = format!("{url}/");
        let is_there = |endpoint: &String| {
            let endpoint = format!("{}/", endpoint.trim_end_matches('/'));
            place.get(..endpoint.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(&endpoint))
        };
        if !endpoints.iter().flatten().any(is_there) {
            return Err(fault("its SAS is for another endpoint than the URL's".to_owned()));
        }
        return Ok(Credential::Sas(Sas::parse(sas.trim_start_matches('?'))?));
    }
    let (account, key) = if emulator {
        (DEVSTORE_ACCOUNT, DEVSTORE_KEY)
    } else {
        let account = part("AccountName").ok_or_else(|| fault("it has no AccountName".to_owned()))?;
        let key = part("AccountKey")
            .ok_or_else(|| fault("it has neither AccountKey nor SharedAccessSignature".to_owned()))?;
        (account, key)
    };
    if let Some(wanted) = url.account()
        && wanted != account
    {
        return Err(fault(format!("it is for account {account}, the URL for account {wanted}")));
    }
    Ok(Credential::SharedKey(Box::new(AccountKey::new(account, &Secret::new(key))?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(url: &str, vars: &[(&str, &str)]) -> Result<Credential, CredentialError> {
        let url = BlobUrl::parse(url).unwrap();
        Credential::find(&url, |name| {
            vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    const AZURE: &str = "https://acc.blob.core.windows.net/cont";

    #[test]
    fn the_nearest_credential_wins() {
        let sas = format!("{AZURE}?sv=1&se=2&sig=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D");
        let key = ("AZURE_STORAGE_KEY", "a2V5");
        assert!(matches!(find(&sas, &[key]).unwrap(), Credential::Sas(_)));
        assert_eq!(find(AZURE, &[key]).unwrap().describe(), "the key of account acc");
        assert!(matches!(find(AZURE, &[("AZCOPY_ACCOUNT_KEY", "a2V5")]).unwrap(), Credential::SharedKey(_)));
        assert!(matches!(find(AZURE, &[("AZURE_STORAGE_KEY", " ")]).unwrap(), Credential::Anonymous));
        let injected = [("ACCOUNT_NAME", "acc"), ("ACCOUNT_KEY", "a2V5")];
        assert_eq!(find(AZURE, &injected).unwrap().describe(), "the key of account acc");
        let same = [("AZURE_STORAGE_ACCOUNT", " Acc\n"), ("AZURE_STORAGE_KEY", "a2V5")];
        assert_eq!(find(AZURE, &same).unwrap().describe(), "the key of account acc");
        let other = [("AZURE_STORAGE_ACCOUNT", "other"), ("AZURE_STORAGE_KEY", "a2V5")];
        assert!(matches!(find(AZURE, &other).unwrap(), Credential::Anonymous));
        let other = [("ACCOUNT_NAME", "other"), ("ACCOUNT_KEY", "a2V5")];
        assert!(matches!(find(AZURE, &other).unwrap(), Credential::Anonymous));
        let emulator = find("http://127.0.0.1:1/devstoreaccount1/cont", &[]).unwrap();
        assert_eq!(emulator.describe(), "the key of account devstoreaccount1");
    }

    #[test]
    fn tokens_go_to_trusted_hosts_over_https_only() {
        let trusted =
            TrustedSuffixes::default().with("*.example.org; Files.Example.com:8443;127.0.0.1:444;[::1]:5;*");
        for (host, port, trusts) in [
            ("acc.blob.core.windows.net", 443, true),
            ("Acc.z01.blob.Storage.Azure.net.", 443, true),
            ("core.windows.net", 443, false),
            ("acc.blob.core.windows.net.evil.org", 443, false),
            ("evilcore.windows.net", 443, false),
            ("a.example.org", 80, true),
            ("example.org", 80, false),
            ("badexample.org", 80, false),
            ("files.example.com", 8443, true),
            ("a.files.example.com", 8443, true),
            ("files.example.com", 443, false),
            ("127.0.0.1", 444, true),
            ("127.0.0.1", 445, false),
            ("::1", 5, true),
            ("somewhere", 443, false),
        ] {
            assert_eq!(trusted.trusts(host, port), trusts, "{host}:{port}");
        }
        let (_feed, bearer) = crate::account::bearer::bearer("me");
        let url = |text: &str| BlobUrl::parse(text).unwrap();
        let token = |to: &str| Credential::token(&url(to), bearer.clone(), &trusted);
        let refused = |to: &str| token(to).unwrap_err().to_string();
        assert!(refused("http://acc.blob.core.windows.net/cont").contains("over https only"));
        assert!(
            refused("https://files.example.net/cont")
                .contains("--trusted-microsoft-suffixes=files.example.net")
        );
        let good = token(AZURE).unwrap();
        assert_eq!(good.describe(), "tokens of Microsoft Entra ID (me)");
        let Credential::Token(good) = good else { panic!() };
        assert!(good.bearer_for(&url("https://acc.blob.core.windows.net/other")).is_ok());
        assert!(good.bearer_for(&url("https://other.blob.core.windows.net/cont")).is_err());
        assert!(good.bearer_for(&url("http://acc.blob.core.windows.net/cont")).is_err());
    }

    #[test]
    fn connection_strings() {
        let with = |text: &str| find(AZURE, &[("AZURE_STORAGE_CONNECTION_STRING", text)]);
        let whole = "DefaultEndpointsProtocol=https;AccountName=acc;AccountKey=a2V5PT0=;EndpointSuffix=core.windows.net";
        assert_eq!(with(whole).unwrap().describe(), "the key of account acc");
        let other = with("AccountName=other;AccountKey=a2V5").unwrap_err().to_string();
        assert!(other.contains("for account other, the URL for account acc"), "{other}");
        assert!(with("AccountName=acc").unwrap_err().to_string().contains("neither AccountKey"));
        let sas = "SharedAccessSignature=sv=1&se=2&sig=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D";
        assert!(matches!(with(&format!("AccountName=acc;{sas}")), Ok(Credential::Sas(_))));
        assert!(matches!(
            with(&format!("BlobEndpoint=https://ACC.blob.core.windows.net/;{sas}")),
            Ok(Credential::Sas(_))
        ));
        let elsewhere = [("AZURE_STORAGE_CONNECTION_STRING", &*format!("AccountName=acc;{sas}"))];
        for url in [
            "https://acc.blob.evil.com/cont",
            "https://acc.blob.core.windows.net.evil.com/cont",
            "http://acc.blob.core.windows.net/cont",
        ] {
            assert!(find(url, &elsewhere).unwrap_err().to_string().contains("another endpoint"), "{url}");
        }
        let bad = with("AccountName=acc;AccountKey=secret!").unwrap_err().to_string();
        assert!(bad.contains("not base64") && !bad.contains("secret!"), "{bad}");
    }

    #[test]
    fn a_key_without_an_account_is_not_passed_over() {
        let custom = "https://files.example.org/cont";
        assert_eq!(find(custom, &[("AZURE_STORAGE_KEY", "a2V5")]).unwrap_err(), CredentialError::NoAccount);
        let named =
            find(custom, &[("AZURE_STORAGE_KEY", "a2V5"), ("AZURE_STORAGE_ACCOUNT", "mine")]).unwrap();
        assert_eq!(named.describe(), "the key of account mine");
    }
}
