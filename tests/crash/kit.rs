//! A source, a destination, and what has to be there when a job that was cut has been resumed.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use azsim::{Faults, Seed};
use azuring_bench::workload::Noise;
use azuring_journal::{JobId, Jobs, Recovered, State};
use azuring_tests::{Azuring, CONTAINER, DEVSTORE_ACCOUNT, DEVSTORE_KEY, Fixture, Outcome, wait_until};
use serde_json::Value;

/// Bytes of a block or a range.
const PIECE: u64 = 256 << 10;
/// Bytes by which it is asked what a large blob is now, when its download goes on.
const LOOK: u64 = 128 << 10;
/// The journal's counter that tells whether the file system was asked and has not answered.
const ASKED: usize = 19;
/// Each request takes this long at least, so that a job of two requests at once lasts for several commits of its
/// journal.
const LATENCY: Duration = Duration::from_millis(40);

/// The program that can be cut.
pub(crate) fn program() -> Azuring {
    Azuring::new(env!("CARGO_BIN_EXE_azuring-cut"))
}

/// Says a line that also a passing test shows.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// The account that copies come from, and its key.
const FROM: (&str, &str) = ("from", "RnJvbUZyb21Gcm9tRnJvbUZyb21Gcm9tRnJvbUZyb20=");
/// Another container of the account that copies go to.
const BESIDE: &str = "beside";
/// A blob of somebody else's at the destination, and what it holds.
const FOREIGN: (&str, &[u8]) = ("foreign", b"another's");

/// Which way the files go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Up,
    Down,
    /// From account to account, read by the destination.
    Copy,
    /// From account to account, through the program.
    Relay,
    /// From container to container.
    Within,
}

impl Way {
    /// Account and container of what is copied or downloaded.
    fn source(self) -> (&'static str, &'static str) {
        match self {
            Way::Up | Way::Down => (DEVSTORE_ACCOUNT, CONTAINER),
            Way::Copy | Way::Relay => (FROM.0, CONTAINER),
            Way::Within => (DEVSTORE_ACCOUNT, BESIDE),
        }
    }
}

/// What ends the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Its own SIGKILL.
    Kill,
    /// The power: what no sync made durable of the journal is gone.
    Power,
    /// The power, and the program is one that forgets to sync.
    PowerUnsynced,
}

/// A file's name below the source, and what it holds.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// What a job reported at its end, by the names of AzCopy's `EndOfJob`.
pub(crate) type Totals = BTreeMap<&'static str, String>;

const TOTALS: [&str; 13] = [
    "JobStatus",
    "TotalTransfers",
    "FileTransfers",
    "FolderPropertyTransfers",
    "SymlinkTransfers",
    "TransfersCompleted",
    "TransfersFailed",
    "TransfersSkipped",
    "TotalBytesTransferred",
    "TotalBytesEnumerated",
    "TotalBytesExpected",
    "PercentComplete",
    "SkippedSymlinkCount",
];

/// Bytes that depend on `seed` alone.
pub(crate) fn noise(seed: u64, len: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(len).unwrap()];
    Noise::new(seed).fill(&mut bytes);
    bytes
}

/// Twelve small files, one of them empty, and two large ones of five pieces.
pub(crate) fn few_files() -> Files {
    let small = [
        ("a.txt", 1),
        ("a b.txt", 999),
        ("empty", 0),
        ("dir/a", 300),
        ("dir/b c", 1500),
        ("dir.x", 44),
        ("dir/sub dir/1 2", 2500),
        ("dir/sub dir/3", 3),
        ("dir/sub dir/deep/x y z", 700),
        ("z/1", 10),
        ("z/2", 4000),
        ("zz", 123),
    ];
    let large = [("dir/large 1.bin", 4 * PIECE + 77), ("large.bin", 5 * PIECE)];
    let files = small.into_iter().chain(large).zip(1..);
    files.map(|((name, len), seed)| (name.to_owned(), noise(seed, len))).collect()
}

/// A source, a destination, and the program between them.
pub(crate) struct Scene {
    pub(crate) fixture: Fixture,
    way: Way,
    files: Files,
    /// What a file may hold besides, because it was there before its source was changed.
    older: Files,
}

/// What a cut job left.
pub(crate) struct Left {
    pub(crate) id: JobId,
    /// Bytes of small files, and of pieces, that have to be moved again: the most there may be.
    pub(crate) to_move: u64,
}

