//! The pages: how wide their lines are, and whether the files that they name exist.

use std::collections::BTreeSet;
use std::path::Path;

/// The widest line of a page, in characters.
const WIDTH: usize = 120;

/// Pages that people read. COMPATIBILITY.md is left out: it is rendered, and is one table.
const PAGES: &[&str] = &[
    "README.md",
    "CHANGELOG.md",
    "engine/ARCHITECTURE.md",
    "engine/GLOSSARY.md",
    "engine/SEMANTICS.md",
    "perf/README.md",
    "tests/README.md",
    "tools/azsim/README.md",
];

/// Pages with tables of which a cell has more than a line can: a row of a table cannot be cut. Blocks of code in them
/// may be wide too, where a command is shown with its answer.
const WIDE: &[&str] = &["README.md", "tests/README.md", "tools/azsim/README.md"];

/// Pages whose names of files and folders must exist.
const MAPS: &[&str] = &["README.md", "engine/ARCHITECTURE.md"];

/// Folders that a build makes.
const BUILT: &[&str] = &["target", "node_modules", ".git"];

/// Lines of a page that are too wide. Of a page with wide tables only prose counts.
fn too_wide(page: &str, may_have_wide_tables: bool) -> Vec<String> {
    let mut in_code = false;
    let mut faults = Vec::new();
    for (at, line) in page.lines().enumerate() {
        in_code ^= line.trim_start().starts_with("```");
        let is_excepted = may_have_wide_tables && (in_code || line.starts_with('|'));
        let width = line.chars().count();
        if width > WIDTH && !is_excepted {
            faults.push(format!("line {} has {width} characters", at + 1));
        }
    }
    faults
}

/// What stands between backquotes, outside of blocks of code.
fn code_spans(page: &str) -> Vec<String> {
    let mut in_code = false;
    let mut prose = String::new();
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if !in_code {
            prose += line.trim();
            prose.push(' ');
        }
    }
    prose.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// `a/{b,c}.rs` is two names.
fn names_of(span: &str) -> Vec<String> {
    match span.split_once('{').and_then(|(head, rest)| Some((head, rest.split_once('}')?))) {
        Some((head, (words, tail))) => words.split(',').map(|word| format!("{head}{word}{tail}")).collect(),
        None => vec![span.to_owned()],
    }
}

/// Names of files and folders on a page that are none of these paths, nor end one.
fn missing(page: &str, paths: &BTreeSet<String>) -> Vec<String> {
    let top: BTreeSet<_> = paths.iter().filter_map(|path| path.split('/').next()).collect();
    let rooms: BTreeSet<_> =
        paths.iter().filter_map(|path| path.strip_prefix("engine/")?.split('/').next()).collect();
    let is_name = |name: &str| {
        let first = name.split('/').next().unwrap_or_default();
        let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "_./-".contains(c));
        let has_folder = name.contains('/') && (top.contains(first) || rooms.contains(first));
        let is_source = name.ends_with(".rs") || (name.contains('/') && name.ends_with(".md"));
        is_plain && !name.starts_with(['/', '-']) && (has_folder || is_source)
    };
    let exists = |name: &str| {
        let end = format!("/{}", name.trim_end_matches('/'));
        paths.iter().any(|path| format!("/{path}").ends_with(&end))
    };
    let names = code_spans(page).into_iter().flat_map(|span| names_of(&span));
    names.filter(|name| is_name(name) && !exists(name)).collect()
}

/// Files and folders below `dir`, relative to it.
fn paths_below(dir: &Path, at: &str, paths: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if BUILT.contains(&name.as_str()) {
            continue;
        }
        let path = if at.is_empty() { name } else { format!("{at}/{name}") };
        if entry.file_type().unwrap().is_dir() {
            paths_below(&entry.path(), &path, paths);
        }
        paths.insert(path);
    }
}

fn read(page: &str) -> String {
    std::fs::read_to_string(super::workspace().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"))
}

#[test]
fn lines_of_pages_are_not_too_wide() {
    let faults: Vec<_> = PAGES
        .iter()
        .flat_map(|page| {
            let faults = too_wide(&read(page), WIDE.contains(page));
            faults.into_iter().map(move |fault| format!("{page}: {fault}"))
        })
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Comments of a source that are too wide. A row of a table, an address, and a drawing or an
/// example between fences cannot be cut.
fn wide_comments(text: &str) -> Vec<usize> {
    let mut in_fence = false;
    let mut is_wide = |line: &str| {
        let comment = line.trim_start();
        let words = comment.trim_start_matches(['/', '!', ' ']);
        in_fence ^= comment.starts_with("//") && words.starts_with("```");
        let cannot_be_cut = words.starts_with('|') || !words.trim_end().contains(' ');
        let may_be_wide = in_fence || cannot_be_cut || !comment.starts_with("//");
        !may_be_wide && line.chars().count() > WIDTH
    };
    text.lines().enumerate().filter(|(_, line)| is_wide(line)).map(|(at, _)| at + 1).collect()
}

#[test]
fn lines_of_comments_are_not_too_wide() {
    let mut paths = BTreeSet::new();
    paths_below(&super::workspace(), "", &mut paths);
    let sources = paths.iter().filter(|path| path.ends_with(".rs"));
    let faults: Vec<String> = sources
        .flat_map(|path| wide_comments(&read(path)).into_iter().map(move |line| format!("{path}:{line}")))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let wide = format!("x {}", "x".repeat(WIDTH));
    let fenced = format!("//! ```\n//! {wide}\n//! ```\n// {wide}");
    assert_eq!(
        wide_comments(&format!("let x = {wide};\n/// {wide}\n//! | {wide} |\n// short\n{fenced}")),
        [2, 8]
    );
}

#[test]
fn files_that_a_page_names_exist() {
    let mut paths = BTreeSet::new();
    paths_below(&super::workspace(), "", &mut paths);
    for page in MAPS {
        let missing = missing(&read(page), &paths);
        assert!(missing.is_empty(), "{page} names what is not there: {}", missing.join(", "));
    }
}

#[test]
fn a_wide_line_and_a_missing_file_are_seen() {
    let wide = "x".repeat(WIDTH + 1);
    let page = format!("{wide}\n| {wide} |\n```\n{wide}\n```\n{}\n", "ä".repeat(WIDTH));
    assert_eq!(too_wide(&page, true), ["line 1 has 121 characters"]);
    assert_eq!(too_wide(&page, false).len(), 3);

    let paths = ["engine", "engine/a", "engine/a/src", "engine/a/src/x.rs", "engine/a/src/y.rs"];
    let paths = paths.map(str::to_owned).into();
    let page = "`x.rs`, `a/src/{x,z}.rs`, `engine/a/`, `engine/b/`, `p/q`, `--flag`, `a/src/y.rs`\n\
        ```\n`none.rs`\n```\n`w.rs` `y.rs`";
    assert_eq!(missing(page, &paths), ["a/src/z.rs", "engine/b/", "w.rs"]);
}
