//! `azuring doctor`: what stands between this machine and one place, and between two accounts.
//!
//! ```text
//!   access: whose credential ─┐
//!   transfer: examine ────────┴─> end ─> Finding ─┬─> a line each
//!   transfer: try_copy ──────────> pair ──────────┘   the first that is wrong is the exit code
//! ```

mod advice;
mod credential;
mod end;
mod finding;
mod pair;

use azuring_transfer::{BlobUrl, JobOptions, StopHandle};

use crate::access::{self, ends};
use crate::cli::global::{GlobalArgs, OutputType};
use crate::cli::other::DoctorArgs;
use crate::exit::Exit;
use crate::options;
use crate::output::{Output, notice, say};
use crate::refused::{Refused, usage};
use crate::run;
use crate::view::json;

use advice::Place;
use end::{End, Role};
use finding::Findings;

pub(crate) fn run(global: &GlobalArgs, args: &DoctorArgs) -> Exit {
    let stop = run::stop_on_signals(|| {});
    match examine(global, args, &stop) {
        Ok(exit) => exit,
        Err(refused) => refused.tell(),
    }
}

fn examine(global: &GlobalArgs, args: &DoctorArgs, stop: &StopHandle) -> Result<Exit, Refused> {
    let options = options::common(global, &args.engine)?;
    let mut findings = Findings::default();
    match &args.destination {
        None if args.write_test.0 => {
            return Err(usage("doctor: --write-test is about a copy: give a source and a destination"));
        }
        None if args.tenants.is_any() => {
            let text = "doctor: --source-tenant-id and --destination-tenant-id are about a copy: give a source and a \
                        destination (AZCOPY_TENANT_ID is for one place)";
            return Err(usage(text));
        }
        None => {
            let (url, access) = access::one(&args.target, global, &args.engine)?;
            run::before_it_begins(|| End::new(url, access, Role::One).look(&options, stop, &mut findings))?;
        }
        Some(destination) => {
            let both = ends::each(&args.target, destination, global, (&args.engine, &args.tenants))?;
            pair(both, args.write_test.0, &options, stop, &mut findings)?;
        }
    }
    if Output::get().kind == OutputType::Json {
        say!("{}", json::message("EndOfJob", ""));
    }
    Ok(findings.exit())
}

fn pair(
    both: [ends::Each; 2],
    write: bool,
    options: &JobOptions,
    stop: &StopHandle,
    findings: &mut Findings,
) -> Result<(), Refused> {
    let [source, destination] = both;
    let (source, destination) = run::before_it_begins(|| -> Result<_, Refused> {
        let source = End::new(source.0, source.1, Role::Source).look(options, stop, findings)?;
        let destination = End::new(destination.0, destination.1, Role::Destination);
        Ok((source, destination.look(options, stop, findings)?))
    })?;
    // A signal ends nothing at once any more: what is written is removed.
    pair::look(&source, &destination, write, (options, stop), findings)
}

/// What opens the direct way between two accounts where a copy has found it closed: the lines of the doctor, and the
/// commands of each. `ends`: source and destination, without credentials.
pub(crate) fn advise(ends: &[String; 2]) {
    let [Ok(from), Ok(to)] = ends.each_ref().map(|end| BlobUrl::parse(end)) else { return };
    let of = |url| Place { url, private: end::is_private_place(url) };
    let (source, destination) = (of(&from), of(&to));
    let ways = advice::scenarios(&source, &destination).into_iter();
    for (text, commands) in ways.chain(advice::mitigations(&source, &destination)) {
        notice(&format!("direct: {text}"));
        notice(&format!("    do: {commands}"));
    }
    notice("azuring doctor SOURCE DESTINATION looks closer");
}
