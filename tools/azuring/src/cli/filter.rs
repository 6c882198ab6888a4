//! Which objects: flags of copy, remove and set-properties.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Which objects")]
pub(crate) struct NameArgs {
    /// Only names (the last part of a path) that match one of these patterns: `*.jpg;*.png`
    #[arg(long, value_name = "PATTERNS")]
    pub(crate) include_pattern: Option<String>,

    /// Exclude names that match one of these patterns
    #[arg(long, value_name = "PATTERNS")]
    pub(crate) exclude_pattern: Option<String>,

    /// Only these relative paths, and everything below them: `dir;dir2/file`
    #[arg(long, value_name = "PATHS")]
    pub(crate) include_path: Option<String>,

    /// Exclude these relative paths, and everything below them; excluded directories are not read
    #[arg(long, value_name = "PATHS")]
    pub(crate) exclude_path: Option<String>,

    /// Only the relative paths in this file, one per line; `-` is stdin. A missing path counts as a failure
    #[arg(long, value_name = "FILE", conflicts_with = "include_path")]
    pub(crate) list_of_files: Option<PathBuf>,
}

#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Which objects")]
pub(crate) struct RegexArgs {
    /// Only relative paths that match one of these regular expressions (RE2), separated by `;`
    #[arg(long, value_name = "REGEXES")]
    pub(crate) include_regex: Option<String>,

    /// Exclude relative paths that match one of these regular expressions (RE2), separated by `;`
    #[arg(long, value_name = "REGEXES")]
    pub(crate) exclude_regex: Option<String>,
}

#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Which objects")]
pub(crate) struct TimeArgs {
    /// Only objects modified at this time or later: 2026-11-22, 2026-11-22T07:30, 2026-11-22T07:30:00Z
    #[arg(long, value_name = "TIME")]
    pub(crate) include_after: Option<String>,

    /// Only objects modified at this time or before
    #[arg(long, value_name = "TIME")]
    pub(crate) include_before: Option<String>,
}

#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Encryption")]
pub(crate) struct KeyArgs {
    /// Use this encryption scope
    #[arg(long, value_name = "SCOPE", conflicts_with = "cpk_by_value")]
    pub(crate) cpk_by_name: Option<String>,

    /// Use the encryption key in CPK_ENCRYPTION_KEY (and CPK_ENCRYPTION_KEY_SHA256), both base64
    #[arg(long, default_value = "false")]
    pub(crate) cpk_by_value: super::value::Switch,
}
