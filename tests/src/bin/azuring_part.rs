//! A worker as a fleet would have it: it knows a spec, a part and a credential of its own, and nothing else of the job.
//!
//! `azuring-part SPEC PART ENDS [again]`: runs the part and writes its outcomes to `ENDS`, whole or not at all.
//! `again`: the part may have been run before. The SAS stands in `AZURING_PART_SAS`.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "test code")]

use std::fs;
use std::path::PathBuf;

use azuring_transfer::{BlobUrl, Credential, Event, JobOptions, Limits, Part, Spec, StopHandle, run_part};

fn main() {
    let mut args = std::env::args_os().skip(1);
    let mut file = || PathBuf::from(args.next().expect("azuring-part SPEC PART ENDS [again]"));
    let (spec, part, ends) = (file(), file(), file());
    let again = args.next().is_some_and(|word| word == "again");
    let spec = Spec::from_bytes(&fs::read(spec).unwrap()).unwrap_or_else(|error| panic!("{error}"));
    let part = Part::from_bytes(&fs::read(part).unwrap()).unwrap_or_else(|error| panic!("{error}"));
    let part = if again { part.again() } else { part };
    let sas = std::env::var("AZURING_PART_SAS").unwrap();
    let url = BlobUrl::parse(&format!("{}?{sas}", spec.url())).unwrap();
    let credential = Credential::find(&url, |_| None).unwrap();
    let here = JobOptions::default().limits(Limits::here().memory_bytes(64 << 20).concurrency(8).lanes(2));
    let run = run_part(&spec, part, credential, here, &StopHandle::new(), |event| {
        if let Event::Failed(failure) = event {
            eprintln!("{failure}");
        }
    });
    let run = run.unwrap_or_else(|error| panic!("{error}"));
    let unfinished = ends.with_extension("unfinished");
    fs::write(&unfinished, run.outcomes.to_bytes()).unwrap();
    fs::rename(unfinished, ends).unwrap();
    if let Some(fatal) = run.report.fatal {
        eprintln!("{fatal}");
    }
}
