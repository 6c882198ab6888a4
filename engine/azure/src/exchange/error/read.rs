//! An answer with an error, read: what the service, or what stands in its place, says of itself.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode};
use quick_xml::events::Event;

use super::{CopySourceError, ServiceError};
use crate::account::version::COPY_VERSION;
use crate::exchange::header::{X_MS_REQUEST_ID, X_MS_VERSION};

/// Longest pause that `Retry-After` can impose.
pub(super) const MAX_RETRY_AFTER: Duration = Duration::from_secs(120);

impl ServiceError {
    /// Reads an error answer. The body may be empty, cut off, or not XML at all.
    pub(crate) fn read(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (mut code, mut message) = (text("x-ms-error-code"), None);
        let mut source = CopySourceError {
            status: text("x-ms-copy-source-status-code").and_then(|status| status.parse().ok()),
            code: text("x-ms-copy-source-error-code"),
            is_silent: false,
        };
        for (element, content) in xml_texts(body) {
            match element.as_str() {
                "Code" if code.is_none() => code = Some(content),
                "CopySourceStatusCode" if source.status.is_none() => source.status = content.parse().ok(),
                "CopySourceErrorCode" if source.code.is_none() => source.code = Some(content),
                "Message" if message.is_none() => message = Some(first_line(&content)),
                // Its further lines would be the string to sign.
                "AuthenticationErrorDetail" => message = Some(first_line(&content)),
                _ => {}
            }
        }
        let of_source = source != CopySourceError::default()
            || matches!(code.as_deref(), Some("CannotVerifyCopySource" | "SourceConditionNotMet"));
        // Versions are dates.
        let tells = text(X_MS_VERSION).is_some_and(|version| version.as_str() >= COPY_VERSION);
        source.is_silent = tells && source == CopySourceError::default();
        let request_id = text(X_MS_REQUEST_ID);
        if request_id.is_none() {
            let server = text("server").and_then(|server| first_line_of(server.as_bytes()));
            let server = server.map(|server| format!(" but `{server}`")).unwrap_or_default();
            let said = message.or_else(|| first_line_of(body)).map(|said| format!(": {said}"));
            message = Some(format!("not Azure Storage{server} answered this{}", said.unwrap_or_default()));
        }
        let retry_after = text("retry-after").and_then(|value| pause(&value, SystemTime::now()));
        Self {
            status: status.as_u16(),
            code: code.unwrap_or_else(|| status.canonical_reason().unwrap_or("unknown status").to_owned()),
            of_service: request_id.is_some(),
            message: message.map(String::into_boxed_str),
            request_id,
            retry_after,
            clock_skew_s: text("date").and_then(|date| skew_s(&date, SystemTime::now())),
            tenant: text("www-authenticate").and_then(|challenge| tenant(&challenge)),
            copy_source: of_source.then(|| Box::new(source)),
        }
    }
}

/// Seconds from `now` to the date of an answer.
pub(crate) fn skew_s(date: &str, now: SystemTime) -> Option<i32> {
    let date = httpdate::parse_http_date(date).ok()?;
    let seconds = |since: Duration| i32::try_from(since.as_secs()).ok();
    match date.duration_since(now) {
        Ok(ahead) => seconds(ahead),
        Err(behind) => seconds(behind.duration()).map(|seconds| -seconds),
    }
}

/// The tenant in `Bearer authorization_uri=https://login.microsoftonline.com/TENANT/oauth2/authorize resource_id=..`.
pub(super) fn tenant(challenge: &str) -> Option<Box<str>> {
    let uri = challenge.split_once("authorization_uri=")?.1.split([' ', ',']).next()?.trim_matches('"');
    let tenant = uri.split_once("://")?.1.split('/').nth(1)?;
    let plain = tenant.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
    (plain && !tenant.is_empty()).then(|| tenant.into())
}

/// `Retry-After`: seconds, or a date (RFC 9110 section 10.2.3).
pub(super) fn pause(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    let pause = match value.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(value).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(pause.min(MAX_RETRY_AFTER))
}

/// What a person is shown of a service's text: one line without control characters, and without signatures and what
/// they are made of.
fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    if line.contains("MAC signature") {
        // `The MAC signature found in the HTTP request '...' is not the same as any computed signature. Server used ..`
        return "The signature is not the one that the service computes.".to_owned();
    }
    let line = line.split("String to sign").next().unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(500).collect::<String>().trim().to_owned()
}

/// The first line of a page that has something on it, for a person to recognise it by.
pub(crate) fn first_line_of(page: &[u8]) -> Option<String> {
    const MOST: usize = 120;
    let text = String::from_utf8_lossy(page);
    let line = text.split(['\n', '\r']).map(str::trim).find(|line| !line.is_empty())?;
    let plain: String = first_line(line).chars().take(MOST + 1).collect();
    match plain.char_indices().nth(MOST) {
        Some((end, _)) => Some(format!("{}…", &plain[..end])),
        None => Some(plain).filter(|plain| !plain.is_empty()),
    }
}

/// The text of every element, in order; stops quietly where the XML ends or breaks.
fn xml_texts(body: &[u8]) -> Vec<(String, String)> {
    let mut reader = quick_xml::Reader::from_reader(body);
    let (mut found, mut open, mut text) = (Vec::new(), String::new(), String::new());
    // Error bodies are short; the limit keeps a hostile one from costing more than its bytes.
    for _ in 0..256 {
        match reader.read_event() {
            Ok(Event::Start(start)) => {
                open = String::from_utf8_lossy(start.local_name().as_ref()).into_owned();
                text.clear();
            }
            Ok(Event::Text(part)) => text.push_str(&part.decode().unwrap_or_default()),
            Ok(Event::GeneralRef(entity)) => {
                let name = entity.decode().unwrap_or_default();
                match quick_xml::escape::resolve_predefined_entity(&name) {
                    Some(known) => text.push_str(known),
                    None => text.extend(entity.resolve_char_ref().ok().flatten()),
                }
            }
            Ok(Event::End(_)) => {
                if !open.is_empty() {
                    found.push((std::mem::take(&mut open), text.trim().to_owned()));
                }
            }
            Ok(Event::Eof) | Err(_) => break,
            Ok(_) => {}
        }
    }
    found
}
