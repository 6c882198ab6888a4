//! One command line for each tool: the same source, the same sink, a SAS for all.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use azuring_tests::{AzCopy, Pypi, target_dir};

use crate::Error;
use crate::planted::{ALONE, TREE};
use crate::report::{Case, Tool, Transport};
use crate::sink::Sink;
use crate::workload::{Workload, read_file};

/// Part size of curl's upload: AzCopy's block size.
const CURL_PART_BYTES: usize = 8 << 20;

/// rclone's default of 4 transfers would make it slower than it has to be.
const RCLONE_TRANSFERS: &str = "--transfers=32";

/// The tools that are there.
pub(crate) struct Tools {
    azuring: Option<PathBuf>,
    before: Option<PathBuf>,
    rclone: Option<PathBuf>,
    /// An empty home for programs that look for settings.
    home: PathBuf,
    /// Each tool that is there, with the version it prints.
    pub(crate) versions: Vec<(Tool, String)>,
    /// Each tool that is not, and why.
    pub(crate) missing: Vec<String>,
}

/// A command, and what has to live as long as it runs.
pub(crate) struct Prepared {
    pub(crate) command: Command,
    _azcopy: Option<AzCopy>,
}

impl From<Command> for Prepared {
    fn from(command: Command) -> Self {
        Self { command, _azcopy: None }
    }
}

