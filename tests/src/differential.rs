//! The same command line for AzCopy and for azuring, each against its own fresh container of the same server, and what
//! differs afterwards.
//!
//! ```text
//!   Case  line, source tree, blobs that are there, files that are there
//!     |-- AzCopy  --> container, directory, streams, exit code --> Facts --+
//!     |                                                                    |--> differences - declared ones = report
//!     `-- azuring --> container, directory, streams, exit code --> Facts --+
//! ```
//!
//! Every fact is compared, unless the case declares that it differs, with azuring's own value and the reason. A
//! declared difference that is none (any more) is a failure too. azuring runs through a link that is called `azcopy`,
//! so that exit codes compare.
//!
//! AzCopy takes two seconds at least for anything that transfers, most of it asleep: cases run side by side.

mod facts;
mod ledger;
pub mod shared;
mod stage;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;
use std::{fmt, fs, thread};

use tempfile::TempDir;

pub use facts::Aspect;
use facts::{Facts, differences};
pub use ledger::unlisted;
pub use stage::{Local, Remote};
use stage::{Servers, Tool};

use crate::{AzCopy, Azuring, Peers, Stdin, run};

/// Cases under way at a time: AzCopy sleeps most of its two seconds, and costs about 0.15 s of CPU.
const WORKERS: usize = 12;

/// No case moves more than a few MiB.
const DEADLINE: Duration = Duration::from_secs(180);

/// Cases whose name contains what this variable holds are run, and no others.
const ONLY: &str = "AZURING_CASES";

/// Which server a case runs against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Service {
    /// azsim, in this process.
    #[default]
    Azsim,
    /// Azurite.
    Azurite,
}

/// A command line and what is there when it is run.
#[derive(Clone, Debug)]
pub struct Case {
    name: &'static str,
    line: &'static str,
    service: Service,
    source: fn(&Local),
    blobs: fn(&Remote<'_>),
    destination: fn(&Local),
    stdin: Stdin,
    says: Vec<&'static str>,
    differs: Vec<Declared>,
}

/// A difference that is meant.
#[derive(Clone, Debug)]
struct Declared {
    aspect: Aspect,
    subject: &'static str,
    ours: &'static str,
    reason: &'static str,
}

impl Case {
    /// A case against azsim. `line` is what stands behind the program's name, cut at white space, with
    ///
    /// - `{SRC}` the directory that [`Case::source`] fills, the same for both tools,
    /// - `{DST}` a directory of each tool's own, which [`Case::destination`] fills,
    /// - `{URL}` the container with a SAS, `{URL/a%20b}` what is below it, percent-encoded,
    /// - `{GONE}` a container that does not exist, `{NEW}` the same by a URL that `make` understands,
    /// - `{_}` a space.
    #[must_use]
    pub fn new(name: &'static str, line: &'static str) -> Self {
        Self {
            name,
            line,
            service: Service::Azsim,
            source: |_| {},
            blobs: |_| {},
            destination: |_| {},
            stdin: Stdin::Blocking,
            says: Vec::new(),
            differs: Vec::new(),
        }
    }

    /// Runs it against another server.
    #[must_use]
    pub fn on(mut self, service: Service) -> Self {
        self.service = service;
        self
    }

    /// Makes what is below `{SRC}`.
    #[must_use]
    pub fn source(mut self, source: fn(&Local)) -> Self {
        self.source = source;
        self
    }

