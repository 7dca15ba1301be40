//! Whose class is it? A class is known by its name, never by its place in a list.
//!
//! A network numbers its classes, and images have theirs in folders of their own: which is which is decided here, for all
//! kinds. Names are compared without case, `_` and `-` count as spaces, and a name has synonyms: those that it lists with
//! commas (`tench, Tinca tinca`), and a WordNet id (`n01440764`, `n02085620-Chihuahua`) those that ImageNet gives it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use sconce_core::{Error, Result};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::embedded;

/// The classes that a network tells apart.
#[derive(Debug, Clone, Copy)]
pub struct Outputs<'a> {
    /// Their names by number; empty when the weights do not tell them.
    pub names: &'a [String],
    /// How many there are, where it is known.
    pub count: Option<usize>,
}

/// Which of a network's classes an images' class is, where names do not tell: `{ cat = "tabby", "my fish" = 1 }`.
///
/// On the left a class of the images, on the right the network's: its name, a synonym, a WordNet id or its number.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct SameClasses(BTreeMap<String, String>);

impl SameClasses {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The images' classes of which something is said.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// What is said of the images' classes that `keep` names.
    #[must_use]
    pub fn only(&self, keep: impl Fn(&str) -> bool) -> Self {
        let pairs = self.0.iter().filter(|(class, _)| keep(class));
        pairs.map(|(class, name)| (class.clone(), name.clone())).collect()
    }
}

impl FromIterator<(String, String)> for SameClasses {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

impl JsonSchema for SameClasses {
    fn schema_name() -> Cow<'static, str> {
        "SameClasses".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": { "type": ["string", "integer"] } })
    }
}

/// A name, or a number as text.
struct NameOrNumber(String);

impl<'de> Deserialize<'de> for NameOrNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;
        impl Visitor<'_> for Words {
            type Value = NameOrNumber;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name or the number of a class")
            }

            fn visit_str<E>(self, name: &str) -> Result<NameOrNumber, E> {
                Ok(NameOrNumber(name.to_owned()))
            }

            fn visit_u64<E>(self, number: u64) -> Result<NameOrNumber, E> {
                Ok(NameOrNumber(number.to_string()))
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<NameOrNumber, E> {
                let number = u64::try_from(number)
                    .map_err(|_| E::invalid_value(serde::de::Unexpected::Signed(number), &self))?;
                self.visit_u64(number)
            }
        }
        deserializer.deserialize_any(Words)
    }
}

