//! Content types by AzCopy's order: the user's own, a fixed table, the system's tables, the first bytes.
//!
//! 0. [`ContentTypes::with_overrides`]: what the user says (extension in any case).
//! 1. The fixed table below (extension in any case).
//! 2. What Go's `mime.TypeByExtension` answers, without its parameters: Go's own table, then either the
//!    *first* of [`GLOBS2_PATHS`] that exists (it adds, it never replaces) or, if none does, *all* of
//!    [`MIME_TYPES_PATHS`] that exist, in order (each replaces what came before). The extension as it is
//!    written first, then in lower case.
//! 3. [`sniff`] on the first 512 bytes, again without parameters: `text/plain`, not `text/plain; charset=utf-8`.
//!
//! Compared with AzCopy 10.32.2 on a host with a shared MIME database: 85 names and 50 contents, the same types. The
//! fallback to `mime.types` follows the documentation of Go's `mime` package and was not compared.
//!
//! The caller reads the files and passes their text. An option that sets the type comes before all of this.

use std::collections::{BTreeMap, HashMap};

pub use crate::sniff::{SNIFF_LEN, sniff};

/// Where the shared MIME database may stand; only the first that can be read counts.
pub const GLOBS2_PATHS: &[&str] = &["/usr/local/share/mime/globs2", "/usr/share/mime/globs2"];

/// Where classic `mime.types` tables may stand; all are read, in this order, but only where no file of
/// [`GLOBS2_PATHS`] can be.
pub const MIME_TYPES_PATHS: &[&str] =
    &["/etc/mime.types", "/etc/apache2/mime.types", "/etc/apache/mime.types", "/etc/httpd/conf/mime.types"];

/// AzCopy's own table, which comes before everything the system says.
const FIXED: &[(&str, &str)] = &[
    (".css", "text/css"),
    (".gif", "image/gif"),
    (".htm", "text/html"),
    (".html", "text/html"),
    (".jpeg", "image/jpeg"),
    (".jpg", "image/jpeg"),
    (".js", "application/javascript"),
    (".mjs", "application/javascript"),
    (".pdf", "application/pdf"),
    (".png", "image/png"),
    (".svg", "image/svg+xml"),
    (".wasm", "application/wasm"),
    (".webp", "image/webp"),
    (".xml", "text/xml"),
];

/// What Go knows without any file and AzCopy's table does not have.
const GO_BUILT_IN: &[(&str, &str)] = &[(".avif", "image/avif"), (".json", "application/json")];

/// Content types by file name. Cheap to look up, meant to be built once per job and shared.
#[derive(Debug, Clone, Default)]
pub struct ContentTypes {
    /// What goes before everything: extension with its dot in lower case.
    overrides: HashMap<Box<str>, Box<str>>,
    /// Extension with its dot, as the tables write it.
    exact: HashMap<Box<str>, Box<str>>,
    /// Extension with its dot in lower case.
    lower: HashMap<Box<str>, Box<str>>,
}

/// Tables of content types as data: each from an extension with its dot to a type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContentTables {
    /// What goes before everything; extensions in lower case.
    pub overrides: BTreeMap<String, String>,
    /// Extensions as the tables write them.
    pub exact: BTreeMap<String, String>,
    /// Extensions in lower case, where that is not what `exact` says of them.
    pub lower: BTreeMap<String, String>,
}

impl ContentTypes {
    /// The fixed tables alone.
    #[must_use]
    pub fn new() -> Self {
        let mut types = Self::default();
        for (extension, content_type) in GO_BUILT_IN {
            types.set(extension, content_type);
        }
        types
    }

