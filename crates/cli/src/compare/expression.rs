//! Conditions on rows: `accuracy > 0.8 and c = 1`.
//!
//! ```text
//! either     = both { "or" both }
//! both       = one { "and" one }
//! one        = "not" one | "(" either ")" | value [ sign value ]
//! sign       = "=" | "==" | "!=" | "<" | "<=" | ">" | ">=" | "~"
//! value      = number | "true" | "false" | 'text' | "text" | column | word
//! ```
//!
//! A word that is no column is a text. A column in back quotes may have any name. A row that has no
//! value where one is compared does not meet the condition.

use std::cmp::Ordering;

use sconce_core::text::{Diagnostic, Diagnostics, Sources};
use serde_json::Value;

use super::frame::{Frame, same};
use crate::failure::Failure;

/// A condition, bound to the columns of a frame.
#[derive(Debug)]
pub(crate) enum Condition {
    Any(Vec<Condition>),
    All(Vec<Condition>),
    Not(Box<Condition>),
    Compare(Operand, Sign, Operand),
    Holds(Operand),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Operand {
    Column(usize),
    Literal(Value),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    Same,
    Differs,
    Less,
    AtMost,
    More,
    AtLeast,
    Contains,
}

/// Reads a condition on the columns of `frame`.
pub(crate) fn parse(text: &str, frame: &Frame) -> Result<Condition, Failure> {
    let told = |diagnostic: Diagnostic| {
        let mut sources = Sources::default();
        sources.add("--where", text);
        Failure::Pipeline(Box::new(Diagnostics::new(sources, vec![diagnostic])))
    };
    let tokens = tokens(text).map_err(told)?;
    let mut parser = Parser { tokens: &tokens, place: 0, end: text.len(), frame };
    let condition = parser.either().map_err(told)?;
    match parser.peek() {
        None => Ok(condition),
        Some(token) => Err(told(parser.wrong("`and`, `or` or the end", token))),
    }
}

impl Condition {
    /// Whether a row meets the condition.
    pub(crate) fn holds<'c>(&'c self, frame: &'c Frame, row: usize) -> bool {
        let value = |operand: &'c Operand| match operand {
            Operand::Column(column) => &frame.columns[*column].values[row],
            Operand::Literal(value) => value,
        };
        match self {
            Self::Any(all) => all.iter().any(|one| one.holds(frame, row)),
            Self::All(all) => all.iter().all(|one| one.holds(frame, row)),
            Self::Not(one) => !one.holds(frame, row),
            Self::Holds(operand) => *value(operand) == true,
            Self::Compare(a, sign, b) => compare(value(a), *sign, value(b)),
        }
    }
}

fn compare(a: &Value, sign: Sign, b: &Value) -> bool {
    if a.is_null() || b.is_null() {
        return false;
    }
    match sign {
        Sign::Same => same(a, b),
        Sign::Differs => !same(a, b),
        Sign::Contains => plain(a).contains(&plain(b)),
        Sign::Less => order(a, b) == Some(Ordering::Less),
        Sign::More => order(a, b) == Some(Ordering::Greater),
        Sign::AtMost => matches!(order(a, b), Some(Ordering::Less | Ordering::Equal)),
        Sign::AtLeast => matches!(order(a, b), Some(Ordering::Greater | Ordering::Equal)),
    }
}

/// The order of two values of one type; none where they are of two.
pub(crate) fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => Some(a.as_f64()?.total_cmp(&b.as_f64()?)),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Word {
    Open,
    Close,
    Sign(Sign),
    /// A word without quotes.
    Bare(String),
    Text(String),
    Column(String),
}

type Token = (Word, std::ops::Range<usize>);

