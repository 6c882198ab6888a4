//! Removal: one, many, under conditions.

use crate::error::ErrorKind;
use crate::store::{Removal, Store};

use super::ground::{Ground, Held, Suite, data, refused, same, told};

pub(super) async fn run<S: Store>(suite: &mut Suite<'_, S>) {
    suite
        .holds("removal: of one, and of it again", async |on| {
            let key = on.key("object");
            on.put(&key, &data(9, 1)).await?;
            on.remove(&key).await.map_err(|error| told("remove", &error))?;
            on.is_missing(&key).await?;
            refused("remove of what is not there", on.remove(&key).await, ErrorKind::NotFound)
        })
        .await;
    suite
        .holds("removal: of none", async |on| {
            let answers = on.store.remove(&[]).await.map_err(|error| told("remove", &error))?;
            same("answers", &answers.len(), &0)
        })
        .await;
    suite
        .holds("removal: under the known state alone", async |on| {
            let key = on.key("object");
            on.put(&key, &data(9, 1)).await?;
            let before = on.tag(&key).await?;
            on.put(&key, &data(8, 2)).await?;
            let removal = |tag| Removal { key: &key, tag: Some(tag), ..Removal::default() };
            let answers =
                on.store.remove(&[removal(&before)]).await.map_err(|error| told("remove", &error))?;
            for answer in answers {
                refused("remove of another state", answer, ErrorKind::Changed)?;
            }
            on.is(&key, &data(8, 2)).await?;
            let now = on.tag(&key).await?;
            let answers = on.store.remove(&[removal(&now)]).await.map_err(|error| told("remove", &error))?;
            same("answers", &answers, &vec![Ok(())])?;
            on.is_missing(&key).await
        })
        .await;
    let batch = suite.store().traits().remove_batch;
    suite
        .takes("removal: of several, with an answer for each in their order", batch > 1, async |on| {
            if batch == 1 {
                return too_many(&on, 2).await;
            }
            several(&on).await
        })
        .await;
    if batch > 1 {
        suite
            .holds("removal: of as many as the traits say", async |on| {
                let there = on.key("object");
                on.put(&there, &data(9, 1)).await?;
                let keys: Vec<String> = (1..batch).map(|n| on.key(&format!("none-{n}"))).collect();
                let removal = |key| Removal { key, ..Removal::default() };
                let mut removals: Vec<Removal<'_>> = keys.iter().map(|key| removal(key)).collect();
                removals.push(removal(&there));
                let answers = on.store.remove(&removals).await.map_err(|error| told("remove", &error))?;
                same("answers", &answers.len(), &batch)?;
                let done: Vec<usize> = (0..batch).filter(|&at| answers[at].is_ok()).collect();
                same("which are done", &done, &vec![batch - 1])?;
                on.is_missing(&there).await
            })
            .await;
        suite
            .holds("removal: of more than that is refused, and nothing is removed", async |on| {
                too_many(&on, batch + 1).await
            })
            .await;
    }
}

/// Missing ones, and ones in another state, among others.
async fn several<S: Store>(on: &Ground<'_, S>) -> Held {
    let names = ["b", "none", "a b#?", "changed", "%2F", "known"];
    let keys = names.map(|name| on.key(name));
    for (number, key) in keys.iter().enumerate().filter(|(at, _)| *at != 1) {
        on.put(key, &data(number + 1, 1)).await?;
    }
    let other = on.key("other");
    on.put(&other, &data(5, 5)).await?;
    let (before, known) = (on.tag(&keys[3]).await?, on.tag(&keys[5]).await?);
    on.put(&keys[3], &data(7, 7)).await?;
    let tags = [None, None, None, Some(&*before), None, Some(&*known)];
    let removals: Vec<Removal<'_>> =
        keys.iter().zip(tags).map(|(key, tag)| Removal { key, tag, ..Removal::default() }).collect();
    let answers = on.store.remove(&removals[..removals.len().min(on.store.traits().remove_batch)]).await;
    let answers = answers.map_err(|error| told("remove", &error))?;
    same("answers", &answers.len(), &removals.len())?;
    for (at, answer) in answers.into_iter().enumerate() {
        let step = format!("remove of `{}`", names[at]);
        match at {
            1 => refused(&step, answer, ErrorKind::NotFound)?,
            3 => refused(&step, answer, ErrorKind::Changed)?,
            _ => answer.map_err(|error| told(&step, &error))?,
        }
    }
    let mut left = on.keys(&on.dir).await?;
    left.sort();
    same("what is left", &left, &vec![keys[3].clone(), other])
}

async fn too_many<S: Store>(on: &Ground<'_, S>, count: usize) -> Held {
    let keys: Vec<String> = (0..count).map(|n| on.key(&format!("object-{n}"))).collect();
    on.put(&keys[0], &data(9, 1)).await?;
    let removals: Vec<Removal<'_>> = keys.iter().map(|key| Removal { key, ..Removal::default() }).collect();
    refused("remove", on.store.remove(&removals).await, ErrorKind::Limit)?;
    on.is(&keys[0], &data(9, 1)).await
}
