//! Who this process is to Microsoft Entra ID.

use std::path::Path;
use std::sync::{Arc, Mutex};

use azuring_azure::Bearer;
use azuring_identity::{
    Cache, CacheOptions, Cancel, ChainError, Clock, DevicePrompt, IdentityError, Login, LoginKind, Network,
    STORAGE_SCOPE, chain, keep,
};
use azuring_link::LinkSettings;
use azuring_transfer::TlsSetup;

use super::refused;
use crate::cli::engine::EngineArgs;
use crate::exit::Exit;
use crate::options::{self, variable};
use crate::output::notice;
use crate::redact::redact;
use crate::refused::Refused;
use crate::state;

/// The variable that says how to log in.
pub(crate) const LOGIN_TYPE: &str = "AZCOPY_AUTO_LOGIN_TYPE";
/// The variable in which a parent process hands down its token.
const HANDED: &str = "AZCOPY_OAUTH_TOKEN_INFO";

/// Whether a variable says who to be.
pub(crate) fn is_asked_for() -> bool {
    variable(LOGIN_TYPE).is_some() || variable(HANDED).is_some()
}

/// Whether a variable or a kept login says who to be.
pub(crate) fn is_set(no_cache: bool) -> bool {
    is_asked_for() || matches!(cache(no_cache).login(), Ok(Some(_)))
}

/// The login that the variables ask for.
pub(crate) fn from_environment(read: impl Fn(&str) -> Option<String>) -> Result<Option<Login>, Refused> {
    // AzCopy's name for the login that is kept.
    let read = |name: &str| {
        read(name).filter(|value| name != LOGIN_TYPE || !value.eq_ignore_ascii_case("tokenstore"))
    };
    Login::from_environment(read).map_err(|error| failed(&error))
}