fn tokens(text: &str) -> Result<Vec<Token>, Diagnostic> {
    let mut tokens = Vec::new();
    let mut rest = text.char_indices().peekable();
    while let Some(&(start, c)) = rest.peek() {
        if c.is_whitespace() {
            rest.next();
            continue;
        }
        if let '\'' | '"' | '`' = c {
            rest.next();
            let mut inner = String::new();
            let end = loop {
                match rest.next() {
                    Some((at, close)) if close == c => break at + 1,
                    Some((_, other)) => inner.push(other),
                    None => {
                        let message = format!("expected a second {c}");
                        return Err(Diagnostic::new(message, start..text.len()));
                    }
                }
            };
            let word = if c == '`' { Word::Column(inner) } else { Word::Text(inner) };
            tokens.push((word, start..end));
            continue;
        }
        let signs = [
            ("==", Sign::Same),
            ("!=", Sign::Differs),
            ("<>", Sign::Differs),
            ("<=", Sign::AtMost),
            (">=", Sign::AtLeast),
            ("=", Sign::Same),
            ("<", Sign::Less),
            (">", Sign::More),
            ("~", Sign::Contains),
        ];
        let sign = signs.iter().find(|(sign, _)| text[start..].starts_with(sign));
        if let Some((written, sign)) = sign {
            (0..written.len()).for_each(|_| _ = rest.next());
            tokens.push((Word::Sign(*sign), start..start + written.len()));
            continue;
        }
        if let '(' | ')' = c {
            rest.next();
            tokens.push((if c == '(' { Word::Open } else { Word::Close }, start..start + 1));
            continue;
        }
        let is_part = |c: char| !c.is_whitespace() && !"'\"`=<>!~()".contains(c);
        if !is_part(c) {
            let message = format!("expected a column, a value or a sign, found `{c}`");
            return Err(Diagnostic::new(message, start..start + c.len_utf8()));
        }
        let mut word = String::new();
        while let Some((_, c)) = rest.next_if(|&(_, c)| is_part(c)) {
            word.push(c);
        }
        let end = start + word.len();
        tokens.push((Word::Bare(word), start..end));
    }
    Ok(tokens)
}

struct Parser<'a> {
    tokens: &'a [Token],
    place: usize,
    end: usize,
    frame: &'a Frame,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.place)
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let is = |token: &Token| matches!(&token.0, Word::Bare(text) if text == word);
        let found = self.peek().is_some_and(is);
        self.place += usize::from(found);
        found
    }

    fn wrong(&self, expected: &str, token: &Token) -> Diagnostic {
        let found = match &token.0 {
            Word::Bare(text) | Word::Text(text) | Word::Column(text) => format!("`{text}`"),
            Word::Open => "`(`".to_owned(),
            Word::Close => "`)`".to_owned(),
            Word::Sign(_) => "a sign".to_owned(),
        };
        Diagnostic::new(format!("expected {expected}, found {found}"), token.1.clone())
    }

    fn either(&mut self) -> Result<Condition, Diagnostic> {
        let mut all = vec![self.both()?];
        while self.takes_word("or") {
            all.push(self.both()?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Condition::Any(all) })
    }

    fn both(&mut self) -> Result<Condition, Diagnostic> {
        let mut all = vec![self.one()?];
        while self.takes_word("and") {
            all.push(self.one()?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Condition::All(all) })
    }

    fn one(&mut self) -> Result<Condition, Diagnostic> {
        if self.takes_word("not") {
            return Ok(Condition::Not(Box::new(self.one()?)));
        }
        if let Some((Word::Open, _)) = self.peek() {
            self.place += 1;
            let inner = self.either()?;
            return match self.peek() {
                Some((Word::Close, _)) => {
                    self.place += 1;
                    Ok(inner)
                }
                Some(token) => Err(self.wrong("`)`", token)),
                None => Err(Diagnostic::new("expected `)`", self.end..self.end)),
            };
        }
        let (left, at) = self.operand(true)?;
        let Some((Word::Sign(sign), _)) = self.peek() else {
            return match &left {
                Operand::Column(_) => Ok(Condition::Holds(left)),
                Operand::Literal(_) => {
                    let message = "expected a comparison, such as `accuracy > 0.8`";
                    Err(Diagnostic::new(message, at))
                }
            };
        };
        self.place += 1;
        let (right, place) = self.operand(false)?;
        self.comparable(&left, *sign, &right, place)?;
        Ok(Condition::Compare(left, *sign, right))
    }

    /// A column or a value. On the left of a sign an unknown word is a slip of the pen.
    fn operand(&mut self, left: bool) -> Result<(Operand, std::ops::Range<usize>), Diagnostic> {
        let Some((word, place)) = self.peek() else {
            return Err(Diagnostic::new("expected a column or a value", self.end..self.end));
        };
        let operand = match word {
            Word::Text(text) => Operand::Literal(text.as_str().into()),
            Word::Column(name) => Operand::Column(column(self.frame, name, place.clone())?),
            Word::Bare(text) => match literal(text) {
                Some(value) => Operand::Literal(value),
                None if left || self.frame.ambiguous.contains_key(text) => {
                    Operand::Column(column(self.frame, text, place.clone())?)
                }
                None => match self.frame.find(text) {
                    Some(column) => Operand::Column(column),
                    None => Operand::Literal(text.as_str().into()),
                },
            },
            _ => return Err(self.wrong("a column or a value", &(word.clone(), place.clone()))),
        };
        self.place += 1;
        Ok((operand, place.clone()))
    }

    /// A comparison of a number with a text would never hold, or always.
    fn comparable(
        &self,
        left: &Operand,
        sign: Sign,
        right: &Operand,
        place: std::ops::Range<usize>,
    ) -> Result<(), Diagnostic> {
        let (Operand::Column(column), Operand::Literal(value)) = (left, right) else {
            return Ok(());
        };
        let column = &self.frame.columns[*column];
        if sign == Sign::Contains || column.values.iter().all(Value::is_null) {
            return Ok(());
        }
        let fits = |own: &&Value| std::mem::discriminant(*own) == std::mem::discriminant(value);
        if column.values.iter().filter(|own| !own.is_null()).any(|own| fits(&own)) {
            return Ok(());
        }
        let (what, is) = (kind(value), column.values.iter().find(|own| !own.is_null()));
        let is = is.map_or("nothing", kind);
        let message = format!("`{}` is {is}, and this is {what}", column.name);
        let names = self.frame.columns.iter().map(|column| column.name.as_str());
        let diagnostic = Diagnostic::new(message, place);
        Err(match value {
            Value::String(text) => diagnostic.did_you_mean(text, names, "columns"),
            _ => diagnostic,
        })
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}

