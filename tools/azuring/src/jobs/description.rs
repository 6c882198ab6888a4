//! What a journal begins with: the command, so that the same job can be built again. No secret is in it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use azuring_transfer::BlobUrl;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::Places;
use crate::log;
use crate::redact;

/// The version of what is written here. Fields that are added do not change it.
const VERSION: u32 = 1;

/// Parameters of a URL that say which object is meant, and are no part of the SAS.
const NAMING: [&str; 2] = ["snapshot", "versionid"];

/// A job as it was asked for.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Description {
    version: u32,
    /// The version of the program.
    program: String,
    /// `copy`, `remove` or `set-properties`.
    pub(super) command: String,
    /// What followed the program's name.
    args: Vec<Word>,
    /// The working directory, from which paths go.
    directory: Word,
    /// When it was begun, seconds since 1970.
    pub(super) start: i64,
    /// Source and destination; of a job that has no destination, nothing.
    pub(super) source: String,
    pub(super) destination: String,
    /// Whether they had a SAS.
    pub(super) source_sas: bool,
    pub(super) destination_sas: bool,
    /// The same of the account that a copy goes by.
    #[serde(default)]
    pub(super) staging_sas: bool,
}

/// A word of a command line, which need not be text.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Word {
    Text(String),
    Bytes { base64: String },
}

impl Word {
    fn new(word: &OsStr) -> Self {
        match word.to_str() {
            Some(text) => Self::Text(text.to_owned()),
            None => Self::Bytes { base64: STANDARD.encode(word.as_bytes()) },
        }
    }

    fn get(&self) -> Result<OsString, String> {
        match self {
            Self::Text(text) => Ok(text.into()),
            Self::Bytes { base64 } => {
                let bytes = STANDARD.decode(base64).map_err(|error| format!("the command: {error}"))?;
                Ok(OsString::from_vec(bytes))
            }
        }
    }
}

impl Description {
    /// Of a command line without the program's name.
    ///
    /// # Errors
    /// Why it cannot be kept.
    pub(super) fn of(command: &'static str, args: &[OsString], places: &Places<'_>) -> Result<Self, String> {
        let directory = std::env::current_dir().map_err(|error| format!("the working directory: {error}"))?;
        let is_place = |word: &OsStr| {
            let others = [places.destination, places.staging];
            word == places.source.as_os_str() || others.iter().flatten().any(|it| *it == word)
        };
        let kept = |word: &OsString| {
            let text = word.to_string_lossy();
            if let Some(url) = text.strip_prefix("--staging-url=").filter(|_| places.staging.is_some()) {
                let bare = without_sas(url);
                return match redact::holds_secret(&bare) {
                    true => Err("a URL holds a secret where none belongs".to_owned()),
                    false => Ok(Word::Text(format!("--staging-url={bare}"))),
                };
            }
            if BlobUrl::looks_like(&text) && is_place(word) {
                let bare = without_sas(&text);
                // A signature in another place than a SAS has it.
                return match redact::holds_secret(&bare) {
                    true => Err("a URL holds a secret where none belongs".to_owned()),
                    false => Ok(Word::Text(bare)),
                };
            }
            // Of a URL a part can be left out and given again; of anything else nobody knows what it is good for.
            if redact::holds_secret(&text) {
                return Err("an argument besides the URLs holds a secret".to_owned());
            }
            Ok(Word::new(word))
        };
        let shown = |place: &Path| without_sas(&place.to_string_lossy());
        let signed = |place: &Path| has_sas(&place.to_string_lossy());
        Ok(Self {
            version: VERSION,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            command: command.to_owned(),
            args: args.iter().map(kept).collect::<Result<_, String>>()?,
            directory: Word::new(directory.as_os_str()),
            start: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() as i64,
            source: shown(places.source),
            destination: places.destination.map(shown).unwrap_or_default(),
            source_sas: signed(places.source),
            destination_sas: places.destination.is_some_and(signed),
            staging_sas: places.staging.is_some_and(signed),
        })
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and numbers can always be written")
    }

