//! Names: those that come back to the letter, and those that cannot.

use std::borrow::Cow;

use azuring_plan::name::{check, stored_as};
use azuring_plan::place::NameRules;

use crate::error::ErrorKind;
use crate::store::{Put, Removal, Store};
use crate::traits::Directories;
use crate::which::Which;

use super::ground::{Ground, Held, Suite, data, refused, same, told};

/// Names that a listing may get wrong, and URLs, XML and JSON too.
pub(super) const HOSTILE: &[&str] = &[
    "a",
    "a/",
    "a-b",
    "a.b",
    "a/b",
    "a/b/c",
    "a/b-c",
    "a0",
    "A",
    "a b",
    " a",
    "a ",
    "%2F",
    "a%2Fb",
    "a%20b",
    "%",
    "a+b",
    "a#b",
    "a?b",
    "a&b=c;d",
    "a\"b'c<d>",
    "a:b@c$d!e*f(g)",
    "ä",
    "a\u{308}",
    "日本/語",
    "\u{e000}",
    "\u{fffd}",
    "\u{10000}",
    "\u{1f600}",
    "~",
];

/// The hostile names that this store can have beside each other.
pub(super) fn possible(store: &impl Store) -> Vec<&'static str> {
    let real = store.traits().directories == Directories::Real;
    // A real directory and an object share no name.
    let fits = |name: &&&str| !real || !["a", "a/", "a/b"].contains(*name);
    HOSTILE.iter().filter(fits).copied().collect()
}

pub(super) async fn run<S: Store>(suite: &mut Suite<'_, S>) {
    for (number, name) in possible(suite.store()).into_iter().enumerate() {
        suite
            .holds(format!("names: `{}` comes back", name.escape_debug()), async |on| {
                comes_back(&on, &on.key(name), number as u32).await
            })
            .await;
    }
    for (what, filler) in
        [("1,024 bytes", "a"), ("1,024 bytes of two each", "ß"), ("1,024 bytes of four each", "𐀀")]
    {
        suite
            .holds(format!("names: {what} come back"), async |on| {
                let mut key = on.dir.clone();
                while key.len() + filler.len() <= 1_024 {
                    // File systems have names of 255 bytes.
                    let full = key.rsplit('/').next().is_some_and(|last| last.len() >= 240);
                    key.push_str(if full { "/" } else { filler });
                }
                key.push_str(&"b".repeat(1_024 - key.len()));
                comes_back(&on, &key, 7).await
            })
            .await;
    }
    suite.holds("names: an empty one is refused", async |on| is_refused(&on, "").await).await;
    let azure = suite.store().traits().names == NameRules::Azure;
    for (what, name) in [("..", "x/../y"), (".", "x/./y"), ("1,025 characters", &"a".repeat(1_025))] {
        if azure {
            suite
                .holds(format!("names: one with {what} is refused"), async |on| {
                    let key = on.key(name);
                    let out_of_rules = check(&key).is_err();
                    same("whether the rules refuse it", &out_of_rules, &true)?;
                    is_refused(&on, &key).await
                })
                .await;
        }
    }
    for name in ["a\\b", "dots.", "dots./x"] {
        suite
            .holds(
                format!("names: `{}` is kept, refused, or as the rules say", name.escape_debug()),
                async |on| {
                    let key = on.key(name);
                    let stored = match on.store.traits().names {
                        NameRules::Azure => stored_as(&key),
                        NameRules::Exact => Cow::Borrowed(key.as_str()),
                    };
                    match on.put_with(&key, &data(3, 1), &Put::default()).await {
                        Ok(_) => {}
                        Err(error) if error.kind() == ErrorKind::Name => {
                            refused("put", Err::<(), _>(error), ErrorKind::Name)?;
                            return same("what is listed", &on.keys(&on.dir).await?, &Vec::new());
                        }
                        Err(error) => return Err(told("put", &error)),
                    }
                    let keys = on.keys(&on.dir).await?;
                    let fits = keys.len() == 1 && (keys[0] == key || keys[0] == stored);
                    if fits { Ok(()) } else { Err(format!("it is listed as {keys:?}")) }
                },
            )
            .await;
    }
}

/// An object of this name is found under it by every call.
async fn comes_back<S: Store>(on: &Ground<'_, S>, key: &str, number: u32) -> Held {
    let bytes = data(11, number);
    on.put(key, &bytes).await?;
    on.is(key, &bytes).await?;
    same("names that begin with the directory", &on.keys(&on.dir).await?, &vec![key.to_owned()])?;
    same("names that begin with it", &on.keys(key).await?, &vec![key.to_owned()])?;
    on.remove(key).await.map_err(|error| told("remove", &error))?;
    on.is_missing(key).await
}

/// Every call refuses a name that no object can have.
async fn is_refused<S: Store>(on: &Ground<'_, S>, key: &str) -> Held {
    let name = ErrorKind::Name;
    refused("put", on.put_with(key, &data(3, 1), &Put::default()).await, name)?;
    refused("stat", on.store.stat(key, Which::default()).await, name)?;
    refused("read", on.store.read(key, &Default::default()).await.map(drop), name)?;
    refused("remove", on.remove(key).await, name)?;
    let other = on.key("other");
    on.put(&other, &data(1, 1)).await?;
    let removal = |key| Removal { key, ..Removal::default() };
    if on.store.traits().remove_batch > 1 {
        let answers = on.store.remove(&[removal(key), removal(&other)]).await;
        let [of_name, of_other] =
            answers.map_err(|error| told("remove", &error))?.try_into().map_err(|_| "answers")?;
        refused("remove among others", of_name, name)?;
        of_other.map_err(|error| told("remove beside it", &error))?;
        on.is_missing(&other).await?;
    }
    Ok(())
}
