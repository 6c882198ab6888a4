use super::*;
use crate::entry::{BlobItem, Known};
use crate::failure::{Failure, FailureKind};
use crate::outcome::SkippedKind;
use azuring_azure::{BlobEntry, BlobFacts};
use azuring_local::RelPath;
use fastrand::Rng;

/// Rounds of each property.
const ROUNDS: u64 = 2_000;

/// A name that is hard on whoever cuts it up.
fn name(random: &mut Rng) -> String {
    let pieces = ["a", "a/", "b", "-", ".", "0", "%2F", "\u{e4}", "\u{1f980}", "//", " ", "\n", "a/b/c/"];
    (0..random.usize(1..12)).map(|_| pieces[random.usize(..pieces.len())]).collect()
}

fn found(random: &mut Rng) -> Found {
    let path = |random: &mut Rng| {
        let name = name(random);
        let segments = name.split('/').filter(|segment| !matches!(*segment, "" | "." | ".."));
        let mut bytes = segments.collect::<Vec<_>>().join("/").into_bytes();
        if bytes.is_empty() || random.u8(..4) == 0 {
            bytes.push(0xff);
        }
        RelPath::new(&bytes[..])
    };
    match random.u8(..8) {
        0 | 1 => Found::File(path(random)),
        2 => Found::Link(path(random)),
        3 => Found::Directory(path(random)),
        4 => Found::Special(path(random)),
        kind => {
            let mut entry = BlobEntry::new(name(random), BlobFacts::default());
            entry.facts.len = random.u64(..) >> random.u32(..64);
            entry.is_directory = random.u8(..8) == 0;
            let relative_at = (0..=entry.name.len()).find(|at| entry.name.is_char_boundary(*at)).unwrap();
            let known = match kind {
                5 => Known::Listed,
                6 => Known::Named,
                _ => {
                    entry.snapshot = Some("2026-11-30T00:00:00.0000000Z".into());
                    Known::Version
                }
            };
            Found::Blob(Box::new(BlobItem { entry: Box::new(entry), relative_at, known }))
        }
    }
}

fn part(random: &mut Rng) -> Part {
    let mut part = Part::new(random.u128(..).to_be_bytes(), random.u32(..));
    part.last = random.bool();
    part.tried = random.bool();
    let mut number = random.u64(..MAX_NUMBER - 2_000_000) >> random.u32(..40);
    for _ in 0..random.usize(..60) {
        number += random.u64(1..4);
        let actions = if random.bool() { 3 } else { 1 };
        let action = ACTIONS[random.usize(..actions)];
        part.push(Entry { id: TransferId::nth(number), found: found(random) }, action);
    }
    part
}

fn told(part: &Part) -> Vec<(u64, Action, Vec<u8>, Vec<u8>)> {
    let of = |(entry, action): &(Entry, Action)| {
        let mut facts = Vec::new();
        let name = codec::describe(&entry.found, false, &mut facts).to_vec();
        (entry.id.number(), *action, name, facts)
    };
    part.transfers.iter().map(of).collect()
}

#[test]
fn any_part_comes_back() {
    for seed in 0..ROUNDS {
        let part = part(&mut Rng::with_seed(seed));
        let bytes = part.to_bytes();
        let back = Part::from_bytes(&bytes).unwrap();
        assert_eq!(
            (back.job, back.number, back.tried, back.last),
            (part.job, part.number, part.tried, part.last)
        );
        assert_eq!(told(&back), told(&part), "seed {seed}");
        assert_eq!(back.to_bytes(), bytes, "seed {seed}");
    }
}

/// Bytes are changed, left out, doubled; and, where the checksum would tell it, that is made to agree.
fn mutated(random: &mut Rng, bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut bytes = bytes.to_vec();
    for _ in 0..random.usize(1..4) {
        let at = random.usize(..bytes.len());
        match random.u8(..5) {
            0 => bytes[at] = random.u8(..),
            1 => bytes[at] ^= 1 << random.u8(..8),
            2 => bytes.truncate(at.max(1)),
            3 => drop(bytes.remove(at)),
            _ => bytes.insert(at, random.u8(..)),
        }
        if bytes.is_empty() {
            bytes.push(0);
        }
    }
    let is_sealed = random.bool() && bytes.len() > 15;
    if is_sealed {
        let end = bytes.len() - 8;
        let kind = if bytes.starts_with(b"azpart") { Kind::Part } else { Kind::Ends };
        bytes = seal(kind, &bytes[7..end]);
    }
    (bytes, is_sealed)
}

