//! Multinomial logistic regression: a linear head trained on frozen features.
//!
//! `min over W, b: ½ ‖W‖² + C Σ −log softmax(W x + b)[label]`, the problem of scikit-learn's `LogisticRegression`, by
//! L-BFGS with all samples in every step (Nocedal & Wright, "Numerical optimization", algorithm 7.5).

use rayon::prelude::*;

use crate::product::{self, BAND};
use crate::svm::{LinearModel, check};
use crate::{Error, Rows};

/// Steps whose curvature is remembered.
const MEMORY: usize = 10;
/// Share of the expected decrease that a step must bring (Armijo's condition).
const DECREASE: f64 = 1e-4;

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
/// samples, exceeds `tolerance`, or for `max_steps` steps.
///
/// # Errors
/// As [`crate::svm::fit`].
pub fn fit(
    rows: Rows<'_>,
    labels: &[usize],
    classes: usize,
    c: f64,
    tolerance: f64,
    max_steps: usize,
) -> Result<Fit, Error> {
    check(rows.len(), labels, classes, &[c])?;
    let d = rows.columns();
    let problem = Problem::new(rows, labels, classes, c);
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
    }
    let (weights, intercepts) = w.split_at(classes * d);
    let single = |values: &[f64]| values.iter().map(|&v| v as f32).collect();
    Ok(Fit {
        model: LinearModel::from_parts(single(weights), single(intercepts))?,
        steps,
        loss,
        gradient: largest(&gradient),
    })
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
    fn new(rows: Rows<'_>, labels: &'a [usize], classes: usize, c: f64) -> Self {
        let columns = rows.columns();
        let blocks = rows.values().par_chunks(BAND * columns).zip(labels.par_chunks(BAND));
        let block = |(values, labels): (&[f32], &'a [usize])| {
            let rows: Vec<f64> = values.iter().map(|&v| f64::from(v)).collect();
            Block { columns: product::transpose(&rows, columns), rows, labels }
        };
        let samples = labels.len() as f64;
        let penalty = 1.0 / (c * samples);
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
mod tests {
    use super::*;
    use crate::synthetic;

    #[test]
    fn the_gradient_is_that_of_the_objective() {
        let (x, labels) = synthetic::clusters(140, 6, 3, 1);
        let problem = Problem::new(Rows::new(&x, 6).unwrap(), &labels, 3, 0.7);
        let w: Vec<f64> = (0..21).map(|i| f64::from(i % 5) * 0.3 - 0.5).collect();
        let (_, gradient) = problem.evaluate(&w);
        for i in 0..w.len() {
            let at = |step: f64| {
                let mut w = w.clone();
                w[i] += step;
                problem.evaluate(&w).0
            };
            let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!((gradient[i] - difference).abs() < 1e-8, "{i}: {} {difference}", gradient[i]);
        }
    }

    #[test]
    fn reaches_the_minimum_with_the_same_bits_on_any_number_of_threads() {
        let (x, labels) = synthetic::clusters(300, 10, 4, 2);
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| fit(Rows::new(&x, 10).unwrap(), &labels, 4, 1.0, 1e-9, 1000).unwrap())
        };
        let one = with(1);
        assert!(one.gradient <= 1e-9, "{} after {} steps", one.gradient, one.steps);
        assert_eq!(one.model, with(3).model);
    }

    /// x = [[0, 1], [1, 2], [2, 0.5], [3, 3], [0.5, 2.5], [2.5, 1]], y = [0, 1, 2, 1, 0, 2]:
    /// sklearn.linear_model.LogisticRegression(C=2, tol=1e-10, max_iter=10000).fit(x, y).coef_
    #[test]
    fn equals_scikit_learn() {
        let x = [0.0, 1.0, 1.0, 2.0, 2.0, 0.5, 3.0, 3.0, 0.5, 2.5, 2.5, 1.0];
        let fit = fit(Rows::new(&x, 2).unwrap(), &[0, 1, 2, 1, 0, 2], 3, 2.0, 1e-10, 1000).unwrap();
        for (ours, theirs) in fit
            .model
            .weights()
            .iter()
            .zip([-1.1490707, 0.208246, 0.3355196, 0.8045128, 0.813551, -1.0127588])
        {
            assert!((f64::from(*ours) - theirs).abs() < 1e-5, "{:?}", fit.model.weights());
        }
    }
}
