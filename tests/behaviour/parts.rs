//! A job in parts: written to files, run by processes that know nothing else of it, one of which is killed and its
//! part run again. Every transfer ends once, and every byte is where it belongs.
#![allow(clippy::unwrap_used, reason = "test code")]

#[path = "parts/crew.rs"]
mod crew;
#[path = "parts/kit.rs"]
mod kit;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use azsim::{BlobInfo, Operation};
use azuring_tests::{CONTAINER, DEVSTORE_ACCOUNT, Fixture, azuring, wait_until};
use azuring_transfer::{
    BlobTypeChoice, BlockRules, Event, Job, ListOfFiles, Overwrite, Part, PartEnd, PosixStyle,
    PropertyChange, SkippedKind, filter, run_part,
};

use kit::{Planned, content, options, tree};

const MIB: u64 = 1 << 20;

/// Runs all parts at once, but for one: that is killed when `reached` holds, and run again.
fn kill_one_and_run_all(fixture: &Fixture, planned: &Planned, killed: u32, reached: impl Fn() -> bool) {
    let others = planned.numbers().filter(|number| *number != killed);
    let others: Vec<_> = others.map(|number| planned.start(fixture, number, false)).collect();
    let victim = planned.start(fixture, killed, false);
    wait_until("the moment to be killed in", reached);
    victim.kill();
    assert!(!planned.ends_file(killed).exists(), "it has written its outcomes all the same");
    fixture.release();
    let again = planned.start(fixture, killed, true);
    for process in others.into_iter().chain([again]) {
        process.wait().unwrap().expect_code(0);
    }
}

#[test]
fn an_upload_in_parts_survives_the_death_of_a_process() {
    let fixture = Fixture::new(azuring!());
    let files = tree(60, 20 * MIB as usize);
    for (name, content) in &files {
        fixture.file(&format!("tree/{name}"), content);
    }
    let options = options()
        // What the killed process has made would be skipped, if nobody knew of it.
        .overwrite(Overwrite::Never)
        .blocks(BlockRules::default().block_size(Some(MIB)));
    let job = Job::upload(fixture.path().join("tree"), kit::url(&fixture, ""), kit::credential(&fixture));
    let planned = Planned::new(&fixture, job.recursive(true).options(options), 25);
    assert_eq!((planned.parts.len(), planned.ids.len()), (3, files.len()));
    let large = planned.part_of("large");
    let in_part = planned.names[&large].clone();
    fixture.hold(Operation::PutBlock, "large", 4);
    kill_one_and_run_all(&fixture, &planned, large, || {
        let there = fixture.names();
        fixture.held() >= 1
            && in_part.iter().filter(|name| there.contains(&format!("tree/{name}"))).count() > 3
    });
    let ends = planned.all_ends();
    assert!(ends.values().all(|end| *end == PartEnd::Done), "{ends:#?}");
    let there: BTreeMap<String, Vec<u8>> =
        fixture.names().into_iter().map(|name| (name.clone(), fixture.content(&name))).collect();
    let expected = files.iter().map(|(name, content)| (format!("tree/{name}"), content.clone()));
    assert!(there == expected.collect(), "names or bytes differ");
    // Four blocks had arrived before, perhaps some of those that were held too, and were not sent again.
    let sent = fixture.server().stats().by_operation[&Operation::PutBlock];
    assert!(sent - fixture.held() <= 20, "blocks were sent again: {sent}, {} of them held", fixture.held());
}

#[test]
fn a_download_in_parts_survives_the_death_of_a_process() {
    let fixture = Fixture::new(azuring!());
    let files = tree(60, 20 * MIB as usize);
    for (name, content) in &files {
        fixture.file(&format!("tree/{name}"), content);
    }
    fixture.upload(&fixture.path().join("tree"), &[]).expect_code(0);
    let options = options().overwrite(Overwrite::Never);
    let (to, source) = (fixture.path().join("to"), kit::url(&fixture, "tree"));
    fs::create_dir(&to).unwrap();
    let job = Job::download(source, kit::credential(&fixture), &to);
    let planned = Planned::new(&fixture, job.recursive(true).options(options), 25);
    assert_eq!((planned.parts.len(), planned.ids.len()), (3, files.len()));
    let large = planned.part_of("large");
    let in_part = planned.names[&large].clone();
    let before = fixture.held();
    fixture.hold(Operation::GetBlob, "large", 2);
    kill_one_and_run_all(&fixture, &planned, large, || {
        let there = |name: &&String| to.join(name.as_str()).exists();
        fixture.held() > before && in_part.iter().filter(there).count() > 3
    });
    let ends = planned.all_ends();
    assert!(ends.values().all(|end| *end == PartEnd::Done), "{ends:#?}");
    let mut there = BTreeMap::new();
    kit::read(&to.join("tree"), "", &mut there);
    assert!(there == files, "names or bytes differ: {:?}", there.keys());
}

