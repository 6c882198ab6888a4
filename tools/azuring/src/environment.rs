//! `azuring env`: AzCopy's environment variables and azuring's own, with what they do here.

use serde_json::json;

use crate::cli::global::OutputType;
use crate::cli::other::EnvArgs;
use crate::exit::Exit;
use crate::output::{Output, reveal, say};
use crate::view::{json, ndjson};

/// What a variable does here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// What AzCopy does with it, or more.
    Honoured,
    /// Nothing, and why that is no loss.
    Ignored(&'static str),
    /// The command ends with an error, and why.
    Refused(&'static str),
    /// Nothing in this version.
    Later,
}

/// One variable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Variable {
    pub(crate) name: &'static str,
    description: &'static str,
    pub(crate) effect: Effect,
    secret: bool,
}

const fn honoured(name: &'static str, description: &'static str) -> Variable {
    Variable { name, description, effect: Effect::Honoured, secret: false }
}

const fn secret(name: &'static str, description: &'static str) -> Variable {
    Variable { name, description, effect: Effect::Honoured, secret: true }
}

const fn ignored(name: &'static str, why: &'static str, description: &'static str) -> Variable {
    Variable { name, description, effect: Effect::Ignored(why), secret: false }
}

const fn refused(name: &'static str, why: &'static str, description: &'static str) -> Variable {
    Variable { name, description, effect: Effect::Refused(why), secret: false }
}

const fn later(name: &'static str, description: &'static str) -> Variable {
    Variable { name, description, effect: Effect::Later, secret: false }
}

const fn later_secret(name: &'static str, description: &'static str) -> Variable {
    Variable { name, description, effect: Effect::Later, secret: true }
}