/// Who this process is: found out once, for whoever asks first.
#[derive(Clone, Default)]
pub(crate) struct Who {
    known: Arc<Mutex<Option<Bearer>>>,
    /// The flag that names a tenant, and the tenant; `None`: the login's own.
    tenant: Option<(&'static str, String)>,
}

impl Who {
    /// The same person or application in the tenant that a flag names.
    pub(crate) fn of_tenant((flag, tenant): (&'static str, &str)) -> Self {
        Self { tenant: Some((flag, tenant.to_owned())), ..Self::default() }
    }

    /// Its tokens.
    pub(crate) fn bearer(&self, engine: &EngineArgs) -> Result<Bearer, NoBearer> {
        let mut known = self.known.lock().expect("nothing panics while the lock is held");
        if let Some(bearer) = &*known {
            return Ok(bearer.clone());
        }
        let tenant = self.tenant.as_ref().map(|(flag, tenant)| (*flag, &**tenant));
        Ok(known.insert(bearer_of(engine, tenant)?).clone())
    }
}

/// Tokens for this command: of the login that is asked for, else of the one that is kept, else of whoever this machine
/// is.
pub(crate) fn bearer(engine: &EngineArgs) -> Result<Bearer, NoBearer> {
    bearer_of(engine, None)
}

/// The same login in another tenant.
fn moved(login: Login, (flag, tenant): (&'static str, &str)) -> Result<Login, Refused> {
    if let LoginKind::ManagedIdentity(_) | LoginKind::Given { .. } = login.kind {
        return Err(refused(format!(
            "{flag}: the {} belongs to one tenant: log in as somebody who is known in both, or give this end a SAS",
            login.describe()
        )));
    }
    login.with_tenant(flag, tenant).map_err(|error| failed(&error))
}

/// [`bearer`]; where a flag names a tenant, of the same login there.
fn bearer_of(engine: &EngineArgs, tenant: Option<(&'static str, &str)>) -> Result<Bearer, NoBearer> {
    let network = network(engine.ca_file.as_deref())?;
    let asked = from_environment(|name| std::env::var(name).ok())?;
    let asked = match tenant {
        Some(tenant) => asked.map(|login| moved(login, tenant)).transpose()?,
        None => asked,
    };
    let named = asked.is_some() || !matches!(Login::shared(&network.environment), Ok(None));
    // Whoever is logged in there is not to be replaced by somebody else without a word.
    let kept = match open_cache(engine.no_cache.0) {
        Err(error) if !named && is_there() => return Err(failed(&error).into()),
        Err(_) => cache(engine.no_cache.0),
        Ok(cache) => cache,
    };
    let (login, first, cache) = match asked {
        Some(Login { kind: LoginKind::DeviceCode { refresh: None }, .. }) => {
            let login = asked.expect("it was just seen");
            let (login, token) = with_code(&login, &network)?;
            (login, Some(token), Cache::none())
        }
        Some(login @ Login { kind: LoginKind::Given { .. }, .. }) => (login, None, Cache::none()),
        Some(login) => (login, None, kept),
        None => match kept_login(&kept, &network)? {
            Some(login) => (login, None, kept),
            None => {
                let (login, token) = chain(&network, STORAGE_SCOPE, &kept)
                    .map_err(|error| nobody(&error, engine.no_cache.0))?;
                notice(&format!("no identity is configured: using the {}", login.describe()));
                (login, Some(token), kept)
            }
        },
    };
    let (login, first, cache) = match tenant {
        // What is kept is the login, and its tokens are those of its own tenant.
        Some(tenant) if login.tenant.as_deref() != Some(tenant.1) => {
            (moved(login, tenant)?, None, Cache::none())
        }
        _ => (login, first, cache),
    };
    let kept = keep(login, network, STORAGE_SCOPE, Clock::system(), first, cache);
    Ok(kept.map_err(|error| failed(&error))?)
}

/// Why there are no tokens.
pub(crate) enum NoBearer {
    /// Nobody is logged in, and this machine is nobody.
    Nobody(String),
    /// Somebody is meant, and gets none.
    Refused(Refused),
}

impl From<NoBearer> for Refused {
    fn from(none: NoBearer) -> Self {
        match none {
            NoBearer::Nobody(why) => refused(why),
            NoBearer::Refused(refused) => refused,
        }
    }
}

impl From<Refused> for NoBearer {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

/// The login that is kept. One that cannot be read ends the command, as somebody else would be taken in its place;
/// unless the variables of Microsoft's libraries name somebody.
fn kept_login(kept: &Cache, network: &Network) -> Result<Option<Login>, Refused> {
    let named = !matches!(Login::shared(&network.environment), Ok(None));
    match kept.login() {
        Ok(Some(login)) if named => {
            notice(&format!(
                "using the stored login, the {}, not the identity of AZURE_CLIENT_ID: to use that, set {LOGIN_TYPE}=spn or =workload, or log out",
                login.describe()
            ));
            Ok(Some(login))
        }
        Err(error) if named => {
            notice(&format!("the stored login is not used: {error}"));
            Ok(None)
        }
        other => other.map_err(|error| failed(&error)),
    }
}

/// Has a person log in.
pub(crate) fn with_code(
    login: &Login,
    network: &Network,
) -> Result<(Login, azuring_identity::AccessToken), Refused> {
    let prompt = |prompt: &DevicePrompt| notice(&prompt.message);
    let logged_in =
        login.with_device_code(network, STORAGE_SCOPE, &Clock::system(), &prompt, &Cancel::default());
    logged_in.map_err(|error| failed(&error))
}

/// The way to the token services: the one the data takes.
pub(crate) fn network(ca_file: Option<&Path>) -> Result<Network, Refused> {
    let tls = TlsSetup::new(ca_file)?;
    let links = LinkSettings::default().tls(Some(tls)).proxies(Some(options::proxies()?));
    Ok(Network::new(links))
}

/// The file of logins and tokens; none where there is no place for it.
///
/// # Errors
/// There is one, and it cannot be used.
fn open_cache(none: bool) -> Result<Cache, IdentityError> {
    let Some(state) = state::find().filter(|_| !none) else { return Ok(Cache::none()) };
    let opened = Cache::open(&state.identity, CacheOptions::default());
    opened.and_then(|cache| cache.check().map(|_| cache))
}

/// Whether there is such a file, whatever it is.
fn is_there() -> bool {
    state::find().is_some_and(|state| state.identity.join("identity").symlink_metadata().is_ok())
}

/// The same; one that cannot be used is told of, and nothing is kept.
pub(crate) fn cache(none: bool) -> Cache {
    open_cache(none).unwrap_or_else(|error| {
        notice(&format!("no tokens are stored: {error}"));
        Cache::none()
    })
}

/// Nobody is logged in, unless somebody was meant and is refused.
fn nobody(error: &ChainError, no_cache: bool) -> NoBearer {
    let login =
        if no_cache { "leave out --no-cache where you are logged in" } else { "log in: azuring login" };
    let text = format!(
        "{error}\nappend a SAS to the URL, give the account's key (AZURE_STORAGE_KEY, --account-key-file), or {login}"
    );
    let exit = if error.is_passing() { Exit::GaveUp } else { Exit::Authentication };
    if error.is_of_somebody() {
        NoBearer::Refused(Refused { exit, ..refused(text) })
    } else {
        NoBearer::Nobody(text)
    }
}

/// Why there is no token.
pub(crate) fn failed(error: &IdentityError) -> Refused {
    let exit = if error.is_passing() { Exit::GaveUp } else { Exit::Authentication };
    Refused { text: redact(&error.to_string()), exit }
}