impl Scene {
    pub(crate) fn new(way: Way, files: Files) -> Self {
        let fixture = Fixture::with(program(), |server| {
            server.account(DEVSTORE_ACCOUNT, DEVSTORE_KEY).account(FROM.0, FROM.1)
        });
        for (account, container) in [(FROM.0, CONTAINER), (DEVSTORE_ACCOUNT, BESIDE)] {
            assert!(fixture.server().create_container(account, container));
        }
        let scene = Self { fixture, way, files, older: Files::new() };
        scene.write(&scene.files);
        match way {
            Way::Up => std::os::unix::fs::symlink("a.txt", scene.path("tree/link")).unwrap(),
            Way::Down => fs::create_dir(scene.path("to")).unwrap(),
            Way::Copy | Way::Relay | Way::Within => {}
        }
        if way != Way::Down {
            let (name, content) = FOREIGN;
            let foreign = Seed { name: name.to_owned(), content: vec![content.into()], ..Seed::default() };
            scene.fixture.server().plant(DEVSTORE_ACCOUNT, CONTAINER, [foreign]);
        }
        scene
    }

    pub(crate) fn files(&self) -> &Files {
        &self.files
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.fixture.path().join(relative)
    }

    /// Puts files where the job takes them from.
    fn write(&self, files: &Files) {
        let server = self.fixture.server();
        for (name, content) in files {
            let name = format!("tree/{name}");
            if self.way == Way::Up {
                self.fixture.file(&name, content);
            } else {
                let content = if content.is_empty() { vec![] } else { vec![content.clone().into()] };
                let (account, container) = self.way.source();
                server.plant(account, container, [Seed { name, content, ..Seed::default() }]);
            }
        }
    }

    /// What is copied or downloaded, with a SAS.
    fn source_url(&self) -> String {
        let (account, container) = self.way.source();
        let server = self.fixture.server();
        let sas = server.account_sas(account, "rl", Duration::from_secs(3600));
        format!("{}/{container}/tree?{sas}", server.url(account))
    }

    /// The job's command.
    pub(crate) fn command(&self, more: &[&str]) -> Vec<OsString> {
        let ends: [OsString; 2] = match self.way {
            Way::Up => [self.path("tree").into(), self.fixture.url().into()],
            Way::Down => [self.source_url().into(), self.path("to").into()],
            Way::Copy | Way::Relay | Way::Within => [self.source_url().into(), self.fixture.url().into()],
        };
        let flags = ["--recursive", "--block-size-mb=0.25", "--lanes=2", "--output-type=json"];
        let whole = "--put-blob-size-mb=0.25";
        let own = match self.way {
            Way::Up => &[whole][..],
            Way::Down => &[],
            Way::Copy | Way::Within => &[whole, "--route=direct"],
            Way::Relay => &[whole, "--route=relay"],
        };
        let mut command = vec![OsString::from("copy")];
        command.extend(ends);
        command.extend(flags.iter().chain(own).chain(more).map(OsString::from));
        command
    }

    /// `azuring jobs resume` of the job.
    pub(crate) fn resume_command(&self, id: JobId, more: &[&str]) -> Vec<OsString> {
        let mut own = vec!["jobs".to_owned(), "resume".to_owned(), id.to_string()];
        let ends = [
            ("source", self.way != Way::Up, self.source_url()),
            ("destination", self.way != Way::Down, self.fixture.url()),
        ];
        for (end, _, url) in ends.into_iter().filter(|(_, is_remote, _)| *is_remote) {
            own.push(format!("--{end}-sas={}", url.split_once('?').unwrap().1));
        }
        own.into_iter().map(OsString::from).chain(more.iter().map(OsString::from)).collect()
    }

    /// The program with this scene's home, and with a cut at moment `at`.
    pub(crate) fn cutting(&self, at: u64, cut: Cut) -> Azuring {
        let home = self.fixture.azuring().home();
        let azuring = program()
            .env("HOME", home)
            .current_dir(home)
            .env("AZURING_CUT_AT", at.to_string())
            .env("AZURING_CUT_NOTE", self.path("note"));
        match cut {
            Cut::Kill => azuring,
            Cut::Power => azuring.env("AZURING_CUT_POWER", self.path("witness")),
            Cut::PowerUnsynced => {
                azuring.env("AZURING_CUT_POWER", self.path("witness")).env("AZURING_CUT_SKIPS_SYNC", "1")
            }
        }
    }

    /// What the cut said of itself.
    pub(crate) fn note(&self) -> String {
        fs::read_to_string(self.path("note")).unwrap_or_default()
    }

    pub(crate) fn slow(&self) {
        self.fixture.server().set_faults(Faults { latency: LATENCY, ..Faults::default() });
    }

    pub(crate) fn fast(&self) {
        self.fixture.server().set_faults(Faults::default());
    }

