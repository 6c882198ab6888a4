use std::time::SystemTime;

use http::{HeaderMap, HeaderValue, StatusCode};

use super::read::{MAX_RETRY_AFTER, pause, skew_s, tenant};
use super::*;

fn read(status: u16, code: Option<&'static str>, body: &str) -> ServiceError {
    let mut headers = HeaderMap::new();
    headers.insert("x-ms-request-id", HeaderValue::from_static("abc-1"));
    headers.insert("retry-after", HeaderValue::from_static("7"));
    if let Some(code) = code {
        headers.insert("x-ms-error-code", HeaderValue::from_static(code));
    }
    ServiceError::read(StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes())
}

#[test]
fn code_message_and_request_id_are_read_from_wherever_they_stand() {
    let body = "\u{feff}<?xml version=\"1.0\"?><Error><Code>LeaseIdMissing</Code><Message>There is a lease &amp; no id.\nRequestId:x\nTime:y</Message></Error>";
    let error = read(412, None, body);
    assert_eq!(error.code, "LeaseIdMissing");
    assert_eq!(error.message.as_deref(), Some("There is a lease & no id."));
    assert_eq!(error.request_id.as_deref(), Some("abc-1"));
    assert_eq!(error.retry_after, Some(Duration::from_secs(7)));
    assert_eq!(read(403, Some("AuthenticationFailed"), "<Error><Co").code, "AuthenticationFailed");
    assert_eq!(read(502, None, "<html>bad gateway").code, "Bad Gateway");
    let detail = "<Error><AuthenticationErrorDetail>The MAC signature found is wrong.\nPUT\n\n</AuthenticationErrorDetail></Error>";
    let told = read(403, Some("AuthenticationFailed"), detail).message.unwrap();
    assert_eq!(&*told, "The signature is not the one that the service computes.");
    let hostile = "<Error><Message>red \u{1b}[31m\u{7}text</Message></Error>";
    assert_eq!(read(400, None, hostile).message.as_deref(), Some("red [31mtext"));
}

#[test]
fn retry_after_is_seconds_or_a_date_and_bounded() {
    let now = httpdate::parse_http_date("Sun, 22 Nov 2026 04:00:00 GMT").unwrap();
    assert_eq!(pause(" 7 ", now), Some(Duration::from_secs(7)));
    assert_eq!(pause("Sun, 22 Nov 2026 04:00:08 GMT", now), Some(Duration::from_secs(8)));
    assert_eq!(pause("Sun, 22 Nov 2026 03:00:00 GMT", now), Some(Duration::ZERO));
    assert_eq!(pause("999999", now), Some(MAX_RETRY_AFTER));
    assert_eq!(pause("soon", now), None);
}

#[test]
fn the_class_does_not_depend_on_the_code_being_there() {
    for status in [500, 502, 504, 408] {
        assert_eq!(read(status, None, "").class(), Class::Retry, "{status}");
    }
    for status in [503, 429] {
        assert_eq!(read(status, None, "").class(), Class::Throttle, "{status}");
    }
    assert_eq!(read(503, Some("ServerBusy"), "").class(), Class::Throttle);
    assert_eq!(read(403, Some("AuthorizationPermissionMismatch"), "").class(), Class::Skip);
    assert_eq!(read(403, Some("AuthenticationFailed"), "").class(), Class::Fatal);
    assert_eq!(read(404, Some("ContainerNotFound"), "").class(), Class::Fatal);
    assert_eq!(read(409, Some("BlobImmutableDueToPolicy"), "").class(), Class::Skip);
    assert_eq!(read(412, None, "").class(), Class::Skip);
    assert_eq!(read(400, Some("Crc64Mismatch"), "").class(), Class::Retry);
    assert_eq!(read(501, Some("APINotImplemented"), "").class(), Class::Skip);
}

/// The status alone, as a proxy or a web server answers it.
fn read_foreign(status: u16, body: &str) -> ServiceError {
    let headers = HeaderMap::from_iter([(http::header::SERVER, HeaderValue::from_static("squid/5.2"))]);
    ServiceError::read(StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes())
}

