//! Choice of C by cross-validation.

use rayon::prelude::*;
use sconce_data::evaluation::argmax;

use crate::{
    Error, Rows,
    machine::System,
    svm::{Stopping, check},
};

/// Accuracies of every C on every fold.
#[derive(Clone, Debug, PartialEq)]
pub struct CrossValidation {
    /// The values tried, in the order given.
    pub cs: Vec<f64>,
    /// Part of the held-out samples predicted rightly, `accuracies[c][fold]`.
    pub accuracies: Vec<Vec<f64>>,
    /// The largest projected gradient left in any machine; above the tolerance where one could not be solved.
    pub violation: f64,
}

impl CrossValidation {
    /// Mean accuracy over the folds of the `i`-th C, and its standard deviation (divided by `folds`, as scikit-learn's
    /// `std_test_score`).
    pub fn mean_and_deviation(&self, i: usize) -> Option<(f64, f64)> {
        let folds = self.accuracies.get(i)?;
        let count = folds.len() as f64;
        let mean = folds.iter().sum::<f64>() / count;
        let variance = folds.iter().map(|a| (a - mean).powi(2)).sum::<f64>() / count;
        Some((mean, variance.sqrt()))
    }

    /// The C with the highest mean accuracy; the smallest of equals.
    pub fn best(&self) -> Option<f64> {
        let mut best: Option<(f64, f64)> = None;
        for (i, &c) in self.cs.iter().enumerate() {
            let (mean, _) = self.mean_and_deviation(i)?;
            let better = best.is_none_or(|(best_c, best_mean)| {
                mean > best_mean || (mean == best_mean && c < best_c)
            });
            if better {
                best = Some((c, mean));
            }
        }
        best.map(|(c, _)| c)
    }
}

/// Fits every C on all folds but one and scores it on that one, for each fold. `fold_of` names the fold of each sample.
///
/// With many features one Gram matrix of all rows serves every fold, class and C, also for the scores of the held-out rows. For
/// each fold and class the values of C are solved in rising order, each from the solution before it.
///
/// # Errors
/// When sizes differ, a fold leaves fewer than two classes to train on, or a C is not positive.
pub fn cross_validate(
    rows: Rows<'_>,
    labels: &[usize],
    classes: usize,
    fold_of: &[usize],
    cs: &[f64],
    stopping: Stopping,
) -> Result<CrossValidation, Error> {
    check(rows.len(), labels, classes, cs)?;
    if fold_of.len() != labels.len() {
        return Err(Error::Shape(format!(
            "{} labels but {} fold numbers",
            labels.len(),
            fold_of.len()
        )));
    }
    if cs.is_empty() {
        return Err(Error::Parameter("no value of c to try".into()));
    }
    let system = System::new(rows, cs)?;
    let folds = fold_of.iter().max().map_or(0, |&fold| fold + 1);
    let splits = (0..folds)
        .map(|fold| Split::new(&system, fold_of, labels, fold))
        .collect::<Result<Vec<_>, _>>()?;
    for split in &splits {
        check(split.train.len(), &split.labels, classes, cs)?;
    }
    let mut rising: Vec<usize> = (0..cs.len()).collect();
    rising.sort_by(|&a, &b| cs[a].total_cmp(&cs[b]));

    let tasks: Vec<(usize, usize)> =
        (0..folds).flat_map(|fold| (0..classes).map(move |class| (fold, class))).collect();
    // decisions[fold · classes + class][c][held-out sample]
    let (decisions, violations): (Vec<Vec<Vec<f64>>>, Vec<f64>) = tasks
        .into_par_iter()
        .map(|(fold, class)| splits[fold].path(&system, class, cs, &rising, stopping))
        .unzip();
    let violation = violations.into_iter().fold(0.0, f64::max);

    let accuracies = (0..cs.len())
        .map(|c| {
            (0..folds)
                .map(|fold| {
                    let of_class = &decisions[fold * classes..(fold + 1) * classes];
                    splits[fold]
                        .accuracy(labels, |sample| of_class.iter().map(|d| d[c][sample]).collect())
                })
                .collect()
        })
        .collect();
    Ok(CrossValidation { cs: cs.to_vec(), accuracies, violation })
}