    /// Changes the sources of a small and a large file, and not their lengths.
    pub(crate) fn change_sources(&mut self) {
        let changed: Files = ["zz", "dir/large 1.bin", "large.bin"]
            .into_iter()
            .zip(100..)
            .map(|(name, seed)| (name.to_owned(), noise(seed, self.files[name].len() as u64)))
            .collect();
        let there = self.there();
        for (name, content) in &changed {
            let before = self.files.insert(name.clone(), content.clone()).unwrap();
            // What was there before stays if the job knows that it is done.
            if there.contains_key(name) {
                self.older.insert(name.clone(), before);
            }
        }
        self.write(&changed);
    }

    /// What is at the destination, by its name below the source; what is unfinished has another.
    pub(crate) fn there(&self) -> Files {
        match self.way {
            Way::Up | Way::Copy | Way::Relay | Way::Within => {
                let names = self.fixture.names().into_iter().filter(|name| name != FOREIGN.0);
                names
                    .map(|name| {
                        (name.strip_prefix("tree/").unwrap_or(&name).to_owned(), self.fixture.content(&name))
                    })
                    .collect()
            }
            Way::Down => {
                let mut files = Files::new();
                walk(&self.path("to"), "", &mut files);
                let own = |name: String| name.strip_prefix("tree/").map(str::to_owned).unwrap_or(name);
                files.into_iter().map(|(name, content)| (own(name), content)).collect()
            }
        }
    }

    /// Whether everything at the destination is whole, and how many objects there are. Unfinished files do not count.
    pub(crate) fn nothing_is_half_there(&self) -> Result<usize, String> {
        let mut whole = 0;
        for (name, content) in self.there() {
            let is_unfinished = name.rsplit('/').next().is_some_and(|name| name.starts_with(".azuring-"));
            if is_unfinished {
                continue;
            }
            if self.files.get(&name) != Some(&content) {
                return Err(format!("{name}: {} bytes that are not its source's are visible", content.len()));
            }
            whole += 1;
        }
        Ok(whole)
    }

    /// Whether the job is whole: every object is there with the bytes of one version, nothing else is, the totals are
    /// `totals`, and what the job kept is in order.
    pub(crate) fn judge(&self, outcome: &Outcome, totals: &Totals) -> Result<(), String> {
        let said =
            || format!("\n--- stdout\n{}\n--- stderr\n{}", end_of(&outcome.stdout), end_of(&outcome.stderr));
        if outcome.code != Some(0) {
            return Err(format!("exit {:?}, signal {:?}{}", outcome.code, outcome.signal, said()));
        }
        let there = self.there();
        let (names, wanted): (BTreeSet<_>, BTreeSet<_>) =
            (there.keys().collect(), self.files.keys().collect());
        if names != wanted {
            let missing: Vec<_> = wanted.difference(&names).collect();
            let extra: Vec<_> = names.difference(&wanted).collect();
            return Err(format!("missing: {missing:?}, not in the source: {extra:?}{}", said()));
        }
        for (name, content) in &there {
            if *content != self.files[name] && self.older.get(name) != Some(content) {
                let mixed = differing_pieces(content, &self.files[name]);
                return Err(format!("{name}: bytes differ from the source in pieces {mixed:?}{}", said()));
            }
        }
        if self.way != Way::Down && self.fixture.content(FOREIGN.0) != FOREIGN.1 {
            return Err("what is another's was changed".to_owned());
        }
        let told = totals_of(outcome);
        if told != *totals {
            return Err(format!("totals {told:?}, and without a cut {totals:?}{}", said()));
        }
        for listed in self.jobs().list().unwrap() {
            let files = fs::read_dir(self.jobs().directory(listed.id)).unwrap();
            let mut files: Vec<_> = files.map(|entry| entry.unwrap().file_name()).collect();
            files.sort();
            if files != ["journal", "lock"] {
                return Err(format!("the job's directory holds {files:?}"));
            }
        }
        Ok(())
    }

    pub(crate) fn jobs(&self) -> Jobs {
        Jobs::new(&self.fixture.azuring().home().join(".azuring"))
    }

    /// The job that was begun, if it is one already.
    pub(crate) fn id(&self) -> Option<JobId> {
        let jobs = self.jobs().list().unwrap();
        assert!(jobs.len() <= 1, "{jobs:?}");
        jobs.first().map(|job| job.id)
    }

    /// Waits until the service has done with what a process left that was killed: the connections it had end a moment
    /// later.
    pub(crate) fn settle(&self) {
        let mut seen = None;
        wait_until("the end of the requests of a killed process", || {
            let stats = self.fixture.server().stats();
            let now = (stats.in_flight, stats.requests, stats.bytes_in, stats.bytes_out);
            let settled = now.0 == 0 && seen == Some(now);
            seen = Some(now);
            settled
        });
    }

