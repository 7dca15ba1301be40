//! McNemar's test: whether two classifiers that were tested on the same examples differ.

/// What the examples that one of two classifiers got right and the other wrong say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct McNemar {
    /// Both right.
    pub both: usize,
    /// Only the first right.
    pub first_only: usize,
    /// Only the second right.
    pub second_only: usize,
    /// Neither right.
    pub neither: usize,
    /// The probability of a difference at least as large if both were equally good: the exact two-sided binomial test.
    pub p_value: f64,
}

/// Compares what two classifiers got right, example by example (McNemar, Psychometrika 12, 1947; exact form).
pub fn mcnemar(first: &[bool], second: &[bool]) -> McNemar {
    let count = |a: bool, b: bool| {
        first.iter().zip(second).filter(|(first, second)| **first == a && **second == b).count()
    };
    let (first_only, second_only) = (count(true, false), count(false, true));
    McNemar {
        both: count(true, true),
        first_only,
        second_only,
        neither: count(false, false),
        p_value: two_sided(first_only.min(second_only), first_only + second_only),
    }
}

/// `min(1, 2 P(X ≤ few))` for `X` binomial with `n` trials and probability one half.
fn two_sided(few: usize, n: usize) -> f64 {
    let mut log_term = -(n as f64) * std::f64::consts::LN_2;
    let mut sum = 0.0;
    for k in 0..=few {
        sum += log_term.exp();
        log_term += ((n - k) as f64 / (k + 1) as f64).ln();
    }
    (2.0 * sum).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scipy.stats.binomtest(few, n, 0.5).pvalue
    #[test]
    fn equals_scipy() {
        for (few, n, p) in [
            (0, 0, 1.0),
            (1, 5, 0.375),
            (5, 10, 1.0),
            (20, 61, 0.009853448195259268),
            (400, 900, 0.0009564441369189373),
        ] {
            let ours = two_sided(few, n);
            assert!((ours - p).abs() < 1e-9 * p, "{few} {n}: {ours}");
        }
    }

    #[test]
    fn counts_the_four_cases() {
        let test = mcnemar(&[true, true, false, false, true], &[true, false, true, false, false]);
        assert_eq!((test.both, test.first_only, test.second_only, test.neither), (1, 2, 1, 1));
        assert_eq!(test.p_value, 1.0);
    }
}
