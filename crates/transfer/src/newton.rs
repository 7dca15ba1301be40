//! The primal of one binary L2-regularised squared-hinge problem, by Newton's method.
//!
//! With rows `x` that end in a feature that is always 1, `y ∈ {−1, 1}` and the samples `A` inside of the margin (`y wᵀx < 1`):
//!
//! ```text
//! f(w) = ½ ‖w‖² + C Σ max(0, 1 − y wᵀx)²       g = w − 2C Σ_A (y − wᵀx) x       H = I + 2C Σ_A x xᵀ
//! ```
//!
//! `f` is quadratic between two changes of `A`, so that Newton's steps with an exact line search end at the solution itself after
//! a few (Keerthi & DeCoste, "A modified finite Newton method for fast solution of large scale linear SVMs", JMLR 2005).
//! A step costs `O(features³ + changes of A · features²)` whatever C and the scale of the features, where coordinate
//! descent on the dual takes the more passes the larger they are.

use std::borrow::Cow;

use rayon::prelude::*;
use sconce_ops::rows::cholesky;
use sconce_ops::rows::product::{self, BAND};

use crate::Error;
use crate::dual::{Solved, add_scaled};

/// Rows that are added to a matrix of moments at a time.
const DEPTH: usize = 1024;
/// From `w = 0` the first C at most, times the mean `‖x‖²`: with a larger one nearly every step changes `A` (features as
/// SqueezeNet leaves them took 200 steps at once, and 20 from one C to the next).
const FIRST: f64 = 1e4;
/// From one C to the next.
const RISE: f64 = 100.0;
/// Of an objective.
const ROUNDING: f64 = 1e-12;
/// The largest projected gradient on the way.
const ON_THE_WAY: f64 = 1e-2;

/// The rows of all classes' problems.
pub(crate) struct Design<'a> {
    values: Cow<'a, [f32]>,
    columns: usize,
    /// `Σ x xᵀ` over all rows, lower triangle.
    moments: Vec<f64>,
}

impl<'a> Design<'a> {
    /// # Errors
    /// When there is no row.
    pub(crate) fn new(values: Cow<'a, [f32]>, columns: usize) -> Result<Self, Error> {
        if values.is_empty() {
            return Err(Error::Data("a machine needs at least one row".into()));
        }
        let mut design = Self { values, columns, moments: vec![0.0; (columns + 1).pow(2)] };
        let mut moments = std::mem::take(&mut design.moments);
        let all: Vec<(usize, f64)> = (0..design.len()).map(|i| (i, 1.0)).collect();
        design.add_moments(&all, &mut moments, true);
        design.moments = moments;
        Ok(design)
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len() / self.columns
    }

    fn row(&self, i: usize) -> &[f32] {
        &self.values[i * self.columns..(i + 1) * self.columns]
    }

    /// `moments += Σ sign · x xᵀ` over the named rows, lower triangle. `shared`: by all threads, where no
    /// other problem keeps them busy.
    fn add_moments(&self, rows: &[(usize, f64)], moments: &mut [f64], shared: bool) {
        let width = self.columns + 1;
        for rows in rows.chunks(DEPTH) {
            let depth = rows.len();
            let mut features = vec![1f64; width * depth];
            for (k, &(i, _)) in rows.iter().enumerate() {
                for (j, &value) in self.row(i).iter().enumerate() {
                    features[j * depth + k] = f64::from(value);
                }
            }
            let mut signed = features.clone();
            for feature in signed.chunks_exact_mut(depth) {
                feature.iter_mut().zip(rows).for_each(|(value, (_, sign))| *value *= sign);
            }
            let bands: Vec<&[f64]> = features.chunks(BAND * depth).collect();
            let add = |(band, out): (usize, &mut [f64])| {
                let lhs = &signed[band * BAND * depth..][..bands[band].len()];
                let mut sums = vec![0f64; out.len()];
                for (i, rhs) in bands[..=band].iter().enumerate() {
                    product::tile(lhs, rhs, depth, &mut sums[i * BAND..], width);
                }
                out.iter_mut().zip(&sums).for_each(|(out, sum)| *out += sum);
            };
            if shared {
                moments.par_chunks_mut(BAND * width).enumerate().for_each(add);
            } else {
                moments.chunks_mut(BAND * width).enumerate().for_each(add);
            }
        }
    }

