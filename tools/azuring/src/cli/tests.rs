//! What is written on a command line, and what comes of it.

use super::copy::{BlobTypeArg, CheckMd5Arg, OverwriteArg};
use super::global::{OutputLevel, OutputType};
use super::remove::{DeleteSnapshotsArg, PermanentDeleteArg};
use super::value::{Concurrency, Switch};
use super::*;

fn parsed(line: &str) -> Cli {
    parse(line.split(' ')).unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn copy(line: &str) -> CopyArgs {
    match parsed(line).command {
        Command::Copy(args) => *args,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_definition_is_consistent() {
    definition().debug_assert();
}

#[test]
fn flags_that_an_advice_names_are_in_the_help() {
    let mut definition = definition();
    let help = definition.find_subcommand_mut("copy").unwrap().render_long_help().to_string();
    for flag in ["--delete-destination-file", "--check-length", "--verify", "--overwrite", "--block-size-mb"]
    {
        assert!(help.contains(flag), "{flag}");
    }
}

#[test]
fn switches_are_written_in_azcopys_ways() {
    assert!(copy("azuring copy a b --recursive").recursive.0);
    assert!(copy("azuring cp a b --recursive=true").recursive.0);
    assert!(!copy("azuring c a b --recursive=false").recursive.0);
    let args = copy("azuring copy --recursive a b");
    assert_eq!((args.source.to_str(), args.destination), (Some("a"), Some("b".into())));
    assert!(copy("azuring copy a b").as_subdir.0, "true unless it is said otherwise");
    assert_eq!(copy("azuring copy a b").refused.preserve_owner, None);
    assert_eq!(copy("azuring copy a b --preserve-owner=false").refused.preserve_owner, Some(Switch(false)));
    assert!(parse("azuring copy a b --recursive=perhaps".split(' ')).is_err());
}

#[test]
fn values_are_given_with_or_without_an_equals_sign() {
    assert_eq!(copy("azuring copy a b --from-to=localblob").from_to.as_deref(), Some("localblob"));
    assert_eq!(copy("azuring copy a b --from-to LocalBlob").from_to.as_deref(), Some("LocalBlob"));
    assert_eq!(copy("azuring copy a b --concurrency AUTO").engine.concurrency, Some(Concurrency::Auto));
    assert_eq!(copy("azuring copy a b --memory 1.5GiB").engine.memory, Some(3 << 29));
    assert!(parse("azuring copy a b --concurrency 0".split(' ')).is_err());
    assert!(parse("azuring copy a b --memory 12X".split(' ')).is_err());
}

#[test]
fn of_a_flag_given_twice_the_last_counts() {
    let args = copy("azuring copy a b --recursive --include-pattern=x --recursive=false --include-pattern=y");
    assert!(!args.recursive.0);
    assert_eq!(args.names.include_pattern.as_deref(), Some("y"));
}

#[test]
fn names_of_values_are_azcopys_in_any_case() {
    for (line, want) in [
        ("--overwrite=true", OverwriteArg::True),
        ("--overwrite=FALSE", OverwriteArg::False),
        ("--overwrite ifsourcenewer", OverwriteArg::IfSourceNewer),
        ("--overwrite=prompt", OverwriteArg::Prompt),
    ] {
        assert_eq!(copy(&format!("azuring copy a b {line}")).overwrite(), want, "{line}");
    }
    assert_eq!(copy("azuring copy a b --blob-type=pageblob").blob.blob_type, BlobTypeArg::Page);
    let args = copy("azuring copy a b --check-md5 FailIfDifferentOrMissing");
    assert_eq!(args.download.check_md5, Some(CheckMd5Arg::FailIfDifferentOrMissing));
    let Command::Remove(args) =
        parsed("azuring rm u --delete-snapshots=include --permanent-delete=snapshotsandversions").command
    else {
        panic!("it is remove")
    };
    assert_eq!(args.delete_snapshots, Some(DeleteSnapshotsArg::Include));
    assert_eq!(args.permanent_delete, PermanentDeleteArg::SnapshotsAndVersions);
}

#[test]
fn every_command_has_its_aliases() {
    let is = |line: &str, want: fn(&Command) -> bool| {
        let command = parsed(line).command;
        assert!(want(&command), "{line}: {command:?}");
    };
    for alias in ["copy", "cp", "c"] {
        is(&format!("azuring {alias} a b"), |command| matches!(command, Command::Copy(_)));
    }
    for alias in ["remove", "rm", "r"] {
        is(&format!("azuring {alias} u"), |command| matches!(command, Command::Remove(_)));
    }
    for alias in ["set-properties", "set-props", "sp", "setprops"] {
        is(&format!("azuring {alias} u"), |command| matches!(command, Command::SetProperties(_)));
    }
    for alias in ["make", "mk", "mkdir"] {
        is(&format!("azuring {alias} u"), |command| matches!(command, Command::Make(_)));
    }
    for alias in ["list", "ls"] {
        is(&format!("azuring {alias} u"), |command| matches!(command, Command::List(_)));
    }
    is("azuring sync a b --delete-destination=true", |command| matches!(command, Command::Sync(_)));
    for line in ["list --with-status=All", "ls", "show x", "resume x", "remove x", "rm x", "clean", "cl"] {
        is(&format!("azuring jobs {line}"), |command| matches!(command, Command::Jobs(_)));
    }
}

#[test]
fn global_flags_stand_anywhere() {
    for line in [
        "azuring --output-type=json --output-level essential copy a b",
        "azuring copy a b --output-type JSON --output-level=essential",
        "azuring copy --output-type=json a --output-level=essential b",
    ] {
        let global = parsed(line).global;
        assert_eq!((global.output_type, global.output_level), (OutputType::Json, OutputLevel::Essential));
    }
    assert_eq!(parsed("azuring copy a b --cap-mbps=2.5").global.cap_mbps, 2.5);
    assert_eq!(parsed("azuring copy a b --request-priority=-1").global.request_priority, Some(-1));
}

#[test]
fn a_pipe_needs_one_argument_only() {
    assert_eq!(copy("azuring copy u --from-to=BlobPipe").destination, None);
    assert!(parse(["azuring", "copy"]).is_err());
    assert!(parse("azuring copy a b c".split(' ')).is_err());
}
