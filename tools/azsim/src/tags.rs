//! Expressions over blob index tags: `x-ms-if-tags`, and Find Blobs by Tags.
//!
//! <https://learn.microsoft.com/rest/api/storageservices/find-blobs-by-tags> and
//! <https://learn.microsoft.com/azure/storage/blobs/storage-manage-find-blobs>. A search knows `AND` and comparisons,
//! and `@container`; a condition knows `<>`, `OR`, `NOT` and parentheses too. Values are compared as strings.

use std::cmp::Ordering;
use std::ops::Bound;

use crate::answer::{self, Answer, Failure};
use crate::error::{
    INVALID_QUERY_PARAMETER_VALUE, MISSING_REQUIRED_QUERY_PARAMETER, OUT_OF_RANGE_QUERY_PARAMETER, Result,
};
use crate::list::{MAX_PAGE, read_marker, write_marker};
use crate::list_xml::{endpoint, write_name};
use crate::service::Rq;
use crate::store::Container;
use crate::xml;

/// Tags of one blob.
pub(crate) type Tags = [(Box<str>, Box<str>)];

/// An expression that tags fulfil or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expression {
    Compare { key: Box<str>, operator: Operator, value: Box<str> },
    And(Box<Expression>, Box<Expression>),
    Or(Box<Expression>, Box<Expression>),
    Not(Box<Expression>),
}

/// How a tag is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Is(Ordering),
    IsNot(Ordering),
}

impl Operator {
    fn parse(text: &str) -> Option<Operator> {
        Some(match text {
            "=" => Operator::Is(Ordering::Equal),
            "<" => Operator::Is(Ordering::Less),
            ">" => Operator::Is(Ordering::Greater),
            "<>" => Operator::IsNot(Ordering::Equal),
            ">=" => Operator::IsNot(Ordering::Less),
            "<=" => Operator::IsNot(Ordering::Greater),
            _ => return None,
        })
    }

    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Operator::Is(wanted) => ordering == wanted,
            Operator::IsNot(other) => ordering != other,
        }
    }
}

/// What an expression is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grammar {
    Condition,
    Search,
}

/// The key that stands for the container in a search.
const CONTAINER: &str = "@container";

impl Expression {
    /// Reads `x-ms-if-tags`; `None` when it is none.
    pub(crate) fn condition(text: &str) -> Option<Expression> {
        parse(text, Grammar::Condition)
    }

    /// Reads `where`; `None` when it is none.
    fn search(text: &str) -> Option<Expression> {
        parse(text, Grammar::Search)
    }

    /// Whether tags fulfil it. A tag that is not there fulfils no comparison.
    pub(crate) fn holds(&self, tags: &Tags) -> bool {
        match self {
            Expression::Compare { key, operator, value } => {
                let tag = tags.iter().find(|(name, _)| name == key);
                tag.is_some_and(|(_, tag)| operator.holds((**tag).cmp(value)))
            }
            Expression::And(a, b) => a.holds(tags) && b.holds(tags),
            Expression::Or(a, b) => a.holds(tags) || b.holds(tags),
            Expression::Not(a) => !a.holds(tags),
        }
    }

    /// The keys it names.
    fn keys<'e>(&'e self, keys: &mut Vec<&'e str>) {
        match self {
            Expression::Compare { key, .. } => keys.push(key),
            Expression::And(a, b) | Expression::Or(a, b) => {
                a.keys(keys);
                b.keys(keys);
            }
            Expression::Not(a) => a.keys(keys),
        }
    }
}

/// A word of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// A key, quoted or not, or a word such as `AND`.
    Word {
        text: String,
        quoted: bool,
    },
    /// In single quotes, of which two stand for one.
    Value(String),
    Operator(Operator),
    Open,
    Close,
}

fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, len) = match first {
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            '\'' => {
                let (mut value, mut at) = (String::new(), 1);
                loop {
                    let end = at + rest[at..].find('\'')?;
                    value.push_str(&rest[at..end]);
                    at = end + 1;
                    if !rest[at..].starts_with('\'') {
                        break;
                    }
                    value.push('\'');
                    at += 1;
                }
                (Token::Value(value), at)
            }
            '"' => {
                let end = 1 + rest[1..].find('"')?;
                (Token::Word { text: rest[1..end].to_owned(), quoted: true }, end + 1)
            }
            '<' | '>' | '=' => {
                let len = rest.chars().take_while(|c| "<>=".contains(*c)).count();
                (Token::Operator(Operator::parse(&rest[..len])?), len)
            }
            _ => {
                let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '@');
                let len = rest.chars().take_while(|c| word(*c)).count();
                if len == 0 {
                    return None;
                }
                (Token::Word { text: rest[..len].to_owned(), quoted: false }, len)
            }
        };
        tokens.push(token);
        rest = rest[len..].trim_start();
    }
    Some(tokens)
}

