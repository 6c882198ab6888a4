//! Which flags mean something for which pairs: one table, by groups.
//!
//! A [`Pair`] has groups of flags, a flag is in one group or more. Where none of its groups is the pair's, a flag that
//! asks for something is refused, in AzCopy's words where AzCopy has some.

use crate::pairs::{Pair, Verb};

/// What flags are about. A pair has those that mean something for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Group {
    /// Every transfer.
    Any,
    /// Several objects, of which some are chosen.
    Tree,
    /// Blobs as sources: their types and versions.
    Versions,
    /// A local file stands at one end and is kept there: its names, properties and bytes.
    Files,
    /// What the destination has may be replaced.
    Replaces,
    /// Local files as sources: their length is known.
    FromFiles,
    /// Local files are made.
    ToFiles,
    /// Blobs are made.
    NewBlobs,
    /// Blobs get other properties.
    Properties,
    /// The bytes of objects are read.
    Reads,
    /// Blobs are removed.
    Removals,
    /// A listing is shown.
    Listing,
    /// From one service to another.
    Services,
    /// Blobs stand at both ends.
    Blobs,
    /// Azure Files.
    Shares,
    /// Data Lake Storage by its own endpoint.
    DataLake,
    /// Accounts as a whole.
    Accounts,
    /// Windows; no pair has it.
    Windows,
    /// Flags that AzCopy has given up; no pair has it.
    Gone,
}

/// A flag of a command line.
#[derive(Debug)]
pub struct Flag {
    /// Without dashes.
    pub name: &'static str,
    /// It means something for pairs that have one of these.
    pub groups: &'static [Group],
    /// A value that asks for nothing, where the command line knows no default.
    pub default: &'static str,
    /// What is said where it means nothing; the first whose place it is. After these, [`UNSUPPORTED`].
    says: &'static [(Where, &'static str)],
}

/// Where a refusal has words of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Where {
    Put,
    Get,
    /// From one service to another.
    Copy,
    /// Either end is a pipe.
    Pipe,
    FromPipe,
    ToPipe,
    /// Nothing is kept (`/dev/null`).
    ToNull,
    Everywhere,
}

/// AzCopy's words.
const UNSUPPORTED: &str = "{flag} is not supported while {doing}";
const ONE: &str = "--{flag}: a pipe carries one blob: there is nothing to choose from";
const NO_DIRECTORIES: &str = "--{flag}: a pipe carries one blob: there are no directories";
const NO_PROPERTIES: &str = "--{flag}: a pipe has no properties of a file";
const NO_LINK: &str = "--{flag}: a pipe is no symbolic link";
const NO_LINKS_FOLLOWED: &str = "{flag} flag is not supported while {doing}";
const NOTHING_KEPT: &str =
    "--{flag}: /dev/null keeps nothing: blobs are read and verified as they are stored";
const NO_WAY: &str = "--{flag} is only for copies from service to service";
const SHARES_ONLY: &str = "--{flag}={value} is only for Azure Files";
const WINDOWS_ONLY: &str = "--{flag} is for Windows only";
const REPLACED: &str = "the include and exclude parameters have been replaced by include-pattern; include-path; \
     exclude-pattern and exclude-path. For info, run: azuring copy --help";

const fn flag(name: &'static str, groups: &'static [Group], says: &'static [(Where, &'static str)]) -> Flag {
    Flag { name, groups, default: "", says }
}

