//! What came of the checks.

use std::fmt;

/// What came of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The store does it.
    Held,
    /// Its traits say that it does not, and it says so too.
    RefusedAsTold,
    /// It does something else.
    Failed(String),
}

/// A check, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Its name, the same in every run.
    pub name: String,
    /// What came of it.
    pub verdict: Verdict,
}

/// A check that a store is known to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The check's name.
    pub check: &'static str,
    /// Why it fails.
    pub reason: &'static str,
}

/// What came of all checks. `Display` is one line with the counts, and one for each check that failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// In the order in which they were made.
    pub checks: Vec<Check>,
}

impl Report {
    /// The number of checks.
    pub fn count(&self) -> usize {
        self.checks.len()
    }

    /// Of these, the ones of which the traits say that the store cannot do it.
    pub fn refused_as_told(&self) -> usize {
        self.checks.iter().filter(|check| check.verdict == Verdict::RefusedAsTold).count()
    }

    /// Those that failed: name, and what was found.
    pub fn failed(&self) -> impl Iterator<Item = (&str, &str)> {
        self.checks.iter().filter_map(|check| match &check.verdict {
            Verdict::Failed(why) => Some((check.name.as_str(), why.as_str())),
            Verdict::Held | Verdict::RefusedAsTold => None,
        })
    }

    /// Whether exactly those failed of which that is known.
    ///
    /// # Errors
    /// Checks that failed and are not known to, and known ones that hold (or that there are not).
    pub fn fails_only(&self, known: &[Known]) -> Result<(), String> {
        let mut faults = Vec::new();
        for (name, why) in self.failed() {
            if !known.iter().any(|known| known.check == name) {
                faults.push(format!("{name}: {why}"));
            }
        }
        for Known { check, reason } in known {
            if !self.failed().any(|(name, _)| name == *check) {
                faults.push(format!("{check}: holds, and is known to fail ({reason})"));
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, refused, failed) = (self.count(), self.refused_as_told(), self.failed().count());
        write!(
            f,
            "{count} checks: {} held, {refused} refused as told, {failed} failed",
            count - refused - failed
        )?;
        for (name, why) in self.failed() {
            write!(f, "\n  {name}: {why}")?;
        }
        Ok(())
    }
}
