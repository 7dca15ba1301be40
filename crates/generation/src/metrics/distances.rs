//! Distances between all rows of two sets, and nearest neighbours, with the same bits for any number of threads.
//!
//! `‖x − y‖² = ‖x‖² + ‖y‖² − 2 x·y` by blocked matrix products tells which pairs may count; what decides is computed for these few
//! pairs again, by differences. So a copy has the distance 0, a row at the edge of a ball is at its edge whichever side asks,
//! and large sets take little longer than the products.

use rayon::prelude::*;
use sconce_core::{Error, Result};
use sconce_ops::rows::product::{BAND, tile};

use super::samples::Samples;

/// Rows of the left set that are compared at a time.
const LINES: usize = 64;

/// Squared Euclidean distance of two rows: the sum of squared differences in order, the same for `(a, b)` and `(b, a)`.
pub fn squared(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// Distances of the rows of `left` to those of `right`.
pub(crate) struct Pairs<'a> {
    left: &'a Samples,
    right: &'a Samples,
    left_norms: Vec<f64>,
    right_norms: Vec<f64>,
    /// How far a distance by products is from the one by differences, as a share of the squared norms.
    rounding: f64,
}

fn norms(samples: &Samples) -> Vec<f64> {
    samples.rows().map(|row| row.iter().map(|v| v * v).sum()).collect()
}

/// One row of `left` and what the products say of its squared distances.
pub(crate) struct Line<'a> {
    /// The row's place.
    pub(crate) row: usize,
    /// Squared distances to all rows of `right`, but for rounding.
    pub(crate) near: &'a [f64],
}

impl<'a> Pairs<'a> {
    pub(crate) fn new(left: &'a Samples, right: &'a Samples) -> Result<Self> {
        left.check_beside(right)?;
        if left.is_empty() || right.is_empty() {
            return Err(Error::message("expected at least one row on either side"));
        }
        // Each of three sums of `dimension` products errs by at most its length times the rounding of one.
        let rounding = 4.0 * (left.dimension() as f64 + 8.0) * f64::EPSILON;
        let (left_norms, right_norms) = (norms(left), norms(right));
        Ok(Self { left, right, left_norms, right_norms, rounding })
    }

    /// How far `line.near[place]` may be from the distance.
    pub(crate) fn slack(&self, line: &Line<'_>, place: usize) -> f64 {
        self.rounding * (self.left_norms[line.row] + self.right_norms[place])
    }

    /// The squared distance of a pair.
    pub(crate) fn exact(&self, row: usize, place: usize) -> f64 {
        squared(self.left.row(row), self.right.row(place))
    }

    /// Whether the distance of `line` to the row `place` is below the root of `limit`: by differences where products leave doubt.
    pub(crate) fn is_below(&self, line: &Line<'_>, place: usize, limit: f64) -> bool {
        let (near, slack) = (line.near[place], self.slack(line, place));
        if near < limit - slack {
            true
        } else if near > limit + slack {
            false
        } else {
            self.exact(line.row, place) < limit
        }
    }

