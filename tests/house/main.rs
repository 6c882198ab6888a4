//! The shape of the engine's crates: which file imports which. And of the pages (`prose.rs`): no wide lines, and no
//! names of files that do not exist.
//!
//! - A crate may have rooms: folders (or files) right below `src`, in an order. A file imports from its own room and
//!   from those below it, never upwards. The crate's `lib.rs` has the picture.
//! - No more than two files import each other in a circle, and two only where they are halves of one subject.
//!
//! Imports are read from the sources: `use`, and paths that begin with `crate`, `super`, `self` or a module below. What
//! a file takes from the file above its folder is not counted: these are one subject.
//!
//! A crate that is to be kept so gets a line in [`HOUSES`].
//!
//! And what an embedder meets can grow (`growing.rs`).
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod graph;
mod growing;
mod prose;
mod seam;
mod tokens;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use graph::{Graph, Module};

/// A crate, and its rooms from the lowest up; none where it has no rooms.
struct House {
    path: &'static str,
    rooms: &'static [&'static str],
}

const HOUSES: &[House] = &[
    House { path: "engine/ring", rooms: &[] },
    House { path: "engine/link", rooms: &[] },
    House { path: "engine/plan", rooms: &[] },
    House { path: "engine/local", rooms: &[] },
    House { path: "engine/journal", rooms: &[] },
    House { path: "engine/identity", rooms: &[] },
    House { path: "engine/azure", rooms: &["account", "exchange", "blob"] },
    House { path: "engine/job", rooms: &[] },
    House { path: "engine/transfer", rooms: &[] },
    House { path: "engine/store", rooms: &[] },
    House {
        path: "engine/lane",
        rooms: &[
            "limits", "requests", "object", "task", "common", "lane", "put", "get", "change", "copy", "crew",
        ],
    },
];

/// The widest circle of files that import each other.
const WIDEST: usize = 2;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