#[test]
fn bytes_that_were_changed_are_refused_and_nothing_panics() {
    let mut sealed_and_read = 0;
    for seed in 0..ROUNDS {
        let mut random = Rng::with_seed(seed);
        let part = part(&mut random);
        let outcomes = outcomes(&mut random).to_bytes();
        let bytes = part.to_bytes();
        for _ in 0..20 {
            let (changed, is_sealed) = mutated(&mut random, &bytes);
            match Part::from_bytes(&changed) {
                Ok(back) if is_sealed => {
                    sealed_and_read += 1;
                    assert!(back.len() <= MAX_TRANSFERS && back.ids().is_sorted());
                    let _ = back.to_bytes();
                }
                Ok(_) => assert_eq!(changed, bytes, "seed {seed}"),
                Err(_) => {}
            }
            let (changed, is_sealed) = mutated(&mut random, &outcomes);
            if PartOutcomes::from_bytes(&changed).is_ok() && !is_sealed {
                assert_eq!(changed, outcomes, "seed {seed}");
            }
        }
        let noise: Vec<u8> = (0..random.usize(..80)).map(|_| random.u8(..)).collect();
        for kind in [Kind::Part, Kind::Ends] {
            let _ = Part::from_bytes(&seal(kind, &noise));
            let _ = PartOutcomes::from_bytes(&seal(kind, &noise));
        }
    }
    assert!(sealed_and_read > 100, "{sealed_and_read}");
}

#[test]
fn a_part_of_another_kind_or_a_later_version_says_so() {
    let bytes = part(&mut Rng::with_seed(1)).to_bytes();
    assert!(matches!(PartOutcomes::from_bytes(&bytes), Err(PartError::Other { .. })));
    assert!(matches!(Part::from_bytes(b"{}"), Err(PartError::Other { .. })));
    let mut later = bytes;
    later[6] = 2;
    let error = Part::from_bytes(&later).unwrap_err().to_string();
    assert!(error.contains("version 2, of a later azuring"), "{error}");
}

#[test]
fn a_path_that_leads_out_of_the_source_is_refused() {
    for path in ["/etc/passwd", "../x", "a/../../x", "a/", "./a", "a//b", "a/\0"] {
        let mut body = vec![0; 17];
        body.extend_from_slice(&[0, 1, 0, 1, 0]);
        let mut names = NamesWriter::new(0);
        names.push(path.as_bytes(), b"");
        names.pack(&mut body);
        let refused = Part::from_bytes(&seal(Kind::Part, &body));
        assert!(matches!(refused, Err(PartError::Outside { .. })), "{path:?} {refused:?}");
    }
}

#[test]
fn a_part_takes_ten_thousand_and_no_names_without_end() {
    let entry =
        |n, len| Entry { id: TransferId::nth(n), found: Found::File(RelPath::new(&vec![b'x'; len][..])) };
    let mut part = Part::new([0; 16], 0);
    let full = (0..).position(|n| part.push(entry(n, 1), Action::Copy));
    assert_eq!(full, Some(MAX_TRANSFERS - 1));
    assert_eq!(Part::from_bytes(&part.to_bytes()).unwrap().len(), MAX_TRANSFERS);
    let mut part = Part::new([0; 16], 0);
    let full = (0..).position(|n| part.push(entry(n, 4_095), Action::Copy)).unwrap();
    assert!(full < 2_100, "{full}");
}

fn outcomes(random: &mut Rng) -> PartOutcomes {
    let mut number = random.u64(..1 << 40);
    let outcomes = (0..random.usize(..40)).map(|_| {
        number += random.u64(1..4);
        let end = match random.u8(..5) {
            0 => PartEnd::NoBlob,
            1 => PartEnd::NotDone,
            2 => PartEnd::Skipped(SkippedKind::NotNewer),
            3 => {
                let mut failure = Failure::new(FailureKind::Throttled, &name(random), "busy").advise("wait");
                (failure.status, failure.tries) = (Some(503), random.u32(..));
                PartEnd::Failed(Box::new(failure))
            }
            _ => PartEnd::Done,
        };
        PartOutcome { id: TransferId::nth(number), bytes: random.u64(..), end }
    });
    let outcomes = outcomes.collect();
    PartOutcomes { job: random.u128(..).to_be_bytes(), part: random.u32(..), outcomes }
}

