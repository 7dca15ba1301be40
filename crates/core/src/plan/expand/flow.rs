//! What flows into a stage: the places of its cells, joined from all that it reads.
//!
//! Nothing here compares every cell of one stage with every cell of another: cells are found by
//! their values, so that the time grows with the cells and edges that come out.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value;

use crate::Coordinates;
use crate::cell::Plain;
use crate::plan::edge::{Edge, Select};
use crate::plan::graph::{CellIndex, indices};
use crate::plan::{CellGraph, Places};

/// Cells that an edge takes and that stand at the same place for what reads them: they differ along
/// axes that the edge gathers or selects.
pub(super) struct Group {
    pub(super) coordinates: Coordinates,
    pub(super) cells: Vec<CellIndex>,
}

/// A place of a cell to be, with the number of the group that each edge takes there.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) coordinates: Coordinates,
    pub(super) taken: Vec<usize>,
}

impl Place {
    pub(super) fn origin() -> Self {
        Self { coordinates: Coordinates::none(), taken: Vec::new() }
    }
}

/// What stages yield, by edge and by value; kept while a pipeline is expanded.
#[derive(Default)]
pub(super) struct Flows {
    groups: BTreeMap<(String, String), Rc<Vec<Group>>>,
    values: BTreeMap<(String, String), Values>,
    taken: BTreeMap<(String, String), Selected>,
    /// By edge and the axes of the reader.
    near: BTreeMap<(String, String, String), Vec<Near>>,
    selections: usize,
}

/// Cells that a text refers to; equal numbers, equal cells.
#[derive(Clone)]
pub(super) struct Selected {
    pub(super) number: usize,
    pub(super) cells: Rc<Vec<CellIndex>>,
}

/// Cells that have the same axes in common with a reader, by their values along these.
struct Near {
    shared: Vec<String>,
    cells: BTreeMap<String, Selected>,
}

/// The cells of a stage by their values along one axis.
#[derive(Default)]
struct Values {
    texts: BTreeMap<String, Vec<CellIndex>>,
    /// By the bits of numbers: an edge may write 1 as `1.0`.
    numbers: BTreeMap<u64, Vec<CellIndex>>,
}

impl Flows {
    /// The cells of the upstream stage that the edge takes, grouped by place: the groups in the
    /// plan's order, the cells of each in the order of the values that the edge names.
    pub(super) fn groups(
        &mut self,
        edge: &Edge,
        graph: &CellGraph,
        places: &Places,
    ) -> Rc<Vec<Group>> {
        let key = (edge.stage.clone(), format!("{:?}", edge.select));
        if let Some(groups) = self.groups.get(&key) {
            return Rc::clone(groups);
        }
        let mut groups: Vec<Group> = Vec::new();
        let mut known: BTreeMap<String, usize> = BTreeMap::new();
        for cell in self.taken(edge, graph, places) {
            let all = &graph[cell].id.coordinates;
            let coordinates = all.without(|axis| !edge.flows(axis));
            let mut key = exact(coordinates.iter().map(|(_, value)| value));
            key.extend(coordinates.iter().map(|(axis, _)| axis));
            let group = *known.entry(key).or_insert(groups.len());
            match groups.get_mut(group) {
                Some(group) => group.cells.push(cell),
                None => groups.push(Group { coordinates, cells: vec![cell] }),
            }
        }
        for group in &mut groups {
            group.cells.sort_by_cached_key(|&cell| edge.rank(&graph[cell].id.coordinates));
        }
        let groups = Rc::new(groups);
        self.groups.insert(key, Rc::clone(&groups));
        groups
    }