    /// What `of` makes of each band of [`LINES`] rows of the left set, in order. Bands are computed in parallel.
    pub(crate) fn by_band<T: Send>(&self, of: impl Fn(&[Line<'_>]) -> T + Sync) -> Vec<T> {
        let (depth, width) = (self.left.dimension(), self.right.len());
        let bands = self.left.values().par_chunks(LINES * depth).enumerate();
        let each = bands.map(|(band, rows)| {
            let mut near = vec![0.0; rows.len() / depth * width];
            for (i, right) in self.right.values().chunks(BAND * depth).enumerate() {
                tile(rows, right, depth, &mut near[i * BAND..], width);
            }
            for (row, near) in near.chunks_exact_mut(width).enumerate() {
                let norm = self.left_norms[band * LINES + row];
                for (near, other) in near.iter_mut().zip(&self.right_norms) {
                    *near = norm + other - 2.0 * *near;
                }
            }
            let lines: Vec<Line<'_>> = near
                .chunks_exact(width)
                .enumerate()
                .map(|(row, near)| Line { row: band * LINES + row, near })
                .collect();
            of(&lines)
        });
        each.collect()
    }

    /// The `count` nearest rows of `right`, nearest first and the earlier of equals, with their squared distances; `but` is
    /// left out.
    fn nearest_of(&self, line: &Line<'_>, count: usize, but: Option<usize>) -> Vec<Neighbour> {
        let mut sorted: Vec<f64> = line.near.to_vec();
        // One further, in case the one that is left out is among them.
        let last = (count + usize::from(but.is_some())).min(sorted.len()) - 1;
        let (_, &mut limit, _) = sorted.select_nth_unstable_by(last, f64::total_cmp);
        let largest = self.right_norms.iter().copied().fold(0.0, f64::max);
        let limit = limit + 2.0 * self.rounding * (self.left_norms[line.row] + largest);
        let candidates =
            (0..line.near.len()).filter(|&at| line.near[at] <= limit && Some(at) != but);
        let mut found: Vec<Neighbour> = candidates
            .map(|place| Neighbour { place, squared: self.exact(line.row, place) })
            .collect();
        found.sort_by(|a, b| a.squared.total_cmp(&b.squared).then(a.place.cmp(&b.place)));
        found.truncate(count);
        found
    }
}

/// A row of another set, and how far it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbour {
    /// The row's place in the other set.
    pub place: usize,
    /// The squared Euclidean distance.
    pub squared: f64,
}

/// The `count` rows of `among` that are nearest to each row of `samples`, nearest first; all where there are fewer.
///
/// # Errors
/// When a set is empty, or the rows differ in length.
pub fn nearest(samples: &Samples, among: &Samples, count: usize) -> Result<Vec<Vec<Neighbour>>> {
    let pairs = Pairs::new(samples, among)?;
    let count = count.clamp(1, among.len());
    let bands = pairs.by_band(|lines| {
        lines.iter().map(|line| pairs.nearest_of(line, count, None)).collect::<Vec<_>>()
    });
    Ok(bands.into_iter().flatten().collect())
}

/// The squared distance of each row to its `k`-th nearest neighbour, itself not counted.
///
/// # Errors
/// When there are no `k` others.
pub fn radii(samples: &Samples, k: usize) -> Result<Vec<f64>> {
    if k == 0 || samples.len() <= k {
        return Err(Error::message(format!(
            "expected more than k = {k} samples, and k of 1 or more; found {} samples",
            samples.len()
        )));
    }
    let pairs = Pairs::new(samples, samples)?;
    let bands = pairs.by_band(|lines| {
        let radius = |line: &Line<'_>| {
            pairs.nearest_of(line, k, Some(line.row)).last().map_or(0.0, |last| last.squared)
        };
        lines.iter().map(radius).collect::<Vec<_>>()
    });
    Ok(bands.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::testing::samples;

    /// Far from the origin products lose most digits; neighbours are those of differences all the same.
    #[test]
    fn neighbours_are_those_of_differences() {
        for shift in [0.0, 1e6] {
            let (a, b) = (samples(70, 5, 1, shift), samples(150, 5, 2, shift));
            for (row, found) in a.rows().zip(nearest(&a, &b, 4).unwrap()) {
                let mut all: Vec<(f64, usize)> = b
                    .rows()
                    .enumerate()
                    .map(|(place, other)| (squared(row, other), place))
                    .collect();
                all.sort_by(|a, b| a.partial_cmp(b).unwrap());
                let expected: Vec<(f64, usize)> = all[..4].to_vec();
                let found: Vec<_> = found.iter().map(|near| (near.squared, near.place)).collect();
                assert_eq!(found, expected);
            }
            let radii = radii(&a, 3).unwrap();
            for (i, row) in a.rows().enumerate() {
                let others = a.rows().enumerate().filter(|(j, _)| i != *j);
                let mut all: Vec<f64> = others.map(|(_, other)| squared(row, other)).collect();
                all.sort_by(f64::total_cmp);
                assert_eq!(radii[i], all[2]);
            }
        }
    }

    #[test]
    fn copies_are_at_no_distance() {
        let mut values = samples(3, 4, 3, 100.0).values().to_vec();
        values.extend_from_within(4..8);
        let twice = Samples::new(values, 4).unwrap();
        assert_eq!(radii(&twice, 1).unwrap()[1], 0.0);
        assert_eq!(radii(&twice, 1).unwrap()[3], 0.0);
        let places: Vec<usize> =
            nearest(&twice, &twice, 2).unwrap()[3].iter().map(|near| near.place).collect();
        assert_eq!(places, [1, 3]);
        let error = radii(&twice, 4).unwrap_err().to_string();
        assert_eq!(error, "expected more than k = 4 samples, and k of 1 or more; found 4 samples");
    }
}
