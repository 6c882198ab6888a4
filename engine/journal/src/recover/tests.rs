//! Bodies that nobody wrote so, under checksums that fit: whatever they say, reading ends, and ends in words.

use std::io::Write as _;

use fastrand::Rng;

use super::*;
use crate::format::{file_header, seal};
use crate::packing::Packer;
use crate::pending::Pending;

const ID: JobId = JobId::from_bytes([3; 16]);

fn record(place: u64, body: &[u8]) -> Vec<u8> {
    let mut record = vec![0; RECORD_HEADER];
    record.extend_from_slice(body);
    seal(ID, place, &mut record);
    record
}

/// Bodies that say a little of everything.
fn bodies() -> Vec<Vec<u8>> {
    let mut first = Pending::default();
    first.describe(b"job");
    first.left_out(3, 4);
    let mut second = Pending::default();
    for number in 0..40 {
        second.transfer(number, format!("dir/file-{number}").as_bytes(), b"facts");
    }
    second.outcome(3, State::Done);
    second.outcome(5, State::Failed(9));
    second.cause(b"in common");
    second.failure(Some(5), 9, Some(1), b"why");
    second.failure(None, 1, None, b"where");
    second.large(7, b"etag");
    second.piece(7, 2);
    second.cursor(40, b"marker");
    second.count(2, -4);
    let mut third = Pending::default();
    third.transfer(40, b"z", b"");
    third.scanned();
    third.summary(b"ended");
    let mut packer = Packer::default();
    [first, second, third]
        .map(|pending| pending.encode(&mut packer, FORMAT)[RECORD_HEADER..].to_vec())
        .to_vec()
}

/// Reads a journal of these bodies, all of it; what it counts.
fn read(bodies: &[Vec<u8>]) -> Result<Counts, JournalError> {
    let mut file = tempfile::tempfile().unwrap();
    let mut bytes = file_header(ID).to_vec();
    for (place, body) in bodies.iter().enumerate() {
        bytes.extend(record(place as u64, body));
    }
    file.write_all(&bytes).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let journal = Recovered::read(Path::new("journal"), file)?;
    for part in 0..journal.parts() {
        let mut part = journal.part(part)?;
        while part.next()?.is_some() {}
    }
    journal.problems(|_, _| {})?;
    Ok(journal.counts())
}

#[test]
fn what_was_written_is_read() {
    let counts = Counts { found: 41 + 7, done: 1 + 3, skipped: 4, failed: 1 };
    assert_eq!(read(&bodies()), Ok(counts));
}

#[test]
fn a_body_of_any_bytes_is_read_or_refused() {
    let mut random = Rng::with_seed(50);
    let (mut read_whole, mut refused) = (0, 0);
    for _ in 0..20_000 {
        let mut changed = bodies();
        let at = random.usize(..changed.len());
        let body = &mut changed[at];
        for _ in 0..random.usize(1..4) {
            let place = random.usize(..body.len());
            match random.u8(..4) {
                0 => body[place] = random.u8(..),
                1 => body[place] ^= 1 << random.u8(..8),
                2 => drop(body.splice(place..place, (0..random.usize(1..10)).map(|_| random.u8(..)))),
                _ => body.truncate(place.max(1)),
            }
        }
        match read(&changed) {
            Ok(_) => read_whole += 1,
            Err(JournalError::Damaged { .. }) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(read_whole > 1_000 && refused > 1_000, "{read_whole} read, {refused} refused");
}

#[test]
fn bodies_that_contradict_what_came_before_are_refused() {
    let good = bodies();
    let with = |kind: u8, content: &[u8]| {
        let mut body = vec![kind];
        crate::bytes::put_string(&mut body, content);
        let mut all = good.clone();
        all.push(body);
        read(&all)
    };
    assert!(with(item::SCANNED, b"").is_ok());
    let transfers = |first: u8, count: u8| [first, count, 0, 3, 1, 0, 0, 1, 0, b'x'];
    assert!(with(item::TRANSFERS, &transfers(41, 1)).is_ok());
    for (kind, content, why) in [
        (item::TRANSFERS, &transfers(42, 1)[..], "a gap"),
        (item::TRANSFERS, &transfers(40, 1), "one that is known"),
        (item::TRANSFERS, &transfers(41, 0), "none"),
        (item::OUTCOME, &[1, 1, 41, 0], "a transfer that was not found"),
        (item::OUTCOME, &[0, 1, 3, 0], "what is done is pending"),
        (item::FAILURES, &[42, 0, 0], "a transfer that was not found"),
        (item::LARGE, &[41, 0], "a transfer that was not found"),
        (item::PIECES, &[41, 1, 0, 0], "a transfer that was not found"),
        (item::CURSOR, &[42, 0], "more than was found"),
        (item::COUNTERS, &[32, 0], "a counter that there is not"),
        (item::DESCRIPTION, b"job", "a second description"),
        (99, b"", "of a kind that there is not"),
    ] {
        assert!(matches!(with(kind, content), Err(JournalError::Damaged { .. })), "{kind}: {why}");
    }
    assert!(matches!(read(&good[1..]), Err(JournalError::Damaged { .. })), "no description");
    assert!(matches!(read(&[]), Err(JournalError::Damaged { .. })), "nothing");
}
