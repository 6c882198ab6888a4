//! A job that is cut at one moment, and goes on.

use crate::kit::{Cut, Files, Scene, Totals, Way, few_files, totals_of};

/// A run that is not cut.
#[derive(Clone, Debug)]
pub(crate) struct Uncut {
    pub(crate) totals: Totals,
    /// Bytes that the service got or gave besides those of the files: lists.
    beside: u64,
}

impl Uncut {
    pub(crate) fn run(way: Way, files: &Files) -> Self {
        let scene = Scene::new(way, files.clone());
        let outcome = scene.fixture.run(scene.command(&[]));
        let totals = totals_of(&outcome);
        scene.judge(&outcome, &totals).unwrap();
        let bytes: u64 = files.values().map(|content| content.len() as u64).sum();
        assert_eq!(totals["TotalTransfers"], files.len().to_string());
        assert_eq!(totals["TransfersCompleted"], files.len().to_string());
        assert_eq!(totals["TotalBytesTransferred"], bytes.to_string());
        let links = if way == Way::Up { "1" } else { "0" };
        assert_eq!(totals["SkippedSymlinkCount"], links);
        Self { totals, beside: scene.moved().saturating_sub(bytes) }
    }
}

/// One cut of the matrix.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    pub(crate) way: Way,
    pub(crate) cut: Cut,
    pub(crate) at: u64,
    /// The run that goes on is cut too, at this moment.
    pub(crate) again_at: Option<u64>,
    /// The sources change between the runs.
    pub(crate) changes: bool,
}

/// How a cut went.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The job had fewer moments: it ended by itself, as it should.
    Uncut,
    /// It was cut at a moment of this name, and everything was as it should be in the end.
    Cut(String),
    /// It was cut at a moment of this name, and this was wrong.
    Wrong(String, String),
}

impl Point {
    pub(crate) fn run(&self, uncut: &Uncut) -> Ended {
        let mut scene = Scene::new(self.way, few_files());
        scene.slow();
        let two = ["--concurrency=2"];
        let first = scene.cutting(self.at, self.cut).run(scene.command(&two));
        if first.signal.is_none() {
            return match scene.judge(&first, &uncut.totals) {
                Ok(()) => Ended::Uncut,
                Err(wrong) => Ended::Wrong("no cut".to_owned(), wrong),
            };
        }
        let moment = scene.note();
        match self.go_on(&mut scene, uncut, &two) {
            Ok(()) => Ended::Cut(moment),
            Err(wrong) => Ended::Wrong(moment, wrong),
        }
    }

    fn go_on(&self, scene: &mut Scene, uncut: &Uncut, more: &[&str]) -> Result<(), String> {
        scene.nothing_is_half_there()?;
        let mut left = scene.left()?;
        if self.changes {
            scene.change_sources();
        }
        if let (Some(at), Some(begun)) = (self.again_at, &left) {
            let second = scene.cutting(at, self.cut).run(scene.resume_command(begun.id, more));
            if second.signal.is_none() {
                return scene.judge(&second, &uncut.totals);
            }
            if !self.changes {
                scene.nothing_is_half_there()?;
            }
            left = scene.left()?;
        }
        scene.fast();
        scene.settle();
        let before = scene.moved();
        let (command, to_move) = match &left {
            Some(left) => (scene.resume_command(left.id, more), left.to_move),
            None => {
                // Nothing was begun before it was known.
                let requests = scene.fixture.server().stats().requests;
                if requests > 0 || !scene.there().is_empty() {
                    return Err(format!("{requests} requests were sent, and there is no journal"));
                }
                (scene.command(more), u64::MAX)
            }
        };
        let last = scene.fixture.run(command);
        scene.judge(&last, &uncut.totals)?;
        let moved = scene.moved() - before;
        let most = to_move.saturating_add(uncut.beside);
        if moved > most && !self.changes {
            return Err(format!(
                "{moved} bytes were moved again; {to_move} were not known to be there, lists have {}",
                uncut.beside
            ));
        }
        Ok(())
    }
}
