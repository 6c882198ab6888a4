//! What was measured: one [`Run`] a process, kept as JSON, and the table made of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

const MIB: f64 = (1 << 20) as f64;
const GIB: f64 = (1 << 30) as f64;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Case {
    /// Many files of 4 KiB.
    Small,
    /// One file of 4 GiB.
    Large,
    /// One file of 7 bytes.
    One,
    /// Many blobs of 4 KiB, downloaded.
    DownSmall,
    /// One blob of 4 GiB, downloaded to the disk.
    DownLarge,
    /// A million blobs, listed.
    List,
    /// Many blobs, removed.
    Remove,
    /// Many blobs of 4 KiB, copied from account to account by the service.
    Copy,
    /// The same, through the client's memory.
    RelaySmall,
    /// One blob of 4 GiB, copied from account to account through the client's memory.
    RelayLarge,
    /// A dry run over many empty files.
    DryRun,
}

impl Case {
    /// True when blobs go from account to account.
    #[must_use]
    pub fn is_copy(self) -> bool {
        matches!(self, Self::Copy | Self::RelaySmall | Self::RelayLarge)
    }

    /// True when a source is uploaded; the other cases are for azuring and AzCopy over https.
    #[must_use]
    pub fn is_upload(self) -> bool {
        matches!(self, Self::Small | Self::Large | Self::One)
    }
}

/// How the client talks to the sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// HTTP/1.1 without TLS.
    Http,
    /// HTTP/1.1 over TLS, the only protocol offered: what Azure's blob endpoints do.
    Https,
    /// HTTP/2 over TLS, for information.
    H2,
}

impl Transport {
    fn label(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::H2 => "https, HTTP/2",
        }
    }
}

/// Who uploads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Tool {
    /// This project.
    Azuring,
    /// This project as it was: the program that `AZURING_BEFORE` names.
    Before,
    /// AzCopy.
    #[value(name = "azcopy")]
    #[serde(rename = "azcopy")]
    AzCopy,
    /// rclone.
    Rclone,
    /// `curl -T`, in parts of 8 MiB over one connection.
    Curl,
}

impl Tool {
    /// The name people know it by.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Azuring => "azuring",
            Self::Before => "before",
            Self::AzCopy => "AzCopy",
            Self::Rclone => "rclone",
            Self::Curl => "curl -T",
        }
    }
}

/// The machine the runs were made on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Processor model as the kernel names it.
    pub cpu: String,
    /// Logical processors this process may use.
    pub cores: usize,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Kernel release.
    pub kernel: String,
}

/// One upload by one process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// What was done.
    pub case: Case,
    /// Over what.
    pub transport: Transport,
    /// By whom.
    pub tool: Tool,
    /// Which round, from 1; the tools of one round ran one after the other.
    pub round: u32,
    /// Files in the source, or blobs.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Start of the process to its end, in seconds.
    pub wall_s: f64,
    /// CPU time of the client in user mode, in seconds.
    pub user_s: f64,
    /// CPU time of the client in the kernel, in seconds.
    pub sys_s: f64,
    /// Peak resident memory of the client in bytes.
    pub peak_rss_bytes: u64,
    /// CPU time of the sink during the run, in seconds: says whether the sink was the wall.
    pub sink_cpu_s: f64,
    /// Requests the sink answered; 0 in results from before it was counted.
    #[serde(default)]
    pub requests: u64,
    /// Why the run does not count; `None` when everything was where it should be.
    pub wrong: Option<String>,
}

impl Run {
    /// User and kernel time of the client in seconds.
    #[must_use]
    pub fn cpu_s(&self) -> f64 {
        self.user_s + self.sys_s
    }

    fn rss(&self) -> f64 {
        self.peak_rss_bytes as f64
    }
}

/// Everything one call of the runner found out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Start, UTC, as `YYYY-MM-DDThh:mm:ssZ`.
    pub date: String,
    /// Where.
    pub machine: Machine,
    /// Version of each tool, as it prints it.
    pub versions: BTreeMap<String, String>,
    /// What a reader has to know to judge the numbers: missing tools, reduced sizes.
    pub notes: Vec<String>,
    /// Every run, in the order they were made.
    pub runs: Vec<Run>,
}

