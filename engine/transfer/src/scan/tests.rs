//! Local scans of random trees with hostile names: their order, and that each place can be gone on from.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use azuring_job::choices::{ListOfFiles, Symlinks};
use azuring_job::durable::LocalPosition;
use azuring_job::entry::Found;
use azuring_job::verdict::Verdict;
use azuring_plan::destination::NamingOptions;
use azuring_plan::filter::Filter;
use azuring_plan::order::OrderKey;
use fastrand::Rng;

use crate::scan::local::{LocalFinder, LocalScan};
use crate::scan::{LocalOptions, Met, Scan as _};
use crate::source::Source;

/// Around the slash, around what UTF-16 orders otherwise, and bytes that are no UTF-8.
const SEGMENTS: [&[u8]; 20] = [
    b"a",
    b"a-b",
    b"a.b",
    b"a0",
    b"%2F",
    b"a b",
    b"a!",
    b"-",
    b"A",
    b"~",
    "é".as_bytes(),
    "e\u{301}".as_bytes(),
    "\u{e000}".as_bytes(),
    "a\u{fffd}".as_bytes(),
    "\u{ffff}".as_bytes(),
    "\u{10000}".as_bytes(),
    "a\u{1f600}".as_bytes(),
    b"\xff",
    b"a\xff\xfe",
    b"\x01",
];

fn at(root: &Path, path: &[u8]) -> std::path::PathBuf {
    root.join(OsStr::from_bytes(path))
}

/// Makes a tree; returns the places of what a scan of it gives, whether or not directories and links are among that.
fn plant(random: &mut Rng, root: &Path, options: &LocalOptions) -> BTreeSet<Vec<u8>> {
    let (mut places, mut directories) = (BTreeSet::new(), vec![Vec::new()]);
    for _ in 0..random.usize(..24) {
        let mut path = random.choice(&directories).unwrap().clone();
        path.extend_from_slice(random.choice(SEGMENTS).unwrap());
        let full = at(root, &path);
        if full.is_symlink() || full.exists() {
            continue;
        }
        match random.u8(..6) {
            0 | 1 => {
                fs::create_dir(full).unwrap();
                path.push(b'/');
                directories.push(path.clone());
                if options.directories {
                    places.insert(path);
                }
            }
            2 => {
                std::os::unix::fs::symlink("nowhere", full).unwrap();
                if options.symlinks == Symlinks::Preserve {
                    places.insert(path);
                }
            }
            _ => {
                fs::write(full, b"").unwrap();
                places.insert(path);
            }
        }
    }
    places
}

fn options(random: &mut Rng) -> LocalOptions {
    LocalOptions {
        naming: NamingOptions { recursive: true, ..NamingOptions::default() },
        filter: Filter::default(),
        symlinks: if random.bool() { Symlinks::Skip } else { Symlinks::Preserve },
        directories: random.bool(),
        specials: random.bool(),
        names_bytes: 1 << 20,
        walk_threads: Some(random.usize(..2)),
        list: None,
    }
}

fn finder(root: &Path, options: &LocalOptions) -> LocalFinder {
    let source = if options.list.is_some() { root.to_owned() } else { root.join("*") };
    *Source::resolve(&source, "", options).unwrap().finder
}

/// The places of all objects, and after how many of them the scan stood where.
type Told = (Vec<Vec<u8>>, Vec<(usize, Vec<u8>)>);

fn told(mut scan: LocalScan<'_>, random: &mut Rng) -> Told {
    let (mut places, mut stood, mut met) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        let room = random.usize(1..6);
        let more = scan.next_now(room, &mut met).unwrap();
        assert!(met.len() <= room);
        let refused = |met: &Met| matches!(met, Met::Refused(_));
        assert!(met.iter().rev().skip(1).all(|met| !refused(met)), "nothing comes after a refusal");
        for met in met.drain(..) {
            match met {
                Met::Object(found) => places.push(found.place().into_owned()),
                Met::Skipped(Found::File(_), _) | Met::Refused(_) => {}
                other => panic!("{other:?}"),
            }
        }
        if let Some(position) = scan.position() {
            stood.push((places.len(), position));
        }
        if !more {
            return (places, stood);
        }
    }
}

/// Scans, and goes on from each place where the scan stood; the places of the objects in their order.
fn scan(root: &Path, options: &LocalOptions, random: &mut Rng) -> Vec<Vec<u8>> {
    let verdict = Verdict::default();
    let begun = |known| LocalScan::new(finder(root, options), known, &verdict);
    let whole = begun(None);
    assert_eq!(whole.order(), options.list.is_none().then_some(OrderKey::Bytes));
    let (places, stood) = told(whole, random);
    for (count, position) in stood {
        let known = LocalPosition::decode(&position).unwrap();
        let (rest, _) = told(begun(Some(known.clone())), random);
        assert_eq!(rest, places[count..], "{known:?} of {places:?}");
    }
    places
}

#[test]
fn a_walk_rises_and_goes_on_from_every_place() {
    let (mut cases, mut objects) = (0, 0);
    for seed in 0..400 {
        let mut random = Rng::with_seed(seed);
        let (root, options) = (tempfile::tempdir().unwrap(), options(&mut random));
        let expected = plant(&mut random, root.path(), &options);
        let places = scan(root.path(), &options, &mut random);
        assert!(places.is_sorted_by(|a, b| OrderKey::Bytes.compare(a, b).is_lt()), "{seed}: {places:?}");
        assert_eq!(places, expected.into_iter().collect::<Vec<_>>(), "{seed}");
        (cases, objects) = (cases + 1, objects + places.len());
    }
    println!("{cases} trees, {objects} objects");
}

#[test]
fn a_list_goes_on_from_every_place() {
    let (mut cases, mut objects) = (0, 0);
    for seed in 1000..1300 {
        let mut random = Rng::with_seed(seed);
        let (root, mut options) = (tempfile::tempdir().unwrap(), options(&mut random));
        let expected: Vec<_> = plant(&mut random, root.path(), &options).into_iter().collect();
        // Names without line breaks; some are not there, some come twice, some are directories.
        let (mut list, mut named) = (Vec::new(), Vec::new());
        for _ in 0..random.usize(..8) {
            let line = match random.choice(&expected) {
                Some(path) if random.u8(..4) > 0 => {
                    let end = if random.bool() { path.iter().position(|b| *b == b'/') } else { None };
                    path[..end.unwrap_or(path.len())].to_vec()
                }
                _ => b"not/there".to_vec(),
            };
            let inside = [line.strip_suffix(b"/").unwrap_or(&line), b"/"].concat();
            let below =
                |place: &&Vec<u8>| **place == line || (place.starts_with(&inside) && **place != inside);
            named.extend(
                expected
                    .iter()
                    .filter(below)
                    .filter(|place| !place.ends_with(b"/") || **place != line)
                    .cloned(),
            );
            list.extend([&line[..], b"\n"].concat());
        }
        let lines = tempfile::NamedTempFile::new().unwrap();
        fs::write(lines.path(), list).unwrap();
        options.list = Some(ListOfFiles::File(lines.path().to_owned()));
        let places = scan(root.path(), &options, &mut random);
        assert_eq!(places, named, "{seed}");
        (cases, objects) = (cases + 1, objects + places.len());
    }
    println!("{cases} lists, {objects} objects");
}