#[test]
fn a_removal_in_parts_survives_the_death_of_a_process() {
    let fixture = Fixture::new(azuring!());
    let names: Vec<String> = (0..700).map(|n| format!("d/{n:04}")).collect();
    kit::plant(&fixture, &names, b"x");
    kit::plant(&fixture, &["stays".to_owned()], b"x");
    let list = fixture.file("list", names.join("\n").as_bytes());
    let removal = Job::remove(kit::url(&fixture, ""), kit::credential(&fixture)).options(options());
    let planned = Planned::new(&fixture, removal.list_of_files(ListOfFiles::File(list)), 300);
    assert_eq!((planned.parts.len(), planned.ids.len()), (3, 700));
    // Alone: what is held has no name that tells one process from the others. Its first batch is done, the second not.
    fixture.hold(Operation::BlobBatch, "", 1);
    let victim = planned.start(&fixture, 1, false);
    fixture.wait_for_held(1);
    wait_until("the first batch", || fixture.names().len() <= 701 - 44);
    victim.kill();
    fixture.release();
    let running = planned.numbers().map(|number| planned.start(&fixture, number, number == 1));
    for process in running.collect::<Vec<_>>() {
        process.wait().unwrap().expect_code(0);
    }
    let ends = planned.all_ends();
    assert!(ends.values().all(|end| *end == PartEnd::Done), "{ends:#?}");
    assert_eq!(fixture.names(), ["stays"]);
}

#[test]
fn a_change_of_properties_in_parts_survives_the_death_of_a_process() {
    // The first batch of tiers is done, the second not; or some metadata.
    for (operation, held, passed) in [(Operation::BlobBatch, "", 1), (Operation::SetBlobMetadata, "d/03", 20)]
    {
        let fixture = Fixture::new(azuring!());
        let names: Vec<String> = (0..700).map(|n| format!("d/{n:04}")).collect();
        kit::plant(&fixture, &names, b"x");
        kit::plant(&fixture, &["stays".to_owned()], b"x");
        let metadata = vec![("by".to_owned(), "parts".to_owned())];
        let change = PropertyChange::default().tier(Some("Cool".to_owned())).metadata(Some(metadata.clone()));
        let job = Job::set_properties(kit::url(&fixture, "d"), kit::credential(&fixture), change);
        let planned = Planned::new(&fixture, job.recursive(true).options(options()), 300);
        assert_eq!((planned.parts.len(), planned.ids.len()), (3, 700));
        let changed = || {
            let is_changed = |blob: &BlobInfo| (blob.tier == "Cool", blob.metadata == metadata);
            fixture.blobs().into_iter().map(|blob| (is_changed(&blob), blob.name)).collect::<Vec<_>>()
        };
        let any = || {
            let done = |((tier, given), _): &((bool, bool), String)| {
                if operation == Operation::BlobBatch { *tier } else { *given }
            };
            changed().iter().filter(|blob| done(blob)).count()
        };
        // Alone: what is held has no name that tells one process from the others.
        fixture.hold(operation, held, passed);
        let victim = planned.start(&fixture, 1, false);
        fixture.wait_for_held(1);
        wait_until("some that are changed", || any() > 0);
        victim.kill();
        assert!(any() < 300, "all were changed");
        fixture.release();
        let running = planned.numbers().map(|number| planned.start(&fixture, number, number == 1));
        for process in running.collect::<Vec<_>>() {
            process.wait().unwrap().expect_code(0);
        }
        let ends = planned.all_ends();
        assert!(ends.values().all(|end| *end == PartEnd::Done), "{ends:#?}");
        for ((tier, metadata), name) in changed() {
            assert_eq!((tier, metadata), (name != "stays", name != "stays"), "{name}");
        }
    }
}

