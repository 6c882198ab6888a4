//! Why there is no token.

use std::path::Path;
use std::time::Duration;

/// Why there is no token. No variant holds a secret, or more of an answer than its code and first sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// A variable or flag has a value that cannot be used. Change it.
    #[error("{name}: {reason}")]
    Setting {
        /// The variable or flag.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Something is not set. Set it.
    #[error("{login} needs {names}")]
    Missing {
        /// What was asked for.
        login: &'static str,
        /// Variables and flags, any of which will do.
        names: &'static str,
    },
    /// Two settings exclude each other. Unset one.
    #[error("{one} and {other} exclude each other")]
    Conflict {
        /// Name of one flag or variable.
        one: &'static str,
        /// Name of the other flag or variable.
        other: &'static str,
    },
    /// A certificate, key or token file cannot be used.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Entra ID, or who answers for it on this machine, said no. The same request will be refused again.
    #[error("{host} refused: {code}{}{sentence}{}{advice}", separate(.code, .sentence), if .advice.is_empty() { "" } else { "; " })]
    Refused {
        /// Who said no.
        host: String,
        /// `AADSTS..`, an OAuth error or a status.
        code: String,
        /// The first sentence of the reason.
        sentence: String,
        /// What a person can do about it.
        advice: &'static str,
    },
    /// Too many requests, or a server that is down for a moment. Wait, and try again.
    #[error("{host} is busy: {code}")]
    Busy {
        /// Who.
        host: String,
        /// `AADSTS..`, an OAuth error or a status.
        code: String,
        /// How long it asks to wait.
        after: Option<Duration>,
    },
    /// No usable answer came.
    #[error("{host} cannot be asked for a token: {reason}")]
    Network {
        /// Who was asked.
        host: String,
        /// The transport's failure.
        reason: String,
        /// Another attempt cannot end differently (a certificate that does not verify).
        permanent: bool,
    },
    /// The answer is not what the protocol says.
    #[error("the answer of {host} holds no token that can be used: {reason}")]
    Answer {
        /// Who answered.
        host: String,
        /// What is missing.
        reason: String,
    },
    /// The Azure CLI or PowerShell gave no token.
    #[error("{program} gives no token: {reason}")]
    Program {
        /// `az` or `pwsh`.
        program: &'static str,
        /// The first sentence of its complaint.
        reason: String,
    },
    /// There is nobody logged in, or not any more.
    #[error("{reason}: log in again with `azuring login`")]
    NotLoggedIn {
        /// Why not.
        reason: String,
    },
    /// This kind of login cannot do what was asked.
    #[error("{0}")]
    Unsupported(String),
    /// The cache of logins cannot be read or written.
    #[error("the cache of logins {path} cannot be used: {reason}")]
    Cache {
        /// The file.
        path: String,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// The user gave up.
    #[error("cancelled")]
    Cancelled,
    /// The operating system refused a thread or a socket.
    #[error("no thread for asking for tokens: {0}")]
    Machine(String),
}

fn separate(code: &str, sentence: &str) -> &'static str {
    if code.is_empty() || sentence.is_empty() { "" } else { ": " }
}

impl IdentityError {
    /// Whether another attempt may succeed without anybody changing anything.
    pub fn is_passing(&self) -> bool {
        matches!(self, IdentityError::Busy { .. } | IdentityError::Network { permanent: false, .. })
    }

    /// How long the other side asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            IdentityError::Busy { after, .. } => *after,
            _ => None,
        }
    }

    pub(crate) fn setting(name: impl Into<String>, reason: impl Into<String>) -> Self {
        IdentityError::Setting { name: name.into(), reason: reason.into() }
    }

    pub(crate) fn file(path: &Path, reason: impl ToString) -> Self {
        IdentityError::File { path: path.display().to_string(), reason: reason.to_string() }
    }

    pub(crate) fn not_logged_in(reason: impl Into<String>) -> Self {
        IdentityError::NotLoggedIn { reason: reason.into() }
    }
}

/// What a person is shown of somebody else's text: its first sentence, one line, no word that could be a secret.
pub(crate) fn first_sentence(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    let line = line.split_inclusive(". ").next().unwrap_or_default();
    let words = line.split_whitespace().map(|word| {
        let secret = word.len() > 100 || word.contains("eyJ");
        if secret { "..".to_owned() } else { word.chars().filter(|c| !c.is_control()).collect() }
    });
    let sentence = words.collect::<Vec<String>>().join(" ");
    sentence.chars().take(300).collect::<String>().trim_end_matches(['.', ' ']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_short_and_holds_no_token() {
        let text =
            "AADSTS7000215: Invalid client secret provided. Ensure the secret is the value.\r\nTrace ID: 1";
        assert_eq!(first_sentence(text), "AADSTS7000215: Invalid client secret provided");
        assert_eq!(first_sentence("token eyJhbGciOi.eyJ0.c here"), "token .. here");
        assert_eq!(first_sentence(&format!("a {} b", "x".repeat(101))), "a .. b");
        assert_eq!(first_sentence(&"word ".repeat(100)).len(), 300 - 1);
        assert_eq!(first_sentence("a\u{1b}[31mred"), "a[31mred");
    }
}
