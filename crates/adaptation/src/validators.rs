//! Scores that tell networks apart without labels of the target domain: which checkpoint, which setting.
//!
//! All but the accuracy on the source read nothing but the network's probabilities of target images, rows of softmax
//! `pᵢ` (images × classes, in f64). None of them is the accuracy: over many settings, Musgrave et al., "Three new validators and a
//! large-scale benchmark ranking for unsupervised domain adaptation", 2022, find each to mislead at times.

use rayon::prelude::*;
use sconce_core::{Error, Result};
use sconce_ops::rows::eigen;

/// `−Σ p log p` in nats; a probability of 0 adds nothing.
fn entropy(probabilities: &[f64]) -> f64 {
    let term = |&p: &f64| if p > 0.0 { -p * p.ln() } else { 0.0 };
    probabilities.iter().map(term).sum()
}

/// The mean entropy `1/n Σᵢ H(pᵢ)`: low where the network is sure. Morerio, Cavazza, Murino, "Minimal-entropy correlation
/// alignment for unsupervised deep domain adaptation", ICLR 2018.
///
/// A network that gives all images one class is as sure as can be: see [`diversity`].
pub fn mean_entropy(probabilities: &[f64], classes: usize) -> f64 {
    let rows = probabilities.chunks_exact(classes);
    let count = rows.len() as f64;
    rows.map(entropy).sum::<f64>() / count
}

/// Mutual information of images and predictions, `H(1/n Σᵢ pᵢ) − 1/n Σᵢ H(pᵢ)`: high where the network is sure and its classes
/// are evenly many. Bridle, Heading, MacKay, "Unsupervised classifiers, mutual information and 'phantom targets'", NIPS 1991;
/// Shi and Sha, "Information-theoretical learning of discriminative clusters", ICML 2012.
pub fn diversity(probabilities: &[f64], classes: usize) -> f64 {
    let rows = probabilities.chunks_exact(classes);
    let count = rows.len() as f64;
    let mut mean = vec![0.0; classes];
    for row in rows {
        mean.iter_mut().zip(row).for_each(|(mean, p)| *mean += p);
    }
    mean.iter_mut().for_each(|mean| *mean /= count);
    entropy(&mean) - mean_entropy(probabilities, classes)
}

/// The nuclear norm of the matrix of probabilities (the sum of its singular values) by the number of images: high where the
/// network is sure and its classes are many. Cui et al., "Towards discriminability and diversity: batch nuclear-norm maximization
/// under label insufficient situations", CVPR 2020, with all images in one batch.
///
/// The singular values are the roots of the eigenvalues of the classes × classes matrix `Pᵀ P`.
///
/// # Errors
/// When the eigenvalues cannot be found.
pub fn nuclear_norm(probabilities: &[f64], classes: usize) -> Result<f64> {
    let rows = probabilities.chunks_exact(classes);
    let count = rows.len() as f64;
    let mut gram = vec![0.0; classes * classes];
    for row in rows {
        for (out, a) in gram.chunks_exact_mut(classes).zip(row) {
            out.iter_mut().zip(row).for_each(|(out, b)| *out += a * b);
        }
    }
    let eigen = eigen::largest(gram, classes, classes).map_err(Error::other)?;
    Ok(eigen.values.iter().map(|value| value.max(0.0).sqrt()).sum::<f64>() / count)
}

/// Confusion between classes: low where the network takes no two of them for each other. Jin, Wang, Long, Wang, "Minimum class
/// confusion for versatile domain adaptation", ECCV 2020; `probabilities` are those of softmax at a
/// temperature (2.5 in the paper).
///
/// `Cⱼₖ = Σᵢ wᵢ pᵢⱼ pᵢₖ` with `wᵢ ∝ 1 + exp(−H(pᵢ))` of mean 1, each row divided by its sum; the result is the mean over `j` of
/// `Σ k≠j Cⱼₖ`. A class that no image has any probability of is not counted.
pub fn class_confusion(probabilities: &[f64], classes: usize) -> f64 {
    let rows = probabilities.chunks_exact(classes);
    let mut confusion = vec![0.0; classes * classes];
    for row in rows {
        // Each row of the matrix is divided by its sum: that the weights have the mean 1 changes nothing.
        let weight = 1.0 + (-entropy(row)).exp();
        for (out, a) in confusion.chunks_exact_mut(classes).zip(row) {
            out.iter_mut().zip(row).for_each(|(out, b)| *out += weight * a * b);
        }
    }
    let (mut sum, mut counted) = (0.0, 0.0);
    for (class, row) in confusion.chunks_exact(classes).enumerate() {
        let all: f64 = row.iter().sum();
        if all > 0.0 {
            sum += (all - row[class]) / all;
            counted += 1.0;
        }
    }
    sum / counted
}

