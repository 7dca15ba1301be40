//! Multinomial logistic regression: a linear head trained on frozen features.
//!
//! `min over W, b: ½ ‖W‖² + C Σ −log softmax(W x + b)[label]`, the problem of scikit-learn's `LogisticRegression`, by
//! L-BFGS with all samples in every step (Nocedal & Wright, "Numerical optimization", algorithm 7.5).
//!
//! With two classes scikit-learn keeps one weight vector `w`; here the two are `∓w/2`, so that the same problem has `‖W‖²` in
//! the place of `½ ‖W‖²`.

use std::ops::ControlFlow;

use rayon::prelude::*;
use sconce_ops::rows::product::{self, BAND};

use crate::svm::{LinearModel, check};
use crate::{Error, Rows};

/// Steps whose curvature is remembered.
const MEMORY: usize = 10;
/// Share of the expected decrease that a step must bring (Armijo's condition).
const DECREASE: f64 = 1e-4;

/// The problem and when it counts as solved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Weight of the errors against the penalty.
    pub c: f64,
    /// Whether features are brought to mean 0 and deviation 1 first, as by scikit-learn's `StandardScaler`. The model that
    /// comes out takes them as they are.
    pub standardize: bool,
    /// Largest entry of the gradient that is left, on the scale of the mean loss.
    pub tolerance: f64,
    /// Most steps.
    pub max_steps: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { c: 1.0, standardize: false, tolerance: 1e-6, max_steps: 2000 }
    }
}

/// A fitted head and how well it was solved.
#[derive(Clone, Debug)]
pub struct Fit {
    /// The decision functions; their softmax is the probability of each class.
    pub model: LinearModel,
    /// Steps taken.
    pub steps: usize,
    /// The objective at the end, divided by `C` and the number of samples.
    pub loss: f64,
    /// Largest absolute entry of the gradient left, on the same scale.
    pub gradient: f64,
}

/// Fits a head for `classes` classes until no entry of the gradient of the objective, divided by `C` and the number of
/// samples, exceeds the tolerance, or for so many steps.
///
/// `watch` gets steps, loss and the gradient's largest entry after each step, and may end the fit there.
///
/// # Errors
/// As [`crate::svm::fit`], and when a class has no row: its intercept would run off to −∞.
pub fn fit(
    rows: Rows<'_>,
    labels: &[usize],
    classes: usize,
    options: Options,
    mut watch: impl FnMut(usize, f64, f64) -> ControlFlow<()>,
) -> Result<Fit, Error> {
    let Options { c, standardize, tolerance, max_steps } = options;
    check(rows.len(), labels, classes, &[c])?;
    if let Some(class) = (0..classes).find(|class| !labels.contains(class)) {
        return Err(Error::Data(format!("class {class} has no row to train on")));
    }
    let d = rows.columns();
    let scaling = Scaling::new(rows, standardize);
    let problem = Problem::new(rows, labels, classes, c, &scaling);
    let mut w = vec![0f64; classes * (d + 1)];
    let (mut loss, mut gradient) = problem.evaluate(&w);
    let mut memory: Vec<Pair> = Vec::new();
    let mut steps = 0;
    while largest(&gradient) > tolerance && steps < max_steps {
        steps += 1;
        let direction = descent(&gradient, &memory);
        let slope = inner(&direction, &gradient);
        let mut length =
            if memory.is_empty() { 1.0 / inner(&gradient, &gradient).sqrt() } else { 1.0 };
        let Some((next, next_loss, next_gradient)) = (0..40).find_map(|_| {
            let next: Vec<f64> = w.iter().zip(&direction).map(|(w, p)| w + length * p).collect();
            let (next_loss, next_gradient) = problem.evaluate(&next);
            if next_loss <= loss + DECREASE * length * slope {
                return Some((next, next_loss, next_gradient));
            }
            length *= 0.5;
            None
        }) else {
            break; // The decrease is below what double precision resolves.
        };
        let change: Vec<f64> = next.iter().zip(&w).map(|(a, b)| a - b).collect();
        let bend: Vec<f64> = next_gradient.iter().zip(&gradient).map(|(a, b)| a - b).collect();
        let curvature = inner(&change, &bend);
        if curvature > 1e-12 * inner(&bend, &bend) {
            if memory.len() == MEMORY {
                memory.remove(0);
            }
            memory.push(Pair { change, bend, curvature });
        }
        (w, loss, gradient) = (next, next_loss, next_gradient);
        if watch(steps, loss, largest(&gradient)).is_break() {
            break;
        }
    }
    let (weights, intercepts) = w.split_at_mut(classes * d);
    scaling.undo(weights, intercepts);
    let single = |values: &[f64]| values.iter().map(|&v| v as f32).collect();
    Ok(Fit {
        model: LinearModel::from_parts(single(weights), single(intercepts))?,
        steps,
        loss,
        gradient: largest(&gradient),
    })
}

/// Mean and deviation of each feature; 0 and 1 where nothing is scaled.
struct Scaling {
    mean: Vec<f64>,
    deviation: Vec<f64>,
}

impl Scaling {
    fn new(rows: Rows<'_>, standardize: bool) -> Self {
        let (n, d) = (rows.len() as f64, rows.columns());
        let (mut mean, mut deviation) = (vec![0f64; d], vec![1f64; d]);
        if standardize {
            for row in rows.iter() {
                mean.iter_mut().zip(row).for_each(|(sum, &v)| *sum += f64::from(v));
            }
            mean.iter_mut().for_each(|sum| *sum /= n);
            let mut squares = vec![0f64; d];
            for row in rows.iter() {
                for ((sum, &v), mean) in squares.iter_mut().zip(row).zip(&mean) {
                    *sum += (f64::from(v) - mean).powi(2);
                }
            }
            for ((out, sum), mean) in deviation.iter_mut().zip(&squares).zip(&mean) {
                let found = (sum / n).sqrt();
                // A constant feature deviates by rounding alone: dividing by that would make noise large.
                *out = if found > 1e-9 * mean.abs() { found } else { 1.0 };
            }
        }
        Self { mean, deviation }
    }

