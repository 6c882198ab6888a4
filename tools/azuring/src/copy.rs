//! `azuring copy`.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;

use azuring_azure::SasOperation;
use azuring_plan::blob_type::BlobType;
use azuring_plan::filter::Filter;
use azuring_plan::location::Location;
use azuring_plan::pairs::{FromTo, Verb};
use azuring_plan::place::PIPE;
use azuring_plan::{metadata, tags};
use azuring_transfer::{
    BlobProperties, BlobTypeChoice, BlobUrl, BlockRules, CheckLength, CheckMd5, ContentTypePolicy,
    Credential, Job, JobOptions, Overwrite, PlanError, PosixStyle, RouteChoice, StopHandle, Symlinks,
    check_close, mib_to_bytes, upload_from,
};

use crate::access::{self, Purpose, ends};
use crate::cli::copy::{BlobArgs, BlobTypeArg, CheckMd5Arg, CopyArgs, OverwriteArg, PosixStyleArg, RouteArg};
use crate::cli::global::GlobalArgs;
use crate::cli::pairs::Given;
use crate::exit::{self, Exit};
use crate::jobs::{self, Origin};
use crate::options::{self, BLOCK_TIERS, PAGE_TIERS};
use crate::output::{self, notice};
use crate::prompt;
use crate::refused::{self, Refused, usage};
use crate::run;
use crate::stdin::{self, Lines};
use crate::view::Facts;

pub(crate) fn run(global: &GlobalArgs, given: &Given, args: &CopyArgs, origin: &Origin) -> Exit {
    let stop = run::stop_on_signals(|| {});
    match prepare((global, given), args, origin, &stop) {
        Ok(Prepared::Job(job, facts)) => run::run(*job, &stop, facts),
        Ok(Prepared::Input { url, credential, options }) => upload(&url, &credential, &options, &stop),
        Err(refused) => refused.tell(),
    }
}

/// What is to be done.
enum Prepared {
    Job(Box<Job>, Facts),
    /// What comes on stdin becomes a blob.
    Input {
        url: BlobUrl,
        credential: Credential,
        options: Box<JobOptions>,
    },
}

/// A success says nothing, as in AzCopy.
fn upload(url: &BlobUrl, credential: &Credential, options: &JobOptions, stop: &StopHandle) -> Exit {
    let input = std::io::stdin().as_fd().try_clone_to_owned();
    let input = match input {
        Ok(input) => File::from(input),
        Err(error) => return Refused { text: format!("stdin: {error}"), exit: Exit::Source }.tell(),
    };
    match upload_from(input, url, credential, options, stop) {
        Ok(report) => exit::of_report(&report),
        Err(error) => {
            output::failed(&error.to_string());
            exit::of_command(&error)
        }
    }
}

/// Source and destination as they are written, and what they are.
struct Places<'a> {
    source: &'a Path,
    destination: &'a Path,
    from_to: FromTo,
}

fn places(args: &CopyArgs) -> Result<Places<'_>, Refused> {
    let given = args.from_to.as_deref().map(FromTo::parse).transpose()?;
    let pipe = Path::new(PIPE);
    let Some(destination) = args.destination.as_deref() else {
        return match given {
            None => Err(usage(
                "fatal: from-to argument required, PipeBlob (upload) or BlobPipe (download) is acceptable",
            )),
            Some(from_to) if from_to.from == Location::Pipe => {
                Ok(Places { source: pipe, destination: &args.source, from_to })
            }
            Some(from_to) if from_to.to == Location::Pipe => {
                Ok(Places { source: &args.source, destination: pipe, from_to })
            }
            Some(from_to) => Err(usage(format!("{from_to} needs a source and a destination"))),
        };
    };
    let source = args.source.as_path();
    let from_to = match given {
        Some(from_to) => from_to,
        None => infer(source, destination)?,
    };
    for (end, path, stands_for) in [(from_to.from, source, "stdin"), (from_to.to, destination, "stdout")] {
        if end == Location::Pipe && path != pipe {
            let path = path.display();
            return Err(usage(format!(
                "{from_to}: `-` stands for {stands_for}, {path} is a name: leave it out"
            )));
        }
    }
    Ok(Places { source, destination, from_to })
}

