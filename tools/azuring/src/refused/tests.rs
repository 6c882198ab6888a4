use super::*;
use crate::cli::{self, Command};

fn checked(line: &str) -> Result<Vec<String>, String> {
    let cli = cli::parse(line.split(' ')).unwrap();
    let mut notices = check_global(&cli.global).map_err(|refused| refused.text)?;
    let Command::Copy(args) = cli.command else { panic!("it is copy") };
    let destination = args.destination.as_deref().unwrap();
    let from_to = match &args.from_to {
        Some(name) => FromTo::parse(name).unwrap(),
        None => {
            let of = |path: &Path| Location::of(path.to_str().unwrap());
            FromTo { from: of(&args.source), to: of(destination) }
        }
    };
    let pair = check_places(from_to, destination).unwrap();
    notices.extend(check_copy(&args, pair, &cli.given).map_err(|refused| refused.text)?);
    Ok(notices)
}

const UP: &str = "azuring copy /src https://a.blob.core.windows.net/c";
const DOWN: &str = "azuring copy https://a.blob.core.windows.net/c /dst";

#[test]
fn flags_that_cannot_be_honoured_are_refused_with_the_reason() {
    for (line, flag, want) in [
        (UP, "--check-md5=NoCheck", "check-md5 is set but the job is not a download"),
        (
            UP,
            "--preserve-last-modified-time",
            "preserve-last-modified-time is not supported while uploading to Blob Storage",
        ),
        (UP, "--decompress", "decompress is not supported while uploading"),
        (UP, "--preserve-setuid", "preserve-setuid is not supported while uploading"),
        (DOWN, "--preserve-setuid", "--preserve-setuid adds to --preserve-posix-properties: give that too"),
        (UP, "--s2s-preserve-properties=true", "s2s-preserve-properties is not supported while uploading"),
        (DOWN, "--s2s-preserve-blob-tags", "s2s-preserve-blob-tags is not supported while downloading"),
        (DOWN, "--follow-symlinks", "follow-symlinks flag is not supported while downloading"),
        (DOWN, "--block-blob-tier=Hot", "blob-tier is not supported while downloading"),
        (DOWN, "--no-guess-mime-type", "no-guess-mime-type is not supported while downloading"),
        (DOWN, "--metadata=a=b", "metadata is not supported while downloading"),
        (DOWN, "--blob-type=PageBlob", "blob-type is not supported while downloading"),
        (
            DOWN,
            "--delete-destination-file",
            "--delete-destination-file is for uploads: the destination has no blobs",
        ),
        (
            DOWN,
            "--force-if-read-only",
            "force-if-read-only is only supported when the target is Azure Files or a Windows file system",
        ),
        (UP, "--preserve-owner=false", "flag --preserve-owner can only be used on downloads"),
        (
            UP,
            "--preserve-smb-permissions=true",
            "preserve-permissions is set but the job is not between permission-aware resources",
        ),
        (UP, "--include-attributes=A", "--include-attributes is for Windows only"),
        (UP, "--backup", "--backup is for Windows only"),
        (UP, "--trailing-dot=Disable", "--trailing-dot=Disable is only for Azure Files"),
        (UP, "--overwrite=posixproperties", "--overwrite=posixproperties: not in this version"),
        (UP, "--flush-threshold=1", "--flush-threshold is only for Data Lake Storage's own endpoint"),
    ] {
        assert_eq!(checked(&format!("{line} {flag}")), Err(want.to_owned()), "{flag}");
    }
    for flag in [
        "--include=x",
        "--exclude=x",
        "--exclude-container=x",
        "--preserve-info",
        "--hardlinks=skip",
        "--check-version",
        "--await-open",
        "--debug-skip-files=x",
        "--retry-status-codes=500",
        "--request-priority=3",
        "--memory-profile=x",
    ] {
        assert!(checked(&format!("{UP} {flag}")).is_err(), "{flag}");
    }
}

const FROM_PIPE: &str = "azuring copy - https://a.blob.core.windows.net/c/x --from-to=PipeBlob";
const TO_PIPE: &str = "azuring copy https://a.blob.core.windows.net/c/x - --from-to=BlobPipe";
const TO_NULL: &str = "azuring copy https://a.blob.core.windows.net/c /dev/null";

