//! A directory, a server and a program: what a job of the corpus was written in, and is gone on with in.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use azsim::{Fault, Faults, NameMatch, Operation, Rule, Seed, Server};
use azuring_bench::workload::Noise;
use azuring_journal::{JobId, Jobs, Recovered};
use azuring_tests::{Azuring, CONTAINER, DEVSTORE_ACCOUNT, Outcome, Running, wait_until};
use tempfile::TempDir;

/// All that any job needs: versions (`x`) and permanent deletion (`y`) included.
const PERMISSIONS: &str = "rwdxylact";

/// When files and blobs of the source were written: before any job.
const WRITTEN_S: u64 = 1_700_000_000;

/// Bytes of a version's time at the beginning of its file's name.
pub(crate) const VERSION_LEN: usize = "2023-11-14T22-13-20.1923362Z-".len();

pub(crate) struct Stage {
    dir: TempDir,
    pub(crate) server: Server,
    /// The account keeps versions, and for a week what was deleted.
    pub(crate) keeps: bool,
    program: PathBuf,
}

/// What an object holds that nobody has changed: bytes that depend on the last segment of its name, and its length.
pub(crate) fn content(name: &[u8], len: u64) -> Vec<u8> {
    bytes_of(name, len, 0)
}

/// What one holds that an earlier run has written: the job does not write it again if it knows that.
pub(crate) fn earlier(name: &[u8], len: u64) -> Vec<u8> {
    bytes_of(name, len, 1)
}

fn bytes_of(name: &[u8], len: u64, salt: u64) -> Vec<u8> {
    let last = name.rsplit(|byte| *byte == b'/').next().unwrap();
    // The file of a version is called after its time and the blob.
    let last = if last.get(27) == Some(&b'Z') { &last[VERSION_LEN..] } else { last };
    let seed =
        last.iter().fold(salt + 7, |seed, byte| seed.wrapping_mul(1_099_511_628_211) ^ u64::from(*byte));
    let mut bytes = vec![0; usize::try_from(len).unwrap()];
    Noise::new(seed).fill(&mut bytes);
    bytes
}