/// One fold held out, and the rest to train on.
struct Split {
    train: Vec<usize>,
    held_out: Vec<usize>,
    labels: Vec<usize>,
    system: System<'static>,
}

impl Split {
    fn new(
        whole: &System<'_>,
        fold_of: &[usize],
        labels: &[usize],
        fold: usize,
    ) -> Result<Self, Error> {
        let (held_out, train): (Vec<usize>, Vec<usize>) =
            (0..fold_of.len()).partition(|&i| fold_of[i] == fold);
        if held_out.is_empty() {
            return Err(Error::Data(format!("fold {fold} has no sample")));
        }
        Ok(Self {
            labels: train.iter().map(|&i| labels[i]).collect(),
            system: whole.subset(&train)?,
            train,
            held_out,
        })
    }

    /// Decision values of `class` on the held-out samples, for each C, and the largest projected gradient left.
    fn path(
        &self,
        whole: &System<'_>,
        class: usize,
        cs: &[f64],
        rising: &[usize],
        stopping: Stopping,
    ) -> (Vec<Vec<f64>>, f64) {
        let mut machine = self.system.machine(|i| self.labels[i] == class);
        let mut decisions = vec![Vec::new(); cs.len()];
        let mut violation = 0f64;
        for &c in rising {
            violation = violation.max(machine.solve(cs[c], stopping).violation);
            decisions[c] = machine.decide(whole, &self.train, &self.held_out);
        }
        (decisions, violation)
    }

    fn accuracy(&self, labels: &[usize], decisions: impl Fn(usize) -> Vec<f64>) -> f64 {
        let right = self
            .held_out
            .iter()
            .enumerate()
            .filter(|&(at, &sample)| argmax(&decisions(at)) == labels[sample])
            .count();
        right as f64 / self.held_out.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::{stratified_folds, svm, synthetic};

    #[test]
    fn equals_separate_fits_on_each_fold() {
        for d in [30, 300] {
            let (x, labels) = synthetic::clusters(150, d, 3, 11);
            let rows = Rows::new(&x, d).unwrap();
            let fold_of = stratified_folds(&labels, 5, &mut ChaCha8Rng::seed_from_u64(4)).unwrap();
            let (cs, stopping) = ([1.0, 0.01, 0.1], Stopping::default());
            let result = cross_validate(rows, &labels, 3, &fold_of, &cs, stopping).unwrap();
            for (i, &c) in cs.iter().enumerate() {
                for fold in 0..5 {
                    let (held_out, train): (Vec<usize>, Vec<usize>) =
                        (0..150).partition(|&i| fold_of[i] == fold);
                    let pick = |of: &[usize]| of.iter().map(|&i| labels[i]).collect::<Vec<_>>();
                    let (x_train, x_test) = (rows.gather(&train), rows.gather(&held_out));
                    let x_train = Rows::new(&x_train, d).unwrap();
                    let model = svm::fit(x_train, &pick(&train), 3, c, stopping).unwrap().model;
                    let predicted = model.predict(Rows::new(&x_test, d).unwrap()).unwrap();
                    let right =
                        predicted.iter().zip(pick(&held_out)).filter(|(p, l)| *p == l).count();
                    assert_eq!(result.accuracies[i][fold], right as f64 / 30.0);
                }
            }
        }
    }

    #[test]
    fn the_smallest_of_equally_good_values_is_best() {
        let result = CrossValidation {
            cs: vec![10.0, 1.0, 0.1],
            accuracies: vec![vec![0.9, 0.8], vec![0.8, 0.9], vec![0.1, 0.2]],
            violation: 0.0,
        };
        assert_eq!(result.best(), Some(1.0));
    }
}
