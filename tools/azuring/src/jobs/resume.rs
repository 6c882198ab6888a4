//! `azuring jobs resume`: the command of then, with the credentials and the flags of now.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use azuring_transfer::{BlobUrl, JobId, RecordedJob};
use clap::parser::ValueSource;

use super::description::{Description, with_sas};
use super::{Origin, kept};
use crate::access;
use crate::cli::engine::EngineArgs;
use crate::cli::jobs::{JobsCommand, ResumeArgs};
use crate::cli::{self, Cli, Command};
use crate::exit::Exit;
use crate::refused::{Refused, usage};

/// The command that `cli`, made of `line`, stands for: itself, or that of the job which it resumes. The process is then
/// in that job's directory.
///
/// # Errors
/// When the job cannot be resumed.
pub(crate) fn again(cli: Cli, line: &[OsString]) -> Result<(Cli, Origin), Refused> {
    let args = match cli.command {
        Command::Jobs(cli::jobs::JobsArgs { command: JobsCommand::Resume(args) }) => args,
        _ => return Ok((cli, Origin::Typed(line.iter().skip(1).cloned().collect()))),
    };
    if args.include.is_some() || args.exclude.is_some() {
        return Err(usage(
            "jobs resume does everything that is missing; --include and --exclude are not supported",
        ));
    }
    let (_, jobs) = kept()?;
    let id = jobs.find(&args.job)?;
    let description = RecordedJob::read(&jobs, id)?;
    let of_job = |text: String| Refused { text: format!("job {id}: {text}"), exit: Exit::Failures };
    let description = Description::from_bytes(description.description()).map_err(of_job)?;
    let now = flags_of_now(line);
    let directory = description.directory().map_err(of_job)?;
    std::env::set_current_dir(&directory).map_err(|error| {
        of_job(format!("it was begun in {}, which cannot be entered: {error}", directory.display()))
    })?;
    let then = with_flags(description.args().map_err(of_job)?, now);
    let cli = cli::parse([OsString::from("azuring")].into_iter().chain(then))
        .map_err(|error| of_job(format!("its command is not understood: {}", error.kind())))?;
    let cli = sign(cli, &args, &description, id)?;
    Ok((cli, Origin::Resumed(jobs, id)))
}

/// The flags of a line that only concern the run: all but what says which job it is, and with which SAS.
fn flags_of_now(line: &[OsString]) -> Vec<OsString> {
    let mut definition = cli::definition();
    definition.build();
    let Ok(matches) = definition.try_get_matches_from_mut(line) else { return Vec::new() };
    let Some(matches) = matches.subcommand_matches("jobs").and_then(|it| it.subcommand_matches("resume"))
    else {
        return Vec::new();
    };
    let resume = definition.find_subcommand("jobs").and_then(|jobs| jobs.find_subcommand("resume"));
    let mut flags = Vec::new();
    for flag in resume.into_iter().flat_map(clap::Command::get_arguments) {
        let (id, Some(long)) = (flag.get_id().as_str(), flag.get_long()) else { continue };
        let own = ["source_sas", "destination_sas", "staging_sas", "include", "exclude", "help", "version"];
        if own.contains(&id) || matches.value_source(id) != Some(ValueSource::CommandLine) {
            continue;
        }
        let Some(value) = matches.get_raw(id).and_then(Iterator::last) else { continue };
        let mut given = OsString::from(format!("--{long}="));
        // A path goes from where this command was given.
        match std::path::absolute(value) {
            Ok(path) if matches!(id, "ca_file" | "account_key_file") => given.push(path),
            _ => given.push(value),
        }
        flags.push(given);
    }
    flags
}

/// The line of then with flags of now, which count as they come last.
fn with_flags(mut then: Vec<OsString>, now: Vec<OsString>) -> Vec<OsString> {
    // Behind `--` there are no flags.
    let at = then.iter().position(|word| word == "--").unwrap_or(then.len());
    then.splice(at..at, now);
    then
}

