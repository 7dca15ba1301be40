//! Columns of the product: where their patches lie, where their results go.

use super::{CHUNK, Job};
use crate::cpu::kernel::Element;
use std::ops::Range;

/// Windows of one image that a task computes.
pub(super) struct Segment {
    pub(super) image: usize,
    pub(super) rows: Range<usize>,
}

impl Segment {
    /// Rows of windows that are counted over all images, `height` each.
    pub(super) fn all(rows: Range<usize>, height: usize) -> Vec<Self> {
        let (mut row, mut out) = (rows.start, vec![]);
        while row < rows.end {
            let (image, from) = (row / height, row % height);
            let to = (from + rows.end - row).min(height);
            out.push(Self { image, rows: from..to });
            row += to - from;
        }
        out
    }
}

/// Columns of one block.
pub(super) struct Panel {
    /// First column of the task.
    pub(super) column: usize,
    /// Columns that count.
    pub(super) len: usize,
    pub(super) vectors: usize,
    /// Where its patches begin.
    pub(super) at: usize,
    pub(super) landing: Landing,
}

/// Where the results of a panel go.
pub(super) enum Landing {
    /// Side by side, from this place on.
    InPlace(usize),
    /// To places of their own, of which as many as `together` are neighbours, of the columns that count.
    Scattered { places: Vec<usize>, together: usize },
}

impl<T: Element> Job<'_, T> {
    /// All columns of a task in panels, for patches of `depth` elements.
    pub(super) fn panels(&self, segments: &[Segment], columns: usize, depth: usize) -> Vec<Panel> {
        let mut at = 0;
        (0..columns)
            .step_by(self.kernel.columns())
            .map(|column| {
                let len = self.kernel.columns().min(columns - column);
                let vectors = len.div_ceil(self.kernel.lanes);
                let width = vectors * self.kernel.lanes;
                let landing = self.landing(segments, column..column + len, width);
                let panel = Panel { column, len, vectors, at, landing };
                at += (depth * width + CHUNK).next_multiple_of(CHUNK);
                panel
            })
            .collect()
    }

    /// Where the results of some columns go in `y`, those of the first output; `width` elements are computed.
    fn landing(&self, segments: &[Segment], columns: Range<usize>, width: usize) -> Landing {
        let s = self.s;
        let place = |column| {
            let (image, row, q) = window(segments, column, s.grid[1]);
            let (y, x) = (row * s.out_step[0] + s.out_start[0], q * s.out_step[1] + s.out_start[1]);
            image * self.image + y * s.output[1] + x
        };
        let (first, last) = (place(columns.start), place(columns.end - 1));
        let side_by_side = last - first == columns.len() - 1;
        if s.out_step == [1; 2] && columns.len() == width && side_by_side {
            return Landing::InPlace(first);
        }
        let places: Vec<usize> = columns.map(place).collect();
        // neighbours are copied together: as many as the first ones, if all come in groups of so many
        let together = 1 + places.windows(2).take_while(|p| p[1] == p[0] + 1).count();
        let side_by_side = |p: &[usize]| p[p.len() - 1] - p[0] == p.len() - 1;
        let together = if places.chunks(together).all(side_by_side) { together } else { 1 };
        Landing::Scattered { places, together }
    }
}

/// The image, row and column of a window.
fn window(segments: &[Segment], column: usize, width: usize) -> (usize, usize, usize) {
    let (mut row, q) = (column / width, column % width);
    let mut segment = 0;
    while row >= segments[segment].rows.len() {
        row -= segments[segment].rows.len();
        segment += 1;
    }
    (segments[segment].image, segments[segment].rows.start + row, q)
}
