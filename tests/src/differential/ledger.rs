//! The compatibility ledger lists what the cases declare to differ.

use std::path::Path;

use serde::Deserialize;

use super::Case;

const LEDGER: &str = "../tools/azuring/compatibility.json";

#[derive(Deserialize)]
struct Row {
    #[serde(default)]
    differences: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    reason: String,
    cases: Vec<String>,
}

/// The declared differences that no row of the ledger lists with this reason and case, each once.
///
/// # Panics
/// When the ledger cannot be read.
#[must_use]
pub fn unlisted(cases: &[Case]) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(LEDGER);
    let rows: Vec<Row> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let listed: Vec<_> = rows.into_iter().flat_map(|row| row.differences).collect();
    let is_listed = |case: &str, reason: &str| {
        listed.iter().any(|it| it.reason == reason && it.cases.iter().any(|listed| listed == case))
    };
    let mut unlisted: Vec<_> = cases
        .iter()
        .flat_map(|case| case.differs.iter().map(|declared| (case.name, declared.reason)))
        .filter(|(case, reason)| !is_listed(case, reason))
        .map(|(case, reason)| format!("{case}: {reason}"))
        .collect();
    unlisted.dedup();
    unlisted
}
