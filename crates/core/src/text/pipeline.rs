//! The tables of a pipeline file: head, variables, profiles, stages.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value;
use toml::Spanned;
use toml::de::DeValue;

use super::axes::{self, Axis};
use super::defaults::Defaults;
use super::diagnostic::Diagnostic;
use super::document::{self, Node, Table};
use super::entries::{max_cells, seed, take_string, take_table, unknown_keys};
use super::labels::Labels;
use super::source::{Sources, Span};
use super::{profiles, settings, variables, words};
use crate::cell::is_name;
use crate::plan::LoadOptions;
use crate::plan::expand::limit::MAX_CELLS;
use crate::stage::kinds::{Kinds, Shape, Shapes};

/// Keys of a stage that belong to the engine; no kind has a parameter of these names.
pub const RESERVED: [&str; 7] =
    ["kind", "matrix", "seed", "resources", "executor", "description", "unset"];

const TOP: [&str; 9] =
    ["name", "description", "seed", "max_cells", "vars", "defaults", "labels", "stage", "profile"];

/// A pipeline with its overrides laid over, not yet expanded.
pub(crate) struct Pipeline<'a> {
    pub(crate) name: Option<(String, Span)>,
    pub(crate) description: String,
    pub(crate) seed: u64,
    /// The most cells that it may have.
    pub(crate) max_cells: usize,
    pub(crate) defaults: Defaults<'a>,
    /// Values of `[vars]`, for texts.
    pub(crate) values: BTreeMap<String, Value>,
    pub(crate) variables: Variables,
    pub(crate) sources: &'a Sources,
    pub(crate) stages: Vec<StageTable<'a>>,
}

/// The table of one stage.
pub(crate) struct StageTable<'a> {
    pub(crate) name: String,
    /// The name in the stage's header.
    pub(crate) header: Span,
    /// Where its `kind` stands; the header where it has none.
    pub(crate) kind_at: Span,
    /// `None` where the kind is missing or unknown, which has been said.
    pub(crate) shape: Option<Rc<Shape>>,
    pub(crate) axes: Vec<Axis<'a>>,
    /// Names of axes whose values are wrong, which has been said.
    pub(crate) bad_axes: Vec<String>,
    /// Seed of the pipeline or of the stage.
    pub(crate) seed: u64,
    /// Where the stage's own seed stands, if it has one.
    pub(crate) own_seed: Option<Span>,
    pub(crate) resources: Vec<(String, Node<'a>)>,
    /// Where its cells run, if it says.
    pub(crate) executor: Option<Node<'a>>,
    /// The kind's own parameters.
    pub(crate) parameters: Table<'a>,
    pub(crate) variables: Variables,
}

/// The variables that were put in: where, which, and where it is set.
pub(crate) type Variables = Rc<Vec<(Span, String, Span)>>;

/// Reads the texts; what is wrong goes to `errors`.
pub(crate) fn read<'a>(
    sources: &'a Sources,
    options: &LoadOptions,
    kinds: &Kinds,
    errors: &mut Vec<Diagnostic>,
) -> Option<Pipeline<'a>> {
    let mut texts = sources.texts();
    let root = texts.next().and_then(|text| document::parse(&text.text, text.start(), errors));
    let sets: Vec<_> =
        texts.map(|text| settings::parse(&text.text, text.start(), errors)).collect();
    let (mut root, sets) = (root?, sets.into_iter().collect::<Option<Vec<_>>>()?);
    unknown_keys(&root, &TOP, "key of a pipeline", errors);
    let shapes = Shapes::default();
    // Where profiles are, or the beginning of the file without any.
    let place = root.get_key_value("profile").map_or(0..0, |(key, _)| key.span());
    let known = take_table(&mut root, "profile", errors).unwrap_or_default();
    let wanted = profiles::Wanted { names: &options.profiles, place };
    profiles::apply(&mut root, &known, &wanted, sets, kinds, &shapes, errors);

    let vars = take_table(&mut root, "vars", errors).unwrap_or_default();
    let mut variables = Vec::new();
    let vars = variables::read(vars, &mut variables, errors);
    let value = |node| document::to_json(node, &mut Vec::new());
    let values = vars.iter().map(|(name, node)| (name.clone(), value(node))).collect();
    for (key, value) in root.iter_mut() {
        if key.get_ref() != "name" && key.get_ref() != "description" {
            document::substitute(value, &vars, &mut variables, errors);
        }
    }
    let variables = Rc::new(variables);

    let name_span = root.get("name").map_or(0..0, Spanned::span);
    let name = take_string(&mut root, "name", errors).map(|name| (name, name_span));
    let description = take_string(&mut root, "description", errors).unwrap_or_default();
    let seed = root.remove("seed").map_or(0, |node| seed(&node, errors));
    let max_cells = root.remove("max_cells").and_then(|node| max_cells(&node, errors));
    let defaults = Defaults::take(&mut root, kinds, &shapes, errors);
    let labels = Labels::take(&mut root, errors);
    let stages = take_table(&mut root, "stage", errors).unwrap_or_default();
    if stages.is_empty() && errors.is_empty() {
        errors.push(
            Diagnostic::new("a pipeline needs at least one stage", 0..0)
                .help("add a table such as [stage.data] with a `kind`"),
        );
    }
    let reader = Reader { seed, kinds, shapes: &shapes, variables, defaults, labels };
    let stages = stages
        .into_iter()
        .filter_map(|(key, value)| {
            let header = key.span();
            reader.stage(key.into_inner().into_owned(), header, value, errors)
        })
        .collect();
    Some(Pipeline {
        name,
        description,
        seed,
        max_cells: max_cells.unwrap_or(MAX_CELLS),
        defaults: reader.defaults,
        values,
        variables: reader.variables,
        sources,
        stages,
    })
}

