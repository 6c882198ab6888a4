//! The jobs of the corpus: what was there before each, how it was begun, and where it was cut off.

use std::path::Path;

use azuring_journal::Recovered;

use crate::stage::Stage;

mod change;
mod down;
mod up;

/// One job.
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    /// The account keeps versions and what is deleted.
    pub(crate) keeps: bool,
    /// Modes and times of what is there in the end count.
    pub(crate) posix: bool,
    /// Files are written: it matters whether the machine was restarted.
    pub(crate) restarts: bool,
    /// Bytes that are moved when it goes on, at most, if that is to be looked at: requests' and answers' bodies.
    pub(crate) moves: Option<u64>,
    /// Makes the source, and what is at the destination before.
    pub(crate) prepare: fn(&Stage),
    /// Begins the job and cuts it off.
    pub(crate) first: fn(&Scene, &Path) -> Stage,
    /// What is done before it goes on.
    pub(crate) mend: fn(&Stage),
}

impl Scene {
    const fn new(name: &'static str, prepare: fn(&Stage), first: fn(&Scene, &Path) -> Stage) -> Self {
        Self { name, keeps: false, posix: false, restarts: false, moves: None, prepare, first, mend: |_| {} }
    }

    const fn keeps(self) -> Self {
        Self { keeps: true, ..self }
    }

    const fn posix(self) -> Self {
        Self { posix: true, ..self }
    }

    const fn restarts(self) -> Self {
        Self { restarts: true, ..self }
    }

    const fn moves(self, most: u64) -> Self {
        Self { moves: Some(most), ..self }
    }

    const fn mend(self, mend: fn(&Stage)) -> Self {
        Self { mend, ..self }
    }

    /// In which runs of the machine it goes on: the one that it was cut off in, and another.
    pub(crate) fn boots(&self) -> &'static [bool] {
        if self.restarts { &[true, false] } else { &[true] }
    }

    /// The stage, with the source made.
    pub(crate) fn stage(&self, program: &Path) -> Stage {
        let stage = Stage::new(program, self.keeps);
        (self.prepare)(&stage);
        stage
    }
}

pub(crate) fn all() -> Vec<Scene> {
    [up::all(), down::all(), change::all()].into_iter().flatten().collect()
}

/// Runs the job again and again, each time cut at a later moment (`src/bin/azuring_cut.rs`), until it leaves what is
/// wanted.
fn cut(
    scene: &Scene,
    program: &Path,
    words: &[&str],
    is_there: impl Fn(&Stage, &Recovered) -> bool,
) -> Stage {
    for at in 1..1000_u32 {
        let stage = scene.stage(program);
        let outcome = stage.azuring().env("AZURING_CUT_AT", at.to_string()).run(stage.words(words));
        assert_eq!(outcome.signal, Some(9), "it ends before that: {}{}", outcome.stdout, outcome.stderr);
        stage.faults(Vec::new());
        stage.settle();
        if stage.recorded().is_some_and(|(_, recovered)| is_there(&stage, &recovered)) {
            return stage;
        }
    }
    panic!("it never leaves that");
}
