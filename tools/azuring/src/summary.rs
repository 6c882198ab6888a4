//! The end of a job: AzCopy's summary on stdout, one line for a person on stderr.

use azuring_transfer::{Counts, JobPlan, Report, Verb};
use indicatif::{HumanBytes, HumanCount};

/// What AzCopy's summaries begin with.
pub(crate) fn transfers(counts: &Counts) -> [(&'static str, u64); 8] {
    [
        ("Number of File Transfers", counts.found - counts.found_folders - counts.found_links),
        ("Number of Folder Property Transfers", counts.found_folders),
        ("Number of Symlink Transfers", counts.found_links),
        ("Total Number of Transfers", counts.found),
        ("Number of File Transfers Completed", counts.done),
        ("Number of Folder Transfers Completed", counts.folders_done),
        ("Number of File Transfers Failed", counts.failed),
        ("Number of Folder Transfers Failed", counts.folders_failed + counts.problems),
    ]
}

/// AzCopy's summary, field for field.
pub(crate) fn text(plan: &JobPlan, report: &Report) -> String {
    let counts = &report.counts;
    let minutes = report.elapsed.as_secs_f64() / 60.0;
    let mut text = format!("\nJob {} summary\nElapsed Time (Minutes): {minutes:.4}\n", plan.id);
    let fields = [
        ("Number of File Transfers Skipped", counts.not_started() + counts.skipped_existing),
        ("Number of Folder Transfers Skipped", 0),
        ("Number of Symbolic Links Skipped", counts.skipped_symlinks),
        ("Number of Hardlinks Converted", 0),
        ("Number of Hardlinks Skipped", 0),
        ("Number of Special Files Skipped", counts.skipped_special),
        ("Total Number of Bytes Transferred", counts.bytes),
    ];
    for (name, value) in transfers(counts).into_iter().chain(fields) {
        text += &format!("{name}: {value}\n");
    }
    text + &format!("Final Job Status: {}", report.status())
}

/// What a person wants to know, in one line.
pub(crate) fn closing_line(verb: Verb, report: &Report) -> String {
    let (counts, before) = (&report.counts, &report.before);
    let seconds = report.elapsed.as_secs_f64().max(1e-9);
    // Of this run.
    let (done, bytes) = (counts.done.saturating_sub(before.done), counts.bytes.saturating_sub(before.bytes));
    let (done, per_s) = (HumanCount(done), done as f64 / seconds);
    let mut line = match verb {
        Verb::Remove => format!("{done} blobs removed in {seconds:.2} s: {per_s:.0} blobs/s"),
        Verb::SetProperties => format!("{done} blobs changed in {seconds:.2} s: {per_s:.0} blobs/s"),
        // What moves bytes.
        _ => format!(
            "{done} {objects}, {} in {seconds:.2} s: {per_s:.0} {objects}/s, {}/s ({:.0} Mb/s)",
            HumanBytes(bytes),
            HumanBytes((bytes as f64 / seconds) as u64),
            bytes as f64 * 8.0 / 1e6 / seconds,
            objects = if verb == Verb::Copy { "blobs" } else { "files" },
        ),
    };
    if verb == Verb::Copy {
        if let Some(way) = &report.way {
            line += &format!("; route {}", way.way.name());
        }
        line += &format!(
            "; {} moved by the service, {} sent through this host",
            HumanBytes(counts.bytes_by_service.saturating_sub(before.bytes_by_service)),
            HumanBytes(counts.bytes_sent.saturating_sub(before.bytes_sent)),
        );
    }
    line += &format!(
        "; {} requests, {} retries, {} links",
        HumanCount(counts.requests.saturating_sub(before.requests)),
        HumanCount(counts.retries.saturating_sub(before.retries)),
        report.links_opened,
    );
    if !report.latency_us.is_empty() {
        let ms = |quantile| report.latency_us.value_at_quantile(quantile) as f64 / 1000.0;
        line += &format!("; request p50 {:.1} ms, p99 {:.1} ms", ms(0.5), ms(0.99));
    }
    if before.done > 0 {
        line += &format!("; {} done before", HumanCount(before.done));
    }
    if counts.skipped_existing > 0 {
        line += &format!("; {} skipped", HumanCount(counts.skipped_existing));
    }
    if counts.failed > 0 {
        line += &format!("; {} failed", HumanCount(counts.failed));
    }
    if counts.not_started() > 0 {
        line += &format!("; {} not started", HumanCount(counts.not_started()));
    }
    line
}
