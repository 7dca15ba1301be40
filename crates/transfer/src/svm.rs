//! A linear support vector machine: scikit-learn's `LinearSVC` problem.
//!
//! For each class, against all others, `min over w, b: ½ (‖w‖² + b²) + C Σ max(0, 1 − y (wᵀx + b))²`: L2 penalty, squared
//! hinge, the intercept regularised as the weight of a feature that is always 1 (`intercept_scaling = 1`).

use rayon::prelude::*;
use sconce_data::evaluation::argmax;

use crate::{Error, Rows, machine::System};

/// When to stop, in units of the margin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stopping {
    /// Largest absolute projected gradient of the dual at which a problem counts as solved.
    pub tolerance: f64,
    /// Most passes over the coordinates of one problem, or steps of Newton's method.
    pub max_sweeps: usize,
}

impl Default for Stopping {
    /// scikit-learn's tolerance, 1e-4.
    fn default() -> Self {
        Self { tolerance: 1e-4, max_sweeps: 200_000 }
    }
}

/// Linear decision functions, one a class: weights `(classes, features)` and an intercept each.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearModel {
    weights: Vec<f32>,
    intercepts: Vec<f32>,
    features: usize,
}

/// A fitted machine and how well it was solved.
#[derive(Clone, Debug)]
pub struct Fit {
    /// The classifiers.
    pub model: LinearModel,
    /// Passes over the coordinates or steps, for the class that took most.
    pub sweeps: usize,
    /// The largest projected gradient left in any class; above the tolerance when the passes ran out.
    pub violation: f64,
}

/// Fits one machine of `classes` classes to `rows` and their `labels`.
///
/// # Errors
/// When the sizes differ, a label is not below `classes`, there are fewer than two classes, or `c` is not positive.
pub fn fit(
    rows: Rows<'_>,
    labels: &[usize],
    classes: usize,
    c: f64,
    stopping: Stopping,
) -> Result<Fit, Error> {
    check(rows.len(), labels, classes, &[c])?;
    let system = System::new(rows, &[c])?;
    let solved: Vec<_> = (0..classes)
        .into_par_iter()
        .map(|class| {
            let mut machine = system.machine(|i| labels[i] == class);
            let solved = machine.solve(c, stopping);
            let (weights, intercept) = machine.weights(rows);
            (solved, weights, intercept)
        })
        .collect();
    Ok(Fit {
        sweeps: solved.iter().map(|(s, ..)| s.sweeps).max().unwrap_or(0),
        violation: solved.iter().map(|(s, ..)| s.violation).fold(0.0, f64::max),
        model: LinearModel {
            intercepts: solved.iter().map(|&(.., b)| b).collect(),
            weights: solved.into_iter().flat_map(|(_, w, _)| w).collect(),
            features: rows.columns(),
        },
    })
}

impl LinearModel {
    /// A machine from its weights `(classes, features)`, row after row, and intercepts `(classes)`.
    ///
    /// # Errors
    /// When the sizes do not fit together.
    pub fn from_parts(weights: Vec<f32>, intercepts: Vec<f32>) -> Result<Self, Error> {
        let classes = intercepts.len();
        if classes == 0 || weights.is_empty() || !weights.len().is_multiple_of(classes) {
            return Err(Error::Shape(format!(
                "{} weights and {classes} intercepts are no linear model",
                weights.len()
            )));
        }
        Ok(Self { features: weights.len() / classes, weights, intercepts })
    }

    /// Weights `(classes, features)`, row after row.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// Intercepts `(classes)`.
    pub fn intercepts(&self) -> &[f32] {
        &self.intercepts
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.intercepts.len()
    }

    /// Number of features.
    pub fn features(&self) -> usize {
        self.features
    }

    /// `wᵀx + b` for each row and class, `(rows, classes)`.
    ///
    /// # Errors
    /// When the rows have another number of columns than the model has features.
    pub fn decision(&self, rows: Rows<'_>) -> Result<Vec<f64>, Error> {
        if rows.columns() != self.features {
            return Err(Error::Shape(format!(
                "the model takes {} features, the rows have {}",
                self.features,
                rows.columns()
            )));
        }
        let arch = pulp::Arch::new();
        Ok(rows
            .values()
            .par_chunks_exact(self.features)
            .flat_map_iter(|row| {
                self.weights
                    .chunks_exact(self.features)
                    .zip(&self.intercepts)
                    .map(move |(w, &b)| dot(arch, w, row) + f64::from(b))
            })
            .collect())
    }

    /// The class with the highest decision value of each row; the first of equals.
    ///
    /// # Errors
    /// As [`LinearModel::decision`].
    pub fn predict(&self, rows: Rows<'_>) -> Result<Vec<usize>, Error> {
        Ok(self.decision(rows)?.chunks_exact(self.classes()).map(argmax).collect())
    }
}

