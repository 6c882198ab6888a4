//! The examples at the end of the long help and of the man pages.

#[cfg(feature = "demo")]
macro_rules! demo {
    () => {
        "  azuring demo\n"
    };
}
#[cfg(not(feature = "demo"))]
macro_rules! demo {
    () => {
        ""
    };
}

pub(crate) const TOP: &str = concat!(
    "\
Examples:
  azuring copy photos 'https://ACCOUNT.blob.core.windows.net/CONTAINER?SAS' --recursive
  azuring list 'https://ACCOUNT.blob.core.windows.net/CONTAINER?SAS'
",
    demo!(),
    "
`azuring copy --help` has more examples. A SAS is the part of a URL after the `?`. Put URLs in
quotes, because `&` has a meaning for the shell. Without a SAS, the account's key is read from
AZURE_STORAGE_KEY or AZURE_STORAGE_CONNECTION_STRING.

Exit codes:
  0  done                      5  the service did not answer
  1  done, with failures       6  interrupted
  2  wrong arguments           7  bytes differ
  3  not authorized            8  a limit was reached
  4  no such source           10  a bug
Under the name azcopy: 0 or 1."
);

pub(crate) const LOGIN: &str = "\
Examples:
  A person, with a browser on any machine
    azuring login --tenant-id=TENANT

  A service principal, and the identity of a virtual machine
    AZCOPY_SPA_CLIENT_SECRET=... azuring login --login-type=spn --application-id=ID \\
      --tenant-id=TENANT
    azuring login --login-type=msi

  Without a login: variables name the identity, for a job in a container or in cron
    AZCOPY_AUTO_LOGIN_TYPE=MSI azuring copy ...
    AZCOPY_AUTO_LOGIN_TYPE=SPN AZCOPY_SPA_APPLICATION_ID=ID AZCOPY_SPA_CLIENT_SECRET=... \\
      AZCOPY_TENANT_ID=TENANT azuring copy ...";

pub(crate) const SAS: &str = "\
Examples:
  For one blob, to read it for one hour, with Microsoft Entra ID
    azuring sas https://ACCOUNT.blob.core.windows.net/CONTAINER/report.pdf --permissions=r \\
      --expiry=1h

  For uploads to a container until a date, with the account's key
    azuring sas https://ACCOUNT.blob.core.windows.net/CONTAINER --permissions=cw \\
      --expiry=2030-12-31T23:59Z --account-key-file=key

  For the whole account
    azuring sas https://ACCOUNT.blob.core.windows.net --account --permissions=rl --expiry=8h";

pub(crate) const DOCTOR: &str = "\
Examples:
  Why can a container not be read from here?
    azuring doctor 'https://ACCOUNT.blob.core.windows.net/CONTAINER?SAS'

  Will a copy between two accounts work, and by which way?
    azuring doctor 'https://ACCOUNT.blob.core.windows.net/CONTAINER?SAS' \\
      'https://OTHER.blob.core.windows.net/CONTAINER?SAS' --write-test

Exit codes: that of the first line that is wrong.";

pub(crate) const COPY: &str = "\
Examples:
  Upload a directory; it becomes CONTAINER/photos/...
    azuring copy photos 'https://ACCOUNT.blob.core.windows.net/CONTAINER?SAS' --recursive

  Upload only the contents, and of these only new and changed JPEGs
    azuring copy 'photos/*' 'https://ACCOUNT.blob.core.windows.net/CONTAINER?SAS' --recursive \\
      --include-pattern='*.jpg;*.jpeg' --overwrite=ifSourceNewer

  Download a virtual directory; first see what would be downloaded
    azuring copy 'https://ACCOUNT.blob.core.windows.net/CONTAINER/photos?SAS' . --recursive \\
      --dry-run
    azuring copy 'https://ACCOUNT.blob.core.windows.net/CONTAINER/photos?SAS' . --recursive

  Copy a virtual directory to another account; each URL has its own SAS
    azuring copy 'https://ACCOUNT.blob.core.windows.net/CONTAINER/photos?SAS' \\
      'https://OTHER.blob.core.windows.net/CONTAINER?SAS' --recursive

  Pipe data into a blob, and out of a blob
    tar c photos | azuring copy - 'https://ACCOUNT.blob.core.windows.net/CONTAINER/photos.tar?SAS'
    azuring copy 'https://ACCOUNT.blob.core.windows.net/CONTAINER/photos.tar?SAS' - | tar x

  Upload the files that another program lists
    git ls-files | azuring copy . 'https://ACCOUNT.blob.core.windows.net/CONTAINER?SAS' \\
      --list-of-files=- --as-subdir=false";