/// Medians of one tool in one case over one transport.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// By whom.
    pub tool: Tool,
    /// Over what.
    pub transport: Transport,
    /// Median client CPU in seconds.
    pub cpu_s: f64,
    /// Median wall time in seconds.
    pub wall_s: f64,
    /// Median peak memory in bytes.
    pub peak_rss_bytes: f64,
    /// Sink CPU over wall time, median: near the number of cores the sink was the wall.
    pub sink_load: f64,
    /// Median requests.
    pub requests: f64,
    /// Median over the rounds of this tool's CPU divided by AzCopy's in the same round and transport.
    pub cpu_of_azcopy: Option<f64>,
    /// The same for wall time.
    pub wall_of_azcopy: Option<f64>,
    /// The same for CPU, of the azuring before.
    pub cpu_of_before: Option<f64>,
    /// The same for peak memory, of the azuring before.
    pub rss_of_before: Option<f64>,
    /// Files of one run.
    pub files: u64,
    /// Bytes of one run.
    pub bytes: u64,
    /// The runs that do not count, out of all.
    pub wrong: usize,
}

impl Report {
    /// True when every run left the sink with exactly the source.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.runs.iter().all(|run| run.wrong.is_none())
    }

    /// One row for each transport and tool of a case; wrong runs are in, and counted.
    #[must_use]
    pub fn rows(&self, case: Case) -> Vec<Row> {
        let mut groups: BTreeMap<(Transport, Tool), Vec<&Run>> = BTreeMap::new();
        for run in self.runs.iter().filter(|run| run.case == case) {
            groups.entry((run.transport, run.tool)).or_default().push(run);
        }
        let row = |(&(transport, tool), runs): (&(Transport, Tool), &Vec<&Run>)| {
            let of = |tool: Tool, value: fn(&Run) -> f64| {
                let others = groups.get(&(transport, tool));
                let pairs = runs.iter().filter_map(|run| {
                    let other = others?.iter().find(|other| other.round == run.round)?;
                    Some(value(run) / value(other))
                });
                median(pairs.collect())
            };
            let mid = |value: fn(&Run) -> f64| {
                median(runs.iter().map(|run| value(run)).collect()).unwrap_or(f64::NAN)
            };
            Row {
                tool,
                transport,
                cpu_s: mid(Run::cpu_s),
                wall_s: mid(|run| run.wall_s),
                peak_rss_bytes: mid(Run::rss),
                sink_load: mid(|run| run.sink_cpu_s / run.wall_s),
                requests: mid(|run| run.requests as f64),
                cpu_of_azcopy: of(Tool::AzCopy, Run::cpu_s),
                wall_of_azcopy: of(Tool::AzCopy, |run| run.wall_s),
                cpu_of_before: of(Tool::Before, Run::cpu_s),
                rss_of_before: of(Tool::Before, Run::rss),
                files: runs[0].files,
                bytes: runs[0].bytes,
                wrong: runs.iter().filter(|run| run.wrong.is_some()).count(),
            }
        };
        groups.iter().map(row).collect()
    }

    /// The whole report for people.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut out = String::new();
        let Machine { cpu, cores, memory_bytes, kernel } = &self.machine;
        let memory_gib = *memory_bytes as f64 / GIB;
        let _ = writeln!(out, "{}, {cpu}, {cores} cores, {memory_gib:.0} GiB, Linux {kernel}\n", self.date);
        for (tool, version) in &self.versions {
            let _ = writeln!(out, "- {tool}: {version}");
        }
        for note in &self.notes {
            let _ = writeln!(out, "- note: {note}");
        }
        for &case in Case::value_variants() {
            let rows = self.rows(case);
            if let Some(first) = rows.first() {
                let _ = write!(out, "\n{}", Self::table(case, first, &rows));
            }
        }
        out.push_str(&self.before_and_after());
        out
    }

    /// One line for each case and transport that the azuring before has run too; nothing where there is none.
    fn before_and_after(&self) -> String {
        let mut lines = String::new();
        for &case in Case::value_variants() {
            let rows = self.rows(case);
            for now in rows.iter().filter(|row| row.tool == Tool::Azuring) {
                let before =
                    rows.iter().find(|row| row.tool == Tool::Before && row.transport == now.transport);
                let Some(before) = before else { continue };
                let name = case.to_possible_value().expect("every case can be asked for");
                let _ = writeln!(
                    lines,
                    "| {} | {} | {:.3} | {:.3} | {} | {:.1} | {:.1} | {} |",
                    name.get_name(),
                    now.transport.label(),
                    before.cpu_s,
                    now.cpu_s,
                    ratio(now.cpu_of_before),
                    before.peak_rss_bytes / MIB,
                    now.peak_rss_bytes / MIB,
                    ratio(now.rss_of_before),
                );
            }
        }
        if lines.is_empty() {
            return lines;
        }
        let heads = "CPU s before | now | now / before | peak RSS MiB before | now | now / before";
        format!(
            "\n### Before and after\n\n| case | transport | {heads} |\n|---|---|{}\n{lines}",
            "---:|".repeat(6)
        )
    }

    fn table(case: Case, first: &Row, rows: &[Row]) -> String {
        let (mut out, columns) = (String::new(), columns(case));
        let _ = match case {
            Case::Small => {
                writeln!(out, "### {} files of {} bytes\n", first.files, first.bytes / first.files.max(1))
            }
            Case::Large => writeln!(out, "### One file of {:.2} GiB\n", first.bytes as f64 / GIB),
            Case::One => writeln!(out, "### One file of {} bytes\n", first.bytes),
            Case::DownSmall => {
                writeln!(
                    out,
                    "### {} blobs of {} bytes, downloaded\n",
                    first.files,
                    first.bytes / first.files.max(1)
                )
            }
            Case::DownLarge => {
                writeln!(out, "### One blob of {:.2} GiB, downloaded\n", first.bytes as f64 / GIB)
            }
            Case::List => writeln!(out, "### {} blobs, listed\n", first.files),
            Case::Remove => writeln!(out, "### {} blobs, removed\n", first.files),
            Case::Copy => writeln!(out, "### {} blobs, copied by the service\n", first.files),
            Case::RelaySmall => writeln!(out, "### {} blobs, copied through memory\n", first.files),
            Case::RelayLarge => {
                writeln!(out, "### One blob of {:.2} GiB, copied through memory\n", first.bytes as f64 / GIB)
            }
            Case::DryRun => writeln!(out, "### Dry run over {} files\n", first.files),
        };
        let heads: Vec<&str> = columns.iter().map(|(head, _)| *head).collect();
        let _ = writeln!(out, "| transport | tool | {} |", heads.join(" | "));
        let _ = writeln!(out, "|---|---|{}", "---:|".repeat(columns.len()));
        for row in rows {
            let cells: Vec<String> = columns.iter().map(|(_, cell)| cell(row)).collect();
            let wrong = if row.wrong > 0 { format!(" **WRONG x {}**", row.wrong) } else { String::new() };
            let _ = writeln!(
                out,
                "| {} | {}{wrong} | {} |",
                row.transport.label(),
                row.tool.label(),
                cells.join(" | ")
            );
        }
        out
    }
}

