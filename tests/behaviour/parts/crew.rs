//! A crew: it runs one part after another with the threads and connections of the first.

use std::collections::BTreeMap;
use std::sync::mpsc;

use azsim::Operation;
use azuring_tests::{Fixture, azuring, wait_until};
use azuring_transfer::{
    BlockRules, Crew, Engine, EngineLimits, Event, Job, Limits, Overwrite, PartEnd, PartOutcomes,
    SkippedKind, StopHandle, TransferId,
};

use crate::kit::{self, Planned, options, tree};

const MIB: u64 = 1 << 20;

/// An upload of a tree with a large file, in parts of 10.
struct Upload {
    fixture: Fixture,
    files: BTreeMap<String, Vec<u8>>,
    planned: Planned,
}

impl Upload {
    fn new(overwrite: Overwrite) -> Self {
        let fixture = Fixture::new(azuring!());
        let files = tree(60, 6 * MIB as usize);
        for (name, content) in &files {
            fixture.file(&format!("tree/{name}"), content);
        }
        // More blocks than requests may be in flight: who is stopped has always some that were not sent.
        let blocks = BlockRules::default().block_size(Some(MIB / 4));
        let options = options().overwrite(overwrite).blocks(blocks);
        let (source, credential) = (fixture.path().join("tree/*"), kit::credential(&fixture));
        let job = Job::upload(source, kit::url(&fixture, ""), credential).recursive(true).options(options);
        let planned = Planned::new(&fixture, job, 10);
        assert_eq!((planned.parts.len(), planned.ids.len()), (7, files.len()));
        Self { fixture, files, planned }
    }

    fn crew(&self) -> Crew {
        Crew::open(&self.planned.spec, kit::credential(&self.fixture), options()).unwrap()
    }

    fn assert_arrived(&self) {
        let there = self.fixture.names().into_iter().map(|name| (name.clone(), self.fixture.content(&name)));
        assert!(there.collect::<BTreeMap<_, _>>() == self.files, "names or bytes differ");
    }
}

/// The outcomes of a part, by their transfers.
fn ends(outcomes: PartOutcomes) -> BTreeMap<TransferId, PartEnd> {
    outcomes.outcomes.into_iter().map(|outcome| (outcome.id, outcome.end)).collect()
}

#[test]
fn it_keeps_its_connections_from_part_to_part() {
    let upload = Upload::new(Overwrite::Always);
    let planned = &upload.planned;
    let (mut all, mut opened) = (BTreeMap::new(), 0);
    let mut crew = upload.crew();
    for number in planned.numbers() {
        let mut told = 0;
        let run = crew.run(planned.part(number), &StopHandle::new(), |event| {
            told += usize::from(matches!(event, Event::Done(_)));
        });
        let run = run.unwrap();
        assert_eq!((run.report.counts.done as usize, told), (planned.parts[&number], told));
        assert_eq!((run.outcomes.job, run.outcomes.part), (planned.spec.job(), number));
        opened += run.report.links_opened;
        all.append(&mut ends(run.outcomes));
    }
    assert!(all.keys().eq(&planned.ids) && all.values().all(|end| *end == PartEnd::Done), "{all:#?}");
    upload.assert_arrived();
    // One for each request that may be in flight, whatever the number of parts.
    let connections = upload.fixture.server().stats().connections;
    assert!(connections <= 8 && opened == connections, "{opened} of {connections} connections");
}

#[test]
fn it_goes_on_after_a_part_that_was_stopped() {
    let upload = Upload::new(Overwrite::Never);
    let planned = &upload.planned;
    let mut crew = upload.crew();
    let large = planned.part_of("large");
    upload.fixture.hold(Operation::PutBlock, "large", 2);
    let stop = StopHandle::new();
    let stopped = std::thread::scope(|scope| {
        let running = scope.spawn(|| crew.run(planned.part(large), &stop, |_| {}).unwrap());
        upload.fixture.wait_for_held(1);
        stop.stop();
        upload.fixture.release();
        running.join().unwrap()
    });
    assert!(stopped.report.interrupted);
    let stopped = ends(stopped.outcomes);
    assert!(stopped.values().any(|end| *end == PartEnd::NotDone), "{stopped:#?}");
    let mut all = BTreeMap::new();
    for number in planned.numbers() {
        let part = planned.part(number);
        let part = if number == large { part.again() } else { part };
        all.append(&mut ends(crew.run(part, &StopHandle::new(), |_| {}).unwrap().outcomes));
    }
    assert!(all.keys().eq(&planned.ids) && all.values().all(|end| *end == PartEnd::Done), "{all:#?}");
    upload.assert_arrived();
}

