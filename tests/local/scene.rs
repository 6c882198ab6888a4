//! Blobs, a directory that fails, and the program between them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use azsim::Seed;
use azuring_bench::workload::Noise;
use azuring_tests::{CONTAINER, DEVSTORE_ACCOUNT, FaultyFs, Fixture, Outcome, azuring, faulty_fs};

/// `errno` values of Linux.
pub(crate) const EIO: i32 = 5;
pub(crate) const ENOSPC: i32 = 28;
pub(crate) const EROFS: i32 = 30;
pub(crate) const EDQUOT: i32 = 122;

/// Names below the destination, and what they hold.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// `unpacked`, as gzip makes it.
pub(crate) const PACKED: &[u8] =
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x2b\xcd\x2b\x48\x4c\xce\x4e\x4d\x01\x00\x96\x62\x2f\xca\x08\x00\x00\x00";

/// Bytes that depend on `seed` alone.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    Noise::new(seed).fill(&mut bytes);
    bytes
}

/// So many small files of different lengths.
pub(crate) fn small(count: u64) -> Files {
    let file = |n: u64| (format!("dir {}/{n:03}", n % 5), noise(n, 100 + 37 * usize::try_from(n).unwrap()));
    (0..count).map(file).collect()
}

/// Blobs below `tree/`, and a file system that fails.
pub(crate) struct Scene {
    pub(crate) fixture: Fixture,
    pub(crate) disk: FaultyFs,
    /// Where they are downloaded to.
    pub(crate) root: PathBuf,
    pub(crate) files: Files,
}

impl Scene {
    /// `options`: the file system's.
    pub(crate) fn new(files: Files, options: &[&str]) -> Self {
        let fixture = Fixture::new(azuring!());
        plant(&fixture, &files);
        let directory = fixture.path().join("disk");
        fs::create_dir(&directory).unwrap();
        let disk = faulty_fs!(&directory, options);
        Self { root: disk.path().to_owned(), fixture, disk, files }
    }

    /// The file system that fails is mounted at `below` in the destination, which is on another.
    pub(crate) fn mounted_below(files: Files, below: &str, options: &[&str]) -> Self {
        let fixture = Fixture::new(azuring!());
        plant(&fixture, &files);
        let directory = fixture.path().join("to").join(below);
        fs::create_dir_all(&directory).unwrap();
        let disk = faulty_fs!(&directory, options);
        Self { root: disk.path().parent().unwrap().to_owned(), fixture, disk, files }
    }

    /// The job's command.
    pub(crate) fn command(&self, more: &[&str]) -> Vec<String> {
        download(&self.fixture, &self.root, more)
    }

    pub(crate) fn run(&self, more: &[&str]) -> Outcome {
        self.fixture.run(self.command(more))
    }

    /// The only job there is.
    pub(crate) fn job(&self) -> String {
        let listed = self.fixture.run(["jobs", "list"]);
        let id = listed.stdout.lines().find_map(|line| line.strip_prefix("JobId: "));
        id.expect("there is a job").to_owned()
    }

    /// Goes on with it.
    pub(crate) fn resume(&self) -> Outcome {
        let url = self.fixture.url();
        let sas = url.split_once('?').unwrap().1;
        self.fixture.run(["jobs", "resume", &self.job(), &format!("--source-sas={sas}")])
    }

    /// Files that have their names, all of them whole.
    ///
    /// # Panics
    /// When one is not what its blob is, or something else is left that a job which has ended does not need.
    #[track_caller]
    pub(crate) fn whole(&self) -> usize {
        let there = there(&self.root);
        for (name, bytes) in &there {
            let blob = self.files.get(name).unwrap_or_else(|| panic!("{name} is no blob's file"));
            assert!(bytes == blob, "{name} has its name and not its content ({} bytes)", bytes.len());
        }
        there.len()
    }

    /// Nothing fails any more: the job goes on, and everything is there.
    #[track_caller]
    pub(crate) fn heals(&self) {
        self.disk.heal();
        let last = self.resume();
        last.expect_code(0);
        assert_eq!(self.whole(), self.files.len());
        let completed = last.field("Number of File Transfers Completed").map(str::to_owned);
        assert_eq!(completed, Some(self.files.len().to_string()), "{}", last.stdout);
    }
}

/// Makes them blobs below `tree/`.
pub(crate) fn plant(fixture: &Fixture, files: &Files) {
    let seeds = files.iter().map(|(name, bytes)| Seed {
        name: format!("tree/{name}"),
        content: vec![bytes.clone().into()],
        ..Seed::default()
    });
    fixture.server().plant(DEVSTORE_ACCOUNT, CONTAINER, seeds);
}

/// The command that downloads them into `to`.
pub(crate) fn download(fixture: &Fixture, to: &Path, more: &[&str]) -> Vec<String> {
    let source = fixture.url_of(CONTAINER, "tree/*");
    let to = to.to_str().unwrap().to_owned();
    let mut command = vec!["copy".to_owned(), source, to, "--recursive".to_owned()];
    command.extend(more.iter().map(|&word| word.to_owned()));
    command
}

/// All files below a directory.
pub(crate) fn there(root: &Path) -> Files {
    let (mut files, mut left) = (Files::new(), vec![PathBuf::new()]);
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(root.join(&directory)).unwrap() {
            let entry = entry.unwrap();
            let relative = directory.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                left.push(relative);
            } else {
                files.insert(relative.to_str().unwrap().to_owned(), fs::read(entry.path()).unwrap());
            }
        }
    }
    files
}