/// A column: its head and how a row fills it.
type Column = (&'static str, fn(&Row) -> String);

fn columns(case: Case) -> Vec<Column> {
    let mut columns: Vec<Column> = match case {
        Case::Small
        | Case::DownSmall
        | Case::List
        | Case::Remove
        | Case::Copy
        | Case::RelaySmall
        | Case::DryRun => vec![
            ("CPU us/file", |row| format!("{:.1}", row.cpu_s * 1e6 / row.files as f64)),
            ("files/s", |row| format!("{:.0}", row.files as f64 / row.wall_s)),
        ],
        Case::Large | Case::DownLarge | Case::RelayLarge => vec![
            ("CPU s/GiB", |row| format!("{:.3}", row.cpu_s * GIB / row.bytes as f64)),
            ("MiB/s", |row| format!("{:.0}", row.bytes as f64 / MIB / row.wall_s)),
        ],
        Case::One => vec![("CPU ms", |row| format!("{:.1}", row.cpu_s * 1e3))],
    };
    columns.push(("wall", |row| match row.wall_s {
        short if short < 1.0 => format!("{:.0} ms", short * 1e3),
        long => format!("{long:.2} s"),
    }));
    columns.push(("peak RSS MiB", |row| format!("{:.0}", row.peak_rss_bytes / MIB)));
    columns.push(("CPU / AzCopy's", |row| ratio(row.cpu_of_azcopy)));
    columns.push(("wall / AzCopy's", |row| ratio(row.wall_of_azcopy)));
    if case != Case::One {
        columns.push(("sink's cores", |row| format!("{:.2}", row.sink_load)));
        columns.push(("requests", |row| format!("{:.0}", row.requests)));
    }
    columns
}

fn ratio(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"))
}

/// The middle value, or the mean of the two middle ones; `None` of nothing.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(tool: Tool, round: u32, cpu_s: f64, wrong: bool) -> Run {
        Run {
            case: Case::Small,
            transport: Transport::Https,
            tool,
            round,
            files: 1_000,
            bytes: 4_096_000,
            wall_s: 2.0 * cpu_s,
            user_s: cpu_s / 2.0,
            sys_s: cpu_s / 2.0,
            peak_rss_bytes: 64 << 20,
            sink_cpu_s: cpu_s,
            requests: 1_001,
            wrong: wrong.then(|| "one blob is missing".to_owned()),
        }
    }

    fn report(runs: Vec<Run>) -> Report {
        let machine =
            Machine { cpu: "Some CPU".into(), cores: 2, memory_bytes: 8 << 30, kernel: "6.1".into() };
        Report {
            date: "2026-01-02T03:04:05Z".into(),
            machine,
            versions: BTreeMap::new(),
            notes: Vec::new(),
            runs,
        }
    }

    #[test]
    fn ratios_are_taken_within_a_round_and_the_median_of_them_is_shown() {
        let runs =
            [(1, 0.125, 1.0), (2, 0.5, 2.0), (3, 1.0, 1.0)].into_iter().flat_map(|(n, ours, theirs)| {
                [run(Tool::Azuring, n, ours, false), run(Tool::AzCopy, n, theirs, false)]
            });
        let report = report(runs.collect());
        let rows = report.rows(Case::Small);
        assert_eq!(rows.iter().map(|row| row.tool).collect::<Vec<_>>(), [Tool::Azuring, Tool::AzCopy]);
        // Ratios of the rounds: 1/8, 1/4, 1. The ratio of the medians would be 1/2.
        assert_eq!(rows[0].cpu_of_azcopy, Some(0.25));
        assert_eq!((rows[0].cpu_s, rows[1].cpu_s, rows[1].cpu_of_azcopy), (0.5, 1.0, Some(1.0)));
        let table = report.markdown();
        assert!(
            table.contains("| https | azuring | 500.0 | 1000 | 1.00 s | 64 | 0.250 | 0.250 | 0.50 | 1001 |"),
            "{table}"
        );
    }

    #[test]
    fn an_azuring_before_has_a_line_for_each_case_with_ratios_of_one_round() {
        let of = |tool, round, cpu_s, mib: u64| Run {
            peak_rss_bytes: mib << 20,
            ..run(tool, round, cpu_s, false)
        };
        let mut runs = vec![of(Tool::AzCopy, 1, 9.0, 900)];
        // CPU: 1/2, 2, 1 of the rounds, where the medians' ratio is 2; memory: 1/2, 1, 1/4.
        for (round, now, before) in
            [(1, (1.0, 32), (2.0, 64)), (2, (2.0, 40), (1.0, 40)), (3, (4.0, 10), (4.0, 40))]
        {
            runs.push(of(Tool::Azuring, round, now.0, now.1));
            runs.push(of(Tool::Before, round, before.0, before.1));
        }
        let mut h2 = runs.clone();
        h2.retain(|run| run.tool != Tool::AzCopy);
        h2.iter_mut().for_each(|run| run.transport = Transport::H2);
        runs.extend(h2);
        let text = report(runs).markdown();
        for transport in ["https", "https, HTTP/2"] {
            let line = format!("| small | {transport} | 2.000 | 2.000 | 1.000 | 40.0 | 32.0 | 0.500 |");
            assert!(text.contains(&line), "{text}");
        }
        assert!(!report(vec![run(Tool::Azuring, 1, 1.0, false)]).markdown().contains("Before and after"));
    }

    #[test]
    fn a_wrong_run_marks_its_row_and_the_report() {
        let report = report(vec![run(Tool::Rclone, 1, 0.1, true), run(Tool::Rclone, 2, 0.1, false)]);
        assert!(!report.is_right());
        assert!(report.markdown().contains("rclone **WRONG x 1**"));
    }

    #[test]
    fn a_report_survives_json() {
        let report = report(vec![run(Tool::AzCopy, 1, 0.1, true)]);
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    }
}
