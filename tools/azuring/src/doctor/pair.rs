//! Whether the service of the destination reads the source by itself, and what to do if it does not.

use std::time::{SystemTime, UNIX_EPOCH};

use azuring_transfer::{
    CommandError, Credential, JobOptions, Sample, SasOperation, StopHandle, Tried, try_copy,
};
use serde_json::json;

use super::advice::{self, Place};
use super::credential;
use super::end::Known;
use super::finding::{Finding, Findings, Verdict};
use crate::exit::{self, Exit};
use crate::refused::Refused;

/// What `--write-test` copies is not larger.
const MOST_BYTES: u64 = 64 << 20;

/// Tells whether a direct copy will work, as far as it is known.
pub(super) fn look(
    source: &Known,
    destination: &Known,
    write: bool,
    engine: (&JobOptions, &StopHandle),
    findings: &mut Findings,
) -> Result<(), Refused> {
    let mut tell = |finding| findings.tell(Some("copy"), finding);
    let tried = match write.then(|| test_of(source, destination)) {
        None => None,
        Some(Ok((sample, from, to))) => {
            let name = name();
            let (from, to) = ((&source.url, from), (&destination.url, to));
            match try_copy(from, sample, to, &name, engine.0, engine.1) {
                Ok(tried) => Some(tried),
                Err(CommandError::Start(error)) => return Err(error.into()),
                Err(error) => {
                    let verdict = Verdict::Wrong(exit::of_command(&error));
                    tell(Finding::new("write test", verdict, error.to_string()));
                    None
                }
            }
        }
        Some(Err(why)) => {
            tell(Finding::new("write test", Verdict::Unknown, format!("nothing was written: {why}")));
            None
        }
    };
    let closed = match tried {
        Some(tried) => told(tried, &mut tell),
        None => {
            let (finding, closed) = guessed(source, destination, write);
            tell(finding);
            closed
        }
    };
    if closed {
        let [from, to] = [source, destination].map(|end| Place { url: &end.url, private: end.private });
        for (text, commands) in advice::scenarios(&from, &to) {
            tell(Finding::new("direct", Verdict::Note, text).advise(commands));
        }
        for (text, commands) in advice::mitigations(&from, &to) {
            tell(Finding::new("direct", Verdict::Note, text).advise(commands));
        }
    }
    // What is wrong at an end has been told there.
    tell(match (source.able, destination.able) {
        (true, true) => Finding::new(
            "relay",
            Verdict::Ok,
            "azuring copies through this host where the direct way is closed (--route=relay)",
        ),
        (false, _) => {
            Finding::new("relay", Verdict::Unknown, "this machine has not read a blob of the source")
        }
        (true, false) => Finding::new(
            "relay",
            Verdict::Unknown,
            "this machine may not write to the destination, or not reach it",
        ),
    });
    Ok(())
}

/// What is copied for the test, and with which credentials; or why nothing is.
fn test_of<'a>(
    source: &'a Known,
    destination: &'a Known,
) -> Result<(&'a Sample, &'a Credential, &'a Credential), &'static str> {
    let sample = source.sample.as_ref().filter(|_| source.able);
    let sample = sample.ok_or("there is no blob of the source that this machine can read")?;
    if sample.len > MOST_BYTES {
        return Err("the smallest of the first blobs of the source has more than 64 MiB");
    }
    let (Some(from), Some(to)) = (&source.credential, &destination.credential) else {
        return Err("a credential is missing");
    };
    if !destination.reached {
        return Err("the destination is not reached");
    }
    let may = |operation| credential::allows(&destination.url, to, operation);
    if !credential::is_for_container(to) {
        return Err("the destination's SAS is for one blob or directory, and gives no name of its own");
    }
    if !may(SasOperation::WriteBlob) {
        return Err("the destination's credential may not write");
    }
    if !may(SasOperation::Delete) {
        return Err("the destination's SAS has no `d` in sp, which removes what the test makes");
    }
    if is_withheld(source, destination) {
        return Err(WITHHELD);
    }
    Ok((sample, from, to))
}

const WITHHELD: &str = "the source is read with tokens, which the destination's host must not see";

fn is_withheld(source: &Known, destination: &Known) -> bool {
    match &source.credential {
        Some(Credential::Token(token)) => !token.may_be_lent_to(&destination.url),
        _ => false,
    }
}

/// A name that nobody else has.
fn name() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    format!("azuring-doctor-{}-{now}", std::process::id())
}

/// What the test has shown; whether the network is closed.
fn told(tried: Tried, tell: &mut impl FnMut(Finding)) -> bool {
    let closed = tried.closed;
    let facts = json!({
        "object": tried.name,
        "source_status": tried.source.as_ref().and_then(|(status, _)| *status),
        "source_code": tried.source.as_ref().and_then(|(_, code)| code.clone()),
    });
    tell(match &tried.copied {
        Ok(()) => Finding::new(
            "direct",
            Verdict::Ok,
            "yes: the service of the destination has read the source and written",
        )
        .facts(facts),
        Err(failure) => {
            let text = match &tried.source {
                Some((Some(status), code)) => {
                    let code = code.as_deref().unwrap_or("no code");
                    format!("no: the source answered {status} {code} to the destination")
                }
                Some((None, _)) => {
                    format!("no: the destination could not read the source: {}", failure.reason)
                }
                None if exit::of_kind(failure.kind) == Exit::GaveUp => {
                    format!("not known: {}", failure.reason)
                }
                None => format!("no: the destination refused: {}", failure.reason),
            };
            let verdict = match tried.source {
                Some(_) => Verdict::Wrong(Exit::Failures),
                None => Verdict::Wrong(exit::of_kind(failure.kind)),
            };
            Finding::new("direct", verdict, text)
                .facts(json!({ "status": failure.status, "code": failure.code }))
                .facts(facts)
        }
    });
    if let Some(why) = tried.left {
        let text = format!("{} may still be in the destination's container: {why}", tried.name);
        tell(Finding::new("write test", Verdict::Wrong(Exit::Failures), text).advise("remove it"));
    }
    closed
}

/// What is known without writing; whether the network looks closed.
fn guessed(source: &Known, destination: &Known, asked: bool) -> (Finding, bool) {
    let no =
        |text: &str| (Finding::new("direct", Verdict::Wrong(Exit::Failures), format!("no: {text}")), false);
    if is_withheld(source, destination) {
        return no(WITHHELD);
    }
    if !source.able {
        let text =
            "unknown: this machine has not read a blob of the source, for which the destination would ask";
        return (Finding::new("direct", Verdict::Unknown, text), false);
    }
    if !destination.able {
        return no("the destination is not reached, or does not let this machine write");
    }
    let apart = matches!((source.private, destination.private), (Some(one), Some(other)) if one != other);
    let mut text = if apart {
        "unknown, and not likely: one account is reached at a private address, the other at a public one"
    } else {
        "unknown: nothing that is in the way is seen from here; whether the source lets the destination read, only a \
         copy tells"
    }
    .to_owned();
    if !asked {
        text += " (--write-test makes a small one and removes it)";
    }
    (Finding::new("direct", Verdict::Unknown, text), apart)
}
