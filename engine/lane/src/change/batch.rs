//! Many blobs in one request, as far as the server takes that.

use std::rc::Rc;
use std::time::Duration;

use azuring_azure::{Class, RequestError, ServiceError};
use azuring_job::end_error::EndError;
use azuring_job::failure::Failure;
use azuring_job::options::RetryPolicy;
use azuring_job::progress::add;
use azuring_job::retry::{self, Next};
use azuring_ring::FileRing;

use crate::lane::context::{Ended, Lane};
use crate::requests::request::{Begin, pause_for, request};

use super::part::{Part, Step, each, singly};

/// Attempts at a directory that is not empty: other batches, under way at the same time, hold what is below it.
const DIRECTORY_TRIES: u32 = 8;

/// Whether a server, or a gateway in front of it, does not take batches, or the credential is not good for one (a SAS
/// for single blobs). What it says of single requests may be another matter.
fn refuses_batches(error: &EndError) -> bool {
    let Some(error) = error.blob() else { return false };
    match error {
        RequestError::Service(ServiceError { status: 401 | 403 | 404 | 405, code, .. }) => {
            code != "ContainerNotFound"
        }
        RequestError::Service(refusal) => matches!(refusal.class(), Class::Skip) && refusal.status != 409,
        // It says yes to everything and does nothing.
        RequestError::Answer { .. } => true,
        _ => false,
    }
}

/// How long to wait before the blob's next attempt; `None`: this was the last one.
fn next_try(policy: &RetryPolicy, step: Step<'_>, error: &EndError, tries: u32) -> Option<Duration> {
    let code = error.service().map(|refusal| refusal.code.as_str());
    if matches!(step, Step::Delete { .. }) && code == Some("DirectoryIsNotEmpty") {
        return (tries < DIRECTORY_TRIES).then(|| policy.first_pause * tries);
    }
    match retry::next(policy, error, tries, true, fastrand::f64()) {
        Next::After(pause) => Some(pause),
        Next::GiveUp | Next::StopJob => None,
    }
}

/// Does the task's step to all of `parts`, and reports each.
pub(super) async fn carry_out<R: FileRing>(lane: &Rc<Lane<R>>, mut parts: Vec<Part>, begin: Begin) {
    let session = lane.session();
    let Some((step, batches)) = Step::of(&lane.shared.task, &session.options) else {
        // Nothing was asked for, and that is done.
        for part in parts {
            part.finish(lane, Ok(Ended::Done { bytes: 0 }));
        }
        return;
    };
    let mut tries = 0;
    // What is left of a batch goes as one again, though it be a single blob: its attempts are counted here.
    while parts.len() > 1 || (tries > 0 && !parts.is_empty()) {
        if batches.refused() {
            break;
        }
        let mut maybe_done = false;
        let sent = request(&lane.writing(), 0, begin, async |_| {
            let sent = step.many(lane.to(), &parts).await;
            maybe_done |= sent.as_ref().is_err_and(EndError::maybe_done);
            sent
        })
        .await;
        for part in &mut parts {
            part.maybe_done |= maybe_done;
        }
        let answers = match sent {
            Ok(answers) => answers,
            Err(gave_up) if gave_up.error.as_ref().is_some_and(refuses_batches) => {
                if batches.refuse() {
                    let text = "the server does not take Blob Batch requests: going on with one request for each blob";
                    lane.notice(text);
                }
                break;
            }
            Err(gave_up) => {
                let failure = gave_up.for_object(session, "");
                for part in parts {
                    let object = part.blob.object();
                    part.finish(lane, Err(Box::new(failure.as_ref().clone().object(object))));
                }
                return;
            }
        };
        tries += 1;
        let mut pause = Duration::ZERO;
        let mut again = Vec::new();
        for (mut part, answer) in std::mem::take(&mut parts).into_iter().zip(answers) {
            if let Some(ended) = step.ended(&part.blob, answer.as_ref().copied()) {
                part.finish(lane, Ok(ended));
            } else if let Err(error) = answer {
                match next_try(&session.options.retry, step, &error, tries) {
                    Some(wait) => {
                        pause = pause.max(wait);
                        part.maybe_done |= error.maybe_done();
                        again.push((part, error));
                    }
                    None => failed(lane, part, &error, tries),
                }
            }
        }
        if again.is_empty() {
            return;
        }
        count(lane, &again);
        let goes_on = pause_for(pause, || session.verdict.stopping()).await;
        for (part, error) in again {
            if goes_on {
                parts.push(part);
            } else {
                failed(lane, part, &error, tries);
            }
        }
    }
    each(lane, parts, move |lane, part| async move {
        if let Some((step, _)) = Step::of(&lane.shared.task, &lane.session().options) {
            singly(&lane, step, begin, part).await;
        }
        None
    })
    .await;
}

fn failed<R: FileRing>(lane: &Lane<R>, part: Part, error: &EndError, tries: u32) {
    let failure = Failure::request(
        &part.blob.object(),
        error,
        tries,
        lane.session().ends.to().end.credential(),
        lane.session().ends.to().access,
    );
    part.finish(lane, Err(Box::new(failure)));
}

/// Counts the repeats, and among them those for which the service is at its limit.
fn count<R: FileRing>(lane: &Lane<R>, again: &[(Part, EndError)]) {
    let throttled = again.iter().filter(|(_, error)| error.class() == Class::Throttle).count();
    add(&lane.counters().retries, again.len() as u64);
    add(&lane.counters().throttled, throttled as u64);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(status: u16, code: &str) -> EndError {
        RequestError::from(ServiceError::new(status, code)).into()
    }

    #[test]
    fn only_what_says_something_of_batches_ends_them() {
        let answer = || {
            EndError::from(RequestError::Answer {
                request: String::new(),
                reason: String::new(),
                passing: false,
            })
        };
        let unknown = [(400, "InvalidQueryParameterValue"), (404, "Not Found"), (405, "UnsupportedHttpVerb")];
        let denied = [(403, "AuthorizationPermissionMismatch"), (403, "AuthenticationFailed")];
        let missing =
            [(501, "APINotImplemented"), (500, "FeatureNotSupported"), (413, "RequestBodyTooLarge")];
        for (status, code) in unknown.into_iter().chain(denied).chain(missing) {
            assert!(refuses_batches(&service(status, code)), "{status} {code}");
        }
        assert!(refuses_batches(&answer()));
        for (status, code) in
            [(404, "ContainerNotFound"), (503, "ServerBusy"), (500, "InternalError"), (409, "X")]
        {
            assert!(!refuses_batches(&service(status, code)), "{status} {code}");
        }
        assert!(!refuses_batches(&RequestError::Integrity.into()));
    }

    #[test]
    fn a_directory_that_is_not_empty_is_waited_for_but_not_for_long() {
        let policy = RetryPolicy::default();
        let step = Step::Delete { snapshots: None, permanent: false };
        let full = service(409, "DirectoryIsNotEmpty");
        assert_eq!(next_try(&policy, step, &full, 3), Some(3 * policy.first_pause));
        assert_eq!(next_try(&policy, step, &full, DIRECTORY_TRIES), None);
        assert_eq!(next_try(&policy, step, &service(409, "LeaseIdMissing"), 1), None);
        assert!(next_try(&policy, step, &service(503, "ServerBusy"), 19).is_some());
        assert_eq!(next_try(&policy, step, &service(503, "ServerBusy"), 20), None);
    }
}
