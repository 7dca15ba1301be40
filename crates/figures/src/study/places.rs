//! The places of a study's text that refer to stages, and the template that is left for minijinja.
//!
//! A reference is written as in a pipeline file: `test[layer=fire9,normalize=true].accuracy`. That is no expression of
//! Jinja, so each becomes a plain name before the template is compiled, and every byte of the template keeps the place
//! that it came from. Names have hyphens here, as in pipeline files: a difference is written with spaces, `a - b`.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use sconce_core::Artifact as _;
use sconce_core::stage::document::{Misplaced, Place, Wants};
use sconce_data::Figure;

use super::lexer::{end_of_tag, is_exhibit, name_at, reference_end, string_end};
use super::values;

/// Words of the template's language that are no references.
const WORDS: [&str; 29] = [
    "and",
    "or",
    "not",
    "in",
    "is",
    "if",
    "else",
    "elif",
    "endif",
    "for",
    "endfor",
    "set",
    "endset",
    "with",
    "endwith",
    "filter",
    "endfilter",
    "recursive",
    "true",
    "false",
    "none",
    "True",
    "False",
    "None",
    "loop",
    "raw",
    "endraw",
    "do",
    "macro",
];

const FUNCTIONS: [&str; 3] = ["range", "dict", "namespace"];

/// A study's text, ready to be filled.
#[derive(Debug, Default)]
pub struct Scanned {
    /// What minijinja compiles.
    pub template: String,
    /// For each byte of the template the bytes of the text that it came from.
    origin: Vec<Range<usize>>,
    /// The places that refer to something.
    pub places: Vec<Place>,
    /// Names in the template: those of values by [`Place::name`], numbers of exhibits in order.
    pub names: BTreeMap<String, String>,
    /// The exhibits that are shown or referred to.
    pub exhibits: Vec<Exhibit>,
}

/// A place of an exhibit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exhibit {
    /// The edge to it.
    pub written: String,
    /// The place.
    pub at: Range<usize>,
    /// What it does.
    pub role: Role,
}

/// What a place does with an exhibit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It shows it as a figure.
    Figure,
    /// It shows it as a table.
    Table,
    /// It names its number.
    Ref,
}

impl Scanned {
    /// The place in the text of a range of the template.
    pub fn place(&self, range: Range<usize>) -> Range<usize> {
        let end = self.origin.last().map_or(0, |last| last.end);
        let at = |byte: usize| self.origin.get(byte).cloned().unwrap_or(end..end);
        let start = at(range.start).start;
        let last = if range.end > range.start { at(range.end - 1).end } else { start };
        start..last.max(start)
    }
}

/// Takes a text apart. `profiles` are those that were asked for.
///
/// # Errors
/// All that is wrong with the text alone, each with its place.
pub fn scan(text: &str, profiles: &[String]) -> Result<Scanned, Vec<Misplaced>> {
    let mut scanner = Scanner {
        text,
        profiles,
        found: Scanned::default(),
        locals: BTreeSet::from(["loop".to_owned()]),
        blocks: Vec::new(),
        wrong: Vec::new(),
    };
    scanner.text();
    let Scanner { found, mut wrong, .. } = scanner;
    if wrong.is_empty() {
        wrong.extend(unshown(&found));
    }
    if wrong.is_empty() {
        wrong.extend(values::syntax(&found));
    }
    if wrong.is_empty() { Ok(found) } else { Err(wrong) }
}

/// Exhibits that are referred to and nowhere shown.
fn unshown(found: &Scanned) -> Vec<Misplaced> {
    let shown = || found.exhibits.iter().filter(|one| one.role != Role::Ref);
    let mut wrong = Vec::new();
    for one in found.exhibits.iter().filter(|one| one.role == Role::Ref) {
        if shown().all(|other| other.written != one.written) {
            let names: BTreeSet<&str> = shown().map(|one| one.written.as_str()).collect();
            let help = match names.is_empty() {
                true => format!("show it by `{{{{ figure {} }}}}`", one.written),
                false => {
                    format!("shown are: {}", names.into_iter().collect::<Vec<_>>().join(", "))
                }
            };
            let message = format!("`{}` is shown nowhere in this text", one.written);
            wrong.push(Misplaced::new(message, one.at.clone()).help(help));
        }
    }
    wrong
}

/// Whether text for some profiles is taken, and where its tag stands.
struct Block {
    at: Range<usize>,
    taken: bool,
}

struct Scanner<'t> {
    text: &'t str,
    profiles: &'t [String],
    found: Scanned,
    /// Names that the template itself binds.
    locals: BTreeSet<String>,
    blocks: Vec<Block>,
    wrong: Vec<Misplaced>,
}

