//! Who to be when nobody said: what this machine offers, in the order of Microsoft's libraries.

use std::time::Duration;

use tokio::net::TcpStream;

use crate::acquire::FIRST_PATIENCE;
use crate::cache::Cache;
use crate::clock::Clock;
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

/// One possibility, and why it was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedOver {
    /// What it was.
    pub link: &'static str,
    /// Why it was not taken.
    pub reason: String,
}

/// Nothing that this machine offers gave a token. Every possibility, in order; up to the one that was meant and refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainError(pub Vec<PassedOver>);

impl ChainError {
    /// Whether somebody was named by variables, and is refused.
    pub fn is_of_somebody(&self) -> bool {
        self.0.len() < Link::ALL.len()
    }
}

impl std::error::Error for ChainError {}

impl std::fmt::Display for ChainError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("nobody is logged in, and nothing here gives a token")?;
        self.0.iter().try_for_each(|PassedOver { link, reason }| write!(f, "\n  {link}: {reason}"))
    }
}

/// Takes the first of: the service principal of `AZURE_CLIENT_SECRET` or `AZURE_CLIENT_CERTIFICATE_PATH`, the workload
/// identity of `AZURE_FEDERATED_TOKEN_FILE`, the machine's identity, the Azure CLI. One of the first two that is set and is
/// refused ends the search: somebody meant it. Tokens are taken from `cache` and kept there.
///
/// # Errors
/// [`ChainError`].
pub fn chain(network: &Network, scope: &str, cache: &Cache) -> Result<(Login, AccessToken), ChainError> {
    let mut passed = Vec::new();
    let found = on_a_thread(network, async |wire| {
        for link in Link::ALL {
            let (reason, meant) = match link.login(network).await {
                Found::Nothing(reason) => (reason, false),
                Found::Wrong(error) => (error.to_string(), true),
                Found::Login(login) => match token(&login, &wire, network, scope, cache).await {
                    Ok(token) => return Ok(Some((login, token))),
                    Err(error) => (error.to_string(), matches!(link, Link::Principal | Link::Workload)),
                },
            };
            passed.push(PassedOver { link: link.name(), reason });
            if meant {
                break;
            }
        }
        Ok(None)
    });
    match found {
        Ok(Some(found)) => Ok(found),
        Ok(None) => Err(ChainError(passed)),
        Err(error) => Err(ChainError(vec![PassedOver { link: "all", reason: error.to_string() }])),
    }
}

#[derive(Clone, Copy)]
enum Link {
    Principal,
    Workload,
    Machine,
    Cli,
}

/// What there is of a link.
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
            Link::Machine => machine(network).await.map_or_else(Found::Nothing, Found::Login),
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
    let patience = if matches!(login.kind, LoginKind::ManagedIdentity(_)) { MACHINE } else { FIRST_PATIENCE };
    let (clock, cache) = (Clock::system(), cache.clone());
    let mut keeper = Keeper::new(login.clone(), network.clone(), scope, clock, cache);
    patiently(patience, async || keeper.fetch(wire, None).await).await
}

fn shared(read: Result<Option<Login>, IdentityError>, unset: &str) -> Found {
    match read {
        Ok(Some(login)) => Found::Login(login),
        Ok(None) => Found::Nothing(unset.to_owned()),
        Err(error) => Found::Wrong(error),
    }
}

async fn machine(network: &Network) -> Result<Login, String> {
    if Source::of(&network.environment) == Source::Imds {
        let imds = network.imds().map_err(|error| error.to_string())?;
        let address = format!("{}:{}", imds.host_str().unwrap_or_default(), imds.port().unwrap_or(80));
        match tokio::time::timeout(PROBE, TcpStream::connect(address)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(format!("{} takes no connection: {error}", authority(&imds))),
            Err(_) => return Err(format!("this is no machine of Azure: {} is silent", authority(&imds))),
        }
    }
    let which =
        network.environment.get("AZURE_CLIENT_ID").map_or(ManagedIdentity::System, ManagedIdentity::ClientId);
    Ok(Login::new(LoginKind::ManagedIdentity(which)))
}

fn cli(network: &Network) -> Result<Login, String> {
    if network.environment.program(programs::CLI).is_none() {
        return Err(format!("{} is not in PATH", programs::CLI));
    }
    Login::shared_cli(&network.environment).map_err(|error| error.to_string())
}
