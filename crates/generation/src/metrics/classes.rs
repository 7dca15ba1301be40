//! What a classifier, the judge, takes generated images for.

/// How often each class is judged, and how that agrees with what was wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// Number of images of each class by the judge.
    pub counts: Vec<usize>,
    /// Images by wanted class × judged class, where it is known what was wanted.
    pub confusion: Option<Vec<usize>>,
}

impl Judged {
    /// Counts `judged` classes below `classes`, and against `wanted` ones, as many.
    ///
    /// # Panics
    /// When a class is out of range.
    pub fn of(judged: &[usize], wanted: Option<&[usize]>, classes: usize) -> Self {
        let mut counts = vec![0; classes];
        judged.iter().for_each(|&class| counts[class] += 1);
        let confusion = wanted.map(|wanted| {
            let mut confusion = vec![0; classes * classes];
            wanted.iter().zip(judged).for_each(|(w, j)| confusion[w * classes + j] += 1);
            confusion
        });
        Self { counts, confusion }
    }

    /// The share of each class.
    pub fn shares(&self) -> Vec<f64> {
        let all: usize = self.counts.iter().sum();
        self.counts.iter().map(|&count| count as f64 / all as f64).collect()
    }

    /// The entropy of the shares in nats: `ln C` where all of `C` classes are as frequent, 0 where there is one.
    pub fn entropy(&self) -> f64 {
        self.shares().iter().map(|&p| if p > 0.0 { -p * p.ln() } else { 0.0 }).sum()
    }

    /// Number of classes whose share is `least` or more.
    pub fn appearing(&self, least: f64) -> usize {
        self.shares().iter().filter(|&&share| share > 0.0 && share >= least).count()
    }

    /// Number of images that were wanted of each class.
    pub fn wanted(&self) -> Option<Vec<usize>> {
        let rows = self.confusion.as_ref()?.chunks_exact(self.counts.len());
        Some(rows.map(|row| row.iter().sum()).collect())
    }

    /// Number of images of each class that are judged to be what was wanted.
    pub fn agreeing(&self) -> Option<Vec<usize>> {
        let confusion = self.confusion.as_ref()?;
        Some(confusion.iter().step_by(self.counts.len() + 1).copied().collect())
    }

    /// The share of the images that are judged to be what was wanted.
    pub fn agreement(&self) -> Option<f64> {
        let all: usize = self.counts.iter().sum();
        Some(self.agreeing()?.iter().sum::<usize>() as f64 / all as f64)
    }
}

/// The inception score with the judge in Inception's place, of all images at once: `exp(mean KL(p(y|x) ‖ p(y)))` with the softmax of
/// `logits` (images × classes) for `p(y|x)` and its mean for `p(y)` (Salimans et al., "Improved techniques for training GANs",
/// NIPS 2016). It lies from 1 to the number of classes, and sees no real image: a single perfect image of each class has the
/// best.
pub fn inception_score(logits: &[f64], classes: usize) -> f64 {
    let rows = logits.chunks_exact(classes);
    let count = rows.len() as f64;
    let log: Vec<f64> = rows
        .flat_map(|row| {
            let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let z = row.iter().map(|v| (v - largest).exp()).sum::<f64>().ln() + largest;
            row.iter().map(move |v| v - z)
        })
        .collect();
    let mut mean = vec![0.0; classes];
    for row in log.chunks_exact(classes) {
        mean.iter_mut().zip(row).for_each(|(mean, log)| *mean += log.exp() / count);
    }
    let divergence = log.chunks_exact(classes).map(|row| {
        let terms = row.iter().zip(&mean).map(|(log, mean)| match log.exp() {
            0.0 => 0.0,
            p => p * (log - mean.ln()),
        });
        terms.sum::<f64>()
    });
    (divergence.sum::<f64>() / count).exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::testing::close;

    #[test]
    fn classes_are_counted() {
        let judged = Judged::of(&[0, 0, 2, 0, 2, 1], Some(&[0, 0, 2, 1, 1, 1]), 4);
        assert_eq!(judged.counts, [3, 1, 2, 0]);
        close(judged.entropy(), 0.5 * 2f64.ln() + 6f64.ln() / 6.0 + 3f64.ln() / 3.0);
        assert_eq!((judged.appearing(0.2), judged.appearing(0.0)), (2, 3));
        assert_eq!(judged.wanted().unwrap(), [2, 3, 1, 0]);
        assert_eq!(judged.agreeing().unwrap(), [2, 1, 1, 0]);
        close(judged.agreement().unwrap(), 4.0 / 6.0);
        assert_eq!(Judged::of(&[0], None, 2).agreement(), None);
    }

    /// `scipy.special.softmax` of the logits below; `np.exp((p * (np.log(p) - np.log(p.mean(0)))).sum(1).mean())`.
    #[test]
    fn the_score_is_salimans() {
        let logits = [2.0, 0.5, -1.0, 0.1, 0.2, 0.3, -2.0, 3.0, 0.5];
        close(inception_score(&logits, 3), 1.406_732_959_654_001_2);
        // Sure of one class each: as many as there are classes. Of one class for all: one.
        close(inception_score(&[900.0, 0.0, 0.0, 900.0], 2), 2.0);
        close(inception_score(&[900.0, 0.0, 900.0, 0.0], 2), 1.0);
    }
}
