//! Keys of accounts, and for which end of a copy each of them is.

use std::path::Path;

use azuring_transfer::{BlobUrl, Credential};

use super::refused;
use crate::cli::engine::EngineArgs;
use crate::options::variable;
use crate::refused::Refused;

/// The variable that names the account of a key.
pub(super) const ACCOUNT: &str = "AZURE_STORAGE_ACCOUNT";
/// Keys that do not say themselves whose they are.
const UNNAMED: [&str; 2] = ["AZURE_STORAGE_KEY", "AZCOPY_ACCOUNT_KEY"];
const CONNECTION_STRING: &str = "AZURE_STORAGE_CONNECTION_STRING";
const FILE: &str = "--account-key-file";

/// The keys that may be meant for an end.
#[derive(Debug, Default)]
pub(super) struct Keys<'a> {
    /// `--account-key-file`.
    pub(super) file: Option<&'a Path>,
    /// Variables that are about the other end.
    others: Vec<&'static str>,
}

impl<'a> Keys<'a> {
    /// Of a command with one URL: all that are given.
    pub(super) fn of(engine: &'a EngineArgs) -> Self {
        Self { file: engine.account_key_file.as_deref(), others: Vec::new() }
    }

    /// Of one end of a copy: those of its account. What is given once serves both ends where they are one account.
    ///
    /// # Errors
    /// It cannot be told whose key it is.
    pub(super) fn beside(url: &BlobUrl, other: &BlobUrl, engine: &'a EngineArgs) -> Result<Self, Refused> {
        Self::read(url, other, engine.account_key_file.as_deref(), variable)
    }

    fn read(
        url: &BlobUrl,
        other: &BlobUrl,
        file: Option<&'a Path>,
        read: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Refused> {
        let mut keys = Self { file, others: Vec::new() };
        // Nothing counts beside a SAS.
        if url.sas().is_some() || is_one_account(url, other) {
            return Ok(keys);
        }
        let variable_of_key = UNNAMED.into_iter().find(|name| read(name).is_some());
        if let Some(key) = file.map(|_| FILE).or(variable_of_key) {
            let named = read(ACCOUNT).map(|named| named.trim().to_owned());
            let is_named = |url: &BlobUrl| match (&named, url.account()) {
                (Some(named), Some(account)) => named.eq_ignore_ascii_case(account),
                _ => false,
            };
            match &named {
                None if other.sas().is_none() => {
                    return Err(refused(format!(
                        "{key}: there are two accounts and no SAS: say with {ACCOUNT} which of them it is for"
                    )));
                }
                Some(named)
                    if file.is_some() && url.account().is_some() && !is_named(url) && !is_named(other) =>
                {
                    return Err(refused(format!("{FILE}: {ACCOUNT} is {named}, which is neither account")));
                }
                _ if is_named(other) => {
                    keys.file = None;
                    keys.others.extend(UNNAMED);
                }
                _ => {}
            }
        }
        if let Some(text) = read(CONNECTION_STRING) {
            let fits = |url: &BlobUrl| {
                let only = |name: &str| (name == CONNECTION_STRING).then(|| text.clone());
                let bare = BlobUrl::parse_with_account(&url.container_url());
                bare.is_ok_and(|bare| Credential::find(&bare, only).is_ok())
            };
            if !fits(url) && fits(other) {
                keys.others.push(CONNECTION_STRING);
            }
        }
        Ok(keys)
    }

    /// A variable, if it is not about the other end.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|_| !self.others.contains(&name))
    }
}

/// Whether one key is good for both. An account that the URL does not tell is its host.
fn is_one_account(one: &BlobUrl, other: &BlobUrl) -> bool {
    match (one.account(), other.account()) {
        (Some(one), Some(other)) => one.eq_ignore_ascii_case(other),
        (None, None) => one.place().host().eq_ignore_ascii_case(other.place().host()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "https://a.blob.core.windows.net/c01";
    const B: &str = "https://b.blob.core.windows.net/c01";
    const SAS: &str = "sv=1&se=2&sig=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D";

    /// Whether the file counts, and which variables do not.
    fn read(
        (url, other): (&str, &str),
        file: bool,
        variables: &[(&str, &str)],
    ) -> Result<(bool, Vec<&'static str>), String> {
        let [url, other] = [url, other].map(|url| BlobUrl::parse(url).unwrap());
        let read = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let file = file.then(|| Path::new("key"));
        let keys = Keys::read(&url, &other, file, read).map_err(|refused| refused.text)?;
        Ok((keys.file.is_some(), keys.others))
    }

    #[test]
    fn a_key_is_for_the_end_whose_account_is_named() {
        let key = ("AZURE_STORAGE_KEY", "a2V5");
        let of_a = ("AZURE_STORAGE_ACCOUNT", " A\n");
        assert_eq!(read((A, B), false, &[key, of_a]), Ok((false, vec![])));
        assert_eq!(read((B, A), false, &[key, of_a]), Ok((false, UNNAMED.to_vec())));
        assert_eq!(read((A, B), true, &[of_a]), Ok((true, vec![])));
        assert_eq!(read((B, A), true, &[of_a]), Ok((false, UNNAMED.to_vec())));
        let custom = "https://files.example.org/c01";
        assert_eq!(read((custom, A), false, &[key, of_a]), Ok((false, UNNAMED.to_vec())));
        assert_eq!(read((custom, B), true, &[of_a]), Ok((true, vec![])));
        let told = read((A, B), true, &[("AZURE_STORAGE_ACCOUNT", "c")]).unwrap_err();
        assert!(told.contains("is c, which is neither account"), "{told}");
    }

    #[test]
    fn a_key_without_a_name_is_for_the_only_end_without_a_sas() {
        let key = ("AZCOPY_ACCOUNT_KEY", "a2V5");
        let signed = format!("{B}?{SAS}");
        assert_eq!(read((A, &signed), false, &[key]), Ok((false, vec![])));
        assert_eq!(read((&signed, A), false, &[key]), Ok((false, vec![])));
        let told = read((A, B), false, &[key]).unwrap_err();
        assert!(told.starts_with("AZCOPY_ACCOUNT_KEY: there are two accounts and no SAS"), "{told}");
        assert!(read((A, B), true, &[]).unwrap_err().starts_with("--account-key-file: there are two"));
        // One account, two containers.
        assert_eq!(read((A, "https://A.blob.core.windows.net/c02"), false, &[key]), Ok((false, vec![])));
    }

    #[test]
    fn a_connection_string_is_for_the_account_in_it() {
        let of_a = (CONNECTION_STRING, "AccountName=a;AccountKey=a2V5");
        assert_eq!(read((A, B), false, &[of_a]), Ok((false, vec![])));
        assert_eq!(read((B, A), false, &[of_a]), Ok((false, vec![CONNECTION_STRING])));
        // Of neither it is told as for one URL.
        let of_c = (CONNECTION_STRING, "AccountName=c;AccountKey=a2V5");
        assert_eq!(read((B, A), false, &[of_c]), Ok((false, vec![])));
        // A SAS of the other end does not make it this one's.
        assert_eq!(read((B, &format!("{A}?{SAS}")), false, &[of_a]), Ok((false, vec![CONNECTION_STRING])));
    }
}
