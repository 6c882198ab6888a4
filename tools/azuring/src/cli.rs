//! The command line: each flag is defined here, once.

use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Bulk transfer for Azure Storage.
#[derive(Debug, Parser)]
#[command(name = "azuring", version, about, max_term_width = 100, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Upload a file or a directory tree to a blob container
    #[command(visible_aliases = ["cp", "c"])]
    Copy(Box<CopyArgs>),
    /// Upload a generated tree (or DIR) to a built-in server, read it back, and show the figures
    Demo(DemoArgs),
    #[command(hide = true)]
    DemoServer(DemoServerArgs),
}

/// A flag that takes `--flag`, `--flag=true` and `--flag=false`, as AzCopy's do.
macro_rules! switch {
    () => {
        BoolishValueParser::new()
    };
}

#[derive(Debug, Args)]
pub(crate) struct CopyArgs {
    /// A local file, a directory, `dir/*` for what is in it, or a pattern
    pub(crate) source: PathBuf,

    /// https://ACCOUNT.blob.core.windows.net/CONTAINER/PATH?SAS, or http://HOST:PORT/ACCOUNT/CONTAINER/PATH
    pub(crate) destination: String,

    /// Enter directories
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false",
          value_parser = switch!(), value_name = "BOOL")]
    pub(crate) recursive: bool,

    /// What goes where; told by the arguments' shape when it is not given
    #[arg(long, value_enum, ignore_case = true, value_name = "FROM_TO")]
    pub(crate) from_to: Option<FromTo>,

    #[command(flatten)]
    pub(crate) blob: BlobArgs,

    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}

/// What AzCopy calls `--from-to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FromTo {
    /// From a local path to Blob storage.
    #[value(name = "LocalBlob")]
    LocalBlob,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Blob properties")]
pub(crate) struct BlobArgs {
    /// Block size in MiB, fractions allowed [default: 8, more for files above 390 GiB]
    #[arg(long, value_name = "MIB")]
    pub(crate) block_size_mb: Option<String>,

    /// Largest file sent in one request, in MiB [default: the block size]
    #[arg(long, value_name = "MIB")]
    pub(crate) put_blob_size_mb: Option<String>,

    /// Content type of every blob [default: told by name, then by content]
    #[arg(long, value_name = "TYPE")]
    pub(crate) content_type: Option<String>,

    /// Do not guess content types
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false",
          value_parser = switch!(), value_name = "BOOL")]
    pub(crate) no_guess_mime_type: bool,

    /// Content encoding of every blob
    #[arg(long, value_name = "ENCODING")]
    pub(crate) content_encoding: Option<String>,

    /// Content language of every blob
    #[arg(long, value_name = "LANGUAGE")]
    pub(crate) content_language: Option<String>,

    /// Content disposition of every blob
    #[arg(long, value_name = "DISPOSITION")]
    pub(crate) content_disposition: Option<String>,

    /// Cache-Control of every blob
    #[arg(long, value_name = "DIRECTIVES")]
    pub(crate) cache_control: Option<String>,

    /// Metadata of every blob: `name=value;name2=value2`; `\;` and `\=` stand for themselves
    #[arg(long, value_name = "PAIRS")]
    pub(crate) metadata: Option<String>,

    /// Access tier of every blob: Hot, Cool, Cold or Archive
    #[arg(long, value_name = "TIER")]
    pub(crate) block_blob_tier: Option<String>,

    /// Index tags of every blob: `key=value&key2=value2`, percent-encoded
    #[arg(long, value_name = "TAGS")]
    pub(crate) blob_tags: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Engine")]
pub(crate) struct EngineArgs {
    /// Requests in flight [default: 16 per core, at least 64]
    #[arg(long, env = "AZCOPY_CONCURRENCY_VALUE", hide_env_values = true, value_name = "N", value_parser = concurrency)]
    pub(crate) concurrency: Option<Concurrency>,

