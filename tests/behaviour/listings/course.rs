//! Listings that do not end, or keep no order.

use std::collections::BTreeSet;
use std::path::Path;

use azuring_plan::order::OrderKey;
use azuring_tests::{Azuring, Fixture, Outcome, azuring};

use super::lister::{Lister, Say};

pub(super) fn azuring() -> Azuring {
    // The server asks for nothing; a key keeps it from looking for somebody who has a token.
    azuring!().env("AZURE_STORAGE_KEY", "d3Jvbmcga2V5IGZvciBhIHRlc3Q=").env("AZURE_STORAGE_ACCOUNT", "acc")
}

/// Runs each command that lists, on a server of its own.
fn each(make: impl Fn() -> Lister, check: impl Fn(&Outcome, &Lister, &str)) {
    for command in ["list", "copy", "remove", "set-properties", "exclude"] {
        let (azuring, lister) = (azuring(), make());
        let down = azuring.home().join("down").display().to_string();
        let url = lister.url();
        let args = match command {
            "list" => vec!["list", url],
            "copy" => vec!["copy", url, &down, "--recursive"],
            "remove" => vec!["remove", url, "--recursive"],
            "set-properties" => vec!["set-properties", url, "--recursive", "--block-blob-tier=cool"],
            // Level by level.
            _ => vec!["remove", url, "--recursive", "--exclude-path=d/never"],
        };
        check(&azuring.run(args), &lister, command);
    }
}

#[track_caller]
fn ends_with(outcome: &Outcome, reason: &str, command: &str) {
    assert_eq!(outcome.code, Some(1), "{command}: {}\n{}", outcome.stdout, outcome.stderr);
    let all = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(all.contains(reason) && all.contains("List Blobs"), "{command}: {all}");
}

#[test]
fn markers_that_lead_in_a_circle_end_it() {
    let circle = || {
        Lister::start(Vec::new(), None, 2, |ask| {
            let entry = format!("n{:04}", ask.before);
            let next = if ask.before.is_multiple_of(2) { "A" } else { "B" };
            Say::This(vec![entry], next.to_owned())
        })
    };
    each(circle, |outcome, lister, command| {
        ends_with(outcome, "read before", command);
        assert!(lister.asked().len() <= 4, "{command}: {:?}", lister.asked());
    });
}

#[test]
fn the_same_page_under_ever_new_markers_ends_it() {
    let same = || {
        Lister::start(Vec::new(), None, 2, |ask| {
            let entries =
                if ask.prefix.is_empty() { vec!["a".to_owned(), "b".to_owned()] } else { Vec::new() };
            Say::This(entries, format!("m{}", ask.before))
        })
    };
    each(same, |outcome, _, command| ends_with(outcome, "another marker", command));
}

/// How many are too many is a matter of `azuring_azure::Course`: 100,000 requests are not for a test.
#[test]
fn many_empty_pages_in_a_row_are_followed() {
    let slow = || {
        Lister::start(vec!["a".to_owned(), "b".to_owned()], None, 2, |ask| match ask.before {
            n @ 0..200 => Say::This(Vec::new(), (n + 1).to_string()),
            200 => Say::This(vec!["a".to_owned()], "more".to_owned()),
            n @ 201..300 => Say::This(Vec::new(), (n + 1).to_string()),
            _ => Say::This(vec!["b".to_owned()], String::new()),
        })
    };
    let lister = slow();
    azuring().run(["remove", lister.url(), "--recursive"]).expect_code(0);
    assert_eq!(lister.touched().len(), 2);
}

#[test]
fn a_prefix_that_contains_itself_ends_it() {
    let inside = || {
        Lister::start(Vec::new(), None, 2, |ask| {
            let entries = match (ask.delimiter, &*ask.prefix) {
                (true, "") => vec!["d/".to_owned()],
                (true, prefix) => vec![prefix.to_owned()],
                (false, _) => vec!["d/a".to_owned(), "d/b".to_owned()],
            };
            Say::This(entries, if ask.delimiter { String::new() } else { "more".to_owned() })
        })
    };
    for args in [&["list"][..], &["remove", "--recursive", "--exclude-path=d/never"]] {
        let lister = inside();
        let outcome = azuring().run([args[0], lister.url()].iter().chain(&args[1..]));
        ends_with(&outcome, "below its own prefix", args[0]);
        assert!(lister.asked().len() < 10, "{:?}", lister.asked());
    }
}

/// Names on both sides of U+FFFF, and around the slash: each of the orders has them elsewhere.
fn awkward() -> Vec<String> {
    let mut names = Vec::new();
    for start in ["a", "\u{e000}", "\u{fffd}", "\u{10000}", "\u{1f600}", "d", "d-", "d.x"] {
        for end in ["!", "-\u{fffd}", "\u{10000}", "\u{fffd}", "/in", "/\u{fffd}/1", "/\u{10000}/1"] {
            names.push(format!("{start}{end}"));
        }
    }
    names.sort();
    names.dedup();
    names
}