impl Stage {
    pub(crate) fn new(program: &Path, keeps: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("home")).unwrap();
        let server = Server::builder().versioning(keeps);
        let server = if keeps { server.soft_delete(7) } else { server };
        let server = server.start().unwrap();
        assert!(server.create_container(DEVSTORE_ACCOUNT, CONTAINER));
        Self { dir, server, keeps, program: program.to_owned() }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap()
    }

    /// What the container's URL begins with.
    pub(crate) fn origin(&self) -> String {
        format!("{}://{}", self.server.scheme(), self.server.addr())
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.root().join("home/.azuring")
    }

    pub(crate) fn jobs(&self) -> Jobs {
        Jobs::new(&self.state())
    }

    /// The one job, as far as it is recorded.
    pub(crate) fn recorded(&self) -> Option<(JobId, Recovered)> {
        let jobs = self.jobs().list().unwrap();
        assert!(jobs.len() <= 1, "{jobs:?}");
        let id = jobs.first()?.id;
        Some((id, self.jobs().read(id).unwrap()))
    }

    pub(crate) fn sas(&self) -> String {
        self.server.account_sas(DEVSTORE_ACCOUNT, PERMISSIONS, Duration::from_secs(3600))
    }

    /// Words of a command line: `{URL}` is the container's and gets a SAS at its end, `{ROOT}` is the directory, `{FF}`
    /// a byte that is in no text.
    pub(crate) fn words(&self, words: &[&str]) -> Vec<OsString> {
        let (container, sas) = (format!("{}/{CONTAINER}", self.server.url(DEVSTORE_ACCOUNT)), self.sas());
        let root = self.root().into_os_string().into_string().unwrap();
        let word = |word: &&str| {
            let sign = if word.starts_with("{URL}") { format!("?{sas}") } else { String::new() };
            let text = word.replace("{URL}", &container).replace("{ROOT}", &root) + &sign;
            let mut bytes = Vec::new();
            for (n, part) in text.split("{FF}").enumerate() {
                bytes.extend_from_slice(if n > 0 { b"\xff" } else { b"" });
                bytes.extend_from_slice(part.as_bytes());
            }
            OsString::from_vec(bytes)
        };
        words.iter().map(word).collect()
    }

    pub(crate) fn azuring(&self) -> Azuring {
        Azuring::new(&self.program).env("HOME", self.root().join("home")).current_dir(&self.root())
    }

    pub(crate) fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Outcome {
        self.azuring().run(args)
    }

    pub(crate) fn start(&self, words: &[&str]) -> Running {
        self.azuring().start(self.words(words))
    }

    /// Holds requests of this operation for names with `name` in them, after so many.
    pub(crate) fn hold(&self, operation: Operation, name: &str, passed: u64) {
        self.faults(vec![Rule { skip: passed, ..rule(Some(operation), name, Fault::Hold) }]);
    }

    pub(crate) fn faults(&self, rules: Vec<Rule>) {
        self.server.set_faults(Faults { rules, ..Faults::default() });
    }

    /// Waits until the journal says what is wanted.
    #[track_caller]
    pub(crate) fn wait_for(&self, what: &str, is_there: impl Fn(&Recovered) -> bool) {
        wait_until(what, || self.recorded().is_some_and(|(_, recovered)| is_there(&recovered)));
    }

    /// Lets a job run until its journal says what is wanted, and kills it there. The faults are gone then.
    #[track_caller]
    pub(crate) fn killed_when(&self, words: &[&str], what: &str, is_there: impl Fn(&Recovered) -> bool) {
        let running = self.start(words);
        self.wait_for(what, is_there);
        running.kill();
        assert_eq!(running.wait().unwrap().signal, Some(9));
        self.faults(Vec::new());
        self.settle();
    }

    /// Waits until the server has done with what a killed process has sent.
    pub(crate) fn settle(&self) {
        let mut seen = None;
        wait_until("the end of the requests of a killed process", || {
            let stats = self.server.stats();
            let now = (stats.in_flight, stats.requests, stats.bytes_in, stats.bytes_out);
            let settled = now.0 == 0 && seen == Some(now);
            seen = Some(now);
            settled
        });
    }

    /// Writes a file of the source.
    pub(crate) fn file(&self, name: impl AsRef<[u8]>, len: u64) -> PathBuf {
        let name = name.as_ref();
        self.write(name, &content(name, len))
    }

    pub(crate) fn write(&self, name: impl AsRef<[u8]>, content: &[u8]) -> PathBuf {
        let path = self.root().join(OsStr::from_bytes(name.as_ref()));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        let written = SystemTime::UNIX_EPOCH + Duration::from_secs(WRITTEN_S);
        fs::File::options().write(true).open(&path).unwrap().set_modified(written).unwrap();
        path
    }

    /// Plants a blob of the source.
    pub(crate) fn blob(&self, name: &str, len: u64) {
        self.plant(name, content(name.as_bytes(), len), &[]);
    }

    pub(crate) fn plant(&self, name: &str, content: Vec<u8>, metadata: &[(&str, &str)]) {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let seed = Seed {
            name: name.to_owned(),
            content: if content.is_empty() { Vec::new() } else { vec![content.into()] },
            modified_s: Some(WRITTEN_S),
            metadata: metadata.iter().map(own).collect(),
            ..Seed::default()
        };
        self.server.plant(DEVSTORE_ACCOUNT, CONTAINER, [seed]);
    }

    /// The ids of all versions and snapshots there are or were, oldest first.
    pub(crate) fn states(&self) -> Vec<String> {
        let query = "restype=container&comp=list&include=versions,snapshots,deleted";
        let (status, list) = self.ask("GET", "", query, "", b"");
        assert_eq!(status, 200, "{list}");
        let of = |tag: &str| -> Vec<String> {
            let tag = format!("<{tag}>");
            list.split(&tag).skip(1).map(|rest| rest.split('<').next().unwrap().to_owned()).collect()
        };
        let mut all = [of("VersionId"), of("Snapshot")].concat();
        all.sort();
        all.dedup();
        all
    }

    /// Asks the server for something about a blob, whose name is not encoded yet; returns status and body.
    pub(crate) fn ask(
        &self,
        method: &str,
        blob: &str,
        query: &str,
        headers: &str,
        body: &[u8],
    ) -> (u16, String) {
        let address = self.server.addr();
        let blob = percent(blob.as_bytes());
        let slash = if blob.is_empty() { "" } else { "/" };
        let target = format!("/{DEVSTORE_ACCOUNT}/{CONTAINER}{slash}{blob}?{query}&{}", self.sas());
        let mut connection = TcpStream::connect(address).unwrap();
        let len = body.len();
        write!(
            connection,
            "{method} {target} HTTP/1.1\r\nhost: {address}\r\nx-ms-version: 2024-11-04\r\ncontent-length: {len}\r\n\
             {headers}connection: close\r\n\r\n"
        )
        .unwrap();
        connection.write_all(body).unwrap();
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        (answer[9..12].parse().unwrap(), answer)
    }
}

/// A fault for every request of this operation for names with `name` in them.
pub(crate) fn rule(operation: Option<Operation>, name: &str, fault: Fault) -> Rule {
    Rule { name: NameMatch::Contains(name.to_owned()), operation, fault, skip: 0, count: u64::MAX }
}

/// A name in one word of letters.
pub(crate) fn percent(name: &[u8]) -> String {
    let mut out = String::new();
    for byte in name {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                out.push(char::from(*byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// The inverse of [`percent`].
pub(crate) fn unpercent(text: &str) -> Vec<u8> {
    percent_encoding::percent_decode_str(text).collect()
}