pub(crate) const LIST: &str = "\
Examples:
  A container, with times, and with a total at the end
    azuring list 'https://ACCOUNT.blob.core.windows.net/CONTAINER?SAS' \\
      --properties='LastModifiedTime;BlobAccessTier' --running-tally

  The paths of all blobs larger than 1 GiB, for a program
    azuring list 'https://ACCOUNT.blob.core.windows.net/CONTAINER?SAS' --output-type=ndjson |
      jq -r 'select(.bytes > 1073741824) | .path'";

pub(crate) const REMOVE: &str = "\
Examples:
  One blob
    azuring remove 'https://ACCOUNT.blob.core.windows.net/CONTAINER/photos/1.jpg?SAS'

  Blobs below a virtual directory that are older than a date; first see what would be removed
    azuring remove 'https://ACCOUNT.blob.core.windows.net/CONTAINER/photos?SAS' --recursive \\
      --include-before=2025-01-01 --dry-run
    azuring remove 'https://ACCOUNT.blob.core.windows.net/CONTAINER/photos?SAS' --recursive \\
      --include-before=2025-01-01

  Blobs together with their snapshots
    azuring remove 'https://ACCOUNT.blob.core.windows.net/CONTAINER/photos?SAS' --recursive \\
      --delete-snapshots=include";

pub(crate) const SET_PROPERTIES: &str = "\
Examples:
  Archive a virtual directory, and make it readable again
    azuring set-properties 'https://ACCOUNT.blob.core.windows.net/CONTAINER/2019?SAS' --recursive \\
      --block-blob-tier=Archive
    azuring set-properties 'https://ACCOUNT.blob.core.windows.net/CONTAINER/2019?SAS' --recursive \\
      --block-blob-tier=Hot --rehydrate-priority=High

  Replace metadata and tags; remove metadata
    azuring set-properties 'https://ACCOUNT.blob.core.windows.net/CONTAINER/x?SAS' \\
      --metadata='owner=me;kind=photo' --blob-tags='year=2026'
    azuring set-properties 'https://ACCOUNT.blob.core.windows.net/CONTAINER/x?SAS' --metadata=clear";

pub(crate) const JOBS: &str = "\
Examples:
  List all jobs, or only those that failed
    azuring jobs list
    azuring jobs list --with-status=Failed

  Resume a job; the beginning of its id is enough
    azuring jobs resume 0f8fad5b --destination-sas='SAS'

  Remove journals and logs of completed jobs
    azuring jobs clean --with-status=Completed";

pub(crate) const JOBS_SHOW: &str = "\
Examples:
  Show the state of a job, and what failed
    azuring jobs show 0f8fad5b
    azuring jobs show 0f8fad5b --failed

  Copy what failed to another place; the source is that of the job
    azuring jobs show 0f8fad5b --failed --names |
      azuring copy photos 'https://ACCOUNT.blob.core.windows.net/OTHER?SAS' --recursive \\
        --list-of-files=-

  List what failed because the service was too busy
    azuring jobs show 0f8fad5b --failed --output-type=ndjson |
      jq -r 'select(.kind == \"throttled\") | .object'";

pub(crate) const JOBS_RESUME: &str = "\
Examples:
  With the credentials of the environment
    azuring jobs resume 0f8fad5b

  With a new SAS, and fewer requests in flight
    azuring jobs resume 0f8fad5b --destination-sas='SAS' --concurrency=8";

#[cfg(test)]
mod tests {
    use super::*;

    /// The commands of an example text, each on one line.
    fn commands(text: &str) -> Vec<String> {
        let joined = text.replace("\\\n", " ");
        let lines = joined.lines().filter_map(|line| line.find("azuring ").map(|at| &line[at..]));
        let ends = |line: &str| line.split(" |").next().unwrap_or_default().to_owned();
        lines.map(ends).filter(|line| !line.contains("--help") && !line.contains('`')).collect()
    }

    #[test]
    fn every_example_is_a_command_line() {
        for (text, least) in [
            (TOP, 2 + usize::from(cfg!(feature = "demo"))),
            (COPY, 7),
            (LIST, 2),
            (REMOVE, 4),
            (SET_PROPERTIES, 4),
            (JOBS, 4),
            (JOBS_SHOW, 4),
            (JOBS_RESUME, 2),
        ] {
            let commands = commands(text);
            assert!(commands.len() >= least, "{commands:?}");
            for line in commands {
                let words = line.split_whitespace().map(|word| word.replace('\'', ""));
                let parsed = super::super::parse(words);
                assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
            }
        }
    }

    #[test]
    fn lines_fit_on_a_terminal() {
        for text in [TOP, LOGIN, SAS, COPY, LIST, REMOVE, SET_PROPERTIES, JOBS, JOBS_SHOW, JOBS_RESUME] {
            for line in text.lines() {
                assert!(line.len() <= 100, "{line}");
            }
        }
    }
}
