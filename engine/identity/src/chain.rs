//! Who to be when nobody said: what this machine offers, in the order of Microsoft's libraries.

use std::time::Duration;

use azuring_azure::Clock;
use tokio::net::TcpStream;

use crate::acquire::FIRST_PATIENCE;
use crate::cache::Cache;
use crate::error::IdentityError;
use crate::keep::Keeper;
use crate::login::{Login, LoginKind, ManagedIdentity};
use crate::managed::Source;
use crate::network::{Network, Wire, authority, on_a_thread};
use crate::patience::patiently;
use crate::programs;
use crate::token::AccessToken;

/// Outside of Azure nobody answers for the machine, and each command would wait for it.
const PROBE: Duration = Duration::from_secs(1);
/// Other clouds have a metadata service at the same address, which finds nothing, again and again.
const MACHINE: Duration = Duration::from_secs(3);

/// One link of the chain of identities, and why it was not used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PassedOver {
    /// The link's name for a message, such as `Azure CLI`.
    pub link: &'static str,
    /// Why it was not taken.
    pub reason: String,
}

/// Nothing that this machine offers gave a token. Every possibility, in order; up to the one that was meant and
/// refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainError {
    /// What was tried.
    pub passed: Vec<PassedOver>,
    /// The last one was meant, and this is why it gives no token.
    meant: Option<IdentityError>,
}

impl ChainError {
    /// Whether somebody was named by variables, or answered for by the machine, and gets no token.
    pub fn is_of_somebody(&self) -> bool {
        self.meant.is_some()
    }

    /// Whether another attempt may succeed without anybody changing anything.
    pub fn is_passing(&self) -> bool {
        self.meant.as_ref().is_some_and(IdentityError::is_passing)
    }
}

impl std::error::Error for ChainError {}

impl std::fmt::Display for ChainError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.meant {
            Some(_) => "the identity that this machine or its variables name gets no token",
            None => "nobody is logged in, and nothing here gives a token",
        })?;
        self.passed.iter().try_for_each(|PassedOver { link, reason }| write!(f, "\n  {link}: {reason}"))
    }
}

/// Takes the first of: the service principal of `AZURE_CLIENT_SECRET` or `AZURE_CLIENT_CERTIFICATE_PATH`, the workload
/// identity of `AZURE_FEDERATED_TOKEN_FILE`, the machine's identity, the Azure CLI. One of the first two that is set
/// and gets no token ends the search: somebody meant it; and so does an identity of the machine that is named, or that
/// is there and busy. Tokens are taken from `cache` and kept there.
///
/// # Errors
/// [`ChainError`].
pub fn chain(network: &Network, scope: &str, cache: &Cache) -> Result<(Login, AccessToken), ChainError> {
    let mut passed = Vec::new();
    let found = on_a_thread(network, async |wire| {
        for link in Link::ALL {
            let (reason, meant) = match link.login(network).await {
                Found::Nothing(reason) => (reason, None),
                Found::Wrong(error) => (error.to_string(), Some(error)),
                Found::Login(login) => match token(&login, &wire, network, scope, cache).await {
                    Ok(token) => return Ok(Ok((login, token))),
                    Err(error) => (error.to_string(), link.means(&login, &error).then_some(error)),
                },
            };
            passed.push(PassedOver { link: link.name(), reason });
            if meant.is_some() {
                return Ok(Err(meant));
            }
        }
        Ok(Err(None))
    });
    match found {
        Ok(found) => found.map_err(|meant| ChainError { passed, meant }),
        Err(error) => {
            let passed = vec![PassedOver { link: "all", reason: error.to_string() }];
            Err(ChainError { passed, meant: Some(error) })
        }
    }
}

/// Whether it is a service of identities that said so: other clouds have something else at the address of a VM's, which
/// answers without a reason.
fn is_from_a_service(error: &IdentityError) -> bool {
    match error {
        IdentityError::Refused { code, .. } => !code.starts_with("HTTP "),
        IdentityError::Busy { code, .. } => code != "HTTP 404",
        _ => false,
    }
}

