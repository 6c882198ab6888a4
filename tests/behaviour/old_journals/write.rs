//! A new set of jobs for the corpus, written by whichever version is asked for.
//!
//! ```text
//! AZURING_CORPUS_BY=path/to/azuring-cut AZURING_CORPUS_SET=0.1.0-format-2 \
//!     cargo test -p azuring-tests --test old_journals -- a_set_is_written
//! ```
//!
//! `AZURING_CORPUS_ONLY` takes the scenes whose names contain it. Without the variables the corpus stays as it is: the
//! first scene is written elsewhere by the program of now, which shows that a set can be written.

use std::fs;
use std::path::Path;

use crate::bytes::Journal;
use crate::scenes::{self, Scene};
use crate::{corpus, resume, there, told};

#[test]
fn a_set_is_written() {
    let variable = |name: &str| std::env::var(name).ok();
    let all = scenes::all();
    let Some(set) = variable("AZURING_CORPUS_SET") else {
        let (elsewhere, first) = (tempfile::tempdir().unwrap(), &all[0]);
        write(first, Path::new(env!("CARGO_BIN_EXE_azuring-cut")), &elsewhere.path().join(first.name));
        return;
    };
    let program = variable("AZURING_CORPUS_BY").expect("AZURING_CORPUS_BY names the program");
    let only = variable("AZURING_CORPUS_ONLY").unwrap_or_default();
    for scene in all.iter().filter(|scene| scene.name.contains(&only)) {
        println!("{}", scene.name);
        write(scene, Path::new(&program), &corpus().join(&set).join(scene.name));
    }
}

fn write(scene: &Scene, program: &Path, job: &Path) {
    let stage = (scene.first)(scene, program);
    let _ = fs::remove_dir_all(job);
    fs::create_dir_all(job).unwrap();
    let (id, _) = stage.recorded().unwrap();
    let directory = stage.jobs().directory(id);
    for entry in fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, job.join(path.file_name().unwrap())).unwrap();
    }
    fs::copy(stage.state().join(format!("{id}.log")), job.join("log")).unwrap();
    let journal = Journal::read(&fs::read(job.join("journal")).unwrap());
    assert_eq!(journal.to_bytes(), fs::read(job.join("journal")).unwrap(), "it is put together as it was");
    fs::write(job.join("there.txt"), there::capture(&stage, &scene.stage(program))).unwrap();
    fs::write(job.join("shown.txt"), told::shown(&stage, &id.to_string())).unwrap();
    for same_boot in scene.boots() {
        let text = resume(program, job, scene, *same_boot).unwrap();
        fs::write(job.join(told::resumed_name(*same_boot)), text).unwrap();
    }
}
