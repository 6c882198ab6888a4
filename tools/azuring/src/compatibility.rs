//! The compatibility ledger: `compatibility.json` has one row for each command, flag and variable of AzCopy and of
//! azuring, with what becomes of it, the test that shows it, and what differs; `engine/COMPATIBILITY.md` is rendered
//! from it. These tests keep rows, definitions, tests and the rendered page in step. To render it anew:
//!
//! ```sh
//! UPDATE_COMPATIBILITY=1 cargo test -p azuring compatibility
//! ```

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use azuring_plan::flags::Flag;
use azuring_plan::pairs::{ALONE, PAIRS, Pair, Support};
use clap::{Arg, Command};
use serde::Deserialize;

use crate::cli::definition;
use crate::environment::{Effect, VARIABLES};

const ROWS: &str = include_str!("../compatibility.json");
const PAGE: &str = "engine/COMPATIBILITY.md";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// `command`, `command subcommand`, `pair.NAME`, `command.flag`, `global.flag`, `engine.flag` or `variable.NAME`.
    item: String,
    status: Status,
    note: String,
    /// `FILE::NAME`: a function of that name, or a differential case, in that file.
    test: String,
    /// In what it is not as in AzCopy; the differential tests demand each that they declare.
    #[serde(default)]
    differences: Vec<Declared>,
}

/// A difference that differential cases declare.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Declared {
    /// As the cases say it.
    reason: String,
    /// Their names.
    cases: Vec<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum Status {
    Same,
    Superset,
    Refused,
    NotOnLinux,
    Later,
}

impl Status {
    fn shown(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Superset => "superset",
            Self::Refused => "refused",
            Self::NotOnLinux => "not on Linux",
            Self::Later => "later",
        }
    }
}

fn rows() -> Vec<Row> {
    serde_json::from_str(ROWS).expect("the rows are JSON")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Everything the command line has, as the rows name it.
fn defined() -> BTreeSet<String> {
    let mut all = definition();
    all.build();
    let mut items = BTreeSet::new();
    for command in all.get_subcommands().filter(|command| command.get_name() != "demo-server") {
        let name = command.get_name();
        add(&mut items, command, name);
        // `help` has all commands below it once more.
        let below = command.get_subcommands().filter(|below| name != "help" && below.get_name() != "help");
        below.for_each(|below| add(&mut items, below, &format!("{name} {}", below.get_name())));
    }
    items.extend(VARIABLES.iter().map(|variable| format!("variable.{}", variable.name)));
    items.extend(PAIRS.iter().filter_map(Pair::from_to).map(|pair| format!("pair.{pair}")));
    items
}

fn add(items: &mut BTreeSet<String>, command: &Command, name: &str) {
    items.insert(name.to_owned());
    for flag in flags(command) {
        let group = match flag.get_help_heading() {
            _ if flag.is_global_set() => "global",
            Some("Engine") => "engine",
            _ => name,
        };
        items.insert(format!("{group}.{}", flag.get_long().expect("flags have long names")));
    }
}

fn flags(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| {
        let long = arg.get_long().unwrap_or("help");
        long != "help" && long != "version"
    })
}

#[test]
fn every_command_flag_and_variable_has_one_row() {
    let items: Vec<_> = rows().into_iter().map(|row| row.item).collect();
    let rows: BTreeSet<_> = items.iter().cloned().collect();
    assert_eq!(rows.len(), items.len(), "an item stands twice");
    let defined = defined();
    let without_row: Vec<_> = defined.difference(&rows).collect();
    let unknown: Vec<_> = rows.difference(&defined).collect();
    assert!(without_row.is_empty(), "no row for {without_row:?}");
    assert!(unknown.is_empty(), "rows for what does not exist: {unknown:?}");
}