    fn apply<'a>(&'a self, row: &'a [f32]) -> impl Iterator<Item = f64> + 'a {
        let scaled = row.iter().zip(&self.mean).zip(&self.deviation);
        scaled.map(|((&v, mean), deviation)| (f64::from(v) - mean) / deviation)
    }

    /// Makes weights and intercepts for scaled rows into those for rows as they are.
    fn undo(&self, weights: &mut [f64], intercepts: &mut [f64]) {
        for (row, intercept) in weights.chunks_exact_mut(self.mean.len()).zip(intercepts) {
            for ((w, mean), deviation) in row.iter_mut().zip(&self.mean).zip(&self.deviation) {
                *w /= deviation;
                *intercept -= *w * mean;
            }
        }
    }
}

/// A remembered step: the change of the weights and of the gradient, and their inner product.
struct Pair {
    change: Vec<f64>,
    bend: Vec<f64>,
    curvature: f64,
}

/// L-BFGS's two loops: `−H gradient`.
fn descent(gradient: &[f64], memory: &[Pair]) -> Vec<f64> {
    let mut q: Vec<f64> = gradient.iter().map(|g| -g).collect();
    let mut along = Vec::with_capacity(memory.len());
    for pair in memory.iter().rev() {
        let a = inner(&pair.change, &q) / pair.curvature;
        q.iter_mut().zip(&pair.bend).for_each(|(q, y)| *q -= a * y);
        along.push(a);
    }
    if let Some(last) = memory.last() {
        let scale = last.curvature / inner(&last.bend, &last.bend);
        q.iter_mut().for_each(|q| *q *= scale);
    }
    for (pair, a) in memory.iter().zip(along.into_iter().rev()) {
        let b = inner(&pair.bend, &q) / pair.curvature;
        q.iter_mut().zip(&pair.change).for_each(|(q, s)| *q += (a - b) * s);
    }
    q
}

/// The training set in double precision, in blocks of rows with their transposes.
struct Problem<'a> {
    blocks: Vec<Block<'a>>,
    classes: usize,
    columns: usize,
    /// Weight of the penalty beside the mean loss.
    penalty: f64,
    samples: f64,
}

struct Block<'a> {
    rows: Vec<f64>,
    columns: Vec<f64>,
    labels: &'a [usize],
}

impl<'a> Problem<'a> {
    fn new(rows: Rows<'_>, labels: &'a [usize], classes: usize, c: f64, scaling: &Scaling) -> Self {
        let columns = rows.columns();
        let blocks = rows.values().par_chunks(BAND * columns).zip(labels.par_chunks(BAND));
        let block = |(values, labels): (&[f32], &'a [usize])| {
            let rows: Vec<f64> =
                values.chunks_exact(columns).flat_map(|row| scaling.apply(row)).collect();
            Block { columns: product::transpose(&rows, columns), rows, labels }
        };
        let samples = labels.len() as f64;
        let halves = if classes == 2 { 2.0 } else { 1.0 };
        let penalty = halves / (c * samples);
        Self { blocks: blocks.map(block).collect(), classes, columns, penalty, samples }
    }

    /// The objective divided by `C · samples`, and its gradient: weights, then intercepts.
    fn evaluate(&self, w: &[f64]) -> (f64, Vec<f64>) {
        let (weights, intercepts) = w.split_at(self.classes * self.columns);
        let parts: Vec<(f64, Vec<f64>)> =
            self.blocks.par_iter().map(|block| self.of_block(block, weights, intercepts)).collect();
        // Summed in the blocks' order, whoever computed them.
        let mut gradient = vec![0f64; w.len()];
        let mut loss = 0.0;
        for (part, of_part) in &parts {
            loss += part;
            gradient.iter_mut().zip(of_part).for_each(|(g, p)| *g += p);
        }
        loss /= self.samples;
        gradient.iter_mut().for_each(|g| *g /= self.samples);
        for (g, w) in gradient.iter_mut().zip(weights) {
            *g += self.penalty * w;
        }
        (loss + 0.5 * self.penalty * inner(weights, weights), gradient)
    }

    fn of_block(&self, block: &Block<'_>, weights: &[f64], intercepts: &[f64]) -> (f64, Vec<f64>) {
        let (classes, height) = (self.classes, block.labels.len());
        let mut scores = vec![0f64; height * classes];
        product::tile(&block.rows, weights, self.columns, &mut scores, classes);
        let mut loss = 0.0;
        // Scores become probabilities minus the truth, the gradient of the scores.
        for (scores, &label) in scores.chunks_exact_mut(classes).zip(block.labels) {
            scores.iter_mut().zip(intercepts).for_each(|(s, b)| *s += b);
            let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = scores.iter().map(|s| (s - highest).exp()).sum();
            loss += sum.ln() + highest - scores[label];
            scores.iter_mut().for_each(|s| *s = (*s - highest).exp() / sum);
            scores[label] -= 1.0;
        }
        let scores = product::transpose(&scores, classes);
        let mut gradient = vec![0f64; classes * self.columns];
        product::tile(&scores, &block.columns, height, &mut gradient, self.columns);
        gradient.extend(scores.chunks_exact(height).map(|s| s.iter().sum::<f64>()));
        (loss, gradient)
    }
}

fn inner(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |m, v| m.max(v.abs()))
}

#[cfg(test)]
mod tests;