/// `or := and (OR and)*`, `and := not (AND not)*`, `not := NOT not | ( or ) | key operator value`.
struct Parser {
    /// In reverse, to be popped.
    tokens: Vec<Token>,
    grammar: Grammar,
}

/// Deeper than that no expression of 10 tags has to be.
const MAX_DEPTH: usize = 64;

fn parse(text: &str, grammar: Grammar) -> Option<Expression> {
    let mut tokens = tokens(text)?;
    tokens.reverse();
    let mut parser = Parser { tokens, grammar };
    let expression = parser.or(0)?;
    parser.tokens.is_empty().then_some(expression)
}

impl Parser {
    /// Takes the word, if it comes next.
    fn word(&mut self, wanted: &str) -> bool {
        let next = matches!(self.tokens.last(), Some(Token::Word { text, quoted: false }) if text.eq_ignore_ascii_case(wanted));
        if next {
            self.tokens.pop();
        }
        next
    }

    fn or(&mut self, depth: usize) -> Option<Expression> {
        let mut left = self.and(depth)?;
        while self.grammar == Grammar::Condition && self.word("OR") {
            left = Expression::Or(Box::new(left), Box::new(self.and(depth)?));
        }
        Some(left)
    }

    fn and(&mut self, depth: usize) -> Option<Expression> {
        let mut left = self.not(depth)?;
        while self.word("AND") {
            left = Expression::And(Box::new(left), Box::new(self.not(depth)?));
        }
        Some(left)
    }

    fn not(&mut self, depth: usize) -> Option<Expression> {
        if depth == MAX_DEPTH {
            return None;
        }
        if self.grammar == Grammar::Condition {
            if self.word("NOT") {
                return Some(Expression::Not(Box::new(self.not(depth + 1)?)));
            }
            if self.tokens.last() == Some(&Token::Open) {
                self.tokens.pop();
                let inner = self.or(depth + 1)?;
                return (self.tokens.pop()? == Token::Close).then_some(inner);
            }
        }
        let (Some(Token::Word { text: key, .. }), Some(Token::Operator(operator)), Some(Token::Value(value))) =
            (self.tokens.pop(), self.tokens.pop(), self.tokens.pop())
        else {
            return None;
        };
        let for_container = key == CONTAINER;
        let equal = operator == Operator::Is(Ordering::Equal);
        let unequal = operator == Operator::IsNot(Ordering::Equal);
        match self.grammar {
            Grammar::Condition if for_container => return None,
            Grammar::Search if unequal || (for_container && !equal) => return None,
            _ => {}
        }
        Some(Expression::Compare { key: key.into(), operator, value: value.into() })
    }
}

/// Find Blobs by Tags, in an account or in one container.
pub(crate) fn find(rq: &Rq<'_>) -> std::result::Result<Answer, Failure> {
    let query = &rq.target.query;
    let bad = |name: &str, text: &str| INVALID_QUERY_PARAMETER_VALUE.query(name, text);
    let text = query.get("where");
    let text = text.ok_or_else(|| MISSING_REQUIRED_QUERY_PARAMETER.detail("QueryParameterName", "where"))?;
    let expression = Expression::search(text).ok_or_else(|| bad("where", text))?;
    let max = match query.get("maxresults").map(|text| (text, text.parse::<usize>())) {
        None => MAX_PAGE,
        Some((text, Ok(0))) => return Err(OUT_OF_RANGE_QUERY_PARAMETER.query("maxresults", text).into()),
        Some((_, Ok(max))) => max.min(MAX_PAGE),
        Some((text, Err(_))) => return Err(bad("maxresults", text).into()),
    };
    let marker = query.get("marker").unwrap_or_default();
    // Container and name where the page begins.
    let (first_container, first_name) = match marker {
        "" => (String::new(), String::new()),
        marker => read_marker(marker)
            .and_then(|m| m.split_once('/').map(|(c, n)| (c.to_owned(), n.to_owned())))
            .ok_or_else(|| bad("marker", marker))?,
    };
    let containers = match &rq.target.container {
        Some(_) => vec![rq.container()?],
        None => rq.target.account.containers_from(&first_container),
    };
    let mut keys = Vec::new();
    expression.keys(&mut keys);
    let mut found = Vec::new();
    for container in containers {
        let from = if container.name == first_container { first_name.as_str() } else { "" };
        matching(&container, &expression, from, max + 1 - found.len(), &mut found);
        if found.len() > max {
            break;
        }
    }
    let next = found.get(max).map(|(container, name, _)| write_marker(&format!("{container}/{name}")));
    found.truncate(max);
    let mut out = String::from(xml::PROLOG);
    out.push_str("<EnumerationResults ServiceEndpoint=\"");
    xml::escape(&mut out, &endpoint(rq));
    out.push_str("\">");
    xml::element(&mut out, "Where", text);
    out.push_str("<Blobs>");
    for (container, name, mut tags) in found {
        tags.retain(|(key, _)| keys.contains(&&**key));
        out.push_str("<Blob>");
        write_name(&mut out, &name);
        xml::element(&mut out, "ContainerName", &container);
        xml::write_tags(&mut out, &tags);
        out.push_str("</Blob>");
    }
    out.push_str("</Blobs>");
    xml::element(&mut out, "NextMarker", &next.unwrap_or_default());
    out.push_str("</EnumerationResults>");
    Ok(answer::xml(out))
}