/// Soft neighbourhood density: high where images that the network takes for alike are many, and alike. Saito et al., "Tune it the
/// right way: unsupervised validation of domain adaptation via soft neighborhood density", ICCV 2021
/// (temperature .05).
///
/// With `fᵢ = pᵢ / ‖pᵢ‖`, each image has the distribution `softmaxⱼ(fᵢᵀ fⱼ / temperature)` over the others `j ≠ i`; the result is the
/// mean of their entropies. It takes n² steps; sums do not depend on the number of threads.
pub fn neighbourhood_density(probabilities: &[f64], classes: usize, temperature: f64) -> f64 {
    let mut unit = probabilities.to_vec();
    for row in unit.chunks_exact_mut(classes) {
        let norm = row.iter().map(|p| p * p).sum::<f64>().sqrt();
        row.iter_mut().for_each(|p| *p /= norm);
    }
    let others = |(i, row): (usize, &[f64])| {
        let others = unit.chunks_exact(classes).enumerate().filter(|(j, _)| i != *j);
        let similarity =
            |other: &[f64]| row.iter().zip(other).map(|(a, b)| a * b).sum::<f64>() / temperature;
        let mut scaled: Vec<f64> = others.map(|(_, other)| similarity(other)).collect();
        let largest = scaled.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        scaled.iter_mut().for_each(|s| *s -= largest);
        // With Z = Σ exp s the entropy is ln Z − Σ s · exp s / Z.
        let (mut z, mut along) = (0.0, 0.0);
        for s in scaled {
            let share = s.exp();
            z += share;
            along += share * s;
        }
        if z > 0.0 { z.ln() - along / z } else { 0.0 }
    };
    let entropies: Vec<f64> = unit.par_chunks_exact(classes).enumerate().map(others).collect();
    entropies.iter().sum::<f64>() / entropies.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logits::softmax;

    const LOGITS: [f64; 18] = [
        2.0, 0.5, -1.0, 0.1, 0.2, 0.3, -2.0, 3.0, 0.5, 1.5, 1.0, -0.5, 0.0, -1.0, 2.5, 0.2, 2.0,
        1.8,
    ];

    fn close(ours: f64, theirs: f64) {
        assert!((ours - theirs).abs() < 1e-12, "{ours} {theirs}");
    }

    /// NumPy 2, `z` the 6 × 3 logits above:
    ///
    /// ```python
    /// sm = lambda a: np.exp(a) / np.exp(a).sum(1, keepdims=True)
    /// ent = lambda p: -(p * np.log(p)).sum(-1)
    /// p = sm(z); ent(p).mean(); ent(p.mean(0)) - ent(p).mean(); np.linalg.norm(p, "nuc") / len(p)
    /// t = sm(z / 2.5); w = 1 + np.exp(-ent(t)); w = w / w.sum() * len(t)
    /// c = t.T @ (w[:, None] * t); c = c / c.sum(1, keepdims=True); (c.sum() - np.trace(c)) / 3
    /// f = p / np.linalg.norm(p, axis=1, keepdims=True); s = f @ f.T / .05; np.fill_diagonal(s, -1e9)
    /// d = sm(s - s.max(1, keepdims=True)); np.where(d > 0, -d * np.log(np.where(d > 0, d, 1)), 0).sum(1).mean()
    /// ```
    #[test]
    fn scores_equal_numpys() {
        let p = softmax(&LOGITS, 3, 1.0);
        close(mean_entropy(&p, 3), 0.701_565_871_842_689_7);
        close(diversity(&p, 3), 0.391_301_769_873_553_14);
        assert!((nuclear_norm(&p, 3).unwrap() - 0.526_290_190_116_043_4).abs() < 1e-9);
        close(class_confusion(&softmax(&LOGITS, 3, 2.5), 3), 0.595_068_682_033_596_3);
        close(neighbourhood_density(&p, 3, 0.05), 0.333_339_297_900_291_15);
    }

    #[test]
    fn sure_and_diverse_is_best_and_one_class_for_all_is_not() {
        let sure: Vec<f64> =
            (0..4).flat_map(|i| [f64::from(1 - i % 2), f64::from(i % 2)]).collect();
        let collapsed = [1.0, 0.0].repeat(4);
        assert_eq!((mean_entropy(&sure, 2), mean_entropy(&collapsed, 2)), (0.0, 0.0));
        close(diversity(&sure, 2), 2f64.ln());
        close(diversity(&collapsed, 2), 0.0);
        // Singular values √2, √2 and 2, 0.
        close(nuclear_norm(&sure, 2).unwrap(), 8f64.sqrt() / 4.0);
        close(nuclear_norm(&collapsed, 2).unwrap(), 0.5);
        // A class that nothing is taken for is not confused with any.
        assert_eq!((class_confusion(&sure, 2), class_confusion(&collapsed, 2)), (0.0, 0.0));
        // Three neighbours, all as near: density cannot see a collapse.
        close(neighbourhood_density(&collapsed, 2, 0.05), 3f64.ln());
        assert!(neighbourhood_density(&sure, 2, 0.05) < 1e-6);
    }
}
