//! What a program tells of a job, without what differs from run to run.

use std::fmt::Write as _;

use md5::{Digest as _, Md5};
use serde_json::Value;

use crate::bytes::Journal;
use crate::stage::Stage;

/// With more lines than this, their number and a sum stand for them.
const LISTED: usize = 300;

/// What counts of a summary: requests and times are each run's own.
const COUNTED: [&str; 15] = [
    "status",
    "exit_code",
    "found",
    "found_folders",
    "found_links",
    "done",
    "failed",
    "folders_done",
    "folders_failed",
    "skipped_existing",
    "skipped_symlinks",
    "skipped_special",
    "problems",
    "not_ended",
    "bytes",
];

/// The file that has what was told when the job was resumed.
pub(crate) fn resumed_name(same_boot: bool) -> &'static str {
    if same_boot { "resumed.txt" } else { "resumed-after-restart.txt" }
}

/// The whole of what `jobs list` and `jobs show` tell.
pub(crate) fn shown(stage: &Stage, id: &str) -> String {
    let mut out = String::new();
    for args in [
        &["jobs", "list", "--output-type=ndjson"][..],
        &["jobs", "show", id, "--output-type=ndjson"],
        &["jobs", "show", id, "--with-status=All", "--output-type=ndjson"],
        &["jobs", "show", id, "--failed", "--names"],
    ] {
        let outcome = stage.run(args);
        writeln!(out, "$ {} ({})", args.join(" "), outcome.code.unwrap_or(-1)).unwrap();
        let lines = outcome.stdout.lines().map(|line| match serde_json::from_str::<Value>(line) {
            Ok(Value::Object(mut fields)) => {
                fields.remove("time");
                Value::Object(fields).to_string()
            }
            _ => line.to_owned(),
        });
        out += &listed(lines.collect());
    }
    out
}

/// These lines, or, of many, how many they are.
fn listed(lines: Vec<String>) -> String {
    let text = lines.iter().fold(String::new(), |all, line| all + line + "\n");
    if lines.len() <= LISTED {
        return text;
    }
    let sum = Md5::digest(text.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    });
    format!("{} lines, MD5 {sum}\n", lines.len())
}

/// Says in the description that the job was begun here, and with this server.
pub(crate) fn move_here(stage: &Stage, journal: &mut Journal) {
    let mut description = journal.description();
    let root = description["directory"].as_str().unwrap().to_owned();
    let ends = [&description["source"], &description["destination"]].map(|end| end.as_str().unwrap());
    let url = ends.into_iter().find(|end| end.starts_with("http://")).unwrap();
    let origin = format!("http://{}", url["http://".len()..].split('/').next().unwrap());
    let here = stage.root().into_os_string().into_string().unwrap();
    let moved = |text: &str| text.replace(&root, &here).replace(&origin, &stage.origin());
    let change = |value: &mut Value| {
        if let Value::String(text) = value {
            *text = moved(text);
        }
    };
    ["directory", "source", "destination"].iter().for_each(|field| change(&mut description[*field]));
    description["args"].as_array_mut().unwrap().iter_mut().for_each(change);
    journal.set_description(&description);
}

/// Has the job go on, which `goes_on` with its large objects where they stood: what ended how in this run, and the
/// counts of all.
///
/// # Errors
/// What it told, when it told no counts.
pub(crate) fn resumed(stage: &Stage, journal: &Journal, goes_on: bool) -> Result<String, String> {
    let description = journal.description();
    let mut args: Vec<String> = ["jobs", "resume"].map(str::to_owned).into();
    args.push(journal.id_text());
    args.push("--output-type=ndjson".to_owned());
    for end in ["source", "destination"] {
        if description[format!("{end}_sas")] == Value::Bool(true) {
            args.push(format!("--{end}-sas={}", stage.sas()));
        }
    }
    let outcome = stage.run(&args);
    let mut lines = vec![format!("exit {}", outcome.code.unwrap_or(-1))];
    let mut has_summary = false;
    for line in outcome.stdout.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let of = |fields: &[&str]| {
            let words = fields.iter().filter(|field| !line[**field].is_null());
            words.map(|field| format!(" {field}={}", line[*field])).collect::<String>()
        };
        let kind = line["type"].as_str().unwrap();
        match kind {
            "summary" => {
                has_summary = true;
                lines.push(format!("summary{}", of(&COUNTED)));
            }
            "done" => lines.push(format!("done{}", of(&["part", "index", "bytes"]))),
            "failed" => lines.push(format!("failed{}", of(&["object", "kind", "status", "code"]))),
            "skipped" => lines.push(format!("skipped{}", of(&["object", "reason"]))),
            _ => {}
        }
    }
    if !has_summary || (goes_on && outcome.stdout.contains("from its beginning")) {
        return Err(format!("{}{}", outcome.stdout, outcome.stderr));
    }
    lines.sort();
    Ok(listed(lines))
}
