//! Jobs of every kind over connections that are damaged: what arrives is right or told as failed, and nothing hangs.
//!
//! `AZURING_DAMAGE_ROUNDS=450 cargo test -p azuring-tests --test damage` runs 450 rounds instead of [`ROUNDS`];
//! `AZURING_DAMAGE_SEED=N` only the round of that seed. A seed chooses the job, the files and the damage; threads still
//! run as they like, so a seed that failed may have to be run several times. It goes into [`CASES`], with its bug.
#![allow(clippy::unwrap_used, reason = "test code")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use azsim::{Seed, Tls};
use azuring_bench::workload::Noise;
use azuring_tests::{CONTAINER, DEVSTORE_ACCOUNT, DamagingProxy, Fixture, Outcome, Rounds, Wire, azuring};
use serde_json::Value;

/// Always run: each job over http and over https, and what has ever failed.
const CASES: &[u64] = &[
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    10,
    11,
    12,
    13,
    14,
    15,
    // Changed bytes in small and large answers: without their CRC64 compared, these are seen.
    17,
    81,
    // A handshake that is damaged before anything was found stops the job, which says so once.
    33_622_166_616_546_921,
];
const ROUNDS: usize = 40;
/// Rounds at once: most of them wait for a pause or a stall to end.
const AT_ONCE: usize = 8;
/// So often a round is damaged.
const DAMAGES: u64 = 12;

type Files = BTreeMap<String, Vec<u8>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    Upload,
    Download,
    Remove,
    List,
    Append,
    Page,
    PipeUp,
    PipeDown,
}

const WAYS: [Way; 8] =
    [Way::Upload, Way::Download, Way::Remove, Way::List, Way::Append, Way::Page, Way::PipeUp, Way::PipeDown];

const PIECE: u64 = 256 << 10;

fn noise(random: &mut Noise, len: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(len).unwrap()];
    random.fill(&mut bytes);
    bytes
}

/// Small files and some of several pieces; of whole pages, where they become page blobs.
fn files(way: Way, random: &mut Noise) -> Files {
    let (small, large) = match way {
        Way::PipeUp | Way::PipeDown => (0, 1),
        Way::Append | Way::Page => (8, 2),
        _ => (60, 2),
    };
    let whole = |len: u64| if way == Way::Page { len / 512 * 512 } else { len };
    let mut files = Files::new();
    for n in 0..small {
        let directory = ["", "a/", "a b/"][n % 3];
        let len = whole(random.below(3_000));
        files.insert(format!("{directory}{n}"), noise(random, len));
    }
    for n in 0..large {
        let len = whole(PIECE + random.below(6 * PIECE));
        files.insert(format!("large {n}"), noise(random, len));
    }
    files
}

/// A round under way.
struct Round {
    way: Way,
    wire: Wire,
    files: Files,
    fixture: Fixture,
    proxy: DamagingProxy,
}

impl Round {
    fn new(seed: u64) -> Self {
        let mut random = Noise::new(seed);
        let way = WAYS[usize::try_from(seed % 8).unwrap()];
        let wire = if (seed / 8).is_multiple_of(2) { Wire::Http } else { Wire::Tls };
        let tls = if wire == Wire::Http { Tls::Off } else { Tls::SelfSigned };
        let fixture = Fixture::with(azuring!(), |server| server.tls(tls));
        let files = files(way, &mut random);
        if matches!(way, Way::Download | Way::Remove | Way::List | Way::PipeDown) {
            let seeds = files.iter().map(|(name, content)| Seed {
                name: name.clone(),
                content: vec![content.clone().into()],
                ..Seed::default()
            });
            fixture.server().plant(DEVSTORE_ACCOUNT, CONTAINER, seeds);
        } else {
            for (name, content) in &files {
                fixture.file(&format!("tree/{name}"), content);
            }
        }
        let proxy = DamagingProxy::start(fixture.server().addr(), wire, random.next_u64(), DAMAGES);
        Self { way, wire, files, fixture, proxy }
    }

    /// The container, or a blob in it, behind the proxy.
    fn url(&self, blob: &str) -> String {
        let direct = self.fixture.url_of(CONTAINER, blob);
        direct.replace(&self.fixture.server().addr().to_string(), &self.proxy.address().to_string())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.fixture.path().join(name)
    }

    /// What a pipe carries.
    fn piped(&self) -> &[u8] {
        &self.files["large 0"]
    }

