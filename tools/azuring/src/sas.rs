//! `azuring sas`.

use std::time::{Duration, SystemTime};

use azuring_azure::{AccountKey, Sas, SasBuildError, SasBuilder};
use azuring_transfer::{BlobUrl, CredentialError, UrlError, user_delegation_key};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::json;

use crate::access;
use crate::cli::global::{GlobalArgs, OutputType};
use crate::cli::sas::{ProtocolArg, SasArgs};
use crate::exit::{self, Exit};
use crate::options::{self, variable};
use crate::output::{self, Output, reveal};
use crate::refused::{Refused, usage};
use crate::run;
use crate::view::{json, ndjson};

/// The service and this machine may differ in what time it is.
const BEFORE: Duration = Duration::from_secs(15 * 60);
/// The service gives keys for no longer.
const LONGEST: Duration = Duration::from_secs(7 * 86_400);
/// What names the account in place of a container.
const ROOT: &str = "$root";

pub(crate) fn run(global: &GlobalArgs, args: &SasArgs) -> Exit {
    run::stop_on_signals(|| {});
    run::before_it_begins(|| make(global, args)).unwrap_or_else(|refused| refused.tell())
}

fn make(global: &GlobalArgs, args: &SasArgs) -> Result<Exit, Refused> {
    let (url, shown) = target(args)?;
    if url.sas().is_some() {
        return Err(usage("sas: the URL has a SAS: remove the part after the question mark"));
    }
    let now = SystemTime::now();
    let (start, expiry) = (args.start.map(|when| when.time(now)), args.expiry.map(|when| when.time(now)));
    let builder = builder(args, start, expiry);
    let key = if args.user_delegation.0 { None } else { access::key(&url, &args.engine)? };
    let sas = match key {
        Some(key) => signed(&builder, &key, &url, args),
        None if args.account.0 || args.policy.is_some() => {
            return Err(access::refused(
                "an account SAS, and one with a stored policy, is signed with the account's key: set AZURE_STORAGE_KEY or give --account-key-file",
            ));
        }
        None => {
            let expiry = expiry.ok_or_else(|| usage("sas: --expiry is missing"))?;
            if expiry > now + LONGEST {
                return Err(usage(
                    "sas: one that an identity makes ends within 7 days; longer ones need the account's key",
                ));
            }
            let account = url.account().map(str::to_owned).or_else(|| variable("AZURE_STORAGE_ACCOUNT"));
            let account = account.ok_or(CredentialError::NoAccount)?;
            let credential = access::token(&url, global, &args.engine)?;
            let options = options::common(global, &args.engine)?;
            // The key is valid a little earlier, for a SAS that begins at once, and not for longer than the service
            // gives it.
            let begin = start.unwrap_or(now).min(now) - BEFORE;
            let from = begin.max(expiry - LONGEST);
            match user_delegation_key(&url, &credential, &options, (from, expiry)) {
                Ok(key) => delegated(&builder, &key, &url, &account),
                Err(error) => {
                    output::failed(&error.to_string());
                    return Ok(exit::of_command(&error));
                }
            }
        }
    };
    let sas = sas.map_err(|error| usage(format!("sas: {error}")))?;
    let told = if args.sas_only.0 { sas.expose().to_owned() } else { format!("{shown}?{}", sas.expose()) };
    reveal(&match Output::get().kind {
        OutputType::Json => json::message("Sas", &told),
        OutputType::Ndjson => ndjson::line("sas", json!({ "sas": told })),
        OutputType::Text | OutputType::None => told,
    });
    Ok(Exit::Done)
}

/// What was typed and would end a path, or not be taken in one.
const NOT_IN_A_PATH: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b'`');

/// The URL, and as it is shown. For an account SAS it may name the account alone.
fn target(args: &SasArgs) -> Result<(BlobUrl, String), Refused> {
    match BlobUrl::parse(&args.target) {
        Ok(url) if url.raw_path().is_empty() => {
            let shown = url.container_url();
            Ok((url, shown))
        }
        Ok(url) => {
            let path = utf8_percent_encode(url.raw_path(), NOT_IN_A_PATH);
            let shown = format!("{}/{path}", url.container_url());
            Ok((url, shown))
        }
        Err(UrlError::NoContainer { .. }) if args.account.0 => {
            let shown = args.target.trim_end_matches('/').to_owned();
            Ok((BlobUrl::parse(&format!("{shown}/{ROOT}"))?, shown))
        }
        Err(error) => Err(error.into()),
    }
}

fn builder(args: &SasArgs, start: Option<SystemTime>, expiry: Option<SystemTime>) -> SasBuilder {
    let mut builder = SasBuilder::new(args.permissions.as_deref().unwrap_or_default());
    if let Some(start) = start {
        builder = builder.starts_at(start);
    }
    if let Some(expiry) = expiry {
        builder = builder.expires_at(expiry);
    }
    if let Some(ip) = &args.ip {
        builder = builder.ip(ip);
    }
    if args.protocol == ProtocolArg::Both {
        builder = builder.allow_http();
    }
    if let Some(policy) = &args.policy {
        builder = builder.policy(policy);
    }
    builder
}

fn signed(
    builder: &SasBuilder,
    key: &AccountKey,
    url: &BlobUrl,
    args: &SasArgs,
) -> Result<Sas, SasBuildError> {
    match url.path() {
        _ if args.account.0 => builder.account(key, &args.services, &args.resource_types),
        "" => builder.container(key, url.container()),
        name => builder.blob(key, url.container(), name),
    }
}

fn delegated(
    builder: &SasBuilder,
    key: &azuring_azure::UserDelegationKey,
    url: &BlobUrl,
    account: &str,
) -> Result<Sas, SasBuildError> {
    let blob = Some(url.path()).filter(|name| !name.is_empty());
    builder.delegated(account, key, url.container(), blob)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{self, Command};

    fn shown(line: &str) -> Result<String, String> {
        let Command::Sas(args) = cli::parse(line.split(' ')).unwrap().command else { panic!("it is sas") };
        target(&args)
            .map(|(url, shown)| format!("{shown} {}", url.container()))
            .map_err(|refused| refused.text)
    }

    #[test]
    fn an_account_is_enough_for_an_account_sas() {
        let line = "azuring sas https://a.blob.core.windows.net/ --permissions=r --expiry=1h";
        assert!(shown(line).unwrap_err().contains("names no container"));
        assert_eq!(shown(&format!("{line} --account")).unwrap(), "https://a.blob.core.windows.net $root");
        let container = line.replace("net/", "net/photos/a%20b");
        assert_eq!(shown(&container).unwrap(), "https://a.blob.core.windows.net/photos/a%20b photos");
        let odd = line.replace("net/", "net/photos/a#b/");
        assert_eq!(shown(&odd).unwrap(), "https://a.blob.core.windows.net/photos/a%23b/ photos");
    }
}
