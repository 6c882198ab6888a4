//! What stands between this machine and a place in Blob storage, step by step; and whether one account reads another.

use std::net::IpAddr;
use std::time::Duration;

use azuring_azure::{
    Access, AccountFacts, BlobUrl, Body, Course, Credential, Delete, Get, ListItem, ListRequest, Wanted,
    Which,
};
use azuring_job::end_error::EndError;
use azuring_job::failure::Failure;
use azuring_job::job_error::JobError;
use azuring_job::options::JobOptions;
use azuring_job::verdict::StopHandle;
use azuring_lane::client::Client;
use azuring_lane::request::GaveUp;
use azuring_link::{LinkSettings, Probe, probe};
use azuring_plan::download::RemotePath;
use azuring_plan::name::encode_path;
use tokio::sync::oneshot;

use crate::command::{Command, CommandError};

/// Another attempt for what passes, and for a token that is replaced.
const TRIES: u32 = 2;
/// A resolver that takes longer has no answer.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Entries of the one page in which an object is looked for.
const LOOKED_AT: u32 = 500;

/// What [`examine`] found.
#[derive(Debug)]
#[non_exhaustive]
pub struct Examined {
    /// The proxy that is used, without user and password.
    pub proxy: Option<String>,
    /// Addresses, connection, TLS.
    pub probe: Probe,
    /// The name behind the host's CNAMEs, or the host's own; `None`: the resolver does not tell, or was not asked.
    pub canonical: Option<String>,
    /// What the account is; `None`: there is no connection.
    pub account: Option<Result<AccountFacts, Box<Failure>>>,
    /// Seconds that the service's clock is ahead of this machine's, as far as an answer told it.
    pub clock_skew_s: Option<i32>,
    /// Whether it can be listed, and whether the first page has anything; `None`: it was not asked.
    pub list: Option<Result<bool, Box<Failure>>>,
    /// An object there: the one that the URL names, or the smallest of the first page that is not in the archive.
    pub sample: Option<Sample>,
    /// Whether its first byte, or its properties, can be read; `None`: there is none.
    pub read: Option<Result<(), Box<Failure>>>,
}

/// An object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sample {
    /// Its name below the container.
    pub name: String,
    /// Its length in bytes.
    pub len: u64,
    /// Its ETag.
    pub etag: Option<String>,
}

/// Looks at the way to `url`, and asks the service what can be asked without changing anything. Without a credential it
/// is asked nothing but who it is.
///
/// # Errors
/// [`CommandError::Start`]: it cannot be begun with this URL, credential or options.
pub fn examine(
    url: &BlobUrl,
    credential: Option<&Credential>,
    options: &JobOptions,
    stop: &StopHandle,
) -> Result<Examined, CommandError> {
    let path = RemotePath::parse(url.raw_path()).map_err(|error| CommandError::Start(error.into()))?;
    let endpoint = url.endpoint();
    let tls = options.tls(&endpoint).map_err(JobError::from)?;
    let settings = LinkSettings::default()
        .http(options.http)
        .stall(options.retry.stall)
        .tls(tls)
        .proxies(options.proxies.clone());
    let proxy = options.proxies.as_ref().and_then(|proxies| proxies.describe(&endpoint));
    let may_ask = credential.is_some();
    let (credential, options) = (credential.unwrap_or(&Credential::Anonymous), few_tries(options));
    let command = Command::new(url, (credential, Access::Read), &options, stop, 1)?;
    // Who may not ask what the account is may read all the same: a refusal there stops no other request.
    let who = Command::new(url, (credential, Access::Read), &options, &StopHandle::new(), 1)?;
    let host = endpoint.host.clone();
    let url = url.clone();
    let work = async move |command: &Command, client: Client| {
        let (probe, canonical) = tokio::join!(probe(&endpoint, &settings), canonical(host));
        let mut examined = Examined {
            proxy,
            probe,
            canonical,
            account: None,
            clock_skew_s: None,
            list: None,
            sample: None,
            read: None,
        };
        let reaches = examined.probe.connected.is_ok() && !matches!(examined.probe.tls, Some(Err(_)));
        if reaches {
            ask_who(&who, &who.session.source_client(), &url, &path, &mut examined).await;
        }
        if reaches && may_ask {
            look(command, &client, &path, &mut examined).await;
        }
        Ok(examined)
    };
    command.start(work).wait()
}

