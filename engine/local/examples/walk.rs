//! Walks a tree and says what it cost: `cargo run --release -p azuring-local --example walk -- DIR [THREADS]`.

use std::path::PathBuf;
use std::time::Instant;

use azuring_local::{Found, Walk};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args_os().skip(1);
    let root = PathBuf::from(args.next().ok_or("usage: walk DIR [THREADS]")?);
    let mut walk = Walk::new(root).recursive(true);
    if let Some(threads) = args.next() {
        walk = walk.threads(threads.to_string_lossy().parse()?);
    }
    let begin = Instant::now();
    let cpu = cpu_seconds()?;
    let mut stream = walk.start()?;
    let (mut batch, mut bytes) = (Vec::new(), 0);
    let mut more = true;
    while more {
        batch.clear();
        more = stream.next_batch(1_000, &mut batch);
        for found in &batch {
            match found {
                Found::File(path) | Found::Symlink(path) | Found::Directory(path) => {
                    bytes += path.as_bytes().len();
                }
                Found::Special { path, kind } => eprintln!("{path}: {kind}"),
                Found::Skipped { path, kind } => eprintln!("{path}: skipped, {kind}"),
                Found::Problem(problem) => eprintln!("{problem}"),
            }
        }
    }
    let (wall, cpu) = (begin.elapsed().as_secs_f64(), cpu_seconds()? - cpu);
    let counts = stream.counts();
    let entries = (counts.files + counts.skipped + counts.directories).max(1) as f64;
    println!("{counts:?}");
    println!(
        "{bytes} bytes of names; wall {wall:.3} s ({:.2} M entries/s, {:.2} us each), CPU {cpu:.2} s ({:.2} us each)",
        entries / wall / 1e6,
        wall / entries * 1e6,
        cpu / entries * 1e6
    );
    Ok(())
}

/// User and system time of all threads so far, in steps of 10 ms.
fn cpu_seconds() -> Result<f64, Box<dyn std::error::Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: f64 =
        fields.get(11..13).ok_or("short /proc/self/stat")?.iter().flat_map(|f| f.parse::<f64>()).sum();
    Ok(ticks / 100.0)
}
