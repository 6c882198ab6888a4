//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use azsim::{
    AccountRule, Alpn, Application, Authority, Fault, Faults, ManagedIdentity, NameMatch, Operation, Rate,
    Role, Rule, Server, ServerBuilder, Store, Tls,
};

use crate::cli_network::{NetworkArgs, account_rule};
use clap::{Args, Parser, Subcommand};

/// A native Azure Blob server for tests and benchmarks.
#[derive(Debug, Parser)]
#[command(name = "azsim", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) serve: Serve,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Measure the server's own CPU time per request.
    Bench(Bench),
}

/// Options of `azsim bench`.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// Over TLS.
    #[arg(long)]
    pub(crate) tls: bool,
    /// Copies of one blob, by Put Blob From URL, whose source the server reads from itself. In memory.
    #[arg(long)]
    pub(crate) copy: bool,
    /// How long to measure.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) seconds: u64,
    /// Bytes of each Put Blob.
    #[arg(long, value_name = "BYTES", default_value_t = 4096)]
    pub(crate) size: usize,
    /// Connections, each with one request at a time.
    #[arg(long, value_name = "N", default_value_t = 32)]
    pub(crate) connections: usize,
    /// Server threads; the client has one of its own.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) threads: usize,
    /// Where content is kept.
    #[arg(long, value_name = "memory|disk:DIR|discard", default_value = "discard", value_parser = store)]
    pub(crate) store: Store,
}

/// Options of the server.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Address and port; port 0 takes a free one.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:10000")]
    listen: SocketAddr,
    /// Speak TLS, with a certificate made on the spot or with PEM files.
    #[arg(long, value_name = "self|CERT,KEY", value_parser = tls)]
    tls: Option<Tls>,
    /// Write the certificate that clients must trust to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_out: Option<PathBuf>,
    /// Trust this certificate, in PEM, when the source of a copy is read over https; repeatable. Its own is trusted.
    #[arg(long, value_name = "FILE")]
    trust: Vec<PathBuf>,
    /// Protocols offered over TLS.
    #[arg(long, value_name = "h2,http/1.1|http/1.1|h2", default_value = "h2,http/1.1", value_parser = alpn)]
    alpn: Alpn,
    /// An account with its key in base64; repeatable. Default: devstoreaccount1 with its published key.
    #[arg(long = "account", value_name = "NAME:KEY", value_parser = account)]
    accounts: Vec<(String, String)>,
    /// Create this container in every account; repeatable.
    #[arg(long = "container", value_name = "NAME")]
    pub(crate) containers: Vec<String>,
    /// Where content is kept.
    #[arg(long, value_name = "memory|disk:DIR|discard", default_value = "memory", value_parser = store)]
    store: Store,
    /// Worker threads. Default: one for each core.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Largest HTTP/2 frame that clients may send.
    #[arg(long, value_name = "BYTES", default_value_t = 16384)]
    h2_max_frame: u32,
    /// Compute and return the MD5 of every Put Blob, as the real service does.
    #[arg(long)]
    always_md5: bool,
    /// Keep what is overwritten or deleted as earlier versions.
    #[arg(long)]
    versioning: bool,
    /// Keep what is deleted or overwritten for this many days, as deleted.
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=365))]
    soft_delete: Option<u32>,
    /// Seconds for which a container that was deleted cannot be made again (the service: 30).
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    container_deletion: u64,
    /// Change names as the service does: backslashes become slashes, dots at the end of segments are dropped.
    #[arg(long)]
    service_names: bool,
    /// A premium account, which takes page blobs alone and knows their tiers.
    #[arg(long)]
    premium_page_blobs: bool,
    /// A premium account for block blobs, which has no tiers; repeatable.
    #[arg(long = "premium-block-blobs", value_name = "ACCOUNT")]
    premium_block_blobs: Vec<String>,
    /// An account in another tenant than the authority's; repeatable.
    #[arg(long = "account-tenant", value_name = "ACCOUNT:TENANT", value_parser = account_tenant)]
    account_tenants: Vec<(String, String)>,
    /// The newest x-ms-version that requests may name. Default: the newest that is known here.
    #[arg(long, value_name = "YYYY-MM-DD")]
    newest_version: Option<String>,
    /// An encryption scope that there is; repeatable. Default: every name is one.
    #[arg(long = "encryption-scope", value_name = "NAME")]
    encryption_scopes: Vec<String>,
    /// List names in the order of a hierarchical namespace: `/` below every other character.
    #[arg(long)]
    hns: bool,
    #[command(flatten)]
    networks: NetworkArgs,
    #[command(flatten)]
    authority: AuthorityArgs,
    #[command(flatten)]
    faults: FaultArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Tokens (ROLE: reader, contributor, owner, delegator or none)")]
