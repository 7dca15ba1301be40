//! Texts with references: their metrics become edges, all else is put in.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use serde_json::Value;
use toml::de::DeValue;

use super::flow::{Flows, Selected};
use super::{Combination, Expanded, From, SlotEdge, documents};
use crate::plan::graph::indices;
use crate::plan::parameters;
use crate::plan::references::{self, Meaning, Scope};
use crate::plan::{Cell, CellGraph, Places};
use crate::stage::Arity;
use crate::stage::METRICS;
use crate::stage::kinds::Shape;
use crate::stage::text::slot;
use crate::text::diagnostic::Diagnostic;
use crate::text::document::{Node, Table};
use crate::text::reference::{self, Format, Part, escape, string_at, strings};
use crate::text::source::{Sources, Span};
use crate::{Coordinates, Slot, key};

/// So many cells are named at most.
const MOST: usize = 8;

/// A text with references, and where it stands.
pub(super) struct PlacedText {
    /// The keys and indices to it in the parameters.
    path: Vec<String>,
    pieces: Vec<Piece>,
}

enum Piece {
    Text(String),
    Place { meaning: Meaning, format: Format, span: Span, written: String },
}

/// The texts of a stage's parameters, and the edges to the metrics in them.
pub(super) fn read(
    shape: &Shape,
    parameters: &Value,
    written: &Table<'_>,
    header: &Span,
    scope: &Scope,
    sources: &Sources,
    errors: &mut Vec<Diagnostic>,
) -> (Vec<PlacedText>, Vec<SlotEdge>) {
    let mut found = Vec::new();
    for key in &shape.texts {
        if let Some(value) = parameters.get(key) {
            strings(value, &mut vec![key.clone()], &mut found);
        }
    }
    let (mut texts, mut edges) = (Vec::new(), Vec::new());
    for (path, text) in found.into_iter().filter(|(_, text)| text.contains(['{', '}'])) {
        let name = path.join(".");
        let span = node_at(written, &path).map_or_else(|| header.clone(), toml::Spanned::span);
        let mut say = |mut diagnostic: Diagnostic, at: &Range<usize>| {
            diagnostic.message = format!("`{name}`: {}", diagnostic.message);
            diagnostic.span = Some(exact(sources, &span, text, at));
            if !errors.contains(&diagnostic) {
                errors.push(diagnostic);
            }
        };
        let parts = match reference::parse(text) {
            Ok(parts) => parts,
            Err(bad) => {
                say(Diagnostic::new(bad.message, None), &bad.at);
                continue;
            }
        };
        let mut pieces = Vec::new();
        for part in parts {
            let (reference, at) = match part {
                Part::Text(text) => {
                    pieces.push(Piece::Text(text));
                    continue;
                }
                Part::Place(reference, at) => (reference, at),
            };
            let meaning = match scope.meaning(shape, &reference) {
                Ok(Some(meaning)) => meaning,
                Ok(None) => continue,
                Err(diagnostic) => {
                    say(diagnostic, &at);
                    continue;
                }
            };
            let span = exact(sources, &span, text, &at);
            if let Meaning::Metric { edge, from, .. } = &meaning {
                let path = slot(from);
                let slot = Slot { key: path.clone(), artifact: METRICS.into(), arity: Arity::One };
                if edges.iter().all(|edge: &SlotEdge| edge.path != path) {
                    let (edge, span) = (edge.clone(), span.clone());
                    let in_text = true;
                    edges.push(SlotEdge { slot, text: from.clone(), path, edge, span, in_text });
                }
            }
            let format = reference.format;
            pieces.push(Piece::Place { meaning, format, span, written: reference.written });
        }
        texts.push(PlacedText { path, pieces });
    }
    (texts, edges)
}

/// The node at `path`, or the last one on the way to it.
fn node_at<'t, 'a>(table: &'t Table<'a>, path: &[String]) -> Option<&'t Node<'a>> {
    let [first, rest @ ..] = path else { return None };
    let mut node = table.get(first.as_str())?;
    for key in rest {
        let inner = match node.get_ref() {
            DeValue::Array(items) => key.parse().ok().and_then(|index: usize| items.get(index)),
            DeValue::Table(table) => table.get(key.as_str()),
            _ => None,
        };
        match inner {
            Some(inner) => node = inner,
            None => break,
        }
    }
    Some(node)
}

