//! What an embedder meets can get fields and variants without breaking his program: every struct with public fields and
//! every enum that is reachable from the root of `azuring-transfer` is `#[non_exhaustive]`, or is named here with the
//! reason why not.
//!
//! A struct with a private field is as good: nobody else can write it down or take it apart whole.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::tokens::Named;

/// Only given, never received: a new variant breaks nobody who has a choice to make. Those that carry it out match
/// without a wildcard, so that none is forgotten.
const GIVEN: &str = "an embedder gives it, and the engine's matches name all variants";
/// What lanes ask of a store. Its reader is the embedder's store, which a new field does not break.
const ASKED: &str = "lanes write it down for each request, with all fields, and a store only reads it";
/// What a store says of itself.
const SAID: &str = "a store says it of itself, and the engine's matches name all variants";
/// It says all there is to say.
const WHOLE: &str = "it is complete: another field would make it something else";

const NOT_GROWING: &[(&str, &str)] = &[
    ("At", ASKED),
    ("Begin", ASKED),
    ("BlobType", WHOLE),
    ("BlobTypeChoice", GIVEN),
    ("Boundary", "for tests"),
    ("Change", ASKED),
    ("CheckLength", GIVEN),
    ("CheckMd5", GIVEN),
    ("Class", "whoever repeats has to know all classes"),
    ("CommitBy", GIVEN),
    ("Condition", "a store that passes a condition over overwrites what is others': it has to name all"),
    ("ContentTypePolicy", GIVEN),
    ("CopySource", SAID),
    ("Crc64", WHOLE),
    ("DeleteSnapshots", GIVEN),
    ("Directories", SAID),
    ("Done", "the collector counts each end: one that it does not know would be a wrong sum"),
    ("Encryption", GIVEN),
    ("Endpoint", WHOLE),
    ("Grant", ASKED),
    ("HttpChoice", GIVEN),
    ("Include", ASKED),
    ("IoChoice", GIVEN),
    ("Item", "a store gives it, and a scan has to know what each is"),
    ("List", ASKED),
    ("ListOfFiles", GIVEN),
    ("ListOrder", SAID),
    ("ManagedIdentity", GIVEN),
    ("Overwrite", GIVEN),
    ("PermanentDelete", GIVEN),
    ("PosixStyle", GIVEN),
    ("Put", ASKED),
    ("Read", ASKED),
    ("RehydratePriority", GIVEN),
    ("Removal", ASKED),
    ("RouteChoice", GIVEN),
    ("Sequence", SAID),
    ("Side", WHOLE),
    ("Symlinks", GIVEN),
    ("TransferId", WHOLE),
    ("Visible", SAID),
    ("Which", WHOLE),
];

/// The sources of the engine's crates: name of the crate (`azuring_job`), texts of its files.
type Crates = BTreeMap<String, Vec<String>>;

#[test]
fn what_an_embedder_meets_can_grow() {
    let (found, closed) = closed_types(&engine(), "azuring_transfer");
    println!("{found} types, {} of them closed", closed.len());
    assert!(found > 60, "only {found} types: are they still looked up where they are?");
    let excepted: BTreeSet<_> = NOT_GROWING.iter().map(|(name, _)| (*name).to_owned()).collect();
    let more: Vec<_> = closed.difference(&excepted).collect();
    assert!(more.is_empty(), "make them #[non_exhaustive], or say here why not: {more:?}");
    let fewer: Vec<_> = excepted.difference(&closed).collect();
    assert!(fewer.is_empty(), "they can grow, or are not reachable: take them out of the list: {fewer:?}");
}

fn engine() -> Crates {
    let mut crates = Crates::new();
    for entry in std::fs::read_dir(super::workspace().join("engine")).unwrap() {
        let path = entry.unwrap().path();
        if path.join("Cargo.toml").exists() {
            let name = format!("azuring_{}", path.file_name().unwrap().to_str().unwrap());
            read(&path.join("src"), crates.entry(name).or_default());
        }
    }
    crates
}

fn read(dir: &Path, into: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(&path, into);
        } else if path.file_name().is_some_and(|name| name == "lib.rs") {
            into.insert(0, std::fs::read_to_string(&path).unwrap());
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(std::fs::read_to_string(&path).unwrap());
        }
    }
}

/// How many structs and enums are reachable from the root of `of`, and which of them cannot grow.
fn closed_types(crates: &Crates, of: &str) -> (usize, BTreeSet<String>) {
    let (mut found, mut closed) = (0, BTreeSet::new());
    // The first file is the root.
    let mut wanted: Vec<_> =
        crates[of].iter().take(1).flat_map(|root| shown(root)).map(|it| (of.to_owned(), it)).collect();
    let mut seen = BTreeSet::new();
    while let Some((here, (path, name))) = wanted.pop() {
        let home = path.first().filter(|first| crates.contains_key(*first)).unwrap_or(&here).clone();
        if !seen.insert((home.clone(), path.clone(), name.clone())) {
            continue;
        }
        if name == "*" {
            let root = crates[&home].iter().take(1).flat_map(|root| shown(root));
            wanted.extend(root.map(|it| (home.clone(), it)));
            continue;
        }
        // Its own name, which the root may have changed.
        let own = path.last().unwrap().clone();
        let defined: Vec<_> = crates[&home].iter().flat_map(|text| definitions(text, &own)).collect();
        for is_open in &defined {
            found += 1;
            if !is_open {
                closed.insert(own.clone());
            }
        }
        if defined.is_empty() {
            // The crate may have it from another one.
            let from = crates[&home].iter().flat_map(|text| shown(text));
            wanted.extend(from.filter(|(_, shown)| *shown == own).map(|it| (home.clone(), it)));
        }
    }
    (found, closed)
}

