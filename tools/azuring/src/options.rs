//! Flags and environment variables to what the engine is told.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use azuring_azure::{Cpk, SERVICE_VERSION, Secret};
use azuring_plan::PlanError;
use azuring_plan::date::{self, Bound};
use azuring_plan::filter::FilterSpec;
use azuring_transfer::{
    ContentTypes, Encryption, HttpChoice, IoChoice, JobOptions, Limits, ListOfFiles, Proxies, RetryPolicy,
};

use crate::cli::engine::{EngineArgs, Http, Io};
use crate::cli::filter::{KeyArgs, NameArgs, RegexArgs, TimeArgs};
use crate::cli::global::{GlobalArgs, LogLevel, OutputType};
use crate::cli::value::Concurrency;
use crate::hooks;
use crate::output::notice;
use crate::refused::{self, Refused, usage};

/// An exchange that stands still is cut after this long, unless a flag or a variable says otherwise.
const STALL: Duration = Duration::from_secs(30);

/// A variable's value, unless it is set to nothing.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// The words of a flag that takes several.
pub(crate) fn words(text: &str) -> Vec<String> {
    text.split(';').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn number(name: &str) -> Result<Option<f64>, Refused> {
    let Some(text) = variable(name) else { return Ok(None) };
    match text.trim().parse::<f64>() {
        Ok(value) if value.is_finite() && value > 0.0 => Ok(Some(value)),
        _ => Err(usage(format!("{name} is not a number above 0: {text}"))),
    }
}

fn is_set(name: &str) -> bool {
    variable(name).is_some_and(|value| value.trim().eq_ignore_ascii_case("true"))
}

/// The options that all commands have in common.
pub(crate) fn common(global: &GlobalArgs, engine: &EngineArgs) -> Result<JobOptions, Refused> {
    let stall = match (engine.stall_seconds, number("AZCOPY_REQUEST_TRY_TIMEOUT")?) {
        (Some(seconds), _) => Duration::from_secs(seconds),
        (None, Some(minutes)) => Duration::try_from_secs_f64(minutes * 60.0)
            .map_err(|_| usage("AZCOPY_REQUEST_TRY_TIMEOUT is too long"))?,
        (None, None) => STALL,
    };
    let positive = |rate: f64| (rate > 0.0).then_some(rate);
    service_version()?;
    Ok(JobOptions::default()
        .limits(limits(engine)?)
        .retry(RetryPolicy::default().max_tries(engine.max_tries).stall(stall))
        .http(match engine.http {
            Http::Auto => HttpChoice::Auto,
            Http::One => HttpChoice::Http1,
            Http::Two => HttpChoice::Http2,
        })
        .io(match engine.io {
            Io::Auto => IoChoice::Auto,
            Io::Threads => IoChoice::Threads,
        })
        .ca_file(engine.ca_file.clone())
        .proxies(Some(proxies()?))
        .cap_bytes_per_second(positive(global.cap_mbps).map(|mbps| mbps * 1e6 / 8.0))
        .cap_requests_per_second(positive(engine.cap_rps))
        // People want the names; programs want what can be known.
        .plan_facts(matches!(global.output_type, OutputType::Json | OutputType::Ndjson))
        .report_objects(global.output_type == OutputType::Ndjson || global.log_level == LogLevel::Debug)
        .user_agent_prefix(variable("AZCOPY_USER_AGENT_PREFIX"))
        .boundary(hooks::boundary()))
}

/// The proxies that the environment names.
pub(crate) fn proxies() -> Result<Arc<Proxies>, Refused> {
    let proxies = Proxies::from_env(|name| std::env::var(name).ok());
    proxies.map(Arc::new).map_err(|error| usage(error.to_string()))
}

/// That AZCOPY_DEFAULT_SERVICE_API_VERSION asks for the version that is spoken, if for any.
fn service_version() -> Result<(), Refused> {
    match variable("AZCOPY_DEFAULT_SERVICE_API_VERSION") {
        Some(version) if version.trim() != SERVICE_VERSION => Err(usage(format!(
            "AZCOPY_DEFAULT_SERVICE_API_VERSION is {version}: azuring speaks {SERVICE_VERSION} only, which its checksums \
             need; unset it"
        ))),
        _ => Ok(()),
    }
}

fn limits(engine: &EngineArgs) -> Result<Limits, Refused> {
    let mut limits = Limits::here();
    if let Some(Concurrency::Value(n)) = engine.concurrency {
        limits.concurrency = n;
    }
    match (engine.memory, number("AZCOPY_BUFFER_GB")?) {
        (Some(bytes), _) => limits.memory_bytes = bytes,
        (None, Some(gib)) => limits.memory_bytes = (gib * f64::from(1u32 << 30)) as u64,
        (None, None) => {}
    }
    if let Some(lanes) = engine.lanes {
        limits.lanes = usize::from(lanes);
    }
    Ok(limits)
}

/// The filter flags, as the plan takes them.
pub(crate) fn filter_spec(
    names: &NameArgs,
    regexes: &RegexArgs,
    times: &TimeArgs,
) -> Result<FilterSpec, Refused> {
    let time = |text: &Option<String>, bound| -> Result<Option<i128>, PlanError> {
        text.as_deref().map(|text| date::parse(text, bound, &local_offset)).transpose()
    };
    let spec = FilterSpec::default()
        .include_pattern(names.include_pattern.clone())
        .exclude_pattern(names.exclude_pattern.clone())
        .include_path(names.include_path.clone())
        .exclude_path(names.exclude_path.clone())
        .include_regex(regexes.include_regex.clone())
        .exclude_regex(regexes.exclude_regex.clone())
        .include_after_ns(time(&times.include_after, Bound::After)?)
        .include_before_ns(time(&times.include_before, Bound::Before)?);
    spec.doubts().iter().for_each(|text| notice(text));
    Ok(spec)
}

/// Seconds that this machine's clocks are ahead of UTC at a time in seconds since 1970.
pub(crate) fn local_offset(utc_s: i64) -> i32 {
    let zone = jiff::tz::TimeZone::system();
    jiff::Timestamp::from_second(utc_s).map_or(0, |at| zone.to_offset(at).seconds())
}

/// Where the list of files comes from; `-` is stdin.
pub(crate) fn list_of_files(path: &Path) -> ListOfFiles {
    if path == Path::new("-") { ListOfFiles::Stdin } else { ListOfFiles::File(PathBuf::from(path)) }
}

/// What blobs are encrypted with.
pub(crate) fn encryption(keys: &KeyArgs) -> Result<Option<Encryption>, Refused> {
    if let Some(scope) = &keys.cpk_by_name {
        return Ok(Some(Encryption::Scope(scope.clone())));
    }
    if !keys.cpk_by_value.0 {
        return Ok(None);
    }
    customer_key("cpk-by-value", "CPK_ENCRYPTION_KEY").map(|key| Some(Encryption::Key(key)))
}

/// The key in a variable that a flag asks for.
pub(crate) fn customer_key(flag: &str, name: &str) -> Result<Cpk, Refused> {
    let Some(key) = variable(name) else {
        return Err(usage(format!("--{flag} takes the key from {name}, which is not set")));
    };
    let sha256 = variable(&format!("{name}_SHA256"));
    Cpk::new(Secret::new(key), sha256.as_deref()).map_err(|error| refused::key(&error))
}

/// The access tier by the name AzCopy and the service have for it; `None` for none.
pub(crate) fn tier(text: &Option<String>, known: &[&str]) -> Result<Option<String>, Refused> {
    let Some(text) = text else { return Ok(None) };
    match known.iter().find(|known| known.eq_ignore_ascii_case(text)) {
        Some(known) => Ok(Some((*known).to_owned())),
        None if text.eq_ignore_ascii_case("none") => Ok(None),
        None => {
            let (last, others) = known.split_last().expect("there are tiers");
            Err(usage(format!("{text} is not a tier: use {} or {last}", others.join(", "))))
        }
    }
}

/// Tiers of block blobs.
pub(crate) const BLOCK_TIERS: [&str; 4] = ["Hot", "Cool", "Cold", "Archive"];
/// Tiers of page blobs.
pub(crate) const PAGE_TIERS: [&str; 8] = ["P4", "P6", "P10", "P15", "P20", "P30", "P40", "P50"];

/// The content types of this machine, and those of AZCOPY_CONTENT_TYPE_MAP before all others.
pub(crate) fn content_types(of_system: ContentTypes) -> Result<ContentTypes, Refused> {
    let Some(path) = variable("AZCOPY_CONTENT_TYPE_MAP") else { return Ok(of_system) };
    let wrong = |reason: String| usage(format!("AZCOPY_CONTENT_TYPE_MAP: {path}: {reason}"));
    let text = std::fs::read(&path).map_err(|error| wrong(error.to_string()))?;
    let map: ContentTypeMap = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
    Ok(of_system.with_overrides(map.types.iter().map(|(extension, of)| (&**extension, &**of))))
}

#[derive(serde::Deserialize)]
struct ContentTypeMap {
    #[serde(rename = "MIMETypeMapping")]
    types: std::collections::BTreeMap<String, String>,
}

/// What variables ask for that cannot be had, said once.
pub(crate) fn notices_of_variables(downloads: bool) -> Vec<String> {
    let mut notices = Vec::new();
    if downloads
        && variable("AZCOPY_DOWNLOAD_TO_TEMP_PATH").is_some_and(|value| value.eq_ignore_ascii_case("false"))
    {
        notices.push(
            "AZCOPY_DOWNLOAD_TO_TEMP_PATH=false is not honoured: a file gets its name when it is complete"
                .to_owned(),
        );
    }
    notices
}

/// Whether AZCOPY_DISABLE_HIERARCHICAL_SCAN asks for one list after the other instead of several at once.
pub(crate) fn flat_listing() -> bool {
    is_set("AZCOPY_DISABLE_HIERARCHICAL_SCAN")
}
