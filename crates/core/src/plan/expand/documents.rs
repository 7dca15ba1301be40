//! Documents, texts beside the pipeline file: what a run tells becomes edges, all else is put in.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::rc::Rc;

use petgraph::visit::{Dfs, Reversed};
use serde_json::Value;
use toml::Spanned;

use super::texts::{Lookup, Reader};
use super::{Expanded, From, SlotEdge};
use crate::plan::edge::Edge;
use crate::plan::graph::indices;
use crate::plan::references::{Meaning, Scope};
use crate::plan::{CellGraph, CellIndex, Places};
use crate::stage::Arity;
use crate::stage::document::{Content, Found, Origin, OriginStage, Place, Wants};
use crate::stage::kinds::Shape;
use crate::stage::{METRICS, TABLE};
use crate::text::diagnostic::Diagnostic;
use crate::text::document::Table;
use crate::text::reference::Reference;
use crate::text::source::{Sources, Span};
use crate::{Output, Slot};

/// The texts beside the pipeline file, each read once.
pub(super) struct Texts<'s> {
    pub(super) from: &'s From<'s>,
    /// All texts that places of diagnostics are in.
    pub(super) sources: &'s mut Sources,
    pub(super) known: BTreeMap<PathBuf, Option<(usize, Rc<str>)>>,
}

/// A document of a stage, with the meanings that are known before cells are.
pub(super) struct PlacedDocument {
    /// The parameter.
    pub(super) key: String,
    path: String,
    text: Rc<str>,
    places: Vec<PlacedMeaning>,
}

struct PlacedMeaning {
    name: String,
    span: Span,
    number: bool,
    means: Means,
}

enum Means {
    /// To be looked up where the cell stands.
    Reference(Meaning),
    /// What comes through a slot.
    Found(Found),
}

impl Texts<'_> {
    /// The text of a file and where it begins among all texts.
    fn text(
        &mut self,
        key: &str,
        path: &str,
        at: &Span,
        errors: &mut Vec<Diagnostic>,
    ) -> Option<(usize, Rc<str>)> {
        let file = match self.from.folder.to_str() {
            Some(".") => PathBuf::from(path),
            _ => self.from.folder.join(path),
        };
        if let Some(known) = self.known.get(&file) {
            return known.clone();
        }
        let read = match std::fs::read_to_string(&file) {
            Ok(text) => {
                // Places in it are told as in the file of the pipeline.
                let start = self.sources.add(file.display().to_string(), text.as_str());
                Some((start, Rc::from(text)))
            }
            Err(error) => {
                let message = format!("`{key}`: cannot read {}: {error}", file.display());
                let help = "a path is relative to the folder of the pipeline file";
                errors.push(Diagnostic::new(message, at.clone()).help(help));
                None
            }
        };
        self.known.insert(file, read.clone());
        read
    }
}

/// The documents of a stage's parameters, and the edges to what they show.
pub(super) fn read(
    shape: &Shape,
    parameters: &Value,
    written: &Table<'_>,
    header: &Span,
    scope: &Scope,
    texts: &mut Texts<'_>,
    errors: &mut Vec<Diagnostic>,
) -> (Vec<PlacedDocument>, Vec<SlotEdge>) {
    let (mut documents, mut edges) = (Vec::new(), Vec::new());
    for key in &shape.documents {
        let Some(path) = parameters.get(key).and_then(Value::as_str) else { continue };
        let at = written.get(key.as_str()).map_or_else(|| header.clone(), Spanned::span);
        let Some((start, text)) = texts.text(key, path, &at, errors) else { continue };
        let found = match (shape.kind.places)(&text, &texts.from.options.profiles) {
            Ok(found) => found,
            Err(wrong) => {
                for one in wrong {
                    let span = start + one.at.start..start + one.at.end;
                    let mut diagnostic = Diagnostic::new(one.message, span);
                    diagnostic.help.extend((!one.help.is_empty()).then_some(one.help));
                    say(errors, diagnostic);
                }
                continue;
            }
        };
        let mut places: Vec<PlacedMeaning> = Vec::new();
        for place in found {
            let span = start + place.at.start..start + place.at.end;
            let mut slot = |slot: String, edge: Edge, artifact: &str| {
                let path = format!("{key}.{slot}");
                if edges.iter().all(|edge: &SlotEdge| edge.path != path) {
                    let slot =
                        Slot { key: path.clone(), artifact: artifact.into(), arity: Arity::List };
                    let (path, text) = (path.clone(), edge.to_string());
                    let span = span.clone();
                    edges.push(SlotEdge { slot, path, text, edge, span, in_text: true });
                }
                path
            };
            let means = match means(shape, scope, &place, &mut slot) {
                Ok(Some(means)) => means,
                Ok(None) => continue,
                Err(mut diagnostic) => {
                    diagnostic.span = Some(span);
                    say(errors, diagnostic);
                    continue;
                }
            };
            let number = place.wants == Wants::Value { number: true };
            places.push(PlacedMeaning { name: place.name(), span, number, means });
        }
        documents.push(PlacedDocument { key: key.clone(), path: path.to_owned(), text, places });
    }
    (documents, edges)
}

/// The same is said once, though a document has a place for each combination of its stage.
fn say(errors: &mut Vec<Diagnostic>, diagnostic: Diagnostic) {
    if !errors.contains(&diagnostic) {
        errors.push(diagnostic);
    }
}