#[derive(Clone, Copy)]
enum Link {
    Principal,
    Workload,
    Machine,
    Cli,
}

enum Found {
    Login(Login),
    /// No signs of it.
    Nothing(String),
    /// It is set, and cannot be used.
    Wrong(IdentityError),
}

impl Link {
    const ALL: [Self; 4] = [Link::Principal, Link::Workload, Link::Machine, Link::Cli];

    fn name(self) -> &'static str {
        match self {
            Link::Principal => "service principal",
            Link::Workload => "workload identity",
            Link::Machine => "managed identity",
            Link::Cli => "Azure CLI",
        }
    }

    /// Whether this login, which gets no token, was meant, so that nobody else is to be taken in its place.
    fn means(self, login: &Login, error: &IdentityError) -> bool {
        let named = login.kind != LoginKind::ManagedIdentity(ManagedIdentity::System);
        match self {
            Link::Principal | Link::Workload => true,
            Link::Machine => is_from_a_service(error) && (named || error.is_passing()),
            Link::Cli => false,
        }
    }

    /// The login, if there are signs of it.
    async fn login(self, network: &Network) -> Found {
        let environment = &network.environment;
        match self {
            Link::Principal => shared(
                Login::shared_principal(environment),
                "neither AZURE_CLIENT_SECRET nor AZURE_CLIENT_CERTIFICATE_PATH is set",
            ),
            Link::Workload => {
                shared(Login::shared_workload(environment), "AZURE_FEDERATED_TOKEN_FILE is not set")
            }
            Link::Machine => machine(network).await,
            Link::Cli => cli(network).map_or_else(Found::Nothing, Found::Login),
        }
    }
}

async fn token(
    login: &Login,
    wire: &Wire,
    network: &Network,
    scope: &str,
    cache: &Cache,
) -> Result<AccessToken, IdentityError> {
    let (clock, cache) = (Clock::system(), cache.clone());
    let mut keeper = Keeper::new(login.clone(), network.clone(), scope, clock.clone(), cache);
    if matches!(login.kind, LoginKind::ManagedIdentity(_)) {
        match patiently(MACHINE, &clock, async || keeper.fetch(wire, None).await).await {
            Err(error)
                if error.is_passing()
                    && is_from_a_service(&error)
                    && error.retry_after().unwrap_or_default() < FIRST_PATIENCE =>
            {
                clock.sleep(error.retry_after().unwrap_or_default()).await;
            }
            done => return done,
        }
    }
    patiently(FIRST_PATIENCE, &clock, async || keeper.fetch(wire, None).await).await
}

fn shared(read: Result<Option<Login>, IdentityError>, unset: &str) -> Found {
    match read {
        Ok(Some(login)) => Found::Login(login),
        Ok(None) => Found::Nothing(unset.to_owned()),
        Err(error) => Found::Wrong(error),
    }
}

async fn machine(network: &Network) -> Found {
    if Source::of(&network.environment) == Source::Imds {
        let imds = match network.imds() {
            Ok(imds) => imds,
            Err(error) => return Found::Wrong(error),
        };
        let address = format!("{}:{}", imds.host_str().unwrap_or_default(), imds.port().unwrap_or(80));
        match tokio::time::timeout(PROBE, TcpStream::connect(address)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                return Found::Nothing(format!("{} takes no connection: {error}", authority(&imds)));
            }
            Err(_) => {
                return Found::Nothing(format!(
                    "this is no machine of Azure: {} is silent",
                    authority(&imds)
                ));
            }
        }
    }
    Login::shared_machine(&network.environment).map_or_else(Found::Wrong, Found::Login)
}

fn cli(network: &Network) -> Result<Login, String> {
    if network.environment.program(programs::CLI).is_none() {
        return Err(format!("{} is not in PATH", programs::CLI));
    }
    Login::shared_cli(&network.environment).map_err(|error| error.to_string())
}
