//! The graph of a plan's cells: who reads whom.

use std::ops::{Index, IndexMut, Range};

use petgraph::Direction::{Incoming, Outgoing};
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::{Dfs, EdgeRef, IntoNodeReferences, NodeFiltered, Reversed};

use super::{Cell, Plan, Source};

/// A cell of a plan. Upstream cells have smaller indices than those that read them.
pub type CellIndex = NodeIndex;

/// The cells of a plan. An edge goes from the cell that yields an artifact to the one that reads it.
pub type CellGraph = DiGraph<Cell, Source>;

impl Plan {
    /// The cells, upstream first.
    pub fn cells(&self) -> impl Iterator<Item = (CellIndex, &Cell)> {
        self.graph.node_references()
    }

    /// Indices of the cells, upstream first.
    pub fn indices(
        &self,
    ) -> impl DoubleEndedIterator<Item = CellIndex> + ExactSizeIterator + use<> {
        indices(0..self.graph.node_count())
    }

    /// How many cells there are.
    pub fn len(&self) -> usize {
        self.graph.node_count()
    }

    /// Whether there is no cell.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The artifacts that a cell reads, each with the cell that yields it: in the order of the
    /// kind's slots, and within a slot in the order in which the stage sees them.
    pub fn sources(&self, cell: CellIndex) -> Vec<(CellIndex, &Source)> {
        let mut edges: Vec<_> = self.graph.edges_directed(cell, Incoming).collect();
        // The order in which they were added; petgraph lists the latest first.
        edges.sort_by_key(EdgeRef::id);
        edges.into_iter().map(|edge| (edge.source(), edge.weight())).collect()
    }

    /// The cells that `cell` reads, in no order; one that it reads twice comes twice.
    pub fn reads(&self, cell: CellIndex) -> impl Iterator<Item = CellIndex> {
        self.graph.neighbors_directed(cell, Incoming)
    }

    /// The cells that `cell` reads, in the plan's order and without repetition.
    pub fn upstream(&self, cell: CellIndex) -> Vec<CellIndex> {
        let mut upstream: Vec<_> = self.reads(cell).collect();
        upstream.sort_unstable();
        upstream.dedup();
        upstream
    }

    /// The cells that read `cell`, in no order; one that reads it twice comes twice.
    pub fn readers(&self, cell: CellIndex) -> impl Iterator<Item = CellIndex> {
        self.graph.neighbors_directed(cell, Outgoing)
    }

    /// The cells downstream of `cell` that are reached through cells that `through` takes, in the
    /// plan's order.
    pub fn downstream(
        &self,
        cell: CellIndex,
        through: impl Fn(CellIndex) -> bool,
    ) -> Vec<CellIndex> {
        // A node that is filtered out has no neighbours, so the start is let through, too.
        let taken = NodeFiltered::from_fn(&self.graph, |one| one == cell || through(one));
        let mut search = Dfs::new(&taken, cell);
        let mut found: Vec<_> = std::iter::from_fn(|| search.next(&taken)).collect();
        found.retain(|&one| one != cell);
        found.sort_unstable();
        found
    }

    /// These cells and all that they need, in the plan's order.
    pub fn with_upstream(&self, cells: impl IntoIterator<Item = CellIndex>) -> Vec<CellIndex> {
        let upwards = Reversed(&self.graph);
        let mut search = Dfs::empty(upwards);
        let mut found = Vec::new();
        for cell in cells {
            search.move_to(cell);
            found.extend(std::iter::from_fn(|| search.next(upwards)));
        }
        found.sort_unstable();
        found
    }

    /// Length of the longest chain of cells that read each one; 0 for one that nothing reads.
    pub fn heights(&self) -> PerCell<usize> {
        let mut heights = PerCell::filled(self, 0);
        for cell in self.indices().rev() {
            let above = self.readers(cell).map(|reader| heights[reader] + 1);
            heights[cell] = above.max().unwrap_or(0);
        }
        heights
    }
}

impl Index<CellIndex> for Plan {
    type Output = Cell;

    fn index(&self, cell: CellIndex) -> &Cell {
        &self.graph[cell]
    }
}

/// The indices from a range of numbers.
pub(super) fn indices(
    range: Range<usize>,
) -> impl DoubleEndedIterator<Item = CellIndex> + ExactSizeIterator {
    range.map(CellIndex::new)
}

/// A value for each cell of a plan.
#[derive(Debug, Clone)]
pub struct PerCell<T>(Vec<T>);

impl<T> PerCell<T> {
    /// The same value for each.
    pub fn filled(plan: &Plan, value: T) -> Self
    where
        T: Clone,
    {
        Self(vec![value; plan.len()])
    }

    /// A value for each, made in the plan's order.
    pub fn new(plan: &Plan, make: impl FnMut(CellIndex) -> T) -> Self {
        Self(plan.indices().map(make).collect())
    }

    /// The values in the plan's order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (CellIndex, &T)> {
        indices(0..self.0.len()).zip(&self.0)
    }
}

impl<T> Index<CellIndex> for PerCell<T> {
    type Output = T;

    fn index(&self, cell: CellIndex) -> &T {
        &self.0[cell.index()]
    }
}

impl<T> IndexMut<CellIndex> for PerCell<T> {
    fn index_mut(&mut self, cell: CellIndex) -> &mut T {
        &mut self.0[cell.index()]
    }
}