#[test]
fn flags_that_say_nothing_of_a_pipe_are_refused() {
    for flag in [
        "--dry-run",
        "--recursive",
        "--as-subdir=false",
        "--include-directory-stub",
        "--include-pattern=*.x",
        "--exclude-pattern=*.x",
        "--include-path=a",
        "--exclude-path=a",
        "--include-regex=(",
        "--exclude-regex=(",
        "--include-after=2026-01-01",
        "--include-before=2026-01-01",
        "--list-of-files=l",
        "--list-of-versions=l",
        "--exclude-blob-type=PageBlob",
        "--follow-symlinks",
        "--preserve-symlinks",
        "--preserve-posix-properties",
        "--posix-properties-style=AMLFS",
    ] {
        let name = flag.trim_start_matches('-').split('=').next().unwrap();
        for line in [FROM_PIPE, TO_PIPE] {
            let told = checked(&format!("{line} {flag}")).unwrap_err();
            assert!(told.contains(name), "{line} {flag}: {told}");
        }
    }
    for (line, flag, want) in [
        (FROM_PIPE, "--put-blob-size-mb=1", "what fits into one block is sent in one request"),
        (FROM_PIPE, "--page-blob-tier=P4", "a page blob is made with its length"),
        (TO_PIPE, "--overwrite=false", "there is nothing in a pipe that could be kept"),
        (TO_PIPE, "--overwrite=ifSourceNewer", "there is nothing in a pipe that could be kept"),
        (TO_PIPE, "--overwrite=prompt", "there is nothing in a pipe that could be kept"),
        (TO_PIPE, "--decompress", "a pipe gets the bytes as they are stored"),
        (TO_PIPE, "--preserve-last-modified-time", "a pipe has no time of modification"),
    ] {
        let told = checked(&format!("{line} {flag}")).unwrap_err();
        let name = flag.split('=').next().unwrap();
        assert!(told.starts_with(&format!("{name}: {want}")), "{flag}: {told}");
    }
}

#[test]
fn flags_that_say_nothing_of_dev_null_are_refused() {
    for flag in [
        "--as-subdir=false",
        "--overwrite=false",
        "--decompress",
        "--preserve-last-modified-time",
        "--preserve-posix-properties",
        "--posix-properties-style=AMLFS",
    ] {
        let told = checked(&format!("{TO_NULL} {flag}")).unwrap_err();
        let name = flag.split('=').next().unwrap();
        assert!(told.starts_with(&format!("{name}: /dev/null keeps nothing")), "{flag}: {told}");
        // A file called so elsewhere is one.
        assert_eq!(checked(&format!("{DOWN}/dev/null {flag}")), Ok(Vec::new()), "{flag}");
    }
}

#[test]
fn flags_that_a_pipe_and_dev_null_honour_are_taken() {
    for (line, flag) in [
        (FROM_PIPE, "--recursive=false"),
        (FROM_PIPE, "--include-pattern="),
        (FROM_PIPE, "--overwrite=false"),
        (FROM_PIPE, "--block-size-mb=4"),
        (FROM_PIPE, "--blob-type=AppendBlob"),
        (FROM_PIPE, "--block-blob-tier=Cool"),
        (FROM_PIPE, "--metadata=a=1"),
        (FROM_PIPE, "--put-md5"),
        (TO_PIPE, "--as-subdir"),
        (TO_PIPE, "--check-md5=LogOnly"),
        (TO_PIPE, "--block-size-mb=4"),
        (TO_PIPE, "--decompress=false"),
        (TO_NULL, "--recursive"),
        (TO_NULL, "--dry-run"),
        (TO_NULL, "--include-pattern=*.x"),
        (TO_NULL, "--preserve-symlinks"),
        (TO_NULL, "--include-directory-stub"),
    ] {
        assert_eq!(checked(&format!("{line} {flag}")), Ok(Vec::new()), "{line} {flag}");
    }
}

const BETWEEN: &str = "azuring copy https://a.blob.core.windows.net/c https://b.blob.core.windows.net/c";

#[test]
fn flags_that_cannot_be_between_services_are_refused_in_azcopys_words() {
    for (flag, want) in [
        ("--content-type=a/b", "content-type is not supported while copying from service to service"),
        ("--cache-control=x", "cache-control is not supported while copying from service to service"),
        ("--metadata=a=b", "metadata is not supported while copying from service to service"),
        ("--no-guess-mime-type", "no-guess-mime-type is not supported while copying from service to service"),
        (
            "--preserve-last-modified-time",
            "preserve-last-modified-time is not supported while copying from service to service",
        ),
        ("--follow-symlinks", "follow-symlinks flag is not supported while copying from service to service"),
        ("--decompress", "decompress is not supported while copying from service to service"),
        (
            "--put-md5",
            "put-md5 is set but the job is not an upload: a copy keeps the MD5 that the source has",
        ),
        ("--blob-type=PageBlob", "--blob-type: from service to service each blob keeps its type"),
        ("--blob-type=AppendBlob", "--blob-type: from service to service each blob keeps its type"),
        ("--check-md5=LogOnly", "--check-md5: from service to service it is FailIfDifferent or NoCheck"),
        ("--check-md5=FailIfDifferentOrMissing", "--check-md5: from service to service it is"),
        ("--delete-destination-file", "--delete-destination-file is for uploads: not between services"),
        ("--no-relay --route=relay", "--no-relay forbids the way that --route=relay asks for"),
        ("--route=staging", "--route=staging needs --staging-url"),
        (
            "--no-relay --staging-url=https://a.blob.core.windows.net/c",
            "--no-relay with --staging-url: say which way",
        ),
        ("--preserve-owner=true", "flag --preserve-owner can only be used on downloads"),
    ] {
        let told = checked(&format!("{BETWEEN} {flag}")).unwrap_err();
        assert!(told.starts_with(want), "{flag}: {told}");
    }
    for flag in
        ["--route=direct", "--route=relay", "--no-relay", "--staging-url=https://h/c", "--staging-limit=1"]
    {
        let name = flag.split('=').next().unwrap();
        for line in [UP, DOWN, FROM_PIPE, TO_PIPE, TO_NULL] {
            let told = checked(&format!("{line} {flag}")).unwrap_err();
            assert_eq!(told, format!("{name} is only for copies from service to service"), "{line}");
        }
    }
}

