//! CPU time of this process and of its threads, from `/proc`.

use std::fs;

/// Kernel ticks a second in `/proc/*/stat`: fixed at 100 for user space on Linux.
const TICKS: f64 = 100.0;

/// User and system time of the process, in seconds.
pub(crate) fn process_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    ticks(&stat) / TICKS
}

/// Fields 14 and 15, counted after the name, which may hold spaces.
fn ticks(stat: &str) -> f64 {
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    rest.split_whitespace().skip(11).take(2).filter_map(|f| f.parse::<f64>().ok()).sum()
}

/// Time on a CPU of the threads whose name begins with `prefix`, in seconds: from `schedstat` in nanoseconds, or from
/// `stat` in hundredths of a second where the kernel lacks the former.
pub(crate) fn thread_seconds(prefix: &str) -> f64 {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else { return 0.0 };
    tasks
        .flatten()
        .map(|task| task.path())
        .filter(|path| fs::read_to_string(path.join("comm")).is_ok_and(|name| name.starts_with(prefix)))
        .map(|path| {
            let nanoseconds = fs::read_to_string(path.join("schedstat")).ok().and_then(|text| {
                text.split_whitespace().next().and_then(|n| n.parse::<f64>().ok()).filter(|n| *n > 0.0)
            });
            match nanoseconds {
                Some(n) => n / 1e9,
                None => ticks(&fs::read_to_string(path.join("stat")).unwrap_or_default()) / TICKS,
            }
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_any_name() {
        let stat = "1 (a b) c) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0";
        assert!((ticks(stat) - 200.0).abs() < f64::EPSILON);
    }

    #[test]
    fn this_thread_uses_time() {
        let name = std::thread::current().name().unwrap_or_default().chars().take(15).collect::<String>();
        let before = thread_seconds(&name);
        let mut x = 1u64;
        for i in 0..50_000_000u64 {
            x = std::hint::black_box(x.wrapping_mul(31).wrapping_add(i));
        }
        assert!(x != 0 && thread_seconds(&name) > before);
    }
}