#[test]
fn every_row_names_a_test_that_exists() {
    for Row { item, test, .. } in rows() {
        let (file, name) =
            test.split_once("::").unwrap_or_else(|| panic!("{item}: {test} is not FILE::NAME"));
        let text =
            fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{item}: {file}: {error}"));
        let is_function = text.contains(&format!("fn {name}("));
        let is_case = file.starts_with("tests/differential/") && text.contains(&format!("\"{name}\""));
        assert!(is_function || is_case, "{item}: there is no test {name} in {file}");
    }
}

/// The other direction is looked at where the cases are run.
#[test]
fn every_difference_is_declared_by_a_case() {
    let read = |path: PathBuf| fs::read_to_string(path).unwrap();
    let said_by_several = read(root().join("tests/src/differential/shared.rs"));
    let files: Vec<_> = fs::read_dir(root().join("tests/differential"))
        .unwrap()
        .map(|entry| read(entry.unwrap().path()) + &said_by_several)
        .collect();
    let quoted = |text: &str| format!("\"{text}\"");
    for Row { item, differences, .. } in rows() {
        for Declared { reason, cases } in differences {
            for case in &cases {
                let declares =
                    |text: &String| text.contains(&quoted(&reason)) && text.contains(&quoted(case));
                assert!(files.iter().any(declares), "{item}: no case {case} says that {reason}");
            }
            assert!(!cases.is_empty(), "{item}: {reason}");
        }
    }
}

#[test]
fn what_is_refused_says_why() {
    for Row { item, status, note, .. } in rows() {
        let says = !note.is_empty() || !matches!(status, Status::Refused | Status::Superset);
        assert!(says, "{item}: {status:?} without a note");
    }
}

#[test]
fn rows_and_pairs_agree() {
    let rows = rows();
    let row = |item: &str| rows.iter().find(|row| row.item == item).unwrap();
    for pair in PAIRS {
        let name = pair.from_to().unwrap();
        let row = row(&format!("pair.{name}"));
        let agree = match pair.support {
            Support::Now => matches!(row.status, Status::Same | Status::Superset),
            Support::Later => row.status == Status::Later,
            Support::Never => row.status == Status::Refused,
        };
        assert!(agree, "{name} is {:?} and its row says {:?}", pair.support, row.status);
        assert!(pair.is_possible() || row.note == pair.why, "{name}: {} and {}", pair.why, row.note);
    }
    // The row of a command names each place where it will work, and where it works.
    for pair in PAIRS.iter().chain(ALONE) {
        let (command, place) = (pair.verb.command(), pair.from.title());
        let note = &row(command).note;
        let place = place.trim_start_matches("a ").trim_start_matches("Azure ");
        let place = place.split(" by ").next().unwrap_or_default();
        assert!(note.contains(place) || note.contains(&format!("{place}s")), "{command}: {place}: {note}");
    }
}

#[test]
fn rows_and_flags_agree() {
    for row in rows() {
        let Some((command, name)) = row.item.split_once('.') else { continue };
        let Some(flag) = Flag::named(name) else { continue };
        let possible = || {
            let all = PAIRS.iter().chain(ALONE).filter(|pair| pair.verb.command() == command);
            all.filter(|pair| pair.is_possible())
        };
        if possible().next().is_none() {
            continue;
        }
        let is_there = matches!(row.status, Status::Same | Status::Superset);
        let says = is_there && !row.note.starts_with("refused");
        let applies = possible().any(|pair| flag.applies(pair));
        assert_eq!(says, applies, "{}: {:?}: {}", row.item, row.status, row.note);
    }
}

#[test]
fn rows_and_variables_agree() {
    for row in rows() {
        let Some(name) = row.item.strip_prefix("variable.") else { continue };
        let Some(variable) = VARIABLES.iter().find(|variable| variable.name == name) else { continue };
        let agree = match variable.effect {
            Effect::Honoured => matches!(row.status, Status::Same | Status::Superset),
            Effect::Ignored(_) => matches!(row.status, Status::Refused | Status::NotOnLinux),
            Effect::Refused(_) => row.status == Status::Refused,
            Effect::Later => row.status == Status::Later,
        };
        assert!(agree, "{name} is {:?} and its row says {:?}", variable.effect, row.status);
    }
}