fn infer(source: &Path, destination: &Path) -> Result<FromTo, Refused> {
    let of = |path: &Path| Location::of(&path.to_string_lossy());
    let from_to = FromTo { from: of(source), to: of(destination) };
    if !from_to.from.is_remote() && !from_to.to.is_remote() {
        return Err(usage(
            "neither source nor destination is a URL: it looks like \
             https://ACCOUNT.blob.core.windows.net/CONTAINER/PATH?SAS",
        ));
    }
    Ok(from_to)
}

fn prepare(
    (global, given): (&GlobalArgs, &Given),
    args: &CopyArgs,
    origin: &Origin,
    stop: &StopHandle,
) -> Result<Prepared, Refused> {
    let places = places(args)?;
    let pair = refused::check_places(places.from_to, places.destination)?;
    for text in refused::check_copy(args, pair, given)? {
        notice(&text);
    }
    let downloads = pair.verb == Verb::Get;
    for text in options::notices_of_variables(downloads) {
        notice(&text);
    }
    stdin::check_streams(places.from_to, args.names.list_of_files.as_deref())?;
    let uses_stdin = stdin_users(global, args, places.from_to)?;
    let lines = uses_stdin.then(|| Lines::start(global.cancel_from_stdin.0.then(|| stop.clone())));
    let asks = args.overwrite() == OverwriteArg::Prompt;
    // Where only commands are read, their thread lives on without the handle.
    let answers = lines.filter(|_| asks);
    let mut options = job_options(global, args)?;
    let staging = args.between.staging_url.as_deref().map(Path::new);
    let kept = jobs::Places { source: places.source, destination: Some(places.destination), staging };
    let facts = Facts { resume_flags: kept.resume_flags(), ..facts(args, places.from_to, &options)? };
    let (local, url) =
        if downloads { (places.destination, places.source) } else { (places.source, places.destination) };
    let reads = reading(args);
    let lists = args.names.list_of_files.is_none() && args.which.list_of_versions.is_none();
    let reads = Purpose { operations: &reads, lists, reads: true };
    let writes = writing(args);
    let writes = Purpose { operations: &writes, lists: false, reads: false };
    let mut job = if pair.verb == Verb::Copy {
        let texts = [places.source, places.destination].map(Path::to_string_lossy);
        let whose = (&args.engine, &args.between.tenants);
        let both = ends::open((&texts[0], &reads), (&texts[1], &writes), global, whose)?;
        options.route = route(args);
        options.preserve_tier = args.between.s2s_preserve_access_tier.is_none_or(|keep| keep.0);
        options.preserve_tags = keeps_tags(args);
        if args.between.source_cpk_by_value.0 {
            let key = options::customer_key("source-cpk-by-value", "CPK_SOURCE_ENCRYPTION_KEY")?;
            options.source_key = Some(key);
        }
        let staging = match &args.between.staging_url {
            None => None,
            Some(url) => {
                let all = [SasOperation::WriteBlob, SasOperation::Read, SasOperation::Delete];
                let operations = if args.dry_run.0 { &[][..] } else { &all };
                let purpose = Purpose { operations, lists: false, reads: false };
                Some(both.staging(url, &purpose, global, &args.engine)?)
            }
        };
        let [source, destination] = both.locations(options.route);
        let left_out = args.between.exclude_container.as_deref().unwrap_or_default();
        let job =
            Job::copy(source, destination).exclude_containers(options::words(left_out)).make_container(true);
        match staging {
            None => job,
            Some(staging) => job.staging(staging, args.between.staging_limit),
        }
    } else {
        let purpose = if downloads { reads } else { writes };
        let (url, access) = access::open(&url.to_string_lossy(), &purpose, global, &args.engine)?;
        if pair.is_from_pipe() {
            if matches!(options.content_type, ContentTypePolicy::Guess(_)) {
                // AzCopy does not guess what comes through a pipe.
                options.content_type = ContentTypePolicy::None;
            }
            let credential = access.now()?;
            return Ok(Prepared::Input { url, credential, options: Box::new(options) });
        }
        let job = match pair.verb {
            Verb::Put => Job::upload(local, url, access.known()),
            Verb::Get if pair.is_to_pipe() => {
                output::stdout_is_data();
                Job::download_to(url, access.known(), Stdout(stdout()?))
            }
            Verb::Get => Job::download(url, access.known(), local),
            _ => return Err(usage(format!("{}: not in this version", places.from_to))),
        };
        access.of(job)
    };
    job = job.recursive(args.recursive.0).as_subdir(args.as_subdir.0);
    job = job.filter(filter(args)?);
    if let Some(list) = &args.names.list_of_files {
        job = job.list_of_files(options::list_of_files(list));
    }
    if let Some(versions) = &args.which.list_of_versions {
        job = job.list_of_versions(versions);
    }
    if !(args.dry_run.0 || facts.pipe || args.keep.no_journal.0) {
        job = origin.keep(job, "copy", &kept);
    }
    let mut job = jobs::build(job.options(options))?;
    if let Some(lines) = answers {
        job = job.asking(prompt::asker(lines, stop.clone()));
    }
    Ok(Prepared::Job(Box::new(job), facts))
}

