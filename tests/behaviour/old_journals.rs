//! Journals and logs that earlier versions have written (`corpus/journals`): each is shown as it was then, and resumed
//! to its end.
//!
//! A job's directory and log are what the version of then left. What depends on the machine is put into a copy of its
//! journal before it is resumed, by code that shares nothing with the engine (`old_journals/bytes.rs`), and with new
//! checksums:
//!
//! * in the description, the working directory and the server's address;
//! * in the facts of large objects, inodes and times of files, ETags of blobs, and which run of the machine it is;
//! * for a second run of downloads, the counter that tells the latter.
//!
//! All else stays to the byte. So a test needs no port of its own and no directory of a fixed name, and any number of
//! them run side by side.
#![allow(clippy::unwrap_used, reason = "test code")]

use std::fs;
use std::path::{Path, PathBuf};

#[path = "old_journals/bytes.rs"]
mod bytes;
#[path = "old_journals/kinds.rs"]
mod kinds;
#[path = "old_journals/scenes/mod.rs"]
mod scenes;
#[path = "old_journals/stage.rs"]
mod stage;
#[path = "old_journals/there.rs"]
mod there;
#[path = "old_journals/told.rs"]
mod told;
#[path = "old_journals/write.rs"]
mod write;

use bytes::Journal;
use scenes::Scene;
use stage::Stage;

/// The program under test.
fn program() -> PathBuf {
    env!("CARGO_BIN_EXE_azuring-under-test").into()
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/journals")
}

/// The directories of all kept jobs: those of each version, by the names of their scenes.
fn kept() -> Vec<(PathBuf, Scene)> {
    let directories = |of: &Path| {
        let entries = fs::read_dir(of).unwrap().map(|entry| entry.unwrap().path());
        let mut directories: Vec<_> = entries.filter(|path| path.is_dir()).collect();
        directories.sort();
        directories
    };
    let mut all = Vec::new();
    for job in directories(&corpus()).iter().flat_map(|version| directories(version)) {
        let name = job.file_name().unwrap().to_str().unwrap().to_owned();
        let scene = scenes::all().into_iter().find(|scene| scene.name == name);
        all.push((job, scene.unwrap_or_else(|| panic!("no scene is called {name}"))));
    }
    assert!(!all.is_empty());
    all
}

/// Runs `check` for each kept job, two at a time, and tells of all that fail.
fn each(check: impl Fn(&Path, &Scene) -> Result<(), String> + Sync) {
    let kept = kept();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let wrong = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((job, scene)) =
                    kept.get(next.fetch_add(1, std::sync::atomic::Ordering::SeqCst))
                {
                    if let Err(why) = check(job, scene) {
                        wrong.lock().unwrap().push(format!("{}: {why}", job.display()));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {} jobs:\n{}", wrong.len(), kept.len(), wrong.join("\n\n"));
}

/// What differs between two texts.
fn same(kept: &Path, is: &str) -> Result<(), String> {
    let was = fs::read_to_string(kept).unwrap();
    if was == is {
        return Ok(());
    }
    let only = |a: &str, b: &str| {
        let lines: Vec<_> = a.lines().filter(|line| !b.lines().any(|other| other == *line)).collect();
        lines.join("\n")
    };
    let (then, now) = (only(&was, is), only(is, &was));
    let (then, now) = if then == now { (was, is.to_owned()) } else { (then, now) };
    let name = kept.file_name().unwrap().display();
    Err(format!("{name} was another\n--- then\n{then}\n--- now\n{now}"))
}

/// Puts the job there as it was left.
fn put(job: &Path, stage: &Stage) -> Journal {
    let journal = Journal::read(&fs::read(job.join("journal")).unwrap());
    let id = journal.id_text();
    let directory = stage.state().join("jobs").join(&id);
    fs::create_dir_all(&directory).unwrap();
    for name in ["journal", "journal.new", "lock"] {
        if job.join(name).exists() {
            fs::copy(job.join(name), directory.join(name)).unwrap();
        }
    }
    fs::copy(job.join("log"), stage.state().join(format!("{id}.log"))).unwrap();
    journal
}

#[test]
fn each_is_shown_as_it_was() {
    each(|job, scene| {
        let stage = Stage::new(&program(), scene.keeps);
        let journal = put(job, &stage);
        same(&job.join("shown.txt"), &told::shown(&stage, &journal.id_text()))
    });
}

#[test]
fn each_is_resumed_to_its_end() {
    each(|job, scene| {
        for same_boot in scene.boots() {
            let resumed = resume(&program(), job, scene, *same_boot);
            let text = resumed.map_err(|why| format!("same run of the machine: {same_boot}: {why}"))?;
            same(&job.join(told::resumed_name(*same_boot)), &text)?;
        }
        Ok(())
    });
}

/// Puts the job and what was there before a program, has it go on, and returns what it told and what is there then.
fn resume(program: &Path, job: &Path, scene: &Scene, same_boot: bool) -> Result<String, String> {
    let stage = Stage::new(program, scene.keeps);
    (scene.prepare)(&stage);
    let mut journal = put(job, &stage);
    let there = fs::read_to_string(job.join("there.txt")).unwrap();
    there::restore(&stage, &there, &mut journal, same_boot);
    told::move_here(&stage, &mut journal);
    let id = journal.id_text();
    fs::write(stage.state().join("jobs").join(&id).join("journal"), journal.to_bytes()).unwrap();
    (scene.mend)(&stage);
    let before = stage.server.stats();
    let told = told::resumed(&stage, &journal, same_boot && scene.moves.is_some())?;
    let after = stage.server.stats();
    let moved = (after.bytes_in - before.bytes_in) + (after.bytes_out - before.bytes_out);
    if let Some(most) = scene.moves.filter(|most| same_boot && moved > *most) {
        return Err(format!("{moved} bytes were moved, and {most} are enough\n{told}"));
    }
    // The log goes on behind what it was.
    let (was, is) = (job.join("log"), stage.state().join(format!("{id}.log")));
    let (was, is) = (fs::read(was).unwrap(), fs::read(is).unwrap());
    if !is.starts_with(&was) || is.len() == was.len() {
        return Err("its log was not gone on with".to_owned());
    }
    let text = told + &there::end(&stage, scene.posix);
    if text.lines().any(|line| line.contains(" other") || line.contains(" zeros")) {
        return Err(format!("neither the source nor an earlier run has written this:\n{text}"));
    }
    // Shown again, and removed with its log.
    let shown = stage.run(["jobs", "show", &id]);
    let removed = stage.run(["jobs", "remove", &id]);
    if (shown.code, removed.code) != (Some(0), Some(0)) || stage.state().join(format!("{id}.log")).exists() {
        return Err(format!("it is not removed: {}{}", shown.stderr, removed.stderr));
    }
    Ok(text)
}