/// What a place means; `slot` takes an edge in. `None` where a stage's kind is wrong, which has been said.
fn means(
    own: &Shape,
    scope: &Scope,
    place: &Place,
    slot: &mut dyn FnMut(String, Edge, &str) -> String,
) -> Result<Option<Means>, Diagnostic> {
    let written = &place.written;
    let wrong = |message: String| Diagnostic::new(message, None);
    if let Wants::Artifact(artifact) = place.wants {
        let edge = Edge::parse(written).map_err(wrong)?;
        let slot = slot(place.name(), edge, artifact);
        return Ok(Some(Means::Found(Found::Artifact { slot })));
    }
    if let Some((edge, artifact)) = rows(scope, written)? {
        let slot = slot(written.clone(), edge, artifact);
        return Ok(Some(Means::Found(Found::Rows { slot, artifact: artifact.to_owned() })));
    }
    let reference = Reference::parse(written).map_err(wrong)?;
    let meaning = match scope.meaning(own, &reference)? {
        Some(Meaning::Metric { edge, from, name }) => {
            let slot = slot(from, edge, METRICS);
            Means::Found(Found::Metric { slot, name })
        }
        Some(meaning) => Means::Reference(meaning),
        None => return Ok(None),
    };
    Ok(Some(meaning))
}

/// The edge to rows, where the text names several cells' metrics or a table, and the artifacts' type.
fn rows(scope: &Scope, written: &str) -> Result<Option<(Edge, &'static str)>, Diagnostic> {
    let Ok(edge) = Edge::parse(written) else { return Ok(None) };
    let outputs = match scope.stages.get(&edge.stage) {
        Some(Some(shape)) => shape.kind.outputs,
        _ => &[],
    };
    let named = |name: &String| outputs.iter().find(|output| output.name == **name);
    let output: Option<&Output> = edge.output.as_ref().and_then(named);
    let kind = output.map(|output| &*output.artifact);
    match (written.ends_with(']'), kind) {
        (_, Some(TABLE)) => Ok(Some((edge, TABLE))),
        (true, None | Some(METRICS)) => Ok(Some((edge, METRICS))),
        (true, Some(other)) => {
            let message =
                format!("expected metrics or a table, and `{written}` is of type {other}");
            Err(Diagnostic::new(message, None))
        }
        (false, _) => Ok(None),
    }
}

/// Puts the documents with what is known of their places into the parameters of a cell, and what stands for them into
/// those of its key.
pub(super) fn fill(
    documents: &[PlacedDocument],
    reader: &Reader<'_>,
    origin: &Origin,
    lookup: &mut Lookup,
    parameters: &mut Value,
    for_key: &mut Value,
    errors: &mut Vec<Diagnostic>,
) {
    for document in documents {
        let mut found = BTreeMap::new();
        for place in &document.places {
            let meant = match &place.means {
                Means::Found(found) => Ok(found.clone()),
                Means::Reference(meaning) => reader.value(meaning, lookup).map(Found::Value),
            };
            let meant = meant.and_then(|meant| match &meant {
                Found::Value(value) if place.number && !value.is_number() => {
                    let message = format!("expected a number, and `{}` is {value}", place.name);
                    Err(Diagnostic::new(message, None))
                }
                _ => Ok(meant),
            });
            match meant {
                Ok(meant) => _ = found.insert(place.name.clone(), meant),
                Err(mut diagnostic) => {
                    diagnostic.span = Some(place.span.clone());
                    let partial = matches!(&place.means, Means::Reference(meaning) if reader.is_partial(meaning));
                    if !partial {
                        say(errors, diagnostic);
                    }
                }
            }
        }
        let content = Content { text: document.text.to_string(), found, origin: origin.clone() };
        let digest = content.digest().to_string();
        let whole = serde_json::json!({ "path": document.path, "content": content });
        if let Some(place) = parameters.get_mut(&document.key) {
            *place = whole;
        }
        if let Some(place) = for_key.get_mut(&document.key) {
            *place = digest.into();
        }
    }
}

/// How a cell came to its inputs.
pub(super) fn origin(
    from: &From<'_>,
    pipeline: &str,
    seed: u64,
    stages: &[Expanded<'_>],
    cell: CellIndex,
    graph: &CellGraph,
    places: &Places,
) -> Origin {
    let mut upstream = BTreeSet::new();
    let reversed = Reversed(graph);
    let mut search = Dfs::new(&reversed, cell);
    while let Some(one) = search.next(&reversed) {
        upstream.insert(one);
    }
    upstream.remove(&cell);
    let stage = |stage: &Expanded<'_>| {
        let cells = indices(places.get(&stage.table.name).cloned().unwrap_or_default());
        let cells: Vec<CellIndex> = cells.filter(|cell| upstream.contains(cell)).collect();
        let first = *cells.first()?;
        let reads_nothing = graph.neighbors_directed(first, petgraph::Incoming).next().is_none();
        Some(OriginStage {
            stage: stage.table.name.clone(),
            kind: format!("{:?}", graph[first].kind),
            cells: cells.len(),
            seeded: graph[first].seed.is_some(),
            parameters: match (reads_nothing, cells.len()) {
                (true, 1) => graph[first].key_parameters.differing.clone(),
                _ => Value::Null,
            },
        })
    };
    let name = |path: &std::path::Path| path.file_name().map(|n| n.to_string_lossy().into_owned());
    Origin {
        stage: graph[cell].id.to_string(),
        pipeline: pipeline.to_owned(),
        file: name(&from.options.path).unwrap_or_default(),
        profiles: from.options.profiles.clone(),
        sets: from.options.sets.clone(),
        sconce: env!("CARGO_PKG_VERSION").to_owned(),
        seed,
        stages: stages.iter().filter_map(stage).collect(),
    }
}