/// All of them: AzCopy's in its order, then azuring's own.
pub(crate) const VARIABLES: &[Variable] = &[
    honoured("AZCOPY_LOG_LOCATION", "Overrides where the log files are stored, to avoid filling up a disk."),
    honoured(
        "AZCOPY_JOB_PLAN_LOCATION",
        "Overrides where the job plan files (used for progress tracking and resuming) are stored.",
    ),
    honoured(
        "AZCOPY_CONCURRENCY_VALUE",
        "Requests in flight: a number, or AUTO for the default. The flag --concurrency takes precedence.",
    ),
    ignored(
        "AZCOPY_CONCURRENT_FILES",
        "files in progress follow from --concurrency",
        "Overrides the number of files that are in progress at any one time.",
    ),
    ignored(
        "AZCOPY_CONCURRENT_SCAN",
        "the scan is never what a job waits for",
        "Controls the degree of parallelism used during scanning.",
    ),
    honoured(
        "AZCOPY_DISABLE_HIERARCHICAL_SCAN",
        "Set to true: `list` requests one page after the other, not several prefixes in parallel: fewer requests, but slower. Jobs always list so.",
    ),
    ignored(
        "AZCOPY_PARALLEL_STAT_FILES",
        "the scan reads names only, properties are read with the files",
        "Look up file properties on parallel threads when scanning the local file system.",
    ),
    honoured(
        "AZCOPY_BUFFER_GB",
        "Memory limit of the whole process in GiB, fractions allowed (AzCopy's is for its buffers only). The flag --memory takes precedence.",
    ),
    later("AWS_ACCESS_KEY_ID", "The AWS access key ID for S3 source used in service to service copy."),
    later_secret(
        "AWS_SECRET_ACCESS_KEY",
        "The AWS secret access key for S3 source used in service to service copy.",
    ),
    later_secret("AWS_SESSION_TOKEN", "The AWS session token for S3 source used in service to service copy."),
    later(
        "GOOGLE_APPLICATION_CREDENTIALS",
        "The application credentials required to access GCP resources for service to service copy.",
    ),
    later("GOOGLE_CLOUD_PROJECT", "The project of GCP resources for service to service copy."),
    ignored(
        "AZCOPY_SHOW_PERF_STATES",
        "progress shows rates, requests in flight and retries",
        "If set, on-screen output will include counts of chunks by state.",
    ),
    ignored(
        "AZCOPY_PACE_PAGE_BLOBS",
        "throttling is met by pauses for all blobs alike",
        "Should throughput for page blobs automatically be adjusted to match Service limits?",
    ),
    ignored(
        "AZCOPY_OPTIMIZE_SPARSE_PAGE_BLOB",
        "empty pages are never sent",
        "Skip empty pages of page blobs.",
    ),
    ignored(
        "AZCOPY_TUNE_TO_CPU",
        "there is no tuner",
        "Set to false to prevent taking CPU usage into account when tuning concurrency.",
    ),
    ignored(
        "AZCOPY_CACHE_PROXY_LOOKUP",
        "it is for Windows",
        "Cache proxy server lookups at hostname level.",
    ),
    refused(
        "AZCOPY_DEFAULT_SERVICE_API_VERSION",
        "azuring speaks 2025-07-05 only, which its checksums need",
        "Overrides the service API version for custom environments such as Azure Stack.",
    ),
    honoured("AZCOPY_USER_AGENT_PREFIX", "A prefix to the User-Agent, for telemetry."),
    ignored(
        "AZCOPY_DISABLE_INCOMPLETE_BLOB_TRANSFER",
        "incomplete transfers are not resumed",
        "An incomplete transfer to a blob endpoint is resumed from its start if set.",
    ),
    secret(
        "AZCOPY_SPA_CLIENT_SECRET",
        "The Microsoft Entra client secret used for Service Principal authentication.",
    ),
    secret(
        "AZCOPY_SPA_CERT_PASSWORD",
        "The password of the certificate used for Service Principal authentication.",
    ),
    honoured(
        "AZCOPY_AUTO_LOGIN_TYPE",
        "The credential to use without a login command: device, spn, msi, azcli, pscred, workload.",
    ),
    honoured("AZCOPY_TENANT_ID", "The Microsoft Entra tenant ID."),
    honoured("AZCOPY_ACTIVE_DIRECTORY_ENDPOINT", "The Microsoft Entra endpoint to use."),
    honoured("AZCOPY_SPA_APPLICATION_ID", "The application ID used for Service Principal authentication."),
    honoured(
        "AZCOPY_SPA_CERT_PATH",
        "The path of the certificate used for Service Principal authentication.",
    ),
    honoured("AZCOPY_MSI_CLIENT_ID", "Client ID for User-assigned identity."),
    honoured("AZCOPY_MSI_OBJECT_ID", "Object ID for user-assigned identity."),
    honoured("AZCOPY_MSI_RESOURCE_STRING", "Resource String for user-assigned identity."),
    honoured(
        "AZURE_CLIENT_ID",
        "Client ID of workload identity, of a service principal, or of a managed identity.",
    ),
    honoured("AZURE_TENANT_ID", "The Microsoft Entra tenant, where AZCOPY_TENANT_ID is not set."),
    honoured("AZURE_FEDERATED_TOKEN_FILE", "Token file of workload identity."),
    ignored("AZCOPY_LOGIN_CACHE_NAME", "logins are kept in a file", "The name of the entry in the key ring."),
    secret("AZCOPY_OAUTH_TOKEN_INFO", "A token handed down by a parent process."),
    honoured("AZCOPY_CRED_TYPE", "The credential type a parent process chose."),
    honoured("ACCOUNT_NAME", "The account that ACCOUNT_KEY belongs to."),
    secret("ACCOUNT_KEY", "The account's key; AZURE_STORAGE_KEY takes precedence."),
    honoured(
        "AZCOPY_REQUEST_TRY_TIMEOUT",
        "Minutes, fractions allowed: a request on which no byte moves for this long is cut and retried. One that moves is never cut. The flag --stall-seconds takes precedence.",
    ),
    secret("CPK_ENCRYPTION_KEY", "The key of --cpk-by-value: 32 bytes in base64."),
    honoured("CPK_ENCRYPTION_KEY_SHA256", "SHA-256 of that key in base64; computed where it is not given."),
    secret("CPK_SOURCE_ENCRYPTION_KEY", "The key of --source-cpk-by-value: 32 bytes in base64."),
    honoured(
        "CPK_SOURCE_ENCRYPTION_KEY_SHA256",
        "SHA-256 of that key in base64; computed where it is not given.",
    ),
    ignored(
        "AZCOPY_DISABLE_SYSLOG",
        "nothing is sent to syslog",
        "Disables logging in Syslog or Windows Event Logger.",
    ),
    honoured(
        "AZCOPY_CONTENT_TYPE_MAP",
        "A JSON file {\"MIMETypeMapping\": {\".ext\": \"type\"}} of content types that go before all others.",
    ),
    ignored(
        "AZCOPY_DOWNLOAD_TO_TEMP_PATH",
        "a file gets its name when it is complete, always",
        "Download to a temporary path before the actual one. Allowed values are true/false.",
    ),
    ignored("AZCOPY_PROFILE_CPU", "use perf", "Write a CPU profile."),
    ignored("AZCOPY_PROFILE_MEM", "use heaptrack", "Write a heap profile."),
    honoured(
        "HTTP_PROXY",
        "The proxy of http:// URLs: http://, https://, socks5:// or socks5h://, with user:password@ where it wants them.",
    ),
    honoured("HTTPS_PROXY", "The proxy of https:// URLs, Microsoft Entra ID's included."),
    honoured("ALL_PROXY", "The proxy where neither of these is set."),
    honoured(
        "NO_PROXY",
        "Hosts, domains, addresses and networks that are reached without a proxy, separated by commas.",
    ),
    honoured("SSL_CERT_FILE", "A PEM file of certificate authorities, instead of the machine's."),
    honoured("SSL_CERT_DIR", "A directory of certificate authorities, instead of the machine's."),
    honoured("HOME", "Its directory .azuring holds logs, journals and logins."),
    secret("AZURE_STORAGE_KEY", "The account's key, for URLs without SAS."),
    secret("AZCOPY_ACCOUNT_KEY", "The same."),
    honoured(
        "AZURE_STORAGE_ACCOUNT",
        "The account of that key, where the URL does not tell it, or there are two.",
    ),
    secret("AZURE_STORAGE_CONNECTION_STRING", "Account name and key, for URLs of that account without SAS."),
    secret("AZURE_CLIENT_SECRET", "The secret of the service principal AZURE_CLIENT_ID."),
    honoured("AZURE_CLIENT_CERTIFICATE_PATH", "The certificate of the service principal AZURE_CLIENT_ID."),
    secret("AZURE_CLIENT_CERTIFICATE_PASSWORD", "The password of that certificate."),
    honoured(
        "AZURE_AUTHORITY_HOST",
        "The Microsoft Entra endpoint, where AZCOPY_ACTIVE_DIRECTORY_ENDPOINT is not set.",
    ),
    honoured(
        "AZURE_POD_IDENTITY_AUTHORITY_HOST",
        "Where the metadata service of a virtual machine is; an address of this machine or its link.",
    ),
    honoured(
        "IDENTITY_ENDPOINT",
        "Set by App Service and Azure Arc: where managed identities are asked for.",
    ),
    secret("IDENTITY_HEADER", "Set by App Service: shown to that endpoint."),
    honoured("IMDS_ENDPOINT", "Set by Azure Arc, with IDENTITY_ENDPOINT."),
    honoured("MSI_ENDPOINT", "Set by Cloud Shell: where its identity is asked for."),
];

