//! Failures in two parts: what many of them have in common, which a journal keeps once, and what is an object's own.
//!
//! Half a million files that the service refuses differ in their names and request ids. Reason, advice, code, status
//! and the beginning of both places are one *cause*; in its texts a mark stands where the object's name does.

use azuring_plan::name::encode_path_for_people;

use crate::failure::Failure;

use super::codec::{Reader, TEXT_MAX, kind_of, number, string, texts};

/// In the place of the object; of the object as it is in URLs; of where it comes from; of where it was to go. No text
/// that is for people has these characters.
const OBJECT: &str = "\u{1}";
const ENCODED: &str = "\u{2}";
const SOURCE: &str = "\u{3}";
const DESTINATION: &str = "\u{4}";

/// Shorter names may be part of a word of the reason by chance.
const NAME_MIN: usize = 4;

/// The own part begins with these bits: places that do not end in the object's name stand in it, and what the request
/// id is.
const OWN_SOURCE: u8 = 1;
const OWN_DESTINATION: u8 = 2;
const ID_TEXT: u8 = 4;
const ID_BYTES: u8 = 8;

/// The cause of a failure, and what is its own; `None` of one that has to be kept as it is.
pub(super) fn split(failure: &Failure) -> Option<(Vec<u8>, Vec<u8>)> {
    let texts @ [object, source, destination, reason, advice, code, id] = texts(failure);
    let is_kept = |text: &str| text.len() <= TEXT_MAX && !text.contains(['\u{1}', '\u{2}', '\u{3}', '\u{4}']);
    if !texts.into_iter().all(is_kept) {
        return None;
    }
    let encoded = encoded_name(object);
    let mut bits = 0;
    let mut place = |text: &str, bit: u8| -> String {
        // Names that are the same in URLs are to have the causes of others.
        let (name, mark) = if text.contains("://") { (&*encoded, ENCODED) } else { (object, OBJECT) };
        if let Some(before) = text.strip_suffix(name).filter(|_| !name.is_empty()) {
            return format!("{before}{mark}");
        }
        bits |= if text.is_empty() { 0 } else { bit };
        String::new()
    };
    let places = [place(source, OWN_SOURCE), place(destination, OWN_DESTINATION)];
    let mut template = reason.to_owned();
    for (text, mark) in [(source, SOURCE), (destination, DESTINATION), (object, OBJECT)] {
        if text.len() >= NAME_MIN {
            template = template.replace(text, mark);
        }
    }
    let mut cause = Vec::new();
    for text in [&template, advice, code, &places[0], &places[1]] {
        string(text.as_bytes(), &mut cause);
    }
    number(failure.status.unwrap_or_default().into(), &mut cause);
    number(failure.tries.into(), &mut cause);

    let uuid = uuid::Uuid::try_parse(id).ok().filter(|uuid| uuid.to_string() == id);
    bits |= match (uuid, id) {
        (Some(_), _) => ID_BYTES,
        (None, "") => 0,
        (None, _) => ID_TEXT,
    };
    let mut own = vec![bits];
    string(object.as_bytes(), &mut own);
    for (text, bit) in [(source, OWN_SOURCE), (destination, OWN_DESTINATION)] {
        if bits & bit != 0 {
            string(text.as_bytes(), &mut own);
        }
    }
    match uuid {
        Some(uuid) => own.extend_from_slice(uuid.as_bytes()),
        None if bits & ID_TEXT != 0 => string(id.as_bytes(), &mut own),
        None => {}
    }
    number(failure.bytes, &mut own);
    Some((cause, own))
}

/// An object as it is in the URLs of messages.
fn encoded_name(object: &str) -> String {
    let mut encoded = String::with_capacity(object.len());
    encode_path_for_people(object, &mut encoded);
    encoded
}