/// What all stages of a file share.
struct Reader<'a, 'k> {
    seed: u64,
    kinds: &'k Kinds,
    shapes: &'k Shapes,
    variables: Variables,
    defaults: Defaults<'a>,
    labels: Labels<'a>,
}

impl<'a> Reader<'a, '_> {
    fn stage(
        &self,
        name: String,
        header: Span,
        value: Node<'a>,
        errors: &mut Vec<Diagnostic>,
    ) -> Option<StageTable<'a>> {
        if !is_name(&name) {
            let message = format!("stage name `{name}`: expected letters, digits, `-` and `_`");
            errors.push(Diagnostic::new(message, header.clone()));
        }
        let DeValue::Table(mut parameters) = value.into_inner() else {
            let message = format!("stage `{name}`: expected a table: [stage.{name}]");
            errors.push(Diagnostic::new(message, header));
            return None;
        };
        let kind = parameters.remove("kind");
        let kind_at = kind.as_ref().map_or_else(|| header.clone(), Spanned::span);
        let shape = self.shape(&name, &header, kind, errors);
        // What the stage says itself: an axis may take the place of a default, and of nothing else.
        let own = parameters.clone();
        if let Some(shape) = &shape {
            let unset = unset(shape, parameters.remove("unset"), errors);
            parameters = self.defaults.under(shape.kind.name, &unset, parameters);
            if !unset.iter().any(|name| shape.labels.contains(name)) {
                self.labels.under(shape, &mut parameters);
            }
        }
        parameters.remove("description");
        let own_seed = parameters.remove("seed");
        if let (Some(node), Some(shape)) = (&own_seed, &shape)
            && !shape.kind.seeded
        {
            let message =
                format!("kind `{}` takes no seed: nothing in it is random", shape.kind.name);
            errors.push(Diagnostic::new(message, node.span()));
        }
        let seed = own_seed.as_ref().map_or(self.seed, |node| seed(node, errors));
        let resources = take_table(&mut parameters, "resources", errors).unwrap_or_default();
        let resources = resources
            .into_iter()
            .map(|(key, value)| (key.into_inner().into_owned(), value))
            .collect();
        let executor = parameters.remove("executor");
        let matrix = take_table(&mut parameters, "matrix", errors).unwrap_or_default();
        let (axes, bad_axes) = axes::read(matrix, &own, shape.as_deref(), errors);
        for (_, node) in parameters.iter() {
            document::to_json(node, errors);
        }
        Some(StageTable {
            name,
            header,
            kind_at,
            shape,
            axes,
            bad_axes,
            seed,
            own_seed: own_seed.map(|node| node.span()),
            resources,
            executor,
            parameters,
            variables: Rc::clone(&self.variables),
        })
    }

    /// The shape of the kind that `node` names; what is wrong with it is said.
    fn shape(
        &self,
        stage: &str,
        header: &Span,
        node: Option<Node<'a>>,
        errors: &mut Vec<Diagnostic>,
    ) -> Option<Rc<Shape>> {
        let Some(node) = node else {
            errors.push(
                Diagnostic::new(format!("stage `{stage}` has no `kind`"), header.clone())
                    .label("expected `kind = \"…\"`")
                    .help("`sconce kinds` lists all kinds"),
            );
            return None;
        };
        let Some(name) = node.get_ref().as_str() else {
            let found = node.get_ref().type_str();
            errors.push(words::diagnose(
                "kind",
                &format!("invalid type: {found}, expected a string"),
                node.span(),
            ));
            return None;
        };
        let kind = self.kinds.get(name);
        if kind.is_none() {
            errors.push(
                Diagnostic::new(format!("unknown kind `{name}`"), node.span()).did_you_mean(
                    name,
                    self.kinds.names(),
                    "kinds",
                ),
            );
        }
        kind.map(|kind| self.shapes.of(kind))
    }
}

/// The names in `unset`: parameters that get the kind's own default.
fn unset(shape: &Shape, node: Option<Node<'_>>, errors: &mut Vec<Diagnostic>) -> Vec<String> {
    let Some(node) = node else { return Vec::new() };
    let DeValue::Array(names) = node.get_ref() else {
        let found = node.get_ref().type_str();
        let message = format!("`unset`: expected a list of parameters, found {found}");
        errors.push(Diagnostic::new(message, node.span()).label("expected a list"));
        return Vec::new();
    };
    let mut known = Vec::new();
    for name in names.iter() {
        let kind = shape.kind.name;
        match name.get_ref().as_str() {
            None => {
                let found = name.get_ref().type_str();
                let message = format!("`unset`: expected a parameter's name, found {found}");
                errors.push(Diagnostic::new(message, name.span()));
            }
            Some(path) => {
                let first = path.split('.').next().unwrap_or(path);
                if shape.keys.iter().any(|key| key == first) {
                    known.push(path.to_owned());
                } else {
                    let message = format!("kind `{kind}` has no parameter `{first}` to unset");
                    let keys = shape.keys.iter().map(String::as_str);
                    errors.push(Diagnostic::new(message, name.span()).did_you_mean(
                        first,
                        keys,
                        "parameters",
                    ));
                }
            }
        }
    }
    known
}