/// The way of a copy.
fn route(args: &CopyArgs) -> RouteChoice {
    match args.between.route {
        RouteArg::Relay => RouteChoice::Relay,
        RouteArg::Staging => RouteChoice::Staging,
        RouteArg::Auto if !args.between.no_relay.0 => RouteChoice::Auto,
        RouteArg::Auto | RouteArg::Direct => RouteChoice::Direct,
    }
}

/// What the SAS of a source has to allow.
fn reading(args: &CopyArgs) -> Vec<SasOperation> {
    if args.dry_run.0 {
        return Vec::new();
    }
    let mut operations = vec![SasOperation::Read];
    if keeps_tags(args) && args.blob.blob_tags.is_none() {
        operations.push(SasOperation::Tags);
    }
    operations
}

/// Whether the tags of the source go along.
fn keeps_tags(args: &CopyArgs) -> bool {
    args.between.s2s_preserve_blob_tags.is_some_and(|keep| keep.0)
}

/// What the SAS of a destination has to allow.
fn writing(args: &CopyArgs) -> Vec<SasOperation> {
    if args.dry_run.0 {
        return Vec::new();
    }
    let mut operations = vec![SasOperation::WriteBlob];
    match args.blob.blob_type {
        BlobTypeArg::Append => operations.push(SasOperation::Append),
        BlobTypeArg::Page => operations.push(SasOperation::WritePages),
        BlobTypeArg::Block | BlobTypeArg::Detect => {}
    }
    let looks = args.upload.verify.0 || args.upload.check_length.is_some_and(|check| check.0);
    if looks || matches!(args.overwrite(), OverwriteArg::IfSourceNewer | OverwriteArg::Prompt) {
        operations.push(SasOperation::Read);
    }
    if args.upload.delete_destination_file.0 {
        operations.push(SasOperation::Delete);
    }
    if args.blob.blob_tags.is_some() || keeps_tags(args) {
        operations.push(SasOperation::Tags);
    }
    operations
}

/// stdout as the place of a blob's bytes.
struct Stdout(File);

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    /// The last call: a file behind stdout may tell only now that it was not kept.
    fn flush(&mut self) -> io::Result<()> {
        check_close(&self.0)
    }
}

/// stdout without the buffer of the standard library, which looks for ends of lines.
fn stdout() -> Result<File, Refused> {
    let owned = std::io::stdout().as_fd().try_clone_to_owned();
    owned.map(File::from).map_err(|error| Refused { text: format!("stdout: {error}"), exit: Exit::Failures })
}

/// Whether commands or answers are read from stdin.
///
/// # Errors
/// When something else needs it too.
fn stdin_users(global: &GlobalArgs, args: &CopyArgs, from_to: FromTo) -> Result<bool, Refused> {
    let list = args.names.list_of_files.as_deref() == Some(Path::new(PIPE));
    let data = from_to.from == Location::Pipe;
    let asks = args.overwrite() == OverwriteArg::Prompt;
    let waits = global.cancel_from_stdin.0 || asks;
    let users = [list, data, waits || global.await_continue.0];
    if users.iter().filter(|&&user| user).count() > 1 {
        return Err(usage(
            "stdin can be one thing only: data, the list of files, or answers and commands (--overwrite=prompt, \
             --cancel-from-stdin, --await-continue)",
        ));
    }
    Ok(waits)
}

fn filter(args: &CopyArgs) -> Result<Filter, Refused> {
    let mut spec = options::filter_spec(&args.names, &args.regexes, &args.times)?;
    if let Some(types) = &args.which.exclude_blob_type {
        spec.exclude_blob_types = BlobType::parse_list(types)?;
    }
    Ok(Filter::new(&spec)?)
}