#[test]
fn who_answered_is_told_where_it_was_not_the_service() {
    let error = read_foreign(403, "\r\n  <html>\u{1b}[31m\u{7}Denied\n<p>more");
    assert_eq!(
        error.to_string(),
        "403 Forbidden: not Azure Storage but `squid/5.2` answered this: <html>[31mDenied"
    );
    assert!(error.advice().contains("HTTPS_PROXY"), "{}", error.advice());
    let error = RequestError::from(error);
    assert!(!error.is_authentication() && !error.not_found());
    for (status, class) in [
        (401, Class::Fatal),
        (404, Class::Fatal),
        (405, Class::Fatal),
        (400, Class::Skip),
        (413, Class::Skip),
        (502, Class::Retry),
        (503, Class::Throttle),
    ] {
        let error = read_foreign(status, "");
        assert_eq!((error.class(), error.of_service), (class, false), "{status}");
        assert!(!error.refuses_token(), "{status}");
        assert_eq!(error.message.as_deref(), Some("not Azure Storage but `squid/5.2` answered this"));
    }
}

#[test]
fn only_the_service_itself_says_that_it_has_done_nothing() {
    let not_begun = [
        read(503, Some("ServerBusy"), ""),
        read(429, Some("TooManyRequests"), ""),
        read(400, Some("Crc64Mismatch"), ""),
        read(500, Some("FeatureNotSupported"), ""),
        read(501, Some("APINotImplemented"), ""),
        read(404, Some("BlobNotFound"), ""),
        read(412, Some("ConditionNotMet"), ""),
    ];
    assert!(!not_begun.iter().any(ServiceError::maybe_done));
    let open = [
        read(503, None, ""),
        read(503, Some("OperationTimedOut"), ""),
        read(500, Some("InternalError"), ""),
        read(504, None, ""),
        read(408, None, ""),
        read_foreign(503, "<Error><Code>ServerBusy</Code></Error>"),
        read_foreign(429, ""),
        read_foreign(403, ""),
    ];
    assert!(open.iter().all(ServiceError::maybe_done));
    let broken = LinkError::Broken("reset".to_owned());
    let stalled = LinkError::Stalled(Duration::from_secs(30));
    let source = std::io::ErrorKind::ConnectionRefused.into();
    let unreached = LinkError::Connect { peer: "h:1".to_owned(), source };
    assert!(RequestError::from(broken).maybe_done() && RequestError::from(stalled).maybe_done());
    assert!(!RequestError::from(unreached).maybe_done());
    let unreadable = RequestError::Answer { request: String::new(), reason: String::new(), passing: true };
    assert!(unreadable.maybe_done() && RequestError::Integrity.maybe_done());
}

#[test]
fn the_first_line_of_a_page_is_short_and_plain() {
    assert_eq!(first_line_of(b"\n \r\n\t <html>\x1b]0;x\x07 \xff\n").as_deref(), Some("<html>]0;x \u{fffd}"));
    assert_eq!(first_line_of(b" \n"), None);
    let long = first_line_of("ä".repeat(500).as_bytes()).unwrap();
    assert_eq!(long, format!("{}…", "ä".repeat(120)));
}

#[test]
fn the_questions_of_callers_are_answered_by_status_and_code() {
    let ask = |status, code| {
        let error = read(status, code, "");
        (error.not_found(), error.precondition_failed(), error.already_exists(), error.snapshots_present())
    };
    assert_eq!(ask(404, Some("BlobNotFound")), (true, false, false, false));
    assert_eq!(ask(404, Some("ContainerNotFound")), (true, false, false, false));
    assert_eq!(ask(404, Some("ResourceNotFound")), (true, false, false, false));
    assert_eq!(ask(404, None), (false, false, false, false));
    assert_eq!(ask(412, Some("ConditionNotMet")), (false, true, true, false));
    assert_eq!(ask(409, Some("ConditionNotMet")), (false, false, true, false));
    assert_eq!(ask(304, Some("ConditionNotMet")), (false, false, false, false));
    assert_eq!(ask(409, Some("BlobAlreadyExists")), (false, false, true, false));
    assert_eq!(ask(403, Some("UnauthorizedBlobOverwrite")), (false, false, true, false));
    assert_eq!(ask(409, Some("SnapshotsPresent")), (false, false, false, true));
    assert_eq!(ask(412, Some("LeaseIdMissing")), (false, false, true, false));
    assert_eq!(ask(412, Some("LeaseLost")), (false, false, false, false));
}

