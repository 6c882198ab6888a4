//! SIGKILL at random times, again and again, over a service that is busy, breaks off, and stands still.
//!
//! `AZURING_CRASH_ROUNDS=300 cargo test -p azuring-tests --test crash random` runs 300 rounds instead of 30;
//! `AZURING_CRASH_SEED=N` only the round of that seed. A seed chooses files, faults and times; threads still run as
//! they like, so a seed that failed may have to be run several times. It goes into [`CASES`], with its bug.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use azsim::{Faults, Rate};
use azuring_bench::workload::Noise;
use azuring_tests::Rounds;

use crate::kit::{Files, Scene, Way, noise, program, say};
use crate::point::Uncut;

/// Always run: an upload and a download, and what has ever failed.
const CASES: &[u64] = &[
    1,
    2,
    // A download killed after it linked the temporary name over a file that it had made before: that name stood in its
    // way.
    13_065_397_171_938_646_000,
    8_123_254_762_700_232_586,
    7_857_053_334_648_523_862,
    10_802_250_113_664_937_326,
];
const ROUNDS: usize = 30;
/// Rounds at once: they wait for a service that stands still most of the time.
const AT_ONCE: usize = 4;
/// A job that was killed so often may end.
const KILLS: u64 = 6;

/// 200 small files and three large ones of up to ten pieces.
fn files(random: &mut Noise) -> Files {
    let mut files = Files::new();
    for n in 0..200 {
        let directory = ["", "a/", "a b/", "a/c/", "z.z/"][n % 5];
        files.insert(format!("{directory}{n}"), noise(random.next_u64(), random.below(3000)));
    }
    for name in ["a/large", "large 2", "z.z/large"] {
        files.insert(name.to_owned(), noise(random.next_u64(), (300 << 10) + random.below(2 << 20)));
    }
    files
}

fn faults(random: &mut Noise) -> Faults {
    let rate = Rate::Probability(0.02);
    Faults {
        seed: random.next_u64(),
        jitter: Duration::from_millis(random.below(20)),
        server_busy: rate,
        internal_error: rate,
        bare_500: rate,
        reset: rate,
        cut_headers: rate,
        cut_body: rate,
        stall: Rate::Probability(0.003),
        ..Faults::default()
    }
}

/// What happened in some rounds.
#[derive(Debug, Default)]
struct Happened {
    rounds: u64,
    kills: u64,
    /// What the service did, by its name.
    faults: BTreeMap<String, u64>,
}

impl Happened {
    fn add(&mut self, kills: u64, faults: BTreeMap<String, u64>) {
        self.rounds += 1;
        self.kills += kills;
        faults.into_iter().for_each(|(name, count)| *self.faults.entry(name).or_default() += count);
    }
}

/// One round; tells what happened.
fn round(seed: u64, happened: &Mutex<Happened>) -> Result<(), String> {
    let mut random = Noise::new(seed);
    let way = match seed % 8 {
        3 => Way::Copy,
        4 => Way::Relay,
        _ if seed.is_multiple_of(2) => Way::Down,
        _ => Way::Up,
    };
    let scene = Scene::new(way, files(&mut random));
    let totals = Uncut::run(way, scene.files()).totals;
    scene.fixture.server().set_faults(faults(&mut random));
    let flags = ["--concurrency=8", "--stall-seconds=1"];
    let home = scene.fixture.azuring().home();
    let azuring = program().env("HOME", home).current_dir(home);
    let mut kills = 0;
    let ended = loop {
        let command = match scene.id() {
            Some(id) => scene.resume_command(id, &flags),
            None => scene.command(&flags),
        };
        if kills == KILLS {
            break azuring.run(command);
        }
        let running = azuring.start(command);
        std::thread::sleep(Duration::from_millis(5 + random.below(400)));
        running.kill();
        let outcome = running.wait().unwrap();
        if outcome.signal.is_none() {
            break outcome;
        }
        kills += 1;
        scene.nothing_is_half_there()?;
    };
    happened.lock().unwrap().add(kills, scene.fixture.server().stats().faults);
    scene.judge(&ended, &totals)
}

#[test]
fn nothing_is_lost_whenever_it_is_killed() {
    let happened = Mutex::default();
    let rounds = Rounds { name: "CRASH", cases: CASES, count: ROUNDS, at_once: AT_ONCE };
    let (seeds, failed) = rounds.run(|seed| round(seed, &happened));
    let happened: Happened = happened.into_inner().unwrap();
    say(&format!("seeds {seeds:?}: {} failed; {happened:?}", failed.len()));
    assert!(failed.is_empty(), "put these seeds into CASES:\n{}", failed.join("\n\n"));
    assert!(happened.kills >= happened.rounds, "it was killed: {happened:?}");
    assert!(
        seeds.len() < ROUNDS || happened.faults.len() == 7,
        "the service failed in every way: {happened:?}"
    );
}
