//! Who to be when nobody said: what this machine offers, in the order of Microsoft's libraries.

use std::time::Duration;

use tokio::net::TcpStream;

use crate::acquire::{FIRST_PATIENCE, acquire};
use crate::clock::Clock;
use crate::error::IdentityError;
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

/// Nothing that this machine offers gave a token. Every possibility, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainError(pub Vec<PassedOver>);

impl std::error::Error for ChainError {}

impl std::fmt::Display for ChainError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("nobody is logged in, and nothing here gives a token")?;
        self.0.iter().try_for_each(|PassedOver { link, reason }| write!(f, "\n  {link}: {reason}"))
    }
}

/// Takes the first of: the service principal of `AZURE_CLIENT_SECRET` or `AZURE_CLIENT_CERTIFICATE_PATH`, the workload
/// identity of `AZURE_FEDERATED_TOKEN_FILE`, the machine's identity, the Azure CLI. What is set and refused is passed over
/// as well, and said.
///
/// # Errors
/// [`ChainError`].
pub fn chain(network: &Network, scope: &str) -> Result<(Login, AccessToken), ChainError> {
    let mut passed = Vec::new();
    let found = on_a_thread(network, async |wire| {
        for link in Link::ALL {
            let reason = match link.login(network).await {
                Err(reason) => reason,
                Ok(login) => match token(&login, &wire, network, scope).await {
                    Ok(token) => return Ok(Some((login, token))),
                    Err(error) => error.to_string(),
                },
            };
            passed.push(PassedOver { link: link.name(), reason });
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
    async fn login(self, network: &Network) -> Result<Login, String> {
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
            Link::Cli => cli(network),
        }
    }
}

async fn token(
    login: &Login,
    wire: &Wire,
    network: &Network,
    scope: &str,
) -> Result<AccessToken, IdentityError> {
    let clock = Clock::system();
    let patience = if matches!(login.kind, LoginKind::ManagedIdentity(_)) { MACHINE } else { FIRST_PATIENCE };
    let attempt = async || acquire(login, wire, network, &clock, scope).await;
    patiently(patience, attempt).await.map(|issued| issued.token)
}

/// What the environment says of a service principal or a workload; `unset` if it says nothing.
fn shared(read: Result<Option<Login>, IdentityError>, unset: &str) -> Result<Login, String> {
    match read {
        Ok(found) => found.ok_or_else(|| unset.to_owned()),
        Err(error) => Err(error.to_string()),
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
