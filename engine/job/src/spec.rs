//! What a job does, as a value: enough for a process that never saw the command line, and no secret.
//!
//! JSON, because people look at it and other programs may, and because it is written once a job: its size and speed
//! count for nothing. (Parts are written for every ten thousand transfers, and are bytes.)
//!
//! **Versions.** [`VERSION`] changes when an older reader would do something else than what is meant. Such a reader
//! refuses the spec; it also refuses a field that it does not know, since an option that is passed over is a wrong
//! result. Fields that are added later have a default, so that older specs are read.

mod options;
mod words;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use azuring_azure::secrets;
use azuring_plan::NameError;
use azuring_plan::destination::Naming;
use azuring_plan::download::{DownloadNaming, DownloadRule, TargetRoot};
use serde::{Deserialize, Serialize};

use crate::choices::PropertyChange;
use crate::options::JobOptions;
use crate::outcome::Action;

use options::{Change, Options};
use words::Word;

/// The version that is written, and the latest that is read.
pub const VERSION: u32 = 1;

/// Why a spec cannot be written, read or used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// These bytes are none.
    #[error("the spec of the job cannot be read: {0}")]
    Read(String),
    /// A later version of this library has written it.
    #[error(
        "the spec of the job is of version {version}, of a later azuring; this one reads up to {VERSION}: \
         run the same version everywhere"
    )]
    Later {
        /// The version that the spec says.
        version: u32,
    },
    /// A value in it this version does not know.
    #[error("the spec of the job has a value for {what} that this version does not know: {value}")]
    Value {
        /// The name of the option.
        what: &'static str,
        /// The value that this version does not know.
        value: String,
    },
    /// A name in it cannot be used.
    #[error("the spec of the job: {0}")]
    Name(#[from] NameError),
    /// It would hold a secret: one was given in a place that is no secret's.
    #[error(
        "the spec of the job would hold a secret, which was given as something else: a name, metadata or a tag"
    )]
    Secret,
    /// The blobs are encrypted with a key that was not given, or another one was.
    #[error(
        "the blobs are encrypted with the key whose SHA-256 is {sha256}, and that is not the one that was given"
    )]
    Key {
        /// Of the key that is needed.
        sha256: String,
    },
}