    /// Memory for everything, such as 512M or 1G [default: a quarter of the machine's, at most 1G]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) memory: Option<u64>,

    /// Attempts per request
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_tries: u32,

    /// Seconds without a byte in either direction after which an exchange is cut and repeated
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) stall_seconds: u64,

    /// HTTP version over https; http:// is always HTTP/1.1
    #[arg(long, value_enum, default_value_t = Http::Auto)]
    pub(crate) http: Http,

    /// How files are read
    #[arg(long, value_enum, default_value_t = Io::Auto)]
    pub(crate) io: Io,

    /// Threads that carry transfers [default: a core each, at most 16]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=16))]
    pub(crate) lanes: Option<u16>,

    /// Trust the certificate authorities in this PEM file as well
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
}

/// A number, or AzCopy's AUTO for the default.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Concurrency {
    Auto,
    Value(usize),
}

fn concurrency(text: &str) -> Result<Concurrency, String> {
    let text = text.trim();
    // A variable that is set to nothing counts as not set.
    if text.is_empty() || text.eq_ignore_ascii_case("auto") {
        return Ok(Concurrency::Auto);
    }
    match text.parse() {
        Ok(n) if n >= 1 => Ok(Concurrency::Value(n)),
        _ => Err("it is a number from 1, or AUTO".to_owned()),
    }
}

/// `64M`, `1G`, `1.5GiB`, or bytes.
fn size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim().to_ascii_lowercase().trim_end_matches("ib").trim_end_matches('b') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return Err("its unit is one of K, M, G, T".to_owned()),
    };
    let number: f64 = number.parse().map_err(|_| "it is a number with a unit, such as 512M".to_owned())?;
    Ok((number * (1u64 << shift) as f64) as u64)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Http {
    /// What the server offers: HTTP/2 for small bodies, HTTP/1.1 for large ones
    Auto,
    /// HTTP/1.1
    #[value(name = "1.1", alias = "1")]
    One,
    /// HTTP/2
    #[value(name = "2")]
    Two,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Io {
    /// io_uring where it is allowed
    Auto,
    /// Blocking threads
    Threads,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// The tree to upload instead of a generated one
    pub(crate) dir: Option<PathBuf>,

    /// Small files of the generated tree
    #[arg(long, default_value_t = 20_000, hide = true)]
    pub(crate) files: usize,

    /// MiB of the generated tree's large file
    #[arg(long, default_value_t = 256, hide = true)]
    pub(crate) large_mib: u64,
}

#[derive(Debug, Args)]
pub(crate) struct DemoServerArgs {
    /// Where blobs are kept; in memory when it is not given
    #[arg(long)]
    pub(crate) disk: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn azcopys_ways_to_write_flags_are_understood() {
        let parse = |line: &str| match Cli::try_parse_from(line.split(' ')).unwrap().command {
            Command::Copy(args) => args,
            other => panic!("{other:?}"),
        };
        assert!(parse("azuring copy a b --recursive").recursive);
        assert!(parse("azuring cp a b --recursive=true").recursive);
        assert!(!parse("azuring c a b --recursive=false").recursive);
        assert_eq!(parse("azuring copy a b --from-to=localblob").from_to, Some(FromTo::LocalBlob));
        assert!(matches!(
            parse("azuring copy a b --concurrency AUTO").engine.concurrency,
            Some(Concurrency::Auto)
        ));
        assert!(matches!(concurrency(""), Ok(Concurrency::Auto)));
        assert!(matches!(concurrency(" 7 "), Ok(Concurrency::Value(7))));
        assert_eq!(parse("azuring copy a b --memory 1.5GiB").engine.memory, Some(3 << 29));
        assert!(Cli::try_parse_from("azuring copy a b --concurrency 0".split(' ')).is_err());
        assert!(Cli::try_parse_from("azuring copy a b --memory 12X".split(' ')).is_err());
        assert!(Cli::try_parse_from("azuring copy a".split(' ')).is_err());
    }
}