fn job_options(global: &GlobalArgs, args: &CopyArgs) -> Result<JobOptions, Refused> {
    let mib = |text: &Option<String>| -> Result<Option<u64>, PlanError> {
        // Zero is AzCopy's word for the default.
        let is_zero = |text: &&str| text.trim().parse::<f64>() == Ok(0.0);
        text.as_deref().filter(|text| !is_zero(text)).map(mib_to_bytes).transpose()
    };
    let mut common = options::common(global, &args.engine)?;
    let usual = std::mem::replace(&mut common.content_type, ContentTypePolicy::None);
    let content_type = match (&args.blob.content_type, args.blob.no_guess_mime_type.0, usual) {
        (Some(fixed), _, _) => ContentTypePolicy::Fixed(fixed.clone()),
        (None, true, _) => ContentTypePolicy::None,
        (None, false, ContentTypePolicy::Guess(types)) => {
            ContentTypePolicy::Guess(options::content_types(types)?)
        }
        (None, false, other) => other,
    };
    Ok(common
        .blocks(
            BlockRules::default()
                .block_size(mib(&args.blob.block_size_mb)?)
                .put_blob_size(mib(&args.blob.put_blob_size_mb)?),
        )
        .properties(properties(&args.blob)?)
        .page_blob_tier(options::tier(&args.blob.page_blob_tier, &PAGE_TIERS)?)
        .content_type(content_type)
        .overwrite(match args.overwrite() {
            OverwriteArg::False => Overwrite::Never,
            OverwriteArg::IfSourceNewer => Overwrite::IfSourceNewer,
            OverwriteArg::Prompt => Overwrite::Ask,
            OverwriteArg::True | OverwriteArg::PosixProperties => Overwrite::Always,
        })
        .dry_run(args.dry_run.0)
        .put_md5(args.blob.put_md5.0)
        .check_md5(match args.download.check_md5 {
            Some(CheckMd5Arg::NoCheck) => CheckMd5::NoCheck,
            Some(CheckMd5Arg::LogOnly) => CheckMd5::LogOnly,
            None | Some(CheckMd5Arg::FailIfDifferent) => CheckMd5::FailIfDifferent,
            Some(CheckMd5Arg::FailIfDifferentOrMissing) => CheckMd5::FailIfDifferentOrMissing,
        })
        .check_length(match args.upload.check_length {
            None => CheckLength::Unproven,
            Some(check) if check.0 => CheckLength::Always,
            Some(_) => CheckLength::Never,
        })
        .overwrite_in_place(args.says_overwrite())
        .delete_destination(args.upload.delete_destination_file.0)
        .verify(args.upload.verify.0)
        .decompress(args.download.decompress.0)
        .preserve_last_modified_time(args.download.preserve_last_modified_time.0)
        .preserve_posix(args.upload.preserve_posix_properties.0.then_some(
            match args.upload.posix_properties_style {
                PosixStyleArg::Standard => PosixStyle::Standard,
                PosixStyleArg::Amlfs => PosixStyle::Amlfs,
            },
        ))
        .preserve_setuid(args.upload.preserve_setuid.0)
        .symlinks(match (args.upload.follow_symlinks.0, args.upload.preserve_symlinks.0) {
            (true, _) => Symlinks::Follow,
            (_, true) => Symlinks::Preserve,
            _ => Symlinks::Skip,
        })
        .directory_stubs(args.which.include_directory_stub.0)
        .blob_type(match args.blob.blob_type {
            BlobTypeArg::Detect => BlobTypeChoice::Detect,
            BlobTypeArg::Block => BlobTypeChoice::Block,
            BlobTypeArg::Page => BlobTypeChoice::Page,
            BlobTypeArg::Append => BlobTypeChoice::Append,
        })
        .encryption(options::encryption(&args.keys)?)
        .retry_failed(args.keep.retry.retry_failed))
}

fn properties(blob: &BlobArgs) -> Result<BlobProperties, Refused> {
    // Parsed for the service's limits; what is sent is what was written.
    if let Some(tags) = &blob.blob_tags {
        tags::parse(tags)?;
    }
    Ok(BlobProperties::default()
        .content_encoding(blob.content_encoding.clone())
        .content_language(blob.content_language.clone())
        .content_disposition(blob.content_disposition.clone())
        .cache_control(blob.cache_control.clone())
        .metadata(metadata::parse(blob.metadata.as_deref().unwrap_or_default())?)
        .tier(options::tier(&blob.block_blob_tier, &BLOCK_TIERS)?)
        .tags(blob.blob_tags.clone()))
}