#[test]
fn page_blobs_that_a_killed_process_has_begun_are_completed() {
    let fixture = Fixture::new(azuring!());
    for name in ["a.vhd", "large.vhd"] {
        fixture.file(&format!("disks/{name}"), &content(name, 12 * MIB as usize));
    }
    let options = options()
        .blob_type(BlobTypeChoice::Page)
        .overwrite(Overwrite::Never)
        .blocks(BlockRules::default().block_size(Some(MIB)));
    let job = Job::upload(fixture.path().join("disks"), kit::url(&fixture, ""), kit::credential(&fixture));
    let planned = Planned::new(&fixture, job.recursive(true).options(options), 10);
    fixture.hold(Operation::PutPage, "large", 3);
    kill_one_and_run_all(&fixture, &planned, 0, || fixture.held() >= 1);
    let ends = planned.all_ends();
    assert!(ends.values().all(|end| *end == PartEnd::Done), "{ends:#?}");
    for name in ["a.vhd", "large.vhd"] {
        assert!(fixture.content(&format!("disks/{name}")) == content(name, 12 * MIB as usize), "{name}");
    }
}

#[test]
fn a_part_that_nobody_has_run_skips_what_is_there() {
    let fixture = Fixture::new(azuring!());
    fixture.file("tree/a", b"a");
    let options = options().overwrite(Overwrite::Never);
    let job = Job::upload(fixture.path().join("tree"), kit::url(&fixture, ""), kit::credential(&fixture));
    let planned = Planned::new(&fixture, job.recursive(true).options(options), 10);
    for (again, expected) in [
        (false, PartEnd::Done),
        (false, PartEnd::Skipped(SkippedKind::Exists)),
        // It may be this part's own.
        (true, PartEnd::Done),
    ] {
        planned.start(&fixture, 0, again).wait().unwrap().expect_code(0);
        assert_eq!(planned.all_ends().into_values().collect::<Vec<_>>(), [expected]);
        fs::remove_file(planned.ends_file(0)).unwrap();
    }
}

