//! Parameters of a query or a form, read without forgiveness.

use std::borrow::Cow;

use crate::target::percent_decode;

/// Where parameters stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The body of a POST, `application/x-www-form-urlencoded`.
    Form,
    /// The query of a URL.
    Query,
}

/// Parameters, decoded, in the order they came.
#[derive(Debug)]
pub(super) struct Params<'r>(Vec<(Cow<'r, str>, Cow<'r, str>)>);

impl<'r> Params<'r> {
    /// Reads parameters.
    ///
    /// # Errors
    /// What is wrong with them: a broken escape, no `=`, a name given twice, an empty value, or an encoding that no
    /// rule produces.
    pub(super) fn parse(raw: &'r str, place: Place) -> Result<Params<'r>, String> {
        let mut pairs: Vec<(Cow<'r, str>, Cow<'r, str>)> = Vec::new();
        for pair in raw.split('&').filter(|_| !raw.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or_else(|| format!("'{pair}' has no '='"))?;
            let decode = |text: &'r str| {
                percent_decode(text, true).ok_or_else(|| format!("'{name}' is not percent-encoded UTF-8"))
            };
            let (name, value) = (decode(name)?, decode(value)?);
            if pairs.iter().any(|(n, _)| *n == name) {
                return Err(format!("'{name}' is given twice"));
            }
            if value.is_empty() {
                return Err(format!("'{name}' is empty"));
            }
            pairs.push((name, value));
        }
        let params = Params(pairs);
        let encodings: &[Encoding] = match place {
            Place::Form => &[FORM, RFC3986],
            Place::Query => &[FORM, RFC3986, IN_QUERY],
        };
        if !encodings.iter().any(|e| params.encode(*e) == raw) {
            return Err("the percent-encoding follows no rule".to_owned());
        }
        Ok(params)
    }

    /// Demands exactly these parameters, of the second list any.
    pub(super) fn expect(&self, required: &[&str], optional: &[&str]) -> Result<(), String> {
        if let Some(name) = required.iter().find(|n| self.get(n).is_none()) {
            return Err(format!("'{name}' is missing"));
        }
        let known = |name: &str| required.contains(&name) || optional.contains(&name);
        match self.0.iter().find(|(name, _)| !known(name)) {
            Some((name, _)) => Err(format!("'{name}' does not belong here")),
            None => Ok(()),
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| &**v)
    }

    /// The value of a parameter that [`Params::expect`] has found.
    pub(super) fn value(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    fn encode(&self, encoding: Encoding) -> String {
        let mut out = String::new();
        for (i, (name, value)) in self.0.iter().enumerate() {
            if i > 0 {
                out.push('&');
            }
            encoding.write(&mut out, name);
            out.push('=');
            encoding.write(&mut out, value);
        }
        out
    }
}

/// A way to write a text: the punctuation that stands for itself, and whether a space becomes `+`.
#[derive(Clone, Copy)]
struct Encoding {
    literal: &'static [u8],
    plus: bool,
}

/// `application/x-www-form-urlencoded` of the URL standard.
const FORM: Encoding = Encoding { literal: b"*-._", plus: true };
/// RFC 3986: all but the unreserved characters.
const RFC3986: Encoding = Encoding { literal: b"-._~", plus: false };
/// RFC 3986, what a query has to escape and no more.
const IN_QUERY: Encoding = Encoding { literal: b"-._~!$'()*,;:@/?", plus: false };

impl Encoding {
    fn write(self, out: &mut String, text: &str) {
        for byte in text.bytes() {
            match byte {
                b if b.is_ascii_alphanumeric() || self.literal.contains(&b) => out.push(b.into()),
                b' ' if self.plus => out.push('+'),
                b => out.push_str(&format!("%{b:02X}")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(raw: &str) -> Result<Vec<(String, String)>, String> {
        let params = Params::parse(raw, Place::Form)?;
        Ok(params.0.into_iter().map(|(n, v)| (n.into_owned(), v.into_owned())).collect())
    }

    #[test]
    fn forms_are_read() {
        let expected = vec![("a".to_owned(), "b c~/".to_owned()), ("d".to_owned(), "ü".to_owned())];
        assert_eq!(form("a=b+c%7E%2F&d=%C3%BC"), Ok(expected.clone()));
        assert_eq!(form("a=b%20c~%2F&d=%C3%BC"), Ok(expected));
        assert_eq!(form(""), Ok(Vec::new()));
    }

    #[test]
    fn what_no_rule_writes_is_refused() {
        for raw in
            ["a", "a=", "a=1&a=2", "a=%zz", "a=%ff", "a=1&", "&a=1", "a=%2f", "a=/", "a=%61", "a=b+c%20d"]
        {
            assert!(form(raw).is_err(), "{raw}");
        }
        assert!(Params::parse("resource=https://storage.azure.com/", Place::Query).is_ok());
        assert!(Params::parse("resource=https://storage.azure.com/", Place::Form).is_err());
    }

    #[test]
    fn sets_are_exact() {
        let params = Params::parse("a=1&b=2", Place::Form).unwrap();
        assert_eq!(params.expect(&["a"], &["b", "c"]), Ok(()));
        assert_eq!(params.expect(&["a", "c"], &["b"]), Err("'c' is missing".to_owned()));
        assert_eq!(params.expect(&["a"], &[]), Err("'b' does not belong here".to_owned()));
    }
}
