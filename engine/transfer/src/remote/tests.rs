//! Scans of random containers with hostile names, in both orders that accounts list in: their order, that nothing is
//! lost or given twice, and that each place can be gone on from.

use azsim::{Seed, Server};
use azuring_azure::{BlobUrl, Credential, Target};
use azuring_job::again::Again;
use azuring_job::options::JobOptions;
use azuring_job::progress::Progress;
use azuring_job::verdict::Verdict;
use azuring_lane::end::End;
use azuring_lane::ends::{Ends, RemoteEnd};
use azuring_lane::in_order::Held;
use azuring_lane::queue::WorkQueue;
use azuring_lane::session::Session;
use azuring_lane::task::change;
use azuring_lane::task::download::Download;
use azuring_local::Destination;
use azuring_plan::destination::NamingOptions;
use azuring_plan::filter::FilterSpec;
use azuring_plan::order::OrderKey;
use fastrand::Rng;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::*;
use crate::scan::Scan as _;

const ACCOUNT: &str = azuring_azure::DEVSTORE_ACCOUNT;

/// Around the slash, around what UTF-16 orders otherwise, and what looks encoded.
const SEGMENTS: [&str; 19] = [
    "a",
    "a-b",
    "a.b",
    "a0",
    "%2F",
    "a b",
    "a!",
    "-",
    "A",
    "~",
    "é",
    "e\u{301}",
    "\u{e000}",
    "a\u{fffd}",
    "\u{ff21}",
    "\u{10000}",
    "a\u{1f600}",
    "a+b&c=d",
    "\u{d7ff}",
];

/// What lists in one order, and what a scan of it needs.
struct World {
    server: Server,
    order: OrderKey,
    target: tempfile::TempDir,
}

/// What is done with what a scan gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum For {
    Removal,
    Download,
}

/// What a scan has given: objects and what cannot be transferred, in its order; and after how many where it stood.
struct Told {
    names: Vec<String>,
    stood: Vec<(usize, RemotePosition)>,
    order: Option<OrderKey>,
}

impl World {
    fn new(order: OrderKey) -> Self {
        let server = Server::builder().threads(1).hierarchical_namespace(order == OrderKey::Tree);
        Self { server: server.start().unwrap(), order, target: tempfile::tempdir().unwrap() }
    }

    fn plant(&self, container: &str, names: &BTreeSet<String>) {
        self.server.create_container(ACCOUNT, container);
        let seed = |(n, name): (usize, &String)| {
            let content = if n % 2 == 0 { vec![] } else { vec!["x".into()] };
            Seed { name: name.clone(), content, ..Seed::default() }
        };
        self.server.plant(ACCOUNT, container, names.iter().enumerate().map(seed));
    }

    fn shared(&self, container: &str, what: For) -> Shared {
        let url = BlobUrl::parse(&format!("{}/{container}", self.server.url(ACCOUNT))).unwrap();
        let credential = Credential::find(&url, |_| None).unwrap();
        let options = JobOptions::default();
        let target = Target::new(url, credential, &options.properties).unwrap();
        let task = match what {
            For::Removal => Task::Remove(change::Remove::default()),
            For::Download => {
                let place = Destination::resolve(self.target.path()).unwrap();
                let (naming, held) = (NamingOptions::default(), Held::new(1 << 20));
                let to = (self.target.path(), place);
                Task::Download(Box::new(Download::new(to, naming, false, 1 << 20, held, 0o644, [0; 16])))
            }
        };
        let progress = Arc::new(Progress::new(1));
        let access = task.access(Side::Source, false);
        Shared {
            id: [0; 16],
            lanes: 1,
            task,
            session: Session::new(
                options,
                Ends::one(RemoteEnd::new(End::Blob(Box::new(target)), access, None, false)),
                Verdict::default(),
                progress,
            ),
            queue: Arc::new(WorkQueue::new(1)),
            lines: None,
            durable: None,
            earlier: Default::default(),
            again: Again::new(0),
            found: AtomicU64::new(0),
            not_kept: std::sync::OnceLock::new(),
            span: tracing::Span::none(),
        }
    }

    /// Scans from a place on, with pages of so many names.
    async fn told(
        &self,
        (container, what, source): (&str, For, &RemoteSource),
        from: Option<RemotePosition>,
        page: u32,
        random: &mut Rng,
    ) -> Told {
        let shared = self.shared(container, what);
        let goes_on = from.is_some();
        let remote = Rc::new(Remote { page_entries: Some(page), ..Remote::new(source, &shared, from) });
        let mut scan = scan(&remote);
        let (mut names, mut stood, mut met, mut begins) = (Vec::new(), Vec::new(), Vec::new(), 0);
        loop {
            let room = random.usize(1..9);
            let more = scan.next(room, &mut met).await.unwrap();
            assert!(met.len() <= room, "{room} {met:?}");
            for met in met.drain(..) {
                match met {
                    Met::Object(found) => names.push(String::from_utf8(found.place().into_owned()).unwrap()),
                    Met::Unfit(unfit) => names.push(String::from_utf8(unfit.0.place().into_owned()).unwrap()),
                    Met::Begins => begins += 1,
                    Met::Collapsed => {}
                    other => panic!("{other:?}"),
                }
            }
            if let Some(position) = scan.position() {
                stood.push((names.len(), RemotePosition::decode(&position).unwrap()));
            }
            if !more {
                assert_eq!(begins, usize::from(goes_on));
                return Told { names, stood, order: scan.order() };
            }
        }
    }