fn facts(args: &CopyArgs, from_to: FromTo, options: &JobOptions) -> Result<Facts, Refused> {
    let blob_type = match args.blob.blob_type {
        BlobTypeArg::Detect => "Detect",
        BlobTypeArg::Block => "BlockBlob",
        BlobTypeArg::Page => "PageBlob",
        BlobTypeArg::Append => "AppendBlob",
    };
    Ok(Facts {
        dry_run: args.dry_run.0,
        pipe: [from_to.from, from_to.to].contains(&Location::Pipe),
        asks: args.overwrite() == OverwriteArg::Prompt,
        from_to: Some(from_to),
        blob_type: blob_type.to_owned(),
        tags: tags::parse(args.blob.blob_tags.as_deref().unwrap_or_default())?,
        metadata: options.properties.metadata.clone(),
        tier: options.properties.tier.clone(),
        ..Facts::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{self, Command};

    fn placed(line: &str) -> Result<(String, String, String), String> {
        let Command::Copy(args) = cli::parse(line.split(' ')).unwrap().command else { panic!("it is copy") };
        let places = places(&args).map_err(|refused| refused.text)?;
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        Ok((text(places.source), text(places.destination), places.from_to.to_string()))
    }

    #[test]
    fn source_and_destination_tell_what_goes_where() {
        let url = "https://a.blob.core.windows.net/c/x";
        for (line, source, destination, from_to) in [
            (format!("azuring copy /d {url}"), "/d", url, "LocalBlob"),
            (format!("azuring copy {url} /d"), url, "/d", "BlobLocal"),
            (format!("azuring copy {url} {url}2"), url, "https://a.blob.core.windows.net/c/x2", "BlobBlob"),
            (format!("azuring copy {url} -"), url, "-", "BlobPipe"),
            (format!("azuring copy - {url}"), "-", url, "PipeBlob"),
            (format!("azuring copy {url} --from-to=BlobPipe"), url, "-", "BlobPipe"),
            (format!("azuring copy {url} --from-to=pipeblob"), "-", url, "PipeBlob"),
            ("azuring copy a b --from-to=LocalBlob".to_owned(), "a", "b", "LocalBlob"),
        ] {
            let want = (source.to_owned(), destination.to_owned(), from_to.to_owned());
            assert_eq!(placed(&line), Ok(want), "{line}");
        }
        assert!(
            placed("azuring copy a b").unwrap_err().starts_with("neither source nor destination is a URL")
        );
        assert!(placed("azuring copy a").unwrap_err().starts_with("fatal: from-to argument required"));
        assert!(placed("azuring copy a --from-to=LocalBlob").unwrap_err().contains("needs a source and a"));
        for (line, name) in [
            (format!("azuring copy {url} /d/out --from-to=BlobPipe"), "/d/out is a name"),
            (format!("azuring copy /d/in {url} --from-to=PipeBlob"), "/d/in is a name"),
        ] {
            assert!(placed(&line).unwrap_err().contains(name), "{line}");
        }
    }

    #[test]
    fn the_way_of_a_copy_is_chosen() {
        for (flags, want) in [
            ("", RouteChoice::Auto),
            ("--route=direct", RouteChoice::Direct),
            ("--no-relay", RouteChoice::Direct),
            ("--route=direct --no-relay", RouteChoice::Direct),
            ("--route=relay", RouteChoice::Relay),
        ] {
            let line = format!("azuring copy a b {flags}");
            let Command::Copy(args) = cli::parse(line.split_whitespace()).unwrap().command else { panic!() };
            assert_eq!(route(&args), want, "{flags}");
        }
    }

    #[test]
    fn stdin_has_one_use() {
        let used = |line: &str| {
            let cli = cli::parse(line.split(' ')).unwrap();
            let Command::Copy(args) = cli.command else { panic!("it is copy") };
            stdin_users(&cli.global, &args, places(&args).map_err(|_| ()).unwrap().from_to).map_err(|_| ())
        };
        let url = "https://a.blob.core.windows.net/c";
        assert_eq!(used(&format!("azuring copy a {url}")), Ok(false));
        assert_eq!(used(&format!("azuring copy a {url} --list-of-files=-")), Ok(false));
        assert_eq!(used(&format!("azuring copy a {url} --overwrite=prompt --cancel-from-stdin")), Ok(true));
        assert_eq!(used(&format!("azuring copy a {url} --overwrite=prompt --list-of-files=-")), Err(()));
        assert_eq!(used(&format!("azuring copy - {url} --cancel-from-stdin")), Err(()));
    }
}
