//! The parameters that stand at their defaults, which a key leaves out.
//!
//! [`Defaults::leave_out`] takes a field out of a table where its value is the field's default, at
//! any depth; [`Defaults::fill_in`] puts it back. The second undoes the first whatever the schema
//! says, so that two different sets of parameters keep different keys. What the schema does not
//! tell clearly (an untagged choice of tables, a recursive type) stays in the key as it is.

use std::collections::{BTreeMap, BTreeSet};

use schemars::Schema;
use serde_json::{Map, Value};

use crate::stage::input::{COSMETIC_KEY, INPUT_KEY};
use crate::stage::properties;

/// The defaults of a kind's parameters, at any depth.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Defaults {
    /// The fields that are known of a table.
    fields: BTreeMap<String, Field>,
    /// All other fields of a table.
    others: Option<Box<Defaults>>,
    /// The items of a list.
    items: Option<Box<Defaults>>,
    /// Tables that differ by the text in a field of theirs.
    choice: Option<Choice>,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Field {
    /// The value where the field is not written, where the schema tells it.
    default: Option<Value>,
    /// What is inside its value.
    inner: Defaults,
}

#[derive(Debug, Clone, PartialEq)]
struct Choice {
    tag: String,
    by_text: BTreeMap<String, Defaults>,
}

impl Defaults {
    /// The defaults that a kind's schema tells, without those of inputs and cosmetic parameters,
    /// which never enter a key.
    pub fn of(schema: &Schema) -> Self {
        let mut defaults = Self::read(schema.as_value());
        for (name, field) in properties(schema) {
            if field.get(INPUT_KEY).is_some() || field.get(COSMETIC_KEY).is_some() {
                defaults.fields.remove(name);
            }
        }
        defaults
    }

    /// Every default with its path, such as `optimiser.adam.beta1`. A list's items have the path
    /// `rows.*`, as the fields of a table whose names are free have, and a choice's tables
    /// `attack.<method=fgsm>`.
    pub fn list(&self) -> Vec<(String, &Value)> {
        let mut all = Vec::new();
        self.list_below("", &mut all);
        all
    }

    fn list_below<'a>(&'a self, path: &str, all: &mut Vec<(String, &'a Value)>) {
        let join = |name: &str| match path {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        };
        for (name, field) in &self.fields {
            let path = join(name);
            if let Some(default) = &field.default {
                all.push((path.clone(), default));
            }
            field.inner.list_below(&path, all);
        }
        for inner in [&self.items, &self.others].into_iter().flatten() {
            inner.list_below(&join("*"), all);
        }
        if let Some(Choice { tag, by_text }) = &self.choice {
            for (text, inner) in by_text {
                inner.list_below(&join(&format!("<{tag}={text}>")), all);
            }
        }
    }

    /// `value` without the fields that stand at their defaults.
    pub fn leave_out(&self, value: &Value) -> Value {
        match value {
            Value::Object(table) => {
                let Some(known) = self.of_table(table) else { return value.clone() };
                let mut kept = Map::new();
                for (name, value) in table {
                    match known.fields.get(name) {
                        Some(field) if field.is_default(value) => {}
                        Some(field) => {
                            kept.insert(name.clone(), field.inner.leave_out(value));
                        }
                        None => {
                            let others = known.others.as_deref();
                            let value =
                                others.map_or_else(|| value.clone(), |all| all.leave_out(value));
                            kept.insert(name.clone(), value);
                        }
                    }
                }
                for (name, field) in &known.fields {
                    // A kind's own `Serialize` has skipped it. That is not the default.
                    if !table.contains_key(name) && field.default.as_ref().is_some_and(is_filled) {
                        kept.insert(name.clone(), Value::Null);
                    }
                }
                Value::Object(kept)
            }
            Value::Array(items) => match &self.items {
                Some(known) => items.iter().map(|item| known.leave_out(item)).collect(),
                None => value.clone(),
            },
            scalar => scalar.clone(),
        }
    }

    /// `value` with the defaults of the fields that are not there.
    pub fn fill_in(&self, value: &Value) -> Value {
        match value {
            Value::Object(table) => {
                let Some(known) = self.of_table(table) else { return value.clone() };
                let mut filled = Map::new();
                for (name, value) in table {
                    let inner = match known.fields.get(name) {
                        Some(field) => Some(&field.inner),
                        None => known.others.as_deref(),
                    };
                    let value = inner.map_or_else(|| value.clone(), |inner| inner.fill_in(value));
                    filled.insert(name.clone(), value);
                }
                for (name, field) in &known.fields {
                    if let (false, Some(default)) = (table.contains_key(name), &field.default) {
                        filled.insert(name.clone(), default.clone());
                    }
                }
                Value::Object(filled)
            }
            Value::Array(items) => match &self.items {
                Some(known) => items.iter().map(|item| known.fill_in(item)).collect(),
                None => value.clone(),
            },
            scalar => scalar.clone(),
        }
    }

    /// What is known of this very table; nothing where it is none of the tables of a choice.
    fn of_table(&self, table: &Map<String, Value>) -> Option<&Self> {
        match &self.choice {
            Some(Choice { tag, by_text }) => by_text.get(table.get(tag)?.as_str()?),
            None => Some(self),
        }
    }