fn few_tries(options: &JobOptions) -> JobOptions {
    let retry = options.retry.clone().max_tries(TRIES);
    options.clone().retry(retry)
}

/// The name behind the host's CNAMEs.
async fn canonical(host: String) -> Option<String> {
    if host.parse::<IpAddr>().is_ok() {
        return None;
    }
    let (tell, told) = oneshot::channel();
    // It cannot be ended: nobody waits for the thread.
    let ask = move || drop(tell.send(azuring_ring::canonical_name(&host)));
    std::thread::Builder::new().name("resolve".to_owned()).spawn(ask).ok()?;
    tokio::time::timeout(RESOLVE_TIMEOUT, told).await.ok()?.ok()?.ok()?
}

async fn ask_who(
    command: &Command,
    client: &Client,
    url: &BlobUrl,
    path: &RemotePath,
    examined: &mut Examined,
) {
    let name = match path {
        // A SAS for one blob is none for the container.
        RemotePath::Object { name } if url.sas().is_some() => encode_path(name),
        _ => String::new(),
    };
    let asked =
        command.ask(async || Ok::<_, EndError>(client.blob()?.account_information(&name).await?)).await;
    examined.clock_skew_s = match &asked {
        Ok(facts) => facts.clock_skew_s,
        Err(gave_up) => gave_up.service().and_then(|refusal| refusal.clock_skew_s),
    };
    examined.account = Some(asked.map_err(|gave_up| failed(command, gave_up)));
}

/// Lists, and reads what is found.
async fn look(command: &Command, client: &Client, path: &RemotePath, examined: &mut Examined) {
    let which = command.session.ends.from().end.which();
    let prefix = match path {
        RemotePath::Container => String::new(),
        RemotePath::Contents { prefix } => prefix.clone(),
        RemotePath::Object { name } => {
            let encoded = encode_path(name);
            let asked = command.ask(async || client.facts(&encoded, which).await).await;
            match asked {
                Ok(facts) if !facts.hdi_isfolder() => {
                    let etag = facts.etag.as_deref().map(str::to_owned);
                    examined.sample = Some(Sample { name: name.clone(), len: facts.len, etag });
                    examined.read = Some(read(command, client, which, examined.sample.as_ref()).await);
                    return;
                }
                Ok(_) => {}
                Err(gave_up) if gave_up.not_found() => {}
                Err(gave_up) => {
                    examined.read = Some(Err(failed(command, gave_up)));
                    return;
                }
            }
            if name.ends_with('/') { name.clone() } else { format!("{name}/") }
        }
    };
    let first = ListRequest {
        prefix: &prefix,
        max_results: Some(LOOKED_AT),
        wanted: Wanted::ALL,
        ..ListRequest::default()
    };
    let page = match command.ask(async || client.list(&first, &mut Course::default()).await).await {
        Ok(page) => page,
        Err(gave_up) => {
            examined.list = Some(Err(failed(command, gave_up)));
            return;
        }
    };
    examined.list = Some(Ok(!page.items.is_empty() || page.next.is_some()));
    let readable = page.items.iter().filter_map(|item| match item {
        ListItem::Entry(entry) => Some(entry),
        ListItem::Prefix(_) => None,
    });
    let readable = readable.filter(|entry| {
        let archived = entry.facts.tier.as_ref().is_some_and(|tier| tier.name() == "Archive");
        !entry.is_directory && !entry.facts.hdi_isfolder() && !archived
    });
    examined.sample =
        readable.min_by_key(|entry| (entry.facts.len == 0, entry.facts.len)).map(|entry| Sample {
            name: entry.name.clone(),
            len: entry.facts.len,
            etag: entry.facts.etag.as_deref().map(str::to_owned),
        });
    if examined.sample.is_some() {
        examined.read = Some(read(command, client, Which::default(), examined.sample.as_ref()).await);
    }
}

/// Reads one byte of an object, or the properties of an empty one.
async fn read(
    command: &Command,
    client: &Client,
    which: Which<'_>,
    sample: Option<&Sample>,
) -> Result<(), Box<Failure>> {
    let Some(sample) = sample else { return Ok(()) };
    let name = encode_path(&sample.name);
    let asked = if sample.len == 0 {
        command.ask(async || client.facts(&name, which).await).await.map(|_| ())
    } else {
        let get = Get { range: Some((0, 0)), which, ..Get::default() };
        let send = async || -> Result<(), EndError> {
            let reply = client.blob()?.get_blob(&name, &get).await?;
            reply.collect_up_to(1).await;
            Ok(())
        };
        command.ask(send).await
    };
    asked.map_err(|gave_up| failed(command, gave_up))
}

