//! Which credential a request carries, and where it is found.

use crate::sas::Sas;
use crate::secret::Secret;
use crate::shared_key::AccountKey;
use crate::url::{BlobUrl, UrlError};

/// The account of the storage emulators, Azurite and azsim.
pub const DEVSTORE_ACCOUNT: &str = "devstoreaccount1";
/// Its key, published in Azurite's documentation.
const DEVSTORE_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// Why no usable credential was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// The key is not base64. Copy it again, with its trailing `==`.
    #[error("the key for account {account} is not base64: copy it whole, with the `==` at its end")]
    Key {
        /// The account.
        account: String,
    },
    /// The connection string lacks a part or belongs to another account.
    #[error("AZURE_STORAGE_CONNECTION_STRING cannot be used: {reason}")]
    ConnectionString {
        /// What is wrong.
        reason: String,
    },
    /// A key was given, but not for which account.
    #[error("a key is set, but the URL does not tell the account's name: set AZURE_STORAGE_ACCOUNT")]
    NoAccount,
    /// The SAS in the connection string is not valid.
    #[error(transparent)]
    Sas(#[from] UrlError),
}

/// What authorizes requests.
#[derive(Clone, Debug)]
pub enum Credential {
    /// Nothing: public containers only.
    Anonymous,
    /// A shared access signature.
    Sas(Sas),
    /// The account's key.
    SharedKey(Box<AccountKey>),
}

impl Credential {
    /// Finds the credential for `url`: the SAS in the URL; else a key from `AZURE_STORAGE_KEY` or
    /// `AZCOPY_ACCOUNT_KEY`; else `AZURE_STORAGE_CONNECTION_STRING` (key or SAS); else the emulator's published key
    /// for `devstoreaccount1`; else none. `env` reads a variable.
    ///
    /// # Errors
    /// [`CredentialError`] when something is set but cannot be used; it is never passed over silently.
    pub fn find(url: &BlobUrl, env: impl Fn(&str) -> Option<String>) -> Result<Self, CredentialError> {
        if let Some(sas) = url.sas() {
            return Ok(Credential::Sas(sas.clone()));
        }
        let set = |name: &str| env(name).filter(|value| !value.trim().is_empty());
        if let Some(key) = set("AZURE_STORAGE_KEY").or_else(|| set("AZCOPY_ACCOUNT_KEY")) {
            let account = match url.account() {
                Some(account) => account.to_owned(),
                None => set("AZURE_STORAGE_ACCOUNT").ok_or(CredentialError::NoAccount)?,
            };
            return Ok(Credential::SharedKey(Box::new(AccountKey::new(&account, &Secret::new(key))?)));
        }
        if let Some(text) = set("AZURE_STORAGE_CONNECTION_STRING") {
            return from_connection_string(&text, url);
        }
        if url.account() == Some(DEVSTORE_ACCOUNT) {
            let key = Secret::new(DEVSTORE_KEY);
            return Ok(Credential::SharedKey(Box::new(AccountKey::new(DEVSTORE_ACCOUNT, &key)?)));
        }
        Ok(Credential::Anonymous)
    }

    /// What it is, for messages: never a secret.
    pub fn describe(&self) -> String {
        match self {
            Credential::Anonymous => "no credential (anonymous)".to_owned(),
            Credential::Sas(_) => "a SAS".to_owned(),
            Credential::SharedKey(key) => format!("the key of account {}", key.account()),
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
        let account = part("BlobEndpoint").map(|endpoint| endpoint.trim_end_matches('/'));
        let named = part("AccountName").is_some_and(|name| url.account() == Some(name));
        if !named && !account.is_some_and(|endpoint| url.to_string().starts_with(&format!("{endpoint}/"))) {
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
        let emulator = find("http://127.0.0.1:1/devstoreaccount1/cont", &[]).unwrap();
        assert_eq!(emulator.describe(), "the key of account devstoreaccount1");
    }

    #[test]
    fn connection_strings() {
        let with = |text: &str| find(AZURE, &[("AZURE_STORAGE_CONNECTION_STRING", text)]);
        let whole = "DefaultEndpointsProtocol=https;AccountName=acc;AccountKey=a2V5PT0=;EndpointSuffix=core.windows.net";
        assert_eq!(with(whole).unwrap().describe(), "the key of account acc");
        let other = with("AccountName=other;AccountKey=a2V5").unwrap_err().to_string();
        assert!(other.contains("for account other, the URL for account acc"), "{other}");
        assert!(with("AccountName=acc").unwrap_err().to_string().contains("neither AccountKey"));
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
