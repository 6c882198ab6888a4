//! Text that must not be printed.

use azuring_link::secrets;

/// A secret. It has no `Display`, its `Debug` says nothing, and the one way to read it is named so that a
/// reviewer sees it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

impl Secret {
    /// Wraps a secret, and has its value taken out of all that is printed or stored ([`azuring_link::secrets`]).
    pub fn new(text: impl Into<Box<str>>) -> Self {
        let text = text.into();
        secrets::register(&text);
        Self(text)
    }

    /// Wraps a text of which only a part is a secret, which the caller has registered.
    pub(crate) fn partly(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The secret itself, to be sent to its service and nowhere else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("REDACTED")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_hides_it() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?} {:#?}", Some(&secret)), "REDACTED Some(\n    REDACTED,\n)");
    }
}