struct AuthorityArgs {
    /// Issue tokens as Entra ID does, at this address over https, and accept them.
    #[arg(long, value_name = "ADDR:PORT", requires = "tls")]
    authority: Option<SocketAddr>,
    /// Address of IMDS, App Service and Azure Arc, over http.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0", requires = "authority")]
    authority_machine: SocketAddr,
    /// Its tenant. Default: one of its own.
    #[arg(long, value_name = "GUID", requires = "authority")]
    tenant: Option<String>,
    /// Seconds of tokens in one real second; 0: time stands still for them.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "authority")]
    token_speed: u32,
    /// Where the agent of Azure Arc leaves its keys.
    #[arg(long, value_name = "DIR", requires = "authority")]
    arc_keys: Option<PathBuf>,
    /// An application with its secret, or with none and device codes; repeatable.
    #[arg(long = "application", value_name = "CLIENT_ID:ROLE[:SECRET]", value_parser = application, requires = "authority")]
    applications: Vec<Application>,
    /// The identity of the machine.
    #[arg(long, value_name = "CLIENT_ID:ROLE", value_parser = identity, requires = "authority")]
    identity: Option<ManagedIdentity>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Faults (RATE: a probability such as 0.01, or 1/N for every N-th request)")]
struct FaultArgs {
    /// Seed of every draw.
    #[arg(long, value_name = "N", default_value_t = 0)]
    fault_seed: u64,
    /// Added before each answer.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    latency_ms: u64,
    /// Added on top, between 0 and this.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    jitter_ms: u64,
    /// Requests a second that are served; the rest gets 503 ServerBusy.
    #[arg(long, value_name = "N")]
    max_rps: Option<u32>,
    /// Retry-After of every 503.
    #[arg(long, value_name = "SECONDS")]
    retry_after: Option<u32>,
    /// 500 InternalError.
    #[arg(long, value_name = "RATE", default_value = "0", value_parser = rate)]
    fault_500: Rate,
    /// 500 without code and body.
    #[arg(long, value_name = "RATE", default_value = "0", value_parser = rate)]
    fault_bare_500: Rate,
    /// 503 ServerBusy.
    #[arg(long, value_name = "RATE", default_value = "0", value_parser = rate)]
    fault_503: Rate,
    /// Reset of the connection in place of the answer.
    #[arg(long, value_name = "RATE", default_value = "0", value_parser = rate)]
    fault_reset: Rate,
    /// An answer cut off in its status line; the operation took effect.
    #[arg(long, value_name = "RATE", default_value = "0", value_parser = rate)]
    fault_cut_headers: Rate,
    /// An answer cut off in its body; the operation took effect.
    #[arg(long, value_name = "RATE", default_value = "0", value_parser = rate)]
    fault_cut_body: Rate,
    /// No answer ever, on an open connection.
    #[arg(long, value_name = "RATE", default_value = "0", value_parser = rate)]
    fault_stall: Rate,
    /// A fault for blobs whose name contains NAME, repeatable. OPERATION: PutBlob, PutBlock, ... or any. FAULT:
    /// STATUS:CODE, reset, cut-headers, cut-body, stall, wrong-checksum, delay:MS. The first SKIP (0) matching requests
    /// pass, the next COUNT (1) are struck.
    #[arg(long = "fault-rule", value_name = "NAME,OPERATION,FAULT[,SKIP[,COUNT]]", value_parser = rule)]
    rules: Vec<Rule>,
    /// The same for requests to one account, or to any, by SENDER: any, client[:ADDR], service[:ACCOUNT] (of the
    /// destination of a copy, which reads its source) or on-behalf[:ACCOUNT] (the same for the copy's client).
    #[arg(long = "account-rule", value_name = "ACCOUNT,SENDER,NAME,OPERATION,FAULT[,SKIP[,COUNT]]", value_parser = account_rule)]
    account_rules: Vec<AccountRule>,
}

impl Serve {
    /// The server that was asked for.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(crate) fn builder(self) -> std::io::Result<ServerBuilder> {
        let mut builder = Server::builder()
            .listen(self.listen)
            .tls(self.tls.unwrap_or_default())
            .alpn(self.alpn)
            .store(self.store)
            .h2_max_frame(self.h2_max_frame)
            .always_md5(self.always_md5)
            .versioning(self.versioning)
            .hierarchical_namespace(self.hns)
            .service_names(self.service_names)
            .premium_page_blobs(self.premium_page_blobs)
            .container_deletion(Duration::from_secs(self.container_deletion))
            .faults(self.faults.faults());
        for (name, key) in &self.accounts {
            builder = builder.account(name, key);
        }
        if let Some(version) = &self.newest_version {
            builder = builder.newest_version(version);
        }
        for account in &self.premium_block_blobs {
            builder = builder.premium_block_blobs(account);
        }
        for (account, tenant) in &self.account_tenants {
            builder = builder.account_tenant(account, tenant);
        }
        builder = self.networks.apply(builder);
        for scope in &self.encryption_scopes {
            builder = builder.encryption_scope(scope);
        }
        if let Some(days) = self.soft_delete {
            builder = builder.soft_delete(days);
        }
        for path in &self.trust {
            let named = |e| std::io::Error::other(format!("{}: {e}", path.display()));
            builder = builder.trust(&std::fs::read_to_string(path).map_err(named)?);
        }
        Ok(match self.threads {
            Some(threads) => builder.threads(threads),
            None => builder,
        })
    }
}

