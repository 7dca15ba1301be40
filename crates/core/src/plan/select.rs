//! Which cells a name on the command line means.

use std::collections::BTreeSet;

use super::{CellIndex, Plan, graph};
use crate::plan::edge::{Edge, Select};
use crate::text::closest;
use crate::{CellId, Error, Result};

/// How many cells an error names.
const MOST: usize = 12;

/// A name for cells, `svm`, `svm[*]` or `svm[layer=fire9]`, without a plan: for cells of runs.
#[derive(Debug, Clone)]
pub struct Selection {
    name: String,
    edge: Option<Edge>,
}

impl Selection {
    /// Reads a name as [`Plan::select`] does.
    ///
    /// # Errors
    /// What is no name of cells.
    pub fn parse(name: &str) -> Result<Self> {
        let edge = Edge::parse(name).ok().filter(|edge| edge.output.is_none());
        // The name of one cell, whose values may hold any sign.
        if edge.is_none() && !name.ends_with(']') {
            return Err(Error::message(format!(
                "`{name}`: expected a stage or some of its cells, such as `svm` or `svm[c=10]`"
            )));
        }
        Ok(Self { name: name.to_owned(), edge })
    }

    /// Whether the name means this cell.
    pub fn takes(&self, cell: &CellId) -> bool {
        let by_values = self.edge.as_ref().is_some_and(|edge| {
            let wanted = match &edge.select {
                Select::Aligned | Select::All => &[],
                Select::Axes(axes) => axes.as_slice(),
            };
            let has = |(axis, _): &(String, _)| {
                cell.coordinates.get(axis).is_some_and(|value| edge.takes(axis, value))
            };
            edge.stage == cell.stage && wanted.iter().all(has)
        });
        by_values || cell.to_string() == self.name
    }
}

impl Plan {
    /// The cells that `name` means, in the plan's order: those of a stage, `svm` or `svm[*]`, or those of a stage
    /// that have these values, `svm[layer=fire9]` or `svm[layer=fire9,c=*]`, whatever the values of the other axes.
    ///
    /// # Errors
    /// A name that is no stage's, or values that no cell has; the error says what there is.
    pub fn select(&self, name: &str) -> Result<Vec<CellIndex>> {
        let head = name.split(['[', '.']).next().unwrap_or(name);
        if !self.places.contains_key(head) {
            return Err(self.no_stage(head));
        }
        // As it is printed; a value may hold any sign.
        if let Some(cell) = self.of_stage(head).find(|&cell| self[cell].id.to_string() == name) {
            return Ok(vec![cell]);
        }
        let edge = match Edge::parse(name) {
            Ok(edge) if edge.output.is_none() => edge,
            _ => {
                return Err(Error::message(format!(
                    "`{name}`: expected `{head}` or some of its cells, such as `{}`",
                    self.of_stage(head)
                        .last()
                        .map_or(String::new(), |cell| self[cell].id.to_string())
                )));
            }
        };
        let wanted = match &edge.select {
            Select::Aligned | Select::All => &[],
            Select::Axes(axes) => axes.as_slice(),
        };
        let has = |cell: &CellIndex| {
            let coordinates = &self[*cell].id.coordinates;
            wanted.iter().all(|(axis, _)| {
                coordinates.iter().any(|(name, value)| name == axis && edge.takes(name, value))
            })
        };
        let found: Vec<CellIndex> = self.of_stage(head).filter(has).collect();
        if found.is_empty() { Err(self.no_cell(head, name)) } else { Ok(found) }
    }

    /// The cells that any of `names` means; of all cells without any name.
    ///
    /// # Errors
    /// As [`Plan::select`].
    pub fn named(&self, names: &[String]) -> Result<BTreeSet<CellIndex>> {
        if names.is_empty() {
            return Ok(self.indices().collect());
        }
        let mut named = BTreeSet::new();
        for name in names {
            named.extend(self.select(name)?);
        }
        Ok(named)
    }

    /// The cells of a stage; none when there is no such stage.
    pub fn of_stage(&self, stage: &str) -> impl DoubleEndedIterator<Item = CellIndex> + use<> {
        graph::indices(self.places.get(stage).cloned().unwrap_or_default())
    }

    fn no_stage(&self, stage: &str) -> Error {
        let known: Vec<&str> = self.stages.iter().map(String::as_str).collect();
        let within: Vec<&str> =
            known.iter().copied().filter(|name| stage.len() > 2 && name.contains(stage)).collect();
        let hint = match (closest(stage, &known), within.as_slice()) {
            (Some(close), _) | (None, &[close]) => format!("did you mean `{close}`?"),
            (None, []) => format!("there are: {}", quoted(known.iter())),
            (None, several) => format!("did you mean one of {}?", quoted(several.iter())),
        };
        Error::message(format!("pipeline `{}` has no stage `{stage}`; {hint}", self.pipeline))
    }

    fn no_cell(&self, stage: &str, name: &str) -> Error {
        let ids: Vec<String> = self.of_stage(stage).map(|cell| self[cell].id.to_string()).collect();
        let more = match ids.len().saturating_sub(MOST) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        Error::message(format!(
            "stage `{stage}` has no cell `{name}`; there are: {}{more}",
            quoted(ids.iter().take(MOST))
        ))
    }
}

fn quoted(names: impl Iterator<Item = impl std::fmt::Display>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
