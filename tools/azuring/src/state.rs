//! Where jobs and logs are kept.

use std::ffi::OsString;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Below the user's home.
const DIRECTORY: &str = ".azuring";

/// Why there is no place, and what to do about it.
pub(crate) const NOWHERE: &str =
    "HOME is not set; set it, or AZCOPY_LOG_LOCATION and AZCOPY_JOB_PLAN_LOCATION";

/// The directories of this user's jobs. Nothing is made before something is kept there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// Its subdirectory `jobs` holds the journals: what `azuring_journal::Jobs::new` takes.
    pub(crate) jobs: PathBuf,
    /// The directory of the logs.
    pub(crate) logs: PathBuf,
    /// The directory of the file with logins and tokens: below the home, wherever the jobs are, as those are often kept
    /// on storage that others can read.
    pub(crate) identity: PathBuf,
}

/// Where this process keeps things, wherever it goes: a job that is resumed changes the working directory. `None` where
/// neither the variables nor a home tell, as in some containers: the caller then says so once and goes on without.
pub(crate) fn find() -> Option<State> {
    static FOUND: OnceLock<Option<State>> = OnceLock::new();
    FOUND.get_or_init(|| find_by(|name| std::env::var_os(name))).clone()
}

/// `~/.azuring`, unless AZCOPY_JOB_PLAN_LOCATION and AZCOPY_LOG_LOCATION name other places, from the working directory
/// on.
fn find_by(variable: impl Fn(&str) -> Option<OsString>) -> Option<State> {
    let set = |name: &str| {
        let value = variable(name).filter(|value| !value.is_empty())?;
        std::path::absolute(value).ok()
    };
    let place = |name: &str| set(name).or_else(|| Some(set("HOME")?.join(DIRECTORY)));
    let jobs = place("AZCOPY_JOB_PLAN_LOCATION")?;
    let identity = set("HOME").map_or_else(|| jobs.clone(), |home| home.join(DIRECTORY));
    Some(State { jobs, logs: place("AZCOPY_LOG_LOCATION")?, identity })
}

/// Whether jobs can be kept below the home, if that is where they are to be: a home that cannot be written is as good
/// as none. A place that a variable names was meant, and what is wrong with it is an error of its own.
///
/// # Errors
/// Why nothing can be kept there.
pub(crate) fn check_home(jobs: &Path) -> Result<(), String> {
    let of_home = std::env::var_os("HOME").is_some_and(|home| *jobs == Path::new(&home).join(DIRECTORY));
    if !of_home {
        return Ok(());
    }
    let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    let usable = make(jobs).and_then(|()| Ok(rustix::fs::access(jobs, access)?));
    match usable {
        Err(error) if error.kind() != io::ErrorKind::StorageFull => {
            Err(format!("{}: {error}", jobs.display()))
        }
        _ => Ok(()),
    }
}

/// Makes the directory, with its parents, for the user alone; one that is there stays as it is.
///
/// # Errors
/// What the file system answers.
pub(crate) fn make(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn found(variables: &[(&str, &str)]) -> Option<(String, String)> {
        let value = |name: &str| Some(OsString::from(variables.iter().find(|(it, _)| *it == name)?.1));
        let text = |path: PathBuf| path.into_os_string().into_string().unwrap();
        find_by(value).map(|state| (text(state.jobs), text(state.logs)))
    }

    #[track_caller]
    fn is(variables: &[(&str, &str)], jobs: &str, logs: &str) {
        assert_eq!(found(variables), Some((jobs.to_owned(), logs.to_owned())), "{variables:?}");
    }

    const HOME: (&str, &str) = ("HOME", "/h");
    const PLANS: (&str, &str) = ("AZCOPY_JOB_PLAN_LOCATION", "/p");
    const LOGS: (&str, &str) = ("AZCOPY_LOG_LOCATION", "/l");

    #[test]
    fn each_variable_moves_its_own() {
        is(&[HOME], "/h/.azuring", "/h/.azuring");
        is(&[HOME, PLANS], "/p", "/h/.azuring");
        is(&[HOME, LOGS], "/h/.azuring", "/l");
        is(&[HOME, PLANS, LOGS], "/p", "/l");
        is(&[HOME, ("AZCOPY_LOG_LOCATION", "")], "/h/.azuring", "/h/.azuring");
        let here = std::env::current_dir().unwrap().join("logs");
        is(&[HOME, ("AZCOPY_LOG_LOCATION", "logs")], "/h/.azuring", here.to_str().unwrap());
    }

    #[test]
    fn without_a_home_both_variables_are_needed() {
        is(&[PLANS, LOGS], "/p", "/l");
        is(&[("HOME", ""), PLANS, LOGS], "/p", "/l");
        let identity = |variables: &[(&str, &str)]| {
            let value = |name: &str| Some(OsString::from(variables.iter().find(|(it, _)| *it == name)?.1));
            find_by(value).map(|state| state.identity)
        };
        assert_eq!(identity(&[PLANS, LOGS]), Some(PathBuf::from("/p")));
        assert_eq!(identity(&[HOME, PLANS, LOGS]), Some(PathBuf::from("/h/.azuring")));
        for some in [&[][..], &[PLANS], &[LOGS], &[("HOME", ""), LOGS]] {
            assert_eq!(found(some), None, "{some:?}");
        }
    }

    #[test]
    fn a_directory_is_for_the_user_alone_and_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let (parent, logs) = (dir.path().join("a"), dir.path().join("a/b"));
        make(&logs).unwrap();
        assert_eq!((mode(&parent), mode(&logs)), (0o700, 0o700));
        std::fs::set_permissions(&logs, std::fs::Permissions::from_mode(0o750)).unwrap();
        make(&logs).unwrap();
        assert_eq!(mode(&logs), 0o750);
    }
}
