//! Changes of what is known of an object; copies by the store itself.

use crate::error::ErrorKind;
use crate::listing::{Include, Item, List};
use crate::store::{Change, Grant, Put, Store};
use crate::traits::CopySource;
use crate::which::Which;

use super::ground::{Suite, data, pair, refused, same, told};
use super::writing::metadata;

pub(super) async fn run<S: Store>(suite: &mut Suite<'_, S>) {
    let can = suite.store().traits().changes;
    let (old, new) = (metadata(), [pair("other", "2"), pair("third", "x y")]);
    suite
        .takes(
            "changes: metadata takes the place of all there was, and the bytes stay",
            can.metadata,
            async |on| {
                let (key, bytes) = (on.key("object"), data(99, 1));
                let put = Put { metadata: &old, ..Put::default() };
                on.put_with(&key, &bytes, &put).await.map_err(|error| told("put", &error))?;
                let change = Change { metadata: Some(&new), ..Change::default() };
                let result = on.store.change(&key, Which::default(), &change).await;
                if can.metadata {
                    result.map_err(|error| told("change", &error))?;
                } else {
                    refused("change", result, ErrorKind::Unsupported)?;
                }
                on.is(&key, &bytes).await?;
                let mut now = on.stat(&key).await?.metadata;
                now.sort();
                same("metadata", &now[..], if can.metadata { &new } else { &old })
            },
        )
        .await;
    if can.metadata {
        suite
            .holds("changes: all metadata can go", async |on| {
                let (key, put) = (on.key("object"), Put { metadata: &old, ..Put::default() });
                on.put_with(&key, &data(99, 1), &put).await.map_err(|error| told("put", &error))?;
                let change = Change { metadata: Some(&[]), ..Change::default() };
                on.store
                    .change(&key, Which::default(), &change)
                    .await
                    .map_err(|error| told("change", &error))?;
                same("metadata", &on.stat(&key).await?.metadata, &Vec::new())
            })
            .await;
        suite
            .holds("changes: of what is not there", async |on| {
                let change = Change { metadata: Some(&new), ..Change::default() };
                let key = on.key("missing");
                refused(
                    "change",
                    on.store.change(&key, Which::default(), &change).await,
                    ErrorKind::NotFound,
                )?;
                on.is_missing(&key).await
            })
            .await;
    }
    suite
        .takes("changes: the tier", !can.tiers.is_empty(), async |on| {
            let (key, bytes) = (on.key("object"), data(99, 1));
            on.put(&key, &bytes).await?;
            let tier = *can.tiers.last().unwrap_or(&"none");
            let change = Change { tier: Some(tier), ..Change::default() };
            let result = on.store.change(&key, Which::default(), &change).await;
            if can.tiers.is_empty() {
                refused("change", result, ErrorKind::Unsupported)?;
            } else {
                result.map_err(|error| told("change", &error))?;
                let now = on.stat(&key).await?.tier;
                same("tier", &now.as_ref().map(|tier| tier.name()), &Some(tier))?;
            }
            on.is(&key, &bytes).await
        })
        .await;
    suite
        .takes("changes: tags", can.tags, async |on| {
            let (key, bytes) = (on.key("object"), data(99, 1));
            on.put(&key, &bytes).await?;
            let tags = [pair("one", "1"), pair("two", "a b")];
            let change = Change { tags: Some(&tags), ..Change::default() };
            let result = on.store.change(&key, Which::default(), &change).await;
            if !can.tags {
                refused("change", result, ErrorKind::Unsupported)?;
                return on.is(&key, &bytes).await;
            }
            result.map_err(|error| told("change", &error))?;
            on.is(&key, &bytes).await?;
            let include = Include { tags: true, ..Include::default() };
            let items = on.list(&List { prefix: &key, include, ..List::default() }).await?;
            let [Item::Entry(entry)] = &items[..] else { return Err(format!("it is listed as {items:?}")) };
            let mut now = entry.tags.clone();
            now.sort();
            same("tags", &now[..], &tags[..])
        })
        .await;
    let can = suite.store().traits().copies_from != CopySource::Nothing;
    suite
        .takes("copies: by the store itself", can, async |on| {
            let key = on.key("object");
            let grant = Grant {
                url: "http://127.0.0.1:1/nobody/is/here",
                authorization: None,
                tag: None,
                range: None,
                md5: None,
                key: None,
            };
            match on.store.copy_from(&key, &grant, &Put::default()).await {
                Ok(_) => return Err("something is copied from nowhere".to_owned()),
                Err(error) if can => {
                    same("whether it is tried", &(error.kind() != ErrorKind::Unsupported), &true)?;
                }
                refusal => refused("copy", refusal, ErrorKind::Unsupported)?,
            }
            on.is_missing(&key).await
        })
        .await;
}