/// Where `at` of the string `text` stands in the file, as far as its notation lets it be found.
fn exact(sources: &Sources, span: &Span, text: &str, at: &Range<usize>) -> Span {
    let Some(place) = sources.place(span) else { return span.clone() };
    let raw = &place.source[place.range];
    let offset = match raw.find(text) {
        Some(start) => Some(start + at.start),
        // With escapes in it: the first one that is written alike.
        None => text.get(at.clone()).filter(|part| part.len() > 1).and_then(|part| raw.find(part)),
    };
    match offset {
        Some(offset) => span.start + offset..span.start + offset + at.len(),
        None => span.clone(),
    }
}

/// What values are put into texts from.
pub(super) struct Put<'p> {
    pub(super) stages: &'p [Expanded<'p>],
    pub(super) from: &'p From<'p>,
    /// The pipeline's name.
    pub(super) pipeline: &'p str,
    /// The pipeline's seed.
    pub(super) seed: u64,
}

impl Put<'_> {
    /// Puts values into the texts and documents of all cells. `origins` has the combination that each comes from; cells of stages
    /// in `partial` may be missing, which has been said.
    pub(super) fn put_in(
        &self,
        graph: &mut CellGraph,
        places: &Places,
        flows: Flows,
        origins: &[usize],
        partial: &BTreeSet<String>,
        errors: &mut Vec<Diagnostic>,
    ) {
        let mut lookup = Lookup { flows, known: BTreeMap::new() };
        for stage in self.stages {
            let Some(shape) = &stage.table.shape else { continue };
            let plain = |one: &Combination| one.texts.is_empty() && one.documents.is_empty();
            if stage.combinations.iter().all(plain) {
                continue;
            }
            for index in indices(places.get(&stage.table.name).cloned().unwrap_or_default()) {
                let place = graph[index].id.coordinates.clone();
                let origin =
                    origins.get(index.index()).and_then(|&from| stage.combinations.get(from));
                let Some(combination) = origin else { continue };
                let mut filled = Vec::new();
                let reader = Reader { graph, places, partial, place: &place, combination };
                for text in &combination.texts {
                    let has_slots = combination
                        .edges
                        .iter()
                        .any(|edge| crate::stage::text::is_text_slot(&edge.path));
                    filled.push((&text.path, reader.text(text, has_slots, &mut lookup, errors)));
                }
                let mut parameters = combination.parameters.clone();
                for (path, text) in filled {
                    if let Some(place) = string_at(&mut parameters, path) {
                        *place = text;
                    }
                }
                let mut for_key = parameters.clone();
                if !combination.documents.is_empty() {
                    let (name, seed) = (self.pipeline, self.seed);
                    let origin =
                        documents::origin(self.from, name, seed, self.stages, index, graph, places);
                    documents::fill(
                        &combination.documents,
                        &reader,
                        &origin,
                        &mut lookup,
                        &mut parameters,
                        &mut for_key,
                        errors,
                    );
                }
                graph[index].key_parameters = Arc::new(key::Parameters::of(&for_key, shape));
                graph[index].parameters = parameters::with_slots(parameters, shape);
            }
        }
    }
}

/// What texts of other cells have looked up already.
pub(super) struct Lookup {
    flows: Flows,
    /// Values by the number of the cells and the keys in their parameters.
    known: BTreeMap<(usize, Vec<String>), Result<Value, Diagnostic>>,
}

pub(super) struct Reader<'r> {
    graph: &'r CellGraph,
    places: &'r Places,
    partial: &'r BTreeSet<String>,
    place: &'r Coordinates,
    combination: &'r Combination,
}

