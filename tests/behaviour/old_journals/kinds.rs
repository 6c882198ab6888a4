//! Every kind of thing that a journal can say is in the corpus.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use azuring_journal::Recovered;
use azuring_transfer::{Entity, RecordedJob};
use serde_json::Value;

use crate::bytes::{Journal, Ranges, Reader, counter, item};
use crate::{kept, put, stage::Stage};

/// How often each kind of thing is there.
type Kinds = BTreeMap<String, usize>;

/// All that there are. Whoever adds one to what journals say adds it here, and a scene that has it.
fn wanted() -> Vec<String> {
    let of =
        |what: &str, names: &[&str]| names.iter().map(|name| format!("{what}: {name}")).collect::<Vec<_>>();
    let numbered = |what: &str, numbers: &mut dyn Iterator<Item = u64>| {
        numbers.map(|number| format!("{what} {number}")).collect::<Vec<_>>()
    };
    [
        of(
            "file",
            &["format 1", "format 2", "a torn end", "a shrunk one that never got its name", "several parts"],
        ),
        numbered("item", &mut (1..=13)),
        of("packing of names", &["plain", "zstd"]),
        of("packing of failures", &["plain", "zstd"]),
        of("command", &["copy", "remove", "set-properties"]),
        of("word", &["text", "bytes"]),
        of("sas", &["source", "destination"]),
        of("done", &["it is"]),
        numbered("skipped", &mut (1..=5).chain([62, 63])),
        // Twelve is what was interrupted: it is not recorded.
        numbered("failed", &mut (1..=11).chain([63])),
        of("failure", &["with a cause", "whole", "of the first format", "of no transfer"]),
        of("own part", &["source", "destination", "id as text", "id as bytes"]),
        of("mark", &["object", "encoded", "source", "destination"]),
        of("advice", &["it has"]),
        of("facts", &["none", "link", "directory", "special", "refused", "blob"]),
        of("blob", &["folder", "link", "named", "version", "snapshot", "below"]),
        of("large", &["blocks", "visible", "ranges", "ranges with a file", "in doubt", "pieces", "complete"]),
        of("below a line", &["a page follows", "the last page"]),
        of("local position", &["of a walk", "in a list"]),
        of(
            "remote position",
            &[
                "one blob",
                "into a directory",
                "in a list",
                "included",
                "a listing's page",
                "a listing's beginning",
            ],
        ),
        numbered("counter", &mut (0..=20)),
        numbered("ended", &mut (1..=6)),
    ]
    .concat()
}

#[test]
fn every_kind_is_kept() {
    let mut kinds = Kinds::new();
    for (job, scene) in kept() {
        let stage = Stage::new(&crate::program(), scene.keeps);
        put(&job, &stage);
        let (_, recovered) = stage.recorded().unwrap();
        count(&job, &recovered, &mut kinds);
    }
    let missing: Vec<_> = wanted().into_iter().filter(|kind| !kinds.contains_key(kind)).collect();
    let text = kinds.iter().map(|(kind, count)| format!("{kind}: {count}\n")).collect::<String>();
    assert!(missing.is_empty(), "not in the corpus: {missing:#?}\nwhat is: {text}");
    println!("{} kinds of things in {} jobs", wanted().len(), kept().len());
}

/// What the library tells of each transfer is what its facts say here.
#[test]
fn each_transfer_is_what_its_facts_say() {
    for (job, scene) in kept() {
        let stage = Stage::new(&crate::program(), scene.keeps);
        put(&job, &stage);
        let (id, recovered) = stage.recorded().unwrap();
        let mut said = BTreeMap::new();
        for part in 0..recovered.parts() {
            let mut part = recovered.part(part).unwrap();
            while let Some(transfer) = part.next().unwrap() {
                said.insert(transfer.number, entity(transfer.facts));
            }
        }
        let told = RecordedJob::read(&stage.jobs(), id).unwrap();
        told.transfers(|transfer| {
            assert_eq!(transfer.entity, said[&transfer.number], "{}: {}", scene.name, transfer.number);
        })
        .unwrap();
    }
}