/// What a job does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// What this is, for whoever finds it.
    #[serde(rename = "azuring-spec")]
    version: u32,
    /// The job's id: names of blocks, leases and unfinished files follow from it.
    job: String,
    /// When it was planned, seconds since 1970.
    begun: u64,
    /// What is done.
    work: Work,
    /// Where, without a SAS.
    url: String,
    /// Which credential the job was planned with, in words.
    credential: String,
    /// Names that somebody gave and that are no blobs may be directories.
    #[serde(default)]
    lines: bool,
    /// Everything else that decides what becomes of an object.
    options: Options,
}

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Work {
    Upload { root: Word, names: UpNames },
    Download { destination: Word, root: Word, null: bool, names: DownNames },
    Remove,
    SetProperties(Change),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum UpNames {
    Exact(String),
    Under(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum DownNames {
    Exact { name: Word, directory: bool, beside: bool },
    Under { strip: String, below: String },
    Versions,
}

/// What is done, with the names decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpecWork {
    /// Local files become blobs.
    Upload {
        /// Paths start here.
        root: PathBuf,
        /// How blobs are named.
        naming: Naming,
    },
    /// Blobs become local files.
    Download {
        /// As the user named it, from the root of the file system.
        destination: PathBuf,
        /// Names are relative to this.
        root: PathBuf,
        /// Nothing is kept.
        is_null: bool,
        /// How files are named; `None`: versions of one blob, each under its id.
        naming: Option<DownloadNaming>,
    },
    /// Blobs are removed.
    Remove,
    /// Blobs get other properties.
    SetProperties(PropertyChange),
}

impl Spec {
    /// The spec of a job. `url` has no SAS; `lines`: names that somebody gave may be directories.
    ///
    /// # Errors
    /// [`SpecError::Secret`].
    pub fn new(
        job: [u8; 16],
        work: &SpecWork,
        url: String,
        credential: String,
        lines: bool,
        options: &JobOptions,
    ) -> Result<Self, SpecError> {
        let work = match work {
            SpecWork::Upload { root, naming } => Work::Upload {
                root: Word::of_path(root),
                names: match naming {
                    Naming::Exact(name) => UpNames::Exact(name.clone()),
                    Naming::Under(prefix) => UpNames::Under(prefix.clone()),
                },
            },
            SpecWork::Download { destination, root, is_null, naming } => Work::Download {
                destination: Word::of_path(destination),
                root: Word::of_path(root),
                null: *is_null,
                names: match naming.as_ref().map(DownloadNaming::rule) {
                    None => DownNames::Versions,
                    Some(DownloadRule::Exact { name, is_directory, root }) => DownNames::Exact {
                        name: Word::of_bytes(&name),
                        directory: is_directory,
                        beside: root == TargetRoot::Parent,
                    },
                    Some(DownloadRule::Under { strip, below }) => DownNames::Under { strip, below },
                },
            },
            SpecWork::Remove => Work::Remove,
            SpecWork::SetProperties(change) => Work::SetProperties(Change::of(change)),
        };
        let begun = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let (job, options) = (words::hex(&job), Options::of(options));
        let spec = Self { version: VERSION, job, begun, work, url, credential, lines, options };
        if secrets::are_in(&spec.text()) { Err(SpecError::Secret) } else { Ok(spec) }
    }

    fn text(&self) -> String {
        serde_json::to_string(self).expect("strings and numbers can always be written")
    }

    /// The spec as JSON in UTF-8; [`from_bytes`](Self::from_bytes) reads it.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.text().into_bytes()
    }

    /// The spec that was written so.
    ///
    /// # Errors
    /// [`SpecError`]: it is none, or of a later version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SpecError> {
        #[derive(Deserialize)]
        struct Version {
            #[serde(rename = "azuring-spec")]
            version: u32,
        }
        let wrong = |error: serde_json::Error| SpecError::Read(error.to_string());
        let Version { version } = serde_json::from_slice(bytes).map_err(wrong)?;
        if version > VERSION {
            return Err(SpecError::Later { version });
        }
        let spec: Self = serde_json::from_slice(bytes).map_err(wrong)?;
        // Told to whoever reads it, and not in the middle of a part.
        spec.job_bytes()?;
        spec.work()?;
        spec.options.check()?;
        Ok(spec)
    }

    fn job_bytes(&self) -> Result<[u8; 16], SpecError> {
        let bytes = words::unhex(&self.job).and_then(|bytes| bytes.try_into().ok());
        bytes.ok_or_else(|| SpecError::Value { what: "the job's id", value: self.job.clone() })
    }

    /// The job's id.
    pub fn job(&self) -> [u8; 16] {
        self.job_bytes().expect("it was looked at when the spec was made or read")
    }

    /// When the job was planned.
    pub fn begun(&self) -> SystemTime {
        let begun = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(self.begun));
        begun.unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// What is done with its objects.
    pub fn action(&self) -> Action {
        match &self.work {
            Work::Upload { .. } | Work::Download { .. } => Action::Copy,
            Work::Remove => Action::Remove,
            Work::SetProperties(_) => Action::SetProperties,
        }
    }

    /// What is done, and how names are made.
    ///
    /// # Errors
    /// [`SpecError::Name`], [`SpecError::Value`]; not of a spec that was read.
    pub fn work(&self) -> Result<SpecWork, SpecError> {
        Ok(match &self.work {
            Work::Upload { root, names } => SpecWork::Upload {
                root: absolute(root)?,
                naming: match names {
                    UpNames::Exact(name) => Naming::Exact(name.clone()),
                    UpNames::Under(prefix) => Naming::Under(prefix.clone()),
                },
            },
            Work::Download { destination, root, null, names } => SpecWork::Download {
                destination: absolute(destination)?,
                root: absolute(root)?,
                is_null: *null,
                naming: match names {
                    DownNames::Versions => None,
                    DownNames::Exact { name, directory, beside } => {
                        let root = if *beside { TargetRoot::Parent } else { TargetRoot::Destination };
                        let (name, is_directory) = (name.bytes()?, *directory);
                        Some(DownloadNaming::of_rule(DownloadRule::Exact { name, is_directory, root })?)
                    }
                    DownNames::Under { strip, below } => {
                        Some(DownloadNaming::of_rule(DownloadRule::Under {
                            strip: strip.clone(),
                            below: below.clone(),
                        })?)
                    }
                },
            },
            Work::Remove => SpecWork::Remove,
            Work::SetProperties(change) => SpecWork::SetProperties(change.get()?),
        })
    }

    /// Where, without a SAS.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Which credential the job was planned with, in words. Whoever runs a part brings one of its own.
    pub fn credential(&self) -> &str {
        &self.credential
    }

    /// Whether names that somebody gave may be directories.
    pub fn has_lines(&self) -> bool {
        self.lines
    }

    /// The options of the job for a process that has these of its own: limits, repeats, how the service is reached,
    /// and the encryption key, are those of `here`; all that decides what becomes of an object is the job's.
    ///
    /// # Errors
    /// [`SpecError::Key`]; [`SpecError::Value`], not of a spec that was read.
    pub fn options(&self, here: JobOptions) -> Result<JobOptions, SpecError> {
        self.options.onto(here)
    }
}

fn absolute(word: &Word) -> Result<PathBuf, SpecError> {
    let path = word.path()?;
    let is_absolute = Path::is_absolute(&path);
    if is_absolute {
        Ok(path)
    } else {
        Err(SpecError::Value { what: "a path", value: path.display().to_string() })
    }
}

#[cfg(test)]
mod tests;