fn failed(command: &Command, gave_up: GaveUp) -> Box<Failure> {
    match command.failed(gave_up) {
        CommandError::Failed(failure) => failure,
        _ => unreachable!("a request that failed is a failure"),
    }
}

/// What [`try_copy`] found.
#[derive(Debug)]
#[non_exhaustive]
pub struct Tried {
    /// Whether the destination's service read the source and wrote.
    pub copied: Result<(), Box<Failure>>,
    /// What the source answered to it: status and code, as far as it was told. `None`: it was not the source that
    /// refused.
    pub source: Option<(Option<u16>, Option<String>)>,
    /// Whether the source's network is closed to the destination, or is not reached by it, as it would be for every
    /// object.
    pub closed: bool,
    /// The name that was written.
    pub name: String,
    /// Why what was written may still be there.
    pub left: Option<String>,
}

/// Has the service of the destination's account copy `sample` to `name`, a name of its own in the container of `to`,
/// and removes that again by its ETag. What is there under this name stays as it is.
///
/// # Errors
/// [`CommandError::Start`]: it cannot be begun with these URLs, credentials or options.
pub fn try_copy(
    (from, from_credential): (&BlobUrl, &Credential),
    sample: &Sample,
    (to, to_credential): (&BlobUrl, &Credential),
    name: &str,
    options: &JobOptions,
    stop: &StopHandle,
) -> Result<Tried, CommandError> {
    let retry = options.retry.clone().max_tries(1);
    let options = options.clone().retry(retry);
    let source = Command::new(from, (from_credential, Access::Read), &options, stop, 1)?;
    let command = Command::new(to, (to_credential, Access::Write), &options, stop, 1)?;
    let (sample, name) = (sample.clone(), name.to_owned());
    let work = async move |command: &Command, client: Client| {
        let object = encode_path(&sample.name);
        let (reader, which) = (source.session.source_client(), source.session.ends.from().end.which());
        let copy = async || -> Result<Option<Box<str>>, EndError> {
            let granted = reader.blob()?.grant(&object, which).await?;
            let body = Body { if_none_match_any: true, ..Body::default() };
            let grant = granted.to(sample.etag.as_deref(), None);
            Ok(client.blob()?.put_blob_from_url(&name, &grant, body).await?.etag)
        };
        let copied = command.ask(copy).await;
        let refusal = copied.as_ref().err().and_then(GaveUp::service);
        let of_source = refusal.filter(|refusal| refusal.is_of_copy_source());
        let told = of_source.and_then(|refusal| refusal.copy_source.as_deref());
        let mut tried = Tried {
            source: told.map(|told| (told.status, told.code.clone())),
            closed: refusal.is_some_and(|refusal| {
                refusal.is_copy_source_closed() || refusal.is_copy_source_unreachable()
            }),
            copied: Ok(()),
            name: name.clone(),
            left: None,
        };
        let written = match copied {
            Ok(etag) => Some(etag),
            Err(gave_up) => {
                let maybe = gave_up.maybe_done();
                tried.copied = Err(failed(command, gave_up));
                maybe.then_some(None)
            }
        };
        if let Some(etag) = written {
            tried.left = take_away(&client, &name, etag).await.err();
        }
        Ok(tried)
    };
    command.start(work).wait()
}

/// Removes what was written, also while the process is asked to stop.
async fn take_away(client: &Client, name: &str, etag: Option<Box<str>>) -> Result<(), String> {
    let blob = client.blob().map_err(|error| error.to_string())?;
    let etag = match etag {
        Some(etag) => etag,
        // Its answer was lost, or told none. Nobody else writes under this name.
        None => match blob.head_blob(name, Which::default()).await {
            Ok(facts) => facts.etag.ok_or("it tells no ETag")?,
            Err(error) if error.not_found() => return Ok(()),
            Err(error) => return Err(error.to_string()),
        },
    };
    let delete = Delete { if_match: Some(&etag), ..Delete::default() };
    match blob.delete_blob(name, &delete).await {
        Err(error) if !error.not_found() => Err(error.to_string()),
        _ => Ok(()),
    }
}