    /// The named rows alone.
    pub(crate) fn subset(&self, samples: &[usize]) -> Result<Design<'static>, Error> {
        let values: Vec<f32> = samples.iter().flat_map(|&i| self.row(i)).copied().collect();
        Design::new(values.into(), self.columns)
    }

    /// `wᵀx` of row `i`, for weights that end in the intercept.
    pub(crate) fn score(&self, weights: &[f64], i: usize) -> f64 {
        score(pulp::Arch::new(), weights, self.row(i))
    }
}

/// `wᵀx`, for weights that end in the intercept.
fn score(arch: pulp::Arch, weights: &[f64], row: &[f32]) -> f64 {
    let (weights, intercept) = weights.split_at(row.len());
    arch.dispatch(
        #[inline(always)]
        || {
            let mut sums = [0f64; 8];
            let ((a, a_rest), (b, b_rest)) = (weights.as_chunks::<8>(), row.as_chunks::<8>());
            for (a, b) in a.iter().zip(b) {
                for lane in 0..8 {
                    sums[lane] += a[lane] * f64::from(b[lane]);
                }
            }
            let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * f64::from(*b)).sum();
            sums.iter().sum::<f64>() + rest + intercept[0]
        },
    )
}

/// One binary problem and its state, kept from one C to the next.
pub(crate) struct Newton<'a> {
    design: &'a Design<'a>,
    signs: Vec<f64>,
    /// The weights, then the intercept.
    weights: Vec<f64>,
    scores: Vec<f64>,
    /// Whether a sample is inside of the margin.
    active: Vec<bool>,
    /// `Σ x xᵀ` over these, lower triangle.
    moments: Vec<f64>,
    /// The C of the problem that was solved last; 0 before the first.
    c: f64,
    arch: pulp::Arch,
}

impl<'a> Newton<'a> {
    /// The problem that tells samples for which `positive` is true from the others, starting at w = 0.
    pub(crate) fn new(design: &'a Design<'a>, positive: impl Fn(usize) -> bool) -> Self {
        let n = design.len();
        Self {
            signs: (0..n).map(|i| if positive(i) { 1.0 } else { -1.0 }).collect(),
            weights: vec![0.0; design.columns + 1],
            scores: vec![0.0; n],
            active: vec![true; n],
            moments: design.moments.clone(),
            c: 0.0,
            arch: pulp::Arch::new(),
            design,
        }
    }

    /// The weights, then the intercept.
    pub(crate) fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// Goes on from the present weights, over problems of smaller C where it is far, until no projected gradient of the dual
    /// exceeds `tolerance`, or until rounding alone is left of it.
    pub(crate) fn solve(&mut self, c: f64, tolerance: f64, max_steps: usize) -> Solved {
        let mut sweeps = 0;
        for c in self.way(c) {
            self.descend(c, tolerance.max(ON_THE_WAY), max_steps, &mut sweeps);
        }
        let violation = self.descend(c, tolerance, max_steps, &mut sweeps);
        self.c = c;
        Solved { sweeps, violation }
    }

    /// The problems on the way to that of C.
    fn way(&self, c: f64) -> Vec<f64> {
        let width = self.design.columns + 1;
        let squares: f64 = self.design.moments.iter().step_by(width + 1).sum();
        let near = (FIRST * self.design.len() as f64 / squares).max(RISE * self.c);
        let mut way = Vec::new();
        let mut at = c;
        while at > near {
            at /= RISE;
            way.push(at);
        }
        way.reverse();
        way
    }

    /// Newton's steps for one C, as long as each brings the objective down or, where it stays as it is but for rounding, the
    /// largest projected gradient; the one that is left.
    fn descend(&mut self, c: f64, tolerance: f64, max_steps: usize, steps: &mut usize) -> f64 {
        let mut objective = self.objective(c, &self.weights, &self.scores);
        // The violation that has to fall, after a step that the objective does not tell from none.
        let mut bound = f64::INFINITY;
        loop {
            let gradient = self.gradient(c);
            // With α = 2C max(0, 1 − y wᵀx) the dual's gradient is y xᵀ(w(α) − w), and w(α) = w − g.
            let along = self.along(&gradient);
            // What is no number is no solution.
            let size = |v: &f64| if v.is_nan() { f64::INFINITY } else { v.abs() };
            let violation = along.iter().map(size).fold(0.0, f64::max);
            let is_over = *steps >= max_steps || violation >= bound;
            if violation <= tolerance || is_over {
                return violation;
            }
            let direction = self.direction(c, &gradient);
            let length = self.length(c, &direction, &self.along(&direction));
            let step = self.weights.iter().zip(&direction);
            let weights: Vec<f64> = step.map(|(w, p)| w + length * p).collect();
            let scores = self.along(&weights);
            let next = self.objective(c, &weights, &scores);
            if next.is_nan() || next > objective * (1.0 + ROUNDING) {
                return violation;
            }
            let falls = next < objective * (1.0 - ROUNDING);
            bound = if falls { f64::INFINITY } else { violation };
            *steps += 1;
            objective = next;
            (self.weights, self.scores) = (weights, scores);
            self.look();
        }
    }