/// Refuses labels and parameters that no machine can be fitted to.
pub(crate) fn check(
    samples: usize,
    labels: &[usize],
    classes: usize,
    cs: &[f64],
) -> Result<(), Error> {
    if labels.len() != samples {
        return Err(Error::Shape(format!(
            "{samples} rows of features but {} labels",
            labels.len()
        )));
    }
    if let Some(label) = labels.iter().find(|&&label| label >= classes) {
        return Err(Error::Data(format!(
            "label {label} is not below the number of classes, {classes}"
        )));
    }
    if labels.iter().all(|label| Some(label) == labels.first()) {
        return Err(Error::Data("a classifier needs samples of at least two classes".into()));
    }
    if let Some(c) = cs.iter().find(|c| !(c.is_finite() && **c > 0.0)) {
        return Err(Error::Parameter(format!("c must be a positive number, not {c}")));
    }
    Ok(())
}

/// The inner product, in double precision over eight interleaved partial sums, the same on every CPU.
fn dot(arch: pulp::Arch, a: &[f32], b: &[f32]) -> f64 {
    arch.dispatch(
        #[inline(always)]
        || {
            let mut sums = [0f64; 8];
            let (mut a, mut b) = (a.chunks_exact(8), b.chunks_exact(8));
            for (a, b) in (&mut a).zip(&mut b) {
                for lane in 0..8 {
                    sums[lane] += f64::from(a[lane]) * f64::from(b[lane]);
                }
            }
            let rest: f64 = a
                .remainder()
                .iter()
                .zip(b.remainder())
                .map(|(a, b)| f64::from(*a) * f64::from(*b))
                .sum();
            sums.iter().sum::<f64>() + rest
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic;

    /// Gradient of the primal objective of one class, by definition, at the fitted weights.
    fn primal_gradient(rows: Rows<'_>, y: &[f64], w: &[f32], b: f32, c: f64) -> Vec<f64> {
        let mut gradient: Vec<f64> = w.iter().map(|&v| f64::from(v)).collect();
        gradient.push(f64::from(b));
        for (row, &y) in rows.iter().zip(y) {
            let score: f64 =
                row.iter().zip(w).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum::<f64>()
                    + f64::from(b);
            let slack = 1.0 - y * score;
            if slack > 0.0 {
                for (g, &x) in gradient.iter_mut().zip(row) {
                    *g -= 2.0 * c * slack * y * f64::from(x);
                }
                if let Some(last) = gradient.last_mut() {
                    *last -= 2.0 * c * slack * y;
                }
            }
        }
        gradient
    }

    #[test]
    fn the_primal_gradient_vanishes_at_the_solution() {
        for (n, d) in [(120, 20), (60, 200), (60, 300)] {
            let (x, labels) = synthetic::clusters(n, d, 3, 7);
            let rows = Rows::new(&x, d).unwrap();
            for c in [0.01, 1.0, 100.0] {
                let stopping = Stopping { tolerance: 1e-8, max_sweeps: 100_000 };
                let fit = fit(rows, &labels, 3, c, stopping).unwrap();
                assert!(fit.violation <= 1e-8);
                for class in 0..3 {
                    let y: Vec<f64> =
                        labels.iter().map(|&l| if l == class { 1.0 } else { -1.0 }).collect();
                    let w = &fit.model.weights()[class * d..(class + 1) * d];
                    let at_zero = primal_gradient(rows, &y, &vec![0.0; d], 0.0, c);
                    let at_end = primal_gradient(rows, &y, w, fit.model.intercepts()[class], c);
                    let norm = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>().sqrt();
                    assert!(
                        norm(&at_end) < 1e-5 * norm(&at_zero),
                        "n {n} c {c} class {class}: {} of {}",
                        norm(&at_end),
                        norm(&at_zero)
                    );
                }
            }
        }
    }

    #[test]
    fn same_bits_with_one_and_two_threads() {
        for d in [65, 300] {
            let (x, labels) = synthetic::clusters(200, d, 4, 3);
            let rows = Rows::new(&x, d).unwrap();
            let with = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let fit = || fit(rows, &labels, 4, 1.0, Stopping::default()).unwrap().model;
                pool.install(fit)
            };
            assert_eq!(with(1), with(2));
        }
    }

    #[test]
    fn refuses_what_cannot_be_fitted() {
        let x = [0f32, 1.0, 2.0, 3.0];
        let rows = Rows::new(&x, 2).unwrap();
        let said = |labels: &[usize], c| {
            fit(rows, labels, 2, c, Stopping::default()).unwrap_err().to_string()
        };
        assert_eq!(said(&[0], 1.0), "2 rows of features but 1 labels");
        assert_eq!(said(&[0, 2], 1.0), "label 2 is not below the number of classes, 2");
        assert_eq!(said(&[1, 1], 1.0), "a classifier needs samples of at least two classes");
        assert_eq!(said(&[0, 1], -1.0), "c must be a positive number, not -1");
    }
}
