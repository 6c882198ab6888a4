//! The order in which a store lists names.
//!
//! | order | who | where it differs from the bytes |
//! |---|---|---|
//! | [`OrderKey::Bytes`] | local walks, S3, GCS | |
//! | [`OrderKey::Utf16`] | Blob storage with a flat namespace, Azurite | characters beyond U+FFFF come before U+E000 to U+FFFF |
//! | [`OrderKey::Tree`] | Blob storage with a hierarchical namespace | the same, and `/` comes before every other character |
//!
//! Microsoft documents "lexicographic" and no more. Measured on accounts: one blob for every Unicode character comes
//! back in the order of UTF-16 code units (blobfile's issue 238); `A, A/b, A-B` with a hierarchical namespace and
//! `A, A-B, A/b` without (azure-sdk-for-go's issue 24210). Nothing in azuring takes one of them for granted: a listing
//! is held against all three ([`Rising`]).

use std::cmp::Ordering;

/// An order of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderKey {
    /// The bytes of UTF-8, which is the order of the characters' numbers.
    Bytes,
    /// UTF-16 code units.
    Utf16,
    /// UTF-16 code units, `/` before all others: what is below a directory follows it at once.
    Tree,
}

impl OrderKey {
    /// Compares two names. Nothing is allocated: the first byte that differs decides, by its rank in the order.
    #[must_use]
    pub fn compare(self, a: &[u8], b: &[u8]) -> Ordering {
        match first_difference(a, b) {
            Some((x, y)) => self.rank(x).cmp(&self.rank(y)),
            None => a.len().cmp(&b.len()),
        }
    }

    /// The place of a byte among those that may stand at the same place of two names. Of UTF-8's lead bytes, those of
    /// U+E000 to U+FFFF (0xEE and 0xEF) come behind those of the characters that UTF-16 writes as surrogates (0xF0 to
    /// 0xF4); they are never continuation bytes.
    fn rank(self, byte: u8) -> u16 {
        match (self, byte) {
            (Self::Tree, b'/') => 0,
            (Self::Utf16 | Self::Tree, 0xee | 0xef) => u16::from(byte) + 0x10 + 1,
            (_, byte) => u16::from(byte) + 1,
        }
    }
}

/// The bytes in which two names differ first; `None` where one begins with the other.
fn first_difference(a: &[u8], b: &[u8]) -> Option<(u8, u8)> {
    a.iter().zip(b).find(|(x, y)| x != y).map(|(x, y)| (*x, *y))
}

/// Which orders a sequence of names has kept so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rising {
    bytes: bool,
    utf16: bool,
    tree: bool,
}

impl Default for Rising {
    /// Of no names yet: all of them.
    fn default() -> Self {
        Self { bytes: true, utf16: true, tree: true }
    }
}

impl Rising {
    /// Takes the next name. `false`: the names rise in none of the orders any more.
    pub fn next(&mut self, last: &[u8], name: &[u8]) -> bool {
        match first_difference(last, name) {
            Some((x, y)) if x < y && y < 0xee && y != b'/' => {}
            Some((x, y)) => {
                self.bytes &= OrderKey::Bytes.rank(x) < OrderKey::Bytes.rank(y);
                self.utf16 &= OrderKey::Utf16.rank(x) < OrderKey::Utf16.rank(y);
                self.tree &= OrderKey::Tree.rank(x) < OrderKey::Tree.rank(y);
            }
            None if last.len() < name.len() => {}
            None => *self = Self { bytes: false, utf16: false, tree: false },
        }
        self.is_known()
    }

    /// Whether they rise in one of the orders.
    #[must_use]
    pub fn is_known(self) -> bool {
        self.bytes || self.utf16 || self.tree
    }