    /// Makes the blobs of each tool's container.
    #[must_use]
    pub fn blobs(mut self, blobs: fn(&Remote<'_>)) -> Self {
        self.blobs = blobs;
        self
    }

    /// Makes what is below each tool's `{DST}`.
    #[must_use]
    pub fn destination(mut self, destination: fn(&Local)) -> Self {
        self.destination = destination;
        self
    }

    /// Writes this to the standard input, and ends it.
    #[must_use]
    pub fn stdin(mut self, bytes: &'static [u8]) -> Self {
        self.stdin = Stdin::Bytes(bytes);
        self
    }

    /// Demands that both tools print this.
    #[must_use]
    pub fn says(mut self, text: &'static str) -> Self {
        self.says.push(text);
        self
    }

    /// Declares a difference: `ours` is azuring's value of the fact, `""` where it has none, `"*"` for any. The subject
    /// `"*"` stands for all facts of the aspect. Where a blob or a path is on one side only, nothing else of it is
    /// compared.
    #[must_use]
    pub fn differs(
        mut self,
        aspect: Aspect,
        subject: &'static str,
        ours: &'static str,
        reason: &'static str,
    ) -> Self {
        self.differs.push(Declared { aspect, subject, ours, reason });
        self
    }

    fn is_declared(&self, difference: &Difference) -> bool {
        let ours = difference.azuring.as_deref().unwrap_or("");
        self.differs.iter().any(|it| it.covers(difference) && (it.ours == "*" || it.ours == ours))
    }
}

impl Declared {
    fn covers(&self, difference: &Difference) -> bool {
        self.aspect == difference.aspect && (self.subject == "*" || self.subject == difference.subject)
    }
}

/// A fact that is not the same for both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What kind of fact.
    pub aspect: Aspect,
    /// Of which blob, path, counter or line.
    pub subject: String,
    /// After AzCopy; `None` where there is no such fact.
    pub azcopy: Option<String>,
    /// After azuring.
    pub azuring: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |value: &Option<String>| value.clone().unwrap_or_else(|| "(none)".to_owned());
        let (azcopy, azuring) = (show(&self.azcopy), show(&self.azuring));
        write!(f, "{:?} {:?}: AzCopy {azcopy}, azuring {azuring}", self.aspect, self.subject)
    }
}

/// Why a case fails.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The case.
    pub case: &'static str,
    /// Differences that it does not declare.
    pub undeclared: Vec<Difference>,
    /// What else is wrong: declared differences that are none, texts that were not printed.
    pub wrong: Vec<String>,
    /// What azuring wrote, for the reader of a report.
    pub output: String,
}

impl Verdict {
    /// True when nothing differs but what was declared.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.undeclared.is_empty() && self.wrong.is_empty()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "=== {}", self.case)?;
        self.undeclared.iter().try_for_each(|difference| writeln!(f, "  {difference}"))?;
        self.wrong.iter().try_for_each(|text| writeln!(f, "  {text}"))?;
        let output = self.output.trim_end();
        output.lines().take(REPORTED_LINES).try_for_each(|line| writeln!(f, "    | {line}"))
    }
}

/// Lines of azuring's output in a report: a usage error or the first failures.
const REPORTED_LINES: usize = 12;

/// The servers, and the program that is held against AzCopy.
#[derive(Debug)]
pub struct Suite {
    dir: TempDir,
    link: PathBuf,
    servers: Servers,
}

impl Suite {
    /// A suite for the program at `program`, with the servers that `cases` ask for.
    ///
    /// # Panics
    /// When a server does not start.
    #[must_use]
    pub fn new(program: &Path, cases: &[Case]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("azcopy");
        std::os::unix::fs::symlink(program, &link).unwrap();
        let azurite = cases.iter().any(|case| case.service == Service::Azurite);
        Self { link, servers: Servers::start(azurite), dir }
    }

    /// Runs the cases side by side; the verdicts are in their order.
    ///
    /// # Panics
    /// When a case cannot be set up, or azuring hangs.
    #[must_use]
    pub fn judge(&self, cases: &[Case]) -> Vec<Verdict> {
        let queue: Mutex<VecDeque<(usize, &Case)>> = Mutex::new(cases.iter().enumerate().collect());
        let verdicts = Mutex::new(vec![None; cases.len()]);
        thread::scope(|scope| {
            for _ in 0..WORKERS.min(cases.len()) {
                scope.spawn(|| {
                    while let Some((number, case)) = { queue.lock().unwrap().pop_front() } {
                        let verdict = self.judge_one(number, case);
                        verdicts.lock().unwrap()[number] = Some(verdict);
                    }
                });
            }
        });
        let verdicts = verdicts.into_inner().unwrap();
        verdicts.into_iter().map(|verdict| verdict.expect("every case was taken and judged")).collect()
    }

