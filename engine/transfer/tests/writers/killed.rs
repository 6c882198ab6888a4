//! What a run that was killed has made and could not record.

use std::path::Path;

use super::*;

/// A job whose blob is there when it is cut short, and whose answer never comes.
fn cut_when_it_was_there(len: usize, options: &JobOptions, state: &Path) -> Scene {
    let gate = Gate::new();
    let last = if len > PIECE { "comp=blocklist" } else { "" };
    let held = Rule::on("PUT", "x").query(last).answer(Answer::passed().held(&gate));
    let scene = Scene::new(len, vec![held]);
    let job = scene.job().options(options.clone()).journal(Jobs::new(state), b"a job".to_vec());
    let (job, stop) = (job.build().unwrap(), StopHandle::new());
    let report = std::thread::scope(|scope| {
        scope.spawn(|| {
            while scene.content().is_none() {
                std::thread::yield_now();
            }
            stop.cut_short();
        });
        job.run(&stop, |_| {})
    });
    assert!(report.interrupted);
    gate.open();
    scene.hostile.relent();
    scene
}

#[test]
fn what_a_killed_run_has_made_is_not_told_as_skipped() {
    for overwrite in [Overwrite::Never, Overwrite::IfSourceNewer] {
        for len in [100, 3 * PIECE / 4, 3 * PIECE] {
            let state = tempfile::tempdir().unwrap();
            let options = options().overwrite(overwrite);
            let scene = cut_when_it_was_there(len, &options, state.path());
            let (report, failures) = resume(&scene, options, state.path());
            assert_eq!(counts(&report), (1, 0, 0), "{len} {overwrite:?} {failures:?}");
            assert!(scene.content().unwrap() == bytes(len));
        }
    }
}

#[test]
fn what_a_killed_run_has_made_is_compared_too() {
    for len in [100, 3 * PIECE / 4, 3 * PIECE] {
        for (options, found) in compared::comparisons(len) {
            let state = tempfile::tempdir().unwrap();
            let scene = cut_when_it_was_there(len, &options, state.path());
            let other = scene.other();
            let becomes = Answer::passed().meanwhile(move |_| other.replaces(&found));
            scene.hostile.add(Rule::on("HEAD", "x").nth(2).answer(becomes));
            let (report, failures) = resume(&scene, options, state.path());
            assert_eq!(counts(&report), (0, 1, 0), "{len}");
            assert_eq!(failures[0].kind, FailureKind::Integrity, "{failures:?}");
        }
    }
}

#[test]
fn the_same_content_from_before_the_job_is_told_as_skipped() {
    for len in [100, 3 * PIECE / 4] {
        let (state, gate) = (tempfile::tempdir().unwrap(), Gate::new());
        let held = Rule::on("PUT", "x").answer(Answer::silence());
        let scene = Scene::new(len, vec![held]);
        let content = vec![bytes(len).into()];
        let seed = Seed { name: "x".to_owned(), content, modified_s: Some(1_000_000_000), ..Seed::default() };
        scene.bench.server.plant(DEVSTORE_ACCOUNT, "cont", vec![seed]);
        scene.hostile.add(Rule::on("HEAD", "x").answer(Answer::passed().held(&gate)));
        let options = options().overwrite(Overwrite::Never);
        let jobs = || Jobs::new(state.path());
        let job = scene.job().options(options.clone()).journal(jobs(), b"a job".to_vec());
        let (job, stop) = (job.build().unwrap(), StopHandle::new());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                scene.hostile.wait_until(|all| !all.is_empty());
                stop.cut_short();
            });
            job.run(&stop, |_| {})
        });
        gate.open();
        scene.hostile.relent();
        let id = jobs().list().unwrap()[0].id;
        let (report, failures) = run(scene.job().options(options).resume(jobs(), id));
        assert_eq!(counts(&report), (0, 0, 1), "{failures:?}");
    }
}

#[test]
fn a_file_that_a_killed_run_has_made_is_not_told_as_skipped() {
    let middle = 3 * PIECE / 4;
    for (len, is_older, is_recorded) in
        [(100, false, true), (middle, false, true), (middle, false, false), (middle, true, true)]
    {
        let (state, scene) = (tempfile::tempdir().unwrap(), Scene::new(1, Vec::new()));
        let to = scene.bench.dir.path().join("to");
        std::fs::create_dir(&to).unwrap();
        scene.other().replaces(&bytes(len));
        if is_older {
            std::fs::write(to.join("x"), vec![7; len]).unwrap();
        }
        let (jobs, stop) = (|| Jobs::new(state.path()), StopHandle::new());
        let url = || scene.url("/x");
        let job = || {
            let credential = Credential::find(&url(), |_| None).unwrap();
            let options = options().overwrite(Overwrite::Never);
            Job::download(url(), credential, &to).options(options)
        };
        // It is cut while the blob is asked for; the file gets its name, which nobody has recorded, nor, if it is
        // killed soon, that the blob was found.
        let found = usize::from(is_recorded);
        scene.hostile.add(Rule::on("GET", "x").answer(Answer::silence()));
        scene.hostile.add(Rule::on("HEAD", "x").after(found).answer(Answer::silence()));
        let first = job().journal(jobs(), b"a job".to_vec()).build().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                scene.hostile.wait_until(|all| all.len() > found || (is_older && !all.is_empty()));
                stop.cut_short();
            });
            first.run(&stop, |_| {})
        });
        if !is_older {
            std::fs::write(to.join("x"), bytes(len)).unwrap();
        }
        scene.hostile.relent();
        let id = jobs().list().unwrap()[0].id;
        let (report, failures) = run(job().resume(jobs(), id));
        let want = if is_older { (0, 0, 1) } else { (1, 0, 0) };
        assert_eq!(counts(&report), want, "{len} {is_older} {is_recorded} {failures:?}");
    }
}