    /// Adds a shared MIME database: lines `weight:type:*.ext[:flags]`. Other globs are ignored, as are
    /// extensions that already have a type: the first line, which has the highest weight, wins.
    #[must_use]
    pub fn with_globs2(mut self, text: &str) -> Self {
        for line in text.lines() {
            let mut fields = line.split(':');
            let (Some(weight), Some(content_type), Some(glob)) =
                (fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            if weight.is_empty() || weight.starts_with('#') {
                continue;
            }
            let Some(extension) = glob.strip_prefix('*').filter(|e| e.len() > 1 && e.starts_with('.')) else {
                continue;
            };
            // Go asks for the extension in exactly this case; a second spelling replaces the lower-case entry.
            let known = self.exact.contains_key(extension) || fixed(extension).is_some();
            if !extension.contains(['?', '*', '[']) && !known {
                self.set(extension, content_type);
            }
        }
        self
    }

    /// Adds a classic table: lines `type ext ext ...`, `#` starts a comment. A later line replaces an earlier one.
    #[must_use]
    pub fn with_mime_types(mut self, text: &str) -> Self {
        for line in text.lines() {
            let mut fields = line.split_whitespace();
            let Some(content_type) = fields.next().filter(|field| !field.starts_with('#')) else { continue };
            for extension in fields.take_while(|field| !field.starts_with('#')) {
                self.set(&format!(".{extension}"), content_type);
            }
        }
        self
    }

    /// Adds types that go before all tables: pairs of an extension, with or without its dot, and a type. A later pair
    /// replaces an earlier one; what is no type is passed over.
    #[must_use]
    pub fn with_overrides<'a>(mut self, types: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        for (extension, content_type) in types {
            let extension = format!(".{}", extension.trim_start_matches('.').to_lowercase());
            if let Some(content_type) = essence(content_type) {
                self.overrides.insert(extension.into(), content_type.into());
            }
        }
        self
    }

    /// All that the tables say, to be kept.
    #[must_use]
    pub fn to_tables(&self) -> ContentTables {
        let owned = |table: &HashMap<Box<str>, Box<str>>| -> BTreeMap<String, String> {
            table.iter().map(|(extension, is)| (extension.to_string(), is.to_string())).collect()
        };
        let (exact, mut lower) = (owned(&self.exact), owned(&self.lower));
        lower.retain(|extension, is| exact.get(extension) != Some(is));
        ContentTables { overrides: owned(&self.overrides), exact, lower }
    }

    /// The types that were kept so; `None` where one of them is none.
    #[must_use]
    pub fn from_tables(tables: ContentTables) -> Option<Self> {
        let own = |table: BTreeMap<String, String>| -> Option<HashMap<Box<str>, Box<str>>> {
            let is_type =
                |(_, content_type): &(String, String)| essence(content_type).as_ref() == Some(content_type);
            let count = table.len();
            let own: HashMap<_, _> =
                table.into_iter().filter(is_type).map(|(name, is)| (name.into(), is.into())).collect();
            (own.len() == count).then_some(own)
        };
        let exact = own(tables.exact)?;
        let mut lower = exact.clone();
        lower.retain(|extension, _| extension.to_lowercase() == **extension);
        lower.extend(own(tables.lower)?);
        Some(Self { overrides: own(tables.overrides)?, lower, exact })
    }

    /// The type that the name alone tells, without parameters; `None` where the content must decide. Only the
    /// last extension counts (`.gz` of `a.tar.gz`), and a name that is all extension has one (`.css`).
    #[must_use]
    pub fn for_name(&self, file_name: &[u8]) -> Option<&str> {
        let base = file_name.rsplit(|&b| b == b'/').next()?;
        let dot = base.iter().rposition(|&b| b == b'.')?;
        // No table has an extension that is not UTF-8.
        let extension = std::str::from_utf8(&base[dot..]).ok()?;
        if !self.overrides.is_empty()
            && let Some(content_type) = self.overrides.get(extension.to_lowercase().as_str())
        {
            return Some(content_type);
        }
        if let Some(content_type) = fixed(extension) {
            return Some(content_type);
        }
        if let Some(content_type) = self.exact.get(extension) {
            return Some(content_type);
        }
        self.lower.get(extension.to_lowercase().as_str()).map(|content_type| &**content_type)
    }

    /// The content type of a file: by name, otherwise by its first bytes (up to [`SNIFF_LEN`] are looked at).
    /// Never with parameters.
    #[must_use]
    pub fn guess(&self, file_name: &[u8], first_bytes: &[u8]) -> &str {
        self.for_name(file_name).unwrap_or_else(|| sniff(first_bytes).split(';').next().unwrap_or_default())
    }

    fn set(&mut self, extension: &str, content_type: &str) {
        let Some(content_type) = essence(content_type) else { return };
        self.exact.insert(extension.into(), content_type.as_str().into());
        self.lower.insert(extension.to_lowercase().into(), content_type.into());
    }
}

fn fixed(extension: &str) -> Option<&'static str> {
    FIXED
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(extension))
        .map(|(_, content_type)| *content_type)
}