    /// Scans, and goes on from each place; what it has given.
    async fn scan(&self, what: (&str, For, &RemoteSource), random: &mut Rng) -> Told {
        let page = random.u32(1..7);
        let told = self.told(what, None, page, random).await;
        let held = what.1 == For::Download;
        for (count, position) in &told.stood {
            let mut rest = self.told(what, Some(position.clone()), page, random).await.names;
            let mut expected = told.names[*count..].to_vec();
            if held {
                // What is a file beside what is decided anew, so a page may come in another order.
                rest.sort();
                expected.sort();
            }
            assert_eq!(rest, expected, "{position:?} of {:?}", told.names);
        }
        told
    }
}

fn names(random: &mut Rng) -> BTreeSet<String> {
    let (mut names, mut directories) = (BTreeSet::new(), vec![String::new()]);
    for _ in 0..random.usize(..20) {
        let mut name = random.choice(&directories).unwrap().clone() + random.choice(SEGMENTS).unwrap();
        if random.u8(..3) == 0 {
            directories.push(format!("{name}{}", if random.u8(..6) == 0 { "//" } else { "/" }));
        }
        if random.u8(..8) == 0 {
            name.push('/');
        }
        names.insert(name);
    }
    names
}

fn source(recursive: bool, filter: Filter) -> RemoteSource {
    RemoteSource {
        path: RemotePath::Container,
        recursive,
        filter: filter.of_blobs(),
        list: None,
        versions: None,
        stubs: true,
        links: true,
        permanent: None,
        tags: false,
        wanted: Wanted::default(),
        containers: super::Containers::default(),
        at_once: 4,
    }
}

fn in_order(order: OrderKey, names: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.into_iter().collect();
    names.sort_by(|a, b| order.compare(a.as_bytes(), b.as_bytes()));
    names
}

/// Cases of a kind, against a server of each order.
fn cases(
    seeds: std::ops::Range<u64>,
    mut case: impl AsyncFnMut(&World, &mut Rng, &str, BTreeSet<String>) -> usize,
) {
    let (mut count, mut objects) = (0, 0);
    for world in [World::new(OrderKey::Utf16), World::new(OrderKey::Tree)] {
        let runtime = LaneRuntime::new(&IoPath::Threads { reason: String::new() }).unwrap();
        runtime.block_on(async {
            for seed in seeds.clone() {
                let mut random = Rng::with_seed(seed);
                let (container, names) = (format!("case{seed}"), names(&mut random));
                world.plant(&container, &names);
                objects += case(&world, &mut random, &container, names).await;
                count += 1;
            }
        });
    }
    println!("{count} containers, {objects} objects");
}

#[test]
fn a_listing_rises_and_goes_on_from_every_place() {
    cases(0..100, async |world, random, container, names| {
        let told = world.scan((container, For::Removal, &source(true, Filter::default())), random).await;
        assert_eq!(told.names, in_order(world.order, names), "{container}");
        let order = told.order.expect("it is one of those that are known");
        assert!(told.names.is_sorted_by(|a, b| order.compare(a.as_bytes(), b.as_bytes()).is_lt()));
        told.names.len()
    });
}

#[test]
fn what_lies_beside_what_is_excluded_is_listed_once() {
    cases(200..250, async |world, random, container, names| {
        let excluded = names.iter().find(|name| name.contains('/') && !name.ends_with('/')).cloned();
        let Some(excluded) = excluded else { return 0 };
        let spec = FilterSpec::default().exclude_path(Some(excluded.clone()));
        let filter = Filter::new(&spec).unwrap();
        let told = world.scan((container, For::Removal, &source(true, filter)), random).await;
        assert_eq!(told.order, None, "each level is listed by itself");
        let inside = format!("{excluded}/");
        let expected = names.into_iter().filter(|name| *name != excluded && !name.starts_with(&inside));
        let mut all = told.names;
        all.sort();
        assert_eq!(all, expected.collect::<Vec<_>>(), "{container} without {excluded}");
        all.len()
    });
}

#[test]
fn a_download_gives_all_blobs_be_they_files_or_not() {
    cases(300..350, async |world, random, container, names| {
        let told = world.scan((container, For::Download, &source(true, Filter::default())), random).await;
        let mut all = told.names;
        all.sort();
        // The mark of a directory is told as that.
        assert_eq!(all, names.into_iter().collect::<Vec<_>>(), "{container}");
        assert_eq!(told.order, None, "what may be a directory waits for its turn");
        all.len()
    });
}

#[test]
fn a_list_goes_on_from_every_place() {
    let lines = tempfile::NamedTempFile::new().unwrap();
    cases(400..450, async |world, random, container, names| {
        let all: Vec<String> = names.into_iter().filter(|name| !name.ends_with('/')).collect();
        let (mut text, mut expected) = (String::new(), Vec::new());
        for _ in 0..random.usize(1..6) {
            let Some(name) = random.choice(&all) else { return 0 };
            match name.split_once('/') {
                Some((directory, _)) if random.bool() => {
                    let inside = format!("{directory}/");
                    text += &format!("{inside}\n");
                    let below = all.iter().filter(|name| name.starts_with(&inside)).cloned();
                    expected.extend(in_order(world.order, below));
                }
                _ => {
                    text += &format!("{name}\n");
                    expected.push(name.clone());
                }
            }
        }
        std::fs::write(lines.path(), text).unwrap();
        let list = Some(ListOfFiles::File(Path::new(lines.path()).to_owned()));
        let told = world
            .scan(
                (container, For::Removal, &RemoteSource { list, ..source(true, Filter::default()) }),
                random,
            )
            .await;
        let given: Vec<String> = told.names.into_iter().filter(|name| !name.ends_with('/')).collect();
        assert_eq!(given, expected, "{container}");
        given.len()
    });
}