    /// `xᵀv` of all rows.
    fn along(&self, v: &[f64]) -> Vec<f64> {
        let rows = self.design.values.chunks_exact(self.design.columns);
        rows.map(|row| score(self.arch, v, row)).collect()
    }

    fn slack(&self, i: usize) -> f64 {
        1.0 - self.signs[i] * self.scores[i]
    }

    fn objective(&self, c: f64, weights: &[f64], scores: &[f64]) -> f64 {
        let slack = |(sign, score): (&f64, &f64)| {
            let slack = 1.0 - sign * score;
            if slack > 0.0 { slack * slack } else { slack * 0.0 }
        };
        let slacks = self.signs.iter().zip(scores).map(slack).sum::<f64>();
        0.5 * weights.iter().map(|w| w * w).sum::<f64>() + c * slacks
    }

    fn gradient(&self, c: f64) -> Vec<f64> {
        let mut gradient = self.weights.clone();
        let (weights, intercept) = gradient.split_at_mut(self.design.columns);
        for (i, _) in self.active.iter().enumerate().filter(|(_, active)| **active) {
            let scale = -2.0 * c * (self.signs[i] - self.scores[i]);
            add_scaled(self.arch, weights, scale, self.design.row(i));
            intercept[0] += scale;
        }
        gradient
    }

    /// `−H⁻¹ g`.
    fn direction(&self, c: f64, gradient: &[f64]) -> Vec<f64> {
        let width = gradient.len();
        let mut hessian: Vec<f64> = self.moments.iter().map(|m| 2.0 * c * m).collect();
        (0..width).for_each(|i| hessian[i * (width + 1)] += 1.0);
        let mut direction: Vec<f64> = gradient.iter().map(|g| -g).collect();
        cholesky::solve(&mut hessian, width, &mut direction);
        direction
    }

    /// Where `f(w + length · direction)` is smallest: its slope is piecewise linear in `length`, with a bend where a sample
    /// comes into the margin or leaves it.
    fn length(&self, c: f64, direction: &[f64], along: &[f64]) -> f64 {
        let inner = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let mut slope = inner(&self.weights, direction);
        let mut bend = inner(direction, direction);
        let mut turns = Vec::new();
        for (i, (&along, &active)) in along.iter().zip(&self.active).enumerate() {
            let (slack, fall) = (self.slack(i), self.signs[i] * along);
            if active {
                slope -= 2.0 * c * fall * slack;
                bend += 2.0 * c * fall * fall;
            }
            // An active sample leaves where its slack falls to 0, another one comes where it rises to that.
            if active == (fall > 0.0) && fall != 0.0 {
                turns.push((slack / fall, i, fall));
            }
        }
        turns.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        for (at, i, fall) in turns {
            if slope + bend * at >= 0.0 {
                break;
            }
            let sign = if fall > 0.0 { -1.0 } else { 1.0 };
            slope -= sign * 2.0 * c * fall * self.slack(i);
            bend += sign * 2.0 * c * fall * fall;
        }
        -slope / bend
    }