/// What the `pub use` of a file name: path, and the name it is shown under.
fn shown(text: &str) -> Vec<(Vec<String>, String)> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let text = lines.collect::<Vec<_>>().join("\n");
    let uses = text.split("pub use ").skip(1).filter_map(|rest| rest.split_once(';'));
    uses.flat_map(|(tree, _)| Named::read(&format!("use {tree};")).used).collect()
}

/// For each public struct and enum of this name: whether it can grow.
fn definitions(text: &str, name: &str) -> Vec<bool> {
    let lines: Vec<_> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let item = line.trim_start();
        let indent = line.len() - item.len();
        let Some((kind, rest)) = ["struct", "enum"].iter().find_map(|kind| {
            let rest =
                item.strip_prefix("pub ")?.strip_prefix(kind)?.strip_prefix(' ')?.strip_prefix(name)?;
            let ends = !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
            ends.then_some((*kind, rest))
        }) else {
            continue;
        };
        let above = lines[..at].iter().rev().map(|line| line.trim_start());
        let mut attributes = above.take_while(|line| line.starts_with('#') || line.starts_with("///"));
        let is_marked = attributes.any(|line| line.starts_with("#[non_exhaustive]"));
        let fields = fields_of(rest, indent, &lines[at + 1..]);
        let is_closed = match kind {
            "enum" => true,
            _ => !fields.is_empty() && fields.iter().all(|field| field.starts_with("pub ")),
        };
        found.push(is_marked || !is_closed);
    }
    found
}

/// The fields of an item, from `rest` of its first line on, each with its visibility.
fn fields_of<'a>(rest: &'a str, indent: usize, below: &[&'a str]) -> Vec<&'a str> {
    if let Some((fields, _)) = rest.split_once('(').and_then(|(_, rest)| rest.split_once(");")) {
        return fields.split(", ").collect();
    }
    if !rest.ends_with('{') {
        return Vec::new();
    }
    let (inner, end) = (" ".repeat(indent + 4), format!("{}}}", " ".repeat(indent)));
    let body = below.iter().take_while(|line| **line != end);
    let lines = body.filter_map(|line| line.strip_prefix(&inner));
    lines.filter(|line| line.starts_with(|c: char| c.is_alphabetic() || c == '_')).collect()
}

#[test]
fn a_type_that_cannot_grow_is_seen_wherever_it_is_from() {
    let closed = |item: &str| {
        let files = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let crates = Crates::from([
            (
                "azuring_top".to_owned(),
                files(&[
                    "pub use azuring_mid::{Shown as Renamed};\npub mod all {\n    pub use azuring_low::*;\n}\n",
                ]),
            ),
            (
                "azuring_mid".to_owned(),
                files(&["mod inner;\npub use inner::Other;\n", "pub use azuring_low::deep::Shown;\n"]),
            ),
            ("azuring_low".to_owned(), files(&["pub mod deep;\npub use deep::Shown;\n", item])),
        ]);
        closed_types(&crates, "azuring_top").1.into_iter().collect::<Vec<_>>()
    };
    let bad = [
        "pub struct Shown {\n    pub a: u32,\n}\n",
        "#[derive(Debug)]\npub struct Shown<'a> {\n    /// A.\n    pub a: &'a str,\n    #[serde(skip)]\n    pub b: u32,\n}\n",
        "pub struct Shown(pub u32, pub u32);\n",
        "/// Words.\npub enum Shown {\n    A,\n}\n",
        "#[non_exhaustive]\npub struct ShownToo {\n    pub a: u32,\n}\n\npub enum Shown {\n    A,\n}\n",
        "growing! {\n    pub struct Shown {\n        pub a: u32,\n    }\n}\n",
    ];
    for item in bad {
        assert_eq!(closed(item), ["Shown"], "{item}");
    }
    let good = [
        "#[non_exhaustive]\n#[derive(Debug)]\npub struct Shown {\n    pub a: u32,\n}\n",
        "growing! {\n    /// Words.\n    #[non_exhaustive]\n    pub struct Shown {\n        pub a: u32,\n    }\n}\n",
        "pub struct Shown {\n    pub a: u32,\n    b: u32,\n}\n",
        "pub struct Shown(u32, pub u32);\n",
        "pub struct Shown;\n",
        "#[non_exhaustive]\npub enum Shown {\n    A,\n}\n",
        "pub trait Shown {}\n\npub struct ShownToo {\n    pub a: u32,\n}\n",
    ];
    for item in good {
        assert!(closed(item).is_empty(), "{item}");
    }
}
