//! A container, share or bucket that is not there yet.

use azuring_link::Payload;

use crate::error::ErrorKind;
use crate::listing::List;
use crate::store::{At, Begin, Change, Put, Read, Removal, Store};
use crate::which::Which;

use super::ground::{Ground, Held, Suite, data, refused, told};

/// The key that is tried.
const KEY: &str = "unmade/object";
const KIND: ErrorKind = ErrorKind::NoBucket;

pub(super) async fn run<S: Store>(suite: &mut Suite<'_, S>) {
    let which = Which::default();
    suite
        .holds("unmade: list", async |on| refused("list", on.store.list(&List::default()).await, KIND))
        .await;
    suite
        .holds("unmade: read", async |on| {
            refused("read", on.store.read(KEY, &Read::default()).await.map(drop), KIND)
        })
        .await;
    suite.holds("unmade: put", async |on| refused("put", put(&on).await, KIND)).await;
    suite.holds("unmade: pieces", async |on| pieces(&on).await).await;
    suite
        .holds("unmade: remove", async |on| {
            refused("remove", on.remove(KEY).await, KIND)?;
            let removal = Removal { key: KEY, ..Removal::default() };
            if on.store.traits().remove_batch == 1 {
                return Ok(());
            }
            match on.store.remove(&[removal, Removal { key: "unmade/other", ..removal }]).await {
                Ok(answers) => {
                    answers.into_iter().try_for_each(|answer| refused("remove of many", answer, KIND))
                }
                refusal => refused("remove of many", refusal, KIND),
            }
        })
        .await;
    if suite.store().traits().changes.metadata {
        suite
            .holds("unmade: change", async |on| {
                let change = Change { metadata: Some(&[]), ..Change::default() };
                refused("change", on.store.change(KEY, which, &change).await, KIND)
            })
            .await;
    }
    suite.holds("unmade: stat", async |on| refused("stat", on.store.stat(KEY, which).await, KIND)).await;
    suite
        .holds("make: then it is there, and empty", async |on| {
            on.store.make().await.map_err(|error| told("make", &error))?;
            let page = on.store.list(&List::default()).await.map_err(|error| told("list", &error))?;
            if !page.items.is_empty() {
                return Err(format!("it has {:?}", page.items));
            }
            put(&on).await.map_err(|error| told("put", &error))?;
            on.is(KEY, &data(3, 1)).await
        })
        .await;
    suite
        .holds("make: again, and nothing is lost", async |on| {
            refused("make", on.store.make().await, ErrorKind::Exists)?;
            on.is(KEY, &data(3, 1)).await
        })
        .await;
}

async fn put<S: Store>(on: &Ground<'_, S>) -> Result<(), crate::error::StoreError> {
    on.put_with(KEY, &data(3, 1), &Put::default()).await.map(drop)
}

/// A store that begins nothing refuses the first piece.
async fn pieces<S: Store>(on: &Ground<'_, S>) -> Held {
    if on.store.traits().pieces.is_none() {
        return Ok(());
    }
    let begin = Begin { len: Some(3), piece_bytes: 3, content: [1; 16], put: Put::default() };
    let token = match on.store.begin(KEY, &begin).await {
        Ok(token) => token,
        refusal => return refused("begin", refusal, KIND),
    };
    let at = At { piece: 0, offset: 0 };
    refused("piece", on.store.piece(KEY, &token, at, Payload::from(data(3, 1)), None).await, KIND)?;
    refused("commit", on.store.commit(KEY, &token, &[Vec::new()], &Put::default()).await, KIND)
}
