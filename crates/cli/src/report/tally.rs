//! Which stages are fresh, in as few words as do.

use std::collections::BTreeMap;

use sconce_core::CellId;
use sconce_core::plan::Plan;

use crate::style::count;

/// More stages than this are counted, not named.
const NAMED: usize = 8;

/// Counts the cells of each stage that are fresh.
pub(super) struct Tally {
    /// Order of the stages, and their numbers of cells.
    stages: Vec<(String, usize)>,
    fresh: BTreeMap<String, usize>,
}

impl Tally {
    pub(super) fn new(plan: &Plan) -> Self {
        let of = |stage: &String| (stage.clone(), plan.of_stage(stage).count());
        Self { stages: plan.stages.iter().map(of).collect(), fresh: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, cell: &CellId) {
        *self.fresh.entry(cell.stage.clone()).or_default() += 1;
    }

    pub(super) fn cells(&self) -> usize {
        self.fresh.values().sum()
    }

    /// `digits, features (3 cells), svm (2 of 12 cells)`, or `190 cells of 190 stages`.
    pub(super) fn text(&self) -> String {
        if self.fresh.len() > NAMED {
            let (cells, stages) = (self.cells(), self.fresh.len());
            return format!("{} of {}", count(cells, "cell"), count(stages, "stage"));
        }
        let named = |(stage, all): &(String, usize)| {
            let fresh = *self.fresh.get(stage)?;
            Some(match (fresh, *all) {
                (1, 1) => stage.clone(),
                (fresh, all) if fresh == all => format!("{stage} ({all} cells)"),
                (fresh, all) => format!("{stage} ({fresh} of {all} cells)"),
            })
        };
        self.stages.iter().filter_map(named).collect::<Vec<_>>().join(", ")
    }
}