/// The variables that hold a secret.
pub(crate) fn secrets() -> impl Iterator<Item = &'static str> {
    VARIABLES.iter().filter(|variable| variable.secret).map(|variable| variable.name)
}

pub(crate) fn run(args: &EnvArgs) -> Exit {
    let value = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    for variable in VARIABLES {
        let shown = shown(variable, value(variable.name), args.show_sensitive.0);
        // What is shown of secrets was asked for.
        reveal(&match Output::get().kind {
            OutputType::Json => json::message("Info", &format!("INFO: {}", text(variable, &shown))),
            OutputType::Ndjson => object(variable, &shown),
            OutputType::Text | OutputType::None => format!("INFO: {}", text(variable, &shown)),
        });
    }
    if Output::get().kind == OutputType::Json {
        say!("{}", json::message("EndOfJob", ""));
    }
    Exit::Done
}

/// The value for the screen. As in AzCopy a secret is REDACTED whether it is set or not.
fn shown(variable: &Variable, value: Option<String>, sensitive: bool) -> String {
    match value {
        _ if variable.secret && !sensitive => "REDACTED".to_owned(),
        value => value.map(without_password).unwrap_or_default(),
    }
}

/// A URL without the user and password in it.
fn without_password(value: String) -> String {
    let Some((before, host)) = value.rsplit_once('@') else { return value };
    match before.split_once("://") {
        Some((scheme, _)) => format!("{scheme}://REDACTED@{host}"),
        None => format!("REDACTED@{host}"),
    }
}

