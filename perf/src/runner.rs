//! The measurement: which run follows which, and what counts.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use azuring_tests::{Outcome, Stdin, run};
use clap::ValueEnum;

use crate::Error;
use crate::machine;
use crate::options::Options;
use crate::report::{Case, Report, Run, Tool, Transport};
use crate::sink::Sink;
use crate::tools::Tools;
use crate::workload::Workload;

/// The slowest tool needs about a minute for the largest case.
const DEADLINE: Duration = Duration::from_secs(1800);

/// Measures, prints the table, writes the results; `false` when a run was wrong.
pub(crate) fn measure(options: &Options) -> Result<bool, Error> {
    let scratch = tempfile::tempdir()?;
    let plan = plan(options);
    let wanted: Vec<Tool> = Tool::value_variants()
        .iter()
        .copied()
        .filter(|&tool| plan.iter().any(|(_, _, tools)| tools.contains(&tool)))
        .collect();
    let tools = Tools::find(&wanted, scratch.path())?;
    let present = |tool: Tool| tools.versions.iter().any(|(other, _)| *other == tool);
    let mut report = Report {
        date: machine::now(),
        machine: machine::describe(),
        versions: tools
            .versions
            .iter()
            .map(|(tool, version)| (tool.label().to_owned(), version.clone()))
            .collect::<BTreeMap<_, _>>(),
        notes: tools.missing.clone(),
        runs: Vec::new(),
    };
    if options.quick {
        report.notes.push("--quick: reduced sizes and runs, not for publication".to_owned());
    }
    for note in &report.notes {
        eprintln!("note: {note}");
    }
    let file = options.out.join(format!("{}.json", report.date.replace(':', "")));
    fs::create_dir_all(&options.out)?;
    for (case, transport, tools_of_case) in plan {
        let workload = Workload::prepare(case, options.size(), &options.work())?;
        let mut turn: Vec<Tool> = tools_of_case.into_iter().filter(|&tool| present(tool)).collect();
        for round in 1..=options.runs() {
            for &tool in &turn {
                let run = one_run(&tools, tool, &workload, transport, round, scratch.path())?;
                progress(&run);
                report.runs.push(run);
                // After each run: what was measured is kept even if a later run stops everything.
                fs::write(&file, serde_json::to_string_pretty(&report)?)?;
            }
            // Another tool begins the next round.
            let steps = 1.min(turn.len());
            turn.rotate_left(steps);
        }
    }
    println!("{}", report.markdown());
    eprintln!("every run: {}", file.display());
    Ok(report.is_right())
}

/// Case, transport, and the tools that take turns in it.
fn plan(options: &Options) -> Vec<(Case, Transport, Vec<Tool>)> {
    let mut plan = Vec::new();
    for &case in Case::value_variants() {
        for transport in [Transport::Http, Transport::Https, Transport::H2] {
            let tools: Vec<Tool> = Tool::value_variants()
                .iter()
                .copied()
                .filter(|&tool| Tools::fits(tool, case, transport) && options.wants(tool, transport))
                .collect();
            if options.wants_case(case) && !tools.is_empty() {
                plan.push((case, transport, tools));
            }
        }
    }
    plan
}

fn one_run(
    tools: &Tools,
    tool: Tool,
    workload: &Workload,
    transport: Transport,
    round: u32,
    scratch: &Path,
) -> Result<Run, Error> {
    let manifest = workload.begin()?;
    let (files, bytes) = Workload::totals(&manifest);
    let mut sink = Sink::start(transport, workload.planted, workload.case.is_copy(), scratch)?;
    let mut prepared = tools.command(tool, workload, transport, &sink)?;
    let sink_before = sink.cpu_s();
    let outcome = run(&mut prepared.command, Stdin::Blocking, DEADLINE)?;
    let sink_cpu_s = sink.cpu_s() - sink_before;
    let holds = sink.holds()?;
    let wrong = failure(&outcome).or(workload.check(&manifest, &holds, &outcome.stdout)?);
    Ok(Run {
        case: workload.case,
        transport,
        tool,
        round,
        files,
        bytes,
        wall_s: outcome.wall.as_secs_f64(),
        user_s: outcome.user.as_secs_f64(),
        sys_s: outcome.sys.as_secs_f64(),
        peak_rss_bytes: outcome.peak_rss_bytes,
        sink_cpu_s,
        requests: holds.requests,
        wrong,
    })
}

/// Why the client itself says that it failed.
fn failure(outcome: &Outcome) -> Option<String> {
    if outcome.code == Some(0) {
        return None;
    }
    let said = [&outcome.stderr, &outcome.stdout]
        .into_iter()
        .find_map(|text| text.lines().rev().find(|line| !line.trim().is_empty()));
    let why =
        if outcome.timed_out { "timed out".to_owned() } else { format!("exit code {:?}", outcome.code) };
    // A tool may print its URL, and with it the SAS; nothing after a question mark is of interest.
    let said = said.map(|line| line.split('?').next().unwrap_or_default().trim());
    Some(format!("{why}: {}", said.unwrap_or("no word")))
}

fn progress(run: &Run) {
    let wrong = run.wrong.as_ref().map(|reason| format!("  WRONG: {reason}")).unwrap_or_default();
    eprintln!(
        "{:?} {:?} #{} {:<8} wall {:>8.3} s  CPU {:>8.3} s  RSS {:>6.0} MiB{wrong}",
        run.case,
        run.transport,
        run.round,
        run.tool.label(),
        run.wall_s,
        run.cpu_s(),
        run.peak_rss_bytes as f64 / (1 << 20) as f64,
    );
}
