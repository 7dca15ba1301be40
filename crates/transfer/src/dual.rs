//! The dual of one binary L2-regularised squared-hinge problem, by coordinate descent on the Gram matrix.
//!
//! With `K` the Gram matrix (intercept included), `y ∈ {−1, 1}` and `D = I / (2C)`:
//!
//! ```text
//! min over α ≥ 0:   ½ αᵀ (y yᵀ ∘ K + D) α − Σ α
//! ```
//!
//! which is the dual of `½ ‖w‖² + C Σ max(0, 1 − y wᵀx)²` (Hsieh et al., "A dual coordinate descent method for
//! large-scale linear SVM", ICML 2008). LIBLINEAR keeps `w` and pays `O(features)` to look at a coordinate; here the scores
//! `f = K (α y)` are kept, so that looking costs `O(1)` and only a change costs `O(samples)`. That makes it cheap to change
//! only the coordinates that violate optimality most (on VGG16-like features a thirtieth of the changes of a cyclic order),
//! and to leave out, for a while, samples far on the right side of the margin ("shrinking", on a copied smaller matrix).

use crate::Gram;

/// A coordinate is changed when its violation is at least this part of the largest one.
const ACTIVE: f64 = 0.75;
/// Each round of descent lowers the violation to this part before the active samples are chosen anew.
const ROUND: f64 = 0.1;
/// Samples at α = 0 whose gradient is above this stay out of a round, once few enough are left.
const FAR: f64 = 0.05;
/// Coordinates looked at together.
const BLOCK: usize = 64;

/// One binary problem and its state, kept from one C to the next.
pub(crate) struct Dual<'a> {
    gram: &'a Gram,
    state: State,
}

/// How a problem was solved.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Solved {
    /// Passes over the coordinates.
    pub(crate) sweeps: usize,
    /// The largest projected gradient left.
    pub(crate) violation: f64,
}

impl<'a> Dual<'a> {
    /// The problem that tells samples for which `positive` is true from the others, starting at α = 0.
    pub(crate) fn new(gram: &'a Gram, positive: impl Fn(usize) -> bool) -> Self {
        let sign = |i| if positive(i) { 1.0 } else { -1.0 };
        Self {
            gram,
            state: State {
                signs: (0..gram.len()).map(sign).collect(),
                alpha: vec![0.0; gram.len()],
                scores: vec![0.0; gram.len()],
                block_maxima: Vec::new(),
                arch: pulp::Arch::new(),
            },
        }
    }

    /// Descends from the present α until no projected gradient exceeds `tolerance`.
    pub(crate) fn solve(&mut self, c: f64, tolerance: f64, max_sweeps: usize) -> Solved {
        let ridge = 0.5 / c;
        let mut solved = Solved::default();
        loop {
            solved.violation = self.state.find_violations(ridge);
            if solved.violation <= tolerance || solved.sweeps >= max_sweeps {
                return solved;
            }
            let target = (ROUND * solved.violation).max(tolerance);
            let left = max_sweeps - solved.sweeps;
            let near: Vec<usize> = (0..self.gram.len())
                .filter(|&i| self.state.alpha[i] > 0.0 || self.state.gradient(i, ridge) < FAR)
                .collect();
            solved.sweeps += if near.len() * 4 > self.gram.len() * 3 {
                self.state.descend(self.gram, ridge, target, left)
            } else {
                self.descend_on(&near, ridge, target, left)
            };
        }
    }

    /// Descends on the coordinates `near` alone, then brings the scores of all samples up to date.
    fn descend_on(&mut self, near: &[usize], ridge: f64, target: f64, max_sweeps: usize) -> usize {
        let gram = self.gram.subset(near);
        let mut part = self.state.subset(near);
        let sweeps = part.descend(&gram, ridge, target, max_sweeps);
        for (&i, alpha) in near.iter().zip(part.alpha) {
            let change = (alpha - self.state.alpha[i]) * self.state.signs[i];
            if change != 0.0 {
                self.state.alpha[i] = alpha;
                add_scaled(self.state.arch, &mut self.state.scores, change, self.gram.row(i));
            }
        }
        sweeps
    }

    /// `α y`, the coefficients of the samples in the weight vector `w = Xᵀ (α y)`.
    pub(crate) fn coefficients(&self) -> Vec<f64> {
        let state = &self.state;
        state.alpha.iter().zip(&state.signs).map(|(a, s)| a * s).collect()
    }
}