fn literal(text: &str) -> Option<Value> {
    match text {
        "true" => Some(true.into()),
        "false" => Some(false.into()),
        _ => {
            let digit = text.trim_start_matches(['+', '-', '.']);
            let starts = digit.starts_with(|c: char| c.is_ascii_digit());
            let number = text.parse::<f64>().ok().filter(|number| starts && number.is_finite())?;
            serde_json::Number::from_f64(number).map(Value::Number)
        }
    }
}

/// The column of this name; what is wrong with the name otherwise.
pub(crate) fn column(
    frame: &Frame,
    name: &str,
    place: std::ops::Range<usize>,
) -> Result<usize, Diagnostic> {
    if let Some(full) = frame.ambiguous.get(name) {
        let full: Vec<_> = full.iter().map(|name| format!("`{name}`")).collect();
        let message = format!("`{name}` is several columns: expected {}", full.join(" or "));
        return Err(Diagnostic::new(message, place));
    }
    frame.find(name).ok_or_else(|| {
        let names = frame.columns.iter().map(|column| column.name.as_str());
        Diagnostic::new(format!("there is no column `{name}`"), place)
            .did_you_mean(name, names, "columns")
    })
}

/// Columns by name, separated by commas; with a `-` before the name for the other direction.
pub(crate) fn columns(
    option: &str,
    text: &str,
    frame: &Frame,
) -> Result<Vec<(usize, bool)>, Failure> {
    let mut found = Vec::new();
    let mut start = 0;
    for part in text.split(',') {
        let name = part.trim();
        let at = start + (part.len() - part.trim_start().len());
        start += part.len() + 1;
        // A name of its own may begin with a `-`.
        let (name, down) = match name.strip_prefix('-') {
            Some(rest) if frame.find(name).is_none() => (rest, true),
            _ => (name, false),
        };
        let place = at..at + name.len() + usize::from(down);
        let column = column(frame, name, place).map_err(|diagnostic| {
            let mut sources = Sources::default();
            sources.add(option, text);
            Failure::Pipeline(Box::new(Diagnostics::new(sources, vec![diagnostic])))
        })?;
        found.push((column, down));
    }
    Ok(found)
}
