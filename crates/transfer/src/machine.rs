//! The binary problems of a linear machine, and the way to solve them that is faster for their size.

use crate::dual::{Dual, Solved, add_scaled};
use crate::newton::{Design, Newton};
use crate::svm::Stopping;
use crate::{Error, Gram, Rows};

/// Up to so many features Newton's steps are the faster way.
const FEW: usize = 512;
/// Up to so many where coordinate descent would take very many passes.
const SOME: usize = 1024;
/// From this C times the mean `‖x‖²` on.
const HARD: f64 = 1e5;
/// From so many rows on, their inner products would take gigabytes.
const MANY: usize = 20_000;

/// What the problems of all classes on the same rows share.
pub(crate) enum System<'a> {
    /// Coordinate descent on the rows' inner products.
    Dual(Gram),
    /// Newton's steps on the weights.
    Primal(Design<'a>),
}

impl<'a> System<'a> {
    /// A system for problems of these values of C.
    ///
    /// # Errors
    /// When there is no row, or a row's square is beyond single precision.
    pub(crate) fn new(rows: Rows<'a>, cs: &[f64]) -> Result<Self, Error> {
        let squares = rows.values().iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>();
        let largest = cs.iter().fold(0.0, |most: f64, &c| most.max(c));
        if is_primal(rows.len(), rows.columns(), largest * squares / rows.len() as f64) {
            Ok(Self::Primal(Design::new(rows.values().into(), rows.columns())?))
        } else {
            Ok(Self::Dual(Gram::new(rows, 1.0)?))
        }
    }

    /// The named rows alone.
    pub(crate) fn subset(&self, samples: &[usize]) -> Result<System<'static>, Error> {
        match self {
            Self::Dual(gram) => Ok(System::Dual(gram.subset(samples))),
            Self::Primal(design) => Ok(System::Primal(design.subset(samples)?)),
        }
    }

    /// The problem that tells samples for which `positive` is true from the others.
    pub(crate) fn machine(&self, positive: impl Fn(usize) -> bool) -> Machine<'_> {
        match self {
            Self::Dual(gram) => Machine::Dual(Dual::new(gram, positive)),
            Self::Primal(design) => Machine::Primal(Newton::new(design, positive)),
        }
    }
}

/// Whether Newton's steps are the way, for a `scale` of the largest C times the mean `‖x‖²`.
fn is_primal(rows: usize, columns: usize, scale: f64) -> bool {
    columns <= FEW || (columns <= SOME && scale >= HARD) || (rows > MANY && columns < rows / 4)
}

/// One binary problem and its state, kept from one C to the next.
pub(crate) enum Machine<'a> {
    Dual(Dual<'a>),
    Primal(Newton<'a>),
}

impl Machine<'_> {
    pub(crate) fn solve(&mut self, c: f64, stopping: Stopping) -> Solved {
        let Stopping { tolerance, max_sweeps } = stopping;
        match self {
            Self::Dual(dual) => dual.solve(c, tolerance, max_sweeps),
            Self::Primal(newton) => newton.solve(c, tolerance, max_sweeps),
        }
    }

    /// Weights and intercept, for the rows that it was fitted to.
    pub(crate) fn weights(&self, rows: Rows<'_>) -> (Vec<f32>, f32) {
        let single = |values: &[f64]| values.iter().map(|&v| v as f32).collect();
        match self {
            Self::Dual(dual) => {
                let arch = pulp::Arch::new();
                let coefficients = dual.coefficients();
                let mut weights = vec![0f64; rows.columns()];
                for (row, &coefficient) in rows.iter().zip(&coefficients) {
                    if coefficient != 0.0 {
                        add_scaled(arch, &mut weights, coefficient, row);
                    }
                }
                (single(&weights), coefficients.iter().sum::<f64>() as f32)
            }
            Self::Primal(newton) => {
                let (intercept, weights) = newton.weights().split_last().unwrap_or((&0.0, &[]));
                (single(weights), *intercept as f32)
            }
        }
    }

    /// Decision values for `samples` of the `whole` system, of which it was fitted to the rows `train`.
    pub(crate) fn decide(
        &self,
        whole: &System<'_>,
        train: &[usize],
        samples: &[usize],
    ) -> Vec<f64> {
        match (self, whole) {
            (Self::Dual(dual), System::Dual(gram)) => {
                let coefficients = dual.coefficients();
                let of_sample = |&sample: &usize| {
                    let row = gram.row(sample);
                    let terms = train.iter().zip(&coefficients);
                    terms.map(|(&i, coefficient)| coefficient * f64::from(row[i])).sum()
                };
                samples.iter().map(of_sample).collect()
            }
            (Self::Primal(newton), System::Primal(design)) => {
                samples.iter().map(|&sample| design.score(newton.weights(), sample)).collect()
            }
            // A machine is made by the system whose part its own rows are.
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic;

    #[test]
    fn the_way_goes_by_sizes_and_scale() {
        let way = |columns, factor: f32, cs: &[f64]| {
            let (mut x, _) = synthetic::clusters(30, columns, 3, 2);
            x.iter_mut().for_each(|v| *v *= factor);
            let system = System::new(Rows::new(&x, columns).unwrap(), cs).unwrap();
            matches!(system, System::Primal(_))
        };
        assert!(way(512, 0.01, &[1.0]) && !way(513, 0.01, &[1.0]));
        assert!(way(1024, 100.0, &[0.01, 1.0]) && !way(1024, 100.0, &[1e-4]));
        assert!(!way(1025, 100.0, &[1.0]));
        assert!(is_primal(20_001, 4096, 1.0) && !is_primal(20_000, 4096, 1.0));
        assert!(!is_primal(20_001, 25_088, 1.0));
    }

    /// The dual refuses them, since their squares are beyond single precision.
    #[test]
    fn features_whose_squares_are_large_are_fitted() {
        let (mut x, labels) = synthetic::clusters(40, 4, 2, 9);
        x.iter_mut().for_each(|v| *v *= 1e21);
        let rows = Rows::new(&x, 4).unwrap();
        let fit = crate::svm::fit(rows, &labels, 2, 1.0, Stopping::default()).unwrap();
        let predicted = fit.model.predict(rows).unwrap();
        assert!(predicted.iter().zip(&labels).filter(|(a, b)| a == b).count() > 30);
    }
}