#[test]
fn a_line_that_is_a_directory_is_an_outcome_of_its_own() {
    let fixture = Fixture::new(azuring!());
    kit::plant(&fixture, &["file".to_owned(), "dir/x".to_owned()], b"x");
    let list = fixture.file("list", b"file\ndir\n");
    for (recursive, is_no_blob) in [(true, true), (false, false)] {
        let to = fixture.path().join(format!("to-{recursive}"));
        let job = Job::download(kit::url(&fixture, ""), kit::credential(&fixture), &to).recursive(recursive);
        let job = job.list_of_files(ListOfFiles::File(list.clone())).options(options());
        let planned = Planned::new(&fixture, job, 10);
        planned.start(&fixture, 0, false).wait().unwrap().expect_code(0);
        let ends: Vec<PartEnd> = planned.all_ends().into_values().collect();
        assert_eq!(ends[0], PartEnd::Done);
        match (&ends[1], is_no_blob) {
            (PartEnd::NoBlob, true) => {}
            (PartEnd::Failed(failure), false) => assert_eq!(failure.reason, "there is no such blob"),
            (other, _) => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_is_below_such_lines_arrives_once_in_further_parts() {
    let fixture = Fixture::new(azuring!());
    let named: Vec<String> = (0..25).map(|n| format!("named/{n}")).collect();
    let many: Vec<String> = (0..1100).map(|n| format!("dir/{:02}/a b%2F{n}", n / 100)).collect();
    let few = ["other/x", "other/y/z.tmp", "slash/1", "slash/2", "dir-not/x", "dirnot"].map(str::to_owned);
    for names in [&named[..], &many, &few] {
        kit::plant(&fixture, names, b"content");
    }
    let lines = [&named[..], &["dir", "nothing", "slash/", "other"].map(str::to_owned)].concat();
    let list = fixture.file("list", lines.join("\n").as_bytes());
    let to = fixture.path().join("to");
    let filter = filter::FilterSpec::default().exclude_pattern(Some("*.tmp".to_owned()));
    let job = |url| {
        let job = Job::download(url, kit::credential(&fixture), &to).recursive(true);
        let filter = filter::Filter::new(&filter).unwrap();
        job.filter(filter).list_of_files(ListOfFiles::File(list.clone())).options(options())
    };
    let mut planned = Planned::new(&fixture, job(kit::url(&fixture, "")), 10);
    let run_all = |planned: &Planned, from| {
        let running = planned.numbers().filter(|number| *number >= from);
        let running: Vec<_> = running.map(|number| planned.start(&fixture, number, false)).collect();
        for process in running {
            process.wait().unwrap().expect_code(0);
        }
    };
    run_all(&planned, 0);
    let first = planned.parts.len() as u32;
    let (stop, mut more, mut told) = (azuring_transfer::StopHandle::new(), Vec::new(), Vec::new());
    let parts = || planned.numbers().map(|number| (planned.part(number), planned.outcomes(number)));
    let below = job(kit::url(&fixture, "")).build().unwrap().parts_below(
        &planned.spec,
        parts(),
        500,
        &stop,
        |part| {
            more.push(Part::from_bytes(&part.to_bytes()).unwrap());
            Ok(())
        },
        |event| told.push(event),
    );
    let below = below.unwrap();
    assert!(below.report.fatal.is_none() && !below.report.interrupted);
    assert_eq!((below.report.counts.found, below.report.counts.failed), (1102, 1), "{told:?}");
    let mut replaced: BTreeMap<_, _> = below.lines.into_iter().map(|line| (line.id, line.end)).collect();
    assert!(told.iter().any(|event| matches!(event, Event::Failed(failure) if failure.object == "nothing")));

    // Another job is told from this one, and a job has to have a list.
    let refused = |job: azuring_transfer::JobBuilder, parts: Vec<_>| {
        let below =
            job.build().unwrap().parts_below(&planned.spec, parts, 9, &stop, |_| panic!("a part"), |_| {});
        below.unwrap_err().to_string()
    };
    assert!(refused(job(kit::url(&fixture, "elsewhere")), Vec::new()).contains("another job"));
    assert!(
        refused(Job::download(kit::url(&fixture, ""), kit::credential(&fixture), &to), Vec::new())
            .contains("list")
    );
    let [(part, _), (_, outcomes)] = parts().take(2).collect::<Vec<_>>().try_into().unwrap();
    assert!(refused(job(kit::url(&fixture, "")), vec![(part, outcomes)]).contains("of another job or part"));

    assert_eq!(
        more.iter().map(Part::number).collect::<Vec<_>>(),
        (first..first + more.len() as u32).collect::<Vec<_>>()
    );
    more.iter().for_each(|part| planned.add(part));
    run_all(&planned, first);
    let mut ends = planned.all_ends();
    let no_blobs: Vec<_> =
        ends.iter().filter(|(_, end)| **end == PartEnd::NoBlob).map(|(id, _)| *id).collect();
    assert!(no_blobs.len() == 3 && replaced.keys().eq(&no_blobs), "{no_blobs:?}");
    ends.append(&mut replaced);
    let failed: Vec<_> = ends.values().filter(|end| **end != PartEnd::Done).collect();
    assert!(matches!(failed[..], [PartEnd::Failed(_)]), "{failed:#?}");
    let mut names: Vec<String> = planned.names.values().flatten().cloned().collect();
    names.retain(|name| !["dir", "nothing", "other"].contains(&name.as_str()));
    let mut expected = [&named[..], &many, &["other/x", "slash/1", "slash/2"].map(str::to_owned)].concat();
    names.sort();
    expected.sort();
    assert!(names == expected, "each blob is in one part");
    let mut there = BTreeMap::new();
    kit::read(&to.join(CONTAINER), "", &mut there);
    let differs = there.iter().filter(|(_, content)| *content != b"content").count();
    assert!(there.keys().eq(&expected) && differs == 0, "{} files, {differs} of them differ", there.len());
}

#[test]
fn directories_get_their_properties_in_parts_that_come_last() {
    let fixture = Fixture::new(azuring!());
    for name in ["d/e/a", "d/b", "f/c"] {
        fixture.file(&format!("tree/{name}"), b"x");
    }
    let times = ["tree/d/e", "tree/d", "tree/f"];
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    for name in times {
        fs::File::open(fixture.path().join(name)).unwrap().set_modified(old).unwrap();
    }
    fixture.upload(&fixture.path().join("tree"), &["--preserve-posix-properties"]).expect_code(0);
    let options = options().preserve_posix(Some(PosixStyle::Standard));
    let to = fixture.path().join("to");
    let job = Job::download(kit::url(&fixture, "tree"), kit::credential(&fixture), &to).recursive(true);
    let planned = Planned::new(&fixture, job.options(options), 2);
    let is_last = |number: &u32| planned.part(*number).is_last();
    let (last, first): (Vec<u32>, Vec<u32>) = planned.numbers().partition(is_last);
    assert!(!last.is_empty() && first.len() == 2, "{first:?} {last:?}");
    for number in first.into_iter().chain(last) {
        planned.start(&fixture, number, false).wait().unwrap().expect_code(0);
    }
    assert!(planned.all_ends().values().all(|end| *end == PartEnd::Done));
    for name in times {
        let there = fs::metadata(to.join(name)).unwrap();
        assert!(there.is_dir() && there.modified().unwrap() == old, "{name}: {:?}", there.modified());
    }
}

#[test]
fn blobs_that_would_have_one_local_name_do_not_meet_in_different_parts() {
    let fixture = Fixture::new(azuring!());
    kit::plant(&fixture, &["d//a".to_owned(), "d/a".to_owned()], b"x");
    let to = fixture.path().join("to");
    let job = Job::download(kit::url(&fixture, "d"), kit::credential(&fixture), &to).recursive(true);
    let planned = Planned::new(&fixture, job.options(options()), 1);
    assert_eq!(planned.ids.len(), 1);
    assert!(
        planned.failed.len() == 1 && planned.failed[0].contains("has the same name"),
        "{:?}",
        planned.failed
    );
}

#[test]
fn what_has_no_parts_and_what_is_not_of_the_job_is_refused() {
    let fixture = Fixture::new(azuring!());
    fixture.file("tree/a", b"a");
    let upload =
        || Job::upload(fixture.path().join("tree"), kit::url(&fixture, ""), kit::credential(&fixture));
    let planned = Planned::new(&fixture, upload().recursive(true).options(options()), 10);
    let other = Planned::new(&fixture, upload().recursive(true).options(options()), 10);
    let run = |part: Part| {
        let stop = azuring_transfer::StopHandle::new();
        run_part(&planned.spec, part, kit::credential(&fixture), options(), &stop, |_| {})
    };
    let refused = run(other.part(0)).unwrap_err().to_string();
    assert!(refused.contains("another job"), "{refused}");

    let removal = Job::remove(kit::url(&fixture, ""), kit::credential(&fixture)).recursive(true);
    kit::plant(&fixture, &["x".to_owned()], b"x");
    let removal = Planned::new(&fixture, removal.options(options()), 10);
    let mut bytes = removal.part(0).to_bytes();
    // The job's id stands after mark, version and bits.
    bytes.splice(8..24, planned.spec.job());
    assert!(Part::from_bytes(&bytes).is_err(), "the checksum tells it");

    let stop = azuring_transfer::StopHandle::new();
    let parts = |job: azuring_transfer::JobBuilder, most| {
        let written = job.build().unwrap().parts(most, &stop, |_, _| panic!("a part"), |_| {});
        written.unwrap_err().to_string()
    };
    let dry = options().dry_run(true);
    assert!(parts(upload().recursive(true).options(dry), 10).contains("dry run"));
    for most in [0, 10_001] {
        assert!(parts(upload().recursive(true).options(options()), most).contains("1 to 10,000"));
    }
    let stream = Job::upload_from(std::io::empty(), kit::url(&fixture, "x"), kit::credential(&fixture));
    assert!(parts(stream.options(options()), 10).contains("stream"));
    let pipe = Job::download_to(kit::url(&fixture, "x"), kit::credential(&fixture), std::io::sink());
    assert!(parts(pipe.options(options()), 10).contains("stream"));
    let jobs = azuring_transfer::Jobs::new(&fixture.path().join("jobs"));
    let kept = upload().recursive(true).options(options()).journal(jobs, Vec::new());
    assert!(parts(kept, 10).contains("journal"));
}

#[test]
fn no_secret_is_in_spec_or_part() {
    let fixture = Fixture::new(azuring!());
    fixture.file("tree/a", b"a");
    let job =
        Job::upload(fixture.path().join("tree"), kit::url(&fixture, "to/there"), kit::credential(&fixture));
    let planned = Planned::new(&fixture, job.recursive(true).options(options()), 10);
    let sas = kit::sas(&fixture);
    let signature = sas.split('&').find_map(|pair| pair.strip_prefix("sig=")).unwrap();
    let all = [planned.spec.to_bytes(), planned.part(0).to_bytes()].concat();
    let all = String::from_utf8_lossy(&all);
    assert!(!all.contains(signature) && !all.contains("sig="), "{all}");
    assert!(planned.spec.url().ends_with(&format!("/{CONTAINER}/to/there")), "{}", planned.spec.url());
    assert!(planned.spec.credential().contains("SAS"), "{}", planned.spec.credential());
    assert!(Path::new(&fixture.path().join("tree")).is_absolute() && all.contains("/tree"));
    assert_eq!(fixture.server().accounts(), [DEVSTORE_ACCOUNT]);
}
