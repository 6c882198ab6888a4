//! The files of a crate, and which imports which.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::tokens::Named;

/// Where a file stands: `["blob", "list"]` is `src/blob/list.rs`, or `src/blob/list/mod.rs`.
pub(crate) type Module = Vec<String>;

pub(crate) struct Graph {
    /// Each module's file.
    files: BTreeMap<Module, String>,
    imports: BTreeSet<(Module, Module)>,
}

impl Graph {
    /// Reads the sources of a crate below `src`. `lib.rs`, `main.rs` and tests are not files of the graph.
    pub(crate) fn read(src: &Path) -> Self {
        let mut files = BTreeMap::new();
        find(src, &mut Vec::new(), &mut files);
        assert!(!files.is_empty(), "there are no sources in {}", src.display());
        let shown = root_names(src, &files);
        let mut imports = BTreeSet::new();
        for (module, source) in &files {
            let named = Named::read(source);
            let used = named.used.iter().map(|(path, _)| path);
            for path in used.chain(&named.paths) {
                let Some(to) = place_of(path, module, &files, &shown) else { continue };
                // What is above a file's folder is one subject with it.
                if !module.starts_with(&to) {
                    imports.insert((module.clone(), to));
                }
            }
        }
        Self { files, imports }
    }

    pub(crate) fn files(&self) -> usize {
        self.files.len()
    }

    pub(crate) fn modules(&self) -> impl Iterator<Item = &Module> {
        self.files.keys()
    }

    pub(crate) fn imports(&self) -> impl Iterator<Item = (&Module, &Module)> {
        self.imports.iter().map(|(from, to)| (from, to))
    }

    /// Lines of a room's `mod.rs` that are no module: who imported such an item would hide which file it is from.
    pub(crate) fn items_of_a_room(&self, room: &str) -> Vec<String> {
        let is_folder = self.files.keys().any(|module| module.len() > 1 && module[0] == room);
        let Some(source) = self.files.get(&vec![room.to_owned()]).filter(|_| is_folder) else {
            return Vec::new();
        };
        let lines = source.lines().map(str::trim).filter(|line| {
            let item = line.trim_start_matches("pub(crate) ").trim_start_matches("pub ");
            let is_module = item.starts_with("mod ") && item.ends_with(';');
            !line.is_empty() && !line.starts_with("//") && !is_module
        });
        lines.map(|line| format!("{room}/mod.rs has more than modules: {line}")).collect()
    }

    /// Files that import each other, directly or by way of others of them; the widest circle first.
    pub(crate) fn circles(&self) -> Vec<BTreeSet<Module>> {
        let reached: BTreeMap<&Module, BTreeSet<&Module>> =
            self.files.keys().map(|module| (module, self.reached_from(module))).collect();
        let mut circles: Vec<BTreeSet<Module>> = Vec::new();
        for module in self.files.keys() {
            let circle: BTreeSet<Module> = reached[module]
                .iter()
                .filter(|other| reached[**other].contains(module))
                .map(|m| (*m).clone())
                .collect();
            if circle.len() > 1 && !circles.contains(&circle) {
                circles.push(circle);
            }
        }
        circles.sort_by_key(|circle| std::cmp::Reverse(circle.len()));
        circles
    }

    pub(crate) fn widest(&self) -> usize {
        self.circles().first().map_or(0, BTreeSet::len)
    }

    /// All that a file imports, and what these import, and so on.
    fn reached_from<'a>(&'a self, module: &'a Module) -> BTreeSet<&'a Module> {
        let (mut reached, mut next) = (BTreeSet::new(), vec![module]);
        while let Some(from) = next.pop() {
            let direct = self.imports.iter().filter(|(importer, _)| importer == from).map(|(_, to)| to);
            next.extend(direct.filter(|to| reached.insert(*to)));
        }
        reached
    }
}

/// Collects the files below `dir`, which is the module `at`.
fn find(dir: &Path, at: &mut Module, files: &mut BTreeMap<Module, String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let Some(stem) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
        if stem == "tests" {
            continue;
        }
        if path.is_dir() {
            at.push(stem.to_owned());
            find(&path, at, files);
            at.pop();
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let mut module = at.clone();
            if stem != "mod" {
                module.push(stem.to_owned());
            }
            let is_root = at.is_empty() && matches!(stem, "lib" | "main");
            if !module.is_empty() && !is_root {
                files.insert(module, std::fs::read_to_string(&path).unwrap());
            }
        }
    }
}

/// Names that the crate's root gives to items of its modules.
fn root_names(src: &Path, files: &BTreeMap<Module, String>) -> BTreeMap<String, Module> {
    let root = std::fs::read_to_string(src.join("lib.rs")).unwrap_or_default();
    let used = Named::read(&root).used.into_iter();
    used.filter_map(|(path, name)| {
        let path: Vec<_> =
            path.into_iter().filter(|word| !matches!(word.as_str(), "crate" | "self")).collect();
        let module = longest(&[], &path, files)?;
        Some((name, module))
    })
    .collect()
}

/// The module that a path in a file names something of; `None` for what is not of this crate, or of its root.
fn place_of(
    path: &[String],
    module: &Module,
    files: &BTreeMap<Module, String>,
    shown: &BTreeMap<String, Module>,
) -> Option<Module> {
    match path.first()?.as_str() {
        "crate" => longest(&[], &path[1..], files).or_else(|| shown.get(path.get(1)?).cloned()),
        "super" | "self" => {
            let mut base = module.clone();
            let mut rest = path;
            while let Some((word, behind)) = rest.split_first() {
                match word.as_str() {
                    "super" => drop(base.pop()),
                    "self" => {}
                    _ => break,
                }
                rest = behind;
            }
            longest(&base, rest, files)
                .or_else(|| if base.is_empty() { shown.get(rest.first()?).cloned() } else { Some(base) })
        }
        _ => longest(module, path, files),
    }
}

/// The module that is furthest down the path below `base`; at least one step below it.
fn longest(base: &[String], path: &[String], files: &BTreeMap<Module, String>) -> Option<Module> {
    let mut module = base.to_vec();
    let mut found = None;
    for word in path {
        module.push(word.clone());
        if !files.contains_key(&module) {
            break;
        }
        found = Some(module.clone());
    }
    found
}
