//! Jobs that are planned in the test's process, and parts that others run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use azsim::Seed;
use azuring_tests::{CONTAINER, DEVSTORE_ACCOUNT, Fixture, Running, Stdin, spawn};
use azuring_transfer::{
    BlobUrl, Credential, Event, JobBuilder, JobOptions, Limits, Part, PartEnd, PartOutcomes, Spec,
    StopHandle, TransferId,
};

/// A process that does not come to its end by itself has failed.
const DEADLINE: Duration = Duration::from_secs(180);

pub(crate) fn options() -> JobOptions {
    JobOptions::default().limits(Limits::here().memory_bytes(64 << 20).concurrency(8).lanes(2))
}

pub(crate) fn sas(fixture: &Fixture) -> String {
    fixture.url().split_once('?').unwrap().1.to_owned()
}

pub(crate) fn url(fixture: &Fixture, path: &str) -> BlobUrl {
    BlobUrl::parse(&fixture.url_of(CONTAINER, path)).unwrap()
}

pub(crate) fn credential(fixture: &Fixture) -> Credential {
    Credential::find(&url(fixture, ""), |_| None).unwrap()
}

pub(crate) fn plant(fixture: &Fixture, names: &[String], content: &'static [u8]) {
    let seed = |name: &String| Seed { name: name.clone(), content: vec![content.into()], ..Seed::default() };
    assert_eq!(fixture.server().plant(DEVSTORE_ACCOUNT, CONTAINER, names.iter().map(seed)), names.len());
}

/// Bytes that are this file's and no other's.
pub(crate) fn content(name: &str, len: usize) -> Vec<u8> {
    let mut state = name.bytes().fold(0x9e37_79b9_7f4a_7c15_u64, |state, byte| {
        (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> = std::iter::repeat_with(next).take(len.div_ceil(8)).flatten().collect();
    bytes.truncate(len);
    bytes
}

/// Small files with names of every kind, and in their middle a large one.
pub(crate) fn tree(small: usize, large: usize) -> BTreeMap<String, Vec<u8>> {
    let odd = ["a b", "%2F", "\u{e4}", "a-b", "a.b", "x=y&z", "\u{1f980}", "+#?"];
    let name = |n: usize| {
        let place = if n < small / 2 { "d" } else { "x" };
        format!("{place}{}/{}-{n}", n / 9, odd[n % odd.len()])
    };
    let mut files: BTreeMap<String, Vec<u8>> =
        (0..small).map(|n| (name(n), content(&name(n), 10 + n * 997))).collect();
    files.insert("large".to_owned(), content("large", large));
    files
}

/// Reads all files below a directory.
pub(crate) fn read(directory: &Path, below: &str, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{below}{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            read(&entry.path(), &format!("{name}/"), files);
        } else {
            files.insert(name, fs::read(entry.path()).unwrap());
        }
    }
}

/// A job that was written to files.
pub(crate) struct Planned {
    dir: PathBuf,
    pub(crate) spec: Spec,
    /// By their numbers, how many transfers they have.
    pub(crate) parts: BTreeMap<u32, usize>,
    /// Paths below the source, of each part.
    pub(crate) names: BTreeMap<u32, Vec<String>>,
    /// All transfers.
    pub(crate) ids: BTreeSet<TransferId>,
    /// What cannot be transferred.
    pub(crate) failed: Vec<String>,
}

impl Planned {
    pub(crate) fn new(fixture: &Fixture, job: JobBuilder, most: usize) -> Self {
        let job = job.build().unwrap();
        let dir = fixture.path().join(format!("job-{}", job.plan().id));
        fs::create_dir(&dir).unwrap();
        let (mut parts, mut ids, mut failed) = (BTreeMap::new(), BTreeSet::new(), Vec::new());
        let mut names = BTreeMap::new();
        let write = |spec: &Spec, part: Part| {
            fs::write(dir.join("spec"), spec.to_bytes())?;
            fs::write(dir.join(format!("part-{}", part.number())), part.to_bytes())?;
            for id in part.ids() {
                assert!(ids.insert(id), "{id:?} is in two parts");
            }
            assert!(parts.insert(part.number(), part.len()).is_none());
            names.insert(part.number(), part.names().map(|name| String::from_utf8(name).unwrap()).collect());
            Ok(())
        };
        let report = job.parts(most, &StopHandle::new(), write, |event| {
            if let Event::Failed(failure) = event {
                failed.push(failure.to_string());
            }
        });
        let report = report.unwrap();
        assert!(report.fatal.is_none(), "{:?}", report.fatal);
        assert_eq!(report.counts.found as usize, ids.len() + failed.len());
        let spec = Spec::from_bytes(&fs::read(dir.join("spec")).unwrap()).unwrap();
        Self { dir, spec, parts, names, ids, failed }
    }

    /// Keeps a part that was made later.
    pub(crate) fn add(&mut self, part: &Part) {
        assert!(part.ids().all(|id| self.ids.insert(id)), "a transfer is in two parts");
        assert!(self.parts.insert(part.number(), part.len()).is_none());
        let names = part.names().map(|name| String::from_utf8(name).unwrap()).collect();
        self.names.insert(part.number(), names);
        fs::write(self.part_file(part.number()), part.to_bytes()).unwrap();
    }

    /// What a part came to.
    pub(crate) fn outcomes(&self, number: u32) -> PartOutcomes {
        PartOutcomes::from_bytes(&fs::read(self.ends_file(number)).unwrap()).unwrap()
    }

    pub(crate) fn numbers(&self) -> impl Iterator<Item = u32> {
        self.parts.keys().copied()
    }

    pub(crate) fn part(&self, number: u32) -> Part {
        Part::from_bytes(&fs::read(self.part_file(number)).unwrap()).unwrap()
    }

    /// The part that has an object of this name.
    pub(crate) fn part_of(&self, name: &str) -> u32 {
        let has = |names: &Vec<String>| names.iter().any(|of| of.ends_with(name));
        *self.names.iter().find(|(_, names)| has(names)).unwrap().0
    }

    fn part_file(&self, number: u32) -> PathBuf {
        self.dir.join(format!("part-{number}"))
    }

    pub(crate) fn ends_file(&self, number: u32) -> PathBuf {
        self.dir.join(format!("ends-{number}"))
    }

    /// Starts a process that runs a part.
    pub(crate) fn start(&self, fixture: &Fixture, number: u32, again: bool) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_azuring-part"));
        command.arg(self.dir.join("spec")).arg(self.part_file(number)).arg(self.ends_file(number));
        if again {
            command.arg("again");
        }
        command.env_clear().env("AZURING_PART_SAS", sas(fixture)).current_dir("/");
        spawn(&mut command, Stdin::Closed, DEADLINE).unwrap()
    }

    /// The outcomes of all parts: one for each transfer of the job, and no other.
    pub(crate) fn all_ends(&self) -> BTreeMap<TransferId, PartEnd> {
        let mut ends = BTreeMap::new();
        for number in self.numbers() {
            let outcomes = self.outcomes(number);
            assert_eq!((outcomes.job, outcomes.part), (self.spec.job(), number));
            assert!(outcomes.outcomes.iter().map(|outcome| outcome.id).eq(self.part(number).ids()));
            for outcome in outcomes.outcomes {
                assert!(ends.insert(outcome.id, outcome.end).is_none(), "{:?} has ended twice", outcome.id);
            }
        }
        assert!(ends.keys().eq(self.ids.iter()), "a transfer has not ended");
        ends
    }
}