#[test]
fn any_outcomes_come_back() {
    for seed in 0..ROUNDS {
        let outcomes = outcomes(&mut Rng::with_seed(seed));
        assert_eq!(PartOutcomes::from_bytes(&outcomes.to_bytes()).unwrap(), outcomes, "seed {seed}");
    }
}

/// What was written once is read by every later version.
#[test]
fn the_part_that_is_kept_is_read() {
    let kept = include_bytes!("../../tests/kept/part-1");
    let seeded = |seed| Rng::with_seed(seed);
    let expected = (0..).map(|seed| part(&mut seeded(seed))).find(|part| part.len() > 40).unwrap();
    let ends = (0..).map(|seed| outcomes(&mut seeded(seed))).find(|ends| ends.outcomes.len() > 30).unwrap();
    if std::env::var_os("AZURING_KEEP").is_some() {
        std::fs::write("tests/kept/part-1", expected.to_bytes()).unwrap();
        std::fs::write("tests/kept/ends-1", ends.to_bytes()).unwrap();
        return;
    }
    assert_eq!(told(&Part::from_bytes(kept).unwrap()), told(&expected));
    let kept = include_bytes!("../../tests/kept/ends-1");
    assert_eq!(PartOutcomes::from_bytes(kept).unwrap(), ends);
}

/// What a part costs, told with `--nocapture`; ARCHITECTURE.md has the figures.
#[test]
fn a_part_is_small() {
    let file = |name: String| Found::File(RelPath::new(name.into_bytes()));
    let blob = |name: String, len| {
        let mut entry = BlobEntry::new(name, BlobFacts::default());
        entry.facts.len = len;
        Found::Blob(Box::new(BlobItem { entry: Box::new(entry), relative_at: 4, known: Known::Listed }))
    };
    let mut random = Rng::with_seed(3);
    let numbered = |n: u64| file(format!("{:03}/{:02}/file-{n:07}.bin", n / 5_000, n / 100 % 50));
    let blobs = |n: u64| blob(format!("top/{:03}/file-{n:07}.bin", n / 1_000), 3_000 + n * n % 9_973);
    let chance = |_| file(format!("{:032x}", random.u128(..)));
    type Kind<'a> = (&'a str, f64, Box<dyn FnMut(u64) -> Found + 'a>);
    let kinds: [Kind<'_>; 3] = [
        ("numbered", 1.5, Box::new(numbered)),
        ("blobs", 6.0, Box::new(blobs)),
        ("random", 20.0, Box::new(chance)),
    ];
    for (what, most, mut found) in kinds {
        let mut part = Part::new([7; 16], 3);
        for n in 0..MAX_TRANSFERS as u64 {
            part.push(Entry { id: TransferId::nth(70_000 + n), found: found(n) }, Action::Copy);
        }
        let json: usize = part
            .ids()
            .zip(part.names())
            .map(|(id, name)| {
                let name = String::from_utf8(name).unwrap();
                serde_json::json!({"id": id.number(), "action": "copy", "name": name}).to_string().len() + 1
            })
            .sum();
        let begun = std::time::Instant::now();
        let bytes = part.to_bytes();
        let written = begun.elapsed();
        let read = Part::from_bytes(&bytes).unwrap();
        let read_in = begun.elapsed() - written;
        assert_eq!(read.len(), part.len());
        let each = |sum: usize| sum as f64 / part.len() as f64;
        let us = |time: std::time::Duration| time.as_secs_f64() * 1e6 / part.len() as f64;
        println!(
            "{what}: {:.2} bytes a transfer ({:.1} as JSON), written in {:.2} us, read in {:.2} us each",
            each(bytes.len()),
            each(json),
            us(written),
            us(read_in)
        );
        assert!(each(bytes.len()) < most, "{what}: {}", each(bytes.len()));
    }
}