impl<'de> Deserialize<'de> for SameClasses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = SameClasses;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table from the images' classes to the network's, such as { cat = \"tabby\" }")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SameClasses, A::Error> {
                let mut pairs = BTreeMap::new();
                while let Some((class, NameOrNumber(name))) = map.next_entry::<String, _>()? {
                    pairs.insert(class, name);
                }
                Ok(SameClasses(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

impl Outputs<'_> {
    /// Refuses names of another network.
    ///
    /// # Errors
    /// When there are names, but not as many as classes.
    pub fn check(&self) -> Result<()> {
        match self.count {
            Some(count) if !self.names.is_empty() && self.names.len() != count => {
                Err(Error::message(format!(
                    "the network tells {count} classes apart, the weights name {}: expected one name a class \
                     (`class_names` of kind weights)",
                    self.names.len()
                )))
            }
            _ => Ok(()),
        }
    }

    /// The number of the class called `name`: its whole name, one of its synonyms (see the [module](self)), or its number.
    ///
    /// Digits are a number even where classes have numbers as names (where these differ, as in a part of MNIST, the name
    /// wins).
    ///
    /// # Errors
    /// When no class or several are called so; the error names the parameter `key`.
    pub fn number(&self, key: &str, name: &str) -> Result<u32> {
        let name = name.trim();
        let index = Index::new(self.names);
        match index.find(name) {
            Found::One(number) => return Ok(number),
            Found::Several(numbers) => return Err(Error::parameter(key, several(name, &numbers))),
            Found::None => {}
        }
        if let Ok(number) = name.parse::<u32>() {
            let count = self.count.or((!self.names.is_empty()).then_some(self.names.len()));
            return match count {
                Some(count) if number as usize >= count => Err(Error::parameter(
                    key,
                    format!("expected a class below {count}, found {number}"),
                )),
                _ => Ok(number),
            };
        }
        let wanted = fold(name);
        let like = |class: &&String| fold(class).contains(&wanted);
        let near: Vec<_> =
            self.names.iter().filter(like).take(5).map(|c| format!("`{c}`")).collect();
        let hint = match near.is_empty() {
            true => String::new(),
            false => format!("; there are {}", near.join(", ")),
        };
        Err(Error::parameter(
            key,
            format!("expected the name or the number of a class, found `{name}`{hint}"),
        ))
    }

    /// The network's class of each of the images' `classes` that occurs among `labels`: what `said` says, else the one of
    /// the same name. A network without names knows its classes by number, and images that have as many classes, called
    /// `0`, `1`, …, agree with it.
    ///
    /// # Errors
    /// When a class has none or several; the message has both lists, and names the parameter `classes`.
    pub fn same_as(
        &self,
        classes: &[String],
        labels: &[u32],
        said: &SameClasses,
    ) -> Result<Vec<Option<u32>>> {
        if let Some(unknown) = said.0.keys().find(|class| !classes.contains(class)) {
            return Err(Error::parameter(
                "classes",
                format!("the images have no class `{unknown}`; they have {}", list(classes)),
            ));
        }
        let index = Index::new(self.names);
        let by_number = self.names.is_empty()
            && self.count == Some(classes.len())
            && (0..classes.len()).all(|number| classes.contains(&number.to_string()));
        let used: BTreeSet<u32> = labels.iter().copied().collect();
        let mut found = vec![None; classes.len()];
        let mut strangers = Vec::new();
        for (label, name) in classes.iter().enumerate() {
            if !used.contains(&(label as u32)) {
                continue;
            }
            found[label] = if let Some(said) = said.0.get(name) {
                Some(self.number(&format!("classes.{name}"), said)?)
            } else if self.names == classes {
                Some(label as u32)
            } else if by_number {
                name.parse().ok()
            } else {
                match index.find(name) {
                    Found::One(number) => Some(number),
                    Found::Several(numbers) => {
                        return Err(Error::parameter("classes", several(name, &numbers)));
                    }
                    Found::None => None,
                }
            };
            if found[label].is_none() {
                strangers.push(name.as_str());
            }
        }
        match strangers[..] {
            [] => Ok(found),
            [first, ..] => {
                Err(Error::parameter("classes", self.strangers(classes, first, strangers.len())))
            }
        }
    }

    /// Why the images' class `first`, and `count` in all, have no number.
    fn strangers(&self, classes: &[String], first: &str, count: usize) -> String {
        let theirs = list(classes);
        let more = match count {
            1 => String::new(),
            n => format!(" (and {} more)", n - 1),
        };
        let example = format!("`classes = {{ {} = NAME_OR_NUMBER }}`", toml_key(first));
        if self.names.is_empty() {
            let known = match self.count {
                Some(n) => format!("{n} classes"),
                None => "classes".to_owned(),
            };
            return format!(
                "which of the network's classes is `{first}`{more}? The weights know {known} by number alone, the images \
                 have {theirs}. Name the network's by `class_names` of kind weights, or say it: {example}"
            );
        }
        format!(
            "which of the network's classes is `{first}`{more}? The images have {theirs}; the network knows {}. Classes are \
             matched by name, synonym or WordNet id; say what differs: {example}",
            list(self.names)
        )
    }
}

/// Whether two names mean one class.
pub fn is_same(a: &str, b: &str) -> bool {
    a == b || !names_of(a).is_disjoint(&names_of(b))
}

/// Classes by all their names.
struct Index<'a> {
    classes: &'a [String],
    whole: BTreeMap<String, Vec<u32>>,
    any: BTreeMap<String, Vec<u32>>,
}

enum Found {
    None,
    One(u32),
    Several(Vec<u32>),
}

impl<'a> Index<'a> {
    fn new(classes: &'a [String]) -> Self {
        let mut index = Self { classes, whole: BTreeMap::new(), any: BTreeMap::new() };
        for (number, class) in classes.iter().enumerate() {
            index.whole.entry(fold(class)).or_default().push(number as u32);
            for name in names_of(class) {
                index.any.entry(name).or_default().push(number as u32);
            }
        }
        index
    }

