//! The kinds that pipeline files can name.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use serde_json::Value;

use crate::key::Defaults;
use crate::stage::document::DOCUMENT_KEY;
use crate::stage::input::{LABELS_KEY, TEXT_KEY};
use crate::stage::kind::{marked, properties};
use crate::{Error, Kind, Result, Slot};

/// The kinds of all crates, by name.
#[derive(Clone, Default)]
pub struct Kinds {
    kinds: BTreeMap<&'static str, Kind>,
}

impl Kinds {
    /// Joins the crates' slices.
    ///
    /// # Errors
    /// Two kinds of one name: which of them a file means would depend on the order of the slices.
    pub fn new<'a>(slices: impl IntoIterator<Item = &'a [Kind]>) -> Result<Self> {
        let mut kinds = BTreeMap::new();
        for kind in slices.into_iter().flatten() {
            if kinds.insert(kind.name, *kind).is_some() {
                return Err(Error::message(format!(
                    "there are two kinds with the name `{}`: expected each name once",
                    kind.name
                )));
            }
        }
        Ok(Self { kinds })
    }

    /// The kind of this name.
    pub fn get(&self, name: &str) -> Option<&Kind> {
        self.kinds.get(name)
    }

    /// All kinds by name.
    pub fn iter(&self) -> impl Iterator<Item = &Kind> {
        self.kinds.values()
    }

    /// The kinds' names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.kinds.keys().copied()
    }
}

/// What the schema says of a kind, worked out once a load.
pub(crate) struct Shape {
    pub(crate) kind: Kind,
    /// All parameters, in the struct's order.
    pub(crate) keys: Vec<String>,
    /// Those without a default.
    pub(crate) required: Vec<String>,
    pub(crate) slots: Vec<Slot>,
    pub(crate) cosmetic: BTreeSet<String>,
    /// What the parameters are where they are not written.
    pub(crate) defaults: Defaults,
    /// Those that hold labels: texts that figures show for names and values.
    pub(crate) labels: Vec<String>,
    /// Those whose strings are texts with references in braces.
    pub(crate) texts: Vec<String>,
    /// Those that are documents: paths to texts with references.
    pub(crate) documents: Vec<String>,
    /// The JSON Schema of the parameters.
    pub(crate) schema: Value,
    /// First lines of the parameters' docs.
    pub(crate) docs: BTreeMap<String, String>,
}

/// The shapes of the kinds in use.
#[derive(Default)]
pub(crate) struct Shapes(RefCell<BTreeMap<&'static str, Rc<Shape>>>);

impl Shapes {
    pub(crate) fn of(&self, kind: &Kind) -> Rc<Shape> {
        let mut shapes = self.0.borrow_mut();
        Rc::clone(shapes.entry(kind.name).or_insert_with(|| Rc::new(Shape::new(*kind))))
    }
}

impl Shape {
    pub(crate) fn new(kind: Kind) -> Self {
        let schema = kind.schema();
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        let doc = |(key, field): (&String, &Value)| {
            let doc = field.get("description")?.as_str()?;
            Some((key.clone(), doc.lines().next()?.trim_end_matches('.').to_owned()))
        };
        Self {
            keys: properties(&schema).map(|(key, _)| key.clone()).collect(),
            required: required.filter_map(|key| key.as_str().map(str::to_owned)).collect(),
            slots: kind.slots(),
            cosmetic: kind.cosmetic().into_iter().collect(),
            defaults: Defaults::of(&schema),
            labels: marked(&schema, LABELS_KEY),
            texts: marked(&schema, TEXT_KEY),
            documents: marked(&schema, DOCUMENT_KEY),
            docs: properties(&schema).filter_map(doc).collect(),
            schema: schema.as_value().clone(),
            kind,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::KINDS;

    #[test]
    fn a_name_that_is_there_twice_is_refused() {
        let error = Kinds::new([KINDS, &KINDS[..1]]).err().unwrap().to_string();
        let name = KINDS[0].name;
        assert!(error.contains(&format!("two kinds with the name `{name}`")), "{error}");
    }
}