    /// # Errors
    /// What is wrong with it.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let wrong = |error: serde_json::Error| format!("the job's description cannot be read: {error}");
        let Version { version } = serde_json::from_slice(bytes).map_err(wrong)?;
        if version > VERSION {
            return Err(format!(
                "the job's description is of version {version}, of a later azuring; this one reads up to {VERSION}"
            ));
        }
        serde_json::from_slice(bytes).map_err(wrong)
    }

    /// The command line without the program's name.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn args(&self) -> Result<Vec<OsString>, String> {
        self.args.iter().map(Word::get).collect()
    }

    /// # Errors
    /// What is wrong with it.
    pub(super) fn directory(&self) -> Result<PathBuf, String> {
        self.directory.get().map(PathBuf::from)
    }

    /// Whether it writes local files.
    pub(super) fn is_download(&self) -> bool {
        self.command == "copy" && BlobUrl::looks_like(&self.source) && !BlobUrl::looks_like(&self.destination)
    }

    /// The command line, as a shell takes it.
    pub(super) fn line(&self) -> String {
        log::command(self.args.iter().filter_map(|word| word.get().ok()))
    }
}

/// A URL without its SAS; anything else as it is.
fn without_sas(place: &str) -> String {
    let Some((path, query)) = place.split_once('?').filter(|_| BlobUrl::looks_like(place)) else {
        return place.to_owned();
    };
    let names = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or_default();
        NAMING.iter().any(|naming| naming.eq_ignore_ascii_case(name))
    };
    let kept: Vec<_> = query.split('&').filter(names).collect();
    if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) }
}

/// Whether a place is a URL with a SAS.
pub(super) fn has_sas(place: &str) -> bool {
    without_sas(place) != place
}

/// A URL with this SAS, with or without its `?`.
pub(super) fn with_sas(url: &str, sas: &str) -> String {
    let sas = sas.trim().trim_start_matches('?');
    let join = if url.contains('?') { '&' } else { '?' };
    format!("{url}{join}{sas}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAS: &str = "sv=2024-11-04&se=2030-01-01&sp=rw&sig=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D";

    fn of(args: &[&OsStr], source: &str, destination: Option<&str>) -> Result<Description, String> {
        let args: Vec<_> = args.iter().map(|&arg| arg.to_owned()).collect();
        let places =
            Places { source: Path::new(source), destination: destination.map(Path::new), staging: None };
        Description::of("copy", &args, &places)
    }

    #[test]
    fn a_command_is_kept_to_the_byte_and_without_its_sas() {
        let url = format!("https://a.blob.core.windows.net/c?{SAS}");
        let odd = OsStr::from_bytes(b"/data/\xff");
        let line = ["copy".as_ref(), odd, url.as_ref(), "--include-regex=a?b=c".as_ref()];
        let kept = of(&line, "/data/x", Some(&url)).unwrap();
        let read = Description::from_bytes(&kept.to_bytes()).unwrap();
        assert_eq!(read, kept);
        let words = read.args().unwrap();
        let bare = "https://a.blob.core.windows.net/c";
        assert_eq!(words, ["copy".as_ref(), odd, bare.as_ref(), "--include-regex=a?b=c".as_ref()]);
        assert_eq!((read.source_sas, read.destination_sas), (false, true));
        assert_eq!(read.directory().unwrap(), std::env::current_dir().unwrap());
        assert!(!String::from_utf8(kept.to_bytes()).unwrap().contains("AAAA"));
        assert_eq!(read.destination, bare);
    }

    #[test]
    fn what_names_the_object_stays() {
        let url = "https://a.blob.core.windows.net/c/b";
        assert_eq!(
            without_sas(&format!("{url}?snapshot=2026-01-01&{SAS}")),
            format!("{url}?snapshot=2026-01-01")
        );
        assert_eq!(without_sas(&format!("{url}?{SAS}&VersionId=5")), format!("{url}?VersionId=5"));
        assert_eq!(without_sas("/data/what?"), "/data/what?");
        assert_eq!(with_sas(&format!("{url}?versionid=5"), SAS), format!("{url}?versionid=5&{SAS}"));
        assert_eq!(with_sas(url, &format!("?{SAS}\n")), format!("{url}?{SAS}"));
    }

    #[test]
    fn a_secret_elsewhere_is_not_kept() {
        let url = "https://a.blob.core.windows.net/c";
        let line = ["copy", "a", url, "--metadata=link=https://b/c?sig=S3CR3T"].map(OsStr::new);
        assert!(of(&line, "a", Some(url)).unwrap_err().contains("holds a secret"));
    }

    #[test]
    fn what_a_later_version_wrote_is_told_from_what_is_broken() {
        let later = Description::from_bytes(br#"{"version":2,"what":"ever"}"#).unwrap_err();
        assert!(later.contains("later azuring"), "{later}");
        for broken in [&b""[..], b"{}", br#"{"version":1}"#, b"copy"] {
            let told = Description::from_bytes(broken).unwrap_err();
            assert!(told.contains("cannot be read"), "{told}");
        }
    }
}
