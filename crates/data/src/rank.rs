//! What is best, and whether two lists agree on it: rank correlation.

/// Which value of a quantity is best.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Best {
    /// The largest: accuracy.
    #[default]
    Max,
    /// The smallest: error, time.
    Min,
}

/// A list ready to be correlated with many others: its ranks about their mean, and the root of their squares' sum.
pub struct Ranked {
    ranks: Vec<f64>,
    length: f64,
}

impl Ranked {
    /// None for a list of a single value.
    pub fn of<T: Copy + Into<f64>>(values: &[T]) -> Option<Self> {
        let values: Vec<f64> = values.iter().map(|&value| value.into()).collect();
        // The mean of all ranks, whatever the ties.
        let mean = (values.len() as f64 - 1.0) / 2.0;
        let ranks: Vec<f64> = ranks(&values).into_iter().map(|rank| rank - mean).collect();
        let length = ranks.iter().map(|rank| rank * rank).sum::<f64>().sqrt();
        (length > 0.0).then_some(Self { ranks, length })
    }

    /// Spearman's rank correlation with a list of the same length: Pearson's of the ranks, equal values sharing the mean of
    /// theirs.
    pub fn correlation(&self, other: &Self) -> f64 {
        let both: f64 = self.ranks.iter().zip(&other.ranks).map(|(a, b)| a * b).sum();
        both / (self.length * other.length)
    }
}

/// The rank of each value from 0, equal ones sharing the mean of their ranks.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut first = 0;
    for group in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let rank = first as f64 + (group.len() - 1) as f64 / 2.0;
        for &place in group {
            ranks[place] = rank;
        }
        first += group.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spearman(a: &[f32], b: &[f32]) -> Option<f64> {
        Some(Ranked::of(a)?.correlation(&Ranked::of(b)?))
    }

    /// `scipy.stats.spearmanr` of the same lists, SciPy 1.17.
    #[test]
    fn correlations_equal_scipys() {
        let a = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0];
        let b = [2.0, 7.0, 1.0, 8.0, 2.0, 8.0, 1.0, 8.0];
        assert!((spearman(&a, &b).unwrap() - SCIPY).abs() < 1e-12, "{:?}", spearman(&a, &b));
        let grown: Vec<f32> = a.iter().map(|v| v.exp()).collect();
        assert!((spearman(&a, &grown).unwrap() - 1.0).abs() < 1e-12);
        let turned: Vec<f32> = a.iter().map(|v| -v).collect();
        assert!((spearman(&a, &turned).unwrap() + 1.0).abs() < 1e-12);
        assert_eq!(spearman(&a, &[2.0; 8]), None);
        assert_eq!(spearman(&[], &[]), None);
    }

    const SCIPY: f64 = 0.198_853_681_209_924_67;
}