/// What the library counts is what the counters say here.
#[test]
fn each_job_is_counted_as_its_counters_say() {
    // What is done and what is only written; of what was found also what failed; sent, asked, asked again.
    const COUNTED: [&[u8]; 5] = [&[6, 17], &[7, 18, 8], &[9], &[10], &[11]];
    let (mut wrong, mut never) = (Vec::new(), COUNTED.concat());
    for (job, scene) in kept() {
        let stage = Stage::new(&crate::program(), scene.keeps);
        let journal = put(&job, &stage);
        let (id, _) = stage.recorded().unwrap();
        let counts = RecordedJob::read(&stage.jobs(), id).unwrap().counts;
        let told = [counts.bytes, counts.bytes_found, counts.bytes_sent, counts.requests, counts.retries];
        let of = |which: u8| u64::try_from(counter(&journal, which)).unwrap();
        let said: [u64; 5] = COUNTED.map(|counters| counters.iter().map(|which| of(*which)).sum());
        never.retain(|which| of(*which) == 0);
        if told != said {
            wrong.push((scene.name, told, said));
        }
    }
    assert!(wrong.is_empty() && never.is_empty(), "told, and said: {wrong:#?}, in no job: {never:?}");
}

fn entity(facts: &[u8]) -> Entity {
    match facts.first() {
        Some(1) => Entity::Symlink,
        Some(2) => Entity::Folder,
        Some(bits) if bits & 0x81 == 0x81 => Entity::Folder,
        Some(bits) if bits & 0x82 == 0x82 => Entity::Symlink,
        _ => Entity::File,
    }
}

fn count(job: &Path, recovered: &Recovered, kinds: &mut Kinds) {
    let mut is = |kind: String| *kinds.entry(kind).or_default() += 1;
    let journal = Journal::read(&fs::read(job.join("journal")).unwrap());
    is(format!("file: format {}", journal.header[8]));
    if !journal.tail.is_empty() {
        is("file: a torn end".to_owned());
    }
    if job.join("journal.new").exists() {
        is("file: a shrunk one that never got its name".to_owned());
    }
    if recovered.parts() > 1 {
        is("file: several parts".to_owned());
    }
    let description = journal.description();
    is(format!("command: {}", description["command"].as_str().unwrap()));
    for word in description["args"].as_array().unwrap() {
        is(format!("word: {}", if word.is_string() { "text" } else { "bytes" }));
    }
    for end in ["source", "destination"] {
        if description[format!("{end}_sas")] == Value::Bool(true) {
            is(format!("sas: {end}"));
        }
    }
    let is_local = !description["source"].as_str().unwrap().starts_with("http");
    for (kind, content) in journal.items() {
        is(format!("item {kind}"));
        item_kinds(kind, content, is_local, &mut is);
    }
    for part in 0..recovered.parts() {
        let mut part = recovered.part(part).unwrap();
        while let Some(transfer) = part.next().unwrap() {
            facts(transfer.facts, &mut is);
            if let Some(large) =
                recovered.large(transfer.number).filter(|large| large.facts.starts_with(b"R"))
            {
                let ranges = Ranges::read(&large.facts);
                if large.pieces.contains(ranges.len.div_ceil(ranges.range)) {
                    is("large: complete".to_owned());
                }
            }
            match (transfer.failure, transfer.cause) {
                (Some(own), Some(_)) => {
                    is("failure: with a cause".to_owned());
                    for (bit, what) in
                        [(1, "source"), (2, "destination"), (4, "id as text"), (8, "id as bytes")]
                    {
                        if own[0] & bit != 0 {
                            is(format!("own part: {what}"));
                        }
                    }
                }
                (Some(_), None) if journal.header[8] == 1 => is("failure: of the first format".to_owned()),
                (Some(_), None) => is("failure: whole".to_owned()),
                (None, _) => {}
            }
        }
    }
    recovered.problems(|_, _| is("failure: of no transfer".to_owned())).unwrap();
}

