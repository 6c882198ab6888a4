//! The Azure CLI and Azure PowerShell, whose logins can be used.

use std::ffi::OsStr;
use std::io;
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::credentials::TokenCredential;
use azure_identity::{AzureCliCredential, AzureCliCredentialOptions, Executor};
use azuring_azure::Secret;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

use crate::answer::{self, TokenAnswer};
use crate::environment::Environment;
use crate::error::{IdentityError, first_sentence};
use crate::login::Login;

/// A program that takes longer waits for something that will not come. PowerShell loads its modules in 10 s.
const TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) const CLI: &str = "az";
pub(crate) const POWERSHELL: &str = "pwsh";

/// What PowerShell runs. Nothing is put into this text: what varies comes in variables, which it does not interpret.
/// Newer versions of the module return a secure string.
const SCRIPT: &str = "\
$ErrorActionPreference = 'Stop'
if ($PSStyle) { $PSStyle.OutputRendering = 'PlainText' }
$with = @{ ResourceUrl = $env:AZURING_TOKEN_RESOURCE }
if ($env:AZURING_TOKEN_TENANT) { $with.TenantId = $env:AZURING_TOKEN_TENANT }
$token = Get-AzAccessToken @with -WarningAction SilentlyContinue
$text = $token.Token
if ($text -is [System.Security.SecureString]) { $text = [System.Net.NetworkCredential]::new('', $text).Password }
@{ access_token = $text; expires_on = $token.ExpiresOn.ToUnixTimeSeconds() } | ConvertTo-Json -Compress";

/// Bytes of an answer that are read: a token with what is around it has some four thousand. Whoever prints more prints
/// no token.
const ANSWER_MAX: usize = 1 << 20;
/// Bytes of complaints that are kept: the last ones.
const COMPLAINT_MAX: usize = 64 << 10;

/// Runs the Azure CLI for Microsoft's library, and keeps what it said.
#[derive(Debug)]
struct Runner {
    environment: Environment,
    failed: Mutex<Option<IdentityError>>,
}

/// Secrets of other logins: whoever may look into `az` or `pwsh` sees their environments. `IDENTITY_HEADER` is not
/// among them, which `az` needs in App Service, nor are proxies.
pub const HIDDEN_FROM_PROGRAMS: [&str; 13] = [
    "ACCOUNT_KEY",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AZCOPY_ACCOUNT_KEY",
    "AZCOPY_OAUTH_TOKEN_INFO",
    "AZCOPY_SPA_CERT_PASSWORD",
    "AZCOPY_SPA_CLIENT_SECRET",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD",
    "AZURE_CLIENT_SECRET",
    "AZURE_STORAGE_CONNECTION_STRING",
    "AZURE_STORAGE_KEY",
    "CPK_ENCRYPTION_KEY",
    "CPK_SOURCE_ENCRYPTION_KEY",
];

/// Process groups of programs that have not ended.
static RUNNING: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

fn running() -> MutexGuard<'static, Vec<Pid>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the programs that were started and have not ended: for a process that is about to end, and waits for nothing.
pub fn end_programs() {
    for leader in running().drain(..) {
        // One that has just ended is gone.
        let _ = kill_process_group(leader, Signal::KILL);
    }
}

/// A program and what it has started: `az` is a script that starts Python, and is started by a shell. All of them end
/// with this.
struct Group(Option<Pid>);

impl Group {
    /// Of a child that leads a group.
    fn of(child: &Child) -> Self {
        let leader = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        running().extend(leader);
        Self(leader)
    }

    /// The program has ended by itself; what it leaves behind may stay.
    fn has_ended(mut self) {
        let ended = self.0.take();
        running().retain(|leader| Some(*leader) != ended);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let Some(ended) = self.0 else { return };
        running().retain(|leader| *leader != ended);
        // Without processes there is no group.
        let _ = kill_process_group(ended, Signal::KILL);
    }
}

/// A program with the environment's `PATH`, without secrets that are not its own, and with no terminal to ask at.
fn command(program: &OsStr, environment: &Environment) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.kill_on_drop(true).process_group(0);
    for name in HIDDEN_FROM_PROGRAMS {
        command.env_remove(name);
    }
    if let Some(path) = environment.get("PATH") {
        command.env("PATH", path);
    }
    command
}