    /// Bytes of request bodies that the service got, of answers that it gave, or that it has read elsewhere.
    pub(crate) fn moved(&self) -> u64 {
        let stats = self.fixture.server().stats();
        match self.way {
            Way::Up | Way::Relay => stats.bytes_in,
            Way::Down => stats.bytes_out,
            Way::Copy | Way::Within => stats.bytes_fetched,
        }
    }

    pub(crate) fn left(&self) -> Result<Option<Left>, String> {
        let Some(id) = self.id() else { return Ok(None) };
        let now = self.jobs().read(id).map_err(|error| format!("the journal: {error}"))?;
        // After a cut of the power: what has to be known still.
        let witness = Jobs::new(&self.path("witness")).read(id);
        let least = witness.as_ref().ok().filter(|_| now.counter(ASKED) == 0);
        let to_move = self.to_move(least.unwrap_or(&now));
        Ok(Some(Left { id, to_move }))
    }

    /// What a journal knows nothing better of than that it has to be moved: a small file whose outcome is not in it, a
    /// piece that the service does not have, or that is not known to be in its file; and the beginning of a blob that
    /// is asked what it is.
    fn to_move(&self, journal: &Recovered) -> u64 {
        let whole = |(name, content): (&String, &Vec<u8>)| {
            let len = content.len() as u64;
            let look = if self.way == Way::Down && len > PIECE { LOOK } else { 0 };
            (name.clone(), len + look)
        };
        let mut left: BTreeMap<String, u64> = self.files.iter().map(whole).collect();
        for part in 0..journal.parts() {
            let mut part = journal.part(part).unwrap();
            while let Some(transfer) = part.next().unwrap() {
                let name = std::str::from_utf8(transfer.name).unwrap();
                let name = name.strip_prefix("tree/").unwrap_or(name);
                let len = self.files[name].len() as u64;
                let known = match (transfer.state, self.way) {
                    (State::Done, _) => left[name],
                    _ if len <= PIECE => 0,
                    (_, Way::Up | Way::Copy | Way::Relay | Way::Within) => self.blocks_of(name).min(len),
                    // Nobody knows what the disk has said of them.
                    _ if journal.counter(ASKED) > 0 => 0,
                    _ => bytes_of(len, |piece| {
                        journal.large(transfer.number).is_some_and(|large| large.pieces.contains(piece))
                    }),
                };
                *left.get_mut(name).unwrap() -= known;
            }
        }
        left.values().sum()
    }

    /// Bytes of a blob's blocks that the service has, listed or not.
    fn blocks_of(&self, name: &str) -> u64 {
        let url = self.fixture.url_of(CONTAINER, &format!("tree/{}", name.replace(' ', "%20")));
        let (address, target) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let mut connection = TcpStream::connect(address).unwrap();
        let query = "comp=blocklist&blocklisttype=all";
        write!(connection, "GET /{target}&{query} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        let size = |text: &str| text.split_once("</Size>").unwrap().0.parse::<u64>().unwrap();
        answer.split("<Size>").skip(1).map(size).sum()
    }
}

/// The last lines of what a program said: there may be one for each object.
fn end_of(text: &str) -> &str {
    let from = text.rmatch_indices('\n').nth(30).map_or(0, |(at, _)| at + 1);
    &text[from..]
}

fn walk(directory: &Path, prefix: &str, files: &mut Files) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            walk(&entry.path(), &format!("{name}/"), files);
        } else {
            files.insert(name, fs::read(entry.path()).unwrap());
        }
    }
}

/// Bytes of those pieces of an object.
fn bytes_of(len: u64, mut is_done: impl FnMut(u64) -> bool) -> u64 {
    let pieces = (0..len.div_ceil(PIECE)).filter(|piece| is_done(*piece));
    pieces.map(|piece| PIECE.min(len - piece * PIECE)).sum()
}

fn differing_pieces(content: &[u8], source: &[u8]) -> Vec<usize> {
    let piece = usize::try_from(PIECE).unwrap();
    let (content, source) = (content.chunks(piece), source.chunks(piece));
    content.zip(source).enumerate().filter(|(_, (is, was))| is != was).map(|(n, _)| n).collect()
}

/// What `EndOfJob` counts.
pub(crate) fn totals_of(outcome: &Outcome) -> Totals {
    let lines = outcome.stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let Some(end) = lines.into_iter().find(|line| line["MessageType"] == "EndOfJob") else {
        return Totals::new();
    };
    let end: Value = serde_json::from_str(end["MessageContent"].as_str().unwrap()).unwrap();
    let text = |name: &str| end[name].as_str().map_or_else(|| end[name].to_string(), str::to_owned);
    TOTALS.into_iter().map(|name| (name, text(name))).collect()
}
