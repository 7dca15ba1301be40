//! Whether neighbours in an embedding are neighbours.

use rayon::prelude::*;

/// Trustworthiness: 1 when the `k` nearest of each place are among the `k` nearest of its row, less by how far the strangers
/// among them are, 0 at worst. Venna and Kaski, "Neighborhood preservation in nonlinear projection methods", ICANN 2001.
///
/// `1 − 2 / (n k (2n − 3k − 1)) Σᵢ Σⱼ (r(i, j) − k)` over those `j` of the `k` nearest places of `i` whose rank `r` among the rows
/// (1 is the nearest) is above `k`. `before` and `after` hold the squares of all pairs' distances, rows × rows. `None` when
/// `k` is 0 or not below half the rows.
pub fn trustworthiness(before: &[f64], after: &[f64], count: usize, k: usize) -> Option<f64> {
    if k == 0 || 2 * k >= count {
        return None;
    }
    let ordered = |i: usize, distances: &[f64]| nearest_first(i, distances, count);
    let strangers = |i: usize| {
        let mut rank = vec![0; count];
        for (place, j) in ordered(i, before).into_iter().enumerate() {
            rank[j] = place + 1;
        }
        let near = ordered(i, after);
        near.into_iter().take(k).map(|j| rank[j].saturating_sub(k)).sum::<usize>()
    };
    let sum: usize = (0..count).into_par_iter().map(strangers).sum();
    let (n, k) = (count as f64, k as f64);
    Some(1.0 - 2.0 / (n * k * (2.0 * n - 3.0 * k - 1.0)) * sum as f64)
}

/// The other rows by their distance from row `i`, rows × rows distances; of several equally near the first comes first.
pub(crate) fn nearest_first(i: usize, distances: &[f64], count: usize) -> Vec<usize> {
    let row = &distances[i * count..(i + 1) * count];
    let mut others: Vec<usize> = (0..count).filter(|&j| j != i).collect();
    others.sort_by(|&a, &b| row[a].total_cmp(&row[b]).then(a.cmp(&b)));
    others
}

/// The squares of the distances of all pairs of rows of `columns` numbers, rows × rows.
pub fn squared_distances(rows: &[f64], columns: usize) -> Vec<f64> {
    let count = rows.len() / columns;
    let mut mean = vec![0.0; columns];
    for row in rows.chunks_exact(columns) {
        mean.iter_mut().zip(row).for_each(|(mean, value)| *mean += value / count as f64);
    }
    // About their mean the products are smallest, and least is lost in the difference.
    let centred: Vec<f64> = rows
        .chunks_exact(columns)
        .flat_map(|row| row.iter().zip(&mean).map(|(value, mean)| value - mean))
        .collect();
    let mut products = sconce_ops::rows::product::of_rows(&centred, &centred, columns);
    let squares: Vec<f64> = (0..count).map(|i| products[i * (count + 1)]).collect();
    products.par_chunks_exact_mut(count).zip(&squares).enumerate().for_each(
        |(i, (row, square))| {
            for (j, (value, other)) in row.iter_mut().zip(&squares).enumerate() {
                *value = if i == j { 0.0 } else { (square + other - 2.0 * *value).max(0.0) };
            }
        },
    );
    products
}

#[cfg(test)]
mod tests {
    use super::*;

    /// sklearn.manifold.trustworthiness(x, y, n_neighbors=k), scikit-learn 1.9, for k = 1, 2, 3, of
    /// x = [[0, 0], [1, .1], [2, .4], [3.5, 0], [5, .3], [7, 1], [9, 1.5], [1, 4]] and y = [[0], [3], [1], [2], [5], [4], [7], [6]]
    #[test]
    fn equals_scikit_learn() {
        let x = [0.0, 0.0, 1.0, 0.1, 2.0, 0.4, 3.5, 0.0, 5.0, 0.3, 7.0, 1.0, 9.0, 1.5, 1.0, 4.0];
        let y = [0.0, 3.0, 1.0, 2.0, 5.0, 4.0, 7.0, 6.0];
        let (before, after) = (squared_distances(&x, 2), squared_distances(&y, 1));
        for (k, expected) in SCIKIT_LEARN {
            let ours = trustworthiness(&before, &after, 8, k).unwrap();
            assert!((ours - expected).abs() < 1e-12, "{k}: {ours} {expected}");
        }
        assert_eq!(trustworthiness(&before, &before, 8, 3), Some(1.0));
        assert_eq!(trustworthiness(&before, &after, 8, 4), None);
    }

    const SCIKIT_LEARN: [(usize, f64); 3] =
        [(1, 0.5625), (2, 0.611_111_111_111_111_2), (3, 0.680_555_555_555_555_6)];
}
