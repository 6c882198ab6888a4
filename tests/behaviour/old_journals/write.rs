//! A new set of jobs for the corpus, written by whichever version is asked for.
//!
//! ```text
//! AZURING_CORPUS_BY=path/to/azuring-cut AZURING_CORPUS_SET=0.1.0-format-2 \
//!     cargo test -p azuring-tests --test old_journals -- --ignored a_set_is_written
//! ```
//!
//! `AZURING_CORPUS_ONLY` takes the scenes whose names contain it.

use std::fs;
use std::path::Path;

use crate::bytes::Journal;
use crate::scenes::{self, Scene};
use crate::{corpus, resume, there, told};

#[test]
#[ignore = "it changes the corpus"]
fn a_set_is_written() {
    let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("set {name}"));
    let program = variable("AZURING_CORPUS_BY");
    let set = corpus().join(variable("AZURING_CORPUS_SET"));
    let only = std::env::var("AZURING_CORPUS_ONLY").unwrap_or_default();
    for scene in scenes::all().iter().filter(|scene| scene.name.contains(&only)) {
        println!("{}", scene.name);
        write(scene, Path::new(&program), &set.join(scene.name));
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