    fn there(&self, name: &str) -> Option<Vec<u8>> {
        self.fixture.server().content(DEVSTORE_ACCOUNT, CONTAINER, name).map(|content| content.to_vec())
    }

    fn run(&self) -> Outcome {
        let [source, to] = ["tree/*", "to"].map(|name| self.path(name).to_str().unwrap().to_owned());
        let blob_type = format!("--blob-type={:?}Blob", self.way);
        let (first, more) = match self.way {
            Way::Upload => (vec!["copy".to_owned(), source, self.url("")], vec!["--recursive"]),
            Way::Append | Way::Page => {
                (vec!["copy".to_owned(), source, self.url("")], vec!["--recursive", &blob_type])
            }
            Way::Download => {
                (vec!["copy".to_owned(), self.url(""), to], vec!["--recursive", "--as-subdir=false"])
            }
            Way::Remove => (vec!["remove".to_owned(), self.url("")], vec!["--recursive"]),
            Way::List => (vec!["list".to_owned(), self.url("")], vec!["--machine-readable"]),
            Way::PipeUp => (vec!["copy".to_owned(), "-".to_owned(), self.url("large%200")], vec![]),
            Way::PipeDown => (vec!["copy".to_owned(), self.url("large%200"), "-".to_owned()], vec![]),
        };
        let mut args = first;
        args.extend(more.into_iter().map(str::to_owned));
        args.extend(["--stall-seconds=1", "--concurrency=8"].map(str::to_owned));
        if !matches!(self.way, Way::List | Way::Remove) {
            args.push("--block-size-mb=0.25".to_owned());
        }
        if self.way == Way::Upload {
            args.push("--put-blob-size-mb=0.25".to_owned());
        }
        match self.way {
            Way::PipeUp | Way::PipeDown => self.run_in_a_pipe(&args),
            Way::List => self.fixture.run(args),
            _ => {
                args.push("--output-type=ndjson".to_owned());
                self.fixture.run(args)
            }
        }
    }

    /// By a shell, which has files at the pipe's other end.
    fn run_in_a_pipe(&self, args: &[String]) -> Outcome {
        let (from, to) = (self.path("tree/large 0"), self.path("piped"));
        let script = match self.way {
            Way::PipeUp => r#"from=$1; shift 2; cat "$from" | "$@""#,
            _ => r#"to=$2; shift 2; "$@" > "$to""#,
        };
        let program = env!("CARGO_BIN_EXE_azuring-under-test");
        let mut line = vec!["-c", script, "sh", from.to_str().unwrap(), to.to_str().unwrap(), program];
        line.extend(args.iter().map(String::as_str));
        let mut shell = azuring_tests::Azuring::new("bash");
        if self.wire == Wire::Tls {
            shell = shell.trust(&self.fixture.ca_file());
        }
        shell.run(line)
    }

    /// What is wrong, if something is.
    fn judge(&self, outcome: &Outcome) -> Result<(), String> {
        let well = outcome.code == Some(0);
        match self.way {
            Way::List => {
                let listed: Vec<_> = outcome
                    .stdout
                    .lines()
                    .filter_map(|line| line.rsplit_once("; Content Length: "))
                    .map(|(name, len)| (name.to_owned(), len.parse().unwrap_or(usize::MAX)))
                    .collect();
                let expected: Vec<_> =
                    self.files.iter().map(|(name, content)| (name.clone(), content.len())).collect();
                let (read, all): (BTreeSet<_>, BTreeSet<_>) =
                    (listed.iter().collect(), expected.iter().collect());
                let right =
                    if well { listed.len() == all.len() && read == all } else { read.is_subset(&all) };
                right.then_some(()).ok_or_else(|| format!("listed: {listed:?}"))
            }
            Way::PipeUp => match self.there("large 0") {
                Some(content) if content == self.piped() => Ok(()),
                None if !well => Ok(()),
                other => Err(format!("{:?} bytes of {}", other.map(|c| c.len()), self.piped().len())),
            },
            Way::PipeDown => {
                let got = fs::read(self.path("piped")).unwrap();
                let right = if well { got == self.piped() } else { self.piped().starts_with(&got) };
                right.then_some(()).ok_or_else(|| format!("{} bytes of {}", got.len(), self.piped().len()))
            }
            _ => self.judge_objects(outcome),
        }
    }