    fn judge_one(&self, number: usize, case: &Case) -> Verdict {
        let place = self.dir.path().join(number.to_string());
        let source = Local::make(&place.join("source"));
        (case.source)(&source);
        let (azcopy, _) = self.facts_of(Tool::AzCopy, number, case, &place);
        let (azuring, output) = self.facts_of(Tool::Azuring, number, case, &place);
        let all = differences(&azcopy, &azuring);
        let undeclared: Vec<_> = all.iter().filter(|found| !case.is_declared(found)).cloned().collect();
        let stale = case.differs.iter().filter(|declared| !all.iter().any(|found| declared.covers(found)));
        let mut wrong: Vec<String> = stale
            .map(|Declared { aspect, subject, reason, .. }| {
                format!("{aspect:?} {subject:?} is declared to differ and does not ({reason})")
            })
            .collect();
        for text in &case.says {
            for (tool, facts) in [("AzCopy", &azcopy), ("azuring", &azuring)] {
                if !facts.text.contains(text) {
                    wrong.push(format!("{tool} does not print {text:?}"));
                }
            }
        }
        // A job of a thousand files would fill the disk with every case that is kept to the end.
        let _ = fs::remove_dir_all(&place);
        Verdict { case: case.name, undeclared, wrong, output }
    }

    /// Prepares a container and a directory for one tool, runs it, and looks at what is there afterwards.
    fn facts_of(&self, tool: Tool, number: usize, case: &Case, place: &Path) -> (Facts, String) {
        let remote = self.servers.container(case.service, tool, number);
        (case.blobs)(&remote);
        let destination = Local::make(&place.join(tool.name()));
        (case.destination)(&destination);
        let source = place.join("source");
        let args: Vec<String> = case
            .line
            .split_whitespace()
            .map(|word| remote.fill(tool, &word.replace("{_}", " "), &source, destination.path()))
            .collect();
        let outcome = match tool {
            Tool::AzCopy => {
                let mut azcopy = AzCopy::new();
                if case.line.contains("{NEW}") {
                    // It makes containers only by URLs with the account in the host; a proxy brings them here.
                    azcopy = azcopy.env("HTTP_PROXY", remote.origin());
                }
                run(&mut azcopy.command(args), case.stdin, DEADLINE).unwrap()
            }
            Tool::Azuring => {
                let mut azuring = Azuring::new(&self.link).stdin(case.stdin).deadline(DEADLINE);
                // The harness puts AzCopy in this place, and AzCopy does not start without its libraries.
                if let Some(path) = Peers::get().library_path() {
                    azuring = azuring.env("LD_LIBRARY_PATH", path);
                }
                azuring.run(args)
            }
        };
        assert!(!outcome.timed_out, "{} hangs in {:?}", tool.name(), case.name);
        let output = format!("{}{}", outcome.stderr, outcome.stdout);
        let text = |text: &str| remote.neutral(text, &source, destination.path());
        let mut facts = Facts::of_output(&outcome, text);
        facts.add_blobs(&remote);
        facts.add_local(destination.path(), &remote.container);
        (facts, text(&output))
    }
}

/// Runs the cases and panics with a report of those that fail.
///
/// # Panics
/// When a case fails, or declares a difference that the compatibility ledger does not list.
pub fn assert_same(program: &str, cases: &[Case]) {
    let unlisted = unlisted(cases);
    assert!(unlisted.is_empty(), "not in the ledger (tools/azuring/compatibility.json): {unlisted:#?}");
    let only = std::env::var(ONLY).unwrap_or_default();
    let cases: Vec<Case> = cases.iter().filter(|case| case.name.contains(&only)).cloned().collect();
    let verdicts = Suite::new(Path::new(program), &cases).judge(&cases);
    let failed: Vec<_> = verdicts.iter().filter(|verdict| !verdict.is_right()).collect();
    let report: String = failed.iter().map(ToString::to_string).collect();
    assert!(failed.is_empty(), "{} of {} cases differ\n{report}", failed.len(), cases.len());
}
