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

/// The files of the lane that ask whether an end is Blob storage, whose own abilities go past the seam.
const ASKED_IN: &[&str] = &[
    "engine/lane/src/copy/one.rs",
    "engine/lane/src/put/assembly.rs",
    "engine/lane/src/put/begin.rs",
    "engine/lane/src/put/object.rs",
    "engine/lane/src/put/shape.rs",
    "engine/lane/src/put/stream.rs",
    "engine/lane/src/put/whole.rs",
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

/// Whether a source has one of these words, apart from its comments.
fn has(text: &str, words: &[&str]) -> bool {
    let mut code = text.lines().map(str::trim_start).filter(|line| !line.starts_with("//"));
    code.any(|line| words.iter().any(|word| line.contains(word)))
}

/// The arm of stores that are not Blob storage.
const ARM: &[&str] = &["::Own(", "::Own {"];

#[test]
fn a_kind_of_store_is_named_in_the_files_that_architecture_tells() {
    let root = super::workspace();
    let mut files = Vec::new();
    sources(&root.join("engine"), &mut files);
    let with = |words: &[&str]| -> BTreeSet<String> {
        let with = files.iter().filter(|path| has(&std::fs::read_to_string(path).unwrap(), words));
        with.map(|path| path.strip_prefix(&root).unwrap().to_string_lossy().into_owned()).collect()
    };
    let told = |paths: &[&str]| -> BTreeSet<String> { paths.iter().map(|path| (*path).to_owned()).collect() };
    assert_eq!(with(ARM), told(NAMED_IN));
    assert_eq!(with(&[".own()"]), told(ASKED_IN));
    let architecture = std::fs::read_to_string(root.join("engine/ARCHITECTURE.md")).unwrap();
    let (_, told) = architecture.split_once("**Proven.**").unwrap();
    for file in ["client.rs", "end.rs", "at.rs", "builder.rs"] {
        assert!(told.contains(file), "{file}");
    }
}

#[test]
fn an_arm_is_seen_and_a_comment_is_not() {
    assert!(has("    Self::Own(own) => own,", ARM) && has("Incoming::Own { body, .. } =>", ARM));
    assert!(!has("    // Self::Own(own)", ARM) && !has("own.own(Owned(1))", ARM));
}