/// The failure of these two parts; `None` where they are not what [`split`] has made.
pub(super) fn join(kind: u8, cause: &[u8], own: &[u8]) -> Option<Failure> {
    let (mut cause, mut own) = (Reader(cause), Reader(own));
    let bits = own.byte()?;
    let mut failure = Failure::new(kind_of(kind), own.text()?, cause.text()?);
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    failure.advice = some(cause.text()?);
    failure.code = some(cause.text()?);
    let encoded = encoded_name(&failure.object);
    let mut place = |bit: u8, template: &str| -> Option<String> {
        if bits & bit != 0 {
            return Some(own.text()?.to_owned());
        }
        Some(template.replace(ENCODED, &encoded).replace(OBJECT, &failure.object))
    };
    failure.source = place(OWN_SOURCE, cause.text()?)?;
    failure.destination = place(OWN_DESTINATION, cause.text()?)?;
    let reason = failure.reason.replace(OBJECT, &failure.object);
    failure.reason = reason.replace(SOURCE, &failure.source).replace(DESTINATION, &failure.destination);
    failure.status = u16::try_from(cause.number()?).ok().filter(|status| *status > 0);
    failure.tries = u32::try_from(cause.number()?).ok()?;
    failure.request_id = match bits {
        bits if bits & ID_BYTES != 0 => Some(uuid::Uuid::from_slice(own.take(16)?).ok()?.to_string()),
        bits if bits & ID_TEXT != 0 => Some(own.text()?.to_owned()),
        _ => None,
    };
    failure.bytes = own.number()?;
    Some(failure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::durable::codec::kind_code;
    use crate::failure::FailureKind;

    fn refused(object: &str) -> Failure {
        let mut failure =
            Failure::new(FailureKind::Service, object, "the service refused it: 409 BlobArchived");
        failure.source = format!("/data/{object}");
        failure.destination = format!("https://a.blob.core.windows.net/c/to/{}", encoded_name(object));
        failure = failure.advise("rehydrate it");
        failure.status = Some(409);
        failure.code = Some("BlobArchived".to_owned());
        failure.request_id = Some("11f1d6ad-401e-0040-7a3c-8d2b00000000".to_owned());
        (failure.bytes, failure.tries) = (1 << 40, 3);
        failure
    }

    #[track_caller]
    fn comes_back(failure: &Failure) -> (Vec<u8>, Vec<u8>) {
        let (cause, own) = split(failure).unwrap();
        assert_eq!(join(kind_code(failure.kind), &cause, &own).as_ref(), Some(failure));
        for end in 0..own.len() {
            assert_eq!(join(1, &cause, &own[..end]), None);
        }
        for end in 0..cause.len() {
            let _ = join(1, &cause[..end], &own);
        }
        (cause, own)
    }

    #[test]
    fn what_is_split_comes_back_and_shares_its_cause() {
        let first = comes_back(&refused("dir/a b.txt"));
        for object in ["dir/x", "\u{e4}/\u{1f600} %41", "x"] {
            let (cause, own) = comes_back(&refused(object));
            assert_eq!(cause, first.0, "{object}");
            assert!(own.len() <= object.len() + 25, "{object}: {}", own.len());
        }
        // Texts with the name in them, places that are called otherwise, other request ids, nothing at all.
        let mut local = refused("dir/a b.txt");
        local.reason = format!("{}: Permission denied (os error 13)", local.source);
        let cause = comes_back(&local).0;
        let mut other = refused("other/name");
        other.reason = format!("{}: Permission denied (os error 13)", other.source);
        assert_eq!(comes_back(&other).0, cause);
        other.destination = "https://a.blob.core.windows.net/c/renamed".to_owned();
        other.request_id = Some("11F1D6AD-401E-0040-7A3C-8D2B00000000".to_owned());
        comes_back(&other);
        comes_back(&Failure::new(FailureKind::Limit, "", ""));
        comes_back(&Failure::new(FailureKind::Source, "a", "a reason with the letter a"));
    }

    #[test]
    fn what_cannot_be_split_is_told() {
        let mut marked = refused("x");
        marked.reason = "odd \u{2} text".to_owned();
        assert_eq!(split(&marked), None);
        let mut long = refused("x");
        long.reason = "x".repeat(TEXT_MAX + 1);
        assert_eq!(split(&long), None);
    }

    #[test]
    fn a_journal_of_refused_files_is_small_and_tells_all() {
        use crate::durable::{Durable, RecordedJob, With};
        use crate::entry::Found;
        use crate::outcome::{Entity, Outcome, TransferId};
        use azuring_journal::{JobId, Jobs};

        const FILES: u64 = 20_000;
        let state = tempfile::tempdir().unwrap();
        let (jobs, id) = (Jobs::new(state.path()), JobId::from_bytes([7; 16]));
        let durable = Durable::new(jobs.clone(), jobs.create(id, b"").unwrap(), None, false);
        durable.go_on().unwrap();
        let name = |n: u64| format!("dir-{:03}/file-{n:06}.dat", n / 100);
        let failure = |n: u64| {
            let mut failure = refused(&name(n));
            // As random as an id is.
            let id = u128::from(n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
            failure.request_id = Some(uuid::Uuid::from_u128(id).to_string());
            failure
        };
        for first in (0..FILES).step_by(50) {
            let numbers = first..first + 50;
            let found: Vec<_> = numbers
                .clone()
                .map(|n| Found::File(azuring_local::RelPath::new(name(n).as_bytes())))
                .collect();
            durable.found(&found, &With::Nothing).unwrap();
            let outcome = |n| {
                let (id, entity, result) = (TransferId::nth(n), Entity::File, Err(Box::new(failure(n))));
                Outcome { id, entity, bytes: 0, length: 10, object: None, result }
            };
            durable.ended(&numbers.map(outcome).collect::<Vec<_>>()).unwrap();
        }
        durable.commit().unwrap();
        drop(durable);
        let bytes = jobs.list().unwrap()[0].len_bytes / FILES;
        println!("{bytes} bytes a refused file");
        assert!(bytes < 50, "{bytes} bytes a refused file");
        let mut told = 0;
        RecordedJob::read(&jobs, id)
            .unwrap()
            .transfers(|transfer| {
                assert_eq!(transfer.failure, Some(failure(told)));
                told += 1;
            })
            .unwrap();
        assert_eq!(told, FILES);
    }
}