    /// Brings the active samples and their moments up to date with the scores.
    fn look(&mut self) {
        let mut changes = Vec::new();
        for i in 0..self.signs.len() {
            let active = self.slack(i) > 0.0;
            if active != self.active[i] {
                self.active[i] = active;
                changes.push((i, if active { 1.0 } else { -1.0 }));
            }
        }
        let active = self.active.iter().enumerate().filter(|(_, active)| **active);
        if active.clone().count() < changes.len() {
            self.moments.fill(0.0);
            changes = active.map(|(i, _)| (i, 1.0)).collect();
        }
        self.design.add_moments(&changes, &mut self.moments, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::System;
    use crate::svm::Stopping;
    use crate::{Gram, Rows, synthetic};

    /// The same weights as by coordinate descent on the dual, from one C to the next.
    #[test]
    fn equals_the_dual() {
        for (n, d) in [(150, 20), (90, 200)] {
            let (x, labels) = synthetic::clusters(n, d, 3, 5);
            let rows = Rows::new(&x, d).unwrap();
            let primal = System::Primal(Design::new(rows.values().into(), d).unwrap());
            let dual = System::Dual(Gram::new(rows, 1.0).unwrap());
            let positive = |i: usize| labels[i] == 1;
            let (mut ours, mut theirs) = (primal.machine(positive), dual.machine(positive));
            for c in [0.01, 1.0, 100.0] {
                let stopping = Stopping { tolerance: 1e-7, max_sweeps: 100_000 };
                assert!(ours.solve(c, stopping).violation <= 1e-7);
                assert!(theirs.solve(c, stopping).violation <= 1e-7);
                let ((w, b), (v, a)) = (ours.weights(rows), theirs.weights(rows));
                let largest = v.iter().fold(0f32, |most, v| most.max(v.abs()));
                for (w, v) in w.iter().zip(&v).chain([(&b, &a)]) {
                    assert!((w - v).abs() < 1e-5 * largest, "{n} × {d}, c {c}: {w} {v}");
                }
            }
        }
    }

    /// Features as a network leaves them, not normalised: of any scale, all positive, some of them dead or nearly copies.
    #[test]
    fn a_few_steps_suffice_for_features_of_any_scale() {
        let (n, d) = (400, 60);
        let (mut x, labels) = synthetic::clusters(n, d, 2, 8);
        for row in x.chunks_mut(d) {
            for (j, value) in row.iter_mut().enumerate() {
                *value = (*value + 0.5).max(0.0) * 10f32.powi(j as i32 % 4);
            }
            row[7] = 0.0;
            row[9] = row[8] * 1.000_1;
        }
        let design = Design::new(x.as_slice().into(), d).unwrap();
        for c in [1e-6, 1.0, 1e3] {
            let mut newton = Newton::new(&design, |i| labels[i] == 0);
            let solved = newton.solve(c, 1e-4, 1000);
            assert!(solved.violation <= 1e-4 && solved.sweeps <= 25, "c {c}: {solved:?}");
        }
    }

    /// More features than rows, one row, the same row twice with both labels, steps that run out.
    #[test]
    fn odd_sizes() {
        let solve = |x: &[f32], d, labels: &[bool], steps| {
            let design = Design::new(x.into(), d).unwrap();
            let mut newton = Newton::new(&design, |i| labels[i]);
            (newton.solve(1.0, 1e-9, steps), newton.weights().to_vec())
        };
        // One sample (2, 1) with the intercept: w = 2C (1 − wᵀx) x, so wᵀx = 10 / 11 and w = 2 / 11 · x.
        let (solved, w) = solve(&[2.0], 1, &[true], 10);
        assert!(solved.violation <= 1e-9);
        assert!((w[0] - 4.0 / 11.0).abs() < 1e-12 && (w[1] - 2.0 / 11.0).abs() < 1e-12, "{w:?}");
        let (solved, w) = solve(&[1.0, 2.0, 1.0, 2.0], 2, &[true, false], 10);
        assert!(solved.violation <= 1e-9 && w.iter().all(|w| w.abs() < 1e-12), "{w:?}");
        let (solved, _) = solve(&[1.0, 0.0, 3.0, 0.0, 1.0, 2.0], 3, &[true, false], 0);
        assert!(solved.sweeps == 0 && solved.violation > 1.0);
        assert!(Design::new(Vec::new().into(), 3).is_err());
    }

    /// No number comes out of what is beyond double precision, and nobody takes it for solved.
    #[test]
    fn what_overflows_is_not_solved() {
        let (x, labels) = synthetic::clusters(40, 6, 2, 4);
        let design = Design::new(x.as_slice().into(), 6).unwrap();
        for c in [1e300, f64::MAX] {
            let mut newton = Newton::new(&design, |i| labels[i] == 0);
            let solved = newton.solve(c, 1e-4, 1000);
            assert!(solved.violation > 1e-4, "c {c}: {solved:?}");
            assert!(newton.weights().iter().all(|w| w.is_finite()), "c {c}");
        }
    }
}
