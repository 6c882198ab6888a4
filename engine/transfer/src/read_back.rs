//! Reads blobs back and compares them with their files, byte for byte. Used by `azuring demo`.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::rc::Rc;
use std::sync::Mutex;

use azuring_azure::{BlobClient, Get, RequestError, Target};
use azuring_job::entry::Found;
use azuring_job::options::JobOptions;
use azuring_job::verdict::Verdict;
use azuring_lane::task::upload::Tree;
use azuring_link::{LinkSettings, Links, TlsSetup};
use azuring_local::RelPath;
use azuring_plan::destination::Naming;
use azuring_plan::name::{encode_path, escape};
use azuring_ring::{IoPath, LaneRuntime};
use tokio::task::JoinSet;

use crate::scan::Met;
use crate::scan::local::{LocalFinder, LocalScan, Names};

/// What a comparison found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadBack {
    /// Blobs whose bytes are those of their file.
    pub equal: u64,
    /// Bytes compared.
    pub bytes: u64,
    /// The first hundred that differ or could not be read, with the reason.
    pub differences: Vec<String>,
    /// How many differ or could not be read.
    pub different: u64,
}

/// Differences that are kept as text.
const TOLD: usize = 100;
/// Blobs read at a time by each lane.
const AT_A_TIME: usize = 16;

impl ReadBack {
    fn differs(&mut self, object: &[u8], why: &str) {
        self.different += 1;
        if self.differences.len() < TOLD {
            self.differences.push(format!("{}: {why}", escape(object)));
        }
    }

    fn add(&mut self, other: Self) {
        self.equal += other.equal;
        self.bytes += other.bytes;
        self.different += other.different;
        self.differences.extend(other.differences);
        self.differences.truncate(TOLD);
    }
}

pub(crate) fn run(
    finder: LocalFinder,
    tree: &Tree,
    target: &Target,
    tls: Option<&TlsSetup>,
    options: &JobOptions,
    lanes: usize,
) -> std::io::Result<ReadBack> {
    let root_path = Path::new(&tree.root_path);
    let naming = &tree.naming;
    if let Names::List(..) | Names::Stream = finder.names {
        return Err(std::io::Error::other("only files of a tree are read back"));
    }
    let verdict = Verdict::default();
    let finder = Mutex::new(FilesOf(LocalScan::new(finder, None, &verdict)));
    let io = IoPath::Threads { reason: String::new() };
    let (http, stall) = (options.http, options.retry.stall);
    // Cloned, not made: all lanes share the least rate.
    let settings = LinkSettings::default().http(http).stall(stall).tls(tls.cloned());
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..lanes)
            .map(|_| {
                let (finder, io, naming, root) = (&finder, &io, naming, root_path);
                let settings = settings.clone();
                let target = target.clone();
                scope.spawn(move || {
                    let runtime = LaneRuntime::new(io)?;
                    Ok::<_, std::io::Error>(runtime.block_on(async move {
                        let links = Links::new(target.url().endpoint(), settings);
                        let client = BlobClient::new(Rc::new(target), links);
                        compare_all(&client, finder, naming, root).await
                    }))
                })
            })
            .collect();
        let mut all = ReadBack::default();
        for lane in running {
            match lane.join() {
                Ok(part) => all.add(part?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(all)
    })
}

async fn compare_all(
    client: &BlobClient,
    finder: &Mutex<FilesOf<'_>>,
    naming: &Naming,
    root: &Path,
) -> ReadBack {
    let mut all = ReadBack::default();
    let mut tasks = JoinSet::new();
    loop {
        while tasks.len() < AT_A_TIME {
            let next = finder.lock().expect("nothing panics while the lock is held").next();
            let Some(path) = next else { break };
            let (client, naming, root) = (client.clone(), naming.clone(), root.to_owned());
            tasks.spawn_local(async move {
                let mut one = ReadBack::default();
                match compare(&client, &naming, &root, &path).await {
                    Ok(bytes) => {
                        one.equal = 1;
                        one.bytes = bytes;
                    }
                    Err(why) => one.differs(path.as_bytes(), &why),
                }
                one
            });
        }
        match tasks.join_next().await {
            None => return all,
            Some(Ok(one)) => all.add(one),
            Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

async fn compare(client: &BlobClient, naming: &Naming, root: &Path, path: &RelPath) -> Result<u64, String> {
    let name = naming.blob_name_for(path.as_bytes()).map_err(|e| e.to_string())?;
    let mut file = File::open(root.join(path.as_path())).map_err(|e| e.to_string())?;
    let told = |e: RequestError| e.to_string();
    let mut reply = client.get_blob(&encode_path(&name), &Get::default()).await.map_err(told)?;
    let mut offset = 0u64;
    let mut expected = Vec::new();
    while let Some(piece) = reply.next().await.map_err(|e| e.to_string())? {
        expected.resize(piece.len(), 0);
        file.read_exact(&mut expected)
            .map_err(|_| format!("the blob is longer than the file's {offset} bytes"))?;
        if expected != piece {
            return Err(format!("the bytes differ between {offset} and {}", offset + piece.len() as u64));
        }
        offset += piece.len() as u64;
    }
    match file.read(&mut [0]).map_err(|e| e.to_string())? {
        0 => Ok(offset),
        _ => Err(format!("the blob ends at {offset}, before the file does")),
    }
}

/// The files of a source, one by one.
struct FilesOf<'a>(LocalScan<'a>);

impl Iterator for FilesOf<'_> {
    type Item = RelPath;

    fn next(&mut self) -> Option<RelPath> {
        let mut one = Vec::with_capacity(1);
        while self.0.next_now(1, &mut one).ok()? || !one.is_empty() {
            if let Some(Met::Object(Found::File(path))) = one.pop() {
                return Some(path);
            }
        }
        None
    }
}
