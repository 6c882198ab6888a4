//! Collects what a job needs and checks it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use azuring_azure::{BlobProperties, BlobUrl, Credential, Target};
use azuring_link::TlsSetup;
use azuring_plan::destination::NamingOptions;
use azuring_ring::probe;

use crate::budget;
use crate::choices::{ListOfFiles, PropertyChange};
use crate::collector::Progress;
use crate::job::{Job, JobError, JobPlan, Verb};
use crate::options::{ContentTypePolicy, JobOptions};
use crate::source::Source;
use crate::task::{Task, Upload};

/// Collects what a job needs; made by [`Job::upload`] and its sisters.
#[derive(Debug)]
pub struct JobBuilder {
    what: What,
    url: BlobUrl,
    credential: Credential,
    naming: NamingOptions,
    list_of_files: Option<ListOfFiles>,
    list_of_versions: Option<PathBuf>,
    options: JobOptions,
}

#[derive(Debug)]
enum What {
    Upload(PathBuf),
    Download(PathBuf),
    Remove,
    SetProperties(PropertyChange),
}

impl JobBuilder {
    fn new(what: What, url: BlobUrl, credential: Credential) -> Self {
        Self {
            what,
            url,
            credential,
            naming: NamingOptions::default(),
            list_of_files: None,
            list_of_versions: None,
            options: JobOptions::default(),
        }
    }

    pub(crate) fn upload(source: &Path, destination: BlobUrl, credential: Credential) -> Self {
        Self::new(What::Upload(source.to_owned()), destination, credential)
    }

    pub(crate) fn download(source: BlobUrl, credential: Credential, destination: &Path) -> Self {
        Self::new(What::Download(destination.to_owned()), source, credential)
    }

    pub(crate) fn remove(target: BlobUrl, credential: Credential) -> Self {
        Self::new(What::Remove, target, credential)
    }

    pub(crate) fn set_properties(target: BlobUrl, credential: Credential, change: PropertyChange) -> Self {
        Self::new(What::SetProperties(change), target, credential)
    }

    /// Whether directories below the source are entered. Default: no.
    pub fn recursive(mut self, recursive: bool) -> Self {
        self.naming.recursive = recursive;
        self
    }

    /// Whether a directory is recreated under the destination. Default: yes.
    pub fn as_subdir(mut self, as_subdir: bool) -> Self {
        self.naming.as_subdir = as_subdir;
        self
    }

    /// Takes the objects named in a list instead of everything at the source.
    pub fn list_of_files(mut self, list: ListOfFiles) -> Self {
        self.list_of_files = Some(list);
        self
    }

    /// Takes the versions of one blob whose ids stand in a file, one a line.
    pub fn list_of_versions(mut self, file: impl Into<PathBuf>) -> Self {
        self.list_of_versions = Some(file.into());
        self
    }

    /// Everything else.
    pub fn options(mut self, options: JobOptions) -> Self {
        self.options = options;
        self
    }

    /// Looks up a local source and checks everything that can be checked without the network.
    ///
    /// # Errors
    /// [`JobError`].
    pub fn build(self) -> Result<Job, JobError> {
        budget::check(&self.options.limits)?;
        if let ContentTypePolicy::Fixed(fixed) = &self.options.content_type {
            BlobProperties::check_content_type(fixed)?;
        }
        let What::Upload(source) = self.what else {
            return Err(JobError::Limit("not in this version".to_owned()));
        };
        let names_bytes = budget::names_bytes(&self.options.limits);
        let found = Source::resolve(&source, self.url.path(), self.naming, names_bytes)?;
        let is_pattern = found.is_pattern;
        let (task, finder) = (
            Task::Upload(Upload { root: found.root, naming: found.naming, root_path: found.root_path }),
            found.finder,
        );
        let (verb, source, destination) =
            (Verb::Upload, source.to_string_lossy().into_owned(), self.url.to_string());
        let endpoint = self.url.endpoint();
        let tls = if endpoint.tls { Some(TlsSetup::new(self.options.ca_file.as_deref())?) } else { None };
        let target = Target::new(self.url, self.credential, &self.options.properties)?;
        let shares = budget::shares(&self.options)?;
        let lanes = shares.len();
        let id = uuid::Uuid::new_v4();
        Ok(Job {
            plan: JobPlan {
                id: id.to_string(),
                verb,
                source,
                is_pattern,
                destination,
                credential: target.credential().describe(),
                lanes,
                concurrency: self.options.limits.concurrency,
                memory_bytes: self.options.limits.memory_bytes,
                io: probe(self.options.io),
            },
            id: id.into_bytes(),
            task,
            finder,
            target,
            tls,
            shares,
            progress: Arc::new(Progress::new(lanes)),
            options: self.options,
        })
    }
}