/// Every flag that belongs to pairs; those of all commands and of the engine mean the same everywhere.
pub const FLAGS: &[Flag] = {
    use Group::{
        Accounts, Any, Blobs, DataLake, Files, FromFiles, Gone, Listing, NewBlobs, Properties, Reads,
        Removals, Replaces, Services, Shares, ToFiles, Tree, Versions, Windows,
    };
    use Where::{Copy, Everywhere, FromPipe, Get, Pipe, Put, ToNull, ToPipe};
    &[
        flag("from-to", &[Any], &[]),
        flag("location", &[Any], &[]),
        flag("retry-failed", &[Any], &[]),
        flag("no-journal", &[Any], &[]),
        flag("cpk-by-name", &[Any], &[]),
        flag("cpk-by-value", &[Any], &[]),
        flag("block-size-mb", &[Any], &[]),
        flag("check-length", &[Any], &[]),
        flag("hardlinks", &[Any], &[]),
        flag("disable-auto-decoding", &[Any], &[]),
        // Other systems, and what AzCopy has given up.
        flag("include-attributes", &[Windows], &[(Everywhere, WINDOWS_ONLY)]),
        flag("exclude-attributes", &[Windows], &[(Everywhere, WINDOWS_ONLY)]),
        flag("backup", &[Windows], &[(Everywhere, WINDOWS_ONLY)]),
        flag("include", &[Gone], &[(Everywhere, REPLACED)]),
        flag("exclude", &[Gone], &[(Everywhere, REPLACED)]),
        // Other places.
        flag(
            "exclude-container",
            &[Accounts],
            &[(
                Everywhere,
                "--{flag}: only a whole account has containers that can be left out; here a container is named",
            )],
        ),
        flag(
            "force-if-read-only",
            &[Shares],
            &[(
                Everywhere,
                "{flag} is only supported when the target is Azure Files or a Windows file system",
            )],
        ),
        flag(
            "preserve-permissions",
            &[Shares],
            &[(Everywhere, "{flag} is set but the job is not between permission-aware resources")],
        ),
        flag(
            "preserve-info",
            &[Shares],
            &[(Everywhere, "{flag} is set but the job is not between resources that have such properties")],
        ),
        Flag {
            name: "trailing-dot",
            groups: &[Shares],
            // Names of blobs keep their dots.
            default: "Enable",
            says: &[(Everywhere, SHARES_ONLY)],
        },
        Flag {
            name: "quota-gb",
            groups: &[Shares],
            default: "0",
            says: &[(Everywhere, "--{flag} is only for Azure Files")],
        },
        flag(
            "flush-threshold",
            &[DataLake],
            &[(Everywhere, "--{flag} is only for Data Lake Storage's own endpoint")],
        ),
        // Between services. To say `false` asks for nothing anywhere, as in AzCopy.
        Flag {
            name: "s2s-preserve-blob-tags",
            groups: &[Blobs],
            default: "false",
            says: &[(Copy, "--{flag}={value}: only blobs have tags")],
        },
        Flag { name: "s2s-preserve-access-tier", groups: &[Services], default: "false", says: &[] },
        Flag { name: "s2s-preserve-properties", groups: &[Services], default: "false", says: &[] },
        Flag { name: "s2s-get-properties-in-backend", groups: &[Services], default: "false", says: &[] },
        Flag { name: "s2s-detect-source-changed", groups: &[Services], default: "false", says: &[] },
        Flag {
            name: "s2s-handle-invalid-metadata",
            groups: &[Services],
            default: "ExcludeIfInvalid",
            says: &[],
        },
        flag(
            "source-cpk-by-value",
            &[Blobs],
            &[(
                Everywhere,
                "--{flag}: only the source of a copy between blobs has a key of its own: use --cpk-by-value",
            )],
        ),
        // Which way their bytes go.
        Flag { name: "route", groups: &[Services], default: "auto", says: &[(Everywhere, NO_WAY)] },
        flag("no-relay", &[Services], &[(Everywhere, NO_WAY)]),
        flag("source-tenant-id", &[Services], &[(Everywhere, NO_WAY)]),
        flag("destination-tenant-id", &[Services], &[(Everywhere, NO_WAY)]),
        flag("staging-url", &[Services], &[(Everywhere, NO_WAY)]),
        Flag { name: "staging-limit", groups: &[Services], default: "64", says: &[(Everywhere, NO_WAY)] },
        // Which objects.
        flag(
            "dry-run",
            &[Tree],
            &[(Pipe, "--{flag}: it says which files would be transferred: a pipe has none")],
        ),
        flag("recursive", &[Tree], &[(Pipe, NO_DIRECTORIES)]),
        flag("include-directory-stub", &[Tree], &[(Pipe, NO_DIRECTORIES)]),
        flag("include-pattern", &[Tree], &[(Pipe, ONE)]),
        flag("exclude-pattern", &[Tree], &[(Pipe, ONE)]),
        flag("include-path", &[Tree], &[(Pipe, ONE)]),
        flag("exclude-path", &[Tree], &[(Pipe, ONE)]),
        flag("include-regex", &[Tree], &[(Pipe, ONE)]),
        flag("exclude-regex", &[Tree], &[(Pipe, ONE)]),
        flag("include-after", &[Tree], &[(Pipe, ONE)]),
        flag("include-before", &[Tree], &[(Pipe, ONE)]),
        flag("list-of-files", &[Tree], &[(Pipe, ONE)]),
        flag("list-of-versions", &[Versions], &[(Pipe, ONE)]),
        flag("exclude-blob-type", &[Versions, Blobs], &[(Pipe, ONE)]),
        // Files, and what stands for them.
        flag("as-subdir", &[Files, Services], &[(Pipe, NO_DIRECTORIES), (ToNull, NOTHING_KEPT)]),
        flag("preserve-symlinks", &[Tree], &[(Pipe, NO_LINK)]),
        flag(
            "follow-symlinks",
            &[FromFiles],
            &[(Pipe, NO_LINK), (Get, NO_LINKS_FOLLOWED), (Copy, NO_LINKS_FOLLOWED)],
        ),
        flag("preserve-posix-properties", &[Files, Blobs], &[(Pipe, NO_PROPERTIES), (ToNull, NOTHING_KEPT)]),
        flag("posix-properties-style", &[Files, Blobs], &[(Pipe, NO_PROPERTIES), (ToNull, NOTHING_KEPT)]),
        flag("preserve-setuid", &[ToFiles], &[(ToPipe, NO_PROPERTIES), (ToNull, NOTHING_KEPT)]),
        flag(
            "verify",
            &[Files, Services],
            &[(Pipe, "--{flag}: what went through a pipe cannot be read again"), (ToNull, NOTHING_KEPT)],
        ),
        Flag {
            name: "overwrite",
            groups: &[Replaces],
            default: "true",
            says: &[
                (ToPipe, "--{flag}: there is nothing in a pipe that could be kept"),
                (ToNull, NOTHING_KEPT),
            ],
        },
        flag(
            "decompress",
            &[ToFiles],
            &[
                (
                    ToPipe,
                    "--{flag}: a pipe gets the bytes as they are stored: leave it out and unpack what comes \
                     (`... | gunzip`)",
                ),
                (ToNull, NOTHING_KEPT),
            ],
        ),
        flag(
            "preserve-last-modified-time",
            &[ToFiles],
            &[
                (Put, "{flag} is not supported while uploading to Blob Storage"),
                (ToPipe, "--{flag}: a pipe has no time of modification"),
                (ToNull, NOTHING_KEPT),
            ],
        ),
        flag("check-md5", &[Reads, Services], &[(Everywhere, "{flag} is set but the job is not a download")]),
        flag("preserve-owner", &[Reads], &[(Everywhere, "flag --{flag} can only be used on downloads")]),
        // Blobs that are made.
        flag("blob-type", &[NewBlobs, Blobs], &[]),
        flag("content-type", &[NewBlobs], &[]),
        flag("no-guess-mime-type", &[NewBlobs], &[]),
        flag("content-encoding", &[NewBlobs], &[]),
        flag("content-language", &[NewBlobs], &[]),
        flag("content-disposition", &[NewBlobs], &[]),
        flag("cache-control", &[NewBlobs], &[]),
        flag(
            "put-md5",
            &[NewBlobs],
            &[(Copy, "{flag} is set but the job is not an upload: a copy keeps the MD5 that the source has")],
        ),
        flag("metadata", &[NewBlobs, Properties], &[]),
        flag("blob-tags", &[NewBlobs, Properties, Blobs], &[]),
        flag(
            "block-blob-tier",
            &[NewBlobs, Properties, Blobs],
            &[(Everywhere, "blob-tier is not supported while {doing}")],
        ),
        flag(
            "page-blob-tier",
            &[FromFiles, Services, Properties],
            &[
                (
                    FromPipe,
                    "--{flag}: a page blob is made with its length, which a pipe does not tell: use a file",
                ),
                (Everywhere, "blob-tier is not supported while {doing}"),
            ],
        ),
        flag(
            "put-blob-size-mb",
            &[FromFiles, Services],
            &[(FromPipe, "--{flag}: what fits into one block is sent in one request: use --block-size-mb")],
        ),
        flag(
            "delete-destination-file",
            &[NewBlobs],
            &[
                (Copy, "--{flag} is for uploads: not between services in this version"),
                (Everywhere, "--{flag} is for uploads: the destination has no blobs"),
            ],
        ),
        flag("rehydrate-priority", &[Properties], &[]),
        flag("delete-snapshots", &[Removals], &[]),
        flag("permanent-delete", &[Removals], &[]),
        flag("properties", &[Listing], &[]),
        flag("running-tally", &[Listing], &[]),
        flag("machine-readable", &[Listing], &[]),
        flag("mega-units", &[Listing], &[]),
    ]
};

