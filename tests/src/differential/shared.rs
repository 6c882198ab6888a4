//! What several tables of cases say.

/// Before the time of a planted blob (2024-05-06), in seconds since 1970.
pub const YEAR_2020: u64 = 1_577_836_800;
/// Before it as well, and after the year above.
pub const YEAR_2022: u64 = 1_640_995_200;
/// After it.
pub const YEAR_2025: u64 = 1_735_689_600;

/// Why azuring differs on purpose: paths that are excluded.
pub const PREFIX: &str =
    "AzCopy excludes every name that begins so; azuring excludes the path and what is below it";
/// Why azuring differs on purpose: lines of lists.
pub const LISTED: &str = "AzCopy ignores a line it cannot follow; azuring fails it";