    /// The order in which they rise: of several that of the service, since names that tell them apart are rare.
    #[must_use]
    pub fn order(self) -> Option<OrderKey> {
        let kept =
            [(self.utf16, OrderKey::Utf16), (self.tree, OrderKey::Tree), (self.bytes, OrderKey::Bytes)];
        kept.into_iter().find_map(|(is_kept, order)| is_kept.then_some(order))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definitions, in full.
    fn slowly(order: OrderKey, a: &str, b: &str) -> Ordering {
        let units = |name: &str| -> Vec<u32> {
            match order {
                OrderKey::Bytes => name.chars().map(|c| c as u32 + 1).collect(),
                OrderKey::Utf16 => name.encode_utf16().map(|unit| u32::from(unit) + 1).collect(),
                OrderKey::Tree => {
                    let rank = |unit| if unit == u16::from(b'/') { 0 } else { u32::from(unit) + 1 };
                    name.encode_utf16().map(rank).collect()
                }
            }
        };
        units(a).cmp(&units(b))
    }

    const ORDERS: [OrderKey; 3] = [OrderKey::Bytes, OrderKey::Utf16, OrderKey::Tree];

    #[test]
    fn a_byte_decides_as_the_code_units_do() {
        let characters = [
            "",
            "\u{1}",
            "!",
            "-",
            ".",
            "/",
            "0",
            "a",
            "\u{7f}",
            "é",
            "\u{d7ff}",
            "\u{e000}",
            "\u{ff21}",
            "\u{fffd}",
            "\u{ffff}",
            "\u{10000}",
            "\u{1f600}",
            "\u{10ffff}",
        ];
        let mut names = Vec::new();
        for a in characters {
            for b in characters {
                for c in ["", "/", "x", "\u{fffd}", "\u{10000}"] {
                    names.push(format!("{a}{b}{c}"));
                }
            }
        }
        for a in &names {
            for b in &names {
                for order in ORDERS {
                    let told = order.compare(a.as_bytes(), b.as_bytes());
                    assert_eq!(told, slowly(order, a, b), "{order:?} {a:?} {b:?}");
                }
                let mut rising = Rising::default();
                let any = ORDERS.iter().any(|order| slowly(*order, a, b) == Ordering::Less);
                assert_eq!(rising.next(a.as_bytes(), b.as_bytes()), any, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn the_orders_of_accounts_that_were_measured() {
        let sorted = |order: OrderKey| {
            let mut names = ["AB", "A/dat1", "A.C/dat3", "A.C", "A-B", "A"];
            names.sort_by(|a, b| order.compare(a.as_bytes(), b.as_bytes()));
            names
        };
        assert_eq!(sorted(OrderKey::Utf16), ["A", "A-B", "A.C", "A.C/dat3", "A/dat1", "AB"]);
        assert_eq!(sorted(OrderKey::Tree), ["A", "A/dat1", "A-B", "A.C", "A.C/dat3", "AB"]);
    }

    #[test]
    fn what_keeps_no_order_is_found() {
        let keeps = |names: &[&str]| {
            let mut rising = Rising::default();
            names.windows(2).all(|pair| rising.next(pair[0].as_bytes(), pair[1].as_bytes()))
        };
        assert!(keeps(&["a", "a-", "a/", "a/x", "b", "\u{fffd}", "\u{10000}"]), "bytes");
        assert!(keeps(&["a", "a-", "a/", "b", "\u{10000}", "\u{fffd}"]), "UTF-16");
        assert!(keeps(&["a", "a/", "a/x", "a-", "b", "\u{10000}", "\u{fffd}"]), "tree");
        let order = |names: &[&str]| {
            let mut rising = Rising::default();
            names.windows(2).for_each(|pair| _ = rising.next(pair[0].as_bytes(), pair[1].as_bytes()));
            rising.order()
        };
        assert_eq!(order(&["a", "a-", "a/"]), Some(OrderKey::Utf16), "the usual one, where nothing tells");
        assert_eq!(order(&["\u{fffd}", "\u{10000}"]), Some(OrderKey::Bytes));
        assert_eq!(order(&["a", "a/x", "a-"]), Some(OrderKey::Tree));
        assert_eq!(order(&["b", "a"]), None);
        // Each step rises in some order, the whole in none.
        assert!(!keeps(&["a/x", "a-", "b", "\u{fffd}", "\u{10000}"]));
        assert!(!keeps(&["b", "a"]) && !keeps(&["a", "a"]) && !keeps(&["ab", "a"]));
    }
}