    fn read(schema: &Value) -> Self {
        let Value::Object(schema) = schema else { return Self::default() };
        let mut found = Self::default();
        let alternatives = ["oneOf", "anyOf"].iter().filter_map(|key| schema.get(*key)?.as_array());
        let alternatives: Vec<&Value> = alternatives.flatten().collect();
        if !alternatives.is_empty() {
            found = Self::of_alternatives(&alternatives);
            if schema.contains_key("properties") {
                // A flattened choice: which fields belong together cannot be told.
                return Self::default();
            }
        }
        let list = |key: &str| schema.get(key).and_then(Value::as_array).into_iter().flatten();
        let required: BTreeSet<&str> = list("required").filter_map(Value::as_str).collect();
        let properties = schema.get("properties").and_then(Value::as_object);
        for (name, field) in properties.into_iter().flatten() {
            let default = if required.contains(name.as_str()) { None } else { default_of(field) };
            found.fields.insert(name.clone(), Field { default, inner: Self::read(field) });
        }
        if let Some(others @ Value::Object(_)) = schema.get("additionalProperties") {
            found.others = Some(Box::new(Self::read(others)));
        }
        if let (Some(items), None) = (schema.get("items"), schema.get("prefixItems")) {
            found.items = Some(Box::new(Self::read(items)));
        }
        found
    }

    /// An option (`anyOf` of a table and null), or an enum whose variants hold tables.
    fn of_alternatives(alternatives: &[&Value]) -> Self {
        let of_type = |wanted: &str| -> Vec<&Value> {
            let is = |one: &&&Value| one.get("type").is_none_or(|have| names_type(have, wanted));
            let constant = |one: &&&Value| one.get("const").is_some() || one.get("enum").is_some();
            alternatives.iter().filter(|one| is(one) && !constant(one)).copied().collect()
        };
        let mut found = match of_type("object").as_slice() {
            [] => Self::default(),
            [one] => Self { items: None, ..Self::read(one) },
            several => Self::by_name(several).or_else(|| Self::by_tag(several)).unwrap_or_default(),
        };
        if let [one] = of_type("array").as_slice() {
            found.items = Self::read(one).items;
        }
        found
    }

    /// `{ adam = { … } }` or `{ sgd = { … } }`: each alternative has one field, which names it.
    fn by_name(alternatives: &[&Value]) -> Option<Self> {
        let mut fields = BTreeMap::new();
        for alternative in alternatives {
            let properties = alternative.get("properties")?.as_object()?;
            let (Some((name, inner)), 1) = (properties.iter().next(), properties.len()) else {
                return None;
            };
            if alternative.get("required")?.as_array()?.as_slice() != [Value::from(name.as_str())] {
                return None;
            }
            let field = Field { default: None, inner: Self::read(inner) };
            if fields.insert(name.clone(), field).is_some() {
                return None;
            }
        }
        Some(Self { fields, ..Self::default() })
    }

    /// `{ method = "fgsm", … }`: each alternative has a text of its own in the same field.
    fn by_tag(alternatives: &[&Value]) -> Option<Self> {
        let constants = |alternative: &Value| -> Option<BTreeMap<String, String>> {
            let required = alternative.get("required")?.as_array()?;
            let properties = alternative.get("properties")?.as_object()?;
            let constant = |(name, field): (&String, &Value)| {
                let text = field.get("const")?.as_str()?.to_owned();
                required.contains(&Value::from(name.as_str())).then(|| (name.clone(), text))
            };
            Some(properties.iter().filter_map(constant).collect())
        };
        let all = alternatives.iter().map(|one| constants(one)).collect::<Option<Vec<_>>>()?;
        let tag = all.first()?.keys().find(|tag| {
            let texts: BTreeSet<_> = all.iter().filter_map(|one| one.get(*tag)).collect();
            texts.len() == all.len()
        })?;
        let by_text = all.iter().zip(alternatives);
        let by_text = by_text.map(|(one, schema)| (one[tag].clone(), Self::read(schema))).collect();
        Some(Self { choice: Some(Choice { tag: tag.clone(), by_text }), ..Self::default() })
    }
}

impl Field {
    fn is_default(&self, value: &Value) -> bool {
        self.default.as_ref().is_some_and(|default| same(value, default))
    }
}

/// The value that a field has where it is not written.
fn default_of(field: &Value) -> Option<Value> {
    match field.get("default") {
        Some(default) => Some(as_typed(default, field)),
        // An `Option` needs no `#[serde(default)]`.
        None if takes_null(field) => Some(Value::Null),
        None => None,
    }
}

fn takes_null(schema: &Value) -> bool {
    let alternatives = ["oneOf", "anyOf"].iter().filter_map(|key| schema.get(*key)?.as_array());
    schema.get("type").is_some_and(|have| names_type(have, "null"))
        || alternatives.flatten().any(takes_null)
}

fn names_type(have: &Value, wanted: &str) -> bool {
    match have {
        Value::String(name) => name == wanted,
        Value::Array(names) => names.iter().any(|name| name == wanted),
        _ => false,
    }
}

/// A default as the field's type writes it: 1 is 1.0 where it takes any number.
fn as_typed(default: &Value, schema: &Value) -> Value {
    let number = schema.get("type").is_some_and(|have| names_type(have, "number"));
    match default {
        Value::Number(whole) if number && !whole.is_f64() => {
            whole.as_f64().map_or_else(|| default.clone(), Value::from)
        }
        other => other.clone(),
    }
}

/// Whether two values are the same in every bit: 0.0 is not -0.0, and 1 is not 1.0.
pub(crate) fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            left == right && left.to_string() == right.to_string()
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(a, b)| same(a, b))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, a)| right.get(key).is_some_and(|b| same(a, b)))
        }
        (left, right) => left == right,
    }
}

/// Whether a value holds something: `skip_serializing_if` skips those that do not.
fn is_filled(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(table) => !table.is_empty(),
    }
}
