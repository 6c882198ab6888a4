//! Random histories for a journal and its model.

use std::collections::BTreeSet;

use azuring_journal::{Journal, State};
use fastrand::Rng;

use crate::model::Model;

impl Model {
    /// Says something at random to both; `most`: transfers found at once.
    pub(crate) fn say(&mut self, journal: &Journal, random: &mut Rng, most: usize) {
        let mut entry = journal.write().unwrap();
        let counter = random.usize(..3);
        let by = random.i64(-5..100);
        entry.count(counter, by);
        self.counters[counter] += by;
        let found = self.transfers.len() as u64;
        let any = |random: &mut Rng| random.u64(..found.max(1));
        match random.u8(..12) {
            0..=3 => {
                for _ in 0..random.usize(..=most) {
                    let name = format!("dir{}/file-{}", random.u8(..3), random.u16(..500));
                    let facts: Vec<u8> = (0..random.usize(..5)).map(|_| random.u8(..)).collect();
                    self.find(&mut entry, name.as_bytes(), &facts);
                }
            }
            4..=7 if found > 0 => {
                for _ in 0..=random.usize(..=most) {
                    let number = any(random);
                    // What is done stays done.
                    if !matches!(self.transfers[number as usize].state, State::Pending | State::Failed(_)) {
                        continue;
                    }
                    let reason = random.u8(..64);
                    let state = [State::Done, State::Done, State::Skipped(reason), State::Failed(reason)]
                        [random.usize(..4)];
                    self.end(&mut entry, number, state, format!("why {reason}").as_bytes());
                }
            }
            8 if found > 0 => {
                let number = any(random);
                // What is done is not begun again.
                if self.transfers[number as usize].state == State::Pending {
                    entry.large(number, b"etag").unwrap();
                    self.large.insert(number, (b"etag".to_vec(), BTreeSet::new()));
                    self.summary = None;
                }
            }
            9 => {
                for (number, (_, pieces)) in &mut self.large {
                    let piece = random.u64(..50_000);
                    entry.piece(*number, piece);
                    pieces.insert(piece);
                }
            }
            10 => {
                let position = format!("marker {}", random.u16(..));
                entry.cursor(position.as_bytes()).unwrap();
                self.cursor = Some((found, position.into_bytes()));
            }
            11 => {
                let reason = random.u8(..);
                entry.problem(reason, b"cannot be read").unwrap();
                self.problems.push((reason, b"cannot be read".to_vec()));
            }
            _ => {
                entry.summary(b"ended").unwrap();
                self.summary = Some(b"ended".to_vec());
            }
        }
    }
}
