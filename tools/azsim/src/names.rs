//! Names in the order in which an account lists them.
//!
//! Accounts with a flat namespace list names by their UTF-16 code units (measured: one blob for each character of
//! Unicode, <https://github.com/Azure/azure-storage-fuse/pull/238>; Azurite does the same). That differs from the order
//! of their UTF-8 bytes where a name has a character from U+E000 to U+FFFF and another has one beyond. With a
//! hierarchical namespace `/` sorts below every other character
//! (<https://github.com/Azure/azure-sdk-for-go/issues/24210>).

use std::borrow::Cow;
use std::collections::BTreeMap;

/// The order of names in listings, and so in pages and markers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Order {
    /// By UTF-16 code units: a flat namespace.
    #[default]
    Utf16,
    /// The same with `/` below all: a hierarchical namespace.
    Tree,
}

impl Order {
    /// What stands for a byte of a name in its key. Lead bytes of U+E000 to U+FFFF go above those of what lies beyond,
    /// which are surrogate pairs in UTF-16; bytes 0xFE and 0xFF are in no UTF-8.
    fn map(self, byte: u8) -> u8 {
        match (self, byte) {
            (_, 0xee | 0xef) => byte + 0x10,
            (Order::Tree, b'/') => 0,
            (Order::Tree, 0..b'/') => byte + 1,
            _ => byte,
        }
    }

    fn unmap(self, byte: u8) -> u8 {
        match (self, byte) {
            (_, 0xfe | 0xff) => byte - 0x10,
            (Order::Tree, 0) => b'/',
            (Order::Tree, 1..=b'/') => byte - 1,
            _ => byte,
        }
    }

    /// The key of a name, or of a part of one: keys compare byte by byte as names do in this order, and a key begins
    /// with another where the name begins with the other name.
    pub(crate) fn key(self, name: &str) -> Cow<'_, [u8]> {
        match self {
            Order::Utf16 if !name.bytes().any(|b| matches!(b, 0xee | 0xef)) => Cow::Borrowed(name.as_bytes()),
            _ => Cow::Owned(name.bytes().map(|b| self.map(b)).collect()),
        }
    }

    /// The name of a key, or of a part of one that begins and ends with a character.
    pub(crate) fn name(self, key: &[u8]) -> String {
        let bytes = key.iter().map(|b| self.unmap(*b)).collect();
        String::from_utf8(bytes).expect("keys are made of names")
    }
}

/// The smallest key that is greater than every key with this prefix; `None` when there is none.
pub(crate) fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut key = prefix.to_vec();
    while let Some(last) = key.pop() {
        if last < u8::MAX {
            key.push(last + 1);
            return Some(key);
        }
    }
    None
}

/// A map by names, in their order.
pub(crate) struct Names<V> {
    order: Order,
    map: BTreeMap<Box<[u8]>, V>,
}

impl<V> Names<V> {
    pub(crate) fn new(order: Order) -> Names<V> {
        Names { order, map: BTreeMap::new() }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&V> {
        self.map.get(&*self.order.key(name))
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut V> {
        self.map.get_mut(&*self.order.key(name))
    }

    pub(crate) fn insert(&mut self, name: &str, value: V) -> Option<V> {
        self.map.insert(self.order.key(name).into(), value)
    }

    pub(crate) fn remove(&mut self, name: &str) -> Option<V> {
        if self.map.is_empty() { None } else { self.map.remove(&*self.order.key(name)) }
    }

    /// The value of a name, made when there is none.
    pub(crate) fn or_default(&mut self, name: &str) -> &mut V
    where
        V: Default,
    {
        self.map.entry(self.order.key(name).into()).or_default()
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.map.values_mut()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (String, &V)> {
        self.map.iter().map(|(key, value)| (self.order.name(key), value))
    }

    /// The map itself, by keys.
    pub(crate) fn by_key(&self) -> &BTreeMap<Box<[u8]>, V> {
        &self.map
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_compare_as_utf16() {
        let mut names: Vec<String> =
            "a\u{7f}\u{80}\u{7ff}\u{800}\u{d7ff}\u{e000}\u{ff21}\u{ffff}\u{10000}\u{1f600}\u{10ffff}/ .0"
                .chars()
                .flat_map(|c| [format!("x{c}"), format!("x{c}y"), format!("{c}")])
                .collect();
        let mut expected = names.clone();
        expected.sort_by(|a, b| a.encode_utf16().cmp(b.encode_utf16()));
        names.sort_by(|a, b| Order::Utf16.key(a).cmp(&Order::Utf16.key(b)));
        assert_eq!(names, expected);
        assert_ne!(
            names,
            {
                let mut bytes = expected.clone();
                bytes.sort();
                bytes
            },
            "the order of bytes is another"
        );
        for order in [Order::Utf16, Order::Tree] {
            assert!(expected.iter().all(|name| order.name(&order.key(name)) == *name));
        }
    }

    #[test]
    fn a_tree_lists_a_directory_before_its_siblings() {
        // Both lists of azure-sdk-for-go #24210.
        let sorted = |order: Order| {
            let mut names = ["AB", "A/dat1", "A.C/dat3", "A", "A-B", "A.C"];
            names.sort_by(|a, b| order.key(a).cmp(&order.key(b)));
            names
        };
        assert_eq!(sorted(Order::Utf16), ["A", "A-B", "A.C", "A.C/dat3", "A/dat1", "AB"]);
        assert_eq!(sorted(Order::Tree), ["A", "A/dat1", "A-B", "A.C", "A.C/dat3", "AB"]);
    }

    #[test]
    fn the_key_after_a_prefix_is_found() {
        assert_eq!(after_prefix(b"a/").as_deref(), Some(&b"a0"[..]));
        assert_eq!(after_prefix(b"a\xff").as_deref(), Some(&b"b"[..]));
        assert_eq!(after_prefix(b"\xff"), None);
    }
}