    /// The cells of the upstream stage that the edge takes, in the plan's order.
    fn taken(&mut self, edge: &Edge, graph: &CellGraph, places: &Places) -> Vec<CellIndex> {
        let named = match &edge.select {
            Select::Axes(axes) => axes.iter().find(|(_, wanted)| !wanted.values().is_empty()),
            Select::Aligned | Select::All => None,
        };
        let mut taken: Vec<CellIndex> = match named {
            Some((axis, wanted)) => {
                let mut all = Vec::new();
                for value in wanted.values() {
                    all.extend(self.with_value(&edge.stage, axis, value, graph, places));
                }
                all.sort_unstable();
                all.dedup();
                all
            }
            None => indices(places.get(&edge.stage).cloned().unwrap_or_default()).collect(),
        };
        taken.retain(|&cell| {
            graph[cell].id.coordinates.iter().all(|(axis, value)| edge.takes(axis, value))
        });
        taken
    }

    /// The cells that a text refers to in a cell at `place`: those that its selection takes, and of
    /// these those that have the reader's values along the axes that they share, if there are any.
    pub(super) fn selected(
        &mut self,
        edge: &Edge,
        graph: &CellGraph,
        places: &Places,
        place: &Coordinates,
    ) -> Selected {
        let key = (edge.stage.clone(), format!("{:?}", edge.select));
        let all = match self.taken.get(&key) {
            Some(all) => all.clone(),
            None => {
                let cells = self.taken(edge, graph, places);
                let all = self.selection(cells);
                self.taken.insert(key.clone(), all.clone());
                all
            }
        };
        let axes: Vec<&str> = place.iter().map(|(axis, _)| axis).collect();
        let key = (key.0, key.1, axes.join("\n"));
        if !self.near.contains_key(&key) {
            let near = self.near(edge, &all.cells, &axes, graph);
            self.near.insert(key.clone(), near);
        }
        let mut found: Vec<&Selected> = Vec::new();
        for near in self.near.get(&key).into_iter().flatten() {
            let own = near.shared.iter().filter_map(|axis| place.get(axis));
            found.extend(near.cells.get(&exact(own)));
        }
        match found.as_slice() {
            [] => all,
            [one] => (*one).clone(),
            // Cells with other axes each; a stage has few such groups.
            several => {
                let cells = several.iter().flat_map(|one| one.cells.iter().copied());
                let mut cells: Vec<CellIndex> = cells.collect();
                cells.sort_unstable();
                self.selection(cells)
            }
        }
    }

    fn selection(&mut self, cells: Vec<CellIndex>) -> Selected {
        self.selections += 1;
        Selected { number: self.selections, cells: Rc::new(cells) }
    }

    /// The cells by their values along the axes that flow and that a reader with `axes` has, too.
    fn near(
        &mut self,
        edge: &Edge,
        cells: &[CellIndex],
        axes: &[&str],
        graph: &CellGraph,
    ) -> Vec<Near> {
        let mut alike: BTreeMap<Vec<&str>, BTreeMap<String, Vec<CellIndex>>> = BTreeMap::new();
        for &cell in cells {
            let there = &graph[cell].id.coordinates;
            let has = |axis: &&str| edge.flows(axis) && there.get(axis).is_some();
            let shared: Vec<&str> = axes.iter().copied().filter(has).collect();
            let values = exact(shared.iter().filter_map(|axis| there.get(axis)));
            alike.entry(shared).or_default().entry(values).or_default().push(cell);
        }
        let near = |(shared, cells): (Vec<&str>, BTreeMap<String, Vec<CellIndex>>)| Near {
            shared: shared.into_iter().map(str::to_owned).collect(),
            cells: cells
                .into_iter()
                .map(|(values, cells)| (values, self.selection(cells)))
                .collect(),
        };
        alike.into_iter().map(near).collect()
    }

    /// The cells of a stage that may have the value that `text` means, in the plan's order.
    pub(super) fn with_value(
        &mut self,
        stage: &str,
        axis: &str,
        text: &str,
        graph: &CellGraph,
        places: &Places,
    ) -> Vec<CellIndex> {
        let values = self.values.entry((stage.to_owned(), axis.to_owned())).or_insert_with(|| {
            let mut values = Values::default();
            for cell in indices(places.get(stage).cloned().unwrap_or_default()) {
                match graph[cell].id.coordinates.get(axis) {
                    None => {}
                    Some(Value::Number(number)) => {
                        let bits = number.as_f64().map_or(0, bits);
                        values.numbers.entry(bits).or_default().push(cell);
                    }
                    Some(value) => {
                        values.texts.entry(Plain(value).to_string()).or_default().push(cell);
                    }
                }
            }
            values
        });
        let number = text.parse().ok().and_then(|number| values.numbers.get(&bits(number)));
        let mut found: Vec<_> =
            values.texts.get(text).into_iter().chain(number).flatten().copied().collect();
        found.sort_unstable();
        found
    }
}