#[test]
fn no_file_imports_from_a_room_above_its_own_and_circles_are_narrow() {
    let mut faults = Vec::new();
    for house in HOUSES {
        let src = workspace().join(house.path).join("src");
        let graph = Graph::read(&src);
        println!("{}: {} files, widest circle {}", house.path, graph.files(), graph.widest());
        faults.extend(
            faults_of(&graph, house.rooms).into_iter().map(|fault| format!("{}: {fault}", house.path)),
        );
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_crate_of_the_engine_has_a_line() {
    let known: BTreeSet<_> = HOUSES.iter().map(|house| house.path).collect();
    for entry in std::fs::read_dir(workspace().join("engine")).unwrap() {
        let entry = entry.unwrap();
        if entry.path().join("Cargo.toml").exists() {
            let path = format!("engine/{}", entry.file_name().to_str().unwrap());
            assert!(known.contains(path.as_str()), "{path} has no line in HOUSES");
        }
    }
}

/// What is wrong with a crate.
fn faults_of(graph: &Graph, rooms: &[&str]) -> Vec<String> {
    let mut faults = Vec::new();
    let room_of = |module: &Module| rooms.iter().position(|room| module.first().is_some_and(|m| m == room));
    let shown = |module: &Module| module.join("/");
    if !rooms.is_empty() {
        for module in graph.modules().filter(|module| room_of(module).is_none()) {
            faults.push(format!("{} is in no room", shown(module)));
        }
        for (from, to) in graph.imports() {
            if room_of(from) < room_of(to) {
                faults.push(format!("{} imports upwards, from {}", shown(from), shown(to)));
            }
        }
        for room in rooms {
            faults.extend(graph.items_of_a_room(room));
        }
    }
    for circle in graph.circles().into_iter().filter(|circle| circle.len() > WIDEST) {
        let within = |module: &Module| circle.contains(module);
        let imports: Vec<_> = graph
            .imports()
            .filter(|(from, to)| within(from) && within(to))
            .map(|(from, to)| format!("{} -> {}", shown(from), shown(to)))
            .collect();
        faults.push(format!("{} files import each other in a circle: {}", circle.len(), imports.join(", ")));
    }
    faults
}

/// Writes a crate of these files (path below `src`, content), and says what is wrong with it.
fn faults_in(files: &[(&str, &str)], rooms: &[&str]) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    faults_of(&Graph::read(dir.path()), rooms)
}

#[test]
fn an_import_upwards_is_seen_however_it_is_written() {
    let upwards = [
        "use crate::high::b::Thing;",
        "use crate::{high::b::{Thing, Other}, low};",
        "use super::super::high::b;",
        "pub(crate) use crate::high::b::Thing as Other;",
        "fn f() -> crate::high::b::Thing { made() }",
        // By the name that the crate's root gives it.
        "use crate::Shown;",
        "use crate::Renamed;",
    ];
    let with = |low: &str| {
        let root = "mod high;\nmod low;\npub use high::b::{Shown, Hidden as Renamed};\n";
        let files = [
            ("lib.rs", root),
            ("high/mod.rs", "//! Above.\n\nmod b;\n"),
            ("high/b.rs", "use crate::low::a::X;\n"),
            ("low/mod.rs", "//! Below.\n\nmod a;\n"),
            ("low/a.rs", low),
        ];
        faults_in(&files, &["low", "high"])
    };
    for low in upwards {
        assert_eq!(with(low), ["low/a imports upwards, from high/b"], "{low}");
    }
    let fine = [
        "// use crate::high::b::Thing;",
        "/* use crate::high::b; /* and */ crate::high::b */ use std::fmt;",
        "/// [`crate::high::b::Thing`]\nfn f() {}",
        "const A: &str = \"use crate::high::b;\"; const B: &str = r#\"\"crate::high::b\"#; const C: char = '\"';",
        "fn f<'a>(text: &'a str) -> &'a str { text }",
        "#[cfg(test)]\nmod tests {\n    use crate::high::b::Thing;\n}\n",
        "#[cfg(test)]\n#[path = \"tests.rs\"]\nmod tests;\n",
        "pub(crate) struct A;",
    ];
    for low in fine {
        assert_eq!(with(low), [""; 0], "{low}");
    }
}

#[test]
fn a_room_has_modules_and_no_items() {
    let files = [
        ("low/mod.rs", "//! Below.\n\npub(crate) mod a;\npub(crate) use a::X;\n"),
        ("low/a.rs", ""),
        ("other.rs", ""),
    ];
    let faults = faults_in(&files, &["low"]);
    assert_eq!(faults, ["other is in no room", "low/mod.rs has more than modules: pub(crate) use a::X;"]);
}

#[test]
fn a_circle_of_three_is_seen_and_one_of_two_is_not() {
    let two = [("a.rs", "use crate::b::B;"), ("b.rs", "use crate::a::A;"), ("c.rs", "use crate::a::A;")];
    assert_eq!(faults_in(&two, &[]), [""; 0]);
    let three = [("a.rs", "use crate::b::B;"), ("b.rs", "use crate::c::C;"), ("c.rs", "use crate::a::A;")];
    assert_eq!(faults_in(&three, &[]), ["3 files import each other in a circle: a -> b, b -> c, c -> a"]);
    // A folder's files and the file above it are one subject, but others are not part of it.
    let folder = [("a.rs", "mod x;\nuse x::X;"), ("a/x.rs", "use super::A;\nuse crate::b::B;"), ("b.rs", "")];
    assert_eq!(faults_in(&folder, &[]), [""; 0]);
    let through =
        [("a.rs", "mod x;\nfn f() { x::g() }"), ("a/x.rs", "use crate::b::B;"), ("b.rs", "use crate::a::A;")];
    assert_eq!(
        faults_in(&through, &[]),
        ["3 files import each other in a circle: a -> a/x, a/x -> b, b -> a"]
    );
}