    /// The class called `name`: the exact name before the same letters, these before a synonym.
    fn find(&self, name: &str) -> Found {
        let exact = (0..).zip(self.classes).filter(|(_, class)| *class == name);
        let exact: Vec<u32> = exact.map(|(number, _)| number).collect();
        if !exact.is_empty() {
            return Found::of(exact);
        }
        if let Some(number) = self.in_imagenet_order(name) {
            return Found::One(number);
        }
        if let Some(numbers) = self.whole.get(&fold(name)) {
            return Found::of(numbers.clone());
        }
        let numbers: BTreeSet<u32> = names_of(name)
            .iter()
            .filter_map(|name| self.any.get(name))
            .flatten()
            .copied()
            .collect();
        Found::of(numbers.into_iter().collect())
    }

    /// ImageNet has two classes called `crane`: its 1000 classes in its order tell them apart by WordNet id.
    fn in_imagenet_order(&self, name: &str) -> Option<u32> {
        let (id, _) = wordnet_id(name)?;
        let ids = embedded::imagenet_wordnet_ids();
        if self.classes.len() != ids.len() {
            return None;
        }
        let place = ids.iter().position(|known| *known == id)?;
        is_same(id, &self.classes[place]).then_some(place as u32)
    }
}

impl Found {
    fn of(numbers: Vec<u32>) -> Self {
        match numbers[..] {
            [] => Self::None,
            [number] => Self::One(number),
            _ => Self::Several(numbers),
        }
    }
}

/// All names that `class` goes by.
fn names_of(class: &str) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = class.split(',').map(fold).collect();
    names.insert(fold(class));
    if let Some((id, rest)) = wordnet_id(class) {
        names.insert(id.to_owned());
        names.extend((!rest.is_empty()).then(|| fold(rest)));
        if let Some(place) = embedded::imagenet_wordnet_ids().iter().position(|known| *known == id)
            && let Some(imagenet) = embedded::imagenet_classes().get(place)
        {
            names.extend(imagenet.split(',').map(fold));
        }
    }
    names.remove("");
    names
}

/// `n02085620` and `Chihuahua` of `n02085620-Chihuahua`.
fn wordnet_id(class: &str) -> Option<(&str, &str)> {
    let (id, rest) = class.trim().split_at_checked(9)?;
    let digits = id.strip_prefix('n')?;
    let ends = rest.is_empty() || rest.starts_with(['-', '_', ' ', ',', '.']);
    (digits.bytes().all(|byte| byte.is_ascii_digit()) && ends)
        .then(|| (id, rest.trim_start_matches(['-', '_', ' ', ',', '.'])))
}

/// The letters that count: lowercase, with single spaces for `_`, `-` and white space.
fn fold(name: &str) -> String {
    let lower = name.to_lowercase();
    let words = lower.split(|c: char| c.is_whitespace() || c == '_' || c == '-');
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

fn several(name: &str, numbers: &[u32]) -> String {
    let numbers: Vec<_> = numbers.iter().map(u32::to_string).collect();
    format!(
        "several classes are called `{name}`: expected one of their numbers, {}",
        numbers.join(", ")
    )
}

/// The first few names, and how many there are.
fn list(names: &[String]) -> String {
    const FEW: usize = 6;
    let few: Vec<_> = names.iter().take(FEW).map(|name| format!("`{name}`")).collect();
    match names.len() {
        0 => "none".to_owned(),
        n if n > FEW => format!("{n}: {}, …", few.join(", ")),
        _ => few.join(", "),
    }
}

/// `name` as it stands on the left of a TOML assignment.
fn toml_key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match !name.is_empty() && name.chars().all(bare) {
        true => name.to_owned(),
        false => format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\"")),
    }
}

#[cfg(test)]
mod tests;
