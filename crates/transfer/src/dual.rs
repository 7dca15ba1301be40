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
//! only the coordinates that violate optimality most.

use crate::Gram;

/// A coordinate is changed when its violation is at least this part of the largest one.
const ACTIVE: f64 = 0.25;

/// One binary problem and its state, kept from one C to the next.
pub(crate) struct Dual<'a> {
    gram: &'a Gram,
    signs: Vec<f64>,
    order: &'a [usize],
    alpha: Vec<f64>,
    scores: Vec<f64>,
    arch: pulp::Arch,
}

/// How a problem was solved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Solved {
    /// Passes over the coordinates.
    pub(crate) sweeps: usize,
    /// The largest projected gradient left.
    pub(crate) violation: f64,
    /// Coordinates changed in all.
    pub(crate) updates: usize,
}

impl<'a> Dual<'a> {
    /// The problem that tells samples for which `positive` is true from the others, starting at α = 0.
    /// `order` is the order in which the coordinates are visited.
    pub(crate) fn new(
        gram: &'a Gram,
        positive: impl Fn(usize) -> bool,
        order: &'a [usize],
    ) -> Self {
        Self {
            gram,
            signs: (0..gram.len()).map(|i| if positive(i) { 1.0 } else { -1.0 }).collect(),
            order,
            alpha: vec![0.0; gram.len()],
            scores: vec![0.0; gram.len()],
            arch: pulp::Arch::new(),
        }
    }

    /// The gradient at coordinate `i`.
    fn gradient(&self, i: usize, ridge: f64) -> f64 {
        self.signs[i] * self.scores[i] - 1.0 + self.alpha[i] * ridge
    }

    /// The absolute projected gradient at coordinate `i`: zero for all at the solution.
    fn violation(&self, i: usize, ridge: f64) -> f64 {
        let gradient = self.gradient(i, ridge);
        if self.alpha[i] > 0.0 { gradient.abs() } else { (-gradient).max(0.0) }
    }

    /// Descends from the present α until no projected gradient exceeds `tolerance`.
    pub(crate) fn solve(&mut self, c: f64, tolerance: f64, max_sweeps: usize) -> Solved {
        let ridge = 0.5 / c;
        let mut solved = Solved { sweeps: 0, violation: f64::INFINITY, updates: 0 };
        loop {
            solved.violation =
                (0..self.alpha.len()).map(|i| self.violation(i, ridge)).fold(0.0, f64::max);
            if solved.violation <= tolerance || solved.sweeps == max_sweeps {
                return solved;
            }
            solved.sweeps += 1;
            let threshold = (ACTIVE * solved.violation).max(0.5 * tolerance);
            for &i in self.order {
                if self.violation(i, ridge) >= threshold {
                    self.step(i, ridge);
                    solved.updates += 1;
                }
            }
        }
    }

    /// Minimises over coordinate `i` alone.
    fn step(&mut self, i: usize, ridge: f64) {
        let row = self.gram.row(i);
        let curvature = f64::from(row[i]) + ridge;
        let new = (self.alpha[i] - self.gradient(i, ridge) / curvature).max(0.0);
        let change = (new - self.alpha[i]) * self.signs[i];
        self.alpha[i] = new;
        add_scaled(self.arch, &mut self.scores, change, row);
    }

    /// `α y`, the coefficients of the samples in the weight vector `w = Xᵀ (α y)`.
    pub(crate) fn coefficients(&self) -> Vec<f64> {
        self.alpha.iter().zip(&self.signs).map(|(a, s)| a * s).collect()
    }
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
