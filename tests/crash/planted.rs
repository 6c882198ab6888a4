//! A bug that is planted where the journal meets the disk: the checks of the matrix have to find it.

use crate::kit::{Cut, Way, few_files, say};
use crate::point::{Ended, Point, Uncut};

/// The bytes of a commit are written and not synced, and the power goes: the job then knows nothing of what it has
/// done, does everything again, and ends right. What finds it is the bound of the bytes that are moved again.
#[test]
fn a_sync_that_is_forgotten_is_found() {
    for (way, name) in [(Way::Up, "upload"), (Way::Down, "download")] {
        let uncut = Uncut::run(way, &few_files());
        let point = |at, cut| Point { way, cut, at, again_at: None, changes: false };
        // Late enough for a commit that is not the last one.
        let wrong = (60..150).step_by(3).find_map(|at| match point(at, Cut::PowerUnsynced).run(&uncut) {
            Ended::Wrong(_, wrong) => Some((at, wrong)),
            Ended::Cut(_) | Ended::Uncut => None,
        });
        let (at, wrong) = wrong.unwrap_or_else(|| panic!("nothing of the {name} was found wrong"));
        assert!(wrong.contains("bytes were moved again"), "{wrong}");
        say(&format!("{name} that does not sync: found by cut {at}: {wrong}"));
        let honest = point(at, Cut::Power).run(&uncut);
        assert!(matches!(honest, Ended::Cut(_)), "one that syncs: {honest:?}");
    }
}