/// A blob that was found: container, name, tags.
type Found = (String, String, Vec<(Box<str>, Box<str>)>);

/// Adds up to `max` blobs of a container whose tags fulfil the expression, in the order of their names from one on.
fn matching(container: &Container, expression: &Expression, from: &str, max: usize, found: &mut Vec<Found>) {
    let order = container.order();
    let from = order.key(from);
    let mut hits = Vec::new();
    for shard in container.lock_all() {
        for (key, blob) in shard.blobs.by_key().range::<[u8], _>((Bound::Included(&*from), Bound::Unbounded))
        {
            let mut tags = blob.props.tags.clone();
            if tags.is_empty() {
                continue;
            }
            tags.push((CONTAINER.into(), container.name.as_str().into()));
            if expression.holds(&tags) {
                hits.push((key.clone(), blob.props.tags.clone()));
            }
        }
    }
    hits.sort_unstable();
    let hits = hits.into_iter().take(max);
    found.extend(hits.map(|(key, tags)| (container.name.clone(), order.name(&key), tags)));
}

/// Whether the tags of what is there fulfil a condition of the request, if it has one.
pub(crate) fn check(condition: Option<&Expression>, tags: &Tags) -> Result<()> {
    if condition.is_none_or(|condition| condition.holds(tags)) {
        Ok(())
    } else {
        Err(crate::error::CONDITION_NOT_MET.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags() -> Vec<(Box<str>, Box<str>)> {
        vec![("a".into(), "1".into()), ("b c".into(), "it's".into()), ("z".into(), "".into())]
    }

    #[test]
    fn conditions_are_judged() {
        for (text, expected) in [
            ("a = '1'", true),
            ("\"a\"='1'", true),
            ("a <> '1'", false),
            ("a > '0' AND a < '2'", true),
            ("a >= '1' and a <= '1'", true),
            ("a = '2' OR \"b c\" = 'it''s'", true),
            ("a = '2' OR a = '1' AND z = ''", true),
            ("(a = '2' OR a = '1') AND z = 'no'", false),
            ("NOT a = '2'", true),
            ("NOT (a = '1' OR a = '2')", false),
            ("missing = ''", false),
            ("missing <> 'x'", false),
            ("NOT missing = 'x'", true),
            // As strings, not as numbers.
            ("a > '10'", false),
        ] {
            let expression = Expression::condition(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(expression.holds(&tags()), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        let deep = format!("{}a = '1'{}", "(".repeat(100), ")".repeat(100));
        for text in [
            "",
            "a",
            "a =",
            "a = 1",
            "a == '1'",
            "a = 'x",
            "\"a = '1'",
            "(a = '1'",
            "a = '1')",
            "a = '1' b = '2'",
            "AND a = '1'",
            "a-b = '1'",
            "@container = 'con'",
            "a = '1' OR",
            &deep,
        ] {
            assert_eq!(Expression::condition(text), None, "{text}");
        }
        for text in ["a <> '1'", "a = '1' OR b = '2'", "NOT a = '1'", "(a = '1')", "@container > 'a'"] {
            assert_eq!(Expression::search(text), None, "{text}");
        }
        assert!(Expression::search("@container = 'con' AND a >= '1' AND a < '2'").is_some());
    }
}
