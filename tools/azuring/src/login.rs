//! `azuring login`, `azuring login status` and `azuring logout`.

use azuring_identity::{
    COMMON_TENANT, Cache, CacheOptions, CacheProtection, Login, LoginKind, STORAGE_SCOPE, check,
};
use serde_json::json;

use crate::access::identity::{self, LOGIN_TYPE};
use crate::cli::global::OutputType;
use crate::cli::login::{HowArgs, LoginArgs, LoginCommand, LoginType, StatusArgs};
use crate::exit::Exit;
use crate::options::variable;
use crate::output::{self, Output, notice, say};
use crate::refused::{Refused, usage};
use crate::run;
use crate::state;
use crate::view::{json, ndjson};

const APPLICATION: &str = "AZCOPY_SPA_APPLICATION_ID";
const CERTIFICATE: &str = "AZCOPY_SPA_CERT_PATH";
/// The flags that name an identity of a machine, and their variables.
const IDENTITIES: [(&str, &str); 3] = [
    ("--identity-client-id", "AZCOPY_MSI_CLIENT_ID"),
    ("--identity-object-id", "AZCOPY_MSI_OBJECT_ID"),
    ("--identity-resource-id", "AZCOPY_MSI_RESOURCE_STRING"),
];

pub(crate) fn run(args: &LoginArgs) -> Exit {
    let done = match &args.command {
        Some(LoginCommand::Status(args)) => status(args),
        None => {
            run::stop_on_signals(|| {});
            run::before_it_begins(|| login(&args.how)).map(|()| Exit::Done)
        }
    };
    done.unwrap_or_else(|refused| refused.tell())
}

fn login(args: &HowArgs) -> Result<(), Refused> {
    let state =
        state::find().ok_or_else(|| usage(format!("there is no place for a login: {}", state::NOWHERE)))?;
    let kind = kind(args)?;
    identities(args)?;
    // Before a person goes through a login that cannot be kept.
    let cache = Cache::open(&state.identity, CacheOptions::default().keyring(!args.no_keyring.0));
    let cache = cache.and_then(|cache| cache.check_writable().map(|()| cache));
    let cache = cache.map_err(|error| identity::failed(&error))?;
    let flags = flags(args, kind);
    let flag = |name: &str| flags.iter().find(|(flag, _)| *flag == name).map(|(_, value)| value.clone());
    let hidden = hidden(&flags);
    let read = |name: &str| flag(name).or_else(|| variable(name).filter(|_| !hidden.contains(&name)));
    let Some(asked) = identity::from_environment(read)? else {
        return Err(usage("login: no kind of login is given"));
    };
    let network = identity::network(args.ca_file.as_deref())?;
    let logged_in = if matches!(asked.kind, LoginKind::DeviceCode { .. }) {
        identity::with_code(&asked, &network)?.0
    } else {
        asked.token(&network, STORAGE_SCOPE).map_err(|error| identity::failed(&error))?;
        asked
    };
    // The tokens of an earlier login are of no use any more.
    cache.forget().map_err(|error| identity::failed(&error))?;
    let protection = cache.save_login(&logged_in).map_err(|error| identity::failed(&error))?;
    info(succeeded(&logged_in));
    notice(&format!(
        "{} is stored in {}, {}",
        logged_in.describe(),
        state.identity.display(),
        told(&protection)
    ));
    Ok(())
}

fn kind(args: &HowArgs) -> Result<LoginType, Refused> {
    let deprecated = [
        args.identity.0.then_some(LoginType::Msi),
        args.service_principal.0.then_some(LoginType::Spn),
        args.login_type,
    ];
    let mut kinds = deprecated.into_iter().flatten();
    let first = kinds.next().unwrap_or(LoginType::Device);
    match kinds.find(|kind| *kind != first) {
        Some(_) => Err(usage("login: --login-type, --identity and --service-principal exclude each other")),
        None => Ok(first),
    }
}