/// Numbers of groups by their values.
type ByValues = BTreeMap<String, Vec<usize>>;

/// How the places of two inputs do not fit together.
pub(super) enum Misfit {
    /// An axis that both have does not have the same values; these are the axes.
    Values(Vec<String>),
    /// More places than this come out.
    TooMany,
}

/// Joins the places so far with those of the groups: axes of the same name have the same value.
/// Places come out in the order of `places`, and for each in the order of `groups`.
pub(super) fn join(
    places: Vec<Place>,
    groups: &[Group],
    most: usize,
) -> Result<Vec<Place>, Misfit> {
    // The groups by their axes; usually all have the same.
    let mut alike: BTreeMap<Vec<&str>, Vec<usize>> = BTreeMap::new();
    for (number, group) in groups.iter().enumerate() {
        let axes = group.coordinates.iter().map(|(axis, _)| axis).collect();
        alike.entry(axes).or_default().push(number);
    }
    // The groups of the same axes by their values along those that a place has, too.
    let mut lookups: BTreeMap<(&[&str], Vec<&str>), ByValues> = BTreeMap::new();
    let mut joined = Vec::with_capacity(places.len());
    let mut matched = vec![false; groups.len()];
    let mut complete = true;
    let mut shared_axes: Vec<String> = Vec::new();
    for place in places {
        let mut matches: Vec<usize> = Vec::new();
        for (axes, numbers) in &alike {
            let shared: Vec<&str> =
                axes.iter().copied().filter(|axis| place.coordinates.get(axis).is_some()).collect();
            if shared.is_empty() {
                matches.extend(numbers);
                continue;
            }
            let values = |coordinates: &Coordinates| {
                let values = shared.iter().filter_map(|axis| coordinates.get(axis));
                exact(values)
            };
            let own = values(&place.coordinates);
            if shared_axes.is_empty() {
                shared_axes = shared.iter().map(|axis| (*axis).to_owned()).collect();
            }
            let lookup = lookups.entry((axes, shared.clone())).or_insert_with(|| {
                let mut lookup = ByValues::new();
                for &number in numbers {
                    lookup.entry(values(&groups[number].coordinates)).or_default().push(number);
                }
                lookup
            });
            matches.extend(lookup.get(&own).into_iter().flatten());
        }
        if alike.len() > 1 {
            matches.sort_unstable();
        }
        complete &= !matches.is_empty();
        if joined.len() + matches.len() > most {
            return Err(Misfit::TooMany);
        }
        let mut place = Some(place);
        for (position, &number) in matches.iter().enumerate() {
            matched[number] = true;
            let last = position + 1 == matches.len();
            let Some(mut both) = (if last { place.take() } else { place.clone() }) else { break };
            for (axis, value) in groups[number].coordinates.iter() {
                both.coordinates.set(axis, value.clone());
            }
            both.taken.push(number);
            joined.push(both);
        }
    }
    if complete && !matched.contains(&false) {
        Ok(joined)
    } else {
        Err(Misfit::Values(shared_axes))
    }
}

/// A text that is the same for equal values alone.
fn exact<'v>(values: impl Iterator<Item = &'v Value>) -> String {
    let mut text = String::new();
    for value in values {
        text.push_str(&value.to_string());
        // No JSON text holds a line feed.
        text.push('\n');
    }
    text
}

/// The bits of a number; 0 and -0 are one.
fn bits(number: f64) -> u64 {
    (number + 0.0).to_bits()
}
