//! Cells are called by their values: no two may be called the same.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde_json::Value;

use super::Expanded;
use crate::plan::graph::indices;
use crate::plan::{CellGraph, CellIndex, Places};
use crate::text::diagnostic::Diagnostic;

/// Refuses two cells of one name. Values of one axis differ in how they are written, so this takes a
/// value with a comma in it: `a = "1,b=2"` beside an axis `b`.
pub(super) fn refuse_twins(
    stages: &[Expanded<'_>],
    graph: &CellGraph,
    places: &Places,
    errors: &mut Vec<Diagnostic>,
) {
    let has_comma = |value: &Value| match value {
        Value::String(text) => text.contains(','),
        Value::Array(_) | Value::Object(_) => true,
        _ => false,
    };
    for stage in stages {
        let cells = || indices(places.get(&stage.table.name).cloned().unwrap_or_default());
        let axes = |cell: CellIndex| &graph[cell].id.coordinates;
        if !cells().any(|cell| axes(cell).iter().any(|(_, value)| has_comma(value))) {
            continue;
        }
        let mut known: BTreeMap<String, CellIndex> = BTreeMap::new();
        for cell in cells() {
            let id = &graph[cell].id;
            match known.entry(id.to_string()) {
                Entry::Vacant(free) => _ = free.insert(cell),
                Entry::Occupied(taken) => {
                    let written = |cell: CellIndex| -> String {
                        let values: Vec<_> = axes(cell)
                            .iter()
                            .map(|(axis, value)| format!("{axis} = {value}"))
                            .collect();
                        values.join(", ")
                    };
                    let (one, other) = (written(*taken.get()), written(cell));
                    let message =
                        format!("two cells are called `{}`: {one}; and {other}", taken.key());
                    errors.push(
                        Diagnostic::new(message, stage.table.header.clone())
                            .help("give the values other names: an axis can have named values"),
                    );
                    break;
                }
            }
        }
    }
}