/// The flags as the variables that say the same; what is not typed is taken from those.
fn flags(args: &HowArgs, kind: LoginType) -> Vec<(&'static str, String)> {
    let kind = match kind {
        LoginType::Device => "device",
        LoginType::Spn => "spn",
        LoginType::Msi => "msi",
        LoginType::Azcli => "azcli",
        LoginType::Pscred => "pscred",
        LoginType::Workload => "workload",
    };
    let path = args.certificate_path.as_ref();
    let one = |name, value: &Option<String>| (name, value.clone());
    let typed = [
        (LOGIN_TYPE, Some(kind.to_owned())),
        one("AZCOPY_TENANT_ID", &args.tenant_id),
        one("AZURE_TENANT_ID", &args.tenant_id),
        one("AZCOPY_ACTIVE_DIRECTORY_ENDPOINT", &args.aad_endpoint),
        one("AZURE_AUTHORITY_HOST", &args.aad_endpoint),
        one(APPLICATION, &args.application_id),
        one("AZURE_CLIENT_ID", &args.application_id),
        (CERTIFICATE, path.map(|path| path.to_string_lossy().into_owned())),
        one(IDENTITIES[0].1, &args.identity_client_id),
        one(IDENTITIES[1].1, &args.identity_object_id),
        one(IDENTITIES[2].1, &args.identity_resource_id),
    ];
    typed.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// The variables that do not count beside what is typed.
fn hidden(flags: &[(&str, String)]) -> Vec<&'static str> {
    let typed = |name: &str| flags.iter().any(|(flag, _)| *flag == name);
    // A login is kept for later; this one is of the moment.
    let mut hidden = vec!["AZCOPY_OAUTH_TOKEN_INFO"];
    let identities = IDENTITIES.map(|(_, name)| name);
    if identities.into_iter().any(typed) {
        hidden.extend(identities);
    }
    // As with AzCopy, where a certificate is typed too.
    if typed(APPLICATION) && !typed(CERTIFICATE) && variable("AZCOPY_SPA_CLIENT_SECRET").is_some() {
        hidden.push(CERTIFICATE);
    }
    hidden
}

/// Refuses more than one identity of a machine.
fn identities(args: &HowArgs) -> Result<(), Refused> {
    let typed = [&args.identity_client_id, &args.identity_object_id, &args.identity_resource_id];
    let mut typed =
        IDENTITIES.iter().zip(typed).filter(|(_, value)| value.is_some()).map(|((flag, _), _)| flag);
    match (typed.next(), typed.next()) {
        (Some(one), Some(other)) => Err(usage(format!("login: {one} and {other} exclude each other"))),
        _ => Ok(()),
    }
}

/// AzCopy's words.
fn succeeded(login: &Login) -> &'static str {
    match &login.kind {
        LoginKind::ServicePrincipalSecret { .. } => "SPN Auth via secret succeeded.",
        LoginKind::ServicePrincipalCertificate { .. } => "SPN Auth via cert succeeded.",
        LoginKind::ManagedIdentity(_) => "Login with identity succeeded.",
        LoginKind::AzureCli => "Login with AzCliCreds succeeded",
        LoginKind::PowerShell => "Login with Powershell context succeeded",
        LoginKind::WorkloadIdentity { .. } => "Login with Workload Identity succeeded",
        _ => "Login succeeded.",
    }
}

fn told(protection: &CacheProtection) -> String {
    match protection {
        CacheProtection::Keyring => {
            "encrypted with a key in the kernel's key ring: lost at a restart of the machine, or after days without use (see --no-keyring)".to_owned()
        }
        CacheProtection::FileOnly { reason } => format!("for this user alone, without encryption: {reason}"),
        _ => "for this user alone".to_owned(),
    }
}