fn files_below(dir: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut stack = vec![dir.to_owned()];
    while let Some(at) = stack.pop() {
        for entry in std::fs::read_dir(&at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                stack.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
                assert_eq!(std::fs::read(&path).unwrap(), name.as_bytes());
                found.insert(name);
            }
        }
    }
    found
}

/// Every order, and none.
const ORDERS: [Option<OrderKey>; 4] =
    [Some(OrderKey::Bytes), Some(OrderKey::Utf16), Some(OrderKey::Tree), None];

/// Sorted by nothing, and the same each time.
fn shuffled() -> Vec<String> {
    let mut names = awkward();
    names.sort_by_key(|name| {
        name.bytes().fold(7_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()))
    });
    names
}

#[test]
fn each_order_is_listed_whole_and_once() {
    for order in ORDERS {
        let lister = Lister::start(shuffled(), order, 7, |_| Say::Page);
        let outcome = azuring().run(["list", lister.url(), "--machine-readable"]);
        let mut listed: Vec<String> = outcome
            .expect_code(0)
            .stdout
            .lines()
            .map(|line| line.split("; Content Length").next().unwrap().to_owned())
            .collect();
        let mut names = awkward();
        listed.sort();
        names.sort();
        assert_eq!(listed, names, "{order:?}");
        let down = azuring();
        let to = down.home().join("down");
        let outcome = down.run(["copy", &format!("{}/*", lister.url()), to.to_str().unwrap(), "--recursive"]);
        outcome.expect_code(0);
        assert_eq!(files_below(&to), names.iter().cloned().collect(), "{order:?}");
        assert_eq!(outcome.field("Number of File Transfers Completed"), Some(&*names.len().to_string()));
        let told = outcome.stderr.matches("no known order").count();
        assert_eq!(told, usize::from(order.is_none()), "{order:?}: {}", outcome.stderr);
    }
}

#[test]
fn a_listing_that_was_cut_off_goes_on_in_each_order() {
    let all: BTreeSet<String> = awkward().into_iter().collect();
    for order in ORDERS {
        for cut in [1, 3, 6] {
            let lister =
                Lister::start(
                    shuffled(),
                    order,
                    7,
                    move |ask| {
                        if ask.before == cut { Say::Nothing } else { Say::Page }
                    },
                );
            // It waits for an answer that never comes when it is killed.
            let azuring = azuring();
            let to = azuring.home().join("down");
            let url = format!("{}/*", lister.url());
            let first = azuring.start(["copy", &url, to.to_str().unwrap(), "--recursive"]);
            lister.wait_for(cut + 1);
            first.kill();
            first.wait().unwrap();
            let jobs = azuring.run(["jobs", "list"]);
            let id = jobs.stdout.lines().find_map(|line| line.strip_prefix("JobId: ")).unwrap().to_owned();
            let outcome = azuring.run(["jobs", "resume", &id]);
            outcome.expect_code(0);
            assert_eq!(files_below(&to), all, "{order:?} {cut}");
            let done = outcome.field("Number of File Transfers Completed").unwrap();
            assert_eq!(done, all.len().to_string(), "{order:?} {cut}: {}", outcome.stdout);
        }
    }
}

/// azsim's pages have 5,000 entries: one ends among names on both sides of U+FFFF.
#[test]
fn flat_and_hierarchical_accounts_are_listed_whole_and_once() {
    for hierarchical in [false, true] {
        let fixture = Fixture::with(azuring!(), |server| server.hierarchical_namespace(hierarchical));
        let mut names: Vec<String> = Vec::new();
        for start in ["d/\u{10000}", "d/\u{fffd}", "d-", "d.x/", "e/\u{1f600}/\u{e000}"] {
            names.extend((0..1_100).map(|n| format!("{start}{n:04}")));
        }
        super::plant(&fixture, names.iter().map(|name| (name.as_str(), "x")));
        let outcome = fixture.run(["list", &fixture.url(), "--machine-readable"]);
        let listed: BTreeSet<String> = outcome
            .expect_code(0)
            .stdout
            .lines()
            .map(|line| line.split("; Content Length").next().unwrap().to_owned())
            .collect();
        assert_eq!(listed, names.iter().cloned().collect(), "{hierarchical}");
        assert_eq!(outcome.stdout.lines().count(), names.len(), "{hierarchical}");
        let outcome = fixture.run(["copy", &fixture.url(), "/dev/null", "--recursive"]);
        outcome.expect_code(0);
        assert_eq!(outcome.field("Number of File Transfers Completed"), Some("5500"), "{}", outcome.stdout);
        assert!(!outcome.stderr.contains("no known order"), "{}", outcome.stderr);
    }
}