impl Serve {
    /// Starts the authority that was asked for.
    pub(crate) fn authority(&self) -> std::io::Result<Option<Authority>> {
        let args = &self.authority;
        let Some(listen) = args.authority else { return Ok(None) };
        let mut builder = Authority::builder()
            .listen(listen)
            .listen_machine(args.authority_machine)
            .tls(self.tls.clone().unwrap_or_default())
            .speed(args.token_speed);
        if let Some(tenant) = &args.tenant {
            builder = builder.tenant(tenant);
        }
        if let Some(directory) = &args.arc_keys {
            builder = builder.arc_keys(directory);
        }
        let authority = builder.start()?;
        for application in &args.applications {
            authority.register(application.clone());
        }
        if let Some(identity) = &args.identity {
            authority.register_identity(identity.clone());
        }
        Ok(Some(authority))
    }
}

impl FaultArgs {
    fn faults(self) -> Faults {
        Faults {
            seed: self.fault_seed,
            latency: Duration::from_millis(self.latency_ms),
            jitter: Duration::from_millis(self.jitter_ms),
            requests_per_second: self.max_rps,
            retry_after_s: self.retry_after,
            rules: self.rules,
            account_rules: self.account_rules,
            internal_error: self.fault_500,
            bare_500: self.fault_bare_500,
            server_busy: self.fault_503,
            reset: self.fault_reset,
            cut_headers: self.fault_cut_headers,
            cut_body: self.fault_cut_body,
            stall: self.fault_stall,
        }
    }
}

fn store(text: &str) -> Result<Store, String> {
    match (text, text.strip_prefix("disk:")) {
        ("memory", _) => Ok(Store::Memory),
        ("discard", _) => Ok(Store::Discard),
        (_, Some(directory)) if !directory.is_empty() => Ok(Store::Disk(directory.into())),
        _ => Err("memory, disk:DIR or discard".to_owned()),
    }
}

fn tls(text: &str) -> Result<Tls, String> {
    match text.split_once(',') {
        None if text == "self" => Ok(Tls::SelfSigned),
        Some((cert, key)) => Ok(Tls::Pem { cert: cert.into(), key: key.into() }),
        None => Err("self, or two files: CERT,KEY".to_owned()),
    }
}

fn alpn(text: &str) -> Result<Alpn, String> {
    match text {
        "h2,http/1.1" => Ok(Alpn::H2AndHttp11),
        "http/1.1" => Ok(Alpn::Http11),
        "h2" => Ok(Alpn::H2),
        _ => Err("h2,http/1.1 or http/1.1 or h2".to_owned()),
    }
}

fn account(text: &str) -> Result<(String, String), String> {
    let (name, key) = text.split_once(':').ok_or("NAME:KEY")?;
    Ok((name.to_owned(), key.to_owned()))
}

fn account_tenant(text: &str) -> Result<(String, String), String> {
    let (name, tenant) = text.split_once(':').ok_or("ACCOUNT:TENANT")?;
    Ok((name.to_owned(), tenant.to_owned()))
}

fn role(text: &str) -> Result<Option<Role>, String> {
    match text {
        "reader" => Ok(Some(Role::Reader)),
        "contributor" => Ok(Some(Role::Contributor)),
        "owner" => Ok(Some(Role::Owner)),
        "delegator" => Ok(Some(Role::Delegator)),
        "none" => Ok(None),
        _ => Err(format!("{text} is no role")),
    }
}

