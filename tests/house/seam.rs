//! How many files a kind of store touches: those that ARCHITECTURE names under "To add a service".

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The files of the engine that name the store of an embedder as a kind of its own.
const NAMED_IN: &[&str] = &[
    "engine/lane/src/requests/client.rs",
    "engine/lane/src/requests/end.rs",
    "engine/transfer/src/at.rs",
    "engine/transfer/src/builder.rs",
];

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Whether a source names the arm, apart from its comments.
fn names_own(text: &str) -> bool {
    let code = text.lines().map(str::trim_start).filter(|line| !line.starts_with("//"));
    code.into_iter().any(|line| line.contains("::Own(") || line.contains("::Own {"))
}

#[test]
fn a_kind_of_store_is_named_in_the_files_that_architecture_tells() {
    let root = super::workspace();
    let mut files = Vec::new();
    sources(&root.join("engine"), &mut files);
    let is_naming = |path: &PathBuf| names_own(&std::fs::read_to_string(path).unwrap());
    let named: BTreeSet<String> = files
        .iter()
        .filter(|path| is_naming(path))
        .map(|path| path.strip_prefix(&root).unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(named, NAMED_IN.iter().map(|path| (*path).to_owned()).collect());
    let architecture = std::fs::read_to_string(root.join("engine/ARCHITECTURE.md")).unwrap();
    let (_, told) = architecture.split_once("**Proven.**").unwrap();
    for file in ["client.rs", "end.rs", "at.rs", "builder.rs"] {
        assert!(told.contains(file), "{file}");
    }
}

#[test]
fn an_arm_is_seen_and_a_comment_is_not() {
    assert!(names_own("    Self::Own(own) => own,") && names_own("Incoming::Own { body, .. } =>"));
    assert!(!names_own("    // Self::Own(own)") && !names_own("own.own(Owned(1))"));
}