/// What an item says.
fn item_kinds(kind: u8, content: &[u8], is_local: bool, is: &mut impl FnMut(String)) {
    let mut reader = Reader(content);
    let packing = |byte: u8| if byte == 0 { "plain" } else { "zstd" };
    match kind {
        item::TRANSFERS => {
            reader.number();
            reader.number();
            is(format!("packing of names: {}", packing(reader.byte())));
        }
        item::FAILURES_PACKED => is(format!("packing of failures: {}", packing(reader.byte()))),
        item::OUTCOME => is(match reader.byte() {
            1 => "done: it is".to_owned(),
            code if code & 3 == 2 => format!("skipped {}", code >> 2),
            code => format!("failed {}", code >> 2),
        }),
        item::LARGE => {
            reader.number();
            large(reader.string(), is);
        }
        item::PIECES => is("large: pieces".to_owned()),
        item::CURSOR => {
            reader.number();
            position(reader.string(), is_local, is);
        }
        item::COUNTERS => {
            while !reader.0.is_empty() {
                is(format!("counter {}", reader.byte()));
                reader.number();
            }
        }
        item::SUMMARY => is(format!("ended {}", reader.byte())),
        item::CAUSE => {
            for (mark, what) in [(1, "object"), (2, "encoded"), (3, "source"), (4, "destination")] {
                if content.contains(&mark) {
                    is(format!("mark: {what}"));
                }
            }
            reader.string();
            if !reader.string().is_empty() {
                is("advice: it has".to_owned());
            }
        }
        _ => {}
    }
}

fn facts(facts: &[u8], is: &mut impl FnMut(String)) {
    let Some(first) = facts.first() else { return is("facts: none".to_owned()) };
    let names = [(1, "link"), (2, "directory"), (3, "special"), (4, "refused")];
    if let Some((_, name)) = names.iter().find(|(code, _)| code == first) {
        return is(format!("facts: {name}"));
    }
    assert!(first & 0x80 != 0);
    is("facts: blob".to_owned());
    for (bit, name) in [(1, "folder"), (2, "link"), (4, "named"), (16, "below")] {
        if first & bit != 0 {
            is(format!("blob: {name}"));
        }
    }
    if first & 8 != 0 {
        let mut reader = Reader(&facts[1..]);
        reader.number();
        reader.number();
        is(format!("blob: {}", if reader.string().is_empty() { "version" } else { "snapshot" }));
    }
}

/// The facts of a large object, or where the listing of a line stands.
fn large(facts: &[u8], is: &mut impl FnMut(String)) {
    match facts.first() {
        Some(b'B') if facts.len() > 17 => is("large: blocks".to_owned()),
        Some(b'V') if facts.len() == 1 => is("large: visible".to_owned()),
        Some(b'R') => {
            let ranges = Ranges::read(facts);
            is(format!("large: ranges{}", if ranges.inode.is_some() { " with a file" } else { "" }));
            if !ranges.era.ends_with(b"\n") {
                is("large: in doubt".to_owned());
            }
        }
        Some(_) => is("below a line: a page follows".to_owned()),
        None => is("below a line: the last page".to_owned()),
    }
}

fn position(position: &[u8], is_local: bool, is: &mut impl FnMut(String)) {
    let mut reader = Reader(position);
    if is_local {
        let lines = reader.number();
        return is(format!("local position: {}", if lines > 0 { "in a list" } else { "of a walk" }));
    }
    let bits = reader.byte();
    let (lines, included) = (reader.number(), reader.number());
    let all = [
        (bits & 1 != 0, "one blob"),
        (bits & 2 != 0, "into a directory"),
        (lines > 0, "in a list"),
        (included > 0, "included"),
    ];
    for (_, name) in all.iter().filter(|(there, _)| *there) {
        is(format!("remote position: {name}"));
    }
    while !reader.0.is_empty() {
        reader.string();
        let begins = reader.string().is_empty();
        is(format!("remote position: a listing's {}", if begins { "beginning" } else { "page" }));
    }
}