/// The dual variables, and the scores `K (α y)` that belong to them.
struct State {
    signs: Vec<f64>,
    alpha: Vec<f64>,
    scores: Vec<f64>,
    block_maxima: Vec<f64>,
    arch: pulp::Arch,
}

impl State {
    fn subset(&self, samples: &[usize]) -> Self {
        let pick = |of: &[f64]| samples.iter().map(|&i| of[i]).collect();
        Self {
            signs: pick(&self.signs),
            alpha: pick(&self.alpha),
            scores: pick(&self.scores),
            block_maxima: Vec::new(),
            arch: self.arch,
        }
    }

    /// The gradient at coordinate `i`.
    fn gradient(&self, i: usize, ridge: f64) -> f64 {
        self.signs[i] * self.scores[i] - 1.0 + self.alpha[i] * ridge
    }

    /// Changes the coordinates that violate optimality most, again and again, until none does by more than
    /// `target`; the number of passes over the coordinates.
    fn descend(&mut self, gram: &Gram, ridge: f64, target: f64, max_sweeps: usize) -> usize {
        for sweep in 0..max_sweeps {
            let largest = self.find_violations(ridge);
            if largest <= target {
                return sweep;
            }
            let threshold = ACTIVE * largest;
            for block in 0..self.block_maxima.len() {
                if self.block_maxima[block] < threshold {
                    continue;
                }
                for i in block * BLOCK..((block + 1) * BLOCK).min(self.alpha.len()) {
                    let gradient = self.gradient(i, ridge);
                    if violation(self.alpha[i], gradient) >= threshold {
                        self.step(gram.row(i), i, gradient, ridge);
                    }
                }
            }
        }
        max_sweeps
    }

    /// Minimises over coordinate `i` alone.
    fn step(&mut self, row: &[f32], i: usize, gradient: f64, ridge: f64) {
        let curvature = f64::from(row[i]) + ridge;
        let new = (self.alpha[i] - gradient / curvature).max(0.0);
        let change = (new - self.alpha[i]) * self.signs[i];
        self.alpha[i] = new;
        add_scaled(self.arch, &mut self.scores, change, row);
    }

    /// The largest violation of each block, and of all.
    fn find_violations(&mut self, ridge: f64) -> f64 {
        let (alpha, scores, signs) = (&self.alpha, &self.scores, &self.signs);
        let maxima = &mut self.block_maxima;
        self.arch.dispatch(
            #[inline(always)]
            || {
                maxima.clear();
                let blocks = alpha.chunks(BLOCK).zip(scores.chunks(BLOCK)).zip(signs.chunks(BLOCK));
                maxima.extend(blocks.map(|((alpha, scores), signs)| {
                    let mut values = [0f64; BLOCK];
                    for (((value, &a), &s), &y) in
                        values.iter_mut().zip(alpha).zip(scores).zip(signs)
                    {
                        *value = violation(a, y * s - 1.0 + a * ridge);
                    }
                    largest(&mut values)
                }));
            },
        );
        self.block_maxima.iter().copied().fold(0.0, f64::max)
    }
}

/// The absolute projected gradient: zero at the solution.
#[inline(always)]
fn violation(alpha: f64, gradient: f64) -> f64 {
    if alpha > 0.0 || gradient < 0.0 { gradient.abs() } else { 0.0 }
}

/// The largest of the values, by halves, which vectorises.
#[inline(always)]
fn largest(values: &mut [f64; BLOCK]) -> f64 {
    let mut width = BLOCK / 2;
    while width > 0 {
        let (low, high) = values.split_at_mut(width);
        for (low, &high) in low.iter_mut().zip(high.iter()) {
            *low = if high > *low { high } else { *low };
        }
        width /= 2;
    }
    values[0]
}

/// `out += scale · row`. No multiply-add is fused and each element is its own sum: the bits are the same on every CPU.
pub(crate) fn add_scaled(arch: pulp::Arch, out: &mut [f64], scale: f64, row: &[f32]) {
    arch.dispatch(
        #[inline(always)]
        || {
            for (out, &value) in out.iter_mut().zip(row) {
                *out += scale * f64::from(value);
            }
        },
    );
}