    /// Each object is done and right, or told as failed.
    fn judge_objects(&self, outcome: &Outcome) -> Result<(), String> {
        let lines: Vec<Value> =
            outcome.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let told = |kind: &str| -> BTreeSet<String> {
            let lines = lines.iter().filter(|line| line["type"] == kind);
            lines.filter_map(|line| line["object"].as_str().map(str::to_owned)).collect()
        };
        let (done, failed) = (told("done"), told("failed"));
        let summary = lines.last().ok_or("there is no summary")?;
        let count = |name: &str| summary[name].as_u64().unwrap_or(u64::MAX);
        if (count("done"), count("failed")) != (done.len() as u64, failed.len() as u64) {
            return Err(format!("{summary} for {} done, {} failed", done.len(), failed.len()));
        }
        // A job that was stopped says why once, and what it had not begun is no failure.
        let stopped = summary["fatal"].is_string();
        if (outcome.code == Some(0)) != (failed.is_empty() && done.len() == self.files.len()) {
            return Err(format!("exit code {:?} with {} done, {failed:?} failed", outcome.code, done.len()));
        }
        for (name, content) in &self.files {
            let (is_done, has_failed) = (done.contains(name), failed.contains(name));
            let right = match self.way {
                Way::Download => fs::read(self.path("to").join(name)).ok().map(|read| read == *content),
                Way::Remove => Some(self.there(name).is_none()),
                _ => self.there(name).map(|there| there == *content),
            };
            let fine = match (is_done, has_failed, right) {
                (true, false, right) => right == Some(true),
                // These are seen while they are written, and what failed may be left, which is said.
                (false, true, Some(false)) => matches!(self.way, Way::Append | Way::Page | Way::Remove),
                (false, true, _) => true,
                (false, false, Some(false)) => stopped && self.way == Way::Remove,
                (false, false, _) => stopped,
                (true, true, _) => false,
            };
            if !fine {
                return Err(format!("{name}: done {is_done}, failed {has_failed}, right {right:?}"));
            }
        }
        Ok(())
    }

    /// Temporary files are gone.
    fn leftovers(&self) -> Vec<String> {
        fn below(dir: &Path, found: &mut Vec<String>) {
            for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                if name.starts_with(".azuring") {
                    found.push(name);
                } else {
                    below(&entry.path(), found);
                }
            }
        }
        let mut found = Vec::new();
        below(&self.path("to"), &mut found);
        found
    }
}

/// What happened in all rounds.
#[derive(Debug, Default)]
struct Happened {
    /// Rounds by way and exit code.
    ended: BTreeMap<(Way, Option<i32>), u64>,
    damages: BTreeMap<String, u64>,
}

fn round(seed: u64, happened: &Mutex<Happened>) -> Result<(), String> {
    let round = Round::new(seed);
    let outcome = round.run();
    let damages = round.proxy.happened();
    let mut all = happened.lock().unwrap();
    *all.ended.entry((round.way, outcome.code)).or_default() += 1;
    damages.iter().for_each(|(name, count)| *all.damages.entry(name.clone()).or_default() += count);
    drop(all);
    let tell = |wrong: String| {
        format!(
            "{:?} over {:?}, {damages:?}: {wrong}\n{}\n{}",
            round.way, round.wire, outcome.stdout, outcome.stderr
        )
    };
    round.judge(&outcome).map_err(tell)?;
    let left = round.leftovers();
    if !left.is_empty() {
        return Err(tell(format!("left behind: {left:?}")));
    }
    if !matches!(outcome.code, Some(0 | 1 | 5 | 7)) {
        return Err(tell(format!("exit code {:?}", outcome.code)));
    }
    Ok(())
}

#[test]
fn what_arrives_is_right_or_told() {
    let happened = Mutex::default();
    let rounds = Rounds { name: "DAMAGE", cases: CASES, count: ROUNDS, at_once: AT_ONCE };
    let (seeds, failed) = rounds.run(|seed| round(seed, &happened));
    let happened: Happened = happened.into_inner().unwrap();
    println!("seeds {seeds:?}: {} failed; {happened:?}", failed.len());
    assert!(failed.is_empty(), "put these seeds into CASES:\n{}", failed.join("\n\n"));
    // What is judged did happen.
    assert!(seeds.len() < ROUNDS || happened.damages.len() >= 12, "{happened:?}");
    assert!(seeds.len() < ROUNDS || happened.ended.keys().filter(|(_, code)| *code == Some(0)).count() == 8);
}
