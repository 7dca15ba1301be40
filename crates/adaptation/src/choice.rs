//! Which checkpoint a score would choose, and how well it ranks them.

use sconce_data::rank::{Best, Ranked};

/// What is best of the scores of [`validators`](crate::validators); `None` for others.
pub fn known(score: &str) -> Option<Best> {
    match score {
        "entropy" | "mcc" => Some(Best::Min),
        "diversity" | "bnm" | "snd" | "source_accuracy" => Some(Best::Max),
        _ => None,
    }
}

/// The scores, turned where low is good, so that high is good of all.
pub fn high_is_good(scores: &[f64], best: Best) -> Vec<f64> {
    scores.iter().map(|&score| if best == Best::Max { score } else { -score }).collect()
}

/// The place of the best of `goods` (high is good), the last of equals: what a score cannot tell apart it leaves as the training
/// ends, and of scores that are all the same it chooses the last checkpoint. `None` when there is none.
pub fn choose(goods: &[f64]) -> Option<usize> {
    (0..goods.len()).max_by(|&a, &b| goods[a].total_cmp(&goods[b]))
}

/// Spearman's correlation of two lists of the same length, equal values sharing the mean of their ranks; `None` when one of them
/// has a single value, which ranks nothing.
pub fn rank_correlation(a: &[f64], b: &[f64]) -> Option<f64> {
    Some(Ranked::of(a)?.correlation(&Ranked::of(b)?))
}

/// The numbers about their mean in units of their deviation; 0 where all are the same.
pub fn standardised(values: &[f64]) -> Vec<f64> {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    // Rounding leaves numbers that are all the same a deviation.
    let same = values.iter().all(|value| *value == values[0]);
    let scale = if same { 0.0 } else { variance.sqrt().recip() };
    values.iter().map(|value| (value - mean) * scale).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equals_the_last_is_chosen() {
        assert_eq!(choose(&[0.5, 0.9, 0.2, 0.9, 0.1]), Some(3));
        assert_eq!(choose(&[0.5; 4]), Some(3));
        assert_eq!(choose(&high_is_good(&[0.5, 0.1, 0.2], Best::Min)), Some(1));
        assert_eq!(choose(&[]), None);
    }

    /// scipy.stats.spearmanr([.1, .4, .4, .8, .2], [.5, .6, .7, .65, .4]).statistic is .7181848464596079,
    /// scipy.stats.zscore of the first [-1.1666…, .0833…, .0833…, 1.75, -.75], SciPy 1.17
    #[test]
    fn ranks_and_standard_scores_are_scipys() {
        let (a, b) = ([0.1, 0.4, 0.4, 0.8, 0.2], [0.5, 0.6, 0.7, 0.65, 0.4]);
        assert!((rank_correlation(&a, &b).unwrap() - SPEARMAN).abs() < 1e-12);
        assert_eq!(rank_correlation(&a, &[0.3; 5]), None);
        let z = standardised(&a);
        for (ours, theirs) in z.iter().zip(ZSCORES) {
            assert!((ours - theirs).abs() < 1e-12, "{z:?}");
        }
        assert_eq!(standardised(&[0.1; 3]), [0.0; 3]);
    }

    const SPEARMAN: f64 = 0.718_184_846_459_607_9;
    const ZSCORES: [f64; 5] = [-7.0 / 6.0, 1.0 / 12.0, 1.0 / 12.0, 1.75, -0.75];
}
