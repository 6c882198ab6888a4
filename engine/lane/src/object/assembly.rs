//! An object that is sent in pieces and that nobody sees before all of them are there.

use std::sync::Mutex;

use azuring_store::{Receipt, Token};

use super::pieces::Pieces;
use super::way::Way;

/// How the store puts an object together. All lanes share it.
#[derive(Debug)]
pub(crate) enum Assembly {
    /// Of blocks, whose names say what they hold.
    Blocks(Blocks),
    /// Of pieces, for which the store has given receipts.
    Begun(Begun),
}

/// The blocks of a block blob.
#[derive(Debug)]
pub(crate) struct Blocks {
    /// Stands for the job and the state of the source: part of every block's name.
    pub(crate) content: [u8; 16],
    pub(crate) way: Way,
}

/// An object that was begun at any other store.
#[derive(Debug)]
pub(crate) struct Begun {
    /// What the store calls it.
    pub(crate) token: Token,
    /// Of each piece that is there.
    receipts: Mutex<Vec<Option<Receipt>>>,
}

impl Blocks {
    /// The service's name for a block.
    pub(crate) fn id(&self, block: u32) -> String {
        self.way.block_id(self.content, block)
    }
}

impl Begun {
    pub(crate) fn new(token: Token) -> Self {
        Self { token, receipts: Mutex::default() }
    }

    /// Takes the receipt of a piece.
    pub(crate) fn take(&self, piece: u32, receipt: Receipt) {
        let mut receipts = self.receipts.lock().expect("nothing panics while the lock is held");
        if receipts.len() <= piece as usize {
            receipts.resize(piece as usize + 1, None);
        }
        receipts[piece as usize] = Some(receipt);
    }

    /// Those of the first `count` pieces. Only when all of them were taken.
    pub(crate) fn receipts(&self, count: u32) -> Vec<Receipt> {
        let receipts = self.receipts.lock().expect("nothing panics while the lock is held");
        let all: Option<Vec<Receipt>> = receipts.iter().cloned().collect();
        let all = all.filter(|all| all.len() == count as usize);
        all.expect("an object is committed when all of its pieces are reported")
    }

    /// Which pieces have one.
    pub(crate) fn done(&self, pieces: &Pieces) -> Box<[bool]> {
        let receipts = self.receipts.lock().expect("nothing panics while the lock is held");
        (0..pieces.count as usize).map(|piece| receipts.get(piece).is_some_and(Option::is_some)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_blocks_differ_and_have_one_length() {
        let blocks = Blocks { content: [7; 16], way: Way::default() };
        assert_ne!(blocks.id(1), blocks.id(2));
        assert_eq!(blocks.id(1).len(), blocks.id(49_999).len());
    }

    #[test]
    fn receipts_come_in_any_order_and_are_told_in_that_of_the_pieces() {
        let begun = Begun::new(Vec::new());
        for piece in [2, 0] {
            begun.take(piece, vec![piece as u8]);
        }
        assert_eq!(*begun.done(&Pieces::new(7, 2, 4)), [true, false, true, false]);
        begun.take(1, vec![1]);
        assert_eq!(begun.receipts(3), [[0], [1], [2]]);
        assert_eq!(Begun::new(Vec::new()).receipts(0), Vec::<Receipt>::new());
    }
}
