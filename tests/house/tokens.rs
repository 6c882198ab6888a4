//! What a source file imports, read from its words.

use std::iter::Peekable;
use std::str::Chars;

/// A word or a sign of Rust; texts, numbers, comments and what is only compiled for tests are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    /// `::`
    Path,
    Sign(char),
}

/// The paths that a file names: those of its `use`, with the name they get, and all others of two words and more.
#[derive(Debug, Default)]
pub(crate) struct Named {
    /// Path, and the name under which the file has it.
    pub(crate) used: Vec<(Vec<String>, String)>,
    pub(crate) paths: Vec<Vec<String>>,
}

impl Named {
    pub(crate) fn read(source: &str) -> Self {
        let tokens = without_tests(tokens(source));
        let mut named = Self::default();
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                Token::Word(word) if word == "use" => at = named.tree(&tokens, at + 1, &[]),
                Token::Word(_) => {
                    let (path, next) = path(&tokens, at);
                    if path.len() > 1 {
                        named.paths.push(path);
                    }
                    // `as` is no path.
                    at = next.max(at + 1);
                }
                _ => at += 1,
            }
        }
        named
    }

    /// Takes the tree of a `use` that begins at `at`, below `above`; returns where it ends.
    fn tree(&mut self, tokens: &[Token], at: usize, above: &[String]) -> usize {
        let (path, mut at) = path(tokens, at);
        let mut whole = above.to_vec();
        whole.extend(path.into_iter().filter(|word| word != "self" || above.is_empty()));
        if tokens.get(at) == Some(&Token::Path) {
            at += 1;
        }
        match tokens.get(at) {
            Some(Token::Sign('{')) => {
                at += 1;
                while tokens.get(at).is_some_and(|token| *token != Token::Sign('}')) {
                    let before = at;
                    at = self.tree(tokens, at, &whole);
                    if tokens.get(at) == Some(&Token::Sign(',')) || at == before {
                        at += 1;
                    }
                }
                at + 1
            }
            Some(Token::Sign('*')) => {
                self.used.push((whole, "*".to_owned()));
                at + 1
            }
            Some(Token::Word(word)) if word == "as" => {
                if let Some(Token::Word(name)) = tokens.get(at + 1) {
                    self.used.push((whole, name.clone()));
                }
                at + 2
            }
            _ => {
                let name = whole.last().cloned().unwrap_or_default();
                self.used.push((whole, name));
                at
            }
        }
    }
}

/// Words with `::` between them, from `at`; and where they end.
fn path(tokens: &[Token], mut at: usize) -> (Vec<String>, usize) {
    let mut path = Vec::new();
    while let Some(Token::Word(word)) = tokens.get(at) {
        if word == "as" {
            break;
        }
        path.push(word.clone());
        at += 1;
        match (tokens.get(at), tokens.get(at + 1)) {
            (Some(Token::Path), Some(Token::Word(_))) => at += 1,
            _ => break,
        }
    }
    (path, at)
}

/// Leaves out modules and imports under `#[cfg(test)]`.
fn without_tests(tokens: Vec<Token>) -> Vec<Token> {
    let cfg: Vec<_> = ["#", "[", "cfg", "(", "test", ")", "]"]
        .map(|text| match text.chars().next() {
            Some(letter) if letter.is_alphabetic() => Token::Word(text.to_owned()),
            Some(sign) => Token::Sign(sign),
            None => unreachable!("none is empty"),
        })
        .into();
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at..].starts_with(&cfg) {
            let mut item = at + cfg.len();
            while tokens.get(item) == Some(&Token::Sign('#')) {
                item += 1 + tokens[item..].iter().position(|token| *token == Token::Sign(']')).unwrap_or(0);
            }
            let is_left_out =
                matches!(tokens.get(item), Some(Token::Word(word)) if word == "mod" || word == "use");
            if is_left_out {
                at = end_of_item(&tokens, item);
                continue;
            }
        }
        kept.push(tokens[at].clone());
        at += 1;
    }
    kept
}

/// Behind the `;` or the braces that end an item.
fn end_of_item(tokens: &[Token], mut at: usize) -> usize {
    let mut depth = 0;
    while at < tokens.len() {
        match tokens[at] {
            Token::Sign('{') => depth += 1,
            Token::Sign('}') if depth == 1 => return at + 1,
            Token::Sign('}') => depth -= 1,
            Token::Sign(';') if depth == 0 => return at + 1,
            _ => {}
        }
        at += 1;
    }
    at
}

fn tokens(source: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut chars = source.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '/' if chars.peek() == Some(&'/') => while chars.next_if(|c| *c != '\n').is_some() {},
            '/' if chars.peek() == Some(&'*') => comment(&mut chars),
            '"' => text(&mut chars),
            '\'' => letter_or_lifetime(&mut chars),
            ':' if chars.next_if_eq(&':').is_some() => tokens.push(Token::Path),
            _ if c.is_alphanumeric() || c == '_' => {
                let mut word = String::from(c);
                while let Some(c) = chars.next_if(|c| c.is_alphanumeric() || *c == '_') {
                    word.push(c);
                }
                let is_raw = matches!(word.as_str(), "r" | "br" | "cr");
                match chars.peek() {
                    Some('"' | '#') if is_raw => raw_text(&mut chars),
                    _ => tokens.push(Token::Word(word)),
                }
            }
            _ if c.is_whitespace() => {}
            _ => tokens.push(Token::Sign(c)),
        }
    }
    tokens
}

/// Comments may have comments in them.
fn comment(chars: &mut Peekable<Chars<'_>>) {
    let mut depth = 1;
    chars.next();
    while let Some(c) = chars.next() {
        match c {
            '*' if chars.next_if_eq(&'/').is_some() => depth -= 1,
            '/' if chars.next_if_eq(&'*').is_some() => depth += 1,
            _ => {}
        }
        if depth == 0 {
            return;
        }
    }
}

/// The rest of a text in quotes.
fn text(chars: &mut Peekable<Chars<'_>>) {
    while let Some(c) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            '"' => return,
            _ => {}
        }
    }
}

/// The rest of `r#"..."#`, or of a name `r#use`.
fn raw_text(chars: &mut Peekable<Chars<'_>>) {
    let mut marks = 0;
    while chars.next_if_eq(&'#').is_some() {
        marks += 1;
    }
    if chars.next_if_eq(&'"').is_none() {
        return;
    }
    while let Some(c) = chars.next() {
        let mut seen = 0;
        while c == '"' && seen < marks && chars.next_if_eq(&'#').is_some() {
            seen += 1;
        }
        if c == '"' && seen == marks {
            return;
        }
    }
}

/// The rest of `'a'`, `'\''` or `'lifetime`.
fn letter_or_lifetime(chars: &mut Peekable<Chars<'_>>) {
    match chars.next() {
        Some('\\') => {
            chars.next();
            while chars.next().is_some_and(|c| c != '\'') {}
        }
        Some(_) => drop(chars.next_if_eq(&'\'')),
        None => {}
    }
}
