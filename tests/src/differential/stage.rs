//! What is there before a case runs, and where its placeholders point.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use azsim::{Seed, Server};

use super::Service;
use crate::{Azurite, AzuriteOptions, DEVSTORE_ACCOUNT, SasSpec};

/// Last-Modified of planted blobs: 2024-05-06T12:53:20Z. The same for both tools, long ago, and not at a round hour.
pub(super) const BLOB_TIME_S: u64 = 1_715_000_000;

/// Enough for every command: read, write, delete, list, add, create, tags, permanent delete.
const PERMISSIONS: &str = "rwdlacxtf";

const SAS_LIFETIME: Duration = Duration::from_secs(3600);

/// Who runs the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tool {
    AzCopy,
    Azuring,
}

impl Tool {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::AzCopy => "azcopy",
            Self::Azuring => "azuring",
        }
    }
}

/// A local directory that a case fills.
#[derive(Clone, Debug)]
pub struct Local {
    path: PathBuf,
}

impl Local {
    pub(super) fn make(path: &Path) -> Self {
        fs::create_dir_all(path).unwrap();
        Self { path: path.to_owned() }
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file, with its parents, and returns its path.
    ///
    /// # Panics
    /// As every call here: when the file system refuses.
    pub fn file(&self, relative: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path.join(std::ffi::OsStr::from_bytes(relative.as_ref()));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// Writes a file that was last modified then.
    pub fn file_of(&self, relative: &str, content: impl AsRef<[u8]>, modified_s: u64) {
        let path = self.file(relative, content);
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(modified_s);
        fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    }

    /// Makes a directory with its parents.
    pub fn dir(&self, relative: &str) {
        fs::create_dir_all(self.path.join(relative)).unwrap();
    }

    /// Makes a symbolic link.
    pub fn link(&self, relative: &str, target: &str) {
        std::os::unix::fs::symlink(target, self.path.join(relative)).unwrap();
    }

    /// Makes a named pipe.
    pub fn fifo(&self, relative: &str) {
        let status = Command::new("mkfifo").arg(self.path.join(relative)).status().unwrap();
        assert!(status.success(), "mkfifo {relative}");
    }
}

/// The servers of a suite.
#[derive(Debug)]
pub(super) struct Servers {
    azsim: Server,
    azsim_sas: String,
    azurite: Option<(Azurite, String)>,
}

impl Servers {
    pub(super) fn start(azurite: bool) -> Self {
        let azsim = Server::builder().start().unwrap();
        let azsim_sas = azsim.account_sas(DEVSTORE_ACCOUNT, PERMISSIONS, SAS_LIFETIME);
        let azurite = azurite.then(|| {
            let azurite = Azurite::start(AzuriteOptions::default());
            let spec =
                SasSpec { container: None, permissions: "rwdlact".to_owned(), valid_for: SAS_LIFETIME };
            let sas = azurite.client(DEVSTORE_ACCOUNT).sas(&spec);
            (azurite, sas)
        });
        Self { azsim, azsim_sas, azurite }
    }

    /// A new container for one tool and one case.
    pub(super) fn container(&self, service: Service, tool: Tool, number: usize) -> Remote<'_> {
        let container = format!("case-{number}-for-{}", tool.name());
        let (server, sas) = match (service, &self.azurite) {
            (Service::Azsim, _) => (AnyServer::Azsim(&self.azsim), &self.azsim_sas),
            (Service::Azurite, Some((azurite, sas))) => (AnyServer::Azurite(azurite), sas),
            (Service::Azurite, None) => panic!("the suite was started without Azurite"),
        };
        match server {
            AnyServer::Azsim(azsim) => assert!(azsim.create_container(DEVSTORE_ACCOUNT, &container)),
            AnyServer::Azurite(azurite) => {
                azurite.client(DEVSTORE_ACCOUNT).create_container(&container);
            }
        }
        Remote { server, container, sas }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) enum AnyServer<'s> {
    Azsim(&'s Server),
    Azurite(&'s Azurite),
}

/// A container of one tool.
#[derive(Clone, Debug)]
pub struct Remote<'s> {
    pub(super) server: AnyServer<'s>,
    pub(super) container: String,
    sas: &'s str,
}

impl Remote<'_> {
    /// Puts a blob there: content type and all else as the server's default, modified on 2024-05-06.
    ///
    /// # Panics
    /// As every call here: when the server refuses.
    pub fn blob(&self, name: &str, content: &'static [u8]) {
        match self.server {
            AnyServer::Azurite(azurite) => {
                azurite.client(DEVSTORE_ACCOUNT).put(&self.container, name, content);
            }
            AnyServer::Azsim(_) => {
                self.seed(Seed { name: name.to_owned(), content: vec![content.into()], ..Seed::default() });
            }
        }
    }

    /// Plants a blob with properties; azsim only. Modified on 2024-05-06 unless it says otherwise.
    pub fn seed(&self, mut seed: Seed) {
        seed.modified_s = seed.modified_s.or(Some(BLOB_TIME_S));
        assert_eq!(self.azsim().plant(DEVSTORE_ACCOUNT, &self.container, [seed]), 1);
    }

    /// Takes a snapshot; azsim only.
    pub fn snapshot(&self, name: &str) {
        assert!(self.azsim().snapshot(DEVSTORE_ACCOUNT, &self.container, name), "no blob {name:?}");
    }

    /// Makes an append blob of these bytes; azsim only.
    pub fn append_blob(&self, name: &str, content: &[u8]) {
        self.put(name, "", "x-ms-blob-type: AppendBlob\r\n", b"");
        self.put(name, "comp=appendblock&", "", content);
    }

    /// Makes a page blob of these pages; azsim only.
    pub fn page_blob(&self, name: &str, content: &[u8]) {
        let len = content.len();
        let make = format!("x-ms-blob-type: PageBlob\r\nx-ms-blob-content-length: {len}\r\n");
        self.put(name, "", &make, b"");
        let write = format!("x-ms-page-write: update\r\nx-ms-range: bytes=0-{}\r\n", len - 1);
        self.put(name, "comp=page&", &write, content);
    }

    fn put(&self, name: &str, query: &str, headers: &str, body: &[u8]) {
        let server = self.azsim();
        let sas = server.account_sas(DEVSTORE_ACCOUNT, "rwdlac", Duration::from_secs(600));
        let head = format!(
            "PUT /{DEVSTORE_ACCOUNT}/{}/{name}?{query}{sas} HTTP/1.1\r\nhost: h\r\nx-ms-version: 2024-11-04\r\n\
             connection: close\r\ncontent-length: {}\r\n{headers}\r\n",
            self.container,
            body.len()
        );
        let mut socket = TcpStream::connect(server.addr()).unwrap();
        socket.write_all(&[head.as_bytes(), body].concat()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    }

    fn azsim(&self) -> &Server {
        match self.server {
            AnyServer::Azsim(azsim) => azsim,
            AnyServer::Azurite(_) => panic!("only azsim takes this without a request"),
        }
    }

    /// `http://127.0.0.1:PORT`.
    pub(super) fn origin(&self) -> String {
        let account = self.account_url();
        account.trim_end_matches(&format!("/{DEVSTORE_ACCOUNT}")).to_owned()
    }

    fn account_url(&self) -> String {
        match self.server {
            AnyServer::Azsim(azsim) => azsim.url(DEVSTORE_ACCOUNT),
            AnyServer::Azurite(azurite) => azurite.url(DEVSTORE_ACCOUNT),
        }
    }

    /// A container that is not there until `make` is called.
    pub(super) fn gone(&self) -> String {
        format!("gone-{}", self.container)
    }

    /// Replaces the placeholders of one word.
    pub(super) fn fill(&self, tool: Tool, word: &str, source: &Path, destination: &Path) -> String {
        let (account, sas, gone) = (self.account_url(), self.sas, self.gone());
        let by_host = format!("http://{DEVSTORE_ACCOUNT}.blob.core.windows.net/{gone}?{sas}");
        let by_path = format!("{account}/{gone}?{sas}");
        let word = word
            .replace("{SRC}", source.to_str().expect("a temp dir's name is text"))
            .replace("{DST}", destination.to_str().expect("a temp dir's name is text"))
            .replace("{NEW}", if tool == Tool::AzCopy { &by_host } else { &by_path })
            .replace("{GONE}", &by_path);
        let Some((before, rest)) = word.split_once("{URL") else { return word };
        let (below, after) = rest.split_once('}').expect("a placeholder ends");
        format!("{before}{account}/{}{below}?{sas}{after}", self.container)
    }

    /// Replaces what is different for each tool and each run by what is the same.
    pub(super) fn neutral(&self, text: &str, source: &Path, destination: &Path) -> String {
        let by_host = format!("http://{DEVSTORE_ACCOUNT}.blob.core.windows.net");
        let container = format!("{}/{}", self.account_url(), self.container);
        let gone = format!("{}/{}", self.account_url(), self.gone());
        text.replace(source.to_str().unwrap_or_default(), "SRC")
            .replace(destination.to_str().unwrap_or_default(), "DST")
            .replace(&format!("?{}", self.sas), "")
            .replace(&by_host, &self.account_url())
            .replace(&gone, "GONE")
            .replace(&container, "URL")
    }
}
