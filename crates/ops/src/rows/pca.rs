//! Principal components: the directions along which rows vary most.

use rayon::prelude::*;

use super::eigen::{self, Eigen};
use super::product::{BAND, of_rows, transpose};
use super::{Error, Rows, subspace};

/// Principal components of a set of rows.
#[derive(Clone, Debug)]
pub struct Pca {
    mean: Vec<f64>,
    /// One component after the other, unit length.
    components: Vec<f64>,
    variances: Vec<f64>,
    total: f64,
}

impl Pca {
    /// The first `count` principal components of `rows`, from the covariance matrix or, where there are fewer rows than
    /// columns, from the rows' inner products. The entry of largest absolute value of each component is positive.
    ///
    /// # Errors
    /// When there are fewer than two rows, or `count` is 0 or above the smaller of columns and rows − 1.
    pub fn fit(rows: Rows<'_>, count: usize) -> Result<Self, Error> {
        Centred::of(rows, count)?.all(count)
    }

    /// The same components as of [`fit`](Self::fit), but for rounding, in a part of the time where they are a few of many: by
    /// subspace iteration (Halko, Martinsson & Tropp 2011), and by `fit` where that does not converge.
    ///
    /// # Errors
    /// As of [`fit`](Self::fit).
    pub fn leading(rows: Rows<'_>, count: usize) -> Result<Self, Error> {
        let centred = Centred::of(rows, count)?;
        match subspace::leading(&centred.values, &centred.columns, centred.mean.len(), count) {
            Some(Eigen { values, vectors }) => Ok(centred.components(values, vectors)),
            None => centred.all(count),
        }
    }

    /// Number of components.
    pub fn len(&self) -> usize {
        self.variances.len()
    }

    /// Whether there is no component; never so after [`Pca::fit`].
    pub fn is_empty(&self) -> bool {
        self.variances.is_empty()
    }

    /// The components `(count, features)`, one after the other.
    pub fn components(&self) -> &[f64] {
        &self.components
    }

    /// The part of the variance of all rows that the first `count` components carry, 0 to 1.
    pub fn explained(&self, count: usize) -> f64 {
        let part: f64 = self.variances.iter().take(count).sum();
        if self.total > 0.0 { part / self.total } else { 0.0 }
    }

    /// Coordinates of `rows` along the first `count` components, `(rows, count)`.
    ///
    /// # Errors
    /// When the rows have another number of columns, or `count` is 0 or above the number of components.
    pub fn transform(&self, rows: Rows<'_>, count: usize) -> Result<Vec<f32>, Error> {
        let d = self.mean.len();
        if rows.columns() != d {
            return Err(Error::Shape(format!(
                "the components are of {d} features, the rows have {}",
                rows.columns()
            )));
        }
        if count == 0 || count > self.len() {
            return Err(Error::Parameter(format!(
                "expected 1 to {} components, not {count}",
                self.len()
            )));
        }
        let components = &self.components[..count * d];
        let blocks = rows.values().par_chunks(BAND * d).flat_map_iter(|block| {
            let centred: Vec<f64> = block
                .chunks_exact(d)
                .flat_map(|row| row.iter().zip(&self.mean).map(|(&v, mean)| f64::from(v) - mean))
                .collect();
            of_rows(&centred, components, d).into_iter().map(|v| v as f32)
        });
        Ok(blocks.collect())
    }
}

/// Rows whose columns have mean 0.
struct Centred {
    mean: Vec<f64>,
    values: Vec<f64>,
    /// The same, one column after the other.
    columns: Vec<f64>,
    /// The variances of all columns together.
    total: f64,
}

