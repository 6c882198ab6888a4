//! `azuring copy`.

use std::time::Duration;

use azuring_transfer::{
    BlobProperties, BlobUrl, BlockRules, ContentTypePolicy, Credential, HttpChoice, IoChoice, Job, JobError,
    JobOptions, Limits, PlanError, RetryPolicy, mib_to_bytes,
};

use crate::cli::{BlobArgs, Concurrency, CopyArgs, EngineArgs, Http, Io};
use crate::exit::{self, Exit};
use crate::output::tell;
use crate::redact::redact;
use crate::run;

pub(crate) fn run(args: CopyArgs) -> Exit {
    let stop = run::stop_on_signals(|| {});
    let job = match prepare(&args) {
        Ok(job) => job,
        Err(refused) => {
            tell!("azuring: {}", redact(&refused.text));
            return refused.exit;
        }
    };
    run::run(job, &stop)
}

/// Why the command cannot be carried out.
pub(crate) struct Refused {
    text: String,
    exit: Exit,
}

impl<E: Into<JobError>> From<E> for Refused {
    fn from(error: E) -> Self {
        let error = error.into();
        Self { text: error.to_string(), exit: exit::of_error(&error) }
    }
}

fn usage(text: impl Into<String>) -> Refused {
    Refused { text: text.into(), exit: Exit::Usage }
}

fn prepare(args: &CopyArgs) -> Result<Job, Refused> {
    let source = args.source.to_string_lossy();
    match (BlobUrl::looks_like(&source), BlobUrl::looks_like(&args.destination)) {
        (false, true) => {}
        (true, _) => return Err(usage("the source is a URL: this version uploads from local paths only")),
        (false, false) => {
            let text = "neither source nor destination is a URL: a destination looks like \
                        https://ACCOUNT.blob.core.windows.net/CONTAINER/PATH?SAS";
            return Err(usage(text));
        }
    }
    let url = BlobUrl::parse(&args.destination)?;
    let credential = Credential::find(&url, |name| std::env::var(name).ok())?;
    let options = options(&args.blob, &args.engine)?;
    Ok(Job::upload(&args.source, url, credential).recursive(args.recursive).options(options).build()?)
}

fn options(blob: &BlobArgs, engine: &EngineArgs) -> Result<JobOptions, Refused> {
    let mib = |text: &Option<String>| -> Result<Option<u64>, PlanError> {
        text.as_deref().map(mib_to_bytes).transpose()
    };
    let defaults = JobOptions::default();
    let content_type = match (&blob.content_type, blob.no_guess_mime_type) {
        (Some(fixed), _) => ContentTypePolicy::Fixed(fixed.clone()),
        (None, true) => ContentTypePolicy::None,
        (None, false) => defaults.content_type.clone(),
    };
    Ok(JobOptions {
        limits: limits(engine),
        retry: RetryPolicy {
            max_tries: engine.max_tries,
            stall: Duration::from_secs(engine.stall_seconds),
            ..RetryPolicy::default()
        },
        http: match engine.http {
            Http::Auto => HttpChoice::Auto,
            Http::One => HttpChoice::Http1,
            Http::Two => HttpChoice::Http2,
        },
        io: match engine.io {
            Io::Auto => IoChoice::Auto,
            Io::Threads => IoChoice::Threads,
        },
        blocks: BlockRules {
            block_size: mib(&blob.block_size_mb)?.filter(|&size| size > 0),
            put_blob_size: mib(&blob.put_blob_size_mb)?.filter(|&size| size > 0),
        },
        properties: properties(blob)?,
        content_type,
        ca_file: engine.ca_file.clone(),
        ..defaults
    })
}

fn limits(engine: &EngineArgs) -> Limits {
    let mut limits = Limits::here();
    if let Some(Concurrency::Value(n)) = engine.concurrency {
        limits.concurrency = n;
    }
    if let Some(bytes) = engine.memory {
        limits.memory_bytes = bytes;
    }
    if let Some(lanes) = engine.lanes {
        limits.lanes = usize::from(lanes);
    }
    limits
}

fn properties(blob: &BlobArgs) -> Result<BlobProperties, Refused> {
    let tier = match &blob.block_blob_tier {
        None => None,
        Some(tier) => {
            let known = ["Hot", "Cool", "Cold", "Archive"].into_iter().find(|k| k.eq_ignore_ascii_case(tier));
            match known {
                Some(known) => Some(known.to_owned()),
                None if tier.eq_ignore_ascii_case("none") => None,
                None => return Err(usage(format!("{tier} is not a tier: use Hot, Cool, Cold or Archive"))),
            }
        }
    };
    Ok(BlobProperties {
        content_encoding: blob.content_encoding.clone(),
        content_language: blob.content_language.clone(),
        content_disposition: blob.content_disposition.clone(),
        cache_control: blob.cache_control.clone(),
        metadata: metadata(blob.metadata.as_deref().unwrap_or_default())?,
        tier,
        tags: blob.blob_tags.clone(),
    })
}

/// `name=value;name2=value2`, where a backslash takes the next character as it is.
fn metadata(text: &str) -> Result<Vec<(String, String)>, Refused> {
    let mut pairs = Vec::new();
    let (mut name, mut value, mut in_value) = (String::new(), String::new(), false);
    let mut letters = text.chars();
    loop {
        let letter = letters.next();
        match letter {
            None | Some(';') => {
                if in_value {
                    pairs.push((std::mem::take(&mut name), std::mem::take(&mut value)));
                    in_value = false;
                } else if !name.is_empty() {
                    return Err(usage(format!("--metadata: `{name}` has no `=`")));
                }
                if letter.is_none() {
                    return Ok(pairs);
                }
            }
            Some('=') if !in_value => in_value = true,
            Some(mut letter) => {
                if letter == '\\' {
                    letter = letters.next().unwrap_or('\\');
                }
                if in_value { &mut value } else { &mut name }.push(letter);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_pairs_are_taken_apart() {
        let pairs = |text: &str| metadata(text).map_err(|refused| refused.text);
        let want = |list: &[(&str, &str)]| -> Result<Vec<(String, String)>, String> {
            Ok(list.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
        };
        assert_eq!(pairs(""), want(&[]));
        assert_eq!(pairs("a=1;b=zwei"), want(&[("a", "1"), ("b", "zwei")]));
        assert_eq!(pairs("a=1\\;2\\=3=4;"), want(&[("a", "1;2=3=4")]));
        assert_eq!(pairs("a="), want(&[("a", "")]));
        assert!(pairs("a").unwrap_err().contains("`a` has no `=`"));
    }
}