impl Flag {
    /// The row of a flag.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        FLAGS.iter().find(|flag| flag.name == name)
    }

    /// Whether it means something for `pair`.
    #[must_use]
    pub fn applies(&self, pair: &Pair) -> bool {
        self.groups.iter().any(|group| pair.flags.contains(group))
    }

    /// Why it cannot be given for `pair` with this value; `None`: it can.
    #[must_use]
    pub fn refusal(&self, pair: &Pair, value: &str) -> Option<String> {
        let asks = !value.is_empty() && !value.eq_ignore_ascii_case(self.default);
        if !asks || self.applies(pair) {
            return None;
        }
        let own = self.says.iter().find(|(at, _)| at.is_of(pair)).map(|(_, text)| *text);
        let text = own.unwrap_or(UNSUPPORTED).replace("{flag}", self.name).replace("{value}", value);
        Some(text.replace("{doing}", pair.verb.doing()))
    }
}

impl Where {
    fn is_of(self, pair: &Pair) -> bool {
        let (from_pipe, to_pipe) = (pair.is_from_pipe(), pair.is_to_pipe());
        match self {
            Self::Put => pair.verb == Verb::Put,
            Self::Get => pair.verb == Verb::Get,
            Self::Copy => pair.verb == Verb::Copy,
            Self::Pipe => from_pipe || to_pipe,
            Self::FromPipe => from_pipe,
            Self::ToPipe => to_pipe,
            Self::ToNull => !pair.keeps,
            Self::Everywhere => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairs::{ALONE, FromTo, PAIRS, TO_NULL};

    #[test]
    fn a_flag_has_one_row_and_a_group() {
        for (n, flag) in FLAGS.iter().enumerate() {
            assert!(!flag.groups.is_empty(), "{}", flag.name);
            assert!(FLAGS[..n].iter().all(|other| other.name != flag.name), "{}", flag.name);
        }
    }

    #[test]
    fn every_group_of_a_pair_has_flags_and_every_flag_but_those_given_up_a_pair() {
        let all = || PAIRS.iter().chain(ALONE).chain([&TO_NULL]);
        for group in all().flat_map(|pair| pair.flags) {
            assert!(FLAGS.iter().any(|flag| flag.groups.contains(group)), "{group:?}");
        }
        for flag in FLAGS {
            let is_given_up = flag.groups.iter().all(|group| matches!(group, Group::Windows | Group::Gone));
            assert_eq!(all().any(|pair| flag.applies(pair)), !is_given_up, "{}", flag.name);
        }
    }

    #[test]
    fn refusals_are_whole_sentences() {
        for pair in PAIRS.iter().chain(ALONE).chain([&TO_NULL]) {
            for flag in FLAGS {
                let Some(text) = flag.refusal(pair, "x") else {
                    assert!(flag.applies(pair));
                    continue;
                };
                assert!(!text.contains(['{', '}']), "{text}");
                assert_eq!(flag.refusal(pair, flag.default), None, "{text}");
                assert_eq!(flag.refusal(pair, ""), None, "{text}");
            }
        }
    }

    #[test]
    fn words_depend_on_the_place() {
        let said = |name: &str, flag: &str| {
            let pair = Pair::of(FromTo::parse(name).unwrap()).unwrap();
            Flag::named(flag).unwrap().refusal(pair, "v").unwrap_or_default()
        };
        assert_eq!(said("BlobLocal", "content-type"), "content-type is not supported while downloading");
        assert_eq!(said("LocalBlob", "decompress"), "decompress is not supported while uploading");
        assert_eq!(
            said("BlobPipe", "include-path"),
            "--include-path: a pipe carries one blob: there is nothing to choose from"
        );
        assert_eq!(said("BlobTrash", "trailing-dot"), "--trailing-dot=v is only for Azure Files");
        assert_eq!(
            said("BlobBlob", "metadata"),
            "metadata is not supported while copying from service to service"
        );
        assert_eq!(
            said("BlobBlob", "follow-symlinks"),
            "follow-symlinks flag is not supported while copying from service to service"
        );
        assert!(
            said("FileBlob", "s2s-preserve-blob-tags")
                .starts_with("--s2s-preserve-blob-tags=v: only blobs have tags")
        );
        assert_eq!(said("BlobBlob", "s2s-preserve-blob-tags"), "");
        assert!(said("LocalBlob", "route").contains("from service to service"));
        assert_eq!(said("LocalBlob", "include-path"), "");
        assert_eq!(said("LocalFile", "trailing-dot"), "");
    }
}
