//! An upload by the identity of the machine: `managed_identity SOURCE URL`.
//!
//! Works on a VM, in App Service, and on a machine connected with Azure Arc. No secret is configured: the machine's
//! metadata service gives tokens, and a thread keeps them fresh for as long as the job runs. Any other login is another
//! [`LoginKind`]: a service principal, a workload identity, the Azure CLI.

use std::error::Error;
use std::path::{Path, PathBuf};

use azuring_transfer::identity::{
    Cache, Clock, Environment, Login, LoginKind, ManagedIdentity, Network, STORAGE_SCOPE, keep,
};
use azuring_transfer::{
    BlobUrl, Credential, Job, JobOptions, LinkSettings, Report, StopHandle, TlsSetup, TrustedSuffixes,
};

/// Where an upload goes that is no public cloud: a CA of its own, and hosts that may be sent tokens.
#[derive(Default)]
pub(crate) struct Surroundings {
    /// A PEM file.
    pub(crate) ca_file: Option<PathBuf>,
    /// As `*.example.org` or `host:port`.
    pub(crate) trusted: String,
    /// Where the metadata service is, if not where Azure has it.
    pub(crate) environment: Option<Environment>,
}

/// Uploads `source` as the machine.
pub(crate) fn upload(source: &Path, url: &str, around: Surroundings) -> Result<Report, Box<dyn Error>> {
    let url = BlobUrl::parse(url)?;
    let trusted = TrustedSuffixes::default().with(&around.trusted);
    // Refused before a token is asked for.
    Credential::may_send_tokens(&url, &trusted)?;
    let options = JobOptions::default().ca_file(around.ca_file.clone());
    let tls = TlsSetup::new(around.ca_file.as_deref())?;
    let target = url.clone();
    let login = move || {
        let mut network = Network::new(LinkSettings::default().tls(Some(tls)));
        if let Some(environment) = around.environment {
            network.environment = environment;
        }
        let login = Login::new(LoginKind::ManagedIdentity(ManagedIdentity::System));
        let bearer = keep(login, network, STORAGE_SCOPE, Clock::system(), None, Cache::none())?;
        Ok(Credential::token(&target, bearer, &trusted)?)
    };
    // The machine is asked when everything else is found to be right.
    let job = Job::upload(source, url, Credential::Anonymous).recursive(true).credential_by(login);
    let report = job.options(options).build()?.run(&StopHandle::new(), |_| {});
    match &report.fatal {
        Some(fatal) => Err(fatal.to_string().into()),
        None => Ok(report),
    }
}

#[allow(dead_code, reason = "the tests call what it calls")]
fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let [source, url] = &args[..] else { return Err("usage: managed_identity SOURCE URL".into()) };
    let report = upload(Path::new(source), url, Surroundings::default())?;
    println!("{} files, {} bytes", report.counts.done, report.counts.bytes);
    Ok(())
}
