//! What was there when a job was cut off, and what is there when it has been gone on with.
//!
//! Blobs and files that the cut job had made hold other bytes when they are put back ([`earlier`]): a job that goes on
//! and knows that they are done leaves them so, and writes everything else.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use azuring_tests::{CONTAINER, DEVSTORE_ACCOUNT};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use md5::{Digest as _, Md5};

use crate::bytes::{Blocks, Journal, Ranges, Reader, item};
use crate::stage::{Stage, VERSION_LEN, content, earlier, percent, unpercent};

/// With more objects than this, their number and a sum stand for them.
const LISTED: usize = 300;

/// Metadata that is told of: what else there is depends on the file system.
const METADATA: [&str; 7] = ["hdi_isfolder", "is_symlink", "is_fifo", "permissions", "modtime", "a", "b"];

/// Times of the source are before this; others are of the run.
const NOW_S: i64 = 1_700_000_001;

/// A large object that a journal has begun: its transfer's number, its name, and its facts.
pub(crate) struct Large {
    pub(crate) number: u64,
    pub(crate) name: Vec<u8>,
    pub(crate) facts: Vec<u8>,
}

/// All that a recorded job has begun and not ended.
pub(crate) fn larges(stage: &Stage) -> Vec<Large> {
    let Some((_, recovered)) = stage.recorded() else { return Vec::new() };
    let mut all = Vec::new();
    for part in 0..recovered.parts() {
        let mut part = recovered.part(part).unwrap();
        while let Some(transfer) = part.next().unwrap() {
            if let Some(large) = recovered.large(transfer.number) {
                let (number, name) = (transfer.number, transfer.name.to_vec());
                all.push(Large { number, name, facts: large.facts.clone() });
            }
        }
    }
    all
}

/// Everything that lies at both ends and was not in the source, and what is no longer in the source, one object a line.
/// `begun`: a stage on which the job was not begun.
pub(crate) fn capture(stage: &Stage, begun: &Stage) -> String {
    let mut out = String::new();
    let blobs = |stage: &Stage| stage.server.blobs(DEVSTORE_ACCOUNT, CONTAINER);
    let mut before: BTreeSet<_> = blobs(begun).into_iter().map(|blob| blob.name).collect();
    for blob in blobs(stage) {
        if !before.remove(&blob.name) {
            writeln!(out, "blob {} {} {}", percent(blob.name.as_bytes()), blob.len, blob.blob_type).unwrap();
        }
    }
    for name in before {
        writeln!(out, "gone {}", percent(name.as_bytes())).unwrap();
    }
    if stage.keeps {
        stage.states().iter().for_each(|id| writeln!(out, "state {id}").unwrap());
    }
    for large in larges(stage).iter().filter(|large| large.facts.first() == Some(&b'B')) {
        let name = blob_of(stage, &large.name);
        let (status, answer) = stage.ask("GET", &name, "comp=blocklist&blocklisttype=uncommitted", "", b"");
        assert_eq!(status, 200, "{answer}");
        let text = |block: &str, tag: &str| {
            let rest = block.split_once(&format!("<{tag}>")).unwrap().1;
            rest.split('<').next().unwrap().to_owned()
        };
        for block in answer.split("<Block>").skip(1) {
            let (id, size) = (text(block, "Name"), text(block, "Size"));
            writeln!(out, "block {} {id} {size}", percent(&large.name)).unwrap();
        }
    }
    for (path, meta) in walk(&stage.root().join("to")) {
        let name = percent(relative(stage, &path));
        if meta.is_dir() {
            writeln!(out, "dir {name} 0").unwrap();
        } else if meta.is_symlink() {
            writeln!(out, "link {name} {}", percent(fs::read_link(&path).unwrap().as_os_str().as_bytes()))
                .unwrap();
        } else {
            let unfinished = path.file_name().unwrap().as_bytes().starts_with(b".azuring-");
            writeln!(out, "{} {name} {}", if unfinished { "unfinished" } else { "file" }, meta.len())
                .unwrap();
        }
    }
    out
}