impl Scanner<'_> {
    fn text(&mut self) {
        let mut at = 0;
        while let Some(found) = self.text[at..].find('{').map(|found| at + found) {
            let rest = &self.text[found..];
            let close = match rest.as_bytes().get(1) {
                Some(b'{') => "}}",
                Some(b'%') => "%}",
                Some(b'#') => "#}",
                _ => {
                    self.copy(at..found + 1);
                    at = found + 1;
                    continue;
                }
            };
            let end = match close {
                "#}" => rest.find(close),
                _ => end_of_tag(rest, close),
            };
            let Some(end) = end.map(|end| found + end + 2) else {
                self.say(format!("expected `{close}` to close this"), found..found + 2);
                return;
            };
            let line = if close == "}}" { None } else { self.line_of_tags(found..end) };
            // A line of nothing but tags leaves none behind.
            let before = line.as_ref().map_or(found, |line| at.max(line.start));
            self.copy(at..before);
            at = match close {
                "#}" => {
                    self.copy(found..end);
                    end
                }
                _ => self.tag(found..end, close),
            };
            if let Some(line) = line
                && at < line.end
                && self.text[at..line.end].trim().is_empty()
            {
                at = line.end;
            }
        }
        self.copy(at..self.text.len());
        for block in std::mem::take(&mut self.blocks) {
            self.say("expected `{% endprofile %}` behind this".to_owned(), block.at);
        }
    }

    /// The line of a tag with its line break, if there is nothing but tags, comments and blanks on it.
    fn line_of_tags(&self, tag: Range<usize>) -> Option<Range<usize>> {
        let start = self.text[..tag.start].rfind('\n').map_or(0, |at| at + 1);
        let end = self.text[tag.end..].find('\n').map_or(self.text.len(), |at| tag.end + at + 1);
        let mut rest = self.text[start..end].trim();
        while !rest.is_empty() {
            let close = match rest.get(..2) {
                Some("{%") => end_of_tag(rest, "%}"),
                Some("{#") => rest.find("#}"),
                _ => return None,
            };
            rest = rest[close? + 2..].trim_start();
        }
        Some(start..end)
    }

    /// Whether all profile blocks around here are taken.
    fn taken(&self) -> bool {
        self.blocks.iter().all(|block| block.taken)
    }

    fn say(&mut self, message: String, at: Range<usize>) {
        self.wrong.push(Misplaced::new(message, at));
    }

    /// Takes a part of the text over.
    fn copy(&mut self, range: Range<usize>) {
        if self.taken() {
            self.found.template.push_str(&self.text[range.clone()]);
            self.found.origin.extend(range.map(|byte| byte..byte + 1));
        }
    }

    /// Writes `words` in place of `range`.
    fn write(&mut self, words: &str, range: &Range<usize>) {
        if self.taken() {
            self.found.template.push_str(words);
            self.found.origin.extend(words.bytes().map(|_| range.clone()));
        }
    }

    /// A tag; returns where the text goes on.
    fn tag(&mut self, tag: Range<usize>, close: &str) -> usize {
        // Signs that tell minijinja what to do with the blanks around.
        let body = &self.text[tag.start + 2..tag.end - 2];
        let signed = body.strip_prefix(['-', '+']).unwrap_or(body);
        let start = tag.end - 2 - signed.len();
        let signed = signed.strip_suffix(['-', '+']).unwrap_or(signed);
        let inner = start..start + signed.len();
        let body = &self.text[inner.clone()];
        let first = body.split_whitespace().next().unwrap_or_default().to_owned();
        let behind = body.trim_start()[first.len()..].trim().to_owned();
        match (close, first.as_str()) {
            ("%}", "profile" | "otherwise" | "endprofile") => {
                self.profile(&first, &behind, tag.clone());
                return tag.end;
            }
            ("%}", "raw") => {
                let rest = &self.text[tag.end..];
                let until =
                    rest.find("endraw").and_then(|at| Some(at + rest[at..].find("%}")? + 2));
                let Some(until) = until else {
                    self.say("expected `{% endraw %}` behind this".to_owned(), tag.clone());
                    return self.text.len();
                };
                self.copy(tag.start..tag.end + until);
                return tag.end + until;
            }
            _ if !self.taken() => return tag.end,
            ("}}", "if" | "for" | "else" | "elif" | "endif" | "endfor" | "set") => {
                self.wrong.push(
                    Misplaced::new(format!("`{first}` is no value"), tag.clone())
                        .help(format!("write `{{% {} %}}`", body.trim())),
                );
                return tag.end;
            }
            ("}}", "figure" | "table" | "ref") if is_exhibit(&behind) => {
                self.exhibit(&first, &behind, &inner, &tag);
                return tag.end;
            }
            ("%}", "for") => {
                let names = behind.split(" in ").next().unwrap_or_default();
                self.locals.extend(names.split(',').map(|name| name.trim().to_owned()));
            }
            ("%}", "set" | "with") => {
                for assigned in behind.split(',') {
                    let name = assigned.split('=').next().unwrap_or_default().trim();
                    self.locals.insert(name.to_owned());
                }
            }
            _ => {}
        }
        self.copy(tag.start..inner.start);
        self.expression(inner.clone());
        self.copy(inner.end..tag.end);
        tag.end
    }

    /// A tag of text that stands for some profiles alone.
    fn profile(&mut self, first: &str, names: &str, tag: Range<usize>) {
        let asked: Vec<&str> = match self.profiles {
            [] => vec!["base"],
            profiles => profiles.iter().map(String::as_str).collect(),
        };
        match (first, self.blocks.last_mut()) {
            ("profile", _) if names.is_empty() => {
                let help = "such as `{% profile paper %}`, or `base` for none";
                self.wrong.push(Misplaced::new("expected names of profiles", tag).help(help));
            }
            ("profile", _) => {
                let taken = names.split([' ', ',']).any(|name| asked.contains(&name));
                self.blocks.push(Block { at: tag, taken });
            }
            ("otherwise", Some(block)) => block.taken = !block.taken,
            ("endprofile", Some(_)) => _ = self.blocks.pop(),
            (other, _) => {
                self.say(format!("there is no `{{% profile … %}}` before this `{other}`"), tag);
            }
        }
    }

    fn exhibit(&mut self, first: &str, written: &str, inner: &Range<usize>, tag: &Range<usize>) {
        let start =
            self.text[inner.clone()].rfind(written).map_or(inner.start, |at| inner.start + at);
        let at = start..start + written.len();
        let role = match first {
            "figure" => Role::Figure,
            "table" => Role::Table,
            _ => Role::Ref,
        };
        let number = self.found.exhibits.len();
        let shown_twice = role != Role::Ref
            && self
                .found
                .exhibits
                .iter()
                .any(|one| one.role != Role::Ref && one.written == written);
        if shown_twice {
            let help = format!("refer to it by `{{{{ ref {written} }}}}`");
            self.wrong
                .push(Misplaced::new(format!("`{written}` is shown twice"), at.clone()).help(help));
        }
        if role != Role::Ref {
            let wants = Wants::Artifact(Figure::TYPE);
            let place = Place { written: written.to_owned(), at: at.clone(), wants };
            self.found.places.push(place);
        }
        self.found.exhibits.push(Exhibit { written: written.to_owned(), at, role });
        self.write(&format!("{{{{ exhibit({number}) }}}}"), tag);
    }

    /// The inside of a tag: references become names.
    fn expression(&mut self, range: Range<usize>) {
        let mut at = range.start;
        // The last sign or word that is no space.
        let mut before = String::new();
        let mut depth = 0_usize;
        while at < range.end {
            let rest = &self.text[at..range.end];
            let Some(sign) = rest.chars().next() else { return };
            if sign == '"' || sign == '\'' {
                let end = string_end(rest).map_or(range.end, |end| at + end);
                self.copy(at..end);
                at = end;
                before = "\"".to_owned();
            } else if sign.is_ascii_digit() {
                let digits = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '.'));
                let end = at + digits.unwrap_or(rest.len());
                self.copy(at..end);
                at = end;
                before = "0".to_owned();
            } else if sign.is_alphabetic() || sign == '_' || sign == '$' {
                let name = name_at(rest);
                let behind = self.text[at + name.len()..range.end].trim_start();
                let is_attribute = before == ".";
                let is_call = behind.starts_with('(');
                let is_argument = depth > 0 && behind.starts_with('=') && !behind.starts_with("==");
                let here = at..at + name.len();
                let known: Option<(&'static str, &[&str])> = match before.as_str() {
                    "|" => Some(("filter", values::FILTERS)),
                    "is" | "is not" => Some(("test", values::TESTS)),
                    _ if is_call && !is_attribute && !WORDS.contains(&name) => {
                        Some(("function", &FUNCTIONS))
                    }
                    _ => None,
                };
                if let Some((what, known)) = known {
                    if name == "not" && what == "test" {
                        before = "is not".to_owned();
                        self.copy(here.clone());
                        at = here.end;
                        continue;
                    }
                    if !known.contains(&name) {
                        let error = crate::Error::unknown(what, name, known.iter().copied());
                        self.say(error.to_string(), here.clone());
                    }
                    self.copy(here.clone());
                    at = here.end;
                } else if is_attribute
                    || is_argument
                    || WORDS.contains(&name)
                    || self.locals.contains(name)
                {
                    self.copy(here.clone());
                    at = here.end;
                } else {
                    let end = at + reference_end(rest, name.len());
                    self.reference(at..end, range.end);
                    at = end;
                    before = "]".to_owned();
                    continue;
                }
                before = name.to_owned();
            } else {
                match sign {
                    '(' | '[' => depth += 1,
                    ')' | ']' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                let end = at + sign.len_utf8();
                self.copy(at..end);
                if !sign.is_whitespace() {
                    before = sign.to_string();
                }
                at = end;
            }
        }
    }

    fn reference(&mut self, at: Range<usize>, end: usize) {
        let written = self.text[at.clone()].to_owned();
        let behind = self.text[at.end..end].trim_start();
        let filter = behind.strip_prefix('|').map(|filter| name_at(filter.trim_start()));
        let number = filter.is_some_and(|filter| values::NUMERIC.contains(&filter));
        let place = Place { written, at: at.clone(), wants: Wants::Value { number } };
        let next = format!("r{}", self.found.names.len());
        let name = self.found.names.entry(place.name()).or_insert(next).clone();
        self.found.places.push(place);
        self.write(&name, &at);
    }
}