#[test]
fn it_asks_what_is_replaced() {
    let upload = Upload::new(Overwrite::Ask);
    let planned = &upload.planned;
    let run = |mut crew: Crew| {
        let parts = planned.numbers().map(|number| planned.part(number));
        let run = |part| ends(crew.run(part, &StopHandle::new(), |_| {}).unwrap().outcomes);
        parts.flat_map(run).collect::<BTreeMap<_, _>>()
    };
    let (asked, questions) = mpsc::channel();
    let ask = move |url: &str| {
        asked.send(url.to_owned()).unwrap();
        url.ends_with("large")
    };
    assert!(run(upload.crew().asking(ask.clone())).values().all(|end| *end == PartEnd::Done));
    assert_eq!(questions.try_iter().count(), 0);
    let there = PartEnd::Skipped(SkippedKind::Exists);
    let again = run(upload.crew().asking(ask));
    assert_eq!(again.values().filter(|end| **end == PartEnd::Done).count(), 1);
    assert_eq!(again.values().filter(|end| **end == there).count(), upload.files.len() - 1);
    assert_eq!(questions.try_iter().count(), upload.files.len());
    // Nobody answers.
    assert!(run(upload.crew()).values().all(|end| *end == there));
}

#[test]
fn it_has_its_share_of_an_engine_until_it_is_dropped() {
    let upload = Upload::new(Overwrite::Always);
    let planned = &upload.planned;
    let limits = Limits::here().memory_bytes(128 * MIB).concurrency(2).lanes(2);
    let engine = Engine::new(EngineLimits::new(limits).jobs(1)).unwrap();
    let open =
        || Crew::in_engine(&planned.spec, kit::credential(&upload.fixture), options(), &engine).unwrap();
    let (mut first, mut second) = (open(), open());
    let run = |crew: &mut Crew, number| {
        let run = crew.run(planned.part(number), &StopHandle::new(), |_| {}).unwrap();
        assert!(ends(run.outcomes).values().all(|end| *end == PartEnd::Done));
    };
    run(&mut first, 0);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| (1..4).for_each(|number| run(&mut second, number)));
        (4..7).for_each(|number| run(&mut first, number));
        drop(first);
        waiting.join().unwrap();
    });
    upload.assert_arrived();
    let stats = upload.fixture.server().stats();
    assert!(stats.in_flight_max <= 2 && stats.connections <= 4, "{stats:?}");
}

#[test]
fn it_runs_parts_that_are_awaited() {
    let upload = Upload::new(Overwrite::Never);
    let planned = &upload.planned;
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut crew = upload.crew();
        for number in planned.numbers().take(3) {
            let mut running = crew.start(planned.part(number)).unwrap();
            let mut done = 0;
            while let Some(event) = running.next_event().await {
                done += usize::from(matches!(event, Event::Done(_)));
            }
            let (back, run) = running.outcome().await;
            crew = back;
            assert_eq!((done, run.unwrap().outcomes.outcomes.len()), (planned.parts[&number], done));
        }
        // One that nobody waits for is stopped, and its crew goes home.
        let large = planned.part_of("large");
        upload.fixture.hold(Operation::PutBlock, "large", 2);
        let dropped = crew.start(planned.part(large)).unwrap();
        upload.fixture.wait_for_held(1);
        drop(dropped);
        upload.fixture.release();
        wait_until("the end of its requests", || upload.fixture.server().stats().in_flight == 0);
        let mut crew = upload.crew();
        for number in planned.numbers() {
            let (back, run) = crew.start(planned.part(number).again()).unwrap().outcome().await;
            crew = back;
            let ends = ends(run.unwrap().outcomes);
            assert!(ends.values().all(|end| *end == PartEnd::Done), "{ends:#?}");
        }
        let (_, refused) = crew.start(Upload::new(Overwrite::Never).planned.part(0)).unwrap().outcome().await;
        assert!(refused.unwrap_err().to_string().contains("another job"));
    });
    upload.assert_arrived();
}