/// A type from a table in lower case and without parameters; `None` if it is none (and must not become a
/// header).
fn essence(content_type: &str) -> Option<String> {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let token = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
    };
    let valid = match essence.split_once('/') {
        Some((kind, subtype)) => token(kind) && token(subtype),
        None => token(essence),
    };
    valid.then(|| essence.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_come_back_and_hold_types_alone() {
        let types = ContentTypes::new()
            .with_globs2("90:text/x-one:*.C\n50:text/x-two:*.c\n50:x/y:*.zip\n")
            .with_mime_types("x/last zip\nx/odd Odd\n")
            .with_overrides([("txt", "x/own")]);
        let tables = types.to_tables();
        let back = ContentTypes::from_tables(tables.clone()).unwrap();
        assert_eq!(
            (&back.overrides, &back.exact, &back.lower),
            (&types.overrides, &types.exact, &types.lower)
        );
        assert_eq!(back.to_tables(), tables);
        let mut bad = tables;
        bad.exact.insert(".x".into(), "a/b\r\nx-ms-meta-c: d".into());
        assert!(ContentTypes::from_tables(bad).is_none());
    }

    #[test]
    fn fixed_table_wins_over_the_system() {
        let types = ContentTypes::new()
            .with_globs2("90:text/x-mine:*.js\n50:x/html:*.html\n")
            .with_mime_types("x/xml xml\nx/css CSS\n");
        for (name, expected) in [
            ("a.js", "application/javascript"),
            ("a.JS", "application/javascript"),
            ("d/a.mjs", "application/javascript"),
            ("a.Html", "text/html"),
            ("a.htm", "text/html"),
            ("a.xml", "text/xml"),
            ("a.css", "text/css"),
            ("a.CSS", "text/css"),
            (".css", "text/css"),
            ("a.svg", "image/svg+xml"),
            ("a.tar.pdf", "application/pdf"),
            ("a.jpeg", "image/jpeg"),
        ] {
            assert_eq!(types.for_name(name.as_bytes()), Some(expected), "{name}");
        }
        assert_eq!(FIXED.len(), 14);
    }

    #[test]
    fn what_the_user_says_wins_over_everything() {
        let types = ContentTypes::new().with_mime_types("text/plain txt\n").with_overrides([
            (".HTML", "text/x-mine"),
            ("txt", "Text/Other; charset=x"),
            (".css", "no type"),
        ]);
        let name = |name: &str| types.for_name(name.as_bytes());
        assert_eq!(name("a.html"), Some("text/x-mine"));
        assert_eq!(name("a.Html"), Some("text/x-mine"));
        assert_eq!(name("a.htm"), Some("text/html"));
        assert_eq!(name("a.TXT"), Some("text/other"));
        assert_eq!(name("a.css"), Some("text/css"), "what cannot be a header is passed over");
    }

    #[test]
    fn globs2_adds_simple_extensions_first_wins() {
        let types = ContentTypes::new().with_globs2(
            "# comment:x/y:*.comment\n80:text/x-first:*.q\n50:text/x-second:*.q\n50:text/x-glob:*.q[ab]\n\
             50:text/plain:README*\n60:text/x-c++src:*.C:cs\n50:text/x-csrc:*.c\n50:application/x-compressed-tar:*.tar.gz\n\
             50:APPLICATION/Json2; charset=x:*.json\n50:Image/X-UP:*.up\nbad\n50:no good:*.ng\n50:x/dot:*.\n:x/none:*.none\n",
        );
        let name = |name: &str| types.for_name(name.as_bytes());
        assert_eq!(name("a.q"), Some("text/x-first"));
        assert_eq!(name("a.Q"), Some("text/x-first"));
        assert_eq!(name("a.qa"), None);
        assert_eq!(name("README"), None);
        assert_eq!(name("a.C"), Some("text/x-c++src"));
        assert_eq!(name("a.c"), Some("text/x-csrc"));
        assert_eq!(name("a.json"), Some("application/json"));
        assert_eq!(name("a.up"), Some("image/x-up"));
        // The last extension alone is looked up, so a double one is never found.
        assert_eq!(name("a.tar.gz"), None);
        for none in ["a.comment", "a.ng", "a.none", "a.", "a", "a.b/c", "", "..."] {
            assert_eq!(name(none), None, "{none}");
        }
        assert_eq!(types.for_name(b"a.\xff"), None);
    }

    #[test]
    fn mime_types_adds_and_replaces() {
        let types = ContentTypes::new()
            .with_mime_types("# c\n\ntext/plain txt text # not this\napplication/x-a\tA\nx/only\n")
            .with_mime_types("text/other txt\napplication/manifest+json json\n");
        let name = |name: &str| types.for_name(name.as_bytes());
        assert_eq!(name("a.txt"), Some("text/other"));
        assert_eq!(name("a.text"), Some("text/plain"));
        assert_eq!(name("a.TEXT"), Some("text/plain"));
        assert_eq!(name("a.a"), Some("application/x-a"));
        assert_eq!(name("a.json"), Some("application/manifest+json"));
        assert_eq!(name("a.not"), None);
        assert_eq!(name("a.c"), None);
    }

    #[test]
    fn content_decides_where_the_name_does_not() {
        let types = ContentTypes::new();
        assert_eq!(types.guess(b"a.png", b"plain"), "image/png");
        assert_eq!(types.guess(b"a.unknown", b"plain"), "text/plain");
        assert_eq!(types.guess(b"a", b"\x00"), "application/octet-stream");
        assert_eq!(types.guess(b"a", b""), "text/plain");
    }
}
