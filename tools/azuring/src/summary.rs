//! The end of a job: AzCopy's summary on stdout, one line for a person on stderr.

use std::io::{self, Write};

use azuring_transfer::{JobPlan, Report};
use indicatif::{HumanBytes, HumanCount};

/// AzCopy's summary of `copy`, field for field.
pub(crate) fn write(out: &mut impl Write, plan: &JobPlan, report: &Report) -> io::Result<()> {
    let counts = &report.counts;
    let minutes = report.elapsed.as_secs_f64() / 60.0;
    writeln!(out, "\nJob {} summary", plan.id)?;
    writeln!(out, "Elapsed Time (Minutes): {minutes:.4}")?;
    let fields = [
        ("Number of File Transfers", counts.found),
        ("Number of Folder Property Transfers", 0),
        ("Number of Symlink Transfers", 0),
        ("Total Number of Transfers", counts.found),
        ("Number of File Transfers Completed", counts.done),
        ("Number of Folder Transfers Completed", 0),
        ("Number of File Transfers Failed", counts.failed),
        ("Number of Folder Transfers Failed", counts.problems),
        ("Number of File Transfers Skipped", counts.not_started()),
        ("Number of Folder Transfers Skipped", 0),
        ("Number of Symbolic Links Skipped", counts.skipped_symlinks),
        ("Number of Hardlinks Converted", 0),
        ("Number of Hardlinks Skipped", 0),
        ("Number of Special Files Skipped", counts.skipped_special),
        ("Total Number of Bytes Transferred", counts.bytes),
    ];
    for (name, value) in fields {
        writeln!(out, "{name}: {value}")?;
    }
    writeln!(out, "Final Job Status: {}", report.status())
}

/// What a person wants to know, in one line.
pub(crate) fn closing_line(report: &Report) -> String {
    let counts = &report.counts;
    let seconds = report.elapsed.as_secs_f64().max(1e-9);
    let mut line = format!(
        "{} files, {} in {:.2} s: {:.0} files/s, {}/s ({:.0} Mb/s); {} requests, {} retries, {} links",
        HumanCount(counts.done),
        HumanBytes(counts.bytes),
        seconds,
        counts.done as f64 / seconds,
        HumanBytes((counts.bytes as f64 / seconds) as u64),
        counts.bytes as f64 * 8.0 / 1e6 / seconds,
        HumanCount(counts.requests),
        HumanCount(counts.retries),
        report.links_opened,
    );
    if !report.latency_us.is_empty() {
        let ms = |quantile| report.latency_us.value_at_quantile(quantile) as f64 / 1000.0;
        line += &format!("; request p50 {:.1} ms, p99 {:.1} ms", ms(0.5), ms(0.99));
    }
    if counts.failed > 0 {
        line += &format!("; {} failed", HumanCount(counts.failed));
    }
    if counts.not_started() > 0 {
        line += &format!("; {} not started", HumanCount(counts.not_started()));
    }
    line
}
