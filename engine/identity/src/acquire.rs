//! One attempt to get a token, for every kind of login.

use std::time::{Duration, SystemTime};

use azuring_azure::{Clock, Secret};

use crate::answer::TokenAnswer;
use crate::assertion;
use crate::certificate::Certificate;
use crate::clock::unix_s;
use crate::device;
use crate::entra::Courier;
use crate::error::IdentityError;
use crate::login::{Login, LoginKind};
use crate::managed;
use crate::network::{Network, Wire, on_a_thread};
use crate::patience::patiently;
use crate::programs;
use crate::token::AccessToken;

/// How long a command waits for its first token while the service is busy or out of reach.
pub(crate) const FIRST_PATIENCE: Duration = Duration::from_secs(60);

/// A shorter secret stands in other words by chance.
const SHORTEST_SECRET: usize = 6;

/// A token, and the refresh token that replaces the one before.
pub(crate) struct Issued {
    pub(crate) token: AccessToken,
    pub(crate) refresh: Option<Secret>,
}

impl Login {
    /// Gets a token, asking nobody but the service. What passes (a busy service, a network that is out of reach) is
    /// tried again for a minute.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn token(&self, network: &Network, scope: &str) -> Result<AccessToken, IdentityError> {
        let clock = Clock::system();
        on_a_thread(network, async |wire| {
            let attempt = async || acquire(self, &wire, network, &clock, scope).await;
            patiently(FIRST_PATIENCE, &clock, attempt).await.map(|issued| issued.token)
        })
    }

    /// The texts that nobody may see.
    fn secrets(&self) -> Vec<&str> {
        let known = match &self.kind {
            LoginKind::ServicePrincipalSecret { secret } => Some(secret),
            LoginKind::ServicePrincipalCertificate { password, .. } => password.as_ref(),
            _ => self.refresh_token(),
        };
        known.into_iter().map(Secret::expose).filter(|text| text.len() >= SHORTEST_SECRET).collect()
    }
}

/// Gets a token now, or says why not. `scope` ends in `/.default`.
pub(crate) async fn acquire(
    login: &Login,
    wire: &Wire,
    network: &Network,
    clock: &Clock,
    scope: &str,
) -> Result<Issued, IdentityError> {
    let answer = ask(login, wire, network, clock, scope).await.map_err(|error| without(error, login))?;
    let TokenAnswer { secret, lifetime, refresh } = answer;
    Ok(Issued { token: AccessToken::by(clock, secret, lifetime), refresh })
}

async fn ask(
    login: &Login,
    wire: &Wire,
    network: &Network,
    clock: &Clock,
    scope: &str,
) -> Result<TokenAnswer, IdentityError> {
    let now_s = unix_s(clock.wall());
    let courier = || Courier::new(wire.clone(), now_s);
    match &login.kind {
        LoginKind::DeviceCode { .. } => device::refresh(login, wire, scope, now_s).await,
        LoginKind::Given { token, .. } if !token.left(clock).is_zero() => {
            Ok(TokenAnswer { secret: token.secret.clone(), lifetime: token.left(clock), refresh: None })
        }
        LoginKind::Given { refresh: None, .. } => {
            let reason = "the token that the parent process handed down has expired".to_owned();
            Err(IdentityError::Unsupported(reason))
        }
        LoginKind::Given { .. } => device::refresh(login, wire, scope, now_s).await,
        LoginKind::ServicePrincipalSecret { secret } => courier().with_secret(login, secret, scope).await,
        LoginKind::ServicePrincipalCertificate { path, password } => {
            let certificate = Certificate::load(path, password.as_ref())?;
            // By the wall clock: this is not a time that the service told.
            let signed = assertion::sign(login, &certificate, unix_s(SystemTime::now()))?;
            courier().with_assertion(login, signed, scope).await
        }
        LoginKind::WorkloadIdentity { token_file } => courier().with_workload(login, token_file, scope).await,
        LoginKind::AzureCli => programs::azure_cli(login, &network.environment, scope, now_s).await,
        LoginKind::PowerShell => programs::powershell(login, &network.environment, scope, now_s).await,
        LoginKind::ManagedIdentity(which) => managed::token(network, wire, which, scope, now_s).await,
    }
}

/// The error without the login's secrets, should the other side have repeated them.
fn without(error: IdentityError, login: &Login) -> IdentityError {
    match error {
        IdentityError::Refused { host, mut code, mut sentence, advice } => {
            for secret in login.secrets() {
                code = code.replace(secret, "..");
                sentence = sentence.replace(secret, "..");
            }
            IdentityError::Refused { host, code, sentence, advice }
        }
        other => other,
    }
}
