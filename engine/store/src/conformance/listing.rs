//! Listings: order, pages, prefixes, delimiter.

use std::collections::BTreeSet;

use azuring_plan::order::OrderKey;

use crate::listing::{Item, List};
use crate::store::Store;
use crate::traits::ListOrder;

use super::ground::{Ground, Held, Suite, data, names, same, told};
use super::names::possible;

/// What prefixes and delimiters are tried with.
const PREFIXES: &[&str] = &["", "a", "a/", "a/b", "a/b/", "a-", "%2", "\u{65e5}", "a?", "none"];

pub(super) async fn run<S: Store>(suite: &mut Suite<'_, S>) {
    let (on, all) = (suite.ground(), possible(suite.store()));
    let taken = suite
        .holds("listing: hostile names lie beside each other", async |_| {
            for (number, name) in all.iter().enumerate() {
                on.put(&on.key(name), &data(number, 1)).await.map_err(|why| format!("{name:?}: {why}"))?;
            }
            Ok(())
        })
        .await;
    if !taken {
        return;
    }
    let whole: BTreeSet<Item2> = all.iter().map(|name| (false, on.key(name))).collect();
    suite.holds("listing: names rise as the traits say", async |_| rises(&on, false).await).await;
    suite.holds("listing: directories rise as the traits say", async |_| rises(&on, true).await).await;
    suite
        .holds("listing: nothing is below a name that is not there", async |here| {
            same("entries", &here.keys(&here.dir).await?.len(), &0)
        })
        .await;
    for max in 1..=all.len() as u32 + 1 {
        suite
            .holds(format!("listing: pages of {max} lose nothing and tell nothing twice"), async |_| {
                let list = List { prefix: &on.dir, max_results: Some(max), ..List::default() };
                are(&on.list(&list).await?, &whole)
            })
            .await;
    }
    let levels = model(&on, &all, "");
    for max in 1..=levels.len() as u32 + 1 {
        suite
            .holds(format!("listing: pages of {max} names and directories lose nothing"), async |_| {
                let list =
                    List { prefix: &on.dir, delimiter: true, max_results: Some(max), ..List::default() };
                are(&on.list(&list).await?, &levels)
            })
            .await;
    }
    for prefix in PREFIXES {
        let begins = on.key(prefix);
        suite
            .holds(format!("listing: what begins with `{}`", prefix.escape_debug()), async |_| {
                let want = whole.iter().filter(|(_, name)| name.starts_with(&begins)).cloned().collect();
                are(&on.list(&List { prefix: &begins, ..List::default() }).await?, &want)
            })
            .await;
        suite
            .holds(format!("listing: the level of `{}`", prefix.escape_debug()), async |_| {
                let list = List { prefix: &begins, delimiter: true, ..List::default() };
                are(&on.list(&list).await?, &model(&on, &all, prefix))
            })
            .await;
    }
    suite
        .holds("listing: the same page comes again", async |_| {
            let first = List { prefix: &on.dir, max_results: Some(3), ..List::default() };
            let next = on.store.list(&first).await.map_err(|error| told("list", &error))?.next;
            let second = List { marker: next.as_deref(), ..first };
            let once = on.store.list(&second).await.map_err(|error| told("list", &error))?;
            let again = on.store.list(&second).await.map_err(|error| told("list", &error))?;
            same("its entries", &names(&again.items), &names(&once.items))
        })
        .await;
    suite
        .holds("listing: a page goes on where names were removed", async |here| {
            for name in ["a", "b", "c", "d"] {
                here.put(&here.key(name), &data(1, 1)).await?;
            }
            let first = List { prefix: &here.dir, max_results: Some(2), ..List::default() };
            let page = here.store.list(&first).await.map_err(|error| told("list", &error))?;
            same("the first page", &names(&page.items).len(), &2)?;
            // The last that was told, and the first that was not.
            for name in ["b", "c"] {
                here.remove(&here.key(name)).await.map_err(|error| told("remove", &error))?;
            }
            let rest = List { marker: page.next.as_deref(), max_results: None, ..first };
            let rest = here.store.list(&rest).await.map_err(|error| told("list", &error))?;
            same("the next page", &names(&rest.items), &vec![here.key("d").as_str()])
        })
        .await;
}

/// Whether it is what names have in common, and the name.
type Item2 = (bool, String);

fn item(item: &Item) -> Item2 {
    (matches!(item, Item::Prefix(_)), item.name().to_owned())
}

/// Each of these once, and nothing else.
fn are(items: &[Item], want: &BTreeSet<Item2>) -> Held {
    let got: BTreeSet<Item2> = items.iter().map(item).collect();
    let missing: Vec<_> = want.difference(&got).collect();
    let others: Vec<_> = got.difference(want).collect();
    if !missing.is_empty() || !others.is_empty() {
        return Err(format!("missing: {missing:?}; not asked for: {others:?}"));
    }
    same("entries", &items.len(), &want.len())
}

/// What is to be listed of one level.
fn model<S: Store>(on: &Ground<'_, S>, all: &[&str], prefix: &str) -> BTreeSet<Item2> {
    let below = all.iter().filter_map(|name| Some((name, name.strip_prefix(prefix)?)));
    below
        .map(|(name, rest)| match rest.find('/') {
            Some(slash) => (true, on.key(&name[..=prefix.len() + slash])),
            None => (false, on.key(name)),
        })
        .collect()
}

/// The names rise in the order of the store. Objects and directories each have their own where a store lists them so.
async fn rises<S: Store>(on: &Ground<'_, S>, delimiter: bool) -> Held {
    let items = on.list(&List { prefix: &on.dir, delimiter, ..List::default() }).await?;
    let keys: &[OrderKey] = match &on.store.traits().order {
        ListOrder::By(key) => std::slice::from_ref(key),
        ListOrder::OneOf(keys) => keys,
        ListOrder::None => return Ok(()),
    };
    let kinds = [false, true].map(|prefixes| {
        let of_kind = items.iter().filter(|item| matches!(item, Item::Prefix(_)) == prefixes);
        of_kind.map(Item::name).collect::<Vec<_>>()
    });
    let keeps = |key: &OrderKey| {
        let rises = |pair: &[&str]| key.compare(pair[0].as_bytes(), pair[1].as_bytes()).is_lt();
        kinds.iter().all(|kind| kind.windows(2).all(rises))
    };
    if keys.iter().any(keeps) {
        Ok(())
    } else {
        Err(format!("none of {keys:?} is kept by {:?}", names(&items)))
    }
}