/// AzCopy's three lines; whether it is honoured stands behind the description.
fn text(variable: &Variable, value: &str) -> String {
    let effect = match variable.effect {
        Effect::Honoured => "Honoured.".to_owned(),
        Effect::Ignored(why) => format!("Not used: {why}."),
        Effect::Refused(why) => format!("Refused: {why}."),
        Effect::Later => "Not in this version.".to_owned(),
    };
    let Variable { name, description, .. } = variable;
    format!("Name: {name}\nCurrent Value: {value}\nDescription: {description} {effect}\n")
}

fn object(variable: &Variable, value: &str) -> String {
    let rest = json!({
        "name": variable.name,
        "value": value,
        "description": variable.description,
        "honoured": variable.effect == Effect::Honoured,
    });
    ndjson::line("variable", rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str) -> &'static Variable {
        VARIABLES.iter().find(|variable| variable.name == name).unwrap()
    }

    #[test]
    fn a_variable_is_told_in_azcopys_lines() {
        let told = text(of("AZCOPY_CONCURRENT_FILES"), "12");
        let lines: Vec<_> = told.lines().collect();
        assert_eq!(lines[..2], ["Name: AZCOPY_CONCURRENT_FILES", "Current Value: 12"]);
        assert!(lines[2].starts_with("Description: Overrides the number of files"));
        assert!(lines[2].ends_with("Not used: files in progress follow from --concurrency."));
        assert!(told.ends_with('\n'));
        let refused = text(of("AZCOPY_DEFAULT_SERVICE_API_VERSION"), "");
        assert!(refused.contains(&format!("Refused: azuring speaks {}", azuring_azure::SERVICE_VERSION)));
    }

    #[test]
    fn secrets_are_shown_only_when_that_is_asked_for() {
        for name in ["CPK_ENCRYPTION_KEY", "AZURE_STORAGE_KEY", "AWS_SECRET_ACCESS_KEY", "ACCOUNT_KEY"] {
            assert_eq!(shown(of(name), Some("S3".to_owned()), false), "REDACTED", "{name}");
            assert_eq!(shown(of(name), Some("S3".to_owned()), true), "S3", "{name}");
        }
        assert_eq!(shown(of("AZCOPY_BUFFER_GB"), Some("2".to_owned()), false), "2");
        for (proxy, told) in [
            ("http://u:S3@proxy:3128", "http://REDACTED@proxy:3128"),
            ("u:S3@proxy:3128", "REDACTED@proxy:3128"),
            ("http://proxy:3128", "http://proxy:3128"),
        ] {
            assert_eq!(shown(of("HTTPS_PROXY"), Some(proxy.to_owned()), false), told);
        }
    }

    #[test]
    fn programs_see_no_secret_but_their_own() {
        let mut secrets: Vec<_> = VARIABLES.iter().filter(|it| it.secret).map(|it| it.name).collect();
        // The Azure CLI asks App Service with it.
        secrets.retain(|name| *name != "IDENTITY_HEADER");
        secrets.sort_unstable();
        assert_eq!(secrets, azuring_identity::HIDDEN_FROM_PROGRAMS);
    }

    #[test]
    fn every_variable_stands_once() {
        let mut names: Vec<_> = VARIABLES.iter().map(|variable| variable.name).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