/// The blob that a file of the source becomes.
fn blob_of(stage: &Stage, name: &[u8]) -> String {
    let name = String::from_utf8(name.to_vec()).unwrap();
    let (_, recovered) = stage.recorded().unwrap();
    let description: serde_json::Value = serde_json::from_slice(recovered.description()).unwrap();
    // Sources of such jobs end in `/*`, or are the file itself.
    let source = description["source"].as_str().unwrap();
    if source.ends_with("/*") {
        name
    } else {
        Path::new(source).file_name().unwrap().to_str().unwrap().to_owned()
    }
}

fn relative<'a>(stage: &Stage, path: &'a Path) -> &'a [u8] {
    path.strip_prefix(stage.root()).unwrap().as_os_str().as_bytes()
}

fn walk(directory: &Path) -> Vec<(PathBuf, fs::Metadata)> {
    let mut all = Vec::new();
    let Ok(entries) = fs::read_dir(directory) else { return all };
    for entry in entries {
        let path = entry.unwrap().path();
        let meta = fs::symlink_metadata(&path).unwrap();
        if meta.is_dir() {
            all.extend(walk(&path));
        }
        all.push((path, meta));
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

/// Puts everything back that was there, beside the source, which is there already; `journal` gets what depends on it:
/// inodes and times of files, ETags of blobs. `same_boot`: the machine was not restarted since.
pub(crate) fn restore(stage: &Stage, there: &str, journal: &mut Journal, same_boot: bool) {
    let lines = || there.lines().map(|line| line.splitn(4, ' ').collect::<Vec<_>>());
    let (boot, boot_number) = crate::bytes::boot();
    let larges = larges(stage);
    let states = restore_states(stage, there, journal);
    for line in lines().filter(|line| line[0] != "state") {
        let name = unpercent(&of_now(line[1], &states));
        let text = || String::from_utf8(name.clone()).unwrap();
        let path = stage.root().join(std::ffi::OsString::from_vec(name.clone()));
        match line[0] {
            "gone" => {
                let (status, answer) = stage.ask("DELETE", &text(), "", "", b"");
                assert_eq!(status, 202, "{answer}");
            }
            "blob" => put_back(stage, &text(), line[2].parse().unwrap(), line[3]),
            "block" => {
                let large = larges.iter().find(|large| large.name == name).unwrap();
                stage_block(stage, journal.id(), large, line[2]);
            }
            _ if path.exists() && line[0] != "unfinished" => {}
            "dir" => fs::create_dir_all(&path).unwrap(),
            "link" => {
                std::os::unix::fs::symlink(std::ffi::OsString::from_vec(unpercent(line[2])), &path).unwrap();
            }
            "file" => drop(stage.write(&name, &earlier(&name, line[2].parse().unwrap()))),
            "unfinished" => {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                let file = fs::File::options().write(true).create_new(true).mode(0o600).open(&path).unwrap();
                file.set_len(line[2].parse().unwrap()).unwrap();
            }
            other => panic!("{other}"),
        }
    }
    let unfinished = unfinished(stage);
    // Another run of the machine, whichever this is.
    let (boot, boot_number) =
        if same_boot { (boot, boot_number) } else { (b"another\n".to_vec(), !boot_number) };
    journal.set_boot(boot_number);
    let pieces = pieces(journal);
    journal.change_large(|number, facts| match facts.first() {
        Some(b'B') => {
            let large = larges.iter().find(|large| large.number == number);
            let Some(large) = large else { return facts.to_vec() };
            Blocks::read(facts).of(&source_of(stage, &large.name)).to_bytes()
        }
        Some(b'R') => {
            let mut ranges = Ranges::read(facts);
            let Some(large) = larges.iter().find(|large| large.number == number) else {
                return facts.to_vec();
            };
            let name = std::str::from_utf8(&large.name).unwrap();
            let blobs = stage.server.blobs(DEVSTORE_ACCOUNT, CONTAINER);
            let blob = blobs.iter().find(|blob| blob.name == name).unwrap();
            // As it was told then: with quotes in an answer's head, without them in a listing.
            let quoted = ranges.etag.starts_with(b"\"");
            ranges.etag = (if quoted { &*blob.etag } else { blob.etag.trim_matches('"') }).into();
            let doubts = ranges.era.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            ranges.era = [&boot, &ranges.era[doubts..]].concat();
            let complete = ranges.len.div_ceil(ranges.range);
            let mine = unfinished.iter().find(|(of, _)| *of == number).map(|(_, path)| path.clone());
            // One that was complete may have its name already.
            let named = || {
                let mut files = walk(&stage.root().join("to")).into_iter();
                let last = large.name.rsplit(|byte| *byte == b'/').next().unwrap();
                files.find(|(path, _)| path.file_name().unwrap().as_bytes() == last).map(|(path, _)| path)
            };
            if let (Some(_), Some(path)) = (ranges.inode, mine.or_else(named)) {
                let done: Vec<u64> = pieces.iter().filter(|(of, _)| *of == number).map(|(_, n)| *n).collect();
                ranges.inode = Some(fs::metadata(&path).unwrap().ino());
                let bytes = content(&large.name, ranges.len);
                let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
                for n in done.into_iter().filter(|n| *n < complete) {
                    let from = n * ranges.range;
                    let to = (from + ranges.range).min(ranges.len);
                    let range = usize::try_from(from).unwrap()..usize::try_from(to).unwrap();
                    file.write_all_at(&bytes[range], from).unwrap();
                }
            }
            ranges.to_bytes()
        }
        _ => facts.to_vec(),
    });
}

/// The name of a version's file begins with the time of the version that is here now: files are told in the order of
/// their names.
fn of_now(name: &str, states: &[(String, String)]) -> String {
    let in_name = |id: &str| id.replace(':', "-");
    states.iter().fold(name.to_owned(), |name, (then, now)| name.replace(&in_name(then), &in_name(now)))
}

/// Versions and snapshots have ids that tell when they were made. Those that are here now take the places of those of
/// then, in their order; returns both.
fn restore_states(stage: &Stage, there: &str, journal: &mut Journal) -> Vec<(String, String)> {
    if !stage.keeps {
        return Vec::new();
    }
    let then = there.lines().filter_map(|line| line.strip_prefix("state ")).map(str::to_owned);
    let now = stage.states();
    stage.write("ids", now.join("\n").as_bytes());
    let pairs: Vec<_> = then.zip(now.clone()).collect();
    assert_eq!(pairs.len(), now.len());
    journal.replace_in_transfers(&pairs);
    pairs
}

/// Pieces that are done, each with the number of its transfer.
fn pieces(journal: &Journal) -> Vec<(u64, u64)> {
    let mut all = Vec::new();
    for (_, content) in journal.items().filter(|(kind, _)| *kind == item::PIECES) {
        let mut reader = Reader(content);
        let (number, runs) = (reader.number(), reader.number());
        let mut at = 0;
        for _ in 0..runs {
            let from = at + reader.number();
            at = from + reader.number() + 1;
            all.extend((from..at).map(|piece| (number, piece)));
        }
    }
    all
}

/// The unfinished files of downloads, by the numbers of their transfers.
fn unfinished(stage: &Stage) -> Vec<(u64, PathBuf)> {
    let files = walk(&stage.root().join("to")).into_iter();
    let number = |path: &Path| {
        let name = path.file_name()?.to_str()?.strip_prefix(".azuring-")?;
        let mut parts = name.split('-').skip(1).map(|part| part.parse::<u64>().unwrap());
        Some(parts.next()? * 10_000 + parts.next()?)
    };
    files.filter_map(|(path, _)| Some((number(&path)?, path))).collect()
}

/// The file of the source that a name in the journal means.
fn source_of(stage: &Stage, name: &[u8]) -> PathBuf {
    let blob = blob_of(stage, name);
    let (_, recovered) = stage.recorded().unwrap();
    let description: serde_json::Value = serde_json::from_slice(recovered.description()).unwrap();
    let source = stage.root().join(description["source"].as_str().unwrap());
    source.parent().unwrap().join(blob)
}

/// Stages a block that was staged of the file as it was then, under the name that it has of the file as it is now.
fn stage_block(stage: &Stage, job: [u8; 16], large: &Large, id: &str) {
    let then = Blocks::read(&large.facts);
    let raw = BASE64_STANDARD.decode(id).unwrap();
    let number = u32::from_be_bytes(*raw.last_chunk().unwrap());
    assert_eq!(then.name(job, number), raw, "a block's name stands for the state of the file");
    let now = then.of(&source_of(stage, &large.name));
    let id = BASE64_STANDARD.encode(now.name(job, number)).replace('+', "%2B").replace('/', "%2F");
    let whole = content(&large.name, now.len);
    let from = u64::from(number) * now.block;
    let to = (from + now.block).min(now.len);
    let bytes = &whole[usize::try_from(from).unwrap()..usize::try_from(to).unwrap()];
    let query = format!("comp=block&blockid={id}");
    let (status, answer) = stage.ask("PUT", &blob_of(stage, &large.name), &query, "", bytes);
    assert_eq!(status, 201, "{answer}");
}

/// Puts a blob back that an earlier run has made, whole or not. One that is visible while it is written holds a
/// beginning of its file: the job knows it by that.
fn put_back(stage: &Stage, name: &str, len: u64, kind: &str) {
    let made = |(status, answer): (u16, String)| assert_eq!(status, 201, "{answer}");
    let kind_header = format!("x-ms-blob-type: {kind}\r\n");
    let bytes = content(name.as_bytes(), len);
    match kind {
        "AppendBlob" => {
            made(stage.ask("PUT", name, "", &kind_header, b""));
            if len > 0 {
                made(stage.ask("PUT", name, "comp=appendblock", "", &bytes));
            }
        }
        "PageBlob" => {
            let len = format!("x-ms-blob-content-length: {len}\r\n");
            made(stage.ask("PUT", name, "", &(kind_header + &len), b""));
            let page = "x-ms-range: bytes=0-511\r\nx-ms-page-write: update\r\n";
            made(stage.ask("PUT", name, "comp=page", page, &bytes[..512]));
        }
        _ => stage.plant(name, earlier(name.as_bytes(), len), &[]),
    }
}

/// What is at both ends, and whose bytes it has. `posix`: modes and times of files as well.
pub(crate) fn end(stage: &Stage, posix: bool) -> String {
    let mut lines = Vec::new();
    for blob in stage.server.blobs(DEVSTORE_ACCOUNT, CONTAINER) {
        let name = blob.name.as_bytes();
        let bytes = stage.server.content(DEVSTORE_ACCOUNT, CONTAINER, &blob.name).unwrap();
        let names = blob.metadata.iter().map(|(name, _)| &**name);
        let metadata: Vec<_> = names.filter(|name| METADATA.contains(name)).collect();
        let is_link = metadata.contains(&"is_symlink");
        lines.push(format!(
            "blob {} {} {} {} {} [{}]",
            percent(name),
            blob.len,
            if is_link { "link" } else { whose(name, &bytes) },
            blob.blob_type,
            blob.tier,
            metadata.join(" ")
        ));
    }
    for deleted in stage.server.deleted(DEVSTORE_ACCOUNT, CONTAINER) {
        lines.push(format!("{deleted:?}"));
    }
    for (path, meta) in walk(&stage.root().join("to")) {
        let what = if meta.is_dir() {
            "dir".to_owned()
        } else if meta.is_symlink() {
            format!("link to {}", fs::read_link(&path).unwrap().display())
        } else {
            let bytes = fs::read(&path).unwrap();
            format!("file {} {}", bytes.len(), whose(path.as_os_str().as_bytes(), &bytes))
        };
        let is_restored = posix && meta.is_dir() && meta.mtime() < NOW_S;
        let properties =
            if is_restored { format!(" {:o} {}", meta.mode() & 0o7777, meta.mtime()) } else { String::new() };
        let mut name = percent(relative(stage, &path));
        if stage.keeps && name.len() > VERSION_LEN {
            name.replace_range("to/".len().."to/".len() + VERSION_LEN, "TIME-");
        }
        lines.push(format!("{name} {what}{properties}"));
    }
    assert!(!lines.iter().any(|line| line.contains(".azuring-")), "an unfinished file is left: {lines:?}");
    if lines.len() > LISTED {
        let sum = Md5::digest(lines.join("\n").as_bytes()).iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").unwrap();
            hex
        });
        return format!("{} objects, MD5 of their lines {sum}\n", lines.len());
    }
    lines.iter().fold(String::new(), |all, line| all + line + "\n")
}

fn whose(name: &[u8], bytes: &[u8]) -> &'static str {
    let len = bytes.len() as u64;
    match bytes {
        _ if content(name, len) == bytes => "source",
        _ if earlier(name, len) == bytes => "earlier",
        _ if bytes.iter().all(|byte| *byte == 0) => "zeros",
        _ => "other",
    }
}