/// What the operations on existing blobs answer is about the one blob, and has advice of its own.
#[test]
fn refusals_of_one_blob_are_skipped_with_advice() {
    let general = read(409, Some("NeverHeardOf"), "").advice();
    for (status, code) in [
        (409, "BlobArchived"),
        (409, "BlobBeingRehydrated"),
        (409, "SnapshotsPresent"),
        (412, "LeaseIdMissing"),
        (400, "InvalidBlobTier"),
        (409, "BlobIsSealed"),
        (409, "InvalidBlobType"),
        (409, "BlobImmutableDueToLegalHold"),
        (409, "BlobUsesCustomerSpecifiedEncryption"),
        (409, "PendingCopyOperation"),
        (412, "AppendPositionConditionNotMet"),
        (416, "InvalidRange"),
        (400, "InvalidTag"),
    ] {
        let error = read(status, Some(code), "");
        assert_eq!(error.class(), Class::Skip, "{code}");
        let by_status = read(status, None, "").advice();
        assert!(error.advice() != by_status && error.advice() != general, "{code}");
    }
    assert_eq!(read(409, Some("ContainerBeingDeleted"), "").class(), Class::Fatal);
}

#[test]
fn dates_and_challenges_are_read() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    assert_eq!(skew_s("Sun, 06 Nov 1994 08:49:47 GMT", now), Some(10));
    assert_eq!(skew_s("Sun, 06 Nov 1994 08:49:27 GMT", now), Some(-10));
    assert_eq!(skew_s("yesterday", now), None);
    let uri = "Bearer authorization_uri=https://login.microsoftonline.com/5a4b-1/oauth2/authorize resource_id=https://storage.azure.com";
    assert_eq!(tenant(uri).as_deref(), Some("5a4b-1"));
    assert_eq!(tenant(&uri.replace("5a4b-1", "a\u{1b}b")), None);
    assert_eq!(tenant("Bearer realm=x"), None);
}

/// A service that tells what the source answered, and tells nothing, has heard nothing of it.
#[test]
fn a_source_that_was_not_asked_or_not_reached_is_told_apart_from_one_that_refused() {
    let read = |status, version: &'static str, source: Option<&'static str>| {
        let mut headers = HeaderMap::new();
        headers.insert("x-ms-request-id", HeaderValue::from_static("abc-1"));
        headers.insert("x-ms-version", HeaderValue::from_static(version));
        headers.insert("x-ms-error-code", HeaderValue::from_static("CannotVerifyCopySource"));
        if let Some(code) = source {
            headers.insert("x-ms-copy-source-error-code", HeaderValue::from_static(code));
        }
        let body =
            "<Error><Message>This request is not authorized to perform this operation.</Message></Error>";
        ServiceError::read(StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes())
    };
    let facts = |error: &ServiceError| {
        [
            error.is_of_copy_source(),
            error.is_copy_source_closed(),
            error.is_copy_scope_closed(),
            error.is_copy_source_unreachable(),
        ]
    };
    for (status, version, source, expected) in [
        (403, "2025-11-05", None, [false, false, true, false]),
        (403, "2026-04-06", None, [false, false, true, false]),
        (403, "2025-11-05", Some("AuthorizationFailure"), [true, true, false, false]),
        (403, "2025-11-05", Some("AuthorizationPermissionMismatch"), [true, false, false, false]),
        // Of an old version nobody knows.
        (403, "2025-07-05", None, [true, true, false, false]),
        (404, "2025-11-05", None, [true, false, false, true]),
        (404, "2025-11-05", Some("BlobNotFound"), [true, false, false, false]),
        (404, "2025-07-05", None, [true, false, false, false]),
    ] {
        let error = read(status, version, source);
        assert_eq!(facts(&error), expected, "{status} {version} {source:?}");
        assert_eq!(error.class(), Class::Skip);
    }
    assert!(read(403, "2025-11-05", None).advice().contains("takes copies from some accounts alone"));
    assert!(read(404, "2025-11-05", None).advice().contains("does not reach the source"));
}
