//! The Azure CLI and Azure PowerShell, whose logins can be used.

use std::ffi::OsStr;
use std::io;
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::credentials::TokenCredential;
use azure_identity::{AzureCliCredential, AzureCliCredentialOptions, Executor};
use azuring_azure::Secret;
use serde_json::Value;
use tokio::process::Command;

use crate::answer::{self, TokenAnswer};
use crate::environment::Environment;
use crate::error::{IdentityError, first_sentence};
use crate::login::Login;

/// A program that takes longer waits for something that will not come. PowerShell loads its modules in 10 s.
const TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) const CLI: &str = "az";
pub(crate) const POWERSHELL: &str = "pwsh";

/// What PowerShell runs. Nothing is put into this text: what varies comes in variables, which it does not interpret. Newer
/// versions of the module return a secure string.
const SCRIPT: &str = "\
$ErrorActionPreference = 'Stop'
$with = @{ ResourceUrl = $env:AZURING_TOKEN_RESOURCE }
if ($env:AZURING_TOKEN_TENANT) { $with.TenantId = $env:AZURING_TOKEN_TENANT }
$token = Get-AzAccessToken @with -WarningAction SilentlyContinue
$text = $token.Token
if ($text -is [System.Security.SecureString]) { $text = [System.Net.NetworkCredential]::new('', $text).Password }
@{ access_token = $text; expires_on = $token.ExpiresOn.ToUnixTimeSeconds() } | ConvertTo-Json -Compress";

/// Runs the Azure CLI for Microsoft's library, and keeps what it said.
#[derive(Debug)]
struct Runner {
    environment: Environment,
    failed: Mutex<Option<IdentityError>>,
}

/// A program that ends when nobody waits for it, with the environment's `PATH` and no terminal to ask at.
fn command(program: &OsStr, environment: &Environment) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).kill_on_drop(true);
    if let Some(path) = environment.get("PATH") {
        command.env("PATH", path);
    }
    command
}

async fn output(program: &'static str, mut command: Command) -> Result<Output, IdentityError> {
    let fault = |reason: String| IdentityError::Program { program, reason };
    let output = match tokio::time::timeout(TIMEOUT, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => return Err(missing(program)),
        Ok(Err(error)) => return Err(fault(error.to_string())),
        Err(_) => return Err(fault(format!("it has not ended within {} s", TIMEOUT.as_secs()))),
    };
    match output.status.code() {
        Some(0) => Ok(output),
        // A shell's way of saying so.
        Some(127) => Err(missing(program)),
        _ => {
            let text = String::from_utf8_lossy(&output.stderr);
            let said = first_sentence(complaint(&text));
            let ended = || format!("it ended with {}", output.status);
            Err(fault(if said.is_empty() { ended() } else { said }))
        }
    }
}

/// The line that says why: the Azure CLI marks it, among warnings of its own and of Python; PowerShell frames its text, and ends
/// with the reason.
fn complaint(stderr: &str) -> &str {
    let lines =
        || stderr.lines().map(|line| line.trim_matches(['|', ' ', '~'])).filter(|line| !line.is_empty());
    lines().find_map(|line| line.strip_prefix("ERROR: ")).or_else(|| lines().last()).unwrap_or_default()
}

fn missing(program: &'static str) -> IdentityError {
    IdentityError::Program { program, reason: "it is not in PATH".to_owned() }
}

#[async_trait]
impl Executor for Runner {
    async fn run(&self, program: &OsStr, args: &[&OsStr]) -> io::Result<Output> {
        let mut command = command(program, &self.environment);
        command.args(args);
        output(CLI, command).await.map_err(|error| {
            *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            io::Error::other("noted")
        })
    }
}

/// A token of whoever is logged in to the Azure CLI. The library checks what it puts into the command.
pub(crate) async fn azure_cli(
    login: &Login,
    environment: &Environment,
    scope: &str,
    now_s: u64,
) -> Result<TokenAnswer, IdentityError> {
    if environment.program(CLI).is_none() {
        return Err(missing(CLI));
    }
    let runner = Arc::new(Runner { environment: environment.clone(), failed: Mutex::default() });
    let options = AzureCliCredentialOptions {
        tenant_id: login.tenant.clone(),
        executor: Some(Arc::clone(&runner) as Arc<dyn Executor>),
        ..AzureCliCredentialOptions::default()
    };
    let token = match AzureCliCredential::new(Some(options)) {
        Ok(credential) => credential.get_token(&[scope], None).await,
        Err(error) => Err(error),
    };
    token
        .map(|token| {
            let end = u64::try_from(token.expires_on.unix_timestamp()).unwrap_or_default();
            let lifetime = Duration::from_secs(end.saturating_sub(now_s));
            TokenAnswer { secret: Secret::new(token.token.secret()), lifetime, refresh: None }
        })
        .map_err(|_| {
            // The library's error may quote the output.
            let failed = runner.failed.lock().unwrap_or_else(PoisonError::into_inner).take();
            let reason = "its output holds no token; version 2.54.0 or newer is needed".to_owned();
            failed.unwrap_or(IdentityError::Program { program: CLI, reason })
        })
}

/// A token of whoever is logged in to Azure PowerShell.
pub(crate) async fn powershell(
    login: &Login,
    environment: &Environment,
    scope: &str,
    now_s: u64,
) -> Result<TokenAnswer, IdentityError> {
    let program = environment.program(POWERSHELL).ok_or_else(|| missing(POWERSHELL))?;
    let mut command = command(program.as_os_str(), environment);
    command.args(["-NoProfile", "-NonInteractive", "-Command", SCRIPT]);
    command.env("AZURING_TOKEN_RESOURCE", scope.strip_suffix("/.default").unwrap_or(scope));
    command.env("AZURING_TOKEN_TENANT", login.tenant.as_deref().unwrap_or_default());
    let output = output(POWERSHELL, command).await?;
    let wrong =
        || IdentityError::Program { program: POWERSHELL, reason: "its output holds no token".to_owned() };
    let json: Value = serde_json::from_slice(&output.stdout).map_err(|_| wrong())?;
    let secret = json.get("access_token").and_then(Value::as_str).filter(|text| !text.is_empty());
    let lifetime = answer::lifetime(&json, now_s);
    match (secret, lifetime) {
        (Some(secret), Some(lifetime)) => {
            Ok(TokenAnswer { secret: Secret::new(secret), lifetime, refresh: None })
        }
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_found_among_warnings_and_frames() {
        for (stderr, reason) in [
            (
                "WARNING: Unable to encrypt token cache.\nERROR: AADSTS70043: Expired.\nRun:\naz login\n",
                "AADSTS70043: Expired.",
            ),
            (
                "x.py:3: UserWarning: old\nModuleNotFoundError: No module named 'azure'\n\n",
                "ModuleNotFoundError: No module named 'azure'",
            ),
            (
                "Get-AzAccessToken: \nLine |\n   3 |  $token = Get\n     |           ~~~\n     | Run Connect-AzAccount to login.\n",
                "Run Connect-AzAccount to login.",
            ),
            ("ERROR: one line", "one line"),
            (" \n", ""),
        ] {
            assert_eq!(complaint(stderr), reason);
        }
    }
}
