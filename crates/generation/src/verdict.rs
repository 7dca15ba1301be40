//! How a training of two networks went, by a stated rule.

use std::fmt;

/// How a training went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// A loss, a weight or an image was no longer a number.
    Diverged,
    /// The discriminator tells all apart, and the generator learns nothing from it.
    DiscriminatorWins,
    /// The discriminator takes generated images for real ones.
    GeneratorWins,
    /// Generated images are nearly the same.
    ModeCollapse,
    /// None of these.
    Stable,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Diverged => "diverged",
            Self::DiscriminatorWins => "discriminator wins",
            Self::ModeCollapse => "mode collapse",
            Self::GeneratorWins => "generator wins",
            Self::Stable => "stable",
        })
    }
}

/// What a verdict looks at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Signs {
    /// Whether a loss, a weight or an image was no longer a number.
    pub(crate) diverged: bool,
    /// Mean part of pairs of a real and a generated image that the discriminator ranks rightly, over the last tenth of the
    /// records, and at least the last one; none before the first.
    pub(crate) ranking: Option<f64>,
    /// Median distance of a generated image to the nearest other one, by that of as many real images, at the last look.
    pub(crate) diversity: f64,
}

// The three limits are conventions of Sconce, from no paper.

/// The discriminator has won from this ranking on: one pair in 500 is ranked wrongly.
pub(crate) const DISCRIMINATOR_WINS: f64 = 0.998;
/// The generator has won up to this ranking: the discriminator ranks three pairs in four wrongly.
pub(crate) const GENERATOR_WINS: f64 = 0.25;
/// Generated images are nearly the same up to this diversity.
pub(crate) const COLLAPSED: f64 = 0.25;

impl Verdict {
    /// The first that holds: diverged; the discriminator wins (ranking at least .998); the generator wins (ranking at most
    /// .25); mode collapse (diversity at most .25); stable. None before the first record, when nothing was trained yet.
    pub(crate) fn of(signs: Signs) -> Option<Self> {
        if signs.diverged {
            return Some(Self::Diverged);
        }
        Some(match signs.ranking? {
            ranking if ranking >= DISCRIMINATOR_WINS => Self::DiscriminatorWins,
            ranking if ranking <= GENERATOR_WINS => Self::GeneratorWins,
            _ if signs.diversity <= COLLAPSED => Self::ModeCollapse,
            _ => Self::Stable,
        })
    }
}

/// Mean of the last tenth of `rankings`, at least of the last one; none where there is none.
pub(crate) fn last_tenth(rankings: &[f64]) -> Option<f64> {
    let last = rankings.len().div_ceil(10);
    match &rankings[rankings.len() - last..] {
        [] => None,
        some => Some(some.iter().sum::<f64>() / some.len() as f64),
    }
}

/// Median distance of each row of `size` samples to the nearest other row (Euclidean, of samples 0 to 255).
pub(crate) fn nearest(samples: &[u8], size: usize) -> f64 {
    let rows: Vec<&[u8]> = samples.chunks_exact(size.max(1)).collect();
    let squared = |a: &[u8], b: &[u8]| -> u64 {
        a.iter().zip(b).map(|(&a, &b)| u64::from(a.abs_diff(b)).pow(2)).sum()
    };
    let nearest = |i: usize| {
        let others = rows.iter().enumerate().filter(|(j, _)| *j != i);
        others.map(|(_, other)| squared(rows[i], other)).min()
    };
    let mut all: Vec<u64> = (0..rows.len()).filter_map(nearest).collect();
    all.sort_unstable();
    all.get(all.len() / 2).map_or(0.0, |&squared| (squared as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_histories_get_their_verdicts() {
        let well = Signs { diverged: false, ranking: Some(0.93), diversity: 0.9 };
        for (signs, want) in [
            (well, Verdict::Stable),
            (Signs { ranking: Some(0.5), ..well }, Verdict::Stable),
            (Signs { diverged: true, ..well }, Verdict::Diverged),
            (Signs { ranking: Some(0.9995), ..well }, Verdict::DiscriminatorWins),
            // an untrained generator's images are alike, but nothing collapsed
            (Signs { ranking: Some(1.0), diversity: 0.01, ..well }, Verdict::DiscriminatorWins),
            (Signs { diversity: 0.1, ..well }, Verdict::ModeCollapse),
            (Signs { ranking: Some(0.02), ..well }, Verdict::GeneratorWins),
            // a generator against a discriminator that does not learn finds one image that pleases it
            (Signs { ranking: Some(0.02), diversity: 0.1, ..well }, Verdict::GeneratorWins),
        ] {
            assert_eq!(Verdict::of(signs), Some(want), "{signs:?}");
        }
        // without an update there is nothing to tell, but that the networks themselves are no numbers
        let untrained = Signs { ranking: None, diversity: 0.01, ..well };
        assert_eq!(Verdict::of(untrained), None);
        let broken = Signs { diverged: true, ..untrained };
        assert_eq!(Verdict::of(broken), Some(Verdict::Diverged));
    }

    #[test]
    fn the_last_tenth_decides_of_long_and_of_short_histories() {
        let mut rankings = vec![1.0; 95];
        rankings.extend([0.5; 10]);
        // 105 records: the last 11
        assert!((last_tenth(&rankings).unwrap() - (0.5 * 10.0 + 1.0) / 11.0).abs() < 1e-12);
        assert_eq!(last_tenth(&[0.2, 0.7]), Some(0.7));
        assert_eq!(last_tenth(&[]), None);
    }

    #[test]
    fn nearest_neighbours_are_those_of_a_naive_search() {
        // distances 5 and 10 apart on a line, and one far away
        assert_eq!(nearest(&[0, 0, 3, 4, 3, 14, 200, 200], 2), 10.0);
        assert_eq!(nearest(&[7; 12], 3), 0.0);
        assert_eq!(nearest(&[7; 3], 3), 0.0);
    }
}