#[test]
fn the_page_is_what_the_rows_render_to() {
    let (page, rendered) = (root().join(PAGE), render(&rows()));
    if std::env::var_os("UPDATE_COMPATIBILITY").is_some() {
        fs::write(&page, &rendered).unwrap();
    }
    let there = fs::read_to_string(&page).unwrap_or_default();
    assert!(
        there == rendered,
        "{PAGE} is out of date: UPDATE_COMPATIBILITY=1 cargo test -p azuring compatibility"
    );
}

fn render(rows: &[Row]) -> String {
    let mut page = "# Compatibility with AzCopy 10.32\n\n\
        What becomes of each command, flag and environment variable, and the test that shows it. Rendered from\n\
        `tools/azuring/compatibility.json`; `tools/azuring/src/compatibility.rs` says how.\n\n\
        **same**: as in AzCopy on Linux. **superset**: that, and more. **refused**: ends with an error that says why;\n\
        of variables: not used. **not on Linux**: AzCopy has it for Windows only. **later**: not in this version, and\n\
        refused; what has no effect is said in a line.\n"
        .to_owned();
    let title = |item: &str| match item.split_once('.') {
        None => "Commands".to_owned(),
        Some(("global", _)) => "Flags of every command".to_owned(),
        Some(("engine", _)) => "Flags of every command that sends requests".to_owned(),
        Some(("variable", _)) => "Environment variables".to_owned(),
        Some(("pair", _)) => "From where to where (`--from-to`)".to_owned(),
        Some((command, _)) => format!("Flags of `{command}`"),
    };
    let mut last = String::new();
    for row in rows {
        let title = title(&row.item);
        if title != last {
            page += &format!("\n## {title}\n\n| | | | test |\n|---|---|---|---|\n");
            last = title;
        }
        let name = match row.item.split_once('.') {
            None => format!("`{}`", row.item),
            Some(("variable" | "pair", name)) => format!("`{name}`"),
            Some((_, flag)) => format!("`--{flag}`"),
        };
        let (file, test) = row.test.split_once("::").unwrap_or_default();
        let note = row.note.replace('|', "\\|");
        let status = row.status.shown();
        page += &format!("| {name} | {status} | {note} | [{test}](../{file}) |\n");
    }
    page + &render_differences(rows)
}

fn render_differences(rows: &[Row]) -> String {
    let mut page = "\n## Differences\n\n\
        Where the same command line ends otherwise than with AzCopy, on purpose, and the cases of `tests/differential`\n\
        that show it; every fact is compared, and these are all that differ.\n\n\
        | | | cases |\n|---|---|---|\n"
        .to_owned();
    for row in rows {
        let name = row.item.replacen('.', " --", 1);
        for Declared { reason, cases } in &row.differences {
            page += &format!("| `{name}` | {} | {} |\n", reason.replace('|', "\\|"), cases.join("; "));
        }
    }
    page
}

#[test]
fn a_page_has_a_table_for_each_group() {
    let row = |item: &str, status, note: &str| Row {
        item: item.to_owned(),
        status,
        note: note.to_owned(),
        test: "a/b.rs::c".to_owned(),
        differences: vec![Declared {
            reason: format!("{item} differs"),
            cases: vec!["c".to_owned(), "d".to_owned()],
        }],
    };
    let page = render(&[
        row("copy", Status::Same, ""),
        row("copy.x", Status::NotOnLinux, "a|b"),
        row("variable.Y", Status::Later, ""),
    ]);
    let tables: Vec<_> = page.lines().filter(|line| line.starts_with("## ")).collect();
    assert_eq!(tables, ["## Commands", "## Flags of `copy`", "## Environment variables", "## Differences"]);
    assert!(page.contains("| `copy --x` | copy.x differs | c; d |"), "{page}");
    assert!(page.contains("| `--x` | not on Linux | a\\|b | [c](../a/b.rs) |"), "{page}");
}