/// Tells whether a token can be had, as AzCopy does.
fn status(args: &StatusArgs) -> Result<Exit, Refused> {
    let cache = identity::cache(false);
    let login = match identity::from_environment(|name| std::env::var(name).ok())? {
        Some(login) => Ok(Some(login)),
        None => cache.login(),
    };
    let valid = match login {
        Ok(None) => None,
        Err(error) => {
            output::tell!("azuring: {error}");
            None
        }
        Ok(Some(login)) => {
            let network = identity::network(args.ca_file.as_deref())?;
            // Not from the cache: whoever asks wants to know whether the login works now.
            let _stop = run::stop_on_signals(|| {});
            let checked =
                run::before_it_begins(|| check(login.clone(), &network, STORAGE_SCOPE, cache.clone()));
            match checked {
                Ok(()) => Some(login),
                Err(error) => {
                    output::tell!("azuring: {error}");
                    None
                }
            }
        }
    };
    let tenant = valid.as_ref().map(|login| login.tenant.clone().unwrap_or_else(|| COMMON_TENANT.to_owned()));
    let tenant = tenant.filter(|_| args.tenant.0);
    let endpoint = valid.as_ref().map(|login| login.authority.clone()).filter(|_| args.endpoint.0);
    let method = valid.as_ref().map(method).filter(|_| args.method.0);
    match Output::get().kind {
        OutputType::Json => {
            let mut content = json!({ "valid": valid.is_some() });
            for (name, value) in
                [("tenantID", tenant), ("AADEndpoint", endpoint), ("authMethod", method.map(str::to_owned))]
            {
                if let Some(value) = value {
                    content[name] = value.into();
                }
            }
            say!("{}", json::message("LoginStatusInfo", &content.to_string()));
            say!("{}", json::message("EndOfJob", ""));
        }
        OutputType::Ndjson => {
            let who = valid.as_ref().map(Login::describe);
            let rest = json!({
                "valid": valid.is_some(), "who": who, "tenant": tenant, "endpoint": endpoint, "method": method,
            });
            say!("{}", ndjson::line("login", rest));
        }
        OutputType::Text | OutputType::None => match &valid {
            None => info("You are currently not logged in. Please login using 'azuring login'"),
            Some(login) => {
                info("You have successfully refreshed your token. Your login session is still active");
                let lines = [
                    tenant.map(|tenant| format!("Tenant ID: {tenant}")),
                    endpoint.map(|endpoint| format!("Active directory endpoint: {endpoint}")),
                    method.map(|method| format!("Authentication method: {method}")),
                ];
                lines.into_iter().flatten().for_each(|line| info(&line));
                notice(&format!("logged in: {}", login.describe()));
                if let Ok(Some(protection)) = cache.check() {
                    notice(&format!("the login is stored {}", told(&protection)));
                }
            }
        },
    }
    Ok(if valid.is_some() { Exit::Done } else { Exit::Failures })
}

/// AzCopy's name of the kind.
fn method(login: &Login) -> &'static str {
    match login.kind_name() {
        "device" => "Device",
        "spn" => "SPN",
        "msi" => "MSI",
        "azcli" => "AzCLI",
        "pscred" => "PsCred",
        "workload" => "Workload",
        other => other,
    }
}

/// A line of AzCopy's.
fn info(text: &str) {
    match Output::get().kind {
        OutputType::Text | OutputType::None => say!("INFO: {text}"),
        OutputType::Json | OutputType::Ndjson => output::notice_on_stdout(text),
    }
}

pub(crate) fn logout() -> Exit {
    // Not as for a job: what cannot be read is to go as well, and what cannot be done is said.
    let forgotten = match state::find() {
        Some(state) => Cache::open(&state.identity, CacheOptions::default()).and_then(|cache| cache.forget()),
        None => Ok(false),
    };
    match forgotten {
        Ok(true) => {
            info("Logout succeeded.");
            Exit::Done
        }
        Ok(false) => {
            output::failed("failed to perform logout command, no cached token found for current user");
            Exit::Failures
        }
        Err(error) => identity::failed(&error).tell(),
    }
}