impl Centred {
    fn of(rows: Rows<'_>, count: usize) -> Result<Self, Error> {
        let (n, d) = (rows.len(), rows.columns());
        if n < 2 {
            return Err(Error::Data("principal components need at least two rows".into()));
        }
        let most = d.min(n - 1);
        if count == 0 || count > most {
            return Err(Error::Parameter(format!(
                "expected 1 to {most} components for {n} rows of {d} features, not {count}"
            )));
        }
        let mut mean = vec![0f64; d];
        for row in rows.iter() {
            mean.iter_mut().zip(row).for_each(|(mean, &value)| *mean += f64::from(value));
        }
        mean.iter_mut().for_each(|mean| *mean /= n as f64);
        let values: Vec<f64> = rows
            .values()
            .par_chunks(d)
            .flat_map_iter(|row| {
                row.iter().zip(&mean).map(|(&value, mean)| f64::from(value) - mean)
            })
            .collect();
        let total = values.iter().map(|v| v * v).sum::<f64>() / (n - 1) as f64;
        let columns = transpose(&values, d);
        Ok(Self { mean, values, columns, total })
    }

    /// The first components, from all eigenvectors.
    fn all(self, count: usize) -> Result<Pca, Error> {
        let d = self.mean.len();
        let n = self.values.len() / d;
        let (eigen, components) = if d <= n {
            let eigen = eigen::largest(of_rows(&self.columns, &self.columns, n), d, count)?;
            (eigen.values, eigen.vectors)
        } else {
            let eigen = eigen::largest(of_rows(&self.values, &self.values, d), n, count)?;
            let components = of_rows(&eigen.vectors, &self.columns, n);
            (eigen.values, components)
        };
        Ok(self.components(eigen, components))
    }