/// Puts the SAS back.
fn sign(mut cli: Cli, args: &ResumeArgs, description: &Description, id: JobId) -> Result<Cli, Refused> {
    let (source, destination) = (args.source_sas.as_deref(), args.destination_sas.as_deref());
    // Its paths are those of the line that was put together, which hold in the directory of the job.
    let engine = match &cli.command {
        Command::Copy(args) => args.engine.clone(),
        Command::Remove(args) => args.engine.clone(),
        Command::SetProperties(args) => args.engine.clone(),
        _ => return Err(usage(format!("job {id}: {} is no command that is resumed", description.command))),
    };
    let engine = &engine;
    // Of a copy between services each end has the other beside it.
    let is_url = |place: &str| BlobUrl::looks_like(place).then(|| bare(place)).transpose();
    let (from, to) = (is_url(&description.source)?, is_url(&description.destination)?);
    let (flag, had) = ("source-sas", description.source_sas);
    let (url, other) = (from.as_ref(), to.as_ref());
    let source = End { name: "source", flag, sas: source, had, url, other, engine };
    let (flag, had) = ("destination-sas", description.destination_sas);
    let destination =
        End { name: "destination", flag, sas: destination, had, url: other, other: url, engine };
    match &mut cli.command {
        Command::Copy(copy) => {
            source.sign_path(&mut copy.source)?;
            match &mut copy.destination {
                Some(place) => destination.sign_path(place)?,
                None => destination.none()?,
            }
            let staging = copy.between.staging_url.as_mut();
            match (staging, args.staging_sas.as_deref(), description.staging_sas) {
                (Some(url), Some(sas), _) => *url = with_sas(url, sas),
                (Some(_), None, true) => {
                    let text = format!(
                        "the SAS of the staging account is not kept: give one with azuring jobs resume {id} \
                         --staging-sas='SAS'"
                    );
                    return Err(Refused { text, exit: Exit::Authentication });
                }
                (None, Some(_), _) => {
                    return Err(usage(format!(
                        "job {id}: it has no staging account: leave out --staging-sas"
                    )));
                }
                _ => {}
            }
        }
        Command::Remove(remove) => {
            source.sign(&mut remove.target);
            destination.none()?;
        }
        Command::SetProperties(set) => {
            source.sign(&mut set.target);
            destination.none()?;
        }
        _ => {}
    }
    let mut missing = Vec::new();
    for end in [&source, &destination] {
        missing.extend(end.is_missing()?.then_some(end));
    }
    if !missing.is_empty() {
        let names: Vec<_> = missing.iter().map(|end| format!("of the {}", end.name)).collect();
        let flags: Vec<_> = missing.iter().map(|end| format!("--{}='SAS'", end.flag)).collect();
        let (names, flags) = (names.join(" and "), flags.join(" "));
        let text = format!("the SAS {names} is not kept: give one with azuring jobs resume {id} {flags}");
        return Err(Refused { text, exit: Exit::Authentication });
    }
    Ok(cli)
}

/// One end of the job.
struct End<'a> {
    name: &'static str,
    flag: &'static str,
    /// What was given now.
    sas: Option<&'a str>,
    /// Whether one was given then.
    had: bool,
    /// The end, if it is a URL: without its query.
    url: Option<&'a BlobUrl>,
    /// The other end, if that is a URL too.
    other: Option<&'a BlobUrl>,
    engine: &'a EngineArgs,
}

/// A URL without its query.
fn bare(url: &str) -> Result<BlobUrl, Refused> {
    Ok(BlobUrl::parse_with_account(url.split('?').next().unwrap_or_default())?)
}

impl End<'_> {
    /// There is none.
    fn none(&self) -> Result<(), Refused> {
        match self.sas {
            Some(_) => Err(usage(format!("--{}: the job's {} is no URL", self.flag, self.name))),
            None => Ok(()),
        }
    }

    fn sign_path(&self, place: &mut PathBuf) -> Result<(), Refused> {
        let mut text = match place.to_str() {
            Some(text) if BlobUrl::looks_like(text) => text.to_owned(),
            _ => return self.none(),
        };
        self.sign(&mut text);
        *place = Path::new(&text).to_owned();
        Ok(())
    }

    fn sign(&self, url: &mut String) {
        if let Some(sas) = self.sas {
            *url = with_sas(url, sas);
        }
    }

    /// Whether it had a SAS, and now has neither that nor another credential, which does as well.
    fn is_missing(&self) -> Result<bool, Refused> {
        match self.url {
            Some(url) if self.had && self.sas.is_none() => {
                Ok(!access::is_there(url, self.other, self.engine)?)
            }
            _ => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn flags_of_the_run_go_before_those_of_then() {
        let line = words(
            "azuring --output-type=json jobs resume 0f8f --source-sas=sig=x --concurrency 4 --log-level=debug",
        );
        let mut now = flags_of_now(&line);
        now.sort();
        assert_eq!(now, ["--concurrency=4", "--log-level=debug", "--output-type=json"]);
        let then = with_flags(words("copy -- a https://a.blob.core.windows.net/c"), now);
        assert_eq!(then[1..5], words("--concurrency=4 --log-level=debug --output-type=json --"));
        assert_eq!(flags_of_now(&words("azuring jobs resume 0f8f")), Vec::<OsString>::new());
        let ca_file = flags_of_now(&words("azuring jobs resume 0f8f --ca-file=ca.pem"));
        let here = std::env::current_dir().unwrap();
        assert_eq!(ca_file, [OsString::from(format!("--ca-file={}", here.join("ca.pem").display()))]);
    }

    #[test]
    fn any_other_command_stays_itself() {
        let line = words("azuring copy a https://a.blob.core.windows.net/c");
        let (cli, origin) = again(cli::parse(&line).unwrap(), &line).unwrap();
        assert!(matches!(cli.command, Command::Copy(_)));
        let Origin::Typed(args) = origin else { panic!("it was typed") };
        assert_eq!(args, line[1..]);
    }
}