fn application(text: &str) -> Result<Application, String> {
    let (client_id, rest) = text.split_once(':').ok_or("CLIENT_ID:ROLE[:SECRET]")?;
    let (name, secret) = rest.split_once(':').map_or((rest, None), |(name, secret)| (name, Some(secret)));
    let application = Application::new(client_id);
    let application = match role(name)? {
        Some(role) => application.role(role),
        None => application,
    };
    Ok(match secret {
        Some(secret) => application.secret(secret),
        None => application.public(),
    })
}

fn identity(text: &str) -> Result<ManagedIdentity, String> {
    let (client_id, name) = text.split_once(':').ok_or("CLIENT_ID:ROLE")?;
    let identity = ManagedIdentity::system(client_id);
    Ok(match role(name)? {
        Some(role) => identity.role(role),
        None => identity,
    })
}

fn rate(text: &str) -> Result<Rate, String> {
    let bad = || "a probability from 0 to 1, or 1/N".to_owned();
    if let Some(n) = text.strip_prefix("1/") {
        return n.parse().ok().filter(|n| *n > 0).map(Rate::Every).ok_or_else(bad);
    }
    match text.parse::<f64>() {
        Ok(0.0) => Ok(Rate::Never),
        Ok(p) if (0.0..=1.0).contains(&p) => Ok(Rate::Probability(p)),
        _ => Err(bad()),
    }
}

pub(crate) fn rule(text: &str) -> Result<Rule, String> {
    let mut fields = text.split(',');
    let mut field = |name: &str| fields.next().ok_or_else(|| format!("{name} is missing"));
    let name = NameMatch::Contains(field("NAME")?.to_owned());
    let operation = match field("OPERATION")? {
        "any" => None,
        wanted => {
            let found = Operation::ALL.into_iter().find(|o| format!("{o:?}").eq_ignore_ascii_case(wanted));
            Some(found.ok_or_else(|| format!("{wanted} is no operation"))?)
        }
    };
    let fault = fault(field("FAULT")?)?;
    let number = |text: Option<&str>, default: u64| match text {
        None => Ok(default),
        Some(text) => text.parse::<u64>().map_err(|_| format!("{text} is no number")),
    };
    let skip = number(fields.next(), 0)?;
    let count = number(fields.next(), 1)?;
    Ok(Rule { name, operation, fault, skip, count })
}

fn fault(text: &str) -> Result<Fault, String> {
    match text {
        "reset" => return Ok(Fault::Reset),
        "cut-headers" => return Ok(Fault::CutHeaders),
        "cut-body" => return Ok(Fault::CutBody),
        "stall" => return Ok(Fault::Stall),
        "wrong-checksum" => return Ok(Fault::WrongChecksum),
        _ => {}
    }
    let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
    if kind == "delay" {
        let ms = rest.parse().map_err(|_| format!("{rest} is no number of milliseconds"))?;
        return Ok(Fault::Delay(Duration::from_millis(ms)));
    }
    match kind.parse() {
        Ok(status @ 300..=599) => Ok(Fault::error(status, rest)),
        _ => Err(format!("{text} is no fault")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn principals_are_read() {
        let made = ManagedIdentity::system("a").role(Role::Delegator);
        assert_eq!(identity("a:delegator"), Ok(made));
        assert_eq!(identity("a:none"), Ok(ManagedIdentity::system("a")));
        assert!(identity("a").is_err() && identity("a:king").is_err());
        assert!(application("a:owner").is_ok() && application("a:reader:s:e").is_ok());
        assert!(application("a").is_err() && application("a:s3cret").is_err());
    }

    #[test]
    fn rates_and_rules_are_read() {
        assert_eq!(rate("0.25"), Ok(Rate::Probability(0.25)));
        assert_eq!(rate("1/7"), Ok(Rate::Every(7)));
        assert_eq!(rate("0"), Ok(Rate::Never));
        assert!(rate("2").is_err() && rate("1/0").is_err());
        let expected = Rule {
            name: NameMatch::Contains("x".into()),
            operation: Some(Operation::PutBlock),
            fault: Fault::error(403, "AuthorizationPermissionMismatch"),
            skip: 1,
            count: 1,
        };
        assert_eq!(rule("x,PutBlock,403:AuthorizationPermissionMismatch,1"), Ok(expected));
        assert_eq!(rule(",any,delay:5,0,9").unwrap().fault, Fault::Delay(Duration::from_millis(5)));
        assert!(rule("x,PutBlock").is_err() && rule("x,Nope,reset").is_err() && rule("x,any,700:x").is_err());
    }
}