    /// Components of the sums of squares along them, and their directions.
    fn components(self, squares: Vec<f64>, mut components: Vec<f64>) -> Pca {
        let d = self.mean.len();
        for component in components.chunks_exact_mut(d) {
            let norm = component.iter().map(|v| v * v).sum::<f64>().sqrt();
            let largest = component
                .iter()
                .copied()
                .fold(0.0f64, |m, v| if v.abs() > m.abs() { v } else { m });
            let scale = if norm > 0.0 { norm.copysign(largest).recip() } else { 0.0 };
            component.iter_mut().for_each(|v| *v *= scale);
        }
        let freedom = (self.values.len() / d - 1) as f64;
        let variances = squares.iter().map(|v| v.max(0.0) / freedom).collect();
        Pca { mean: self.mean, components, variances, total: self.total }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::samples;

    fn variance(values: &[f32], count: usize, k: usize) -> f64 {
        let column: Vec<f64> = values.chunks(count).map(|row| f64::from(row[k])).collect();
        let mean = column.iter().sum::<f64>() / column.len() as f64;
        column.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (column.len() - 1) as f64
    }

    /// By covariance (more rows than columns) and by inner products (fewer): coordinates are uncorrelated with the
    /// stated variances, and all components together keep every distance.
    #[test]
    fn coordinates_are_uncorrelated_and_complete() {
        for (n, d) in [(90, 20), (25, 40)] {
            let x = samples(n, d, 9);
            let rows = Rows::new(&x, d).unwrap();
            let count = d.min(n - 1);
            let pca = Pca::fit(rows, count).unwrap();
            assert!((pca.explained(count) - 1.0).abs() < 1e-9);
            let y = pca.transform(rows, count).unwrap();
            for k in 0..count {
                assert!(
                    (variance(&y, count, k) - pca.variances[k]).abs() < 1e-5 * pca.variances[0]
                );
            }
            let distance = |a: &[f32], b: &[f32]| -> f64 {
                a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum()
            };
            let z = Rows::new(&y, count).unwrap();
            for i in 1..n {
                let (before, after) =
                    (distance(rows.row(0), rows.row(i)), distance(z.row(0), z.row(i)));
                assert!((before - after).abs() < 1e-4 * before, "{before} {after}");
            }
            assert_eq!(
                pca.transform(rows, 3).unwrap().chunks(3).map(|r| r[0]).collect::<Vec<_>>(),
                y.chunks(count).map(|r| r[0]).collect::<Vec<_>>()
            );
        }
    }

    /// sklearn.decomposition.PCA(2).fit([[2, 0, 1], [0, 1, 3], [4, 5, 2], [1, 1, 0.5], [3, 2, 2]])
    /// .explained_variance_ratio_ and .components_
    #[test]
    fn equals_scikit_learn() {
        let x = [2.0, 0.0, 1.0, 0.0, 1.0, 3.0, 4.0, 5.0, 2.0, 1.0, 1.0, 0.5, 3.0, 2.0, 2.0];
        let pca = Pca::fit(Rows::new(&x, 3).unwrap(), 2).unwrap();
        let expected =
            [0.601349569, 0.794938735, 0.080318757, -0.550910308, 0.339728948, 0.762287396];
        for (ours, theirs) in pca.components().iter().zip(expected) {
            assert!((ours - theirs).abs() < 1e-6, "{:?}", pca.components());
        }
        assert!((pca.explained(1) - 0.763305542).abs() < 1e-6, "{}", pca.explained(1));
    }
    /// Rows with variances that fall by `fall` from one direction to the next, all directions mixed.
    fn falling(n: usize, d: usize, fall: f64) -> Vec<f32> {
        let (drawn, mix) = (samples(n, d, 3), samples(d, d, 4));
        let scaled: Vec<f32> = drawn
            .chunks(d)
            .flat_map(|row| row.iter().enumerate().map(|(k, v)| v * fall.powi(k as i32) as f32))
            .collect();
        let mixed = scaled.chunks(d).flat_map(|row| {
            let along = |k: usize| row.iter().zip(mix[k * d..].iter()).map(|(a, b)| a * b).sum();
            (0..d).map(along).collect::<Vec<f32>>()
        });
        mixed.collect()
    }

    #[test]
    fn a_few_components_are_those_of_all() {
        for (n, d, fall) in [(300, 120, 0.9), (120, 300, 0.9), (150, 150, 0.7), (90, 200, 0.99)] {
            let x = falling(n, d, fall);
            let rows = Rows::new(&x, d).unwrap();
            let (few, all) = (Pca::leading(rows, 2).unwrap(), Pca::fit(rows, 2).unwrap());
            for (ours, theirs) in few.components().iter().zip(all.components()) {
                assert!((ours - theirs).abs() < 1e-6, "{n} × {d}: {ours} {theirs}");
            }
            for count in [1, 2] {
                assert!((few.explained(count) - all.explained(count)).abs() < 1e-10);
            }
            let (ours, theirs) = (few.transform(rows, 2).unwrap(), all.transform(rows, 2).unwrap());
            let largest = theirs.iter().fold(0f32, |most, v| most.max(v.abs()));
            for (ours, theirs) in ours.iter().zip(&theirs) {
                assert!((ours - theirs).abs() < 1e-6 * largest, "{n} × {d}: {ours} {theirs}");
            }
        }
    }

    /// Of few directions, of one, of none: what does not vary has no direction, and 0 of the variance.
    #[test]
    fn a_few_components_of_low_rank() {
        let d = 120;
        for rank in [0, 1, 2] {
            let directions = samples(rank.max(1), d, 6);
            let along = samples(200, rank.max(1), 7);
            let row = |weights: &[f32]| {
                let value = |j: usize| {
                    let terms = weights.iter().take(rank).enumerate();
                    terms.map(|(k, weight)| weight * directions[k * d + j]).sum::<f32>()
                };
                (0..d).map(value).collect::<Vec<f32>>()
            };
            let x: Vec<f32> = along.chunks(rank.max(1)).flat_map(row).collect();
            let rows = Rows::new(&x, d).unwrap();
            let (few, all) = (Pca::leading(rows, 2).unwrap(), Pca::fit(rows, 2).unwrap());
            for (ours, theirs) in
                few.components().iter().zip(all.components()).take(rank.min(2) * d)
            {
                assert!((ours - theirs).abs() < 1e-6, "rank {rank}: {ours} {theirs}");
            }
            assert!((few.explained(2) - all.explained(2)).abs() < 1e-10, "rank {rank}");
            assert!(few.components().iter().all(|v| v.is_finite()));
        }
    }

    #[test]
    fn bits_of_a_few_components_do_not_depend_on_the_number_of_threads() {
        let x = falling(260, 140, 0.9);
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let fit = || Pca::leading(Rows::new(&x, 140).unwrap(), 2).unwrap().components;
            pool.install(fit)
        };
        assert_eq!(with(1), with(3));
    }
}