/// A job that is cut short when somebody waits at the gate.
fn cut_at(gate: &Gate, scene: &Scene, options: &JobOptions, state: &Path) {
    let job = scene.job().options(options.clone()).journal(Jobs::new(state), b"a job".to_vec());
    let (job, stop) = (job.build().unwrap(), StopHandle::new());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            gate.wait_for_somebody();
            stop.cut_short();
        });
        job.run(&stop, |_| {})
    });
    gate.open();
    scene.hostile.relent();
}

fn resume(scene: &Scene, options: JobOptions, state: &Path) -> Ran {
    let id = Jobs::new(state).list().unwrap()[0].id;
    run(scene.job().options(options).resume(Jobs::new(state), id))
}

#[test]
fn a_visible_blob_of_a_killed_run_is_taken_up_and_anothers_is_not() {
    for (kind, part) in [(BlobTypeChoice::Append, "appendblock"), (BlobTypeChoice::Page, "comp=page")] {
        for is_anothers in [false, true] {
            let (state, gate) = (tempfile::tempdir().unwrap(), Gate::new());
            let held = Rule::on("PUT", "x").query(part).after(1).answer(Answer::passed().held(&gate));
            let scene = Scene::new(4 * PIECE, vec![held]);
            let options = of_type(kind).overwrite(Overwrite::Never);
            cut_at(&gate, &scene, &options, state.path());
            if is_anothers {
                if kind == BlobTypeChoice::Page {
                    scene.other().breaks_the_lease();
                }
                scene.other().replaces(b"theirs");
            }
            let (report, failures) = resume(&scene, options, state.path());
            let (want, content) = match is_anothers {
                true => ((0, 0, 1), b"theirs".to_vec()),
                false => ((1, 0, 0), bytes(4 * PIECE)),
            };
            assert_eq!(counts(&report), want, "{kind:?} {failures:?}");
            assert!(scene.content().unwrap() == content, "{kind:?}");
        }
    }
}

#[test]
fn a_lease_that_runs_out_before_the_blob_is_made_anew_is_renewed() {
    let (state, gate) = (tempfile::tempdir().unwrap(), Gate::new());
    let held = Rule::on("PUT", "x").query("comp=page").after(1).answer(Answer::passed().held(&gate));
    let scene = Scene::new(4 * PIECE, vec![held]);
    let options = of_type(BlobTypeChoice::Page);
    cut_at(&gate, &scene, &options, state.path());
    // The lease is taken up; the turn to be summed up comes after more than a minute.
    let bench = Arc::clone(&scene.bench);
    let late = Answer::passed().meanwhile(move |_| bench.server.advance(Duration::from_secs(61)));
    scene.hostile.add(Rule::on("PUT", "x").nth(2).answer(late));
    let (report, failures) = resume(&scene, options, state.path());
    assert_eq!(counts(&report), (1, 0, 0), "{failures:?}");
    assert!(scene.content().unwrap() == bytes(4 * PIECE));
}

#[test]
fn an_append_blob_of_a_killed_run_is_gone_on_with() {
    let whole = Scene::new(6 * PIECE, Vec::new());
    let options = of_type(BlobTypeChoice::Append).put_md5(true);
    whole.upload(options.clone());
    let (state, gate) = (tempfile::tempdir().unwrap(), Gate::new());
    let held = Rule::on("PUT", "x").query("appendblock").after(2).answer(Answer::passed().held(&gate));
    let scene = Scene::new(6 * PIECE, vec![held]);
    cut_at(&gate, &scene, &options, state.path());
    let (report, failures) = resume(&scene, options, state.path());
    assert_eq!(counts(&report), (1, 0, 0), "{failures:?}");
    assert!(scene.content().unwrap() == bytes(6 * PIECE));
    assert_eq!((scene.count(Operation::PutBlob), scene.count(Operation::AppendBlock)), (1, 6));
    let md5 = scene.blob().content_md5;
    assert!(md5.is_some() && md5 == whole.blob().content_md5);
}
