//! `[defaults.KIND]`: parameters for all stages of a kind.
//!
//! A default holds where a stage says nothing, whichever layer says it: the file's defaults, with
//! those of profiles and settings over them, lie under the stages, with what profiles and
//! settings say of these.

use std::collections::BTreeMap;
use std::rc::Rc;

use toml::de::DeValue;

use super::diagnostic::Diagnostic;
use super::document::Table;
use super::entries::take_table;
use super::overlay;
use crate::stage::kinds::{Kinds, Shape, Shapes};

/// Keys of a stage that `[defaults.KIND]` may set beside the kind's own parameters.
const ENGINE: [&str; 2] = ["resources", "executor"];

/// What stages of a kind have where they say nothing.
pub(crate) struct Defaults<'a> {
    /// By kind; unknown kinds have been said and are left out.
    kinds: BTreeMap<&'static str, (Rc<Shape>, Table<'a>)>,
}

impl<'a> Defaults<'a> {
    /// Takes `[defaults]` out of the whole file.
    pub(super) fn take(
        root: &mut Table<'a>,
        kinds: &Kinds,
        shapes: &Shapes,
        errors: &mut Vec<Diagnostic>,
    ) -> Self {
        check(root, kinds, shapes, errors);
        let tables = take_table(root, "defaults", errors).unwrap_or_default();
        let mut known = BTreeMap::new();
        for (key, value) in tables {
            if let (Some(kind), DeValue::Table(table)) =
                (kinds.get(key.get_ref()), value.into_inner())
            {
                known.insert(kind.name, (shapes.of(kind), table));
            }
        }
        Self { kinds: known }
    }

    /// The stage's table with the defaults of its kind under it, but those in `unset`. An axis takes
    /// the place of a default, too.
    pub(super) fn under(&self, kind: &str, unset: &[String], stage: Table<'a>) -> Table<'a> {
        let Some((shape, defaults)) = self.kinds.get(kind) else {
            return stage;
        };
        let mut table = defaults.clone();
        // What is no parameter has been said of the defaults.
        let unknown: Vec<String> = table
            .keys()
            .map(|key| key.get_ref().to_string())
            .filter(|key| !may_hold(shape, key))
            .collect();
        for key in unknown {
            table.remove(key.as_str());
        }
        for name in unset {
            overlay::remove(&mut table, &name.split('.').collect::<Vec<_>>());
        }
        overlay::stage(&mut table, stage, Some(&shape.schema));
        table
    }

    /// The defaults of each kind, whether or not a stage is of it.
    pub(crate) fn tables(&self) -> impl Iterator<Item = (&Rc<Shape>, &Table<'a>)> {
        self.kinds.values().map(|(shape, table)| (shape, table))
    }
}

fn may_hold(shape: &Shape, key: &str) -> bool {
    ENGINE.contains(&key) || shape.keys.iter().any(|known| known == key)
}

/// Says which kinds and parameters below `[defaults]` there are not. `table` is the file, a
/// profile or a setting.
pub(super) fn check(
    table: &Table<'_>,
    kinds: &Kinds,
    shapes: &Shapes,
    errors: &mut Vec<Diagnostic>,
) {
    let Some(DeValue::Table(defaults)) = table.get("defaults").map(toml::Spanned::get_ref) else {
        return;
    };
    for (key, value) in defaults {
        let name = &**key.get_ref();
        let Some(kind) = kinds.get(name) else {
            errors.push(
                Diagnostic::new(format!("unknown kind `{name}`"), key.span()).did_you_mean(
                    name,
                    kinds.names(),
                    "kinds",
                ),
            );
            continue;
        };
        let DeValue::Table(parameters) = value.get_ref() else {
            let message = format!("`defaults.{name}`: expected a table: [defaults.{name}]");
            errors.push(Diagnostic::new(message, value.span()).label("expected a table"));
            continue;
        };
        let shape = shapes.of(kind);
        for key in parameters.keys() {
            let parameter = &**key.get_ref();
            if may_hold(&shape, parameter) {
                continue;
            }
            let diagnostic =
                if matches!(parameter, "matrix" | "seed" | "kind" | "description" | "unset") {
                    let message = format!("`{parameter}` belongs to a stage, and is no default");
                    Diagnostic::new(message, key.span())
                } else {
                    let known = shape.keys.iter().map(String::as_str);
                    let message = format!("kind `{name}` has no parameter `{parameter}`");
                    Diagnostic::new(message, key.span()).label("unknown parameter").did_you_mean(
                        parameter,
                        known,
                        "parameters",
                    )
                };
            errors.push(diagnostic);
        }
    }
}