impl Reader<'_> {
    /// The text with its values; metrics are left to the run, and doubled braces with them.
    fn text(
        &self,
        text: &PlacedText,
        has_slots: bool,
        lookup: &mut Lookup,
        errors: &mut Vec<Diagnostic>,
    ) -> String {
        let mut filled = String::new();
        for piece in &text.pieces {
            let words = match piece {
                Piece::Text(words) => words.clone(),
                Piece::Place { meaning: Meaning::Metric { from, name, .. }, format, .. } => {
                    filled.push_str(&format!("{{{from}.{name}{format}}}"));
                    continue;
                }
                Piece::Place { meaning, format, span, written } => {
                    let value = self.value(meaning, lookup);
                    let words = value.and_then(|value| words(&value, *format));
                    words.unwrap_or_else(|mut diagnostic| {
                        let name = text.path.join(".");
                        let message = format!("`{name}`: `{{{written}}}`: {}", diagnostic.message);
                        diagnostic.message = message;
                        diagnostic.span = Some(span.clone());
                        if !self.is_partial(meaning) && !errors.contains(&diagnostic) {
                            errors.push(diagnostic);
                        }
                        String::new()
                    })
                }
            };
            filled.push_str(&if has_slots { escape(&words) } else { words });
        }
        filled
    }

    /// Whether it is of a stage whose cells may be missing.
    pub(super) fn is_partial(&self, meaning: &Meaning) -> bool {
        matches!(meaning, Meaning::Parameter { edge, .. } if self.partial.contains(&edge.stage))
    }

    pub(super) fn value(
        &self,
        meaning: &Meaning,
        lookup: &mut Lookup,
    ) -> Result<Value, Diagnostic> {
        match meaning {
            Meaning::Seed => Ok(self.combination.seed.into()),
            Meaning::Variable(value) => Ok(value.clone()),
            Meaning::Own(path) => references::value(&self.combination.parameters, path).cloned(),
            Meaning::Parameter { edge, path } => {
                let selected = lookup.flows.selected(edge, self.graph, self.places, self.place);
                let known = lookup.known.entry((selected.number, path.clone()));
                known.or_insert_with(|| self.common(&edge.stage, &selected, path)).clone()
            }
            // Its place is kept for the run.
            Meaning::Metric { .. } => Ok(Value::Null),
        }
    }

    /// The one value that a parameter has in all of these cells.
    fn common(
        &self,
        stage: &str,
        selected: &Selected,
        path: &[String],
    ) -> Result<Value, Diagnostic> {
        let mut first: Option<(&Cell, &Value)> = None;
        let mut missing = None;
        for &cell in selected.cells.iter() {
            let cell = &self.graph[cell];
            match (references::value(&cell.parameters, path), first) {
                (Ok(value), None) => first = Some((cell, value)),
                (Ok(value), Some((one, other))) if value != other => {
                    let message =
                        format!("it is {other} in `{}` and {value} in `{}`", one.id, cell.id);
                    let help = format!("select a cell: `{{{}.{}}}`", one.id, path.join("."));
                    return Err(Diagnostic::new(message, None).help(help));
                }
                (Ok(_), Some(_)) => {}
                // Cells may have the parameters that they use alone.
                (Err(wrong), _) => missing = missing.or(Some(wrong)),
            }
        }
        match (first, missing) {
            (Some((_, value)), _) => Ok(value.clone()),
            (None, Some(missing)) => Err(missing),
            (None, None) => {
                let stage = self.places.get(stage).cloned().unwrap_or_default();
                let there: Vec<_> = indices(stage)
                    .take(MOST)
                    .map(|cell| format!("`{}`", self.graph[cell].id))
                    .collect();
                let help = format!("cells: {}", there.join(", "));
                Err(Diagnostic::new("no cell is selected", None).help(help))
            }
        }
    }
}

fn words(value: &Value, format: Format) -> Result<String, Diagnostic> {
    format.write(value).ok_or_else(|| {
        let message = match (value, format) {
            (Value::Object(entries), _) => {
                let names: Vec<_> = entries.keys().map(|key| format!("`{key}`")).collect();
                format!("it is a table: expected one of its {}", names.join(", "))
            }
            (Value::Null, _) => "it is not set".to_owned(),
            _ => format!("expected a number for `{format}`, found {value}"),
        };
        Diagnostic::new(message, None)
    })
}