async fn output(program: &'static str, mut command: Command) -> Result<Output, IdentityError> {
    let fault = |reason: String| IdentityError::Program { program, reason };
    let run = async {
        let mut child = command.spawn()?;
        let group = Group::of(&child);
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        // What is said is read to its end, or the program would wait; where it has no end, the program is ended.
        let (stdout, stderr) = tokio::try_join!(answer_of(stdout), complaint_of(stderr))?;
        let status = child.wait().await?;
        group.has_ended();
        Ok::<_, io::Error>(Output { status, stdout, stderr })
    };
    let output = match tokio::time::timeout(TIMEOUT, run).await {
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

/// All that a program prints, up to [`ANSWER_MAX`].
async fn answer_of(stdout: Option<ChildStdout>) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    if let Some(stdout) = stdout {
        stdout.take(ANSWER_MAX as u64 + 1).read_to_end(&mut answer).await?;
    }
    if answer.len() > ANSWER_MAX {
        let text = format!("it printed more than {} MiB, and no token", ANSWER_MAX >> 20);
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    Ok(answer)
}

/// The end of what a program complains of, up to [`COMPLAINT_MAX`].
async fn complaint_of(stderr: Option<ChildStderr>) -> io::Result<Vec<u8>> {
    let (mut kept, mut piece) = (Vec::new(), [0; 4096]);
    let Some(mut stderr) = stderr else { return Ok(kept) };
    loop {
        let read = stderr.read(&mut piece).await?;
        if read == 0 {
            return Ok(kept);
        }
        kept.extend_from_slice(&piece[..read]);
        let excess = kept.len().saturating_sub(COMPLAINT_MAX);
        kept.drain(..excess);
    }
}

/// The line that says why: the Azure CLI marks it, among warnings of its own and of Python; PowerShell frames its text,
/// and ends with the reason.
fn complaint(stderr: &str) -> &str {
    let lines =
        || stderr.lines().map(|line| line.trim_matches(['|', ' ', '~'])).filter(|line| !line.is_empty());
    lines().find_map(|line| line.strip_prefix("ERROR: ")).or_else(|| lines().next_back()).unwrap_or_default()
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
    let token = token.map_err(|_| {
        // The library's error may quote the output.
        let failed = runner.failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        let reason = "its output holds no token; version 2.54.0 or newer is needed".to_owned();
        failed.unwrap_or(IdentityError::Program { program: CLI, reason })
    })?;
    let end = u64::try_from(token.expires_on.unix_timestamp()).unwrap_or_default();
    let lifetime = Duration::from_secs(end.saturating_sub(now_s));
    printed(CLI, TokenAnswer { secret: Secret::new(token.token.secret()), lifetime, refresh: None })
}

/// The token that a program printed, if it can be sent.
fn printed(program: &'static str, token: TokenAnswer) -> Result<TokenAnswer, IdentityError> {
    let wrong =
        |reason| IdentityError::Program { program, reason: format!("of the one it printed: {reason}") };
    token.usable().map_err(wrong)
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
            printed(POWERSHELL, TokenAnswer { secret: Secret::new(secret), lifetime, refresh: None })
        }
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read};
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::login::LoginKind;

    #[test]
    fn a_program_ends_with_what_it_started_when_nobody_waits_for_it() {
        let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let pipe = path("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        // The Azure CLI is a script that waits for what does the work.
        let worker = format!("(exec 3>'{}'; echo began >&3; sleep 20; echo survived >&3)", pipe.display());
        std::fs::write(path("az"), format!("#!/bin/sh\n{worker}\n:\n")).unwrap();
        std::fs::set_permissions(path("az"), std::fs::Permissions::from_mode(0o755)).unwrap();
        let programs = format!("{}:/usr/bin:/bin", dir.path().display());
        let environment = Environment::of(move |name| (name == "PATH").then(|| programs.clone()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut said = runtime.block_on(async {
            let begins = tokio::task::spawn_blocking(move || {
                let mut said = BufReader::new(std::fs::File::open(pipe).unwrap());
                let mut line = String::new();
                said.read_line(&mut line).unwrap();
                assert_eq!(line, "began\n");
                said
            });
            let login = Login::new(LoginKind::AzureCli);
            tokio::select! {
                ended = azure_cli(&login, &environment, "s", 0) => panic!("{ended:?}"),
                said = begins => said.unwrap(),
            }
        });
        // The pipe ends with its last writer.
        let mut rest = String::new();
        said.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
        assert!(running().is_empty());
    }

    /// One test at a time: what runs is the process's, and a script that is being written cannot be started.
    static ONE: Mutex<()> = Mutex::new(());

    /// What `azure_cli` says of a program of this name that does `script`.
    fn said_of(script: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        let az = dir.path().join("az");
        std::fs::write(&az, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&az, std::fs::Permissions::from_mode(0o755)).unwrap();
        let programs = format!("{}:/usr/bin:/bin", dir.path().display());
        let environment = Environment::of(move |name| (name == "PATH").then(|| programs.clone()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let login = Login::new(LoginKind::AzureCli);
        runtime.block_on(azure_cli(&login, &environment, "s", 0)).unwrap_err().to_string()
    }

    #[test]
    fn a_program_that_prints_without_end_is_ended() {
        let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let said = said_of("exec yes 'no token'");
        assert!(said.contains("it printed more than 1 MiB, and no token"), "{said}");
        assert!(running().is_empty());
    }

    #[test]
    fn of_many_complaints_the_last_ones_count() {
        let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let said =
            said_of("yes WARNING: old | head -n 200000 >&2; echo 'ERROR: AADSTS70043: Expired.' >&2; exit 1");
        assert!(said.contains("AADSTS70043: Expired"), "{said}");
    }

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