impl Tools {
    /// Finds or installs the tools that `wanted` names; those that cannot be had are left out with a note.
    pub(crate) fn find(wanted: &[Tool], scratch: &Path) -> Result<Self, Error> {
        let home = scratch.join("home");
        fs::create_dir_all(&home)?;
        let mut tools = Self {
            azuring: None,
            before: None,
            rclone: None,
            home,
            versions: Vec::new(),
            missing: Vec::new(),
        };
        for &tool in wanted {
            match tools.ready(tool) {
                Ok(version) => tools.versions.push((tool, version)),
                Err(error) if matches!(tool, Tool::Rclone | Tool::Curl) => {
                    tools.missing.push(format!("{} is left out: {error}", tool.label()));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(tools)
    }

    /// True for the combinations that exist: HTTP/2 is for azuring (and the one before), curl for the large file; what
    /// is no upload is measured as Azure's endpoints speak, and against AzCopy.
    pub(crate) fn fits(tool: Tool, case: Case, transport: Transport) -> bool {
        if case.is_copy() {
            // The older ones do not copy, and AzCopy does not relay.
            let fits = tool == Tool::Azuring || (tool == Tool::AzCopy && case == Case::Copy);
            return fits && transport == Transport::Https;
        }
        if !case.is_upload() {
            return matches!(tool, Tool::Azuring | Tool::Before | Tool::AzCopy)
                && transport == Transport::Https;
        }
        match tool {
            Tool::Azuring | Tool::Before => true,
            Tool::AzCopy | Tool::Rclone => transport != Transport::H2,
            Tool::Curl => case == Case::Large && transport != Transport::H2,
        }
    }

    /// The command that does what `workload` says with `sink`.
    pub(crate) fn command(
        &self,
        tool: Tool,
        workload: &Workload,
        transport: Transport,
        sink: &Sink,
    ) -> Result<Prepared, Error> {
        match tool {
            Tool::Azuring => self.azuring(self.azuring.as_deref(), workload, transport, sink),
            Tool::Before => self.azuring(self.before.as_deref(), workload, transport, sink),
            Tool::AzCopy => Ok(azcopy(workload, sink)),
            Tool::Rclone => self.rclone(workload, sink),
            Tool::Curl => self.curl(workload, sink),
        }
    }

    /// The azuring that is measured.
    pub(crate) fn azuring_program(&self) -> Option<&Path> {
        self.azuring.as_deref()
    }

    /// Makes the tool ready and asks for its version.
    fn ready(&mut self, tool: Tool) -> Result<String, Error> {
        match tool {
            Tool::Azuring => {
                let program = build_azuring()?;
                let version = first_line(Command::new(&program).arg("--version"))?;
                self.azuring = Some(program);
                Ok(version)
            }
            Tool::Before => {
                let program: PathBuf =
                    before().ok_or("AZURING_BEFORE names no program to compare with")?.into();
                let version = first_line(Command::new(&program).arg("--version"))?;
                self.before = Some(program);
                Ok(version)
            }
            Tool::AzCopy => first_line(&mut AzCopy::new().command(["--version"])),
            Tool::Rclone => {
                let program = Pypi::install()?.rclone();
                let version = first_line(Command::new(&program).arg("version"))?;
                self.rclone = Some(program);
                Ok(version)
            }
            Tool::Curl => first_line(Command::new("curl").arg("--version")),
        }
    }

    fn clean(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("HOME", &self.home).env("PATH", "/usr/bin:/bin");
        command
    }

    fn azuring(
        &self,
        program: Option<&Path>,
        workload: &Workload,
        transport: Transport,
        sink: &Sink,
    ) -> Result<Prepared, Error> {
        let mut command = self.clean(program.ok_or("azuring was not asked for")?);
        command.args(arguments(workload, sink));
        if transport == Transport::H2 {
            command.args(["--http", "2"]);
        }
        if let Some(ca) = sink.ca() {
            command.env("SSL_CERT_FILE", ca);
        }
        Ok(command.into())
    }

    fn rclone(&self, workload: &Workload, sink: &Sink) -> Result<Prepared, Error> {
        let (account, container) = sink.account_and_container();
        let mut command = self.clean(self.rclone.as_ref().ok_or("rclone was not asked for")?);
        command.env("RCLONE_CONFIG", "/dev/null").env("RCLONE_CONFIG_AZ_TYPE", "azureblob");
        command.env("RCLONE_CONFIG_AZ_SAS_URL", account);
        let to = match workload.case {
            Case::Small => format!("az:{container}/{}", base_name(workload)),
            _ => format!("az:{container}"),
        };
        command.args(["copy", "--quiet", RCLONE_TRANSFERS]).arg(&workload.local).arg(to);
        if let Some(ca) = sink.ca() {
            command.arg("--ca-cert").arg(ca);
        }
        Ok(command.into())
    }

    /// One curl with all parts as uploads, one after the other over one connection, and the block list at the end.
    fn curl(&self, workload: &Workload, sink: &Sink) -> Result<Prepared, Error> {
        let parts = curl_parts(&workload.local)?;
        let mut config = "silent\nshow-error\nfail\nhttp1.1\nheader = \"Expect:\"\n".to_owned();
        let mut list = "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>".to_owned();
        let mut upload = |query: &str, file: &Path| {
            let url = sink.url(&base_name(workload));
            let _ = writeln!(config, "url = \"{url}&{query}\"\nupload-file = \"{}\"", file.display());
        };
        let mut buffer = vec![0; 1 << 20];
        for (number, part) in parts.iter().enumerate() {
            read_file(part, &mut buffer)?;
            // Letters and digits only: the same in a URL, in XML and in base64.
            let id = format!("block{number:07}");
            upload(&format!("comp=block&blockid={id}"), part);
            let _ = write!(list, "<Latest>{id}</Latest>");
        }
        list.push_str("</BlockList>");
        let [list_file, config_file] = ["curl-blocks.xml", "curl.conf"].map(|name| self.home.join(name));
        fs::write(&list_file, list)?;
        upload("comp=blocklist", &list_file);
        fs::write(&config_file, config)?;
        let mut command = self.clean("curl");
        command.arg("--config").arg(config_file);
        if let Some(ca) = sink.ca() {
            command.arg("--cacert").arg(ca);
        }
        Ok(command.into())
    }
}

fn azcopy(workload: &Workload, sink: &Sink) -> Prepared {
    let mut azcopy = AzCopy::new();
    if let Some(ca) = sink.ca() {
        azcopy = azcopy.trust(ca);
    }
    let mut args = arguments(workload, sink);
    let more: &[&str] = match workload.case {
        Case::Small | Case::Large | Case::One => &["--from-to=LocalBlob", "--check-length=false"],
        Case::DryRun => &["--from-to=LocalBlob"],
        Case::DownSmall | Case::DownLarge => &["--from-to=BlobLocal"],
        Case::List => &["--location=Blob"],
        Case::Remove => &["--from-to=BlobTrash"],
        Case::Copy | Case::RelaySmall | Case::RelayLarge => &["--from-to=BlobBlob"],
    };
    args.extend(more.iter().chain(&["--log-level=ERROR"]).map(|flag| OsString::from(*flag)));
    Prepared { command: azcopy.command(args), _azcopy: Some(azcopy) }
}

/// What azuring and AzCopy are both told. A directory goes into the container under its own name; a file is given its
/// name.
fn arguments(workload: &Workload, sink: &Sink) -> Vec<OsString> {
    let local = workload.local.as_os_str();
    let url = |name: &str| OsString::from(sink.url(name));
    let target = |name: &str| OsString::from(sink.target_url(name));
    let (words, flags): (Vec<OsString>, &[&str]) = match workload.case {
        Case::Small => (vec!["copy".into(), local.into(), url("")], &["--recursive"]),
        Case::Large => (vec!["copy".into(), local.into(), url("large.bin")], &[]),
        Case::One => (vec!["copy".into(), local.into(), url("one.bin")], &[]),
        Case::DryRun => (vec!["copy".into(), local.into(), url("")], &["--recursive", "--dry-run"]),
        Case::DownSmall => (vec!["copy".into(), url(TREE), local.into()], &["--recursive"]),
        Case::DownLarge => (vec!["copy".into(), url(ALONE), local.into()], &[]),
        Case::List => (vec!["list".into(), url("")], &[]),
        Case::Remove => (vec!["remove".into(), url("")], &["--recursive"]),
        Case::Copy => (vec!["copy".into(), url(TREE), target("")], &["--recursive"]),
        Case::RelaySmall => (vec!["copy".into(), url(TREE), target("")], &["--recursive", "--route=relay"]),
        Case::RelayLarge => (vec!["copy".into(), url(ALONE), target(ALONE)], &["--route=relay"]),
    };
    words.into_iter().chain(flags.iter().map(OsString::from)).collect()
}

fn base_name(workload: &Workload) -> String {
    workload.local.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The older azuring to compare with, where the variable names one.
pub(crate) fn before() -> Option<OsString> {
    std::env::var_os("AZURING_BEFORE").filter(|program| !program.is_empty())
}

/// The release build, made up to date, or what `AZURING_BIN` names.
fn build_azuring() -> Result<PathBuf, Error> {
    if let Some(program) = std::env::var_os("AZURING_BIN") {
        return Ok(program.into());
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("perf/ lies in the workspace")?;
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--release", "-p", "azuring"]).current_dir(workspace);
    if !build.status()?.success() {
        return Err("cargo build --release -p azuring failed; AZURING_BIN may name a program instead".into());
    }
    Ok(target_dir().join("release/azuring"))
}

/// The source in files of 8 MiB beside it; made unless they are there.
fn curl_parts(source: &Path) -> Result<Vec<PathBuf>, Error> {
    let dir = source.with_extension("parts");
    if !dir.exists() {
        let partial = source.with_extension("parts.partial");
        let _ = fs::remove_dir_all(&partial);
        fs::create_dir_all(&partial)?;
        let mut file = fs::File::open(source)?;
        for number in 0.. {
            let mut part = Vec::with_capacity(CURL_PART_BYTES);
            if (&mut file).take(CURL_PART_BYTES as u64).read_to_end(&mut part)? == 0 {
                break;
            }
            fs::write(partial.join(format!("{number:07}")), part)?;
        }
        fs::rename(&partial, &dir)?;
    }
    let mut parts = fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, Error>>()?;
    parts.sort();
    Ok(parts)
}

fn first_line(command: &mut Command) -> Result<String, Error> {
    let program = command.get_program().display().to_string();
    let output = command.output().map_err(|error| format!("{program}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().next().unwrap_or_default().trim();
    if output.status.success() && !line.is_empty() {
        Ok(line.to_owned())
    } else {
        Err(format!("{program} does not tell its version ({})", output.status).into())
    }
}