#[test]
fn flags_that_hold_between_services_are_taken() {
    for flag in [
        "--recursive",
        "--as-subdir=false",
        "--include-pattern=*.x",
        "--exclude-blob-type=PageBlob",
        "--page-blob-tier=P4",
        "--overwrite=false",
        "--dry-run",
        "--check-length=true",
        "--check-md5=NoCheck",
        "--block-size-mb=4",
        "--put-blob-size-mb=4",
        "--blob-type=BlockBlob",
        "--blob-type=Detect",
        "--block-blob-tier=Cool",
        "--blob-tags=a=b",
        "--preserve-symlinks",
        "--include-directory-stub",
        "--preserve-posix-properties",
        "--verify",
        "--cpk-by-name=x",
        "--route=AUTO",
        "--route=direct --no-relay",
        "--route=relay",
        "--no-relay",
        "--s2s-preserve-access-tier",
        "--s2s-preserve-access-tier=false",
        "--s2s-preserve-blob-tags=false",
        "--s2s-preserve-blob-tags=true",
        "--s2s-preserve-properties",
        "--s2s-preserve-properties=true",
        "--s2s-detect-source-changed",
        "--s2s-detect-source-changed=false",
        "--s2s-handle-invalid-metadata=ExcludeIfInvalid",
        "--s2s-handle-invalid-metadata=renameifinvalid",
    ] {
        assert_eq!(checked(&format!("{BETWEEN} {flag}")), Ok(Vec::new()), "{flag}");
    }
    for flag in ["--s2s-get-properties-in-backend=true", "--s2s-preserve-properties=false"] {
        let told = checked(&format!("{BETWEEN} {flag}")).unwrap();
        assert!(told.len() == 1 && told[0].contains("has no effect"), "{told:?}");
    }
}

#[test]
fn the_defaults_may_be_said() {
    for flag in [
        "--check-version=false",
        "--hardlinks=follow",
        "--backup=false",
        "--trailing-dot=Enable",
        "--request-priority=-1",
        "--preserve-info=false",
        "--log-level=NONE",
        "--log-level=fatal",
        "--decompress=false",
        "--s2s-preserve-access-tier=false",
        "--s2s-preserve-properties=false",
        "--s2s-preserve-blob-tags=false",
        "--s2s-detect-source-changed=false",
        "--s2s-handle-invalid-metadata=ExcludeIfInvalid",
        "--route=auto",
        "--no-relay=false",
    ] {
        assert_eq!(checked(&format!("{UP} {flag}")), Ok(Vec::new()), "{flag}");
    }
}

#[test]
fn flags_without_effect_are_said_in_a_line_each() {
    for (line, flag) in
        [(UP, "--skip-version-check"), (UP, "--disable-auto-decoding"), (DOWN, "--preserve-owner=false")]
    {
        let notices = checked(&format!("{line} {flag}")).unwrap();
        assert_eq!(notices.len(), 1, "{flag}");
        let name = flag.split('=').next().unwrap();
        assert!(notices[0].starts_with(&format!("{name} has no effect")), "{notices:?}");
    }
}

#[test]
fn places_that_are_not_in_this_version() {
    for (name, want) in [
        ("LocalBlob", true),
        ("BlobLocal", true),
        ("PipeBlob", true),
        ("BlobPipe", true),
        ("BlobBlob", true),
        ("BlobFile", false),
        ("LocalFile", false),
        ("S3Blob", false),
        ("BlobTrash", false),
    ] {
        assert_eq!(check_places(FromTo::parse(name).unwrap(), Path::new("x")).is_ok(), want, "{name}");
    }
}
